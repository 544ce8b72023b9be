//! The keyed hash of keys, members and fields.
//!
//! SipHash-1-3 with a process-wide secret: a client that cannot learn the secret cannot make keys collide.

use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher13;

// Two independent words rather than a lock: the seed is set once, before the first key is stored.
static SEED: [AtomicU64; 2] = [
    AtomicU64::new(0x9ae1_6a3b_2f90_404f),
    AtomicU64::new(0xc3a5_c85c_97cb_3127),
];

/// Sets the secret of [`hash`]. To be called once at start, before any table holds anything: what was stored under
/// another secret is not found again.
pub fn set_hash_seed(seed: [u8; 16]) {
    let words = u128::from_le_bytes(seed);
    SEED[0].store(words as u64, Ordering::Relaxed);
    SEED[1].store((words >> 64) as u64, Ordering::Relaxed);
}

/// The hash of a byte string under the process's secret.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(
        SEED[0].load(Ordering::Relaxed),
        SEED[1].load(Ordering::Relaxed),
    )
    .hash(bytes)
}
