//! A large sorted set: a table that owns the items and finds them by member, and an order over them.

#![allow(
    unsafe_code,
    reason = "the order borrows the items that the table owns"
)]

use std::cmp::Ordering;

use super::tree::{Iter, Order, Tree};
use super::{Inserted, Scored};
use crate::Rng;
use crate::hashing::hash;
use crate::table::{self, Stats, Table};
use crate::thin::{ZHandle, ZItem, ZItemRef};

/// Invariant: `order` holds exactly one handle for each item of `items`, under the item's score.
#[derive(Debug, Default)]
pub(super) struct Index {
    items: Table<ZItem>,
    order: Tree<ZHandle>,
}

/// Below so many members all of it is in some cache.
const PREPARED_LEN_MIN: usize = 4096;
/// So many pops before its own a member's bytes are loaded.
const BYTES_AHEAD: usize = 8;
/// And the bucket that has it.
const BUCKET_AHEAD: usize = 4;

impl Index {
    /// An index with room for `n` members.
    pub(super) fn with_capacity(n: usize) -> Self {
        let mut index = Index::default();
        index.items.reserve(n);
        index
    }

    pub(super) fn items(&self) -> &Table<ZItem> {
        &self.items
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        let (mut slot, new) = self
            .items
            .find_or_insert_with(hash(member), member, || ZItem::new(member, score));
        if new {
            // SAFETY: items leave the table only together with their handles: in `remove`, `remove_range` and when both drop.
            self.order.insert(score, unsafe { slot.get().handle() });
            return Inserted::Added;
        }
        let old = slot.get().score();
        if old == score {
            return Inserted::Unchanged;
        }
        slot.update(|item| item.set_score(score));
        self.order.update(old, member, score);
        Inserted::Updated
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let item = self.items.remove(hash(member), member)?;
        let score = item.view().score();
        self.order.remove(score, member);
        Some(score)
    }

    /// Removes `count` members from rank `start` on; the caller keeps to the bounds.
    pub(super) fn remove_range(&mut self, start: usize, count: usize) {
        let items = &mut self.items;
        self.order.remove_range(start, count, |_, handle| {
            let member = handle.bytes();
            drop(items.remove(hash(member), member));
        });
    }

    /// Starts loading what the next removals at this end will read: whoever takes a member takes the next one, too, as a rule.
    /// A member's own bytes come first, and what its table keeps of it once they are there.
    pub(super) fn prepare_pops(&self, order: Order) {
        if self.len() < PREPARED_LEN_MIN {
            return;
        }
        let rank = match order {
            Order::Ascending => 0,
            Order::Descending => self.len() - 1,
        };
        let mut walk = self.order.iter_from(rank, order);
        walk.next();
        if let Some(handle) = walk.ahead(BYTES_AHEAD) {
            handle.prefetch();
        }
        if let Some(handle) = walk.ahead(BUCKET_AHEAD) {
            self.items.prefetch(hash(handle.bytes()));
        }
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.items.find(hash(member), member).map(ZItemRef::score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.order.rank_of(score, member), score))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many items at the low end satisfy `below`, which must hold for a prefix of the order.
    pub(super) fn partition_point(&self, below: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.order
            .rank_where(|score, handle| below(score, handle.bytes()))
    }

    /// A rank behind a member that satisfies `below`, or at the low end, and before one that does not, or at the high
    /// end. Where `below` does not hold for a prefix of the order there are several such ranks: which it is depends on
    /// the members, not on how the tree has grown.
    pub(super) fn bisect(&self, below: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.order.get_by_rank(middle) {
                Some((_, handle)) if below(handle.bytes()) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// From a rank upwards.
    pub(super) fn ascending(&self, rank: usize) -> Walk<'_> {
        Walk(self.order.iter_from(rank, Order::Ascending))
    }

    /// From a rank downwards.
    pub(super) fn descending(&self, rank: usize) -> Walk<'_> {
        Walk(self.order.iter_from(rank, Order::Descending))
    }

    pub(super) fn random(&self, rng: &mut dyn Rng) -> Option<Scored<'_>> {
        self.items
            .random(rng)
            .map(|item| (item.member(), item.score()))
    }

    pub(super) fn scan(&self, cursor: u64, f: &mut dyn FnMut(&[u8], f64)) -> u64 {
        self.items
            .scan(cursor, &mut |item| f(item.member(), item.score()))
    }

    pub(super) fn stats(&self) -> Stats {
        self.items.stats()
    }

    pub(super) fn memory_bytes(&self, samples: usize) -> usize {
        self.items.memory_bytes()
            + self.order.memory_bytes()
            + table::estimate(&self.items, samples, |item| item.memory_bytes())
    }
}

/// An index in the making. Members come in any order; those that come in order, upwards or downwards, cost no sorting.
///
/// A member waits for its bucket, which is loaded while others are made: of a large table none is in a cache.
#[derive(Debug)]
pub(super) struct Growing {
    items: Table<ZItem>,
    /// Those that are not in the table yet, with their hashes.
    waiting: Vec<(u64, ZItem)>,
    /// Scores and handles of all items, as they came.
    came: Vec<(f64, ZHandle)>,
    /// Whether each came above the one before.
    ascending: bool,
    /// Whether each came below the one before.
    descending: bool,
    /// A member has come twice: there is no index of these.
    repeated: bool,
}

/// Members that wait at a time: enough to hide a cache miss behind the making of the others.
const WAITING_MAX: usize = 16;

impl Growing {
    /// An empty one with room for `n` members, and in the index that it becomes for `more`.
    pub(super) fn new(n: usize, more: usize) -> Self {
        let mut items = Table::new();
        items.reserve(n.saturating_add(more));
        Growing {
            items,
            waiting: Vec::with_capacity(WAITING_MAX),
            came: Vec::with_capacity(n),
            ascending: true,
            descending: true,
            repeated: false,
        }
    }

    /// Adds a member; `false` if one is known to have come twice.
    pub(super) fn push(&mut self, member: &[u8], score: f64) -> bool {
        if self.waiting.len() == WAITING_MAX {
            self.settle();
        }
        if self.repeated {
            return false;
        }
        let h = hash(member);
        self.items.prefetch(h);
        let item = ZItem::new(member, score);
        // SAFETY: an item lives in `waiting` and then in `items` until that is part of an index; one that came twice is
        // dropped, and from then on no handle is looked through.
        let now = (score, unsafe { item.view().handle() });
        if let Some(last) = self.came.last() {
            let order = compare(last, &now);
            self.ascending &= order.is_lt();
            self.descending &= order.is_gt();
        }
        self.came.push(now);
        self.waiting.push((h, item));
        true
    }

    /// Lets those that wait into the table.
    fn settle(&mut self) {
        for (h, item) in self.waiting.drain(..) {
            if self.items.find(h, item.view().member()).is_some() {
                self.repeated = true;
            } else {
                self.items.insert_new(h, item);
            }
        }
    }

    /// The index; `None` if a member came twice.
    pub(super) fn finish(mut self) -> Option<Index> {
        self.settle();
        if self.repeated {
            return None;
        }
        let mut sorted = self.came;
        if self.descending {
            sorted.reverse();
        } else if !self.ascending {
            sorted.sort_unstable_by(compare);
        }
        Some(Index {
            items: self.items,
            order: Tree::from_sorted(sorted.into_iter()),
        })
    }
}

fn compare((a, x): &(f64, ZHandle), (b, y): &(f64, ZHandle)) -> Ordering {
    a.partial_cmp(b)
        .expect("scores are numbers")
        .then_with(|| x.bytes().cmp(y.bytes()))
}

/// Iterator in order; borrows the index, so the members it yields stay.
#[derive(Debug)]
pub(super) struct Walk<'a>(Iter<'a, ZHandle>);

impl<'a> Iterator for Walk<'a> {
    type Item = Scored<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scored<'a>> {
        self.0.next().map(|(score, handle)| (handle.bytes(), score))
    }
}
