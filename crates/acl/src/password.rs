//! Passwords: kept as SHA-256 digests, compared in constant time, and made from random bytes.

use crate::limits::{PASSWORD_BITS, PASSWORD_BITS_MAX};
use commandtable::Error;
use sha2::Digest as _;
use std::hint::black_box;

const DIGEST_BYTES: usize = 32;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The SHA-256 digest of a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordHash([u8; DIGEST_BYTES]);

impl PasswordHash {
    /// The digest of a password.
    pub fn of(password: &[u8]) -> Self {
        Self(sha2::Sha256::digest(password).into())
    }

    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 2 * DIGEST_BYTES {
            return None;
        }
        let mut hash = [0; DIGEST_BYTES];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = *byte << 4 | value;
            }
        }
        Some(Self(hash))
    }

    /// 64 hexadecimal digits in lower case.
    pub fn hex(&self) -> String {
        hex(&self.0, 2 * DIGEST_BYTES)
    }

    /// Whether the two are the same, in a time that does not tell where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
        difference == 0
    }
}

/// The first `digits` hexadecimal digits of bytes.
fn hex(bytes: &[u8], digits: usize) -> String {
    let all = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    all.take(digits)
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// How many bits ACL GENPASS shall make, from its argument.
///
/// # Errors
/// Not an integer, or out of range.
pub fn password_bits(argument: Option<&[u8]>) -> Result<u32, Error> {
    let Some(argument) = argument else {
        return Ok(PASSWORD_BITS);
    };
    let bits = words::int::parse_i64(argument).ok_or(Error::NOT_AN_INTEGER)?;
    u32::try_from(bits)
        .ok()
        .filter(|bits| (1..=PASSWORD_BITS_MAX).contains(bits))
        .ok_or(Error::GENPASS_BITS)
}

/// A password of at least `bits` bits as hexadecimal digits, made of random bytes; as long as there are bytes for it,
/// which are one for each eight bits.
pub fn password_from(random: &[u8], bits: u32) -> String {
    hex(random, bits.div_ceil(4) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_and_shown() {
        let empty = PasswordHash::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.hex(), text);
        assert_eq!(PasswordHash::parse(text.as_bytes()), Some(empty));
        assert_eq!(PasswordHash::parse(&text.as_bytes()[1..]), None);
        assert_eq!(PasswordHash::parse(text.to_uppercase().as_bytes()), None);
        assert_eq!(PasswordHash::parse(text.replace('e', "g").as_bytes()), None);
        assert_eq!(PasswordHash::parse(b""), None);
        assert!(empty.matches(&empty));
        assert!(!empty.matches(&PasswordHash::of(b"x")));
    }

    #[test]
    fn each_bit_of_a_digest_counts() {
        let hash = PasswordHash::of(b"x");
        for bit in 0..DIGEST_BYTES * 8 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!hash.matches(&other), "bit {bit}");
        }
    }

    #[test]
    fn made_passwords_have_the_digits_that_hold_their_bits() {
        assert_eq!(password_bits(None), Ok(256));
        assert_eq!(password_bits(Some(b"1")), Ok(1));
        assert_eq!(password_bits(Some(b"4096")), Ok(4096));
        for bad in ["0", "-1", "4097", "9223372036854775807"] {
            assert_eq!(
                password_bits(Some(bad.as_bytes())),
                Err(Error::GENPASS_BITS)
            );
        }
        for bad in ["", "x", "1.0", "+1", "01", "9223372036854775808"] {
            assert_eq!(
                password_bits(Some(bad.as_bytes())),
                Err(Error::NOT_AN_INTEGER)
            );
        }
        let random: Vec<u8> = (0..=255).cycle().take(512).collect();
        assert_eq!(password_from(&random, 1), "0");
        assert_eq!(password_from(&random, 4), "0");
        assert_eq!(password_from(&random, 5), "00");
        assert_eq!(password_from(&random, 17), "00010");
        assert_eq!(password_from(&random, 256).len(), 64);
        assert_eq!(password_from(&random, 4096).len(), 1024);
    }
}
