//! XREAD and XREADGROUP: what came behind an id, for whoever asks or for a group, now or when it comes.

use super::id::{self, Missing};
use super::{
    count, meet_consumer, propagate_claim, propagate_position, reply_entries, reply_entry, reply_id,
};
use crate::call::{Args, Call};
use crate::call::{OnTimeout, Wake};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number::deadline_from_ms;
use commandtable::{Error, Outcome};
use keyspace::stream::{Delivery, Group, Log};
use keyspace::{Stream, StreamId};
use resp::Reply;
use smallvec::SmallVec;

/// A group and one of its consumers.
#[derive(Clone, Copy)]
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    /// What is delivered need not be acknowledged.
    no_ack: bool,
}

/// From where a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Behind this id; for a group what its consumer has pending there.
    Behind(StreamId),
    /// Behind this id, that is the last entry, which will be another one when the command runs again.
    Last(StreamId),
    /// What the group has not read.
    Unread,
}

/// A parsed request.
struct Request<'a> {
    count: Option<usize>,
    deadline_ms: Option<i64>,
    reader: Option<Reader<'a>>,
    /// Where the ids begin among the arguments.
    ids_at: usize,
    keys: Args<'a>,
    ids: Args<'a>,
}

fn parse<'a>(x: &Call<'_>, args: Args<'a>, for_group: bool) -> Result<Request<'a>, Error> {
    let (mut most, mut deadline_ms, mut no_ack) = (None, None, false);
    let mut group: Option<[&[u8]; 2]> = None;
    let mut at = 1;
    while let Some(option) = args.get(at) {
        let more = args.len() - 1 - at;
        let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
        if is(b"block") && more >= 1 {
            at += 1;
            deadline_ms = Some(deadline_from_ms(args[at], x.now_ms())?);
        } else if is(b"count") && more >= 1 {
            at += 1;
            most = Some(count(args[at])?).filter(|count| *count > 0);
        } else if is(b"streams") && more >= 1 {
            let streams = &args[at + 1..];
            if !streams.len().is_multiple_of(2) {
                let new = if for_group { '>' } else { '$' };
                return Err(Error::unbalanced(x.command.name, new));
            }
            let (keys, ids) = streams.split_at(streams.len() / 2);
            let reader = group.map(|[group, consumer]| Reader {
                group,
                consumer,
                no_ack,
            });
            if for_group && reader.is_none() {
                return Err(Error::XREADGROUP_NO_GROUP);
            }
            return Ok(Request {
                count: most,
                deadline_ms,
                reader,
                ids_at: args.len() - ids.len(),
                keys,
                ids,
            });
        } else if is(b"group") && more >= 2 {
            if !for_group {
                return Err(Error::XREAD_GROUP);
            }
            group = Some([args[at + 1], args[at + 2]]);
            at += 2;
        } else if is(b"noack") {
            if !for_group {
                return Err(Error::XREAD_NOACK);
            }
            no_ack = true;
        } else {
            return Err(Error::SYNTAX);
        }
        at += 1;
    }
    Err(Error::SYNTAX)
}

/// From where each stream is read. Nothing has been read or changed before all of this is known.
fn resolve(x: &mut Call<'_>, request: &Request<'_>) -> Result<SmallVec<[Start; 4]>, Error> {
    let mut from = SmallVec::new();
    for (key, id) in request.keys.iter().zip(request.ids) {
        let stream = x.keys.stream(key)?;
        let for_group = request.reader.is_some();
        if let Some(reader) = request.reader
            && !stream.is_some_and(|stream| stream.groups.contains_key(reader.group))
        {
            return Err(Error::no_key_or_group_to_read(key, reader.group));
        }
        from.push(match *id {
            b"$" if for_group => return Err(Error::XREADGROUP_DOLLAR),
            b"+" if for_group => return Err(Error::XREADGROUP_PLUS),
            b">" if !for_group => return Err(Error::XREAD_GREATER),
            b"$" => Start::Behind(stream.map_or(StreamId::MIN, |s| s.log.last_id())),
            b"+" => Start::Last(stream.map_or(Ok(StreamId::MIN), before_last)?),
            b">" => Start::Unread,
            id => match id::parse(id, Missing::First)? {
                // As in the reference: the last id of all is what it writes for `>`.
                StreamId::MAX if for_group => Start::Unread,
                id => Start::Behind(id),
            },
        });
    }
    Ok(from)
}

/// The id right before the last one, be its entry still there or not: `+` reads the last entry.
fn before_last(stream: &Stream) -> Result<StreamId, Error> {
    stream.log.last_id().previous().ok_or(Error::XREAD_PLUS)
}

/// `XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]`.
///
/// Reply: for each stream with entries behind its id, the key and the entries: a map in RESP3, an array of pairs in
/// RESP2; null when there are none, or when the time is up.
/// Errors: WRONGTYPE, syntax, a bad id or timeout, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, XREAD (since 5.0.0).
pub(super) fn xread(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = parse(x, args, false)?;
    let from = resolve(x, &request)?;
    let mark = x.out.mark();
    let mut served = 0;
    for (key, from) in request.keys.iter().zip(&from) {
        let (Start::Behind(id) | Start::Last(id)) = *from else {
            continue;
        };
        if let Some(Stream { log, .. }) = x.keys.stream(key)?
            && let Some(entries) = behind(log, id)
        {
            reply_key(x.out, key);
            reply_entries(x.out, entries, request.count);
            served += 1;
        }
    }
    finish(x, args, &request, &from, mark, served)
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]`.
///
/// Reply: as XREAD: entries the group has not read for `>`, what the consumer has pending behind any other id.
/// Errors: WRONGTYPE, NOGROUP, syntax, a bad id or timeout, not an integer.
/// Propagates: for each entry delivered an `XCLAIM`, and for each group that has read an `XGROUP SETID`; with NOACK the
/// latter only, and `XGROUP CREATECONSUMER` for a new consumer.
/// Source: Valkey command reference, XREADGROUP (since 5.0.0).
pub(super) fn xreadgroup(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = parse(x, args, true)?;
    let reader = request.reader.ok_or(Error::XREADGROUP_NO_GROUP)?;
    let from = resolve(x, &request)?;
    x.propagate_nothing();
    let mark = x.out.mark();
    let mut served = 0;
    for (key, from) in request.keys.iter().zip(&from) {
        let no_touch = x.keys.origin.no_touch;
        let read = match from {
            Start::Unread => read_new(x, key, reader, request.count),
            Start::Behind(id) | Start::Last(id) => read_pending(x, key, reader, *id, request.count),
        };
        x.keys.origin.no_touch = no_touch;
        served += usize::from(read?);
    }
    finish(x, args, &request, &from, mark, served)
}

/// The entries behind an id, if there are any.
fn behind(
    log: &Log,
    id: StreamId,
) -> Option<impl Iterator<Item = keyspace::stream::StreamEntry<'_>>> {
    let mut entries = log.range(id.next()?..=StreamId::MAX).peekable();
    entries.peek()?;
    Some(entries)
}

/// Writes the key in front of a stream's entries.
fn reply_key(out: &mut Reply, key: &[u8]) {
    if !out.is_v3() {
        out.array(2);
    }
    out.bulk(key);
}

/// Completes the reply, or waits.
fn finish(
    x: &mut Call<'_>,
    args: Args<'_>,
    request: &Request<'_>,
    from: &[Start],
    mark: resp::Mark,
    served: usize,
) -> Outcome {
    if served > 0 {
        x.out.insert_at(mark, |out| {
            if out.is_v3() {
                out.map(served);
            } else {
                out.array(served);
            }
        });
        return Ok(());
    }
    let Some(deadline_ms) = request.deadline_ms else {
        x.out.null_array();
        return Ok(());
    };
    // What `$` stands for is decided now, not when the command runs again; `+` is the last entry then.
    let ids: SmallVec<[_; 4]> = from
        .iter()
        .map(|from| match from {
            Start::Behind(id) => Some(id.text()),
            Start::Last(_) | Start::Unread => None,
        })
        .collect();
    let mut again: SmallVec<[&[u8]; 16]> = args.into();
    for (arg, id) in again[request.ids_at..].iter_mut().zip(&ids) {
        if let Some(id) = id {
            *arg = id;
        }
    }
    let wake = if request.reader.is_some() {
        Wake::Always
    } else {
        Wake::Stream
    };
    x.wait_for_news(
        request.keys,
        wake,
        Some(&again),
        deadline_ms,
        OnTimeout::NullArray,
    );
    Ok(())
}

/// The consumer hears from its client.
fn meet(x: &mut Call<'_>, key: &[u8], reader: Reader<'_>) -> Result<(), Error> {
    let now_ms = x.now_ms();
    // What follows is a read as far as hits and misses are concerned.
    x.keys.stream(key)?;
    x.keys.looked_up();
    let Some(Stream { groups, .. }) = x.keys.stream_mut(key)? else {
        return Ok(());
    };
    let Some(group) = groups.get_mut(reader.group) else {
        return Ok(());
    };
    if meet_consumer(group, reader.consumer, now_ms) {
        x.keys
            .changed_around_entries(key, Event::stream("xgroup-createconsumer"), 1);
        if reader.no_ack {
            let name: &[u8] = b"CREATECONSUMER";
            x.propagate_as(&[b"XGROUP", name, key, reader.group, reader.consumer]);
        }
    }
    Ok(())
}

/// The entries at `key` and the group that reads them; `None` when there is no such key or group.
fn log_and_group<'k>(
    keys: &'k mut Keys,
    key: &[u8],
    reader: Reader<'_>,
) -> Result<Option<(&'k mut Log, &'k mut Group)>, Error> {
    Ok(keys.stream_mut(key)?.and_then(|Stream { log, groups }| {
        let group = groups.get_mut(reader.group)?;
        Some((log, group))
    }))
}

/// Delivers entries that the group has not read; false when there are none.
fn read_new(
    x: &mut Call<'_>,
    key: &[u8],
    reader: Reader<'_>,
    count: Option<usize>,
) -> Result<bool, Error> {
    meet(x, key, reader)?;
    let now_ms = x.now_ms();
    let Some((log, group)) = log_and_group(x.keys, key, reader)? else {
        return Ok(false);
    };
    let Some(entries) = behind(log, group.last_id) else {
        return Ok(false);
    };
    let Some(consumer) = group.consumer_name(reader.consumer) else {
        return Ok(false);
    };
    reply_key(x.out, key);
    let mark = x.out.mark();
    let mut delivered: Vec<StreamId> = Vec::new();
    for entry in entries.take(count.unwrap_or(usize::MAX)) {
        reply_entry(x.out, &entry);
        group.advance(entry.id, log);
        delivered.push(entry.id);
    }
    x.out.insert_at(mark, |out| out.array(delivered.len()));
    let delivery = Delivery {
        consumer,
        at_ms: now_ms,
        count: 1,
    };
    if !reader.no_ack {
        for id in &delivered {
            group.deliver(*id, delivery.clone());
        }
        if let Some(consumer) = group.consumer_mut(reader.consumer) {
            consumer.active_ms = Some(now_ms);
        }
    }
    let (last_id, entries_read) = (group.last_id, group.entries_read);
    x.keys.dirty += 1;
    if !reader.no_ack {
        for id in &delivered {
            propagate_claim(x, [key, reader.group], *id, &delivery, *id);
        }
    }
    propagate_position(x, [key, reader.group], last_id, entries_read);
    Ok(true)
}

/// Delivers again what the consumer has pending behind an id. An entry that is gone has no fields.
fn read_pending(
    x: &mut Call<'_>,
    key: &[u8],
    reader: Reader<'_>,
    id: StreamId,
    count: Option<usize>,
) -> Result<bool, Error> {
    meet(x, key, reader)?;
    let now_ms = x.now_ms();
    let Some((log, group)) = log_and_group(x.keys, key, reader)? else {
        return Ok(false);
    };
    let pending: Vec<StreamId> = match (group.consumer_mut(reader.consumer), id.next()) {
        (Some(consumer), Some(first)) => consumer
            .pending()
            .range(first..)
            .take(count.unwrap_or(usize::MAX))
            .copied()
            .collect(),
        _ => Vec::new(),
    };
    reply_key(x.out, key);
    x.out.array(pending.len());
    for id in pending {
        let Some(entry) = log.get(id) else {
            x.out.array(2);
            reply_id(x.out, id);
            x.out.null_array();
            continue;
        };
        reply_entry(x.out, &entry);
        if let Some(delivery) = group.delivery_mut(id) {
            delivery.at_ms = now_ms;
            delivery.count = delivery.count.saturating_add(1);
        }
    }
    // A change, though not one that a replica hears of.
    x.keys.dirty += 1;
    Ok(true)
}
