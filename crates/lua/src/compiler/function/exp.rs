//! What is known of an expression that is under way.

use crate::op::NO_JUMP;
use crate::value::StringId;

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
    pub(super) fn has_jumps(&self) -> bool {
        self.when_true != self.when_false
    }

    /// Whether it can give any number of values.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::VarArg(_))
    }

    pub(super) fn number(&self) -> Option<f64> {
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
