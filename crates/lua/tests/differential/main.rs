//! Random programs, run here and by EVAL on the reference server: results and error texts must be the same.
//!
//! Skipped where `valkey-server` is not installed. `LUA_DIFF_SEED` and `LUA_DIFF_CASES` choose another campaign, `LUA_DIFF_COLLECT`
//! has every slice followed by a collection.
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

/// Work that one call may do.
const UNITS_MAX: u64 = 50_000_000;

/// Work of a slice that a collection follows.
const COLLECT_SLICE: u64 = 300;

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

#[test]
fn random_programs_lead_to_the_same_as_on_the_reference() {
    let Some(mut reference) = Reference::start() else {
        println!("valkey-server is not installed: skipped");
        return;
    };
    let seed = setting("LUA_DIFF_SEED", 1);
    let cases = setting("LUA_DIFF_CASES", CASES);
    println!("seed {seed}, {cases} programs");
    let mut generator = Generator::new(seed);
    let mut sandbox = Sandbox::new();
    if std::env::var_os("LUA_DIFF_COLLECT").is_some() {
        sandbox.slice = COLLECT_SLICE;
        sandbox.collects = true;
    }
    let mut differences = 0;
    let mut crashes = 0;
    for _ in 0..cases.div_ceil(CASES_PER_CALL) {
        let sources: Vec<Vec<u8>> = (0..CASES_PER_CALL).map(|_| generator.program()).collect();
        let whole = program(&sources);
        let Some(expected) = reference.eval(&whole) else {
            // The reference has known ways to die; what killed it is no yardstick.
            crashes += 1;
            reference = Reference::start().expect("it has started before");
            continue;
        };
        let got = sandbox.eval(&whole, UNITS_MAX);
        if got == Reply::Endless {
            println!("---\n{}\nendless here", String::from_utf8_lossy(&whole));
        }
        if got == expected {
            continue;
        }
        let (got, expected) = (parts(&got), parts(&expected));
        for (index, source) in sources.iter().enumerate() {
            let (got, expected) = (got.get(index), expected.get(index));
            if got != expected {
                let shown =
                    |text: Option<&Vec<u8>>| text.map(|text| text.escape_ascii().to_string());
                println!("---\n{}", String::from_utf8_lossy(source));
                println!("expected {:?}\ngot      {:?}", shown(expected), shown(got));
                differences += 1;
            }
        }
        if differences >= DIFFERENCES_MAX {
            break;
        }
    }
    println!("{crashes} calls killed the reference");
    assert_eq!(differences, 0, "seed {seed}");
}
