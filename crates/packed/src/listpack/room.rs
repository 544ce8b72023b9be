//! Making and closing gaps in the buffer of a listpack with one `memmove` of the shorter side.
//!
//! Capacities follow the allocator's size classes (four to a doubling), so that a buffer has no slack but
//! what the allocator would have rounded up to anyway.

use super::Listpack;
use crate::limits::{SHRINK_BYTES_MIN, SHRINK_FACTOR};
use words::sizes::size_class;

/// A shift of everything must win at least a share of the live bytes of 1 in so many, or pushing would
/// degrade into a shift each time.
const SHIFT_GAIN: usize = 8;

impl Listpack {
    /// Turns the span of `old` bytes at `at` into one of `new` bytes, whose contents are then up to the
    /// caller, and writes the new size into the header. Offsets before and up to `at` stay.
    pub(super) fn resize_span(&mut self, at: usize, old: usize, new: usize) {
        let live = self.byte_len();
        let behind = live - at - old;
        if new > old {
            let more = new - old;
            if self.start >= more && at < behind {
                self.buf
                    .copy_within(self.start..self.start + at, self.start - more);
                self.start -= more;
            } else {
                self.room_at_back(more);
                let end = self.buf.len();
                let tail = self.start + at + old;
                self.buf.resize(end + more, 0);
                self.buf.copy_within(tail..end, tail + more);
            }
        } else {
            let less = old - new;
            if at < behind {
                self.buf
                    .copy_within(self.start..self.start + at, self.start + less);
                self.start += less;
            } else {
                let tail = self.start + at + old;
                self.buf.copy_within(tail.., tail - less);
                self.buf.truncate(self.buf.len() - less);
            }
            self.give_back();
        }
        self.write_size();
    }

    /// Sees to it that `more` bytes can be added at the back without moving the buffer.
    #[inline]
    pub(super) fn room_at_back(&mut self, more: usize) {
        if self.buf.capacity() - self.buf.len() < more {
            self.room_at_back_slow(more);
        }
    }

    #[cold]
    fn room_at_back_slow(&mut self, more: usize) {
        let live = self.byte_len();
        let free = self.buf.capacity() - live;
        if free >= more && self.start * SHIFT_GAIN >= live {
            self.buf.drain(..self.start);
            self.start = 0;
        } else if self.start == 0 {
            self.buf.reserve_exact(size_class(live + more) - live);
        } else {
            self.move_to(size_class(live + more), 0);
        }
    }

    /// Sees to it that `more` bytes are free before the listpack.
    #[inline]
    pub(super) fn room_at_front(&mut self, more: usize) {
        if self.start < more {
            self.room_at_front_slow(more);
        }
    }

    #[cold]
    fn room_at_front_slow(&mut self, more: usize) {
        let live = self.byte_len();
        let slack = self.buf.capacity() - self.buf.len();
        if slack >= more && slack * SHIFT_GAIN >= live {
            // Half of the slack: the other end may want to grow as well.
            let shift = more.max(slack / 2);
            let end = self.buf.len();
            self.buf.resize(end + shift, 0);
            self.buf.copy_within(self.start..end, self.start + shift);
            self.start += shift;
        } else {
            let capacity = size_class(live + more);
            self.move_to(capacity, capacity - live);
        }
    }

    /// A much too large buffer is exchanged for one of twice the size of its contents.
    #[inline]
    pub(super) fn give_back(&mut self) {
        let capacity = self.buf.capacity();
        if capacity > SHRINK_BYTES_MIN && capacity / SHRINK_FACTOR > self.byte_len() {
            self.move_to(size_class(2 * self.byte_len()), 0);
        }
    }

    #[cold]
    fn move_to(&mut self, capacity: usize, start: usize) {
        let mut buf = Vec::with_capacity(capacity);
        buf.resize(start, 0);
        buf.extend_from_slice(self.as_bytes());
        self.buf = buf;
        self.start = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_use_the_room_of_the_other() {
        let mut pack = Listpack::new();
        for i in 0..2000 {
            pack.push_back(format!("job:{i}").as_bytes());
            if i >= 100 {
                pack.remove(pack.first().unwrap());
            }
        }
        assert_eq!(pack.len(), 100);
        assert!(
            pack.heap_bytes() <= 2 * pack.byte_len(),
            "{} for {}",
            pack.heap_bytes(),
            pack.byte_len()
        );
    }
}
