//! How long a host waits for a run that it has given a small budget: the longest slices of programs that do their worst.
//! `slices [UNITS]`.
//!
//! A program does the same in every run, so each slice is timed in several runs and the shortest time counts: what other
//! processes have taken is not in it.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for people, which measures time"
)]

use std::time::{Duration, Instant};

use lua::{Options, Outcome, State};

/// Units of work of a slice, unless told otherwise.
const UNITS: u64 = 4_000;
/// Slices of a run.
const SLICES: usize = 3_000;
/// Runs of a program.
const RUNS: usize = 4;

static PROGRAMS: &[(&str, &str)] = &[
    ("endless loop", "while true do end"),
    (
        "calls",
        "local function f(a) return a end while true do f(1) end",
    ),
    (
        "endless match",
        "return string.find(('a'):rep(30000), '.-.-.-.-b')",
    ),
    (
        "sort, comparison that loops",
        "table.sort({3, 2, 1}, function() while true do end end)",
    ),
    (
        "sort of 200000 numbers",
        "local t = {} while true do for i = 1, 200000 do t[i] = i * 7919 % 200003 end table.sort(t) end",
    ),
    (
        "rep of 20 MB",
        "while true do local s = ('xy'):rep(10000000) end",
    ),
    (
        "concat of 20 MB",
        "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1000000) end while true do local s = table.concat(t) end",
    ),
    (
        ".. of 1 MB",
        "local a = ('x'):rep(500000) while true do local s = a .. a end",
    ),
    (
        ".. of 20 MB",
        "local a = ('x'):rep(10000000) while true do local s = a .. a end",
    ),
    (
        "gsub, callback that loops",
        "('x'):rep(1000):gsub('x', function() while true do end end)",
    ),
    (
        "gsub of 1 MB, short callbacks",
        "local s = ('x'):rep(1000000) while true do s:gsub('x', function() return 'y' end) end",
    ),
    (
        "reverse, upper, sub of 10 MB",
        "local s = ('x'):rep(10000000) while true do local u = s:reverse():upper():sub(2) end",
    ),
    (
        "comparisons of 10 MB",
        "local a = ('x'):rep(10000000) local b, c = a .. 'b', a .. 'c' a = nil while true do if b > c or b == c then return 1 end end",
    ),
    (
        "keys of 10 MB",
        "local a = ('x'):rep(10000000) local t = {} while true do t[a .. 'b'] = 1 end",
    ),
    (
        "insert in front of 500000",
        "local t = {} for i = 1, 500000 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    ),
    (
        "array growing to 1000000",
        "while true do local t = {} for i = 1, 1000000 do t[i] = i end end",
    ),
    (
        "hash growing to 400000",
        "while true do local t = {} for i = 1, 400000 do t[i + 0.5] = i end end",
    ),
    (
        "tables as garbage",
        "while true do local t = {} for i = 1, 50000 do t[i] = {i} end end",
    ),
    (
        "large strings as garbage",
        "while true do local t = {} for i = 1, 30 do t[i] = ('x'):rep(1000000 + i) end end",
    ),
    (
        "deep recursion",
        "local function f() return 1 + f() end while true do pcall(f) end",
    ),
    (
        "cjson of 100000 items",
        "local t = {} for i = 1, 100000 do t[i] = i end while true do t = cjson.decode(cjson.encode(t)) end",
    ),
    (
        "cmsgpack of 5000 items",
        "local t = {} for i = 1, 5000 do t[i] = i end while true do t = cmsgpack.unpack(cmsgpack.pack(t)) end",
    ),
    (
        "long sources",
        "local s = ('local x = 1 '):rep(100) s = 'do ' .. s .. ' end ' s = s:rep(2000) while true do loadstring(s) end",
    ),
    (
        "long formats",
        "local s = ('x'):rep(5000000) while true do local f = string.format('%s%q', s, s) end",
    ),
];

fn slices(source: &str, units: u64) -> Vec<Duration> {
    let mut state = State::new(Options::default()).expect("the library fits");
    state.install_ext().expect("the modules fit");
    let function = state
        .load(source.as_bytes(), b"=slices")
        .expect("it compiles");
    state.start(function, &[]).expect("it starts");
    let mut took = Vec::with_capacity(SLICES);
    while took.len() < SLICES {
        let start = Instant::now();
        let outcome = state.resume(units);
        took.push(start.elapsed());
        if !matches!(outcome, Outcome::OutOfBudget) {
            break;
        }
    }
    took
}

fn main() {
    let units = std::env::args()
        .nth(1)
        .map_or(UNITS, |text| text.parse().expect("a number of units"));
    println!("microseconds of a slice of {units} units: median, 99th percentile, longest");
    for (name, source) in PROGRAMS {
        let mut shortest = slices(source, units);
        for _ in 1..RUNS {
            for (shortest, took) in shortest.iter_mut().zip(slices(source, units)) {
                *shortest = (*shortest).min(took);
            }
        }
        shortest.sort();
        let at = |share: f64| shortest[((shortest.len() - 1) as f64 * share) as usize].as_micros();
        println!(
            "{name:30} {:7} {:7} {:7}   of {}",
            at(0.5),
            at(0.99),
            at(1.0),
            shortest.len()
        );
    }
}
