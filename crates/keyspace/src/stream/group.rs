//! Consumer groups: who has read what, and what has been delivered but not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{Log, StreamId};

/// The consumer groups of a stream, in the order of their names.
pub type Groups = BTreeMap<Box<[u8]>, Group>;

/// The name of a consumer. Shared, because every delivered entry tells whose it is.
pub type ConsumerName = Arc<[u8]>;

/// A consumer group.
///
/// Invariant: the entries pending of all consumers are those of the group, each with the name of its consumer.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The entry delivered last.
    pub last_id: StreamId,
    /// Entries read, were the group to have read the stream from its beginning; `None` when that cannot be told.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Delivery>,
    consumers: BTreeMap<ConsumerName, Consumer>,
}

/// A consumer: one member of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// When it was last heard of, in Unix milliseconds.
    pub seen_ms: i64,
    /// When it last got or claimed an entry; `None` for never.
    pub active_ms: Option<i64>,
    pending: BTreeSet<StreamId>,
}

/// How an entry was delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// To whom.
    pub consumer: ConsumerName,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// How often.
    pub count: u64,
}

impl Consumer {
    /// The ids delivered to it and not acknowledged, in order.
    #[must_use]
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

impl Group {
    /// A group that has read up to `last_id`.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Group {
            last_id,
            entries_read,
            ..Group::default()
        }
    }

    /// What has been delivered and not acknowledged, in the order of ids.
    #[must_use]
    pub fn pending(&self) -> &BTreeMap<StreamId, Delivery> {
        &self.pending
    }

    /// The consumers, in the order of their names.
    #[must_use]
    pub fn consumers(&self) -> &BTreeMap<ConsumerName, Consumer> {
        &self.consumers
    }

    /// The consumer of this name.
    pub fn consumer_mut(&mut self, name: &[u8]) -> Option<&mut Consumer> {
        self.consumers.get_mut(name)
    }

    /// The name of a consumer as entries hold it.
    #[must_use]
    pub fn consumer_name(&self, name: &[u8]) -> Option<ConsumerName> {
        self.consumers
            .get_key_value(name)
            .map(|(name, _)| Arc::clone(name))
    }

    /// Adds a consumer; false when there is one of this name already.
    pub fn add_consumer(&mut self, name: &[u8], seen_ms: i64, active_ms: Option<i64>) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        let consumer = Consumer {
            seen_ms,
            active_ms,
            pending: BTreeSet::new(),
        };
        self.consumers.insert(name.into(), consumer);
        true
    }

    /// Removes a consumer and what it had pending; gives the number of those entries.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// The entry has been delivered to the consumer, whoever had it before.
    pub fn deliver(&mut self, id: StreamId, delivery: Delivery) {
        if let Some(consumer) = self.consumers.get_mut(&*delivery.consumer) {
            consumer.pending.insert(id);
        }
        let new = Arc::clone(&delivery.consumer);
        if let Some(old) = self.pending.insert(id, delivery)
            && *old.consumer != *new
            && let Some(consumer) = self.consumers.get_mut(&*old.consumer)
        {
            consumer.pending.remove(&id);
        }
    }

    /// Delivers a pending entry to its consumer again: only when and how often changes.
    pub fn delivery_mut(&mut self, id: StreamId) -> Option<&mut Delivery> {
        self.pending.get_mut(&id)
    }

    /// The entry is no longer pending; false when it was not.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(delivery) = self.pending.remove(&id) else {
            return false;
        };
        if let Some(consumer) = self.consumers.get_mut(&*delivery.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// Takes over copies of what is behind the last consumer and the last pending entry here, no more than `left`, which
    /// becomes what is left of it: more than 0 when nothing is missing.
    fn copy_some(&mut self, source: &Group, left: &mut usize) {
        if self.consumers.len() < source.consumers.len() {
            let from = match self.consumers.last_key_value() {
                Some((name, _)) => Bound::Excluded(Arc::clone(name)),
                None => Bound::Unbounded,
            };
            let missing = source.consumers.range((from, Bound::Unbounded));
            for (name, consumer) in missing.take(*left) {
                let begun = Consumer {
                    pending: BTreeSet::new(),
                    ..*consumer
                };
                self.consumers.insert(Arc::clone(name), begun);
                *left -= 1;
            }
        }
        let from = match self.pending.last_key_value() {
            Some((id, _)) => Bound::Excluded(*id),
            None => Bound::Unbounded,
        };
        let missing = source.pending.range((from, Bound::Unbounded));
        for (id, delivery) in missing.take(*left) {
            self.deliver(*id, delivery.clone());
            *left -= 1;
        }
    }

    /// The group reads an entry of the log for the first time.
    pub fn advance(&mut self, id: StreamId, log: &Log) {
        if let Some(read) = self.entries_read
            && !log.has_gap_from(self.last_id)
        {
            self.entries_read = Some(read.wrapping_add(1));
        } else if log.entries_added() > 0 {
            self.entries_read = log.entries_up_to(id);
        }
        self.last_id = id;
    }

    /// The log's count of entries has been set: what the group has read of them can be no more.
    pub fn recount(&mut self, log: &Log) {
        if self
            .entries_read
            .is_some_and(|read| read > log.entries_added())
        {
            self.entries_read = log.entries_up_to(self.last_id);
        }
    }

    /// Entries of the log that the group has not read; `None` when that cannot be told. Negative where somebody has made up
    /// that the group has read more than there ever were, as ENTRIESREAD of XGROUP can: clients expect it so.
    #[must_use]
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let added = log.entries_added();
        if added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !log.has_gap_from(self.last_id) => read,
            _ => log.entries_up_to(self.last_id)?,
        };
        Some((added as i64).wrapping_sub(read as i64))
    }
}

/// Takes over copies of the next `count` groups, consumers and pending entries of `source`, whose first ones are all that is
/// in `copy`. True when there are no more.
pub(crate) fn copy_groups(copy: &mut Groups, source: &Groups, count: usize) -> bool {
    let mut left = count;
    loop {
        let from = match copy.last_entry() {
            None => Bound::Unbounded,
            Some(mut last) => {
                if let Some(group) = source.get(last.key()) {
                    last.get_mut().copy_some(group, &mut left);
                }
                if left == 0 {
                    return false;
                }
                Bound::Excluded(last.key().clone())
            }
        };
        let Some((name, group)) = source.range((from, Bound::Unbounded)).next() else {
            return true;
        };
        let begun = Group::new(group.last_id, group.entries_read);
        copy.insert(name.clone(), begun);
        left = left.saturating_sub(1);
    }
}

impl Log {
    /// Whether an entry of `id` or behind it was deleted on its own, as opposed to trimmed away.
    fn has_gap_from(&self, id: StreamId) -> bool {
        let gap = self.max_deleted_id();
        !self.is_empty() && gap != StreamId::MIN && id <= gap && self.first_id() <= gap
    }

    /// How many entries had been added when the one of `id` was; `None` when that cannot be told.
    #[must_use]
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        let added = self.entries_added();
        if added == 0 {
            return Some(0);
        }
        let (last, gap) = (self.last_id(), self.max_deleted_id());
        if self.is_empty() && id <= last {
            return Some(added);
        }
        if id == last {
            return Some(added);
        }
        if id > last {
            return None;
        }
        let first = self.first_id();
        if gap != StreamId::MIN && gap >= first {
            return None;
        }
        let before = added.wrapping_sub(self.len());
        match id.cmp(&first) {
            std::cmp::Ordering::Less => Some(before),
            std::cmp::Ordering::Equal => Some(before.wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }
}
