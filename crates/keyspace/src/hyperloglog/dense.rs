//! Registers of 6 bits one after the other, from the low bits of the first byte on: four of them in three bytes.
//!
//! ```text
//! 11000000 22221111 33333322
//! ```
//!
//! Those who need all of them take eight at a time: six bytes are spread over the eight bytes of a word, and a word is
//! treated as eight registers at once.

use super::REGISTERS;
use super::estimate::Histogram;

/// Length of all registers.
pub const BYTES: usize = REGISTERS * 6 / 8;

const EACH_HIGH: u64 = 0x8080_8080_8080_8080;

/// Eight registers of 6 bits, each into a byte.
fn spread(packed: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = packed;
    let x = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    // Halves of 24 bits, quarters of 12, eighths of 6.
    let x = (x & 0x00ff_ffff) | ((x & 0xffff_ff00_0000) << 8);
    let x = (x & 0x0000_0fff_0000_0fff) | ((x & 0x00ff_f000_00ff_f000) << 4);
    (x & 0x003f_003f_003f_003f) | ((x & 0x0fc0_0fc0_0fc0_0fc0) << 2)
}

/// What [`spread`] has spread.
fn gather(x: u64) -> [u8; 6] {
    let x = (x & 0x003f_003f_003f_003f) | ((x >> 2) & 0x0fc0_0fc0_0fc0_0fc0);
    let x = (x & 0x0000_0fff_0000_0fff) | ((x >> 4) & 0x00ff_f000_00ff_f000);
    let x = (x & 0x00ff_ffff) | ((x >> 8) & 0xffff_ff00_0000);
    let [a, b, c, d, e, f, _, _] = x.to_le_bytes();
    [a, b, c, d, e, f]
}

/// The greater one in each byte. Registers leave its top bit free, where the differences borrow from.
fn maximum(a: u64, b: u64) -> u64 {
    let not_less = ((a | EACH_HIGH) - b) & EACH_HIGH;
    let mask = (not_less - (not_less >> 7)) | not_less;
    (a & mask) | (b & !mask)
}

/// The registers in order.
pub fn registers(body: &[u8]) -> impl Iterator<Item = u8> {
    let (words, _) = body.as_chunks::<6>();
    words.iter().flat_map(|word| spread(*word).to_le_bytes())
}

/// Makes a register at least `value`. Whether it was less.
pub(super) fn raise(body: &mut [u8], index: usize, value: u8) -> bool {
    let (at, shift) = (index * 6 / 8, index * 6 % 8);
    let high = body.get(at + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([body[at], high]);
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

pub(super) fn histogram(body: &[u8]) -> Histogram {
    // Neighbours are often the same: counting them in one table would wait for the store before.
    let mut parts = [[0; 64]; 4];
    let (words, _) = body.as_chunks::<6>();
    for word in words {
        let registers = spread(*word).to_le_bytes();
        for (lane, value) in registers.into_iter().enumerate() {
            parts[lane % 4][usize::from(value % 64)] += 1;
        }
    }
    Histogram::sum(&parts)
}

pub(super) fn merge(body: &[u8], maxima: &mut [u8; REGISTERS]) {
    let (words, _) = body.as_chunks::<6>();
    let (eights, _) = maxima.as_chunks_mut::<8>();
    for (word, eight) in words.iter().zip(eights) {
        *eight = maximum(u64::from_le_bytes(*eight), spread(*word)).to_le_bytes();
    }
}

pub(super) fn pack(registers: &[u8; REGISTERS], body: &mut [u8]) {
    let (words, _) = body.as_chunks_mut::<6>();
    let (eights, _) = registers.as_chunks::<8>();
    for (word, eight) in words.iter_mut().zip(eights) {
        *word = gather(u64::from_le_bytes(*eight));
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
