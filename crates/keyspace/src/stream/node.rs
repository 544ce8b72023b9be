//! A node of a stream: entries of nearby ids in one listpack, in the layout that is also on disk.
//!
//! ```text
//! node  = live, deleted, count, name * count, 0      the master: counters and the names of the first entry
//!         entry *
//! entry = flags, ms, seq, value * count, elements    SAME_FIELDS: the names are those of the master
//!       | flags, ms, seq, n, (name, value) * n, elements
//! ```
//!
//! Every part is an element. `ms` and `seq` are differences to the node's id, and `elements` counts the elements of the
//! entry before it, which is how a walk from the back finds where the entry begins. Deleted entries stay, flagged, until
//! their node goes.

use packed::{Element, Listpack, ListpackIter, Pos};

use super::StreamId;
use crate::Invalid;

/// Flag: the entry is deleted.
const DELETED: i64 = 1;
/// Flag: the entry has the names of the master.
const SAME_FIELDS: i64 = 2;
/// Elements of an entry before its names and values: flags and both parts of the id.
const HEAD: usize = 3;

/// Entries of nearby ids. Its own id, that of its first entry, is the key under which it is held.
///
/// Invariant: the layout above, with counters that are right, and live entries in the order of their ids.
#[derive(Clone, Debug)]
pub(super) struct Node(Listpack);

/// The counters of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) live: u64,
    pub(super) deleted: u64,
}

impl Node {
    /// A node with the master of an entry of `fields`, but without the entry. It can grow to `capacity` bytes at once.
    pub(super) fn new(fields: &[[&[u8]; 2]], capacity: usize) -> Node {
        let mut pack = Listpack::with_capacity(capacity);
        pack.push_back_int(0);
        pack.push_back_int(0);
        pack.push_back_int(fields.len() as i64);
        for [name, _] in fields {
            pack.push_back(name);
        }
        pack.push_back_int(0);
        Node(pack)
    }

    /// Checks every part of a node that comes from outside. Counters that are wrong are set right, and then it says so.
    pub(super) fn from_listpack(id: StreamId, pack: Listpack) -> Result<(Node, bool), Invalid> {
        let mut node = Node(pack);
        let counters = node.check(id).ok_or(Invalid::Node)?;
        let wrong = node.counters() != counters;
        if wrong {
            node.set_counters(counters);
        }
        Ok((node, wrong))
    }

    /// Gives the right counters.
    fn check(&self, id: StreamId) -> Option<Counters> {
        let mut elements = self.0.iter();
        for _counter in 0..2 {
            elements.next()?.as_i64()?;
        }
        let (mut live, mut deleted) = (0, 0);
        let names = count(&mut elements)?;
        skip(&mut elements, names)?;
        (elements.next()?.as_i64()? == 0).then_some(())?;
        let mut last = None;
        while let Some(flags) = elements.next() {
            let flags = flags.as_i64()?;
            (0..=DELETED | SAME_FIELDS).contains(&flags).then_some(())?;
            let ms = elements.next()?.as_i64()?;
            let entry = offset(id, ms, elements.next()?.as_i64()?);
            let parts = if flags & SAME_FIELDS != 0 {
                names
            } else {
                let pairs = count(&mut elements)?;
                pairs.checked_mul(2)?.checked_add(1)?
            };
            let values = parts - usize::from(flags & SAME_FIELDS == 0);
            skip(&mut elements, values)?;
            (count(&mut elements)? == HEAD.checked_add(parts)?).then_some(())?;
            if flags & DELETED != 0 {
                deleted += 1;
            } else {
                live += 1;
                (entry >= id && last.is_none_or(|last| last < entry)).then_some(())?;
                last = Some(entry);
            }
        }
        Some(Counters { live, deleted })
    }

    /// The bytes, as they go to disk.
    pub(super) fn listpack(&self) -> &Listpack {
        &self.0
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// Gives back the room that was meant for more entries.
    pub(super) fn close(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn counters(&self) -> Counters {
        let mut elements = self.0.iter();
        Counters {
            live: number(elements.next()) as u64,
            deleted: number(elements.next()) as u64,
        }
    }

    fn set_counters(&mut self, counters: Counters) {
        if let Some(at) = self.0.first() {
            let at = self.0.replace_int(at, counters.live as i64);
            if let Some(at) = self.0.next(at) {
                self.0.replace_int(at, counters.deleted as i64);
            }
        }
    }

    /// Adds an entry behind all others. `id` is the entry's, `node` the node's.
    pub(super) fn push(&mut self, node: StreamId, id: StreamId, fields: &[[&[u8]; 2]]) {
        let pack = &mut self.0;
        let same = has_names(pack, fields);
        pack.push_back_int(if same { SAME_FIELDS } else { 0 });
        pack.push_back_int(id.ms.wrapping_sub(node.ms) as i64);
        pack.push_back_int(id.seq.wrapping_sub(node.seq) as i64);
        if same {
            for [_, value] in fields {
                pack.push_back(value);
            }
            pack.push_back_int((HEAD + fields.len()) as i64);
        } else {
            pack.push_back_int(fields.len() as i64);
            for [name, value] in fields {
                pack.push_back(name);
                pack.push_back(value);
            }
            pack.push_back_int((HEAD + 1 + 2 * fields.len()) as i64);
        }
        if let Some(at) = pack.first() {
            let live = number(Some(pack.get(at)));
            pack.replace_int(at, live + 1);
        }
    }

    /// The entries from the first on, deleted ones included.
    pub(super) fn walk(&self, node: StreamId) -> Walk<'_> {
        let pack = &self.0;
        let names = pack.seek(HEAD as isize);
        let count = pack
            .seek(2)
            .map(|at| number(Some(pack.get(at))))
            .unwrap_or(0) as usize;
        let terminator = names.and_then(|at| forward(pack, at, count));
        Walk {
            pack,
            node,
            names,
            count,
            first: terminator.and_then(|at| pack.next(at)),
            front: terminator.and_then(|at| pack.next(at)),
            back: pack.last(),
        }
    }

    /// The id of the last entry, whether or not it is deleted.
    pub(super) fn last_id(&self, node: StreamId) -> StreamId {
        self.walk(node)
            .next_back()
            .map_or(node, |slot| slot.entry.id)
    }

    /// The id of the last entry that is not deleted.
    pub(super) fn last_live_id(&self, node: StreamId) -> Option<StreamId> {
        let mut slots = self.walk(node).rev();
        slots.find(|slot| !slot.deleted).map(|slot| slot.entry.id)
    }

    /// Flags the entry as deleted; false when there is no live one of this id.
    pub(super) fn delete(&mut self, node: StreamId, id: StreamId) -> bool {
        let found = self
            .walk(node)
            .take_while(|slot| slot.deleted || slot.entry.id <= id)
            .find(|slot| !slot.deleted && slot.entry.id == id);
        let Some(at) = found.map(|slot| slot.at) else {
            return false;
        };
        self.flag_deleted(at);
        let Counters { live, deleted } = self.counters();
        self.set_counters(Counters {
            live: live - 1,
            deleted: deleted + 1,
        });
        true
    }

    /// Flags entries from the first on as deleted, as long as `wanted` says so; gives their number.
    pub(super) fn delete_while(
        &mut self,
        node: StreamId,
        mut wanted: impl FnMut(StreamId) -> bool,
    ) -> u64 {
        let doomed: Vec<Pos> = self
            .walk(node)
            .filter(|slot| !slot.deleted)
            .take_while(|slot| wanted(slot.entry.id))
            .map(|slot| slot.at)
            .collect();
        // Flags have one byte each: the positions stay.
        for at in &doomed {
            self.flag_deleted(*at);
        }
        let count = doomed.len() as u64;
        let Counters { live, deleted } = self.counters();
        self.set_counters(Counters {
            live: live - count,
            deleted: deleted + count,
        });
        count
    }

    fn flag_deleted(&mut self, at: Pos) {
        let flags = number(Some(self.0.get(at)));
        self.0.replace_int(at, flags | DELETED);
    }
}

/// Has the master exactly these names?
#[inline]
fn has_names(pack: &Listpack, fields: &[[&[u8]; 2]]) -> bool {
    let mut elements = pack.iter().skip(2);
    number(elements.next()) == fields.len() as i64
        && fields
            .iter()
            .all(|[name, _]| elements.next().is_some_and(|mine| mine.eq_bytes(name)))
}

/// A counter or a flag. Nodes are checked when they come in, so it is always there.
#[inline]
fn number(element: Option<Element<'_>>) -> i64 {
    element.and_then(Element::as_i64).unwrap_or(0)
}

fn offset(node: StreamId, ms: i64, seq: i64) -> StreamId {
    StreamId::new(
        node.ms.wrapping_add(ms as u64),
        node.seq.wrapping_add(seq as u64),
    )
}

/// The next element as a number of things.
fn count(elements: &mut ListpackIter<'_>) -> Option<usize> {
    usize::try_from(elements.next()?.as_i64()?).ok()
}

fn skip(elements: &mut ListpackIter<'_>, count: usize) -> Option<()> {
    (0..count).try_for_each(|_| elements.next().map(drop))
}

fn forward(pack: &Listpack, at: Pos, steps: usize) -> Option<Pos> {
    (0..steps).try_fold(at, |at, _| pack.next(at))
}

/// An entry of a node, perhaps deleted, and where it is.
pub(super) struct Slot<'a> {
    at: Pos,
    pub(super) deleted: bool,
    pub(super) entry: StreamEntry<'a>,
}

/// Walks the entries of a node from both ends, deleted ones included; the ends do not meet, so use one of them.
pub(super) struct Walk<'a> {
    pack: &'a Listpack,
    node: StreamId,
    names: Option<Pos>,
    count: usize,
    first: Option<Pos>,
    front: Option<Pos>,
    /// The last element of the next entry from the back.
    back: Option<Pos>,
}

impl<'a> Walk<'a> {
    /// The entry that begins at `at`, and where what follows it begins.
    fn decode(&self, at: Pos) -> Option<(Slot<'a>, Option<Pos>)> {
        let pack = self.pack;
        let (flags, next) = pack.get_next(at);
        let flags = flags.as_i64()?;
        let (ms, next) = pack.get_next(next?);
        let (seq, next) = pack.get_next(next?);
        let id = offset(self.node, ms.as_i64()?, seq.as_i64()?);
        let mut values = next?;
        let (names, count) = if flags & SAME_FIELDS != 0 {
            (self.names, self.count)
        } else {
            let (count, next) = pack.get_next(values);
            values = next?;
            (None, count.as_i64()? as usize)
        };
        let elements = if names.is_some() { count } else { 2 * count };
        let behind = pack.next(forward(pack, values, elements)?);
        let slot = Slot {
            at,
            deleted: flags & DELETED != 0,
            entry: StreamEntry {
                id,
                pack,
                names,
                values,
                count,
            },
        };
        Some((slot, behind))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Slot<'a>;

    #[inline]
    fn next(&mut self) -> Option<Slot<'a>> {
        let (slot, behind) = self.decode(self.front?)?;
        self.front = behind;
        Some(slot)
    }
}

impl<'a> DoubleEndedIterator for Walk<'a> {
    fn next_back(&mut self) -> Option<Slot<'a>> {
        let last = self.back?;
        if last < self.first? {
            return None;
        }
        let elements = number(Some(self.pack.get(last)));
        let at = (0..elements).try_fold(last, |at, _| self.pack.prev(at))?;
        self.back = self.pack.prev(at);
        Some(self.decode(at)?.0)
    }
}

/// An entry: its id, and its fields borrowed from the stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    pack: &'a Listpack,
    /// The first name, when the names are the master's.
    names: Option<Pos>,
    /// The first value, or the first pair.
    values: Pos,
    count: usize,
}

impl<'a> StreamEntry<'a> {
    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Has it no fields?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The fields with their values, as they were given.
    pub fn fields(&self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> + use<'a> {
        let mut names = self.names.map(|at| self.pack.iter_from(at));
        let mut values = self.pack.iter_from(self.values);
        (0..self.count).map_while(move |_| {
            let name = match &mut names {
                Some(names) => names.next()?,
                None => values.next()?,
            };
            Some((name, values.next()?))
        })
    }
}
