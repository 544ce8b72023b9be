//! The entries of a stream, without its consumer groups.

use std::collections::{BTreeMap, btree_map};
use std::ops::{Bound, RangeInclusive};

use packed::Listpack;

use super::node::{Counters, Node, StreamEntry, Walk};
use super::{StreamId, StreamLimits, radix};
use crate::Invalid;

/// Room that a node gets ahead of its entries, in bytes.
const NODE_CAPACITY: usize = 4096;

/// Entries in the order of their ids, and what is remembered of those that are gone.
///
/// Invariant: `len` is the sum of the live entries of all nodes, and the ids of live entries ascend across nodes.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Under the id of the first entry that each ever had.
    nodes: BTreeMap<StreamId, Node>,
    len: u64,
    last_id: StreamId,
    /// The largest id that was deleted on its own, as opposed to trimmed away.
    max_deleted_id: StreamId,
    entries_added: u64,
}

/// How far a stream is cut down from its old end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// To so many entries.
    MaxLen(u64),
    /// To entries of this id and later ones.
    MinId(StreamId),
}

/// Whether trimming may leave more than it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Exactly as told.
    Exact,
    /// Whole nodes only, and at most so many entries (0: no limit).
    Nodes(u64),
}

impl Log {
    /// Number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Are there no entries?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the entry added last, be it still there or not.
    #[inline]
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// See [`Log::delete`].
    #[must_use]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Entries ever added.
    #[must_use]
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// The first entry.
    #[must_use]
    pub fn first(&self) -> Option<StreamEntry<'_>> {
        self.range(StreamId::MIN..=StreamId::MAX).next()
    }

    /// The last entry that is there.
    #[must_use]
    pub fn last(&self) -> Option<StreamEntry<'_>> {
        self.range_back(StreamId::MIN..=StreamId::MAX).next()
    }

    /// The id of the first entry; 0-0 when there is none.
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.first().map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The entry of this id.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id..=id).next()
    }

    /// The entries with ids from the one to the other, in order.
    #[must_use]
    pub fn range(&self, ids: RangeInclusive<StreamId>) -> Range<'_> {
        Range::new(self, ids, false)
    }

    /// As [`Log::range`], from the last to the first.
    #[must_use]
    pub fn range_back(&self, ids: RangeInclusive<StreamId>) -> Range<'_> {
        Range::new(self, ids, true)
    }

    /// Adds an entry. Its id must be above [`Log::last_id`], and its fields must fit into a node: see
    /// [`crate::limits::PACKED_BYTES_MAX`].
    #[inline]
    pub fn append(&mut self, id: StreamId, fields: &[[&[u8]; 2]], limits: &StreamLimits) {
        debug_assert!(id > self.last_id);
        let bytes = fields.iter().flatten().map(|part| part.len()).sum();
        match self.nodes.iter_mut().next_back() {
            Some((node_id, node)) if limits.admits(node, bytes) => node.push(*node_id, id, fields),
            last => {
                // A stream that has filled a node will fill the next one as well.
                let capacity = match last {
                    Some((_, node)) => {
                        node.close();
                        limits.node_bytes().min(NODE_CAPACITY)
                    }
                    None => 0,
                };
                let mut node = Node::new(fields, capacity);
                node.push(id, id, fields);
                self.nodes.insert(id, node);
            }
        }
        self.len += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
    }

    /// Removes the entry of this id, and remembers that there is a gap.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((&node_id, node)) = self.nodes.range_mut(..=id).next_back() else {
            return false;
        };
        if !node.delete(node_id, id) {
            return false;
        }
        if node.counters().live == 0 {
            self.nodes.remove(&node_id);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        true
    }

    /// Removes entries from the old end; gives their number.
    pub fn trim(&mut self, how: Trim, precision: Precision) -> u64 {
        let limit = match precision {
            Precision::Nodes(limit) if limit > 0 => limit,
            _ => u64::MAX,
        };
        let before = self.len;
        while let Some((&id, node)) = self.nodes.iter_mut().next() {
            if matches!(how, Trim::MaxLen(most) if self.len <= most) {
                break;
            }
            let live = node.counters().live;
            if before - self.len + live > limit {
                break;
            }
            let whole = match how {
                Trim::MaxLen(most) => self.len - live >= most,
                Trim::MinId(first) => node.last_id(id) < first,
            };
            if whole {
                self.nodes.remove(&id);
                self.len -= live;
                continue;
            }
            if precision == Precision::Exact {
                self.len -= match how {
                    Trim::MaxLen(most) => {
                        let mut left = self.len - most;
                        node.delete_while(id, |_| {
                            let doomed = left > 0;
                            left = left.saturating_sub(1);
                            doomed
                        })
                    }
                    Trim::MinId(first) => node.delete_while(id, |id| id < first),
                };
            }
            break;
        }
        before - self.len
    }

    /// Changes what is remembered of the past. `last_id` must not be below the last entry.
    pub fn set_history(&mut self, last_id: StreamId, entries_added: u64, max_deleted_id: StreamId) {
        self.last_id = last_id;
        self.entries_added = entries_added;
        self.max_deleted_id = max_deleted_id;
    }

    // ---- nodes ----

    /// Number of nodes: the keys of the reference's radix tree.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of nodes that the reference's radix tree would have.
    #[must_use]
    pub fn radix_nodes(&self) -> usize {
        radix::node_count(self.nodes.keys().map(|id| id.to_bytes()))
    }

    /// The nodes with their ids, as they go to disk.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &Listpack)> {
        self.nodes.iter().map(|(id, node)| (*id, node.listpack()))
    }

    /// Adds a node that comes from outside, without counting its entries as added now: see [`Log::set_history`]. True
    /// when its counters were wrong and have been set right.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn insert_node(&mut self, id: StreamId, pack: Listpack) -> Result<bool, Invalid> {
        let (node, corrected) = Node::from_listpack(id, pack)?;
        let before = self.nodes.range(..id).next_back();
        let behind = self.nodes.range(id..).next();
        if before.is_some_and(|(before, node)| node.last_live_id(*before) >= Some(id))
            || behind
                .is_some_and(|(behind, _)| *behind == id || node.last_live_id(id) >= Some(*behind))
        {
            return Err(Invalid::Unsorted);
        }
        self.len += node.counters().live;
        self.nodes.insert(id, node);
        Ok(corrected)
    }

    /// Takes over copies of the next `count` nodes of `source`, whose first ones are all that is here. True when there are no
    /// more, and what is remembered of the past has been taken over as well.
    pub(crate) fn copy_nodes(&mut self, source: &Log, count: usize) -> bool {
        let from = match self.nodes.last_key_value() {
            Some((id, _)) => Bound::Excluded(*id),
            None => Bound::Unbounded,
        };
        let mut nodes = source.nodes.range((from, Bound::Unbounded));
        for (id, node) in nodes.by_ref().take(count) {
            self.len += node.counters().live;
            self.nodes.insert(*id, node.clone());
        }
        if nodes.next().is_some() {
            return false;
        }
        self.set_history(source.last_id, source.entries_added, source.max_deleted_id);
        true
    }

    /// Bytes held by the nodes, judged from `samples` of them (0: all).
    pub(super) fn memory_bytes(&self, samples: usize) -> usize {
        let looked_at = match samples {
            0 => self.nodes.len(),
            samples => samples.min(self.nodes.len()),
        };
        let bytes: usize = self
            .nodes
            .values()
            .take(looked_at)
            .map(|node| node.heap_bytes() + size_of::<(StreamId, Node)>())
            .sum();
        match looked_at {
            0 => 0,
            count => (bytes as u128 * self.nodes.len() as u128 / count as u128) as usize,
        }
    }
}

impl StreamLimits {
    /// Has the node room for an entry whose names and values are so long?
    #[inline]
    fn admits(&self, node: &Node, bytes: usize) -> bool {
        if node.listpack().byte_len().saturating_add(bytes) >= self.node_bytes() {
            return false;
        }
        let Counters { live, deleted } = node.counters();
        self.node_max_entries == 0 || live + deleted < self.node_max_entries
    }
}

/// Entries of a range of ids, in one direction.
pub struct Range<'a> {
    nodes: btree_map::Range<'a, StreamId, Node>,
    walk: Option<Walk<'a>>,
    first: StreamId,
    last: StreamId,
    back: bool,
}

impl<'a> Range<'a> {
    fn new(log: &'a Log, ids: RangeInclusive<StreamId>, back: bool) -> Self {
        let (first, last) = ids.into_inner();
        let nodes = if first > last {
            btree_map::Range::default()
        } else {
            // The first entry may be in a node that begins before it.
            let before = log.nodes.range(..=first).next_back();
            log.nodes.range(before.map_or(first, |(id, _)| *id)..=last)
        };
        Range {
            nodes,
            walk: None,
            first,
            last,
            back,
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = StreamEntry<'a>;

    fn next(&mut self) -> Option<StreamEntry<'a>> {
        loop {
            if let Some(walk) = &mut self.walk {
                let slot = if self.back {
                    walk.next_back()
                } else {
                    walk.next()
                };
                match slot {
                    None => self.walk = None,
                    Some(slot) if slot.deleted => {}
                    Some(slot) if slot.entry.id < self.first => {
                        if self.back {
                            self.nodes = btree_map::Range::default();
                            self.walk = None;
                        }
                    }
                    Some(slot) if slot.entry.id > self.last => {
                        if !self.back {
                            self.nodes = btree_map::Range::default();
                            self.walk = None;
                        }
                    }
                    Some(slot) => return Some(slot.entry),
                }
                continue;
            }
            let (id, node) = if self.back {
                self.nodes.next_back()
            } else {
                self.nodes.next()
            }?;
            self.walk = Some(node.walk(*id));
        }
    }
}
