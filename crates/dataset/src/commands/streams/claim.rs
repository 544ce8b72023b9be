//! XCLAIM and XAUTOCLAIM: pending entries change hands.

use super::id::{self, Missing};
use super::{meet_consumer, propagate_claim, propagate_position, reply_entry, reply_id};
use crate::call::{Args, Call};
use crate::notify::Event;
use commandtable::{Error, Outcome};
use keyspace::stream::{ConsumerName, Delivery, Group};
use keyspace::{Stream, StreamId};

/// Entries that XAUTOCLAIM hands over unless told otherwise.
const COUNT: usize = 100;
/// Pending entries that XAUTOCLAIM looks at for each that it may hand over.
const ATTEMPTS_PER_ENTRY: usize = 10;
/// The reference cannot hold the ids of more entries than this.
const COUNT_MAX: i64 = i64::MAX / 16;

/// How entries are claimed.
#[derive(Clone, Copy)]
struct Claim<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    min_idle_ms: i64,
    /// The time to be remembered as that of the delivery.
    at_ms: i64,
    /// The number of deliveries to be remembered, if it is given.
    count: Option<u64>,
    /// Claim entries that nobody has pending.
    force: bool,
    /// Tell ids only, and do not count this as a delivery.
    just_id: bool,
}

/// What became of an entry.
enum Claimed {
    /// It is the consumer's, and in the reply.
    Yes,
    /// It is not pending, or not idle for long enough.
    No,
    /// The stream no longer has it, nor has the group.
    Gone,
}

impl Claim<'_> {
    /// The consumer, which is made if it is new.
    fn meet(&self, x: &mut Call<'_>) -> Result<ConsumerName, Error> {
        let now_ms = x.now_ms();
        let group = self.group(x)?;
        let new = meet_consumer(group, self.consumer, now_ms);
        let name = group
            .consumer_name(self.consumer)
            .unwrap_or_else(|| self.consumer.into());
        if new {
            let event = Event::stream("xgroup-createconsumer");
            x.keys.changed_around_entries(self.key, event, 1);
        }
        Ok(name)
    }

    fn group<'x>(&self, x: &'x mut Call<'_>) -> Result<&'x mut Group, Error> {
        let stream = x.keys.stream_mut(self.key)?;
        stream
            .and_then(|stream| stream.groups.get_mut(self.group))
            .ok_or_else(|| Error::no_key_or_group(self.key, self.group))
    }

    /// Claims one entry and writes it.
    fn run(
        &self,
        x: &mut Call<'_>,
        id: StreamId,
        consumer: &ConsumerName,
    ) -> Result<Claimed, Error> {
        let now_ms = x.now_ms();
        let names = [self.key, self.group];
        let Some(Stream { log, groups }) = x.keys.stream_mut(self.key)? else {
            return Ok(Claimed::No);
        };
        let Some(group) = groups.get_mut(self.group) else {
            return Ok(Claimed::No);
        };
        let last_id = group.last_id;
        let old = group.pending().get(&id).cloned();
        let Some(entry) = log.get(id) else {
            let Some(old) = old else {
                return Ok(Claimed::No);
            };
            group.acknowledge(id);
            x.keys.dirty += 1;
            propagate_claim(x, names, id, &old, last_id);
            return Ok(Claimed::Gone);
        };
        let count = match &old {
            None if !self.force => return Ok(Claimed::No),
            None => 1,
            Some(old)
                if self.min_idle_ms > 0 && now_ms.saturating_sub(old.at_ms) < self.min_idle_ms =>
            {
                return Ok(Claimed::No);
            }
            Some(old) => old.count,
        };
        let delivery = Delivery {
            consumer: ConsumerName::clone(consumer),
            at_ms: self.at_ms,
            count: self
                .count
                .unwrap_or(count.saturating_add(u64::from(!self.just_id))),
        };
        if self.just_id {
            reply_id(x.out, id);
        } else {
            reply_entry(x.out, &entry);
        }
        group.deliver(id, delivery.clone());
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.active_ms = Some(now_ms);
        }
        x.keys.dirty += 1;
        propagate_claim(x, names, id, &delivery, last_id);
        Ok(Claimed::Yes)
    }
}

/// Whether the stream has such a group. A read as far as hits and misses are concerned.
fn has_group(x: &mut Call<'_>, key: &[u8], group: &[u8]) -> Result<bool, Error> {
    let stream = x.keys.stream(key)?;
    let has_group = stream.is_some_and(|stream| stream.groups.contains_key(group));
    x.keys.looked_up();
    Ok(has_group)
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms] [RETRYCOUNT count] [FORCE] [JUSTID]
/// [LASTID last-id]`.
///
/// Reply: an array of the entries claimed, or of their ids.
/// Errors: WRONGTYPE, NOGROUP, an option nobody knows, a bad id, not an integer.
/// Propagates: an `XCLAIM` for each entry that was claimed or is gone; `XGROUP SETID` when only the last id changed.
/// Source: Valkey command reference, XCLAIM (since 5.0.0).
pub(super) fn xclaim(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let now_ms = x.now_ms();
    let mut claim = Claim {
        key: args[1],
        group: args[2],
        consumer: args[3],
        min_idle_ms: 0,
        at_ms: now_ms,
        count: None,
        force: false,
        just_id: false,
    };
    if !has_group(x, claim.key, claim.group)? {
        return Err(Error::no_key_or_group(claim.key, claim.group));
    }
    claim.min_idle_ms = words::int::parse_i64(args[4]).ok_or(Error::XCLAIM_MIN_IDLE)?;
    let is_id = |arg: &&&[u8]| id::parse(arg, Missing::First).is_ok();
    let ids = args[5..].iter().take_while(is_id).count();
    let (ids, mut rest) = args[5..].split_at(ids);
    let mut last_id = StreamId::MIN;
    while let Some((option, more)) = rest.split_first() {
        rest = more;
        let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
        if is(b"force") {
            claim.force = true;
        } else if is(b"justid") {
            claim.just_id = true;
        } else if let Some((value, more)) = more.split_first() {
            rest = more;
            let int = || words::int::parse_i64(value);
            if is(b"idle") {
                claim.at_ms = now_ms.wrapping_sub(int().ok_or(Error::XCLAIM_IDLE)?);
            } else if is(b"time") {
                claim.at_ms = int().ok_or(Error::XCLAIM_TIME)?;
            } else if is(b"retrycount") {
                claim.count = u64::try_from(int().ok_or(Error::XCLAIM_RETRYCOUNT)?).ok();
            } else if is(b"lastid") {
                last_id = id::parse(value, Missing::First)?;
            } else {
                return Err(Error::xclaim_option(option));
            }
        } else {
            return Err(Error::xclaim_option(option));
        }
    }
    if !(0..=now_ms).contains(&claim.at_ms) {
        claim.at_ms = now_ms;
    }
    x.propagate_nothing();
    let group = claim.group(x)?;
    let moved = last_id > group.last_id;
    group.last_id = group.last_id.max(last_id);
    let (last_id, entries_read) = (group.last_id, group.entries_read);
    let consumer = claim.meet(x)?;
    let mark = x.out.mark();
    let (mut claimed, mut told) = (0, false);
    for arg in ids {
        let id = id::parse(arg, Missing::First)?;
        match claim.run(x, id, &consumer)? {
            Claimed::Yes => {
                claimed += 1;
                told = true;
            }
            Claimed::Gone => told = true,
            Claimed::No => {}
        }
    }
    x.out.insert_at(mark, |out| out.array(claimed));
    if moved && !told {
        x.keys.dirty += 1;
        propagate_position(x, [claim.key, claim.group], last_id, entries_read);
    }
    Ok(())
}

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]`.
///
/// Reply: the id to start from next time, 0-0 at the end; the entries claimed, or their ids; the ids of entries that
/// are gone.
/// Errors: WRONGTYPE, NOGROUP, syntax, a bad id, not an integer, a count that is not positive.
/// Propagates: an `XCLAIM` for each entry that was claimed or is gone.
/// Source: Valkey command reference, XAUTOCLAIM (since 6.2.0).
pub(super) fn xautoclaim(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, group) = (args[1], args[2]);
    // Looked up first, and complained about last.
    let has_group = has_group(x, key, group);
    let min_idle_ms = words::int::parse_i64(args[4]).ok_or(Error::XAUTOCLAIM_MIN_IDLE)?;
    let mut next = Some(id::parse_start(args[5])?);
    let (mut count, mut just_id) = (COUNT, false);
    let mut rest = &args[6..];
    while let Some((option, more)) = rest.split_first() {
        rest = more;
        if option.eq_ignore_ascii_case(b"count")
            && let Some((value, more)) = more.split_first()
        {
            count = words::int::parse_i64(value)
                .filter(|count| (1..=COUNT_MAX).contains(count))
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(Error::XAUTOCLAIM_COUNT)?;
            rest = more;
        } else if option.eq_ignore_ascii_case(b"justid") {
            just_id = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if !has_group? {
        return Err(Error::no_key_or_group(key, group));
    }
    let claim = Claim {
        key,
        group,
        consumer: args[3],
        min_idle_ms,
        at_ms: x.now_ms(),
        count: None,
        force: false,
        just_id,
    };
    x.propagate_nothing();
    let consumer = claim.meet(x)?;
    let start = x.out.mark();
    let mut claimed = 0;
    let mut gone = Vec::new();
    let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
    while let Some(first) = next {
        let pending = claim.group(x)?.pending();
        next = pending.range(first..).next().map(|(id, _)| *id);
        let Some(id) = next else { break };
        if attempts == 0 || claimed + gone.len() == count {
            break;
        }
        attempts -= 1;
        match claim.run(x, id, &consumer)? {
            Claimed::Yes => claimed += 1,
            Claimed::Gone => gone.push(id),
            Claimed::No => {}
        }
        next = id.next();
    }
    x.out.insert_at(start, |out| {
        out.array(3);
        reply_id(out, next.unwrap_or(StreamId::MIN));
        out.array(claimed);
    });
    x.out.array(gone.len());
    for id in gone {
        reply_id(x.out, id);
    }
    Ok(())
}
