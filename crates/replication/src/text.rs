//! Reading numbers and text that peers sent.

use crate::limits::LOGGED_BYTES_MAX;

/// A decimal number as peers write it into their lines: digits, and nothing else.
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_stays_on_one_line() {
        assert_eq!(printable(b"fo\r\no\0\xff"), "fo  o?\u{fffd}");
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        for bad in [&b""[..], b"-", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"1\r"] {
            assert_eq!(parse_u64(bad), None, "{bad:?}");
        }
    }
}
