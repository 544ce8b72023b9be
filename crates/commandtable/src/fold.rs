//! Command names as two machine words.
//!
//! `build.rs` compiles this file too: the hash that chose the slots of the table must be the hash
//! that looks names up in it.

/// A name in lower case, as far as two words hold it: its first eight and its last eight bytes,
/// which overlap in names shorter than sixteen. With the length they tell names of up to sixteen
/// bytes apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Folded {
    first: u64,
    last: u64,
}

impl Folded {
    /// Folds a name.
    #[inline]
    pub(crate) const fn new(name: &[u8]) -> Self {
        let (first, last) = if let (Some(first), Some(last)) =
            (name.first_chunk::<8>(), name.last_chunk::<8>())
        {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>())
        {
            (
                u32::from_le_bytes(*first) as u64,
                u32::from_le_bytes(*last) as u64,
            )
        } else {
            match *name {
                [a, b, c] => (u32::from_le_bytes([a, b, c, 0]) as u64, 3),
                [a, b] => (u16::from_le_bytes([a, b]) as u64, 2),
                [a] => (a as u64, 1),
                _ => (0, 0),
            }
        };
        Self {
            first: lower(first),
            last: lower(last),
        }
    }

    /// The slot of the name in a table of `1 << bits` slots.
    #[inline]
    pub(crate) const fn slot(self, factors: [u64; 2], bits: u32) -> usize {
        let mixed = self.first.wrapping_mul(factors[0])
            ^ self.last.wrapping_mul(factors[1]).rotate_left(23);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize
    }
}

/// Lower-cases the ASCII letters among eight bytes at once.
///
/// With the high bit of every byte cleared, adding `0x80 - 'A'` sets it for bytes from `A` on, and
/// adding `0x80 - 'Z' - 1` for bytes beyond `Z`; no sum carries into the next byte. Where only the
/// first is set the byte is a capital, unless its own high bit says that it is no ASCII.
#[inline]
const fn lower(word: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & !HIGH;
    let from_a = low + (0x80 - b'A' as u64) * ONES;
    let beyond_z = low + (0x80 - b'Z' as u64 - 1) * ONES;
    let capital = from_a & !beyond_z & !word & HIGH;
    word | (capital >> 2)
}
