//! Hashes: a listpack of fields and values, or a table of fields that carry their values.

use std::collections::HashSet;
use std::fmt;
use std::mem::size_of;

use packed::{Listpack, ListpackIter, ListpackRef};

use crate::embedded::{Container, Packed, PackedRef};
use crate::hashing::hash;
use crate::limits::PACKED_BYTES_MAX;
use crate::table::{self, Prefetch, Stats, Table};
use crate::thin::{Field, FieldRef};
use crate::{Element, Encoding, Invalid, Limits, Rng, Type, Value};

#[derive(Debug)]
enum Repr {
    /// Field, value, field, value and so on, in order of insertion.
    Listpack(Listpack),
    Table(Table<Field>),
}

/// A map from field to value.
#[derive(Debug)]
pub struct Hash {
    repr: Repr,
}

impl Clone for Hash {
    /// The same fields and values, held the same way.
    fn clone(&self) -> Self {
        self.view().to_hash()
    }
}

impl Hash {
    /// An empty hash, held as a listpack.
    pub fn new() -> Self {
        Hash {
            repr: Repr::Listpack(Listpack::new()),
        }
    }

    /// The hash of a listpack read from a file.
    ///
    /// # Errors
    /// If a field comes twice or without a value.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<Self, Invalid> {
        let elements = listpack.len();
        if !elements.is_multiple_of(2) {
            return Err(Invalid::Unpaired);
        }
        let mut seen = HashSet::with_capacity(elements / 2);
        let mut fields = listpack.iter().step_by(2);
        if !fields.all(|field| seen.insert(field.to_vec())) {
            return Err(Invalid::Duplicate);
        }
        Ok(Hash::from_distinct(listpack, limits))
    }

    /// As [`Hash::from_listpack`], for a listpack that is known to hold pairs, and no field twice.
    pub fn from_distinct(listpack: Listpack, limits: &Limits) -> Self {
        let convert = listpack.len() / 2 > limits.hash_max_listpack_entries
            || listpack
                .iter()
                .any(|element| element.len() > limits.hash_max_listpack_value);
        let mut hash = Hash {
            repr: Repr::Listpack(listpack),
        };
        if convert {
            hash.make_table(0);
        }
        hash
    }

    /// Prepares for `fields` fields about to be set by one command, as HSET does: too many of them make it a table now.
    pub fn reserve(&mut self, fields: usize, limits: &Limits) {
        match &mut self.repr {
            Repr::Listpack(_) if fields > limits.hash_max_listpack_entries => {
                self.make_table(fields);
            }
            Repr::Listpack(_) => {}
            Repr::Table(table) => table.reserve(table.len() + fields),
        }
    }

    /// Sets a field; `true` if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        if let Repr::Listpack(listpack) = &mut self.repr {
            let longest = field.len().max(value.len());
            if longest <= limits.hash_max_listpack_value
                && listpack.byte_len() + field.len() + value.len() <= PACKED_BYTES_MAX
            {
                if let Some(at) = listpack
                    .find(field, None, 1)
                    .and_then(|at| listpack.next(at))
                {
                    listpack.replace(at, value);
                    return false;
                }
                listpack.push_back(field);
                listpack.push_back(value);
                if listpack.len() / 2 > limits.hash_max_listpack_entries {
                    self.make_table(0);
                }
                return true;
            }
        }
        let (mut slot, new) = self
            .make_table(1)
            .find_or_insert_with(hash(field), field, || Field::new(field, value));
        if !new {
            slot.update(|item| item.set_value(value));
        }
        new
    }

    /// Removes a field; `true` if it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Table(table) => table.remove(hash(field), field).is_some(),
            Repr::Listpack(listpack) => match listpack.find(field, None, 1) {
                Some(at) => {
                    listpack.remove_run(at, 2);
                    true
                }
                None => false,
            },
        }
    }

    /// Turns any encoding into a table; one made here has room for `more` fields.
    fn make_table(&mut self, more: usize) -> &mut Table<Field> {
        if let Repr::Listpack(listpack) = &self.repr {
            let mut table = Table::new();
            table.reserve(listpack.len() / 2 + more);
            for (field, value) in self.iter() {
                field.with_bytes(|field| {
                    value.with_bytes(|value| {
                        table.insert_new(hash(field), Field::new(field, value));
                    });
                });
            }
            self.repr = Repr::Table(table);
        }
        match &mut self.repr {
            Repr::Table(table) => table,
            Repr::Listpack(_) => unreachable!("made a table above"),
        }
    }

    /// The hash, to be read.
    #[inline]
    pub fn view(&self) -> HashRef<'_> {
        HashRef(match &self.repr {
            Repr::Table(table) => View::Table(table),
            Repr::Listpack(listpack) => View::Listpack(listpack.view()),
        })
    }

    /// See [`HashRef::get`].
    pub fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        self.view().get(field)
    }

    /// See [`HashRef::contains`].
    pub fn contains(&self, field: &[u8]) -> bool {
        self.view().contains(field)
    }

    /// See [`HashRef::len`].
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// See [`HashRef::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// See [`HashRef::encoding`].
    pub fn encoding(&self) -> Encoding {
        self.view().encoding()
    }

    /// See [`HashRef::iter`].
    pub fn iter(&self) -> HashIter<'_> {
        self.view().iter()
    }

    /// Estimated bytes, sampling at most `samples` fields (0: all).
    pub fn memory_bytes(&self, samples: usize) -> usize {
        size_of::<Hash>()
            + match &self.repr {
                Repr::Table(table) => {
                    table.memory_bytes()
                        + table::estimate(table, samples, |item| item.memory_bytes())
                }
                Repr::Listpack(listpack) => listpack.heap_bytes(),
            }
    }
}

/// A hash, borrowed: to be read.
#[derive(Clone, Copy, Debug)]
pub struct HashRef<'a>(View<'a>);

#[derive(Clone, Copy, Debug)]
enum View<'a> {
    Listpack(ListpackRef<'a>),
    Table(&'a Table<Field>),
}

impl<'a> HashRef<'a> {
    /// A hash of its own with the same fields and values, held the same way.
    pub fn to_hash(self) -> Hash {
        let repr = match self.0 {
            View::Listpack(listpack) => Repr::Listpack(listpack.to_listpack()),
            View::Table(table) => {
                let mut copy = Table::new();
                copy.reserve(table.len());
                for item in table.iter() {
                    copy.insert_new(hash(item.field()), Field::new(item.field(), item.value()));
                }
                Repr::Table(copy)
            }
        };
        Hash { repr }
    }

    /// The value of a field.
    pub fn get(self, field: &[u8]) -> Option<Element<'a>> {
        match self.0 {
            View::Table(table) => table
                .find(hash(field), field)
                .map(|item| Element::Bytes(item.value())),
            View::Listpack(listpack) => {
                let at = listpack.find(field, None, 1)?;
                listpack.next(at).map(|at| listpack.get(at))
            }
        }
    }

    /// Whether the field exists.
    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Length in bytes of a field's value (HSTRLEN), 0 if absent.
    pub fn value_len(self, field: &[u8]) -> usize {
        self.get(field).map_or(0, Element::len)
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        match self.0 {
            View::Table(table) => table.len(),
            View::Listpack(listpack) => listpack.len() / 2,
        }
    }

    /// Whether it has no field.
    pub fn is_empty(self) -> bool {
        match self.0 {
            View::Table(table) => table.is_empty(),
            View::Listpack(listpack) => listpack.is_empty(),
        }
    }

    /// `listpack` or `hashtable`.
    pub fn encoding(self) -> Encoding {
        match self.0 {
            View::Table(_) => Encoding::Hashtable,
            View::Listpack(_) => Encoding::Listpack,
        }
    }

    /// The table, if it is held as one.
    pub(crate) fn table(self) -> Option<&'a dyn Prefetch> {
        match self.0 {
            View::Table(table) => Some(table),
            View::Listpack(_) => None,
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

    /// All fields with their values: in order of insertion, or in no order, by encoding.
    pub fn iter(self) -> HashIter<'a> {
        HashIter(match self.0 {
            View::Table(table) => HashIterRepr::Table(table.iter()),
            View::Listpack(listpack) => HashIterRepr::Listpack(listpack.iter()),
        })
    }

    /// A random field with its value, each with the same probability.
    pub fn random(self, rng: &mut dyn Rng) -> Option<(Element<'a>, Element<'a>)> {
        match self.0 {
            View::Table(table) => table.random(rng).map(pair),
            View::Listpack(listpack) => {
                let nth = rng.below(listpack.len() as u64 / 2) as isize;
                let (field, next) = listpack.get_next(listpack.seek(2 * nth)?);
                next.map(|at| (field, listpack.get(at)))
            }
        }
    }

    /// HSCAN step: the packed encoding emits everything and returns 0.
    pub fn scan(self, cursor: u64, f: &mut dyn FnMut(Element<'_>, Element<'_>)) -> u64 {
        match self.0 {
            View::Table(table) => table.scan(cursor, &mut |item| {
                f(Element::Bytes(item.field()), Element::Bytes(item.value()))
            }),
            View::Listpack(_) => {
                self.iter().for_each(|(field, value)| f(field, value));
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

impl Container for Hash {
    const TYPE: Type = Type::Hash;
    type Ref<'a> = HashRef<'a>;

    fn view(&self) -> HashRef<'_> {
        Hash::view(self)
    }

    fn of_packed(packed: PackedRef<'_>) -> HashRef<'_> {
        HashRef(View::Listpack(packed.listpack()))
    }

    fn unpack(packed: Packed) -> Hash {
        Hash {
            repr: Repr::Listpack(packed.into_listpack()),
        }
    }

    fn packed(&self) -> Option<PackedRef<'_>> {
        match &self.repr {
            Repr::Table(_) => None,
            Repr::Listpack(listpack) => Some(PackedRef::Listpack(listpack.view())),
        }
    }

    fn into_packed(self) -> Option<Packed> {
        match self.repr {
            Repr::Table(_) => None,
            Repr::Listpack(listpack) => Some(Packed::Listpack(listpack)),
        }
    }

    fn into_value(self) -> Value {
        Value::Hash(Box::new(self))
    }
}

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

fn pair(item: FieldRef<'_>) -> (Element<'_>, Element<'_>) {
    (Element::Bytes(item.field()), Element::Bytes(item.value()))
}

/// Iterator over the fields and values of a [`struct@Hash`].
pub struct HashIter<'a>(HashIterRepr<'a>);

enum HashIterRepr<'a> {
    Listpack(ListpackIter<'a>),
    Table(table::Iter<'a, Field>),
}

impl fmt::Debug for HashIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashIter")
    }
}

impl<'a> Iterator for HashIter<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            HashIterRepr::Listpack(iter) => Some((iter.next()?, iter.next()?)),
            HashIterRepr::Table(iter) => iter.next().map(pair),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{TestRng, small_limits};

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => "[a-e]{0,2}".prop_map(String::into_bytes),
            2 => (-9..9_i64).prop_map(|n| n.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..300),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_map(ops in prop::collection::vec((0..10_u8, text(), text()), 1..200), seed in any::<u64>()) {
            let limits = small_limits();
            let mut rng = TestRng(seed);
            let mut hash = Hash::new();
            let mut model = BTreeMap::new();
            for (op, field, value) in ops {
                match op {
                    0..7 => prop_assert_eq!(hash.set(&field, &value, &limits), model.insert(field.clone(), value).is_none()),
                    _ => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                }
                prop_assert_eq!(hash.get(&field).map(Element::to_vec), model.get(&field).cloned());
                prop_assert_eq!(hash.view().value_len(&field), model.get(&field).map_or(0, Vec::len));
                prop_assert_eq!(hash.len(), model.len());
                if hash.encoding() == Encoding::Listpack {
                    prop_assert!(hash.len() <= limits.hash_max_listpack_entries);
                }
            }
            let all: BTreeMap<Vec<u8>, Vec<u8>> = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(&all, &model);
            let mut scanned = BTreeMap::new();
            let mut cursor = 0;
            loop {
                cursor = hash.view().scan(cursor, &mut |f, v| { scanned.insert(f.to_vec(), v.to_vec()); });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(&scanned, &model);
            match hash.view().random(&mut rng) {
                Some((f, v)) => prop_assert_eq!(model.get(&f.to_vec()), Some(&v.to_vec())),
                None => prop_assert!(model.is_empty()),
            }
        }
    }

    #[test]
    fn encodings_change_where_the_reference_changes_them() {
        let limits = Limits {
            hash_max_listpack_entries: 2,
            hash_max_listpack_value: 3,
            ..Limits::default()
        };
        let build = |pairs: &[(&str, &str)]| {
            let mut hash = Hash::new();
            for (f, v) in pairs {
                hash.set(f.as_bytes(), v.as_bytes(), &limits);
            }
            hash.encoding()
        };
        assert_eq!(build(&[("a", "abc"), ("b", "")]), Encoding::Listpack);
        assert_eq!(
            build(&[("a", "abc"), ("b", ""), ("b", "1")]),
            Encoding::Listpack
        );
        assert_eq!(
            build(&[("a", "abc"), ("b", ""), ("c", "")]),
            Encoding::Hashtable
        );
        assert_eq!(build(&[("a", "abcd")]), Encoding::Hashtable);
        assert_eq!(build(&[("abcd", "a")]), Encoding::Hashtable);
        let mut hash = Hash::new();
        hash.reserve(3, &limits);
        assert_eq!(hash.encoding(), Encoding::Hashtable);
    }

    #[test]
    fn a_broken_listpack_is_refused() {
        let mut listpack = Listpack::new();
        listpack.push_back(b"a");
        assert_eq!(
            Hash::from_listpack(listpack.clone(), &Limits::default()).err(),
            Some(Invalid::Unpaired)
        );
        listpack.push_back(b"a");
        assert!(Hash::from_listpack(listpack.clone(), &Limits::default()).is_ok());
        listpack.push_back(b"a");
        listpack.push_back(b"b");
        assert_eq!(
            Hash::from_listpack(listpack, &Limits::default()).err(),
            Some(Invalid::Duplicate)
        );
    }
}
