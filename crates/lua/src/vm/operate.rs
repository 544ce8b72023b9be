//! Operators on values of any type: coercions, metamethods, errors. The fast cases stand in `execute`.

use std::cmp::Ordering;

use super::State;
use super::error::Error;
use super::meta::Event;
use super::thread::After;
use crate::limits::{BYTES_PER_UNIT, INDEX_CHAIN_MAX};
use crate::number::modulo;
use crate::number::{parse_number, write_number};
use crate::stdlib::base::LibraryFunction;
use crate::value::{StringId, TableId, Value};

/// What looking a key up leads to.
pub(crate) enum Indexed {
    Value(Value),
    /// A metamethod, to be called with the object and the key.
    Call {
        handler: Value,
        object: Value,
    },
}

/// Whether two values are equal.
enum Equality {
    Is(bool),
    /// A metamethod decides.
    Asks(Value),
}

/// How two values compare.
pub(crate) enum Comparison {
    /// They are two numbers, which may have no order, or two strings.
    Is(Option<Ordering>),
    Other,
}

/// An operand's place, for error texts: a register, or none.
pub(crate) type Operand = Option<u8>;

/// Bytes of a text that are put together at once; larger ones are by [`LibraryFunction::Join`], in slices.
const JOINED_AT_ONCE: usize = 1 << 20;

impl State {
    /// The number that arithmetic makes of a value.
    pub(crate) fn to_number(&self, value: Value) -> Option<f64> {
        match value {
            Value::Number(number) => Some(number),
            Value::String(id) => parse_number(self.heap.bytes(id)),
            _ => None,
        }
    }

    /// The string that concatenation makes of a value: numbers become text.
    pub(crate) fn text_of(&mut self, value: Value) -> Result<Option<StringId>, Error> {
        match value {
            Value::String(id) => Ok(Some(id)),
            Value::Number(number) => {
                let mut text = Vec::with_capacity(24);
                write_number(number, &mut text);
                Ok(Some(self.heap.string(&text)?))
            }
            _ => Ok(None),
        }
    }

    /// Moves work that the heap has counted into the budget.
    fn count_heap_work(&mut self) {
        let work = std::mem::take(&mut self.heap.work);
        self.budget -= i64::try_from(work / 8).unwrap_or(i64::MAX / 2);
    }

    /// Looks a key up, metatables followed.
    pub(crate) fn look_up(
        &mut self,
        mut object: Value,
        key: Value,
        mut operand: Operand,
    ) -> Result<Indexed, Error> {
        for _ in 0..INDEX_CHAIN_MAX {
            let handler = if let Value::Table(id) = object {
                let value = self.heap.raw_find(id, key)?;
                if !value.is_nil() {
                    return Ok(Indexed::Value(value));
                }
                let handler = self.metamethod(object, Event::Index);
                if handler.is_nil() {
                    return Ok(Indexed::Value(Value::Nil));
                }
                handler
            } else {
                let handler = self.metamethod(object, Event::Index);
                if handler.is_nil() {
                    return Err(self.type_error("index", object, operand));
                }
                handler
            };
            if matches!(handler, Value::Function(_) | Value::Native(_)) {
                return Ok(Indexed::Call { handler, object });
            }
            object = handler;
            operand = None;
        }
        Err(self.error("loop in gettable"))
    }

    /// `dst = object[key]`.
    pub(crate) fn index(
        &mut self,
        object: Value,
        key: Value,
        dst: u8,
        operand: Operand,
    ) -> Result<(), Error> {
        let found = self.look_up(object, key, operand)?;
        self.count_heap_work();
        match found {
            Indexed::Value(value) => {
                self.set_register(dst, value);
                Ok(())
            }
            Indexed::Call { handler, object } => {
                self.call_values(handler, &[object, key], After::Store(dst))
            }
        }
    }

    pub(crate) fn set_register(&mut self, register: u8, value: Value) {
        if let Some(frame) = self.thread.frames.last() {
            self.thread.stack[frame.base as usize + usize::from(register)] = value;
        }
    }

    /// Calls a function above all that is in use.
    pub(crate) fn call_values(
        &mut self,
        function: Value,
        arguments: &[Value],
        after: After,
    ) -> Result<(), Error> {
        let top = self.thread.live_top();
        self.ensure_stack(top + 1 + arguments.len())?;
        self.thread.stack[top] = function;
        self.thread.stack[top + 1..=top + arguments.len()].copy_from_slice(arguments);
        self.call(top, arguments.len(), after)
    }

    /// Sets a key as programs do: protection and the kinds of keys are looked at, metatables are not.
    /// Fails for lack of memory as well where that must wait.
    pub(crate) fn checked_set(
        &mut self,
        table: TableId,
        key: Value,
        value: Value,
    ) -> Result<(), SetError> {
        if self.heap.tables[table.index()].readonly {
            return Err(SetError::Readonly);
        }
        match key {
            Value::Nil => return Err(SetError::NilKey),
            Value::Number(number) if number.is_nan() => return Err(SetError::NanKey),
            _ => {}
        }
        self.heap
            .raw_set(table, key, value)
            .map_err(|_| SetError::Memory)
    }

    fn set_error(&mut self, error: SetError) -> Error {
        match error {
            SetError::Memory => Error::Memory,
            other => self.error(other.text()),
        }
    }

    /// `object[key] = value`.
    pub(crate) fn set_index(
        &mut self,
        mut object: Value,
        key: Value,
        value: Value,
        mut operand: Operand,
    ) -> Result<(), Error> {
        for _ in 0..INDEX_CHAIN_MAX {
            let handler = if let Value::Table(id) = object {
                let is_plain = self.heap.tables[id.index()].metatable.is_none();
                let handler = if is_plain || !self.heap.raw_find(id, key)?.is_nil() {
                    Value::Nil
                } else {
                    self.metamethod(object, Event::NewIndex)
                };
                // The key is looked at, and gets its place, even where a metamethod takes the value.
                let placed = if handler.is_nil() { value } else { Value::Nil };
                let done = self.checked_set(id, key, placed);
                self.count_heap_work();
                done.map_err(|error| self.set_error(error))?;
                if handler.is_nil() {
                    return Ok(());
                }
                handler
            } else {
                let handler = self.metamethod(object, Event::NewIndex);
                if handler.is_nil() {
                    return Err(self.type_error("index", object, operand));
                }
                handler
            };
            if matches!(handler, Value::Function(_) | Value::Native(_)) {
                return self.call_values(handler, &[object, key, value], After::Discard);
            }
            object = handler;
            operand = None;
        }
        Err(self.error("loop in settable"))
    }

    /// Arithmetic beyond two numbers.
    #[cold]
    pub(crate) fn arithmetic(
        &mut self,
        event: Event,
        (a, at_a): (Value, Operand),
        (b, at_b): (Value, Operand),
        dst: u8,
    ) -> Result<(), Error> {
        if let (Some(a), Some(b)) = (self.to_number(a), self.to_number(b)) {
            let number = match event {
                Event::Add => a + b,
                Event::Sub => a - b,
                Event::Mul => a * b,
                Event::Div => a / b,
                Event::Mod => modulo(a, b),
                Event::Pow => a.powf(b),
                _ => -a,
            };
            self.set_register(dst, Value::Number(number));
            return Ok(());
        }
        let mut handler = self.metamethod(a, event);
        if handler.is_nil() {
            handler = self.metamethod(b, event);
        }
        if handler.is_nil() {
            // The second one is to blame only if the first is a number.
            let (value, at) = if self.to_number(a).is_some() {
                (b, at_b)
            } else {
                (a, at_a)
            };
            return Err(self.type_error("perform arithmetic on", value, at));
        }
        self.call_values(handler, &[a, b], After::Store(dst))
    }

    /// `#value` beyond strings and tables.
    #[cold]
    pub(crate) fn length_of(&mut self, value: Value, src: u8, dst: u8) -> Result<(), Error> {
        let handler = self.metamethod(value, Event::Len);
        if handler.is_nil() {
            return Err(self.type_error("get length of", value, Some(src)));
        }
        self.call_values(handler, &[value, Value::Nil], After::Store(dst))
    }

    /// Whether two values are equal, or the metamethod that decides.
    fn equal(&mut self, a: Value, b: Value) -> Result<Equality, Error> {
        if let (Value::String(x), Value::String(y)) = (a, b) {
            let equal = self.heap.equal_strings(x, y)?;
            self.count_heap_work();
            return Ok(Equality::Is(equal));
        }
        if a.same(b) {
            return Ok(Equality::Is(true));
        }
        if !matches!(
            (a, b),
            (Value::Table(_), Value::Table(_)) | (Value::UserData(_), Value::UserData(_))
        ) {
            return Ok(Equality::Is(false));
        }
        Ok(match self.common_handler(a, b, Event::Eq) {
            Value::Nil => Equality::Is(false),
            handler => Equality::Asks(handler),
        })
    }

    /// A metamethod on which both operands agree.
    fn common_handler(&mut self, a: Value, b: Value, event: Event) -> Value {
        let first = self.metamethod(a, event);
        if first.is_nil() {
            return Value::Nil;
        }
        let second = self.metamethod(b, event);
        if self.heap.raw_equal(first, second) {
            first
        } else {
            Value::Nil
        }
    }

    /// `a < b` or `a <= b` for two numbers or two strings.
    pub(crate) fn compare_plain(&mut self, a: Value, b: Value) -> Result<Comparison, Error> {
        Ok(match (a, b) {
            (Value::Number(a), Value::Number(b)) => Comparison::Is(a.partial_cmp(&b)),
            (Value::String(a), Value::String(b)) => {
                let ordering = self.heap.compare_strings(a, b)?;
                self.count_heap_work();
                Comparison::Is(Some(ordering))
            }
            _ => Comparison::Other,
        })
    }

    /// What decides `a < b` for other values.
    pub(crate) fn less_handler(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        match self.common_order_handler(a, b, Event::Lt) {
            Value::Nil => Err(self.compare_error(a, b)),
            handler => Ok(handler),
        }
    }

    fn common_order_handler(&mut self, a: Value, b: Value, event: Event) -> Value {
        if a.type_name() == b.type_name() {
            self.common_handler(a, b, event)
        } else {
            Value::Nil
        }
    }

    /// `if (a < b) == expect then jump`.
    #[cold]
    pub(crate) fn less(&mut self, a: Value, b: Value, expect: bool, to: u32) -> Result<(), Error> {
        if let Comparison::Is(ordering) = self.compare_plain(a, b)? {
            self.jump_if((ordering == Some(Ordering::Less)) == expect, to);
            return Ok(());
        }
        let handler = self.less_handler(a, b)?;
        self.call_values(handler, &[a, b], After::Jump { expect, to })
    }

    /// `if (a <= b) == expect then jump`.
    #[cold]
    pub(crate) fn less_equal(
        &mut self,
        a: Value,
        b: Value,
        expect: bool,
        to: u32,
    ) -> Result<(), Error> {
        if let Comparison::Is(ordering) = self.compare_plain(a, b)? {
            let holds = matches!(ordering, Some(Ordering::Less | Ordering::Equal));
            self.jump_if(holds == expect, to);
            return Ok(());
        }
        let handler = self.common_order_handler(a, b, Event::Le);
        if !handler.is_nil() {
            return self.call_values(handler, &[a, b], After::Jump { expect, to });
        }
        match self.common_order_handler(b, a, Event::Lt) {
            Value::Nil => Err(self.compare_error(a, b)),
            // `a <= b` is `not (b < a)`.
            handler => self.call_values(
                handler,
                &[b, a],
                After::Jump {
                    expect: !expect,
                    to,
                },
            ),
        }
    }

    /// `if (a == b) == expect then jump`.
    #[cold]
    pub(crate) fn equal_jump(
        &mut self,
        a: Value,
        b: Value,
        expect: bool,
        to: u32,
    ) -> Result<(), Error> {
        match self.equal(a, b)? {
            Equality::Is(equal) => {
                self.jump_if(equal == expect, to);
                Ok(())
            }
            Equality::Asks(handler) => {
                self.call_values(handler, &[a, b], After::Jump { expect, to })
            }
        }
    }

    fn jump_if(&mut self, condition: bool, to: u32) {
        if condition && let Some(frame) = self.thread.frames.last_mut() {
            frame.pc = to;
        }
    }

    /// Concatenates registers `first` to `last` into `dst`, from the right: strings and numbers as many as there are at
    /// once, other values two by two through their metamethods.
    pub(crate) fn concat(&mut self, dst: u8, first: u8, mut last: u8) -> Result<(), Error> {
        let Some(frame) = self.thread.frames.last_mut() else {
            return Ok(());
        };
        let base = frame.base as usize;
        if let Some(resumed) = frame.concat_last {
            last = resumed;
        }
        while last > first {
            let right = self.thread.stack[base + usize::from(last)];
            let left = self.thread.stack[base + usize::from(last) - 1];
            let is_text = |value: Value| matches!(value, Value::String(_) | Value::Number(_));
            if !is_text(left) || !is_text(right) {
                let mut handler = self.metamethod(left, Event::Concat);
                if handler.is_nil() {
                    handler = self.metamethod(right, Event::Concat);
                }
                if handler.is_nil() {
                    let (value, at) = if is_text(left) {
                        (right, last)
                    } else {
                        (left, last - 1)
                    };
                    return Err(self.type_error("concatenate", value, Some(at)));
                }
                if let Some(frame) = self.thread.frames.last_mut() {
                    frame.concat_last = None;
                }
                return self.call_values(handler, &[left, right], After::Concat(last - 1));
            }
            let mut from = last - 1;
            while from > first && is_text(self.thread.stack[base + usize::from(from) - 1]) {
                from -= 1;
            }
            if self.size_of_join(base + usize::from(from), base + usize::from(last))
                > JOINED_AT_ONCE
            {
                if let Some(frame) = self.thread.frames.last_mut() {
                    frame.concat_last = None;
                }
                let join = self.library_function(LibraryFunction::Join);
                return self.call_values(join, &[left, right], After::Concat(last - 1));
            }
            let id = self.join(base + usize::from(from), base + usize::from(last))?;
            self.thread.stack[base + usize::from(from)] = Value::String(id);
            last = from;
        }
        if let Some(frame) = self.thread.frames.last_mut() {
            frame.concat_last = None;
        }
        self.thread.stack[base + usize::from(dst)] = self.thread.stack[base + usize::from(first)];
        Ok(())
    }

    /// Bytes of the strings and numbers in a range of slots, at most.
    fn size_of_join(&self, first: usize, last: usize) -> usize {
        let values = self.thread.stack[first..=last].iter();
        let sizes = values.map(|value| match value {
            Value::String(id) => self.heap.bytes(*id).len(),
            _ => 24,
        });
        sizes.sum()
    }

    /// One string of the strings and numbers in a range of slots.
    fn join(&mut self, first: usize, last: usize) -> Result<StringId, Error> {
        let size = self.size_of_join(first, last);
        self.heap.check(size)?;
        let mut text = Vec::with_capacity(size);
        for value in &self.thread.stack[first..=last] {
            match value {
                Value::String(id) => text.extend_from_slice(self.heap.bytes(*id)),
                Value::Number(number) => write_number(*number, &mut text),
                _ => {}
            }
        }
        self.budget -= i64::try_from(text.len() / BYTES_PER_UNIT).unwrap_or(0);
        Ok(self.heap.string_from(text)?)
    }
}

/// Why a program may not set a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    Readonly,
    NilKey,
    NanKey,
    Memory,
}

impl SetError {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Readonly => "Attempt to modify a readonly table",
            Self::NilKey => "table index is nil",
            Self::NanKey => "table index is NaN",
            Self::Memory => "not enough memory",
        }
    }
}
