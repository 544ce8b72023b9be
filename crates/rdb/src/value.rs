//! Values: from any of their forms in a file to one small set of calls on a [`ValueSink`].

use std::io::Read;

use packed::{Count, IntBuf, Intset, Listpack};

use crate::check;
use crate::error::{Error, ErrorKind, Result};
use crate::expiring::Expiring;
use crate::format::{ValueType, list_node};
use crate::limits::{PACKED_BYTES_MAX, SIZE_HINT_MAX};
use crate::old;
use crate::reader::Reader;
use crate::text::Text;

/// A sink's answer: go on, or a reason (for the log) to give up, such as a duplicate member.
pub type Accept = std::result::Result<(), &'static str>;

/// The kinds of values that have elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Elements in order.
    List,
    /// Unique members.
    Set,
    /// Unique members with scores.
    ZSet,
    /// Unique fields with values.
    Hash,
}

/// What [`Reader::value`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Loaded {
    /// A value; the sink has all of it.
    Value,
    /// A container without elements, which commands cannot build. The sink was not called: skip the key.
    Empty,
}

/// Takes the parts of one value. For each value it is called in one of these orders:
///
/// - a string: [`string`](Self::string) once;
/// - a list: [`begin`](Self::begin), then [`element`](Self::element) for each element, or
///   [`listpack`](Self::listpack) and [`plain_node`](Self::plain_node) for each node;
/// - a packed set, sorted set or hash: [`listpack`](Self::listpack) or [`intset`](Self::intset) once.
///   Members are unique, pairs complete, scores numbers and in order;
/// - any other set, sorted set or hash: [`begin`](Self::begin), then `element`,
///   [`member`](Self::member) or [`field`](Self::field) for each. *Here the sink has to refuse
///   duplicates*, which it notices anyway when it inserts.
///
/// Packed values are of any size: the sink decides whether they stay packed.
pub trait ValueSink {
    /// A string.
    fn string(&mut self, value: Text<'_>) -> Accept;
    /// A container of about `size_hint` elements or pairs begins; 0 when unknown.
    fn begin(&mut self, kind: Kind, size_hint: usize) -> Accept;
    /// The next list element or set member.
    fn element(&mut self, element: Text<'_>) -> Accept;
    /// The next field of a hash.
    fn field(&mut self, field: &[u8], value: Text<'_>) -> Accept;
    /// The next member of a sorted set. The score is not NaN.
    fn member(&mut self, member: &[u8], score: f64) -> Accept;
    /// A whole packed set, sorted set or hash, or the next node of a list. Never empty.
    fn listpack(&mut self, kind: Kind, listpack: Listpack) -> Accept;
    /// The next node of a list, which is a single large element.
    fn plain_node(&mut self, element: Vec<u8>) -> Accept;
    /// A whole set of integers. Never empty.
    fn intset(&mut self, intset: Intset) -> Accept;
}

/// A sink that forgets everything, for skipping a value with all its checks but that for duplicates in
/// unpacked containers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl ValueSink for Discard {
    fn string(&mut self, _: Text<'_>) -> Accept {
        Ok(())
    }
    fn begin(&mut self, _: Kind, _: usize) -> Accept {
        Ok(())
    }
    fn element(&mut self, _: Text<'_>) -> Accept {
        Ok(())
    }
    fn field(&mut self, _: &[u8], _: Text<'_>) -> Accept {
        Ok(())
    }
    fn member(&mut self, _: &[u8], _: f64) -> Accept {
        Ok(())
    }
    fn listpack(&mut self, _: Kind, _: Listpack) -> Accept {
        Ok(())
    }
    fn plain_node(&mut self, _: Vec<u8>) -> Accept {
        Ok(())
    }
    fn intset(&mut self, _: Intset) -> Accept {
        Ok(())
    }
}

/// How the score after a member is written.
#[derive(Clone, Copy)]
enum ScoreForm {
    Text,
    Binary,
}

impl<R: Read> Reader<R> {
    /// Reads the value of the key just returned and gives it to `sink`. Who wants streams matches their
    /// types first and reads them with [`listpack`](Self::listpack), [`length`](Self::length) and so on.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for streams, [`ErrorKind::Module`] for module values, [`ErrorKind::FieldExpires`] for
    /// hashes with a field that expires; [`ErrorKind::Refused`] when the sink does not accept; the others as everywhere.
    #[inline]
    pub fn value<S: ValueSink>(&mut self, type_: ValueType, sink: &mut S) -> Result<Loaded> {
        self.input.what = type_.name();
        if type_ == ValueType::String {
            let accepted = sink.string(self.string()?);
            self.check(accepted)?;
            return Ok(Loaded::Value);
        }
        self.container(type_, sink)
    }

    fn container<S: ValueSink>(&mut self, type_: ValueType, sink: &mut S) -> Result<Loaded> {
        match type_ {
            ValueType::List => self.elements(Kind::List, sink),
            ValueType::Set => self.elements(Kind::Set, sink),
            ValueType::ZSet => self.members(ScoreForm::Text, sink),
            ValueType::ZSet2 => self.members(ScoreForm::Binary, sink),
            ValueType::Hash => self.fields(sink),
            ValueType::HashZipmap => self.converted(Kind::Hash, old::zipmap, sink),
            ValueType::HashZiplist => self.converted(Kind::Hash, old::ziplist, sink),
            ValueType::ZSetZiplist => self.converted(Kind::ZSet, old::ziplist, sink),
            ValueType::HashListpack => self.packed(Kind::Hash, sink),
            ValueType::ZSetListpack => self.packed(Kind::ZSet, sink),
            ValueType::SetListpack => self.packed(Kind::Set, sink),
            ValueType::SetIntset => self.intset(sink),
            ValueType::ListZiplist => self.nodes(Some(1), Self::ziplist_node, sink),
            ValueType::ListQuicklist => self.nodes(None, Self::ziplist_node, sink),
            ValueType::ListQuicklist2 => self.nodes(None, Self::any_node, sink),
            ValueType::String => self.value(type_, sink),
            ValueType::ModulePreGa => Err(self.input.error(ErrorKind::NotSupported(
                "Pre-release module format not supported",
            ))),
            ValueType::Module => {
                let name = module_name(self.length()?);
                Err(self.input.error(ErrorKind::Module(name)))
            }
            ValueType::HashMetadata => self.expiring_fields(sink, Expiring::Refused),
            ValueType::HashVolatile => self.volatile_fields(sink, Expiring::Refused),
            ValueType::HashListpackEx => {
                let listpack = self.expiring_listpack(Expiring::Refused)?;
                self.unique(Kind::Hash, listpack, sink)
            }
            ValueType::StreamListpacks
            | ValueType::StreamListpacks2
            | ValueType::StreamListpacks3
            | ValueType::HashMetadataPreGa
            | ValueType::HashListpackExPreGa => {
                Err(self.input.error(ErrorKind::Unsupported(type_)))
            }
        }
    }

    #[inline]
    pub(crate) fn check(&self, accepted: Accept) -> Result<()> {
        accepted.map_err(|why| self.refused(why))
    }

    /// The error of a value that its taker does not accept, for a reason that came out behind its end.
    #[cold]
    pub fn refused(&self, why: &'static str) -> Error {
        self.input.error(ErrorKind::Refused(why))
    }

    pub(crate) fn begin<S: ValueSink>(&mut self, kind: Kind, sink: &mut S) -> Result<u64> {
        let count = self.count()?;
        if count > 0 {
            let hint = usize::try_from(count).map_or(SIZE_HINT_MAX, |c| c.min(SIZE_HINT_MAX));
            self.check(sink.begin(kind, hint))?;
        }
        Ok(count)
    }

    fn elements<S: ValueSink>(&mut self, kind: Kind, sink: &mut S) -> Result<Loaded> {
        let count = self.begin(kind, sink)?;
        for _ in 0..count {
            let accepted = sink.element(self.string()?);
            self.check(accepted)?;
        }
        Ok(loaded(count))
    }

    fn fields<S: ValueSink>(&mut self, sink: &mut S) -> Result<Loaded> {
        let count = self.begin(Kind::Hash, sink)?;
        let mut field = std::mem::take(&mut self.field);
        for _ in 0..count {
            field.clear();
            self.string_onto(&mut field)?;
            let accepted = sink.field(&field, self.string()?);
            self.check(accepted)?;
        }
        self.keep_field(field);
        Ok(loaded(count))
    }

    fn members<S: ValueSink>(&mut self, form: ScoreForm, sink: &mut S) -> Result<Loaded> {
        let count = self.begin(Kind::ZSet, sink)?;
        let mut member = std::mem::take(&mut self.field);
        for _ in 0..count {
            member.clear();
            self.string_onto(&mut member)?;
            let score = match form {
                ScoreForm::Text => self.text_double()?,
                ScoreForm::Binary => self.double()?,
            };
            let accepted = sink.member(&member, score);
            self.check(accepted)?;
        }
        self.keep_field(member);
        Ok(loaded(count))
    }

    /// Keeps the buffer for the next value, unless it has become large.
    pub(crate) fn keep_field(&mut self, field: Vec<u8>) {
        if field.capacity() <= self.input.take_max() {
            self.field = field;
        }
    }

    /// A string that is a packed blob.
    fn packed_blob(&mut self) -> Result<Vec<u8>> {
        let blob = self.string_vec()?;
        if blob.len() > PACKED_BYTES_MAX {
            return Err(self.input.error(ErrorKind::BadLength(blob.len() as u64)));
        }
        Ok(blob)
    }

    /// A string that is a listpack, checked in depth, such as a node of a stream. Its elements are counted anew where it
    /// states another number.
    pub fn listpack(&mut self) -> Result<Listpack> {
        let blob = self.packed_blob()?;
        match Listpack::from_bytes_recounted(blob) {
            Ok((listpack, Count::Right)) => Ok(listpack),
            Ok((listpack, Count::Corrected)) => {
                self.correct("elements of a listpack");
                Ok(listpack)
            }
            Err(_) => Err(self.input.corrupt("malformed listpack")),
        }
    }

    fn packed<S: ValueSink>(&mut self, kind: Kind, sink: &mut S) -> Result<Loaded> {
        let listpack = self.listpack()?;
        self.unique(kind, listpack, sink)
    }

    /// Of two members that are the same the first one stays: it is the one that lookups in the reference find.
    pub(crate) fn unique<S: ValueSink>(
        &mut self,
        kind: Kind,
        mut listpack: Listpack,
        sink: &mut S,
    ) -> Result<Loaded> {
        let step = step(kind);
        if listpack.len().is_multiple_of(step)
            && check::has_duplicates(&listpack, step, &mut self.digests)
        {
            listpack = check::without_duplicates(&listpack, step);
            self.correct("members that come twice");
        }
        self.deliver(kind, listpack, sink)
    }

    fn converted<S: ValueSink>(
        &mut self,
        kind: Kind,
        convert: fn(&[u8]) -> std::result::Result<Listpack, old::Refused>,
        sink: &mut S,
    ) -> Result<Loaded> {
        let blob = self.packed_blob()?;
        let listpack = convert(&blob).map_err(|why| self.input.corrupt(why))?;
        if check::has_duplicates(&listpack, step(kind), &mut self.digests) {
            return Err(self.input.corrupt("duplicate member or field"));
        }
        self.deliver(kind, listpack, sink)
    }

    /// Checks a whole packed value, whose members are unique, and hands it on.
    fn deliver<S: ValueSink>(
        &mut self,
        kind: Kind,
        listpack: Listpack,
        sink: &mut S,
    ) -> Result<Loaded> {
        if listpack.is_empty() {
            return Ok(Loaded::Empty);
        }
        if !listpack.len().is_multiple_of(step(kind)) {
            return Err(self.input.corrupt("the last pair has no second half"));
        }
        if kind == Kind::ZSet {
            match check::is_sorted(&listpack) {
                Err(()) => return Err(self.input.corrupt("score is not a number")),
                // Written by something careless; what it means is still clear.
                Ok(false) => return self.unsorted(&listpack, sink),
                Ok(true) => {}
            }
        }
        self.check(sink.listpack(kind, listpack))?;
        Ok(Loaded::Value)
    }

    #[cold]
    fn unsorted<S: ValueSink>(&mut self, listpack: &Listpack, sink: &mut S) -> Result<Loaded> {
        let hint = (listpack.len() >> 1).min(SIZE_HINT_MAX);
        self.check(sink.begin(Kind::ZSet, hint))?;
        let mut elements = listpack.iter();
        while let (Some(member), Some(text)) = (elements.next(), elements.next()) {
            let Some(score) = check::element_score(text) else {
                return Err(self.input.corrupt("score is not a number"));
            };
            let accepted = sink.member(member.bytes(&mut IntBuf::new()), score);
            self.check(accepted)?;
        }
        Ok(Loaded::Value)
    }

    fn intset<S: ValueSink>(&mut self, sink: &mut S) -> Result<Loaded> {
        let blob = self.packed_blob()?;
        let intset =
            Intset::from_bytes(blob).map_err(|_| self.input.corrupt("malformed intset"))?;
        if intset.is_empty() {
            return Ok(Loaded::Empty);
        }
        self.check(sink.intset(intset))?;
        Ok(Loaded::Value)
    }

    /// The nodes of a list; `count` is read where it is not given. Empty nodes are left out.
    fn nodes<S: ValueSink>(
        &mut self,
        count: Option<u64>,
        read: fn(&mut Self) -> Result<Node>,
        sink: &mut S,
    ) -> Result<Loaded> {
        let count = match count {
            Some(count) => count,
            None => self.count()?,
        };
        let mut loaded = Loaded::Empty;
        for _ in 0..count {
            let node = read(self)?;
            if matches!(&node, Node::Packed(listpack) if listpack.is_empty()) {
                continue;
            }
            if loaded == Loaded::Empty {
                self.check(sink.begin(Kind::List, 0))?;
                loaded = Loaded::Value;
            }
            let accepted = match node {
                Node::Packed(listpack) => sink.listpack(Kind::List, listpack),
                Node::Plain(element) => sink.plain_node(element),
            };
            self.check(accepted)?;
        }
        Ok(loaded)
    }

    fn ziplist_node(&mut self) -> Result<Node> {
        let blob = self.packed_blob()?;
        match old::ziplist(&blob) {
            Ok(listpack) => Ok(Node::Packed(listpack)),
            Err(why) => Err(self.input.corrupt(why)),
        }
    }

    fn any_node(&mut self) -> Result<Node> {
        match self.length()? {
            list_node::PLAIN => Ok(Node::Plain(self.string_vec()?)),
            list_node::PACKED => Ok(Node::Packed(self.listpack()?)),
            _ => Err(self.input.corrupt("unknown list node container")),
        }
    }
}

/// Elements from one member to the next.
fn step(kind: Kind) -> usize {
    match kind {
        Kind::List | Kind::Set => 1,
        Kind::ZSet | Kind::Hash => 2,
    }
}

/// The name in the identity of a module: nine characters of six bits each, above the ten of its version.
#[must_use]
pub fn module_name(id: u64) -> String {
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (1..=9u32)
        .filter_map(|position| {
            let index = (id >> 64u32.saturating_sub(position.saturating_mul(6))) & 0x3f;
            CHARACTERS.get(index as usize).map(|byte| char::from(*byte))
        })
        .collect()
}

/// A node of a list.
enum Node {
    Packed(Listpack),
    Plain(Vec<u8>),
}

pub(crate) fn loaded(count: u64) -> Loaded {
    if count == 0 {
        Loaded::Empty
    } else {
        Loaded::Value
    }
}
