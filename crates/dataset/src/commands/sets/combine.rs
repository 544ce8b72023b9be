//! Intersections, unions and differences.

use super::{reply_member, reply_members};
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use commandtable::{Error, Outcome};
use keyspace::{Element, Limits, Set, SetRef, Value, ValueRef};
use smallvec::SmallVec;

/// The sets a command names, in its order; `None` for a missing key.
pub(super) type Sets<'a> = SmallVec<[Option<SetRef<'a>>; 8]>;

/// A way of combining sets: calls the closure for each member of the result, in the reference's order where it has one.
pub(super) type Combine = fn(&Sets<'_>, &Limits, &mut dyn FnMut(Element<'_>));

/// `SINTER key [key ...]`, `SUNION key [key ...]`, `SDIFF key [key ...]`.
///
/// Reply: a set of the members; in RESP2 an array.
/// Errors: WRONGTYPE, whatever the other keys hold.
/// Propagates: nothing.
/// Source: Valkey command reference, SINTER, SUNION, SDIFF (since 1.0.0).
pub(super) fn reply(x: &mut Call<'_>, args: Args<'_>, combine: Combine) -> Outcome {
    let keys = &args[1..];
    for key in keys {
        x.keys.set(key)?;
    }
    let sets = present(x.keys, keys);
    if let [Some(set)] = sets[..] {
        reply_members(x.out, set);
        return Ok(());
    }
    let mark = x.out.mark();
    let mut count = 0;
    combine(&sets, &x.keys.limits, &mut |member| {
        reply_member(x.out, member);
        count += 1;
    });
    x.out.insert_at(mark, |out| out.set(count));
    Ok(())
}

/// `SINTERSTORE destination key [key ...]`, `SUNIONSTORE ...`, `SDIFFSTORE ...`; an empty result deletes `destination`.
///
/// Reply: the number of members.
/// Errors: WRONGTYPE of a source; `destination` may hold anything.
/// Propagates: itself when something was stored or deleted.
/// Source: Valkey command reference, SINTERSTORE, SUNIONSTORE, SDIFFSTORE (since 1.0.0).
pub(super) fn store(
    x: &mut Call<'_>,
    args: Args<'_>,
    combine: fn(&Sets<'_>, &Limits) -> Set,
    event: &'static str,
) -> Outcome {
    let (destination, keys) = (args[1], &args[2..]);
    for key in keys {
        x.keys.set(key)?;
    }
    let result = combine(&present(x.keys, keys), &x.keys.limits);
    let count = result.len();
    x.keys.delete_found_expired();
    if count == 0 {
        // Deleted like any other key if only its time has come: nobody has looked it up.
        let lazy = x.keys.lazy.server_del;
        x.keys.delete(destination, lazy);
    } else {
        x.keys.put(destination, Value::Set(Box::new(result)), None);
        x.keys.changed(destination, Event::set(event), 1);
    }
    x.out.uint(count);
    Ok(())
}

/// `SINTERCARD numkeys key [key ...] [LIMIT limit]`; counts no further than `limit`, if that is not 0.
///
/// Reply: the size of the intersection.
/// Errors: WRONGTYPE, syntax, a bad number of keys, a negative limit.
/// Propagates: nothing.
/// Source: Valkey command reference, SINTERCARD (since 7.0.0).
pub(super) fn sintercard(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key_count = words::int::parse_i64(args[1])
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or(Error::NUMKEYS_NOT_POSITIVE)?;
    let (keys, options) = args[2..]
        .split_at_checked(key_count)
        .ok_or(Error::NUMKEYS_TOO_LARGE)?;
    let mut limit = 0;
    let (pairs, rest) = options.as_chunks::<2>();
    for [name, value] in pairs {
        if !name.eq_ignore_ascii_case(b"limit") {
            return Err(Error::SYNTAX);
        }
        limit = words::int::parse_i64(value)
            .and_then(|number| usize::try_from(number).ok())
            .ok_or(Error::LIMIT_NEGATIVE)?;
    }
    if !rest.is_empty() {
        return Err(Error::SYNTAX);
    }
    for key in keys {
        x.keys.set(key)?;
    }
    let members = intersection(&present(x.keys, keys));
    x.out.uint(match limit {
        0 => members.count(),
        limit => members.take(limit).count(),
    });
    Ok(())
}

/// The sets at keys that have been looked up.
fn present<'a>(keys: &'a Keys, names: Args<'_>) -> Sets<'a> {
    let of = |name: &&[u8]| match keys.peek(name).map(|entry| entry.value()) {
        Some(ValueRef::Set(set)) => Some(set),
        _ => None,
    };
    names.iter().map(of).collect()
}

/// What all sets have in common, for a destination.
pub(super) fn inter_set(sets: &Sets<'_>, limits: &Limits) -> Set {
    collect(sets, limits, inter)
}

/// What any set has, for a destination, which tells repetitions itself.
pub(super) fn union_set(sets: &Sets<'_>, limits: &Limits) -> Set {
    collect(sets, limits, concat)
}

/// What all sets have in common.
pub(super) fn inter(sets: &Sets<'_>, _: &Limits, f: &mut dyn FnMut(Element<'_>)) {
    intersection(sets).for_each(f);
}

/// Walks over the smallest set and keeps the members that the others have too.
fn intersection<'a>(sets: &Sets<'a>) -> impl Iterator<Item = Element<'a>> + use<'a> {
    let mut all: SmallVec<[SetRef<'a>; 8]> = sets.iter().flatten().copied().collect();
    if all.len() < sets.len() {
        all.clear();
    }
    all.sort_by_key(|set| set.len());
    let smallest = all.first().copied();
    smallest
        .into_iter()
        .flat_map(SetRef::iter)
        .filter(move |member| {
            member.with_bytes(|bytes| all.iter().skip(1).all(|set| set.contains(bytes)))
        })
}

/// What any set has: once each, and integers alone in ascending order.
pub(super) fn union(sets: &Sets<'_>, limits: &Limits, f: &mut dyn FnMut(Element<'_>)) {
    let mut all = Set::new();
    concat(sets, limits, &mut |member| {
        member.with_bytes(|bytes| all.add(bytes, limits));
    });
    all.iter().for_each(f);
}

/// As [`union`], but what is in several sets comes several times.
fn concat(sets: &Sets<'_>, _: &Limits, f: &mut dyn FnMut(Element<'_>)) {
    sets.iter().flatten().flat_map(|set| set.iter()).for_each(f);
}

/// What the first set has and no other.
pub(super) fn diff(sets: &Sets<'_>, limits: &Limits, f: &mut dyn FnMut(Element<'_>)) {
    let Some(difference) = Difference::of(sets) else {
        return;
    };
    if difference.is_looked_up() {
        difference.look_up(f);
    } else {
        difference.subtract(limits).iter().for_each(f);
    }
}

/// As [`diff`], for a destination. A set that once was too large for a compact encoding keeps the other one.
pub(super) fn diff_set(sets: &Sets<'_>, limits: &Limits) -> Set {
    match Difference::of(sets) {
        Some(difference) if !difference.is_looked_up() => difference.subtract(limits),
        _ => collect(sets, limits, diff),
    }
}

/// The set that a way of combining gives.
fn collect(sets: &Sets<'_>, limits: &Limits, combine: Combine) -> Set {
    let mut result = Set::new();
    combine(sets, limits, &mut |member| {
        member.with_bytes(|bytes| result.add(bytes, limits));
    });
    result
}

/// A difference, and the two ways to it.
struct Difference<'a> {
    first: SetRef<'a>,
    /// The other ones that are there.
    others: SmallVec<[SetRef<'a>; 8]>,
}

impl<'a> Difference<'a> {
    /// `None` when nothing can be left.
    fn of(sets: &Sets<'a>) -> Option<Self> {
        let (first, others) = sets.split_first()?;
        let first = (*first)?;
        let others: SmallVec<[SetRef<'_>; 8]> = others.iter().flatten().copied().collect();
        // A key named twice leaves nothing.
        let is_twice = others.iter().any(|set| set.is(first));
        (!is_twice).then_some(Difference { first, others })
    }

    /// Whether it is less work to look members up in the other sets than to take those away from a copy.
    fn is_looked_up(&self) -> bool {
        let look_ups = self.first.len().saturating_mul(self.others.len() + 1) / 2;
        let removals = self
            .others
            .iter()
            .fold(self.first.len(), |sum, set| sum.saturating_add(set.len()));
        look_ups <= removals
    }

    fn look_up(mut self, f: &mut dyn FnMut(Element<'_>)) {
        // The larger a set, the likelier it has the member.
        self.others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for member in self.first.iter() {
            if member.with_bytes(|bytes| !self.others.iter().any(|set| set.contains(bytes))) {
                f(member);
            }
        }
    }

    fn subtract(&self, limits: &Limits) -> Set {
        let mut left = Set::new();
        for member in self.first.iter() {
            member.with_bytes(|bytes| left.add(bytes, limits));
        }
        for member in self.others.iter().flat_map(|set| set.iter()) {
            member.with_bytes(|bytes| left.remove(bytes));
            if left.is_empty() {
                break;
            }
        }
        left
    }
}
