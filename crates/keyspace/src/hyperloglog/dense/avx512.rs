//! Merging 64 registers at a time, where the machine can move bits from anywhere in a word to each of its bytes.
#![allow(unsafe_code, reason = "loads and stores of whole registers")]

use super::REGISTERS;
use std::arch::x86_64::*;

/// Bytes that hold as many registers as a wide register has bytes.
const PACKED: usize = 48;
/// Registers taken at a time.
const LANES: usize = 64;

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

/// Raises the maxima to what the registers hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn merge(body: &[u8], maxima: &mut [u8; REGISTERS]) {
    // SAFETY: both have as many bytes as a wide register.
    let (spread, shifts) = unsafe {
        (
            _mm512_loadu_si512(SPREAD.as_ptr().cast()),
            _mm512_loadu_si512(SHIFTS.as_ptr().cast()),
        )
    };
    let low_bits = _mm512_set1_epi8(0x3f);
    let (packed, _) = body.as_chunks::<PACKED>();
    let (maxima, _) = maxima.as_chunks_mut::<LANES>();
    for (packed, maxima) in packed.iter().zip(maxima) {
        // SAFETY: the mask leaves the bytes behind the packed ones alone; `maxima` has as many as a wide register.
        let (bytes, before) = unsafe {
            (
                _mm512_maskz_loadu_epi8((1 << PACKED) - 1, packed.as_ptr().cast()),
                _mm512_loadu_si512(maxima.as_ptr().cast()),
            )
        };
        let words = _mm512_permutexvar_epi8(spread, bytes);
        let registers = _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, words), low_bits);
        // SAFETY: as above.
        unsafe {
            _mm512_storeu_si512(
                maxima.as_mut_ptr().cast(),
                _mm512_max_epu8(registers, before),
            );
        }
    }
}
