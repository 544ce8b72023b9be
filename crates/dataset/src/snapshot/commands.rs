//! A snapshot as commands: what makes the dataset anew when it is sent to an empty server.
//!
//! ```text
//! dataset = [stamp] (FUNCTION LOAD code)* (SELECT db (key [PEXPIREAT key ms])*)*
//! key     = SET key value | RPUSH key element… | SADD key member… | ZADD key (score member)… | HMSET key (field value)…
//!         | (XADD key id (field value)…)* [XADD key MAXLEN 0 0-1 x y] XSETID … group*
//! group   = XGROUP CREATE … (XGROUP CREATECONSUMER … | (XCLAIM …)*)*
//! ```
//!
//! Source: the base files of Valkey 8.0.1 with `aof-use-rdb-preamble no`, with which these agree but for the order of keys.

use super::{PROGRESS_KEYS, SaveInfo, delay_after_key};
use keyspace::stream::Group;
use keyspace::{Db, Element, Entry, Stream, StreamId, ValueRef};
use std::io::{self, Write};
use words::print::NumberBuf;
use words::request;

/// Members of one command. Same as the reference.
const ITEMS_PER_COMMAND: usize = 64;
/// Bytes collected before they go to the sink.
const FLUSH_BYTES: usize = 64 << 10;

/// Writes `dbs` as commands behind `stamp` (a line of its own, or nothing), telling `progress` now and then how many keys
/// are done.
///
/// # Errors
/// Whatever the sink reports.
pub fn write_commands(
    dbs: &[Db],
    info: &SaveInfo,
    stamp: &[u8],
    sink: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut out = Commands {
        bytes: stamp.to_vec(),
        sink,
    };
    for source in info.functions.iter() {
        out.command(&[b"FUNCTION", b"LOAD", source])?;
    }
    let mut done = 0u64;
    for (index, db) in dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        out.command(&[b"SELECT", itoa::Buffer::new().format(index).as_bytes()])?;
        for entry in db.iter() {
            key(&mut out, &entry)?;
            done += 1;
            if done.is_multiple_of(PROGRESS_KEYS) {
                progress(done);
            }
            if info.key_save_delay_us != 0 {
                delay_after_key(info.key_save_delay_us, done);
            }
        }
    }
    progress(done);
    out.flush()
}

/// Commands on their way to a sink.
struct Commands<'a> {
    bytes: Vec<u8>,
    sink: &'a mut dyn Write,
}

impl Commands<'_> {
    fn command(&mut self, args: &[&[u8]]) -> io::Result<()> {
        request::encode(&mut self.bytes, args);
        if self.bytes.len() >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// One or more commands `name key item…`, each with so many groups of `size` items at most.
    fn items(
        &mut self,
        name: &[u8],
        key: &[u8],
        size: usize,
        mut items: impl Iterator<Item = Vec<u8>>,
    ) -> io::Result<()> {
        loop {
            let some: Vec<Vec<u8>> = items.by_ref().take(ITEMS_PER_COMMAND * size).collect();
            if some.is_empty() {
                return Ok(());
            }
            let words: Vec<&[u8]> = [name, key]
                .into_iter()
                .chain(some.iter().map(Vec::as_slice))
                .collect();
            self.command(&words)?;
        }
    }
}

fn key(out: &mut Commands<'_>, entry: &Entry) -> io::Result<()> {
    let key = entry.key();
    match entry.value() {
        ValueRef::Str(value) => {
            let mut digits = itoa::Buffer::new();
            let value = match value {
                keyspace::StrRef::Bytes(bytes) => bytes,
                keyspace::StrRef::Int(number) => digits.format(number).as_bytes(),
            };
            out.command(&[b"SET", key, value])?;
        }
        ValueRef::List(list) => out.items(b"RPUSH", key, 1, list.iter().map(bytes_of))?,
        ValueRef::Set(set) => out.items(b"SADD", key, 1, set.iter().map(bytes_of))?,
        ValueRef::Hash(hash) => {
            let items = hash
                .iter()
                .flat_map(|(field, value)| [bytes_of(field), bytes_of(value)]);
            out.items(b"HMSET", key, 2, items)?;
        }
        ValueRef::ZSet(zset) => {
            let items = zset
                .by_rank(0, usize::MAX, false)
                .flat_map(|(member, score)| {
                    let score = NumberBuf::default().format_17(score).to_vec();
                    [score, bytes_of(member)]
                });
            out.items(b"ZADD", key, 2, items)?;
        }
        ValueRef::Stream(value) => stream(out, key, value)?,
    }
    if let Some(at_ms) = entry.expire_at_ms() {
        let mut digits = itoa::Buffer::new();
        out.command(&[b"PEXPIREAT", key, digits.format(at_ms).as_bytes()])?;
    }
    Ok(())
}

fn bytes_of(element: Element<'_>) -> Vec<u8> {
    match element {
        Element::Int(number) => itoa::Buffer::new().format(number).as_bytes().to_vec(),
        Element::Bytes(bytes) => bytes.to_vec(),
    }
}

fn stream(out: &mut Commands<'_>, key: &[u8], stream: &Stream) -> io::Result<()> {
    let log = &stream.log;
    for entry in log.range(StreamId::MIN..=StreamId::MAX) {
        let fields: Vec<Vec<u8>> = entry
            .fields()
            .flat_map(|(name, value)| [bytes_of(name), bytes_of(value)])
            .collect();
        let id = entry.id.text();
        let words: Vec<&[u8]> = [b"XADD", key, &id]
            .into_iter()
            .chain(fields.iter().map(Vec::as_slice))
            .collect();
        out.command(&words)?;
    }
    if log.is_empty() {
        // The entry is trimmed away at once: what remains is an empty stream.
        out.command(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"])?;
    }
    let mut added = itoa::Buffer::new();
    out.command(&[
        b"XSETID",
        key,
        &log.last_id().text(),
        b"ENTRIESADDED",
        added.format(log.entries_added()).as_bytes(),
        b"MAXDELETEDID",
        &log.max_deleted_id().text(),
    ])?;
    for (name, of_stream) in &stream.groups {
        group(out, key, name, of_stream)?;
    }
    Ok(())
}

fn group(out: &mut Commands<'_>, key: &[u8], name: &[u8], group: &Group) -> io::Result<()> {
    let mut read = itoa::Buffer::new();
    let read = match group.entries_read {
        Some(count) => read.format(count).as_bytes(),
        None => b"-1",
    };
    let last_id = group.last_id.text();
    out.command(&[
        b"XGROUP",
        b"CREATE",
        key,
        name,
        &last_id,
        b"ENTRIESREAD",
        read,
    ])?;
    for (consumer, of_group) in group.consumers() {
        if of_group.pending().is_empty() {
            out.command(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer])?;
        }
        for id in of_group.pending() {
            let Some(delivery) = group.pending().get(id) else {
                continue;
            };
            let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
            out.command(&[
                b"XCLAIM",
                key,
                name,
                consumer,
                b"0",
                &id.text(),
                b"TIME",
                time.format(delivery.at_ms).as_bytes(),
                b"RETRYCOUNT",
                count.format(delivery.count).as_bytes(),
                b"JUSTID",
                b"FORCE",
            ])?;
        }
    }
    Ok(())
}
