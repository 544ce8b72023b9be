//! How values of the common types are read from text and printed.

use super::limits::NUMBER_BYTES_MAX;
use super::problem::Problem;
use super::row::{Kind, Phase, Unit};
use super::text::Text;

/// A type that a parameter may have.
///
/// `read` gets the words after the parameter's name and the value before the change, for parameters that add up.
/// The caller has checked that there is exactly one word, unless the parameter is `MULTI_ARG`.
pub(super) trait Setting: Sized {
    fn read(&self, args: &[&[u8]], kind: &Kind, phase: Phase) -> Result<Self, Problem>;
    fn print(&self, kind: &Kind) -> Vec<u8>;
}

impl Setting for bool {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        match only(args)? {
            word if word.eq_ignore_ascii_case(b"yes") => Ok(true),
            word if word.eq_ignore_ascii_case(b"no") => Ok(false),
            _ => Err(Problem::NotBool),
        }
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        if *self {
            b"yes".to_vec()
        } else {
            b"no".to_vec()
        }
    }
}

impl Setting for Text {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        only(args).map(Text::from)
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

macro_rules! number_setting {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn read(&self, args: &[&[u8]], kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
                let value = read_number(only(args)?, kind)?;
                // The bounds in the table never exceed the field's type; a test goes through all rows.
                <$type>::try_from(value).map_err(|_| Problem::NotInteger)
            }

            fn print(&self, kind: &Kind) -> Vec<u8> {
                print_number(i128::from(*self), kind)
            }
        }
    )+};
}

number_setting!(i32, u32, i64, u64);

/// The only word.
fn only<'a>(args: &[&'a [u8]]) -> Result<&'a [u8], Problem> {
    match args {
        [word] => Ok(word),
        _ => Err(Problem::WrongArguments),
    }
}

fn read_number(word: &[u8], kind: &Kind) -> Result<i128, Problem> {
    let &Kind::Number { unit, min, max, .. } = kind else {
        return Err(Problem::NotInteger);
    };
    let value = match unit {
        Unit::Plain => integer(word).ok_or(Problem::NotInteger)?,
        Unit::Memory => i128::from(memory_bytes(word).ok_or(Problem::NotMemory)?),
        Unit::MemoryOrPercent => match word.strip_suffix(b"%") {
            Some(percent) => match integer(percent) {
                Some(percent) if percent >= 0 => -percent,
                _ => return Err(Problem::NotMemoryOrPercent),
            },
            None => i128::from(memory_bytes(word).ok_or(Problem::NotMemoryOrPercent)?),
        },
        Unit::Octal => octal(word).ok_or(Problem::NotOctal)?,
    };
    match unit {
        _ if (min..=max).contains(&value) => Ok(value),
        Unit::MemoryOrPercent if value < 0 => Err(Problem::PercentAbove100),
        Unit::Octal => Err(Problem::NotBetweenOctal(min, max)),
        _ => Err(Problem::NotBetween(min, max)),
    }
}

fn print_number(value: i128, kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::Number {
            unit: Unit::Octal, ..
        } => format!("{value:o}"),
        Kind::Number {
            unit: Unit::MemoryOrPercent,
            ..
        } if value < 0 => format!("{}%", -value),
        _ => value.to_string(),
    }
    .into_bytes()
}

/// A decimal integer in its shortest form: no sign but `-`, no leading zeros, no spaces.
pub(super) fn integer(word: &[u8]) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let shortest = match digits {
        [b'0'] => !negative,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !shortest || digits.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let value: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let value = if negative { -value } else { value };
    // Signed 64 bits are what the reference parses into, so more is no integer to its users either.
    (value >= i128::from(i64::MIN) && value <= i128::from(i64::MAX)).then_some(value)
}

/// A size: digits, then `b`, `k` (1000), `kb` (1024) and so on up to `g` and `gb`, in either case.
///
/// No digits at all mean zero, as they do in the reference. `None` when it is not a size or exceeds 64 bits.
pub fn memory_bytes(word: &[u8]) -> Option<u64> {
    let split = word
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(split);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let count: u64 = match digits {
        b"" => 0,
        _ => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    count.checked_mul(factor)
}

fn octal(word: &[u8]) -> Option<i128> {
    if word.is_empty() {
        return Some(0);
    }
    let text = std::str::from_utf8(word).ok()?;
    i64::from_str_radix(text, 8).ok().map(i128::from)
}

/// A decimal integer as C's `strtoll` takes it, for the places where the reference is that lenient.
pub(super) fn lenient_integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.trim_start().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        let read = |text: &str| integer(text.as_bytes());
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("-12"), Some(-12));
        assert_eq!(read("9223372036854775807"), Some(i128::from(i64::MAX)));
        assert_eq!(read("9223372036854775808"), None);
        for bad in [
            "",
            "-",
            "05",
            "+5",
            " 5",
            "5 ",
            "-0",
            "1.0",
            "0x10",
            "18446744073709551616",
            "9".repeat(99).as_str(),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_take_units_in_either_case() {
        let read = |text: &str| memory_bytes(text.as_bytes());
        assert_eq!(read(""), Some(0));
        assert_eq!(read("10B"), Some(10));
        assert_eq!(read("1K"), Some(1000));
        assert_eq!(read("1Kb"), Some(1024));
        assert_eq!(read("2MB"), Some(2 << 20));
        assert_eq!(read("3m"), Some(3_000_000));
        assert_eq!(read("1gB"), Some(1 << 30));
        for bad in [
            "-1",
            "1t",
            "1.5mb",
            " 1",
            "1 kb",
            "18446744073709551616",
            "18446744073709551615k",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
