//! Where the child buckets of one array come from: chunks of the array's own.
//!
//! Taken one by one from the allocator, they would lie among those of other arrays: when a table has grown and the children
//! of its old array go, hardly a page of theirs becomes free. Here all of them go with their array.

#![allow(
    unsafe_code,
    reason = "chunks of uninitialised places handed out as pointers"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Places in the largest chunk. The first has one, each other one as many as there are before it, so that no more than
/// half is ever unused.
const CHUNK_MAX: usize = 512;

/// Hands out places for `T`, which it neither makes nor drops.
pub(super) struct Pool<T> {
    chunks: Vec<NonNull<T>>,
    /// Places of the last chunk that have been handed out.
    begun: usize,
    /// Places given back: each holds a pointer to the next, null in the last.
    free: *mut *mut T,
    /// Places in use.
    len: usize,
}

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        const {
            assert!(
                size_of::<T>() >= size_of::<*mut T>() && align_of::<T>() >= align_of::<*mut T>()
            )
        };
        Pool {
            chunks: Vec::new(),
            begun: 0,
            free: ptr::null_mut(),
            len: 0,
        }
    }

    /// Places in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A place for a value, uninitialised. It lives until it is given back or the pool is dropped.
    pub(super) fn take(&mut self) -> NonNull<T> {
        self.len += 1;
        if let Some(place) = NonNull::new(self.free) {
            // SAFETY: a place that was given back: ours, and `give_back` wrote the next one's address into it.
            self.free = unsafe { place.read() }.cast();
            return place.cast();
        }
        let chunk = match self.chunks.last() {
            Some(last) if self.begun < Self::places(self.chunks.len() - 1) => *last,
            _ => self.grow(),
        };
        self.begun += 1;
        // SAFETY: `begun` was below the chunk's number of places: checked above, or the chunk is fresh and has some.
        unsafe { chunk.add(self.begun - 1) }
    }

    /// Takes a place back.
    ///
    /// # Safety
    /// It came from [`Pool::take`] of this pool, has not been given back since, and is not used again.
    pub(super) unsafe fn give_back(&mut self, place: *mut T) {
        let place: *mut *mut T = place.cast();
        // SAFETY: by contract the place is ours alone; it is large and aligned enough for a pointer (asserted in `new`).
        unsafe { place.write(self.free.cast()) };
        self.free = place;
        self.len -= 1;
    }

    #[cold]
    fn grow(&mut self) -> NonNull<T> {
        let layout = Self::layout(self.chunks.len());
        // SAFETY: a chunk has at least one place, and a place at least the size of a pointer.
        let raw = unsafe { alloc(layout) };
        let Some(chunk) = NonNull::new(raw.cast()) else {
            handle_alloc_error(layout)
        };
        self.chunks.push(chunk);
        self.begun = 0;
        chunk
    }

    /// Places in the chunk of this number: 1, 1, 2, 4, 8 ...
    fn places(number: usize) -> usize {
        1 << number.saturating_sub(1).min(CHUNK_MAX.ilog2() as usize)
    }

    fn layout(number: usize) -> Layout {
        Layout::array::<T>(Self::places(number)).expect("a chunk is small")
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        for (number, chunk) in self.chunks.iter().enumerate() {
            // SAFETY: allocated in `grow` with the layout of its number, and freed once, here.
            unsafe { dealloc(chunk.as_ptr().cast(), Self::layout(number)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;
    use std::collections::HashSet;

    #[test]
    fn places_are_apart_and_come_back() {
        let mut pool = Pool::<[u64; 8]>::new();
        let first: Vec<_> = (0..3000).map(|_| pool.take()).collect();
        for (n, place) in (0..).zip(&first) {
            // SAFETY: a place of the pool, not given back.
            unsafe { place.write([n; 8]) };
        }
        for (n, place) in (0..).zip(&first) {
            // SAFETY: as above, and written.
            assert_eq!(unsafe { place.read() }, [n; 8]);
        }
        assert_eq!(pool.len(), 3000);
        for place in &first {
            // SAFETY: taken above, and not used after this.
            unsafe { pool.give_back(place.as_ptr()) };
        }
        assert_eq!(pool.len(), 0);
        let chunks = pool.chunks.len();
        let again: HashSet<_> = (0..3000).map(|_| pool.take()).collect();
        assert_eq!(again, first.into_iter().collect());
        assert_eq!(pool.chunks.len(), chunks);
    }
}
