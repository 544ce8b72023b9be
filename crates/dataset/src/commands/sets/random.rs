//! SPOP and SRANDMEMBER: members by chance.

use super::{optional_count, reply_member, reply_members};
use crate::call::{Args, Call};
use crate::commands::lists::count_argument;
use crate::commands::sampling;
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use hashbrown::HashSet;
use keyspace::{Encoding, Rng, SetRef};
use resp::Reply;

/// Members in one SREM of the stream; more are sent as several.
const SREM_MEMBERS_MAX: usize = 1024;
/// When more than so many times the members that stay are popped, the ones that stay are taken out instead.
const KEEP_FACTOR: usize = 5;
/// From this share of a table's members on (1 of so many), walking over all is cheaper than drawing until enough differ.
const WALK_SHARE: usize = 3;

/// `SPOP key [count]`.
///
/// Reply: the member, null when there is none; with `count` a set of members.
/// Errors: WRONGTYPE, a negative count.
/// Propagates: `SREM key member [member ...]`; DEL or UNLINK when `count` reaches all members.
/// Source: Valkey command reference, SPOP (since 1.0.0).
pub(super) fn spop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    if let Some(count) = optional_count(args)? {
        return spop_many(x, key, count_argument(count)?);
    }
    let recording = x.keys.effects.recording;
    let mut rng = x.keys.rng.clone();
    let Some(mut set) = x.keys.set_mut(key)? else {
        x.out.null();
        return Ok(());
    };
    let mut popped = Vec::new();
    set.pop_random_with(&mut rng, |member| {
        reply_member(x.out, member);
        if recording {
            popped = member.to_vec();
        }
    });
    let emptied = set.is_empty();
    drop(set);
    x.keys.rng = rng;
    x.keys.changed(key, Event::set("spop"), 1);
    if emptied {
        x.keys.delete_if_empty(key);
    }
    if recording {
        x.propagate_as(&[b"SREM", key, &popped]);
    }
    Ok(())
}

fn spop_many(x: &mut Call<'_>, key: &[u8], count: usize) -> Outcome {
    let recording = x.keys.effects.recording;
    let Some(size) = x.keys.set_mut(key)?.map(|set| set.view().len()) else {
        x.out.set(0);
        return Ok(());
    };
    x.keys.looked_up();
    if count == 0 {
        x.out.set(0);
        return Ok(());
    }
    if count >= size {
        if let Some(set) = x.keys.set_mut(key)? {
            reply_members(x.out, set.view());
        }
        x.keys.changed(key, Event::set("spop"), size as u64);
        let lazy = x.keys.lazy.server_del;
        x.keys.remove(key, lazy);
        x.keys.changed(key, Event::DEL, 0);
        x.propagate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
        return Ok(());
    }
    let mut rng = x.keys.rng.clone();
    let limits = x.keys.limits.clone();
    let Some(mut set) = x.keys.set_mut(key)? else {
        return Ok(());
    };
    let mut popped: Vec<Vec<u8>> = Vec::new();
    let stay = size - count;
    if stay.saturating_mul(KEEP_FACTOR) > count {
        x.out.set(count);
        for _ in 0..count {
            set.pop_random_with(&mut rng, |member| {
                reply_member(x.out, member);
                if recording {
                    popped.push(member.to_vec());
                }
            });
        }
    } else {
        let gone = set.keep_random(&mut rng, stay, &limits);
        reply_members(x.out, gone.view());
        if recording {
            popped.extend(gone.iter().map(|member| member.to_vec()));
        }
    }
    drop(set);
    x.keys.rng = rng;
    x.keys.changed(key, Event::set("spop"), count as u64);
    x.propagate_nothing();
    for batch in popped.chunks(SREM_MEMBERS_MAX) {
        let mut command: Vec<&[u8]> = vec![b"SREM", key];
        command.extend(batch.iter().map(Vec::as_slice));
        x.propagate_as(&command);
    }
    Ok(())
}

/// `SRANDMEMBER key [count]`; members may come several times when `count` is negative.
///
/// Reply: a member, null when there is none; with `count` an array of members.
/// Errors: WRONGTYPE, not an integer, out of range.
/// Propagates: nothing.
/// Source: Valkey command reference, SRANDMEMBER (since 1.0.0).
pub(super) fn srandmember(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let count = match optional_count(args)? {
        None => None,
        Some(text) => Some(draws(text)?),
    };
    let mut rng = x.keys.rng.clone();
    let set = x.keys.set(args[1])?;
    match (set, count) {
        (None, None) => x.out.null(),
        (None, Some(_)) => x.out.array(0),
        (Some(set), None) => {
            if let Some(member) = set.random(&mut rng) {
                reply_member(x.out, member);
            }
        }
        (Some(set), Some(Draws::Repeated(count))) => {
            x.out.array(usize::try_from(count).unwrap_or(usize::MAX));
            sampling::repeat(x.out, &mut x.limit, count, |out| {
                if let Some(member) = set.random(&mut rng) {
                    reply_member(out, member);
                }
            });
        }
        (Some(set), Some(Draws::Distinct(count))) => {
            reply_distinct(x.out, set, count.min(set.len()), &mut rng);
        }
    }
    x.keys.rng = rng;
    Ok(())
}

/// How many members SRANDMEMBER is to draw.
enum Draws {
    Distinct(usize),
    Repeated(u64),
}

fn draws(text: &[u8]) -> Result<Draws, Error> {
    let count = number::int(text)?;
    if count == i64::MIN {
        return Err(Error::OUT_OF_RANGE_NEGATABLE);
    }
    let size = count.unsigned_abs();
    Ok(if count < 0 {
        Draws::Repeated(size)
    } else {
        Draws::Distinct(usize::try_from(size).unwrap_or(usize::MAX))
    })
}

/// Replies with `count` different members, no more than there are; each subset has the same probability.
fn reply_distinct(out: &mut Reply, set: SetRef<'_>, count: usize, rng: &mut dyn Rng) {
    out.array(count);
    let size = set.len();
    if set.encoding() == Encoding::Hashtable && count.saturating_mul(WALK_SHARE) < size {
        let mut seen = HashSet::with_capacity(count);
        while seen.len() < count {
            let Some(member) = set.random(rng) else {
                return;
            };
            if seen.insert(member.to_vec()) {
                reply_member(out, member);
            }
        }
        return;
    }
    // Walk over all members, taking each with the probability that is left for it.
    let mut wanted = count as u64;
    for (left, member) in (1..=size as u64).rev().zip(set.iter()) {
        if rng.below(left) < wanted {
            wanted -= 1;
            reply_member(out, member);
        }
    }
}
