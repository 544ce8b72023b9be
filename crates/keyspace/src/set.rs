//! Sets: an intset, a listpack, or a table of members.
//!
//! The rules for choosing are the reference's, as its OBJECT ENCODING shows them: integers start an intset; one more
//! than `set-max-intset-entries` makes it a table; a member that is no integer makes a small intset a listpack.
//! Nothing converts back on removal.

use std::collections::HashSet;
use std::fmt;
use std::mem::size_of;

use packed::{Intset, IntsetIter, IntsetRef, Listpack, ListpackIter, ListpackRef};

use crate::embedded::{Container, Packed, PackedRef};
use crate::hashing::hash;
use crate::limits::{INTSET_ENTRIES_MAX, PACKED_BYTES_MAX};
use crate::table::{self, Prefetch, Stats, Table};
use crate::thin::Member;
use crate::{Element, Encoding, Invalid, Limits, Rng, Type, Value};

#[derive(Debug)]
enum Repr {
    Intset(Intset),
    Listpack(Listpack),
    Table(Table<Member>),
}

/// A set of byte strings.
#[derive(Debug)]
pub struct Set {
    repr: Repr,
}

impl Clone for Set {
    /// The same members, held the same way.
    fn clone(&self) -> Self {
        self.view().to_set()
    }
}

impl Set {
    /// An empty set, held as an intset.
    pub fn new() -> Self {
        Set {
            repr: Repr::Intset(Intset::new()),
        }
    }

    /// An empty set, held as suits its first member and the number of members to come, as SADD does.
    pub fn with_hint(first: &[u8], size_hint: usize, limits: &Limits) -> Self {
        let repr = if words::int::parse_i64(first).is_some() && size_hint <= intset_max(limits) {
            Repr::Intset(Intset::new())
        } else if size_hint <= limits.set_max_listpack_entries {
            Repr::Listpack(Listpack::new())
        } else {
            let mut table = Table::new();
            table.reserve(size_hint);
            Repr::Table(table)
        };
        Set { repr }
    }

    /// The set of an intset read from a file.
    pub fn from_intset(intset: Intset, limits: &Limits) -> Self {
        let mut set = Set {
            repr: Repr::Intset(intset),
        };
        if set.len() > intset_max(limits) {
            set.make_table(0);
        }
        set
    }

    /// The set of a listpack read from a file.
    ///
    /// # Errors
    /// If a member comes twice.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<Self, Invalid> {
        let mut seen = HashSet::with_capacity(listpack.len());
        if !listpack.iter().all(|element| seen.insert(element.to_vec())) {
            return Err(Invalid::Duplicate);
        }
        Ok(Set::from_distinct(listpack, limits))
    }

    /// As [`Set::from_listpack`], for a listpack that is known to hold no member twice.
    pub fn from_distinct(listpack: Listpack, limits: &Limits) -> Self {
        let convert = listpack.len() > limits.set_max_listpack_entries
            || listpack
                .iter()
                .any(|element| element.len() > limits.set_max_listpack_value);
        let mut set = Set {
            repr: Repr::Listpack(listpack),
        };
        if convert {
            set.make_table(0);
        }
        set
    }

    /// Makes room for `more` members about to be added.
    pub fn reserve(&mut self, more: usize) {
        if let Repr::Table(table) = &mut self.repr {
            table.reserve(table.len() + more);
        }
    }

    /// Adds a member; `true` if it is new.
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> bool {
        match &mut self.repr {
            Repr::Table(table) => {
                table
                    .find_or_insert_with(hash(member), member, || Member::new(member))
                    .1
            }
            Repr::Intset(intset) => {
                let Some(n) = words::int::parse_i64(member) else {
                    self.leave_intset(member, limits);
                    return self.add(member, limits);
                };
                let added = intset.insert(n);
                if added && intset.len() > intset_max(limits) {
                    self.make_table(0);
                }
                added
            }
            Repr::Listpack(listpack) => {
                if listpack.find(member, None, 0).is_some() {
                    return false;
                }
                if listpack.len() < limits.set_max_listpack_entries
                    && member.len() <= limits.set_max_listpack_value
                    && listpack.byte_len() + member.len() <= PACKED_BYTES_MAX
                {
                    listpack.push_back(member);
                    return true;
                }
                self.make_table(1)
                    .find_or_insert_with(hash(member), member, || Member::new(member))
                    .1
            }
        }
    }

    /// Removes a member; `true` if it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Table(table) => table.remove(hash(member), member).is_some(),
            Repr::Intset(intset) => words::int::parse_i64(member).is_some_and(|n| intset.remove(n)),
            Repr::Listpack(listpack) => match listpack.find(member, None, 0) {
                Some(at) => {
                    listpack.remove(at);
                    true
                }
                None => false,
            },
        }
    }

    /// Removes a random member, each with the same probability, showing it to `f`.
    pub fn pop_random_with<R>(
        &mut self,
        rng: &mut dyn Rng,
        f: impl FnOnce(Element<'_>) -> R,
    ) -> Option<R> {
        match &mut self.repr {
            Repr::Table(table) => {
                let chosen = table.random(rng)?;
                let (h, address) = (hash(chosen), chosen.as_ptr());
                table
                    .remove_by(h, |member| member.as_ptr() == address)
                    .map(|member| f(Element::Bytes(member.bytes())))
            }
            Repr::Intset(intset) => {
                let n = intset.get(rng.below(intset.len() as u64) as usize)?;
                intset.remove(n);
                Some(f(Element::Int(n)))
            }
            Repr::Listpack(listpack) => {
                let at = listpack.seek(rng.below(listpack.len() as u64) as isize)?;
                let result = f(listpack.get(at));
                listpack.remove(at);
                Some(result)
            }
        }
    }

    /// Removes a random member and returns it.
    pub fn pop_random(&mut self, rng: &mut dyn Rng) -> Option<Vec<u8>> {
        self.pop_random_with(rng, |member| member.to_vec())
    }

    /// Keeps `count` random members and hands back the others: cheaper than popping them when few stay. What stays
    /// is encoded as a small set again.
    pub fn keep_random(&mut self, rng: &mut dyn Rng, count: usize, limits: &Limits) -> Set {
        let mut kept = match &self.repr {
            Repr::Intset(_) => Set::new(),
            _ => Set {
                repr: Repr::Listpack(Listpack::new()),
            },
        };
        for _ in 0..count {
            self.pop_random_with(rng, |member| {
                member.with_bytes(|bytes| kept.add(bytes, limits))
            });
        }
        std::mem::replace(self, kept)
    }

    /// Turns any encoding into a table with room for `more` members.
    fn make_table(&mut self, more: usize) -> &mut Table<Member> {
        if !matches!(self.repr, Repr::Table(_)) {
            let mut table = Table::new();
            table.reserve(self.len() + more);
            for element in self.iter() {
                element.with_bytes(|bytes| {
                    table.insert_new(hash(bytes), Member::new(bytes));
                });
            }
            self.repr = Repr::Table(table);
        }
        match &mut self.repr {
            Repr::Table(table) => table,
            _ => unreachable!("made a table above"),
        }
    }

    /// Leaves the intset encoding for one that can take `member`.
    fn leave_intset(&mut self, member: &[u8], limits: &Limits) {
        let Repr::Intset(intset) = &self.repr else {
            return;
        };
        let at_end = |i: usize| intset.get(i).map_or(0, words::int::decimal_len);
        let longest = at_end(0)
            .max(at_end(intset.len().saturating_sub(1)))
            .max(member.len());
        if intset.len() < limits.set_max_listpack_entries
            && longest <= limits.set_max_listpack_value
        {
            let mut listpack = Listpack::new();
            intset.iter().for_each(|n| listpack.push_back_int(n));
            self.repr = Repr::Listpack(listpack);
        } else {
            self.make_table(1);
        }
    }

    /// The set, to be read.
    #[inline]
    pub fn view(&self) -> SetRef<'_> {
        SetRef(match &self.repr {
            Repr::Table(table) => View::Table(table),
            Repr::Intset(intset) => View::Intset(intset.view()),
            Repr::Listpack(listpack) => View::Listpack(listpack.view()),
        })
    }

    /// See [`SetRef::contains`].
    pub fn contains(&self, member: &[u8]) -> bool {
        self.view().contains(member)
    }

    /// See [`SetRef::len`].
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// See [`SetRef::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// See [`SetRef::encoding`].
    pub fn encoding(&self) -> Encoding {
        self.view().encoding()
    }

    /// See [`SetRef::iter`].
    pub fn iter(&self) -> SetIter<'_> {
        self.view().iter()
    }

    /// Estimated bytes, sampling at most `samples` members (0: all).
    pub fn memory_bytes(&self, samples: usize) -> usize {
        size_of::<Set>()
            + match &self.repr {
                Repr::Table(table) => {
                    table.memory_bytes()
                        + table::estimate(table, samples, |member| {
                            Member::memory_bytes(member.len())
                        })
                }
                Repr::Intset(intset) => intset.byte_len(),
                Repr::Listpack(listpack) => listpack.heap_bytes(),
            }
    }
}

/// A set, borrowed: to be read.
#[derive(Clone, Copy, Debug)]
pub struct SetRef<'a>(View<'a>);

#[derive(Clone, Copy, Debug)]
enum View<'a> {
    Intset(IntsetRef<'a>),
    Listpack(ListpackRef<'a>),
    Table(&'a Table<Member>),
}

impl<'a> SetRef<'a> {
    /// A set of its own with the same members, held the same way.
    pub fn to_set(self) -> Set {
        let repr = match self.0 {
            View::Intset(intset) => Repr::Intset(intset.to_intset()),
            View::Listpack(listpack) => Repr::Listpack(listpack.to_listpack()),
            View::Table(table) => {
                let mut copy = Table::new();
                copy.reserve(table.len());
                for member in table.iter() {
                    copy.insert_new(hash(member), Member::new(member));
                }
                Repr::Table(copy)
            }
        };
        Set { repr }
    }

    /// Whether it is that very set, not one with the same members.
    pub fn is(self, other: SetRef<'_>) -> bool {
        match (self.0, other.0) {
            (View::Table(a), View::Table(b)) => std::ptr::eq(a, b),
            (View::Intset(a), View::Intset(b)) => std::ptr::eq(a.as_bytes(), b.as_bytes()),
            (View::Listpack(a), View::Listpack(b)) => std::ptr::eq(a.as_bytes(), b.as_bytes()),
            _ => false,
        }
    }

    /// Whether `member` is in.
    pub fn contains(self, member: &[u8]) -> bool {
        match self.0 {
            View::Table(table) => table.find(hash(member), member).is_some(),
            View::Intset(intset) => {
                words::int::parse_i64(member).is_some_and(|n| intset.contains(n))
            }
            View::Listpack(listpack) => listpack.find(member, None, 0).is_some(),
        }
    }

    /// Number of members.
    pub fn len(self) -> usize {
        match self.0 {
            View::Table(table) => table.len(),
            View::Intset(intset) => intset.len(),
            View::Listpack(listpack) => listpack.len(),
        }
    }

    /// Whether it has no member.
    pub fn is_empty(self) -> bool {
        match self.0 {
            View::Listpack(listpack) => listpack.is_empty(),
            _ => self.len() == 0,
        }
    }

    /// `intset`, `listpack` or `hashtable`.
    pub fn encoding(self) -> Encoding {
        match self.0 {
            View::Table(_) => Encoding::Hashtable,
            View::Intset(_) => Encoding::Intset,
            View::Listpack(_) => Encoding::Listpack,
        }
    }

    /// The table, if it is held as one.
    pub(crate) fn table(self) -> Option<&'a dyn Prefetch> {
        match self.0 {
            View::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The intset, if it is held as one (to save it by copying).
    pub fn as_intset(self) -> Option<IntsetRef<'a>> {
        if let View::Intset(intset) = self.0 {
            Some(intset)
        } else {
            None
        }
    }

    /// The listpack, if it is held as one (to save it by copying).
    pub fn as_listpack(self) -> Option<ListpackRef<'a>> {
        if let View::Listpack(listpack) = self.0 {
            Some(listpack)
        } else {
            None
        }
    }

    /// All members: ascending, in order of insertion, or in no order, by encoding.
    pub fn iter(self) -> SetIter<'a> {
        SetIter(match self.0 {
            View::Table(table) => SetIterRepr::Table(table.iter()),
            View::Intset(intset) => SetIterRepr::Intset(intset.iter()),
            View::Listpack(listpack) => SetIterRepr::Listpack(listpack.iter()),
        })
    }

    /// A random member, each with the same probability.
    pub fn random(self, rng: &mut dyn Rng) -> Option<Element<'a>> {
        match self.0 {
            View::Table(table) => table.random(rng).map(Element::Bytes),
            View::Intset(intset) => intset
                .get(rng.below(intset.len() as u64) as usize)
                .map(Element::Int),
            View::Listpack(listpack) => listpack
                .seek(rng.below(listpack.len() as u64) as isize)
                .map(|at| listpack.get(at)),
        }
    }

    /// SSCAN step: packed encodings emit everything and return 0.
    pub fn scan(self, cursor: u64, f: &mut dyn FnMut(Element<'_>)) -> u64 {
        match self.0 {
            View::Table(table) => table.scan(cursor, &mut |member| f(Element::Bytes(member))),
            _ => {
                self.iter().for_each(f);
                0
            }
        }
    }

    /// The table's figures, if it is held as one (DEBUG HTSTATS-KEY).
    pub fn stats(self) -> Option<Stats> {
        if let View::Table(table) = self.0 {
            Some(table.stats())
        } else {
            None
        }
    }

    /// See [`crate::Value::free_effort`].
    pub fn free_effort(self) -> usize {
        if let View::Table(table) = self.0 {
            table.len()
        } else {
            1
        }
    }
}

impl Container for Set {
    const TYPE: Type = Type::Set;
    type Ref<'a> = SetRef<'a>;

    fn view(&self) -> SetRef<'_> {
        Set::view(self)
    }

    fn of_packed(packed: PackedRef<'_>) -> SetRef<'_> {
        SetRef(match packed {
            PackedRef::Listpack(listpack) => View::Listpack(listpack),
            PackedRef::Intset(intset) => View::Intset(intset),
        })
    }

    fn unpack(packed: Packed) -> Set {
        let repr = match packed {
            Packed::Listpack(listpack) => Repr::Listpack(listpack),
            Packed::Intset(intset) => Repr::Intset(intset),
        };
        Set { repr }
    }

    fn packed(&self) -> Option<PackedRef<'_>> {
        match &self.repr {
            Repr::Table(_) => None,
            Repr::Intset(intset) => Some(PackedRef::Intset(intset.view())),
            Repr::Listpack(listpack) => Some(PackedRef::Listpack(listpack.view())),
        }
    }

    fn into_packed(self) -> Option<Packed> {
        match self.repr {
            Repr::Table(_) => None,
            Repr::Intset(intset) => Some(Packed::Intset(intset)),
            Repr::Listpack(listpack) => Some(Packed::Listpack(listpack)),
        }
    }

    fn into_value(self) -> Value {
        Value::Set(Box::new(self))
    }
}

impl Default for Set {
    fn default() -> Self {
        Set::new()
    }
}

/// How many members an intset may have.
fn intset_max(limits: &Limits) -> usize {
    limits.set_max_intset_entries.min(INTSET_ENTRIES_MAX)
}

/// Iterator over the members of a [`Set`].
pub struct SetIter<'a>(SetIterRepr<'a>);

enum SetIterRepr<'a> {
    Intset(IntsetIter<'a>),
    Listpack(ListpackIter<'a>),
    Table(table::Iter<'a, Member>),
}

impl fmt::Debug for SetIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetIter")
    }
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match &mut self.0 {
            SetIterRepr::Intset(iter) => iter.next().map(Element::Int),
            SetIterRepr::Listpack(iter) => iter.next(),
            SetIterRepr::Table(iter) => iter.next().map(Element::Bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{TestRng, small_limits};

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => (-40..40_i64).prop_map(|n| n.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            3 => "[a-c]{0,3}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..300),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set(
            ops in prop::collection::vec((0..10_u8, member()), 1..200), seed in any::<u64>(), ints_only in any::<bool>(),
        ) {
            let limits = small_limits();
            let mut rng = TestRng(seed);
            let mut set = Set::new();
            let mut model = BTreeSet::new();
            for (op, m) in ops {
                if ints_only && words::int::parse_i64(&m).is_none() { continue; }
                match op {
                    0..6 => prop_assert_eq!(set.add(&m, &limits), model.insert(m.clone())),
                    6..9 => prop_assert_eq!(set.remove(&m), model.remove(&m)),
                    _ => {
                        let popped = set.pop_random(&mut rng);
                        prop_assert_eq!(popped.is_some(), !model.is_empty());
                        if let Some(m) = popped { prop_assert!(model.remove(&m)); }
                    }
                }
                prop_assert_eq!(set.contains(&m), model.contains(&m));
                prop_assert_eq!(set.len(), model.len());
                match set.encoding() {
                    Encoding::Intset => prop_assert!(set.len() <= limits.set_max_intset_entries),
                    Encoding::Listpack => prop_assert!(set.len() <= limits.set_max_listpack_entries),
                    _ => {}
                }
            }
            let all: BTreeSet<Vec<u8>> = set.iter().map(Element::to_vec).collect();
            prop_assert_eq!(&all, &model);
            let mut scanned = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = set.view().scan(cursor, &mut |e| { scanned.insert(e.to_vec()); });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(&scanned, &model);
            if let Some(e) = set.view().random(&mut rng) { prop_assert!(model.contains(&e.to_vec())); }
            prop_assert!(set.memory_bytes(0) > 0 && set.memory_bytes(5) > 0 && set.view().free_effort() > 0 || set.is_empty());
        }
    }

    fn build(members: &[&str], limits: &Limits) -> Encoding {
        let mut set = Set::new();
        for m in members {
            set.add(m.as_bytes(), limits);
        }
        set.encoding()
    }

    #[test]
    fn encodings_change_where_the_reference_changes_them() {
        let limits = Limits {
            set_max_intset_entries: 3,
            set_max_listpack_entries: 3,
            set_max_listpack_value: 4,
            ..Limits::default()
        };
        assert_eq!(build(&["1", "2", "3"], &limits), Encoding::Intset);
        assert_eq!(build(&["1", "2", "3", "4"], &limits), Encoding::Hashtable);
        assert_eq!(build(&["1", "2", "a"], &limits), Encoding::Listpack);
        assert_eq!(build(&["1", "2", "3", "a"], &limits), Encoding::Hashtable);
        assert_eq!(build(&["1", "2", "a", "b"], &limits), Encoding::Hashtable);
        assert_eq!(build(&["1", "abcde"], &limits), Encoding::Hashtable);
        assert_eq!(build(&["12345", "a"], &limits), Encoding::Hashtable);
        assert_eq!(
            Set::with_hint(b"1", 3, &limits).encoding(),
            Encoding::Intset
        );
        assert_eq!(
            Set::with_hint(b"1", 4, &limits).encoding(),
            Encoding::Hashtable
        );
        assert_eq!(
            Set::with_hint(b"a", 3, &limits).encoding(),
            Encoding::Listpack
        );
        assert_eq!(
            Set::with_hint(
                b"1",
                4,
                &Limits {
                    set_max_listpack_entries: 9,
                    ..limits
                }
            )
            .encoding(),
            Encoding::Listpack
        );
    }

    #[test]
    fn a_listpack_with_a_doubled_member_is_refused() {
        let mut listpack = Listpack::new();
        listpack.push_back(b"a");
        listpack.push_back(b"5");
        assert!(Set::from_listpack(listpack.clone(), &Limits::default()).is_ok());
        listpack.push_back_int(5);
        assert_eq!(
            Set::from_listpack(listpack, &Limits::default()).err(),
            Some(Invalid::Duplicate)
        );
    }

    #[test]
    fn keeping_some_hands_back_the_others_and_shrinks_the_encoding() {
        let limits = small_limits();
        let mut rng = TestRng(7);
        let members: Vec<Vec<u8>> = (0..200).map(|n| format!("m{n}").into_bytes()).collect();
        let mut set = Set::new();
        for member in &members {
            set.add(member, &limits);
        }
        let gone = set.keep_random(&mut rng, 3, &limits);
        assert_eq!((set.len(), gone.len()), (3, 197));
        assert_eq!(set.encoding(), Encoding::Listpack);
        for member in &members {
            assert_ne!(set.contains(member), gone.contains(member));
        }
    }
}
