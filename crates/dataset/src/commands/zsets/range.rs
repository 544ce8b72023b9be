//! Ranges by rank, by score and by member: ZRANGE and its older relatives, ZRANGESTORE.

use super::{Scores, bounds, store};
use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::zset::ZIter;
use keyspace::{LexRange, ScoreRange, ZSet, ZSetRef};

/// What the two bounds are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name leaves to its options.
#[derive(Clone, Copy)]
struct Form {
    /// The kind of range, unless the options say.
    by: Option<By>,
    /// The direction, unless the options say.
    reverse: Option<bool>,
    /// Whether WITHSCORES is known.
    takes_scores: bool,
}

/// A range, ready to be walked.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    offset: i64,
    count: usize,
    scores: Scores,
}

enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Query<'a> {
    /// Parses `min max [options]`.
    fn parse(words: Args<'a>, form: Form) -> Result<Self, Error> {
        let [first, second, options @ ..] = words else {
            return Err(Error::SYNTAX);
        };
        let (mut by, mut reverse, mut scores) = (form.by, form.reverse, Scores::No);
        let (mut offset, mut limit) = (0, -1);
        let mut rest = options;
        while let Some((word, tail)) = rest.split_first() {
            rest = tail;
            if form.takes_scores && word.eq_ignore_ascii_case(b"withscores") {
                scores = Scores::With;
            } else if word.eq_ignore_ascii_case(b"limit")
                && let [a, b, tail @ ..] = rest
            {
                (offset, limit) = (number::int(a)?, number::int(b)?);
                rest = tail;
            } else if reverse.is_none() && word.eq_ignore_ascii_case(b"rev") {
                reverse = Some(true);
            } else if by.is_none() && word.eq_ignore_ascii_case(b"bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && word.eq_ignore_ascii_case(b"byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Error::ZRANGE_LIMIT);
        }
        if scores == Scores::With && by == By::Lex {
            return Err(Error::ZRANGE_LEX_SCORES);
        }
        // Backwards, the upper bound comes first.
        let (min, max) = if reverse {
            (second, first)
        } else {
            (first, second)
        };
        let bounds = match by {
            By::Rank => Bounds::Rank(number::int(first)?, number::int(second)?),
            By::Score => Bounds::Score(bounds::scores(min, max)?),
            By::Lex => Bounds::Lex(bounds::members(min, max)?),
        };
        Ok(Query {
            bounds,
            reverse,
            offset,
            // A negative limit is none.
            count: usize::try_from(limit).unwrap_or(usize::MAX),
            scores,
        })
    }

    fn walk<'z>(&self, zset: ZSetRef<'z>) -> ZIter<'z> {
        match &self.bounds {
            Bounds::Rank(start, stop) => {
                let (start, count) = bounds::ranks(*start, *stop, zset.len());
                zset.by_rank(start, count, self.reverse)
            }
            Bounds::Score(range) => zset.by_score(range, self.offset, self.count, self.reverse),
            Bounds::Lex(range) => zset.by_lex(range, self.offset, self.count, self.reverse),
        }
    }
}

fn reply(x: &mut Call<'_>, args: Args<'_>, by: Option<By>, reverse: Option<bool>) -> Outcome {
    let form = Form {
        by,
        reverse,
        takes_scores: true,
    };
    let query = Query::parse(&args[2..], form)?;
    let Some(zset) = x.keys.zset(args[1])? else {
        x.out.array(0);
        return Ok(());
    };
    let members = query.walk(zset);
    query.scores.header(x.out, members.len());
    for (member, score) in members {
        query.scores.member(x.out, member, score);
    }
    Ok(())
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`.
///
/// Reply: an array of members; WITHSCORES: in pairs (RESP3) or with their scores behind them (RESP2).
/// Errors: WRONGTYPE, syntax, bounds that are none of their kind.
/// Propagates: nothing.
/// Source: Valkey command reference, ZRANGE (since 1.2.0).
pub(super) fn zrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, None, None)
}

/// `ZREVRANGE key start stop [WITHSCORES]`.
///
/// Reply: as ZRANGE.
/// Errors: WRONGTYPE, syntax, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, ZREVRANGE (since 1.2.0).
pub(super) fn zrevrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Some(By::Rank), Some(true))
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`.
///
/// Reply: as ZRANGE.
/// Errors: WRONGTYPE, syntax, not a float.
/// Propagates: nothing.
/// Source: Valkey command reference, ZRANGEBYSCORE (since 1.0.5).
pub(super) fn zrangebyscore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Some(By::Score), Some(false))
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`.
///
/// Reply: as ZRANGE.
/// Errors: WRONGTYPE, syntax, not a float.
/// Propagates: nothing.
/// Source: Valkey command reference, ZREVRANGEBYSCORE (since 2.2.0).
pub(super) fn zrevrangebyscore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Some(By::Score), Some(true))
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`.
///
/// Reply: as ZRANGE.
/// Errors: WRONGTYPE, syntax, not a range item.
/// Propagates: nothing.
/// Source: Valkey command reference, ZRANGEBYLEX (since 2.8.9).
pub(super) fn zrangebylex(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Some(By::Lex), Some(false))
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`.
///
/// Reply: as ZRANGE.
/// Errors: WRONGTYPE, syntax, not a range item.
/// Propagates: nothing.
/// Source: Valkey command reference, ZREVRANGEBYLEX (since 2.8.9).
pub(super) fn zrevrangebylex(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Some(By::Lex), Some(true))
}

/// `ZRANGESTORE destination key min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]`.
///
/// Reply: the number of members stored; the destination is deleted when there are none.
/// Errors: WRONGTYPE (of the source), syntax, bounds that are none of their kind.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, ZRANGESTORE (since 6.2.0).
pub(super) fn zrangestore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        by: None,
        reverse: None,
        takes_scores: false,
    };
    let query = Query::parse(&args[3..], form)?;
    let limits = x.keys.limits.clone();
    let result = x.keys.zset(args[2])?.map(|zset| {
        let members = query.walk(zset);
        let mut result = ZSet::with_hint(members.len(), 0, &limits);
        for (member, score) in members {
            member.with_bytes(|member| result.insert(member, score, &limits));
        }
        result
    });
    store(x, args[1], result, "zrangestore")
}
