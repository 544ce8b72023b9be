//! The list type: one listpack while it is small, a quicklist beyond.
//!
//! When a list changes from one to the other is visible (`OBJECT ENCODING`), so it follows the reference: a
//! listpack gives way *before* the values of a command would take it over `list-max-listpack-size`, and a
//! quicklist that has come down to one node of at most half that size becomes a listpack again after a pop,
//! LTRIM, LREM or LSET ([`List::shrink`]).
//!
//! `list-compress-depth` has no place here: nodes are not compressed.

mod iter;
mod limits;
mod quicklist;
mod view;

use packed::{Element, Listpack, ListpackRef};

use crate::embedded::{Container, Packed, PackedRef};
use crate::{Encoding, Type, Value};
pub use iter::{Direction, Positions, Range};
pub use limits::ListLimits;
use limits::{NodeLimits, Part};
use quicklist::{Node, Quicklist};
pub use view::ListRef;
use view::View;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The head, index 0.
    Front,
    /// The tail, index -1.
    Back,
}

/// A side of the pivot of LINSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards the head.
    Before,
    /// Towards the tail.
    After,
}

/// A node as it goes to disk.
#[derive(Debug, Clone, Copy)]
pub enum NodeRef<'a> {
    /// Several elements.
    Packed(ListpackRef<'a>),
    /// One large element.
    Plain(&'a [u8]),
}

/// A node as it comes from disk.
#[derive(Debug, Clone)]
pub enum OwnedNode {
    /// Several elements.
    Packed(Listpack),
    /// One large element.
    Plain(Vec<u8>),
}

/// A list of byte strings.
///
/// Indexes are `i64` as in the commands: from 0 at the head, from -1 at the tail. A list may be empty here;
/// that a key never holds an empty one is for the caller to see to.
#[derive(Clone)]
pub struct List(Repr);

#[derive(Clone)]
enum Repr {
    Packed(Listpack),
    Nodes(Quicklist),
}

impl List {
    /// An empty list.
    pub fn new() -> Self {
        List(Repr::Packed(Listpack::new()))
    }

    /// A list of the nodes of an RDB file, in order; empty ones are passed over. It is encoded as the
    /// reference does after loading.
    pub fn from_nodes(nodes: impl IntoIterator<Item = OwnedNode>, limits: &ListLimits) -> Self {
        let mut list = List(Repr::Nodes(Quicklist::default()));
        for node in nodes {
            list.append_node(node);
        }
        list.finish_load(limits);
        list
    }

    /// Adds a node behind the others, for loading; [`List::finish_load`] has to follow the last.
    pub fn append_node(&mut self, node: OwnedNode) {
        self.nodes_mut().append(match node {
            OwnedNode::Packed(pack) => Node::packed(pack),
            OwnedNode::Plain(bytes) => Node::Plain(bytes.into()),
        });
    }

    /// Gives a list that was loaded node by node its encoding.
    pub fn finish_load(&mut self, limits: &ListLimits) {
        self.try_listpack(&NodeLimits::new(limits), Part::Whole);
    }

    /// The list, to be read.
    #[inline]
    pub fn view(&self) -> ListRef<'_> {
        ListRef(match &self.0 {
            Repr::Packed(pack) => View::Packed(pack.view()),
            Repr::Nodes(nodes) => View::Nodes(nodes),
        })
    }

    /// See [`ListRef::len`].
    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// See [`ListRef::is_empty`].
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// See [`ListRef::encoding`].
    #[inline]
    pub fn encoding(&self) -> Encoding {
        self.view().encoding()
    }

    /// See [`ListRef::get`].
    #[inline]
    pub fn get(&self, index: i64) -> Option<Element<'_>> {
        self.view().get(index)
    }

    /// See [`ListRef::clip`].
    #[inline]
    pub fn clip(&self, start: i64, stop: i64) -> (usize, usize) {
        self.view().clip(start, stop)
    }

    /// See [`ListRef::range`].
    #[inline]
    pub fn range(&self, start: usize, count: usize, direction: Direction) -> Range<'_> {
        self.view().range(start, count, direction)
    }

    /// See [`ListRef::iter`].
    #[inline]
    pub fn iter(&self) -> Range<'_> {
        self.view().iter()
    }

    // Ends.

    /// Adds `value` before the head.
    #[inline]
    pub fn push_front(&mut self, value: &[u8], limits: &ListLimits) {
        self.push_all(End::Front, std::iter::once(value), limits);
    }

    /// Adds `value` behind the tail.
    #[inline]
    pub fn push_back(&mut self, value: &[u8], limits: &ListLimits) {
        self.push_all(End::Back, std::iter::once(value), limits);
    }

    /// Adds the values of one command at one end, one after the other. The encoding is chosen once, by all
    /// of them.
    #[inline]
    pub fn push_all<'a, I>(&mut self, end: End, values: I, limits: &ListLimits)
    where
        I: IntoIterator<Item = &'a [u8]>,
        I::IntoIter: Clone,
    {
        let values = values.into_iter();
        let limits = NodeLimits::new(limits);
        if let Repr::Packed(_) = self.0 {
            let (count, bytes) = values
                .clone()
                .fold((0, 0), |(n, sum), value| (n + 1, sum + value.len()));
            self.grow(count, bytes, &limits);
        }
        match &mut self.0 {
            Repr::Packed(pack) => match end {
                End::Front => values.for_each(|value| pack.push_front(value)),
                End::Back => values.for_each(|value| pack.push_back(value)),
            },
            Repr::Nodes(nodes) => values.for_each(|value| nodes.push(end, value, &limits)),
        }
    }

    /// Removes the head. [`List::shrink`] should follow the last pop of a command.
    pub fn pop_front(&mut self) -> Option<Vec<u8>> {
        self.pop_with(End::Front, |element| element.to_vec())
    }

    /// Removes the tail. [`List::shrink`] should follow the last pop of a command.
    pub fn pop_back(&mut self) -> Option<Vec<u8>> {
        self.pop_with(End::Back, |element| element.to_vec())
    }

    /// Removes the element at one end, after `f` has seen it: no allocation. `None` when the list is empty.
    #[inline]
    pub fn pop_with<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        match &mut self.0 {
            Repr::Packed(pack) => pop_pack_with(pack, end, f),
            Repr::Nodes(nodes) => nodes.pop_with(end, f),
        }
    }

    // Indexes.

    /// Replaces the element at `index` (LSET); false when there is none. Chooses the encoding anew, by what comes of it:
    /// the reference counts the value as one more, and converts even for an index that does not exist.
    pub fn set(&mut self, index: i64, value: &[u8], limits: &ListLimits) -> bool {
        let node_limits = NodeLimits::new(limits);
        let Some(index) = self.view().index(index) else {
            return false;
        };
        if let Repr::Packed(pack) = &mut self.0 {
            let at = pack
                .seek(index as isize)
                .expect("the index is below the length");
            let old = pack.get(at).with_bytes(Listpack::encoded_size);
            let bytes = pack.byte_len() - old + Listpack::encoded_size(value);
            if !node_limits.exceeded(bytes, pack.len()) {
                pack.replace(at, value);
                return true;
            }
        }
        let nodes = self.nodes_mut();
        nodes.set(nodes.locate(index), value, &node_limits);
        self.shrink(limits);
        true
    }

    /// Adds `value` beside the first element equal to `pivot` (LINSERT); gives the new length, `None` when
    /// there is no such element.
    pub fn insert(
        &mut self,
        side: Side,
        pivot: &[u8],
        value: &[u8],
        limits: &ListLimits,
    ) -> Option<usize> {
        let limits = NodeLimits::new(limits);
        if let Repr::Packed(pack) = &mut self.0 {
            // Looked for before the list gives up its listpack, unlike in the reference: nothing may come of it.
            let at = pack.find(pivot, None, 0)?;
            if !limits.exceeded(pack.byte_len() + value.len(), pack.len() + 1) {
                match side {
                    Side::Before => pack.insert_before(at, value),
                    Side::After => pack.insert_after(at, value),
                };
                return Some(self.len());
            }
        }
        let nodes = self.nodes_mut();
        let place = nodes.find(pivot)?;
        nodes.insert(place, side, value, &limits);
        Some(self.len())
    }

    /// Removes elements equal to `value` (LREM): the first `count`, the last `-count`, or all for 0; gives
    /// how many. [`List::shrink`] should follow.
    pub fn remove(&mut self, value: &[u8], count: i64) -> usize {
        let from = if count < 0 { End::Back } else { End::Front };
        let max = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        match &mut self.0 {
            Repr::Packed(pack) => quicklist::remove_equal(pack, value, from, max),
            Repr::Nodes(nodes) => nodes.remove_equal(value, from, max),
        }
    }

    /// Keeps the elements from `start` to `stop`, both included (LTRIM); gives how many were removed.
    /// [`List::shrink`] should follow.
    pub fn trim(&mut self, start: i64, stop: i64) -> usize {
        let len = self.len();
        let (start, count) = self.clip(start, stop);
        self.remove_range(start + count, len);
        self.remove_range(0, start);
        len - self.len()
    }

    /// Removes up to `count` elements from index `start` on.
    pub fn remove_range(&mut self, start: usize, count: usize) {
        match &mut self.0 {
            Repr::Packed(pack) => {
                if let Ok(start) = isize::try_from(start) {
                    pack.remove_range(start, count);
                }
            }
            Repr::Nodes(nodes) => nodes.remove_range(start, count),
        }
    }

    // Encoding, disk, memory.

    /// Makes a quicklist that has shrunk to half a node a listpack again.
    #[inline]
    pub fn shrink(&mut self, limits: &ListLimits) {
        if let Repr::Nodes(nodes) = &self.0
            && nodes.nodes().len() == 1
        {
            self.try_listpack(&NodeLimits::new(limits), Part::Half);
        }
    }

    /// Estimated bytes held, from the first `samples` nodes (0: from all).
    pub fn memory_bytes(&self, samples: usize) -> usize {
        let held = match &self.0 {
            Repr::Packed(pack) => pack.heap_bytes(),
            Repr::Nodes(list) => {
                let nodes = list.nodes();
                let samples = if samples == 0 {
                    nodes.len()
                } else {
                    samples.min(nodes.len())
                };
                let sampled: usize = nodes.iter().take(samples).map(Node::heap_bytes).sum();
                // A product beyond 64 bits would take a list of exabytes.
                let held =
                    (sampled as u128 * nodes.len() as u128 / samples.max(1) as u128) as usize;
                held + nodes.capacity() * size_of::<Node>()
            }
        };
        size_of::<Self>() + held
    }

    /// Gives up the listpack when so many more values would make it too large.
    #[inline]
    fn grow(&mut self, values: usize, bytes: usize, limits: &NodeLimits) {
        if let Repr::Packed(pack) = &self.0
            && limits.exceeded(pack.byte_len() + bytes, pack.len() + values)
        {
            self.nodes_mut();
        }
    }

    fn nodes_mut(&mut self) -> &mut Quicklist {
        if let Repr::Packed(pack) = &mut self.0 {
            let pack = std::mem::take(pack);
            let mut nodes = Quicklist::default();
            nodes.append(Node::packed(pack));
            self.0 = Repr::Nodes(nodes);
        }
        match &mut self.0 {
            Repr::Nodes(nodes) => nodes,
            Repr::Packed(_) => unreachable!("turned into nodes just above"),
        }
    }

    fn try_listpack(&mut self, limits: &NodeLimits, part: Part) {
        if let Repr::Nodes(nodes) = &mut self.0
            && let Some(pack) = nodes.only_pack()
            && limits.fits_listpack(pack.byte_len(), nodes.len(), part)
            && let Some(pack) = nodes.take_only_pack()
        {
            self.0 = Repr::Packed(pack);
        }
    }
}

impl Container for List {
    const TYPE: Type = Type::List;
    type Ref<'a> = ListRef<'a>;

    fn view(&self) -> ListRef<'_> {
        List::view(self)
    }

    fn of_packed(packed: PackedRef<'_>) -> ListRef<'_> {
        ListRef(View::Packed(packed.listpack()))
    }

    fn unpack(packed: Packed) -> List {
        List(Repr::Packed(packed.into_listpack()))
    }

    fn packed(&self) -> Option<PackedRef<'_>> {
        match &self.0 {
            Repr::Nodes(_) => None,
            Repr::Packed(pack) => Some(PackedRef::Listpack(pack.view())),
        }
    }

    fn into_packed(self) -> Option<Packed> {
        match self.0 {
            Repr::Nodes(_) => None,
            Repr::Packed(pack) => Some(Packed::Listpack(pack)),
        }
    }

    fn into_value(self) -> Value {
        Value::List(Box::new(self))
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[inline]
fn pop_pack_with<R>(pack: &mut Listpack, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
    let at = match end {
        End::Front => pack.first(),
        End::Back => pack.last(),
    }?;
    let result = f(pack.get(at));
    pack.remove(at);
    Some(result)
}
