//! Bitmaps: strings as arrays of bits.

use super::Family;
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::bits::{self, BitOp};
use keyspace::limits::EMBED_MAX;
use keyspace::{Counted, Str, StrHow, StrRef, Ttl, Value, ValueRef};
use std::borrow::Cow;
use words::int::parse_i64;

mod field;

pub(super) static COMMANDS: Family = &[
    ("setbit", setbit),
    ("getbit", getbit),
    ("bitcount", bitcount),
    ("bitpos", bitpos),
    ("bitop", bitop),
    ("bitfield", field::bitfield),
    ("bitfield_ro", field::bitfield_ro),
];

const SETBIT: Event = Event::string("setbit");

/// `SETBIT key offset value`; the string grows as needed, filled with zero bytes.
///
/// Reply: the bit that was there before.
/// Errors: bad offset, bad bit, WRONGTYPE.
/// Propagates: itself when the bit or the length has changed.
/// Source: Valkey command reference, SETBIT (since 2.2.0).
fn setbit(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let at = offset(x.keys, args[2])?;
    let bit = match parse_i64(args[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(Error::BIT_VALUE),
    };
    let (old, grown) = change_string(x.keys, key, at, |bytes| bits::set(bytes, at, bit))?;
    if grown || old != bit {
        x.keys.changed(key, SETBIT, 1);
    }
    x.out.int(i64::from(old));
    Ok(())
}

/// `GETBIT key offset`.
///
/// Reply: the bit, 0 behind the end of the string and when `key` does not exist.
/// Errors: bad offset, WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, GETBIT (since 2.2.0).
fn getbit(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let at = offset(x.keys, args[2])?;
    let string = x.keys.string(args[1])?;
    let bit = string.is_some_and(|string| bits::get(&text(string), at));
    x.out.int(i64::from(bit));
    Ok(())
}

/// `BITCOUNT key [start [end [BYTE | BIT]]]`; negative positions count from the end.
///
/// Reply: how many bits are set there.
/// Errors: syntax, not an integer, WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, BITCOUNT (since 2.6.0).
fn bitcount(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let range = Range::parse(&args[2..])?;
    let count = match x.keys.string(args[1])? {
        None => 0,
        // As it is written: one is in front of the other wherever the string ends.
        Some(_) if range.start < 0 && range.end < 0 && range.start > range.end => 0,
        Some(string) => {
            let bytes = text(string);
            range
                .bits_of(&bytes)
                .map_or(0, |(first, last)| bits::count_range(&bytes, first, last))
        }
    };
    x.out.int(count.cast_signed());
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE | BIT]]]`; negative positions count from the end.
///
/// Reply: the place of the first such bit, -1 if there is none. Without an end zeroes follow the string; a missing key is
/// nothing but zeroes.
/// Errors: not an integer, not a bit, syntax, WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, BITPOS (since 2.8.7).
fn bitpos(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let bit = match number::int(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Error::BITPOS_BIT),
    };
    let range = Range::parse(&args[3..])?;
    let at = match x.keys.string(args[1])? {
        None => (!bit).then_some(0),
        Some(string) => {
            let bytes = text(string);
            range.bits_of(&bytes).and_then(|(first, last)| {
                let behind = || (!bit && !range.has_end).then_some(bytes.len() as u64 * 8);
                bits::find_range(&bytes, first, last, bit).or_else(behind)
            })
        }
    };
    x.out.int(at.map_or(-1, u64::cast_signed));
    Ok(())
}

/// `BITOP AND | OR | XOR | NOT destkey key [key ...]`; shorter strings and missing keys are filled with zeroes.
///
/// Reply: the length of the result, which is that of the longest string. If it is 0 `destkey` is deleted.
/// Errors: syntax, NOT of several keys, WRONGTYPE of a source; `destkey` may hold anything.
/// Propagates: itself when something was stored or deleted.
/// Source: Valkey command reference, BITOP (since 2.6.0).
fn bitop(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (destination, keys) = (args[2], &args[3..]);
    let op = match args[1].to_ascii_lowercase().as_slice() {
        b"and" => BitOp::And,
        b"or" => BitOp::Or,
        b"xor" => BitOp::Xor,
        b"not" => BitOp::Not,
        _ => return Err(Error::SYNTAX),
    };
    if op == BitOp::Not && keys.len() != 1 {
        return Err(Error::BITOP_NOT);
    }
    for key in keys {
        x.keys.string(key)?;
    }
    let lens = keys.iter().map(|key| source(x.keys, key).len());
    let len = lens.max().unwrap_or(0);
    // The result is made where what it replaces lies, unless that is needed for it.
    let mut result = Vec::new();
    if !keys.contains(&destination) {
        result = x.keys.take_buffer(destination, len);
    }
    let sources: Vec<Cow<'_, [u8]>> = keys.iter().map(|key| text(source(x.keys, key))).collect();
    let sources: Vec<&[u8]> = sources.iter().map(|source| &**source).collect();
    bits::combine(op, &sources, &mut result);
    x.keys.delete_found_expired();
    if len == 0 {
        // Deleted like any other key if only its time has come: nobody has looked it up.
        let lazy = x.keys.lazy.server_del;
        x.keys.delete(destination, lazy);
    } else {
        x.keys.put(destination, raw(result), None);
        x.keys.changed(destination, Event::string("set"), 1);
    }
    x.out.uint(len);
    Ok(())
}

/// The string at `key`, empty if there is none.
fn source<'k>(keys: &'k Keys, key: &[u8]) -> StrRef<'k> {
    match keys.peek(key).map(|entry| entry.value()) {
        Some(ValueRef::Str(string)) => string,
        _ => StrRef::Bytes(b""),
    }
}

/// The place of a bit as an argument.
fn offset(keys: &Keys, text: &[u8]) -> Result<u64, Error> {
    check_offset(keys, parse_i64(text).ok_or(Error::BIT_OFFSET)?)
}

/// Refuses places in front of the string and such as no string may have.
fn check_offset(keys: &Keys, at: i64) -> Result<u64, Error> {
    let at = u64::try_from(at).map_err(|_| Error::BIT_OFFSET)?;
    // What a primary has written is written here, too, whatever our limit is.
    if !keys.origin.source.repeats() && at / 8 >= keys.settings.string_bytes_max {
        return Err(Error::BIT_OFFSET);
    }
    Ok(at)
}

/// The text of a string value, which is copied only if it is held as a number.
fn text(string: StrRef<'_>) -> Cow<'_, [u8]> {
    match string {
        StrRef::Bytes(bytes) => Cow::Borrowed(bytes),
        StrRef::Int(number) => Cow::Owned(itoa::Buffer::new().format(number).as_bytes().to_vec()),
    }
}

fn raw(bytes: Vec<u8>) -> Value {
    Value::Str(Str::Raw(Counted::new(bytes)))
}

/// Lends the string at `key`, long enough for the bit at `last`, to `change`; a missing one is made. Returns also whether
/// the string has grown. Tell [`Keys::changed`] about it.
fn change_string<R>(
    keys: &mut Keys,
    key: &[u8],
    last: u64,
    change: impl FnOnce(&mut [u8]) -> R,
) -> Result<(R, bool), Error> {
    let len = usize::try_from(last / 8 + 1).map_err(|_| Error::BIT_OFFSET)?;
    if let Some(mut entry) = keys.write(key) {
        if let Some(bytes) = entry.string_in_place(len) {
            return Ok((change(bytes), false));
        }
        let bytes = entry.string_make_raw().ok_or(Error::WRONG_TYPE)?;
        let grown = bits::grow(bytes, len);
        return Ok((change(bytes), grown));
    }
    if len <= EMBED_MAX {
        let mut bytes = [0; EMBED_MAX];
        let bytes = &mut bytes[..len];
        let result = change(bytes);
        keys.set_string(key, bytes, Ttl::Clear, StrHow::Raw);
        return Ok((result, true));
    }
    // Zeroes that nobody has written yet cost no memory.
    let mut bytes = vec![0; len];
    let result = change(&mut bytes);
    keys.put(key, raw(bytes), None);
    Ok((result, true))
}

/// The part of a string that BITCOUNT and BITPOS look at, ends included.
struct Range {
    start: i64,
    end: i64,
    /// The end was given.
    has_end: bool,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Range {
    /// Reads `[start [end [BYTE | BIT]]]`.
    fn parse(args: Args<'_>) -> Result<Range, Error> {
        if args.len() > 3 {
            return Err(Error::SYNTAX);
        }
        let start = args.first().map_or(Ok(0), |start| number::int(start))?;
        let unit = match args.get(2) {
            None => Unit::Byte,
            Some(word) if word.eq_ignore_ascii_case(b"byte") => Unit::Byte,
            Some(word) if word.eq_ignore_ascii_case(b"bit") => Unit::Bit,
            Some(_) => return Err(Error::SYNTAX),
        };
        let end = args.get(1).map_or(Ok(-1), |end| number::int(end))?;
        Ok(Range {
            start,
            end,
            has_end: args.len() > 1,
            unit,
        })
    }

    /// The first and the last bit within `bytes`; `None` if there are none.
    fn bits_of(&self, bytes: &[u8]) -> Option<(u64, u64)> {
        let each = match self.unit {
            Unit::Byte => 8,
            Unit::Bit => 1,
        };
        let total = (bytes.len() as u64 * 8 / each).cast_signed();
        let from_end = |index: i64| {
            if index < 0 {
                index.saturating_add(total).max(0)
            } else {
                index
            }
        };
        let (start, end) = (from_end(self.start), from_end(self.end).min(total - 1));
        let (start, end) = (u64::try_from(start).ok()?, u64::try_from(end).ok()?);
        (start <= end).then(|| (start * each, end * each + each - 1))
    }
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn bits_are_set_and_the_string_grows() {
        check(
            "
            > SETBIT k 9 1
            < (integer) 0
            ~ SETBIT k 9 1
            > GET k
            < \"\\x00@\"
            > SETBIT k 9 1
            < (integer) 1
            > SETBIT k 9 0
            < (integer) 1
            ~ SETBIT k 9 0
            > SETBIT k 23 0
            < (integer) 0
            ~ SETBIT k 23 0
            > STRLEN k
            < (integer) 3
            > GETBIT k 4294967295
            < (integer) 0
            > SETBIT k 4294967296 1
            < (error) ERR bit offset is not an integer or out of range
            > SETBIT k -1 1
            < (error) ERR bit offset is not an integer or out of range
            > SETBIT k 0 2
            < (error) ERR bit is not an integer or out of range
            > SET n 12
            < OK
            ~ SET n 12
            > GETBIT n 3
            < (integer) 1
            > SETBIT n 15 1
            < (integer) 0
            ~ SETBIT n 15 1
            > GET n
            < \"13\"
            ",
        );
    }

    #[test]
    fn a_short_string_is_raw_once_a_bit_of_it_was_set() {
        check(
            "
            > SET k abc
            < OK
            ~ SET k abc
            > OBJECT ENCODING k
            < \"embstr\"
            > SETBIT k 6 1
            < (integer) 0
            ~ SETBIT k 6 1
            > OBJECT ENCODING k
            < \"raw\"
            > SETBIT k 25 1
            < (integer) 0
            ~ SETBIT k 25 1
            > GET k
            < \"cbc@\"
            > SETBIT new 1 1
            < (integer) 0
            ~ SETBIT new 1 1
            > OBJECT ENCODING new
            < \"raw\"
            > SETBIT new 1 0
            < (integer) 1
            ~ SETBIT new 1 0
            > GET new
            < \"\\x00\"
            ",
        );
    }

    #[test]
    fn ranges_are_of_bytes_or_of_bits() {
        check(
            "
            > SET k foobar
            < OK
            ~ SET k foobar
            > BITCOUNT k
            < (integer) 26
            > BITCOUNT k 1 1
            < (integer) 6
            > BITCOUNT k -2 -3
            < (integer) 0
            > BITCOUNT k 5 30 BIT
            < (integer) 17
            > BITCOUNT k 0 1 x
            < (error) ERR syntax error
            > BITPOS k 1 2
            < (integer) 17
            > BITPOS k 0 1 -1 BIT
            < (integer) 3
            > BITPOS missing 1
            < (integer) -1
            > SET k \"\\xff\\xff\"
            < OK
            ~ SET k \"\\xff\\xff\"
            > BITPOS k 0
            < (integer) 16
            > BITPOS k 0 0 -1
            < (integer) -1
            ",
        );
    }

    #[test]
    fn an_empty_combination_deletes_its_destination() {
        check(
            "
            > MSET a ab b a
            < OK
            ~ MSET a ab b a
            > BITOP AND d a b missing
            < (integer) 2
            ~ BITOP AND d a b missing
            > GET d
            < \"\\x00\\x00\"
            > BITOP XOR d a b
            < (integer) 2
            ~ BITOP XOR d a b
            > GET d
            < \"\\x00b\"
            > BITOP NOT d a b
            < (error) ERR BITOP NOT must be called with a single source key.
            > BITOP OR d missing
            < (integer) 0
            ~ BITOP OR d missing
            > EXISTS d
            < (integer) 0
            > BITOP OR d missing
            < (integer) 0
            ",
        );
    }

    #[test]
    fn a_long_combination_takes_the_place_of_what_was_there() {
        check(
            "
            > SETRANGE a 299 a
            < (integer) 300
            ~ SETRANGE a 299 a
            > SETRANGE b 300 \"\"
            < (integer) 0
            > SETRANGE b 298 \"\\x11c\"
            < (integer) 300
            ~ SETRANGE b 298 \"\\x11c\"
            > BITOP OR d a b
            < (integer) 300
            ~ BITOP OR d a b
            > GETRANGE d 297 -1
            < \"\\x00\\x11c\"
            > PEXPIREAT d 4102444800000
            < (integer) 1
            ~ PEXPIREAT d 4102444800000
            > BITOP AND d a b
            < (integer) 300
            ~ BITOP AND d a b
            > GETRANGE d 297 -1
            < \"\\x00\\x00a\"
            > PTTL d
            < (integer) -1
            > BITOP XOR d d b
            < (integer) 300
            ~ BITOP XOR d d b
            > GETRANGE d 297 -1
            < \"\\x00\\x11\\x02\"
            > BITOP NOT d d
            < (integer) 300
            ~ BITOP NOT d d
            > GETRANGE d 297 -1
            < \"\\xff\\xee\\xfd\"
            > BITOP OR d missing
            < (integer) 0
            ~ BITOP OR d missing
            > RPUSH d x
            < (integer) 1
            ~ RPUSH d x
            > BITOP AND d a
            < (integer) 300
            ~ BITOP AND d a
            > GETRANGE d 298 -1
            < \"\\x00a\"
            > OBJECT ENCODING d
            < \"raw\"
            ",
        );
    }
}
