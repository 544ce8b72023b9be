//! Quicklist: a list as a row of nodes, each a listpack of bounded size or one large element.
//!
//! The nodes lie in a ring buffer with their element counts beside them, so that finding an index reads
//! that and nothing else, and a push or pop at either end touches one listpack.

use std::collections::VecDeque;

use packed::{Element, Listpack, Pos};

use super::limits::NodeLimits;
use super::{End, Side};

/// Header and terminator of a listpack.
const EMPTY_PACK_BYTES: usize = 7;

/// Invariant: no node is empty, and `len` is the sum of their counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Quicklist {
    nodes: VecDeque<Node>,
    len: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A listpack and its element count, which saves a look at the bytes.
    Packed(Listpack, u32),
    /// One element that is too large for a listpack.
    Plain(Box<[u8]>),
}

/// An index within the row: which node, which element in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: usize,
    pub(super) offset: usize,
}

impl Node {
    pub(super) fn packed(pack: Listpack) -> Self {
        let count = u32::try_from(pack.len())
            .expect("an entry takes two bytes and a listpack less than 4 GiB");
        Node::Packed(pack, count)
    }

    fn of(value: &[u8], limits: &NodeLimits) -> Self {
        if limits.is_plain(value.len()) {
            Node::Plain(value.into())
        } else {
            let mut pack = Listpack::with_capacity(value.len() + 16);
            pack.push_back(value);
            Node::Packed(pack, 1)
        }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        match self {
            Node::Packed(_, count) => *count as usize,
            Node::Plain(_) => 1,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Node::Packed(pack, _) => pack.heap_bytes(),
            Node::Plain(bytes) => bytes.len(),
        }
    }

    #[inline]
    fn admits(&self, len: usize, limits: &NodeLimits) -> bool {
        match self {
            Node::Packed(pack, count) => {
                !limits.is_plain(len) && limits.admits(pack.byte_len(), *count as usize, len)
            }
            Node::Plain(_) => false,
        }
    }

    /// Adds a value that the node admits.
    #[inline]
    fn push(&mut self, end: End, value: &[u8]) {
        let Node::Packed(pack, count) = self else {
            unreachable!("a plain node admits nothing");
        };
        match end {
            End::Front => pack.push_front(value),
            End::Back => pack.push_back(value),
        }
        *count += 1;
    }

    /// Removes elements equal to `value`, at most `max`, the first ones or the last ones.
    fn remove_equal(&mut self, value: &[u8], from: End, max: usize) -> usize {
        match self {
            Node::Packed(pack, count) => {
                let removed = remove_equal(pack, value, from, max);
                *count -= removed as u32;
                removed
            }
            Node::Plain(bytes) => {
                let equal = max > 0 && **bytes == *value;
                if equal {
                    *self = Node::Packed(Listpack::new(), 0);
                }
                usize::from(equal)
            }
        }
    }
}

impl Quicklist {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn nodes(&self) -> &VecDeque<Node> {
        &self.nodes
    }

    /// The one node, when it is a listpack.
    pub(super) fn only_pack(&self) -> Option<&Listpack> {
        match self.nodes.front() {
            Some(Node::Packed(pack, _)) if self.nodes.len() == 1 => Some(pack),
            _ => None,
        }
    }

    /// Takes the one node out, when it is a listpack.
    pub(super) fn take_only_pack(&mut self) -> Option<Listpack> {
        self.only_pack()?;
        match self.nodes.pop_front()? {
            Node::Packed(pack, count) => {
                self.len -= count as usize;
                Some(pack)
            }
            Node::Plain(_) => None,
        }
    }

    /// Adds a node at the back; an empty one is dropped.
    pub(super) fn append(&mut self, node: Node) {
        if node.count() > 0 {
            self.len += node.count();
            self.nodes.push_back(node);
        }
    }

    #[inline]
    pub(super) fn push(&mut self, end: End, value: &[u8], limits: &NodeLimits) {
        let node = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        match node {
            Some(node) if node.admits(value.len(), limits) => node.push(end, value),
            _ => match end {
                End::Front => self.nodes.push_front(Node::of(value, limits)),
                End::Back => self.nodes.push_back(Node::of(value, limits)),
            },
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop_with<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let node = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        }?;
        let (result, emptied) = match node {
            Node::Packed(pack, count) => {
                *count -= 1;
                (super::pop_pack_with(pack, end, f)?, *count == 0)
            }
            Node::Plain(bytes) => (f(Element::Bytes(bytes)), true),
        };
        if emptied {
            match end {
                End::Front => self.nodes.pop_front(),
                End::Back => self.nodes.pop_back(),
            };
        }
        self.len -= 1;
        Some(result)
    }

    /// Finds an index below `len`, from the nearer end.
    pub(super) fn locate(&self, index: usize) -> Place {
        if index < self.len / 2 {
            let mut offset = index;
            for (node, counted) in self.nodes.iter().map(Node::count).enumerate() {
                if offset < counted {
                    return Place { node, offset };
                }
                offset -= counted;
            }
        } else {
            let mut behind = self.len - index;
            for (node, counted) in self.nodes.iter().map(Node::count).enumerate().rev() {
                if behind <= counted {
                    return Place {
                        node,
                        offset: counted - behind,
                    };
                }
                behind -= counted;
            }
        }
        unreachable!("the index is below the sum of the counts");
    }

    pub(super) fn get(&self, place: Place) -> Option<Element<'_>> {
        match self.nodes.get(place.node)? {
            Node::Packed(pack, _) => pack.seek(place.offset as isize).map(|at| pack.get(at)),
            Node::Plain(bytes) => Some(Element::Bytes(bytes)),
        }
    }

    /// The first element equal to `value`.
    pub(super) fn find(&self, value: &[u8]) -> Option<Place> {
        self.nodes
            .iter()
            .enumerate()
            .find_map(|(node, data)| match data {
                Node::Packed(pack, _) => {
                    let at = pack.find(value, None, 0)?;
                    let offset = pack.iter_through(at).count() - 1;
                    Some(Place { node, offset })
                }
                Node::Plain(bytes) => (**bytes == *value).then_some(Place { node, offset: 0 }),
            })
    }

    /// Replaces the element at `place`, which exists.
    pub(super) fn set(&mut self, place: Place, value: &[u8], limits: &NodeLimits) {
        let plain = limits.is_plain(value.len());
        match &mut self.nodes[place.node] {
            Node::Packed(pack, count) if !plain => {
                let at = seek(pack, place.offset);
                pack.replace(at, value);
                if *count > 1 && limits.overgrown(pack.byte_len()) {
                    // The reference lets such a node grow. Cut beside the new value, so that one large value
                    // after the other ends up in nodes of a few.
                    let cut = if place.offset + 1 < *count as usize {
                        place.offset + 1
                    } else {
                        place.offset
                    };
                    self.split(place.node, cut);
                }
            }
            Node::Plain(bytes) if plain => *bytes = value.into(),
            // The value cannot stay in its node: it moves behind it, and the old one goes.
            _ => {
                self.insert_behind(place, value, limits);
                if self.remove_in_node(place, 1) {
                    // Around the value's own node, as in the reference: what it has cut apart finds other neighbours.
                    self.merge_around(place.node + 1, limits);
                }
            }
        }
    }

    /// Adds a value behind the element at `place` but not in its node, which is cut there if need be.
    fn insert_behind(&mut self, place: Place, value: &[u8], limits: &NodeLimits) {
        self.len += 1;
        let next = place.node + 1;
        if place.offset + 1 < self.nodes[place.node].count() {
            self.split(place.node, place.offset + 1);
        } else if let Some(node) = self.nodes.get_mut(next)
            && node.admits(value.len(), limits)
        {
            node.push(End::Front, value);
            return;
        }
        self.nodes.insert(next, Node::of(value, limits));
    }

    /// Adds a value before or behind the element at `place`, which exists.
    pub(super) fn insert(&mut self, place: Place, side: Side, value: &[u8], limits: &NodeLimits) {
        self.len += 1;
        let len = value.len();
        let index = place.node;
        let offset = match side {
            Side::Before => place.offset,
            Side::After => place.offset + 1,
        };
        let count = self.nodes[index].count();
        let node = &mut self.nodes[index];
        if node.admits(len, limits) {
            let Node::Packed(pack, count) = node else {
                unreachable!("a plain node admits nothing");
            };
            if offset == *count as usize {
                pack.push_back(value);
            } else {
                let at = seek(pack, offset);
                pack.insert_before(at, value);
            }
            *count += 1;
        } else if offset == 0 {
            match index
                .checked_sub(1)
                .map(|previous| &mut self.nodes[previous])
            {
                Some(previous) if previous.admits(len, limits) => previous.push(End::Back, value),
                _ => self.nodes.insert(index, Node::of(value, limits)),
            }
        } else if offset == count {
            match self.nodes.get_mut(index + 1) {
                Some(next) if next.admits(len, limits) => next.push(End::Front, value),
                _ => self.nodes.insert(index + 1, Node::of(value, limits)),
            }
        } else {
            self.split(index, offset);
            if limits.is_plain(len) {
                self.nodes.insert(index + 1, Node::of(value, limits));
                return;
            }
            // A half may get larger than a node by this value, but by no more.
            match side {
                Side::Before => {
                    self.nodes[index].push(End::Back, value);
                    self.merge_around(index + 1, limits);
                }
                Side::After => {
                    self.nodes[index + 1].push(End::Front, value);
                    self.merge_around(index, limits);
                }
            }
        }
    }

    /// Removes elements equal to `value`, at most `max`, from one end on.
    pub(super) fn remove_equal(&mut self, value: &[u8], from: End, max: usize) -> usize {
        let mut left = max;
        let mut emptied = false;
        let mut step = |node: &mut Node| {
            left -= node.remove_equal(value, from, left);
            emptied |= node.count() == 0;
            left > 0
        };
        match from {
            End::Front => self.nodes.iter_mut().all(&mut step),
            End::Back => self.nodes.iter_mut().rev().all(&mut step),
        };
        if emptied {
            self.nodes.retain(|node| node.count() > 0);
        }
        self.len -= max - left;
        max - left
    }

    /// Removes up to `count` elements from index `start` on.
    pub(super) fn remove_range(&mut self, start: usize, count: usize) {
        let mut left = count.min(self.len.saturating_sub(start));
        if left == 0 {
            return;
        }
        let mut place = self.locate(start);
        if place.offset > 0 {
            let part = left.min(self.nodes[place.node].count() - place.offset);
            self.remove_in_node(place, part);
            left -= part;
            place = Place {
                node: place.node + 1,
                offset: 0,
            };
        }
        let mut whole = 0;
        for node in self.nodes.range(place.node..) {
            if node.count() > left {
                break;
            }
            left -= node.count();
            self.len -= node.count();
            whole += 1;
        }
        self.nodes.drain(place.node..place.node + whole);
        if left > 0 {
            self.remove_in_node(place, left);
        }
    }

    /// Removes `count` elements of one node, and the node when none is left; true when it is still there.
    fn remove_in_node(&mut self, place: Place, count: usize) -> bool {
        self.len -= count;
        match &mut self.nodes[place.node] {
            Node::Packed(pack, have) if count < *have as usize => {
                pack.remove_range(place.offset as isize, count);
                *have -= count as u32;
                true
            }
            _ => {
                self.nodes.remove(place.node);
                false
            }
        }
    }

    /// Cuts a listpack node in two before its element `offset`, which is not the first.
    fn split(&mut self, node: usize, offset: usize) {
        let Node::Packed(pack, count) = &mut self.nodes[node] else {
            unreachable!("a plain node has one element, and nothing to cut");
        };
        let back = pack.split_at(offset);
        let back_count = *count - offset as u32;
        *count = offset as u32;
        self.nodes.insert(node + 1, Node::Packed(back, back_count));
    }

    /// Joins neighbours around a node that was cut, in the reference's order: the two before it, the two
    /// behind it, then it with what is before and behind.
    fn merge_around(&mut self, index: usize, limits: &NodeLimits) {
        let mut center = index;
        if center >= 2 && self.merge_with_next(center - 2, limits) {
            center -= 1;
        }
        self.merge_with_next(center + 1, limits);
        if center >= 1 && self.merge_with_next(center - 1, limits) {
            center -= 1;
        }
        self.merge_with_next(center, limits);
    }

    /// Joins a node and the one behind it when they fit into one; true when it did.
    fn merge_with_next(&mut self, index: usize, limits: &NodeLimits) -> bool {
        let (Some(Node::Packed(a, a_count)), Some(Node::Packed(b, b_count))) =
            (self.nodes.get(index), self.nodes.get(index + 1))
        else {
            return false;
        };
        let bytes = a.byte_len() + b.byte_len() - EMPTY_PACK_BYTES;
        if limits.exceeded(bytes, *a_count as usize + *b_count as usize) {
            return false;
        }
        if let (Some(Node::Packed(b, b_count)), Some(Node::Packed(a, a_count))) =
            (self.nodes.remove(index + 1), self.nodes.get_mut(index))
        {
            a.append_all(&b);
            *a_count += b_count;
        }
        true
    }
}

/// Removes elements equal to `value`, at most `max`, the first ones or the last ones.
pub(super) fn remove_equal(pack: &mut Listpack, value: &[u8], from: End, max: usize) -> usize {
    let mut removed = 0;
    let mut at = None;
    while removed < max {
        let found = match from {
            End::Front => pack.find(value, at, 0),
            End::Back => pack.rfind(value, at),
        };
        let Some(found) = found else { break };
        removed += 1;
        let before = pack.prev(found);
        let next = pack.remove(found);
        at = match from {
            End::Front => next,
            End::Back => before,
        };
        if at.is_none() {
            break;
        }
    }
    removed
}

fn seek(pack: &Listpack, offset: usize) -> Pos {
    pack.seek(offset as isize)
        .expect("offsets are below the node's count")
}
