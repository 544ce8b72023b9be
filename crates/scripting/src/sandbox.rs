//! The world that a script finds: globals that nobody can change, and the functions of the server.

use crate::host::Targets;
use lua::{Options, OutOfMemory, State, TableId, Value};

/// The version of Redis OSS whose scripts run here unchanged.
const REDIS_VERSION: (&str, u32) = ("7.2.4", 0x0007_0204);
/// The version of Valkey whose scripts run here unchanged.
const VALKEY_VERSION: (&str, u32) = ("8.0.1", 0x0008_0001);

/// Functions of the server, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Call,
    Pcall,
    ErrorReply,
    StatusReply,
    Sha1Hex,
    Log,
    SetResp,
    SetRepl,
    AclCheckCmd,
    ReplicateCommands,
    Breakpoint,
    Debug,
    Register,
    /// Behind reads of unknown globals.
    UnknownGlobal,
    ErrorHandler,
}

impl Function {
    const ALL: [Self; 15] = [
        Self::Call,
        Self::Pcall,
        Self::ErrorReply,
        Self::StatusReply,
        Self::Sha1Hex,
        Self::Log,
        Self::SetResp,
        Self::SetRepl,
        Self::AclCheckCmd,
        Self::ReplicateCommands,
        Self::Breakpoint,
        Self::Debug,
        Self::Register,
        Self::UnknownGlobal,
        Self::ErrorHandler,
    ];

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    fn value(self, state: &State) -> Value {
        state.host_function(self as u32)
    }
}

/// What scripts and functions both find in `redis`.
static COMMON: &[(&str, Function)] = &[
    ("call", Function::Call),
    ("pcall", Function::Pcall),
    ("error_reply", Function::ErrorReply),
    ("status_reply", Function::StatusReply),
    ("sha1hex", Function::Sha1Hex),
    ("log", Function::Log),
    ("setresp", Function::SetResp),
    ("set_repl", Function::SetRepl),
    ("acl_check_cmd", Function::AclCheckCmd),
];

/// What only scripts do.
static OF_SCRIPTS: &[(&str, Function)] = &[
    ("replicate_commands", Function::ReplicateCommands),
    ("breakpoint", Function::Breakpoint),
    ("debug", Function::Debug),
];

/// What a library finds while it is loaded.
static OF_LOADING: &[(&str, Function)] = &[
    ("register_function", Function::Register),
    ("log", Function::Log),
];

/// Tables of the globals that are protected like these themselves.
static LIBRARIES: &[&str] = &[
    "string",
    "table",
    "math",
    "coroutine",
    "os",
    "bit",
    "struct",
    "cmsgpack",
    "cjson",
];

/// The globals of libraries: a table without anything in it, whose metatable looks into one of two others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LibraryGlobals {
    pub(crate) metatable: TableId,
    /// What is found while a library is loaded.
    pub(crate) loading: Value,
    /// What is found while a function runs.
    pub(crate) running: Value,
}

fn fresh_state() -> Result<State, OutOfMemory> {
    let mut state = State::new(Options {
        pcall_unwraps_err: true,
        ..Options::default()
    })?;
    state.install_ext()?;
    Ok(state)
}

/// An interpreter for EVAL.
///
/// # Errors
/// Never with the memory that a state may take by default.
pub(crate) fn for_scripts() -> Result<State, OutOfMemory> {
    let mut state = fresh_state()?;
    let globals = state.globals();
    let api = state.table(0, 32)?;
    functions(&mut state, api, COMMON)?;
    functions(&mut state, api, OF_SCRIPTS)?;
    constants(&mut state, api)?;
    repl_constants(&mut state, api)?;
    install_api(&mut state, globals, api)?;
    let handler = Function::ErrorHandler.value(&state);
    state.set_field(globals, "__redis__err__handler", handler)?;
    protect(&mut state, globals)?;
    Ok(state)
}

/// An interpreter for libraries.
///
/// # Errors
/// As [`for_scripts`].
pub(crate) fn for_libraries() -> Result<(State, LibraryGlobals), OutOfMemory> {
    let mut state = fresh_state()?;
    let running = state.globals();
    let api = state.table(0, 32)?;
    functions(&mut state, api, COMMON)?;
    constants(&mut state, api)?;
    repl_constants(&mut state, api)?;
    install_api(&mut state, running, api)?;
    protect(&mut state, running)?;

    let loading = state.table(0, 2)?;
    let api = state.table(0, 16)?;
    functions(&mut state, api, OF_LOADING)?;
    constants(&mut state, api)?;
    install_api(&mut state, loading, api)?;
    refuse_unknown(&mut state, api)?;
    refuse_unknown(&mut state, loading)?;

    let globals = state.table(0, 0)?;
    let metatable = state.table(0, 1)?;
    state.set_metatable(globals, Some(metatable));
    state.set_readonly(globals, true);
    state.set_readonly(metatable, true);
    for table in [loading, running, metatable] {
        state.keep(Value::Table(table));
    }
    state.set_globals(globals);
    let library_globals = LibraryGlobals {
        metatable,
        loading: Value::Table(loading),
        running: Value::Table(running),
    };
    Ok((state, library_globals))
}

fn functions(
    state: &mut State,
    table: TableId,
    functions: &[(&str, Function)],
) -> Result<(), OutOfMemory> {
    for (name, function) in functions {
        let function = function.value(state);
        state.set_field(table, name, function)?;
    }
    Ok(())
}

fn constants(state: &mut State, api: TableId) -> Result<(), OutOfMemory> {
    let levels = ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"];
    for (name, level) in levels.into_iter().zip(0..) {
        state.set_field(api, name, Value::Number(f64::from(level)))?;
    }
    for (prefix, (text, number)) in [("REDIS", REDIS_VERSION), ("VALKEY", VALKEY_VERSION)] {
        let text = state.string(text.as_bytes())?;
        state.set_field(api, &format!("{prefix}_VERSION"), text)?;
        let number = Value::Number(f64::from(number));
        state.set_field(api, &format!("{prefix}_VERSION_NUM"), number)?;
    }
    let name = state.string(b"valkey")?;
    state.set_field(api, "SERVER_NAME", name)
}

fn repl_constants(state: &mut State, api: TableId) -> Result<(), OutOfMemory> {
    for (name, targets) in [
        ("REPL_NONE", Targets::NONE),
        ("REPL_AOF", Targets::AOF),
        ("REPL_SLAVE", Targets::REPLICAS),
        ("REPL_REPLICA", Targets::REPLICAS),
        ("REPL_ALL", Targets::ALL),
    ] {
        state.set_field(api, name, Value::Number(targets.number()))?;
    }
    Ok(())
}

/// Both names stand for the same table.
fn install_api(state: &mut State, globals: TableId, api: TableId) -> Result<(), OutOfMemory> {
    state.set_readonly(api, true);
    for name in ["redis", "server"] {
        state.set_field(globals, name, Value::Table(api))?;
    }
    Ok(())
}

/// Makes what is there unchangeable, and what is not an error.
fn protect(state: &mut State, globals: TableId) -> Result<(), OutOfMemory> {
    for name in LIBRARIES {
        if let Value::Table(table) = state.field(globals, name) {
            state.set_readonly(table, true);
        }
    }
    if let Some(table) = state.string_metatable() {
        state.set_readonly(table, true);
    }
    refuse_unknown(state, globals)
}

fn refuse_unknown(state: &mut State, table: TableId) -> Result<(), OutOfMemory> {
    let metatable = state.table(0, 1)?;
    let unknown = Function::UnknownGlobal.value(state);
    state.set_field(metatable, "__index", unknown)?;
    state.set_readonly(metatable, true);
    state.set_metatable(table, Some(metatable));
    state.set_readonly(table, true);
    Ok(())
}
