//! Registers of 6 bits one after the other, from the low bits of the first byte on: four of them in three bytes.
//!
//! ```text
//! 11000000 22221111 33333322
//! ```
//!
//! Those who need all of them have the bits of three bytes moved into the four bytes of a word, for as many words at once
//! as the machine's registers hold.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::REGISTERS;
use super::estimate::Histogram;
use crate::vector::widest;

/// Length of all registers.
pub const BYTES: usize = REGISTERS * 6 / 8;

/// Four registers of 6 bits, each into a byte.
#[inline(always)]
fn spread([a, b, c]: [u8; 3]) -> [u8; 4] {
    let x = u32::from_le_bytes([a, b, c, 0]);
    ((x & 0x3f) | ((x << 2) & 0x3f00) | ((x << 4) & 0x003f_0000) | ((x << 6) & 0x3f00_0000))
        .to_le_bytes()
}

/// What [`spread`] has spread.
#[inline(always)]
fn gather(registers: [u8; 4]) -> [u8; 3] {
    let x = u32::from_le_bytes(registers);
    let [a, b, c, _] =
        ((x & 0x3f) | ((x >> 2) & 0x0fc0) | ((x >> 4) & 0x0003_f000) | ((x >> 6) & 0x00fc_0000))
            .to_le_bytes();
    [a, b, c]
}

widest! {
    /// Each register into a byte.
    fn unpack(body: &[u8], registers: &mut [u8; REGISTERS]) = unpack_plain, avx512: avx512::unpack
}

#[inline(always)]
fn unpack_plain(body: &[u8], registers: &mut [u8]) {
    let (threes, _) = body.as_chunks::<3>();
    let (fours, _) = registers.as_chunks_mut::<4>();
    for (three, four) in threes.iter().zip(fours) {
        *four = spread(*three);
    }
}

/// The registers in order.
#[must_use]
pub fn registers(body: &[u8]) -> [u8; REGISTERS] {
    let mut registers = [0; REGISTERS];
    unpack(body, &mut registers);
    registers
}

/// The two bytes that a register lies in, and at which of their bits it begins.
#[inline]
fn place(body: &[u8], index: usize) -> (u16, usize, usize) {
    let (at, shift) = (index * 6 / 8, index * 6 % 8);
    // Of the last register all bits are in the first byte.
    let high = body.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([body[at], high]), at, shift)
}

/// What a register holds.
#[inline]
pub(super) fn register(body: &[u8], index: usize) -> u8 {
    let (both, _, shift) = place(body, index);
    (both >> shift & 0x3f) as u8
}

/// Makes a register at least `value`. Whether it was less.
pub(super) fn raise(body: &mut [u8], index: usize, value: u8) -> bool {
    let (both, at, shift) = place(body, index);
    let value = u16::from(value);
    if (both >> shift) & 0x3f >= value {
        return false;
    }
    let [low, high] = ((both & !(0x3f << shift)) | (value << shift)).to_le_bytes();
    body[at] = low;
    if let Some(byte) = body.get_mut(at + 1) {
        *byte = high;
    }
    true
}

/// How many registers hold each value.
pub(super) fn histogram(body: &[u8]) -> Histogram {
    Histogram::new(counts(&registers(body)))
}

widest! {
    /// How many of the registers, each in a byte, hold each value.
    pub(super) fn counts(registers: &[u8; REGISTERS]) -> [u32; 64] = counts_plain, avx512: avx512::counts
}

#[inline(always)]
pub(super) fn counts_plain(registers: &[u8; REGISTERS]) -> [u32; 64] {
    // Neighbours are counted apart: they often hold the same, and adding to one counter again and again takes longer.
    let mut parts = [[0; 64]; 8];
    let (eights, _) = registers.as_chunks::<8>();
    for eight in eights {
        for (part, value) in parts.iter_mut().zip(eight) {
            part[usize::from(value % 64)] += 1;
        }
    }
    let mut sum = [0; 64];
    for part in &parts {
        for (total, count) in sum.iter_mut().zip(part) {
            *total += count;
        }
    }
    sum
}

widest! {
    /// Raises the maxima to what the registers hold.
    pub(super) fn merge(body: &[u8], maxima: &mut [u8; REGISTERS]) = merge_plain, avx512: avx512::merge
}

/// Registers that are unpacked before they are compared: the compiler sees two simple loops.
const MERGE_REGISTERS: usize = 1024;

#[inline(always)]
pub(super) fn merge_plain(body: &[u8], maxima: &mut [u8; REGISTERS]) {
    let mut registers = [0; MERGE_REGISTERS];
    let (packed, _) = body.as_chunks::<{ MERGE_REGISTERS * 6 / 8 }>();
    let (maxima, _) = maxima.as_chunks_mut::<MERGE_REGISTERS>();
    for (packed, maxima) in packed.iter().zip(maxima) {
        unpack_plain(packed, &mut registers);
        for (maximum, register) in maxima.iter_mut().zip(&registers) {
            *maximum = (*maximum).max(*register);
        }
    }
}

widest! {
    /// Packs the registers again.
    pub(super) fn pack(registers: &[u8; REGISTERS], body: &mut [u8]) = pack_plain, avx512: avx512::pack
}

#[inline(always)]
pub(super) fn pack_plain(registers: &[u8; REGISTERS], body: &mut [u8]) {
    let (threes, _) = body.as_chunks_mut::<3>();
    let (fours, _) = registers.as_chunks::<4>();
    for (three, four) in threes.iter_mut().zip(fours) {
        *three = gather(*four);
    }
}

#[cfg(test)]
pub(super) mod plain {
    //! What the functions above do to words, register by register.

    use super::{Histogram, REGISTERS};

    pub(crate) fn register(body: &[u8], index: usize) -> u8 {
        (0..6)
            .map(|bit| {
                let at = index * 6 + bit;
                ((body[at / 8] >> (at % 8)) & 1) << bit
            })
            .sum()
    }

    pub(crate) fn histogram(body: &[u8]) -> Histogram {
        let mut histogram = Histogram::default();
        for index in 0..REGISTERS {
            histogram.add(register(body, index), 1);
        }
        histogram
    }
}
