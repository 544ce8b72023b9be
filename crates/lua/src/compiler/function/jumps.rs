//! Jumps, and conditions that are jumps. A list of jumps to one unknown target is linked through their targets.

use super::FunctionState;
use super::exp::{Exp, Kind};

use crate::op::{EXPECT, NO_JUMP, NO_REGISTER, Op};

impl FunctionState {
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

    /// Puts the jumps of another list into one. It is the other one that is gone through: a long list has become so by many
    /// short ones.
    pub(crate) fn join(&mut self, list: &mut u32, other: u32) {
        if other == NO_JUMP {
            return;
        }
        let mut last = other;
        while self.next_jump(last) != NO_JUMP {
            last = self.next_jump(last);
        }
        self.set_target(last, *list);
        *list = other;
    }

    pub(crate) fn patch(&mut self, list: u32, target: u32) {
        self.patch_values(list, target, NO_REGISTER, target);
    }

    pub(crate) fn patch_here(&mut self, list: u32) {
        let here = self.here();
        self.patch(list, here);
    }

    /// Sends the jumps that carry a value to `with_value`, their value into `dst`, and the others to `without`.
    pub(super) fn patch_values(&mut self, mut list: u32, with_value: u32, dst: u8, without: u32) {
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

    pub(super) fn drop_values(&mut self, mut list: u32) {
        while list != NO_JUMP {
            self.set_test_register(list, NO_REGISTER);
            list = self.next_jump(list);
        }
    }

    pub(super) fn needs_value(&self, mut list: u32) -> bool {
        while list != NO_JUMP {
            if !matches!(self.proto.code[list as usize], Op::TestSet { .. }) {
                return true;
            }
            list = self.next_jump(list);
        }
        false
    }

    /// Makes a comparison jump in the opposite case.
    pub(super) fn invert(&mut self, pc: u32) {
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

    pub(super) fn go_if_false(&mut self, exp: &mut Exp) {
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
}
