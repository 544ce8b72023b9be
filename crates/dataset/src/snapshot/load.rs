//! Making a dataset from a snapshot.

use super::{
    LoadError, LoadOptions, Loaded, PROGRESS_KEYS, ReplicationAux, delay_after_key, stream,
};
use crate::keys::is_past;
use keyspace::list::OwnedNode;
use keyspace::{Db, Encoding, Entry, Hash, Incoming, Limits, List, Set, Str, Value, ZSet, zset};
use packed::{IntBuf, Intset, Listpack};
use rdb::{
    Accept, Checksum, Event, KeyHead, Kind, Reader, ReaderOptions, Text, ValueSink, ValueType,
};
use std::io::Read;
use std::sync::atomic::Ordering;
use words::Level;

/// Bytes after which progress is told even when keys are large.
const PROGRESS_BYTES: u64 = 1 << 20;
/// Keys that a hint may reserve room for when nobody knows how many bytes follow: 64 MB, which the kernel gives as they
/// are used.
const RESERVE_KEYS_MAX: u64 = 1 << 22;
/// Once about as many have come, the hint is believed up to so many times what has come.
const RESERVE_FACTOR: u64 = 8;
/// Keys of one kind that are named in the log: a file may be full of them.
const NAMED_MAX: u64 = 10;
/// The fewest bytes of a key in a file: type, and a length each for key and value.
const KEY_BYTES_MIN: u64 = 3;
/// Length of a replication id.
const REPLID_LEN: usize = 40;

/// Makes a dataset from a snapshot. `progress` is told now and then how many bytes are done; when it returns false the
/// load is given up.
///
/// # Errors
/// The first thing wrong with the snapshot, with its offset.
pub fn load(
    source: impl Read,
    options: &LoadOptions,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Loaded, LoadError> {
    let mut reader = Reader::new(source, options.reader());
    load_from(&mut reader, Vec::new(), options, progress)
}

/// As [`load`], from a reader that can be asked afterwards what came behind the snapshot, and onto databases that may
/// hold something already (missing ones are made). After an error what is in the databases is lost.
///
/// # Errors
/// As [`load`].
pub fn load_from<R: Read>(
    reader: &mut Reader<R>,
    dbs: Vec<Db>,
    options: &LoadOptions,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded {
        dbs,
        ..Loaded::default()
    };
    loaded
        .dbs
        .resize_with(options.databases.max(1), Db::default);
    let mut loader = Loader {
        options,
        loaded,
        incoming: Incoming::new(options.conflict),
        replication: (None, None, None),
        db: 0,
        room: Room::default(),
        told_at: 0,
    };
    reader.header()?;
    let mut key = Vec::new();
    loop {
        match reader.next(&mut key)? {
            Event::Key(head) => {
                loader.key(reader, &key, head)?;
                loader.after_key(reader.offset(), progress)?;
            }
            Event::Eof(checksum) => {
                if options.checksum && matches!(checksum, Checksum::Unchecked) {
                    (options.log)(
                        Level::Notice,
                        "RDB file was saved with checksum disabled: no check performed.",
                    );
                }
                break;
            }
            event => loader.between_keys(reader.offset(), event)?,
        }
    }
    loader.flush(reader.offset())?;
    Ok(loader.finish(reader.offset()))
}

impl LoadOptions {
    /// The options of the reader.
    #[must_use]
    pub fn reader(&self) -> ReaderOptions {
        ReaderOptions {
            checksum: self.checksum,
            total_bytes: self.total_bytes,
            // A file may hold what `proto-max-bulk-len` allowed when it was written.
            string_bytes_max: u64::MAX,
        }
    }
}

struct Loader<'a> {
    options: &'a LoadOptions,
    loaded: Loaded,
    /// Keys on their way into the database under way.
    incoming: Incoming,
    /// Replication id, offset and stream database, as they come.
    replication: (Option<String>, Option<u64>, Option<i64>),
    db: usize,
    /// What its keys need.
    room: Room,
    /// Bytes that `progress` has been told of.
    told_at: u64,
}

/// The room a database needs, as its hint says, and what has been made.
#[derive(Default)]
struct Room {
    /// Keys, with those that were there before the hint.
    keys: u64,
    /// Keys with an expiry time, with those.
    expires: u64,
    /// Keys there is room for.
    reserved: u64,
}

impl Loader<'_> {
    #[inline]
    fn key<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        key: &[u8],
        head: KeyHead,
    ) -> Result<(), LoadError> {
        let options = self.options;
        let expired = head
            .expire_at_ms
            .is_some_and(|at| !options.keep_expired && is_past(at, options.now_ms));
        let db = &mut self.loaded.dbs[self.db];
        let clock = options.access.brought(head.idle, head.freq);
        let at = head.expire_at_ms;
        let done = if head.type_ == ValueType::String {
            let text = reader.string()?;
            if expired {
                self.drop_expired(key);
                return Ok(());
            }
            match text {
                Text::Borrowed(bytes) => self.incoming.push_str(db, key, bytes, at, clock),
                Text::Int(number) => {
                    let value = Value::Str(Str::Int(number));
                    self.incoming.push(db, key, value, at, clock)
                }
                Text::Owned(bytes) => {
                    let value = Value::Str(Str::Bytes(bytes));
                    self.incoming.push(db, key, value, at, clock)
                }
            }
        } else {
            let Some(value) = read_value(reader, head.type_, &options.limits)
                .map_err(|error| LoadError::of_key(error, key, self.db))?
            else {
                self.skip_empty(key);
                return Ok(());
            };
            let corrections = reader.corrections();
            if !corrections.is_empty() {
                self.tell_corrections(key, &corrections);
            }
            if expired {
                self.drop_expired(key);
                return Ok(());
            }
            let db = &mut self.loaded.dbs[self.db];
            self.incoming.push(db, key, value, at, clock)
        };
        self.loaded.keys_loaded += 1;
        done.map_err(|entry| duplicate(reader.offset(), &entry, self.db))
    }

    /// Makes room for the keys that are to come, for `most` in all.
    fn reserve(&mut self, most: u64) {
        let db = &mut self.loaded.dbs[self.db];
        let keys = self.room.keys.min(most);
        let expires = self.room.expires.min(keys);
        self.room.reserved = keys;
        db.reserve(keys as usize, expires as usize);
    }

    /// Makes more room once what there is runs out, if the hint says that more keys follow.
    fn reserve_more(&mut self) {
        let have = self.loaded.dbs[self.db].len() as u64;
        if self.room.reserved < self.room.keys && have >= self.room.reserved / 8 * 7 {
            self.reserve(have.saturating_mul(RESERVE_FACTOR));
        }
    }

    #[cold]
    fn skip_empty(&mut self, key: &[u8]) {
        self.loaded.keys_empty += 1;
        if self.loaded.keys_empty <= NAMED_MAX {
            let key = String::from_utf8_lossy(key);
            (self.options.log)(
                Level::Notice,
                &format!("rdbLoadObject skipping empty key: {key}"),
            );
        }
    }

    #[cold]
    fn tell_corrections(&mut self, key: &[u8], corrections: &[&str]) {
        self.loaded.keys_corrected += 1;
        if self.loaded.keys_corrected <= NAMED_MAX {
            let (key, db) = (String::from_utf8_lossy(key), self.db);
            let what = corrections.join(", ");
            (self.options.log)(
                Level::Warning,
                &format!(
                    "Key '{key}' in DB {db} was saved with wrong figures, which have been corrected: {what}"
                ),
            );
        }
    }

    #[cold]
    fn drop_expired(&mut self, key: &[u8]) {
        self.loaded.keys_expired += 1;
        if self.replication.0.is_some() {
            self.loaded.expired.push((self.db, key.into()));
        }
    }

    /// Lets the keys under way arrive.
    fn flush(&mut self, offset: u64) -> Result<(), LoadError> {
        self.incoming
            .flush(&mut self.loaded.dbs[self.db])
            .map_err(|entry| duplicate(offset, &entry, self.db))
    }

    #[inline]
    fn after_key(
        &mut self,
        offset: u64,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), LoadError> {
        let delay = self.options.key_load_delay_us.load(Ordering::Relaxed);
        if delay == 0
            && !self.loaded.keys_loaded.is_multiple_of(PROGRESS_KEYS)
            && offset - self.told_at < PROGRESS_BYTES
        {
            return Ok(());
        }
        if delay != 0 {
            delay_after_key(delay, self.loaded.keys_loaded);
        }
        self.reserve_more();
        self.told_at = offset;
        if progress(offset) {
            Ok(())
        } else {
            Err(LoadError::GivenUp)
        }
    }

    #[cold]
    fn between_keys(&mut self, offset: u64, event: Event) -> Result<(), LoadError> {
        self.flush(offset)?;
        match event {
            Event::SelectDb(index) => {
                let have = self.loaded.dbs.len();
                self.db = usize::try_from(index)
                    .ok()
                    .filter(|index| *index < have)
                    .ok_or(LoadError::TooManyDatabases(have))?;
                self.room = Room::default();
            }
            Event::ResizeDb { keys, expires } => {
                let most = match self.options.total_bytes {
                    Some(total) => total.saturating_sub(offset) / KEY_BYTES_MIN,
                    None => RESERVE_KEYS_MAX,
                };
                let db = &self.loaded.dbs[self.db];
                let have = db.len() as u64;
                self.room = Room {
                    keys: have.saturating_add(keys),
                    expires: (db.expires_len() as u64).saturating_add(expires),
                    reserved: 0,
                };
                self.reserve(have.saturating_add(most));
            }
            Event::Function(source) => self.loaded.functions.push(source.into()),
            Event::Aux { key, value } => self.aux(&key, &value),
            Event::ModuleAux { module_id } => {
                return Err(LoadError::ModuleAux(rdb::module_name(module_id)));
            }
            // A hint that concerns cluster mode.
            Event::SlotInfo { .. } => {}
            // Handled where they occur.
            Event::Key(_) | Event::Eof(_) => {}
        }
        Ok(())
    }

    fn aux(&mut self, key: &[u8], value: &[u8]) {
        let number = || words::int::parse_i64(value);
        let log = |line: &str| (self.options.log)(Level::Notice, line);
        match key {
            b"valkey-ver" | b"redis-ver" => {
                self.loaded.version = String::from_utf8_lossy(value).into_owned();
                let name = if key == b"redis-ver" {
                    "Redis"
                } else {
                    "Valkey"
                };
                let version = &self.loaded.version;
                log(&format!("Loading RDB produced by {name} version {version}"));
            }
            b"ctime" => {
                self.loaded.created_at = number().unwrap_or(0);
                let age = (self.options.now_ms / 1000).saturating_sub(self.loaded.created_at);
                log(&format!("RDB age {} seconds", age.max(0)));
            }
            b"used-mem" => {
                self.loaded.used_memory = number().and_then(|n| n.try_into().ok()).unwrap_or(0);
                let megabytes = self.loaded.used_memory as f64 / (1 << 20) as f64;
                log(&format!("RDB memory usage when created {megabytes:.2} Mb"));
            }
            b"repl-id" if value.len() == REPLID_LEN => {
                self.replication.0 = String::from_utf8(value.to_vec()).ok();
            }
            b"repl-offset" => self.replication.1 = number().and_then(|n| n.try_into().ok()),
            b"repl-stream-db" => self.replication.2 = number(),
            b"aof-preamble" if number() == Some(1) => log("RDB has an AOF tail"),
            b"aof-base" if number() == Some(1) => log("RDB is base AOF"),
            [b'%', ..] => {
                let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                log(&format!("RDB '{key}': {value}"));
            }
            _ => {}
        }
    }

    fn finish(mut self, bytes: u64) -> Loaded {
        if let (Some(replid), Some(offset), stream_db) = self.replication {
            self.loaded.replication = Some(ReplicationAux {
                replid,
                offset,
                stream_db: stream_db.unwrap_or(-1),
            });
        }
        self.loaded.bytes = bytes;
        let (loaded, log) = (&self.loaded, self.options.log);
        if loaded.keys_corrected > NAMED_MAX {
            let corrected = loaded.keys_corrected;
            log(
                Level::Warning,
                &format!("Keys that were saved with wrong figures: {corrected}"),
            );
        }
        let mut line = format!(
            "Done loading RDB, keys loaded: {}, keys expired: {}",
            loaded.keys_loaded, loaded.keys_expired
        );
        if loaded.keys_empty > 0 {
            line = format!("{line}, empty keys skipped: {}", loaded.keys_empty);
        }
        log(Level::Notice, &format!("{line}."));
        self.loaded
    }
}

#[cold]
fn duplicate(offset: u64, entry: &Entry, db: usize) -> LoadError {
    LoadError::DuplicateKey {
        offset,
        key: entry.key().to_vec(),
        db,
    }
}

/// Reads a value of any type but a module's; `None` for a container without elements.
///
/// # Errors
/// What is wrong with it.
pub fn read_value<R: Read>(
    reader: &mut Reader<R>,
    type_: ValueType,
    limits: &Limits,
) -> rdb::Result<Option<Value>> {
    if type_.is_stream() {
        let stream = stream::read(reader, type_)?;
        return Ok(Some(Value::Stream(Box::new(stream))));
    }
    let mut builder = Builder {
        limits,
        partial: Partial::None,
        repeated: false,
    };
    match reader.value(type_, &mut builder)? {
        rdb::Loaded::Empty => Ok(None),
        rdb::Loaded::Value => {
            if builder.repeated {
                reader.correct("members that come twice");
            }
            builder.finish().map_err(|why| reader.refused(why))
        }
    }
}

/// A value under construction.
struct Builder<'a> {
    limits: &'a Limits,
    partial: Partial,
    /// A field has come again, and the first one has stayed.
    repeated: bool,
}

enum Partial {
    None,
    Whole(Value),
    List(Box<List>),
    Nodes(Box<List>),
    /// A set and the number of its members to come; it is made when the first one is known.
    Set(Option<Box<Set>>, usize),
    Hash(Box<Hash>),
    ZSet(zset::Builder),
}

const DUPLICATE: &str = "duplicate member or field";
const OUT_OF_ORDER: &str = "an element outside its container";

impl Builder<'_> {
    fn finish(self) -> Result<Option<Value>, &'static str> {
        Ok(match self.partial {
            Partial::None => None,
            Partial::Whole(value) => Some(value),
            Partial::List(list) => Some(Value::List(list)),
            Partial::Nodes(mut list) => {
                list.finish_load(&self.limits.list);
                Some(Value::List(list))
            }
            Partial::Set(set, _) => set.map(Value::Set),
            Partial::Hash(hash) => Some(Value::Hash(hash)),
            Partial::ZSet(builder) => {
                let zset = builder.finish(self.limits).map_err(|_| DUPLICATE)?;
                Some(Value::ZSet(Box::new(zset)))
            }
        })
    }

    fn whole(&mut self, value: Value) -> Accept {
        self.partial = Partial::Whole(value);
        Ok(())
    }

    fn node(&mut self, node: OwnedNode) -> Accept {
        if let Partial::List(list) = &mut self.partial {
            self.partial = Partial::Nodes(std::mem::take(list));
        }
        let Partial::Nodes(list) = &mut self.partial else {
            return Err(OUT_OF_ORDER);
        };
        list.append_node(node);
        Ok(())
    }
}

impl ValueSink for Builder<'_> {
    fn string(&mut self, value: Text<'_>) -> Accept {
        self.whole(Value::Str(match value {
            Text::Int(number) => Str::Int(number),
            Text::Borrowed(bytes) => match words::int::parse_i64(bytes) {
                Some(number) => Str::Int(number),
                None => Str::Bytes(bytes.to_vec()),
            },
            Text::Owned(bytes) => Str::Bytes(bytes),
        }))
    }

    fn begin(&mut self, kind: Kind, size_hint: usize) -> Accept {
        self.partial = match kind {
            Kind::List => Partial::List(Box::new(List::new())),
            Kind::Set => Partial::Set(None, size_hint),
            Kind::ZSet => Partial::ZSet(zset::Builder::new(size_hint)),
            Kind::Hash => {
                let mut hash = Box::new(Hash::new());
                hash.reserve(size_hint, self.limits);
                Partial::Hash(hash)
            }
        };
        Ok(())
    }

    fn element(&mut self, element: Text<'_>) -> Accept {
        let mut digits = IntBuf::new();
        let bytes = element.as_bytes(&mut digits);
        match &mut self.partial {
            Partial::List(list) => {
                list.push_back(bytes, &self.limits.list);
                Ok(())
            }
            Partial::Set(set, size_hint) => {
                let set = set.get_or_insert_with(|| {
                    Box::new(Set::with_hint(bytes, *size_hint, self.limits))
                });
                if set.add(bytes, self.limits) {
                    Ok(())
                } else {
                    Err(DUPLICATE)
                }
            }
            _ => Err(OUT_OF_ORDER),
        }
    }

    fn field(&mut self, field: &[u8], value: Text<'_>) -> Accept {
        let Partial::Hash(hash) = &mut self.partial else {
            return Err(OUT_OF_ORDER);
        };
        if hash.encoding() == Encoding::Listpack && hash.contains(field) {
            // The reference looks for duplicates only in the other encoding.
            self.repeated = true;
            return Ok(());
        }
        if hash.set(field, value.as_bytes(&mut IntBuf::new()), self.limits) {
            Ok(())
        } else {
            Err(DUPLICATE)
        }
    }

    fn member(&mut self, member: &[u8], score: f64) -> Accept {
        let Partial::ZSet(builder) = &mut self.partial else {
            return Err(OUT_OF_ORDER);
        };
        builder.push(member, score).map_err(|_| DUPLICATE)
    }

    fn listpack(&mut self, kind: Kind, listpack: Listpack) -> Accept {
        // The reader has looked at members, pairs, scores and order.
        match kind {
            Kind::List => self.node(OwnedNode::Packed(listpack)),
            Kind::Set => self.whole(Value::Set(Box::new(Set::from_distinct(
                listpack,
                self.limits,
            )))),
            Kind::Hash => self.whole(Value::Hash(Box::new(Hash::from_distinct(
                listpack,
                self.limits,
            )))),
            Kind::ZSet => {
                let zset = ZSet::from_ordered(listpack, self.limits)
                    .map_err(|_| "score is not a number")?;
                self.whole(Value::ZSet(Box::new(zset)))
            }
        }
    }

    fn plain_node(&mut self, element: Vec<u8>) -> Accept {
        self.node(OwnedNode::Plain(element))
    }

    fn intset(&mut self, intset: Intset) -> Accept {
        self.whole(Value::Set(Box::new(Set::from_intset(intset, self.limits))))
    }
}
