//! Streaming elements out of a list, from any index in either direction.

use std::collections::vec_deque;
use std::iter::FusedIterator;

use packed::{Element, ListpackIter, ListpackRef};

use super::quicklist::{Node, Quicklist};

/// Which way to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From head to tail.
    Forward,
    /// From tail to head.
    Reverse,
}

/// Elements of a list in the order asked for; see [`super::List::range`].
#[derive(Clone)]
pub struct Range<'a> {
    current: Chunk<'a>,
    /// The nodes after `current`, seen in the walk's direction.
    nodes: vec_deque::Iter<'a, Node>,
    left: usize,
    direction: Direction,
}

/// What is left of one node.
#[derive(Clone)]
enum Chunk<'a> {
    Packed(ListpackIter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> Chunk<'a> {
    fn whole(node: &'a Node) -> Self {
        match node {
            Node::Packed(pack, _) => Chunk::Packed(pack.iter()),
            Node::Plain(bytes) => Chunk::Plain(Some(bytes)),
        }
    }

    /// The elements of `pack` from number `offset` on.
    fn part(pack: ListpackRef<'a>, offset: usize, direction: Direction) -> Self {
        match (pack.seek(offset as isize), direction) {
            (Some(at), Direction::Forward) => Chunk::Packed(pack.iter_from(at)),
            (Some(at), Direction::Reverse) => Chunk::Packed(pack.iter_through(at)),
            (None, _) => Chunk::Plain(None),
        }
    }

    #[inline]
    fn next(&mut self, direction: Direction) -> Option<Element<'a>> {
        match (self, direction) {
            (Chunk::Packed(iter), Direction::Forward) => iter.next(),
            (Chunk::Packed(iter), Direction::Reverse) => iter.next_back(),
            (Chunk::Plain(bytes), _) => bytes.take().map(Element::Bytes),
        }
    }
}

impl<'a> Range<'a> {
    pub(super) fn of_pack(
        pack: ListpackRef<'a>,
        start: usize,
        left: usize,
        direction: Direction,
    ) -> Self {
        let current = Chunk::part(pack, start, direction);
        Self {
            current,
            nodes: vec_deque::Iter::default(),
            left,
            direction,
        }
    }

    /// `start` is below the list's length.
    pub(super) fn of_nodes(
        list: &'a Quicklist,
        start: usize,
        left: usize,
        direction: Direction,
    ) -> Self {
        let place = list.locate(start);
        let current = match &list.nodes()[place.node] {
            Node::Packed(pack, _) => Chunk::part(pack.view(), place.offset, direction),
            Node::Plain(bytes) => Chunk::Plain(Some(bytes)),
        };
        let nodes = match direction {
            Direction::Forward => list.nodes().range(place.node + 1..),
            Direction::Reverse => list.nodes().range(..place.node),
        };
        Self {
            current,
            nodes,
            left,
            direction,
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            current: Chunk::Plain(None),
            nodes: vec_deque::Iter::default(),
            left: 0,
            direction: Direction::Forward,
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(element) = self.current.next(self.direction) {
                return Some(element);
            }
            let node = match self.direction {
                Direction::Forward => self.nodes.next(),
                Direction::Reverse => self.nodes.next_back(),
            };
            match node {
                Some(node) => self.current = Chunk::whole(node),
                None => {
                    self.left = 0;
                    return None;
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// As calling `next` again and again, but what is the same for a whole node is asked once.
    #[inline]
    fn fold<B, F>(mut self, mut state: B, mut with: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        loop {
            if let (Chunk::Packed(iter), Direction::Forward) = (&mut self.current, self.direction) {
                let (mut iter, mut left) = (iter.clone(), self.left);
                while left > 0
                    && let Some(element) = iter.next()
                {
                    left -= 1;
                    state = with(state, element);
                }
                self.left = left;
                self.current = Chunk::Plain(None);
            }
            let Some(element) = self.next() else {
                return state;
            };
            state = with(state, element);
        }
    }
}

impl ExactSizeIterator for Range<'_> {}
impl FusedIterator for Range<'_> {}

/// Indexes (from the head) of the elements equal to a value; see [`super::List::positions`].
#[derive(Clone)]
pub struct Positions<'a> {
    range: Range<'a>,
    /// The value, as a number when it is one: then comparing it with numbers costs nothing.
    value: Element<'a>,
    /// The index of the element that `range` gives next.
    index: usize,
    /// How many matches to pass over first.
    skip: usize,
}

impl<'a> Positions<'a> {
    pub(super) fn new(range: Range<'a>, value: &'a [u8], index: usize, skip: usize) -> Self {
        let value = words::int::parse_i64(value).map_or(Element::Bytes(value), Element::Int);
        Self {
            range,
            value,
            index,
            skip,
        }
    }
}

impl Iterator for Positions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let element = self.range.next()?;
            let index = self.index;
            self.index = match self.range.direction {
                Direction::Forward => index + 1,
                // Wraps after the head, when there is no next.
                Direction::Reverse => index.wrapping_sub(1),
            };
            if element == self.value {
                match self.skip.checked_sub(1) {
                    Some(skip) => self.skip = skip,
                    None => return Some(index),
                }
            }
        }
    }
}

impl FusedIterator for Positions<'_> {}
