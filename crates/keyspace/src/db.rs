//! One database: keys, and the index of the keys that expire.

use crate::{Element, Entry, Rng, Type, Value, ValueMut};

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

/// How [`Db::set_str`] chooses the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrHow {
    /// As SET does: `int` if canonical, else `embstr` or `raw` by length.
    Detect,
    /// Bytes as they are: `embstr` or `raw` by length.
    Bytes,
    /// Always `raw`.
    Raw,
}

/// What was overwritten.
#[derive(Debug)]
pub struct Overwritten {
    /// The type of the old value.
    pub type_: Type,
    /// The old value, if freeing it is better done elsewhere (a container or a big string).
    pub heavy: Option<Value>,
}

/// Table resizing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Grow, shrink and rehash as needed.
    Normal,
    /// A snapshot child lives: touch as few pages as possible.
    Avoid,
}

/// A database. `Send`: a whole one may be dropped in another thread.
#[derive(Debug, Default)]
pub struct Db(());

#[expect(unused_variables, reason = "signatures first")]
impl Db {
    /// An empty database.
    pub fn new() -> Self {
        Db(())
    }
    /// Number of keys.
    pub fn len(&self) -> usize {
        0
    }
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of keys with an expiry time.
    pub fn expires_len(&self) -> usize {
        0
    }
    /// Looks a key up. Expiry is the caller's business.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        unimplemented!()
    }
    /// Whether the key exists.
    pub fn contains(&self, key: &[u8]) -> bool {
        unimplemented!()
    }
    /// Looks a key up to change it.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        unimplemented!()
    }
    /// SET: one hash, one walk, in place if it fits. Returns what was there.
    pub fn set_str(
        &mut self,
        key: &[u8],
        value: &[u8],
        ttl: Ttl,
        how: StrHow,
    ) -> Option<Overwritten> {
        unimplemented!()
    }
    /// Sets a string by moving `value` in; `raw` if long, else as [`StrHow::Bytes`].
    pub fn set_raw(&mut self, key: &[u8], value: Vec<u8>, ttl: Ttl) -> Option<Overwritten> {
        unimplemented!()
    }
    /// Inserts or overwrites; the new expiry time replaces the old.
    pub fn insert(
        &mut self,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<i64>,
    ) -> Option<Overwritten> {
        unimplemented!()
    }
    /// Inserts a key that is absent (loading). Debug builds assert the absence.
    pub fn insert_new(&mut self, key: &[u8], value: Value, expire_at_ms: Option<i64>) -> &Entry {
        unimplemented!()
    }
    /// The key's entry, created from `make` if absent. One hash, one walk. `true` if created.
    pub fn get_or_insert_with(
        &mut self,
        key: &[u8],
        make: impl FnOnce() -> Value,
    ) -> (EntryMut<'_>, bool) {
        unimplemented!()
    }
    /// Removes a key, handing back the whole entry (to look at, to free elsewhere, or `into_value()`).
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        unimplemented!()
    }
    /// Sets or clears an expiry time; `false` if there is no such key.
    pub fn set_expire(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        unimplemented!()
    }
    /// SCAN: calls `f` for a few entries and returns the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(&Entry)) -> u64 {
        unimplemented!()
    }
    /// As [`Db::scan`], over the keys that have an expiry time.
    pub fn scan_expires(&self, cursor: u64, f: &mut dyn FnMut(&Entry)) -> u64 {
        unimplemented!()
    }
    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> + '_ {
        std::iter::empty()
    }
    /// A random key, each with the same probability.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<&Entry> {
        unimplemented!()
    }
    /// A random key among those that expire.
    pub fn random_expiring(&self, rng: &mut dyn Rng) -> Option<&Entry> {
        unimplemented!()
    }
    /// Up to `n` entries from a random neighbourhood, cheaper than `n` times [`Db::random`] (eviction).
    pub fn sample(&self, rng: &mut dyn Rng, n: usize, f: &mut dyn FnMut(&Entry)) {
        unimplemented!()
    }
    /// As [`Db::sample`], among the keys that expire.
    pub fn sample_expiring(&self, rng: &mut dyn Rng, n: usize, f: &mut dyn FnMut(&Entry)) {
        unimplemented!()
    }
    /// Timer work: moves up to `buckets` buckets of a pending rehash, shrinks if sparse. `true` while more is left.
    pub fn rehash_for(&mut self, buckets: usize) -> bool {
        false
    }
    /// Whether a rehash is under way.
    pub fn is_rehashing(&self) -> bool {
        false
    }
    /// Sets the resizing policy of this database's own tables.
    pub fn set_resize_policy(&mut self, policy: Resize) {}
    /// Makes room for that many keys in all (loading).
    pub fn reserve(&mut self, keys: usize, expires: usize) {}
    /// Empties the database and hands back what was in it, to be dropped elsewhere.
    pub fn clear(&mut self) -> Db {
        std::mem::take(self)
    }
    /// Bytes of the key table itself.
    pub fn table_bytes(&self) -> usize {
        0
    }
    /// Bytes of the expiry index itself.
    pub fn expires_bytes(&self) -> usize {
        0
    }
    /// The hash of a key, for [`Db::prefetch`].
    pub fn hash(key: &[u8]) -> u64 {
        0
    }
    /// Starts loading the bucket of a key about to be looked up.
    pub fn prefetch(&self, hash: u64) {}
}

/// An entry about to be changed: the only door to changes of a present key.
#[derive(Debug)]
pub struct EntryMut<'a>(&'a mut ());

#[expect(unused_variables, reason = "signatures first")]
impl EntryMut<'_> {
    /// The entry, to look at: key, type, encoding, expiry, clock.
    pub fn entry(&self) -> &Entry {
        unimplemented!()
    }
    /// The value, to change.
    pub fn value_mut(&mut self) -> ValueMut<'_> {
        unimplemented!()
    }
    /// The integer that the string is, or `None` (also for other types).
    pub fn as_int(&self) -> Option<i64> {
        unimplemented!()
    }
    /// Makes the value this integer; in place when it already is one.
    pub fn set_int(&mut self, n: i64) {
        unimplemented!()
    }
    /// Makes the value these bytes, keeping the expiry time.
    pub fn set_str(&mut self, bytes: &[u8], how: StrHow) -> Option<Value> {
        unimplemented!()
    }
    /// Turns a string `raw` and lends its buffer (APPEND, SETRANGE, SETBIT). `None` if it is not a string.
    pub fn string_make_raw(&mut self) -> Option<&mut Vec<u8>> {
        unimplemented!()
    }
    /// Sets or clears the expiry time.
    pub fn set_expire(&mut self, at_ms: Option<i64>) {
        unimplemented!()
    }
    /// Replaces the value, keeping expiry time and clock; returns the old one.
    pub fn replace_value(&mut self, value: Value) -> Value {
        unimplemented!()
    }
}

/// So that signatures compile before their types arrive.
pub type Elem<'a> = Element<'a>;
