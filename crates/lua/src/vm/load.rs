//! From a source to a function, for the host.

use super::State;
use crate::compiler::lexer::CompileError;
use crate::compiler::{Compiler, Progress, UNITS_PER_STEP};
use crate::heap::{Closure, Function, OutOfMemory};
use crate::value::Value;

/// Units of work between two looks at the memory that a compilation takes.
const UNITS_AT_ONCE: u64 = 8192;

/// Why a source was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The text, as `loadstring` returns it.
    Syntax(Vec<u8>),
    /// Memory is used up.
    OutOfMemory,
}

impl From<OutOfMemory> for LoadError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Syntax(text) => Self::Syntax(text),
            CompileError::Memory => Self::OutOfMemory,
        }
    }
}

/// A source that is being compiled, see [`State::compile`]. What it has made so far becomes garbage if it is dropped.
pub struct Compilation(Compiler);

impl std::fmt::Debug for Compilation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Compilation")
    }
}

impl State {
    /// Compiles a source. `name` stands in error texts: `=name` and `@name` as they are, any other as the source itself.
    ///
    /// # Errors
    ///
    /// The source is no Lua, or memory is used up.
    pub fn load(&mut self, source: &[u8], name: &[u8]) -> Result<Value, LoadError> {
        let mut compilation = self.compile(source, name)?;
        loop {
            if let Some(function) = self.go_on_compiling(&mut compilation, UNITS_AT_ONCE)? {
                return Ok(function);
            }
        }
    }

    /// Begins to compile a source, as [`State::load`] does at once. Until it is complete nothing may be collected and nothing
    /// run, as nobody but the compilation knows what it has made.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn compile(&mut self, source: &[u8], name: &[u8]) -> Result<Compilation, LoadError> {
        self.forget_marks();
        let name = self.heap.string(name)?;
        Ok(Compilation(Compiler::new(
            source.to_vec(),
            name,
            &self.heap,
        )))
    }

    /// Goes on with a compilation for about so many units of work. The function if it is complete then.
    ///
    /// # Errors
    ///
    /// The source is no Lua, or memory is used up.
    pub fn go_on_compiling(
        &mut self,
        compilation: &mut Compilation,
        units: u64,
    ) -> Result<Option<Value>, LoadError> {
        let steps = usize::try_from(units).unwrap_or(usize::MAX) / UNITS_PER_STEP + 1;
        let compiler = &mut compilation.0;
        match compiler.run(steps, &mut self.heap, &mut self.protos)? {
            Progress::More => Ok(None),
            Progress::Done(proto) => {
                let function = self.heap.function(Function::Lua(Closure {
                    proto,
                    env: self.globals,
                    upvalues: Box::default(),
                }))?;
                Ok(Some(Value::Function(function)))
            }
        }
    }
}
