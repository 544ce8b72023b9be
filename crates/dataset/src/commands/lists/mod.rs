//! Lists: pushing and popping at the ends, access by index and by value, moving elements, waiting for them.

use super::Family;
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::list::{Direction, End, Side};
use keyspace::{Element, Limits, List, ListRef};
use resp::Reply;

mod blocking;
mod moving;
mod search;

#[cfg(test)]
mod tests;

pub(super) static COMMANDS: Family = &[
    ("lpush", |x, args| push(x, args, End::Front)),
    ("rpush", |x, args| push(x, args, End::Back)),
    ("lpushx", |x, args| push_existing(x, args, End::Front)),
    ("rpushx", |x, args| push_existing(x, args, End::Back)),
    ("lpop", |x, args| pop(x, args, End::Front)),
    ("rpop", |x, args| pop(x, args, End::Back)),
    ("llen", llen),
    ("lindex", lindex),
    ("lset", lset),
    ("lrange", lrange),
    ("linsert", linsert),
    ("lrem", lrem),
    ("ltrim", ltrim),
    ("lpos", search::lpos),
    ("lmove", moving::lmove),
    ("rpoplpush", moving::rpoplpush),
    ("lmpop", moving::lmpop),
    ("blpop", |x, args| blocking::pop(x, args, End::Front)),
    ("brpop", |x, args| blocking::pop(x, args, End::Back)),
    ("blmove", blocking::blmove),
    ("brpoplpush", blocking::brpoplpush),
    ("blmpop", blocking::blmpop),
];

/// Writes an element as a bulk string.
#[inline]
fn reply_element(out: &mut Reply, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => out.bulk(bytes),
        Element::Int(number) => out.bulk_int(number),
    }
}

/// The event of adding at `end`.
fn push_event(end: End) -> Event {
    Event::list(match end {
        End::Front => "lpush",
        End::Back => "rpush",
    })
}

/// The event of removing at `end`.
fn pop_event(end: End) -> Event {
    Event::list(match end {
        End::Front => "lpop",
        End::Back => "rpop",
    })
}

/// The command that removes at `end`, for the stream.
fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

/// `LEFT` or `RIGHT`.
fn parse_end(word: &[u8]) -> Result<End, Error> {
    if word.eq_ignore_ascii_case(b"left") {
        Ok(End::Front)
    } else if word.eq_ignore_ascii_case(b"right") {
        Ok(End::Back)
    } else {
        Err(Error::SYNTAX)
    }
}

/// `LPUSH key element [element ...]`, `RPUSH key element [element ...]`.
///
/// Reply: the new length.
/// Errors: WRONGTYPE.
/// Propagates: itself.
/// Source: Valkey command reference, LPUSH, RPUSH (since 1.0.0).
fn push(x: &mut Call<'_>, args: Args<'_>, end: End) -> Outcome {
    let (key, elements) = (args[1], &args[2..]);
    let (mut list, limits) = x.keys.list_or_new(key)?;
    list.push_all(end, elements.iter().copied(), &limits.list);
    x.out.uint(list.len());
    drop(list);
    x.keys.changed(key, push_event(end), elements.len() as u64);
    Ok(())
}

/// `LPUSHX key element [element ...]`, `RPUSHX key element [element ...]`: only if the list exists.
///
/// Reply: the new length, 0 when there is no list.
/// Errors: WRONGTYPE.
/// Propagates: itself when something was added.
/// Source: Valkey command reference, LPUSHX, RPUSHX (since 2.2.0).
fn push_existing(x: &mut Call<'_>, args: Args<'_>, end: End) -> Outcome {
    if x.keys.list_mut(args[1])?.is_none() {
        x.out.int(0);
        return Ok(());
    }
    x.keys.looked_up();
    push(x, args, end)
}

/// `LPOP key [count]`, `RPOP key [count]`.
///
/// Reply: the element, null when there is none; with `count` an array, null when `key` does not exist.
/// Errors: WRONGTYPE, a negative count.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, LPOP, RPOP (since 1.0.0).
fn pop(x: &mut Call<'_>, args: Args<'_>, end: End) -> Outcome {
    let key = args[1];
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(count_argument(count)?),
        _ => return Err(Error::arity(x.command.name)),
    };
    let Some((mut list, limits)) = x.keys.list_and_limits(key)? else {
        match count {
            None => x.out.null(),
            Some(_) => x.out.null_array(),
        }
        return Ok(());
    };
    let removed = match count {
        None => pop_one(x.out, &mut list, limits, end),
        Some(0) => {
            x.out.array(0);
            return Ok(());
        }
        Some(count) => pop_many(x.out, &mut list, limits, end, count),
    };
    drop(list);
    removed.announce(x.keys, key);
    Ok(())
}

/// A count of elements, as LPOP and SPOP take it.
pub(super) fn count_argument(text: &[u8]) -> Result<usize, Error> {
    let count = words::int::parse_i64(text).ok_or(Error::OUT_OF_RANGE_POSITIVE)?;
    usize::try_from(count).map_err(|_| Error::OUT_OF_RANGE_POSITIVE)
}

/// What a pop has done.
#[derive(Clone, Copy)]
struct Popped {
    end: End,
    count: usize,
    /// Nothing is left: the key has to go.
    emptied: bool,
}

impl Popped {
    /// Tells of the pop, and removes the key if nothing is left.
    #[inline]
    fn announce(self, keys: &mut Keys, key: &[u8]) {
        keys.changed(key, pop_event(self.end), self.count as u64);
        if self.emptied {
            keys.delete_if_empty(key);
        }
    }
}

/// Pops one element and replies with it.
#[inline]
fn pop_one(out: &mut Reply, list: &mut List, limits: &Limits, end: End) -> Popped {
    list.pop_with(end, |element| reply_element(out, element));
    list.shrink(&limits.list);
    Popped {
        end,
        count: 1,
        emptied: list.is_empty(),
    }
}

/// Pops up to `count` elements and replies with an array of them.
fn pop_many(out: &mut Reply, list: &mut List, limits: &Limits, end: End, count: usize) -> Popped {
    let len = list.len();
    let count = count.min(len);
    out.array(count);
    let (start, direction) = match end {
        End::Front => (0, Direction::Forward),
        End::Back => (len.saturating_sub(1), Direction::Reverse),
    };
    for element in list.range(start, count, direction) {
        reply_element(out, element);
    }
    match end {
        End::Front => list.remove_range(0, count),
        End::Back => list.remove_range(len - count, count),
    }
    list.shrink(&limits.list);
    Popped {
        end,
        count,
        emptied: list.is_empty(),
    }
}

/// `LLEN key`.
///
/// Reply: the length, 0 when `key` does not exist.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, LLEN (since 1.0.0).
fn llen(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.list(args[1])?.map_or(0, ListRef::len));
    Ok(())
}

/// `LINDEX key index`; negative indexes count from the tail.
///
/// Reply: the element, null when there is none.
/// Errors: WRONGTYPE; not an integer, if the list exists.
/// Propagates: nothing.
/// Source: Valkey command reference, LINDEX (since 1.0.0).
fn lindex(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let element = match x.keys.list(args[1])? {
        None => None,
        Some(list) => list.get(number::int(args[2])?),
    };
    match element {
        Some(element) => reply_element(x.out, element),
        None => x.out.null(),
    }
    Ok(())
}

/// `LSET key index element`.
///
/// Reply: OK.
/// Errors: no such key, WRONGTYPE, not an integer, index out of range.
/// Propagates: itself.
/// Source: Valkey command reference, LSET (since 1.0.0).
fn lset(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[3]);
    let Some((mut list, limits)) = x.keys.list_and_limits(key)? else {
        return Err(Error::NO_SUCH_KEY);
    };
    let index = number::int(args[2])?;
    if !list.set(index, value, &limits.list) {
        return Err(Error::INDEX_OUT_OF_RANGE);
    }
    drop(list);
    x.keys.changed(key, Event::list("lset"), 1);
    x.out.ok();
    Ok(())
}

/// `LRANGE key start stop`; both are included, negative ones count from the tail.
///
/// Reply: an array of the elements.
/// Errors: WRONGTYPE, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, LRANGE (since 1.0.0).
fn lrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (number::int(args[2])?, number::int(args[3])?);
    let Some(list) = x.keys.list(args[1])? else {
        x.out.array(0);
        return Ok(());
    };
    let (start, count) = list.clip(start, stop);
    x.out.array(count);
    let range = list.range(start, count, Direction::Forward);
    range.for_each(|element| reply_element(x.out, element));
    Ok(())
}

/// `LINSERT key BEFORE | AFTER pivot element`.
///
/// Reply: the new length, -1 when there is no `pivot`, 0 when there is no list.
/// Errors: WRONGTYPE, syntax.
/// Propagates: itself when something was added.
/// Source: Valkey command reference, LINSERT (since 2.2.0).
fn linsert(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let side = if args[2].eq_ignore_ascii_case(b"after") {
        Side::After
    } else if args[2].eq_ignore_ascii_case(b"before") {
        Side::Before
    } else {
        return Err(Error::SYNTAX);
    };
    let Some((mut list, limits)) = x.keys.list_and_limits(key)? else {
        x.out.int(0);
        return Ok(());
    };
    let inserted = list.insert(side, args[3], args[4], &limits.list);
    drop(list);
    match inserted {
        Some(length) => {
            x.keys.changed(key, Event::list("linsert"), 1);
            x.out.uint(length);
        }
        None => x.out.int(-1),
    }
    Ok(())
}

/// `LREM key count element`: the first `count`, the last `-count`, or for 0 all equal elements.
///
/// Reply: how many were removed.
/// Errors: WRONGTYPE, not an integer.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, LREM (since 1.0.0).
fn lrem(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let count = number::int(args[2])?;
    if count == i64::MIN {
        return Err(Error::OUT_OF_RANGE_NEGATABLE);
    }
    let removed = shrinking(x.keys, key, |list| list.remove(args[3], count))?.unwrap_or(0);
    if removed > 0 {
        x.keys.changed(key, Event::list("lrem"), removed as u64);
        x.keys.delete_if_empty(key);
    }
    x.out.uint(removed);
    Ok(())
}

/// `LTRIM key start stop`: keeps this range.
///
/// Reply: OK.
/// Errors: WRONGTYPE, not an integer.
/// Propagates: itself when something was removed; else nobody hears of it, unlike in the reference.
/// Source: Valkey command reference, LTRIM (since 1.0.0).
fn ltrim(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let (start, stop) = (number::int(args[2])?, number::int(args[3])?);
    let removed = shrinking(x.keys, key, |list| list.trim(start, stop))?.unwrap_or(0);
    if removed > 0 {
        x.keys.changed(key, Event::list("ltrim"), removed as u64);
        x.keys.delete_if_empty(key);
    }
    x.out.ok();
    Ok(())
}

/// Runs `remove` on the list at `key`, if there is one, and lets it shrink to a listpack.
fn shrinking<R>(
    keys: &mut Keys,
    key: &[u8],
    remove: impl FnOnce(&mut List) -> R,
) -> Result<Option<R>, Error> {
    let found = keys.list_and_limits(key)?;
    Ok(found.map(|(mut list, limits)| {
        let result = remove(&mut list);
        list.shrink(&limits.list);
        result
    }))
}
