//! The allocator: jemalloc, with counters that make `used_memory` cheap to read.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

pub(crate) mod control;

use allocator::Jemalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use words::sizes::size_class;

/// Counters, one per thread as long as there are enough of them. Each has a cache line of its own.
const SLOTS: usize = 64;

#[repr(align(64))]
struct Slot(AtomicIsize);

static COUNTERS: [Slot; SLOTS] = [const { Slot(AtomicIsize::new(0)) }; SLOTS];
static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Index of this thread's counter; `usize::MAX` before its first use.
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Adds to this thread's counter.
#[inline]
fn count(bytes: isize) {
    // A thread that is being torn down counts in the shared slot.
    let slot = SLOT.try_with(Cell::get).unwrap_or(SLOTS - 1);
    if slot < SLOTS - 1 {
        // This thread is the only writer of the slot: no locked instruction is needed.
        let counter = &COUNTERS[slot].0;
        counter.store(counter.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    } else {
        count_slow(slot, bytes);
    }
}

#[cold]
fn count_slow(slot: usize, bytes: isize) {
    let slot = if slot == usize::MAX {
        let fresh = NEXT_SLOT.fetch_add(1, Ordering::Relaxed).min(SLOTS - 1);
        // Losing the assignment only means to ask again.
        let _ = SLOT.try_with(|slot| slot.set(fresh));
        fresh
    } else {
        slot
    };
    COUNTERS[slot].0.fetch_add(bytes, Ordering::Relaxed);
}

/// The allocator's name and version.
pub(crate) fn allocator() -> String {
    // `5.3.0-1-gdeadbeef...`
    let version = tikv_jemalloc_ctl::version::read().unwrap_or_default();
    let number = version.split('-').next().unwrap_or_default();
    format!("jemalloc-{number}")
}

/// Bytes handed out by the allocator, rounded up to its size classes.
pub(crate) fn used() -> usize {
    let sum: isize = COUNTERS
        .iter()
        .map(|slot| slot.0.load(Ordering::Relaxed))
        .sum();
    usize::try_from(sum).unwrap_or(0)
}

/// What jemalloc really sets aside for a request.
#[inline]
const fn set_aside(layout: Layout) -> isize {
    size_class(layout.size().next_multiple_of(layout.align())) as isize
}

/// How long freed pages are kept for re-use. The allocator's own ten seconds would let each old array of a table that
/// grows stay while the next is filled.
const PAGES_KEPT_MS: isize = 500;

/// Sets the allocator up. To be called before there are threads: it concerns the arenas made afterwards, and the first.
pub(crate) fn set_up() {
    for name in [
        b"arenas.dirty_decay_ms\0".as_slice(),
        b"arena.0.dirty_decay_ms\0",
    ] {
        // SAFETY: both names end in a zero byte and take a signed size. Where they are refused, memory is given back later.
        let _ = unsafe { tikv_jemalloc_ctl::raw::write(name, PAGES_KEPT_MS) };
    }
}

/// Has a thread of the allocator return freed pages to the kernel as they grow old, also while nothing runs
/// (`jemalloc-bg-thread`).
pub(crate) fn purge_in_background(on: bool) {
    // An allocator built without it does so whenever it is called.
    let _ = tikv_jemalloc_ctl::background_thread::write(on);
}

/// Jemalloc with counters.
pub(crate) struct Counting;

// SAFETY: every call goes to jemalloc unchanged; counting touches only atomics and a thread-local cell, never memory of
// the caller, and does not allocate.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(set_aside(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { Jemalloc.alloc(layout) }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(set_aside(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { Jemalloc.alloc_zeroed(layout) }
    }
    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-set_aside(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { Jemalloc.dealloc(ptr, layout) }
    }
    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new = size_class(new_size.next_multiple_of(layout.align())) as isize;
        count(new - set_aside(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { Jemalloc.realloc(ptr, layout, new_size) }
    }
}
