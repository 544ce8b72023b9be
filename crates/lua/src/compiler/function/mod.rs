//! The function being compiled: registers, instructions, and expressions that are not yet in a register.
//!
//! An expression stays a description ([`Exp`]) for as long as its consumer might want it elsewhere than in a register of
//! its own: a constant, a variable, the instruction whose target is still open, a comparison that is still a jump.

mod constants;
mod exp;
mod jumps;
mod operators;
mod values;
mod variables;

pub(crate) use exp::{Binary, Exp, Kind, Unary};

use constants::ConstantKey;
use variables::Block;

use std::collections::HashMap;

use crate::limits::REGISTERS_MAX;
use crate::op::Op;
use crate::proto::Proto;
use crate::value::{ProtoId, StringId};

/// A bound that the function has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Registers,
    Constants,
}

#[derive(Default)]
pub(crate) struct FunctionState {
    pub(crate) proto: Proto,
    constants: HashMap<ConstantKey, u32>,
    /// Places in `proto.locals` of the variables in scope, which are registers 0, 1, 2 …
    pub(crate) active: Vec<usize>,
    /// Variables that are declared but not in scope yet.
    pub(crate) pending: Vec<StringId>,
    pub(crate) blocks: Vec<Block>,
    /// The first free register.
    pub(crate) free: usize,
    /// No instruction at or behind this index may be changed in view of what precedes it: a jump leads here.
    label: usize,
    /// The line that new instructions get.
    pub(crate) line: u32,
    pub(crate) excess: Option<Excess>,
}

fn register(index: usize) -> u8 {
    index.min(REGISTERS_MAX) as u8
}

impl FunctionState {
    pub(crate) fn pc(&self) -> u32 {
        // Code is limited by memory to far fewer instructions.
        u32::try_from(self.proto.code.len()).unwrap_or(u32::MAX - 1)
    }

    pub(crate) fn emit(&mut self, op: Op) -> u32 {
        let pc = self.pc();
        self.proto.code.push(op);
        self.proto.lines.push(self.line);
        pc
    }

    fn op_mut(&mut self, pc: u32) -> &mut Op {
        &mut self.proto.code[pc as usize]
    }

    /// Gives the last instruction another line.
    pub(crate) fn fix_line(&mut self, line: u32) {
        if let Some(last) = self.proto.lines.last_mut() {
            *last = line;
        }
    }

    pub(crate) fn check_room(&mut self, count: usize) {
        let top = self.free + count;
        if top > REGISTERS_MAX {
            self.excess = Some(Excess::Registers);
        }
        self.proto.registers = self.proto.registers.max(register(top));
    }

    pub(crate) fn reserve(&mut self, count: usize) {
        self.check_room(count);
        self.free += count;
    }

    fn release(&mut self, index: u8) {
        if usize::from(index) >= self.active.len() && usize::from(index) + 1 == self.free {
            self.free -= 1;
        }
    }

    pub(crate) fn release_exp(&mut self, exp: &Exp) {
        if let Kind::Register(index) = exp.kind {
            self.release(index);
        }
    }

    fn release_both(&mut self, a: &Exp, b: &Exp) {
        let index = |exp: &Exp| match exp.kind {
            Kind::Register(index) => Some(index),
            _ => None,
        };
        if index(a) > index(b) {
            self.release_exp(a);
            self.release_exp(b);
        } else {
            self.release_exp(b);
            self.release_exp(a);
        }
    }

    /// Ends the function.
    pub(crate) fn finish(mut self) -> Proto {
        self.emit(Op::Return { first: 0, count: 1 });
        self.deactivate(0);
        let proto = &mut self.proto;
        proto.registers = proto.registers.max(2);
        proto.code.shrink_to_fit();
        proto.lines.shrink_to_fit();
        proto.constants.shrink_to_fit();
        proto.locals.shrink_to_fit();
        self.proto
    }

    pub(crate) fn closure(&mut self, id: ProtoId) -> Exp {
        self.proto.protos.push(id);
        let proto = u32::try_from(self.proto.protos.len() - 1).unwrap_or(u32::MAX);
        Kind::Open(self.emit(Op::Closure { dst: 0, proto })).into()
    }

    /// Bytes that the function takes while it is compiled.
    pub(crate) fn held(&self) -> usize {
        self.proto.bytes() + self.constants.capacity() * 16
    }
}
