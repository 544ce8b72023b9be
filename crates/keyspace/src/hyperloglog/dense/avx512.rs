//! Registers 64 at a time, where the machine can move bits and bytes from anywhere in a wide register to anywhere else.
#![allow(unsafe_code, reason = "loads and stores of whole registers")]

use super::REGISTERS;
use std::arch::x86_64::*;

/// Bytes that hold as many registers as a wide register has bytes.
const PACKED: usize = 48;
/// Registers taken at a time.
const LANES: usize = 64;
/// Which bytes of a wide register hold packed ones.
const PACKED_MASK: u64 = (1 << PACKED) - 1;

/// For each byte of the wide register the packed byte that comes there: six to a word, and two that do not matter.
const SPREAD: [u8; LANES] = {
    let mut from = [0; LANES];
    let mut at = 0;
    while at < LANES {
        if at % 8 < 6 {
            from[at] = (at / 8 * 6 + at % 8) as u8;
        }
        at += 1;
    }
    from
};

/// For each byte the bit of its word where its register begins.
const SHIFTS: [u8; LANES] = {
    let mut shifts = [0; LANES];
    let mut at = 0;
    while at < LANES {
        shifts[at] = (at % 8 * 6) as u8;
        at += 1;
    }
    shifts
};

/// For each packed byte where it comes from: the lower three of every four.
const GATHER: [u8; LANES] = {
    let mut from = [0; LANES];
    let mut at = 0;
    while at < PACKED {
        from[at] = (at / 3 * 4 + at % 3) as u8;
        at += 1;
    }
    from
};

/// For each value of a register the bit of its group of eight values.
const GROUPS: [u8; LANES] = {
    let mut groups = [0; LANES];
    let mut value = 0;
    while value < LANES {
        groups[value] = 1 << (value / 8);
        value += 1;
    }
    groups
};

/// For each value of eight its bit, from the lowest on.
const ONE_OF_EIGHT: u64 = 0x8040_2010_0804_0201;

/// Values of a group.
const GROUP: usize = 8;

/// Wide registers that are added up before any of it is counted.
const SUMMED: usize = 16;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; LANES]) -> __m512i {
    // SAFETY: as many bytes as a wide register has.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(bytes: &mut [u8; LANES], lanes: __m512i) {
    // SAFETY: as many bytes as a wide register has.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), lanes) };
}

/// Shows `with` the registers, 64 at a time, each in a byte, and where they belong.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn each_row(
    body: &[u8],
    registers: &mut [u8; REGISTERS],
    with: impl Fn(&mut [u8; LANES], __m512i),
) {
    let (spread, shifts) = (load(&SPREAD), load(&SHIFTS));
    let low_bits = _mm512_set1_epi8(0x3f);
    let (rows, _) = registers.as_chunks_mut::<LANES>();
    let (packed, _) = body.as_chunks::<PACKED>();
    for (at, (row, packed)) in rows.iter_mut().zip(packed).enumerate() {
        let bytes = match body[at * PACKED..].first_chunk() {
            // The bytes behind the packed ones do no harm.
            Some(bytes) => load(bytes),
            // SAFETY: the mask leaves the bytes behind the packed ones alone.
            None => unsafe { _mm512_maskz_loadu_epi8(PACKED_MASK, packed.as_ptr().cast()) },
        };
        let words = _mm512_permutexvar_epi8(spread, bytes);
        let lanes = _mm512_multishift_epi64_epi8(shifts, words);
        with(row, _mm512_and_si512(lanes, low_bits));
    }
}

/// Each register into a byte.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn unpack(body: &[u8], registers: &mut [u8; REGISTERS]) {
    each_row(body, registers, |row, lanes| store(row, lanes));
}

/// Raises the maxima to what the registers hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn merge(body: &[u8], maxima: &mut [u8; REGISTERS]) {
    each_row(body, maxima, |row, lanes| {
        let before = load(row);
        store(row, _mm512_max_epu8(lanes, before));
    });
}

/// Packs the registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn pack(registers: &[u8; REGISTERS], body: &mut [u8]) {
    let gather = load(&GATHER);
    let low_bits = _mm512_set1_epi8(0x3f);
    // Two neighbours to 12 bits, and two of those to 24.
    let (second, upper) = (_mm512_set1_epi16(0x4001), _mm512_set1_epi32(0x1000_0001));
    let (rows, _) = registers.as_chunks::<LANES>();
    let (packed, _) = body.as_chunks_mut::<PACKED>();
    for (row, packed) in rows.iter().zip(packed) {
        let lanes = _mm512_and_si512(load(row), low_bits);
        let fours = _mm512_madd_epi16(_mm512_maddubs_epi16(lanes, second), upper);
        let bytes = _mm512_permutexvar_epi8(gather, fours);
        // SAFETY: the mask leaves the bytes behind the packed ones alone.
        unsafe { _mm512_mask_storeu_epi8(packed.as_mut_ptr().cast(), PACKED_MASK, bytes) };
    }
}

/// How many registers hold each value.
///
/// Of a group of eight values each becomes a bit of the register's byte, and the same bit of many bytes is added up as a
/// number that lies across several wide registers, one for each digit. Most groups have no values at all.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
pub(super) fn counts(registers: &[u8; REGISTERS]) -> [u32; 64] {
    let (rows, _) = registers.as_chunks::<LANES>();
    let groups = load(&GROUPS);
    let mut found = _mm512_setzero_si512();
    for row in rows {
        found = _mm512_or_si512(found, _mm512_permutexvar_epi8(load(row), groups));
    }
    let found = _mm512_reduce_or_epi64(found).to_ne_bytes();
    let found = found.iter().fold(0, |all, byte| all | byte);
    let mut counts = [0; 64];
    let (parts, _) = counts.as_chunks_mut::<GROUP>();
    for (group, counts) in parts.iter_mut().enumerate() {
        if found >> group & 1 == 1 {
            *counts = counts_of_group(rows, group);
        }
    }
    counts
}

/// How many registers hold each value of a group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
fn counts_of_group(rows: &[[u8; LANES]], group: usize) -> [u32; GROUP] {
    let bit_of = _mm512_maskz_set1_epi64(1 << group, ONE_OF_EIGHT.cast_signed());
    let mut counts = [0; GROUP];
    let mut count = |digit: __m512i, worth: u32| {
        for (bit, count) in counts.iter_mut().enumerate() {
            let bit = _mm512_set1_epi8((1_u8 << bit).cast_signed());
            *count += worth * _mm512_test_epi8_mask(digit, bit).count_ones();
        }
    };
    let zero = _mm512_setzero_si512();
    let (mut ones, mut twos, mut fours, mut eights) = (zero, zero, zero, zero);
    let (blocks, _) = rows.as_chunks::<SUMMED>();
    for block in blocks {
        let bits = |at: usize| _mm512_permutexvar_epi8(load(&block[at]), bit_of);
        let mut carries = [zero; 2];
        for (half, carry) in carries.iter_mut().enumerate() {
            let mut fours_of = [zero; 2];
            for (quarter, carry) in fours_of.iter_mut().enumerate() {
                let at = half * 8 + quarter * 4;
                let (sum, first) = add(ones, bits(at), bits(at + 1));
                let (sum, second) = add(sum, bits(at + 2), bits(at + 3));
                ones = sum;
                (twos, *carry) = add(twos, first, second);
            }
            (fours, *carry) = add(fours, fours_of[0], fours_of[1]);
        }
        let sixteens;
        (eights, sixteens) = add(eights, carries[0], carries[1]);
        count(sixteens, 16);
    }
    for (digit, worth) in [(ones, 1), (twos, 2), (fours, 4), (eights, 8)] {
        count(digit, worth);
    }
    counts
}

/// Adds three bits in each place: the sum, and what is carried.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i, c: __m512i) -> (__m512i, __m512i) {
    (
        _mm512_ternarylogic_epi64::<0x96>(a, b, c),
        _mm512_ternarylogic_epi64::<0xe8>(a, b, c),
    )
}
