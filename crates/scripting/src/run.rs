//! A script or function under way.
//!
//! A run holds its interpreter and nothing else, so that it can be left between two slices for as long as one likes, while
//! whoever holds the server does other work.

use crate::digest::{Digest, Digesting};
use crate::error::Error;
use crate::host::{Host, LogLevel, Targets};
use crate::libraries::Function as LibraryFunction;
use crate::limits::{
    BROKEN_ERROR_BYTES_MAX, CALL_UNITS, CONVERSION_UNITS, DIGESTED_AT_ONCE, LOG_BYTES_MAX,
    REPLY_BYTES_KEPT,
};
use crate::machine::Machine;
use crate::sandbox::Function;
use crate::source::{self, Compiled, Source};
use crate::to_lua::{self, Conversion, Pending};
use crate::to_reply::{Counted, OnError, Writing, until_nul};
use crate::usage::Taken;
use lua::{Failure, FailureKind, OutOfMemory, Outcome, Value};
use resp::{Protocol, Reply};
use smallvec::SmallVec;
use std::sync::Arc;

/// What runs.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Script(Digest),
    /// A script that is only compiled.
    LoadScript(Digest),
    Function(Arc<LibraryFunction>),
    /// The body of a library.
    Library,
}

/// A script or function under way, with its interpreter.
pub struct Run {
    pub(crate) machine: Box<Machine>,
    what: What,
    /// `redis.setresp`.
    protocol: Protocol,
    /// `redis.set_repl`.
    targets: Targets,
    /// The error that has ended it.
    failure: Option<(Vec<u8>, Counted)>,
    /// What it had taken when it was killed.
    taken: Option<Taken>,
    /// Its reply, if that is being written.
    writing: Option<Writing>,
    /// What the script waits for.
    work: Option<Box<Work>>,
    /// The script, as long as it is being compiled.
    source: Option<Box<Source>>,
    /// The script, if it has been compiled in this run.
    compiled: Option<Compiled>,
}

/// What a call asks for that takes long, and is done in slices while the script waits.
enum Work {
    /// The reply of a command becomes a value.
    Conversion(Pending),
    /// The SHA-1 of the call's argument.
    Digest(Digesting),
}

/// What is left of a run.
pub(crate) struct Parts {
    pub(crate) what: What,
    /// The error that has ended it.
    pub(crate) failure: Option<Vec<u8>>,
    pub(crate) compiled: Option<Compiled>,
    pub(crate) machine: Box<Machine>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The budget is used up: it goes on with the next call.
    OutOfBudget,
    /// It has come to its end, be it by an error: [`Run::write_reply`] has the reply.
    Ended,
}

impl Run {
    pub(crate) fn new(machine: Box<Machine>, what: What) -> Self {
        Run {
            machine,
            what,
            protocol: Protocol::V2,
            targets: Targets::ALL,
            failure: None,
            taken: None,
            writing: None,
            work: None,
            source: None,
            compiled: None,
        }
    }

    /// A run that begins with compiling a script.
    pub(crate) fn with_source(machine: Box<Machine>, what: What, source: Box<Source>) -> Self {
        Run {
            source: Some(source),
            ..Self::new(machine, what)
        }
    }

    /// The name of what runs: the digits of a script's digest, or a function's name as it was registered.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        match &self.what {
            What::Script(digest) | What::LoadScript(digest) => digest.hex().to_vec(),
            What::Function(function) => function.name.to_vec(),
            What::Library => Vec::new(),
        }
    }

    /// Whether it is a function, as opposed to a script.
    #[must_use]
    pub fn is_function(&self) -> bool {
        !matches!(self.what, What::Script(_) | What::LoadScript(_))
    }

    /// Takes it apart.
    #[inline]
    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            what: self.what,
            failure: self.failure.map(|(text, _)| text),
            compiled: self.compiled,
            machine: self.machine,
        }
    }

    /// Goes on until the end, or until `budget` units of work are done: about as many instructions.
    pub fn resume(&mut self, host: &mut impl Host, budget: u64) -> Progress {
        if let Some(source) = self.source.take() {
            return self.compile(source, budget);
        }
        if let Some(work) = self.work.take() {
            self.go_on_with(work, budget);
            return Progress::OutOfBudget;
        }
        let start = self.machine.state.work_used();
        let mut calls = 0;
        loop {
            let used = self.machine.state.work_used() - start + calls;
            let Some(left) = budget.checked_sub(used).filter(|left| *left > 0) else {
                return Progress::OutOfBudget;
            };
            match self.machine.state.resume(left) {
                Outcome::Done => return Progress::Ended,
                Outcome::Failed(failure) => {
                    let failure = self.describe(failure);
                    self.failure = Some(failure);
                    return Progress::Ended;
                }
                Outcome::OutOfBudget => return Progress::OutOfBudget,
                Outcome::Call(call) => {
                    if let Some(function) = Function::from_number(call.function) {
                        self.serve(function, host);
                        calls += CALL_UNITS;
                        if self.work.is_some() {
                            return Progress::OutOfBudget;
                        }
                    }
                }
            }
        }
    }

    /// Goes on compiling the script; starts it, if it is to be called, when that is done.
    #[cold]
    fn compile(&mut self, source: Box<Source>, budget: u64) -> Progress {
        let (compiled, call) = match source.go_on(&mut self.machine, budget) {
            Ok(source::Progress::More(source)) => {
                self.source = Some(source);
                return Progress::OutOfBudget;
            }
            Ok(source::Progress::Done(compiled, call)) => (compiled, call),
            Err(error) => {
                self.failure = Some((error.into_text(), Counted::No));
                return Progress::Ended;
            }
        };
        let function = self.machine.state.kept(compiled.function);
        self.compiled = Some(compiled);
        let Some((keys, args)) = call else {
            return Progress::Ended;
        };
        let keys: SmallVec<[&[u8]; 8]> = keys.iter().collect();
        let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
        if self.machine.start_script(function, &keys, &args).is_err() {
            self.failure = Some((Error::MEMORY.into_text(), Counted::No));
            return Progress::Ended;
        }
        Progress::OutOfBudget
    }

    /// Ends it where it stands.
    pub fn kill(&mut self) {
        let place = self.machine.state.caller_place();
        self.taken = Some(self.taken(0));
        self.source = None;
        self.work = None;
        self.machine.state.abort();
        let mut text = Error::KILLED.into_text();
        // "name:line: " is how errors begin; here the place comes last.
        let place = place.strip_suffix(b": ").map(|place| {
            let source: &[u8] = if self.is_function() {
                b"@user_function"
            } else {
                b"@user_script"
            };
            let line = place
                .rsplit(|byte| *byte == b':')
                .next()
                .unwrap_or_default();
            (source, line.to_vec())
        });
        self.append_place(
            &mut text,
            place.as_ref().map(|(source, line)| (*source, &line[..])),
        );
        self.failure = Some((text, Counted::No));
    }

    /// What it has taken so far, in so much time.
    #[inline]
    pub(crate) fn taken(&self, elapsed_ns: u64) -> Taken {
        let state = &self.machine.state;
        let taken = self.taken.unwrap_or_else(|| Taken {
            elapsed_ns,
            instructions: state.work_used(),
            memory_bytes: state.memory_grown(),
        });
        Taken {
            elapsed_ns,
            ..taken
        }
    }

    /// The error that has ended it, if one has.
    pub(crate) fn failure(&self) -> Option<&[u8]> {
        self.failure.as_ref().map(|(text, _)| text.as_slice())
    }

    /// Writes the reply of a run that has ended: one, whatever the script has returned or raised. Goes on with it, where a call
    /// before has begun it, until it is complete or `budget` units of work are done. `on_error` hears of every error in it.
    pub fn write_reply(&mut self, budget: u64, out: &mut Reply, on_error: OnError<'_>) -> Progress {
        if let Some((text, counted)) = &self.failure {
            out.error(text);
            on_error(text, *counted);
            return Progress::Ended;
        }
        if let What::LoadScript(digest) = &self.what {
            out.bulk(&digest.hex());
            return Progress::Ended;
        }
        let Machine { state, names, .. } = &mut *self.machine;
        let mut writing = self.writing.take().unwrap_or_else(|| {
            let value = state.results().first().copied().unwrap_or_default();
            Writing::new(value, self.protocol, out)
        });
        if writing.go_on((state, names), budget, out, on_error) {
            return Progress::Ended;
        }
        self.writing = Some(writing);
        Progress::OutOfBudget
    }

    /// What a client is told of an error that nothing has caught.
    #[cold]
    fn describe(&mut self, failure: Failure) -> (Vec<u8>, Counted) {
        let Machine { state, names, .. } = &mut *self.machine;
        let mut counted = Counted::No;
        if failure.kind != FailureKind::Raised {
            let mut text = state.display(failure.value);
            text.truncate(BROKEN_ERROR_BYTES_MAX);
            return (Error::broken(&self.name(), &text).into_text(), counted);
        }
        let mut text = match failure.value {
            Value::Table(table) => {
                if state.get(table, names.ignore_error_stats_update).is_true() {
                    counted = Counted::Yes;
                }
                match state.get(table, names.err) {
                    err @ (Value::String(_) | Value::Number(_)) => state.display(err),
                    _ => Error::UNKNOWN.into_text(),
                }
            }
            other => [b"ERR ", &state.display(other)[..]].concat(),
        };
        let end = until_nul(&text).len();
        text.truncate(end);
        let place = failure.place.map(|place| {
            let source = state.bytes(place.source).to_vec();
            (source, itoa::Buffer::new().format(place.line).to_owned())
        });
        let place = place
            .as_ref()
            .map(|(source, line)| (&source[..], line.as_bytes()));
        self.append_place(&mut text, place);
        (text, counted)
    }

    /// "script: NAME, on SOURCE:LINE."; a library that is loaded has no name yet.
    fn append_place(&self, text: &mut Vec<u8>, place: Option<(&[u8], &[u8])>) {
        if let Some((source, line)) = place
            && !matches!(self.what, What::Library)
        {
            for part in [
                b" script: ",
                &self.name()[..],
                b", on ",
                source,
                b":",
                line,
                b".",
            ] {
                text.extend_from_slice(part);
            }
        }
    }

    /// Carries out the host function that waits.
    fn serve(&mut self, function: Function, host: &mut impl Host) {
        match function {
            Function::Call => self.call(host, Raise::Errors),
            Function::Pcall => self.call(host, Raise::Nothing),
            Function::ErrorReply => self.make_error(),
            Function::StatusReply => self.make_status(),
            Function::Sha1Hex => self.sha1_hex(),
            Function::Log => self.log(host),
            Function::SetResp => self.set_protocol(),
            Function::SetRepl => self.set_targets(),
            Function::AclCheckCmd => self.check_rights(host),
            Function::ReplicateCommands => self.machine.answer(&[Value::Boolean(true)]),
            Function::Breakpoint => self.machine.answer(&[Value::Boolean(false)]),
            Function::Debug => self.machine.answer(&[]),
            Function::Register => self.register(),
            Function::UnknownGlobal => self.unknown_global(),
            Function::ErrorHandler => self.handle_error(),
        }
    }

    fn call(&mut self, host: &mut impl Host, raise: Raise) {
        let machine = &mut *self.machine;
        if let Err(error) = machine.arguments.take(&machine.state) {
            match raise {
                Raise::Errors => machine.raise_error(&error),
                Raise::Nothing => machine.answer_with(|state, names| {
                    to_lua::error_table(state, names, error.text(), Counted::No)
                }),
            }
            return;
        }
        machine.reply.truncate(0);
        machine.reply.protocol = self.protocol;
        let args = machine.arguments.slices(&machine.state);
        host.call(&args, self.targets, &mut machine.reply);
        drop(args);
        let protocol = self.protocol;
        let output = std::mem::take(machine.reply.output_mut());
        if raise == Raise::Errors && output.start().first() == Some(&b'-') {
            let line = output.start();
            let line = line.get(1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            let value = machine
                .with_room(|state, names| to_lua::error_table(state, names, line, Counted::Yes));
            let value = value.unwrap_or(machine.names.not_enough_memory);
            machine.state.raise(value);
        } else {
            let mut conversion = Conversion::new(protocol);
            let converted = match output.contiguous() {
                Some(bytes) => {
                    let Machine { state, names, .. } = &mut *machine;
                    conversion.go_on((state, names), bytes, CONVERSION_UNITS)
                }
                None => Ok(None),
            };
            match converted {
                Ok(Some(value)) => machine.answer(&[value]),
                other => {
                    let begun = other.is_ok().then_some(conversion);
                    let pending = Pending::new(output.into_vec(), protocol, begun);
                    self.work = Some(Box::new(Work::Conversion(pending)));
                    return;
                }
            }
        }
        if output.capacity() <= REPLY_BYTES_KEPT {
            *machine.reply.output_mut() = output;
        }
    }

    /// Goes on with what the script waits for.
    #[cold]
    fn go_on_with(&mut self, mut work: Box<Work>, budget: u64) {
        let done = match &mut *work {
            Work::Conversion(pending) => pending.go_on(&mut self.machine, budget),
            Work::Digest(digesting) => {
                let text = self.only_string().unwrap_or_default();
                match digesting.go_on(text, budget) {
                    Some(digest) => self
                        .machine
                        .with_room(|state, _| state.string(&digest.hex()))
                        .map(Some),
                    None => Ok(None),
                }
            }
        };
        match done {
            Ok(None) => self.work = Some(work),
            Ok(Some(value)) => self.machine.answer(&[value]),
            Err(OutOfMemory) => {
                let value = self.machine.names.not_enough_memory;
                self.machine.state.raise(value);
            }
        }
    }

    /// The only argument, if it is a string.
    fn only_string(&self) -> Option<&[u8]> {
        match self.machine.state.arguments() {
            [Value::String(text)] => Some(self.machine.state.bytes(*text)),
            _ => None,
        }
    }

    fn make_error(&mut self) {
        let text = match self.only_string() {
            Some(text) => {
                let text = until_nul(text);
                let text = text.strip_prefix(b"-").unwrap_or(text);
                if text.contains(&b' ') {
                    text.to_vec()
                } else {
                    [b"ERR ", text].concat()
                }
            }
            None => Error::REPLY_ARGUMENTS.into_text(),
        };
        self.machine
            .answer_with(|state, names| to_lua::error_table(state, names, &text, Counted::No));
    }

    fn make_status(&mut self) {
        match *self.machine.state.arguments() {
            [text @ Value::String(_)] => self
                .machine
                .answer_with(|state, names| to_lua::one_field(state, names.ok, text)),
            _ => self.machine.answer_with(|state, names| {
                to_lua::error_table(state, names, Error::REPLY_ARGUMENTS.text(), Counted::No)
            }),
        }
    }

    fn sha1_hex(&mut self) {
        let state = &self.machine.state;
        let digest = match *state.arguments() {
            [Value::String(text)] if state.bytes(text).len() > DIGESTED_AT_ONCE => {
                self.work = Some(Box::new(Work::Digest(Digesting::default())));
                return;
            }
            [Value::String(text)] => Digest::of(state.bytes(text)),
            [number @ Value::Number(_)] => Digest::of(&state.display(number)),
            [_] => Digest::of(b""),
            _ => return self.machine.raise_error(&Error::ARGUMENT_COUNT),
        };
        self.machine
            .answer_with(|state, _| state.string(&digest.hex()));
    }

    fn log(&mut self, host: &mut impl Host) {
        let state = &self.machine.state;
        let [level, words @ ..] = state.arguments() else {
            return self.machine.raise_error(&Error::LOG_ARGUMENTS);
        };
        if words.is_empty() {
            return self.machine.raise_error(&Error::LOG_ARGUMENTS);
        }
        let Some(level) = number(state, *level) else {
            return self.machine.raise_error(&Error::LOG_LEVEL_TYPE);
        };
        let Some(level) = LogLevel::from_number(level) else {
            return self.machine.raise_error(&Error::LOG_LEVEL);
        };
        let mut line = Vec::new();
        for (index, word) in words.iter().enumerate() {
            if index > 0 && matches!(word, Value::String(_) | Value::Number(_)) {
                line.push(b' ');
            }
            let room = LOG_BYTES_MAX.saturating_sub(line.len());
            match word {
                Value::String(text) => line.extend(state.bytes(*text).iter().take(room)),
                Value::Number(_) => line.extend_from_slice(&state.display(*word)),
                _ => {}
            }
        }
        host.log(level, &line);
        self.machine.answer(&[]);
    }

    fn set_protocol(&mut self) {
        let [version] = self.machine.state.arguments() else {
            return self.machine.raise_error(&Error::SETRESP_ARGUMENTS);
        };
        let version = number(&self.machine.state, *version).unwrap_or(0.0).trunc();
        if version == 2.0 {
            self.protocol = Protocol::V2;
        } else if version == 3.0 {
            self.protocol = Protocol::V3;
        } else {
            return self.machine.raise_error(&Error::SETRESP_VERSION);
        }
        self.machine.answer(&[]);
    }

    fn set_targets(&mut self) {
        let [mask] = self.machine.state.arguments() else {
            return self.machine.raise_error(&Error::SET_REPL_ARGUMENTS);
        };
        let mask = number(&self.machine.state, *mask).unwrap_or(0.0);
        match Targets::from_number(mask) {
            Some(targets) => {
                self.targets = targets;
                self.machine.answer(&[]);
            }
            None => self.machine.raise_error(&Error::SET_REPL_FLAGS),
        }
    }

    fn check_rights(&mut self, host: &mut impl Host) {
        let machine = &mut *self.machine;
        if let Err(error) = machine.arguments.take(&machine.state) {
            return machine.raise_error(&error);
        }
        let args = machine.arguments.slices(&machine.state);
        let allowed = host.may_call(&args);
        drop(args);
        match allowed {
            Some(allowed) => machine.answer(&[Value::Boolean(allowed)]),
            None => machine.raise_error(&Error::ACL_CHECK_COMMAND),
        }
    }

    fn register(&mut self) {
        let machine = &mut *self.machine;
        let Some(mut registration) = machine.registration.take() else {
            return machine.raise_error(&Error::REGISTER_OUTSIDE);
        };
        let registered = registration.register(&mut machine.state);
        machine.registration = Some(registration);
        match registered {
            Ok(()) => machine.answer(&[]),
            Err(error) => machine.raise_error(&error),
        }
    }

    #[cold]
    fn unknown_global(&mut self) {
        let state = &self.machine.state;
        match *state.arguments() {
            [_, name @ (Value::String(_) | Value::Number(_))] => {
                let name = state.display(name);
                self.machine.raise_text(&[
                    b"Script attempted to access nonexistent global variable '",
                    until_nul(&name),
                    b"'",
                ]);
            }
            [_, _] => self.machine.raise_text(&[
                b"Second argument to luaProtectedTableError must be a string or number",
            ]),
            _ => self
                .machine
                .raise_text(&[b"Wrong number of arguments to luaProtectedTableError"]),
        }
    }

    /// `__redis__err__handler`: an error as a table with the place where it is called.
    fn handle_error(&mut self) {
        let machine = &mut *self.machine;
        let value = machine
            .state
            .arguments()
            .first()
            .copied()
            .unwrap_or_default();
        let place = machine.state.caller_place();
        let line = place
            .strip_suffix(b": ")
            .and_then(|place| place.rsplit(|byte| *byte == b':').next())
            .and_then(words::int::parse_i64);
        machine.answer_with(|state, names| {
            let table = if let Value::Table(table) = value {
                table
            } else {
                let text = [b"ERR ", &state.display(value)[..]].concat();
                let text = state.string(&text)?;
                let table = state.table(0, 4)?;
                state.set(table, names.err, text)?;
                table
            };
            if let Some(line) = line {
                let source = state.string(b"@user_script")?;
                state.set(table, names.source, source)?;
                let line = state.string(line.to_string().as_bytes())?;
                state.set(table, names.line, line)?;
            }
            Ok(Value::Table(table))
        });
    }
}

/// What becomes of an error that a command replies with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raise {
    Errors,
    Nothing,
}

/// A number, or a string that is one.
fn number(state: &lua::State, value: Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(number),
        Value::String(text) => words::parse::parse_f64(state.bytes(text)),
        _ => None,
    }
}
