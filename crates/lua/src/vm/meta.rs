//! Metatables and the events that they answer.

use super::State;
use crate::value::{TableId, Value};

/// What a metamethod may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Index,
    NewIndex,
    Mode,
    Eq,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Unm,
    Len,
    Lt,
    Le,
    Concat,
    Call,
}

impl Event {
    pub(crate) const COUNT: usize = 16;

    pub(crate) const NAMES: [&'static str; Self::COUNT] = [
        "__index",
        "__newindex",
        "__mode",
        "__eq",
        "__add",
        "__sub",
        "__mul",
        "__div",
        "__mod",
        "__pow",
        "__unm",
        "__len",
        "__lt",
        "__le",
        "__concat",
        "__call",
    ];
}

impl State {
    pub(crate) fn metatable_of(&self, value: Value) -> Option<TableId> {
        match value {
            Value::Table(id) => self.heap.tables[id.index()].metatable,
            Value::UserData(id) => self.heap.userdata[id.index()].metatable,
            Value::String(_) => self.string_metatable,
            _ => None,
        }
    }

    /// What a value's metatable says about an event; nil if it says nothing.
    pub(crate) fn metamethod(&mut self, value: Value, event: Event) -> Value {
        match self.metatable_of(value) {
            Some(metatable) => self.meta_field(metatable, event),
            None => Value::Nil,
        }
    }

    /// What a metatable says about an event. That it says nothing is remembered in the table.
    pub(crate) fn meta_field(&mut self, metatable: TableId, event: Event) -> Value {
        let name = self.event_names[event as usize];
        let table = &mut self.heap.tables[metatable.index()];
        let bit = 1_u16 << (event as u16);
        if table.absent & bit != 0 {
            return Value::Nil;
        }
        let value = table.get_short(name).copied().unwrap_or_default();
        if value.is_nil() {
            table.absent |= bit;
        }
        value
    }

    /// Any field of a value's metatable by name.
    pub(crate) fn meta_named(&mut self, value: Value, name: &str) -> Value {
        match self.metatable_of(value) {
            Some(metatable) => self.field(metatable, name),
            None => Value::Nil,
        }
    }
}
