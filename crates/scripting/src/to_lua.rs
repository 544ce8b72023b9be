//! Replies of commands as values of Lua.
//!
//! There is no recursion on the depth of a reply. Nothing is collected meanwhile, so that values may stand in variables.

use crate::names::Names;
use crate::to_reply::Counted;
use lua::{OutOfMemory, State, TableId, Value};
use resp::Protocol;
use words::{int, parse};

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

/// Turns one reply, which a command has written in `protocol`, into a value.
///
/// # Errors
/// The state's memory is used up. What has been made so far is garbage.
pub(crate) fn convert(
    state: &mut State,
    names: &Names,
    reply: &[u8],
    protocol: Protocol,
) -> Result<Value, OutOfMemory> {
    let mut rest = reply;
    let mut open: Vec<Open> = Vec::new();
    loop {
        let mut value = match next(state, names, &mut rest, protocol)? {
            Item::Container(container) if container.left > 0 => {
                open.push(container);
                continue;
            }
            Item::Container(empty) => empty.value(),
            Item::Value(value) => value,
        };
        loop {
            let Some(container) = open.last_mut() else {
                return Ok(value);
            };
            if !matches!((&container.kind, container.left), (Kind::Attribute, 1)) {
                container.put(state, value)?;
                if container.left > 0 {
                    break;
                }
                value = container.value();
            }
            open.pop();
        }
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
