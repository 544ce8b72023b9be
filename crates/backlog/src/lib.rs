//! The shared replication buffer: the retained window of the replication stream, by offset.
//!
//! One append-only list of counted blocks serves the backlog, every replica and every snapshot channel
//! that waits for its main channel. Each of them is a [`Cursor`]; sending to a replica hands out
//! [`Slice`]s of the blocks and copies nothing. This crate does not know who reads, has no clock and
//! does no I/O. Source of the rules: Valkey's documentation of the shared replication buffer.
#![forbid(unsafe_code)]

mod block;
mod limits;

pub use block::Slice;
pub use limits::{BACKLOG_SIZE_MIN, BLOCK_BYTES_MIN, TRIM_BLOCKS_PER_CALL};

use block::Block;
use limits::BACKLOG_SHARE_MAX;
use std::collections::VecDeque;
use std::sync::Arc;

/// Whether an append opened a block: the moment at which output limits are worth checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The bytes fitted into the block that was open.
    InPlace,
    /// At least one block was added, so memory has grown.
    NewBlock,
}

/// A consumer's place in the stream: the offset of the next byte it needs.
///
/// It pins the block that holds this byte (and so all later ones) against trimming. It is deliberately
/// not `Clone`: give it back with [`Backlog::release`], or drop it together with the whole backlog.
#[derive(Debug)]
#[must_use = "a cursor pins the stream until it is released"]
pub struct Cursor {
    next: u64,
    seq: u64,
}

impl Cursor {
    /// The offset of the next byte this consumer needs.
    pub fn next_offset(&self) -> u64 {
        self.next
    }
}

/// The retained window of the stream.
///
/// Offsets are 1-based: the first byte ever produced is byte 1. Invariant:
/// `first_offset + histlen == next_offset`, and `next_offset - 1` is the primary's replication offset.
#[derive(Debug)]
pub struct Backlog {
    blocks: VecDeque<Block>,
    /// Sequence number of `blocks[0]`; counts blocks ever made, so that cursors survive trimming.
    head_seq: u64,
    /// Configured size in bytes, at least [`BACKLOG_SIZE_MIN`].
    size: u64,
    /// Offset of the first byte held, or of the first byte to come.
    first: u64,
    /// Offset the next appended byte gets.
    next: u64,
    /// Memory of all blocks ever made. Less a block's `memory_before`: the memory from there on.
    memory_made: u64,
    /// Memory of all blocks held now, in bytes.
    memory: u64,
    /// Cursors that wait for the very first block.
    pins_waiting: u32,
    /// A block's allocation that was trimmed and waits for its next use.
    spare: Option<Arc<Vec<u8>>>,
}

impl Backlog {
    /// An empty window of `size` bytes (raised to the floor) whose first byte will be `first_offset`.
    pub fn new(size: u64, first_offset: u64) -> Self {
        Backlog {
            blocks: VecDeque::new(),
            head_seq: 0,
            size: size.max(BACKLOG_SIZE_MIN),
            first: first_offset,
            next: first_offset,
            memory_made: 0,
            memory: 0,
            pins_waiting: 0,
            spare: None,
        }
    }

    /// Appends stream bytes and trims what has become too old and nobody pins.
    ///
    /// O(1) amortised; in a steady state a trimmed block is used again and nothing is allocated.
    pub fn append(&mut self, mut bytes: &[u8]) -> Appended {
        let mut appended = Appended::InPlace;
        self.next += bytes.len() as u64;
        if let Some(tail) = self.blocks.back_mut() {
            bytes = tail.fill(bytes);
        }
        while !bytes.is_empty() {
            self.open_block(bytes.len());
            appended = Appended::NewBlock;
            let tail = self.blocks.back_mut().expect("a block was just opened");
            bytes = tail.fill(bytes);
        }
        if appended == Appended::NewBlock {
            self.trim(TRIM_BLOCKS_PER_CALL);
        }
        appended
    }

    /// Drops blocks from the head while the window is larger than its size, nobody pins them and what
    /// stays is still above the size; at most `blocks_max` of them. Returns how many went.
    pub fn trim(&mut self, blocks_max: usize) -> usize {
        let mut trimmed = 0;
        while trimmed < blocks_max && self.blocks.len() > 1 {
            let head = &self.blocks[0];
            let after = self.blocks[1].start;
            if head.pins > 0 || self.next - after <= self.size {
                break;
            }
            self.memory -= head.memory();
            let head = self.blocks.pop_front().expect("there are two blocks");
            self.head_seq += 1;
            self.first = after;
            if self.spare.is_none() {
                self.spare = head.recycle();
            }
            trimmed += 1;
        }
        trimmed
    }

    /// Changes the configured size (raised to the floor). Shrinking trims lazily.
    pub fn resize(&mut self, size: u64) {
        self.size = size.max(BACKLOG_SIZE_MIN);
        self.trim(TRIM_BLOCKS_PER_CALL);
    }

    /// A cursor at `offset`, the next byte wanted; `None` when the window does not reach there.
    pub fn cursor_at(&mut self, offset: u64) -> Option<Cursor> {
        if !self.covers(offset) {
            return None;
        }
        if self.blocks.is_empty() {
            self.pins_waiting += 1;
            return Some(Cursor {
                next: offset,
                seq: self.head_seq,
            });
        }
        // The last block whose first byte is not beyond the offset; the end belongs to the tail.
        let index = self
            .blocks
            .partition_point(|b| b.start <= offset)
            .saturating_sub(1);
        self.blocks[index].pins += 1;
        Some(Cursor {
            next: offset,
            seq: self.head_seq + index as u64,
        })
    }

    /// A cursor that wants what comes after everything appended so far.
    pub fn cursor_at_end(&mut self) -> Cursor {
        self.cursor_at(self.next)
            .expect("the window always covers its end")
    }

    /// A second cursor at the place of `cursor`.
    pub fn duplicate(&mut self, cursor: &Cursor) -> Cursor {
        *self.pins_of(cursor.seq) += 1;
        Cursor {
            next: cursor.next,
            seq: cursor.seq,
        }
    }

    /// Gives up a cursor and, with it, its pin.
    pub fn release(&mut self, cursor: Cursor) {
        *self.pins_of(cursor.seq) -= 1;
        self.trim(TRIM_BLOCKS_PER_CALL);
    }

    /// Collects into `out` what `cursor` needs next: at most `bytes_max` bytes in `slices_max` slices.
    /// Returns the bytes collected. The slices stay valid however the backlog changes.
    pub fn read(
        &self,
        cursor: &Cursor,
        bytes_max: usize,
        slices_max: usize,
        out: &mut Vec<Slice>,
    ) -> usize {
        let mut index = usize::try_from(cursor.seq - self.head_seq).unwrap_or(usize::MAX);
        let (mut at, mut taken) = (cursor.next, 0);
        while taken < bytes_max && out.len() < slices_max {
            let Some(block) = self.blocks.get(index) else {
                break;
            };
            let from = usize::try_from(at - block.start).unwrap_or(usize::MAX);
            let slice = block.slice(from, bytes_max - taken);
            if !slice.is_empty() {
                at += slice.len() as u64;
                taken += slice.len();
                out.push(slice);
            }
            index += 1;
        }
        taken
    }

    /// Moves `cursor` over `count` bytes that its consumer has; never beyond the end.
    pub fn advance(&mut self, cursor: &mut Cursor, count: u64) {
        cursor.next = cursor.next.saturating_add(count).min(self.next);
        let old_seq = cursor.seq;
        // A cursor at the end stays on the tail, which is where the next byte may land.
        while let Some(block) = self.block(cursor.seq + 1)
            && block.start <= cursor.next
        {
            cursor.seq += 1;
        }
        if cursor.seq != old_seq {
            *self.pins_of(old_seq) -= 1;
            *self.pins_of(cursor.seq) += 1;
            self.trim(TRIM_BLOCKS_PER_CALL);
        }
    }

    /// Bytes that `cursor` has still to read.
    pub fn pending_bytes(&self, cursor: &Cursor) -> u64 {
        self.next - cursor.next
    }

    /// Memory that `cursor` pins, in bytes: whole blocks from its own on, with their overhead.
    pub fn memory_of(&self, cursor: &Cursor) -> u64 {
        self.block(cursor.seq)
            .map_or(0, |b| self.memory_made - b.memory_before)
    }

    /// Whether a consumer that asks for `offset` next can be served: held, or just past the end.
    pub fn covers(&self, offset: u64) -> bool {
        (self.first..=self.next).contains(&offset)
    }

    /// Offset of the first byte held; of the next one to come when nothing is held.
    pub fn first_offset(&self) -> u64 {
        self.first
    }

    /// Offset the next appended byte gets.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Bytes held.
    pub fn histlen(&self) -> u64 {
        self.next - self.first
    }

    /// Configured size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether no block exists yet, so that a new cursor has nothing to pin.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Memory of all blocks, whoever pins them, in bytes (INFO `mem_total_replication_buffers`).
    pub fn memory_total(&self) -> u64 {
        self.memory
    }

    /// The backlog's own share of it (INFO `mem_replication_backlog`): what exceeds the configured size
    /// is there for the replicas' sake.
    pub fn memory_backlog(&self) -> u64 {
        self.memory.min(self.size)
    }

    /// Memory held for replicas beyond the backlog's share, in bytes (INFO `mem_clients_slaves`).
    pub fn memory_replicas(&self) -> u64 {
        self.memory - self.memory_backlog()
    }

    /// Adds a block for `len` more bytes.
    fn open_block(&mut self, len: usize) {
        let share = usize::try_from(self.size / BACKLOG_SHARE_MAX).unwrap_or(usize::MAX);
        let capacity = len.max(BLOCK_BYTES_MIN).min(share.max(BLOCK_BYTES_MIN));
        let start = self.blocks.back().map_or(self.first, Block::end);
        let spare = if capacity == BLOCK_BYTES_MIN {
            self.spare.take()
        } else {
            None
        };
        let mut block = Block::new(start, capacity, self.memory_made, spare);
        block.pins = std::mem::take(&mut self.pins_waiting);
        self.memory += block.memory();
        self.memory_made += block.memory();
        self.blocks.push_back(block);
    }

    fn block(&self, seq: u64) -> Option<&Block> {
        self.blocks
            .get(usize::try_from(seq.checked_sub(self.head_seq)?).ok()?)
    }

    fn pins_of(&mut self, seq: u64) -> &mut u32 {
        let index = usize::try_from(seq - self.head_seq).unwrap_or(usize::MAX);
        match self.blocks.get_mut(index) {
            Some(block) => &mut block.pins,
            None => &mut self.pins_waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(slices: &[Slice]) -> Vec<u8> {
        slices.iter().flat_map(|s| s.iter().copied()).collect()
    }

    #[test]
    fn offsets_start_where_told_and_count_bytes() {
        let mut b = Backlog::new(1 << 20, 101);
        assert_eq!(
            (b.first_offset(), b.histlen(), b.next_offset()),
            (101, 0, 101)
        );
        assert_eq!(b.append(b"hello"), Appended::NewBlock);
        assert_eq!(b.append(b" world"), Appended::InPlace);
        assert_eq!(
            (b.first_offset(), b.histlen(), b.next_offset()),
            (101, 11, 112)
        );
        let c = b.cursor_at(107).unwrap();
        let mut out = Vec::new();
        assert_eq!(b.read(&c, 100, 8, &mut out), 5);
        assert_eq!(bytes_of(&out), b"world");
        assert!(b.cursor_at(113).is_none());
        assert!(b.cursor_at(100).is_none());
        b.release(c);
    }

    #[test]
    fn a_slice_keeps_its_bytes_while_the_tail_grows() {
        let mut b = Backlog::new(1 << 20, 1);
        b.append(b"abc");
        let c = b.cursor_at(1).unwrap();
        let mut out = Vec::new();
        b.read(&c, 100, 8, &mut out);
        b.append(b"def");
        assert_eq!(bytes_of(&out), b"abc");
        let mut again = Vec::new();
        b.read(&c, 100, 8, &mut again);
        assert_eq!(bytes_of(&again), b"abcdef");
        assert_eq!(again.len(), 1, "one block, one slice");
        b.release(c);
    }

    #[test]
    fn a_pin_holds_the_window_open_and_its_release_shrinks_it() {
        let mut b = Backlog::new(64 * 1024, 1);
        let pin = b.cursor_at_end(); // No block yet: it attaches to the first one.
        for _ in 0..40 {
            b.append(&[7; 16 * 1024]);
        }
        assert_eq!(b.first_offset(), 1);
        assert_eq!(b.histlen(), 40 * 16 * 1024);
        assert!(b.memory_of(&pin) >= b.histlen());
        assert_eq!(b.memory_of(&pin), b.memory_total());
        b.release(pin);
        assert!(
            b.histlen() > 64 * 1024 && b.histlen() <= 80 * 1024,
            "{}",
            b.histlen()
        );
    }

    #[test]
    fn big_appends_get_blocks_of_at_most_a_sixteenth() {
        let mut b = Backlog::new(16 << 20, 1);
        b.append(&vec![1; 100_000]);
        assert_eq!(b.blocks.len(), 1);
        b.append(&vec![1; 5 << 20]);
        assert_eq!(b.blocks.len(), 6);
        assert!(b.blocks.iter().all(|x| x.memory() <= (1 << 20) + 1024));
    }

    #[test]
    fn two_cursors_do_not_double_the_memory() {
        let mut b = Backlog::new(BACKLOG_SIZE_MIN, 1);
        let (c1, c2) = (b.cursor_at_end(), b.cursor_at_end());
        for _ in 0..10 {
            b.append(&[0; 10_000]);
        }
        assert_eq!(b.memory_of(&c1), b.memory_of(&c2));
        assert_eq!(b.memory_total(), b.memory_of(&c1));
        b.release(c1);
        b.release(c2);
    }
}
