//! A compiled function: instructions, constants, and what error texts need to know of its source.

use crate::op::Op;
use crate::value::{ProtoId, StringId, Value};

/// A variable taken from the function around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// A register of the function around.
    Local(u8),
    /// One of its own upvalues.
    Upvalue(u8),
}

/// The name of a register over a range of instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalName {
    pub(crate) name: StringId,
    /// The first instruction that sees it.
    pub(crate) start: u32,
    /// The first one that no longer does.
    pub(crate) end: u32,
}

/// A compiled function.
#[derive(Default)]
pub(crate) struct Proto {
    pub(crate) code: Vec<Op>,
    pub(crate) constants: Vec<Value>,
    pub(crate) protos: Vec<ProtoId>,
    pub(crate) captures: Vec<Capture>,
    /// The line of each instruction.
    pub(crate) lines: Vec<u32>,
    /// In order of their start, which is that of their registers in each scope.
    pub(crate) locals: Vec<LocalName>,
    pub(crate) upvalue_names: Vec<StringId>,
    /// The chunk's name as given, with its `@` or `=`.
    pub(crate) source: Option<StringId>,
    pub(crate) line_defined: u32,
    pub(crate) params: u8,
    pub(crate) is_vararg: bool,
    /// Whether calls make the table `arg` of the varargs.
    pub(crate) needs_arg: bool,
    /// Registers in use.
    pub(crate) registers: u8,
}

impl Proto {
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + 1
            + self.code.capacity() * size_of::<Op>()
            + self.constants.capacity() * size_of::<Value>()
            + self.protos.capacity() * size_of::<ProtoId>()
            + self.captures.capacity() * size_of::<Capture>()
            + self.lines.capacity() * size_of::<u32>()
            + self.locals.capacity() * size_of::<LocalName>()
            + self.upvalue_names.capacity() * size_of::<StringId>()
    }

    /// The line of an instruction.
    pub(crate) fn line(&self, pc: usize) -> u32 {
        self.lines.get(pc).copied().unwrap_or(0)
    }

    /// The name of the local variable that a register is at an instruction.
    pub(crate) fn local_name(&self, register: u8, pc: usize) -> Option<StringId> {
        let active = |local: &&LocalName| (local.start as usize..local.end as usize).contains(&pc);
        let started = self
            .locals
            .iter()
            .take_while(|local| local.start as usize <= pc);
        started
            .filter(active)
            .nth(usize::from(register))
            .map(|local| local.name)
    }
}
