//! The encodings of one listpack entry.
//!
//! ```text
//! entry = payload | back-length
//!
//! first byte   payload
//! 0xxxxxxx     integer 0..=127
//! 10llllll     string of l < 64 bytes, then the bytes
//! 110xxxxx     13-bit two's complement integer, high bits first; one more byte
//! 1110llll     string of l < 4096 bytes, high bits first; one more length byte, then the bytes
//! 11110000     string; 4 length bytes (LE), then the bytes
//! 11110001     integer of 2 bytes (LE)
//! 11110010     integer of 3 bytes (LE)
//! 11110011     integer of 4 bytes (LE)
//! 11110100     integer of 8 bytes (LE)
//! 11111111     terminator, not an entry
//!
//! back-length: length of the payload, 7 bits per byte, most significant first; every byte but the first
//! has its high bit set, so that it can be read from its end.
//! ```

use crate::element::Element;
use words::int::parse_i64;

/// First byte of a string with a 4-byte length.
const STR_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_24: u8 = 0xF2;
const INT_32: u8 = 0xF3;
const INT_64: u8 = 0xF4;
/// The byte behind the last entry.
pub(super) const TERMINATOR: u8 = 0xFF;

/// Longest payload whose back-length takes 1, 2, 3 and 4 bytes. The reference leaves the largest value of
/// all but the first class to the next one; bytes only agree when we do the same.
const BACK_LEN_MAX: [usize; 4] = [127, 16_382, 2_097_150, 268_435_454];
/// Bytes of the longest back-length.
pub(super) const BACK_LEN_BYTES_MAX: usize = 5;

/// A payload about to be written: a head of a few bytes, then the bytes of a string.
pub(super) struct Payload<'a> {
    head: [u8; 9],
    head_len: u8,
    body: &'a [u8],
}

impl<'a> Payload<'a> {
    /// The encoding of `value`: as an integer where that loses nothing, else as a string.
    #[inline]
    pub(super) fn new(value: &'a [u8]) -> Self {
        match parse_i64(value) {
            Some(int) => Self::int(int),
            None => Self::string(value),
        }
    }

    pub(super) fn int(value: i64) -> Self {
        let mut head = [0; 9];
        let le = value.to_le_bytes();
        let head_len = if (0..=127).contains(&value) {
            head[0] = le[0];
            1
        } else if (-4096..=4095).contains(&value) {
            head[0] = 0xC0 | (le[1] & 0x1F);
            head[1] = le[0];
            2
        } else {
            let (tag, width) = match value {
                -0x8000..=0x7FFF => (INT_16, 2),
                -0x80_0000..=0x7F_FFFF => (INT_24, 3),
                -0x8000_0000..=0x7FFF_FFFF => (INT_32, 4),
                _ => (INT_64, 8),
            };
            head[0] = tag;
            head[1..9].copy_from_slice(&le);
            1 + width
        };
        Self {
            head,
            head_len,
            body: &[],
        }
    }

    fn string(body: &'a [u8]) -> Self {
        let mut head = [0; 9];
        let len = body.len();
        let head_len = if len < 64 {
            head[0] = 0x80 | len as u8;
            1
        } else if len < 4096 {
            head[0] = 0xE0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else {
            let len = u32::try_from(len).expect("an element is shorter than 4 GiB");
            head[0] = STR_32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        };
        Self {
            head,
            head_len,
            body,
        }
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    pub(super) fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Bytes of the payload.
    pub(super) fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }

    /// Bytes of the whole entry.
    pub(super) fn entry_len(&self) -> usize {
        self.len() + back_len_bytes(self.len())
    }

    /// Writes the entry into `out`, which has exactly its length.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        // The usual entry of all: a short string, with one byte before it and one behind.
        if self.head_len == 1
            && self.body.len() < 64
            && let [head, body @ .., back] = out
        {
            *head = self.head[0];
            body.copy_from_slice(self.body);
            *back = self.len() as u8;
            return;
        }
        let (head, rest) = out.split_at_mut(usize::from(self.head_len));
        head.copy_from_slice(self.head());
        let (body, back) = rest.split_at_mut(self.body.len());
        body.copy_from_slice(self.body);
        back.copy_from_slice(BackLen::new(self.len()).as_bytes());
    }
}

/// The encoded length of a payload.
pub(super) struct BackLen {
    bytes: [u8; BACK_LEN_BYTES_MAX],
    len: usize,
}

impl BackLen {
    #[inline]
    pub(super) fn new(payload: usize) -> Self {
        let mut bytes = [0; BACK_LEN_BYTES_MAX];
        let len = back_len_bytes(payload);
        if len == 1 {
            bytes[0] = payload as u8;
        } else {
            for (i, byte) in bytes[..len].iter_mut().rev().enumerate() {
                *byte = 0x80 | (payload >> (7 * i)) as u8;
            }
            bytes[0] &= 0x7F;
        }
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Bytes of the back-length of a payload of so many bytes.
#[inline]
pub(super) fn back_len_bytes(payload: usize) -> usize {
    if payload <= BACK_LEN_MAX[0] {
        1
    } else {
        1 + BACK_LEN_MAX.iter().filter(|&&max| payload > max).count()
    }
}

/// Reads the back-length that ends just before `end`; gives the length of the payload before it.
#[inline]
pub(super) fn read_back_len(bytes: &[u8], end: usize) -> usize {
    let last = bytes[end - 1];
    if last & 0x80 == 0 {
        return usize::from(last);
    }
    let mut value = 0;
    for i in 0..BACK_LEN_BYTES_MAX {
        let byte = bytes[end - 1 - i];
        value |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Bytes of the payload that starts at `at`. The bytes are known to be valid.
#[inline]
pub(super) fn payload_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        0..=0x7F => 1,
        tag @ 0x80..=0xBF => 1 + usize::from(tag & 0x3F),
        0xC0..=0xDF => 2,
        tag @ 0xE0..=0xEF => 2 + (usize::from(tag & 0x0F) << 8 | usize::from(bytes[at + 1])),
        STR_32 => 5 + read_u32(bytes, at + 1) as usize,
        INT_16 => 3,
        INT_24 => 4,
        INT_32 => 5,
        _ => 9,
    }
}

/// As [`payload_len`] for bytes nobody has checked: `None` when the encoding is unknown or the payload does
/// not end before the end of `bytes`.
pub(super) fn payload_len_checked(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let head = match *rest.first()? {
        0..=0xDF | INT_16..=INT_64 => 1,
        0xE0..=0xEF => 2,
        STR_32 => 5,
        _ => return None,
    };
    if rest.len() < head {
        return None;
    }
    let len = payload_len(bytes, at);
    (len < rest.len()).then_some(len)
}

/// The element at `at`, and the bytes of its payload.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> (Element<'_>, usize) {
    let tag = bytes[at];
    match tag {
        0..=0x7F => (Element::Int(i64::from(tag)), 1),
        0x80..=0xBF => string(bytes, at + 1, usize::from(tag & 0x3F), 1),
        0xC0..=0xDF => {
            let raw = u16::from(tag & 0x1F) << 8 | u16::from(bytes[at + 1]);
            // 13 bits to the top of the word and back: the shift copies the sign.
            (Element::Int(i64::from((raw << 3) as i16 >> 3)), 2)
        }
        0xE0..=0xEF => {
            let len = usize::from(tag & 0x0F) << 8 | usize::from(bytes[at + 1]);
            string(bytes, at + 2, len, 2)
        }
        STR_32 => string(bytes, at + 5, read_u32(bytes, at + 1) as usize, 5),
        INT_16 => (Element::Int(int_le(&bytes[at + 1..at + 3])), 3),
        INT_24 => (Element::Int(int_le(&bytes[at + 1..at + 4])), 4),
        INT_32 => (Element::Int(int_le(&bytes[at + 1..at + 5])), 5),
        _ => (Element::Int(int_le(&bytes[at + 1..at + 9])), 9),
    }
}

/// The string of fewer than 64 bytes at `at`, one byte behind which its entry ends; `None` for other elements.
#[inline]
pub(super) fn short_string(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = &bytes[at..];
    let tag = rest[0];
    if tag & 0xC0 != 0x80 {
        return None;
    }
    Some(&rest[1..1 + usize::from(tag & 0x3F)])
}

#[inline]
fn string(bytes: &[u8], start: usize, len: usize, head: usize) -> (Element<'_>, usize) {
    (Element::Bytes(&bytes[start..start + len]), head + len)
}

/// A little-endian two's complement integer of 1 to 8 bytes.
#[inline]
fn int_le(bytes: &[u8]) -> i64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let unused = 64 - 8 * bytes.len() as u32;
    i64::from_le_bytes(word) << unused >> unused
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_lengths_read_back_from_their_end() {
        for len in [
            1,
            127,
            128,
            16_382,
            16_383,
            16_384,
            2_097_150,
            2_097_151,
            268_435_454,
            268_435_455,
            1 << 31,
        ] {
            let back = BackLen::new(len);
            assert_eq!(read_back_len(back.as_bytes(), back.as_bytes().len()), len);
        }
    }

    #[test]
    fn back_lengths_are_the_references_bytes() {
        // Read from DUMP of lists with one element of 16377 and 16378 bytes.
        assert_eq!(BackLen::new(16_382).as_bytes(), [0x7F, 0xFE]);
        assert_eq!(BackLen::new(16_383).as_bytes(), [0x00, 0xFF, 0xFF]);
        assert_eq!(BackLen::new(16_384).as_bytes(), [0x01, 0x80, 0x80]);
    }

    #[test]
    fn integers_survive_every_width() {
        for shift in 0..64 {
            for delta in -2..=2i64 {
                for sign in [1, -1] {
                    let value = (1i64 << shift).wrapping_mul(sign).wrapping_add(delta);
                    let payload = Payload::int(value);
                    let mut out = vec![0; payload.entry_len()];
                    payload.write(&mut out);
                    assert!(
                        matches!(decode(&out, 0), (Element::Int(v), n) if v == value && n == payload.len())
                    );
                    assert_eq!(payload_len_checked(&out, 0), Some(payload.len()));
                }
            }
        }
    }
}
