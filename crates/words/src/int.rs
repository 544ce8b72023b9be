//! Integers as text: the strict form in which a string may be stored as a number and come back unchanged.

/// Bytes of the longest decimal text of an `i64`: `-9223372036854775808`.
pub const I64_TEXT_BYTES_MAX: usize = 20;

/// Reads the canonical decimal text of an `i64`: what formatting the number would print, and nothing else.
///
/// So no sign `+`, no `-0`, no leading zeros or spaces, no overflow.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if text.len() > I64_TEXT_BYTES_MAX {
        return None;
    }
    let (&first, rest) = digits.split_first()?;
    let mut magnitude = match first {
        b'1'..=b'9' => u64::from(first - b'0'),
        b'0' if text.len() == 1 => return Some(0),
        _ => return None,
    };
    if rest.len() < 18 {
        // At most 18 digits cannot overflow.
        for &byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            magnitude = magnitude * 10 + u64::from(digit);
        }
    } else {
        for &byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
        }
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Bytes of the decimal text of `value`, sign included.
pub fn decimal_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_formatting_would_print_is_an_integer() {
        for text in [
            "0",
            "7",
            "-1",
            "42",
            "999999999999999999",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(decimal_len(text.parse().unwrap()), text.len());
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "-01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "0x1",
            "1.0",
            "9223372036854775808",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        for text in [
            "-9223372036854775809",
            "18446744073709551617",
            "99999999999999999999",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }
}
