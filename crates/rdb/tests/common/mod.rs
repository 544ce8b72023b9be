//! A plain model of a dataset, with a sink that fills it and a writer that saves it.
#![allow(
    dead_code,
    reason = "every test file includes this module and uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use packed::{IntBuf, Intset, Listpack};
use rdb::{
    Accept, Checksum, Event, Kind, Loaded, Reader, ReaderOptions, Text, ValueSink, ValueType,
    Writer, WriterOptions,
};

pub(crate) type Bytes = Vec<u8>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(Bytes),
    List(Vec<Bytes>),
    Set(BTreeSet<Bytes>),
    ZSet(BTreeMap<Bytes, f64>),
    Hash(BTreeMap<Bytes, Bytes>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) expire_at_ms: Option<i64>,
    pub(crate) idle: Option<u64>,
    pub(crate) freq: Option<u8>,
}

impl Entry {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            value,
            expire_at_ms: None,
            idle: None,
            freq: None,
        }
    }
}

/// Everything that a file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Dataset {
    pub(crate) keys: BTreeMap<(u64, Bytes), Entry>,
    /// Types in the order of the keys.
    pub(crate) types: Vec<ValueType>,
    pub(crate) skipped: Vec<Bytes>,
    pub(crate) aux: Vec<(Bytes, Bytes)>,
    pub(crate) functions: Vec<Bytes>,
    pub(crate) sizes: Vec<(u64, u64)>,
    pub(crate) slots: Vec<(u64, u64, u64)>,
    pub(crate) modules: usize,
    pub(crate) checksum: Option<Checksum>,
}

pub(crate) fn text(text: &Text<'_>) -> Bytes {
    text.as_bytes(&mut IntBuf::new()).to_vec()
}

/// Builds one value.
#[derive(Default)]
pub(crate) struct Build(pub(crate) Option<Value>);

impl Build {
    fn start(kind: Kind) -> Value {
        match kind {
            Kind::List => Value::List(Vec::new()),
            Kind::Set => Value::Set(BTreeSet::new()),
            Kind::ZSet => Value::ZSet(BTreeMap::new()),
            Kind::Hash => Value::Hash(BTreeMap::new()),
        }
    }
}

fn fresh(new: bool) -> Accept {
    if new { Ok(()) } else { Err("duplicate") }
}

impl ValueSink for Build {
    fn string(&mut self, value: Text<'_>) -> Accept {
        self.0 = Some(Value::String(text(&value)));
        Ok(())
    }
    fn begin(&mut self, kind: Kind, _: usize) -> Accept {
        assert!(self.0.is_none());
        self.0 = Some(Self::start(kind));
        Ok(())
    }
    fn element(&mut self, element: Text<'_>) -> Accept {
        match self.0.as_mut().expect("begun") {
            Value::List(list) => {
                list.push(text(&element));
                Ok(())
            }
            Value::Set(set) => fresh(set.insert(text(&element))),
            other => panic!("element of {other:?}"),
        }
    }
    fn field(&mut self, field: &[u8], value: Text<'_>) -> Accept {
        let Some(Value::Hash(hash)) = &mut self.0 else {
            panic!("field of {:?}", self.0)
        };
        fresh(hash.insert(field.to_vec(), text(&value)).is_none())
    }
    fn member(&mut self, member: &[u8], score: f64) -> Accept {
        let Some(Value::ZSet(zset)) = &mut self.0 else {
            panic!("member of {:?}", self.0)
        };
        assert!(!score.is_nan());
        fresh(zset.insert(member.to_vec(), score).is_none())
    }
    fn listpack(&mut self, kind: Kind, listpack: Listpack) -> Accept {
        assert!(!listpack.is_empty());
        let mut elements = listpack.iter().map(packed::Element::to_vec);
        if kind != Kind::List {
            assert!(self.0.is_none());
            self.0 = Some(Self::start(kind));
        }
        match self.0.as_mut().expect("begun") {
            Value::List(list) => list.extend(elements),
            Value::Set(set) => assert!(elements.all(|e| set.insert(e)), "unique"),
            Value::Hash(hash) => {
                while let Some(field) = elements.next() {
                    let value = elements.next().expect("pairs");
                    assert!(hash.insert(field, value).is_none(), "unique");
                }
            }
            Value::ZSet(zset) => {
                while let Some(member) = elements.next() {
                    let score = String::from_utf8(elements.next().expect("pairs")).unwrap();
                    let score: f64 = score.parse().unwrap();
                    assert!(!score.is_nan());
                    assert!(zset.insert(member, score).is_none(), "unique");
                }
            }
            Value::String(_) => panic!("listpack in a string"),
        }
        Ok(())
    }
    fn plain_node(&mut self, element: Vec<u8>) -> Accept {
        let Some(Value::List(list)) = &mut self.0 else {
            panic!("node of {:?}", self.0)
        };
        list.push(element);
        Ok(())
    }
    fn intset(&mut self, intset: Intset) -> Accept {
        assert!(self.0.is_none());
        let members = intset.iter().map(|n| n.to_string().into_bytes());
        self.0 = Some(Value::Set(members.collect()));
        Ok(())
    }
}

/// Reads a whole file.
pub(crate) fn load(source: impl Read, options: ReaderOptions) -> rdb::Result<Dataset> {
    load_from(&mut Reader::new(source, options))
}

pub(crate) fn load_from<R: Read>(reader: &mut Reader<R>) -> rdb::Result<Dataset> {
    let mut dataset = Dataset::default();
    reader.header()?;
    let mut db = 0;
    let mut key = Vec::new();
    loop {
        match reader.next(&mut key)? {
            Event::Aux { key, value } => dataset.aux.push((key, value)),
            Event::SelectDb(index) => db = index,
            Event::ResizeDb { keys, expires } => dataset.sizes.push((keys, expires)),
            Event::SlotInfo {
                slot,
                keys,
                expires,
            } => dataset.slots.push((slot, keys, expires)),
            Event::Function(code) => dataset.functions.push(code),
            Event::ModuleAux { .. } => dataset.modules += 1,
            Event::Key(head) => {
                let mut build = Build::default();
                if reader.value(head.type_, &mut build)? == Loaded::Empty {
                    assert!(build.0.is_none());
                    dataset.skipped.push(key.clone());
                    continue;
                }
                let entry = Entry {
                    value: build.0.expect("a value was announced"),
                    expire_at_ms: head.expire_at_ms,
                    idle: head.idle,
                    freq: head.freq,
                };
                dataset.types.push(head.type_);
                dataset.keys.insert((db, key.clone()), entry);
            }
            Event::Eof(checksum) => {
                dataset.checksum = Some(checksum);
                return Ok(dataset);
            }
        }
    }
}

/// Whether containers are written element by element or as one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Packed,
}

fn listpack<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Listpack {
    let mut listpack = Listpack::new();
    for element in elements {
        listpack.push_back(element);
    }
    listpack
}

fn write_value(
    writer: &mut Writer<Vec<u8>>,
    key: &[u8],
    value: &Value,
    form: Form,
) -> std::io::Result<()> {
    match (value, form) {
        (Value::String(value), _) => {
            writer.key(ValueType::String, key)?;
            writer.string(value)
        }
        (Value::List(list), Form::Plain) => {
            writer.key(ValueType::List, key)?;
            writer.length(list.len() as u64)?;
            list.iter().try_for_each(|element| writer.string(element))
        }
        (Value::List(list), Form::Packed) => {
            writer.key(ValueType::ListQuicklist2, key)?;
            writer.length(list.chunks(5).len() as u64)?;
            list.chunks(5).try_for_each(|node| match node {
                [large] if large.len() > 100 => {
                    writer.length(1)?;
                    writer.string(large)
                }
                _ => {
                    writer.length(2)?;
                    writer.blob(listpack(node.iter().map(Vec::as_slice)).as_bytes())
                }
            })
        }
        (Value::Set(set), Form::Plain) => {
            writer.key(ValueType::Set, key)?;
            writer.length(set.len() as u64)?;
            set.iter().try_for_each(|member| writer.string(member))
        }
        (Value::Set(set), Form::Packed) => {
            writer.key(ValueType::SetListpack, key)?;
            writer.blob(listpack(set.iter().map(Vec::as_slice)).as_bytes())
        }
        (Value::ZSet(zset), Form::Plain) => {
            writer.key(ValueType::ZSet2, key)?;
            writer.length(zset.len() as u64)?;
            zset.iter().try_for_each(|(member, score)| {
                writer.string(member)?;
                writer.double(*score)
            })
        }
        (Value::ZSet(zset), Form::Packed) => {
            let mut members: Vec<_> = zset.iter().collect();
            members.sort_by(|a, b| a.1.total_cmp(b.1).then_with(|| a.0.cmp(b.0)));
            let mut packed = Listpack::new();
            for (member, score) in members {
                packed.push_back(member);
                packed.push_back(score.to_string().as_bytes());
            }
            writer.key(ValueType::ZSetListpack, key)?;
            writer.blob(packed.as_bytes())
        }
        (Value::Hash(hash), Form::Plain) => {
            writer.key(ValueType::Hash, key)?;
            writer.length(hash.len() as u64)?;
            hash.iter().try_for_each(|(field, value)| {
                writer.string(field)?;
                writer.string(value)
            })
        }
        (Value::Hash(hash), Form::Packed) => {
            let pairs = hash.iter().flat_map(|(f, v)| [f.as_slice(), v.as_slice()]);
            writer.key(ValueType::HashListpack, key)?;
            writer.blob(listpack(pairs).as_bytes())
        }
    }
}

/// Writes the keys of `dataset` as a whole file.
pub(crate) fn save(dataset: &Dataset, form: Form, options: WriterOptions) -> Vec<u8> {
    let write = || {
        let mut writer = Writer::new(Vec::new(), options);
        writer.begin()?;
        for (key, value) in &dataset.aux {
            writer.aux(key, value)?;
        }
        for code in &dataset.functions {
            writer.function(code)?;
        }
        let mut sizes = BTreeMap::<u64, (u64, u64)>::new();
        for ((db, _), entry) in &dataset.keys {
            let size = sizes.entry(*db).or_default();
            size.0 += 1;
            size.1 += u64::from(entry.expire_at_ms.is_some());
        }
        let mut selected = None;
        for ((db, key), entry) in &dataset.keys {
            if selected != Some(*db) {
                selected = Some(*db);
                writer.select_db(*db)?;
                writer.resize_db(sizes[db].0, sizes[db].1)?;
            }
            if let Some(at_ms) = entry.expire_at_ms {
                writer.expire_ms(at_ms)?;
            }
            if let Some(idle) = entry.idle {
                writer.idle(idle)?;
            }
            if let Some(freq) = entry.freq {
                writer.freq(freq)?;
            }
            write_value(&mut writer, key, &entry.value, form)?;
        }
        writer.finish()
    };
    std::io::Result::expect(write(), "a Vec takes everything")
}

/// What `contents.txt` beside the fixtures makes.
pub(crate) fn contents() -> Dataset {
    let mut dataset = Dataset::default();
    let b = |text: &str| text.as_bytes().to_vec();
    let mut put = |db: u64, key: &str, value: Value| {
        dataset.keys.insert((db, b(key)), Entry::new(value));
    };
    let list = |items: &[&str]| Value::List(items.iter().map(|i| b(i)).collect());
    let set = |items: &[&str]| Value::Set(items.iter().map(|i| b(i)).collect());
    for (key, value) in [
        ("str:plain", "hello"),
        ("str:empty", ""),
        ("int:8", "-100"),
        ("int:16", "30000"),
        ("int:32", "-2000000000"),
        ("int:64", "9223372036854775807"),
        ("ttl", "v"),
        ("str:lzf", &"a".repeat(1000)),
    ] {
        put(0, key, Value::String(b(value)));
    }
    let small = [
        "a",
        "b",
        "1",
        "-5",
        "300",
        "70000",
        "5000000000",
        "-9223372036854775808",
        "",
    ];
    put(0, "list:small", list(&small));
    let elements = (0..1500).map(|i| b(&format!("element:{i}"))).collect();
    put(0, "list:big", Value::List(elements));
    put(0, "list:large", list(&["x", &"L".repeat(20_000), "y"]));
    put(0, "set:int16", set(&["3", "-1", "2"]));
    put(0, "set:int32", set(&["70000", "-1"]));
    put(0, "set:int64", set(&["5000000000", "7"]));
    put(0, "set:lp", set(&["a", "b", "1"]));
    let members = (0..200).map(|i| b(&format!("m{i}"))).collect();
    put(0, "set:ht", Value::Set(members));
    let scores = [
        ("a", 1.0),
        ("b", 1.5),
        ("c", f64::NEG_INFINITY),
        ("d", f64::INFINITY),
        ("e", -3.0),
    ];
    let zset = scores.iter().map(|&(m, s)| (b(m), s)).collect();
    put(0, "zset:lp", Value::ZSet(zset));
    let zset = (0..200).map(|i| (b(&format!("m{i}")), f64::from(i) * 0.5 - 20.0));
    put(0, "zset:sl", Value::ZSet(zset.collect()));
    let hash = [("f", "v"), ("n", "1"), ("", "empty")];
    let hash = hash.iter().map(|&(f, v)| (b(f), b(v))).collect();
    put(0, "hash:lp", Value::Hash(hash));
    let hash = (0..600).map(|i| (b(&format!("f{i}")), b(&(i * i).to_string())));
    put(0, "hash:ht", Value::Hash(hash.collect()));
    put(9, "other", Value::String(b("1")));
    if let Some(entry) = dataset.keys.get_mut(&(0, b("ttl"))) {
        entry.expire_at_ms = Some(4_102_444_800_123);
    }
    dataset
}
