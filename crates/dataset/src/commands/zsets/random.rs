//! ZRANDMEMBER.

use super::Scores;
use crate::call::{Args, Call};
use crate::commands::hashes::reply_element;
use crate::commands::sampling::{self, Choice, Count, Drawn};
use commandtable::{Error, Outcome};
use keyspace::ValueRef;

/// `ZRANDMEMBER key [count [WITHSCORES]]`.
///
/// Reply: a member, or null; with a count an array of members, with their scores in pairs (RESP3) or behind them (RESP2).
/// Errors: WRONGTYPE, syntax, not an integer, out of range.
/// Propagates: nothing.
/// Source: Valkey command reference, ZRANDMEMBER (since 6.2.0).
pub(super) fn zrandmember(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let asked = match &args[2..] {
        [] => None,
        rest => Some(sampling::parse(rest, b"withscores")?),
    };
    if x.keys.zset(key)?.is_none() {
        match asked {
            None => x.out.null(),
            Some(_) => x.out.array(0),
        }
        return Ok(());
    }
    // Looked up again, so that the random source stays free to be used.
    let keys = &mut *x.keys;
    let Some(ValueRef::ZSet(zset)) = keys.dbs[keys.origin.db].get(key).map(|entry| entry.value())
    else {
        return Err(Error::WRONG_TYPE);
    };
    let rng = &mut keys.rng;
    let Some((count, with_scores)) = asked else {
        match zset.random(rng) {
            Some((member, _)) => reply_element(x.out, member),
            None => x.out.null(),
        }
        return Ok(());
    };
    let scores = if with_scores {
        Scores::With
    } else {
        Scores::No
    };
    let len = zset.len();
    match count {
        Count::Repeated(count) => {
            scores.header(x.out, usize::try_from(count).unwrap_or(usize::MAX));
            sampling::repeat(x.out, &mut x.limit, count, |out| {
                if let Some((member, score)) = zset.random(rng) {
                    scores.member(out, member, score);
                }
            });
        }
        Count::Distinct(count) if count >= len => {
            scores.header(x.out, len);
            for (member, score) in zset.iter() {
                scores.member(x.out, member, score);
            }
        }
        Count::Distinct(count) => {
            scores.header(x.out, count);
            match sampling::choose(count, len) {
                Choice::Walk(mut walk) => {
                    for (member, score) in zset.iter() {
                        if walk.takes(rng) {
                            scores.member(x.out, member, score);
                        }
                    }
                }
                Choice::Draw => {
                    let mut drawn = Drawn::default();
                    let mut left = count;
                    while left > 0
                        && let Some((member, score)) = zset.random(rng)
                    {
                        if drawn.add(member) {
                            scores.member(x.out, member, score);
                            left -= 1;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}
