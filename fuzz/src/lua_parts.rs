//! Parts of the Lua interpreter and its modules, each fed with any bytes by a program of its own. Used by cargo-fuzz, and with
//! the inputs of `crates/lua/tests/corpus` by that crate's tests.
//!
//! A program runs whole and again in small slices: both end in the same way, within their memory. What a program asserts of
//! its own results is an error whose text begins with `broken`, and a panic here.

use ::lua::{Options, Outcome, State, Value};

/// Memory and work of one run.
const MEMORY: usize = 4 << 20;
const UNITS: u64 = 400_000;

/// Units of a small slice.
const SLICE: u64 = 7;

/// A part: its name, as cargo-fuzz knows it, and a program that gets the bytes as `...`.
pub struct Part {
    /// Name, and folder of inputs.
    pub name: &'static str,
    program: &'static str,
}

/// Every part.
pub static PARTS: &[Part] = &[
    Part {
        name: "lua_source",
        // Twice: the second time to see that the first one has left nothing behind.
        program: "
            local source = ...
            local f, why = loadstring(source, '=s')
            local g, why_again = loadstring(source, '=s')
            if (f == nil) ~= (g == nil) or why ~= why_again then error('broken: ' .. tostring(why), 0) end
            if not f then return why end
            setfenv(f, {string = string, table = table, pcall = pcall, type = type, tostring = tostring})
            return pcall(f)",
    },
    Part {
        name: "lua_pattern",
        // The pattern, a zero and the subject.
        program: "
            local data = ...
            local at = data:find('\\0', 1, true) or #data
            local pattern, text = data:sub(1, at - 1), data:sub(at + 1)
            local first, last = text:find(pattern)
            if first and (first < 1 or last < first - 1 or last > #text) then error('broken: range', 0) end
            local matches = 0
            for a, b in text:gmatch(pattern) do matches = matches + 1 end
            local same, count = text:gsub(pattern, '%0')
            if same ~= text then error('broken: %0 is not the match', 0) end
            local called = text:gsub(pattern, function(a) return type(a) == 'string' and a or nil end)
            return first, last, text:match(pattern), matches, count, #called, text:gsub(pattern, pattern)",
    },
    Part {
        name: "lua_format",
        // The format, a zero, and what is formatted, as text and as a number.
        program: "
            local data = ...
            local at = data:find('\\0', 1, true) or #data
            local format, text = data:sub(1, at - 1), data:sub(at + 1)
            local number = tonumber(text) or #text / 3
            local quoted = string.format('%q', text)
            if loadstring('return ' .. quoted)() ~= text then error('broken: %q', 0) end
            return pcall(string.format, format, text, text, text, text), pcall(string.format, format, number, number, number),
              tonumber(text, 16), tostring(number)",
    },
    Part {
        name: "lua_cjson",
        program: "
            local data = ...
            local good, value = pcall(cjson.decode, data)
            local quoted = cjson.encode({data})
            if cjson.decode(quoted)[1] ~= data and not data:find('[\\128-\\255%z]') then error('broken: string', 0) end
            if not good then return value end
            local encodes, text = pcall(cjson.encode, value)
            if not encodes then return text end
            local again = cjson.encode(cjson.decode(text))
            -- Keys whose hashes collide may change places.
            if #again ~= #text and not text:find('e[+-]?%d') then error('broken: ' .. text .. ' ' .. again, 0) end
            return text",
    },
    Part {
        name: "lua_cmsgpack",
        program: "
            local data = ...
            if cmsgpack.unpack(cmsgpack.pack(data)) ~= data then error('broken: string', 0) end
            local good, value = pcall(cmsgpack.unpack, data)
            local offset, first = cmsgpack.unpack_one(cmsgpack.pack(data, 1))
            pcall(cmsgpack.unpack_limit, data, 3, #data % 5)
            if not good then return value end
            local packed = cmsgpack.pack(value)
            return #packed, select('#', cmsgpack.unpack(packed)), offset",
    },
    Part {
        name: "lua_struct",
        // The format, a zero, and the bytes.
        program: "
            local data = ...
            local at = data:find('\\0', 1, true) or #data
            local format, text = data:sub(1, at - 1), data:sub(at + 1)
            pcall(struct.size, format)
            local read = {pcall(struct.unpack, format, text)}
            pcall(struct.pack, format, text, #text, text, -1, 1 / 3, text)
            if not read[1] then return read[2] end
            local next_place = read[#read]
            if type(next_place) == 'number' and next_place > #text + 1 and #read > 2 then
              return 'past the end', next_place
            end
            return #read, pcall(struct.pack, format, unpack(read, 2, #read - 1))",
    },
];

/// What a run leads to; none if it takes too long.
fn run(part: &Part, data: &[u8], slice: u64) -> Option<(bool, Vec<u8>)> {
    let options = Options {
        memory_bytes_max: MEMORY,
        ..Options::default()
    };
    let mut state = State::new(options).expect("the library fits");
    state.install_ext().expect("the modules fit");
    let program = state
        .load(part.program.as_bytes(), b"=part")
        .expect("the program is Lua");
    let data = state.string(data).ok()?;
    state.start(program, &[data]).ok()?;
    loop {
        let outcome = state.resume(slice);
        assert!(state.memory_used() <= MEMORY, "memory");
        let values: Vec<Value> = match outcome {
            Outcome::Done => state.results().to_vec(),
            Outcome::Failed(failure) => vec![failure.value],
            Outcome::OutOfBudget if state.work_used() < UNITS => continue,
            _ => return None,
        };
        let mut shown = Vec::new();
        for value in values {
            // Tables and functions have numbers instead of contents.
            shown.extend_from_slice(&match value {
                Value::String(_) | Value::Number(_) => state.display(value),
                other => other.type_name().as_bytes().to_vec(),
            });
            shown.push(b'|');
        }
        return Some((matches!(outcome, Outcome::Done), shown));
    }
}

/// Feeds a part with bytes.
///
/// # Panics
///
/// Something is wrong.
pub fn feed(part: &Part, data: &[u8]) {
    let Some(whole) = run(part, data, UNITS) else {
        return;
    };
    let text = String::from_utf8_lossy(&whole.1);
    assert!(whole.0 || !text.starts_with("broken"), "{text}");
    // Collections begin at other moments, so that what fails for lack of memory may not fail.
    if let Some(sliced) = run(part, data, SLICE)
        && !text.contains("not enough memory")
    {
        assert_eq!(
            sliced.1.escape_ascii().to_string(),
            whole.1.escape_ascii().to_string()
        );
    }
}

/// Feeds the part of a name.
///
/// # Panics
///
/// Something is wrong.
pub fn feed_named(name: &str, data: &[u8]) {
    let part = PARTS.iter().find(|part| part.name == name);
    feed(part.expect("a part has this name"), data);
}
