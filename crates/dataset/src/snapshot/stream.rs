//! Streams in a snapshot.
//!
//! ```text
//! stream   = nodes, (id as a string of 16 bytes, listpack) * nodes
//!            length, last id
//!            [first id, largest id deleted, entries added]        from stream-2 on
//!            groups, group * groups
//! group    = name, last id, [entries read]                        from stream-2 on
//!            pending, (16 bytes of id, time, deliveries) * pending
//!            consumers, consumer * consumers
//! consumer = name, seen at, [active at]                           from stream-3 on
//!            pending, 16 bytes of id * pending
//! ```
//!
//! Ids outside of strings are two lengths, times are 8 bytes.

use keyspace::stream::{Delivery, Group, Log};
use keyspace::{Stream, StreamId};
use rdb::{Reader, ValueType, Writer};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

const LENGTH: &str = "length of a stream";
const LAST_ID: &str = "last id of a stream";
const ADDED: &str = "entries added to a stream";
const READ: &str = "entries read by a group";
const OWNER: &str = "consumer of a pending entry";

/// Corrections of figures that the reference compares with nothing, so that sound streams of old servers carry them along.
pub(crate) const UNCHECKED: [&str; 5] = [LENGTH, LAST_ID, ADDED, READ, OWNER];

/// Reads a stream of this type.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read<R: Read>(reader: &mut Reader<R>, type_: ValueType) -> rdb::Result<Stream> {
    let (second, third) = match type_ {
        ValueType::StreamListpacks => (false, false),
        ValueType::StreamListpacks2 => (true, false),
        _ => (true, true),
    };
    reader.reading(type_);
    let mut stream = Stream::new();
    let log = &mut stream.log;
    for _ in 0..reader.length()? {
        let id = reader.string_vec()?;
        let Ok(id) = <[u8; 16]>::try_from(id) else {
            return Err(reader.corrupt("a stream node whose id is none"));
        };
        let pack = reader.listpack()?;
        let corrected = log
            .insert_node(StreamId::from_bytes(id), pack)
            .map_err(|_| reader.corrupt("malformed stream node"))?;
        if corrected {
            reader.correct("counters of a stream's node");
        }
    }
    // The first XDEL, of Redis 5.0, did not lower the length, and streams have carried it along ever since.
    let stated = reader.length()?;
    if stated != log.len() {
        if log.node_count() == 0 {
            return Err(reader.corrupt("Stream length inconsistent with rax entries"));
        }
        reader.correct(LENGTH);
    }
    let mut last_id = id(reader)?;
    if let Some(last) = log.last().map(|entry| entry.id)
        && last > last_id
    {
        last_id = last;
        reader.correct(LAST_ID);
    }
    if second {
        // The first id follows from the entries.
        id(reader)?;
        let max_deleted_id = id(reader)?;
        let mut added = reader.length()?;
        if added < log.len() {
            added = log.len();
            reader.correct(ADDED);
        }
        log.set_history(last_id, added, max_deleted_id);
    } else {
        log.set_history(last_id, log.len(), StreamId::MIN);
    }
    for _ in 0..reader.length()? {
        let name = reader.string_vec()?;
        let group = group(reader, log, second, third)?;
        if stream.groups.insert(name.into(), group).is_some() {
            return Err(reader.corrupt("duplicate consumer group"));
        }
    }
    Ok(stream)
}

fn id<R: Read>(reader: &mut Reader<R>) -> rdb::Result<StreamId> {
    Ok(StreamId::new(reader.length()?, reader.length()?))
}

fn group<R: Read>(
    reader: &mut Reader<R>,
    log: &Log,
    second: bool,
    third: bool,
) -> rdb::Result<Group> {
    let last_id = id(reader)?;
    let entries_read = if second {
        // Written as a signed number: -1 when it cannot be told.
        let stated = Some(reader.length()?).filter(|read| i64::try_from(*read).is_ok());
        let possible = stated.filter(|read| *read <= log.entries_added());
        if possible != stated {
            reader.correct(READ);
        }
        possible
    } else {
        log.entries_up_to(last_id)
    };
    let mut group = Group::new(last_id, entries_read);
    let mut delivered = BTreeMap::new();
    for _ in 0..reader.length()? {
        let id = StreamId::from_bytes(reader.array()?);
        if delivered
            .insert(id, (reader.millis()?, reader.length()?))
            .is_some()
        {
            return Err(reader.corrupt("duplicate pending entry"));
        }
    }
    for _ in 0..reader.length()? {
        let name = reader.string_vec()?;
        let seen_ms = reader.millis()?;
        let active_ms = if third { reader.millis()? } else { seen_ms };
        if !group.add_consumer(&name, seen_ms, Some(active_ms).filter(|ms| *ms >= 0)) {
            return Err(reader.corrupt("duplicate consumer"));
        }
        let Some(consumer) = group.consumer_name(&name) else {
            return Err(reader.corrupt("a consumer that is not there"));
        };
        for _ in 0..reader.length()? {
            let id = StreamId::from_bytes(reader.array()?);
            let Some(&(at_ms, count)) = delivered.get(&id) else {
                return Err(reader.corrupt("a consumer with an entry that is not pending"));
            };
            if let Some(before) = group.pending().get(&id) {
                if before.consumer == consumer {
                    return Err(reader.corrupt("a consumer with an entry that is pending twice"));
                }
                reader.correct(OWNER);
            }
            let consumer = consumer.clone();
            group.deliver(
                id,
                Delivery {
                    consumer,
                    at_ms,
                    count,
                },
            );
        }
    }
    // Nobody could acknowledge those without a consumer, and the reference falls over them.
    if delivered.len() != group.pending().len() {
        reader.correct("pending entries without a consumer");
    }
    Ok(group)
}

/// The forms that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Of Redis 7.0.
    Second,
    /// Ours.
    Third,
}

/// Writes a stream, as [`ValueType::StreamListpacks3`].
pub(super) fn write<W: Write>(
    writer: &mut Writer<W>,
    stream: &Stream,
    form: Form,
) -> io::Result<()> {
    let Stream { log, groups } = stream;
    writer.length(log.node_count() as u64)?;
    for (id, pack) in log.nodes() {
        writer.blob(&id.to_bytes())?;
        writer.blob(pack.as_bytes())?;
    }
    writer.length(log.len())?;
    write_id(writer, log.last_id())?;
    write_id(writer, log.first_id())?;
    write_id(writer, log.max_deleted_id())?;
    writer.length(log.entries_added())?;
    writer.length(groups.len() as u64)?;
    groups.iter().try_for_each(|(name, group)| {
        writer.string(name)?;
        write_group(writer, group, form)
    })
}

fn write_id<W: Write>(writer: &mut Writer<W>, id: StreamId) -> io::Result<()> {
    writer.length(id.ms)?;
    writer.length(id.seq)
}

fn write_group<W: Write>(writer: &mut Writer<W>, group: &Group, form: Form) -> io::Result<()> {
    write_id(writer, group.last_id)?;
    writer.length(group.entries_read.unwrap_or(u64::MAX))?;
    writer.length(group.pending().len() as u64)?;
    for (id, delivery) in group.pending() {
        writer.bytes(&id.to_bytes())?;
        writer.bytes(&delivery.at_ms.to_le_bytes())?;
        writer.length(delivery.count)?;
    }
    writer.length(group.consumers().len() as u64)?;
    for (name, consumer) in group.consumers() {
        writer.string(name)?;
        writer.bytes(&consumer.seen_ms.to_le_bytes())?;
        if form == Form::Third {
            writer.bytes(&consumer.active_ms.unwrap_or(-1).to_le_bytes())?;
        }
        writer.length(consumer.pending().len() as u64)?;
        for id in consumer.pending() {
            writer.bytes(&id.to_bytes())?;
        }
    }
    Ok(())
}
