//! Sorted sets: members ordered by score.

mod add;
mod bounds;
mod combine;
mod lookup;
mod pop;
mod random;
mod range;
mod remove;

pub(super) use add::zadd;

use super::Family;
use super::hashes::reply_element;
use crate::call::{Args, Call, Handler};
use commandtable::Outcome;
use keyspace::Element;
use keyspace::zset::without_sign;
use resp::Reply;
use words::print::NumberBuf;

const fn named(name: &'static str, handler: Handler) -> (&'static str, Handler) {
    (name, handler)
}

pub(super) static COMMANDS: Family = &[
    named("zadd", zadd),
    named("zincrby", add::zincrby),
    named("zrem", remove::zrem),
    named("zremrangebyrank", remove::by_rank),
    named("zremrangebyscore", remove::by_score),
    named("zremrangebylex", remove::by_lex),
    named("zcard", lookup::zcard),
    named("zscore", lookup::zscore),
    named("zmscore", lookup::zmscore),
    named("zrank", |x, args| lookup::rank(x, args, false)),
    named("zrevrank", |x, args| lookup::rank(x, args, true)),
    named("zcount", lookup::zcount),
    named("zlexcount", lookup::zlexcount),
    named("zrange", range::zrange),
    named("zrangestore", range::zrangestore),
    named("zrevrange", range::zrevrange),
    named("zrangebyscore", range::zrangebyscore),
    named("zrevrangebyscore", range::zrevrangebyscore),
    named("zrangebylex", range::zrangebylex),
    named("zrevrangebylex", range::zrevrangebylex),
    named("zpopmin", |x, args| pop::zpop(x, args, false)),
    named("zpopmax", |x, args| pop::zpop(x, args, true)),
    named("zmpop", pop::zmpop),
    named("bzpopmin", |x, args| pop::bzpop(x, args, false)),
    named("bzpopmax", |x, args| pop::bzpop(x, args, true)),
    named("bzmpop", pop::bzmpop),
    named("zrandmember", random::zrandmember),
    named("zunion", combine::zunion),
    named("zinter", combine::zinter),
    named("zdiff", combine::zdiff),
    named("zintercard", combine::zintercard),
    named("zunionstore", combine::zunionstore),
    named("zinterstore", combine::zinterstore),
    named("zdiffstore", combine::zdiffstore),
];

/// Writes a score: a double, in RESP2 its text as a bulk string.
fn reply_score(out: &mut Reply, score: f64) {
    // What was computed or asked for may still be -0, what is kept is not.
    out.double(NumberBuf::new().format_f64(without_sign(score)));
}

/// Whether scores follow their members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scores {
    No,
    With,
}

impl Scores {
    /// The header of an array of `count` members.
    fn header(self, out: &mut Reply, count: usize) {
        // RESP3 has pairs, RESP2 a flat array of twice the length.
        let flat = self == Scores::With && !out.is_v3();
        out.array(if flat { count.saturating_mul(2) } else { count });
    }

    /// One member of such an array.
    #[inline]
    fn member(self, out: &mut Reply, member: Element<'_>, score: f64) {
        if self == Scores::With && out.is_v3() {
            out.array(2);
        }
        reply_element(out, member);
        if self == Scores::With {
            reply_score(out, score);
        }
    }
}

/// Stores a result under `key`, or deletes the key if there is none; replies with the number of members.
fn store(
    x: &mut Call<'_>,
    key: &[u8],
    result: Option<keyspace::ZSet>,
    event: &'static str,
) -> Outcome {
    x.keys.delete_found_expired();
    match result.filter(|zset| !zset.is_empty()) {
        Some(zset) => {
            let count = zset.len();
            x.keys.put(key, keyspace::Value::ZSet(Box::new(zset)), None);
            x.keys.changed(key, crate::notify::Event::zset(event), 1);
            x.out.uint(count);
        }
        None => {
            let lazy = x.keys.lazy.server_del;
            x.keys.delete(key, lazy);
            x.out.int(0);
        }
    }
    Ok(())
}

/// The arguments from `at` on; none if there are fewer.
fn from<'a>(args: Args<'a>, at: usize) -> Args<'a> {
    args.get(at..).unwrap_or(&[])
}

#[cfg(test)]
mod tests;
