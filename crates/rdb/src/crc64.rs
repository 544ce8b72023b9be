//! CRC-64 as used at the end of RDB files and DUMP payloads (polynomial ad93d23594c935a9, reflected, no
//! initial value and no final inversion).

use crc_fast::{CrcAlgorithm, Digest};

/// A running checksum.
#[derive(Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// A checksum of nothing: zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Redis))
    }

    /// Adds the next bytes. Feed large pieces: a call costs more than a few dozen bytes do.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything added so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crc64({:016x})", self.value())
    }
}

/// The checksum of `bytes` in one step.
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Redis, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm_comes_out() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn pieces_give_the_same_sum_as_the_whole() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i * 7 % 251) as u8).collect();
        for step in [1, 3, 15, 16, 17, 255, 4096] {
            let mut crc = Crc64::new();
            for piece in bytes.chunks(step) {
                crc.update(piece);
            }
            assert_eq!(crc.value(), crc64(&bytes), "in pieces of {step}");
        }
    }
}
