//! Commands that take members from either end, at once or when there are some.

use super::{Scores, from, reply_element, reply_score};
use crate::call::OnTimeout;
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number::deadline_from_seconds;
use commandtable::{Error, Outcome};
use keyspace::ZSet;
use resp::Reply;

/// Takes `count` members off the end of a sorted set that has as many, writing each with its score. How many are left.
fn take(zset: &mut ZSet, out: &mut Reply, highest: bool, count: usize, scores: Scores) -> usize {
    let left = zset.view().len().saturating_sub(count);
    for (member, score) in zset.view().by_rank(0, count, highest) {
        if scores == Scores::With && out.is_v3() {
            out.array(2);
        }
        reply_element(out, member);
        reply_score(out, score);
    }
    match count {
        1 => zset.remove_end(highest),
        count => {
            zset.remove_range_by_rank(if highest { left } else { 0 }, count);
        }
    }
    left
}

/// Members have been taken off the end of a sorted set, which has so many left.
fn took(keys: &mut Keys, key: &[u8], highest: bool, count: usize, left: usize) {
    keys.changed(key, event(highest), count as u64);
    if left == 0 {
        keys.delete_if_empty(key);
    }
}

fn event(highest: bool) -> Event {
    Event::zset(if highest { "zpopmax" } else { "zpopmin" })
}

fn command(highest: bool) -> &'static [u8] {
    if highest { b"ZPOPMAX" } else { b"ZPOPMIN" }
}

/// `ZPOPMIN key [count]`, `ZPOPMAX` with the same arguments.
///
/// Reply: member and score, flat; with a count in RESP3 an array of pairs. Empty when there is no such key.
/// Errors: WRONGTYPE, syntax, a count that is no number or negative.
/// Propagates: itself when something was taken.
/// Source: Valkey command reference, ZPOPMIN, ZPOPMAX (since 5.0.0).
pub(super) fn zpop(x: &mut Call<'_>, args: Args<'_>, highest: bool) -> Outcome {
    let (key, wanted) = (args[1], args.get(2));
    if args.len() > 3 {
        return Err(Error::SYNTAX);
    }
    let count = match wanted {
        None => 1,
        Some(text) => words::int::parse_i64(text)
            .and_then(|count| usize::try_from(count).ok())
            .ok_or(Error::OUT_OF_RANGE_POSITIVE)?,
    };
    let Some(mut zset) = x.keys.zset_mut(key)?.filter(|_| count > 0) else {
        x.out.array(0);
        return Ok(());
    };
    let count = count.min(zset.view().len());
    let scores = if wanted.is_some() {
        Scores::With.header(x.out, count);
        Scores::With
    } else {
        x.out.array(2);
        Scores::No
    };
    let left = take(&mut zset, x.out, highest, count, scores);
    drop(zset);
    took(x.keys, key, highest, count, left);
    Ok(())
}

/// The arguments of ZMPOP behind its name or its timeout.
struct Many<'a> {
    keys: &'a [&'a [u8]],
    highest: bool,
    count: usize,
}

impl<'a> Many<'a> {
    fn parse(words: Args<'a>) -> Result<Self, Error> {
        let (numkeys, rest) = words.split_first().ok_or(Error::SYNTAX)?;
        let numkeys = words::int::parse_i64(numkeys)
            .filter(|count| *count > 0)
            .ok_or(Error::NUMKEYS_NOT_POSITIVE)?;
        let numkeys = usize::try_from(numkeys).unwrap_or(usize::MAX);
        if numkeys >= rest.len() {
            return Err(Error::SYNTAX);
        }
        let (keys, rest) = rest.split_at(numkeys);
        let (end, rest) = rest.split_first().ok_or(Error::SYNTAX)?;
        let highest = if end.eq_ignore_ascii_case(b"max") {
            true
        } else if end.eq_ignore_ascii_case(b"min") {
            false
        } else {
            return Err(Error::SYNTAX);
        };
        let count = match rest {
            [] => 1,
            [word, count, more @ ..] if word.eq_ignore_ascii_case(b"count") => {
                let count = words::int::parse_i64(count)
                    .filter(|count| *count > 0)
                    .ok_or(Error::COUNT_NOT_POSITIVE)?;
                if !more.is_empty() {
                    return Err(Error::SYNTAX);
                }
                usize::try_from(count).unwrap_or(usize::MAX)
            }
            _ => return Err(Error::SYNTAX),
        };
        Ok(Many {
            keys,
            highest,
            count,
        })
    }

    /// Pops off `key`, which has `len` members.
    fn pop(&self, x: &mut Call<'_>, key: &[u8], len: usize) -> Outcome {
        let count = self.count.min(len);
        x.out.array(2);
        x.out.bulk(key);
        x.out.array(count);
        // Pairs in both protocols.
        let Some(mut zset) = x.keys.zset_mut(key)? else {
            return Ok(());
        };
        for (member, score) in zset.view().by_rank(0, count, self.highest) {
            x.out.array(2);
            reply_element(x.out, member);
            reply_score(x.out, score);
        }
        let left = len - count;
        zset.remove_range_by_rank(if self.highest { left } else { 0 }, count);
        drop(zset);
        took(x.keys, key, self.highest, count, left);
        let mut digits = itoa::Buffer::new();
        x.propagate_as(&[command(self.highest), key, digits.format(count).as_bytes()]);
        Ok(())
    }
}

/// The first of `keys` that holds members, and how many. Of one that waits, a key of another type is judged as for lists.
fn first<'a>(x: &mut Call<'_>, keys: &[&'a [u8]]) -> Result<Option<(&'a [u8], usize)>, Error> {
    let again = x.runs_again();
    let mut wrong_type = None;
    for key in keys {
        match x.keys.zset_mut(key) {
            Ok(None) => {}
            Ok(Some(zset)) => {
                let found = (*key, zset.view().len());
                return wrong_type.map_or(Ok(Some(found)), Err);
            }
            Err(error) if again => wrong_type = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// `ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]`.
///
/// Reply: an array of the key and an array of pairs of member and score; a null array when no key has members.
/// Errors: WRONGTYPE, syntax, numkeys or count below 1.
/// Propagates: `ZPOPMIN key count` or `ZPOPMAX key count`, with the number of members taken.
/// Source: Valkey command reference, ZMPOP (since 7.0.0).
pub(super) fn zmpop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let many = Many::parse(&args[1..])?;
    let Some((key, len)) = first(x, many.keys)? else {
        x.out.null_array();
        return Ok(());
    };
    x.keys.looked_up();
    many.pop(x, key, len)
}

/// `BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]`: ZMPOP that waits.
///
/// Reply: as ZMPOP.
/// Errors: as ZMPOP, and those of the timeout.
/// Propagates: as ZMPOP.
/// Source: Valkey command reference, BZMPOP (since 7.0.0).
pub(super) fn bzmpop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    // The timeout is judged last, as in the reference.
    let many = Many::parse(from(args, 2))?;
    let deadline_ms = deadline_from_seconds(args[1], x.now_ms())?;
    match first(x, many.keys)? {
        Some((key, len)) => many.pop(x, key, len),
        None => {
            x.wait_for_keys(many.keys, deadline_ms, OnTimeout::NullArray);
            Ok(())
        }
    }
}

/// `BZPOPMIN key [key ...] timeout`, `BZPOPMAX` with the same arguments.
///
/// Reply: an array of key, member and score; a null array when the time is up.
/// Errors: WRONGTYPE, those of the timeout.
/// Propagates: `ZPOPMIN key` or `ZPOPMAX key`.
/// Source: Valkey command reference, BZPOPMIN, BZPOPMAX (since 5.0.0).
pub(super) fn bzpop(x: &mut Call<'_>, args: Args<'_>, highest: bool) -> Outcome {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    let deadline_ms = deadline_from_seconds(timeout, x.now_ms())?;
    let Some((key, _)) = first(x, keys)? else {
        x.wait_for_keys(keys, deadline_ms, OnTimeout::NullArray);
        return Ok(());
    };
    x.out.array(3);
    x.out.bulk(key);
    let zset = x.keys.zset_mut(key)?;
    let left = zset.map_or(0, |mut zset| take(&mut zset, x.out, highest, 1, Scores::No));
    took(x.keys, key, highest, 1, left);
    x.propagate_as(&[command(highest), key]);
    Ok(())
}
