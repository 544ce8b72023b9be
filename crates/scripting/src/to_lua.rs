//! Replies of commands as values of Lua.
//!
//! There is no recursion on the depth of a reply. Nothing is collected meanwhile, so that values may stand in variables.
//! Long replies are converted in slices: [`Pending`].

use crate::limits::{BYTES_PER_UNIT, COLLECTIONS};
use crate::machine::Machine;
use crate::names::Names;
use crate::to_reply::Counted;
use lua::{OutOfMemory, State, TableId, Value};
use resp::Protocol;
use words::{int, parse};

/// What an element of a reply takes beside its bytes, in units of work.
const UNITS_PER_ITEM: u64 = 8;

/// A long reply for which the script waits.
pub(crate) struct Pending {
    reply: Vec<u8>,
    protocol: Protocol,
    conversion: Conversion,
    /// Memory did not suffice: so many collections are left to be made.
    collections: Option<u32>,
}

impl Pending {
    /// Goes on with a conversion that is not complete yet, or that has failed for lack of memory.
    pub(crate) fn new(reply: Vec<u8>, protocol: Protocol, conversion: Option<Conversion>) -> Self {
        Pending {
            reply,
            protocol,
            collections: conversion.is_none().then_some(COLLECTIONS),
            conversion: conversion.unwrap_or_else(|| Conversion::new(protocol)),
        }
    }

    /// Goes on for about so many units of work; the value if it is complete then.
    ///
    /// # Errors
    /// Memory does not suffice, even behind collections.
    pub(crate) fn go_on(
        &mut self,
        machine: &mut Machine,
        units: u64,
    ) -> Result<Option<Value>, OutOfMemory> {
        let Machine { state, names, .. } = machine;
        if let Some(left @ 1..) = self.collections {
            if state.gc_step(units) {
                self.collections = Some(left - 1);
            }
            return Ok(None);
        }
        let converted = self.conversion.go_on((state, names), &self.reply, units);
        if converted.is_err() && self.collections.is_none() {
            self.conversion = Conversion::new(self.protocol);
            self.collections = Some(COLLECTIONS);
            return Ok(None);
        }
        converted
    }
}

/// A container that is being filled, and how many values it waits for.
struct Open {
    kind: Kind,
    left: usize,
}

enum Kind {
    /// The index of the next element.
    Array(TableId, f64),
    /// What the script gets, the table inside of it, and a key without its value.
    Map(Value, TableId, Option<Value>),
    /// What the script gets, and the table inside of it.
    Set(Value, TableId),
    /// Attributes and what they belong to, which is the last of the values.
    Attribute,
    /// What a script cannot receive.
    Nothing,
}

/// What a line begins.
enum Item {
    Value(Value),
    Container(Open),
}

/// A reply that is being turned into a value. It may be left between any two of its parts; nothing may be collected meanwhile.
pub(crate) struct Conversion {
    protocol: Protocol,
    open: Vec<Open>,
    /// Bytes that have been read.
    at: usize,
}

impl Conversion {
    /// Begins with a reply that a command has written in `protocol`.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Conversion {
            protocol,
            open: Vec::new(),
            at: 0,
        }
    }

    /// Goes on, for so many units of work: the value if it is complete then. `reply` is the whole reply each time.
    ///
    /// # Errors
    /// The state's memory is used up. What has been made so far is garbage.
    pub(crate) fn go_on(
        &mut self,
        (state, names): (&mut State, &Names),
        reply: &[u8],
        budget: u64,
    ) -> Result<Option<Value>, OutOfMemory> {
        let mut left = budget;
        let mut rest = reply.get(self.at..).unwrap_or_default();
        while left > 0 {
            let before = rest.len();
            let item = next(state, names, &mut rest, self.protocol)?;
            let bytes = (before - rest.len()) / BYTES_PER_UNIT;
            left = left.saturating_sub(UNITS_PER_ITEM + bytes as u64);
            let value = match item {
                Item::Container(container) if container.left > 0 => {
                    self.open.push(container);
                    continue;
                }
                Item::Container(empty) => empty.value(),
                Item::Value(value) => value,
            };
            if let Some(value) = self.put(state, value)? {
                return Ok(Some(value));
            }
        }
        self.at = reply.len() - rest.len();
        Ok(None)
    }

    /// Puts a value where it belongs; gives back the outermost one when that is complete.
    #[inline]
    fn put(&mut self, state: &mut State, value: Value) -> Result<Option<Value>, OutOfMemory> {
        let mut value = value;
        while let Some(container) = self.open.last_mut() {
            if !matches!((&container.kind, container.left), (Kind::Attribute, 1)) {
                container.put(state, value)?;
                if container.left > 0 {
                    return Ok(None);
                }
                value = container.value();
            }
            self.open.pop();
        }
        Ok(Some(value))
    }
}

impl Open {
    fn put(&mut self, state: &mut State, value: Value) -> Result<(), OutOfMemory> {
        self.left -= 1;
        match &mut self.kind {
            Kind::Array(table, next) => {
                let index = Value::Number(*next);
                *next += 1.0;
                // A hole at the end is one without a place.
                if value.is_nil() {
                    Ok(())
                } else {
                    state.set(*table, index, value)
                }
            }
            Kind::Map(_, table, key) => match key.take() {
                None => {
                    *key = Some(value);
                    Ok(())
                }
                Some(key) => state.set(*table, key, value),
            },
            Kind::Set(_, table) => state.set(*table, value, Value::Boolean(true)),
            Kind::Attribute | Kind::Nothing => Ok(()),
        }
    }

    fn value(&self) -> Value {
        match self.kind {
            Kind::Array(table, _) => Value::Table(table),
            Kind::Map(value, ..) | Kind::Set(value, _) => value,
            Kind::Attribute | Kind::Nothing => Value::Nil,
        }
    }
}

/// Reads what comes next. A reply of ours is complete; of one that is not, the rest is nil.
fn next(
    state: &mut State,
    names: &Names,
    rest: &mut &[u8],
    protocol: Protocol,
) -> Result<Item, OutOfMemory> {
    let Some((kind, line)) = take_line(rest) else {
        return Ok(Item::Value(Value::Nil));
    };
    let container = |kind, left| Ok(Item::Container(Open { kind, left }));
    let null = match protocol {
        Protocol::V2 => Value::Boolean(false),
        Protocol::V3 => Value::Nil,
    };
    let value = match kind {
        b':' => {
            #[expect(clippy::cast_precision_loss, reason = "numbers of Lua are doubles")]
            let number = int::parse_i64(line).unwrap_or(0) as f64;
            Value::Number(number)
        }
        b'$' => match count(line) {
            Some(length) => state.string(take(rest, length))?,
            None => null,
        },
        b'+' => {
            // What most commands say.
            let text = match line {
                b"OK" => names.ok_text,
                _ => state.string(line)?,
            };
            one_field(state, names.ok, text)?
        }
        b'-' => error_table(state, names, line, Counted::Yes)?,
        b'_' => null,
        b'#' => Value::Boolean(line == b"t"),
        b',' => one_field(
            state,
            names.double,
            Value::Number(parse::parse_f64(line).unwrap_or(f64::NAN)),
        )?,
        b'(' => {
            let text = state.string(line)?;
            one_field(state, names.big_number, text)?
        }
        b'=' => {
            let bytes = take(rest, count(line).unwrap_or(0));
            let (format, text) = bytes.split_at(bytes.len().min(4));
            let text = state.string(text)?;
            let format = state.string(format.get(..3).unwrap_or(format))?;
            let inner = state.table(0, 2)?;
            state.set(inner, names.string, text)?;
            state.set(inner, names.format, format)?;
            one_field(state, names.verbatim_string, Value::Table(inner))?
        }
        b'*' => match count(line) {
            Some(length) => {
                let table = state.table(length.min(rest.len()), 0)?;
                return container(Kind::Array(table, 1.0), length);
            }
            None => null,
        },
        b'%' => {
            let pairs = count(line).unwrap_or(0);
            let inner = state.table(0, pairs.min(rest.len()))?;
            let outer = one_field(state, names.map, Value::Table(inner))?;
            return container(Kind::Map(outer, inner, None), pairs.saturating_mul(2));
        }
        b'~' => {
            let length = count(line).unwrap_or(0);
            let inner = state.table(0, length.min(rest.len()))?;
            let outer = one_field(state, names.set, Value::Table(inner))?;
            return container(Kind::Set(outer, inner), length);
        }
        b'|' => {
            let pairs = count(line).unwrap_or(0);
            return container(Kind::Attribute, pairs.saturating_mul(2).saturating_add(1));
        }
        b'>' => return container(Kind::Nothing, count(line).unwrap_or(0)),
        _ => Value::Nil,
    };
    Ok(Item::Value(value))
}

/// The table that is an error.
pub(crate) fn error_table(
    state: &mut State,
    names: &Names,
    text: &[u8],
    counted: Counted,
) -> Result<Value, OutOfMemory> {
    let text = state.string(text)?;
    let table = state.table(0, 2)?;
    if counted == Counted::Yes {
        state.set(table, names.ignore_error_stats_update, Value::Boolean(true))?;
    }
    state.set(table, names.err, text)?;
    Ok(Value::Table(table))
}

/// A table with one field.
pub(crate) fn one_field(
    state: &mut State,
    name: Value,
    value: Value,
) -> Result<Value, OutOfMemory> {
    let table = state.table(0, 1)?;
    state.set(table, name, value)?;
    Ok(Value::Table(table))
}

/// The first byte of the next line and the rest of it.
#[inline]
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = rest.split_at(end + 1);
    *rest = after;
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    line.split_first().map(|(kind, line)| (*kind, line))
}

/// A length; `None` for a null.
fn count(line: &[u8]) -> Option<usize> {
    usize::try_from(int::parse_i64(line)?).ok()
}

/// So many bytes, and the line's end behind them.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let length = length.min(rest.len());
    let (bytes, after) = rest.split_at(length);
    *rest = after.get(2..).unwrap_or_default();
    bytes
}
