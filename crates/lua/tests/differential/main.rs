//! Random programs, run here and by EVAL on the reference server: results and error texts must be the same.
//!
//! Skipped where `valkey-server` is not installed. `LUA_DIFF_SEED` and `LUA_DIFF_CASES` choose another campaign, `LUA_DIFF_WORKERS`
//! has several of them run at a time (with the seeds that follow), `LUA_DIFF_COLLECT` has every slice followed by a collection.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped runs are printed, and waiting for a server takes the real clock"
)]

mod generate;
mod reference;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests and an example"
)]
#[path = "../support/mod.rs"]
mod support;

use generate::Generator;
use reference::Reference;
use support::{Reply, Sandbox};

/// Programs of an ordinary run.
const CASES: u64 = 3_000;

/// Programs that one EVAL runs.
const CASES_PER_CALL: u64 = 20;

/// Work that one call may do, at first and where the reference has come to an end.
const UNITS_FIRST: u64 = 5_000_000;
const UNITS_MAX: u64 = 50_000_000;

/// Work of a slice that a collection follows.
const COLLECT_SLICE: u64 = 300;

/// Calls between two lines that tell how far a campaign is.
const CALLS_BETWEEN_NEWS: u64 = 1_000;

/// Layouts of its memory in which the reference is asked again.
const ADDRESSES_TRIED: usize = 12;

/// Differences that are shown before the test gives up.
const DIFFERENCES_MAX: usize = 8;

/// What runs the programs and writes down what they lead to, in Lua: pairs in their order, addresses left out.
const HARNESS: &str = r#"
local out = {}
local function byte(c) return '\\' .. string.byte(c) end
local function text(s) return (string.gsub(string.gsub(s, '0x%x+', 'ADDR'), '%c', byte)) end
local function show(v, depth)
  local kind = type(v)
  if kind == 'string' then return string.format('%q', text(v)) end
  if kind == 'number' then return string.format('%.17g', v) end
  if kind ~= 'table' then return (kind == 'boolean' or kind == 'nil') and tostring(v) or kind end
  if depth > 3 then return '{...}' end
  local parts = {}
  local key, value = next(v)
  while key ~= nil and #parts < 40 do
    -- Objects are hashed by their addresses: their order is nobody's promise.
    if key == '_G' then return '{globals}' end
    if type(key) ~= 'string' and type(key) ~= 'number' and type(key) ~= 'boolean' then return '{objects}' end
    parts[#parts + 1] = '[' .. show(key, depth + 1) .. ']=' .. show(value, depth + 1)
    key, value = next(v, key)
  end
  return '{' .. table.concat(parts, ',') .. '#' .. #v .. '}'
end
local function case(source)
  local f, e = loadstring(source, '=c')
  if not f then out[#out + 1] = 'C:' .. text(e) return end
  local r = {pcall(f)}
  local parts = {}
  for i = 1, math.min(table.maxn(r), 12) do parts[i] = show(r[i], 0) end
  out[#out + 1] = table.concat(parts, ' ')
end
"#;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// A Lua string literal.
fn literal(source: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in source {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            other => out.extend_from_slice(format!("\\{other:03}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}

fn program(cases: &[Vec<u8>]) -> Vec<u8> {
    let mut program = HARNESS.as_bytes().to_vec();
    for source in cases {
        program.extend_from_slice(b"case(");
        program.extend_from_slice(&literal(source));
        program.extend_from_slice(b")\n");
    }
    program.extend_from_slice(b"return table.concat(out, '\\1')");
    program
}

fn parts(reply: &Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Bulk(text) => text.split(|byte| *byte == 1).map(<[u8]>::to_vec).collect(),
        other => vec![format!("{other:?}").into_bytes()],
    }
}

/// What a campaign has seen.
#[derive(Default)]
struct Seen {
    programs: u64,
    differences: usize,
    /// Programs that the reference answers in one way or another.
    of_addresses: u64,
    /// Calls that the reference has not survived, or not ended in time.
    lost_calls: u64,
}

/// What a call's results are for one of its programs.
fn part(reply: &Reply, index: usize) -> Option<Vec<u8>> {
    parts(reply).get(index).cloned()
}

/// Whether the reference itself answers a program differently when its objects lie elsewhere: they are hashed by their
/// addresses, and that shows in the order of a traversal.
fn depends_on_addresses(source: &[u8], reference: &mut Reference) -> bool {
    let mut answers = Vec::new();
    for count in 0..ADDRESSES_TRIED {
        let around = format!("local around = {{}} for i = 1, {count} do around[i] = {{i}} end\n");
        let whole = [around.as_bytes(), &program(&[source.to_vec()])].concat();
        let Some(reply) = reference
            .send(&whole)
            .and_then(|()| reference.receive(reference::PATIENCE))
        else {
            return false;
        };
        answers.push(part(&reply, 0));
    }
    answers.iter().any(|answer| *answer != answers[0])
}

/// Shows what differs in a call's results and adds it up.
fn compare(
    sources: &[Vec<u8>],
    (got, expected): (&Reply, &Reply),
    reference: &mut Reference,
    seen: &mut Seen,
) {
    if *got == Reply::Endless {
        println!("---\nendless here");
    }
    if got == expected {
        return;
    }
    for (index, source) in sources.iter().enumerate() {
        let (got, expected) = (part(got, index), part(expected, index));
        if got == expected {
            continue;
        }
        if depends_on_addresses(source, reference) {
            seen.of_addresses += 1;
            continue;
        }
        let shown = |text: Option<Vec<u8>>| text.map(|text| text.escape_ascii().to_string());
        println!("---\n{}", String::from_utf8_lossy(source));
        println!("expected {:?}\ngot      {:?}", shown(expected), shown(got));
        seen.differences += 1;
    }
}

/// So many programs of a seed. While the reference runs a call, so do we.
fn campaign(seed: u64, cases: u64) -> Seen {
    let start = || Reference::start().expect("it has started before");
    let mut reference = start();
    let mut generator = Generator::new(seed);
    let mut sandbox = Sandbox::new();
    if std::env::var_os("LUA_DIFF_COLLECT").is_some() {
        sandbox.slice = COLLECT_SLICE;
        sandbox.collects = true;
    }
    let mut seen = Seen::default();
    for call in 0..cases.div_ceil(CASES_PER_CALL) {
        let sources: Vec<Vec<u8>> = (0..CASES_PER_CALL).map(|_| generator.program()).collect();
        let whole = program(&sources);
        let sent = reference.send(&whole);
        let mut got = sandbox.eval(&whole, UNITS_FIRST);
        let patience = if got == Reply::Endless {
            reference::SHORT_PATIENCE
        } else {
            reference::PATIENCE
        };
        let Some(expected) = sent.and_then(|()| reference.receive(patience)) else {
            // The reference has known ways to die; what killed it is no yardstick.
            seen.lost_calls += 1;
            reference = start();
            continue;
        };
        if got == Reply::Endless {
            got = sandbox.eval(&whole, UNITS_MAX);
        }
        seen.programs += CASES_PER_CALL;
        compare(&sources, (&got, &expected), &mut reference, &mut seen);
        if seen.differences >= DIFFERENCES_MAX {
            break;
        }
        if call % CALLS_BETWEEN_NEWS == CALLS_BETWEEN_NEWS - 1 {
            println!(
                "seed {seed}: {} programs, {} differ",
                seen.programs, seen.differences
            );
        }
    }
    seen
}

#[test]
fn random_programs_lead_to_the_same_as_on_the_reference() {
    if Reference::start().is_none() {
        println!("valkey-server is not installed: skipped");
        return;
    }
    let seed = setting("LUA_DIFF_SEED", 1);
    let cases = setting("LUA_DIFF_CASES", CASES);
    let workers = setting("LUA_DIFF_WORKERS", 1).max(1);
    println!("seeds from {seed} on, {cases} programs, {workers} at a time");
    let all = std::thread::scope(|scope| {
        let begin = |worker| scope.spawn(move || campaign(seed + worker, cases.div_ceil(workers)));
        let running: Vec<_> = (0..workers).map(begin).collect();
        let ended = running.into_iter().map(|worker| worker.join());
        ended.fold(Seen::default(), |mut all, seen| {
            let seen = seen.expect("a campaign tells of differences, and does not panic");
            all.programs += seen.programs;
            all.differences += seen.differences;
            all.of_addresses += seen.of_addresses;
            all.lost_calls += seen.lost_calls;
            all
        })
    });
    println!(
        "{} programs compared, {} differ; {} more depend on addresses; {} calls killed the reference",
        all.programs, all.differences, all.of_addresses, all.lost_calls
    );
    assert_eq!(all.differences, 0, "seeds from {seed} on");
}
