//! How long a host waits for a run that it has given a small budget: the longest slices of programs that do their worst.
//! `slices [UNITS [PROGRAM]]`, where a part of a program's name will do.
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
        "equal strings of 10 MB",
        "local a = ('x'):rep(10000000) local b, c = a .. 'b', a .. 'b' a = nil while true do if b ~= c or b < c then return 1 end end",
    ),
    (
        "equal keys of 10 MB",
        "local a = ('x'):rep(10000000) local t, k = {[a .. 'b'] = 1}, a .. 'b' a = nil while true do t[k] = t[k] + 1 end",
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
        "growing by loads of 4000",
        "while true do local t = {} for i = 1, 100 do for j = 1, 4000 do t[-(i * 4000 + j)] = j end end end",
    ),
    (
        "400000 short strings",
        "while true do local t = {} for i = 1, 400000 do t[i] = 'k' .. i end end",
    ),
    (
        "200000 tables",
        "while true do local t = {} for i = 1, 200000 do t[i] = {} end end",
    ),
    (
        "next over 500000 empty fields",
        "local t = {} for i = 1, 500000 do t[i + 0.5] = 1 end for k in pairs(t) do t[k] = nil end while true do next(t) end",
    ),
    (
        "weak table of 200000",
        "local t = setmetatable({}, {__mode = 'v'}) for i = 1, 200000 do t[i] = 'x' .. i end while true do local x = {{}, {}} end",
    ),
    (
        "constructor of 300000",
        "local f = loadstring('return {' .. ('nil,'):rep(300000) .. '}') while true do f() end",
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
        "deep recursion of wide frames",
        "local names = {} for i = 1, 199 do names[i] = 'a' .. i end local f = loadstring('local function f(n) local ' .. table.concat(names, ',') .. ' if n > 0 then f(n - 1) end n = 0 end return f')() while true do pcall(f, 16000) end",
    ),
    (
        "500000 functions",
        "local t = {} for i = 1, 500000 do t[i] = 'x = function() end' end local f = loadstring(table.concat(t, ' ')) t = nil while true do local t = {{}, {}} end",
    ),
    (
        "900000 tables",
        "while true do local t = {} for i = 1, 900000 do t[1] = {t[1]} end end",
    ),
    (
        "1000000 short strings",
        "while true do local t = {} for i = 1, 1000000 do t[i] = 'k' .. i end end",
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
        "cjson of 100000 fields",
        "local t = {} for i = 1, 100000 do t['k' .. i] = i end while true do t = cjson.decode(cjson.encode(t)) end",
    ),
    (
        "cjson of a string of 5 MB",
        "local s = ('xxxxxxxxx/'):rep(500000) while true do s = cjson.decode(cjson.encode({s}))[1] end",
    ),
    (
        "cmsgpack of 7000 * 50 items",
        "local t, u = {}, {} for i = 1, 7000 do t[i] = i end for i = 1, 50 do u[i] = t end while true do local x = cmsgpack.unpack(cmsgpack.pack(u)) end",
    ),
    (
        "cmsgpack of a string of 10 MB",
        "local s = ('x'):rep(10000000) while true do s = cmsgpack.unpack(cmsgpack.pack(s)) end",
    ),
    (
        "struct of a string of 10 MB",
        "local s = ('x'):rep(10000000) while true do local x = struct.unpack('c10000000', struct.pack('c10000000', s)) end",
    ),
    (
        "tonumber of 10 MB",
        "local s, u = ('0'):rep(10000000), (' '):rep(10000000) while true do local x = tonumber(s), tonumber(u) end",
    ),
    (
        "plain find in 10 MB",
        "local s = ('x'):rep(10000000) while true do s:find('xy', 1, true) end",
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

/// Sources that take long to compile: a beginning, what is repeated and how often, an end.
static SOURCES: &[(&str, &str, &str, usize, &str)] = &[
    (
        "source of statements, 10 MB",
        "local t = {} ",
        "do local x, y = t.name, 'text' if x then t[y] = x .. y .. 1 end end ",
        150_000,
        "",
    ),
    (
        "source of a constructor, 10 MB",
        "return {",
        "{1, 'two', three = 3}, ",
        430_000,
        "}",
    ),
    (
        "source of 500000 functions",
        "",
        "x = function() end ",
        500_000,
        "",
    ),
    ("source of 250000 names", "return {", "", 250_000, "}"),
    (
        "source of 500000 elseif",
        "if x then ",
        "elseif x then ",
        500_000,
        "end",
    ),
    (
        "source of a string, 15 MB",
        "return '",
        "xxxxxxxx",
        2_000_000,
        "'",
    ),
    (
        "source of a long string, 15 MB",
        "return [[",
        "xxxxxx]\n",
        2_000_000,
        "]]",
    ),
    (
        "source of a comment, 50 MB",
        "--[[",
        "xxxxxx]\n",
        6_000_000,
        "]]",
    ),
    ("source of blanks, 50 MB", "", "        ", 6_000_000, ""),
    (
        "source of empty lines, 50 MB",
        "",
        "\n\n\n\n\n\n\n\n",
        6_000_000,
        "",
    ),
];

fn compile_slices(index: usize, units: u64) -> Vec<Duration> {
    let (_, start, repeated, count, end) = SOURCES[index];
    let mut source = start.as_bytes().to_vec();
    for number in 0..count {
        if repeated.is_empty() {
            source.extend_from_slice(format!("k{number} = 1,").as_bytes());
        } else {
            source.extend_from_slice(repeated.as_bytes());
        }
    }
    source.extend_from_slice(end.as_bytes());
    let mut state = State::new(Options::default()).expect("the library fits");
    let mut took = Vec::new();
    let mut begin = Instant::now();
    let mut compilation = state.compile(&source, b"=slices").expect("the name fits");
    loop {
        let step = state.go_on_compiling(&mut compilation, units);
        took.push(begin.elapsed());
        begin = Instant::now();
        if !matches!(step, Ok(None)) {
            return took;
        }
    }
}

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
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let programs = PROGRAMS.iter().filter(|(name, _)| name.contains(&wanted));
    for (name, source) in programs {
        print_row(name, || slices(source, units));
    }
    for (index, (name, ..)) in SOURCES.iter().enumerate() {
        if name.contains(&wanted) {
            print_row(name, || compile_slices(index, units));
        }
    }
}

fn print_row(name: &str, run: impl Fn() -> Vec<Duration>) {
    let mut shortest = run();
    for _ in 1..RUNS {
        for (shortest, took) in shortest.iter_mut().zip(run()) {
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
