//! What scripts are known by: the SHA-1 of their bodies.

use sha1::{Digest as _, Sha1};

const BYTES: usize = 20;

/// The SHA-1 of a script's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; BYTES]);

impl Digest {
    /// Digits of a digest.
    pub const HEX_BYTES: usize = 2 * BYTES;

    /// That of a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Digest(Sha1::digest(body).into())
    }

    /// Reads forty hexadecimal digits of either case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 2 * BYTES {
            return None;
        }
        let mut digest = [0; BYTES];
        for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (value(pair[0])? << 4) | value(pair[1])?;
        }
        Some(Digest(digest))
    }

    /// Forty digits in lower case.
    #[must_use]
    pub fn hex(&self) -> [u8; 2 * BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * BYTES];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

#[inline]
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digits_of_either_case_name_the_same_script() {
        let digest = Digest::of(b"return 1");
        let text = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        assert_eq!(&digest.hex(), text);
        assert_eq!(Digest::parse(text), Some(digest));
        assert_eq!(Digest::parse(&text.to_ascii_uppercase()), Some(digest));
        assert_eq!(Digest::parse(&text[1..]), None);
        assert_eq!(
            Digest::parse(b"g0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
            None
        );
    }
}
