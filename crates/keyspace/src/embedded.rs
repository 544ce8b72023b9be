//! Containers that lie packed inside of their entry, and how they change.
//!
//! A small hash, set, sorted set or list is a listpack or an intset, and those bytes follow the key in the entry's own
//! allocation as long as there are at most [`PACKED_EMBED_MAX`]. Whoever reads one borrows the bytes. Whoever changes one
//! changes a copy, in memory that is kept for that, which goes back when the [`Edit`] ends: so that a container is the same
//! type wherever it lies, and an entry is never seen half changed.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::{Deref, DerefMut};

use packed::{Intset, IntsetRef, Listpack, ListpackRef};

use crate::limits::{PACKED_EMBED_MAX, SCRATCH_MAX};
use crate::{EntryMut, Type, Value};

thread_local! {
    /// Where copies are changed.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A packed container, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum PackedRef<'a> {
    /// Of any type.
    Listpack(ListpackRef<'a>),
    /// Of a set of integers.
    Intset(IntsetRef<'a>),
}

impl<'a> PackedRef<'a> {
    /// Its bytes.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            PackedRef::Listpack(listpack) => listpack.as_bytes(),
            PackedRef::Intset(intset) => intset.as_bytes(),
        }
    }

    /// Whether it may lie inside of an entry.
    #[inline]
    pub(crate) fn is_small(self) -> bool {
        self.bytes().len() <= PACKED_EMBED_MAX
    }

    /// The listpack of a container that can be nothing else when it is packed.
    #[inline]
    pub(crate) fn listpack(self) -> ListpackRef<'a> {
        match self {
            PackedRef::Listpack(listpack) => listpack,
            PackedRef::Intset(_) => unreachable!("only sets are intsets"),
        }
    }

    /// A copy in this buffer.
    fn copy_to(self, mut buffer: Vec<u8>) -> Packed {
        buffer.clear();
        buffer.extend_from_slice(self.bytes());
        match self {
            PackedRef::Listpack(_) => Packed::Listpack(Listpack::of_valid(buffer)),
            PackedRef::Intset(_) => Packed::Intset(Intset::of_valid(buffer)),
        }
    }

    /// A copy in an allocation of its own.
    pub(crate) fn to_packed(self) -> Packed {
        self.copy_to(Vec::new())
    }
}

/// A packed container, owned.
#[derive(Debug)]
pub enum Packed {
    /// Of any type.
    Listpack(Listpack),
    /// Of a set of integers.
    Intset(Intset),
}

impl Packed {
    /// As [`PackedRef::listpack`].
    pub(crate) fn into_listpack(self) -> Listpack {
        match self {
            Packed::Listpack(listpack) => listpack,
            Packed::Intset(_) => unreachable!("only sets are intsets"),
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Packed::Listpack(listpack) => listpack.into_bytes(),
            Packed::Intset(intset) => intset.into_bytes(),
        }
    }
}

/// A type of value that may be packed.
pub trait Container: Sized {
    /// The data type.
    const TYPE: Type;
    /// A value of it, borrowed: to be read.
    type Ref<'a>;
    /// Borrows a value.
    fn view(&self) -> Self::Ref<'_>;
    /// What a packed one looks like.
    fn of_packed(packed: PackedRef<'_>) -> Self::Ref<'_>;
    /// Takes a packed one over.
    fn unpack(packed: Packed) -> Self;
    /// How it is packed, if it is.
    fn packed(&self) -> Option<PackedRef<'_>>;
    /// As [`Container::packed`], giving it up.
    fn into_packed(self) -> Option<Packed>;
    /// The same as a value of any type.
    fn into_value(self) -> Value;
}

/// A container about to be changed, wherever it lies. What was changed is in the entry when this is dropped.
pub struct Edit<'a, T: Container>(Place<'a, T>);

enum Place<'a, T> {
    Boxed(&'a mut T),
    Embedded {
        entry: EntryMut<'a>,
        /// Made when it is needed first.
        copy: OnceCell<T>,
        /// Whether the copy may be different by now.
        changed: bool,
    },
}

impl<'a, T: Container> Edit<'a, T> {
    pub(crate) fn boxed(value: &'a mut T) -> Self {
        Edit(Place::Boxed(value))
    }

    /// For an entry whose value lies in it and is of this type.
    pub(crate) fn embedded(entry: EntryMut<'a>) -> Self {
        debug_assert_eq!(entry.entry().type_(), T::TYPE);
        Edit(Place::Embedded {
            entry,
            copy: OnceCell::new(),
            changed: false,
        })
    }

    /// The container as it is now, to be read: that needs no copy.
    #[inline]
    pub fn view(&self) -> T::Ref<'_> {
        match &self.0 {
            Place::Boxed(value) => value.view(),
            Place::Embedded { entry, copy, .. } => match (copy.get(), entry.entry().packed()) {
                (None, Some(packed)) => T::of_packed(packed),
                _ => self.deref().view(),
            },
        }
    }
}

/// A copy of what lies in the entry.
fn copied<T: Container>(entry: &EntryMut<'_>) -> T {
    let packed = entry
        .entry()
        .packed()
        .expect("the entry does not change before the edit ends");
    T::unpack(packed.copy_to(SCRATCH.take()))
}

impl<T: Container> Deref for Edit<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Place::Boxed(value) => value,
            Place::Embedded { entry, copy, .. } => copy.get_or_init(|| copied(entry)),
        }
    }
}

impl<T: Container> DerefMut for Edit<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Place::Boxed(value) => value,
            Place::Embedded {
                entry,
                copy,
                changed,
            } => {
                *changed = true;
                copy.get_or_init(|| copied(entry));
                copy.get_mut().expect("made one line up")
            }
        }
    }
}

impl<T: Container> Drop for Edit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Place::Embedded {
            entry,
            copy,
            changed,
        } = &mut self.0
            && let Some(value) = copy.take()
        {
            end(entry, value, *changed);
        }
    }
}

/// Puts a copy back, if it has changed, and keeps its memory.
fn end<T: Container>(entry: &mut EntryMut<'_>, value: T, changed: bool) {
    match value.packed() {
        Some(packed) if packed.is_small() => {
            if changed {
                entry.put_packed(T::TYPE, packed);
            }
        }
        // It has outgrown the entry, but its memory is not made for it.
        Some(packed) => entry.put(T::unpack(packed.to_packed()).into_value()),
        None => return entry.put(value.into_value()),
    }
    if let Some(bytes) = value.into_packed().map(Packed::into_bytes)
        && bytes.capacity() <= SCRATCH_MAX
    {
        SCRATCH.set(bytes);
    }
}

impl<T: Container + fmt::Debug> fmt::Debug for Edit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::EMBED_MAX;
    use crate::testing::small_limits;
    use crate::{Db, Entry, Hash, List, Set, StrHow, Ttl, ValueMut, ValueRef, ZSet};

    /// A change of a container, whatever its type; the number says which, and of what.
    fn change(value: &mut ValueMut<'_>, op: u8, text: &[u8]) {
        let limits = small_limits();
        match value {
            ValueMut::List(list) if op == 0 => drop(list.pop_front()),
            ValueMut::List(list) => list.push_back(text, &limits.list),
            ValueMut::Set(set) if op == 0 => drop(set.remove(text)),
            ValueMut::Set(set) => drop(set.add(text, &limits)),
            ValueMut::Hash(hash) if op == 0 => drop(hash.remove(text)),
            ValueMut::Hash(hash) => drop(hash.set(text, &text.repeat(op.into()), &limits)),
            ValueMut::ZSet(zset) if op == 0 => drop(zset.remove(text)),
            ValueMut::ZSet(zset) => drop(zset.insert(text, f64::from(op), &limits)),
            ValueMut::Str(_) | ValueMut::Stream(_) => unreachable!("none is made"),
        }
    }

    /// The same change of a value that is in no database.
    fn change_own(value: &mut Value, op: u8, text: &[u8]) {
        let mut value = match value {
            Value::List(list) => ValueMut::List(Edit::boxed(list)),
            Value::Set(set) => ValueMut::Set(Edit::boxed(set)),
            Value::Hash(hash) => ValueMut::Hash(Edit::boxed(hash)),
            Value::ZSet(zset) => ValueMut::ZSet(Edit::boxed(zset)),
            Value::Str(_) | Value::Stream(_) => unreachable!("none is made"),
        };
        change(&mut value, op, text);
    }

    fn empty(type_: u8) -> Value {
        match type_ {
            0 => Value::List(Box::default()),
            1 => Value::Set(Box::default()),
            2 => Value::Hash(Box::default()),
            _ => Value::ZSet(Box::default()),
        }
    }

    /// What is in a container, in its own order or, where it has none, sorted.
    fn contents(value: ValueRef<'_>) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = match value {
            ValueRef::List(list) => return list.iter().map(|element| element.to_vec()).collect(),
            ValueRef::Set(set) => set.iter().map(|member| member.to_vec()).collect(),
            ValueRef::Hash(hash) => {
                let pairs = hash.iter().map(|(f, v)| [f.to_vec(), v.to_vec()].concat());
                pairs.collect()
            }
            ValueRef::ZSet(zset) => {
                let pairs = zset.iter();
                return pairs
                    .map(|(m, s)| [&m.to_vec()[..], &s.to_le_bytes()].concat())
                    .collect();
            }
            ValueRef::Str(_) | ValueRef::Stream(_) => unreachable!("none is made"),
        };
        all.sort();
        all
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => "[a-e]{0,2}".prop_map(String::into_bytes),
            3 => (-30..30_i64).prop_map(|n| n.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            2 => prop::collection::vec(any::<u8>(), 0..70),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_container_is_the_same_inside_and_outside_of_its_entry(
            type_ in 0..4_u8,
            key in prop_oneof![Just(1_usize), Just(20), Just(300)],
            expire in any::<bool>(),
            ops in prop::collection::vec((0..3_u8, text(), any::<bool>()), 1..60),
        ) {
            let key = vec![b'k'; key];
            let mut db = Db::new();
            let mut model = empty(type_);
            db.insert(&key, empty(type_), expire.then_some(7));
            for (op, text, two_at_once) in ops {
                {
                    let mut value = db.get_mut(&key).expect("it is there").into_value_mut();
                    change(&mut value, op, &text);
                    if two_at_once {
                        change(&mut value, 1, b"again");
                    }
                }
                change_own(&mut model, op, &text);
                if two_at_once {
                    change_own(&mut model, 1, b"again");
                }
                let entry = db.get(&key).expect("it is there");
                prop_assert_eq!(contents(entry.value()), contents(model.as_ref()));
                prop_assert_eq!(entry.encoding(), model.encoding());
                prop_assert_eq!(entry.expire_at_ms(), expire.then_some(7));
                prop_assert_eq!(entry.key(), &key[..]);
                if expire {
                    let mut found = 0;
                    db.scan_expires(0, &mut |other| found += usize::from(other.key() == key));
                    prop_assert_eq!(found, 1);
                }
            }
            let copy = db.get(&key).as_deref().map(Entry::to_value).expect("it is there");
            prop_assert_eq!(contents(copy.as_ref()), contents(model.as_ref()));
            db.set_expire(&key, Some(9));
            prop_assert_eq!(contents(db.get(&key).expect("it is there").value()), contents(model.as_ref()));
            let value = db.remove(&key).expect("it is there").into_value();
            prop_assert_eq!(contents(value.as_ref()), contents(model.as_ref()));
            prop_assert_eq!(value.encoding(), model.encoding());
        }
    }

    fn hash_of(fields: usize) -> Value {
        let mut hash = Hash::new();
        for n in 0..fields {
            hash.set(format!("field{n}").as_bytes(), b"value", &small_limits());
        }
        Value::Hash(Box::new(hash))
    }

    #[test]
    fn a_small_hash_is_one_allocation_with_its_key() {
        let mut db = Db::new();
        db.insert(b"hash:0000001", hash_of(10), None);
        // Header, key, a listpack of 6 + 10 * (8 + 7) + 1 bytes.
        assert_eq!(
            db.get(b"hash:0000001").map(|entry| entry.memory_bytes(0)),
            Some(192)
        );
    }

    #[test]
    fn looking_at_what_is_edited_changes_nothing() {
        let mut db = Db::new();
        db.insert(b"key", hash_of(3), None);
        let before = db.get(b"key").map(|entry| entry.key().as_ptr());
        let Some(ValueMut::Hash(edit)) = db.get_mut(b"key").map(crate::EntryMut::into_value_mut)
        else {
            panic!("no hash")
        };
        assert_eq!(edit.view().len(), 3);
        assert!(edit.contains(b"field1"));
        assert_eq!(edit.view().len(), 3);
        drop(edit);
        assert_eq!(db.get(b"key").map(|entry| entry.key().as_ptr()), before);
    }

    #[test]
    fn other_values_come_and_go_in_the_place_of_a_packed_one() {
        let mut db = Db::new();
        let fits = vec![b'x'; EMBED_MAX];
        let values = || {
            let mut list = List::new();
            list.push_back(b"element", &small_limits().list);
            let mut set = Set::new();
            set.add(b"7", &small_limits());
            let mut zset = ZSet::new();
            zset.insert(b"m", 1.5, &small_limits());
            [
                Value::List(Box::new(list)),
                Value::Set(Box::new(set)),
                hash_of(2),
                hash_of(100),
                Value::ZSet(Box::new(zset)),
            ]
        };
        for value in values() {
            for other in values() {
                let expected = contents(other.as_ref());
                db.insert(b"key", value_again(&value), Some(5));
                db.insert(b"key", other, None);
                let entry = db.get(b"key").expect("it is there");
                assert_eq!(contents(entry.value()), expected);
                assert_eq!(db.expires_len(), 0);
                db.set_str(b"key", &fits, Ttl::Clear, StrHow::Detect);
                db.insert(b"key", value_again(&value), None);
                db.set_str(b"key", b"12", Ttl::Clear, StrHow::Detect);
                assert_eq!(db.get(b"key").as_deref().and_then(Entry::as_int), Some(12));
            }
        }
    }

    fn value_again(value: &Value) -> Value {
        value.as_ref().to_value()
    }
}
