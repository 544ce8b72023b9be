//! The inputs that fuzzing started from and what it has found, fed to the parts that they are for, as they are and damaged.
//!
//! `LUA_FUZZ_SECONDS` is the time for each part, `LUA_FUZZ_SEED` begins another campaign, `LUA_FUZZ_ONLY` names one part. A failing
//! input is printed.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds are printed, and a campaign takes the time that it is given"
)]

#[path = "../../../fuzz/src/lua_parts.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "a library of its own for cargo-fuzz"
)]
mod lua_parts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use lua_parts::{PARTS, Part};

/// Damaged inputs of each part in an ordinary run.
const CASES: u64 = 400;

/// Longest input, in bytes.
const INPUT_BYTES_MAX: usize = 2048;

/// Bytes and words that mean something to one part or another.
static PIECES: &[&[u8]] = &[
    b"%",
    b"%b()",
    b"%f[",
    b"%1",
    b"(",
    b")",
    b"()",
    b"[",
    b"]",
    b"[^",
    b"-",
    b"*",
    b"+",
    b"?",
    b"^",
    b"$",
    b".",
    b"\0",
    b"%99.99",
    b"%-+ #0",
    b"%q",
    b"%s",
    b"%d",
    b"%g",
    b"%c",
    b"%a",
    b"\"",
    b"\\u",
    b"\\ud83d\\ude00",
    b"{",
    b"}",
    b":",
    b",",
    b"null",
    b"1e",
    b"-0",
    b"0x",
    b"inf",
    b"nan",
    b"\xdc\x00\x01",
    b"\xdd",
    b"\xde",
    b"\xdf\xff",
    b"\xc4\x01",
    b"\xd9\x20",
    b"\xcf",
    b"\xd3\x80",
    b"\xca",
    b"\xcb",
    b"\x90",
    b"\x80",
    b"\xa0",
    b"\xff",
    b"<",
    b">",
    b"!",
    b"!16",
    b"c0",
    b"c9",
    b"i8",
    b"I3",
    b"s",
    b"x",
    b"b",
    b"h",
    b"l",
    b"T",
    b"f",
    b"d",
    b"c2147483647",
    b"function(...) return ",
    b" end ",
    b"local x, y = ",
    b"for i = 1, 9 do ",
    b"...",
    b"..",
    b"[==[",
    b"]==]",
    b"--[[",
    b"'",
    b"\\",
    b"1/0",
    b"\r\n",
];

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// The inputs of a part.
fn inputs(part: &Part) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let folder = std::fs::read_dir(corpus.join(part.name)).expect("each part has inputs");
    let mut paths: Vec<_> = folder
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("an input can be read");
    paths.into_iter().map(read).collect()
}

/// An input with a few changes.
fn damaged(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(5) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 => input.truncate(at),
            1 => {
                let end = (at + random.below(12)).min(input.len());
                input.drain(at..end);
            }
            2 | 3 => {
                let piece = PIECES[random.below(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            4 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
            5 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len());
                let part = &other[from..(from + random.below(40)).min(other.len())];
                input.splice(at..at, part.iter().copied());
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())].repeat(random.below(200));
                input.splice(at..at, piece);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// Feeds a part, and shows what it does not take.
fn feed(part: &Part, input: &[u8]) {
    let fed = catch_unwind(AssertUnwindSafe(|| lua_parts::feed(part, input)));
    assert!(fed.is_ok(), "{}: {}", part.name, input.escape_ascii());
}

#[test]
fn every_part_takes_the_inputs_that_fuzzing_has_found() {
    for part in PARTS {
        let inputs = inputs(part);
        assert!(!inputs.is_empty(), "{}", part.name);
        for input in inputs {
            feed(part, &input);
        }
    }
}

#[test]
fn every_part_takes_damaged_inputs() {
    let seconds = setting("LUA_FUZZ_SECONDS", 0);
    let seed = setting("LUA_FUZZ_SEED", 1);
    let only = std::env::var("LUA_FUZZ_ONLY").unwrap_or_default();
    for part in PARTS.iter().filter(|part| part.name.contains(&only)) {
        let inputs = inputs(part);
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut cases = 0_u64;
        while cases < CASES || Instant::now() < until {
            feed(part, &damaged(&inputs, &mut random));
            cases += 1;
        }
        println!("{}: {cases} inputs of seed {seed}", part.name);
    }
}
