//! A long script while it is compiled: in slices, as what its first run begins with.

use crate::error::Error;
use crate::flags::ScriptFlags;
use crate::limits::COLLECTIONS;
use crate::machine::Machine;
use crate::scripts::{CHUNK, Keep};
use crate::shebang;
use lua::{Compilation, Kept, LoadError};
use words::Words;

/// The keys and the arguments of a call.
pub type KeysAndArgs<'a> = (&'a [&'a [u8]], &'a [&'a [u8]]);

/// A script that is being compiled.
pub(crate) struct Source {
    body: Box<[u8]>,
    /// Where the code begins, behind the first line.
    code_at: usize,
    flags: ScriptFlags,
    keep: Keep,
    /// The keys and arguments that it is called with then; `None` if it is to be cached only.
    call: Option<(Words, Words)>,
    compilation: Option<Compilation>,
    /// Memory did not suffice: so many collections are left to be made.
    collections: Option<u32>,
}

/// A script that has been compiled, for the cache.
pub(crate) struct Compiled {
    pub(crate) body: Box<[u8]>,
    pub(crate) flags: ScriptFlags,
    pub(crate) keep: Keep,
    pub(crate) function: Kept,
}

/// Where a compilation stands.
pub(crate) enum Progress {
    More(Box<Source>),
    /// What goes into the cache, and with which keys and arguments it is called.
    Done(Compiled, Option<(Words, Words)>),
}

impl Source {
    /// Begins with a body.
    ///
    /// # Errors
    /// What is wrong with its first line.
    pub(crate) fn new(
        body: &[u8],
        keep: Keep,
        call: Option<KeysAndArgs<'_>>,
    ) -> Result<Box<Self>, Error> {
        let (flags, code) = shebang::script(body)?;
        Ok(Box::new(Source {
            body: body.into(),
            code_at: body.len() - code.len(),
            flags,
            keep,
            call: call.map(|(keys, args)| (Words::new(keys), Words::new(args))),
            compilation: None,
            collections: None,
        }))
    }

    /// Does about so many units of work.
    ///
    /// # Errors
    /// It is no Lua, or there is no memory for it.
    pub(crate) fn go_on(
        mut self: Box<Self>,
        machine: &mut Machine,
        units: u64,
    ) -> Result<Progress, Error> {
        if let Some(left @ 1..) = self.collections {
            if machine.state.gc_step(units) {
                self.collections = Some(left - 1);
            }
            return Ok(Progress::More(self));
        }
        let Some(compilation) = &mut self.compilation else {
            let begun = machine.state.compile(&self.body[self.code_at..], CHUNK);
            return self.after(machine, begun.map(Some));
        };
        match machine.state.go_on_compiling(compilation, units) {
            Ok(None) => Ok(Progress::More(self)),
            Ok(Some(function)) => {
                let compiled = Compiled {
                    function: machine.state.keep(function),
                    body: self.body,
                    flags: self.flags,
                    keep: self.keep,
                };
                Ok(Progress::Done(compiled, self.call))
            }
            Err(error) => self.after(machine, Err(error)),
        }
    }

    /// It has begun, or there is something wrong: what lacks memory begins anew, once.
    fn after(
        mut self: Box<Self>,
        machine: &mut Machine,
        begun: Result<Option<Compilation>, LoadError>,
    ) -> Result<Progress, Error> {
        self.compilation = match begun {
            Ok(compilation) => compilation,
            Err(LoadError::Syntax(text)) => return Err(Error::script_syntax(&text)),
            Err(LoadError::OutOfMemory) if self.collections.is_none() => {
                machine.state.abort();
                self.collections = Some(COLLECTIONS);
                None
            }
            Err(LoadError::OutOfMemory) => return Err(Error::MEMORY),
        };
        Ok(Progress::More(self))
    }
}
