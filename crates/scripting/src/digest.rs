//! What scripts are known by: the SHA-1 of their bodies.

use crate::limits::DIGESTED_PER_UNIT;
use sha1::{Digest as _, Sha1};
use std::hash::{Hash, Hasher};

const BYTES: usize = 20;

/// The SHA-1 of a script's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; BYTES]);

impl Hash for Digest {
    /// A part of it will do: it is a hash itself.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let first = self.0.first_chunk().copied().unwrap_or_default();
        hasher.write_u64(u64::from_le_bytes(first));
    }
}

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
        let mut seen = 0;
        for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
            let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
            seen |= high | low;
            *byte = (high << 4) | (low & 15);
        }
        (seen & NO_DIGIT == 0).then_some(Digest(digest))
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

/// A digest of a long text, made piece by piece.
#[derive(Default)]
pub(crate) struct Digesting {
    hasher: Sha1,
    /// Bytes read.
    done: usize,
}

impl Digesting {
    /// Reads about as much more of the text as so many units of work are worth; the digest, when that was all.
    pub(crate) fn go_on(&mut self, text: &[u8], units: u64) -> Option<Digest> {
        let rest = text.get(self.done..).unwrap_or_default();
        let bytes = usize::try_from(units).unwrap_or(usize::MAX);
        let piece = &rest[..rest.len().min(bytes.saturating_mul(DIGESTED_PER_UNIT))];
        self.hasher.update(piece);
        self.done += piece.len();
        (piece.len() == rest.len())
            .then(|| Digest(std::mem::take(&mut self.hasher).finalize().into()))
    }
}

/// Set in the value of what is no digit.
const NO_DIGIT: u8 = 0x80;

/// What each byte is worth as a hexadecimal digit.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

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
