//! ZADD and ZINCRBY.

use super::{from, reply_score};
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::{Inserted, ZSet};
use smallvec::SmallVec;

/// Scores kept without an allocation: most requests have few.
const INLINE_SCORES: usize = 8;

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

/// What became of one member.
enum Step {
    /// The options forbade it.
    Refused,
    /// Its score now; whether that is a change, and whether the member is new.
    Done { score: f64, what: Inserted },
}

impl Options {
    /// True when each member is simply inserted.
    fn is_plain(self) -> bool {
        !(self.nx || self.xx || self.gt || self.lt || self.incr)
    }

    /// Parses the options from `words` on; returns how many there are.
    fn parse(words: Args<'_>) -> (Self, usize) {
        let mut options = Options::default();
        for (count, word) in words.iter().enumerate() {
            let flag = match word {
                word if word.eq_ignore_ascii_case(b"nx") => &mut options.nx,
                word if word.eq_ignore_ascii_case(b"xx") => &mut options.xx,
                word if word.eq_ignore_ascii_case(b"gt") => &mut options.gt,
                word if word.eq_ignore_ascii_case(b"lt") => &mut options.lt,
                word if word.eq_ignore_ascii_case(b"ch") => &mut options.ch,
                word if word.eq_ignore_ascii_case(b"incr") => &mut options.incr,
                _ => return (options, count),
            };
            *flag = true;
        }
        (options, words.len())
    }

    /// Adds a member or changes its score, as far as the options allow.
    fn apply(
        self,
        zset: &mut ZSet,
        limits: &keyspace::Limits,
        member: &[u8],
        score: f64,
    ) -> Result<Step, Error> {
        if self.is_plain() {
            let what = zset.insert(member, score, limits);
            return Ok(Step::Done { score, what });
        }
        let old = zset.score(member);
        let score = match old {
            None if self.xx => return Ok(Step::Refused),
            None => score,
            Some(_) if self.nx => return Ok(Step::Refused),
            Some(old) => {
                let score = if self.incr { old + score } else { score };
                if score.is_nan() {
                    return Err(Error::SCORE_NAN);
                }
                if self.lt && score >= old || self.gt && score <= old {
                    return Ok(Step::Refused);
                }
                score
            }
        };
        let what = zset.insert(member, score, limits);
        Ok(Step::Done { score, what })
    }
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]`.
///
/// Reply: the number of new members, with CH also of changed ones; with INCR the new score, or null if it was refused.
/// Errors: WRONGTYPE, syntax, options that contradict, not a float, NaN.
/// Propagates: itself when something changed.
/// Source: Valkey command reference, ZADD (since 1.2.0).
pub(in crate::commands) fn zadd(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (options, words) = Options::parse(&args[2..]);
    add(x, args[1], options, from(args, 2 + words))
}

/// `ZINCRBY key increment member`. An increment that is called as an option of ZADD is taken for one, which leaves no member.
///
/// Reply: the new score.
/// Errors: WRONGTYPE, syntax, not a float, NaN.
/// Propagates: itself when the score changed.
/// Source: Valkey command reference, ZINCRBY (since 1.2.0).
pub(super) fn zincrby(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (options, words) = Options::parse(&args[2..]);
    let options = Options {
        incr: true,
        ..options
    };
    add(x, args[1], options, from(args, 2 + words))
}

fn add(x: &mut Call<'_>, key: &[u8], options: Options, words: Args<'_>) -> Outcome {
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(Error::SYNTAX);
    }
    if options.nx && options.xx {
        return Err(Error::ZADD_NX_XX);
    }
    if u8::from(options.gt) + u8::from(options.lt) + u8::from(options.nx) > 1 {
        return Err(Error::ZADD_GT_LT_NX);
    }
    if options.incr && pairs.len() > 1 {
        return Err(Error::ZADD_INCR_PAIR);
    }
    let mut scores: SmallVec<[f64; INLINE_SCORES]> = SmallVec::new();
    let mut longest = 0;
    for [score, member] in pairs {
        scores.push(number::float(score)?);
        longest = longest.max(member.len());
    }
    if options.xx && x.keys.zset_mut(key)?.is_none() {
        if options.incr {
            x.out.null();
        } else {
            x.out.int(0);
        }
        return Ok(());
    }
    if options.xx {
        x.keys.looked_up();
    }
    let limits = &x.keys.limits;
    let small = pairs.len() <= limits.zset_max_listpack_entries
        && longest <= limits.zset_max_listpack_value;
    let (mut zset, limits) = x.keys.zset_or_new(key, ZSet::new)?;
    if !small {
        // As in the reference, whether or not the members are then added.
        zset.prepare_for(pairs.len());
    }
    let (mut added, mut updated) = (0, 0);
    let mut last = None;
    for ([_, member], score) in pairs.iter().zip(scores) {
        if let Step::Done { score, what } = options.apply(&mut zset, limits, member, score)? {
            last = Some(score);
            match what {
                Inserted::Added => added += 1,
                Inserted::Updated => updated += 1,
                Inserted::Unchanged => {}
            }
        }
    }
    drop(zset);
    if added + updated > 0 {
        let event = if options.incr { "zincr" } else { "zadd" };
        x.keys.changed(key, Event::zset(event), added + updated);
    }
    match (options.incr, last) {
        (true, Some(score)) => reply_score(x.out, score),
        (true, None) => x.out.null(),
        (false, _) => x
            .out
            .int((added + if options.ch { updated } else { 0 }) as i64),
    }
    Ok(())
}
