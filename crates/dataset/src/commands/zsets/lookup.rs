//! Commands that look at members without changing anything.

use super::{bounds, reply_score};
use crate::call::{Args, Call};
use commandtable::{Error, Outcome};
use keyspace::ZSetRef;

/// `ZCARD key`.
///
/// Reply: the number of members, 0 when there is no such key.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, ZCARD (since 1.2.0).
pub(super) fn zcard(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.zset(args[1])?.map_or(0, ZSetRef::len));
    Ok(())
}

/// `ZSCORE key member`.
///
/// Reply: the score; null when there is no such member.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, ZSCORE (since 1.2.0).
pub(super) fn zscore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    match x.keys.zset(args[1])?.and_then(|zset| zset.score(args[2])) {
        Some(score) => reply_score(x.out, score),
        None => x.out.null(),
    }
    Ok(())
}

/// `ZMSCORE key member [member ...]`.
///
/// Reply: an array of scores, null for members that are missing.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, ZMSCORE (since 6.2.0).
pub(super) fn zmscore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let zset = x.keys.zset(args[1])?;
    x.out.array(args.len() - 2);
    for member in &args[2..] {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_score(x.out, score),
            None => x.out.null(),
        }
    }
    Ok(())
}

/// `ZRANK key member [WITHSCORE]`, `ZREVRANK` with the same arguments.
///
/// Reply: the rank; with WITHSCORE an array of rank and score; null (an array's) when there is no such member.
/// Errors: WRONGTYPE, syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ZRANK, ZREVRANK (since 2.0.0).
pub(super) fn rank(x: &mut Call<'_>, args: Args<'_>, reverse: bool) -> Outcome {
    let with_score = match &args[3..] {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"withscore") => true,
        [_] => return Err(Error::SYNTAX),
        _ => return Err(Error::arity(x.command.name)),
    };
    let zset = x.keys.zset(args[1])?;
    match zset.and_then(|zset| zset.rank(args[2], reverse)) {
        Some((rank, score)) if with_score => {
            x.out.array(2);
            x.out.uint(rank);
            reply_score(x.out, score);
        }
        Some((rank, _)) => x.out.uint(rank),
        None if with_score => x.out.null_array(),
        None => x.out.null(),
    }
    Ok(())
}

/// `ZCOUNT key min max`.
///
/// Reply: the number of members whose score is in the range.
/// Errors: WRONGTYPE, not a float.
/// Propagates: nothing.
/// Source: Valkey command reference, ZCOUNT (since 2.0.0).
pub(super) fn zcount(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let range = bounds::scores(args[2], args[3])?;
    let zset = x.keys.zset(args[1])?;
    x.out
        .uint(zset.map_or(0, |zset| zset.count_in_score_range(&range)));
    Ok(())
}

/// `ZLEXCOUNT key min max`.
///
/// Reply: the number of members in the range.
/// Errors: WRONGTYPE, not a range item.
/// Propagates: nothing.
/// Source: Valkey command reference, ZLEXCOUNT (since 2.8.9).
pub(super) fn zlexcount(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let range = bounds::members(args[2], args[3])?;
    let zset = x.keys.zset(args[1])?;
    x.out
        .uint(zset.map_or(0, |zset| zset.count_in_lex_range(&range)));
    Ok(())
}
