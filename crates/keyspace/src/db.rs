//! One database: keys, and the index of the keys that expire.
//!
//! Keys live in one table of entries; a second table points to those entries that have an expiry time, for the active
//! expire cycle and for evicting volatile keys. Nothing here looks at the clock: whether a key *has* expired is the
//! caller's business.

mod incoming;

use std::ptr::NonNull;

use crate::embedded::{Edit, PackedRef};
use crate::entry::{Alias, Entry};
use crate::hashing::hash;
use crate::table::{Resize, SlotMut, Stats, Table};
use crate::{Counted, EntryRef, Rng, Type, Value, ValueMut};

pub use incoming::{Conflict, Incoming};

/// What becomes of a key's expiry time when its value is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// It stays (`KEEPTTL`).
    Keep,
    /// It goes: the key lives for ever.
    Clear,
    /// It becomes this, in Unix milliseconds.
    At(i64),
}

/// How a string's encoding is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrHow {
    /// As SET does: `int` if canonical, else `embstr` or `raw` by length.
    Detect,
    /// Bytes as they are: `embstr` or `raw` by length.
    Bytes,
    /// Always `raw`.
    Raw,
}

/// The access clock that a string is written with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Of a key that is new.
    pub new: u32,
    /// Of a key that was there; `None` leaves its clock as it is.
    pub old: Option<u32>,
}

/// What was overwritten.
#[derive(Debug)]
pub struct Overwritten {
    /// The type of the old value.
    pub type_: Type,
    /// The old value, if freeing it is better done elsewhere (a big container or string); lighter ones are gone.
    pub heavy: Option<Value>,
    /// When the key would have expired: whether it already had is the caller's business.
    pub expire_at_ms: Option<i64>,
}

/// A database. `Send`: a whole one may be dropped in another thread.
///
/// Entries change through few doors: a key is put ([`Db::set_str`], [`Db::set_raw`], [`Db::insert`], [`Db::insert_new`],
/// [`Db::get_or_insert_with`]), changed in place ([`Db::get_mut`], [`Db::set_expire`]), removed ([`Db::remove`]), or all go at
/// once ([`Db::clear`]). Each tells [`Db::about_to_change`] or [`Db::about_to_clear`] first, so what has to see an entry before
/// it changes has one place. The access clock, which is no part of the data, is written past them.
///
/// Invariant: `expires` holds exactly one alias for each entry of `keys` with an expiry time, under the same hash.
#[derive(Debug)]
pub struct Db {
    keys: Table<Entry>,
    /// Dense: it is looked up in when an expiry time comes or goes, not when a key is used.
    expires: Table<Alias>,
    /// The keys that were about to change, in order; `None` for all.
    #[cfg(test)]
    told: Vec<Option<Box<[u8]>>>,
}

impl Db {
    /// An empty database.
    pub fn new() -> Self {
        Db {
            keys: Table::new(),
            expires: Table::dense(),
            #[cfg(test)]
            told: Vec::new(),
        }
    }

    /// The entry of `key` is about to be changed in place, overwritten, made or removed; it may not be there.
    #[inline]
    fn about_to_change(&mut self, key: &[u8]) {
        #[cfg(test)]
        self.told.push(Some(key.into()));
        #[cfg(not(test))]
        let _ = key;
    }

    /// All entries are about to go.
    #[inline]
    fn about_to_clear(&mut self) {
        #[cfg(test)]
        self.told.push(None);
    }

    /// SET: one hash, one walk, in place if it fits. Returns what was there.
    pub fn set_str(
        &mut self,
        key: &[u8],
        value: &[u8],
        ttl: Ttl,
        how: StrHow,
    ) -> Option<Overwritten> {
        self.set_str_hashed(hash(key), key, value, ttl, how, Stamp::default())
    }

    /// [`Db::set_str`] with the hash at hand, writing the access clock as well.
    #[inline]
    pub fn set_str_hashed(
        &mut self,
        h: u64,
        key: &[u8],
        value: &[u8],
        ttl: Ttl,
        how: StrHow,
        stamp: Stamp,
    ) -> Option<Overwritten> {
        self.put(
            h,
            key,
            ttl,
            value,
            |value, expire| {
                let entry = Entry::new_str(key, expire, value, how);
                entry.set_clock(stamp.new);
                entry
            },
            |entry, value| {
                let heavy = entry.set_str(value, how);
                if let Some(clock) = stamp.old {
                    entry.set_clock(clock);
                }
                heavy
            },
        )
    }

    /// Sets a string by moving `value` in without copying, where it is long; always `raw`.
    pub fn set_raw(
        &mut self,
        key: &[u8],
        value: Counted,
        ttl: Ttl,
        stamp: Stamp,
    ) -> Option<Overwritten> {
        self.put(
            hash(key),
            key,
            ttl,
            value,
            |value, expire| {
                let entry = Entry::new(key, expire, Value::Str(crate::Str::Raw(value)));
                entry.set_clock(stamp.new);
                entry
            },
            |entry, value| {
                let heavy = entry.set_raw(value);
                if let Some(clock) = stamp.old {
                    entry.set_clock(clock);
                }
                heavy
            },
        )
    }

    /// Inserts or overwrites; the new expiry time replaces the old.
    pub fn insert(
        &mut self,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<i64>,
    ) -> Option<Overwritten> {
        self.put(
            hash(key),
            key,
            expire_at_ms.map_or(Ttl::Clear, Ttl::At),
            value,
            |value, expire| Entry::new(key, expire, value),
            |entry, value| {
                let heavy = entry.is_heavy();
                let old = entry.replace_value(value);
                heavy.then_some(old)
            },
        )
    }

    /// Inserts a key that is absent (loading). Debug builds assert the absence.
    pub fn insert_new(
        &mut self,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<i64>,
    ) -> EntryRef<'_> {
        self.about_to_change(key);
        let h = hash(key);
        let entry = self
            .keys
            .insert_new(h, Entry::new(key, expire_at_ms, value));
        if expire_at_ms.is_some() {
            self.expires.insert_new(h, alias(&entry));
        }
        entry
    }

    /// The key's entry, created from `make` if absent; and whether it was created. One hash, one walk.
    pub fn get_or_insert_with(
        &mut self,
        key: &[u8],
        make: impl FnOnce() -> Value,
    ) -> (EntryMut<'_>, bool) {
        self.get_or_insert_with_hashed(hash(key), key, make)
    }

    /// [`Db::get_or_insert_with`] with the hash at hand.
    #[inline]
    pub fn get_or_insert_with_hashed(
        &mut self,
        h: u64,
        key: &[u8],
        make: impl FnOnce() -> Value,
    ) -> (EntryMut<'_>, bool) {
        self.about_to_change(key);
        let (slot, created) = self
            .keys
            .find_or_insert_with(h, key, || Entry::new(key, None, make()));
        (
            EntryMut {
                slot,
                expires: &mut self.expires,
                hash: h,
            },
            created,
        )
    }

    /// Looks a key up to change it.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        self.get_mut_hashed(hash(key), key)
    }

    /// [`Db::get_mut`] with the hash at hand.
    #[inline]
    pub fn get_mut_hashed(&mut self, h: u64, key: &[u8]) -> Option<EntryMut<'_>> {
        self.about_to_change(key);
        let slot = self.keys.find_mut(h, key)?;
        Some(EntryMut {
            slot,
            expires: &mut self.expires,
            hash: h,
        })
    }

    /// Removes a key, handing back the whole entry: to look at, to free elsewhere, or for its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.remove_hashed(hash(key), key)
    }

    /// [`Db::remove`] with the hash at hand.
    pub fn remove_hashed(&mut self, h: u64, key: &[u8]) -> Option<Entry> {
        self.about_to_change(key);
        let entry = self.keys.remove(h, key)?;
        if entry.expire_at_ms().is_some() {
            let address = entry.address();
            self.expires.remove_by(h, |entry| entry.is(address));
        }
        Some(entry)
    }

    /// Sets or clears an expiry time; `false` if there is no such key.
    pub fn set_expire(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        match self.get_mut(key) {
            Some(mut entry) => {
                entry.set_expire(at_ms);
                true
            }
            None => false,
        }
    }

    /// Empties the database and hands back what was in it, to be dropped elsewhere.
    pub fn clear(&mut self) -> Db {
        self.about_to_clear();
        std::mem::take(self)
    }

    /// Timer work: moves up to `buckets` buckets of a pending rehash, shrinks sparse tables. `true` while more is left.
    pub fn rehash_for(&mut self, buckets: usize) -> bool {
        let keys = self.keys.rehash_for(buckets);
        self.expires.rehash_for(buckets) || keys
    }

    /// Sets the resizing policy of this database's own tables.
    pub fn set_resize_policy(&mut self, policy: Resize) {
        self.keys.set_resize(policy);
        self.expires.set_resize(policy);
    }

    /// Makes room for that many keys in all (loading).
    pub fn reserve(&mut self, keys: usize, expires: usize) {
        self.keys.reserve(keys);
        self.expires.reserve(expires);
    }

    /// Looks a key up. Expiry is the caller's business.
    pub fn get(&self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.keys.find(hash(key), key)
    }

    /// [`Db::get`] with the hash at hand.
    #[inline]
    pub fn get_hashed(&self, h: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        self.keys.find(h, key)
    }

    /// Whether the key exists.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of keys with an expiry time.
    pub fn expires_len(&self) -> usize {
        self.expires.len()
    }

    /// SCAN: calls `f` for a few entries and returns the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(&Entry)) -> u64 {
        self.keys.scan(cursor, &mut |entry| f(&entry))
    }

    /// As [`Db::scan`], over the keys that have an expiry time.
    pub fn scan_expires(&self, cursor: u64, f: &mut dyn FnMut(&Entry)) -> u64 {
        self.expires.scan(cursor, &mut |entry| f(&entry))
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> + '_ {
        self.keys.iter()
    }

    /// A random key, each with the same probability.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<EntryRef<'_>> {
        self.keys.random(rng)
    }

    /// A random key among those that expire.
    pub fn random_expiring(&self, rng: &mut dyn Rng) -> Option<EntryRef<'_>> {
        self.expires.random(rng)
    }

    /// Up to `n` entries from a random neighbourhood, cheaper than `n` times [`Db::random`] (eviction).
    pub fn sample(&self, rng: &mut dyn Rng, n: usize, f: &mut dyn FnMut(&Entry)) {
        self.keys.sample(rng, n, &mut |entry| f(&entry));
    }

    /// As [`Db::sample`], among the keys that expire.
    pub fn sample_expiring(&self, rng: &mut dyn Rng, n: usize, f: &mut dyn FnMut(&Entry)) {
        self.expires.sample(rng, n, &mut |entry| f(&entry));
    }

    /// Whether a rehash is under way.
    pub fn is_rehashing(&self) -> bool {
        self.keys.is_rehashing() || self.expires.is_rehashing()
    }

    /// For each table under rehash, the bytes of what it is moving out of.
    pub fn rehashing_bytes(&self) -> impl Iterator<Item = usize> + use<> {
        [self.keys.rehashing_bytes(), self.expires.rehashing_bytes()]
            .into_iter()
            .flatten()
    }

    /// Bytes of the key table itself.
    pub fn table_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }

    /// Bytes of the expiry index itself.
    pub fn expires_bytes(&self) -> usize {
        self.expires.memory_bytes()
    }

    /// A look inside the key table and the expiry index (DEBUG HTSTATS).
    pub fn stats(&self) -> (Stats, Stats) {
        (self.keys.stats(), self.expires.stats())
    }

    /// The hash of a key, for the `_hashed` methods and for prefetching.
    #[inline]
    pub fn hash(key: &[u8]) -> u64 {
        hash(key)
    }

    /// Starts loading the bucket of a key about to be looked up.
    #[inline]
    pub fn prefetch(&self, h: u64) {
        self.keys.prefetch(h);
    }

    /// Starts loading the entry of a key about to be looked up. Reads its bucket: call [`Db::prefetch`] well before.
    #[inline]
    pub fn prefetch_entry(&self, h: u64) {
        self.keys.prefetch_items(h);
    }

    /// Overwrites a key by `change`, or creates it by `make`; expiry as `ttl` says. One hash, one walk.
    #[inline]
    fn put<V>(
        &mut self,
        h: u64,
        key: &[u8],
        ttl: Ttl,
        value: V,
        make: impl FnOnce(V, Option<i64>) -> Entry,
        change: impl FnOnce(&mut Entry, V) -> Option<Value>,
    ) -> Option<Overwritten> {
        self.about_to_change(key);
        if let Some(slot) = self.keys.find_mut(h, key) {
            let (type_, expire_at_ms) = (slot.get().type_(), slot.get().expire_at_ms());
            let mut entry = EntryMut {
                slot,
                expires: &mut self.expires,
                hash: h,
            };
            let heavy = entry.change(|slot| change(slot, value));
            match ttl {
                Ttl::Keep => {}
                Ttl::Clear => entry.set_expire(None),
                Ttl::At(at_ms) => entry.set_expire(Some(at_ms)),
            }
            return Some(Overwritten {
                type_,
                heavy,
                expire_at_ms,
            });
        }
        let expire = if let Ttl::At(at_ms) = ttl {
            Some(at_ms)
        } else {
            None
        };
        let entry = self.keys.insert_new(h, make(value, expire));
        if expire.is_some() {
            self.expires.insert_new(h, alias(&entry));
        }
        None
    }
}

impl Default for Db {
    fn default() -> Self {
        Db::new()
    }
}

/// An alias for the expiry index.
#[allow(
    unsafe_code,
    reason = "the index borrows what the key table owns; see the invariant of `Db`"
)]
fn alias(entry: &Entry) -> Alias {
    // SAFETY: `Db` drops aliases with (or before) their entries: `remove_hashed` takes both out, `EntryMut::change` replaces
    // the alias of an entry that moved before anything looks through it, and dropping the index touches no entry.
    // While an `EntryMut` lives, the `Db` is borrowed exclusively and nobody looks through an alias.
    unsafe { Alias::new(entry) }
}

/// An entry about to be changed: the only door to changes of a present key.
#[derive(Debug)]
pub struct EntryMut<'a> {
    slot: SlotMut<'a, Entry>,
    expires: &'a mut Table<Alias>,
    hash: u64,
}

impl<'a> EntryMut<'a> {
    /// The value, to be changed, for as long as the database is borrowed.
    #[inline]
    pub fn into_value_mut(self) -> ValueMut<'a> {
        if self.entry().packed().is_none() {
            return self.slot.into_value_mut();
        }
        match self.entry().type_() {
            Type::List => ValueMut::List(Edit::embedded(self)),
            Type::Set => ValueMut::Set(Edit::embedded(self)),
            Type::Hash => ValueMut::Hash(Edit::embedded(self)),
            Type::ZSet => ValueMut::ZSet(Edit::embedded(self)),
            Type::Str | Type::Stream => self.slot.into_value_mut(),
        }
    }

    /// Makes the value this packed container.
    pub(crate) fn put_packed(&mut self, type_: Type, packed: PackedRef<'_>) {
        self.change(|slot| slot.set_packed(type_, packed));
    }

    /// Makes the value this one.
    pub(crate) fn put(&mut self, value: Value) {
        self.change(|slot| slot.set_value(value));
    }

    /// Makes the value this integer, keeping the expiry time; in place when it already is one.
    pub fn set_int(&mut self, n: i64) {
        self.change(|slot| slot.set_int(n));
    }

    /// Makes the value these bytes, keeping the expiry time; hands back a heavy old value.
    pub fn set_str(&mut self, bytes: &[u8], how: StrHow) -> Option<Value> {
        self.change(|slot| slot.set_str(bytes, how))
    }

    /// Turns a string `raw` and lends its buffer (APPEND, SETRANGE, SETBIT). `None` if it is not a string.
    pub fn string_make_raw(&mut self) -> Option<&mut Vec<u8>> {
        self.change(|slot| slot.make_raw().map(|_| ()))?;
        // Lent only now, because that may have moved the entry, and the index had to follow.
        #[allow(
            unsafe_code,
            reason = "asking once more who holds the buffer would take as long as the first time"
        )]
        // SAFETY: it has just been made raw.
        Some(unsafe { self.slot.own_buffer() })
    }

    /// Takes the buffer of a `raw` string that nobody else holds, if it has room for `len` bytes and not for many more: to
    /// make the next value in. The string is 0 then.
    pub fn string_take_buffer(&mut self, len: usize) -> Option<Vec<u8>> {
        self.change(|slot| slot.take_buffer(len))
    }

    /// Lends the bytes of a string where they lie, if that is in the entry and there are at least `len`; it is `raw` then.
    #[inline]
    pub fn string_in_place(&mut self, len: usize) -> Option<&mut [u8]> {
        self.slot.embedded_mut(len)
    }

    /// Replaces the value, keeping expiry time and clock; hands back the old one.
    pub fn replace_value(&mut self, value: Value) -> Value {
        self.change(|slot| slot.replace_value(value))
    }

    /// Sets or clears the expiry time.
    pub fn set_expire(&mut self, at_ms: Option<i64>) {
        let had = self.entry().expire_at_ms().is_some();
        match (had, at_ms.is_some()) {
            (false, false) => {}
            (true, true) => self.slot.update(|entry| entry.set_expire(at_ms)),
            (false, true) => {
                self.slot.update(|entry| entry.set_expire(at_ms));
                self.expires.insert_new(self.hash, alias(&self.slot.get()));
            }
            (true, false) => {
                let address = self.entry().address();
                self.expires.remove_by(self.hash, |entry| entry.is(address));
                self.slot.update(|entry| entry.set_expire(None));
            }
        }
    }

    /// The entry, to look at: key, value, type, encoding, expiry time, clock.
    #[inline]
    pub fn entry(&self) -> EntryRef<'_> {
        self.slot.get()
    }

    /// The entry, for as long as the database is borrowed.
    pub fn into_entry(self) -> EntryRef<'a> {
        self.slot.into_ref()
    }

    /// The integer that the string is, or `None` (also for other types).
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        self.entry().as_int()
    }

    /// The key's hash, for [`Db::remove_hashed`] once the value has become empty.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Runs a change that may move the entry, and keeps the expiry index right.
    #[inline]
    fn change<R>(&mut self, f: impl FnOnce(&mut Entry) -> R) -> R {
        let before = self.entry().address();
        let result = self.slot.update(f);
        if self.entry().address() != before {
            self.reindex(before);
        }
        result
    }

    #[cold]
    fn reindex(&mut self, before: NonNull<u8>) {
        if self.entry().expire_at_ms().is_some()
            && let Some(mut slot) = self
                .expires
                .find_mut_by(self.hash, |entry| entry.is(before))
        {
            slot.update(|old| *old = alias(&self.slot.get()));
        }
    }
}

#[cfg(test)]
mod tests;
