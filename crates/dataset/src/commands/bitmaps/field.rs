//! BITFIELD: integers of any width, anywhere in a string.

use super::{SETBIT, change_string, check_offset, text};
use crate::call::{Args, Call};
use crate::keys::Keys;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::bits;
use resp::Reply;
use words::int::parse_i64;

/// `BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset increment ...]`;
/// an offset with `#` counts integers of the type.
///
/// Reply: an array: of GET the integer, of SET the old one, of INCRBY the new one; null where FAIL has kept it from
/// overflowing.
/// Errors: syntax, bad type, bad offset, not an integer, WRONGTYPE.
/// Propagates: itself when an integer or the length has changed.
/// Source: Valkey command reference, BITFIELD (since 3.2.0).
pub(super) fn bitfield(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let (steps, last) = parse(x.keys, &args[2..])?;
    let Some(last) = last else {
        return read(x, key, &steps);
    };
    let out = &mut *x.out;
    let (changes, grown) = change_string(x.keys, key, last, |bytes| {
        out.array(steps.len());
        let mut changes = Changes::default();
        for step in &steps {
            step.take(bytes, out, &mut changes);
        }
        changes
    })?;
    // A string that has grown is another one, but only what was written tells of it.
    let dirty = if grown {
        changes.written
    } else {
        changes.different
    };
    if dirty > 0 {
        x.keys.changed(key, SETBIT, dirty);
    }
    Ok(())
}

/// `BITFIELD_RO key [GET type offset ...]`.
///
/// Reply: an array of integers.
/// Errors: syntax, bad type, bad offset, anything but GET, WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, BITFIELD_RO (since 6.0.0).
pub(super) fn bitfield_ro(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (steps, last) = parse(x.keys, &args[2..])?;
    if last.is_some() {
        return Err(Error::BITFIELD_RO);
    }
    read(x, args[1], &steps)
}

fn read(x: &mut Call<'_>, key: &[u8], steps: &[Step]) -> Outcome {
    let string = x.keys.string(key)?.map(text).unwrap_or_default();
    x.out.array(steps.len());
    for step in steps {
        x.out.int(step.type_.read(&string, step.at));
    }
    Ok(())
}

/// What writing has done.
#[derive(Default)]
struct Changes {
    /// Integers written.
    written: u64,
    /// Those of them that were others before.
    different: u64,
}

/// One thing to do.
struct Step {
    type_: IntType,
    /// The first bit.
    at: u64,
    action: Action,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// What becomes of an integer that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its lower bits stay.
    Wrap,
    /// It becomes the nearest one that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// Reads what is to be done, and the last bit that is written, if any is.
fn parse(keys: &Keys, mut args: Args<'_>) -> Result<(Vec<Step>, Option<u64>), Error> {
    let mut steps = Vec::new();
    let mut last = None;
    let mut overflow = Overflow::Wrap;
    while let [name, rest @ ..] = args {
        let (type_, at, value);
        match (name.to_ascii_lowercase().as_slice(), rest) {
            (b"get", [a, b, rest @ ..]) => {
                (type_, at, value, args) = (a, b, None, rest);
            }
            (b"set" | b"incrby", [a, b, c, rest @ ..]) => {
                (type_, at, value, args) = (a, b, Some(c), rest);
            }
            (b"overflow", [how, rest @ ..]) => {
                overflow = Overflow::parse(how)?;
                args = rest;
                continue;
            }
            _ => return Err(Error::SYNTAX),
        }
        let type_ = IntType::parse(type_).ok_or(Error::BITFIELD_TYPE)?;
        let at = type_.offset(keys, at)?;
        let action = match value {
            None => Action::Get,
            Some(value) => {
                last = last.max(Some(at + u64::from(type_.width) - 1));
                let value = number::int(value)?;
                if name.eq_ignore_ascii_case(b"set") {
                    Action::Set(value, overflow)
                } else {
                    Action::Add(value, overflow)
                }
            }
        };
        steps.push(Step { type_, at, action });
    }
    Ok((steps, last))
}

impl Overflow {
    fn parse(word: &[u8]) -> Result<Overflow, Error> {
        match word.to_ascii_lowercase().as_slice() {
            b"wrap" => Ok(Overflow::Wrap),
            b"sat" => Ok(Overflow::Saturate),
            b"fail" => Ok(Overflow::Fail),
            _ => Err(Error::BITFIELD_OVERFLOW),
        }
    }
}

impl Step {
    /// Does it and writes its reply.
    fn take(&self, bytes: &mut [u8], out: &mut Reply, changes: &mut Changes) {
        let old = self.type_.read(bytes, self.at);
        let (new, overflow) = match self.action {
            Action::Get => {
                out.int(old);
                return;
            }
            Action::Set(value, overflow) => (self.type_.given(value), overflow),
            Action::Add(value, overflow) => (i128::from(old) + i128::from(value), overflow),
        };
        let Some(new) = self.type_.fit(new, overflow) else {
            out.null();
            return;
        };
        out.int(match self.action {
            Action::Add(..) => new,
            Action::Get | Action::Set(..) => old,
        });
        bits::set_field(bytes, self.at, self.type_.width, new.cast_unsigned());
        changes.written += 1;
        changes.different += u64::from(new != old);
    }
}

/// A type of integers: `i1` to `i64`, `u1` to `u63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IntType {
    signed: bool,
    /// Bits: what an unsigned one holds fits an `i64`, too.
    width: u32,
}

impl IntType {
    fn parse(text: &[u8]) -> Option<IntType> {
        let (signed, digits, widest) = match text {
            [b'i', digits @ ..] => (true, digits, 64),
            [b'u', digits @ ..] => (false, digits, 63),
            _ => return None,
        };
        let width = parse_i64(digits).filter(|width| (1..=widest).contains(width))?;
        Some(IntType {
            signed,
            width: u32::try_from(width).ok()?,
        })
    }

    /// The place of an integer as an argument.
    fn offset(self, keys: &Keys, text: &[u8]) -> Result<u64, Error> {
        let at = match text {
            [b'#', index @ ..] => {
                parse_i64(index).and_then(|index| index.checked_mul(i64::from(self.width)))
            }
            _ => parse_i64(text),
        };
        check_offset(keys, at.ok_or(Error::BIT_OFFSET)?)
    }

    fn read(self, bytes: &[u8], at: u64) -> i64 {
        self.wrapped(bits::field(bytes, at, self.width))
    }

    /// The integer whose lower bits these are.
    fn wrapped(self, bits: u64) -> i64 {
        let unused = 64 - self.width;
        if self.signed {
            (bits << unused).cast_signed() >> unused
        } else {
            (bits << unused >> unused).cast_signed()
        }
    }

    /// What SET's argument stands for: a negative number is a huge one where there are none.
    fn given(self, value: i64) -> i128 {
        if self.signed {
            i128::from(value)
        } else {
            i128::from(value.cast_unsigned())
        }
    }

    /// The integer that is written for `number`, if any is.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        };
        let within = number.clamp(min, max);
        match overflow {
            Overflow::Fail if within != number => None,
            Overflow::Saturate | Overflow::Fail => i64::try_from(within).ok(),
            Overflow::Wrap => Some(self.wrapped(number as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IntType, Overflow};
    use engine::testing::check;

    #[test]
    fn types_have_their_widths() {
        for (text, signed, width) in [
            ("i1", true, 1),
            ("i64", true, 64),
            ("u1", false, 1),
            ("u63", false, 63),
        ] {
            assert_eq!(
                IntType::parse(text.as_bytes()),
                Some(IntType { signed, width })
            );
        }
        for text in [
            "", "i", "u", "i0", "i65", "u64", "u-1", "I8", "i08", "x8", "8",
        ] {
            assert_eq!(IntType::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_width_wraps_saturates_and_fails_at_its_ends() {
        for width in 1..=64 {
            for signed in [true, false] {
                let type_ = IntType { signed, width };
                let span = 1_i128 << width;
                let (min, max) = if signed {
                    (-span / 2, span / 2 - 1)
                } else {
                    (0, span - 1)
                };
                if max > i128::from(i64::MAX) {
                    continue;
                }
                for number in [min - 1, min, min + 1, 0, max - 1, max, max + 1, max + 9] {
                    let within = (min..=max).contains(&number);
                    let nearest = number.max(min).min(max) as i64;
                    let modulo = ((number - min).rem_euclid(span) + min) as i64;
                    assert_eq!(type_.fit(number, Overflow::Wrap), Some(modulo));
                    assert_eq!(type_.fit(number, Overflow::Saturate), Some(nearest));
                    assert_eq!(type_.fit(number, Overflow::Fail), within.then_some(nearest));
                }
            }
        }
    }

    #[test]
    fn fields_are_read_set_and_added_to() {
        check(
            "
            > BITFIELD k SET i8 0 100 SET u4 #3 15 GET u8 #1
            < 1) (integer) 0
            < 2) (integer) 0
            < 3) (integer) 15
            ~ BITFIELD k SET i8 0 100 SET u4 #3 15 GET u8 #1
            > BITFIELD k INCRBY i8 0 100 OVERFLOW SAT INCRBY i8 0 -100 OVERFLOW FAIL INCRBY i8 0 -1
            < 1) (integer) -56
            < 2) (integer) -128
            < 3) (nil)
            ~ BITFIELD k INCRBY i8 0 100 OVERFLOW SAT INCRBY i8 0 -100 OVERFLOW FAIL INCRBY i8 0 -1
            > BITFIELD k GET i8 0
            < 1) (integer) -128
            > BITFIELD_RO k GET u8 0 GET u8 1000
            < 1) (integer) 128
            < 2) (integer) 0
            > BITFIELD k SET i8 0 -128
            < 1) (integer) -128
            > BITFIELD k SET u64 0 1
            < (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD k SET u8 #9223372036854775807 1
            < (error) ERR bit offset is not an integer or out of range
            > BITFIELD k SET u8 0
            < (error) ERR syntax error
            > BITFIELD_RO k SET u8 0 1
            < (error) ERR BITFIELD_RO only supports the GET subcommand
            ",
        );
    }
}
