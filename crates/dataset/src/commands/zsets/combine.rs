//! Unions, intersections and differences of sorted sets and plain sets.

use super::{Scores, from, store};
use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use hashbrown::HashMap;
use keyspace::zset::Builder;
use keyspace::{Element, Limits, SetRef, ValueRef, ZSet, ZSetRef};

/// The operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

/// How scores of one member from several keys become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Opposite infinities make zero here, not an error.
            Aggregate::Sum => number_or_zero(a + b),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What an input key holds.
#[derive(Clone, Copy)]
enum Input<'a> {
    Missing,
    Set(SetRef<'a>),
    ZSet(ZSetRef<'a>),
}

impl Input<'_> {
    fn len(self) -> usize {
        match self {
            Input::Missing => 0,
            Input::Set(set) => set.len(),
            Input::ZSet(zset) => zset.len(),
        }
    }

    /// A member's score; 1 in a plain set.
    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Missing => None,
            Input::Set(set) => set.contains(member).then_some(1.0),
            Input::ZSet(zset) => zset.score(member),
        }
    }

    /// Shows every member to `f` until it returns false.
    fn each(self, mut f: impl FnMut(Element<'_>, f64) -> bool) {
        match self {
            Input::Missing => {}
            Input::Set(set) => {
                let _ = set.iter().all(|member| f(member, 1.0));
            }
            Input::ZSet(zset) => {
                let _ = zset.iter().all(|(member, score)| f(member, score));
            }
        }
    }
}

/// Which options a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reply,
    Store,
    Card,
}

/// A parsed request.
struct Request<'a> {
    keys: &'a [&'a [u8]],
    /// One per key, or none at all for a weight of 1 each.
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: Scores,
    /// The most members to count; 0 for no limit.
    limit: usize,
}

impl<'a> Request<'a> {
    /// Parses `numkeys key [key ...] [options]`. The types of the keys are judged before the options, as in the reference.
    fn parse(x: &mut Call<'_>, words: Args<'a>, op: Op, form: Form) -> Result<Self, Error> {
        let (numkeys, rest) = words.split_first().ok_or(Error::SYNTAX)?;
        let numkeys = number::int(numkeys)?;
        if numkeys < 1 {
            return Err(Error::no_input_keys(x.command.name));
        }
        let numkeys = usize::try_from(numkeys).unwrap_or(usize::MAX);
        if numkeys > rest.len() {
            return Err(Error::SYNTAX);
        }
        let (keys, options) = rest.split_at(numkeys);
        for key in keys {
            // Counts the lookup, too; expired keys are then as good as missing.
            match x.keys.read(key).map(|entry| entry.value()) {
                None | Some(ValueRef::Set(_) | ValueRef::ZSet(_)) => {}
                Some(_) => return Err(Error::WRONG_TYPE),
            }
        }
        let mut request = Request {
            keys,
            weights: Vec::new(),
            aggregate: Aggregate::Sum,
            scores: Scores::No,
            limit: 0,
        };
        request.options(options, op, form)?;
        Ok(request)
    }

    fn options(&mut self, mut rest: Args<'a>, op: Op, form: Form) -> Result<(), Error> {
        let weighs = op != Op::Diff && form != Form::Card;
        while let Some((word, tail)) = rest.split_first() {
            if weighs && word.eq_ignore_ascii_case(b"weights") && tail.len() >= self.keys.len() {
                let (weights, tail) = tail.split_at(self.keys.len());
                self.weights.clear();
                for weight in weights {
                    let weight =
                        words::parse::parse_f64(weight).ok_or(Error::WEIGHT_NOT_A_FLOAT)?;
                    self.weights.push(weight);
                }
                rest = tail;
            } else if weighs
                && word.eq_ignore_ascii_case(b"aggregate")
                && let Some((how, tail)) = tail.split_first()
            {
                self.aggregate = match how.to_ascii_lowercase().as_slice() {
                    b"sum" => Aggregate::Sum,
                    b"min" => Aggregate::Min,
                    b"max" => Aggregate::Max,
                    _ => return Err(Error::SYNTAX),
                };
                rest = tail;
            } else if form == Form::Reply && word.eq_ignore_ascii_case(b"withscores") {
                self.scores = Scores::With;
                rest = tail;
            } else if form == Form::Card
                && word.eq_ignore_ascii_case(b"limit")
                && let Some((limit, tail)) = tail.split_first()
            {
                self.limit = words::int::parse_i64(limit)
                    .and_then(|limit| usize::try_from(limit).ok())
                    .ok_or(Error::LIMIT_NEGATIVE)?;
                rest = tail;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(())
    }

    fn inputs<'k>(&self, x: &'k Call<'_>) -> Vec<(Input<'k>, f64)> {
        let input = |(at, key): (usize, &&[u8])| {
            let input = match x.keys.peek(key).map(|entry| entry.value()) {
                Some(ValueRef::Set(set)) => Input::Set(set),
                Some(ValueRef::ZSet(zset)) => Input::ZSet(zset),
                _ => Input::Missing,
            };
            (input, self.weights.get(at).copied().unwrap_or(1.0))
        };
        self.keys.iter().enumerate().map(input).collect()
    }

    /// Computes the result. Members come in no order.
    fn compute(&self, x: &Call<'_>, op: Op) -> HashMap<Box<[u8]>, f64> {
        let mut inputs = self.inputs(x);
        let mut result: HashMap<Box<[u8]>, f64> = HashMap::new();
        if op == Op::Diff {
            let Some(((first, _), others)) = inputs.split_first() else {
                return result;
            };
            first.each(|member, score| {
                member.with_bytes(|member| {
                    if others
                        .iter()
                        .all(|(other, _)| other.score(member).is_none())
                    {
                        result.insert(member.into(), score);
                    }
                });
                true
            });
            return result;
        }
        // Smallest first. The order shows in the last digit of sums, and is the reference's.
        inputs.sort_by_key(|(input, _)| input.len());
        if op == Op::Inter {
            let aggregate = self.aggregate;
            intersect(&inputs, |member, scores| {
                let mut scores = scores
                    .iter()
                    .zip(&inputs)
                    .map(|(score, (_, weight))| score * weight);
                // As in the reference, only the first product is made a number before it is aggregated: infinity times
                // zero later on makes a sum zero, and is no minimum or maximum.
                let first = number_or_zero(scores.next().unwrap_or(0.0));
                result.insert(member.into(), scores.fold(first, |a, b| aggregate.of(a, b)));
                true
            });
            return result;
        }
        // At least the members of the largest, and often those of the others as well.
        let (largest, all) = inputs
            .iter()
            .fold((0, 0_usize), |(largest, all), (input, _)| {
                (input.len().max(largest), all.saturating_add(input.len()))
            });
        result.reserve(all.min(2 * largest));
        for (input, weight) in &inputs {
            input.each(|member, score| {
                let score = number_or_zero(score * weight);
                member.with_bytes(|member| match result.get_mut(member) {
                    Some(old) => *old = self.aggregate.of(*old, score),
                    None => {
                        result.insert(member.into(), score);
                    }
                });
                true
            });
        }
        result
    }
}

/// Shows members that all inputs have, with their scores in each, to `f` until it returns false.
fn intersect(inputs: &[(Input<'_>, f64)], mut f: impl FnMut(&[u8], &[f64]) -> bool) {
    let Some(((first, _), others)) = inputs.split_first() else {
        return;
    };
    let mut scores = Vec::with_capacity(inputs.len());
    first.each(|member, score| {
        member.with_bytes(|member| {
            scores.clear();
            scores.push(score);
            for (other, _) in others {
                match other.score(member) {
                    Some(score) => scores.push(score),
                    None => return true,
                }
            }
            f(member, &scores)
        })
    });
}

fn reply(x: &mut Call<'_>, args: Args<'_>, op: Op) -> Outcome {
    let request = Request::parse(x, &args[1..], op, Form::Reply)?;
    let result = request.compute(x, op);
    let mut members: Vec<(&[u8], f64)> = result.iter().map(|(m, s)| (&**m, *s)).collect();
    members.sort_unstable_by(|(a, x), (b, y)| {
        // No score is NaN.
        x.partial_cmp(y)
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| a.cmp(b))
    });
    request.scores.header(x.out, members.len());
    for (member, score) in members {
        request.scores.member(x.out, Element::Bytes(member), score);
    }
    Ok(())
}

fn reply_count(x: &mut Call<'_>, args: Args<'_>, op: Op, event: &'static str) -> Outcome {
    let request = Request::parse(x, from(args, 2), op, Form::Store)?;
    let result = request.compute(x, op);
    let result = build(&result, &x.keys.limits);
    store(x, args[1], result, event)
}

/// The sorted set of a result; `None` if it has no members.
fn build(result: &HashMap<Box<[u8]>, f64>, limits: &Limits) -> Option<ZSet> {
    if result.is_empty() {
        return None;
    }
    let mut builder = Builder::new(result.len());
    for (member, score) in result {
        // The members of a map are distinct and the scores numbers.
        builder.push(member, *score).ok()?;
    }
    builder.finish(limits).ok()
}

/// `ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`.
///
/// Reply: the members of the union in order; WITHSCORES as ZRANGE.
/// Errors: WRONGTYPE, syntax, no keys, not a float.
/// Propagates: nothing.
/// Source: Valkey command reference, ZUNION (since 6.2.0).
pub(super) fn zunion(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Op::Union)
}

/// `ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]`.
///
/// Reply: the members that all keys have, in order; WITHSCORES as ZRANGE.
/// Errors: WRONGTYPE, syntax, no keys, not a float.
/// Propagates: nothing.
/// Source: Valkey command reference, ZINTER (since 6.2.0).
pub(super) fn zinter(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Op::Inter)
}

/// `ZDIFF numkeys key [key ...] [WITHSCORES]`.
///
/// Reply: the members that only the first key has, in order; WITHSCORES as ZRANGE.
/// Errors: WRONGTYPE, syntax, no keys.
/// Propagates: nothing.
/// Source: Valkey command reference, ZDIFF (since 6.2.0).
pub(super) fn zdiff(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply(x, args, Op::Diff)
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT limit]`.
///
/// Reply: the number of members that all keys have, at most `limit`; a limit of 0 is none.
/// Errors: WRONGTYPE, syntax, no keys, a limit that is no number or negative.
/// Propagates: nothing.
/// Source: Valkey command reference, ZINTERCARD (since 7.0.0).
pub(super) fn zintercard(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = Request::parse(x, &args[1..], Op::Inter, Form::Card)?;
    let mut inputs = request.inputs(x);
    inputs.sort_by_key(|(input, _)| input.len());
    let mut count = 0;
    intersect(&inputs, |_, _| {
        count += 1;
        count != request.limit
    });
    x.out.uint(count);
    Ok(())
}

/// `ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]`.
///
/// Reply: the number of members stored; the destination is deleted when there are none.
/// Errors: WRONGTYPE, syntax, no keys, not a float.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, ZUNIONSTORE (since 2.0.0).
pub(super) fn zunionstore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply_count(x, args, Op::Union, "zunionstore")
}

/// `ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]`.
///
/// Reply: the number of members stored; the destination is deleted when there are none.
/// Errors: WRONGTYPE, syntax, no keys, not a float.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, ZINTERSTORE (since 2.0.0).
pub(super) fn zinterstore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply_count(x, args, Op::Inter, "zinterstore")
}

/// `ZDIFFSTORE destination numkeys key [key ...]`.
///
/// Reply: the number of members stored; the destination is deleted when there are none.
/// Errors: WRONGTYPE, syntax, no keys.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, ZDIFFSTORE (since 6.2.0).
pub(super) fn zdiffstore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply_count(x, args, Op::Diff, "zdiffstore")
}
