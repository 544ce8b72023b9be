//! One block of the stream, and the slices of it that readers hold.

use crate::limits::BLOCK_BYTES_MIN;
use std::ops::Deref;
use std::sync::Arc;

/// What a block costs beside its bytes: this struct, the counted vector's header.
const BLOCK_OVERHEAD: u64 =
    (size_of::<Block>() + size_of::<Vec<u8>>() + 2 * size_of::<usize>()) as u64;

/// A run of stream bytes. `data.len() <= capacity`; only the last block of the list has room left.
#[derive(Debug)]
pub(crate) struct Block {
    /// Stream offset of `data[0]`.
    pub(crate) start: u64,
    /// Memory of all blocks made before this one.
    pub(crate) memory_before: u64,
    /// Cursors whose next byte lies here.
    pub(crate) pins: u32,
    capacity: usize,
    data: Arc<Vec<u8>>,
}

impl Block {
    /// An empty block at `start`, using `spare`'s allocation when there is one.
    pub(crate) fn new(
        start: u64,
        capacity: usize,
        memory_before: u64,
        spare: Option<Arc<Vec<u8>>>,
    ) -> Self {
        let data = spare.unwrap_or_else(|| Arc::new(Vec::with_capacity(capacity)));
        Block {
            start,
            memory_before,
            pins: 0,
            capacity,
            data,
        }
    }

    /// Appends what fits and returns the rest.
    ///
    /// A reader that still holds the block keeps its bytes: then they are copied (at most
    /// `BLOCK_BYTES_MIN`, larger blocks are full from the start) and the copy goes on.
    pub(crate) fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(self.capacity - self.data.len()));
        if now.is_empty() {
            return rest;
        }
        if let Some(data) = Arc::get_mut(&mut self.data) {
            data.extend_from_slice(now);
        } else {
            let mut copy = Vec::with_capacity(self.capacity);
            copy.extend_from_slice(&self.data);
            copy.extend_from_slice(now);
            self.data = Arc::new(copy);
        }
        rest
    }

    /// Offset just past the last byte held.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }

    /// The bytes from index `from` on, at most `len_max`; empty when there are none.
    pub(crate) fn slice(&self, from: usize, len_max: usize) -> Slice {
        let from = from.min(self.data.len());
        let to = from.saturating_add(len_max).min(self.data.len());
        Slice {
            data: Arc::clone(&self.data),
            from,
            to,
        }
    }

    /// Whole capacity and overhead, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.capacity as u64 + BLOCK_OVERHEAD
    }

    /// The emptied allocation, when it has the usual size and no reader holds it.
    pub(crate) fn recycle(mut self) -> Option<Arc<Vec<u8>>> {
        if self.capacity != BLOCK_BYTES_MIN {
            return None;
        }
        Arc::get_mut(&mut self.data)?.clear();
        Some(self.data)
    }
}

/// Stream bytes a reader holds: a counted reference, no copy. Dereferences to `[u8]`.
#[derive(Debug, Clone)]
pub struct Slice {
    data: Arc<Vec<u8>>,
    // Invariant: `from <= to <= data.len()`.
    from: usize,
    to: usize,
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data[self.from..self.to]
    }
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
