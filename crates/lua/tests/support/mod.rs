//! A sandbox as a server builds one around scripts: read-only globals, an error for unknown ones, `KEYS` and `ARGV`.

use lua::{Failure, LoadError, Options, Outcome, State, Value};

/// The host function behind reads of unknown globals.
const UNKNOWN_GLOBAL: u32 = 1;

/// Units of work of one slice.
const SLICE: u64 = 100_000;

/// What a script leads to, as a server would answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Nil,
    Bulk(Vec<u8>),
    Integer(i64),
    /// Some other value.
    Other(&'static str),
    Error(Vec<u8>),
    /// More work than was allowed.
    Endless,
}

/// A state with the sandbox around it.
pub(crate) struct Sandbox {
    pub(crate) state: State,
    memory_bytes_max: usize,
    /// Units of work of one slice.
    pub(crate) slice: u64,
    /// Whether a whole collection follows every slice, so that whatever the collector overlooks is missed at once.
    pub(crate) collects: bool,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::with_memory(Options::default().memory_bytes_max)
    }

    pub(crate) fn with_memory(memory_bytes_max: usize) -> Self {
        let options = Options {
            memory_bytes_max,
            pcall_unwraps_err: true,
            ..Options::default()
        };
        let mut state = State::new(options).expect("the library fits");
        state.install_ext().expect("the modules fit");
        let globals = state.globals();
        let metatable = state.table(0, 1).expect("a table fits");
        let unknown = state.host_function(UNKNOWN_GLOBAL);
        state
            .set_field(metatable, "__index", unknown)
            .expect("a field fits");
        state.set_readonly(metatable, true);
        state.set_metatable(globals, Some(metatable));
        for name in [
            "string",
            "table",
            "math",
            "coroutine",
            "os",
            "bit",
            "struct",
            "cmsgpack",
            "cjson",
        ] {
            if let Value::Table(table) = state.field(globals, name) {
                state.set_readonly(table, true);
            }
        }
        if let Some(table) = state.string_metatable() {
            state.set_readonly(table, true);
        }
        state.set_readonly(globals, true);
        Self {
            state,
            memory_bytes_max,
            slice: SLICE,
            collects: false,
        }
    }

    /// Runs a script with so many units of work at most.
    pub(crate) fn eval(&mut self, source: &[u8], units_max: u64) -> Reply {
        // What the script before has left may be in the way, and nothing of it is wanted any more.
        self.state.abort();
        if self.state.memory_used() > self.memory_bytes_max / 2 {
            self.state.collect();
        }
        let function = match self.state.load(source, b"@user_script") {
            Ok(function) => function,
            Err(LoadError::Syntax(text)) => {
                return Reply::Error(
                    [b"ERR Error compiling script (new function): ", &text[..]].concat(),
                );
            }
            Err(LoadError::OutOfMemory) => return Reply::Error(b"ERR not enough memory".to_vec()),
        };
        let globals = self.state.globals();
        for name in ["KEYS", "ARGV"] {
            let set = self
                .state
                .table(0, 0)
                .and_then(|table| self.state.set_field(globals, name, Value::Table(table)));
            if set.is_err() {
                return Reply::Error(b"ERR not enough memory".to_vec());
            }
        }
        if self.state.start(function, &[]).is_err() {
            return Reply::Error(b"ERR not enough memory".to_vec());
        }
        let mut left = units_max;
        loop {
            match self.state.resume(self.slice) {
                Outcome::Done => return self.reply(),
                Outcome::Failed(failure) => return self.failed(failure),
                Outcome::Call(call) => self.answer(call.function),
                Outcome::OutOfBudget if left < self.slice => {
                    self.state.abort();
                    return Reply::Endless;
                }
                Outcome::OutOfBudget => {
                    left -= self.slice;
                    if self.collects {
                        self.state.collect();
                    }
                }
            }
        }
    }

    fn answer(&mut self, function: u32) {
        assert_eq!(function, UNKNOWN_GLOBAL);
        let name = self.state.arguments().get(1).copied().unwrap_or_default();
        let mut text = self.state.caller_place();
        text.extend_from_slice(b"Script attempted to access nonexistent global variable '");
        let name = self.state.display(name);
        text.extend_from_slice(&name);
        text.push(b'\'');
        let text = self.state.string(&text).unwrap_or_default();
        self.state.raise(text);
    }

    fn reply(&self) -> Reply {
        match self.state.results().first().copied().unwrap_or_default() {
            Value::Nil | Value::Boolean(false) => Reply::Nil,
            Value::Boolean(true) => Reply::Integer(1),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "as the server converts numbers"
            )]
            Value::Number(number) => Reply::Integer(number as i64),
            Value::String(id) => Reply::Bulk(self.state.bytes(id).to_vec()),
            other => Reply::Other(other.type_name()),
        }
    }

    fn failed(&mut self, failure: Failure) -> Reply {
        let value = match failure.value {
            Value::Table(table) => self.state.field(table, "err"),
            other => other,
        };
        let mut text = b"ERR ".to_vec();
        text.extend_from_slice(&self.state.display(value));
        Reply::Error(text)
    }
}
