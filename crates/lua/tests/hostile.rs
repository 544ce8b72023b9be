//! Attempts to escape, exhaust or hang: each ends in an error, a value, or work that can be given up at any moment, with
//! memory in bounds; and the next script works.
#![allow(
    clippy::disallowed_methods,
    reason = "how long a slice takes is the question"
)]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests and an example"
)]
mod support;

use std::time::{Duration, Instant};

use lua::{Options, Outcome, State};
use support::{Reply, Sandbox};

/// Memory of a hostile script.
const MEMORY: usize = 8 << 20;

/// Work that it may do.
const UNITS_MAX: u64 = 10_000_000;

/// How long a slice of ten thousand units may usually take, on a machine with other work; without optimisation longer.
const SLICE_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 10 });

/// What must come of an attempt.
enum End {
    /// An error with this text in it.
    Error(&'static str),
    /// A string.
    Text(&'static str),
    /// Any end at all, also none before the work is used up.
    Any,
}

use End::{Any, Error, Text};

#[rustfmt::skip]
static CORPUS: &[(&str, End)] = &[
    // Strings without bounds.
    ("return #string.rep('x', 1e9)", Error("not enough memory")),
    ("return #string.rep('x', 2^31 - 1)", Error("not enough memory")),
    ("return string.rep('x', -1)", Text("")),
    ("return string.rep('', 1e9)", Text("")),
    ("local s = 'x' while true do s = s .. s end", Error("not enough memory")),
    ("local s = 'x' for i = 1, 60 do s = s:rep(2) end", Error("not enough memory")),
    ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", Error("not enough memory")),
    ("local t = {} while true do t[#t + 1] = {} end", Error("not enough memory")),
    ("local t = {} while true do t[{}] = 1 end", Error("not enough memory")),
    ("local t = {} for i = 1, 1e9 do t[i] = i end", Error("not enough memory")),
    ("local t = {} for i = 1, 1e9 do t['k' .. i] = i end", Error("not enough memory")),
    ("local f f = function() return function() return f end end local t = {} while true do t[#t + 1] = f() end", Error("not enough memory")),
    ("local t = {} while true do t[#t + 1] = coroutine.create(function() end) end", Error("not enough memory")),
    ("local t = {} while true do t[#t + 1] = newproxy(true) end", Error("not enough memory")),
    ("local t = {} for i = 1, 1e9 do t[i] = loadstring('return ' .. i) end", Error("not enough memory")),
    ("return #table.concat({('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6)}, ('y'):rep(1e6))", Error("not enough memory")),
    ("return #(('x'):rep(1e6):gsub('x', ('y'):rep(100)))", Error("not enough memory")),
    ("return #(('x'):rep(1e6):gsub('.', '%0%0%0%0%0%0%0%0%0'))", Error("not enough memory")),
    ("return #(('x'):rep(1e6):gsub('', ('y'):rep(100)))", Error("not enough memory")),
    ("return #string.format('%s%s%s%s%s%s%s%s%s', ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6))", Error("not enough memory")),
    ("return #string.format('%q', ('\\0'):rep(4e6))", Error("not enough memory")),
    ("local ok, e = pcall(string.rep, 'x', 1e9) return e", Text("not enough memory")),
    ("for i = 1, 100 do pcall(string.rep, 'x', 1e9) end return 'alive'", Text("alive")),
    ("local ok, e = pcall(function() local t = {} while true do t[#t + 1] = {} end end) return e", Text("not enough memory")),
    ("local r = xpcall(function() local s = 'x' while true do s = s .. s end end, function(e) return 'handled' end) return tostring(r)", Text("false")),
    ("while true do pcall(string.rep, 'x', 1e9) end", Any),
    // Deep nesting of sources.
    ("return loadstring(('('):rep(1e5))", Any),
    ("local f, e = loadstring('return ' .. ('('):rep(1e5) .. '1' .. (')'):rep(1e5)) return e", Text("[string \"return ((((((((((((((((((((((((((((((((((((((((((((((((((((((((...\"]:1: chunk has too many syntax levels")),
    ("local f, e = loadstring('return ' .. ('{'):rep(1e5)) return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring(('do '):rep(1e5)) return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring(('while 1 do '):rep(1e5)) return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring('x = ' .. ('function() return '):rep(1e5)) return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring('x = ' .. ('-'):rep(3) .. ('not '):rep(1e5) .. '1') return tostring(e ~= nil)", Any),
    // Lists of jumps to one place.
    ("return type(loadstring('if x then ' .. ('elseif x then '):rep(4e4) .. 'end'))", Text("function")),
    ("return type(loadstring('return ' .. ('x or '):rep(4e4) .. 'x'))", Text("function")),
    ("return type(loadstring('return ' .. ('x and '):rep(4e4) .. 'x'))", Text("function")),
    ("return type(loadstring('while x do ' .. ('if x then break end '):rep(4e4) .. 'end'))", Text("function")),
    ("return loadstring('return ' .. ('x and y or '):rep(4e4) .. '7')()", Any),
    ("return tostring(loadstring('local x = false return ' .. ('x and 1 or '):rep(4e4) .. '7')())", Text("7")),
    ("local f, e = loadstring('x = ' .. ('a.'):rep(1e5) .. 'b') return type(f)", Text("function")),
    ("local f, e = loadstring('return ' .. ('1+'):rep(1e5) .. '1') return tostring(f())", Text("100001")),
    ("local f, e = loadstring('return ' .. ('1 ..'):rep(1e4) .. '1') return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring('x = ' .. ('a^'):rep(1e4) .. '1') return (e:gsub('.*:1: ', ''))", Text("chunk has too many syntax levels")),
    ("local f, e = loadstring('f' .. ('()'):rep(1e5)) return type(f)", Text("function")),
    ("local f, e = loadstring('return {' .. ('1,'):rep(1e5) .. '}') return tostring(#f())", Text("100000")),
    ("local s = {} for i = 1, 300 do s[i] = 'a' .. i end local f, e = loadstring('local ' .. table.concat(s, ',')) return (e:gsub('.*:1: ', ''))", Text("main function has more than 200 local variables")),
    ("local s = {} for i = 1, 300 do s[i] = 'a' .. i end local f, e = loadstring(table.concat(s, ',') .. '=1') return (e:gsub(' variables.*', ''):gsub('.*more', 'more'):gsub('%d+', 'N'))", Text("more than N")),
    ("local s = {} for i = 1, 300 do s[i] = 'a' .. i end local f, e = loadstring('return f(' .. table.concat(s, ',') .. ')') return (e:gsub('.*:1: ', ''):gsub(' near.*', ''))", Text("function or expression too complex")),
    ("local f, e = loadstring('--[' .. ('='):rep(1e5)) return tostring(e)", Any),
    ("local f, e = loadstring('return [' .. ('='):rep(1e5)) return (e:sub(1, 20))", Any),
    ("local f, e = loadstring('[[' .. ('x'):rep(1e5)) return (e:gsub('.*:1: ', ''))", Text("unfinished long string near '<eof>'")),
    ("local f, e = loadstring('x = \"' .. ('\\\\'):rep(99999)) return (e:gsub('.*:1: ', ''))", Text("unfinished string near '<eof>'")),
    ("local f, e = loadstring('\\27Lua') return (e:gsub('.*:1: ', ''))", Text("unexpected symbol near 'char(27)'")),
    ("local f, e = loadstring(string.dump(function() end)) return (e:gsub('.*:1: ', ''))", Text("unexpected symbol near 'char(27)'")),
    ("while true do loadstring(('x = 1 '):rep(1000)) end", Any),
    ("local n = 0 local f, e = load(function() n = n + 1 return 'x = 1 ' end)", Error("not enough memory")),
    // Deep recursion.
    ("local function f() return 1 + f() end local ok, e = pcall(f) return e", Text("user_script:1: stack overflow")),
    ("local function f(...) return 1 + f(1, ...) end local ok, e = pcall(f) return type(e)", Text("string")),
    ("local function f() return f() end f()", Any),
    ("local function f() local ok, e = pcall(f) return e end return f()", Text("C stack overflow")),
    ("local function f() return xpcall(f, f) end return tostring(f())", Any),
    ("local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end local ok, e = pcall(function() return t.x end) return e", Text("user_script:1: C stack overflow")),
    ("local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", Error("loop in gettable")),
    ("local t = setmetatable({}, {}) getmetatable(t).__newindex = t t.x = 1", Error("loop in settable")),
    ("local t = setmetatable({}, {}) getmetatable(t).__call = t t()", Error("attempt to call")),
    ("local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) local ok, e = pcall(tostring, t) return e", Any),
    ("local t = setmetatable({}, {__concat = function(a, b) return a .. b end}) return t .. t", Error("C stack overflow")),
    ("local t = setmetatable({}, {__eq = function(a, b) return a == b end}) local u = setmetatable({}, getmetatable(t)) return t == u", Error("C stack overflow")),
    ("local t = setmetatable({}, {__lt = function(a, b) return a < b end}) return t < t", Error("C stack overflow")),
    ("local function f() return ('x'):gsub('x', f) end f()", Error("C stack overflow")),
    ("local function f(a, b) table.sort({1, 2, 3}, f) end f()", Error("C stack overflow")),
    ("local function f() table.foreach({1}, f) end f()", Error("C stack overflow")),
    ("local function f() return coroutine.wrap(f)() end f()", Error("C stack overflow")),
    ("local function f() return coroutine.resume(coroutine.create(f)) end return tostring(f())", Any),
    ("local function f() load(f) end f()", Error("C stack overflow")),
    ("xpcall(function() error('x') end, function(e) error(e) end) return 'alive'", Text("alive")),
    ("local r, e = xpcall(function() error('x') end, function(e) while true do e = e .. 'x' end end)", Any),
    ("local function f(n) if n == 0 then return 'done' end return f(n - 1) end return f(1e5)", Text("done")),
    // Patterns.
    ("return tostring(('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30)))", Any),
    ("return ('a'):rep(400000):find(('a?'):rep(400000))", Error("")),
    ("return ('a'):rep(50):find(('a*'):rep(50) .. 'b')", Any),
    ("return ('x'):rep(1e6):find(('.-'):rep(10) .. 'y')", Any),
    ("return ('('):rep(1e6):find('%b()')", Any),
    ("return ('a'):find(('('):rep(100))", Error("too many captures")),
    ("return ('a'):find('%')", Error("malformed pattern (ends with '%')")),
    ("return ('a'):find('[')", Error("malformed pattern (missing ']')")),
    ("return ('a'):find('[%')", Error("malformed pattern (missing ']')")),
    ("return ('a'):find('%b')", Error("unbalanced pattern")),
    ("return ('a'):find('%f')", Error("missing '[' after '%f' in pattern")),
    ("return ('a'):find('(()')", Error("unfinished capture")),
    ("return ('a'):gsub('a', '%9')", Error("invalid capture index")),
    ("for k in ('x'):rep(1e6):gmatch('') do end return 'done'", Any),
    ("return ('x'):gsub('x', function() return {} end)", Error("invalid replacement value (a table)")),
    // Ranges and counts at their ends.
    ("return unpack({}, 1, 1e8)", Error("too many results to unpack")),
    ("return unpack({}, -2^31, 2^31 - 1)", Error("too many results to unpack")),
    ("return unpack({}, 0, 2147483647)", Error("too many results to unpack")),
    ("return unpack({}, -2, 2147483647)", Error("too many results to unpack")),
    ("return tostring(unpack({}, 2147483647, 2147483647))", Text("nil")),
    ("return ('x'):rep(1e5):byte(1, -1)", Error("string slice too long")),
    ("return tostring(select(-2^31, 1))", Error("index out of range")),
    ("return tostring(#('x'):sub(-2^53, 2^53))", Text("1")),
    ("return tostring(('x'):sub(0/0, 1/0))", Any),
    ("return table.concat({}, 'x', -2^31, 2^31 - 1)", Error("invalid value (nil) at index -2147483648")),
    ("table.insert({}, -2^31, 1)", Any),
    ("local t = {} t[2^53] = 1 t[-2^53] = 2 t[2^31] = 3 return tostring(#t)", Text("0")),
    ("return string.format('%99.99f', 1e308):len() .. ''", Text("409")),
    ("return string.format('%999d', 1)", Error("invalid format (width or precision too long)")),
    ("return string.format(('%d'):rep(100), 1)", Error("no value")),
    ("return string.char(-1)", Error("invalid value")),
    ("return tonumber('1', 99)", Error("base out of range")),
    ("return tostring(math.random(2^31, 0))", Any),
    ("local t = {} for i = 1, 300 do t[i] = i end return tostring(select('#', unpack(t)))", Text("300")),
    // Comparisons that contradict themselves.
    ("local t = {} for i = 1, 1000 do t[i] = i % 7 end table.sort(t, function() return true end)", Error("invalid order function for sorting")),
    ("local t = {} for i = 1, 1000 do t[i] = i end local n = 0 table.sort(t, function(a, b) n = n + 1 return n % 2 == 0 end) return 'done'", Any),
    ("local t = {3, 2, 1} table.sort(t, function(a, b) t[1] = nil t[2] = nil return a < b end) return 'done'", Any),
    ("local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function(a, b) error('out') end)", Error("out")),
    ("table.sort({1, 'x'})", Error("attempt to compare")),
    ("local t = {} for i = 1, 1e5 do t[i] = 1e5 - i end while true do table.sort(t) end", Any),
    // Endless work of all kinds.
    ("while true do end", Any),
    ("repeat until false", Any),
    ("for i = 1, math.huge do end", Any),
    ("for i = 1, 0, 0 do end return 'done'", Any),
    ("while true do pcall(error) end", Any),
    ("while true do pcall(function() while true do end end) end", Any),
    ("local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end", Any),
    ("local t = setmetatable({}, {__index = function() while true do end end}) return t.x", Any),
    ("('x'):gsub('x', function() while true do end end)", Any),
    ("while true do collectgarbage() end", Any),
    ("local t = {} for i = 1, 1e5 do t[i] = {} end while true do collectgarbage('step') end", Any),
    ("local t = {} for i = 1, 2e5 do t[i] = true end for i = 1, 1e9 do table.insert(t, 1, i) table.remove(t, 1) end", Any),
    ("local k = nil local t = {} for i = 1, 1e4 do t[i] = i end for i = 1, 1e4 do t[i] = nil end while true do next(t) end", Any),
    ("load(function() while true do end end)", Any),
    // Tables that are cyclic, weak, protected.
    ("local t = {} t[1] = t t.t = t setmetatable(t, t) t.__index = t return tostring(t.x)", Error("loop in gettable")),
    ("local m = {} setmetatable(m, m) m.__metatable = m setmetatable(m, {})", Error("cannot change a protected metatable")),
    ("local t = setmetatable({}, {__mode = 'kv'}) for i = 1, 1e4 do t[{}] = {} end collectgarbage() return tostring(next(t))", Text("nil")),
    ("local t = setmetatable({}, {__mode = 'k'}) for i = 1, 1e4 do t[{}] = t end for k in pairs(t) do collectgarbage() break end return 'done'", Text("done")),
    ("local t = setmetatable({}, {__mode = 'v'}) for i = 1, 100 do t[i] = {} end collectgarbage() return tostring(#t)", Any),
    ("local t = setmetatable({}, {__mode = 'k'}) local k = {} t[k] = k k = nil collectgarbage() return tostring(next(t) ~= nil)", Any),
    ("local p = newproxy(true) getmetatable(p).__gc = function() while true do end end p = nil collectgarbage() return 'done'", Text("done")),
    ("local t = {} for k in pairs({1, 2, 3}) do t[k] = nil end for k, v in pairs(t) do t[k .. 'x'] = 1 end return 'done'", Text("done")),
    ("x = 1", Error("Attempt to modify a readonly table")),
    ("rawset(_G, 'x', 1)", Error("Attempt to modify a readonly table")),
    ("setmetatable(_G, {})", Error("Attempt to modify a readonly table")),
    ("getmetatable(_G).__index = nil", Error("Attempt to modify a readonly table")),
    ("getmetatable('').__index = nil", Error("Attempt to modify a readonly table")),
    ("getmetatable('').__index.rep = nil", Error("Attempt to modify a readonly table")),
    ("string.rep = nil", Error("Attempt to modify a readonly table")),
    ("table.insert(string, 1)", Error("Attempt to modify a readonly table")),
    ("table.sort(_G)  table.remove(string) return 'done'", Any),
    ("table.foreach(string, function(k) string[k] = nil end)", Error("Attempt to modify a readonly table")),
    ("setfenv(0, {}) return type(getfenv(0))", Text("table")),
    ("setfenv(1, {}) x = 1 return x", Any),
    ("return tostring(setfenv(string.rep, {}))", Error("cannot change environment")),
    ("return foo", Error("nonexistent global variable 'foo'")),
    ("return tostring(rawget(_G, 'foo'))", Text("nil")),
    ("return coroutine.yield()", Error("attempt to yield across metamethod/C-call boundary")),
    ("local co = coroutine.wrap(function() return ('x'):gsub('x', coroutine.yield) end) co()", Error("attempt to yield across")),
    ("local co co = coroutine.create(function() return coroutine.resume(co) end) local a, b, c = coroutine.resume(co) return c", Text("cannot resume running coroutine")),
    ("local up do local x = {} up = coroutine.wrap(function() local y = x coroutine.yield(function() return y end) end) end local f = up() up = nil collectgarbage() return type(f())", Text("table")),
];

#[test]
fn the_corpus_is_long_enough() {
    assert!(CORPUS.len() >= 80, "{} attempts", CORPUS.len());
}

#[test]
fn every_attempt_ends_well_and_the_next_script_works() {
    let mut sandbox = Sandbox::with_memory(MEMORY);
    let mut fresh = sandbox.state.memory_used();
    let mut problems = Vec::new();
    for (source, end) in CORPUS {
        let reply = sandbox.eval(source.as_bytes(), UNITS_MAX);
        let text = match &reply {
            Reply::Bulk(text) | Reply::Error(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        let ends_well = match end {
            Error(part) => matches!(reply, Reply::Error(_)) && text.contains(part),
            Text(whole) => matches!(reply, Reply::Bulk(_)) && text == *whole,
            Any => true,
        };
        if !ends_well {
            problems.push(format!("{source}\n    {:.300}", text));
        }
        if sandbox.state.memory_used() > MEMORY {
            problems.push(format!(
                "{source}\n    {} bytes",
                sandbox.state.memory_used()
            ));
        }
        if sandbox.eval(b"return 'next'", UNITS_MAX) != Reply::Bulk(b"next".to_vec()) {
            problems.push(format!("{source}\n    the next script fails"));
        }
        sandbox.state.abort();
        sandbox.state.collect();
        let left = sandbox.state.memory_used();
        if left > fresh + 64 * 1024 {
            problems.push(format!(
                "{source}\n    {left} bytes are left, {fresh} before"
            ));
            fresh = left;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The time that most slices of the given work keep to while a script runs. Not all: the machine has other work, and
/// takes a slice's time away.
fn usual_slice(state: &mut State, source: &str, units: u64, slices: u32) -> Duration {
    let function = state.load(source.as_bytes(), b"=x").expect("it compiles");
    state.start(function, &[]).expect("it starts");
    let mut times = Vec::new();
    for _ in 0..slices {
        let start = Instant::now();
        let outcome = state.resume(units);
        times.push(start.elapsed());
        if !matches!(outcome, Outcome::OutOfBudget) {
            break;
        }
    }
    state.abort();
    times.sort();
    times[times.len() * 3 / 4]
}

#[test]
fn a_small_budget_comes_back_soon_whatever_runs() {
    for source in [
        "while true do end",
        "local t = {} for i = 1, 1e5 do t[i] = {} end while true do collectgarbage() end",
        "local s = ('a'):rep(1e6) while true do s:find(('a*'):rep(20) .. 'b') end",
        "local s = ('x'):rep(1e6) while true do s:gsub('x', 'yy') end",
        "local t = {} for i = 1, 1e5 do t[i] = (i * 7919) % 10007 end while true do table.sort(t) end",
        "while true do string.rep('x', 1e7) end",
        "local s = ('x = {1, 2, f(x)} '):rep(1e4) while true do loadstring(s) end",
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.concat(t, ',') end",
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.insert(t, 1, 1) table.remove(t, 1) end",
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.maxn(t) end",
    ] {
        let mut state = State::new(Options::default()).expect("the library fits");
        // The best of three: other programs use the machine too.
        let usual = (0..3)
            .map(|_| usual_slice(&mut state, source, 10_000, 300))
            .min()
            .unwrap_or_default();
        assert!(usual < SLICE_MAX, "{source}: {usual:?}");
    }
}
