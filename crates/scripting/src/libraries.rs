//! Libraries of functions: loaded, replaced and removed as a set, all or nothing.

use crate::error::Error;
use crate::flags::ScriptFlags;
use crate::host::{Host, LogLevel, Targets};
use crate::limits::{LOAD_SLICE_UNITS, Limits};
use crate::machine::Machine;
use crate::registration::Registration;
use crate::run::{Progress, Run, What};
use crate::shebang::{self, is_name};
use crate::usage::Usage;
use hashbrown::HashMap;
use lua::Kept;
use resp::Reply;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What errors in libraries call them.
const CHUNK: &[u8] = b"@user_function";

/// The only engine, as it is shown.
pub const ENGINE: &str = "LUA";

/// A function of a library.
#[derive(Debug)]
pub struct Function {
    /// As it was registered.
    pub name: Box<[u8]>,
    /// What it says of itself.
    pub description: Option<Box<[u8]>>,
    /// What it needs and promises.
    pub flags: ScriptFlags,
    callback: Kept,
    /// Its place among [`Usages`].
    usage: usize,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name; case matters.
    pub name: Box<[u8]>,
    /// Its text with the first line.
    pub code: Arc<[u8]>,
    /// Its functions in the order in which they were registered.
    pub functions: Vec<Arc<Function>>,
}

impl Library {
    /// Bytes that it takes outside of the interpreter.
    fn bytes(&self) -> usize {
        let functions = self.functions.iter().map(|function| {
            let description = function.description.as_ref().map_or(0, |text| text.len());
            size_of::<Function>() + size_of::<Usage>() + function.name.len() + description
        });
        size_of::<Self>() + self.name.len() + self.code.len() + functions.sum::<usize>()
    }
}

/// What FUNCTION RESTORE does with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It goes.
    Flush,
    /// It stays; equal names are an error.
    Append,
    /// It stays unless a library has its name.
    Replace,
}

/// Libraries that may stand beside each other: names are unique, those of functions whatever their case.
#[derive(Clone, Default)]
struct Set {
    libraries: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// By lower-case name.
    functions: HashMap<Box<[u8]>, Arc<Function>>,
    bytes: usize,
}

impl Set {
    fn remove(&mut self, name: &[u8]) -> Option<Arc<Library>> {
        let library = self.libraries.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&*function.name.to_ascii_lowercase());
        }
        self.bytes -= library.bytes();
        Some(library)
    }

    /// Adds a library whose name is free.
    ///
    /// # Errors
    /// One of its functions has the name of another one; nothing is changed.
    fn insert(&mut self, library: &Arc<Library>) -> Result<(), Error> {
        let lower = |function: &Arc<Function>| function.name.to_ascii_lowercase();
        for function in &library.functions {
            if self.functions.contains_key(&*lower(function)) {
                return Err(Error::function_exists(&function.name));
            }
        }
        for function in &library.functions {
            let name = lower(function).into_boxed_slice();
            self.functions.insert(name, Arc::clone(function));
        }
        self.bytes += library.bytes();
        self.libraries
            .insert(library.name.clone(), Arc::clone(library));
        Ok(())
    }
}

/// What the runs of all functions have taken. A function has a place here for as long as it is loaded.
#[derive(Default)]
struct Usages {
    places: Vec<Usage>,
    free: Vec<usize>,
}

impl Usages {
    /// A place for a function that has not run yet.
    fn add(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            self.places[place] = Usage::default();
            return place;
        }
        self.places.push(Usage::default());
        self.places.len() - 1
    }

    fn of(&mut self, function: &Function) -> Option<&mut Usage> {
        self.places.get_mut(function.usage)
    }

    fn remove(&mut self, function: &Function) {
        self.free.push(function.usage);
    }
}

/// What the body of a library may do, and for how long.
pub trait LoadHost {
    /// Writes to the log.
    fn log(&mut self, level: LogLevel, text: &[u8]);
    /// Whether it has run long enough.
    fn is_over(&mut self) -> bool;
}

/// The libraries and their interpreter.
#[derive(Default)]
pub(crate) struct Libraries {
    /// `None` before the first library, and while a function runs.
    pub(crate) machine: Option<Box<Machine>>,
    set: Set,
    usages: Usages,
    limits: Limits,
}

impl Libraries {
    /// Other bounds hold from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if let Some(machine) = &mut self.machine {
            machine.state.set_memory_limit(limits.memory_bytes);
        }
    }

    /// Leaves nothing but the bounds. What there was.
    fn take(&mut self) -> Self {
        let limits = self.limits;
        std::mem::replace(
            self,
            Libraries {
                limits,
                ..Self::default()
            },
        )
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.set.libraries.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.set.libraries.len()
    }

    pub(crate) fn functions(&self) -> usize {
        self.set.functions.len()
    }

    /// Bytes of all libraries outside of the interpreter.
    pub(crate) fn bytes(&self) -> usize {
        self.set.bytes
    }

    /// The function of a name of any case.
    #[inline]
    pub(crate) fn function(&self, name: &[u8]) -> Option<&Arc<Function>> {
        let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(name);
        lower.make_ascii_lowercase();
        self.set.functions.get(&*lower)
    }

    /// Starts a function. `None` if another one runs.
    pub(crate) fn start(
        &mut self,
        function: &Arc<Function>,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Option<Result<Run, Error>> {
        let mut machine = self.machine.take()?;
        machine.state.watch_memory();
        let callback = machine.state.kept(function.callback);
        if machine.start_function(callback, keys, args).is_err() {
            self.machine = Some(machine);
            return Some(Err(Error::MEMORY));
        }
        Some(Ok(Run::new(machine, What::Function(Arc::clone(function)))))
    }

    /// Takes the interpreter back from a run. Where to count it.
    pub(crate) fn ended(
        &mut self,
        machine: Box<Machine>,
        function: &Function,
    ) -> Option<&mut Usage> {
        self.machine = Some(machine);
        self.usages.of(function)
    }

    /// All functions with their libraries, and what their runs have taken.
    pub(crate) fn usages(&self) -> impl Iterator<Item = (&Library, &Function, &Usage)> {
        self.iter().flat_map(|library| {
            library.functions.iter().filter_map(|function| {
                Some((
                    &**library,
                    &**function,
                    self.usages.places.get(function.usage)?,
                ))
            })
        })
    }

    /// Forgets what runs have taken.
    pub(crate) fn reset_usages(&mut self) {
        self.usages.places.fill_with(Usage::default);
    }

    /// Loads a library; its name.
    pub(crate) fn load(
        &mut self,
        code: &[u8],
        replace: bool,
        host: &mut dyn LoadHost,
    ) -> Result<Box<[u8]>, Error> {
        let library = self.compile(code, host, |set, name| {
            if !replace && set.libraries.contains_key(name) {
                return Err(Error::library_exists(name));
            }
            Ok(())
        })?;
        let before = self.set.remove(&library.name);
        if let Err(error) = self.set.insert(&library) {
            if let Some(before) = before {
                let back = self.set.insert(&before);
                debug_assert!(back.is_ok(), "it has been there");
            }
            self.release(&library);
            return Err(error);
        }
        if let Some(before) = before {
            self.release(&before);
        }
        Ok(library.name.clone())
    }

    /// Loads libraries beside those that are there, or in their place.
    pub(crate) fn restore<C: AsRef<[u8]>>(
        &mut self,
        codes: &[C],
        policy: Policy,
        host: &mut dyn LoadHost,
    ) -> Result<(), Error> {
        let mut fresh = Set::default();
        let loaded = self.load_all(codes, &mut fresh, host);
        let combined = loaded.and_then(|()| match policy {
            Policy::Flush => Ok(fresh.clone()),
            Policy::Append | Policy::Replace => self.combine(&fresh, policy),
        });
        match combined {
            Ok(set) => {
                self.become_set(set);
                Ok(())
            }
            Err(error) => {
                for library in fresh.libraries.values() {
                    self.release(library);
                }
                Err(error)
            }
        }
    }

    /// Tries whether libraries can be loaded; nothing stays.
    pub(crate) fn check<C: AsRef<[u8]>>(
        &mut self,
        codes: &[C],
        host: &mut dyn LoadHost,
    ) -> Result<(), Error> {
        let mut set = Set::default();
        let loaded = self.load_all(codes, &mut set, host);
        for library in set.libraries.values() {
            self.release(library);
        }
        loaded
    }

    fn load_all<C: AsRef<[u8]>>(
        &mut self,
        codes: &[C],
        set: &mut Set,
        host: &mut dyn LoadHost,
    ) -> Result<(), Error> {
        for code in codes {
            let library = self.compile(code.as_ref(), host, |_, name| {
                if set.libraries.contains_key(name) {
                    return Err(Error::library_exists(name));
                }
                Ok(())
            })?;
            if let Err(error) = set.insert(&library) {
                self.release(&library);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is there, and the fresh ones.
    fn combine(&self, fresh: &Set, policy: Policy) -> Result<Set, Error> {
        let mut set = self.set.clone();
        for library in fresh.libraries.values() {
            if set.libraries.contains_key(&library.name) {
                if policy == Policy::Append {
                    return Err(Error::library_collides(&library.name));
                }
                set.remove(&library.name);
            }
        }
        for library in fresh.libraries.values() {
            set.insert(library)?;
        }
        Ok(set)
    }

    /// Removes a library.
    pub(crate) fn delete(&mut self, name: &[u8]) -> Result<(), Error> {
        let library = self.set.remove(name).ok_or(Error::NO_LIBRARY)?;
        self.release(&library);
        Ok(())
    }

    /// Loads everything again after the interpreter has been lost with a run that never came back.
    pub(crate) fn recover(&mut self, host: &mut dyn LoadHost) {
        if self.machine.is_none() && !self.set.libraries.is_empty() {
            let before = self.take();
            for library in before.set.libraries.values() {
                if let Err(error) = self.load(&library.code, false, host) {
                    host.log(LogLevel::Warning, error.text());
                }
            }
        }
    }

    /// Forgets all libraries. The interpreter is given away, to be freed where that does not matter.
    pub(crate) fn flush(&mut self) -> Option<Box<Machine>> {
        self.take().machine
    }

    fn become_set(&mut self, set: Set) {
        let before = std::mem::replace(&mut self.set, set);
        for library in before.libraries.values() {
            let stays = self.set.libraries.get(&library.name);
            if !stays.is_some_and(|now| Arc::ptr_eq(now, library)) {
                self.release(library);
            }
        }
    }

    /// Lets the functions of a library go.
    fn release(&mut self, library: &Library) {
        for function in &library.functions {
            self.usages.remove(function);
            if let Some(machine) = &mut self.machine {
                machine.state.release(function.callback);
            }
        }
    }

    /// Compiles a library and has it register its functions. `check` judges its name beside those that are there.
    fn compile(
        &mut self,
        code: &[u8],
        host: &mut dyn LoadHost,
        check: impl FnOnce(&Set, &[u8]) -> Result<(), Error>,
    ) -> Result<Arc<Library>, Error> {
        let header = shebang::library(code)?;
        if !is_name(&header.name) {
            return Err(Error::LIBRARY_NAME);
        }
        if !header.engine.eq_ignore_ascii_case(ENGINE.as_bytes()) {
            return Err(Error::engine(&header.engine));
        }
        check(&self.set, &header.name)?;
        let machine = self.machine.take();
        let machine = machine.unwrap_or_else(|| Machine::for_libraries(self.limits));
        let (machine, registered) = register(machine, header.code, host);
        self.machine = Some(machine);
        let functions = registered?.functions.into_iter();
        let usages = &mut self.usages;
        let functions = functions.map(|registered| {
            Arc::new(Function {
                name: registered.name.into(),
                description: registered.description.map(Into::into),
                flags: registered.flags,
                callback: registered.callback,
                usage: usages.add(),
            })
        });
        Ok(Arc::new(Library {
            name: header.name.into(),
            code: code.into(),
            functions: functions.collect(),
        }))
    }
}

/// Runs the body of a library. What it has registered is kept; nothing is if it fails.
fn register(
    mut machine: Box<Machine>,
    code: &[u8],
    host: &mut dyn LoadHost,
) -> (Box<Machine>, Result<Registration, Error>) {
    let mut is_over = || host.is_over();
    let body = match machine.compile(code, CHUNK, Error::library_syntax, &mut is_over) {
        Ok(body) => body,
        Err(error) => return (machine, Err(error)),
    };
    if machine.state.start(body, &[]).is_err() {
        return (machine, Err(Error::MEMORY));
    }
    machine.look_into(|globals| globals.loading);
    machine.registration = Some(Registration::default());
    let mut run = Run::new(machine, What::Library);
    let mut adapter = LoadingHost { host };
    let mut result = Ok(());
    while run.resume(&mut adapter, LOAD_SLICE_UNITS) == Progress::OutOfBudget {
        if adapter.host.is_over() {
            result = Err(Error::LOAD_TIMEOUT);
            break;
        }
    }
    if let Some(failure) = run.failure() {
        result = Err(Error::registering(failure));
    }
    let mut machine = run.machine;
    machine.state.abort();
    machine.look_into(|globals| globals.running);
    let registration = machine.registration.take().unwrap_or_default();
    if result.is_ok() && registration.functions.is_empty() {
        result = Err(Error::NO_FUNCTIONS);
    }
    if result.is_err() {
        for function in &registration.functions {
            machine.state.release(function.callback);
        }
    }
    (machine, result.map(|()| registration))
}

/// What the body of a library can reach.
struct LoadingHost<'a> {
    host: &'a mut dyn LoadHost,
}

impl Host for LoadingHost<'_> {
    fn call(&mut self, _args: &[&[u8]], _targets: Targets, reply: &mut Reply) {
        reply.error(Error::NOT_WHILE_RUNNING.text());
    }

    fn may_call(&mut self, _args: &[&[u8]]) -> Option<bool> {
        Some(false)
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.host.log(level, text);
    }
}
