//! Hashes: fields and their values.

use super::Family;
use super::sampling::{self, Choice, Count, Drawn};
use crate::call::{Args, Call};
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::{Element, HashRef, ValueRef};
use resp::Reply;
use words::longdouble::LongDouble;

pub(super) static COMMANDS: Family = &[
    ("hset", hset),
    ("hmset", hset),
    ("hsetnx", hsetnx),
    ("hget", hget),
    ("hmget", hmget),
    ("hgetall", hgetall),
    ("hkeys", |x, args| list(x, args, |(field, _)| field)),
    ("hvals", |x, args| list(x, args, |(_, value)| value)),
    ("hlen", hlen),
    ("hstrlen", hstrlen),
    ("hexists", hexists),
    ("hdel", hdel),
    ("hincrby", hincrby),
    ("hincrbyfloat", hincrbyfloat),
    ("hrandfield", hrandfield),
];

/// Writes an element as a bulk string.
#[inline]
pub(super) fn reply_element(out: &mut Reply, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => out.bulk(bytes),
        Element::Int(number) => out.bulk_int(number),
    }
}

/// `HSET key field value [field value ...]`, `HMSET` with the same arguments.
///
/// Reply: the number of new fields; HMSET: OK.
/// Errors: WRONGTYPE, a field without a value.
/// Propagates: itself.
/// Source: Valkey command reference, HSET, HMSET (since 2.0.0).
fn hset(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::arity(x.command.name));
    }
    let (mut hash, limits) = x.keys.hash_or_new(key)?;
    if pairs.len() > 1 {
        hash.reserve(pairs.len(), limits);
    }
    let mut created = 0;
    for [field, value] in pairs {
        created += usize::from(hash.set(field, value, limits));
    }
    drop(hash);
    x.keys.changed(key, Event::hash("hset"), pairs.len() as u64);
    if x.command.name == "hmset" {
        x.out.ok();
    } else {
        x.out.uint(created);
    }
    Ok(())
}

/// `HSETNX key field value`.
///
/// Reply: 1 when set, 0 when the field existed.
/// Errors: WRONGTYPE.
/// Propagates: itself when set.
/// Source: Valkey command reference, HSETNX (since 2.0.0).
fn hsetnx(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, field, value) = (args[1], args[2], args[3]);
    let (mut hash, limits) = x.keys.hash_or_new(key)?;
    if hash.view().contains(field) {
        x.out.int(0);
        return Ok(());
    }
    hash.set(field, value, limits);
    drop(hash);
    x.keys.changed(key, Event::hash("hset"), 1);
    x.out.int(1);
    Ok(())
}

/// `HGET key field`.
///
/// Reply: the value; null when there is no such field.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HGET (since 2.0.0).
fn hget(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    match x.keys.hash(args[1])?.and_then(|hash| hash.get(args[2])) {
        Some(value) => reply_element(x.out, value),
        None => x.out.null(),
    }
    Ok(())
}

/// `HMGET key field [field ...]`.
///
/// Reply: an array of values, null for fields that are missing.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HMGET (since 2.0.0).
fn hmget(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let hash = x.keys.hash(args[1])?;
    x.out.array(args.len() - 2);
    for field in &args[2..] {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => reply_element(x.out, value),
            None => x.out.null(),
        }
    }
    Ok(())
}

/// `HGETALL key`.
///
/// Reply: a map of fields and values, empty when there is no such key.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HGETALL (since 2.0.0).
fn hgetall(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let hash = x.keys.hash(args[1])?;
    x.out.map(hash.map_or(0, HashRef::len));
    for (field, value) in hash.into_iter().flat_map(HashRef::iter) {
        reply_element(x.out, field);
        reply_element(x.out, value);
    }
    Ok(())
}

/// `HKEYS key`, `HVALS key`.
///
/// Reply: an array, empty when there is no such key.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HKEYS, HVALS (since 2.0.0).
fn list(
    x: &mut Call<'_>,
    args: Args<'_>,
    part: for<'a> fn((Element<'a>, Element<'a>)) -> Element<'a>,
) -> Outcome {
    let hash = x.keys.hash(args[1])?;
    x.out.array(hash.map_or(0, HashRef::len));
    for pair in hash.into_iter().flat_map(HashRef::iter) {
        reply_element(x.out, part(pair));
    }
    Ok(())
}

/// `HLEN key`.
///
/// Reply: the number of fields, 0 when there is no such key.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HLEN (since 2.0.0).
fn hlen(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.hash(args[1])?.map_or(0, HashRef::len));
    Ok(())
}

/// `HSTRLEN key field`.
///
/// Reply: the length of the value in bytes, 0 when there is no such field.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HSTRLEN (since 3.2.0).
fn hstrlen(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let hash = x.keys.hash(args[1])?;
    x.out.uint(hash.map_or(0, |hash| hash.value_len(args[2])));
    Ok(())
}

/// `HEXISTS key field`.
///
/// Reply: 1 or 0.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, HEXISTS (since 2.0.0).
fn hexists(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let hash = x.keys.hash(args[1])?;
    x.out
        .int(hash.is_some_and(|hash| hash.contains(args[2])).into());
    Ok(())
}

/// `HDEL key field [field ...]`.
///
/// Reply: the number of fields removed.
/// Errors: WRONGTYPE.
/// Propagates: itself when something was removed.
/// Source: Valkey command reference, HDEL (since 2.0.0).
fn hdel(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut removed = 0;
    if let Some(mut hash) = x.keys.hash_mut(key)? {
        for field in &args[2..] {
            removed += u64::from(hash.remove(field));
        }
    }
    if removed > 0 {
        x.keys.changed(key, Event::hash("hdel"), removed);
        x.keys.delete_if_empty(key);
    }
    x.out.int(removed as i64);
    Ok(())
}

/// `HINCRBY key field increment`.
///
/// Reply: the new number.
/// Errors: WRONGTYPE, not an integer (either of them), overflow.
/// Propagates: itself.
/// Source: Valkey command reference, HINCRBY (since 2.0.0).
fn hincrby(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, field) = (args[1], args[2]);
    let by = number::int(args[3])?;
    let hash = x.keys.hash_mut(key)?;
    let old = match hash.as_ref().and_then(|hash| hash.view().get(field)) {
        None => 0,
        Some(value) => value.as_i64().ok_or(Error::HASH_VALUE_NOT_AN_INTEGER)?,
    };
    drop(hash);
    let new = old.checked_add(by).ok_or(Error::OVERFLOW)?;
    x.keys.looked_up();
    let (mut hash, limits) = x.keys.hash_or_new(key)?;
    hash.set(field, itoa::Buffer::new().format(new).as_bytes(), limits);
    drop(hash);
    x.keys.changed(key, Event::hash("hincrby"), 1);
    x.out.int(new);
    Ok(())
}

/// `HINCRBYFLOAT key field increment`.
///
/// Reply: the new number as a bulk string.
/// Errors: WRONGTYPE, not a float (either of them), NaN or infinity.
/// Propagates: `HSET key field number`, so that no machine computes it differently.
/// Source: Valkey command reference, HINCRBYFLOAT (since 2.6.0).
fn hincrbyfloat(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, field) = (args[1], args[2]);
    let by = LongDouble::parse(args[3]).ok_or(Error::NOT_A_FLOAT)?;
    if by.is_infinite() {
        return Err(Error::NAN_OR_INFINITY);
    }
    let hash = x.keys.hash_mut(key)?;
    let old = match hash.as_ref().and_then(|hash| hash.view().get(field)) {
        None => LongDouble::from_i64(0),
        Some(value) => value
            .with_bytes(LongDouble::parse)
            .ok_or(Error::HASH_VALUE_NOT_A_FLOAT)?,
    };
    drop(hash);
    let new = old.checked_add(by).ok_or(Error::INCR_NAN_OR_INFINITY)?;
    let mut text = Vec::new();
    new.print(&mut text);
    x.keys.looked_up();
    let (mut hash, limits) = x.keys.hash_or_new(key)?;
    hash.set(field, &text, limits);
    drop(hash);
    x.keys.changed(key, Event::hash("hincrbyfloat"), 1);
    x.out.bulk(&text);
    x.propagate_as(&[b"HSET", key, field, &text]);
    Ok(())
}

/// `HRANDFIELD key [count [WITHVALUES]]`.
///
/// Reply: a field, or null; with a count an array of fields, with their values in pairs (RESP3) or behind them (RESP2).
/// Errors: WRONGTYPE, syntax, not an integer, out of range.
/// Propagates: nothing.
/// Source: Valkey command reference, HRANDFIELD (since 6.2.0).
fn hrandfield(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let asked = match &args[2..] {
        [] => None,
        rest => Some(sampling::parse(rest, b"withvalues")?),
    };
    // Twice, because a look at the value and a draw from the random source cannot be borrowed at once by `hash`.
    if x.keys.hash(key)?.is_none() {
        match asked {
            None => x.out.null(),
            Some(_) => x.out.array(0),
        }
        return Ok(());
    }
    let keys = &mut *x.keys;
    let Some(ValueRef::Hash(hash)) = keys.dbs[keys.origin.db].get(key).map(|entry| entry.value())
    else {
        return Err(Error::WRONG_TYPE);
    };
    let rng = &mut keys.rng;
    let Some((count, with_values)) = asked else {
        match hash.random(rng) {
            Some((field, _)) => reply_element(x.out, field),
            None => x.out.null(),
        }
        return Ok(());
    };
    let (len, v3) = (hash.len(), x.out.is_v3());
    let header = |out: &mut Reply, count: usize| {
        out.array(if with_values && !v3 { count * 2 } else { count });
    };
    let pair = |out: &mut Reply, (field, value): (Element<'_>, Element<'_>)| {
        if with_values && v3 {
            out.array(2);
        }
        reply_element(out, field);
        if with_values {
            reply_element(out, value);
        }
    };
    match count {
        Count::Repeated(count) => {
            header(x.out, usize::try_from(count).unwrap_or(usize::MAX));
            sampling::repeat(x.out, &mut x.limit, count, |out| {
                if let Some(found) = hash.random(rng) {
                    pair(out, found);
                }
            });
        }
        Count::Distinct(count) if count >= len => {
            header(x.out, len);
            hash.iter().for_each(|found| pair(x.out, found));
        }
        Count::Distinct(count) => {
            header(x.out, count);
            match sampling::choose(count, len) {
                Choice::Walk(mut walk) => hash
                    .iter()
                    .filter(|_| walk.takes(rng))
                    .for_each(|found| pair(x.out, found)),
                Choice::Draw => {
                    let mut drawn = Drawn::default();
                    let mut left = count;
                    while left > 0
                        && let Some(found) = hash.random(rng)
                    {
                        if drawn.add(found.0) {
                            pair(x.out, found);
                            left -= 1;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn fields_are_set_read_and_removed() {
        check(
            "
            > HSET h a 1 b 2
            < (integer) 2
            ~ HSET h a 1 b 2
            > HSET h a 1 c 3
            < (integer) 1
            ~ HSET h a 1 c 3
            > HSET h a
            < (error) ERR wrong number of arguments for 'hset' command
            > HMSET h a 1
            < OK
            ~ HMSET h a 1
            > HSETNX h a 2
            < (integer) 0
            > HMGET h a nope
            < 1) \"1\"
            < 2) (nil)
            > HDEL h nope
            < (integer) 0
            > HDEL h a a b c
            < (integer) 3
            ~ HDEL h a a b c
            > HGETALL h
            < (empty array)
            > SET s x
            < OK
            ~ SET s x
            > HSET s a b
            < (error) WRONGTYPE Operation against a key holding the wrong kind of value
            ",
        );
    }

    #[test]
    fn counters_propagate_what_they_must() {
        check(
            "
            > HINCRBY h a 5
            < (integer) 5
            ~ HINCRBY h a 5
            > HINCRBY h a 9223372036854775807
            < (error) ERR increment or decrement would overflow
            > HINCRBYFLOAT h a 0.1
            < \"5.1\"
            ~ HSET h a 5.1
            > HINCRBY h a 1
            < (error) ERR hash value is not an integer
            > HINCRBYFLOAT h a inf
            < (error) ERR value is NaN or Infinity
            > HINCRBYFLOAT h a x
            < (error) ERR value is not a valid float
            > HSET h a x
            < (integer) 0
            ~ HSET h a x
            > HINCRBYFLOAT h a 1
            < (error) ERR hash value is not a float
            ",
        );
    }

    #[test]
    fn random_fields_have_the_shapes_of_both_protocols() {
        check(
            "
            > HSET h a 1
            < (integer) 1
            ~ HSET h a 1
            > HRANDFIELD h
            < \"a\"
            > HRANDFIELD h -2 WITHVALUES
            < 1) \"a\"
            < 2) \"1\"
            < 3) \"a\"
            < 4) \"1\"
            > HRANDFIELD h 5
            < 1) \"a\"
            > HRANDFIELD nokey 5
            < (empty array)
            > HRANDFIELD h 1 foo
            < (error) ERR syntax error
            > HRANDFIELD h -9223372036854775808
            < (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            ",
        );
    }
}
