//! The reading half of a list, wherever its elements lie.

use packed::{Element, ListpackRef};

use super::quicklist::{Node, Quicklist};
use super::{Direction, List, NodeRef, Positions, Range, Repr};
use crate::Encoding;

/// A list, borrowed: to be read.
#[derive(Clone, Copy)]
pub struct ListRef<'a>(pub(super) View<'a>);

#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Packed(ListpackRef<'a>),
    Nodes(&'a Quicklist),
}

impl<'a> ListRef<'a> {
    /// A list of its own with the same elements, held the same way.
    pub fn to_list(self) -> List {
        List(match self.0 {
            View::Packed(pack) => Repr::Packed(pack.to_listpack()),
            View::Nodes(nodes) => Repr::Nodes(nodes.clone()),
        })
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match self.0 {
            View::Packed(pack) => pack.len(),
            View::Nodes(nodes) => nodes.len(),
        }
    }

    /// Are there no elements?
    #[inline]
    pub fn is_empty(self) -> bool {
        match self.0 {
            View::Packed(pack) => pack.is_empty(),
            View::Nodes(nodes) => nodes.len() == 0,
        }
    }

    /// How the list is held: `listpack` or `quicklist`.
    pub fn encoding(self) -> Encoding {
        match self.0 {
            View::Packed(_) => Encoding::Listpack,
            View::Nodes(_) => Encoding::Quicklist,
        }
    }

    /// The element at `index`.
    #[inline]
    pub fn get(self, index: i64) -> Option<Element<'a>> {
        match self.0 {
            View::Packed(pack) => pack
                .seek(isize::try_from(index).ok()?)
                .map(|at| pack.get(at)),
            View::Nodes(nodes) => nodes.get(nodes.locate(self.index(index)?)),
        }
    }

    /// Turns `start` and `stop` of a command (both included, negative from the tail) into an index and a
    /// count within the list; the count is 0 when they name nothing.
    pub fn clip(self, start: i64, stop: i64) -> (usize, usize) {
        let len = i64::try_from(self.len()).unwrap_or(i64::MAX);
        let from_head = |index: i64| {
            if index < 0 {
                index.saturating_add(len)
            } else {
                index
            }
        };
        let start = from_head(start).max(0);
        let stop = from_head(stop).min(len - 1);
        if start > stop {
            (0, 0)
        } else {
            (start as usize, (stop - start) as usize + 1)
        }
    }

    /// Up to `count` elements from index `start` (from the head) on, towards the tail or the head. Finding
    /// the start takes O(nodes) from the nearer end; from there on it streams.
    pub fn range(self, start: usize, count: usize, direction: Direction) -> Range<'a> {
        let len = self.len();
        if start >= len {
            return Range::empty();
        }
        let available = match direction {
            Direction::Forward => len - start,
            Direction::Reverse => start + 1,
        };
        let count = count.min(available);
        match self.0 {
            View::Packed(pack) => Range::of_pack(pack, start, count, direction),
            View::Nodes(nodes) => Range::of_nodes(nodes, start, count, direction),
        }
    }

    /// All elements, from head to tail.
    pub fn iter(self) -> Range<'a> {
        self.range(0, usize::MAX, Direction::Forward)
    }

    /// The indexes of the elements equal to `value` (LPOS), from match number `rank` on: 1 is the first, -1
    /// the last, going towards the head; 0 counts as 1. At most `max` elements are compared; 0 = all.
    pub fn positions(self, value: &'a [u8], rank: i64, max: usize) -> Positions<'a> {
        let max = if max == 0 { usize::MAX } else { max };
        let skip = usize::try_from(rank.unsigned_abs().saturating_sub(1)).unwrap_or(usize::MAX);
        if rank < 0 {
            let last = self.len().saturating_sub(1);
            Positions::new(self.range(last, max, Direction::Reverse), value, last, skip)
        } else {
            Positions::new(self.range(0, max, Direction::Forward), value, 0, skip)
        }
    }

    /// The nodes in order, for saving; a list that is a listpack has one.
    pub fn nodes(self) -> impl ExactSizeIterator<Item = NodeRef<'a>> {
        self.nodes_from(0)
    }

    /// As [`ListRef::nodes`], without the first `from`, which are not looked at.
    pub(crate) fn nodes_from(self, from: usize) -> impl ExactSizeIterator<Item = NodeRef<'a>> {
        let (pack, nodes) = match self.0 {
            View::Packed(pack) => (Some(pack), None),
            View::Nodes(nodes) => (None, Some(nodes.nodes())),
        };
        (from..self.node_count()).map(move |i| match (pack, nodes.map(|nodes| &nodes[i])) {
            (Some(pack), _) => NodeRef::Packed(pack),
            (_, Some(Node::Packed(pack, _))) => NodeRef::Packed(pack.view()),
            (_, Some(Node::Plain(bytes))) => NodeRef::Plain(bytes),
            (None, None) => unreachable!("a list is a listpack or has nodes"),
        })
    }

    /// Number of nodes.
    pub fn node_count(self) -> usize {
        match self.0 {
            View::Packed(_) => 1,
            View::Nodes(nodes) => nodes.nodes().len(),
        }
    }

    /// How much work freeing takes: about the number of allocations.
    pub fn free_effort(self) -> usize {
        self.node_count()
    }

    /// An index from the head, below the length.
    pub(super) fn index(self, index: i64) -> Option<usize> {
        let len = self.len();
        let from_head = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (from_head < len).then_some(from_head)
    }
}

impl std::fmt::Debug for ListRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
