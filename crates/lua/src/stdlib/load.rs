//! `load` and `loadstring`: compiling at run time, in slices.

use crate::compiler::lexer::CompileError;
use crate::compiler::{Compiler, Progress, UNITS_PER_STEP};
use crate::heap::{Closure, Function};
use crate::value::{StringId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[("load", load), ("loadstring", loadstring)];

/// Compile steps of one slice.
const STEPS: usize = 512;

enum Stage {
    /// Pieces of the source come from a function.
    Reading {
        source: Vec<u8>,
        asked: bool,
    },
    Compiling(Box<Compiler>),
    /// Compiling ran out of memory; it begins anew after a collection.
    Again,
}

struct Load {
    stage: Stage,
    /// The chunk's name, if it was given; else the source is its own name.
    name: Option<StringId>,
}

impl Load {
    fn compile(&mut self, source: Vec<u8>, call: &mut Call<'_>) -> Result<NativeResult> {
        let name = match self.name {
            Some(name) => name,
            None => call.state.heap.string(&source)?,
        };
        call.state.collector_paused = true;
        let compiler = Compiler::new(source, name, &call.state.heap);
        self.stage = Stage::Compiling(Box::new(compiler));
        Ok(NativeResult::Again)
    }

    /// The source of `loadstring`, which is its first argument.
    fn source(call: &Call<'_>) -> Vec<u8> {
        match call.arg(0) {
            Value::String(id) => call.bytes(id).to_vec(),
            _ => Vec::new(),
        }
    }
}

impl Task for Load {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        match &mut self.stage {
            Stage::Again => {
                let source = Self::source(call);
                call.state.heap.check(source.len() * 2)?;
                self.compile(source, call)
            }
            Stage::Reading { source, asked } => {
                if !*asked {
                    *asked = true;
                    call.push(call.arg(0))?;
                    return Ok(NativeResult::Call(0));
                }
                let piece = call.result(0);
                let bytes = match call.state.text_of(piece)? {
                    Some(id) => call.state.heap.bytes(id),
                    None if piece.is_nil() => b"",
                    None => {
                        return match call.error("reader function must return a string") {
                            Error::Raised(Value::String(text)) => refuse(call, text),
                            other => Err(other),
                        };
                    }
                };
                if bytes.is_empty() {
                    let source = std::mem::take(source);
                    return self.compile(source, call);
                }
                call.state.heap.check(bytes.len())?;
                source.extend_from_slice(bytes);
                *asked = false;
                Ok(NativeResult::Again)
            }
            Stage::Compiling(compiler) => {
                let before = compiler.steps;
                let state = &mut *call.state;
                let progress = compiler.run(STEPS, &mut state.heap, &mut state.protos);
                let steps = compiler.steps - before;
                call.charge(steps * UNITS_PER_STEP);
                let state = &mut *call.state;
                match progress {
                    Ok(Progress::More) => Ok(NativeResult::Again),
                    Ok(Progress::Done(proto)) => {
                        state.collector_paused = false;
                        let env = state.run_globals();
                        let function = state.heap.function(Function::Lua(Closure {
                            proto,
                            env,
                            upvalues: Box::default(),
                        }))?;
                        call.ret(Value::Function(function))
                    }
                    Err(CompileError::Syntax(text)) => {
                        call.state.collector_paused = false;
                        let text = call.state.heap.string(&text)?;
                        refuse(call, text)
                    }
                    Err(CompileError::Memory) => {
                        call.state.collector_paused = false;
                        if matches!(call.arg(0), Value::String(_)) {
                            self.stage = Stage::Again;
                        }
                        Err(Error::Memory)
                    }
                }
            }
        }
    }

    fn held(&self) -> usize {
        match &self.stage {
            Stage::Reading { source, .. } => source.capacity(),
            Stage::Compiling(compiler) => compiler.held(),
            Stage::Again => 0,
        }
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        if let Some(name) = self.name {
            visit(Value::String(name));
        }
    }

    fn pauses_collector(&self) -> bool {
        matches!(self.stage, Stage::Compiling(_))
    }
}

/// Nil and a text.
fn refuse(call: &mut Call<'_>, text: StringId) -> Result<NativeResult> {
    call.push(Value::Nil)?;
    call.push(Value::String(text))?;
    Ok(NativeResult::Return(2))
}

fn loadstring(call: &mut Call<'_>) -> Result<NativeResult> {
    let source = call.check_string(0)?;
    let name = call.opt_string(1)?.unwrap_or(source);
    Ok(NativeResult::Task(Box::new(Load {
        stage: Stage::Again,
        name: Some(name),
    })))
}

fn load(call: &mut Call<'_>) -> Result<NativeResult> {
    call.check_function(0)?;
    let name = match call.opt_string(1)? {
        Some(name) => name,
        None => call.state.heap.string(b"=(load)")?,
    };
    Ok(NativeResult::Task(Box::new(Load {
        stage: Stage::Reading {
            source: Vec::new(),
            asked: false,
        },
        name: Some(name),
    })))
}
