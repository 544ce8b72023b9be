//! Values of Lua as a reply to a client.
//!
//! Fields are read raw: nothing of the script runs any more. There is no recursion on the depth of tables, which may hold
//! each other.

use crate::error::Error;
use crate::limits::{REPLY_BYTES_MAX, REPLY_SLOTS_MAX};
use crate::names::Names;
use lua::{State, TableId, Value};
use resp::{Protocol, Reply};
use words::print::NumberBuf;

/// Whether the statistics of errors know of an error already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A command that the script has called failed with it.
    Yes,
    /// The script has made it up.
    No,
}

/// Hears of each error inside of a reply: its text, and whether it has been counted.
pub(crate) type OnError<'a> = &'a mut dyn FnMut(&[u8], Counted);

/// A table that is being written.
#[derive(Clone, Copy)]
enum Open {
    /// The table, the index of its next element and that of its last.
    Array(TableId, usize, usize),
    /// The table and its last key.
    Map(TableId, Value),
    /// The table and the last key, whose value comes next.
    MapValue(TableId, Value),
    Set(TableId, Value),
}

/// Slots that a value inside takes beside those of the table.
const ARRAY_SLOTS: usize = 1;
const KEY_SLOTS: usize = 4;
const VALUE_SLOTS: usize = 3;
const MEMBER_SLOTS: usize = 3;

/// A value that is written: into what, by whose rules.
struct Writer<'a> {
    state: &'a mut State,
    names: &'a Names,
    /// The version that the script has asked for with `setresp`.
    script: Protocol,
    out: &'a mut Reply,
    on_error: OnError<'a>,
}

/// Writes a value as one reply: see the table of conversions in the documentation of EVAL. `on_error` hears of every error
/// that the reply contains.
pub(crate) fn write(
    state: &mut State,
    names: &Names,
    value: Value,
    script: Protocol,
    out: &mut Reply,
    on_error: OnError<'_>,
) {
    let start = out.len();
    let mut writer = Writer {
        state,
        names,
        script,
        out,
        on_error,
    };
    let mut open: Vec<(Open, usize)> = Vec::new();
    let mut value = value;
    let mut used = 0;
    loop {
        if used >= REPLY_SLOTS_MAX {
            writer.error(Error::REPLY_DEPTH.text());
        } else if let Some(table) = writer.scalar(value) {
            open.push((writer.begin(table), used));
        }
        if writer.out.len() - start > REPLY_BYTES_MAX {
            writer.out.truncate(start);
            writer.error(Error::REPLY_SIZE.text());
            return;
        }
        // What comes next.
        (value, used) = loop {
            let Some((top, slots)) = open.last_mut() else {
                return;
            };
            match writer.next(top) {
                Some((next, more)) => break (next, *slots + more),
                None => open.pop(),
            };
        };
    }
}

impl Writer<'_> {
    /// Writes what is no table with elements; gives back one that is.
    fn scalar(&mut self, value: Value) -> Option<TableId> {
        match value {
            Value::String(id) => self.out.bulk(self.state.bytes(id)),
            Value::Number(number) => self.out.int(integer(number)),
            Value::Boolean(value) => match (self.script, value) {
                (Protocol::V3, _) => self.out.boolean(value),
                (Protocol::V2, true) => self.out.int(1),
                (Protocol::V2, false) => self.out.null(),
            },
            Value::Table(table) => return self.table(table),
            _ => self.out.null(),
        }
        None
    }

    fn field(&mut self, table: TableId, name: Value) -> Value {
        self.state.get(table, name)
    }

    /// Writes a table that stands for something else; gives it back if it is just a table.
    fn table(&mut self, table: TableId) -> Option<TableId> {
        let names = *self.names;
        if let Value::String(id) = self.field(table, names.err) {
            let counted = self.field(table, names.ignore_error_stats_update).is_true();
            let text = until_nul(self.state.bytes(id));
            self.out.error(text);
            let counted = if counted { Counted::Yes } else { Counted::No };
            (self.on_error)(text, counted);
            return None;
        }
        if let Value::String(id) = self.field(table, names.ok) {
            self.out.simple(until_nul(self.state.bytes(id)));
            return None;
        }
        if let Value::Number(number) = self.field(table, names.double) {
            self.out.double(NumberBuf::new().format_f64(number));
            return None;
        }
        if let Value::String(id) = self.field(table, names.big_number) {
            self.big_number(id);
            return None;
        }
        if let Value::Table(inner) = self.field(table, names.verbatim_string)
            && let Value::String(format) = self.field(inner, names.format)
            && let Value::String(text) = self.field(inner, names.string)
        {
            let mut letters = [b' '; 3];
            let format = until_nul(self.state.bytes(format));
            for (letter, byte) in letters.iter_mut().zip(format) {
                *letter = *byte;
            }
            self.out.verbatim(letters, self.state.bytes(text));
            return None;
        }
        Some(table)
    }

    /// Line breaks become blanks in either protocol.
    fn big_number(&mut self, id: lua::StringId) {
        let text = self.state.bytes(id);
        let mut clean = text.to_vec();
        for byte in &mut clean {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.big_number(&clean);
    }

    /// Writes the header of a table with elements.
    fn begin(&mut self, table: TableId) -> Open {
        let names = *self.names;
        if let Value::Table(map) = self.field(table, names.map) {
            let pairs = self.count(map);
            self.out.map(pairs);
            return Open::Map(map, Value::Nil);
        }
        if let Value::Table(set) = self.field(table, names.set) {
            let members = self.count(set);
            self.out.set(members);
            return Open::Set(set, Value::Nil);
        }
        let mut length = 0;
        while !self.element(table, length + 1).is_nil() {
            length += 1;
        }
        self.out.array(length);
        Open::Array(table, 1, length)
    }

    fn element(&mut self, table: TableId, index: usize) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "no table has 2^53 elements")]
        let index = Value::Number(index as f64);
        self.state.get(table, index)
    }

    fn count(&self, table: TableId) -> usize {
        let (mut count, mut key) = (0, Value::Nil);
        while let Some((next, _)) = self.state.next(table, key) {
            key = next;
            count += 1;
        }
        count
    }

    /// The next value of a table and the slots that it takes.
    fn next(&mut self, open: &mut Open) -> Option<(Value, usize)> {
        match *open {
            Open::Array(_, index, last) if index > last => None,
            Open::Array(table, index, last) => {
                *open = Open::Array(table, index + 1, last);
                Some((self.element(table, index), ARRAY_SLOTS))
            }
            Open::Map(table, key) => {
                let (key, _) = self.state.next(table, key)?;
                *open = Open::MapValue(table, key);
                Some((key, KEY_SLOTS))
            }
            Open::MapValue(table, key) => {
                *open = Open::Map(table, key);
                Some((self.state.get(table, key), VALUE_SLOTS))
            }
            Open::Set(table, key) => {
                let (key, _) = self.state.next(table, key)?;
                *open = Open::Set(table, key);
                Some((key, MEMBER_SLOTS))
            }
        }
    }

    fn error(&mut self, text: &[u8]) {
        self.out.error(text);
        (self.on_error)(text, Counted::No);
    }
}

/// A number as an integer reply: toward zero; what fits no 64 bits is the least of them.
fn integer(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "within 64 bits, and the fraction is to go"
        )]
        let integer = number as i64;
        integer
    } else {
        i64::MIN
    }
}

/// What stands in front of the first NUL.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}
