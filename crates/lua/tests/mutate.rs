//! Sources with random damage: whatever they become, the interpreter neither panics nor passes its limits.
//!
//! `LUA_MUTATE_SEED` and `LUA_MUTATE_CASES` choose another campaign.
#![allow(clippy::print_stdout, reason = "the seed is printed")]

#[allow(dead_code, reason = "shared with other tests and an example")]
mod support;

use std::path::Path;

use support::Sandbox;

/// Sources of an ordinary run.
const CASES: u64 = 3_000;

const MEMORY: usize = 4 << 20;

const UNITS_MAX: u64 = 200_000;

/// Pieces that are put in.
static PIECES: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "]]",
    "[=[",
    "\"",
    "'",
    "\\",
    "\0",
    "--",
    "--[[",
    "...",
    "..",
    "=",
    "==",
    "~=",
    ",",
    ";",
    ":",
    ".",
    "#",
    "%",
    "^",
    "0x",
    "1e",
    "1e400",
    "end",
    "function(...)",
    "local ",
    "return ",
    "for i=1,9 do",
    "repeat",
    "until",
    "while true do",
    "if x then",
    "else",
    "nil",
    "not ",
    "and",
    "or",
    "pcall(",
    "coroutine.wrap(",
    "setmetatable(",
    "string.rep(",
    "\u{fffd}",
    "\r\n",
    "\n\r",
    "goto",
    "break",
    "%b()",
    "%f[",
    "-2^31",
    "1/0",
    "_G",
    "...=1",
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }
}

fn damage(source: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(source.len() + 1);
        match random.below(6) {
            0 => source.truncate(at),
            1 => {
                let end = (at + random.below(20)).min(source.len());
                source.drain(at..end);
            }
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                source.splice(at..at, piece.bytes());
            }
            3 => {
                if let Some(byte) = source.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
            4 => {
                let from = random.below(other.len());
                let part = &other[from..(from + random.below(60)).min(other.len())];
                source.splice(at..at, part.iter().copied());
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())].repeat(random.below(300));
                source.splice(at..at, piece.into_bytes());
            }
        }
    }
}

#[test]
fn damaged_sources_neither_panic_nor_pass_the_limits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snippets");
    let mut sources = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the snippets are there")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "lua"))
    {
        sources.push(std::fs::read(path).expect("a snippet can be read"));
    }
    let seed = setting("LUA_MUTATE_SEED", 1);
    let cases = setting("LUA_MUTATE_CASES", CASES);
    println!("seed {seed}, {cases} sources");
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut sandbox = Sandbox::with_memory(MEMORY);
    for _ in 0..cases {
        let mut source = sources[random.below(sources.len())].clone();
        let other = random.below(sources.len());
        damage(&mut source, &sources[other], &mut random);
        sandbox.eval(&source, UNITS_MAX);
        assert!(
            sandbox.state.memory_used() <= MEMORY,
            "{}",
            String::from_utf8_lossy(&source)
        );
    }
}
