//! Runs the fuzz target `acl_rules` on mutated seeds, on the stable toolchain.
//!
//! `FUZZ_SECONDS` is the time, `FUZZ_SEED` repeats a run. A failing input is printed.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds are printed, and the time is measured"
)]

#[path = "../../../fuzz/src/acl_rules.rs"]
#[allow(unreachable_pub, reason = "a library of its own for cargo-fuzz")]
mod acl_rules;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Words that get past the first byte of a rule.
const WORDS: &[&[u8]] = &[
    b"+",
    b"-",
    b"@",
    b"|",
    b"~",
    b"%R~",
    b"%W~",
    b"&",
    b"(",
    b")",
    b"\"",
    b"'",
    b"\\",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\0",
    b"*",
    b"user ",
    b"default",
    b"+@all",
    b"-@all",
    b"get",
    b"config|",
    b"select|",
    b"#",
    b"<",
    b">",
    b"!",
    b"\xff",
    b"resetchannels",
    b"allkeys",
];

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Parts of two seeds with words in between.
fn mutated(rng: &mut StdRng) -> Vec<u8> {
    let mut part = |from_start: bool| {
        let seed = *acl_rules::SEEDS.choose(rng).expect("seeds");
        let cut = rng.random_range(0..=seed.len());
        if from_start {
            &seed[..cut]
        } else {
            &seed[cut..]
        }
    };
    let mut input = [part(true), part(false)].concat();
    for _ in 0..rng.random_range(0..8) {
        let at = rng.random_range(0..=input.len());
        let end = (at + rng.random_range(0..6)).min(input.len());
        let word = *WORDS.choose(rng).expect("words");
        let removed = if rng.random() { at..end } else { at..at };
        input.splice(removed, word.iter().copied());
    }
    input
}

#[test]
fn no_input_breaks_the_rules() {
    let seed = setting("FUZZ_SEED", rand::rng().random());
    println!("FUZZ_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let deadline = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 1));
    let mut inputs = 0;
    while Instant::now() < deadline {
        let input = mutated(&mut rng);
        let run = catch_unwind(AssertUnwindSafe(|| acl_rules::acl_rules(&input)));
        assert!(run.is_ok(), "input: b\"{}\"", input.escape_ascii());
        inputs += 1;
    }
    println!("{inputs} inputs");
    assert!(inputs > 0);
}
