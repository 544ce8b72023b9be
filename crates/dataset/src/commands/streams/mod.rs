//! Streams: entries under ids that only grow, read by ranges, by waiting clients and by groups of consumers.

mod add;
mod claim;
mod group;
mod id;
mod info;
mod pending;
mod range;
mod read;
#[cfg(test)]
mod tests;

use super::Family;
use super::hashes::reply_element;
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use id::Missing;
use keyspace::stream::{Delivery, Group, StreamEntry};
use keyspace::{Stream, StreamId};
use resp::Reply;

pub(super) static COMMANDS: Family = &[
    ("xadd", add::xadd),
    ("xtrim", add::xtrim),
    ("xlen", xlen),
    ("xdel", xdel),
    ("xsetid", xsetid),
    ("xrange", range::xrange),
    ("xrevrange", range::xrevrange),
    ("xread", read::xread),
    ("xreadgroup", read::xreadgroup),
    ("xgroup|create", group::create),
    ("xgroup|setid", group::setid),
    ("xgroup|destroy", group::destroy),
    ("xgroup|createconsumer", group::createconsumer),
    ("xgroup|delconsumer", group::delconsumer),
    ("xgroup|help", group::help),
    ("xack", pending::xack),
    ("xpending", pending::xpending),
    ("xclaim", claim::xclaim),
    ("xautoclaim", claim::xautoclaim),
    ("xinfo|stream", info::stream),
    ("xinfo|groups", info::groups),
    ("xinfo|consumers", info::consumers),
    ("xinfo|help", info::help),
];

/// Writes an id as clients see it.
fn reply_id(out: &mut Reply, id: StreamId) {
    out.bulk(&id.text());
}

/// Writes an entry: its id, and an array of names and values.
fn reply_entry(out: &mut Reply, entry: &StreamEntry<'_>) {
    out.array(2);
    reply_id(out, entry.id);
    out.array(2 * entry.len());
    for (name, value) in entry.fields() {
        reply_element(out, name);
        reply_element(out, value);
    }
}

/// Writes an array of `entries`, at most `count` of them.
fn reply_entries<'a>(
    out: &mut Reply,
    entries: impl Iterator<Item = StreamEntry<'a>>,
    count: Option<usize>,
) {
    let mark = out.mark();
    let mut written = 0;
    for entry in entries.take(count.unwrap_or(usize::MAX)) {
        reply_entry(out, &entry);
        written += 1;
    }
    out.insert_at(mark, |out| out.array(written));
}

/// A number of entries wanted; negative ones are none.
fn count(arg: &[u8]) -> Result<usize, Error> {
    Ok(usize::try_from(number::int(arg)?).unwrap_or(0))
}

/// The consumer of this name hears from its client, and is made if it is new; tells if it was.
fn meet_consumer(group: &mut Group, name: &[u8], now_ms: i64) -> bool {
    if let Some(consumer) = group.consumer_mut(name) {
        consumer.seen_ms = now_ms;
        return false;
    }
    group.add_consumer(name, now_ms, None)
}

/// Tells the stream how an entry is now pending, or that it no longer is: a replica that claims an entry which is gone
/// forgets it.
fn propagate_claim(
    x: &mut Call<'_>,
    [key, group]: [&[u8]; 2],
    id: StreamId,
    delivery: &Delivery,
    last_id: StreamId,
) {
    let (mut at, mut times) = (itoa::Buffer::new(), itoa::Buffer::new());
    x.propagate_as(&[
        b"XCLAIM",
        key,
        group,
        &delivery.consumer,
        b"0",
        &id.text(),
        b"TIME",
        at.format(delivery.at_ms).as_bytes(),
        b"RETRYCOUNT",
        times.format(delivery.count).as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        &last_id.text(),
    ]);
}

/// Tells the stream how far a group has read.
fn propagate_position(
    x: &mut Call<'_>,
    [key, group]: [&[u8]; 2],
    last_id: StreamId,
    entries_read: Option<u64>,
) {
    let mut digits = itoa::Buffer::new();
    let read = entries_read.map_or(-1, |read| read as i64);
    x.propagate_as(&[
        b"XGROUP",
        b"SETID",
        key,
        group,
        &last_id.text(),
        b"ENTRIESREAD",
        digits.format(read).as_bytes(),
    ]);
}

/// `XLEN key`.
///
/// Reply: the number of entries, 0 when there is no such key.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, XLEN (since 5.0.0).
fn xlen(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let len = x.keys.stream(args[1])?.map_or(0, |s| s.log.len());
    x.out.int(len as i64);
    Ok(())
}

/// `XDEL key id [id ...]`.
///
/// Reply: the number of entries removed.
/// Errors: WRONGTYPE, a bad id.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, XDEL (since 5.0.0).
fn xdel(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut removed = 0;
    if let Some(stream) = x.keys.stream_mut(key)? {
        for arg in &args[2..] {
            id::parse(arg, Missing::First)?;
        }
        for arg in &args[2..] {
            let id = id::parse(arg, Missing::First)?;
            removed += u64::from(stream.log.delete(id));
        }
    }
    if removed > 0 {
        x.keys.changed(key, Event::stream("xdel"), removed);
    }
    x.out.int(removed as i64);
    Ok(())
}

/// `XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]`.
///
/// Reply: OK.
/// Errors: WRONGTYPE, no such key, syntax, a bad id, an id below the last entry or a deleted one, fewer entries added
/// than there are.
/// Propagates: itself.
/// Source: Valkey command reference, XSETID (since 5.0.0).
fn xsetid(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let last = id::parse(args[2], Missing::First)?;
    let (mut added, mut deleted) = (None, StreamId::MIN);
    let mut rest = &args[3..];
    while let Some((option, more)) = rest.split_first() {
        let Some((value, more)) = more.split_first() else {
            return Err(Error::SYNTAX);
        };
        if option.eq_ignore_ascii_case(b"entriesadded") {
            let value = number::int(value)?;
            added = Some(u64::try_from(value).map_err(|_| Error::XSETID_ADDED)?);
        } else if option.eq_ignore_ascii_case(b"maxdeletedid") {
            deleted = id::parse(value, Missing::First)?;
            if last < deleted {
                return Err(Error::XSETID_BELOW_GIVEN);
            }
        } else {
            return Err(Error::SYNTAX);
        }
        rest = more;
    }
    let Stream { log, groups } = x.keys.stream_mut(key)?.ok_or(Error::NO_SUCH_KEY)?;
    if last < log.max_deleted_id() {
        return Err(Error::XSETID_BELOW_DELETED);
    }
    if log.last().is_some_and(|entry| last < entry.id) {
        return Err(Error::XSETID_BELOW_LAST);
    }
    if added.is_some_and(|added| added < log.len()) {
        return Err(Error::XSETID_TOO_FEW);
    }
    let deleted = if deleted == StreamId::MIN {
        log.max_deleted_id()
    } else {
        deleted
    };
    log.set_history(last, added.unwrap_or(log.entries_added()), deleted);
    groups.values_mut().for_each(|group| group.recount(log));
    x.keys
        .changed_around_entries(key, Event::stream("xsetid"), 1);
    x.out.ok();
    Ok(())
}
