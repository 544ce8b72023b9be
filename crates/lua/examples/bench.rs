//! Timings of typical work: `bench [PROGRAM]`, where a part of a program's name will do.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for people, which measures time"
)]

use std::time::Instant;

use lua::{Options, Outcome, State, Value};

static PROGRAMS: &[(&str, &str)] = &[
    (
        "loop with %",
        "local x = 0 for i = 1, 1e7 do x = x + i % 7 end return x",
    ),
    (
        "loop with +",
        "local x = 0 for i = 1, 1e7 do x = x + i end return x",
    ),
    (
        "fields",
        "local t = {x = 1, y = 2} for i = 1, 1e7 do t.x = t.x + t.y end return t.x",
    ),
    (
        "calls",
        "local function f(a) return a end for i = 1, 1e7 do f(i) end",
    ),
    (
        "fib(30)",
        "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(30)",
    ),
    (
        "array",
        "local t = {} for i = 1, 1e6 do t[i] = i end local s = 0 for i = 1, 1e6 do s = s + t[i] end return s",
    ),
    ("tables", "for i = 1, 1e6 do local t = {i, i + 1} end"),
    (
        "strings",
        "local t = {} for i = 1, 1e6 do t['k' .. (i % 1000)] = i end",
    ),
    (
        "append 250 KB",
        "local s = '' for i = 1, 5000 do s = s .. ('x'):rep(50) end return #s",
    ),
    (
        "native calls",
        "local n = 0 for i = 1, 3e6 do n = n + math.floor(i / 3) end return n",
    ),
    (
        "sort",
        "local t = {} for i = 1, 2e5 do t[i] = (i * 7919) % 100003 end table.sort(t)",
    ),
    (
        "sort by function",
        "local t = {} for i = 1, 2e5 do t[i] = (i * 7919) % 100003 end table.sort(t, function(a, b) return a > b end)",
    ),
    (
        "gmatch",
        "local n = 0 for w in ('hello world '):rep(50000):gmatch('%a+') do n = n + 1 end return n",
    ),
    (
        "gsub by function",
        "return #('hello world '):rep(50000):gsub('o', function(c) return '0' end)",
    ),
    ("pcall", "for i = 1, 1e6 do pcall(tostring, i) end"),
    (
        "coroutines",
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end) for i = 1, 1e6 do co() end",
    ),
];

/// Runs of a script that does nothing, and calls of a host function.
const RUNS: u32 = 1_000_000;

fn finish(state: &mut State) {
    loop {
        match state.resume(1_000_000) {
            Outcome::OutOfBudget => {}
            Outcome::Done => return,
            other => panic!("{other:?}"),
        }
    }
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, source) in PROGRAMS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let mut state = State::new(Options::default()).expect("the library fits");
        let function = state
            .load(source.as_bytes(), b"=bench")
            .expect("it compiles");
        let start = Instant::now();
        state.start(function, &[]).expect("it starts");
        finish(&mut state);
        println!("{name:18} {:9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    if "no-op script".contains(&wanted) {
        no_op();
    }
    if "host call".contains(&wanted) {
        host_calls();
    }
}

/// A cached script that does nothing, with fresh `KEYS` and `ARGV`.
fn no_op() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let function = state.load(b"return 1", b"@script").expect("it compiles");
    state.keep(function);
    let globals = state.globals();
    let names = ["KEYS", "ARGV"].map(|name| {
        let name = state.string(name.as_bytes()).expect("a name fits");
        state.keep(name);
        name
    });
    let start = Instant::now();
    for _ in 0..RUNS {
        for name in names {
            let table = state.table(1, 0).expect("a table fits");
            let item = state.string(b"key").expect("a string fits");
            state
                .set(table, Value::Number(1.0), item)
                .expect("an item fits");
            state
                .set(globals, name, Value::Table(table))
                .expect("a field fits");
        }
        state.start(function, &[]).expect("it starts");
        finish(&mut state);
    }
    println!(
        "{:18} {:9.1} ns",
        "no-op script",
        start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS)
    );
}

/// Host calls with three strings.
fn host_calls() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let globals = state.globals();
    let call = state.host_function(0);
    state
        .set_field(globals, "call", call)
        .expect("a field fits");
    let source = format!("for i = 1, {RUNS} do call('set', 'key', 'value') end");
    let function = state
        .load(source.as_bytes(), b"@script")
        .expect("it compiles");
    state.start(function, &[]).expect("it starts");
    let mut bytes = 0;
    let start = Instant::now();
    loop {
        match state.resume(1_000_000) {
            Outcome::Call(_) => {
                for argument in state.arguments() {
                    bytes += state.as_bytes(*argument).map_or(0, <[u8]>::len);
                }
                state
                    .answer(&[Value::Boolean(true)])
                    .expect("an answer fits");
            }
            Outcome::OutOfBudget => {}
            _ => break,
        }
    }
    assert_eq!(bytes, 11 * RUNS as usize);
    println!(
        "{:18} {:9.1} ns",
        "host call",
        start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS)
    );
}
