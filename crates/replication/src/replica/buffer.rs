//! The local buffer of a dual-channel sync: stream bytes that wait for the snapshot to be loaded.

use std::collections::VecDeque;

/// Smallest block, in bytes.
const BLOCK_BYTES_MIN: usize = 16 * 1024;
/// A block takes at most one part in this many of the backlog's size.
const BACKLOG_SHARE_MAX: u64 = 16;
/// What a block costs beside its capacity.
const BLOCK_OVERHEAD: u64 = size_of::<Vec<u8>>() as u64;

/// Blocks in the order of the stream. Invariant: `bytes` is the cost of all blocks; only the last has room.
#[derive(Debug, Default)]
pub(super) struct LocalBuffer {
    blocks: VecDeque<Vec<u8>>,
    bytes: u64,
    peak: u64,
    stopped: bool,
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
            ..LocalBuffer::default()
        };
    }

    /// Takes what it may of `data` and returns how much. A new block is refused once the blocks cost more than
    /// `bytes_max` (0 = never): the excess is at most one block.
    pub(super) fn push(&mut self, mut data: &[u8], bytes_max: u64, backlog_bytes: u64) -> usize {
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
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
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
}
