//! Leaving a run after every few units of work changes nothing; host functions are answered in between.

use lua::{Options, Outcome, State, Value};

/// Programs that call back through everything that can call back.
static PROGRAMS: &[(&str, &str)] = &[
    (
        "local t = {} for i = 1, 50 do t[i] = (i * 37) % 11 end table.sort(t, function(a, b) return a > b end) return table.concat(t, ',')",
        "10,10,10,10,9,9,9,9,9,8,8,8,8,8,7,7,7,7,6,6,6,6,5,5,5,5,5,4,4,4,4,4,3,3,3,3,2,2,2,2,2,1,1,1,1,1,0,0,0,0",
    ),
    (
        "return (('hello world'):gsub('o', function(c) return pcall(error) and 'x' or c:upper() end))",
        "hellO wOrld",
    ),
    (
        "local co = coroutine.wrap(function(a) for i = 1, 3 do a = a + coroutine.yield(a) end return 'end' .. a end) return co(1) .. co(2) .. co(3) .. co(4)",
        "136end10",
    ),
    (
        "local t = setmetatable({}, {__index = function(t, k) return k .. k end}) return t.a .. t.b",
        "aabb",
    ),
    (
        "local t = setmetatable({}, {__concat = function(a, b) return 'c' end}) return 'x' .. t .. 'y' .. t",
        "xc",
    ),
    (
        "local ok, e = xpcall(function() local x = nil; return x.y end, function(e) return 'H' .. e end) return e",
        "Hx:1: attempt to index local 'x' (a nil value)",
    ),
    (
        "local s = '' for k, v in pairs({10, 20, 30}) do s = s .. k .. '=' .. v .. ' ' end return s",
        "1=10 2=20 3=30 ",
    ),
    (
        "local f = load((function() local n = 0 return function() n = n + 1 return ({'return ', '1', '+1'})[n] end end)()) return tostring(f())",
        "2",
    ),
    (
        "return tostring(setmetatable({}, {__tostring = function() return 'shown' end}))",
        "shown",
    ),
    (
        "local a = setmetatable({}, {__lt = function() return true end, __le = function() return false end}) return tostring(a < a) .. tostring(a <= a)",
        "truefalse",
    ),
    (
        "local n = 0 table.foreach({1, 2, 3}, function(k, v) n = n + v end) return tostring(n)",
        "6",
    ),
    ("return ('x'):rep(1000):gsub('x', 'ab'):len() .. ''", "2000"),
    (
        "collectgarbage() local t = setmetatable({}, {__mode = 'v'}) t[1] = {} collectgarbage() return tostring(t[1])",
        "nil",
    ),
    (
        "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return tostring(f(500))",
        "500",
    ),
];

fn run(source: &str, budget: u64, collects: bool) -> String {
    let mut state = State::new(Options::default()).expect("the library fits");
    let function = state.load(source.as_bytes(), b"=x").expect("it compiles");
    state.start(function, &[]).expect("it starts");
    for _ in 0..10_000_000 {
        match state.resume(budget) {
            Outcome::Done => {
                let value = *state
                    .results()
                    .first()
                    .unwrap_or_else(|| panic!("{source} returns nothing"));
                return String::from_utf8_lossy(&state.display(value)).into_owned();
            }
            Outcome::OutOfBudget if collects => state.collect(),
            Outcome::OutOfBudget => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("{source} does not end");
}

#[test]
fn slices_of_any_size_lead_to_the_same() {
    for (source, expected) in PROGRAMS {
        for budget in [1, 2, 7, 100, 1_000_000] {
            let got = run(source, budget, false);
            assert_eq!(got, *expected, "{source} in slices of {budget}");
        }
    }
}

#[test]
fn a_collection_after_every_slice_takes_nothing_that_is_used() {
    for (source, expected) in PROGRAMS {
        for budget in [1, 3, 50] {
            let got = run(source, budget, true);
            assert_eq!(got, *expected, "{source} in slices of {budget}");
        }
    }
}

#[test]
fn garbage_is_freed_a_little_at_a_time() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let source = b"local t = {} for i = 1, 100000 do t[i] = 's' .. i end";
    let function = state.load(source, b"=x").expect("it compiles");
    state.start(function, &[]).expect("it starts");
    while matches!(state.resume(1_000_000), Outcome::OutOfBudget) {}
    state.abort();
    let (begun, mut most, mut complete) = (state.memory_used(), Vec::new(), false);
    while !complete {
        let before = state.memory_used();
        complete = state.gc_step(2_000);
        most.push(before.saturating_sub(state.memory_used()));
    }
    assert!(state.memory_used() < begun / 10);
    // One of them is the table. A short string takes some thirty bytes.
    most.sort_unstable();
    let second = most.iter().rev().nth(1);
    assert!(second.is_some_and(|bytes| *bytes < 1_000 * 40), "{most:?}");
}

/// Calls `inside` below so many calls that each take 200 slots.
const DEEP: &str = "local names = {} for i = 1, 190 do names[i] = 'a' .. i end names = table.concat(names, ',') \
     local deep = loadstring('local function deep(n, inside) local ' .. names .. ' = 7 \
        if n == 0 then return inside() end local r = deep(n - 1, inside) return a1 == 7 and a190 == nil and r end return deep')() \
     local many = {} for i = 1, 7000 do many[i] = i end local function count(...) return select('#', ...) end ";

/// What may need more slots than there are, and returns 7000.
static WIDE: &[&str] = &[
    "return count(unpack(many))",
    "return (count(unpack(many)))",
    "return select('#', unpack(many))",
    "local t = {unpack(many)} return #t",
    "return select(2, pcall(count, unpack(many)))",
    "return select(2, xpcall(function() return count(unpack(many)) end, error))",
    "local _, n = xpcall(function() error('x') end, function() return count(unpack(many)) end) return n",
    "local _, n = pcall(function() error({count(unpack(many))}) end) return n[1]",
    "return setmetatable({}, {__call = function(_, ...) return count(...) end})(unpack(many))",
    "local t = setmetatable({}, {__index = function() return count(unpack(many)) end}) return t.x",
    "local t = setmetatable({}, {__concat = function() return count(unpack(many)) end}) return 'x' .. t",
    "local t = setmetatable({}, {__lt = function() return count(unpack(many)) == 7000 end}) return t < t and 7000",
    "local n = 0 ('x'):gsub('x', function() n = count(unpack(many)) end) return n",
    "local n = 0 table.sort({2, 1}, function(a, b) n = count(unpack(many)) return a < b end) return n",
    "return count(coroutine.wrap(function() coroutine.yield(unpack(many)) end)())",
    "return count(coroutine.wrap(function() return unpack(many) end)())",
    "return coroutine.wrap(function(...) return count(...) end)(unpack(many))",
    "local f = coroutine.wrap(function() return count(coroutine.yield()) end) f() return f(unpack(many))",
    "return coroutine.wrap(function() return deep(100, function() return count(unpack(many)) end) end)()",
    "local f = coroutine.wrap(function() return deep(100, function() return count(coroutine.yield()) end) end) f() return f(unpack(many))",
    "local function f(...) return count(...) end return f(unpack(many))",
    "local function f(...) local a, b = ... return count(...) end return f(unpack(many))",
];

#[test]
fn stacks_become_deeper_wherever_there_is_no_room() {
    for inside in WIDE {
        // Somewhere among these depths each step of what is inside is the first one without room.
        for (depth, budget) in (70..108).zip([1_000_000, 1000, 37].into_iter().cycle()) {
            let source = format!("{DEEP} return tostring(deep({depth}, function() {inside} end))");
            let got = run(&source, budget, budget == 1000 && depth % 4 == 0);
            assert_eq!(got, "7000", "{inside} at a depth of {depth}");
        }
    }
}

#[test]
fn a_stack_that_is_growing_survives_a_collection_and_an_end() {
    let source =
        format!("{DEEP} return tostring(deep(8000, function() return count(unpack(many)) end))");
    assert_eq!(run(&source, 20_000, true), "7000");
    let mut state = State::new(Options::default()).expect("the library fits");
    state.collect();
    let before = state.memory_used();
    for slices in 1..40 {
        let function = state.load(source.as_bytes(), b"=x").expect("it compiles");
        state.start(function, &[]).expect("it starts");
        for _ in 0..slices * 50 {
            state.resume(1000);
        }
        state.abort();
        state.collect();
        let left = state.memory_used();
        assert!(left <= before + 16_384, "{left} of {before}");
    }
}

#[test]
fn host_functions_are_answered_between_two_resumes() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let double = state.host_function(7);
    let globals = state.globals();
    state
        .set_field(globals, "double", double)
        .expect("a field fits");
    let source = b"local ok, e = pcall(double, 'bad') return (('123'):gsub('%d', double)) .. double(21) .. tostring(ok) .. e";
    let function = state.load(source, b"=x").expect("it compiles");
    state.start(function, &[]).expect("it starts");
    let mut calls = 0;
    loop {
        match state.resume(10) {
            Outcome::Call(call) => {
                assert_eq!(call.function, 7);
                calls += 1;
                let argument = state.arguments()[0];
                let number = match argument {
                    Value::Number(number) => Some(number),
                    Value::String(id) => String::from_utf8_lossy(state.bytes(id)).parse().ok(),
                    _ => None,
                };
                match number {
                    Some(number) => state
                        .answer(&[Value::Number(number * 2.0)])
                        .expect("an answer fits"),
                    None => {
                        let error = state.string(b"no number").expect("a string fits");
                        state.raise(error);
                    }
                }
            }
            Outcome::Done => break,
            Outcome::OutOfBudget => {}
            Outcome::Failed(failure) => panic!("{failure:?}"),
        }
    }
    assert_eq!(calls, 5);
    assert_eq!(state.display(state.results()[0]), b"24642falseno number");
}

#[test]
fn a_failure_tells_where_it_was_raised() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let function = state
        .load(b"local t = {}\n\nerror({})", b"@chunk")
        .expect("it compiles");
    state.start(function, &[]).expect("it starts");
    let Outcome::Failed(failure) = state.resume(1000) else {
        panic!("it fails");
    };
    let place = failure.place.expect("a Lua function raised it");
    assert_eq!((state.bytes(place.source), place.line), (&b"@chunk"[..], 3));
}

#[test]
fn an_aborted_run_leaves_nothing_behind() {
    let mut state = State::new(Options::default()).expect("the library fits");
    state.collect();
    let before = state.memory_used();
    let source = b"local t = {} local co = coroutine.wrap(function() while true do t[#t + 1] = {} end end) co()";
    let function = state.load(source, b"=x").expect("it compiles");
    state.start(function, &[]).expect("it starts");
    assert!(matches!(state.resume(100_000), Outcome::OutOfBudget));
    state.abort();
    state.collect();
    assert!(
        state.memory_used() <= before + 16_384,
        "{} of {before}",
        state.memory_used()
    );
}

#[test]
fn kept_values_survive_collections() {
    let mut state = State::new(Options::default()).expect("the library fits");
    let text = state.string(&[b'x'; 100]).expect("a string fits");
    let kept = state.keep(text);
    state.collect();
    assert_eq!(state.as_bytes(state.kept(kept)), Some(&[b'x'; 100][..]));
    let before = state.memory_used();
    state.release(kept);
    state.collect();
    assert!(state.memory_used() + 100 <= before);
}

#[test]
fn a_state_may_go_from_thread_to_thread() {
    fn check<T: Send>(_: &T) {}
    check(&State::new(Options::default()).expect("the library fits"));
}
