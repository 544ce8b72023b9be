//! The arrays of buckets that a table is made of, and what can be done within one chain of buckets.
//!
//! [`super`] draws a bucket.

#![allow(
    unsafe_code,
    reason = "cache-line buckets of tagged pointers and chains of them cannot be expressed as borrows"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::{ManuallyDrop, size_of};
use std::ptr::{self, NonNull};

use super::pool::Pool;

/// Slots per bucket.
pub(super) const SLOTS: usize = 7;
/// Presence bits of all seven slots.
pub(super) const ALL: u64 = 0x7f;
/// Presence bits of the slots that a chained bucket may use for items.
pub(super) const ALL_CHAINED: u64 = 0x3f;
/// The chain bit.
pub(super) const CHAIN: u64 = 0x80;
/// The slot that becomes the link.
pub(super) const LINK: usize = SLOTS - 1;
/// One in every byte.
pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every tag byte (byte 0 is no tag).
pub(super) const TOPS: u64 = 0x8080_8080_8080_8000;

/// A slot: an item where its presence bit is set, the link where it is slot 6 and the chain bit is set, else unused.
pub(super) union Slot<E> {
    pub(super) item: ManuallyDrop<E>,
    pub(super) child: *mut Bucket<E>,
    pub(super) raw: *mut u8,
}

#[repr(C, align(64))]
pub(super) struct Bucket<E> {
    pub(super) meta: u64,
    pub(super) slots: [Slot<E>; SLOTS],
}

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

#[inline]
pub(super) fn tag_of(h: u64) -> u64 {
    h >> 56
}

/// Bit `8 * (slot + 1) + 7` set for each slot whose tag matches; now and then for one that does not (the borrow of
/// the subtraction runs upwards from a match), which costs a comparison and nothing else.
#[inline]
pub(super) fn matches(meta: u64, tag: u64) -> u64 {
    let x = meta ^ (tag * ONES);
    x.wrapping_sub(ONES) & !x & TOPS
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
        const {
            assert!(
                size_of::<E>() == size_of::<usize>(),
                "items are thin handles"
            )
        };
        Layout::array::<Bucket<E>>(buckets)
            .expect("bucket arrays are far smaller than the address space")
    }

    pub(super) fn alloc(buckets: usize) -> Self {
        debug_assert!(buckets.is_power_of_two());
        let layout = Self::layout(buckets);
        // SAFETY: the layout is not empty: `buckets >= 1` and a bucket has 64 bytes. All zeroes is a valid empty bucket:
        // no presence bit, no chain, and unions have no invalid bytes.
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
    pub(super) fn put(&mut self, h: u64, tag: u64, item: E) -> (Place<E>, u16) {
        let mut at = self.bucket(h as usize);
        let mut depth = 0_u16;
        loop {
            // SAFETY: a bucket of this array, then links of its chain; `&mut self` makes the use exclusive.
            let bucket = unsafe { &mut *at };
            let usable = if bucket.meta & CHAIN == 0 {
                ALL
            } else {
                ALL_CHAINED
            };
            let free = !bucket.meta & usable;
            if free != 0 {
                let slot = free.trailing_zeros() as usize;
                bucket.put(slot, tag, item);
                return (Place { bucket: at, slot }, depth);
            }
            depth = depth.saturating_add(1);
            if bucket.meta & CHAIN == 0 {
                let child = self.new_child();
                let (tag, last) = bucket.take(LINK);
                // SAFETY: fresh and ours alone.
                unsafe { (*child).put(0, tag, last) };
                bucket.slots[LINK].child = child;
                bucket.meta |= CHAIN;
            }
            at = bucket
                .child()
                .expect("the bucket was just found or made chained");
        }
    }

    /// Takes an item of hash `h` out of its place, filling the hole from the chain's end.
    pub(super) fn take(&mut self, h: u64, place: &Place<E>) -> E {
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
                let (tag, moved) = (*last).take(((*last).meta & ALL).trailing_zeros() as usize);
                (*place.bucket).put(place.slot, tag, moved);
            }
            if (*last).items() <= 1 {
                (*parent).meta &= !CHAIN;
                if (*last).items() == 1 {
                    let (tag, moved) = (*last).take(((*last).meta & ALL).trailing_zeros() as usize);
                    (*parent).put(LINK, tag, moved);
                }
                self.free_child(last);
            }
        }
        item
    }

    /// Gives all items of the chain that starts at bucket `index` to `f`, with their tags, and leaves the bucket empty and
    /// unchained. Whether there was any. The child buckets are not given back: this is for an array that ends soon.
    pub(super) fn empty_chain(&mut self, index: usize, mut f: impl FnMut(u64, E)) -> bool {
        let head = self.bucket(index);
        let mut any = false;
        let mut link = Some(head);
        while let Some(at) = link {
            // SAFETY: a bucket of this array or a link of its chain; `&mut self` makes the use exclusive.
            let bucket = unsafe { &mut *at };
            while let used @ 1.. = bucket.meta & ALL {
                let (tag, item) = bucket.take(used.trailing_zeros() as usize);
                f(tag, item);
                any = true;
            }
            link = bucket.child();
        }
        // SAFETY: as above.
        unsafe { (*head).meta = 0 };
        any
    }

    /// Frees the array itself and its child buckets; they must be empty or their items taken.
    pub(super) fn free(self) {
        if self.buckets > 0 {
            // SAFETY: `base` came from `alloc` with the same layout and is freed once, as `self` is consumed.
            unsafe { dealloc(self.base.as_ptr().cast(), Self::layout(self.buckets)) };
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
    pub(super) fn items(&self) -> usize {
        (self.meta & ALL).count_ones() as usize
    }

    /// The child bucket, if any.
    #[inline]
    pub(super) fn child(&self) -> Option<*mut Bucket<E>> {
        if self.meta & CHAIN == 0 {
            return None;
        }
        // SAFETY: with the chain bit set, the last slot was written as a link.
        Some(unsafe { self.slots[LINK].child })
    }

    pub(super) fn put(&mut self, slot: usize, tag: u64, item: E) {
        debug_assert_eq!(self.meta >> slot & 1, 0);
        let shift = 8 * (slot + 1);
        self.meta = self.meta & !(0xff << shift) | tag << shift | 1 << slot;
        self.slots[slot].item = ManuallyDrop::new(item);
    }

    /// Takes the item out of a used slot, with its tag.
    pub(super) fn take(&mut self, slot: usize) -> (u64, E) {
        debug_assert_eq!(self.meta >> slot & 1, 1);
        self.meta &= !(1 << slot);
        // SAFETY: the presence bit was set, so the slot held an item; the bit is cleared, so it is taken once.
        let item = unsafe { ptr::read(&raw const *self.slots[slot].item) };
        (self.meta >> (8 * (slot + 1)) & 0xff, item)
    }

    /// The item in a used slot.
    #[inline]
    pub(super) fn item(&self, slot: usize) -> &E {
        debug_assert_eq!(self.meta >> slot & 1, 1);
        // SAFETY: the presence bit is set, so the slot holds an item.
        unsafe { &self.slots[slot].item }
    }

    pub(super) fn prefetch_items(&self) {
        let mut used = self.meta & ALL;
        while used != 0 {
            // SAFETY: the slot is in use; handles have pointer size, and the value is only used as a prefetch hint.
            prefetch_address(unsafe { self.slots[used.trailing_zeros() as usize].raw });
            used &= used - 1;
        }
    }
}
