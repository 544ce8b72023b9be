//! The constants of a function.

use super::exp::{Exp, Kind};
use super::{Excess, FunctionState};

use crate::limits::CONSTANTS_MAX;
use crate::op::{EXPECT, SMALL_CONSTANT_MAX};
use crate::value::{StringId, Value};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ConstantKey {
    Number(u64),
    String(u32),
}

impl FunctionState {
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

    pub(super) fn number_constant(&mut self, number: f64) -> u32 {
        // As keys of a table 0 and -0 are one; which of them it is, the first decides.
        let bits = if number == 0.0 { 0 } else { number.to_bits() };
        self.constant(ConstantKey::Number(bits), Value::Number(number))
    }

    /// Gives a number its place among the constants already: of 0 and -0 the first decides for both.
    pub(super) fn note_constant(&mut self, exp: &Exp) {
        if let Some(number) = exp.number().filter(|number| !number.is_nan()) {
            self.number_constant(number);
        }
    }

    /// The index of a constant that a comparison may name, with the mark of what it expects.
    pub(super) fn small_constant(&mut self, exp: &Exp, strings: bool, expect: bool) -> Option<u16> {
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
}
