//! `cmsgpack`: MessagePack, as far as Lua's types go.

use crate::limits::{NATIVE_VALUES_MAX, SLICE};
use crate::stdlib::{UNITS_OF_EMPTY_STEP, grow};
use crate::table::Found;
use crate::value::{StringId, TableId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("pack", pack),
    ("unpack", unpack),
    ("unpack_one", unpack_one),
    ("unpack_limit", unpack_limit),
];

pub(super) static FIELDS: &[(&str, &str)] = &[
    ("_NAME", "cmsgpack"),
    ("_VERSION", "lua-cmsgpack 0.4.0"),
    ("_COPYRIGHT", "Copyright (C) 2012, Redis Ltd."),
    ("_DESCRIPTION", "MessagePack C implementation for Lua"),
];

/// Tables inside one another that are packed; what lies deeper becomes nil.
const NESTING_MAX: usize = 16;

/// Containers inside one another that are unpacked: each takes two of the slots of a native function.
const DEPTH_MAX: usize = NATIVE_VALUES_MAX / 2 - 5;

// Packing.

/// What is being packed.
enum Packing {
    /// A table: where its traversal goes on, or its items if it is an array.
    Table {
        table: TableId,
        place: usize,
        items: Option<usize>,
    },
    /// The value of a key that is being packed.
    Waiting(Value),
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
    Keys(Keys),
}

/// The keys of a table as far as they have been looked at.
#[derive(Clone, Copy, Default)]
struct Keys {
    place: usize,
    pairs: usize,
    largest: f64,
    has_others: bool,
}

/// Bytes of a string that are written at once.
const TEXT_BYTES_AT_ONCE: usize = 64 << 10;

struct Pack {
    out: Vec<u8>,
    piecemeal: Piecemeal,
    /// The next argument.
    argument: usize,
    stack: Vec<Packing>,
    /// Tables on the stack.
    depth: usize,
}

/// Writes a head with a count, in the smallest form.
fn write_head(out: &mut Vec<u8>, count: usize, small: (u8, usize), one: Option<u8>, two: u8) {
    if count <= small.1 {
        out.push(small.0 | count as u8);
    } else if let (Some(code), Ok(count)) = (one, u8::try_from(count)) {
        out.extend_from_slice(&[code, count]);
    } else if let Ok(count) = u16::try_from(count) {
        out.push(two);
        out.extend_from_slice(&count.to_be_bytes());
    } else {
        out.push(two + 1);
        out.extend_from_slice(&(count as u32).to_be_bytes());
    }
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    let whole = crate::stdlib::to_integer(number);
    if whole as f64 == number && number.abs() < 9.3e18 && number != 9_223_372_036_854_775_808.0 {
        write_integer(out, whole);
    } else if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn write_integer(out: &mut Vec<u8>, number: i64) {
    if let Ok(number) = u64::try_from(number) {
        match number {
            0..=0x7f => out.push(number as u8),
            0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
            0x100..=0xffff => {
                out.push(0xcd);
                out.extend_from_slice(&(number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                out.push(0xce);
                out.extend_from_slice(&(number as u32).to_be_bytes());
            }
            _ => {
                out.push(0xcf);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        return;
    }
    if number >= -32 {
        out.push(number as u8);
    } else if let Ok(number) = i8::try_from(number) {
        out.extend_from_slice(&[0xd0, number as u8]);
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// What [`Pack::next`] leads to.
enum Next {
    Value(Value),
    /// Many empty places have been passed.
    Later,
    End,
}

impl Pack {
    fn new() -> Self {
        Self {
            out: Vec::new(),
            piecemeal: Piecemeal::Nothing,
            argument: 0,
            stack: Vec::new(),
            depth: 0,
        }
    }

    fn write(&mut self, value: Value, call: &mut Call<'_>) -> Result<()> {
        match value {
            Value::Boolean(value) => self.out.push(if value { 0xc3 } else { 0xc2 }),
            Value::Number(number) => write_number(&mut self.out, number),
            Value::String(id) => {
                let length = call.bytes(id).len();
                grow(&mut self.out, length + 5, call)?;
                write_head(&mut self.out, length, (0xa0, 31), Some(0xd9), 0xda);
                return self.write_text(id, 0, call);
            }
            Value::Table(table) if self.depth < NESTING_MAX => {
                self.depth += 1;
                self.stack.push(Packing::Table {
                    table,
                    place: 0,
                    items: None,
                });
                self.look_at_keys(table, Keys::default(), call);
            }
            _ => self.out.push(0xc0),
        }
        Ok(())
    }

    /// Writes a string from a place on, or some of it.
    fn write_text(&mut self, id: StringId, at: usize, call: &mut Call<'_>) -> Result<()> {
        let length = call.bytes(id).len();
        let end = length.min(at + TEXT_BYTES_AT_ONCE);
        grow(&mut self.out, end - at, call)?;
        self.out.extend_from_slice(&call.bytes(id)[at..end]);
        call.charge_bytes(end - at);
        self.piecemeal = if end < length {
            Piecemeal::Text { id, at: end }
        } else {
            Piecemeal::Nothing
        };
        Ok(())
    }

    /// Looks at the keys of a table, or at some of them: it is an array if they are exactly 1 to n. Then its head is written.
    fn look_at_keys(&mut self, table: TableId, mut keys: Keys, call: &mut Call<'_>) {
        let object = &call.state.heap.tables[table.index()];
        let mut left = SLICE;
        loop {
            left -= 1;
            match object.next_from(keys.place) {
                Found::Pair { key, after, .. } if left > 0 => {
                    keys.place = after;
                    keys.pairs += 1;
                    match key {
                        Value::Number(number) if number > 0.0 && number.fract() == 0.0 => {
                            keys.largest = keys.largest.max(number);
                        }
                        _ => keys.has_others = true,
                    }
                }
                Found::End => break,
                found => {
                    if let Found::Nothing { after } = found {
                        keys.place = after;
                    }
                    self.piecemeal = Piecemeal::Keys(keys);
                    call.charge(UNITS_OF_EMPTY_STEP);
                    return;
                }
            }
        }
        self.piecemeal = Piecemeal::Nothing;
        call.charge(keys.pairs / 4);
        if !keys.has_others && keys.largest == keys.pairs as f64 {
            if let Some(Packing::Table { items, .. }) = self.stack.last_mut() {
                *items = Some(keys.pairs);
            }
            write_head(&mut self.out, keys.pairs, (0x90, 15), None, 0xdc);
        } else {
            write_head(&mut self.out, keys.pairs, (0x80, 15), None, 0xde);
        }
    }

    /// The next value to be written. The value of a field waits until its key is.
    fn next(&mut self, call: &mut Call<'_>) -> Next {
        while let Some(level) = self.stack.last_mut() {
            let (table, place) = match level {
                Packing::Waiting(value) => {
                    let value = *value;
                    self.stack.pop();
                    return Next::Value(value);
                }
                Packing::Table {
                    table,
                    place,
                    items: Some(items),
                } => {
                    if place < items {
                        *place += 1;
                        let key = Value::Number(*place as f64);
                        return Next::Value(call.state.heap.raw_get(*table, key));
                    }
                    self.stack.pop();
                    self.depth -= 1;
                    continue;
                }
                Packing::Table {
                    table,
                    place,
                    items: None,
                } => (*table, place),
            };
            match call.state.heap.tables[table.index()].next_from(*place) {
                Found::Pair {
                    key, value, after, ..
                } => {
                    *place = after;
                    self.stack.push(Packing::Waiting(value));
                    return Next::Value(key);
                }
                Found::Nothing { after } => {
                    *place = after;
                    call.charge(UNITS_OF_EMPTY_STEP);
                    return Next::Later;
                }
                Found::End => {
                    self.stack.pop();
                    self.depth -= 1;
                }
            }
        }
        if self.argument < call.count {
            self.argument += 1;
            return Next::Value(call.arg(self.argument - 1));
        }
        Next::End
    }

    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        for _ in 0..SLICE {
            call.charge(1);
            call.state.heap.check(self.out.len())?;
            match self.piecemeal {
                Piecemeal::Nothing => {}
                Piecemeal::Text { id, at } => {
                    self.write_text(id, at, call)?;
                    return Ok(false);
                }
                Piecemeal::Keys(keys) => {
                    if let Some(Packing::Table { table, .. }) = self.stack.last() {
                        self.look_at_keys(*table, keys, call);
                    }
                    return Ok(false);
                }
            }
            match self.next(call) {
                Next::Value(value) => self.write(value, call)?,
                Next::Later => return Ok(false),
                Next::End => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl Task for Pack {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        match self.run(call) {
            Ok(true) => call.ret_buffer(&mut self.out),
            Ok(false) => Ok(NativeResult::Again),
            Err(Error::Memory) => {
                // It begins anew.
                *self = Self::new();
                Err(Error::Memory)
            }
            Err(error) => Err(error),
        }
    }

    fn held(&self) -> usize {
        self.out.capacity()
    }
}

fn pack(call: &mut Call<'_>) -> Result<NativeResult> {
    if call.count == 0 {
        return Err(call.numbered_argument_error(0, b"MessagePack pack needs input."));
    }
    let mut pack = Pack::new();
    if pack.run(call)? {
        return call.ret_buffer(&mut pack.out);
    }
    Ok(NativeResult::Task(Box::new(pack)))
}

// Unpacking.

/// A container being filled.
struct Filling {
    table: TableId,
    left: usize,
    /// Items so far; for a map the key that waits for its value.
    next: Slot,
}

enum Slot {
    Item(usize),
    Key,
    Value(Value),
}

/// What stands at a place of the input.
enum Piece {
    Value(Value),
    Text(std::ops::Range<usize>),
    Array(usize),
    Map(usize),
}

enum Refusal {
    Short,
    Bad,
}

struct Unpack {
    data: StringId,
    at: usize,
    stack: Vec<Filling>,
    done: Vec<Value>,
    count_max: usize,
    /// Whether the next offset is returned first.
    tells_offset: bool,
}

/// The bytes of a number.
fn take<const N: usize>(bytes: &[u8], at: usize) -> std::result::Result<[u8; N], Refusal> {
    bytes
        .get(at..at + N)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Refusal::Short)
}

/// Reads one piece; it and the place behind it.
fn read(bytes: &[u8], at: usize) -> std::result::Result<(Piece, usize), Refusal> {
    let code = *bytes.get(at).ok_or(Refusal::Short)?;
    let at = at + 1;
    let number = |number: f64, size: usize| Ok((Piece::Value(Value::Number(number)), at + size));
    let text = |length: usize, size: usize| {
        let start = at + size;
        if bytes.len() - start < length {
            return Err(Refusal::Short);
        }
        Ok((Piece::Text(start..start + length), start + length))
    };
    match code {
        0x00..=0x7f => number(f64::from(code), 0),
        0x80..=0x8f => Ok((Piece::Map(usize::from(code & 15)), at)),
        0x90..=0x9f => Ok((Piece::Array(usize::from(code & 15)), at)),
        0xa0..=0xbf => text(usize::from(code & 31), 0),
        0xc0 => Ok((Piece::Value(Value::Nil), at)),
        0xc2 | 0xc3 => Ok((Piece::Value(Value::Boolean(code == 0xc3)), at)),
        0xca => number(f64::from(f32::from_be_bytes(take(bytes, at)?)), 4),
        0xcb => number(f64::from_be_bytes(take(bytes, at)?), 8),
        0xcc => number(f64::from(u8::from_be_bytes(take(bytes, at)?)), 1),
        0xcd => number(f64::from(u16::from_be_bytes(take(bytes, at)?)), 2),
        0xce => number(f64::from(u32::from_be_bytes(take(bytes, at)?)), 4),
        // Numbers past 2^63 wrap.
        0xcf | 0xd3 => number(i64::from_be_bytes(take(bytes, at)?) as f64, 8),
        0xd0 => number(f64::from(i8::from_be_bytes(take(bytes, at)?)), 1),
        0xd1 => number(f64::from(i16::from_be_bytes(take(bytes, at)?)), 2),
        0xd2 => number(f64::from(i32::from_be_bytes(take(bytes, at)?)), 4),
        0xd9 => text(usize::from(u8::from_be_bytes(take(bytes, at)?)), 1),
        0xda => text(usize::from(u16::from_be_bytes(take(bytes, at)?)), 2),
        0xdb => text(u32::from_be_bytes(take(bytes, at)?) as usize, 4),
        0xdc => Ok((
            Piece::Array(usize::from(u16::from_be_bytes(take(bytes, at)?))),
            at + 2,
        )),
        0xdd => Ok((
            Piece::Array(u32::from_be_bytes(take(bytes, at)?) as usize),
            at + 4,
        )),
        0xde => Ok((
            Piece::Map(usize::from(u16::from_be_bytes(take(bytes, at)?))),
            at + 2,
        )),
        0xdf => Ok((
            Piece::Map(u32::from_be_bytes(take(bytes, at)?) as usize),
            at + 4,
        )),
        0xe0..=0xff => number(f64::from(code as i8), 0),
        _ => Err(Refusal::Bad),
    }
}

impl Unpack {
    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        for _ in 0..SLICE {
            call.charge(2);
            self.close_full(call)?;
            if self.stack.is_empty() {
                let length = call.bytes(self.data).len();
                if self.at >= length || self.done.len() >= self.count_max {
                    return Ok(true);
                }
                if self.done.len() + call.count + 1 >= NATIVE_VALUES_MAX {
                    let text = "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
                    return Err(call.error(text));
                }
            }
            let (piece, behind) = match read(call.bytes(self.data), self.at) {
                Ok(read) => read,
                Err(Refusal::Short) => return Err(call.error("Missing bytes in input.")),
                Err(Refusal::Bad) => return Err(call.error("Bad data format in input.")),
            };
            let value = match piece {
                Piece::Value(value) => value,
                Piece::Text(range) => {
                    call.charge_bytes(range.len());
                    call.state.heap.check_string(range.len())?;
                    let text = call.bytes(self.data)[range].to_vec();
                    Value::String(call.state.heap.string_from(text)?)
                }
                Piece::Array(left) => {
                    self.open(call, left, Slot::Item(0))?;
                    self.at = behind;
                    continue;
                }
                Piece::Map(left) => {
                    self.open(call, left, Slot::Key)?;
                    self.at = behind;
                    continue;
                }
            };
            self.put(call, value)?;
            self.at = behind;
        }
        Ok(false)
    }

    fn open(&mut self, call: &mut Call<'_>, left: usize, next: Slot) -> Result<()> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(call.error("stack overflow (in function mp_decode_to_lua_array)"));
        }
        let table = call.state.heap.table(0, 0)?;
        self.stack.push(Filling { table, left, next });
        Ok(())
    }

    /// Hands on containers that are full.
    fn close_full(&mut self, call: &mut Call<'_>) -> Result<()> {
        while let Some(level) = self.stack.last() {
            if level.left > 0 {
                return Ok(());
            }
            let value = Value::Table(level.table);
            let Some(full) = self.stack.pop() else {
                return Ok(());
            };
            if let Err(error) = self.put(call, value) {
                self.stack.push(full);
                return Err(error);
            }
        }
        Ok(())
    }

    fn put(&mut self, call: &mut Call<'_>, value: Value) -> Result<()> {
        let Some(level) = self.stack.last_mut() else {
            self.done.push(value);
            return Ok(());
        };
        let (table, key) = (
            level.table,
            match level.next {
                Slot::Item(items) => Value::Number((items + 1) as f64),
                Slot::Key => {
                    level.next = Slot::Value(value);
                    return Ok(());
                }
                Slot::Value(key) => key,
            },
        );
        call.raw_set(table, key, value)?;
        level.left -= 1;
        level.next = match level.next {
            Slot::Item(items) => Slot::Item(items + 1),
            _ => Slot::Key,
        };
        Ok(())
    }

    fn finish(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        let mut count = self.done.len();
        if self.tells_offset {
            let length = call.bytes(self.data).len();
            let offset = if self.at >= length {
                -1.0
            } else {
                self.at as f64
            };
            call.push(Value::Number(offset))?;
            count += 1;
        }
        for value in self.done.clone() {
            call.push(value)?;
        }
        Ok(NativeResult::Return(count))
    }
}

impl Task for Unpack {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call)? {
            self.finish(call)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn held(&self) -> usize {
        self.done.capacity() * 16 + self.stack.capacity() * size_of::<Filling>()
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        for value in &self.done {
            visit(*value);
        }
        for level in &self.stack {
            visit(Value::Table(level.table));
            if let Slot::Value(key) = level.next {
                visit(key);
            }
        }
    }
}

fn start(call: &mut Call<'_>, limit: i64, offset: i64) -> Result<NativeResult> {
    let data = call.check_string(0)?;
    let length = call.bytes(data).len();
    // Texts show 32 bits of an offset.
    let shown = offset as i32;
    let (Ok(count_max), Ok(at)) = (usize::try_from(limit), usize::try_from(offset)) else {
        let text =
            format!("Invalid request to unpack with offset of {shown} and limit of {length}.");
        return Err(call.error(&text));
    };
    if at > length {
        let text = format!("Start offset {shown} greater than input length {length}.");
        return Err(call.error(&text));
    }
    let takes_all = limit == 0 && offset == 0;
    Ok(NativeResult::Task(Box::new(Unpack {
        data,
        at,
        stack: Vec::new(),
        done: Vec::new(),
        count_max: if takes_all { usize::MAX } else { count_max },
        tells_offset: !takes_all,
    })))
}

fn unpack(call: &mut Call<'_>) -> Result<NativeResult> {
    start(call, 0, 0)
}

fn unpack_one(call: &mut Call<'_>) -> Result<NativeResult> {
    let offset = call.opt_integer(1, 0)?;
    start(call, 1, offset)
}

fn unpack_limit(call: &mut Call<'_>) -> Result<NativeResult> {
    let limit = call.check_integer(1)?;
    let offset = call.opt_integer(2, 0)?;
    start(call, limit, offset)
}
