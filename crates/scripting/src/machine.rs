//! An interpreter with all that its runs need, and may use again.

use crate::arguments::Arguments;
use crate::error::Error;
use crate::limits::{HEADROOM_BYTES, LOAD_SLICE_UNITS, Limits};
use crate::names::Names;
use crate::registration::Registration;
use crate::sandbox::{self, LibraryGlobals};
use crate::to_lua;
use crate::to_reply::Counted;
use lua::{LoadError, OutOfMemory, State, TableId, Value};
use resp::{Protocol, Reply};

/// An interpreter. Boxed, because whoever has it runs it: it travels into a run and back.
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) names: Names,
    /// Of an interpreter for libraries.
    pub(crate) library_globals: Option<LibraryGlobals>,
    /// The arguments of the call at hand.
    pub(crate) arguments: Arguments,
    /// The reply of the command at hand.
    pub(crate) reply: Reply,
    /// The library that is being loaded, if one is.
    pub(crate) registration: Option<Registration>,
}

impl Machine {
    /// An interpreter for EVAL.
    pub(crate) fn for_scripts(limits: Limits) -> Box<Self> {
        let state = sandbox::for_scripts().expect("an empty sandbox fits into its memory");
        Self::new(state, None, limits)
    }

    /// An interpreter for libraries.
    pub(crate) fn for_libraries(limits: Limits) -> Box<Self> {
        let (state, globals) =
            sandbox::for_libraries().expect("an empty sandbox fits into its memory");
        Self::new(state, Some(globals), limits)
    }

    fn new(mut state: State, library_globals: Option<LibraryGlobals>, limits: Limits) -> Box<Self> {
        let names = Names::new(&mut state).expect("a few names fit into an empty sandbox");
        state.set_memory_limit(limits.memory_bytes);
        Box::new(Machine {
            state,
            names,
            library_globals,
            arguments: Arguments::default(),
            reply: Reply::new(Protocol::V2),
            registration: None,
        })
    }

    /// Does what may lack memory, which may be full of garbage: beyond the limit, so that the run that follows collects in
    /// slices, and if that does not suffice after a collection. What an attempt has made by then is garbage.
    pub(crate) fn with_room<T>(
        &mut self,
        mut attempt: impl FnMut(&mut State, &Names) -> Result<T, OutOfMemory>,
    ) -> Result<T, OutOfMemory> {
        let Machine { state, names, .. } = self;
        attempt(state, names)
            .or_else(|_| state.with_headroom(HEADROOM_BYTES, |state| attempt(state, names)))
            .or_else(|_| {
                state.collect();
                attempt(state, names)
            })
    }

    /// Compiles a source. `syntax` words what is wrong with one that is no Lua. `is_over` is asked now and then whether it has
    /// taken long enough.
    ///
    /// # Errors
    /// The source is no Lua, or there is no memory or time for it.
    pub(crate) fn compile(
        &mut self,
        code: &[u8],
        chunk: &[u8],
        syntax: fn(&[u8]) -> Error,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Value, Error> {
        let state = &mut self.state;
        let mut attempt = |state: &mut State| Self::try_compiling(state, code, chunk, is_over);
        let mut compiled = attempt(state);
        if matches!(compiled, Err(LoadError::OutOfMemory)) {
            state.abort();
            compiled = state.with_headroom(HEADROOM_BYTES, &mut attempt);
        }
        if matches!(compiled, Err(LoadError::OutOfMemory)) {
            state.abort();
            state.collect();
            compiled = attempt(state);
        }
        match compiled {
            Ok(Some(function)) => Ok(function),
            Ok(None) => Err(Error::LOAD_TIMEOUT),
            Err(LoadError::Syntax(text)) => Err(syntax(&text)),
            Err(LoadError::OutOfMemory) => Err(Error::MEMORY),
        }
    }

    /// The function, or none if it takes too long.
    fn try_compiling(
        state: &mut State,
        code: &[u8],
        chunk: &[u8],
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Value>, LoadError> {
        let mut compilation = state.compile(code, chunk)?;
        loop {
            let compiled = state.go_on_compiling(&mut compilation, LOAD_SLICE_UNITS)?;
            if compiled.is_some() || is_over() {
                return Ok(compiled);
            }
        }
    }

    /// A table of strings.
    ///
    /// # Errors
    /// Memory is used up.
    fn table_of(state: &mut State, items: &[&[u8]]) -> Result<TableId, OutOfMemory> {
        let table = state.table(items.len(), 0)?;
        let mut index = 0.0;
        for item in items {
            index += 1.0;
            let item = state.string(item)?;
            state.set(table, Value::Number(index), item)?;
        }
        Ok(table)
    }

    /// Prepares a run of a script, which finds its keys and arguments in the globals.
    ///
    /// # Errors
    /// Memory is used up.
    pub(crate) fn start_script(
        &mut self,
        function: Value,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<(), OutOfMemory> {
        self.with_room(|state, names| {
            let globals = state.globals();
            for (name, items) in [(names.keys, keys), (names.argv, args)] {
                let table = Self::table_of(state, items)?;
                state.set(globals, name, Value::Table(table))?;
            }
            state.start(function, &[])
        })
    }

    /// Prepares a run of a function, which gets its keys and arguments handed.
    ///
    /// # Errors
    /// Memory is used up.
    pub(crate) fn start_function(
        &mut self,
        function: Value,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<(), OutOfMemory> {
        self.with_room(|state, _| {
            let keys = Self::table_of(state, keys)?;
            let args = Self::table_of(state, args)?;
            state.start(function, &[Value::Table(keys), Value::Table(args)])
        })
    }

    /// Has libraries find the globals of loading, or those of running.
    pub(crate) fn look_into(&mut self, choice: fn(&LibraryGlobals) -> Value) {
        if let Some(globals) = self.library_globals {
            let set = self
                .state
                .set(globals.metatable, self.names.index, choice(&globals));
            // The field is there or the table has room for it; and if it were not, nothing would be found.
            debug_assert!(set.is_ok());
        }
    }

    /// Answers the host function that waits with what `attempt` makes, or raises an error for lack of memory.
    pub(crate) fn answer_with(
        &mut self,
        attempt: impl FnMut(&mut State, &Names) -> Result<Value, OutOfMemory>,
    ) {
        let answered = self
            .with_room(attempt)
            .and_then(|value| self.state.answer(&[value]));
        if answered.is_err() {
            self.state.raise(self.names.not_enough_memory);
        }
    }

    /// Answers the host function that waits with values that are there already.
    pub(crate) fn answer(&mut self, values: &[Value]) {
        if self.state.answer(values).is_err() {
            self.state.raise(self.names.not_enough_memory);
        }
    }

    /// Raises an error table in place of the host function that waits.
    pub(crate) fn raise_error(&mut self, error: &Error) {
        let table = self
            .with_room(|state, names| to_lua::error_table(state, names, error.text(), Counted::No));
        self.state
            .raise(table.unwrap_or(self.names.not_enough_memory));
    }

    /// Raises a text in place of the host function that waits, with the place where it was called.
    pub(crate) fn raise_text(&mut self, parts: &[&[u8]]) {
        let mut text = self.state.caller_place();
        for part in parts {
            text.extend_from_slice(part);
        }
        let text = self.with_room(|state, _| state.string(&text));
        self.state
            .raise(text.unwrap_or(self.names.not_enough_memory));
    }
}
