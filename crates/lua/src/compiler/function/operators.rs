//! Operators, those of constants at once.

use super::exp::{Binary, Exp, Kind, Unary};
use super::{FunctionState, register};

use crate::number::modulo;
use crate::op::{NO_JUMP, Op};

impl FunctionState {
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

    pub(crate) fn postfix(&mut self, op: Binary, lhs: Exp, mut rhs: Exp) -> Exp {
        match op {
            Binary::And => {
                self.read(&mut rhs);
                let mut list = lhs.when_false;
                self.join(&mut list, rhs.when_false);
                rhs.when_false = list;
                rhs
            }
            Binary::Or => {
                self.read(&mut rhs);
                let mut list = lhs.when_true;
                self.join(&mut list, rhs.when_true);
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
