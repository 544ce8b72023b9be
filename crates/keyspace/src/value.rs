//! Values: what a key may hold, as seen borrowed, mutably borrowed, and owned.

use std::sync::Arc;

use crate::limits::EMBSTR_MAX;
use crate::{Edit, Element, Hash, HashRef, List, ListRef, Set, SetRef, Stream, ZSet, ZSetRef};

/// The data type of a value, as `TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`
    Str,
    /// `list`
    List,
    /// `set`
    Set,
    /// `hash`
    Hash,
    /// `zset`
    ZSet,
    /// `stream`
    Stream,
}

impl Type {
    /// The name that `TYPE` replies.
    pub fn name(self) -> &'static str {
        match self {
            Type::Str => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Hash => "hash",
            Type::ZSet => "zset",
            Type::Stream => "stream",
        }
    }
}

/// How a value is held, as `OBJECT ENCODING` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A string that is a canonical 64-bit integer.
    Int,
    /// A short string.
    Embstr,
    /// Any other string.
    Raw,
    /// A small list, set, hash or sorted set.
    Listpack,
    /// A list of nodes.
    Quicklist,
    /// A small set of integers.
    Intset,
    /// A large set or hash.
    Hashtable,
    /// A large sorted set. (The name is the protocol's; ours is a B+ tree.)
    Skiplist,
    /// A stream.
    Stream,
}

impl Encoding {
    /// The name that `OBJECT ENCODING` replies.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
            Encoding::Listpack => "listpack",
            Encoding::Quicklist => "quicklist",
            Encoding::Intset => "intset",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            Encoding::Stream => "stream",
        }
    }
}

/// A string value, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrRef<'a> {
    /// Held as an integer; its text is the canonical decimal form.
    Int(i64),
    /// Held as bytes.
    Bytes(&'a [u8]),
}

/// A value, borrowed from its entry.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// A string.
    Str(StrRef<'a>),
    /// A list.
    List(ListRef<'a>),
    /// A set.
    Set(SetRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
    /// A sorted set.
    ZSet(ZSetRef<'a>),
    /// A stream.
    Stream(&'a Stream),
}

/// A value, borrowed to be changed. Strings are changed through [`crate::EntryMut`], because a string may
/// live inside the entry's own allocation.
#[derive(Debug)]
pub enum ValueMut<'a> {
    /// A string, to look at.
    Str(StrRef<'a>),
    /// A list.
    List(Edit<'a, List>),
    /// A set.
    Set(Edit<'a, Set>),
    /// A hash.
    Hash(Edit<'a, Hash>),
    /// A sorted set.
    ZSet(Edit<'a, ZSet>),
    /// A stream.
    Stream(&'a mut Stream),
}

/// The bytes of a long string, counted: a request that brought them or a reply under way may hold them as well.
pub type Counted = Arc<Vec<u8>>;

/// A string value, owned and detached from any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// An integer.
    Int(i64),
    /// Bytes, reported as `embstr` when short enough, else `raw`.
    Bytes(Vec<u8>),
    /// Bytes, reported as `raw` however short.
    Raw(Counted),
}

/// A value, owned and detached from any key. It may be sent to another thread to be freed there.
#[derive(Debug)]
pub enum Value {
    /// A string.
    Str(Str),
    /// A list.
    List(Box<List>),
    /// A set.
    Set(Box<Set>),
    /// A hash.
    Hash(Box<Hash>),
    /// A sorted set.
    ZSet(Box<ZSet>),
    /// A stream.
    Stream(Box<Stream>),
}

impl Value {
    /// The data type.
    pub fn type_(&self) -> Type {
        match self {
            Value::Str(_) => Type::Str,
            Value::List(_) => Type::List,
            Value::Set(_) => Type::Set,
            Value::Hash(_) => Type::Hash,
            Value::ZSet(_) => Type::ZSet,
            Value::Stream(_) => Type::Stream,
        }
    }

    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Str(Str::Int(n)) => ValueRef::Str(StrRef::Int(*n)),
            Value::Str(Str::Bytes(b)) => ValueRef::Str(StrRef::Bytes(b)),
            Value::Str(Str::Raw(b)) => ValueRef::Str(StrRef::Bytes(b)),
            Value::List(v) => ValueRef::List(v.view()),
            Value::Set(v) => ValueRef::Set(v.view()),
            Value::Hash(v) => ValueRef::Hash(v.view()),
            Value::ZSet(v) => ValueRef::ZSet(v.view()),
            Value::Stream(v) => ValueRef::Stream(v),
        }
    }

    /// How the value is held.
    pub fn encoding(&self) -> Encoding {
        match self {
            Value::Str(Str::Int(_)) => Encoding::Int,
            Value::Str(Str::Bytes(b)) if b.len() <= EMBSTR_MAX => Encoding::Embstr,
            Value::Str(_) => Encoding::Raw,
            other => other.as_ref().encoding(),
        }
    }

    /// How much work freeing takes: 1 for one allocation, else about the number of allocations.
    pub fn free_effort(&self) -> usize {
        self.as_ref().free_effort()
    }
}

impl ValueRef<'_> {
    /// The data type.
    pub fn type_(&self) -> Type {
        match self {
            ValueRef::Str(_) => Type::Str,
            ValueRef::List(_) => Type::List,
            ValueRef::Set(_) => Type::Set,
            ValueRef::Hash(_) => Type::Hash,
            ValueRef::ZSet(_) => Type::ZSet,
            ValueRef::Stream(_) => Type::Stream,
        }
    }

    /// A copy of the value, held the same way; of a short `raw` string see [`crate::Entry::to_value`].
    pub fn to_value(&self) -> Value {
        match self {
            ValueRef::Str(StrRef::Int(n)) => Value::Str(Str::Int(*n)),
            ValueRef::Str(StrRef::Bytes(bytes)) => Value::Str(Str::Bytes(bytes.to_vec())),
            ValueRef::List(list) => Value::List(Box::new(list.to_list())),
            ValueRef::Set(set) => Value::Set(Box::new(set.to_set())),
            ValueRef::Hash(hash) => Value::Hash(Box::new(hash.to_hash())),
            ValueRef::ZSet(zset) => Value::ZSet(Box::new(zset.to_zset())),
            ValueRef::Stream(stream) => Value::Stream(Box::new((*stream).clone())),
        }
    }

    /// How the value is held. For strings prefer [`crate::Entry::encoding`], which also knows of short `raw` ones.
    pub fn encoding(&self) -> Encoding {
        match self {
            ValueRef::Str(StrRef::Int(_)) => Encoding::Int,
            ValueRef::Str(StrRef::Bytes(bytes)) if bytes.len() <= EMBSTR_MAX => Encoding::Embstr,
            ValueRef::Str(StrRef::Bytes(_)) => Encoding::Raw,
            ValueRef::List(list) => list.encoding(),
            ValueRef::Set(set) => set.encoding(),
            ValueRef::Hash(hash) => hash.encoding(),
            ValueRef::ZSet(zset) => zset.encoding(),
            ValueRef::Stream(stream) => stream.encoding(),
        }
    }

    /// See [`Value::free_effort`].
    pub fn free_effort(&self) -> usize {
        match self {
            ValueRef::Str(_) => 1,
            ValueRef::List(list) => list.free_effort(),
            ValueRef::Set(set) => set.free_effort(),
            ValueRef::Hash(hash) => hash.free_effort(),
            ValueRef::ZSet(zset) => zset.free_effort(),
            ValueRef::Stream(stream) => stream.free_effort(),
        }
    }
}

impl<'a> StrRef<'a> {
    /// Length in bytes of the text.
    pub fn len(self) -> usize {
        self.element().len()
    }

    /// Whether it is the empty string.
    pub fn is_empty(self) -> bool {
        matches!(self, StrRef::Bytes([]))
    }

    /// The same as an element of a container, which has the helpers to get at the text.
    #[inline]
    pub fn element(self) -> Element<'a> {
        match self {
            StrRef::Int(n) => Element::Int(n),
            StrRef::Bytes(bytes) => Element::Bytes(bytes),
        }
    }
}

/// Why the bytes of a packed value cannot be the value they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// A member or field comes twice.
    Duplicate,
    /// A field without a value, or a member without a score.
    Unpaired,
    /// A score that is no number.
    Score,
    /// Members, or entries of a stream, that are not in order.
    Unsorted,
    /// Something else than the entries of a stream.
    Node,
}
