//! Sets: adding and removing members, asking for them, and combining sets.

use super::Family;
use crate::call::{Args, Call};
use crate::notify::Event;
use commandtable::{Error, Outcome};
use keyspace::{Element, Set, SetRef};
use resp::Reply;

mod combine;
mod random;

#[cfg(test)]
mod tests;

pub(super) static COMMANDS: Family = &[
    ("sadd", sadd),
    ("srem", srem),
    ("smove", smove),
    ("sismember", sismember),
    ("smismember", smismember),
    ("scard", scard),
    ("smembers", smembers),
    ("spop", random::spop),
    ("srandmember", random::srandmember),
    ("sinter", |x, args| combine::reply(x, args, combine::inter)),
    ("sunion", |x, args| combine::reply(x, args, combine::union)),
    ("sdiff", |x, args| combine::reply(x, args, combine::diff)),
    ("sinterstore", |x, args| {
        combine::store(x, args, combine::inter_set, "sinterstore")
    }),
    ("sunionstore", |x, args| {
        combine::store(x, args, combine::union_set, "sunionstore")
    }),
    ("sdiffstore", |x, args| {
        combine::store(x, args, combine::diff_set, "sdiffstore")
    }),
    ("sintercard", combine::sintercard),
];

/// Writes a member as a bulk string.
#[inline]
fn reply_member(out: &mut Reply, member: Element<'_>) {
    match member {
        Element::Bytes(bytes) => out.bulk(bytes),
        Element::Int(number) => out.bulk_int(number),
    }
}

/// Writes all members as a set.
fn reply_members(out: &mut Reply, set: SetRef<'_>) {
    out.set(set.len());
    for member in set.iter() {
        reply_member(out, member);
    }
}

/// `SADD key member [member ...]`.
///
/// Reply: how many members are new.
/// Errors: WRONGTYPE.
/// Propagates: itself when something was added.
/// Source: Valkey command reference, SADD (since 1.0.0).
fn sadd(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, members) = (args[1], &args[2..]);
    let (mut set, limits) = if let [_] = members {
        x.keys.set_or_new(key, Set::new)?
    } else {
        let limits = x.keys.limits.clone();
        x.keys
            .set_or_new(key, || Set::with_hint(members[0], members.len(), &limits))?
    };
    let mut added = 0;
    for member in members {
        added += usize::from(set.add(member, limits));
    }
    drop(set);
    if added > 0 {
        x.keys.changed(key, Event::set("sadd"), added as u64);
    }
    x.out.uint(added);
    Ok(())
}

/// `SREM key member [member ...]`.
///
/// Reply: how many members were removed.
/// Errors: WRONGTYPE.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, SREM (since 1.0.0).
fn srem(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut removed = 0;
    if let Some(mut set) = x.keys.set_mut(key)? {
        for member in &args[2..] {
            removed += usize::from(set.remove(member));
        }
    }
    if removed > 0 {
        x.keys.changed(key, Event::set("srem"), removed as u64);
        x.keys.delete_if_empty(key);
    }
    x.out.uint(removed);
    Ok(())
}

/// `SMOVE source destination member`.
///
/// Reply: 1 when the member was in `source`, else 0.
/// Errors: WRONGTYPE, unless `source` is missing.
/// Propagates: itself when something was moved.
/// Source: Valkey command reference, SMOVE (since 1.0.0).
fn smove(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (source, destination, member) = (args[1], args[2], args[3]);
    let there = x.keys.write(source).is_some();
    // Of whatever type it is, if there is nothing to move.
    x.keys.write(destination);
    if !there {
        x.out.int(0);
        return Ok(());
    }
    x.keys.looked_up();
    x.keys.set_mut(source)?;
    x.keys.set_mut(destination)?;
    if source == destination {
        let present = x
            .keys
            .set_mut(source)?
            .is_some_and(|set| set.view().contains(member));
        x.out.int(i64::from(present));
        return Ok(());
    }
    let removed = x
        .keys
        .set_mut(source)?
        .is_some_and(|mut set| set.remove(member));
    if !removed {
        x.out.int(0);
        return Ok(());
    }
    x.keys.changed(source, Event::set("srem"), 1);
    x.keys.delete_if_empty(source);
    let (mut set, limits) = x.keys.set_or_new(destination, Set::new)?;
    let added = set.add(member, limits);
    drop(set);
    if added {
        x.keys.changed(destination, Event::set("sadd"), 1);
    }
    x.out.int(1);
    Ok(())
}

/// `SISMEMBER key member`.
///
/// Reply: 1 when it is a member, else 0.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, SISMEMBER (since 1.0.0).
fn sismember(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let set = x.keys.set(args[1])?;
    x.out
        .int(i64::from(set.is_some_and(|set| set.contains(args[2]))));
    Ok(())
}

/// `SMISMEMBER key member [member ...]`.
///
/// Reply: an array of 1 for each that is a member, 0 for the others.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, SMISMEMBER (since 6.2.0).
fn smismember(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let set = x.keys.set(args[1])?;
    x.out.array(args.len() - 2);
    for member in &args[2..] {
        x.out
            .int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

/// `SCARD key`.
///
/// Reply: the number of members.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, SCARD (since 1.0.0).
fn scard(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.set(args[1])?.map_or(0, SetRef::len));
    Ok(())
}

/// `SMEMBERS key`.
///
/// Reply: a set of all members; in RESP2 an array.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, SMEMBERS (since 1.0.0).
fn smembers(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    match x.keys.set(args[1])? {
        Some(set) => reply_members(x.out, set),
        None => x.out.set(0),
    }
    Ok(())
}

/// An optional single argument at `args[2]`, and nothing behind it.
fn optional_count<'a>(args: Args<'a>) -> Result<Option<&'a [u8]>, Error> {
    match args {
        [_, _] => Ok(None),
        [_, _, count] => Ok(Some(count)),
        _ => Err(Error::SYNTAX),
    }
}
