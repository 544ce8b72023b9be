//! The arrays of buckets that a table is made of, and what can be done within one chain of buckets.
//!
//! [`super`] draws a bucket.

#![allow(
    unsafe_code,
    reason = "cache-line buckets of tagged pointers and chains of them cannot be expressed as borrows"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr::{self, NonNull};

use super::pool::Pool;

/// Slots per bucket.
pub(super) const SLOTS: usize = 9;
/// One bit for each slot.
pub(super) const ALL: u32 = (1 << SLOTS) - 1;
/// Those that a chained bucket may use for items.
const ALL_CHAINED: u32 = ALL & !(1 << LINK);
/// The slot that becomes the link.
const LINK: usize = SLOTS - 1;
/// The tag of a slot that holds no item.
const FREE: u8 = 0;
/// Bytes of a pointer in a slot.
const POINTER: usize = 6;
/// Where a word starts whose upper bytes are the pointer in slot 0.
const WORDS: usize = SLOTS + 1 - SPARE / 8;
/// Bits of such a word that belong to what is before the pointer.
const SPARE: usize = 64 - 8 * POINTER;

/// A cache line. All zeroes is an empty one.
#[repr(C, align(64))]
pub(super) struct Bucket<E> {
    /// [`FREE`] where there is no item.
    tags: [u8; SLOTS],
    /// 1 if the last slot, whose tag is [`FREE`] then, holds the link.
    chained: u8,
    /// The low bytes of pointers, little end first.
    pointers: [[u8; POINTER]; SLOTS],
    holds: PhantomData<E>,
}

const _: () = assert!(size_of::<Bucket<u8>>() == 64);

/// A position: a bucket of this table and a slot in it that holds an item.
pub(super) struct Place<E> {
    pub(super) bucket: *mut Bucket<E>,
    pub(super) slot: usize,
}

/// A power of two of buckets, or none, with the child buckets chained to them.
pub(super) struct Array<E> {
    pub(super) base: NonNull<Bucket<E>>,
    pub(super) buckets: usize,
    pub(super) children: Option<Box<Pool<Bucket<E>>>>,
}

/// Hash bits that do not choose the bucket; never [`FREE`].
#[inline]
pub(super) fn tag_of(h: u64) -> u8 {
    ((h >> 56) as u8).max(FREE + 1)
}

/// Hints that `address` will be read soon.
#[inline]
pub(crate) fn prefetch_address(address: *const u8) {
    // SAFETY: a prefetch may be given any address; it never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl<E> Array<E> {
    pub(super) const NONE: Array<E> = Array {
        base: NonNull::dangling(),
        buckets: 0,
        children: None,
    };

    pub(super) fn layout(buckets: usize) -> Layout {
        Layout::array::<Bucket<E>>(buckets)
            .expect("bucket arrays are far smaller than the address space")
    }

    pub(super) fn alloc(buckets: usize) -> Self {
        debug_assert!(buckets.is_power_of_two());
        let layout = Self::layout(buckets);
        // SAFETY: the layout is not empty: `buckets >= 1` and a bucket has 64 bytes. All zeroes is a valid empty bucket.
        let raw = unsafe { alloc_zeroed(layout) };
        match NonNull::new(raw.cast()) {
            Some(base) => Array {
                base,
                buckets,
                children: None,
            },
            None => handle_alloc_error(layout),
        }
    }

    /// Child buckets in use.
    pub(super) fn children(&self) -> usize {
        self.children.as_ref().map_or(0, |pool| pool.len())
    }

    pub(super) fn new_child(&mut self) -> *mut Bucket<E> {
        let pool = self.children.get_or_insert_with(|| Box::new(Pool::new()));
        let child = pool.take();
        // SAFETY: a place for a bucket, ours alone. All zeroes is a valid empty bucket, as in `alloc`.
        unsafe { child.write_bytes(0, 1) };
        child.as_ptr()
    }

    /// # Safety
    /// `child` came from `new_child` of this array, holds no item that is still wanted, and is not used again.
    pub(super) unsafe fn free_child(&mut self, child: *mut Bucket<E>) {
        if let Some(pool) = &mut self.children {
            // SAFETY: by contract.
            unsafe { pool.give_back(child) };
        }
    }

    /// Stores an item of hash `h`. Returns its place and the child buckets passed on the way.
    pub(super) fn put(&mut self, h: u64, tag: u8, item: NonNull<u8>) -> (Place<E>, u16) {
        let mut at = self.bucket(h as usize);
        let mut depth = 0_u16;
        loop {
            // SAFETY: a bucket of this array, then links of its chain; `&mut self` makes the use exclusive.
            let bucket = unsafe { &mut *at };
            let free = bucket.with_tag(FREE) & bucket.usable();
            if free != 0 {
                let slot = free.trailing_zeros() as usize;
                bucket.put(slot, tag, item);
                return (Place { bucket: at, slot }, depth);
            }
            depth = depth.saturating_add(1);
            at = match bucket.child() {
                Some(child) => child,
                None => {
                    let child = self.new_child();
                    let (tag, last) = bucket.take(LINK);
                    // SAFETY: fresh and ours alone.
                    unsafe { (*child).put(0, tag, last) };
                    bucket.link(child);
                    child
                }
            };
        }
    }

    /// Takes an item of hash `h` out of its place, filling the hole from the chain's end.
    pub(super) fn take(&mut self, h: u64, place: &Place<E>) -> NonNull<u8> {
        // SAFETY: `place` is a bucket of this array; `&mut self` makes the use exclusive, and no other reference lives.
        let (_, item) = unsafe { (*place.bucket).take(place.slot) };
        let (mut parent, mut last) = (ptr::null_mut::<Bucket<E>>(), self.bucket(h as usize));
        // SAFETY: links of our chain.
        while let Some(child) = unsafe { (*last).child() } {
            (parent, last) = (last, child);
        }
        if parent.is_null() {
            return item;
        }
        // SAFETY: `parent`, `last` and `place.bucket` are live buckets of this chain, and `&mut self` makes their use exclusive.
        // References to them are never held across each other.
        unsafe {
            if last != place.bucket {
                let (tag, moved) = (*last).take((*last).used().trailing_zeros() as usize);
                (*place.bucket).put(place.slot, tag, moved);
            }
            if (*last).items() <= 1 {
                (*parent).chained = 0;
                if (*last).items() == 1 {
                    let (tag, moved) = (*last).take((*last).used().trailing_zeros() as usize);
                    (*parent).put(LINK, tag, moved);
                }
                self.free_child(last);
            }
        }
        item
    }

    /// Gives all items of the chain that starts at bucket `index` to `f`, with their tags, and leaves the bucket empty and
    /// unchained. Whether there was any. The child buckets are not given back: this is for an array that ends soon.
    pub(super) fn empty_chain(&mut self, index: usize, mut f: impl FnMut(u8, NonNull<u8>)) -> bool {
        let head = self.bucket(index);
        let mut any = false;
        let mut link = Some(head);
        while let Some(at) = link {
            // SAFETY: a bucket of this array or a link of its chain; `&mut self` makes the use exclusive.
            let bucket = unsafe { &mut *at };
            for slot in Slots(bucket.used()) {
                let (tag, item) = bucket.take(slot);
                f(tag, item);
                any = true;
            }
            link = bucket.child();
        }
        // SAFETY: as above.
        unsafe { (*head).chained = 0 };
        any
    }

    /// Gives back the memory of all but the first `to` of the `from` buckets that are there; with the last one the child
    /// buckets go too. `buckets` stays as it is: it tells which bucket a hash belongs to.
    ///
    /// # Safety
    /// The array has so many buckets, as they were allocated or as the last call left them, and those from `to` on are not
    /// used again; nothing of the array is, with 0.
    pub(super) unsafe fn shrink(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let (raw, layout) = (self.base.as_ptr().cast(), Self::layout(from));
        if to == 0 {
            self.children = None;
            // SAFETY: by contract `base` came from `alloc` or `realloc` with this layout, and is not used again.
            unsafe { dealloc(raw, layout) };
            return;
        }
        let rest = Self::layout(to);
        // SAFETY: by contract `base` has this layout; what is left of it is smaller and not empty. Links lead from bucket to
        // child, and no pointer to a bucket outlives a step.
        match NonNull::new(unsafe { realloc(raw, layout, rest.size()) }.cast()) {
            Some(base) => self.base = base,
            None => handle_alloc_error(rest),
        }
    }

    /// The bucket at `index & mask`.
    #[inline]
    pub(super) fn bucket(&self, index: usize) -> *mut Bucket<E> {
        debug_assert!(self.buckets > 0);
        // SAFETY: the mask keeps the index below `buckets`, the number of buckets allocated.
        unsafe { self.base.as_ptr().add(index & (self.buckets - 1)) }
    }
}

// All methods below take pointers to buckets of live tables, which the table alone creates and frees; `&self`/`&mut self`
// of the table stand for shared or exclusive use of every bucket behind it.
impl<E> Bucket<E> {
    /// A bit for each slot with this tag.
    #[inline]
    pub(super) fn with_tag(&self, tag: u8) -> u32 {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: every x86-64 has these instructions; a bucket has 64 bytes and is aligned to as many.
        unsafe {
            use std::arch::x86_64::{
                __m128i, _mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi8,
            };
            let head = _mm_load_si128((&raw const *self).cast::<__m128i>());
            let equal = _mm_cmpeq_epi8(head, _mm_set1_epi8(tag.cast_signed()));
            _mm_movemask_epi8(equal).cast_unsigned() & ALL
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        self.with_tag_plain(tag)
    }

    /// As [`Bucket::with_tag`], on any machine.
    #[cfg(any(test, miri, not(target_arch = "x86_64")))]
    pub(super) fn with_tag_plain(&self, tag: u8) -> u32 {
        let tags = self.tags.iter().enumerate();
        tags.fold(0, |slots, (slot, own)| {
            slots | u32::from(*own == tag) << slot
        })
    }

    /// The slots that hold items.
    #[inline]
    pub(super) fn used(&self) -> u32 {
        self.with_tag(FREE) ^ ALL
    }

    pub(super) fn items(&self) -> usize {
        self.used().count_ones() as usize
    }

    /// The slots that may hold items.
    #[inline]
    fn usable(&self) -> u32 {
        if self.chained == 0 { ALL } else { ALL_CHAINED }
    }

    /// The child bucket, if any.
    #[inline]
    pub(super) fn child(&self) -> Option<*mut Bucket<E>> {
        (self.chained != 0).then(|| self.pointer(LINK).as_ptr().cast())
    }

    /// Makes the last slot, which holds no item, the link to this child.
    fn link(&mut self, child: *mut Bucket<E>) {
        debug_assert_eq!(self.tags[LINK], FREE);
        self.chained = 1;
        self.set_pointer(LINK, NonNull::new(child).expect("a bucket").cast());
    }

    /// Stores an item in a free slot.
    pub(super) fn put(&mut self, slot: usize, tag: u8, item: NonNull<u8>) {
        debug_assert!(self.tags[slot] == FREE && tag != FREE);
        self.tags[slot] = tag;
        self.set_pointer(slot, item);
    }

    /// Takes the item out of a used slot, with its tag.
    pub(super) fn take(&mut self, slot: usize) -> (u8, NonNull<u8>) {
        debug_assert_ne!(self.tags[slot], FREE);
        let tag = std::mem::replace(&mut self.tags[slot], FREE);
        (tag, self.pointer(slot))
    }

    /// The pointer in a slot that holds an item or the link.
    #[inline]
    pub(super) fn pointer(&self, slot: usize) -> NonNull<u8> {
        let pointer: *mut u8 = ptr::with_exposed_provenance_mut(self.word(slot) as usize >> SPARE);
        debug_assert!(!pointer.is_null());
        // SAFETY: what was stored was not null.
        unsafe { NonNull::new_unchecked(pointer) }
    }

    /// Replaces the pointer in a slot.
    #[inline]
    pub(super) fn set_pointer(&mut self, slot: usize, pointer: NonNull<u8>) {
        let address = pointer.as_ptr().expose_provenance() as u64;
        // Systems hand out addresses beyond this only to those who ask for such ones.
        assert!(address >> (8 * POINTER) == 0, "addresses have 48 bits");
        let before = self.word(slot) & ((1 << SPARE) - 1);
        let word = (address << SPARE | before).to_le();
        // SAFETY: see `word`; `&mut self` makes the use exclusive, and the bytes before the pointer stay as they are.
        unsafe {
            (&raw mut *self)
                .cast::<u8>()
                .add(WORDS + POINTER * slot)
                .cast::<u64>()
                .write_unaligned(word)
        };
    }

    /// The word that ends where the slot does.
    #[inline]
    fn word(&self, slot: usize) -> u64 {
        assert!(slot < SLOTS);
        // SAFETY: the word is inside of the bucket: the pointers end where it does, and there is more than `SPARE` before
        // them. All of its bytes are initialised.
        u64::from_le(unsafe {
            (&raw const *self)
                .cast::<u8>()
                .add(WORDS + POINTER * slot)
                .cast::<u64>()
                .read_unaligned()
        })
    }

    pub(super) fn prefetch_items(&self) {
        for slot in Slots(self.used()) {
            prefetch_address(self.pointer(slot).as_ptr());
        }
    }
}

/// The slots of a set of bits, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots(pub(super) u32);

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}
