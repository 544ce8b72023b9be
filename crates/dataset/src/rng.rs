//! The engine's random source: seeded by the caller, so that a run can be repeated.

/// A splitmix64 generator. Good for sampling and for random replies; not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A double in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (keyspace::Rng::next_u64(self) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `N` lower-case hexadecimal digits.
    pub fn hex<const N: usize>(&mut self) -> [u8; N] {
        let mut digits = [0; N];
        for digit in &mut digits {
            *digit = b"0123456789abcdef"[(keyspace::Rng::next_u64(self) >> 60) as usize];
        }
        digits
    }
}

impl keyspace::Rng for Random {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
