//! XACK and XPENDING: what was delivered and not acknowledged.

use super::id::{self, Missing};
use super::{count, reply_id};
use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::StreamId;
use keyspace::stream::{Delivery, Group};
use resp::Reply;
use std::ops::RangeInclusive;

/// `XACK key group id [id ...]`.
///
/// Reply: the number of entries that were pending.
/// Errors: WRONGTYPE, a bad id.
/// Propagates: itself when something was pending.
/// Source: Valkey command reference, XACK (since 5.0.0).
pub(super) fn xack(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let mut acknowledged = 0;
    // A look at the groups is a read as far as hits and misses are concerned.
    let there = x.keys.stream(key)?.is_some();
    x.keys.looked_up();
    if there
        && let Some(stream) = x.keys.stream_mut(key)?
        && let Some(group) = stream.groups.get_mut(name)
    {
        for arg in &args[3..] {
            id::parse(arg, Missing::First)?;
        }
        for arg in &args[3..] {
            let id = id::parse(arg, Missing::First)?;
            acknowledged += u64::from(group.acknowledge(id));
        }
    }
    // The entries are as they were: no event, and nobody to wake.
    x.keys.dirty += acknowledged;
    x.out.int(acknowledged as i64);
    Ok(())
}

/// Which pending entries XPENDING lists.
struct Listing<'a> {
    ids: RangeInclusive<StreamId>,
    count: usize,
    consumer: Option<&'a [u8]>,
    min_idle_ms: i64,
}

fn parse<'a>(options: Args<'a>) -> Result<Option<Listing<'a>>, Error> {
    let (min_idle_ms, rest) = match options {
        [] => return Ok(None),
        _ if !(3..=6).contains(&options.len()) => return Err(Error::SYNTAX),
        [option, idle, rest @ ..] if option.eq_ignore_ascii_case(b"idle") => {
            (number::int(idle)?, rest)
        }
        _ => (i64::MIN, options),
    };
    // What may stand behind the consumer is not looked at, as in the reference.
    let [first, last, most, rest @ ..] = rest else {
        return Err(Error::SYNTAX);
    };
    let consumer = rest.first().copied();
    let count = count(most)?;
    let first = id::parse_start(first)?;
    Ok(Some(Listing {
        ids: first..=id::parse_end(last)?,
        count,
        consumer,
        min_idle_ms,
    }))
}

/// `XPENDING key group [[IDLE min-idle-time] start end count [consumer]]`.
///
/// Reply: without a range the number of entries, the first and the last id, and the consumers with their numbers of
/// entries; with one an array of id, consumer, milliseconds since the delivery, and number of deliveries.
/// Errors: WRONGTYPE, NOGROUP, syntax, a bad id, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, XPENDING (since 5.0.0).
pub(super) fn xpending(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let listing = parse(&args[3..])?;
    let now_ms = x.now_ms();
    let group = x.keys.stream(key)?.and_then(|s| s.groups.get(name));
    let group = group.ok_or_else(|| Error::no_key_or_group(key, name))?;
    match listing {
        None => summarize(x.out, group),
        Some(listing) => list(x.out, group, &listing, now_ms),
    }
    Ok(())
}

fn summarize(out: &mut Reply, group: &Group) {
    let pending = group.pending();
    out.array(4);
    out.uint(pending.len());
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value())
    else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    reply_id(out, *first);
    reply_id(out, *last);
    let busy = || {
        group
            .consumers()
            .iter()
            .filter(|(_, consumer)| !consumer.pending().is_empty())
    };
    out.array(busy().count());
    for (name, consumer) in busy() {
        out.array(2);
        out.bulk(name);
        out.bulk_int(consumer.pending().len() as i64);
    }
}

fn list(out: &mut Reply, group: &Group, listing: &Listing<'_>, now_ms: i64) {
    let ids = listing.ids.clone();
    let mark = out.mark();
    let mut written = 0;
    let mut show = |id: &StreamId, delivery: &Delivery| {
        let idle_ms = now_ms.saturating_sub(delivery.at_ms);
        if written < listing.count && idle_ms >= listing.min_idle_ms {
            out.array(4);
            reply_id(out, *id);
            out.bulk(&delivery.consumer);
            out.int(idle_ms.max(0));
            out.int(delivery.count as i64);
            written += 1;
        }
        written < listing.count
    };
    // A range that ends before it begins would be a mistake of ours to the map.
    if !ids.is_empty() {
        match listing.consumer {
            None => {
                let mut pending = group.pending().range(ids);
                pending.all(|(id, delivery)| show(id, delivery));
            }
            Some(name) => {
                let consumer = group.consumers().get(name);
                let mut pending = consumer
                    .into_iter()
                    .flat_map(|c| c.pending().range(ids.clone()));
                pending.all(|id| group.pending().get(id).is_none_or(|d| show(id, d)));
            }
        }
    }
    out.insert_at(mark, |out| out.array(written));
}
