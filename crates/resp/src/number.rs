//! Strict decimal integers, as the protocol and the commands understand them.

/// Parses the canonical decimal form of an `i64`: an optional `-`, no leading zeros, no `+`, no spaces.
///
/// Returns `None` for anything that printing the number would not give back exactly.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some(_) => (false, text),
        None => return None,
    };
    let (&first, rest) = digits.split_first()?;
    if first == b'0' {
        return (rest.is_empty() && !negative).then_some(0);
    }
    if digits.len() > 19 {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // At most 19 digits: below 10^19, which fits in 64 bits.
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    if negative {
        if value == 1 << 63 {
            return Some(i64::MIN);
        }
        i64::try_from(value).ok().map(i64::wrapping_neg)
    } else {
        i64::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::parse_i64;

    #[test]
    fn accepts_exactly_what_printing_gives_back() {
        for value in [0, 1, -1, 9, 10, 12345, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
        for text in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            " 1",
            "1 ",
            "1a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }
}
