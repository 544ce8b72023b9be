//! How an entry lies in its allocation: the bytes of the header, where key and payload are, and making room.
#![allow(
    unsafe_code,
    reason = "one allocation of variable layout per key; safe types would need three"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use words::sizes::size_class;

use super::Entry;
use crate::embedded::PackedRef;
use crate::limits::SHORT_KEY_MAX;
use crate::{StrRef, Type};

/// Bytes of the fixed header.
pub(super) const HEADER: usize = 8;
/// Offset of the allocation's size.
pub(super) const UNITS: usize = 1;
/// Offset of a short key's length.
pub(super) const KEY_LEN: usize = 2;
/// Offset of an embedded value's length.
pub(super) const VALUE_LEN: usize = 3;
/// Offset of the access clock.
pub(super) const CLOCK: usize = 4;
/// Bytes of an expiry time, of a wide key's length, of an integer, of a pointer.
pub(super) const WORD: usize = 8;
/// Granularity of the size byte.
pub(super) const UNIT: usize = words::sizes::SMALLEST;
/// Flag: there is room for an expiry time.
pub(super) const HAS_EXPIRE: u8 = 0x10;
/// Flag: the key's length has a word of its own.
pub(super) const WIDE_KEY: u8 = 0x20;
/// The bits of the kind.
pub(super) const KIND: u8 = 0x0f;
/// The expiry time of a key that has room for one but none set.
pub(super) const NO_EXPIRE: i64 = i64::MIN;
/// Bytes of a listpack that state its size.
pub(super) const LISTPACK_HEAD: usize = 4;
/// Bytes of an intset that state its size: width and number of what follows.
pub(super) const INTSET_HEAD: usize = 8;
/// The size that the first bytes of a listpack or intset state.
#[inline]
pub(super) fn stated_len(is_intset: bool, bytes: &[u8]) -> usize {
    let word = |at: usize| {
        let chunk = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
        chunk.map_or(0, |chunk| u32::from_le_bytes(*chunk) as usize)
    };
    if is_intset {
        INTSET_HEAD + word(0) * word(4)
    } else {
        word(0)
    }
}

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// An integer.
    Int = 0,
    /// Embedded bytes, `embstr` or `raw` by length.
    Embedded = 1,
    /// Embedded bytes, `raw` however short.
    EmbeddedRaw = 2,
    /// A [`Counted`], which may be held elsewhere too: never changed unless it is ours alone.
    Raw = 3,
    /// A `Box<List>`, and so on.
    List = 4,
    Set = 5,
    Hash = 6,
    ZSet = 7,
    Stream = 8,
    /// A listpack, and so on.
    PackedList = 9,
    PackedSet = 10,
    PackedHash = 11,
    PackedZSet = 12,
    /// An intset.
    Intset = 13,
}

impl Kind {
    #[inline]
    pub(super) fn of(bits: u8) -> Kind {
        match bits & KIND {
            0 => Kind::Int,
            1 => Kind::Embedded,
            2 => Kind::EmbeddedRaw,
            3 => Kind::Raw,
            4 => Kind::List,
            5 => Kind::Set,
            6 => Kind::Hash,
            7 => Kind::ZSet,
            8 => Kind::Stream,
            9 => Kind::PackedList,
            10 => Kind::PackedSet,
            11 => Kind::PackedHash,
            12 => Kind::PackedZSet,
            _ => Kind::Intset,
        }
    }

    /// The kind of a container of this type that lies in its entry.
    pub(super) fn packed(type_: Type, packed: PackedRef<'_>) -> Kind {
        match (type_, packed) {
            (Type::Set, PackedRef::Intset(_)) => Kind::Intset,
            (Type::Set, PackedRef::Listpack(_)) => Kind::PackedSet,
            (Type::List, PackedRef::Listpack(_)) => Kind::PackedList,
            (Type::Hash, PackedRef::Listpack(_)) => Kind::PackedHash,
            (Type::ZSet, PackedRef::Listpack(_)) => Kind::PackedZSet,
            (type_, _) => unreachable!("no {type_:?} is packed like this"),
        }
    }

    /// Whether the payload is a pointer.
    #[inline]
    pub(super) fn is_boxed(self) -> bool {
        (Kind::Raw as u8..=Kind::Stream as u8).contains(&(self as u8))
    }

    /// Whether the payload is a listpack or an intset.
    #[inline]
    pub(super) fn is_packed(self) -> bool {
        self as u8 >= Kind::PackedList as u8
    }
}

impl Entry {
    pub(super) fn alloc(key: &[u8], expire: Option<i64>, kind: Kind, payload: usize) -> Entry {
        let wide = key.len() > SHORT_KEY_MAX;
        let mut bits = kind as u8;
        let mut offset = HEADER;
        if expire.is_some() {
            bits |= HAS_EXPIRE;
            offset += WORD;
        }
        if wide {
            bits |= WIDE_KEY;
            offset += WORD;
        }
        let entry = Entry::alloc_raw(offset + key.len() + payload);
        // SAFETY: the allocation has room for header, optional words, key and payload; a fresh one is ours alone.
        unsafe {
            entry.at(0).write(bits);
            entry
                .at(KEY_LEN)
                .write(if wide { 0 } else { key.len() as u8 });
            entry.at(VALUE_LEN).write(0);
            entry.at(CLOCK).cast::<u32>().write(0);
            if let Some(at_ms) = expire {
                entry
                    .at(HEADER)
                    .cast::<i64>()
                    .write_unaligned(at_ms.max(NO_EXPIRE + 1));
            }
            if wide {
                entry
                    .at(offset - WORD)
                    .cast::<u64>()
                    .write_unaligned(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), entry.at(offset), key.len());
        }
        entry
    }

    /// An allocation for `used` bytes with its size byte set, the rest uninitialised.
    pub(super) fn alloc_raw(used: usize) -> Entry {
        let capacity = size_class(used);
        let layout = Entry::layout(capacity);
        // SAFETY: the layout is not empty.
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        let units = u8::try_from(capacity / UNIT).unwrap_or(0);
        // SAFETY: at least the header was allocated.
        unsafe { base.as_ptr().add(UNITS).write(units) };
        Entry(base)
    }

    pub(super) fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, WORD)
            .expect("an entry is no larger than its key and value, which are in memory")
    }

    /// Makes room for a payload of another kind or length, whose bytes the caller writes next. The old payload is
    /// forgotten: boxed ones must have been taken or dropped.
    pub(super) fn fit(&mut self, kind: Kind, payload: usize) {
        let (offset, key_len) = self.key_span();
        let start = offset + key_len;
        let used = start + payload;
        let capacity = self.capacity();
        // A size that is not stored follows from what is used, so it may only stay as it is. One that is stored may
        // be larger than needed, but not by more than half.
        let stays = if self.byte(UNITS) == 0 {
            size_class(used) == capacity
        } else {
            used <= capacity && used >= capacity / 2
        };
        if stays || size_class(used) == capacity {
            self.set_kind(kind);
            return;
        }
        let new = Entry::alloc_raw(used);
        // SAFETY: both allocations hold at least `start` bytes and are distinct; the size byte of the new one is kept.
        unsafe {
            let units = new.byte(UNITS);
            ptr::copy_nonoverlapping(self.at(0), new.at(0), start);
            new.at(UNITS).write(units);
        }
        self.replace_allocation(new, capacity);
        self.set_kind(kind);
    }

    /// Makes room for an expiry time, by shifting key and payload, or in a larger allocation.
    pub(super) fn make_expire_slot(&mut self) {
        let used = self.used();
        let capacity = self.capacity();
        let fits = if self.byte(UNITS) == 0 {
            size_class(used + WORD) == capacity
        } else {
            used + WORD <= capacity
        };
        // SAFETY: source and destination ranges lie within their allocations; `copy` allows overlap.
        unsafe {
            if fits {
                ptr::copy(self.at(HEADER), self.at(HEADER + WORD), used - HEADER);
            } else {
                let new = Entry::alloc_raw(used + WORD);
                let units = new.byte(UNITS);
                ptr::copy_nonoverlapping(self.at(0), new.at(0), HEADER);
                new.at(UNITS).write(units);
                ptr::copy_nonoverlapping(self.at(HEADER), new.at(HEADER + WORD), used - HEADER);
                self.replace_allocation(new, capacity);
            }
            self.at(0).write(self.bits() | HAS_EXPIRE);
        }
    }

    /// Takes over the allocation of `new`, freeing the old one without its payload.
    pub(super) fn replace_allocation(&mut self, new: Entry, old_capacity: usize) {
        let old = std::mem::replace(&mut self.0, new.0);
        std::mem::forget(new);
        // SAFETY: `old` was allocated with this layout and nobody refers to it any more.
        unsafe { dealloc(old.as_ptr(), Entry::layout(old_capacity)) };
    }

    #[inline]
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: callers stay within the allocation; that is what the layout above is for.
        unsafe { self.0.as_ptr().add(offset) }
    }

    #[inline]
    pub(super) fn byte(&self, offset: usize) -> u8 {
        debug_assert!(offset < HEADER);
        // SAFETY: the header is initialised.
        unsafe { self.at(offset).read() }
    }

    #[inline]
    pub(super) fn bits(&self) -> u8 {
        self.byte(0)
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.bits())
    }

    #[inline]
    pub(super) fn set_kind(&mut self, kind: Kind) {
        // SAFETY: the header is ours to write.
        unsafe { self.at(0).write(self.bits() & !KIND | kind as u8) };
    }

    #[inline]
    pub(super) fn clock_cell(&self) -> &AtomicU32 {
        // SAFETY: 4 aligned, initialised bytes of the header that are accessed through this cell only while shared.
        unsafe { AtomicU32::from_ptr(self.at(CLOCK).cast()) }
    }

    /// Offset and length of the key.
    #[inline]
    pub(super) fn key_span(&self) -> (usize, usize) {
        let bits = self.bits();
        let offset = HEADER + if bits & HAS_EXPIRE != 0 { WORD } else { 0 };
        if bits & WIDE_KEY == 0 {
            return (offset, self.byte(KEY_LEN) as usize);
        }
        // SAFETY: with the flag set, the word before the key is its length.
        let len = unsafe { self.at(offset).cast::<u64>().read_unaligned() };
        (offset + WORD, len as usize)
    }

    /// Offset of the payload.
    #[inline]
    pub(super) fn payload(&self) -> usize {
        let (offset, len) = self.key_span();
        offset + len
    }

    pub(super) fn used(&self) -> usize {
        self.payload()
            + match self.kind() {
                Kind::Embedded | Kind::EmbeddedRaw => self.byte(VALUE_LEN) as usize,
                kind if kind.is_packed() => self.packed_len(),
                _ => WORD,
            }
    }

    /// Bytes of the listpack or intset that is the payload.
    #[inline]
    pub(super) fn packed_len(&self) -> usize {
        let is_intset = self.kind() == Kind::Intset;
        debug_assert!(self.kind().is_packed());
        let len = if is_intset {
            INTSET_HEAD
        } else {
            LISTPACK_HEAD
        };
        // SAFETY: the payload of these kinds has at least these bytes: `write_packed` has looked.
        stated_len(is_intset, unsafe {
            std::slice::from_raw_parts(self.at(self.payload()), len)
        })
    }

    /// Writes a packed container into the room that `alloc` or `fit` made for exactly that many bytes.
    pub(super) fn write_packed(&mut self, packed: PackedRef<'_>) {
        let bytes = packed.bytes();
        let stated = stated_len(matches!(packed, PackedRef::Intset(_)), bytes);
        // From here on the bytes alone say how many they are.
        assert!(stated == bytes.len(), "a packed value knows its size");
        // SAFETY: there is room for `bytes` at the payload, and a borrowed slice cannot be inside our own allocation,
        // which we hold exclusively.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(self.payload()), bytes.len());
        }
    }

    pub(super) fn capacity(&self) -> usize {
        match self.byte(UNITS) {
            0 => size_class(self.used()),
            units => units as usize * UNIT,
        }
    }

    #[inline]
    pub(super) fn word(&self) -> i64 {
        debug_assert_eq!(self.kind(), Kind::Int);
        // SAFETY: the payload of this kind is one word.
        unsafe { self.at(self.payload()).cast::<i64>().read_unaligned() }
    }

    #[inline]
    pub(super) fn write_word(&mut self, word: i64) {
        debug_assert_eq!(self.kind(), Kind::Int);
        // SAFETY: the payload of this kind is one word.
        unsafe { self.at(self.payload()).cast::<i64>().write_unaligned(word) };
    }

    /// Writes embedded bytes into the room that `alloc` or `fit` made for exactly that many.
    #[inline]
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) {
        // SAFETY: there is room for `bytes` at the payload, and a borrowed slice cannot be inside our own allocation,
        // which we hold exclusively.
        unsafe {
            self.at(VALUE_LEN).write(bytes.len() as u8);
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(self.payload()), bytes.len());
        }
    }

    #[inline]
    pub(super) fn embedded(&self) -> &[u8] {
        // SAFETY: the payload of the embedded kinds is that many initialised bytes.
        unsafe {
            std::slice::from_raw_parts(self.at(self.payload()), self.byte(VALUE_LEN) as usize)
        }
    }

    /// The string that a string entry holds.
    #[inline]
    pub(super) fn str_ref(&self) -> StrRef<'_> {
        match self.kind() {
            Kind::Int => StrRef::Int(self.word()),
            Kind::Embedded | Kind::EmbeddedRaw => StrRef::Bytes(self.embedded()),
            // SAFETY: callers ask strings only, and this is the one kind left.
            _ => StrRef::Bytes(unsafe { self.boxed_ref::<Vec<u8>>() }),
        }
    }
}
