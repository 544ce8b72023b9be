//! The local buffer of a dual-channel sync: stream bytes that wait for the snapshot to be loaded.
//!
//! It is a queue in two parts: blocks in memory, and behind them, once those have reached their bound, bytes in a file that
//! belongs to the server. As long as there are any in the file, new ones go there too.

use std::collections::VecDeque;

/// Smallest block, in bytes.
const BLOCK_BYTES_MIN: usize = 16 * 1024;
/// A block takes at most one part in this many of the backlog's size.
const BACKLOG_SHARE_MAX: u64 = 16;
/// What a block costs beside its capacity.
const BLOCK_OVERHEAD: u64 = size_of::<Vec<u8>>() as u64;

/// How much the buffer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Memory, in bytes; 0 = no bound.
    pub(super) memory_bytes: u64,
    /// The file, in bytes; 0 = there is none.
    pub(super) spill_bytes: u64,
    /// `repl-backlog-size`, in bytes: sizes the blocks.
    pub(super) backlog_bytes: u64,
}

/// Where bytes were put, or have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// So many are in memory.
    Memory(usize),
    /// So many have to be appended to the file.
    Spill(usize),
    /// There is no room.
    Nowhere,
}

/// What comes next out of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A block.
    Block(Vec<u8>),
    /// So many bytes of the file.
    Spilled(u64),
    /// Nothing.
    Empty,
}

/// Blocks in the order of the stream. Invariant: `bytes` is the cost of all blocks; only the last has room.
#[derive(Debug, Default)]
pub(super) struct LocalBuffer {
    blocks: VecDeque<Vec<u8>>,
    bytes: u64,
    peak: u64,
    stopped: bool,
    /// Bytes in the file that have not been taken out.
    spilled: u64,
    spilled_peak: u64,
    /// Bytes written to the file since it was empty: what it takes.
    file_bytes: u64,
    /// There is a file.
    has_file: bool,
    /// The file could not be written: no more is spilled in this session.
    is_broken: bool,
}

impl LocalBuffer {
    /// Starts a session: empty, peak forgotten.
    pub(super) fn restart(&mut self) {
        *self = LocalBuffer::default();
    }

    /// Ends a session; the peak stays to be seen.
    pub(super) fn clear(&mut self) {
        *self = LocalBuffer {
            peak: self.peak,
            spilled_peak: self.spilled_peak,
            ..LocalBuffer::default()
        };
    }

    /// Finds room for what it may take of `data`, which is copied unless it has to go to the file.
    pub(super) fn place(&mut self, data: &[u8], bounds: Bounds) -> Placed {
        if self.spilled == 0 {
            match self.push(data, bounds.memory_bytes, bounds.backlog_bytes) {
                0 => {}
                used => return Placed::Memory(used),
            }
        }
        if self.is_broken {
            return Placed::Nowhere;
        }
        let room = bounds.spill_bytes.saturating_sub(self.file_bytes);
        match usize::try_from(room).map_or(data.len(), |room| room.min(data.len())) {
            0 => Placed::Nowhere,
            used => {
                self.spilled += used as u64;
                self.file_bytes += used as u64;
                self.has_file = true;
                self.spilled_peak = self.spilled_peak.max(self.spilled);
                Placed::Spill(used)
            }
        }
    }

    /// The file could not take the last `count` bytes: they were not placed, and no more will be spilled.
    pub(super) fn spill_failed(&mut self, count: u64) {
        self.spilled = self.spilled.saturating_sub(count);
        self.file_bytes = self.file_bytes.saturating_sub(count);
        self.is_broken = true;
    }

    /// Takes out what comes next: a block, or at most `piece_bytes` of the file.
    pub(super) fn next(&mut self, piece_bytes: u64) -> Next {
        if let Some(block) = self.pop() {
            return Next::Block(block);
        }
        let count = self.spilled.min(piece_bytes);
        if count == 0 {
            return Next::Empty;
        }
        self.spilled -= count;
        if self.spilled == 0 {
            self.file_bytes = 0;
        }
        Next::Spilled(count)
    }

    /// Whether enough has been taken out for reading to go on after it had to stop.
    pub(super) fn has_room_again(&self, bounds: Bounds) -> bool {
        match self.spilled {
            0 => bounds.memory_bytes == 0 || self.bytes <= bounds.memory_bytes / 2,
            _ => self.file_bytes <= bounds.spill_bytes / 2 && !self.is_broken,
        }
    }

    /// Whether this session has a file.
    pub(super) fn has_file(&self) -> bool {
        self.has_file
    }

    /// Bytes in the file.
    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// The most there have been in the file in this session or, after it, in the last one.
    pub(super) fn spilled_peak(&self) -> u64 {
        self.spilled_peak
    }

    /// Takes what it may of `data` and returns how much. A new block is refused once the blocks cost more than
    /// `bytes_max` (0 = never): the excess is at most one block.
    fn push(&mut self, mut data: &[u8], bytes_max: u64, backlog_bytes: u64) -> usize {
        let given = data.len();
        while !data.is_empty() {
            if let Some(tail) = self.blocks.back_mut().filter(|t| t.len() < t.capacity()) {
                let (now, rest) = data.split_at(data.len().min(tail.capacity() - tail.len()));
                tail.extend_from_slice(now);
                data = rest;
                continue;
            }
            if bytes_max > 0 && self.bytes > bytes_max {
                break;
            }
            let block = Vec::with_capacity(capacity(data.len(), backlog_bytes));
            self.bytes += block.capacity() as u64 + BLOCK_OVERHEAD;
            self.peak = self.peak.max(self.bytes);
            self.blocks.push_back(block);
        }
        given - data.len()
    }

    /// The limit was met: true the first time it is asked in a session.
    pub(super) fn stop(&mut self) -> bool {
        !std::mem::replace(&mut self.stopped, true)
    }

    /// Takes the oldest block out.
    fn pop(&mut self) -> Option<Vec<u8>> {
        let block = self.blocks.pop_front()?;
        self.bytes -= block.capacity() as u64 + BLOCK_OVERHEAD;
        Some(block)
    }

    /// What the blocks cost now, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The most they have cost in this session or, after it, in the last one.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }
}

/// The size of a block for this many bytes and more. Allocators have the powers of two: of another size they might give
/// a fifth more than they are asked for, and the costs would not be what is counted here.
fn capacity(wanted: usize, backlog_bytes: u64) -> usize {
    let share = usize::try_from(backlog_bytes / BACKLOG_SHARE_MAX).unwrap_or(usize::MAX);
    let largest = 1 << share.max(BLOCK_BYTES_MIN).ilog2();
    wanted.clamp(BLOCK_BYTES_MIN, largest).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_power_of_two_within_its_share_of_the_backlog() {
        let sizes = [1, 20_000, 65_537, 700_000].map(|wanted| capacity(wanted, 10 << 20));
        assert_eq!(sizes, [16 << 10, 32 << 10, 128 << 10, 512 << 10]);
        assert_eq!(capacity(700_000, 16 << 10), 16 << 10);
        assert_eq!(capacity(700_000, u64::MAX), 1 << 20);
    }

    #[test]
    fn it_stops_within_a_block_of_its_limit() {
        let mut buffer = LocalBuffer::default();
        let (mut taken, chunk) = (0, [7u8; 1000]);
        loop {
            let n = buffer.push(&chunk, 100_000, 10 << 20);
            taken += n;
            if n < chunk.len() {
                break;
            }
        }
        assert!(
            buffer.bytes() > 100_000 && buffer.bytes() < 100_000 + 17_000,
            "{}",
            buffer.bytes()
        );
        let mut drained = 0;
        while let Some(block) = buffer.pop() {
            drained += block.len();
        }
        assert_eq!((drained, buffer.bytes()), (taken, 0));
        assert!(buffer.peak() > 100_000);
    }

    #[test]
    fn what_memory_cannot_take_goes_to_the_file_in_order() {
        let bounds = Bounds {
            memory_bytes: 10_000,
            spill_bytes: 50_000,
            backlog_bytes: 10 << 20,
        };
        let (mut buffer, chunk) = (LocalBuffer::default(), [7u8; 1000]);
        let (mut memory, mut spilled) = (0, 0);
        loop {
            match buffer.place(&chunk, bounds) {
                Placed::Memory(used) => {
                    assert_eq!(spilled, 0, "memory comes first");
                    memory += used;
                }
                Placed::Spill(used) => spilled += used,
                Placed::Nowhere => break,
            }
        }
        assert!((10_000..27_000).contains(&memory), "{memory}");
        assert_eq!((spilled, buffer.spilled()), (50_000, 50_000));
        assert!(!buffer.has_room_again(bounds));
        assert!(matches!(buffer.next(30_000), Next::Block(block) if block.len() == memory));
        assert_eq!(buffer.next(30_000), Next::Spilled(30_000));
        // Memory is free, but what is in the file comes first.
        assert_eq!(buffer.place(&chunk, bounds), Placed::Nowhere);
        assert_eq!(buffer.next(30_000), Next::Spilled(20_000));
        assert_eq!(buffer.next(30_000), Next::Empty);
        assert!(buffer.has_room_again(bounds));
        assert_eq!(buffer.place(&chunk, bounds), Placed::Memory(1000));
        assert_eq!((buffer.spilled_peak(), buffer.has_file()), (50_000, true));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_not_tried_again() {
        let bounds = Bounds {
            memory_bytes: 1,
            spill_bytes: 50_000,
            backlog_bytes: 0,
        };
        let mut buffer = LocalBuffer::default();
        let chunk = [7u8; 16 * 1024];
        assert_eq!(buffer.place(&chunk, bounds), Placed::Memory(16 * 1024));
        assert_eq!(buffer.place(&chunk, bounds), Placed::Spill(16 * 1024));
        buffer.spill_failed(16 * 1024);
        assert_eq!(buffer.place(&chunk, bounds), Placed::Nowhere);
        assert_eq!(buffer.spilled(), 0);
    }
}
