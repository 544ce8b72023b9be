//! A string as it comes out of a file, without a copy where there need not be one.

use packed::IntBuf;

/// One string of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text<'a> {
    /// The decimal text of this number. Never a number outside `i64`.
    Int(i64),
    /// Bytes that live in a buffer of the reader until its next call.
    Borrowed(&'a [u8]),
    /// Bytes too many for the buffer, in an allocation of exactly their size.
    Owned(Vec<u8>),
}

impl Text<'_> {
    /// The bytes; `digits` holds them when they are those of a number.
    #[must_use]
    pub fn as_bytes<'b>(&'b self, digits: &'b mut IntBuf) -> &'b [u8] {
        match self {
            Self::Int(number) => digits.format(*number),
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// The bytes in an allocation of their own.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Int(number) => IntBuf::new().format(number).to_vec(),
            Self::Borrowed(bytes) => bytes.to_vec(),
            Self::Owned(bytes) => bytes,
        }
    }

    /// Puts the bytes into `out`, whose former content goes.
    pub fn copy_into(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.as_bytes(&mut IntBuf::new()));
    }
}

/// The number that `bytes` are the canonical decimal text of, when a file would store it as one
/// (32 bits at most).
pub(crate) fn short_int(bytes: &[u8]) -> Option<i32> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    match digits {
        [] => return None,
        [b'0'] => return if negative { None } else { Some(0) },
        [b'0', ..] => return None,
        _ if bytes.len() > crate::limits::INT_TEXT_MAX => return None,
        _ => {}
    }
    // At most eleven digits: far from the end of an i64.
    let mut number = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    i32::try_from(if negative {
        number.wrapping_neg()
    } else {
        number
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_number_prints_back_is_a_number() {
        for number in [0, 1, -1, 9, 10, 127, -128, 32767, i32::MAX, i32::MIN] {
            assert_eq!(short_int(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "2147483648",
            "-2147483649",
            "99999999999",
            "123456789012",
            "0x10",
            "--1",
            ":",
            "/",
        ] {
            assert_eq!(short_int(text.as_bytes()), None, "{text:?}");
        }
    }
}
