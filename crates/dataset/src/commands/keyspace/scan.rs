//! SCAN and its kin: a walk in steps that sees everything that was there all the time.
//!
//! A step visits buckets of a table until it has seen as many elements as COUNT says; what it shows may be less, by
//! MATCH and TYPE. Small values have no buckets: one step shows all of them.

use crate::call::{Args, Call};
use crate::commands::Family;
use crate::number;
use crate::origin::Expiry;
use commandtable::{Error, Outcome};
use keyspace::{Element, Encoding, Type};
use packed::IntBuf;
use resp::{Mark, Reply};
use words::glob::{self, Case};

pub(in crate::commands) static COMMANDS: Family = &[
    ("scan", scan),
    ("sscan", sscan),
    ("hscan", hscan),
    ("zscan", zscan),
];

/// Elements a step sees unless COUNT says otherwise.
const COUNT_DEFAULT: u64 = 10;
/// Buckets a step visits for each element it wants to see: a bound for sparse tables.
const BUCKETS_PER_ELEMENT: u64 = 10;

/// What is walked over; decides which options there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Keys,
    Members,
    Fields,
    Scores,
}

/// The options of one step.
struct Step<'a> {
    pattern: Option<&'a [u8]>,
    count: u64,
    type_: Option<Type>,
    /// NOVALUES or NOSCORES.
    names_only: bool,
}

impl<'a> Step<'a> {
    fn parse(words: &[&'a [u8]], over: Over) -> Result<Self, Error> {
        let mut step = Step {
            pattern: None,
            count: COUNT_DEFAULT,
            type_: None,
            names_only: false,
        };
        let mut rest = words;
        while let Some((word, tail)) = rest.split_first() {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            rest = tail;
            if is(b"novalues") {
                if over != Over::Fields {
                    return Err(Error::SCAN_NO_VALUES);
                }
                step.names_only = true;
                continue;
            }
            if is(b"noscores") {
                if over != Over::Scores {
                    return Err(Error::SCAN_NO_SCORES);
                }
                step.names_only = true;
                continue;
            }
            let Some((value, tail)) = rest.split_first() else {
                return Err(Error::SYNTAX);
            };
            rest = tail;
            if is(b"count") {
                step.count = u64::try_from(number::int(value)?)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or(Error::SYNTAX)?;
            } else if is(b"match") {
                step.pattern = Some(*value).filter(|pattern| *pattern != b"*");
            } else if is(b"type") && over == Over::Keys {
                step.type_ = Some(type_named(value)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(step)
    }

    fn shows(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name, Case::Sensitive))
    }

    /// Calls `visit` with a cursor, as long as the step goes on; it returns the next cursor and counts what it sees.
    fn walk(&self, mut cursor: u64, mut visit: impl FnMut(u64, &mut u64) -> u64) -> u64 {
        let mut seen = 0;
        let mut buckets = self.count.saturating_mul(BUCKETS_PER_ELEMENT);
        loop {
            cursor = visit(cursor, &mut seen);
            buckets -= 1;
            if cursor == 0 || buckets == 0 || seen >= self.count {
                return cursor;
            }
        }
    }
}

fn type_named(name: &[u8]) -> Result<Type, Error> {
    const TYPES: [Type; 6] = [
        Type::Str,
        Type::List,
        Type::Set,
        Type::Hash,
        Type::ZSet,
        Type::Stream,
    ];
    TYPES
        .into_iter()
        .find(|type_| name.eq_ignore_ascii_case(type_.name().as_bytes()))
        .ok_or_else(|| Error::unknown_type(name))
}

/// A cursor: a number as `strtoull` reads it, which a zero byte ends.
fn cursor(text: &[u8]) -> Result<u64, Error> {
    let end = text.iter().position(|byte| *byte == 0);
    words::parse::unsigned(&text[..end.unwrap_or(text.len())]).ok_or(Error::INVALID_CURSOR)
}

/// Puts the frame around the elements written since `mark`.
fn finish(out: &mut Reply, mark: Mark, cursor: u64, elements: usize) {
    out.insert_at(mark, |out| {
        out.array(2);
        out.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        out.array(elements);
    });
}

/// The reply for a key that does not exist.
fn nothing(out: &mut Reply) {
    out.array(2);
    out.bulk(b"0");
    out.array(0);
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`.
///
/// Reply: the next cursor, 0 at the end, and the keys found.
/// Errors: invalid cursor, syntax, unknown type.
/// Propagates: nothing, but for expired keys it came across.
/// Source: Valkey command reference, SCAN (since 2.8.0).
fn scan(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let start = cursor(args[1])?;
    let step = Step::parse(&args[2..], Over::Keys)?;
    let mark = x.out.mark();
    let (mut shown, mut expired) = (0, Vec::new());
    let (keys, out) = (&*x.keys, &mut *x.out);
    let db = keys.current();
    let next = step.walk(start, |cursor, seen| {
        db.scan(cursor, &mut |entry| {
            *seen += 1;
            let wanted =
                step.shows(entry.key()) && step.type_.is_none_or(|type_| type_ == entry.type_());
            if !wanted {
                return;
            }
            if keys.is_gone(entry) {
                expired.push(Box::<[u8]>::from(entry.key()));
                return;
            }
            out.bulk(entry.key());
            shown += 1;
        })
    });
    finish(x.out, mark, next, shown);
    if x.keys.origin.expiry == Expiry::Delete {
        for key in &expired {
            x.keys.delete_expired(x.keys.origin.db, key);
        }
    }
    Ok(())
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`.
///
/// Reply: the next cursor, 0 at the end, and the members found.
/// Errors: invalid cursor, WRONGTYPE, syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, SSCAN (since 2.8.0).
fn sscan(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let start = cursor(args[2])?;
    let Some(set) = x.keys.set(args[1])? else {
        nothing(x.out);
        return Ok(());
    };
    let step = Step::parse(&args[3..], Over::Members)?;
    let mark = x.out.mark();
    let mut shown = 0;
    let next = step.walk(start, |cursor, seen| {
        set.scan(cursor, &mut |member| {
            *seen += 1;
            if show(x.out, &step, member) {
                shown += 1;
            }
        })
    });
    finish(x.out, mark, next, shown);
    Ok(())
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]`.
///
/// Reply: the next cursor, 0 at the end, and fields and values found in turn.
/// Errors: invalid cursor, WRONGTYPE, syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, HSCAN (since 2.8.0, NOVALUES since 8.0.0).
fn hscan(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let start = cursor(args[2])?;
    let Some(hash) = x.keys.hash(args[1])? else {
        nothing(x.out);
        return Ok(());
    };
    let step = Step::parse(&args[3..], Over::Fields)?;
    let mark = x.out.mark();
    let mut shown = 0;
    let next = step.walk(start, |cursor, seen| {
        hash.scan(cursor, &mut |field, value| {
            *seen += 1;
            if show(x.out, &step, field) {
                shown += 1;
                if !step.names_only {
                    x.out.bulk(value.bytes(&mut IntBuf::new()));
                    shown += 1;
                }
            }
        })
    });
    finish(x.out, mark, next, shown);
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]`.
///
/// Reply: the next cursor, 0 at the end, and members and scores found in turn.
/// Errors: invalid cursor, WRONGTYPE, syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ZSCAN (since 2.8.0).
fn zscan(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let start = cursor(args[2])?;
    let Some(zset) = x.keys.zset(args[1])? else {
        nothing(x.out);
        return Ok(());
    };
    let step = Step::parse(&args[3..], Over::Scores)?;
    let mark = x.out.mark();
    let mut shown = 0;
    let mut digits = words::print::NumberBuf::new();
    let packed = zset.encoding() == Encoding::Listpack;
    let next = step.walk(start, |cursor, seen| {
        zset.scan(cursor, &mut |member, score| {
            *seen += 1;
            if show(x.out, &step, member) {
                shown += 1;
                if !step.names_only {
                    if packed {
                        x.out.bulk(digits.format_f64(score));
                    } else {
                        x.out.bulk(digits.format_17(score));
                    }
                    shown += 1;
                }
            }
        })
    });
    finish(x.out, mark, next, shown);
    Ok(())
}

/// Writes an element if the step shows it.
#[inline]
fn show(out: &mut Reply, step: &Step<'_>, element: Element<'_>) -> bool {
    let mut digits = IntBuf::new();
    let name = element.bytes(&mut digits);
    let shown = step.shows(name);
    if shown {
        out.bulk(name);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::cursor;
    use engine::testing::{Driver, check, check_on};
    use std::collections::HashSet;

    #[test]
    fn cursors_are_read_like_the_reference_reads_them() {
        for (text, value) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            (" 1", Some(1)),
            ("+7", Some(7)),
            ("01", Some(1)),
            ("", None),
            ("-1", None),
            ("18446744073709551616", None),
            ("1x", None),
            ("x", None),
            (" ", None),
        ] {
            assert_eq!(cursor(text.as_bytes()).ok(), value, "{text:?}");
        }
    }

    #[test]
    fn a_walk_sees_all_keys() {
        let mut driver = Driver::new();
        for n in 0..1000 {
            driver.send(0, &[b"SET", format!("key:{n}").as_bytes(), b"v"]);
        }
        let mut seen = HashSet::new();
        let mut cursor = "0".to_owned();
        for steps in 1.. {
            let reply = driver.send(0, &[b"SCAN", cursor.as_bytes(), b"COUNT", b"50"]);
            let reply = String::from_utf8(reply).unwrap();
            let mut words = reply
                .split("\r\n")
                .filter(|word| !word.starts_with(['*', '$']));
            cursor = words.next().unwrap().to_owned();
            seen.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
            if cursor == "0" {
                assert!(steps > 10, "COUNT bounds a step");
                break;
            }
        }
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn options_belong_to_their_commands() {
        check(
            "
            > SCAN x
            < (error) ERR invalid cursor
            > SCAN 0 COUNT
            < (error) ERR syntax error
            > SCAN 0 COUNT 0
            < (error) ERR syntax error
            > SCAN 0 COUNT a
            < (error) ERR value is not an integer or out of range
            > SCAN 0 TYPE foo
            < (error) ERR unknown type name 'foo'
            > SCAN 0 NOVALUES
            < (error) ERR NOVALUES option can only be used in HSCAN
            > SCAN 0 NOSCORES
            < (error) ERR NOSCORES option can only be used in ZSCAN
            > HSCAN nokey 0 foo
            < 1) \"0\"
            < 2) (empty array)
            > HSCAN nokey x
            < (error) ERR invalid cursor
            > SET s v
            < OK
            ~ SET s v
            > HSCAN s 0 foo
            < (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SCAN 0 MATCH s TYPE string
            < 1) \"0\"
            < 2) 1) \"s\"
            > SCAN 0 TYPE list
            < 1) \"0\"
            < 2) (empty array)
            ",
        );
    }

    #[test]
    fn scan_deletes_the_expired_keys_it_would_have_shown() {
        let mut driver = Driver::new();
        driver.engine.state.debug.active_expire = false;
        check_on(
            &mut driver,
            "
            > SET e v PX 10
            < OK
            ~ SET e v PXAT 1000000000010
            + 50
            > SCAN 0 MATCH x
            < 1) \"0\"
            < 2) (empty array)
            > SCAN 0
            < 1) \"0\"
            < 2) (empty array)
            ~ UNLINK e
            ",
        );
    }
}
