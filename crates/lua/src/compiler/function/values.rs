//! Bringing the value of an expression into a register.

use super::exp::{Exp, Kind};
use super::{FunctionState, register};

use crate::op::{NO_JUMP, OPEN, Op};

impl FunctionState {
    /// Asks a call or `...` for `count` values.
    pub(crate) fn set_results(&mut self, exp: &Exp, count: u8) {
        match exp.kind {
            Kind::Call(pc) => {
                if let Op::Call { results, .. } = self.op_mut(pc) {
                    *results = count;
                }
            }
            Kind::VarArg(pc) => {
                let free = register(self.free);
                if let Op::VarArg { dst, count: wanted } = self.op_mut(pc) {
                    *wanted = count;
                    *dst = free;
                }
                self.reserve(1);
            }
            _ => {}
        }
    }

    pub(crate) fn set_open(&mut self, exp: &Exp) {
        self.set_results(exp, OPEN);
    }

    pub(crate) fn set_one_result(&mut self, exp: &mut Exp) {
        match exp.kind {
            Kind::Call(pc) => {
                if let Op::Call { base, .. } = self.proto.code[pc as usize] {
                    exp.kind = Kind::Register(base);
                }
            }
            Kind::VarArg(pc) => {
                if let Op::VarArg { count, .. } = self.op_mut(pc) {
                    *count = 2;
                }
                exp.kind = Kind::Open(pc);
            }
            _ => {}
        }
    }

    /// Turns a variable into the instruction that reads it.
    pub(crate) fn read(&mut self, exp: &mut Exp) {
        let op = match exp.kind {
            Kind::Local(index) => {
                exp.kind = Kind::Register(index);
                return;
            }
            Kind::Upvalue(upvalue) => Op::GetUpvalue { dst: 0, upvalue },
            Kind::Global(k) => Op::GetGlobal { dst: 0, k },
            Kind::Field { table, k } => {
                self.release(table);
                Op::GetField { dst: 0, table, k }
            }
            Kind::Item { table, item } => {
                self.release(table);
                Op::GetItem {
                    dst: 0,
                    table,
                    item,
                }
            }
            Kind::Index { table, key } => {
                self.release(key.max(table));
                self.release(key.min(table));
                Op::GetIndex { dst: 0, table, key }
            }
            Kind::Call(_) | Kind::VarArg(_) => {
                self.set_one_result(exp);
                return;
            }
            _ => return,
        };
        exp.kind = Kind::Open(self.emit(op));
    }

    /// Puts a value, jumps aside, into a register. A comparison stays what it is.
    fn load(&mut self, exp: &mut Exp, dst: u8) {
        self.read(exp);
        match exp.kind {
            Kind::Nil => {
                self.nil(usize::from(dst), 1);
            }
            Kind::True | Kind::False => {
                self.emit(Op::Boolean {
                    dst,
                    value: exp.kind == Kind::True,
                    skip: false,
                });
            }
            Kind::Number(number) => {
                let k = self.number_constant(number);
                self.emit(Op::Constant { dst, k });
            }
            Kind::String(id) => {
                let k = self.string_constant(id);
                self.emit(Op::Constant { dst, k });
            }
            Kind::Open(pc) => self.set_destination(pc, dst),
            Kind::Register(src) => {
                if src != dst {
                    self.emit(Op::Move { dst, src });
                }
            }
            _ => return,
        }
        exp.kind = Kind::Register(dst);
    }

    fn set_destination(&mut self, pc: u32, register: u8) {
        match self.op_mut(pc) {
            Op::GetUpvalue { dst, .. }
            | Op::GetGlobal { dst, .. }
            | Op::GetIndex { dst, .. }
            | Op::GetField { dst, .. }
            | Op::GetItem { dst, .. }
            | Op::NewTable { dst, .. }
            | Op::Add { dst, .. }
            | Op::Sub { dst, .. }
            | Op::Mul { dst, .. }
            | Op::Div { dst, .. }
            | Op::Mod { dst, .. }
            | Op::Pow { dst, .. }
            | Op::AddK { dst, .. }
            | Op::SubK { dst, .. }
            | Op::MulK { dst, .. }
            | Op::DivK { dst, .. }
            | Op::ModK { dst, .. }
            | Op::PowK { dst, .. }
            | Op::Negate { dst, .. }
            | Op::Not { dst, .. }
            | Op::Length { dst, .. }
            | Op::Concat { dst, .. }
            | Op::Closure { dst, .. }
            | Op::VarArg { dst, .. } => *dst = register,
            _ => {}
        }
    }

    /// Sets `count` registers to nil, with the instruction before if that does the same next to them.
    pub(crate) fn nil(&mut self, from: usize, count: usize) {
        let (first, last) = (register(from), register(from + count - 1));
        if self.proto.code.len() > self.label
            && let Some(Op::Nil { last: end, .. }) = self.proto.code.last_mut()
            && *end + 1 == first
        {
            *end = last;
            return;
        }
        self.emit(Op::Nil { first, last });
    }

    /// Puts a value into this register, whatever it is.
    pub(super) fn put(&mut self, exp: &mut Exp, dst: u8) {
        self.load(exp, dst);
        if let Kind::Jump(pc) = exp.kind {
            let mut list = exp.when_true;
            self.join(&mut list, pc);
            exp.when_true = list;
        }
        if exp.has_jumps() {
            let (mut load_false, mut load_true) = (NO_JUMP, NO_JUMP);
            if self.needs_value(exp.when_true) || self.needs_value(exp.when_false) {
                let around = if matches!(exp.kind, Kind::Jump(_)) {
                    NO_JUMP
                } else {
                    self.jump()
                };
                self.here();
                load_false = self.emit(Op::Boolean {
                    dst,
                    value: false,
                    skip: true,
                });
                self.here();
                load_true = self.emit(Op::Boolean {
                    dst,
                    value: true,
                    skip: false,
                });
                self.patch_here(around);
            }
            let end = self.here();
            self.patch_values(exp.when_false, end, dst, load_false);
            self.patch_values(exp.when_true, end, dst, load_true);
        }
        *exp = Kind::Register(dst).into();
    }

    pub(crate) fn next_register(&mut self, exp: &mut Exp) {
        self.read(exp);
        self.release_exp(exp);
        self.reserve(1);
        self.put(exp, register(self.free - 1));
    }

    pub(crate) fn register_of(&mut self, exp: &mut Exp) -> u8 {
        self.read(exp);
        if let Kind::Register(index) = exp.kind {
            if !exp.has_jumps() {
                return index;
            }
            // Not a variable's: it may be overwritten.
            if usize::from(index) >= self.active.len() {
                self.put(exp, index);
                return index;
            }
        }
        self.next_register(exp);
        match exp.kind {
            Kind::Register(index) => index,
            _ => register(self.free),
        }
    }

    /// Makes sure that no jump is open.
    pub(crate) fn settle(&mut self, exp: &mut Exp) {
        if exp.has_jumps() {
            self.register_of(exp);
        } else {
            self.read(exp);
        }
    }

    /// Leaves a constant as it is; all else goes into a register.
    pub(crate) fn operand_of(&mut self, exp: &mut Exp) {
        self.settle(exp);
        if !matches!(exp.kind, Kind::Number(_) | Kind::String(_)) {
            self.register_of(exp);
        }
    }

    /// Puts a value, jumps aside, into some register.
    pub(super) fn load_anywhere(&mut self, exp: &mut Exp) -> u8 {
        if let Kind::Register(index) = exp.kind {
            return index;
        }
        self.reserve(1);
        let dst = register(self.free - 1);
        self.load(exp, dst);
        dst
    }
}
