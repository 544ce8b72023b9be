//! The function being compiled: registers, instructions, and expressions that are not yet in a register.
//!
//! An expression stays a description ([`Exp`]) for as long as its consumer might want it elsewhere than in a register of
//! its own: a constant, a variable, the instruction whose target is still open, a comparison that is still a jump.

use std::collections::HashMap;

use crate::limits::{CONSTANTS_MAX, REGISTERS_MAX};
use crate::op::{EXPECT, NO_JUMP, NO_REGISTER, OPEN, Op, SMALL_CONSTANT_MAX};
use crate::proto::{Capture, LocalName, Proto};
use crate::value::{ProtoId, StringId, Value};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Void,
    Nil,
    True,
    False,
    Number(f64),
    String(StringId),
    Local(u8),
    Upvalue(u8),
    Global(u32),
    Field {
        table: u8,
        k: u32,
    },
    Item {
        table: u8,
        item: u32,
    },
    Index {
        table: u8,
        key: u8,
    },
    /// A comparison: the instruction that jumps when it is true.
    Jump(u32),
    /// An instruction whose register is not chosen yet.
    Open(u32),
    Register(u8),
    Call(u32),
    VarArg(u32),
}

/// An expression under way, with the jumps that leave it being true or false.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exp {
    pub(crate) kind: Kind,
    pub(crate) when_true: u32,
    pub(crate) when_false: u32,
}

impl From<Kind> for Exp {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            when_true: NO_JUMP,
            when_false: NO_JUMP,
        }
    }
}

impl Exp {
    fn has_jumps(&self) -> bool {
        self.when_true != self.when_false
    }

    /// Whether it can give any number of values.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::VarArg(_))
    }

    fn number(&self) -> Option<f64> {
        match self.kind {
            Kind::Number(number) if self.when_true == NO_JUMP && self.when_false == NO_JUMP => {
                Some(number)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Negate,
    Not,
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Concat,
    Ne,
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ConstantKey {
    Number(u64),
    String(u32),
}

/// A range of source in which variables live.
pub(crate) struct Block {
    /// Variables outside of it.
    outside: usize,
    breaks: u32,
    is_loop: bool,
    /// Whether a function inside keeps one of its variables.
    pub(crate) is_captured: bool,
}

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

    // Registers.

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

    // Constants.

    fn constant(&mut self, key: ConstantKey, value: Value) -> u32 {
        if let Some(k) = self.constants.get(&key) {
            return *k;
        }
        let k = u32::try_from(self.proto.constants.len()).unwrap_or(u32::MAX);
        if self.proto.constants.len() >= CONSTANTS_MAX {
            self.excess = Some(Excess::Constants);
        }
        self.proto.constants.push(value);
        self.constants.insert(key, k);
        k
    }

    pub(crate) fn string_constant(&mut self, id: StringId) -> u32 {
        self.constant(ConstantKey::String(id.place), Value::String(id))
    }

    fn number_constant(&mut self, number: f64) -> u32 {
        // As keys of a table 0 and -0 are one; which of them it is, the first decides.
        let bits = if number == 0.0 { 0 } else { number.to_bits() };
        self.constant(ConstantKey::Number(bits), Value::Number(number))
    }

    // Jumps. A list of jumps to one unknown target is linked through their targets.

    pub(crate) fn jump(&mut self) -> u32 {
        self.emit(Op::Jump { to: NO_JUMP })
    }

    /// The next instruction, as the target of a jump.
    pub(crate) fn here(&mut self) -> u32 {
        self.label = self.proto.code.len();
        self.pc()
    }

    fn next_jump(&self, pc: u32) -> u32 {
        self.proto.code[pc as usize].target().unwrap_or(NO_JUMP)
    }

    fn set_target(&mut self, pc: u32, target: u32) {
        if let Some(to) = self.op_mut(pc).target_mut() {
            *to = target;
        }
    }

    pub(crate) fn join(&mut self, list: &mut u32, other: u32) {
        if other == NO_JUMP {
            return;
        }
        if *list == NO_JUMP {
            *list = other;
            return;
        }
        let mut last = *list;
        while self.next_jump(last) != NO_JUMP {
            last = self.next_jump(last);
        }
        self.set_target(last, other);
    }

    pub(crate) fn patch(&mut self, list: u32, target: u32) {
        self.patch_values(list, target, NO_REGISTER, target);
    }

    pub(crate) fn patch_here(&mut self, list: u32) {
        let here = self.here();
        self.patch(list, here);
    }

    /// Sends the jumps that carry a value to `with_value`, their value into `dst`, and the others to `without`.
    fn patch_values(&mut self, mut list: u32, with_value: u32, dst: u8, without: u32) {
        while list != NO_JUMP {
            let next = self.next_jump(list);
            let carries = self.set_test_register(list, dst);
            self.set_target(list, if carries { with_value } else { without });
            list = next;
        }
    }

    /// Gives a test its register, or takes it away; false if the jump carries no value.
    fn set_test_register(&mut self, pc: u32, register: u8) -> bool {
        let op = self.op_mut(pc);
        let Op::TestSet {
            src, expect, to, ..
        } = *op
        else {
            return false;
        };
        *op = if register == NO_REGISTER || register == src {
            Op::Test { src, expect, to }
        } else {
            Op::TestSet {
                dst: register,
                src,
                expect,
                to,
            }
        };
        true
    }

    fn drop_values(&mut self, mut list: u32) {
        while list != NO_JUMP {
            self.set_test_register(list, NO_REGISTER);
            list = self.next_jump(list);
        }
    }

    fn needs_value(&self, mut list: u32) -> bool {
        while list != NO_JUMP {
            if !matches!(self.proto.code[list as usize], Op::TestSet { .. }) {
                return true;
            }
            list = self.next_jump(list);
        }
        false
    }

    /// Makes a comparison jump in the opposite case.
    fn invert(&mut self, pc: u32) {
        match self.op_mut(pc) {
            Op::Eq { expect, .. }
            | Op::Lt { expect, .. }
            | Op::Le { expect, .. }
            | Op::Test { expect, .. } => {
                *expect = !*expect;
            }
            Op::EqK { k, .. }
            | Op::LtK { k, .. }
            | Op::LeK { k, .. }
            | Op::GtK { k, .. }
            | Op::GeK { k, .. } => {
                *k ^= EXPECT;
            }
            _ => {}
        }
    }

    // Expressions.

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
    fn put(&mut self, exp: &mut Exp, dst: u8) {
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

    pub(crate) fn store(&mut self, variable: Exp, mut exp: Exp) {
        match variable.kind {
            Kind::Local(index) => {
                self.release_exp(&exp);
                self.put(&mut exp, index);
                return;
            }
            Kind::Upvalue(upvalue) => {
                let src = self.register_of(&mut exp);
                self.emit(Op::SetUpvalue { src, upvalue });
            }
            Kind::Global(k) => {
                let src = self.register_of(&mut exp);
                self.emit(Op::SetGlobal { src, k });
            }
            Kind::Field { table, k } => {
                let src = self.register_of(&mut exp);
                self.emit(Op::SetField { table, src, k });
            }
            Kind::Item { table, item } => {
                let src = self.register_of(&mut exp);
                let mut key: Exp = Kind::Number(f64::from(item)).into();
                self.next_register(&mut key);
                let at = register(self.free - 1);
                self.emit(Op::SetIndex {
                    table,
                    key: at,
                    src,
                });
                self.release_exp(&key);
            }
            Kind::Index { table, key } => {
                let src = self.register_of(&mut exp);
                self.emit(Op::SetIndex { table, key, src });
            }
            _ => {}
        }
        self.release_exp(&exp);
    }

    /// `table[key]`, the table being in a register.
    pub(crate) fn index(&mut self, table: u8, mut key: Exp) -> Exp {
        self.settle(&mut key);
        match key.kind {
            Kind::String(id) if !id.is_long() => {
                let k = self.string_constant(id);
                Kind::Field { table, k }.into()
            }
            Kind::Number(number)
                if number >= 1.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 =>
            {
                let item = number as u32;
                Kind::Item { table, item }.into()
            }
            _ => {
                let key = self.register_of(&mut key);
                Kind::Index { table, key }.into()
            }
        }
    }

    /// `exp:name`: the function and the object in two registers, ready for arguments.
    pub(crate) fn method(&mut self, exp: &mut Exp, name: StringId) {
        let table = self.register_of(exp);
        self.release_exp(exp);
        let dst = register(self.free);
        self.reserve(2);
        let k = self.string_constant(name);
        self.emit(Op::Method { dst, table, k });
        *exp = Kind::Register(dst).into();
    }

    fn jump_if(&mut self, exp: &mut Exp, expect: bool) -> u32 {
        if let Kind::Open(pc) = exp.kind
            && let Op::Not { src, .. } = self.proto.code[pc as usize]
        {
            self.proto.code.pop();
            self.proto.lines.pop();
            return self.emit(Op::Test {
                src,
                expect: !expect,
                to: NO_JUMP,
            });
        }
        let src = self.load_anywhere(exp);
        self.release_exp(exp);
        self.emit(Op::TestSet {
            dst: NO_REGISTER,
            src,
            expect,
            to: NO_JUMP,
        })
    }

    /// Puts a value, jumps aside, into some register.
    fn load_anywhere(&mut self, exp: &mut Exp) -> u8 {
        if let Kind::Register(index) = exp.kind {
            return index;
        }
        self.reserve(1);
        let dst = register(self.free - 1);
        self.load(exp, dst);
        dst
    }

    /// Goes on only if the expression is true; else `when_false` is taken.
    pub(crate) fn go_if_true(&mut self, exp: &mut Exp) {
        self.read(exp);
        let jump = match exp.kind {
            Kind::Number(_) | Kind::String(_) | Kind::True => NO_JUMP,
            Kind::Jump(pc) => {
                self.invert(pc);
                pc
            }
            _ => self.jump_if(exp, false),
        };
        let mut list = exp.when_false;
        self.join(&mut list, jump);
        exp.when_false = list;
        self.patch_here(exp.when_true);
        exp.when_true = NO_JUMP;
    }

    fn go_if_false(&mut self, exp: &mut Exp) {
        self.read(exp);
        let jump = match exp.kind {
            Kind::Nil | Kind::False => NO_JUMP,
            Kind::Jump(pc) => pc,
            _ => self.jump_if(exp, true),
        };
        let mut list = exp.when_true;
        self.join(&mut list, jump);
        exp.when_true = list;
        self.patch_here(exp.when_false);
        exp.when_false = NO_JUMP;
    }

    fn not(&mut self, exp: &mut Exp) {
        self.read(exp);
        match exp.kind {
            Kind::Nil | Kind::False => exp.kind = Kind::True,
            Kind::Number(_) | Kind::String(_) | Kind::True => exp.kind = Kind::False,
            Kind::Jump(pc) => self.invert(pc),
            _ => {
                let src = self.load_anywhere(exp);
                self.release_exp(exp);
                exp.kind = Kind::Open(self.emit(Op::Not { dst: 0, src }));
            }
        }
        std::mem::swap(&mut exp.when_true, &mut exp.when_false);
        self.drop_values(exp.when_true);
        self.drop_values(exp.when_false);
    }

    pub(crate) fn prefix(&mut self, op: Unary, exp: &mut Exp) {
        match op {
            Unary::Not => self.not(exp),
            Unary::Negate => {
                if let Some(number) = exp.number() {
                    exp.kind = Kind::Number(-number);
                    return;
                }
                let src = self.register_of(exp);
                self.release_exp(exp);
                exp.kind = Kind::Open(self.emit(Op::Negate { dst: 0, src }));
            }
            Unary::Length => {
                let src = self.register_of(exp);
                self.release_exp(exp);
                exp.kind = Kind::Open(self.emit(Op::Length { dst: 0, src }));
            }
        }
    }

    /// Prepares the left operand before the right one is read.
    pub(crate) fn infix(&mut self, op: Binary, exp: &mut Exp) {
        match op {
            Binary::And => self.go_if_true(exp),
            Binary::Or => self.go_if_false(exp),
            Binary::Concat => self.next_register(exp),
            Binary::Eq | Binary::Ne => {
                self.operand_of(exp);
                self.note_constant(exp);
            }
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                if exp.number().is_none() {
                    self.register_of(exp);
                }
                self.note_constant(exp);
            }
            _ => {
                if exp.number().is_none() {
                    self.register_of(exp);
                }
            }
        }
    }

    /// Gives a number its place among the constants already: of 0 and -0 the first decides for both.
    fn note_constant(&mut self, exp: &Exp) {
        if let Some(number) = exp.number().filter(|number| !number.is_nan()) {
            self.number_constant(number);
        }
    }

    pub(crate) fn postfix(&mut self, op: Binary, lhs: Exp, mut rhs: Exp) -> Exp {
        match op {
            Binary::And => {
                self.read(&mut rhs);
                let mut list = rhs.when_false;
                self.join(&mut list, lhs.when_false);
                rhs.when_false = list;
                rhs
            }
            Binary::Or => {
                self.read(&mut rhs);
                let mut list = rhs.when_true;
                self.join(&mut list, lhs.when_true);
                rhs.when_true = list;
                rhs
            }
            Binary::Concat => self.concat(lhs, rhs),
            Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                self.comparison(op, lhs, rhs)
            }
            _ => self.arithmetic(op, lhs, rhs),
        }
    }

    fn concat(&mut self, lhs: Exp, mut rhs: Exp) -> Exp {
        self.settle(&mut rhs);
        let Kind::Register(first) = lhs.kind else {
            return lhs;
        };
        if let Kind::Open(pc) = rhs.kind
            && let Op::Concat { last, .. } = self.proto.code[pc as usize]
        {
            self.release_exp(&lhs);
            *self.op_mut(pc) = Op::Concat {
                dst: 0,
                first,
                last,
            };
            return rhs;
        }
        self.next_register(&mut rhs);
        let last = register(self.free - 1);
        self.release_both(&lhs, &rhs);
        Kind::Open(self.emit(Op::Concat {
            dst: 0,
            first,
            last,
        }))
        .into()
    }

    fn arithmetic(&mut self, op: Binary, mut lhs: Exp, mut rhs: Exp) -> Exp {
        if let (Some(a), Some(b)) = (lhs.number(), rhs.number())
            && let Some(number) = fold(op, a, b)
        {
            return Kind::Number(number).into();
        }
        if let Some(number) = rhs.number() {
            let k = self.number_constant(number);
            let a = self.register_of(&mut lhs);
            self.release_exp(&lhs);
            let (dst, lhs) = (0, a);
            return Kind::Open(self.emit(match op {
                Binary::Add => Op::AddK { dst, lhs, k },
                Binary::Sub => Op::SubK { dst, lhs, k },
                Binary::Mul => Op::MulK { dst, lhs, k },
                Binary::Div => Op::DivK { dst, lhs, k },
                Binary::Mod => Op::ModK { dst, lhs, k },
                _ => Op::PowK { dst, lhs, k },
            }))
            .into();
        }
        let b = self.register_of(&mut rhs);
        let a = self.register_of(&mut lhs);
        self.release_both(&lhs, &rhs);
        let (dst, lhs, rhs) = (0, a, b);
        Kind::Open(self.emit(match op {
            Binary::Add => Op::Add { dst, lhs, rhs },
            Binary::Sub => Op::Sub { dst, lhs, rhs },
            Binary::Mul => Op::Mul { dst, lhs, rhs },
            Binary::Div => Op::Div { dst, lhs, rhs },
            Binary::Mod => Op::Mod { dst, lhs, rhs },
            _ => Op::Pow { dst, lhs, rhs },
        }))
        .into()
    }

    /// The index of a constant that a comparison may name, with the mark of what it expects.
    fn small_constant(&mut self, exp: &Exp, strings: bool, expect: bool) -> Option<u16> {
        if exp.has_jumps() {
            return None;
        }
        let k = match exp.kind {
            Kind::Number(number) if !number.is_nan() => self.number_constant(number),
            Kind::String(id) if strings && !id.is_long() => self.string_constant(id),
            _ => return None,
        };
        if k > SMALL_CONSTANT_MAX {
            return None;
        }
        u16::try_from(k)
            .ok()
            .map(|k| if expect { k | EXPECT } else { k })
    }

    fn comparison(&mut self, op: Binary, mut lhs: Exp, mut rhs: Exp) -> Exp {
        self.settle(&mut rhs);
        let to = NO_JUMP;
        let expect = op != Binary::Ne;
        let equality = matches!(op, Binary::Eq | Binary::Ne);
        if let Some(k) = self.small_constant(&rhs, equality, expect) {
            let a = self.register_of(&mut lhs);
            self.release_exp(&lhs);
            let lhs = a;
            return Kind::Jump(self.emit(match op {
                Binary::Lt => Op::LtK { lhs, k, to },
                Binary::Le => Op::LeK { lhs, k, to },
                Binary::Gt => Op::GtK { lhs, k, to },
                Binary::Ge => Op::GeK { lhs, k, to },
                _ => Op::EqK { lhs, k, to },
            }))
            .into();
        }
        if let Some(k) = self.small_constant(&lhs, equality, expect) {
            let b = self.register_of(&mut rhs);
            self.release_exp(&rhs);
            let lhs = b;
            return Kind::Jump(self.emit(match op {
                Binary::Lt => Op::GtK { lhs, k, to },
                Binary::Le => Op::GeK { lhs, k, to },
                Binary::Gt => Op::LtK { lhs, k, to },
                Binary::Ge => Op::LeK { lhs, k, to },
                _ => Op::EqK { lhs, k, to },
            }))
            .into();
        }
        let b = self.register_of(&mut rhs);
        let a = self.register_of(&mut lhs);
        self.release_both(&lhs, &rhs);
        let (lhs, rhs) = (a, b);
        Kind::Jump(self.emit(match op {
            Binary::Lt => Op::Lt {
                lhs,
                rhs,
                expect,
                to,
            },
            Binary::Le => Op::Le {
                lhs,
                rhs,
                expect,
                to,
            },
            Binary::Gt => Op::Lt {
                lhs: rhs,
                rhs: lhs,
                expect,
                to,
            },
            Binary::Ge => Op::Le {
                lhs: rhs,
                rhs: lhs,
                expect,
                to,
            },
            _ => Op::Eq {
                lhs,
                rhs,
                expect,
                to,
            },
        }))
        .into()
    }

    // Variables and blocks.

    /// Brings declared variables into scope.
    pub(crate) fn activate(&mut self, count: usize) {
        let start = self.pc();
        let pending = self.pending.len().min(count);
        for name in self.pending.drain(..pending) {
            self.active.push(self.proto.locals.len());
            self.proto.locals.push(LocalName {
                name,
                start,
                end: u32::MAX,
            });
        }
    }

    fn deactivate(&mut self, outside: usize) {
        let end = self.pc();
        for place in self.active.drain(outside..) {
            self.proto.locals[place].end = end;
        }
    }

    pub(crate) fn find_local(&self, name: StringId) -> Option<u8> {
        let found = self
            .active
            .iter()
            .rposition(|place| same_name(self.proto.locals[*place].name, name));
        found.map(register)
    }

    /// Notes that a function inside keeps a variable: its block must give it away at the end.
    pub(crate) fn capture_local(&mut self, index: u8) {
        let block = self
            .blocks
            .iter_mut()
            .rev()
            .find(|block| block.outside <= usize::from(index));
        if let Some(block) = block {
            block.is_captured = true;
        }
    }

    /// The number of an upvalue, a new one if it is not there yet.
    pub(crate) fn upvalue(&mut self, capture: Capture, name: StringId) -> usize {
        if let Some(index) = self
            .proto
            .captures
            .iter()
            .position(|known| *known == capture)
        {
            return index;
        }
        self.proto.captures.push(capture);
        self.proto.upvalue_names.push(name);
        self.proto.captures.len() - 1
    }

    pub(crate) fn open_block(&mut self, is_loop: bool) {
        self.blocks.push(Block {
            outside: self.active.len(),
            breaks: NO_JUMP,
            is_loop,
            is_captured: false,
        });
    }

    pub(crate) fn close_block(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        self.deactivate(block.outside);
        if block.is_captured {
            self.emit(Op::Close {
                first: register(block.outside),
            });
        }
        self.free = self.active.len();
        self.patch_here(block.breaks);
    }

    /// A jump out of the innermost loop; false if there is none.
    pub(crate) fn break_loop(&mut self) -> bool {
        let mut captured = false;
        let mut found = None;
        for (place, block) in self.blocks.iter().enumerate().rev() {
            if block.is_loop {
                found = Some((place, block.outside));
                break;
            }
            captured |= block.is_captured;
        }
        let Some((place, outside)) = found else {
            return false;
        };
        if captured {
            self.emit(Op::Close {
                first: register(outside),
            });
        }
        let jump = self.jump();
        let mut list = self.blocks[place].breaks;
        self.join(&mut list, jump);
        self.blocks[place].breaks = list;
        true
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

/// Names are compared by their places; a long name is one string for the whole source, see the compiler's `names`.
fn same_name(a: StringId, b: StringId) -> bool {
    a.place == b.place
}

/// What an operator gives for two constants, unless the result is not a number.
fn fold(op: Binary, a: f64, b: f64) -> Option<f64> {
    let number = match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div if b != 0.0 => a / b,
        Binary::Mod if b != 0.0 => modulo(a, b),
        Binary::Pow => a.powf(b),
        _ => return None,
    };
    (!number.is_nan()).then_some(number)
}

/// `a % b`: the sign is that of `b`.
#[inline]
pub(crate) fn modulo(a: f64, b: f64) -> f64 {
    a - (a / b).floor() * b
}
