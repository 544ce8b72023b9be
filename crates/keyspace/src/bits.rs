//! Strings as arrays of bits: bit 0 is the highest bit of the first byte, and behind the end all bits are zero.
//!
//! Counting, searching and combining go by words; the tests compare them with the same a bit at a time.

use crate::vector::widest;

/// Bytes taken at a time.
const WORD: usize = 8;

/// A combination of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOp {
    /// Set in all sources.
    And,
    /// Set in any of them.
    Or,
    /// Set in an odd number of them.
    Xor,
    /// Not set in the first one, which is the only one.
    Not,
}

/// The bit at `at`.
#[must_use]
pub fn get(bytes: &[u8], at: u64) -> bool {
    byte_at(bytes, at / 8) & (0x80 >> (at % 8)) != 0
}

/// Writes the bit at `at`, which lies within the string. The bit that was there before.
pub fn set(bytes: &mut [u8], at: u64, bit: bool) -> bool {
    let old = get(bytes, at);
    let mask = 0x80 >> (at % 8);
    let byte = usize::try_from(at / 8)
        .ok()
        .and_then(|index| bytes.get_mut(index));
    if let Some(byte) = byte {
        *byte = if bit { *byte | mask } else { *byte & !mask };
    }
    old
}

fn byte_at(bytes: &[u8], index: u64) -> u8 {
    usize::try_from(index)
        .ok()
        .and_then(|index| bytes.get(index))
        .copied()
        .unwrap_or(0)
}

widest! {
    /// Number of bits that are set.
    #[must_use]
    pub fn count(bytes: &[u8]) -> u64 = count_plain
}

#[inline(always)]
fn count_plain(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let of_words: u64 = words
        .iter()
        .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()))
        .sum();
    let of_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    of_words + of_rest
}

/// Number of bits set from bit `first` to bit `last`, both within the string.
#[must_use]
pub fn count_range(bytes: &[u8], first: u64, last: u64) -> u64 {
    let Some((part, head, tail)) = span(bytes, first, last) else {
        return 0;
    };
    let outside =
        |byte: Option<&u8>, mask: u8| u64::from((byte.unwrap_or(&0) & !mask).count_ones());
    count(part) - outside(part.first(), head) - outside(part.last(), tail)
}

/// Where the first bit of that kind is; `None` if there is none before the end of the string.
#[must_use]
pub fn find(bytes: &[u8], bit: bool) -> Option<u64> {
    // What holds no such bit.
    let none = if bit { 0 } else { u8::MAX };
    let (words, _) = bytes.as_chunks::<WORD>();
    let dull = words.iter().take_while(|word| **word == [none; WORD]);
    let start = dull.count() * WORD;
    let rest = bytes.get(start..)?;
    let at = rest.iter().position(|byte| *byte != none)?;
    Some((start + at) as u64 * 8 + u64::from((rest[at] ^ none).leading_zeros()))
}

/// As [`find`], from bit `first` to bit `last`, both within the string.
#[must_use]
pub fn find_range(bytes: &[u8], first: u64, last: u64, bit: bool) -> Option<u64> {
    let (part, head, tail) = span(bytes, first, last)?;
    let none = if bit { 0 } else { u8::MAX };
    let wanted = |index: usize, mask: u8| {
        let found = (part[index] ^ none) & mask;
        (found != 0).then(|| index as u64 * 8 + u64::from(found.leading_zeros()))
    };
    let end = part.len() - 1;
    let found = if end == 0 {
        wanted(0, head & tail)
    } else {
        wanted(0, head)
            .or_else(|| find(&part[1..end], bit).map(|at| at + 8))
            .or_else(|| wanted(end, tail))
    };
    found.map(|at| first / 8 * 8 + at)
}

/// The bytes that hold the bits from `first` to `last`, and the masks of those bits in the first and the last of them.
fn span(bytes: &[u8], first: u64, last: u64) -> Option<(&[u8], u8, u8)> {
    let start = usize::try_from(first / 8).ok()?;
    let end = usize::try_from(last / 8).ok()?;
    let part = bytes.get(start..=end)?;
    (!part.is_empty()).then_some((part, 0xff >> (first % 8), 0xff << (7 - last % 8)))
}

widest! {
    /// Makes `result` the sources combined, as long as the longest of them; its buffer is used again if it has room.
    pub fn combine(op: BitOp, sources: &[&[u8]], result: &mut Vec<u8>) = combine_plain
}

#[inline(always)]
fn combine_plain(op: BitOp, sources: &[&[u8]], result: &mut Vec<u8>) {
    match op {
        BitOp::And => combine_with(sources, result, |a, b| a & b, Alone::Zero),
        BitOp::Or => combine_with(sources, result, |a, b| a | b, Alone::Kept),
        BitOp::Xor => combine_with(sources, result, |a, b| a ^ b, Alone::Kept),
        BitOp::Not => {
            result.clear();
            let source = sources.first().copied().unwrap_or_default();
            result.reserve_exact(source.len());
            result.extend(source.iter().map(|byte| !byte));
        }
    }
}

/// What becomes of bytes that the other string does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alone {
    Zero,
    Kept,
}

#[inline(always)]
fn combine_with(
    sources: &[&[u8]],
    result: &mut Vec<u8>,
    op: impl Fn(u8, u8) -> u8 + Copy,
    alone: Alone,
) {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    result.clear();
    result.reserve_exact(len);
    let [first, second, others @ ..] = sources else {
        result.extend_from_slice(sources.first().unwrap_or(&&[][..]));
        return;
    };
    while result.len() < len {
        let start = result.len();
        let end = len.min(start + COMBINE_BYTES);
        // Of the first two a block of the result is made, so that it is written once and never read.
        let (a, b) = (part_of(first, start, end), part_of(second, start, end));
        result.extend(a.iter().zip(b).map(|(a, b)| op(*a, *b)));
        if alone == Alone::Kept {
            let rest = if a.len() > b.len() { a } else { b };
            result.extend_from_slice(&rest[a.len().min(b.len())..]);
        }
        result.resize(end, 0);
        let block = &mut result[start..];
        for other in others {
            let other = part_of(other, start, end);
            for (into, from) in block.iter_mut().zip(other) {
                *into = op(*into, *from);
            }
            if alone == Alone::Zero {
                block[other.len()..].fill(0);
            }
        }
    }
}

/// Bytes of the result that [`combine`] makes at a time: they stay in the cache while one source after the other is merged.
const COMBINE_BYTES: usize = 16 * 1024;

/// `bytes[start..end]`, as far as it is there.
fn part_of(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    &bytes[start.min(bytes.len())..end.min(bytes.len())]
}

/// The `width` bits (at most 64) from bit `at` on as a number.
#[must_use]
pub fn field(bytes: &[u8], at: u64, width: u32) -> u64 {
    let (window, shift) = window(bytes, at, width);
    (window >> shift) as u64 & ones(width)
}

/// Writes the lower `width` bits (at most 64) of `value` from bit `at` on, all within the string.
pub fn set_field(bytes: &mut [u8], at: u64, width: u32, value: u64) {
    let (window, shift) = window(bytes, at, width);
    let mask = u128::from(ones(width)) << shift;
    let new = (window & !mask) | ((u128::from(value) << shift) & mask);
    if let Some(into) = usize::try_from(at / 8)
        .ok()
        .and_then(|start| bytes.get_mut(start..))
    {
        for (into, from) in into.iter_mut().zip(new.to_be_bytes()).take(FIELD_BYTES) {
            *into = from;
        }
    }
}

/// Bytes that a field of 64 bits touches at most.
const FIELD_BYTES: usize = 9;

/// The bytes that a field touches, and how far it is from the lower end.
fn window(bytes: &[u8], at: u64, width: u32) -> (u128, u32) {
    let mut window = [0; 16];
    let from = usize::try_from(at / 8)
        .ok()
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    for (into, from) in window.iter_mut().zip(from).take(FIELD_BYTES) {
        *into = *from;
    }
    (u128::from_be_bytes(window), 128 - (at % 8) as u32 - width)
}

fn ones(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

/// Makes the string at least `len` bytes long, the new ones zero. Whether it has grown.
///
/// A string that grows again and again has some room in advance, but never as much again as it holds: that is for
/// lists of many small things, not for one big one.
pub fn grow(bytes: &mut Vec<u8>, len: usize) -> bool {
    if bytes.len() >= len {
        return false;
    }
    if bytes.capacity() < len {
        let room = len.saturating_add(len.min(ROOM_BYTES_MAX));
        bytes.reserve_exact(room - bytes.len());
    }
    bytes.resize(len, 0);
    true
}

/// Most that [`grow`] reserves in advance.
const ROOM_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that are now dense, now sparse, now all the same.
    fn samples() -> Vec<Vec<u8>> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut samples: Vec<Vec<u8>> = (0..40)
            .chain([127, 128, 129, 255, 256, 300, 1000])
            .map(|len| (0..len).map(|_| next() as u8).collect())
            .collect();
        for len in [1, 7, 8, 9, 24, 130, 400] {
            samples.push(vec![0; len]);
            samples.push(vec![0xff; len]);
            for byte in [0, 0xff] {
                let mut lone = vec![byte; len];
                let at = next() % (len as u64 * 8);
                set(&mut lone, at, byte == 0);
                samples.push(lone);
            }
        }
        samples
    }

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        let text: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        text.chars().map(|digit| digit == '1').collect()
    }

    fn bytes_of(bits: &[bool]) -> Vec<u8> {
        let eights = bits.chunks(8);
        eights
            .map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
            .collect()
    }

    #[test]
    fn counting_and_searching_find_what_a_bit_at_a_time_finds() {
        for bytes in samples() {
            let bits = bits_of(&bytes);
            let plain = |bit: bool| bits.iter().position(|found| *found == bit);
            let set = bits.iter().filter(|bit| **bit).count() as u64;
            assert_eq!((count(&bytes), count_plain(&bytes)), (set, set));
            for bit in [false, true] {
                assert_eq!(find(&bytes, bit), plain(bit).map(|at| at as u64));
            }
            for first in (0..bits.len()).step_by(3) {
                for last in (first..bits.len()).step_by(1 + bits.len() / 20) {
                    let part = &bits[first..=last];
                    let (first, last) = (first as u64, last as u64);
                    let set = part.iter().filter(|bit| **bit).count() as u64;
                    assert_eq!(count_range(&bytes, first, last), set);
                    for bit in [false, true] {
                        let plain = part.iter().position(|found| *found == bit);
                        assert_eq!(
                            find_range(&bytes, first, last, bit),
                            plain.map(|at| first + at as u64),
                            "{bytes:?} {first} {last} {bit}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn combining_does_what_a_bit_at_a_time_does() {
        let mut samples = samples();
        samples.push(vec![0x5a; COMBINE_BYTES * 2 + 3]);
        samples.push(vec![0xc3; COMBINE_BYTES - 1]);
        // One buffer for all of them: what it has held before does not matter.
        let mut result = Vec::new();
        for (at, first) in samples.iter().enumerate() {
            let sources = [first, &samples[at / 2], &samples[samples.len() - 1 - at]];
            let bits: Vec<Vec<bool>> = sources.iter().map(|bytes| bits_of(bytes)).collect();
            let len = bits.iter().map(Vec::len).max().unwrap();
            let sources = sources.map(|bytes| &bytes[..]);
            for op in [BitOp::And, BitOp::Or, BitOp::Xor] {
                let plain: Vec<bool> = (0..len)
                    .map(|at| {
                        let set = bits
                            .iter()
                            .filter(|bits| bits.get(at) == Some(&true))
                            .count();
                        match op {
                            BitOp::And => set == 3,
                            BitOp::Or => set > 0,
                            BitOp::Xor | BitOp::Not => set % 2 == 1,
                        }
                    })
                    .collect();
                let plain = bytes_of(&plain);
                combine(op, &sources, &mut result);
                assert_eq!(result, plain, "{op:?}");
                let mut result = Vec::new();
                combine_plain(op, &sources, &mut result);
                assert_eq!(result, plain, "{op:?}");
                combine(op, &sources[..1], &mut result);
                assert_eq!(result, sources[0], "{op:?}");
            }
            let not: Vec<bool> = bits[0].iter().map(|bit| !bit).collect();
            combine(BitOp::Not, &sources[..1], &mut result);
            assert_eq!(result, bytes_of(&not));
        }
        combine(BitOp::And, &[], &mut result);
        assert_eq!(result, b"");
    }

    #[test]
    fn fields_are_the_bits_they_cover() {
        for bytes in samples() {
            let bits = bits_of(&bytes);
            for at in 0..bits.len().min(140) {
                for width in [1, 2, 7, 8, 9, 31, 63, 64] {
                    let plain = (0..width).fold(0, |value: u64, step| {
                        value << 1 | u64::from(bits.get(at + step) == Some(&true))
                    });
                    assert_eq!(field(&bytes, at as u64, width as u32), plain);
                    if at + width > bits.len() {
                        continue;
                    }
                    let mut written = bytes.clone();
                    let value = plain.rotate_left(3) ^ 0x0123_4567_89ab_cdef;
                    set_field(&mut written, at as u64, width as u32, value);
                    let mut expected = bits.clone();
                    for step in 0..width {
                        expected[at + step] = value >> (width - 1 - step) & 1 == 1;
                    }
                    assert_eq!(bits_of(&written), expected);
                }
            }
        }
    }

    #[test]
    fn single_bits_are_read_and_written() {
        let mut bytes = vec![0, 0b0100_0000];
        assert!(get(&bytes, 9) && !get(&bytes, 8) && !get(&bytes, 16) && !get(&bytes, u64::MAX));
        assert!(!set(&mut bytes, 0, true));
        assert!(set(&mut bytes, 0, true));
        assert!(set(&mut bytes, 9, false));
        assert_eq!(bytes, [0x80, 0]);
    }

    #[test]
    fn growing_fills_with_zeroes_and_reserves_little() {
        let mut bytes = vec![0xff; 3];
        assert!(!grow(&mut bytes, 3));
        assert!(grow(&mut bytes, 5));
        assert_eq!(bytes, [0xff, 0xff, 0xff, 0, 0]);
        let len = 8 * ROOM_BYTES_MAX;
        assert!(grow(&mut bytes, len));
        assert!(bytes.len() == len && bytes.capacity() <= len + 2 * ROOM_BYTES_MAX);
    }
}
