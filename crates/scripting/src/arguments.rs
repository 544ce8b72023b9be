//! The arguments of `redis.call` as bytes.

use crate::error::Error;
use lua::{State, StringId, Value};
use smallvec::SmallVec;
use std::ops::Range;
use words::print::NumberBuf;

/// Doubles up to this size that are whole are written as integers.
const INTEGER_MAX: f64 = (1_i64 << 62) as f64;

/// The arguments of a call: strings stay where they are, numbers are written into a buffer of their own.
#[derive(Default)]
pub(crate) struct Arguments {
    parts: SmallVec<[Part; 8]>,
    numbers: Vec<u8>,
}

#[derive(Clone)]
enum Part {
    String(StringId),
    Number(Range<usize>),
}

impl Arguments {
    /// Takes what the host function that waits was called with.
    ///
    /// # Errors
    /// There are none, or one is neither a string nor a number.
    pub(crate) fn take(&mut self, state: &State) -> Result<(), Error> {
        self.parts.clear();
        self.numbers.clear();
        let values = state.arguments();
        if values.is_empty() {
            return Err(Error::NO_ARGUMENTS);
        }
        for value in values {
            self.parts.push(match value {
                Value::String(id) => Part::String(*id),
                Value::Number(number) => {
                    let start = self.numbers.len();
                    write_number(*number, &mut self.numbers);
                    Part::Number(start..self.numbers.len())
                }
                _ => return Err(Error::ARGUMENT_TYPES),
            });
        }
        Ok(())
    }

    /// Their bytes.
    pub(crate) fn slices<'a>(&'a self, state: &'a State) -> SmallVec<[&'a [u8]; 8]> {
        let parts = self.parts.iter();
        parts
            .map(|part| match part {
                Part::String(id) => state.bytes(*id),
                Part::Number(range) => &self.numbers[range.clone()],
            })
            .collect()
    }
}

/// A number as an argument of a command.
fn write_number(number: f64, into: &mut Vec<u8>) {
    if number.is_nan() {
        into.extend_from_slice(if number.is_sign_negative() {
            b"-nan"
        } else {
            b"nan"
        });
    } else if number.abs() <= INTEGER_MAX && number.trunc() == number {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within 2^62: exact"
        )]
        let integer = number as i64;
        into.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else {
        into.extend_from_slice(NumberBuf::new().format_f64(number));
    }
}

#[cfg(test)]
mod tests {
    use super::write_number;

    #[test]
    fn numbers_are_written_as_the_reference_sends_them() {
        for (number, text) in [
            (3.0, "3"),
            (-0.0, "0"),
            (1e17, "100000000000000000"),
            (12_345_678_901_234_567_000.0, "12345678901234567000"),
            (0.00001, "0.00001"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (1.234e-5, "1.234e-5"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (f64::NAN.copysign(-1.0), "-nan"),
        ] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), text);
        }
    }
}
