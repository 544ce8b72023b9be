//! XINFO: what a stream, its groups and its consumers are like.

use super::{reply_entries, reply_entry, reply_id};
use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::stream::{Consumer, Group, Log};
use keyspace::{Stream, StreamId};
use resp::Reply;

/// Entries and pending entries that FULL shows unless told otherwise.
const COUNT: usize = 10;

/// How much XINFO STREAM tells.
enum Detail {
    Summary,
    /// Everything, but at most so many entries of each kind.
    Full(usize),
}

fn parse(args: Args<'_>) -> Result<Detail, Error> {
    let syntax = || Error::subcommand_syntax(args);
    match &args[3..] {
        [] => Ok(Detail::Summary),
        [full, rest @ ..] if full.eq_ignore_ascii_case(b"full") => match rest {
            [] => Ok(Detail::Full(COUNT)),
            [count, value] if count.eq_ignore_ascii_case(b"count") => {
                let count = number::int(value)?;
                Ok(Detail::Full(match usize::try_from(count) {
                    Ok(0) => usize::MAX,
                    Ok(count) => count,
                    Err(_) => COUNT,
                }))
            }
            _ => Err(syntax()),
        },
        _ => Err(syntax()),
    }
}

/// `XINFO STREAM key [FULL [COUNT count]]`.
///
/// Reply: a map.
/// Errors: WRONGTYPE, no such key, syntax, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, XINFO STREAM (since 5.0.0).
pub(super) fn stream(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let Some(Stream { log, groups }) = x.keys.stream(args[2])? else {
        return Err(Error::NO_SUCH_KEY);
    };
    let detail = parse(args)?;
    let out = &mut *x.out;
    out.map(match detail {
        Detail::Summary => 10,
        Detail::Full(_) => 9,
    });
    out.bulk(b"length");
    out.int(log.len() as i64);
    out.bulk(b"radix-tree-keys");
    out.uint(log.node_count());
    out.bulk(b"radix-tree-nodes");
    out.uint(log.radix_nodes());
    out.bulk(b"last-generated-id");
    reply_id(out, log.last_id());
    out.bulk(b"max-deleted-entry-id");
    reply_id(out, log.max_deleted_id());
    out.bulk(b"entries-added");
    out.int(log.entries_added() as i64);
    out.bulk(b"recorded-first-entry-id");
    reply_id(out, log.first_id());
    match detail {
        Detail::Summary => {
            out.bulk(b"groups");
            out.uint(groups.len());
            for (name, entry) in [("first-entry", log.first()), ("last-entry", log.last())] {
                out.bulk(name.as_bytes());
                match entry {
                    Some(entry) => reply_entry(out, &entry),
                    None => out.null(),
                }
            }
        }
        Detail::Full(count) => {
            out.bulk(b"entries");
            reply_entries(out, log.range(StreamId::MIN..=StreamId::MAX), Some(count));
            out.bulk(b"groups");
            out.array(groups.len());
            for (name, group) in groups {
                full_group(out, name, group, log, count);
            }
        }
    }
    Ok(())
}

/// How far a group has read, and how far it is behind.
fn progress(out: &mut Reply, group: &Group, log: &Log) {
    out.bulk(b"last-delivered-id");
    reply_id(out, group.last_id);
    out.bulk(b"entries-read");
    match group.entries_read {
        Some(read) => out.int(read as i64),
        None => out.null(),
    }
    out.bulk(b"lag");
    match group.lag(log) {
        Some(lag) => out.int(lag),
        None => out.null(),
    }
}

fn full_group(out: &mut Reply, name: &[u8], group: &Group, log: &Log, count: usize) {
    out.map(7);
    out.bulk(b"name");
    out.bulk(name);
    progress(out, group, log);
    out.bulk(b"pel-count");
    out.uint(group.pending().len());
    out.bulk(b"pending");
    out.array(count.min(group.pending().len()));
    for (id, delivery) in group.pending().iter().take(count) {
        out.array(4);
        reply_id(out, *id);
        out.bulk(&delivery.consumer);
        out.int(delivery.at_ms);
        out.int(delivery.count as i64);
    }
    out.bulk(b"consumers");
    out.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        full_consumer(out, name, consumer, group, count);
    }
}

fn full_consumer(out: &mut Reply, name: &[u8], consumer: &Consumer, group: &Group, count: usize) {
    out.map(5);
    out.bulk(b"name");
    out.bulk(name);
    out.bulk(b"seen-time");
    out.int(consumer.seen_ms);
    out.bulk(b"active-time");
    out.int(consumer.active_ms.unwrap_or(-1));
    out.bulk(b"pel-count");
    out.uint(consumer.pending().len());
    out.bulk(b"pending");
    out.array(count.min(consumer.pending().len()));
    for id in consumer.pending().iter().take(count) {
        let delivery = group.pending().get(id);
        out.array(3);
        reply_id(out, *id);
        out.int(delivery.map_or(0, |delivery| delivery.at_ms));
        out.int(delivery.map_or(0, |delivery| delivery.count as i64));
    }
}

/// `XINFO GROUPS key`.
///
/// Reply: an array of maps.
/// Errors: WRONGTYPE, no such key.
/// Propagates: nothing.
/// Source: Valkey command reference, XINFO GROUPS (since 5.0.0).
pub(super) fn groups(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let Some(Stream { log, groups }) = x.keys.stream(args[2])? else {
        return Err(Error::NO_SUCH_KEY);
    };
    let out = &mut *x.out;
    out.array(groups.len());
    for (name, group) in groups {
        out.map(6);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"consumers");
        out.uint(group.consumers().len());
        out.bulk(b"pending");
        out.uint(group.pending().len());
        progress(out, group, log);
    }
    Ok(())
}

/// `XINFO CONSUMERS key group`.
///
/// Reply: an array of maps.
/// Errors: WRONGTYPE, NOGROUP, no such key.
/// Propagates: nothing.
/// Source: Valkey command reference, XINFO CONSUMERS (since 5.0.0).
pub(super) fn consumers(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[2], args[3]);
    let now_ms = x.now_ms();
    let Some(Stream { groups, .. }) = x.keys.stream(key)? else {
        return Err(Error::NO_SUCH_KEY);
    };
    let group = groups.get(name).ok_or_else(|| Error::no_group(key, name))?;
    let out = &mut *x.out;
    out.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        out.map(4);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"pending");
        out.uint(consumer.pending().len());
        out.bulk(b"idle");
        out.int(now_ms.saturating_sub(consumer.seen_ms).max(0));
        out.bulk(b"inactive");
        out.int(
            consumer
                .active_ms
                .map_or(-1, |at_ms| now_ms.saturating_sub(at_ms).max(0)),
        );
    }
    Ok(())
}

/// `XINFO HELP`.
///
/// Reply: lines of text.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, XINFO HELP (since 5.0.0).
pub(super) fn help(x: &mut Call<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "XINFO",
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    );
    Ok(())
}
