//! Writing a snapshot.

use super::{Format, PROGRESS_KEYS, SaveInfo, delay_after_key, stream};
use crate::AccessClock;
use crate::idle_seconds;
use keyspace::list::NodeRef;
use keyspace::{Db, Element, Entry, StrRef, ValueRef};
use rdb::{ValueType, Writer, WriterOptions};
use std::collections::VecDeque;
use std::io::{self, Write};
use words::version;

/// With a delay after each key, bytes written before they go to the sink: somebody wants to see them come slowly.
const DELAYED_FLUSH_BYTES: u64 = 16 << 10;
/// Keys whose values are being fetched while others are written: enough to hide a cache miss.
const AHEAD: usize = 8;
/// Container byte of a list node that is one large element.
const NODE_PLAIN: u64 = 1;
/// Container byte of a list node that is a listpack.
const NODE_PACKED: u64 = 2;

/// Writes a snapshot of `dbs`, telling `progress` now and then how many keys are done.
///
/// # Errors
/// Whatever the sink reports.
pub fn write(
    dbs: &[Db],
    info: &SaveInfo,
    sink: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let options = WriterOptions {
        compress: info.compress,
        checksum: info.checksum,
    };
    let mut writer = Writer::new(sink, options);
    writer.begin_as(info.format.version())?;
    header(&mut writer, info)?;
    if info.filter.functions {
        for source in info.functions.iter() {
            writer.function(source)?;
        }
    }
    if info.filter.data {
        keys(&mut writer, dbs, info, progress)?;
    }
    writer.finish()?;
    Ok(())
}

fn header<W: Write>(writer: &mut Writer<W>, info: &SaveInfo) -> io::Result<()> {
    let mut digits = itoa::Buffer::new();
    writer.aux(b"valkey-ver", version::VALKEY.as_bytes())?;
    writer.aux(b"redis-bits", b"64")?;
    writer.aux(b"ctime", digits.format(info.unix_seconds).as_bytes())?;
    writer.aux(b"used-mem", digits.format(info.used_memory).as_bytes())?;
    if let Some(replication) = &info.replication {
        writer.aux(
            b"repl-stream-db",
            digits.format(replication.stream_db).as_bytes(),
        )?;
        writer.aux(b"repl-id", replication.replid.as_bytes())?;
        writer.aux(b"repl-offset", digits.format(replication.offset).as_bytes())?;
    }
    writer.aux(b"aof-base", if info.aof_base { b"1" } else { b"0" })
}

fn keys<W: Write>(
    writer: &mut Writer<W>,
    dbs: &[Db],
    info: &SaveInfo,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut done = 0u64;
    let mut flushed = 0;
    for (index, db) in dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        writer.select_db(index as u64)?;
        writer.resize_db(db.len() as u64, db.expires_len() as u64)?;
        let mut entries = db.iter();
        let mut ahead = VecDeque::with_capacity(AHEAD);
        loop {
            while ahead.len() < AHEAD
                && let Some(entry) = entries.next()
            {
                entry.prefetch_payload();
                ahead.push_back(entry);
            }
            let Some(entry) = ahead.pop_front() else {
                break;
            };
            write_entry(writer, &entry, info)?;
            done += 1;
            if done.is_multiple_of(PROGRESS_KEYS) {
                progress(done);
            }
            if info.key_save_delay_us != 0 {
                if writer.bytes_written() - flushed >= DELAYED_FLUSH_BYTES {
                    writer.flush()?;
                    flushed = writer.bytes_written();
                }
                delay_after_key(info.key_save_delay_us, done);
            }
        }
    }
    progress(done);
    Ok(())
}

#[inline]
fn write_entry<W: Write>(writer: &mut Writer<W>, entry: &Entry, info: &SaveInfo) -> io::Result<()> {
    if let Some(at_ms) = entry.expire_at_ms() {
        writer.expire_ms(at_ms)?;
    }
    match info.access {
        None => {}
        Some(clock @ AccessClock::Lru(_)) => {
            writer.idle(u64::from(idle_seconds(clock, entry.clock())))?;
        }
        // Decayed counters have eight bits.
        Some(clock @ AccessClock::Lfu { .. }) => {
            writer.freq(clock.decayed(entry.clock()) as u8)?;
        }
    }
    let value = entry.value();
    writer.key(value_type_as(value, info.format), entry.key())?;
    write_value_as(writer, value, info.format)
}

/// The type under which a value is written.
#[must_use]
pub fn value_type(value: ValueRef<'_>) -> ValueType {
    match value {
        ValueRef::Str(_) => ValueType::String,
        ValueRef::List(_) => ValueType::ListQuicklist2,
        ValueRef::Set(set) if set.as_intset().is_some() => ValueType::SetIntset,
        ValueRef::Set(set) if set.as_listpack().is_some() => ValueType::SetListpack,
        ValueRef::Set(_) => ValueType::Set,
        ValueRef::Hash(hash) if hash.as_listpack().is_some() => ValueType::HashListpack,
        ValueRef::Hash(_) => ValueType::Hash,
        ValueRef::ZSet(zset) if zset.as_listpack().is_some() => ValueType::ZSetListpack,
        ValueRef::ZSet(_) => ValueType::ZSet2,
        ValueRef::Stream(_) => ValueType::StreamListpacks3,
    }
}

/// As [`value_type`], in this format.
#[inline]
pub(crate) fn value_type_as(value: ValueRef<'_>, format: Format) -> ValueType {
    match (value_type(value), format) {
        (ValueType::SetListpack, Format::Redis7) => ValueType::Set,
        (ValueType::StreamListpacks3, Format::Redis7) => ValueType::StreamListpacks2,
        (type_, _) => type_,
    }
}

/// Writes a value in the form of its [`value_type`], which the caller has written.
///
/// # Errors
/// Whatever the sink reports.
#[inline]
pub fn write_value<W: Write>(writer: &mut Writer<W>, value: ValueRef<'_>) -> io::Result<()> {
    write_value_as(writer, value, Format::Current)
}

/// As [`write_value`], in the form of [`value_type_as`].
#[inline]
pub(crate) fn write_value_as<W: Write>(
    writer: &mut Writer<W>,
    value: ValueRef<'_>,
    format: Format,
) -> io::Result<()> {
    match value {
        ValueRef::Str(StrRef::Bytes(bytes)) => writer.string(bytes),
        ValueRef::Str(StrRef::Int(number)) => writer.string_int(number),
        _ => write_container(writer, value, format),
    }
}

fn write_container<W: Write>(
    writer: &mut Writer<W>,
    value: ValueRef<'_>,
    format: Format,
) -> io::Result<()> {
    match value {
        ValueRef::Str(_) => Ok(()), // Not called for strings.
        ValueRef::List(list) => {
            writer.length(list.node_count() as u64)?;
            list.nodes().try_for_each(|node| match node {
                NodeRef::Packed(listpack) => {
                    writer.length(NODE_PACKED)?;
                    writer.blob(listpack.as_bytes())
                }
                NodeRef::Plain(bytes) => {
                    writer.length(NODE_PLAIN)?;
                    writer.string(bytes)
                }
            })
        }
        ValueRef::Set(set) => {
            if let Some(intset) = set.as_intset() {
                return writer.blob(intset.as_bytes());
            }
            if let (Some(listpack), Format::Current) = (set.as_listpack(), format) {
                return writer.blob(listpack.as_bytes());
            }
            writer.length(set.len() as u64)?;
            set.iter().try_for_each(|member| element(writer, member))
        }
        ValueRef::Hash(hash) => {
            if let Some(listpack) = hash.as_listpack() {
                return writer.blob(listpack.as_bytes());
            }
            writer.length(hash.len() as u64)?;
            hash.iter().try_for_each(|(field, value)| {
                element(writer, field)?;
                element(writer, value)
            })
        }
        ValueRef::ZSet(zset) => {
            if let Some(listpack) = zset.as_listpack() {
                return writer.blob(listpack.as_bytes());
            }
            writer.length(zset.len() as u64)?;
            // From the high end: whoever loads it by placing each member in front of the others is quickest then.
            zset.by_rank(0, usize::MAX, true)
                .try_for_each(|(member, score)| {
                    element(writer, member)?;
                    writer.double(score)
                })
        }
        ValueRef::Stream(value) => {
            let form = match format {
                Format::Current => stream::Form::Third,
                Format::Redis7 => stream::Form::Second,
            };
            stream::write(writer, value, form)
        }
    }
}

fn element<W: Write>(writer: &mut Writer<W>, element: Element<'_>) -> io::Result<()> {
    match element {
        Element::Int(number) => writer.string_int(number),
        Element::Bytes(bytes) => writer.string(bytes),
    }
}
