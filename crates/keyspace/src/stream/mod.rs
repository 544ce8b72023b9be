//! Streams: entries in the order of their ids, and the groups of consumers that read them.
//!
//! A [`Stream`] has two halves, so that a group can be changed while entries are read: the [`Log`] holds the entries in
//! listpacks of the layout on disk, found by the id of their first entry; the [`Groups`] know what was delivered to whom.

mod group;
mod id;
mod log;
mod node;
mod radix;

pub(crate) use group::copy_groups;
pub use group::{Consumer, ConsumerName, Delivery, Group, Groups};
pub use id::{IdText, StreamId};
pub use log::{Log, Precision, Range, Trim};
pub use node::StreamEntry;

use crate::Encoding;
use crate::limits::PACKED_BYTES_MAX;

/// What a pending entry takes, in the group's map and in its consumer's, with their share of tree nodes.
const PENDING_BYTES: usize = size_of::<(StreamId, Delivery)>() + size_of::<StreamId>();

/// The options that shape streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// `stream-node-max-bytes`; 0 = no limit.
    pub node_max_bytes: usize,
    /// `stream-node-max-entries`, deleted ones included; 0 = no limit.
    pub node_max_entries: u64,
}

impl Default for StreamLimits {
    fn default() -> Self {
        StreamLimits {
            node_max_bytes: 4096,
            node_max_entries: 100,
        }
    }
}

impl StreamLimits {
    /// The bytes of a node, bounded in any case.
    fn node_bytes(&self) -> usize {
        match self.node_max_bytes {
            0 => PACKED_BYTES_MAX,
            bytes => bytes.min(PACKED_BYTES_MAX),
        }
    }
}

/// A stream. Unlike other containers it stays when it has become empty.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The entries.
    pub log: Log,
    /// The consumer groups.
    pub groups: Groups,
}

impl Stream {
    /// A stream without entries and groups.
    #[must_use]
    pub fn new() -> Self {
        Stream::default()
    }

    /// How the value is held: there is one way.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        Encoding::Stream
    }

    /// See [`crate::Value::free_effort`].
    #[must_use]
    pub fn free_effort(&self) -> usize {
        let pending: usize = self
            .groups
            .values()
            .map(|group| 1 + group.pending().len())
            .sum();
        1 + self.log.node_count() + pending
    }

    /// See [`crate::Value::memory_bytes`].
    #[must_use]
    pub fn memory_bytes(&self, samples: usize) -> usize {
        let groups: usize = self
            .groups
            .iter()
            .map(|(name, group)| {
                let consumers: usize = group
                    .consumers()
                    .keys()
                    .map(|name| name.len() + size_of::<(ConsumerName, Consumer)>())
                    .sum();
                name.len()
                    + size_of::<(Box<[u8]>, Group)>()
                    + consumers
                    + group.pending().len() * PENDING_BYTES
            })
            .sum();
        size_of::<Stream>() + self.log.memory_bytes(samples) + groups
    }
}
