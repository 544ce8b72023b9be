//! Values of Lua as a reply to a client.
//!
//! Fields are read raw: nothing of the script runs any more. There is no recursion on the depth of tables, which may hold
//! each other.

use crate::error::Error;
use crate::limits::{
    BYTES_PER_UNIT, REPLY_BYTES_AT_ONCE, REPLY_BYTES_MAX, REPLY_PIECE_BYTES, REPLY_SLOTS_MAX,
};
use crate::names::Names;
use lua::{State, StringId, TableId, Value};
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

/// What is written next.
#[derive(Clone, Copy)]
enum Next {
    /// A value, inside of so many slots.
    Value(Value, usize),
    /// The header of a table inside of so many slots, once its elements are counted: those up to a key or an index.
    Count(TableId, Elements, Value, usize, usize),
    /// A string from a byte on.
    Text(StringId, usize),
    /// What follows in the innermost table.
    Element,
}

/// What a table holds for a reply.
#[derive(Clone, Copy)]
enum Elements {
    Array,
    Map,
    Set,
}

/// Elements that are counted in one step.
const COUNTED_AT_ONCE: u64 = 256;

/// What is done beside writing bytes, in units of work: counting an element, looking at a value.
const UNITS_PER_COUNT: u64 = 1;
const UNITS_PER_VALUE: u64 = 4;

/// A reply that is being written. It may be left after any step; nothing of the script may run meanwhile.
pub(crate) struct Writing {
    /// The version that the script has asked for with `setresp`.
    script: Protocol,
    open: Vec<(Open, usize)>,
    next: Next,
    /// Bytes in front of it.
    start: usize,
}

impl Writing {
    /// Begins to write a value as one reply behind what there is: see the table of conversions in the documentation of EVAL.
    pub(crate) fn new(value: Value, script: Protocol, out: &Reply) -> Self {
        Writing {
            script,
            open: Vec::new(),
            next: Next::Value(value, 0),
            start: out.len(),
        }
    }

    /// Goes on until the end, or until `budget` units of work are done; whether it is complete. `on_error` hears of every
    /// error that the reply contains.
    pub(crate) fn go_on(
        &mut self,
        (state, names): (&mut State, &Names),
        budget: u64,
        out: &mut Reply,
        on_error: OnError<'_>,
    ) -> bool {
        let mut left = budget;
        let mut writer = Writer {
            state,
            names,
            script: self.script,
            out,
            on_error,
        };
        while left > 0 {
            let before = writer.out.len();
            let (units, next) = self.step(&mut writer);
            let Some(next) = next else {
                return true;
            };
            self.next = next;
            let written = writer.out.len().saturating_sub(self.start);
            if written > REPLY_BYTES_MAX {
                writer.out.truncate(self.start);
                writer.error(Error::REPLY_SIZE.text());
                return true;
            }
            if written >= REPLY_PIECE_BYTES {
                writer.out.output_mut().seal(written, REPLY_PIECE_BYTES);
            }
            let bytes = writer.out.len().saturating_sub(before) / BYTES_PER_UNIT;
            left = left.saturating_sub(units + bytes as u64);
        }
        false
    }

    /// One step: the units that it takes beside its bytes, and what comes next.
    fn step(&mut self, writer: &mut Writer<'_>) -> (u64, Option<Next>) {
        match self.next {
            Next::Value(_, used) if used >= REPLY_SLOTS_MAX => {
                writer.error(Error::REPLY_DEPTH.text());
            }
            Next::Value(Value::String(id), _)
                if writer.state.bytes(id).len() > REPLY_BYTES_AT_ONCE =>
            {
                writer.begin_text(id);
                return (UNITS_PER_VALUE, Some(Next::Text(id, 0)));
            }
            Next::Value(value, used) => {
                if let Some(table) = writer.scalar(value) {
                    let (table, elements) = writer.elements(table);
                    let count = Next::Count(table, elements, Value::Nil, 0, used);
                    return (UNITS_PER_VALUE, Some(count));
                }
            }
            Next::Count(table, elements, key, count, used) => {
                let (mut key, mut count) = (key, count);
                for step in 1..=COUNTED_AT_ONCE {
                    let Some(next) = writer.after(table, elements, key, count) else {
                        self.open.push((writer.begin(table, elements, count), used));
                        return (step * UNITS_PER_COUNT, Some(Next::Element));
                    };
                    key = next;
                    count += 1;
                }
                let next = Next::Count(table, elements, key, count, used);
                return (COUNTED_AT_ONCE * UNITS_PER_COUNT, Some(next));
            }
            Next::Text(id, from) => {
                let text = writer.state.bytes(id);
                let end = text.len().min(from + REPLY_BYTES_AT_ONCE);
                writer.out.raw(&text[from..end]);
                if end < text.len() {
                    return (0, Some(Next::Text(id, end)));
                }
                writer.out.raw(b"\r\n");
            }
            Next::Element => {}
        }
        while let Some((top, slots)) = self.open.last_mut() {
            if let Some((value, more)) = writer.next(top) {
                let next = Next::Value(value, *slots + more);
                return (UNITS_PER_VALUE, Some(next));
            }
            self.open.pop();
        }
        (UNITS_PER_VALUE, None)
    }
}

/// A value that is written: into what, by whose rules.
struct Writer<'a> {
    state: &'a mut State,
    names: &'a Names,
    script: Protocol,
    out: &'a mut Reply,
    on_error: OnError<'a>,
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

    /// Writes the header of a long string.
    fn begin_text(&mut self, id: StringId) {
        let length = self.state.bytes(id).len();
        self.out.raw(b"$");
        self.out.raw(itoa::Buffer::new().format(length).as_bytes());
        self.out.raw(b"\r\n");
    }

    /// What a table stands for that has elements, and where they are.
    fn elements(&mut self, table: TableId) -> (TableId, Elements) {
        let names = *self.names;
        if let Value::Table(map) = self.field(table, names.map) {
            return (map, Elements::Map);
        }
        if let Value::Table(set) = self.field(table, names.set) {
            return (set, Elements::Set);
        }
        (table, Elements::Array)
    }

    /// The key of the element behind `count` others, the last of which has the key `key`; for an array, any value that tells
    /// that there is one.
    fn after(
        &mut self,
        table: TableId,
        elements: Elements,
        key: Value,
        count: usize,
    ) -> Option<Value> {
        match elements {
            Elements::Array => {
                let element = self.element(table, count + 1);
                (!element.is_nil()).then_some(Value::Nil)
            }
            Elements::Map | Elements::Set => self.state.next(table, key).map(|(key, _)| key),
        }
    }

    /// Writes the header of a table with so many elements.
    fn begin(&mut self, table: TableId, elements: Elements, count: usize) -> Open {
        match elements {
            Elements::Array => {
                self.out.array(count);
                Open::Array(table, 1, count)
            }
            Elements::Map => {
                self.out.map(count);
                Open::Map(table, Value::Nil)
            }
            Elements::Set => {
                self.out.set(count);
                Open::Set(table, Value::Nil)
            }
        }
    }

    fn element(&mut self, table: TableId, index: usize) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "no table has 2^53 elements")]
        let index = Value::Number(index as f64);
        self.state.get(table, index)
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
