//! LZF, the compression of strings inside an RDB file.
//!
//! ```text
//! 000LLLLL + L+1 bytes            literals, 1 to 32
//! LLLooooo oooooooo               copy L+2 bytes (L = 1..=6) from o+1 bytes back
//! 111ooooo LLLLLLLL oooooooo      copy L+9 bytes
//! ```
//!
//! Source: the format of liblzf, by Marc Lehmann. A compressor may choose other matches than liblzf does;
//! any decompressor reads the result.

use crate::limits::{LZF_EXPANSION_MAX, LZF_EXPANSION_SLACK, LZF_SAVING_MIN, RESERVE_AHEAD_BYTES};

/// Farthest a copy can reach back, in bytes: 13 bits.
const DISTANCE_MAX: usize = 1 << 13;
/// Shortest and longest copy, in bytes.
const MATCH_MIN: usize = 3;
const MATCH_MAX: usize = 264;
/// Longest run of literals, in bytes.
const LITERALS_MAX: usize = 32;
/// Copies of at least this many bytes, less two, carry an extra length byte.
const LONG_LENGTH: usize = 7;
/// Slots of the table: 32 KiB, which stays in the first-level cache.
const SLOT_BITS: u32 = 13;
const SLOTS: usize = 1 << SLOT_BITS;
/// Literals after which the search skips one byte more each time, as powers of two: soon at first, since short strings
/// without repeats are common, and slowly beyond the first [`SKIP_SOON_MAX`], since a repeat may come late.
const SKIP_SOON_SHIFT: usize = 5;
const SKIP_SOON_MAX: usize = 4;
const SKIP_SHIFT: usize = 7;

/// A compressor with its table, to be used for many strings.
#[derive(Debug)]
pub struct Compressor {
    /// `slots[h]` is `base` + the last position whose three bytes hash to `h`. Values below `base` are
    /// left over from earlier inputs and mean "none"; so nothing is cleared between two inputs.
    slots: Box<[u32; SLOTS]>,
    base: u32,
    out: Vec<u8>,
}

impl Compressor {
    /// A compressor; allocates its 32 KiB table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Box::new([0; SLOTS]),
            base: 1,
            out: Vec::new(),
        }
    }

    /// Compresses `input`; `None` when that would not save [`LZF_SAVING_MIN`] bytes. The result depends
    /// on `input` alone and lives until the next call.
    pub fn compress(&mut self, input: &[u8]) -> Option<&[u8]> {
        let size_max = input.len().checked_sub(LZF_SAVING_MIN)?;
        let length = u32::try_from(input.len()).ok()?;
        if self.base.checked_add(length).is_none() {
            self.slots.fill(0);
            self.base = 1;
            self.base.checked_add(length)?;
        }
        self.out.clear();
        if self.out.capacity() > RESERVE_AHEAD_BYTES {
            self.out = Vec::new();
        }
        let fits = self.run(input, size_max);
        self.base = self.base.saturating_add(length);
        fits.then_some(self.out.as_slice())
    }

    fn run(&mut self, input: &[u8], size_max: usize) -> bool {
        let base = self.base;
        let mut literals_from = 0usize;
        let mut at = 0usize;
        while let Some(here) = three_bytes(input, at) {
            let Some(slot) = self.slots.get_mut(slot_of(here)) else {
                return false;
            };
            // A left-over entry gives a number near 2^32, and so a distance far out of range.
            let candidate = slot.wrapping_sub(base) as usize;
            *slot = base.wrapping_add(at as u32);
            let distance = at.wrapping_sub(candidate).wrapping_sub(1);
            if distance >= DISTANCE_MAX || three_bytes(input, candidate) != Some(here) {
                let run = at.wrapping_sub(literals_from);
                at = at.wrapping_add(1).wrapping_add(skip_after(run));
                continue;
            }
            let length = MATCH_MIN.saturating_add(common_prefix(
                input
                    .get(candidate.wrapping_add(MATCH_MIN)..)
                    .unwrap_or_default(),
                input.get(at.wrapping_add(MATCH_MIN)..).unwrap_or_default(),
            ));
            self.put_literals(input.get(literals_from..at).unwrap_or_default());
            self.put_copy(distance, length);
            if self.out.len() > size_max {
                return false;
            }
            let end = at.wrapping_add(length);
            // Remember the copy's second position and its last: most of the gain of remembering all.
            for position in [at.wrapping_add(1), end.wrapping_sub(1)] {
                if let Some(bytes) = three_bytes(input, position)
                    && let Some(slot) = self.slots.get_mut(slot_of(bytes))
                {
                    *slot = base.wrapping_add(position as u32);
                }
            }
            at = end;
            literals_from = end;
        }
        let rest = input.get(literals_from..).unwrap_or_default();
        if self.out.len().saturating_add(rest.len()) > size_max {
            return false;
        }
        self.put_literals(rest);
        self.out.len() <= size_max
    }

    fn put_literals(&mut self, literals: &[u8]) {
        for run in literals.chunks(LITERALS_MAX) {
            self.out.push(run.len().wrapping_sub(1) as u8);
            self.out.extend_from_slice(run);
        }
    }

    fn put_copy(&mut self, distance: usize, length: usize) {
        let length = length.wrapping_sub(2);
        let high = (distance >> 8) as u8;
        let low = distance as u8;
        if length < LONG_LENGTH {
            self.out
                .extend_from_slice(&[((length as u8) << 5) | high, low]);
        } else {
            let more = length.wrapping_sub(LONG_LENGTH) as u8;
            self.out.extend_from_slice(&[0xE0 | high, more, low]);
        }
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes to skip after so many literals.
#[inline]
fn skip_after(literals: usize) -> usize {
    let soon = (literals >> SKIP_SOON_SHIFT).min(SKIP_SOON_MAX);
    soon.wrapping_add(literals >> SKIP_SHIFT)
}

/// The three bytes at `at`. It loads four, so the last three bytes of an input are never matched.
#[inline]
fn three_bytes(input: &[u8], at: usize) -> Option<u32> {
    let bytes = input.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes) & 0x00FF_FFFF)
}

#[inline]
fn slot_of(three: u32) -> usize {
    (three.wrapping_mul(0x9E37_79B1) >> (32 - SLOT_BITS)) as usize
}

/// How many bytes are equal at the start, up to what a copy can hold beyond its minimum.
#[inline]
fn common_prefix(older: &[u8], newer: &[u8]) -> usize {
    const EXTRA_MAX: usize = MATCH_MAX - MATCH_MIN;
    let newer = newer.get(..EXTRA_MAX).unwrap_or(newer);
    let mut same = 0usize;
    let (older_words, _) = older.as_chunks::<8>();
    let (newer_words, _) = newer.as_chunks::<8>();
    for (a, b) in older_words.iter().zip(newer_words) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return same.wrapping_add((difference.trailing_zeros() >> 3) as usize);
        }
        same = same.wrapping_add(8);
    }
    let tail = older
        .get(same..)
        .unwrap_or_default()
        .iter()
        .zip(newer.get(same..).unwrap_or_default());
    same.wrapping_add(tail.take_while(|(a, b)| a == b).count())
}

/// Input that is no LZF, or does not give the declared size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Whether `compressed` bytes may declare to become `declared` bytes.
#[must_use]
pub fn expansion_allowed(compressed: u64, declared: u64) -> bool {
    declared
        <= compressed
            .saturating_mul(LZF_EXPANSION_MAX)
            .saturating_add(LZF_EXPANSION_SLACK)
}

/// Appends to `out` what `input` expands to: exactly `size` bytes.
///
/// # Errors
/// [`Malformed`] when a copy reaches before the start, the input ends inside an item, or the result has
/// another size. `out` then holds an unspecified part of the result.
pub fn decompress(input: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    if !expansion_allowed(input.len() as u64, size as u64) {
        return Err(Malformed);
    }
    let start = out.len();
    let end = start.checked_add(size).ok_or(Malformed)?;
    out.reserve(size.min(RESERVE_AHEAD_BYTES));
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        if usize::from(control) < LITERALS_MAX {
            let count = usize::from(control).wrapping_add(1);
            let (literals, after) = after.split_at_checked(count).ok_or(Malformed)?;
            if end.saturating_sub(out.len()) < count {
                return Err(Malformed);
            }
            out.extend_from_slice(literals);
            rest = after;
            continue;
        }
        let mut length = usize::from(control >> 5);
        let mut after = after;
        if length == LONG_LENGTH {
            let (&more, next) = after.split_first().ok_or(Malformed)?;
            length = length.wrapping_add(usize::from(more));
            after = next;
        }
        let (&low, next) = after.split_first().ok_or(Malformed)?;
        rest = next;
        let length = length.wrapping_add(2);
        let back = ((usize::from(control & 0x1F) << 8) | usize::from(low)).wrapping_add(1);
        let written = out.len();
        let from = written.checked_sub(back).ok_or(Malformed)?;
        if from < start || end.saturating_sub(written) < length {
            return Err(Malformed);
        }
        copy_within(out, from, back, length);
    }
    if out.len() == end {
        Ok(())
    } else {
        Err(Malformed)
    }
}

/// Appends `length` bytes beginning at `from`, which is `back` bytes before the end. The copy may run into
/// the bytes that it writes: "abab" from "ab".
#[inline]
fn copy_within(out: &mut Vec<u8>, from: usize, back: usize, length: usize) {
    let mut left = length;
    let mut span = back;
    while left > 0 {
        let piece = left.min(span);
        out.extend_from_within(from..from.wrapping_add(piece));
        left = left.wrapping_sub(piece);
        // All that was written so far repeats with the same period.
        span = span.wrapping_add(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expand(input: &[u8], size: usize) -> Result<Vec<u8>, Malformed> {
        let mut out = b"before".to_vec();
        decompress(input, size, &mut out)?;
        assert!(out.starts_with(b"before"));
        Ok(out.split_off(6))
    }

    #[test]
    fn repetition_shrinks_and_comes_back() {
        let mut compressor = Compressor::new();
        for size in [5, 10, 21, 264, 265, 300, 8192, 8193, 100_000] {
            let input = vec![b'a'; size];
            let Some(packed) = compressor.compress(&input) else {
                assert!(size < 10);
                continue;
            };
            assert!(packed.len() + LZF_SAVING_MIN <= size);
            assert_eq!(expand(packed, size), Ok(input));
        }
    }

    #[test]
    fn noise_and_short_inputs_are_left_alone() {
        let mut compressor = Compressor::new();
        assert!(compressor.compress(b"").is_none());
        assert!(compressor.compress(b"abc").is_none());
        let noise: Vec<u8> = (0..1000u64)
            .map(|i| ((i * i * i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
            .collect();
        assert!(compressor.compress(&noise).is_none());
    }

    /// Bytes without repetition worth a copy.
    fn noise(length: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_repeats_out_of_reach_is_no_copy_and_comes_back() {
        // A distance has 13 bits: one more byte, and it would be another distance, or another length.
        let mut compressor = Compressor::new();
        // So long that a search which skips meets it.
        let piece = noise(4000, 1);
        let near = DISTANCE_MAX - 40..DISTANCE_MAX + 40;
        let far = (1..9).map(|times| times * DISTANCE_MAX + 7);
        for distance in near.chain(far) {
            let between = noise(distance - piece.len(), 2);
            let input = [&piece[..], &between, &piece].concat();
            let packed = compressor.compress(&input);
            assert_eq!(packed.is_some(), distance <= DISTANCE_MAX, "{distance}");
            // With something near as well there is always a result.
            let input = [&input[..], &[7; 2000], &piece, &piece].concat();
            let packed = compressor.compress(&input).unwrap();
            assert_eq!(expand(packed, input.len()), Ok(input), "{distance}");
        }
    }

    #[test]
    fn the_table_survives_the_end_of_its_numbers() {
        let mut compressor = Compressor::new();
        let input = b"abcabcabcabcabcabcabcabcabcabc";
        let expected = compressor.compress(input).unwrap().to_vec();
        compressor.base = u32::MAX - 10;
        assert_eq!(compressor.compress(input).unwrap(), expected);
        assert!(compressor.base < 100);
    }

    #[test]
    fn a_hand_made_stream_expands() {
        assert_eq!(
            expand(&[2, b'a', b'b', b'c', 0x40, 2], 7),
            Ok(b"abcabca".to_vec())
        );
        assert_eq!(expand(&[0, b'x', 0xE0, 1, 0], 11), Ok(vec![b'x'; 11]));
    }

    #[test]
    fn malformed_streams_are_refused() {
        for (input, size) in [
            (&[5u8, b'a'][..], 6),        // literals cut
            (&[0x20][..], 3),             // copy cut
            (&[0xE0][..], 9),             // length cut
            (&[0xE0, 1][..], 9),          // offset cut
            (&[0x20, 0][..], 3),          // before the start
            (&[0, b'a', 0x20, 1][..], 4), // before the start
            (&[0, b'a', 0x20, 0][..], 3), // longer than declared
            (&[0, b'a', 0x20, 0][..], 5), // shorter than declared
            (&[1, b'a', b'b'][..], 1),    // literals longer than declared
            (&[][..], 1),
            (&[0, b'a'][..], 1 << 30), // expands too far
        ] {
            assert_eq!(expand(input, size), Err(Malformed), "{input:?} {size}");
        }
        assert_eq!(expand(&[], 0), Ok(vec![]));
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        // Few symbols and repeated pieces, so that copies of all kinds come up.
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(0u8..3, 0..20_000),
            (prop::collection::vec(any::<u8>(), 1..700), 1usize..40)
                .prop_map(|(piece, times)| piece.repeat(times)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn what_is_compressed_comes_back(inputs in prop::collection::vec(text(), 1..4)) {
            let mut compressor = Compressor::new();
            for input in inputs {
                let fresh = Compressor::new().compress(&input).map(<[u8]>::to_vec);
                let packed = compressor.compress(&input);
                prop_assert_eq!(packed, fresh.as_deref());
                if let Some(packed) = packed {
                    prop_assert!(packed.len() + LZF_SAVING_MIN <= input.len());
                    prop_assert_eq!(expand(packed, input.len()), Ok(input));
                }
            }
        }

        #[test]
        fn any_input_is_refused_or_gives_the_declared_size(
            input in prop::collection::vec(any::<u8>(), 0..300),
            size in 0usize..2000,
        ) {
            if let Ok(out) = expand(&input, size) {
                prop_assert_eq!(out.len(), size);
            }
        }
    }
}
