//! Instructions: eight bytes each, for a machine of registers.
//!
//! A register is named by one byte, counted from the base of the running function. `k` is an index into the function's
//! constants, `to` the index of the instruction at which a jump goes on.

/// Marks `expect` in an index of constants, see [`Op::EqK`].
pub(crate) const EXPECT: u16 = 1 << 15;

/// Largest index that leaves room for [`EXPECT`].
pub(crate) const SMALL_CONSTANT_MAX: u32 = (1 << 15) - 1;

/// "All there are", where a count of arguments, results or values is asked for; other counts are given plus one.
pub(crate) const OPEN: u8 = 0;

/// No register: a value that only decides a jump.
pub(crate) const NO_REGISTER: u8 = 255;

/// The end of a list of jumps that do not know their target yet.
pub(crate) const NO_JUMP: u32 = u32::MAX;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum Op {
    Move { dst: u8, src: u8 },
    Constant { dst: u8, k: u32 },
    /// `skip` passes over the next instruction, which loads the other truth value.
    Boolean { dst: u8, value: bool, skip: bool },
    Nil { first: u8, last: u8 },
    GetUpvalue { dst: u8, upvalue: u8 },
    SetUpvalue { src: u8, upvalue: u8 },
    GetGlobal { dst: u8, k: u32 },
    SetGlobal { src: u8, k: u32 },
    GetIndex { dst: u8, table: u8, key: u8 },
    /// The key is a short string.
    GetField { dst: u8, table: u8, k: u32 },
    /// The key is a small whole number from 1.
    GetItem { dst: u8, table: u8, item: u32 },
    SetIndex { table: u8, key: u8, src: u8 },
    SetField { table: u8, src: u8, k: u32 },
    /// Room as powers and parts of powers of two, see `compiler::room`.
    NewTable { dst: u8, array: u8, hash: u8 },
    /// `table:name`: the function into `dst`, the table behind it.
    Method { dst: u8, table: u8, k: u32 },
    Add { dst: u8, lhs: u8, rhs: u8 },
    Sub { dst: u8, lhs: u8, rhs: u8 },
    Mul { dst: u8, lhs: u8, rhs: u8 },
    Div { dst: u8, lhs: u8, rhs: u8 },
    Mod { dst: u8, lhs: u8, rhs: u8 },
    Pow { dst: u8, lhs: u8, rhs: u8 },
    /// With a constant number on the right.
    AddK { dst: u8, lhs: u8, k: u32 },
    SubK { dst: u8, lhs: u8, k: u32 },
    MulK { dst: u8, lhs: u8, k: u32 },
    DivK { dst: u8, lhs: u8, k: u32 },
    ModK { dst: u8, lhs: u8, k: u32 },
    PowK { dst: u8, lhs: u8, k: u32 },
    Negate { dst: u8, src: u8 },
    Not { dst: u8, src: u8 },
    Length { dst: u8, src: u8 },
    Concat { dst: u8, first: u8, last: u8 },
    Jump { to: u32 },
    /// Jump if the comparison gives `expect`.
    Eq { lhs: u8, rhs: u8, expect: bool, to: u32 },
    Lt { lhs: u8, rhs: u8, expect: bool, to: u32 },
    Le { lhs: u8, rhs: u8, expect: bool, to: u32 },
    /// With a constant string or number on the right; `expect` is the top bit of `k`.
    EqK { lhs: u8, k: u16, to: u32 },
    /// With a constant number on the right.
    LtK { lhs: u8, k: u16, to: u32 },
    LeK { lhs: u8, k: u16, to: u32 },
    /// With a constant number on the left.
    GtK { lhs: u8, k: u16, to: u32 },
    GeK { lhs: u8, k: u16, to: u32 },
    /// Jump if the truth of `src` is `expect`.
    Test { src: u8, expect: bool, to: u32 },
    /// The same, and then `src` is copied to `dst`.
    TestSet { dst: u8, src: u8, expect: bool, to: u32 },
    /// Function at `base`, arguments behind it; results go to `base`. Both counts are plus one, or [`OPEN`].
    Call { base: u8, args: u8, results: u8 },
    TailCall { base: u8, args: u8 },
    /// `count` plus one, or [`OPEN`].
    Return { first: u8, count: u8 },
    /// Start, limit, step at `base`; the visible variable behind them.
    ForPrepare { base: u8, to: u32 },
    ForLoop { base: u8, to: u32 },
    /// Function, state, control at `base`; `count` results behind them.
    IteratorCall { base: u8, count: u8 },
    /// Goes on with the loop unless the first result is nil.
    IteratorLoop { base: u8, to: u32 },
    /// Items `offset + 1 ..` from the registers behind `table`; `count` plus one, or [`OPEN`].
    SetList { table: u8, count: u8, offset: u32 },
    /// Gives the variables from `first` on to those that keep them.
    Close { first: u8 },
    Closure { dst: u8, proto: u32 },
    /// `count` plus one, or [`OPEN`].
    VarArg { dst: u8, count: u8 },
}

impl Op {
    /// The target of a jump.
    pub(crate) fn target(&self) -> Option<u32> {
        let mut copy = *self;
        copy.target_mut().map(|to| *to)
    }

    pub(crate) fn target_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::Jump { to }
            | Self::Eq { to, .. }
            | Self::Lt { to, .. }
            | Self::Le { to, .. }
            | Self::EqK { to, .. }
            | Self::LtK { to, .. }
            | Self::LeK { to, .. }
            | Self::GtK { to, .. }
            | Self::GeK { to, .. }
            | Self::Test { to, .. }
            | Self::TestSet { to, .. }
            | Self::ForPrepare { to, .. }
            | Self::ForLoop { to, .. }
            | Self::IteratorLoop { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether the instruction sets a register, as far as names of variables in error texts go: there only the first
    /// register of a loop or of `...` counts.
    pub(crate) fn writes(&self, register: u8) -> bool {
        match *self {
            Self::Move { dst, .. }
            | Self::Constant { dst, .. }
            | Self::Boolean { dst, .. }
            | Self::GetUpvalue { dst, .. }
            | Self::GetGlobal { dst, .. }
            | Self::GetIndex { dst, .. }
            | Self::GetField { dst, .. }
            | Self::GetItem { dst, .. }
            | Self::NewTable { dst, .. }
            | Self::Add { dst, .. }
            | Self::Sub { dst, .. }
            | Self::Mul { dst, .. }
            | Self::Div { dst, .. }
            | Self::Mod { dst, .. }
            | Self::Pow { dst, .. }
            | Self::AddK { dst, .. }
            | Self::SubK { dst, .. }
            | Self::MulK { dst, .. }
            | Self::DivK { dst, .. }
            | Self::ModK { dst, .. }
            | Self::PowK { dst, .. }
            | Self::Negate { dst, .. }
            | Self::Not { dst, .. }
            | Self::Length { dst, .. }
            | Self::Concat { dst, .. }
            | Self::TestSet { dst, .. }
            | Self::Closure { dst, .. } => dst == register,
            Self::Nil { first, last } => (first..=last).contains(&register),
            Self::Method { dst, .. } => register == dst || register == dst + 1,
            Self::Call { base, .. } | Self::TailCall { base, .. } => register >= base,
            Self::ForPrepare { base, .. } | Self::ForLoop { base, .. } => register == base,
            Self::IteratorCall { base, .. } => register >= base + 2,
            Self::IteratorLoop { base, .. } => register == base + 2,
            Self::VarArg { dst, .. } => register == dst,
            // It leaves the register as it is, but hides where its value came from.
            Self::Test { src, .. } => register == src,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_takes_eight_bytes() {
        assert_eq!(size_of::<Op>(), 8);
    }
}
