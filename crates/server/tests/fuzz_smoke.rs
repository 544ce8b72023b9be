//! Runs every fuzz target on mutated seeds, on the stable toolchain.
//!
//! `FUZZ_SECONDS` is the time for each target, `FUZZ_SEED` repeats a run, `FUZZ_ONLY` names one target. A failing input
//! is printed.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped parts are printed, and waiting for another process takes the real clock"
)]

#[path = "../../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "a library of its own for cargo-fuzz")]
mod targets;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Longest that one input may take, on a machine that has other things to do.
const SLOWEST_MAX: Duration = Duration::from_secs(10);
/// Longest input, in bytes: a dense HyperLogLog fits in.
const INPUT_BYTES_MAX: usize = 16 * 1024;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a target begins with: its own seeds, and the files in its folder of `fuzz/seeds`, if there is one.
fn seeds_of(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = target.seeds.iter().map(|seed| seed.to_vec()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target.name);
    if let Ok(files) = std::fs::read_dir(folder) {
        let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        seeds.extend(
            files
                .iter()
                .map(|file| std::fs::read(file).expect("a readable seed")),
        );
    }
    seeds
}

/// A seed with a few changes, or two seeds with a seam.
fn mutated(seeds: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let seed = |rng: &mut StdRng| {
        let chosen = seeds.choose(rng);
        chosen.expect("every target has seeds").clone()
    };
    let mut input = seed(rng);
    if rng.random_ratio(1, 3) {
        let other = seed(rng);
        let cut = rng.random_range(0..=other.len());
        input.truncate(rng.random_range(0..=input.len()));
        input.extend_from_slice(&other[cut..]);
    }
    for _ in 0..rng.random_range(0..8) {
        let at = rng.random_range(0..=input.len());
        match rng.random_range(0..7) {
            0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
            1 if at < input.len() => input[at] = rng.random(),
            2 if at < input.len() => {
                input[at] = *[0, 1, 0x7f, 0x80, 0xff, b'\r', b'9', b'-']
                    .choose(rng)
                    .expect("some")
            }
            3 => input.insert(at, rng.random()),
            4 => drop(input.drain(at..(at + rng.random_range(0..8)).min(input.len()))),
            5 => {
                let end = (at + rng.random_range(0..32)).min(input.len());
                let copy = input[at..end].to_vec();
                let to = rng.random_range(0..=input.len());
                input.splice(to..to, copy);
            }
            _ => {
                let number: i64 = rng.random::<i64>() >> rng.random_range(0..64);
                input.splice(at..at, number.to_string().into_bytes());
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

#[test]
fn no_input_makes_a_target_panic() {
    let seconds = setting("FUZZ_SECONDS", 2);
    let seed = setting("FUZZ_SEED", rand::random::<u32>().into());
    let only = std::env::var("FUZZ_ONLY").unwrap_or_default();
    println!("FUZZ_SEED={seed} FUZZ_SECONDS={seconds}");
    let mut failures = Vec::new();
    for target in TARGETS
        .iter()
        .filter(|target| only.is_empty() || target.name == only)
    {
        let mut rng = StdRng::seed_from_u64(seed);
        let start = Instant::now();
        let (mut runs, mut slowest) = (0u64, Duration::ZERO);
        let seeds = seeds_of(target);
        let mut whole = seeds.clone().into_iter();
        while start.elapsed() < Duration::from_secs(seconds) {
            let input = whole.next().unwrap_or_else(|| mutated(&seeds, &mut rng));
            let began = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                failures.push(format!("{}: b\"{}\"", target.name, input.escape_ascii()));
                break;
            }
            slowest = slowest.max(began.elapsed());
            runs += 1;
        }
        println!("{}: {runs} inputs, slowest {slowest:?}", target.name);
        if slowest > SLOWEST_MAX {
            failures.push(format!("{}: an input took {slowest:?}", target.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
