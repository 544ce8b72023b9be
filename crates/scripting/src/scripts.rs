//! The scripts of EVAL and SCRIPT LOAD: compiled once, found by their digest.

use crate::digest::Digest;
use crate::error::Error;
use crate::flags::ScriptFlags;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::run::{Run, What};
use crate::shebang;
use crate::source::{Compiled, Source};
use crate::usage::Usage;
use hashbrown::HashMap;
use lua::Kept;

/// What a script's errors call it.
pub(crate) const CHUNK: &[u8] = b"@user_script";

/// A cached script.
struct Script {
    body: Box<[u8]>,
    flags: ScriptFlags,
    function: Kept,
    /// Its place among those that only EVAL has seen; `None` for one that stays.
    place: Option<usize>,
    /// What its runs have taken; `None` before the first one.
    usage: Option<Box<Usage>>,
}

/// One of those that may have to go.
#[derive(Clone, Copy)]
struct Evictable {
    digest: Digest,
    /// When it last ran, in runs of all scripts.
    used_at: u64,
}

/// Who wants a script cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// EVAL: until others are in the way.
    WhileUsed,
    /// SCRIPT LOAD: until SCRIPT FLUSH.
    Always,
}

/// The cache and its interpreter.
#[derive(Default)]
pub(crate) struct Scripts {
    /// `None` before the first script, and while one runs.
    pub(crate) machine: Option<Box<Machine>>,
    cached: HashMap<Digest, Script>,
    evictable: Vec<Evictable>,
    runs: u64,
    evicted: u64,
    /// Bytes of all bodies.
    body_bytes: usize,
    limits: Limits,
}

/// Bytes that a script takes beside its body and what is compiled from it, if it has run.
const SCRIPT_BYTES: usize = size_of::<Script>() + size_of::<Digest>() + size_of::<Usage>();

impl Scripts {
    pub(crate) fn flags(&self, digest: &Digest) -> Option<ScriptFlags> {
        self.cached.get(digest).map(|script| script.flags)
    }

    pub(crate) fn body(&self, digest: &Digest) -> Option<&[u8]> {
        self.cached.get(digest).map(|script| &*script.body)
    }

    pub(crate) fn len(&self) -> usize {
        self.cached.len()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn reset_evicted(&mut self) {
        self.evicted = 0;
    }

    /// Bytes of the cache outside of the interpreter.
    pub(crate) fn bytes(&self) -> usize {
        self.body_bytes + self.cached.len() * SCRIPT_BYTES
    }

    /// Compiles a script unless it is there.
    pub(crate) fn load(&mut self, body: &[u8], digest: Digest, keep: Keep) -> Result<(), Error> {
        if let Some(script) = self.cached.get_mut(&digest) {
            if keep == Keep::Always
                && let Some(place) = script.place.take()
            {
                self.take_from_evictable(place);
            }
            return Ok(());
        }
        let (flags, code) = shebang::script(body)?;
        let machine = self
            .machine
            .get_or_insert_with(|| Machine::for_scripts(self.limits));
        let function = machine.compile(code, CHUNK, Error::script_syntax, &mut || false)?;
        let function = machine.state.keep(function);
        let compiled = Compiled {
            body: body.into(),
            flags,
            keep,
            function,
        };
        self.add(digest, compiled);
        Ok(())
    }

    /// Puts a script into the cache.
    fn add(&mut self, digest: Digest, compiled: Compiled) {
        let place = match compiled.keep {
            Keep::Always => None,
            Keep::WhileUsed => Some(self.place_for(digest)),
        };
        self.body_bytes += compiled.body.len();
        let script = Script {
            body: compiled.body,
            flags: compiled.flags,
            function: compiled.function,
            place,
            usage: None,
        };
        self.cached.insert(digest, script);
    }

    /// Starts a script that is not cached: to be compiled, and called if it has been given keys and arguments. No other one
    /// runs.
    pub(crate) fn start_source(
        &mut self,
        digest: Digest,
        source: Box<Source>,
        what: fn(Digest) -> What,
    ) -> Run {
        let limits = self.limits;
        let mut machine = self
            .machine
            .take()
            .unwrap_or_else(|| Machine::for_scripts(limits));
        machine.state.watch_memory();
        Run::with_source(machine, what(digest), source)
    }

    /// Other bounds hold from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if let Some(machine) = &mut self.machine {
            machine.state.set_memory_limit(limits.memory_bytes);
        }
        self.evict_beyond(limits.eval_scripts);
    }

    /// A place among the evictable ones, for which those have to go that are too many then.
    fn place_for(&mut self, digest: Digest) -> usize {
        self.evict_beyond(self.limits.eval_scripts.saturating_sub(1));
        self.runs += 1;
        let used_at = self.runs;
        self.evictable.push(Evictable { digest, used_at });
        self.evictable.len() - 1
    }

    /// Has those go that have not run for the longest time, until `kept` are left of those that may.
    fn evict_beyond(&mut self, kept: usize) {
        while self.evictable.len() > kept {
            let entries = self.evictable.iter().enumerate();
            let Some((place, gone)) = entries.min_by_key(|(_, entry)| entry.used_at) else {
                return;
            };
            let digest = gone.digest;
            self.take_from_evictable(place);
            if let Some(script) = self.cached.remove(&digest) {
                self.body_bytes -= script.body.len();
                if let Some(machine) = &mut self.machine {
                    machine.state.release(script.function);
                }
            }
            self.evicted += 1;
        }
    }

    fn take_from_evictable(&mut self, place: usize) {
        self.evictable.swap_remove(place);
        if let Some(moved) = self.evictable.get(place)
            && let Some(script) = self.cached.get_mut(&moved.digest)
        {
            script.place = Some(place);
        }
    }

    /// Starts a cached script. `None` if it is not there, or if another one runs.
    #[inline]
    pub(crate) fn start(
        &mut self,
        digest: &Digest,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Option<Result<Run, Error>> {
        let script = self.cached.get(digest)?;
        let mut machine = self.machine.take()?;
        machine.state.watch_memory();
        let function = machine.state.kept(script.function);
        if machine.start_script(function, keys, args).is_err() {
            self.machine = Some(machine);
            return Some(Err(Error::MEMORY));
        }
        Some(Ok(Run::new(machine, What::Script(*digest))))
    }

    /// Takes the interpreter back from a run, and the script if it has been compiled in it. Where to count it, unless the
    /// script has gone.
    #[inline]
    pub(crate) fn ended(
        &mut self,
        machine: Box<Machine>,
        digest: &Digest,
        compiled: Option<Compiled>,
    ) -> Option<&mut Usage> {
        self.machine = Some(machine);
        if let Some(compiled) = compiled {
            self.add(*digest, compiled);
        }
        self.runs += 1;
        let script = self.cached.get_mut(digest)?;
        if let Some(place) = script.place {
            self.evictable[place].used_at = self.runs;
        }
        Some(script.usage.get_or_insert_default())
    }

    /// The scripts that have run, and what that has taken.
    pub(crate) fn usages(&self) -> impl Iterator<Item = (&Digest, &Usage)> {
        let cached = self.cached.iter();
        cached.filter_map(|(digest, script)| Some((digest, script.usage.as_deref()?)))
    }

    /// Forgets what runs have taken.
    pub(crate) fn reset_usages(&mut self) {
        for script in self.cached.values_mut() {
            script.usage = None;
        }
    }

    /// Forgets all scripts. The interpreter is given away, to be freed where that does not matter.
    pub(crate) fn flush(&mut self) -> Option<Box<Machine>> {
        self.take().machine
    }

    /// Leaves nothing but the bounds and how many have been evicted. What there was.
    fn take(&mut self) -> Self {
        let (evicted, limits) = (self.evicted, self.limits);
        std::mem::replace(
            self,
            Scripts {
                evicted,
                limits,
                ..Self::default()
            },
        )
    }

    /// Whether the interpreter has been lost with a run that never came back.
    pub(crate) fn recover(&mut self) {
        if self.machine.is_none() && !self.cached.is_empty() {
            // What is compiled has gone with it.
            let old = self.take();
            for (digest, script) in old.cached {
                let keep = match script.place {
                    Some(_) => Keep::WhileUsed,
                    None => Keep::Always,
                };
                // It has been compiled before.
                let loaded = self.load(&script.body, digest, keep);
                debug_assert!(loaded.is_ok());
            }
        }
    }
}
