//! Reading numbers and text that peers sent.

use crate::limits::LOGGED_BYTES_MAX;

/// A decimal number without sign, blanks or leading `+`.
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal number that may be negative, as commands accept integers.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0i64.checked_sub_unsigned(parse_u64(digits)?),
        None => i64::try_from(parse_u64(text)?).ok(),
    }
}

/// A peer's bytes for a log line or an error: bounded, on one line, without control characters.
pub(crate) fn printable(text: &[u8]) -> String {
    let shown = &text[..text.len().min(LOGGED_BYTES_MAX)];
    String::from_utf8_lossy(shown)
        .chars()
        .map(|c| match c {
            '\r' | '\n' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// One request as a RESP array of bulk strings, appended to `out`.
pub(crate) fn encode_request(out: &mut Vec<u8>, args: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(args.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for arg in args {
        out.push(b'$');
        out.extend_from_slice(digits.format(arg.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_stays_on_one_line() {
        assert_eq!(printable(b"fo\r\no\0\xff"), "fo  o?\u{fffd}");
    }

    #[test]
    fn numbers_are_read_strictly() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        for bad in [&b""[..], b"-", b"+1", b" 1", b"1 ", b"0x1", b"1\r"] {
            assert_eq!(parse_i64(bad), None, "{bad:?}");
        }
    }
}
