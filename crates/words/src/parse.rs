//! Numbers as commands take them, where they are more lenient than [`crate::int`].

use crate::{int, longdouble};

/// Parses a float the way the reference does: decimal with an optional exponent, hexadecimal, `inf`, `infinity`, a
/// leading `+`; not `nan`, no spaces, nothing behind it, nothing too large or too small to be held.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let [digit @ b'0'..=b'9'] = text {
        return Some(f64::from(digit - b'0'));
    }
    let value = parse_any_f64(text)?;
    if value.is_infinite() {
        // The parser gives infinity for numbers that are too large; the reference refuses those.
        let spelled_out = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
        return spelled_out.then_some(value);
    }
    if value == 0.0 {
        let is_zero = text
            .iter()
            .take_while(|byte| !matches!(byte, b'e' | b'E' | b'p' | b'P'))
            .all(|byte| matches!(byte, b'0' | b'.' | b'+' | b'-' | b'x' | b'X'));
        return is_zero.then_some(value);
    }
    Some(value)
}

/// Parses the bound of a score range. The reference is more lenient here than elsewhere: leading spaces are skipped, an
/// empty text is zero, numbers too large are infinite and those too small zero.
#[must_use]
pub fn parse_bound(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let spaces = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | 9..=13))
        .count();
    parse_any_f64(&text[spaces..])
}

fn parse_any_f64(text: &[u8]) -> Option<f64> {
    if let Ok(value) = fast_float2::parse::<f64, _>(text) {
        return (!value.is_nan()).then_some(value);
    }
    let (sign, rest) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        rest => (1.0, rest),
    };
    match rest {
        [b'0', b'x' | b'X', digits @ ..] => Some(sign * longdouble::hexadecimal_f64(digits)?),
        _ => None,
    }
}

/// An unsigned integer as `strtoull` reads it: blanks and a sign may stand in front, nothing behind. What is plainly a
/// negative number is refused, however, and so is nothing at all.
#[must_use]
pub fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(number) = int::parse_i64(text) {
        return u64::try_from(number).ok();
    }
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(digits)
        .ok()
        .filter(|_| all_digits)
        .and_then(|digits| digits.parse::<u64>().ok())?;
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_bound, parse_f64};

    #[test]
    fn floats_are_those_of_the_reference() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e5", 1e5),
            ("0x10", 16.0),
            ("-0x1.8p1", -3.0),
            ("0x1p-1074", 5e-324),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1p1023", 2f64.powi(1023)),
            ("1e-320", 1e-320),
            ("0e999", 0.0),
            ("INF", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "1e",
            ".",
            "-",
            "0x",
            "1e400",
            "1e-400",
            "0x1p1024",
            "0x1p-1080",
            "infin",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_more_lenient() {
        for (text, value) in [
            ("", 0.0),
            (" 1", 1.0),
            ("1e400", f64::INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_bound(text.as_bytes()), Some(value), "{text}");
        }
        for text in [" ", "nan", "x", "1 "] {
            assert_eq!(parse_bound(text.as_bytes()), None, "{text}");
        }
    }
}
