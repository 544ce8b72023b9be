//! `cjson`: the module, its settings, and encoding.

use super::cjson_decode::decode;
use crate::heap::{Function, OutOfMemory};
use crate::limits::SLICE;
use crate::number::{Alternate, Case, until_nul, write_general};
use crate::stdlib::{UNITS_OF_EMPTY_STEP, grow};
use crate::table::Found;
use crate::value::{StringId, TableId, Value};
use crate::vm::State;
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

static FUNCTIONS: &[(&str, Native)] = &[
    ("encode", encode),
    ("decode", decode),
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", |call| {
        integer_setting(call, Setting::EncodeDepth, 1, i64::from(i32::MAX))
    }),
    ("decode_max_depth", |call| {
        integer_setting(call, Setting::DecodeDepth, 1, i64::from(i32::MAX))
    }),
    ("encode_number_precision", |call| {
        integer_setting(call, Setting::Precision, 1, 14)
    }),
    ("encode_keep_buffer", |call| {
        word_setting(call, Setting::KeepBuffer, &["off", "on"])
    }),
    ("encode_invalid_numbers", |call| {
        word_setting(call, Setting::EncodeInvalid, &["off", "on", "null"])
    }),
    ("decode_invalid_numbers", |call| {
        word_setting(call, Setting::DecodeInvalid, &["off", "on"])
    }),
    ("new", new),
];

/// Bytes that a number takes at most.
const NUMBER_BYTES_MAX: usize = 32;

/// Units of work that writing a number counts as.
const NUMBER_UNITS: usize = 20;

/// `cjson.null`.
pub(super) const NULL: Value = Value::Light(0);

/// A setting of a module: its place in the module's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Convert,
    Ratio,
    Safe,
    EncodeDepth,
    DecodeDepth,
    Precision,
    KeepBuffer,
    EncodeInvalid,
    DecodeInvalid,
}

/// Their values in a fresh module, in that order.
const DEFAULTS: [f64; 9] = [0.0, 2.0, 10.0, 1000.0, 1000.0, 14.0, 1.0, 0.0, 1.0];

/// A module with settings of its own: functions that share a table.
pub(super) fn module(state: &mut State) -> std::result::Result<TableId, OutOfMemory> {
    let settings = state.table(DEFAULTS.len(), 0)?;
    for (index, value) in DEFAULTS.iter().enumerate() {
        state.set(
            settings,
            Value::Number((index + 1) as f64),
            Value::Number(*value),
        )?;
    }
    let module = state.table(0, FUNCTIONS.len() + 3)?;
    for (name, native) in FUNCTIONS {
        let Value::Native(id) = state.native_named(*native, name) else {
            continue;
        };
        let values = vec![Value::Table(settings)];
        let function = state.heap.function(Function::Native { id, values })?;
        state.set_field(module, name, Value::Function(function))?;
    }
    state.set_field(module, "null", NULL)?;
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", "2.1.0")] {
        let text = state.string(text.as_bytes())?;
        state.set_field(module, name, text)?;
    }
    Ok(module)
}

impl Call<'_> {
    pub(super) fn setting(&mut self, setting: Setting) -> f64 {
        let Value::Table(settings) = self.kept(0) else {
            return DEFAULTS[setting as usize];
        };
        match self
            .state
            .heap
            .raw_get(settings, Value::Number((setting as usize + 1) as f64))
        {
            Value::Number(number) => number,
            _ => DEFAULTS[setting as usize],
        }
    }

    fn set_setting(&mut self, setting: Setting, value: f64) -> Result<()> {
        if let Value::Table(settings) = self.kept(0) {
            let key = Value::Number((setting as usize + 1) as f64);
            self.state
                .heap
                .raw_set(settings, key, Value::Number(value))?;
        }
        Ok(())
    }

    fn arguments_max(&mut self, count: usize) -> Result<()> {
        if self.count > count {
            return Err(self.argument_error(count, "found too many arguments"));
        }
        Ok(())
    }

    fn integer_argument(
        &mut self,
        index: usize,
        setting: Setting,
        least: i64,
        most: i64,
    ) -> Result<()> {
        if self.arg(index).is_nil() {
            return Ok(());
        }
        let value = self.check_integer(index)?;
        if !(least..=most).contains(&value) {
            let text = format!("expected integer between {least} and {most}");
            return Err(self.argument_error(index, &text));
        }
        self.set_setting(setting, value as f64)
    }

    fn word_argument(&mut self, index: usize, setting: Setting, words: &[&str]) -> Result<()> {
        match self.arg(index) {
            Value::Nil => Ok(()),
            Value::Boolean(value) => self.set_setting(setting, f64::from(u8::from(value))),
            _ => {
                let word = self.check_string(index)?;
                let word = until_nul(self.bytes(word)).to_vec();
                match words.iter().position(|known| known.as_bytes() == word) {
                    Some(place) => self.set_setting(setting, place as f64),
                    None => {
                        let text = format!("invalid option '{}'", String::from_utf8_lossy(&word));
                        Err(self.argument_error(index, &text))
                    }
                }
            }
        }
    }

    fn word_value(&mut self, setting: Setting, words: &[&str]) -> Result<Value> {
        let value = self.setting(setting);
        if value < 2.0 {
            return Ok(Value::Boolean(value == 1.0));
        }
        let word = words.get(2).copied().unwrap_or_default();
        Ok(Value::String(self.state.heap.string(word.as_bytes())?))
    }
}

fn integer_setting(
    call: &mut Call<'_>,
    setting: Setting,
    least: i64,
    most: i64,
) -> Result<NativeResult> {
    call.arguments_max(1)?;
    call.integer_argument(0, setting, least, most)?;
    let value = call.setting(setting);
    call.ret_number(value)
}

fn word_setting(call: &mut Call<'_>, setting: Setting, words: &[&str]) -> Result<NativeResult> {
    call.arguments_max(1)?;
    call.word_argument(0, setting, words)?;
    let value = call.word_value(setting, words)?;
    call.ret(value)
}

fn encode_sparse_array(call: &mut Call<'_>) -> Result<NativeResult> {
    call.arguments_max(3)?;
    call.word_argument(0, Setting::Convert, &["off", "on"])?;
    call.integer_argument(1, Setting::Ratio, 0, i64::from(i32::MAX))?;
    call.integer_argument(2, Setting::Safe, 0, i64::from(i32::MAX))?;
    let convert = call.word_value(Setting::Convert, &[])?;
    call.push(convert)?;
    for setting in [Setting::Ratio, Setting::Safe] {
        let value = call.setting(setting);
        call.push(Value::Number(value))?;
    }
    Ok(NativeResult::Return(3))
}

fn new(call: &mut Call<'_>) -> Result<NativeResult> {
    let module = module(call.state)?;
    call.ret(Value::Table(module))
}

/// A table being encoded.
struct Level {
    table: TableId,
    place: usize,
    /// Items, if it is an array.
    items: Option<usize>,
    is_first: bool,
}

/// What is done in pieces, before the next value.
#[derive(Clone, Copy)]
enum Piecemeal {
    Nothing,
    /// Writing the rest of a string.
    Text {
        id: StringId,
        at: usize,
    },
    /// Looking at the keys of the table that was opened last, which tells whether it is an array.
    Keys {
        place: usize,
        largest: f64,
        pairs: usize,
    },
}

/// Bytes of a string that are written at once.
const TEXT_BYTES_AT_ONCE: usize = 16 << 10;

/// Bytes that a byte of a string may become.
const ESCAPED_BYTES_MAX: usize = 6;

struct Encode {
    out: Vec<u8>,
    stack: Vec<Level>,
    started: bool,
    piecemeal: Piecemeal,
    /// The value of a key that is being written.
    waiting: Option<Value>,
    depth_max: f64,
    precision: usize,
    invalid: f64,
}

/// For each byte what is written after a backslash; 0 if it stands for itself, 1 if it is written by its number.
static ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = 1;
        byte += 1;
    }
    escapes[0x7f] = 1;
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes[b'/' as usize] = b'/';
    escapes[8] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[12] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes
};

/// Writes the inside of a string: what stands for itself in stretches.
fn write_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let plain = text
            .iter()
            .position(|byte| ESCAPES[usize::from(*byte)] != 0)
            .unwrap_or(text.len());
        out.extend_from_slice(&text[..plain]);
        let Some((byte, rest)) = text[plain..].split_first() else {
            return;
        };
        match ESCAPES[usize::from(*byte)] {
            1 => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digits = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        text = rest;
    }
}

impl Encode {
    fn refuse(call: &mut Call<'_>, value: Value, reason: &str) -> Error {
        let kind = value.type_name();
        call.error(&format!("Cannot serialise {kind}: {reason}"))
    }

    fn write(&mut self, value: Value, call: &mut Call<'_>) -> Result<()> {
        match value {
            Value::Nil | Value::Light(0) => self.out.extend_from_slice(b"null"),
            Value::Boolean(value) => {
                self.out
                    .extend_from_slice(if value { b"true" } else { b"false" })
            }
            Value::Number(number) => {
                if !number.is_finite() {
                    if self.invalid == 0.0 {
                        return Err(Self::refuse(call, value, "must not be NaN or Inf"));
                    }
                    if self.invalid == 2.0 {
                        self.out.extend_from_slice(b"null");
                        return Ok(());
                    }
                    if number.is_nan() {
                        self.out.extend_from_slice(b"nan");
                        return Ok(());
                    }
                }
                call.charge(NUMBER_UNITS);
                grow(&mut self.out, NUMBER_BYTES_MAX, call)?;
                write_general(
                    number,
                    self.precision,
                    Alternate::No,
                    Case::Lower,
                    &mut self.out,
                );
            }
            Value::String(id) => {
                self.out.push(b'"');
                return self.write_text(id, 0, call);
            }
            Value::Table(table) => self.open(table, call)?,
            other => return Err(Self::refuse(call, other, "type not supported")),
        }
        Ok(())
    }

    /// Writes a string from a place on, or some of it.
    fn write_text(&mut self, id: StringId, at: usize, call: &mut Call<'_>) -> Result<()> {
        let length = call.bytes(id).len();
        let end = length.min(at + TEXT_BYTES_AT_ONCE);
        grow(&mut self.out, (end - at) * ESCAPED_BYTES_MAX + 1, call)?;
        write_escaped(&call.bytes(id)[at..end], &mut self.out);
        call.charge_bytes((end - at) * 4);
        self.piecemeal = if end < length {
            Piecemeal::Text { id, at: end }
        } else {
            self.out.push(b'"');
            Piecemeal::Nothing
        };
        Ok(())
    }

    fn open(&mut self, table: TableId, call: &mut Call<'_>) -> Result<()> {
        let depth = self.stack.len() + 1;
        if depth as f64 > self.depth_max {
            return Err(call.error(&format!("Cannot serialise, excessive nesting ({depth})")));
        }
        self.stack.push(Level {
            table,
            place: 0,
            items: None,
            is_first: true,
        });
        self.look_at_keys(table, (0, 0.0, 0), call)
    }

    /// Looks at the keys of a table from a place on, or at some of them: it is an array if they are whole numbers from 1, and
    /// not too sparse.
    fn look_at_keys(
        &mut self,
        table: TableId,
        (mut place, mut largest, mut pairs): (usize, f64, usize),
        call: &mut Call<'_>,
    ) -> Result<()> {
        let object = &call.state.heap.tables[table.index()];
        let mut left = SLICE;
        let is_array = loop {
            left -= 1;
            match object.next_from(place) {
                Found::Pair { key, after, .. } if left > 0 => {
                    place = after;
                    pairs += 1;
                    match key {
                        Value::Number(number) if number >= 1.0 && number.fract() == 0.0 => {
                            largest = largest.max(number);
                        }
                        _ => break false,
                    }
                }
                Found::End => break largest > 0.0,
                found => {
                    if let Found::Nothing { after } = found {
                        place = after;
                    }
                    self.piecemeal = Piecemeal::Keys {
                        place,
                        largest,
                        pairs,
                    };
                    call.charge(UNITS_OF_EMPTY_STEP);
                    return Ok(());
                }
            }
        };
        self.piecemeal = Piecemeal::Nothing;
        call.charge(pairs / 4);
        let ratio = call.setting(Setting::Ratio);
        let is_sparse = is_array
            && ratio > 0.0
            && largest > pairs as f64 * ratio
            && largest > call.setting(Setting::Safe);
        if is_sparse && call.setting(Setting::Convert) == 0.0 {
            return Err(Self::refuse(
                call,
                Value::Table(table),
                "excessively sparse array",
            ));
        }
        let items = (is_array && !is_sparse).then_some(largest as usize);
        self.out.push(if items.is_some() { b'[' } else { b'{' });
        if let Some(level) = self.stack.last_mut() {
            level.items = items;
        }
        Ok(())
    }

    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        if !self.started {
            self.started = true;
            self.write(call.arg(0), call)?;
        }
        for _ in 0..SLICE {
            call.charge(2);
            call.state.heap.check(self.out.len())?;
            match self.piecemeal {
                Piecemeal::Nothing => {}
                Piecemeal::Text { id, at } => {
                    self.write_text(id, at, call)?;
                    return Ok(false);
                }
                Piecemeal::Keys {
                    place,
                    largest,
                    pairs,
                } => {
                    if let Some(level) = self.stack.last() {
                        self.look_at_keys(level.table, (place, largest, pairs), call)?;
                    }
                    return Ok(false);
                }
            }
            if let Some(value) = self.waiting.take() {
                self.out.push(b':');
                self.write(value, call)?;
                continue;
            }
            let Some(level) = self.stack.last_mut() else {
                return Ok(true);
            };
            let (table, place) = (level.table, level.place);
            let (key, value) = if let Some(items) = level.items {
                if place >= items {
                    self.out.push(b']');
                    self.stack.pop();
                    continue;
                }
                level.place += 1;
                let key = Value::Number(level.place as f64);
                (None, call.state.heap.raw_get(table, key))
            } else {
                match call.state.heap.tables[table.index()].next_from(place) {
                    Found::Pair {
                        key, value, after, ..
                    } => {
                        level.place = after;
                        (Some(key), value)
                    }
                    Found::Nothing { after } => {
                        level.place = after;
                        call.charge(UNITS_OF_EMPTY_STEP);
                        return Ok(false);
                    }
                    Found::End => {
                        self.out.push(b'}');
                        self.stack.pop();
                        continue;
                    }
                }
            };
            if !std::mem::take(&mut level.is_first) {
                self.out.push(b',');
            }
            match key {
                None => {}
                Some(Value::Number(number)) => {
                    self.out.push(b'"');
                    write_general(
                        number,
                        self.precision,
                        Alternate::No,
                        Case::Lower,
                        &mut self.out,
                    );
                    self.out.extend_from_slice(b"\":");
                }
                Some(key @ Value::String(_)) => {
                    self.write(key, call)?;
                    if let Piecemeal::Text { .. } = self.piecemeal {
                        self.waiting = Some(value);
                        continue;
                    }
                    self.out.push(b':');
                }
                Some(other) => {
                    return Err(Self::refuse(
                        call,
                        other,
                        "table key must be a number or string",
                    ));
                }
            }
            self.write(value, call)?;
        }
        Ok(false)
    }
}

impl Task for Encode {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        match self.run(call) {
            Ok(true) => call.ret_buffer(&mut self.out),
            Ok(false) => Ok(NativeResult::Again),
            Err(Error::Memory) => {
                // It begins anew.
                self.out = Vec::new();
                self.stack.clear();
                self.started = false;
                self.piecemeal = Piecemeal::Nothing;
                self.waiting = None;
                Err(Error::Memory)
            }
            Err(error) => Err(error),
        }
    }

    fn held(&self) -> usize {
        self.out.capacity() + self.stack.capacity() * size_of::<Level>()
    }
}

fn encode(call: &mut Call<'_>) -> Result<NativeResult> {
    if call.count != 1 {
        return Err(call.argument_error(0, "expected 1 argument"));
    }
    let mut encode = Encode {
        out: Vec::new(),
        stack: Vec::new(),
        started: false,
        piecemeal: Piecemeal::Nothing,
        waiting: None,
        depth_max: call.setting(Setting::EncodeDepth),
        precision: call.setting(Setting::Precision) as usize,
        invalid: call.setting(Setting::EncodeInvalid),
    };
    if encode.run(call)? {
        return call.ret_buffer(&mut encode.out);
    }
    Ok(NativeResult::Task(Box::new(encode)))
}
