//! Commands that remove members.

use super::bounds;
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use commandtable::Outcome;
use keyspace::ZSet;

/// `ZREM key member [member ...]`.
///
/// Reply: the number of members removed.
/// Errors: WRONGTYPE.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, ZREM (since 1.2.0).
pub(super) fn zrem(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let remove = |zset: &mut ZSet| {
        let removed = args[2..]
            .iter()
            .filter(|member| zset.remove(member).is_some());
        removed.count()
    };
    removing(x, args[1], "zrem", remove)
}

/// `ZREMRANGEBYRANK key start stop`.
///
/// Reply: the number of members removed.
/// Errors: WRONGTYPE, not an integer.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, ZREMRANGEBYRANK (since 2.0.0).
pub(super) fn by_rank(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (number::int(args[2])?, number::int(args[3])?);
    removing(x, args[1], "zremrangebyrank", |zset| {
        let (start, count) = bounds::ranks(start, stop, zset.len());
        zset.remove_range_by_rank(start, count)
    })
}

/// `ZREMRANGEBYSCORE key min max`.
///
/// Reply: the number of members removed.
/// Errors: WRONGTYPE, not a float.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, ZREMRANGEBYSCORE (since 1.2.0).
pub(super) fn by_score(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let range = bounds::scores(args[2], args[3])?;
    removing(x, args[1], "zremrangebyscore", |zset| {
        zset.remove_range_by_score(&range)
    })
}

/// `ZREMRANGEBYLEX key min max`.
///
/// Reply: the number of members removed.
/// Errors: WRONGTYPE, not a range item.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, ZREMRANGEBYLEX (since 2.8.9).
pub(super) fn by_lex(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let range = bounds::members(args[2], args[3])?;
    removing(x, args[1], "zremrangebylex", |zset| {
        zset.remove_range_by_lex(&range)
    })
}

fn removing(
    x: &mut Call<'_>,
    key: &[u8],
    event: &'static str,
    remove: impl FnOnce(&mut ZSet) -> usize,
) -> Outcome {
    let removed = match x.keys.zset_mut(key)? {
        None => 0,
        Some(mut zset) => remove(&mut zset),
    };
    if removed > 0 {
        x.keys.changed(key, Event::zset(event), removed as u64);
        x.keys.delete_if_empty(key);
    }
    x.out.uint(removed);
    Ok(())
}
