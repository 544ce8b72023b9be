//! `table`, but for `sort`.

use super::sort::sort;
use crate::limits::SLICE;
use crate::number::write_number;
use crate::table::Found;
use crate::value::{TableId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("concat", concat),
    ("foreach", foreach),
    ("foreachi", foreachi),
    ("getn", getn),
    ("insert", insert),
    ("maxn", maxn),
    ("remove", remove),
    ("setn", setn),
    ("sort", sort),
];

/// What a step of a traversal costs that has found empty places alone.
pub(crate) const UNITS_OF_EMPTY_STEP: usize = 512;

/// The items that a slice moves or joins.
const ITEMS_PER_SLICE: i64 = SLICE;

pub(super) fn key(index: i64) -> Value {
    Value::Number(index as f64)
}

fn getn(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let length = call.state.length(table);
    call.ret_number(length as f64)
}

fn setn(call: &mut Call<'_>) -> Result<NativeResult> {
    call.check_table(0)?;
    Err(call.error("'setn' is obsolete"))
}

/// Going through a table for its largest numeric key, in slices.
struct Largest {
    place: usize,
    largest: f64,
}

impl Task for Largest {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        let table = call.check_table(0)?;
        for _ in 0..SLICE {
            let found = call.state.heap.tables[table.index()].next_from(self.place);
            call.charge(1);
            match found {
                Found::Pair {
                    key, after, passed, ..
                } => {
                    call.charge(passed / 8);
                    self.place = after;
                    if let Value::Number(number) = key
                        && number > self.largest
                    {
                        self.largest = number;
                    }
                }
                Found::Nothing { after } => {
                    call.charge(UNITS_OF_EMPTY_STEP);
                    self.place = after;
                    break;
                }
                Found::End => return call.ret_number(self.largest),
            }
        }
        Ok(NativeResult::Again)
    }
}

fn maxn(call: &mut Call<'_>) -> Result<NativeResult> {
    call.check_table(0)?;
    Ok(NativeResult::Task(Box::new(Largest {
        place: 0,
        largest: 0.0,
    })))
}

/// `foreach` and `foreachi`: a call for each pair, until one returns something.
struct ForEach {
    /// The key of the pair before; for `foreachi` its number.
    last: Value,
    /// The number of items for `foreachi`.
    items: Option<i64>,
    called: bool,
    /// Where the search for the next pair goes on, if many places have been empty.
    place: Option<usize>,
}

impl Task for ForEach {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.called {
            let value = call.result(0);
            if !value.is_nil() {
                return call.ret(value);
            }
            self.called = false;
        }
        let table = call.check_table(0)?;
        let pair = match self.items {
            None => {
                let object = &call.state.heap.tables[table.index()];
                let found = match self.place.take() {
                    Some(place) => Ok(object.next_from(place)),
                    None => object.next(self.last, &call.state.heap.strings),
                };
                match found {
                    Ok(Found::Pair {
                        key, value, passed, ..
                    }) => {
                        call.charge(passed / 8);
                        Some((key, value))
                    }
                    Ok(Found::Nothing { after }) => {
                        self.place = Some(after);
                        call.charge(UNITS_OF_EMPTY_STEP);
                        return Ok(NativeResult::Again);
                    }
                    Ok(Found::End) => None,
                    Err(_) => return Err(call.plain_error("invalid key to 'next'")),
                }
            }
            Some(items) => {
                let index = match self.last {
                    Value::Number(number) => number as i64 + 1,
                    _ => 1,
                };
                (index <= items).then(|| (key(index), call.state.heap.raw_get(table, key(index))))
            }
        };
        let Some((key, value)) = pair else {
            return Ok(NativeResult::Return(0));
        };
        self.last = key;
        call.push(call.arg(1))?;
        call.push(key)?;
        call.push(value)?;
        self.called = true;
        Ok(NativeResult::Call(2))
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.last);
    }
}

fn foreach(call: &mut Call<'_>) -> Result<NativeResult> {
    call.check_table(0)?;
    call.check_function(1)?;
    Ok(NativeResult::Task(Box::new(ForEach {
        last: Value::Nil,
        items: None,
        called: false,
        place: None,
    })))
}

fn foreachi(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let items = i64::try_from(call.state.length(table)).unwrap_or(i64::MAX);
    call.check_function(1)?;
    Ok(NativeResult::Task(Box::new(ForEach {
        last: Value::Nil,
        items: Some(items),
        called: false,
        place: None,
    })))
}

/// Moving items by one place, in slices: `insert` moves them up from the end, `remove` down from the hole.
struct Shift {
    table: TableId,
    /// The place that is filled next.
    at: i64,
    /// The place that is the last to be filled.
    end: i64,
    /// Where the item comes from, seen from the place it fills.
    from: i64,
    /// What comes after: the value for the hole, or the item taken out, whose end is cut.
    value: Value,
}

impl Shift {
    /// Moves some; whether all are moved.
    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        for _ in 0..ITEMS_PER_SLICE {
            if self.at == self.end {
                return Ok(true);
            }
            let value = call
                .state
                .heap
                .raw_get(self.table, key(self.at + self.from));
            call.raw_set(self.table, key(self.at), value)?;
            self.at += self.from;
            call.charge(1);
        }
        Ok(self.at == self.end)
    }

    fn finish(&self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.from < 0 {
            call.raw_set(self.table, key(self.end), self.value)?;
            return Ok(NativeResult::Return(0));
        }
        call.raw_set(self.table, key(self.end), Value::Nil)?;
        call.ret(self.value)
    }

    fn start(mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call)? {
            return self.finish(call);
        }
        Ok(NativeResult::Task(Box::new(self)))
    }
}

impl Task for Shift {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call)? {
            self.finish(call)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.value);
    }
}

fn insert(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let mut end = i64::try_from(call.state.length(table)).unwrap_or(i64::MAX - 1) + 1;
    let (at, value) = match call.count {
        2 => (end, call.arg(1)),
        3 => {
            let at = i64::from(call.check_int(1)?);
            end = end.max(at);
            (at, call.arg(2))
        }
        _ => return Err(call.error("wrong number of arguments to 'insert'")),
    };
    if at < end && call.state.heap.tables[table.index()].readonly {
        return Err(call.plain_error("Attempt to modify a readonly table"));
    }
    Shift {
        table,
        at: end,
        end: at,
        from: -1,
        value,
    }
    .start(call)
}

fn remove(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let end = i64::try_from(call.state.length(table)).unwrap_or(i64::MAX);
    let at = if call.arg(1).is_nil() {
        end
    } else {
        i64::from(call.check_int(1)?)
    };
    if !(1..=end).contains(&at) {
        return Ok(NativeResult::Return(0));
    }
    let value = call.state.heap.raw_get(table, key(at));
    Shift {
        table,
        at,
        end,
        from: 1,
        value,
    }
    .start(call)
}

/// Joining items, in slices.
/// Bytes from which on a text is made in its place: room for all of it at once, filled piece by piece.
const LARGE_BYTES: usize = 256 << 10;

/// Bytes of a large text that are copied at once.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes that a number may take.
const NUMBER_BYTES_MAX: usize = 32;

struct Concat {
    at: i64,
    last: i64,
    text: Vec<u8>,
    /// How far the items of a large text have been added up, and to how many bytes.
    added_up: (i64, usize),
    /// There is room for all that is left.
    has_room: bool,
    /// Bytes of the item at `at` that are in the text already.
    copied: usize,
}

impl Concat {
    /// Adds up what is left of a large text, and makes room for it. False when there is more to add up.
    fn make_room(&mut self, table: TableId, call: &mut Call<'_>) -> Result<bool> {
        let separator = match call.arg(1) {
            Value::String(separator) => call.bytes(separator).len(),
            _ => 0,
        };
        let (mut at, mut bytes) = self.added_up;
        at = at.max(self.at);
        let end = at.saturating_add(ITEMS_PER_SLICE);
        while at <= self.last && at < end {
            bytes += separator + text_bytes(call.state.heap.raw_get(table, key(at)), call);
            at += 1;
            call.charge(1);
        }
        self.added_up = (at, bytes);
        if at <= self.last {
            return Ok(false);
        }
        call.state.heap.check(self.text.len() + bytes)?;
        self.text.reserve_exact(bytes);
        self.has_room = true;
        Ok(true)
    }

    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        let table = call.check_table(0)?;
        let mut work = 0;
        while self.at <= self.last {
            if work > ITEMS_PER_SLICE {
                return Ok(false);
            }
            let value = call.state.heap.raw_get(table, key(self.at));
            let is_large = self.text.len() + text_bytes(value, call) >= LARGE_BYTES;
            if is_large && !self.has_room && !self.make_room(table, call)? {
                return Ok(false);
            }
            let before = self.text.len();
            let heap = &call.state.heap;
            match value {
                Value::String(id) if self.has_room => {
                    let bytes = &heap.bytes(id)[self.copied..];
                    let piece = bytes.len().min(PIECE_BYTES);
                    self.text.extend_from_slice(&bytes[..piece]);
                    if piece < bytes.len() {
                        self.copied += piece;
                        call.charge_bytes(piece);
                        work += 1 + i64::try_from(piece / 32).unwrap_or(0);
                        continue;
                    }
                    self.copied = 0;
                }
                Value::String(id) => {
                    let bytes = heap.bytes(id);
                    grow(&mut self.text, bytes.len(), call)?;
                    self.text.extend_from_slice(call.state.heap.bytes(id));
                }
                Value::Number(number) => {
                    grow(&mut self.text, NUMBER_BYTES_MAX, call)?;
                    write_number(number, &mut self.text);
                }
                other => {
                    let (kind, at) = (other.type_name(), self.at);
                    return Err(call.error(&format!(
                        "invalid value ({kind}) at index {at} in table for 'concat'"
                    )));
                }
            }
            if self.at < self.last
                && let Value::String(separator) = call.arg(1)
            {
                let length = call.bytes(separator).len();
                if let Err(error) = grow(&mut self.text, length, call) {
                    self.text.truncate(before);
                    return Err(error);
                }
                self.text
                    .extend_from_slice(call.state.heap.bytes(separator));
            }
            self.at += 1;
            let copied = self.text.len() - before;
            call.charge_bytes(copied);
            call.charge(1);
            work += 1 + i64::try_from(copied / 32).unwrap_or(0);
        }
        Ok(true)
    }
}

/// Bytes that an item takes at most. What is neither a string nor a number is an error when it is its turn.
fn text_bytes(value: Value, call: &Call<'_>) -> usize {
    match value {
        Value::String(id) => call.bytes(id).len(),
        _ => NUMBER_BYTES_MAX,
    }
}

/// Room that a buffer has at least: short texts do not grow step by step.
const ROOM_BYTES_MIN: usize = 256;

/// Makes room in a buffer, if memory allows it.
pub(crate) fn grow(text: &mut Vec<u8>, more: usize, call: &Call<'_>) -> Result<()> {
    if text.capacity() - text.len() < more {
        let wanted = (text.len() + more)
            .max(text.capacity() + text.capacity() / 2)
            .max(ROOM_BYTES_MIN);
        if call.state.heap.check(wanted).is_ok() {
            text.reserve_exact(wanted - text.len());
        } else {
            call.state.heap.check(text.len() + more)?;
            text.reserve_exact(more);
        }
    }
    Ok(())
}

impl Task for Concat {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call)? {
            call.ret_buffer(&mut self.text)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn held(&self) -> usize {
        self.text.capacity()
    }
}

fn concat(call: &mut Call<'_>) -> Result<NativeResult> {
    call.opt_string(1)?;
    let table = call.check_table(0)?;
    let at = i64::from(call.opt_int(2, 1)?);
    let last = if call.arg(3).is_nil() {
        i64::try_from(call.state.length(table)).unwrap_or(i64::MAX)
    } else {
        i64::from(call.check_int(3)?)
    };
    let mut concat = Concat {
        at,
        last,
        text: Vec::new(),
        added_up: (at, 0),
        has_room: false,
        copied: 0,
    };
    if concat.run(call)? {
        return call.ret_buffer(&mut concat.text);
    }
    Ok(NativeResult::Task(Box::new(concat)))
}
