//! The basic functions, `os.clock`, and proxies.

use super::table::UNITS_OF_EMPTY_STEP;
use crate::heap::{Function, OutOfMemory, UserData};
use crate::limits::{NATIVE_VALUES_MAX, SLICE};
use crate::number::{parse_base, parse_number, until_nul, write_number};
use crate::table::Found;
use crate::value::{TableId, Value};
use crate::vm::State;
use crate::vm::error::{Error, Level};
use crate::vm::task::{Call, Native, NativeResult, Task};
use crate::vm::thread::FrameKind;

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("assert", assert),
    ("collectgarbage", collectgarbage),
    ("error", error),
    ("gcinfo", gcinfo),
    ("getfenv", getfenv),
    ("getmetatable", getmetatable),
    ("ipairs", ipairs),
    ("next", next),
    ("pairs", pairs),
    ("pcall", pcall),
    ("rawequal", rawequal),
    ("rawget", rawget),
    ("rawset", rawset),
    ("select", select),
    ("setfenv", setfenv),
    ("setmetatable", setmetatable),
    ("tonumber", tonumber),
    ("tostring", tostring),
    ("type", type_name),
    ("unpack", unpack),
    ("xpcall", xpcall),
];

pub(super) static OS_FUNCTIONS: &[(&str, Native)] = &[("clock", clock)];

fn assert(call: &mut Call<'_>) -> Result<NativeResult> {
    if !call.check_any(0)?.is_true() {
        let message = match call.opt_string(1)? {
            Some(id) => until_nul(call.bytes(id)).to_vec(),
            None => b"assertion failed!".to_vec(),
        };
        return Err(call.error_bytes(&message));
    }
    for index in 0..call.count {
        call.push(call.arg(index))?;
    }
    Ok(NativeResult::Return(call.count))
}

fn error(call: &mut Call<'_>) -> Result<NativeResult> {
    let level = call.opt_int(1, 1)?;
    let value = call.arg(0);
    let mut text = match value {
        Value::String(id) => call.bytes(id).to_vec(),
        Value::Number(number) => {
            let mut text = Vec::new();
            write_number(number, &mut text);
            text
        }
        _ => return Err(Error::Raised(value)),
    };
    let Ok(level) = usize::try_from(level) else {
        return Err(Error::Raised(value));
    };
    if level == 0 {
        return Err(Error::Raised(value));
    }
    if let Level::Frame(frame) = call.state.level(level, call.has_frame) {
        let mut placed = call.state.place_of(frame);
        placed.append(&mut text);
        text = placed;
    }
    Err(call.state.text_error(&text))
}

fn getmetatable(call: &mut Call<'_>) -> Result<NativeResult> {
    let value = call.check_any(0)?;
    let protected = call.state.meta_named(value, "__metatable");
    if !protected.is_nil() {
        return call.ret(protected);
    }
    let metatable = call
        .state
        .metatable_of(value)
        .map_or(Value::Nil, Value::Table);
    call.ret(metatable)
}

fn setmetatable(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let metatable = match call.arg(1) {
        Value::Table(id) => Some(id),
        Value::Nil if call.has(1) => None,
        _ => return Err(call.argument_error(1, "nil or table expected")),
    };
    if !call
        .state
        .meta_named(Value::Table(table), "__metatable")
        .is_nil()
    {
        return Err(call.error("cannot change a protected metatable"));
    }
    if call.state.heap.tables[table.index()].readonly {
        return Err(call.plain_error("Attempt to modify a readonly table"));
    }
    call.state.set_metatable(table, metatable);
    call.ret(Value::Table(table))
}

fn rawequal(call: &mut Call<'_>) -> Result<NativeResult> {
    let (a, b) = (call.check_any(0)?, call.check_any(1)?);
    let equal = match (a, b) {
        (Value::String(a), Value::String(b)) => call.state.heap.equal_strings(a, b)?,
        _ => a.same(b),
    };
    call.ret(Value::Boolean(equal))
}

fn rawget(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let key = call.check_any(1)?;
    let value = call.state.heap.raw_find(table, key)?;
    call.ret(value)
}

fn rawset(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let key = call.check_any(1)?;
    let value = call.check_any(2)?;
    call.raw_set(table, key, value)?;
    call.ret(Value::Table(table))
}

impl Call<'_> {
    /// Sets a key for a library function, whose errors have no place.
    pub(crate) fn raw_set(&mut self, table: TableId, key: Value, value: Value) -> Result<()> {
        use crate::vm::operate::SetError;
        match self.state.checked_set(table, key, value) {
            Ok(()) => Ok(()),
            Err(SetError::Memory) => Err(Error::Memory),
            Err(other) => Err(self.plain_error(other.text())),
        }
    }
}

fn next(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let key = call.arg(1);
    call.state.heap.prepare(table, key)?;
    let found = call.state.heap.tables[table.index()].next(key, &call.state.heap.strings);
    match found {
        Ok(Found::Pair {
            key, value, passed, ..
        }) => {
            call.charge(passed / 8);
            call.push(key)?;
            call.push(value)?;
            Ok(NativeResult::Return(2))
        }
        Ok(Found::Nothing { after }) => {
            call.charge(UNITS_OF_EMPTY_STEP);
            Ok(NativeResult::Task(Box::new(Next { place: after })))
        }
        Ok(Found::End) => call.ret(Value::Nil),
        Err(_) => Err(call.plain_error("invalid key to 'next'")),
    }
}

/// `next` where many places are empty.
struct Next {
    place: usize,
}

impl Task for Next {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        let table = call.check_table(0)?;
        call.charge(UNITS_OF_EMPTY_STEP);
        match call.state.heap.tables[table.index()].next_from(self.place) {
            Found::Pair { key, value, .. } => {
                call.push(key)?;
                call.push(value)?;
                Ok(NativeResult::Return(2))
            }
            Found::Nothing { after } => {
                self.place = after;
                Ok(NativeResult::Again)
            }
            Found::End => call.ret(Value::Nil),
        }
    }
}

fn pairs(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let next = call.state.library_function(LibraryFunction::Next);
    call.push(next)?;
    call.push(Value::Table(table))?;
    call.push(Value::Nil)?;
    Ok(NativeResult::Return(3))
}

fn ipairs(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let step = call.state.library_function(LibraryFunction::IpairsStep);
    call.push(step)?;
    call.push(Value::Table(table))?;
    call.push(Value::Number(0.0))?;
    Ok(NativeResult::Return(3))
}

fn ipairs_step(call: &mut Call<'_>) -> Result<NativeResult> {
    let index = call.check_int(1)?.wrapping_add(1);
    let table = call.check_table(0)?;
    let key = Value::Number(f64::from(index));
    let value = call.state.heap.raw_get(table, key);
    if value.is_nil() {
        return Ok(NativeResult::Return(0));
    }
    call.push(key)?;
    call.push(value)?;
    Ok(NativeResult::Return(2))
}

fn select(call: &mut Call<'_>) -> Result<NativeResult> {
    let count = i64::try_from(call.count).unwrap_or(i64::MAX);
    if let Value::String(id) = call.arg(0)
        && call.bytes(id).first() == Some(&b'#')
    {
        return call.ret_number((count - 1) as f64);
    }
    let wanted = i64::from(call.check_int(0)?);
    let first = if wanted < 0 {
        count + wanted
    } else {
        wanted.min(count)
    };
    if first < 1 {
        return Err(call.argument_error(0, "index out of range"));
    }
    let first = usize::try_from(first).unwrap_or(call.count);
    for index in first..call.count {
        call.push(call.arg(index))?;
    }
    Ok(NativeResult::Return(call.count - first))
}

fn unpack(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let first = call.opt_int(1, 1)?;
    let last = if call.arg(2).is_nil() {
        i32::try_from(call.state.length(table)).unwrap_or(i32::MAX)
    } else {
        call.check_int(2)?
    };
    if first > last {
        return Ok(NativeResult::Return(0));
    }
    let count = i64::from(last) - i64::from(first) + 1;
    let room = NATIVE_VALUES_MAX.saturating_sub(call.count);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > room {
        return Err(call.error("too many results to unpack"));
    }
    call.charge(count / 4);
    for key in i64::from(first)..=i64::from(last) {
        let value = call.state.heap.raw_get(table, Value::Number(key as f64));
        call.push(value)?;
    }
    Ok(NativeResult::Return(count))
}

fn tonumber(call: &mut Call<'_>) -> Result<NativeResult> {
    let base = call.opt_int(1, 10)?;
    if base == 10 {
        let number = match call.check_any(0)? {
            Value::Number(number) => Some(number),
            Value::String(id) => parse_number(call.bytes(id)),
            _ => None,
        };
        return call.ret(number.map_or(Value::Nil, Value::Number));
    }
    let text = call.check_string(0)?;
    let Some(base) = u32::try_from(base)
        .ok()
        .filter(|base| (2..=36).contains(base))
    else {
        return Err(call.argument_error(1, "base out of range"));
    };
    let number = parse_base(call.bytes(text), base);
    call.ret(number.map_or(Value::Nil, Value::Number))
}

/// Calls a metamethod and returns its first result.
struct FirstResult {
    called: bool,
}

impl Task for FirstResult {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.called {
            let value = call.result(0);
            return call.ret(value);
        }
        let handler = call.state.meta_named(call.arg(0), "__tostring");
        call.push(handler)?;
        call.push(call.arg(0))?;
        self.called = true;
        Ok(NativeResult::Call(1))
    }
}

fn tostring(call: &mut Call<'_>) -> Result<NativeResult> {
    let value = call.check_any(0)?;
    if let Value::String(_) = value {
        return call.ret(value);
    }
    if call.state.metatable_of(value).is_some()
        && !call.state.meta_named(value, "__tostring").is_nil()
    {
        return Ok(NativeResult::Task(Box::new(FirstResult { called: false })));
    }
    let text = super::display(call.state, value);
    call.ret_bytes(&text)
}

fn type_name(call: &mut Call<'_>) -> Result<NativeResult> {
    let name = call.check_any(0)?.type_name();
    call.ret_bytes(name.as_bytes())
}

fn pcall(call: &mut Call<'_>) -> Result<NativeResult> {
    if call.count == 0 {
        if call.state.options.pcall_unwraps_err {
            // What the hosts that want errors unwrapped answer here.
            call.push(Value::Boolean(false))?;
            let text = call.state.heap.string(b"attempt to call a boolean value")?;
            call.push(Value::String(text))?;
            return Ok(NativeResult::Return(2));
        }
        call.check_any(0)?;
    }
    Ok(NativeResult::Protect { has_handler: false })
}

fn xpcall(call: &mut Call<'_>) -> Result<NativeResult> {
    call.check_any(1)?;
    Ok(NativeResult::Protect { has_handler: true })
}

/// A function, or the frame of a level of the call stack.
enum Target {
    Function(Value),
    /// Level 0: the globals.
    Globals,
}

fn target(call: &mut Call<'_>, optional: bool) -> Result<Target> {
    let value = call.arg(0);
    if matches!(value, Value::Function(_) | Value::Native(_)) {
        return Ok(Target::Function(value));
    }
    let level = if optional {
        call.opt_int(0, 1)?
    } else {
        call.check_int(0)?
    };
    let Ok(level) = usize::try_from(level) else {
        return Err(call.argument_error(0, "level must be non-negative"));
    };
    if level == 0 {
        return Ok(Target::Globals);
    }
    match call.state.level(level, call.has_frame) {
        Level::Frame(frame) => Ok(match call.state.thread.frames[frame].kind {
            FrameKind::Lua(id) => Target::Function(Value::Function(id)),
            _ => Target::Globals,
        }),
        Level::Replaced => {
            let text = format!("no function environment for tail call at level {level}");
            Err(call.error(&text))
        }
        Level::None => Err(call.argument_error(0, "invalid level")),
    }
}

fn getfenv(call: &mut Call<'_>) -> Result<NativeResult> {
    let globals = call.state.run_globals();
    let table = match target(call, true)? {
        Target::Function(Value::Function(id)) => match &call.state.heap.functions[id.index()] {
            Function::Lua(closure) => closure.env,
            Function::Native { .. } => globals,
        },
        _ => globals,
    };
    call.ret(Value::Table(table))
}

fn setfenv(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(1)?;
    let is_level_zero = match call.arg(0) {
        Value::Number(number) => number == 0.0,
        Value::String(id) => parse_number(call.bytes(id)) == Some(0.0),
        _ => false,
    };
    if is_level_zero {
        call.state.set_run_globals(table);
        return Ok(NativeResult::Return(0));
    }
    if let Target::Function(function) = target(call, false)?
        && call.state.set_environment(function, table)
    {
        return call.ret(function);
    }
    Err(call.error("'setfenv' cannot change environment of given object"))
}

fn gcinfo(call: &mut Call<'_>) -> Result<NativeResult> {
    let kilobytes = (call.state.heap.bytes / 1024) as f64;
    call.ret_number(kilobytes)
}

/// A whole collection, in slices.
struct Collection {
    started: bool,
}

impl Task for Collection {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if !self.started {
            self.started = true;
            // One that is under way may have passed over what has become garbage since.
            while call.state.heap.phase != crate::heap::Phase::Idle {
                call.state.collect_slice(SLICE);
            }
        }
        if call.state.collect_slice(SLICE) {
            call.ret_number(0.0)
        } else {
            Ok(NativeResult::Again)
        }
    }
}

fn collectgarbage(call: &mut Call<'_>) -> Result<NativeResult> {
    let option = match call.opt_string(0)? {
        Some(id) => until_nul(call.bytes(id)).to_vec(),
        None => b"collect".to_vec(),
    };
    let argument = call.opt_int(1, 0)?;
    match &option[..] {
        b"collect" => return Ok(NativeResult::Task(Box::new(Collection { started: false }))),
        b"stop" => call.state.collector_stopped = true,
        b"restart" => call.state.collector_stopped = false,
        b"count" => {
            let kilobytes = call.state.heap.bytes as f64 / 1024.0;
            return call.ret_number(kilobytes);
        }
        b"step" => {
            let complete = call.state.collect_slice(SLICE);
            return call.ret(Value::Boolean(complete));
        }
        b"setpause" => {
            let old = std::mem::replace(&mut call.state.pause, f64::from(argument));
            return call.ret_number(old);
        }
        b"setstepmul" => {
            let old = std::mem::replace(&mut call.state.step_multiplier, f64::from(argument));
            return call.ret_number(old);
        }
        _ => {
            let text = format!("invalid option '{}'", String::from_utf8_lossy(&option));
            return Err(call.argument_error(0, &text));
        }
    }
    call.ret_number(0.0)
}

fn clock(call: &mut Call<'_>) -> Result<NativeResult> {
    let seconds = call.state.options.clock.map_or(0.0, |clock| clock());
    call.ret_number(seconds)
}

/// `newproxy`: an opaque object; with `true` one that has a metatable, with another proxy one that shares its metatable.
fn newproxy(call: &mut Call<'_>) -> Result<NativeResult> {
    let metatable = match call.arg(0) {
        Value::Nil | Value::Boolean(false) => None,
        Value::Boolean(true) => {
            let metatable = call.state.heap.table(0, 0)?;
            call.state.heap.tables[metatable.index()].of_proxies = true;
            Some(metatable)
        }
        other => {
            let metatable = match other {
                Value::UserData(_) => call.state.metatable_of(other),
                _ => None,
            };
            let tables = &call.state.heap.tables;
            if !metatable.is_some_and(|metatable| tables[metatable.index()].of_proxies) {
                return Err(call.argument_error(0, "boolean or proxy expected"));
            }
            metatable
        }
    };
    let env = None;
    let proxy = call.state.heap.userdata(UserData { metatable, env })?;
    call.ret(Value::UserData(proxy))
}

/// Functions of the library that others hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibraryFunction {
    Next,
    IpairsStep,
    Wrapped,
    GmatchStep,
    Join,
}

/// How many those are.
pub(crate) const LIBRARY_FUNCTIONS: usize = 5;

impl State {
    pub(crate) fn library_function(&self, function: LibraryFunction) -> Value {
        self.handed_out[function as usize]
    }
}

impl Call<'_> {
    /// Returns a function of the library with state of its own.
    pub(super) fn ret_stateful(
        &mut self,
        function: LibraryFunction,
        values: Vec<Value>,
    ) -> Result<NativeResult> {
        let Value::Native(id) = self.state.library_function(function) else {
            return Ok(NativeResult::Return(0));
        };
        let function = self.state.heap.function(Function::Native { id, values })?;
        self.ret(Value::Function(function))
    }

    /// A value that the called function keeps.
    pub(crate) fn kept(&self, index: usize) -> Value {
        match self.state.thread.stack[self.base - 1] {
            Value::Function(id) => match &self.state.heap.functions[id.index()] {
                Function::Native { values, .. } => values.get(index).copied().unwrap_or_default(),
                Function::Lua(_) => Value::Nil,
            },
            _ => Value::Nil,
        }
    }

    pub(super) fn set_kept(&mut self, index: usize, value: Value) {
        if let Value::Function(id) = self.state.thread.stack[self.base - 1]
            && let Function::Native { values, .. } = &mut self.state.heap.functions[id.index()]
            && let Some(kept) = values.get_mut(index)
        {
            *kept = value;
        }
    }
}

/// `newproxy` and its table, and what other functions hand out.
pub(super) fn install_hidden(state: &mut State) -> std::result::Result<(), OutOfMemory> {
    let globals = state.globals();
    let newproxy = state.native(newproxy);
    state.set_field(globals, "newproxy", newproxy)?;
    state.handed_out = [
        state.field(globals, "next"),
        state.native(ipairs_step),
        state.native(super::coroutine::wrapped),
        state.native(super::string::gmatch_step),
        state.native(super::string::join),
    ];
    Ok(())
}
