//! What the tests of several modules share.

use crate::{Limits, Rng};

/// A small generator with a seed (splitmix64).
pub(crate) struct TestRng(pub(crate) u64);

impl Rng for TestRng {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Thresholds low enough for random operations to cross them often.
pub(crate) fn small_limits() -> Limits {
    Limits {
        hash_max_listpack_entries: 12,
        hash_max_listpack_value: 64,
        set_max_intset_entries: 20,
        set_max_listpack_entries: 12,
        set_max_listpack_value: 64,
        zset_max_listpack_entries: 12,
        zset_max_listpack_value: 64,
        list: crate::ListLimits::default(),
        stream: crate::StreamLimits::default(),
    }
}
