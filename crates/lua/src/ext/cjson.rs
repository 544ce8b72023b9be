//! `cjson`: the module, its settings, and encoding.

use super::cjson_decode::decode;
use crate::heap::{Function, OutOfMemory};
use crate::limits::SLICE;
use crate::number::{Alternate, Case, until_nul, write_general};
use crate::stdlib::grow;
use crate::value::{TableId, Value};
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

struct Encode {
    out: Vec<u8>,
    stack: Vec<Level>,
    started: bool,
    depth_max: f64,
    precision: usize,
    invalid: f64,
}

/// Two digits after `\u00`, or a letter, for bytes that are not written as they are.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        let letter = match byte {
            b'"' | b'\\' | b'/' => *byte,
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            12 => b'f',
            b'\r' => b'r',
            0..0x20 | 0x7f => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            plain => {
                out.push(*plain);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    out.push(b'"');
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
                write_general(
                    number,
                    self.precision,
                    Alternate::No,
                    Case::Lower,
                    &mut self.out,
                );
            }
            Value::String(id) => {
                let length = call.bytes(id).len();
                grow(&mut self.out, length * 6 + 2, call)?;
                write_string(call.bytes(id), &mut self.out);
                call.charge_bytes(length * 4);
            }
            Value::Table(table) => self.open(table, call)?,
            other => return Err(Self::refuse(call, other, "type not supported")),
        }
        Ok(())
    }

    fn open(&mut self, table: TableId, call: &mut Call<'_>) -> Result<()> {
        let depth = self.stack.len() + 1;
        if depth as f64 > self.depth_max {
            return Err(call.error(&format!("Cannot serialise, excessive nesting ({depth})")));
        }
        let items = self.items(table, call)?;
        self.out.push(if items.is_some() { b'[' } else { b'{' });
        self.stack.push(Level {
            table,
            place: 0,
            items,
            is_first: true,
        });
        Ok(())
    }

    /// The length of a table that is an array: its keys are whole numbers from 1, and not too sparse.
    fn items(&mut self, table: TableId, call: &mut Call<'_>) -> Result<Option<usize>> {
        let object = &call.state.heap.tables[table.index()];
        let (mut largest, mut pairs, mut place) = (0.0_f64, 0_usize, 0);
        while let (Some((key, _)), passed) = object.next_from(place) {
            place += passed + 1;
            match key {
                Value::Number(number) if number >= 1.0 && number.fract() == 0.0 => {
                    largest = largest.max(number)
                }
                _ => return Ok(None),
            }
            pairs += 1;
        }
        call.charge(pairs / 4);
        let ratio = call.setting(Setting::Ratio);
        if ratio > 0.0 && largest > pairs as f64 * ratio && largest > call.setting(Setting::Safe) {
            if call.setting(Setting::Convert) == 0.0 {
                return Err(Self::refuse(
                    call,
                    Value::Table(table),
                    "excessively sparse array",
                ));
            }
            return Ok(None);
        }
        Ok((largest > 0.0).then_some(largest as usize))
    }

    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        if !self.started {
            self.started = true;
            self.write(call.arg(0), call)?;
        }
        for _ in 0..SLICE {
            call.charge(2);
            call.state.heap.check(self.out.len())?;
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
                let (pair, passed) = call.state.heap.tables[table.index()].next_from(place);
                let Some((key, value)) = pair else {
                    self.out.push(b'}');
                    self.stack.pop();
                    continue;
                };
                level.place += passed + 1;
                (Some(key), value)
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
        depth_max: call.setting(Setting::EncodeDepth),
        precision: call.setting(Setting::Precision) as usize,
        invalid: call.setting(Setting::EncodeInvalid),
    };
    if encode.run(call)? {
        return call.ret_buffer(&mut encode.out);
    }
    Ok(NativeResult::Task(Box::new(encode)))
}
