//! Runs the fuzz targets of this crate on mutated seeds, on the stable toolchain.
//!
//! `FUZZ_SECONDS` is the time for each target (default 1), `FUZZ_SEED` repeats a run.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test measures time and prints its seed"
)]

use std::time::{Duration, Instant};

#[path = "../../../fuzz/src/aof.rs"]
#[allow(unreachable_pub, reason = "a library of its own for cargo-fuzz")]
mod targets;

static LOGS: &[&[u8]] = &[
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"#SYNC:0\r\n#TS:1700000000\r\n*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n#SYNC:9\r\n",
    b"*1\r\n$4\r\nPING\r\n\0\0\0\0\0\0\0\0*1\r\n$4\r\nPING\r\n#SYNC:40\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nv",
];

static MANIFESTS: &[&[u8]] = &[
    b"file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n",
    b"# c\nfile \"a b\\x41\\n\" seq 7 type h extra pair\nFILE 'x' SEQ 1 TYPE i\n",
];

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn mutated(seeds: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            2 => bytes.insert(at, b"\r\n*$#0 \0\"\\"[random.below(10)]),
            3 => bytes.truncate(at),
            4 => {
                let other = seeds[random.below(seeds.len())];
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
            _ => bytes
                .splice(at..at, vec![0; random.below(40)])
                .for_each(drop),
        }
    }
    bytes
}

fn smoke(name: &str, run: fn(&[u8]), seeds: &[&[u8]]) {
    let now = Instant::now();
    let seed = setting("FUZZ_SEED", std::process::id().into());
    let seconds = setting("FUZZ_SECONDS", 1);
    let mut random = Random(seed);
    let mut runs = 0u64;
    while now.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..100 {
            let input = mutated(seeds, &mut random);
            let result = std::panic::catch_unwind(|| run(&input));
            assert!(
                result.is_ok(),
                "{name}: FUZZ_SEED={seed} b\"{}\"",
                input.escape_ascii()
            );
            runs += 1;
        }
    }
    println!("{name}: {runs} inputs, FUZZ_SEED={seed}");
}

#[test]
fn manifests_of_any_bytes() {
    smoke("aof_manifest", targets::aof_manifest, MANIFESTS);
}

#[test]
fn logs_of_any_bytes() {
    smoke("aof_log", targets::aof_log, LOGS);
}
