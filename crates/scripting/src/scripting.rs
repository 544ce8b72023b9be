//! Scripts and libraries together: one run at a time, one sequence of random numbers.

use crate::digest::Digest;
use crate::error::Error;
use crate::flags::ScriptFlags;
use crate::libraries::{Function, Libraries, Library, LoadHost, Policy};
use crate::limits::Limits;
use crate::limits::SOURCE_BYTES_AT_ONCE;
use crate::machine::Machine;
use crate::run::{Parts, Run, What};
use crate::scripts::{Keep, Scripts};
use crate::shebang;
use crate::source::{KeysAndArgs, Source};
use crate::usage::{Taken, Usage};
use std::sync::Arc;

/// Bytes by which an idle interpreter's memory has to have grown for a look for garbage.
const IDLE_BYTES: usize = 1 << 20;

/// An interpreter that nobody needs any more. Dropping it frees all its objects, which may take a while.
pub struct Discarded(#[expect(dead_code, reason = "it is held to be dropped")] Box<Machine>);

impl std::fmt::Debug for Discarded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Discarded")
    }
}

/// All scripts and libraries.
#[derive(Default)]
pub struct Scripting {
    scripts: Scripts,
    libraries: Libraries,
    /// An interpreter is with a run.
    running: bool,
    /// Bytes that were in use in each interpreter after its last complete collection while it was idle.
    collected: [usize; 2],
    /// The generator behind `math.random`, which scripts and functions share; `None` before the first run.
    random: Option<u64>,
}

impl std::fmt::Debug for Scripting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Scripting")
            .field("scripts", &self.scripts.len())
            .field("libraries", &self.libraries.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Scripting {
    /// Whether a script or function is under way. Nothing can be started, loaded or removed meanwhile.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Other bounds hold from now on. For a run that is under way those hold with which it has begun.
    pub fn set_limits(&mut self, limits: Limits) {
        self.scripts.set_limits(limits);
        self.libraries.set_limits(limits);
    }

    /// Nothing can be loaded or removed while the interpreter is with a run.
    fn not_while_running(&self) -> Result<(), Error> {
        if self.running {
            return Err(Error::NOT_WHILE_RUNNING);
        }
        Ok(())
    }

    // Scripts.

    /// The flags of a cached script.
    #[must_use]
    pub fn script_flags(&self, digest: &Digest) -> Option<ScriptFlags> {
        self.scripts.flags(digest)
    }

    /// The flags that a body asks for, cached or not.
    ///
    /// # Errors
    /// What is wrong with its first line.
    pub fn flags_of_body(body: &[u8]) -> Result<ScriptFlags, Error> {
        shebang::script(body).map(|(flags, _)| flags)
    }

    /// The body of a cached script.
    #[must_use]
    pub fn script_body(&self, digest: &Digest) -> Option<&[u8]> {
        self.scripts.body(digest)
    }

    /// Compiles a script unless it is there, which `digest` tells.
    ///
    /// # Errors
    /// Its first line is wrong, it is no Lua, or memory is used up.
    pub fn load_script(&mut self, body: &[u8], digest: Digest, keep: Keep) -> Result<(), Error> {
        self.not_while_running()?;
        self.scripts.load(body, digest, keep)
    }

    /// Whether a script is so long that it is compiled in slices: by [`Self::compile_script`].
    #[must_use]
    pub fn is_long(body: &[u8]) -> bool {
        body.len() > SOURCE_BYTES_AT_ONCE
    }

    /// Starts a run that compiles a script, which is not cached, and calls it with these keys and arguments; without them it
    /// replies with the digits of its digest. [`Self::ended`] has to get it back, and caches the script. `None` if another one
    /// runs.
    #[must_use]
    pub fn compile_script(
        &mut self,
        body: &[u8],
        digest: Digest,
        keep: Keep,
        call: Option<KeysAndArgs<'_>>,
    ) -> Option<Result<Run, Error>> {
        if self.running {
            return None;
        }
        let what = if call.is_some() {
            What::Script
        } else {
            What::LoadScript
        };
        let started = Source::new(body, keep, call)
            .map(|source| self.scripts.start_source(digest, source, what));
        Some(started.map(|run| self.begin(run)))
    }

    /// Starts a cached script, which [`Self::ended`] has to get back. `None` if it is not there or another one runs.
    #[must_use]
    #[inline]
    pub fn start_script(
        &mut self,
        digest: &Digest,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Option<Result<Run, Error>> {
        let started = self.scripts.start(digest, keys, args)?;
        Some(started.map(|run| self.begin(run)))
    }

    /// SCRIPT FLUSH. The interpreter is given away, to be dropped where that does not matter.
    ///
    /// # Errors
    /// A script is under way.
    pub fn flush_scripts(&mut self) -> Result<Option<Discarded>, Error> {
        self.not_while_running()?;
        Ok(self.scripts.flush().map(Discarded))
    }

    /// How many scripts are cached.
    #[must_use]
    pub fn scripts(&self) -> usize {
        self.scripts.len()
    }

    /// How many scripts have had to go for others.
    #[must_use]
    pub fn evicted_scripts(&self) -> u64 {
        self.scripts.evicted()
    }

    /// Begins to count them anew.
    pub fn reset_evicted_scripts(&mut self) {
        self.scripts.reset_evicted();
    }

    // Functions.

    /// The function of a name of any case.
    #[must_use]
    #[inline]
    pub fn function(&self, name: &[u8]) -> Option<&Arc<Function>> {
        self.libraries.function(name)
    }

    /// Starts a function, which [`Self::ended`] has to get back. `None` if another one runs.
    #[must_use]
    pub fn start_function(
        &mut self,
        function: &Arc<Function>,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Option<Result<Run, Error>> {
        let started = self.libraries.start(function, keys, args)?;
        Some(started.map(|run| self.begin(run)))
    }

    /// All libraries by name.
    pub fn libraries(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.libraries.iter()
    }

    /// How many libraries there are, and how many functions in them.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.libraries.len(), self.libraries.functions())
    }

    /// Loads a library; its name.
    ///
    /// # Errors
    /// Its first line, its name, its code or what it registers is wrong; nothing is changed.
    pub fn load_library(
        &mut self,
        code: &[u8],
        replace: bool,
        host: &mut dyn LoadHost,
    ) -> Result<Box<[u8]>, Error> {
        self.not_while_running()?;
        self.libraries.load(code, replace, host)
    }

    /// Loads libraries beside those that are there, or in their place.
    ///
    /// # Errors
    /// One of them cannot be loaded, or stands in the way of another one; nothing is changed.
    pub fn restore_libraries<C: AsRef<[u8]>>(
        &mut self,
        codes: &[C],
        policy: Policy,
        host: &mut dyn LoadHost,
    ) -> Result<(), Error> {
        self.not_while_running()?;
        self.libraries.restore(codes, policy, host)
    }

    /// Tries whether libraries can be loaded; nothing is changed.
    ///
    /// # Errors
    /// One of them cannot be, or stands in the way of another one.
    pub fn check_libraries<C: AsRef<[u8]>>(
        &mut self,
        codes: &[C],
        host: &mut dyn LoadHost,
    ) -> Result<(), Error> {
        self.not_while_running()?;
        self.libraries.check(codes, host)
    }

    /// Removes a library.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn delete_library(&mut self, name: &[u8]) -> Result<(), Error> {
        self.not_while_running()?;
        self.libraries.delete(name)
    }

    /// FUNCTION FLUSH. The interpreter is given away, to be dropped where that does not matter.
    ///
    /// # Errors
    /// A script is under way.
    pub fn flush_libraries(&mut self) -> Result<Option<Discarded>, Error> {
        self.not_while_running()?;
        Ok(self.libraries.flush().map(Discarded))
    }

    // Runs.

    #[inline]
    fn begin(&mut self, mut run: Run) -> Run {
        self.running = true;
        if let Some(random) = self.random {
            run.machine.state.set_random_state(random);
        }
        run
    }

    /// Takes back a run that has ended, or that is to end here, `elapsed_ns` after its start; now it is `now_ms`. What it has
    /// taken, which is counted.
    #[inline]
    pub fn ended(&mut self, run: Run, elapsed_ns: u64, now_ms: i64) -> Taken {
        self.running = false;
        let taken = run.taken(elapsed_ns);
        let Parts {
            what,
            failure,
            compiled,
            mut machine,
        } = run.into_parts();
        self.random = Some(machine.state.random_state());
        machine.state.abort();
        let usage = match what {
            What::Script(digest) => self.scripts.ended(machine, &digest, compiled),
            What::LoadScript(digest) => {
                self.scripts.ended(machine, &digest, compiled);
                None
            }
            What::Function(function) => self.libraries.ended(machine, &function),
            What::Library => None,
        };
        if let Some(usage) = usage {
            usage.count(taken);
            if let Some(text) = failure {
                usage.fail(&text, now_ms);
            }
        }
        taken
    }

    /// The scripts that have run, and what that has taken.
    pub fn script_usages(&self) -> impl Iterator<Item = (&Digest, &Usage)> {
        self.scripts.usages()
    }

    /// The functions that have run, with their libraries, and what that has taken.
    pub fn function_usages(&self) -> impl Iterator<Item = (&Library, &Function, &Usage)> {
        let usages = self.libraries.usages();
        usages.filter(|(_, _, usage)| usage.calls > 0)
    }

    /// Forgets what runs have taken.
    pub fn reset_usages(&mut self) {
        self.scripts.reset_usages();
        self.libraries.reset_usages();
    }

    /// A run has been lost, and its interpreter with it: makes another one, with everything that it knew.
    pub fn recover(&mut self, host: &mut dyn LoadHost) {
        if std::mem::take(&mut self.running) {
            self.scripts.recover();
            self.libraries.recover(host);
        }
    }

    // Memory.

    /// Bytes of the objects of the interpreter of scripts, and of that of libraries. One that is with a run counts as
    /// nothing.
    #[must_use]
    pub fn interpreter_bytes(&self) -> (usize, usize) {
        let bytes = |machine: &Option<Box<Machine>>| {
            machine
                .as_ref()
                .map_or(0, |machine| machine.state.memory_used())
        };
        (bytes(&self.scripts.machine), bytes(&self.libraries.machine))
    }

    /// Bytes of the cache of scripts, and of the libraries, outside of the interpreters.
    #[must_use]
    pub fn cache_bytes(&self) -> (usize, usize) {
        (self.scripts.bytes(), self.libraries.bytes())
    }

    /// Looks for garbage that runs have left: up to `units` units of work.
    pub fn collect_garbage(&mut self, units: u64) {
        let machines = [&mut self.scripts.machine, &mut self.libraries.machine];
        for (machine, collected) in machines.into_iter().zip(&mut self.collected) {
            if let Some(machine) = machine
                && machine.state.memory_used() > *collected + IDLE_BYTES
                && machine.state.gc_step(units)
            {
                *collected = machine.state.memory_used();
            }
        }
    }
}
