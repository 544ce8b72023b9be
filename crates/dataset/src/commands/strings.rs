//! Strings: SET and GET in all their forms, counters, ranges, many keys at once.

use super::Family;
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number;
use crate::origin::Expiry;
use commandtable::{Error, Outcome};
use keyspace::{StrHow, StrRef, Ttl, ValueRef};
use resp::Reply;
use words::longdouble::LongDouble;

mod lcs;
mod set_options;

use set_options::{Expire, SetOptions, When};

pub(super) static COMMANDS: Family = &[
    ("get", get),
    ("set", set),
    ("setnx", setnx),
    ("setex", |x, args| set_expiring(x, args, 1000)),
    ("psetex", |x, args| set_expiring(x, args, 1)),
    ("getset", getset),
    ("getdel", getdel),
    ("lcs", lcs::lcs),
    ("getex", getex),
    ("mget", mget),
    ("mset", mset),
    ("msetnx", msetnx),
    ("append", append),
    ("strlen", strlen),
    ("getrange", getrange),
    ("substr", getrange),
    ("setrange", setrange),
    ("incr", |x, args| add(x, args, 1)),
    ("decr", |x, args| add(x, args, -1)),
    ("incrby", incrby),
    ("decrby", decrby),
    ("incrbyfloat", incrbyfloat),
];

const SET: Event = Event::string("set");

/// Strings at least this long are not copied into a reply, which holds them until they are written. Below it the copy is
/// cheaper than a piece of its own.
const HELD_BYTES_MIN: usize = 16 * 1024;

/// Writes the string at `key` as a bulk string, or null. Whether there is one.
#[inline]
fn reply_string(x: &mut Call<'_>, key: &[u8]) -> Result<bool, Error> {
    match x.keys.string(key)? {
        Some(found) if is_long(found) => reply_long(x, key),
        Some(found) => reply_short(x.out, found),
        None => {
            x.out.null();
            return Ok(false);
        }
    }
    Ok(true)
}

#[inline]
fn is_long(value: StrRef<'_>) -> bool {
    matches!(value, StrRef::Bytes(bytes) if bytes.len() >= HELD_BYTES_MIN)
}

/// Writes a string value as a bulk string.
#[inline]
fn reply_short(out: &mut Reply, value: StrRef<'_>) {
    match value {
        StrRef::Bytes(bytes) => out.bulk(bytes),
        StrRef::Int(number) => out.bulk_int(number),
    }
}

/// Writes the long string at `key` as a bulk string without copying it.
#[cold]
fn reply_long(x: &mut Call<'_>, key: &[u8]) {
    match x.keys.hold_string(key) {
        Some(counted) => x.out.bulk_counted(counted),
        None => x.out.null(),
    }
}

/// Length in bytes of a string value.
fn length(value: StrRef<'_>) -> usize {
    match value {
        StrRef::Bytes(bytes) => bytes.len(),
        StrRef::Int(number) => itoa::Buffer::new().format(number).len(),
    }
}

/// `GET key`.
///
/// Reply: bulk string; null when `key` does not exist.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, GET (since 1.0.0).
fn get(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    reply_string(x, args[1])?;
    Ok(())
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`.
///
/// Reply: OK; null when NX or XX forbade it; with GET the old string or null.
/// Errors: syntax, invalid expire time; with GET also WRONGTYPE.
/// Propagates: `SET key value [PXAT ms]`, relative times made absolute, without GET; a time that has passed as DEL or UNLINK.
/// Source: Valkey command reference, SET (since 1.0.0).
fn set(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if let [_, _, _] = args {
        x.keys.set_string(key, value, Ttl::Clear, StrHow::Detect);
        x.keys.changed(key, SET, 1);
        x.out.ok();
        return Ok(());
    }
    let options = SetOptions::parse_set(&args[3..], x.now_ms(), "set")?;
    set_with(x, args, key, value, &options)
}

fn set_with(
    x: &mut Call<'_>,
    args: Args<'_>,
    key: &[u8],
    value: &[u8],
    options: &SetOptions,
) -> Outcome {
    if options.get && !reply_string(x, key)? {
        x.keys.delete_found_expired();
    }
    if options.when != When::Always {
        x.keys.expire_now(x.keys.origin.db, key);
        let exists = x.keys.peek(key).is_some();
        if exists != (options.when == When::IfPresent) {
            // A use of the key, although it stays as it is.
            x.keys.write(key);
            if !options.get {
                x.out.null();
            }
            return Ok(());
        }
    }
    let Expire::At { ms, .. } = options.expire else {
        let ttl = if options.expire == Expire::Keep {
            Ttl::Keep
        } else {
            Ttl::Clear
        };
        x.keys.set_string(key, value, ttl, StrHow::Detect);
        x.keys.changed(key, SET, 1);
        if !options.get {
            x.out.ok();
        } else if x.keys.effects.recording {
            // Nobody wants the old value there.
            let words: Vec<&[u8]> = args
                .iter()
                .enumerate()
                .filter(|(at, word)| *at < 3 || !word.eq_ignore_ascii_case(b"get"))
                .map(|(_, word)| *word)
                .collect();
            x.propagate_as(&words);
        }
        return Ok(());
    };
    if has_passed(x.keys, ms) {
        // The key is gone before anybody could see it.
        x.keys.expire_now(x.keys.origin.db, key);
        let lazy = x.keys.lazy.expire;
        if x.keys.remove(key, lazy) {
            x.keys.changed(key, Event::DEL, 1);
            x.propagate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
        }
        if !options.get {
            x.out.ok();
        }
        return Ok(());
    }
    x.keys.set_string(key, value, Ttl::At(ms), StrHow::Detect);
    x.keys.changed(key, SET, 1);
    x.keys.notify(Event::EXPIRE, key);
    if !options.get {
        x.out.ok();
    }
    // As an absolute time, whatever it was given as: a replica may be late.
    if x.keys.effects.recording {
        options.propagate(x, args, key, value, ms);
    }
    Ok(())
}

/// True when a key given this expiry time must vanish at once. A replica waits for its primary's word.
pub(super) fn has_passed(keys: &Keys, at_ms: i64) -> bool {
    at_ms <= keys.origin.now_ms && keys.origin.expiry == Expiry::Delete
}

/// `SETNX key value`.
///
/// Reply: 1 when set, 0 when `key` existed.
/// Errors: none.
/// Propagates: itself when set.
/// Source: Valkey command reference, SETNX (since 1.0.0).
fn setnx(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if x.keys.write(key).is_some() {
        x.out.int(0);
        return Ok(());
    }
    x.keys.set_string(key, value, Ttl::Clear, StrHow::Detect);
    x.keys.changed(key, SET, 1);
    x.out.int(1);
    Ok(())
}

/// `SETEX key seconds value`, `PSETEX key milliseconds value`.
///
/// Reply: OK.
/// Errors: invalid expire time.
/// Propagates: `SET key value PXAT ms`.
/// Source: Valkey command reference, SETEX (since 2.0.0), PSETEX (since 2.6.0).
fn set_expiring(x: &mut Call<'_>, args: Args<'_>, unit_ms: i64) -> Outcome {
    let expire = set_options::relative(args[2], unit_ms, x.now_ms(), x.command.name)?;
    let options = SetOptions {
        expire,
        ..SetOptions::default()
    };
    set_with(x, args, args[1], args[3], &options)
}

/// `GETSET key value`.
///
/// Reply: the old string, null when there was none.
/// Errors: WRONGTYPE.
/// Propagates: `SET key value`.
/// Source: Valkey command reference, GETSET (since 1.0.0).
fn getset(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if !reply_string(x, key)? {
        x.keys.delete_found_expired();
    }
    x.keys.set_string(key, value, Ttl::Clear, StrHow::Detect);
    x.keys.changed(key, SET, 1);
    x.propagate_as(&[b"SET", key, value]);
    Ok(())
}

/// `GETDEL key`: returns the string stored at `key` and deletes the key.
///
/// Reply: bulk string; null when `key` does not exist.
/// Errors: WRONGTYPE when `key` holds another type, which then stays as it was.
/// Propagates: `DEL key` when a key was deleted, otherwise nothing.
/// Source: Valkey command reference, GETDEL (since 6.2.0).
fn getdel(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    // Where expired keys are kept, one goes with the reply that there is none.
    if reply_string(x, key)? || x.keys.origin.expiry == Expiry::Hide {
        let lazy = x.keys.lazy.user_del;
        if x.keys.delete(key, lazy) {
            // The effect, not the request: a replica has nobody to return a value to.
            x.propagate_as(&[b"DEL", key]);
        }
    }
    Ok(())
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`.
///
/// Reply: bulk string; null when `key` does not exist.
/// Errors: WRONGTYPE, syntax, invalid expire time.
/// Propagates: `PEXPIREAT key ms`, `PERSIST key`, or DEL/UNLINK for a time that has passed; nothing without options.
/// Source: Valkey command reference, GETEX (since 6.2.0).
fn getex(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let options = SetOptions::parse_getex(&args[2..], x.now_ms());
    if options == Err(Error::SYNTAX) {
        return Err(Error::SYNTAX);
    }
    // A number that is none matters only to a key that is there.
    let Some(found) = x.keys.string(key)? else {
        x.out.null();
        return Ok(());
    };
    let options = options?;
    if is_long(found) {
        reply_long(x, key);
    } else {
        reply_short(x.out, found);
    }
    match options.expire {
        Expire::At { ms, .. } if has_passed(x.keys, ms) => {
            let lazy = x.keys.lazy.expire;
            x.keys.delete(key, lazy);
            x.propagate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
        }
        Expire::At { ms, .. } => {
            x.keys.set_expire(key, Some(ms));
            x.keys.changed(key, Event::EXPIRE, 1);
            x.propagate_as(&[b"PEXPIREAT", key, itoa::Buffer::new().format(ms).as_bytes()]);
        }
        Expire::Persist => {
            let had = x
                .keys
                .peek(key)
                .is_some_and(|entry| entry.expire_at_ms().is_some());
            if had {
                x.keys.set_expire(key, None);
                x.keys.changed(key, Event::PERSIST, 1);
                x.propagate_as(&[b"PERSIST", key]);
            }
        }
        Expire::No | Expire::Keep => {}
    }
    Ok(())
}

/// `MGET key [key ...]`.
///
/// Reply: an array of strings, null for keys that are missing or hold another type.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MGET (since 1.0.0).
fn mget(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.array(args.len() - 1);
    for key in &args[1..] {
        if reply_string(x, key).is_err() {
            x.out.null();
        }
    }
    Ok(())
}

/// `MSET key value [key value ...]`.
///
/// Reply: OK.
/// Errors: an odd number of words.
/// Propagates: itself.
/// Source: Valkey command reference, MSET (since 1.0.1).
fn mset(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    set_many(x, args)?;
    x.out.ok();
    Ok(())
}

fn set_many(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::arity(x.command.name));
    }
    for [key, value] in pairs {
        x.keys.set_string(key, value, Ttl::Clear, StrHow::Detect);
        x.keys.changed(key, SET, 1);
    }
    Ok(())
}

/// `MSETNX key value [key value ...]`: all or nothing.
///
/// Reply: 1 when all were set, 0 when any key existed.
/// Errors: an odd number of words.
/// Propagates: itself when set.
/// Source: Valkey command reference, MSETNX (since 1.0.1).
fn msetnx(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::arity(x.command.name));
    }
    for [key, _] in pairs {
        if x.keys.write(key).is_some() {
            x.out.int(0);
            return Ok(());
        }
    }
    set_many(x, args)?;
    x.out.int(1);
    Ok(())
}

/// `APPEND key value`.
///
/// Reply: the new length.
/// Errors: WRONGTYPE, string too long.
/// Propagates: itself.
/// Source: Valkey command reference, APPEND (since 2.0.0).
fn append(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, more) = (args[1], args[2]);
    let old = match x.keys.write(key) {
        None => None,
        Some(entry) => match entry.entry().value() {
            ValueRef::Str(string) => Some(length(string)),
            _ => return Err(Error::WRONG_TYPE),
        },
    };
    let Some(old) = old else {
        x.keys.set_string(key, more, Ttl::Clear, StrHow::Detect);
        x.keys.changed(key, Event::string("append"), 1);
        x.out.uint(more.len());
        return Ok(());
    };
    x.keys
        .check_string_length((old as u64).saturating_add(more.len() as u64))?;
    if let Some(mut entry) = x.keys.current_mut().get_mut(key)
        && let Some(bytes) = entry.string_make_raw()
    {
        bytes.extend_from_slice(more);
    }
    x.keys.changed(key, Event::string("append"), 1);
    x.out.uint(old + more.len());
    Ok(())
}

/// `STRLEN key`.
///
/// Reply: the length in bytes, 0 when `key` does not exist.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, STRLEN (since 2.2.0).
fn strlen(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    x.out.uint(x.keys.string(args[1])?.map_or(0, length));
    Ok(())
}

/// `GETRANGE key start end`; negative offsets count from the end.
///
/// Reply: the part of the string, empty when there is none.
/// Errors: WRONGTYPE, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, GETRANGE (since 2.4.0).
fn getrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (number::int(args[2])?, number::int(args[3])?);
    let mut digits = itoa::Buffer::new();
    let bytes = match x.keys.string(args[1])? {
        None => b"".as_slice(),
        Some(StrRef::Bytes(bytes)) => bytes,
        Some(StrRef::Int(number)) => digits.format(number).as_bytes(),
    };
    x.out.bulk(slice(bytes, start, end));
    Ok(())
}

/// `bytes[start..=end]` with negative offsets from the end, clamped.
fn slice(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let len = bytes.len() as i64;
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len).max(0)
        } else {
            index
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end => bytes.get(start..=end).unwrap_or(b""),
        _ => b"",
    }
}

/// `SETRANGE key offset value`; the string grows as needed, filled with zero bytes.
///
/// Reply: the new length.
/// Errors: WRONGTYPE, negative offset, string too long.
/// Propagates: itself when something was written.
/// Source: Valkey command reference, SETRANGE (since 2.2.0).
fn setrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[3]);
    let offset = u64::try_from(number::int(args[2])?).map_err(|_| Error::OFFSET_OUT_OF_RANGE)?;
    let old = match x.keys.write(key) {
        None => None,
        Some(entry) => match entry.entry().value() {
            ValueRef::Str(string) => Some(length(string)),
            _ => return Err(Error::WRONG_TYPE),
        },
    };
    if value.is_empty() {
        x.out.uint(old.unwrap_or(0));
        return Ok(());
    }
    x.keys
        .check_string_length(offset.saturating_add(value.len() as u64))?;
    let start = usize::try_from(offset).map_err(|_| Error::STRING_TOO_LONG)?;
    if old.is_none() {
        x.keys.set_string(key, b"", Ttl::Clear, StrHow::Raw);
    }
    let mut new_length = 0;
    if let Some(mut entry) = x.keys.current_mut().get_mut(key)
        && let Some(bytes) = entry.string_make_raw()
    {
        let end = start + value.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(value);
        new_length = bytes.len();
    }
    x.keys.changed(key, Event::string("setrange"), 1);
    x.out.uint(new_length);
    Ok(())
}

/// `INCR key`, `DECR key`.
///
/// Reply: the new number.
/// Errors: WRONGTYPE, not an integer, overflow.
/// Propagates: itself.
/// Source: Valkey command reference, INCR, DECR (since 1.0.0).
fn add(x: &mut Call<'_>, args: Args<'_>, by: i64) -> Outcome {
    let key = args[1];
    let new = match x.keys.write(key) {
        None => {
            x.keys.set_string(
                key,
                itoa::Buffer::new().format(by).as_bytes(),
                Ttl::Clear,
                StrHow::Detect,
            );
            by
        }
        Some(mut entry) => {
            let old = match entry.entry().value() {
                ValueRef::Str(StrRef::Int(number)) => number,
                ValueRef::Str(StrRef::Bytes(bytes)) => number::int(bytes)?,
                _ => return Err(Error::WRONG_TYPE),
            };
            let new = old.checked_add(by).ok_or(Error::OVERFLOW)?;
            entry.set_int(new);
            new
        }
    };
    x.keys.changed(key, Event::string("incrby"), 1);
    x.out.int(new);
    Ok(())
}

/// `INCRBY key increment`.
///
/// Reply: the new number.
/// Errors: WRONGTYPE, not an integer, overflow.
/// Propagates: itself.
/// Source: Valkey command reference, INCRBY (since 1.0.0).
fn incrby(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let by = number::int(args[2])?;
    add(x, args, by)
}

/// `DECRBY key decrement`.
///
/// Reply: the new number.
/// Errors: WRONGTYPE, not an integer, overflow.
/// Propagates: itself.
/// Source: Valkey command reference, DECRBY (since 1.0.0).
fn decrby(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let by = number::int(args[2])?
        .checked_neg()
        .ok_or(Error::DECR_OVERFLOW)?;
    add(x, args, by)
}

/// `INCRBYFLOAT key increment`.
///
/// Reply: the new number as a bulk string.
/// Errors: WRONGTYPE, not a float (either of them), NaN or infinity.
/// Propagates: `SET key number KEEPTTL`, so that no machine computes it differently.
/// Source: Valkey command reference, INCRBYFLOAT (since 2.6.0).
fn incrbyfloat(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    x.keys.expire_now(x.keys.origin.db, key);
    // Not a use of the key: writing it is one.
    let old = match x.keys.peek(key).map(|entry| entry.value()) {
        None => Some(LongDouble::from_i64(0)),
        Some(ValueRef::Str(StrRef::Int(number))) => Some(LongDouble::from_i64(number)),
        Some(ValueRef::Str(StrRef::Bytes(bytes))) => LongDouble::parse(bytes),
        Some(_) => return Err(Error::WRONG_TYPE),
    };
    let (Some(old), Some(by)) = (old, LongDouble::parse(args[2])) else {
        return Err(Error::NOT_A_FLOAT);
    };
    let new = old.checked_add(by).ok_or(Error::INCR_NAN_OR_INFINITY)?;
    let mut text = Vec::new();
    new.print(&mut text);
    x.keys.set_string(key, &text, Ttl::Keep, StrHow::Bytes);
    x.keys.changed(key, Event::string("incrbyfloat"), 1);
    x.out.bulk(&text);
    x.propagate_as(&[b"SET", key, &text, b"KEEPTTL"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn set_and_get() {
        check(
            "
            > SET k v
            < OK
            ~ SET k v
            > GET k
            < \"v\"
            > GET missing
            < (nil)
            > SET k w NX
            < (nil)
            > SET k 17 XX GET
            < \"v\"
            ~ SET k 17 XX
            > SET k w XX NX
            < (error) ERR syntax error
            > SET k w EX 0
            < (error) ERR invalid expire time in 'set' command
            > SET k w PX 100
            < OK
            ~ SET k w PXAT 1000000000100
            ",
        );
    }

    #[test]
    fn getdel_returns_the_value_once_and_propagates_the_deletion() {
        check(
            "
            > SET k v
            < OK
            ~ SET k v
            > GETDEL k
            < \"v\"
            ~ DEL k
            > GETDEL k
            < (nil)
            ",
        );
    }

    #[test]
    fn counters_stop_at_the_ends() {
        check(
            "
            > SET k 9223372036854775806
            < OK
            ~ SET k 9223372036854775806
            > INCR k
            < (integer) 9223372036854775807
            ~ INCR k
            > INCR k
            < (error) ERR increment or decrement would overflow
            > DECRBY k -9223372036854775808
            < (error) ERR decrement would overflow
            > SET k x
            < OK
            ~ SET k x
            > INCR k
            < (error) ERR value is not an integer or out of range
            ",
        );
    }

    #[test]
    fn ranges_clamp() {
        check(
            "
            > SETRANGE k 2 ab
            < (integer) 4
            ~ SETRANGE k 2 ab
            > GETRANGE k -2 -1
            < \"ab\"
            > GETRANGE k -1 -2
            < \"\"
            > GETRANGE k 0 100
            < \"\\x00\\x00ab\"
            > SETRANGE k 536870912 a
            < (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > APPEND k c
            < (integer) 5
            ~ APPEND k c
            ",
        );
    }
}
