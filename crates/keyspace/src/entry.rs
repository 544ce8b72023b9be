//! A key with everything that belongs to it, in one allocation.
//!
//! ```text
//!  0   kind (4 bits) and flags (4 bits)
//!  1   size of the allocation in units of 8 bytes; 0: the size class of what is used
//!  2   key length, if short
//!  3   value length, if the value is embedded bytes
//!  4   access clock (4 bytes, 24 bits used)
//!  8   expiry time in Unix ms (8 bytes)          if HAS_EXPIRE
//!      key length (8 bytes)                      if WIDE_KEY
//!      key bytes
//!      payload, not aligned: embedded bytes, an integer (8 bytes), a pointer to a boxed or counted value (8 bytes),
//!      or a listpack or intset, which say themselves how long they are
//! ```
//!
//! A 16-byte key with a 16-byte value takes 40 bytes, with an expiry time 48. The handle is the pointer; a table holds it,
//! and an operation that needs more room than the allocation has replaces it.
#![allow(
    unsafe_code,
    reason = "one allocation of variable layout per key; safe types would need three"
)]

mod alias;
mod boxed;
mod layout;

use std::alloc::dealloc;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use packed::{IntsetRef, ListpackRef};

pub(crate) use self::alias::Alias;
use self::layout::{HAS_EXPIRE, HEADER, Kind, NO_EXPIRE, VALUE_LEN, WORD};
use crate::embedded::{Container, Edit, PackedRef};
use crate::limits::{EMBED_MAX, EMBSTR_MAX, HEAVY_BYTES, HEAVY_EFFORT, SHARED_BYTES_MIN};
use crate::table::{Prefetch, prefetch_address};
use crate::{
    Counted, Encoding, Hash, List, Set, Str, StrHow, StrRef, Stream, Type, Value, ValueMut,
    ValueRef, ZSet,
};

/// Bytes of a cache line, and how many of them are fetched ahead: the processor fetches what follows by itself.
const LINE: usize = 64;
const LINES_MAX: usize = 4;
/// What the allocator spends on the header and the counts of a counted vector.
const COUNTED_VEC: usize = 48;

/// A key, its expiry time, access clock and value. Owned: dropping it frees the value.
///
/// Invariants: the pointer is from the global allocator with `capacity()` bytes, header, key and payload are
/// initialised as the kind and flags say, and boxed payloads are owned by this entry alone.
#[repr(transparent)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its allocation and its boxed value, and all value types are `Send` (asserted below).
unsafe impl Send for Entry {}
// SAFETY: `&Entry` gives shared access to `Sync` values only, and the clock is atomic.
unsafe impl Sync for Entry {}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Value>();
};

impl Entry {
    /// An entry for a string.
    pub(crate) fn new_str(key: &[u8], expire: Option<i64>, value: &[u8], how: StrHow) -> Entry {
        if how == StrHow::Detect
            && let Some(n) = words::int::parse_i64(value)
        {
            let mut entry = Entry::alloc(key, expire, Kind::Int, WORD);
            entry.write_word(n);
            return entry;
        }
        if value.len() > EMBED_MAX {
            return Entry::new_raw(key, expire, Counted::new(value.to_vec()));
        }
        let kind = if how == StrHow::Raw {
            Kind::EmbeddedRaw
        } else {
            Kind::Embedded
        };
        let mut entry = Entry::alloc(key, expire, kind, value.len());
        entry.write_bytes(value);
        entry
    }

    /// An entry for any value.
    pub(crate) fn new(key: &[u8], expire: Option<i64>, value: Value) -> Entry {
        match value {
            Value::Str(Str::Int(n)) => {
                let mut entry = Entry::alloc(key, expire, Kind::Int, WORD);
                entry.write_word(n);
                entry
            }
            Value::Str(Str::Bytes(bytes)) if bytes.len() > EMBED_MAX => {
                Entry::new_raw(key, expire, Counted::new(bytes))
            }
            Value::Str(Str::Raw(bytes)) if bytes.len() > EMBED_MAX => {
                Entry::new_raw(key, expire, bytes)
            }
            Value::Str(Str::Bytes(bytes)) => Entry::new_str(key, expire, &bytes, StrHow::Bytes),
            Value::Str(Str::Raw(bytes)) => Entry::new_str(key, expire, &bytes, StrHow::Raw),
            Value::List(list) => Entry::new_container(key, expire, Kind::List, list),
            Value::Set(set) => Entry::new_container(key, expire, Kind::Set, set),
            Value::Hash(hash) => Entry::new_container(key, expire, Kind::Hash, hash),
            Value::ZSet(zset) => Entry::new_container(key, expire, Kind::ZSet, zset),
            Value::Stream(stream) => Entry::new_boxed(key, expire, Kind::Stream, stream),
        }
    }

    /// An entry for a container, which lies in it if it is packed and small; else its box is of this kind.
    fn new_container<T: Container>(
        key: &[u8],
        expire: Option<i64>,
        kind: Kind,
        value: Box<T>,
    ) -> Entry {
        match value.packed() {
            Some(packed) if packed.is_small() => {
                let kind = Kind::packed(T::TYPE, packed);
                let mut entry = Entry::alloc(key, expire, kind, packed.bytes().len());
                entry.write_packed(packed);
                entry
            }
            _ => Entry::new_boxed(key, expire, kind, value),
        }
    }

    /// Makes the value this integer, dropping the old one. May move the entry.
    #[inline]
    pub(crate) fn set_int(&mut self, n: i64) {
        if self.kind() != Kind::Int {
            self.drop_boxed();
            self.fit(Kind::Int, WORD);
        }
        self.write_word(n);
    }

    /// Makes the value these bytes, handing back a heavy old one. May move the entry.
    pub(crate) fn set_str(&mut self, value: &[u8], how: StrHow) -> Option<Value> {
        if how == StrHow::Detect
            && let Some(n) = words::int::parse_i64(value)
        {
            let heavy = self.take_heavy();
            self.set_int(n);
            return heavy;
        }
        if value.len() > EMBED_MAX {
            // Reuse the buffer unless it would keep much more than it holds.
            if let Some(vec) = self.sole_raw()
                && vec.capacity() / 2 <= value.len()
            {
                vec.clear();
                vec.extend_from_slice(value);
                return None;
            }
            return self.set_raw(Counted::new(value.to_vec()));
        }
        let heavy = self.take_heavy();
        self.drop_boxed();
        self.fit(
            if how == StrHow::Raw {
                Kind::EmbeddedRaw
            } else {
                Kind::Embedded
            },
            value.len(),
        );
        self.write_bytes(value);
        heavy
    }

    /// Makes the value this buffer (`raw`), handing back a heavy old one. May move the entry.
    pub(crate) fn set_raw(&mut self, value: Counted) -> Option<Value> {
        let heavy = self.take_heavy();
        self.set_pointer(Kind::Raw, Counted::into_raw(value).cast_mut());
        heavy
    }

    /// Replaces the value, handing back the old one. May move the entry.
    pub(crate) fn replace_value(&mut self, value: Value) -> Value {
        let old = self.take_value();
        self.set_value(value);
        old
    }

    /// Replaces the value, dropping the old one. May move the entry.
    pub(crate) fn set_value(&mut self, value: Value) {
        match value {
            Value::Str(Str::Int(n)) => self.set_int(n),
            Value::Str(Str::Bytes(bytes)) if bytes.len() > EMBED_MAX => {
                drop(self.set_raw(Counted::new(bytes)))
            }
            Value::Str(Str::Raw(bytes)) if bytes.len() > EMBED_MAX => drop(self.set_raw(bytes)),
            Value::Str(Str::Bytes(bytes)) => drop(self.set_str(&bytes, StrHow::Bytes)),
            Value::Str(Str::Raw(bytes)) => drop(self.set_str(&bytes, StrHow::Raw)),
            Value::List(list) => self.set_container(Kind::List, list),
            Value::Set(set) => self.set_container(Kind::Set, set),
            Value::Hash(hash) => self.set_container(Kind::Hash, hash),
            Value::ZSet(zset) => self.set_container(Kind::ZSet, zset),
            Value::Stream(stream) => self.set_boxed(Kind::Stream, stream),
        }
    }

    /// As [`Entry::new_container`].
    fn set_container<T: Container>(&mut self, kind: Kind, value: Box<T>) {
        match value.packed() {
            Some(packed) if packed.is_small() => self.set_packed(T::TYPE, packed),
            _ => self.set_boxed(kind, value),
        }
    }

    /// Makes the value this container, which is small. May move the entry.
    pub(crate) fn set_packed(&mut self, type_: Type, packed: PackedRef<'_>) {
        self.drop_boxed();
        self.fit(Kind::packed(type_, packed), packed.bytes().len());
        self.write_packed(packed);
    }

    /// The listpack or intset that lies in the entry.
    #[inline]
    pub(crate) fn packed(&self) -> Option<PackedRef<'_>> {
        let kind = self.kind();
        if !kind.is_packed() {
            return None;
        }
        // SAFETY: the payload of these kinds is that many initialised bytes.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.at(self.payload()), self.packed_len()) };
        Some(if kind == Kind::Intset {
            PackedRef::Intset(IntsetRef::of_valid(bytes))
        } else {
            PackedRef::Listpack(ListpackRef::of_valid(bytes))
        })
    }

    #[inline]
    fn listpack(&self) -> PackedRef<'_> {
        self.packed().expect("the kind says so")
    }

    /// Turns a string `raw` and lends its buffer; `None` for other types. May move the entry.
    pub(crate) fn make_raw(&mut self) -> Option<&mut Vec<u8>> {
        if self.type_() != Type::Str {
            return None;
        }
        // A copy takes the place of what is no buffer, or one that somebody else holds as well.
        if self.sole_raw().is_none() {
            let bytes = match self.str_ref() {
                StrRef::Int(n) => itoa::Buffer::new().format(n).as_bytes().to_vec(),
                StrRef::Bytes(bytes) => bytes.to_vec(),
            };
            drop(self.set_raw(Counted::new(bytes)));
        }
        // SAFETY: it has a buffer to itself now.
        Some(unsafe { self.own_buffer() })
    }

    /// The buffer of a string that has it to itself.
    ///
    /// # Safety
    /// [`Entry::make_raw`] came first, and nobody has got [`Entry::counted`] since.
    pub(crate) unsafe fn own_buffer(&mut self) -> &mut Vec<u8> {
        // SAFETY: the kind is the one of a counted vector; nobody else has a count, and new ones come from this entry,
        // borrowed exclusively.
        unsafe { self.boxed_mut() }
    }

    /// Takes the buffer of a `raw` string that nobody else holds, if it has room for `len` bytes and not for many more.
    /// Leaves the integer 0.
    pub(crate) fn take_buffer(&mut self, len: usize) -> Option<Vec<u8>> {
        let capacity = self.sole_raw()?.capacity();
        if capacity < len || capacity / 2 > len {
            return None;
        }
        match self.take_value() {
            Value::Str(Str::Raw(counted)) => Counted::into_inner(counted),
            _ => None,
        }
    }

    /// The bytes of a string that lies in the entry and has at least `len` of them, to be changed there: it is `raw` then.
    #[inline]
    pub(crate) fn embedded_mut(&mut self, len: usize) -> Option<&mut [u8]> {
        let embedded = matches!(self.kind(), Kind::Embedded | Kind::EmbeddedRaw);
        let own = self.byte(VALUE_LEN) as usize;
        if !embedded || own < len {
            return None;
        }
        self.set_kind(Kind::EmbeddedRaw);
        // SAFETY: the payload of the embedded kinds is that many initialised bytes, borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(self.at(self.payload()), own) })
    }

    /// The buffer of a `raw` string that nobody else holds.
    fn sole_raw(&mut self) -> Option<&mut Vec<u8>> {
        if self.kind() != Kind::Raw {
            return None;
        }
        // SAFETY: the kind says that the payload is a count's pointer, which is borrowed here without being counted.
        let mut counted = ManuallyDrop::new(unsafe { Counted::from_raw(self.pointer()) });
        Counted::get_mut(&mut counted)?;
        // SAFETY: the kind says so; nobody else has a count, and new ones come from this entry, borrowed exclusively.
        Some(unsafe { self.boxed_mut() })
    }

    /// The bytes of a `raw` string, to be held on to.
    pub fn counted(&self) -> Option<Counted> {
        if self.kind() != Kind::Raw {
            return None;
        }
        // SAFETY: as in `sole_raw`.
        let counted = ManuallyDrop::new(unsafe { Counted::from_raw(self.pointer()) });
        Some(Counted::clone(&counted))
    }

    /// Sets or clears the expiry time. May move the entry.
    pub(crate) fn set_expire(&mut self, at_ms: Option<i64>) {
        let at_ms = at_ms.map_or(NO_EXPIRE, |at| at.max(NO_EXPIRE + 1));
        if self.bits() & HAS_EXPIRE == 0 {
            if at_ms == NO_EXPIRE {
                return;
            }
            self.make_expire_slot();
        }
        // SAFETY: with the flag set, the word after the header is the expiry time, within the allocation.
        unsafe { self.at(HEADER).cast::<i64>().write_unaligned(at_ms) };
    }

    /// The value, to be changed; not one that lies in the entry, but for strings to look at.
    pub(crate) fn value_mut(&mut self) -> ValueMut<'_> {
        // SAFETY: each arm reads the payload as its kind says.
        unsafe {
            match self.kind() {
                Kind::Int | Kind::Embedded | Kind::EmbeddedRaw | Kind::Raw => {
                    ValueMut::Str(self.str_ref())
                }
                Kind::List => ValueMut::List(Edit::boxed(self.boxed_mut())),
                Kind::Set => ValueMut::Set(Edit::boxed(self.boxed_mut())),
                Kind::Hash => ValueMut::Hash(Edit::boxed(self.boxed_mut())),
                Kind::ZSet => ValueMut::ZSet(Edit::boxed(self.boxed_mut())),
                Kind::Stream => ValueMut::Stream(self.boxed_mut()),
                Kind::PackedList
                | Kind::PackedSet
                | Kind::PackedHash
                | Kind::PackedZSet
                | Kind::Intset => unreachable!("what lies in the entry is edited with it"),
            }
        }
    }

    /// A copy of the container that lies in the entry.
    fn unpacked<T: Container>(&self) -> Value {
        T::unpack(self.listpack().to_packed()).into_value()
    }

    /// Takes the value out of an entry that is about to get another or to be dropped: leaves the integer 0, or what lies in
    /// the entry.
    fn take_value(&mut self) -> Value {
        // SAFETY: each arm takes the box that its kind promises; the kind is changed before anyone else can look.
        let value = unsafe {
            match self.kind() {
                Kind::Int => return Value::Str(Str::Int(self.word())),
                Kind::Embedded => return Value::Str(Str::Bytes(self.embedded().to_vec())),
                Kind::EmbeddedRaw => {
                    return Value::Str(Str::Raw(Counted::new(self.embedded().to_vec())));
                }
                Kind::Raw => Value::Str(Str::Raw(Counted::from_raw(self.pointer()))),
                Kind::List => Value::List(self.boxed()),
                Kind::Set => Value::Set(self.boxed()),
                Kind::Hash => Value::Hash(self.boxed()),
                Kind::ZSet => Value::ZSet(self.boxed()),
                Kind::Stream => Value::Stream(self.boxed()),
                Kind::PackedList => return self.unpacked::<List>(),
                Kind::PackedSet | Kind::Intset => return self.unpacked::<Set>(),
                Kind::PackedHash => return self.unpacked::<Hash>(),
                Kind::PackedZSet => return self.unpacked::<ZSet>(),
            }
        };
        self.set_kind(Kind::Int);
        self.write_word(0);
        value
    }

    /// Takes the value out if freeing it is work for another thread.
    fn take_heavy(&mut self) -> Option<Value> {
        self.is_heavy().then(|| self.take_value())
    }

    /// Detaches the value from the key.
    pub fn into_value(mut self) -> Value {
        self.take_value()
    }

    /// A copy of the value, held the same way (COPY). A long string is the same one, until either key changes it.
    pub fn to_value(&self) -> Value {
        if let Some(counted) = self.counted()
            && counted.len() >= SHARED_BYTES_MIN
        {
            return Value::Str(Str::Raw(counted));
        }
        match self.value() {
            ValueRef::Str(StrRef::Bytes(bytes)) if self.encoding() == Encoding::Raw => {
                Value::Str(Str::Raw(Counted::new(bytes.to_vec())))
            }
            value => value.to_value(),
        }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let (offset, len) = self.key_span();
        // SAFETY: the key lies there, initialised, for as long as the entry is not changed.
        unsafe { std::slice::from_raw_parts(self.at(offset), len) }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        // SAFETY: each arm reads the payload as its kind says.
        unsafe {
            match self.kind() {
                Kind::Int | Kind::Embedded | Kind::EmbeddedRaw | Kind::Raw => {
                    ValueRef::Str(self.str_ref())
                }
                Kind::List => ValueRef::List(self.boxed_ref::<List>().view()),
                Kind::Set => ValueRef::Set(self.boxed_ref::<Set>().view()),
                Kind::Hash => ValueRef::Hash(self.boxed_ref::<Hash>().view()),
                Kind::ZSet => ValueRef::ZSet(self.boxed_ref::<ZSet>().view()),
                Kind::Stream => ValueRef::Stream(self.boxed_ref()),
                Kind::PackedList => ValueRef::List(List::of_packed(self.listpack())),
                Kind::PackedSet | Kind::Intset => ValueRef::Set(Set::of_packed(self.listpack())),
                Kind::PackedHash => ValueRef::Hash(Hash::of_packed(self.listpack())),
                Kind::PackedZSet => ValueRef::ZSet(ZSet::of_packed(self.listpack())),
            }
        }
    }

    /// The data type, without touching the value.
    #[inline]
    pub fn type_(&self) -> Type {
        match self.kind() {
            Kind::Int | Kind::Embedded | Kind::EmbeddedRaw | Kind::Raw => Type::Str,
            Kind::List | Kind::PackedList => Type::List,
            Kind::Set | Kind::PackedSet | Kind::Intset => Type::Set,
            Kind::Hash | Kind::PackedHash => Type::Hash,
            Kind::ZSet | Kind::PackedZSet => Type::ZSet,
            Kind::Stream => Type::Stream,
        }
    }

    /// The encoding as `OBJECT ENCODING` reports it.
    pub fn encoding(&self) -> Encoding {
        match self.kind() {
            Kind::Int => Encoding::Int,
            Kind::Embedded if self.byte(VALUE_LEN) as usize <= EMBSTR_MAX => Encoding::Embstr,
            Kind::Embedded | Kind::EmbeddedRaw | Kind::Raw => Encoding::Raw,
            _ => self.value().encoding(),
        }
    }

    /// The integer that the string is, or `None` (also for other types).
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match self.kind() {
            Kind::Int => Some(self.word()),
            Kind::Embedded | Kind::EmbeddedRaw | Kind::Raw => match self.str_ref() {
                StrRef::Int(n) => Some(n),
                StrRef::Bytes(bytes) => words::int::parse_i64(bytes),
            },
            _ => None,
        }
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<i64> {
        if self.bits() & HAS_EXPIRE == 0 {
            return None;
        }
        // SAFETY: with the flag set, the word after the header is the expiry time.
        let at_ms = unsafe { self.at(HEADER).cast::<i64>().read_unaligned() };
        (at_ms != NO_EXPIRE).then_some(at_ms)
    }

    /// The access clock: 24 bits of LRU or LFU state, the caller's business.
    #[inline]
    pub fn clock(&self) -> u32 {
        self.clock_cell().load(Ordering::Relaxed)
    }

    /// Sets the access clock. A relaxed atomic store, so a shared borrow is enough.
    #[inline]
    pub fn set_clock(&self, clock: u32) {
        self.clock_cell().store(clock, Ordering::Relaxed);
    }

    /// Starts loading what belongs to the key beyond the first bytes of the entry, which this reads: a boxed value's head,
    /// or the rest of a value that lies in the entry.
    #[inline]
    pub fn prefetch_payload(&self) {
        if self.kind().is_boxed() {
            // SAFETY: the payload of these kinds is a pointer, which is not followed here.
            return prefetch_address(unsafe { self.pointer() });
        }
        for offset in (LINE..self.capacity().min(LINES_MAX * LINE)).step_by(LINE) {
            prefetch_address(self.at(offset));
        }
    }

    /// The table in which a set, a hash or a sorted set that is large enough has its members: for looking ahead.
    #[must_use]
    pub fn members(&self) -> Option<&dyn Prefetch> {
        match self.value() {
            ValueRef::Set(set) => set.table(),
            ValueRef::Hash(hash) => hash.table(),
            ValueRef::ZSet(zset) => zset.table(),
            ValueRef::Str(_) | ValueRef::List(_) | ValueRef::Stream(_) => None,
        }
    }

    /// See [`Value::free_effort`].
    pub fn free_effort(&self) -> usize {
        match self.type_() {
            Type::Str => 1,
            _ => self.value().free_effort(),
        }
    }

    /// Whether freeing the value is work for another thread: a big container or a very long string.
    pub fn is_heavy(&self) -> bool {
        match self.kind() {
            // SAFETY: the kind says so.
            Kind::Raw => unsafe { self.boxed_ref::<Vec<u8>>() }.capacity() >= HEAVY_BYTES,
            kind if !kind.is_boxed() => false,
            _ => self.value().free_effort() >= HEAVY_EFFORT,
        }
    }

    /// Bytes of the entry and its value, sampling at most `samples` elements (0: all).
    pub fn memory_bytes(&self, samples: usize) -> usize {
        // SAFETY: each arm reads the payload as its kind says.
        let behind = unsafe {
            match self.kind() {
                Kind::Raw => COUNTED_VEC + self.boxed_ref::<Vec<u8>>().capacity(),
                Kind::List => self.boxed_ref::<List>().memory_bytes(samples),
                Kind::Set => self.boxed_ref::<Set>().memory_bytes(samples),
                Kind::Hash => self.boxed_ref::<Hash>().memory_bytes(samples),
                Kind::ZSet => self.boxed_ref::<ZSet>().memory_bytes(samples),
                Kind::Stream => self.boxed_ref::<Stream>().memory_bytes(samples),
                _ => 0,
            }
        };
        self.capacity() + behind
    }

    /// Where the entry is: its identity in the expiry index.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.0
    }

    /// The entry at an address, once more.
    ///
    /// # Safety
    /// It came from [`Entry::address`] of an entry that is not used, nor dropped, beside this one.
    #[inline]
    pub(crate) unsafe fn from_address(address: NonNull<u8>) -> Entry {
        Entry(address)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.drop_boxed();
        // SAFETY: allocated with this layout; this is the end of it.
        unsafe { dealloc(self.0.as_ptr(), Entry::layout(self.capacity())) };
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &String::from_utf8_lossy(self.key()))
            .field("value", &self.value())
            .field("expire_at_ms", &self.expire_at_ms())
            .finish()
    }
}
