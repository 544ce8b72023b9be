//! Variables, blocks and places that can be assigned to.

use super::exp::{Exp, Kind};
use super::{FunctionState, register};

use crate::op::{NO_JUMP, Op};
use crate::proto::{Capture, LocalName};
use crate::value::StringId;

/// A range of source in which variables live.
pub(crate) struct Block {
    /// Variables outside of it.
    outside: usize,
    breaks: u32,
    is_loop: bool,
    /// Whether a function inside keeps one of its variables.
    pub(crate) is_captured: bool,
}

impl FunctionState {
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

    pub(super) fn deactivate(&mut self, outside: usize) {
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
}

/// Names are compared by their places; a long name is one string for the whole source, see the compiler's `names`.
fn same_name(a: StringId, b: StringId) -> bool {
    a.place == b.place
}
