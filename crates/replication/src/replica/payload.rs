//! A snapshot on its way: its header, how much has come, where it ends.

use super::types::Payload;
use crate::limits::EOF_MARK_BYTES;
use crate::primary::spool::SPOOL_MARK;
use crate::text::parse_u64;

/// The line before a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// `$<len>`.
    Sized(u64),
    /// `$EOF:<mark>`.
    Marked([u8; EOF_MARK_BYTES]),
}

impl Header {
    /// Reads the line; `None` when it is not one.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        if let Some(mark) = line.strip_prefix(b"$EOF:") {
            return Some(Header::Marked(mark.try_into().ok()?));
        }
        let bytes = parse_u64(line.strip_prefix(b"$")?)?;
        (1..=i64::MAX as u64)
            .contains(&bytes)
            .then_some(Header::Sized(bytes))
    }
}

/// A snapshot being received.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) payload: Payload,
    pub(super) received: u64,
    header: Header,
    /// The last bytes received, oldest first; at most a mark's length.
    tail: Vec<u8>,
}

impl Receiving {
    pub(super) fn new(payload: Payload, header: Header) -> Self {
        Receiving {
            payload,
            received: 0,
            header,
            tail: Vec::with_capacity(2 * EOF_MARK_BYTES),
        }
    }

    /// Takes the next bytes. Returns how many belong to the snapshot and whether it is complete with them.
    ///
    /// Nothing may follow a mark before our first ACK, so only the very end of what has come is compared.
    pub(super) fn take(&mut self, data: &[u8]) -> (usize, bool) {
        match self.header {
            Header::Sized(size) => {
                let left = size - self.received;
                let used = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
                self.received += used as u64;
                (used, self.received == size)
            }
            Header::Marked(mark) => {
                self.received += data.len() as u64;
                let newest = &data[data.len().saturating_sub(EOF_MARK_BYTES)..];
                self.tail.extend_from_slice(newest);
                let excess = self.tail.len().saturating_sub(EOF_MARK_BYTES);
                self.tail.drain(..excess);
                (data.len(), self.tail == mark)
            }
        }
    }

    /// The mark of one that can be gone on with over another connection, since the primary keeps a file of it.
    pub(super) fn resumable(&self) -> Option<[u8; EOF_MARK_BYTES]> {
        match self.header {
            Header::Marked(mark) if mark.starts_with(SPOOL_MARK) => Some(mark),
            _ => None,
        }
    }

    /// Whether this header belongs to the same snapshot.
    pub(super) fn is_of(&self, header: Header) -> bool {
        self.header == header
    }

    /// Bytes at the end that are not the snapshot's.
    pub(super) fn mark_bytes(&self) -> u64 {
        match self.header {
            Header::Sized(_) => 0,
            Header::Marked(_) => EOF_MARK_BYTES as u64,
        }
    }
}
