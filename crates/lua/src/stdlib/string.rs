//! `string`, but for `format` and `gsub`.

use memchr::memmem;

use super::base::LibraryFunction;
use super::display;
use super::format::format;
use super::pattern::{Length, Matcher, Search, Verdict};
use super::substitute::gsub;
use super::table::grow;
use crate::heap::Function;
use crate::limits::{BYTES_PER_UNIT, NATIVE_VALUES_MAX, SLICE};
use crate::number::until_nul;
use crate::value::{StringId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("byte", byte),
    ("char", char),
    ("dump", dump),
    ("find", find),
    ("format", format),
    ("gfind", gmatch),
    ("gmatch", gmatch),
    ("gsub", gsub),
    ("len", len),
    ("lower", lower),
    ("match", match_),
    ("rep", rep),
    ("reverse", reverse),
    ("sub", sub),
    ("upper", upper),
];

/// What a dumped function looks like: the mark of compiled chunks, which nothing here loads.
const DUMPED: &[u8] = b"\x1bLuaQ\0\x01\x04\x08\x04\x08\0";

/// Bytes that a number may take as a text.
const NUMBER_BYTES_MAX: usize = 32;

/// Bytes that are copied or searched at once.
const BYTES_PER_SLICE: usize = BYTES_PER_UNIT * SLICE as usize;

/// A place counted from the end if it is negative.
fn from_end(place: i64, length: usize) -> i64 {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if place >= 0 {
        place
    } else if place < -length {
        0
    } else {
        length + place + 1
    }
}

fn len(call: &mut Call<'_>) -> Result<NativeResult> {
    let text = call.check_string(0)?;
    let length = call.bytes(text).len() as f64;
    call.ret_number(length)
}

/// The range that `sub` and `byte` mean, as indices from 0.
fn range(first: i64, last: i64, length: usize) -> std::ops::Range<usize> {
    let first = from_end(first, length).max(1);
    let last = from_end(last, length).min(i64::try_from(length).unwrap_or(i64::MAX));
    if first > last {
        return 0..0;
    }
    let index = |place: i64| usize::try_from(place).unwrap_or(0);
    index(first - 1)..index(last)
}

fn sub(call: &mut Call<'_>) -> Result<NativeResult> {
    let text = call.check_string(0)?;
    let first = call.check_integer(1)?;
    let last = call.opt_integer(2, -1)?;
    let length = call.bytes(text).len();
    let range = range(first, last, length);
    if range.len() == length {
        return call.ret(Value::String(text));
    }
    copy(call, text, range, Change::None)
}

/// What becomes of copied bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Lower,
    Upper,
    Reverse,
}

/// Copying a part of a string, in slices.
struct Copy {
    text: StringId,
    /// What is still to be copied; from its end where the order is reversed.
    left: std::ops::Range<usize>,
    change: Change,
    out: Vec<u8>,
}

impl Copy {
    fn run(&mut self, call: &mut Call<'_>) -> bool {
        let count = self.left.len().min(BYTES_PER_SLICE);
        let part = if self.change == Change::Reverse {
            self.left.end -= count;
            self.left.end..self.left.end + count
        } else {
            self.left.start += count;
            self.left.start - count..self.left.start
        };
        let from = self.out.len();
        self.out.extend_from_slice(&call.bytes(self.text)[part]);
        let copied = &mut self.out[from..];
        match self.change {
            Change::None => {}
            Change::Lower => copied.make_ascii_lowercase(),
            Change::Upper => copied.make_ascii_uppercase(),
            Change::Reverse => copied.reverse(),
        }
        call.charge_bytes(count);
        self.left.is_empty()
    }
}

impl Task for Copy {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.left.is_empty() || self.run(call) {
            call.ret_buffer(&mut self.out)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn held(&self) -> usize {
        self.out.capacity()
    }
}

fn copy(
    call: &mut Call<'_>,
    text: StringId,
    range: std::ops::Range<usize>,
    change: Change,
) -> Result<NativeResult> {
    call.state.heap.check_string(range.len())?;
    let mut copy = Copy {
        text,
        out: Vec::with_capacity(range.len()),
        left: range,
        change,
    };
    if copy.run(call) {
        return call.ret_buffer(&mut copy.out);
    }
    Ok(NativeResult::Task(Box::new(copy)))
}

fn changed(call: &mut Call<'_>, change: Change) -> Result<NativeResult> {
    let text = call.check_string(0)?;
    let length = call.bytes(text).len();
    copy(call, text, 0..length, change)
}

fn lower(call: &mut Call<'_>) -> Result<NativeResult> {
    changed(call, Change::Lower)
}

fn upper(call: &mut Call<'_>) -> Result<NativeResult> {
    changed(call, Change::Upper)
}

fn reverse(call: &mut Call<'_>) -> Result<NativeResult> {
    changed(call, Change::Reverse)
}

fn byte(call: &mut Call<'_>) -> Result<NativeResult> {
    let text = call.check_string(0)?;
    let first = call.opt_integer(1, 1)?;
    let length = call.bytes(text).len();
    let last = call.opt_integer(2, from_end(first, length))?;
    let range = range(first, last, length);
    let count = range.len();
    if count > NATIVE_VALUES_MAX - call.count.min(NATIVE_VALUES_MAX) {
        return Err(call.error("stack overflow (string slice too long)"));
    }
    for index in range {
        let byte = call.bytes(text)[index];
        call.push(Value::Number(f64::from(byte)))?;
    }
    Ok(NativeResult::Return(count))
}

fn char(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut text = Vec::with_capacity(call.count);
    for index in 0..call.count {
        let code = call.check_int(index)?;
        match u8::try_from(code) {
            Ok(byte) => text.push(byte),
            Err(_) => return Err(call.argument_error(index, "invalid value")),
        }
    }
    call.ret_bytes(&text)
}

fn dump(call: &mut Call<'_>) -> Result<NativeResult> {
    let function = call.check_function(0)?;
    let is_lua = match function {
        Value::Function(id) => matches!(call.state.heap.functions[id.index()], Function::Lua(_)),
        _ => false,
    };
    if !is_lua {
        return Err(call.error("unable to dump given function"));
    }
    call.ret_bytes(DUMPED)
}

/// Copying a string many times, in slices.
/// Two texts that become one, piece by piece.
struct Join {
    /// Which of the arguments is copied, and how much of it has been.
    argument: usize,
    copied: usize,
    out: Vec<u8>,
}

impl Task for Join {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.argument == 2 {
            return call.ret_buffer(&mut self.out);
        }
        let Value::String(text) = call.arg(self.argument) else {
            // A number takes the place of a text as well.
            self.out
                .extend_from_slice(&display(call.state, call.arg(self.argument)));
            self.argument += 1;
            return Ok(NativeResult::Again);
        };
        let rest = &call.state.heap.bytes(text)[self.copied..];
        let piece = rest.len().min(BYTES_PER_SLICE);
        self.out.extend_from_slice(&rest[..piece]);
        self.copied += piece;
        if piece == rest.len() {
            self.argument += 1;
            self.copied = 0;
        }
        call.charge_bytes(piece);
        Ok(NativeResult::Again)
    }

    fn held(&self) -> usize {
        self.out.capacity()
    }
}

/// `a .. b` where the result is large.
pub(super) fn join(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut size = 0;
    for index in 0..2 {
        size += match call.arg(index) {
            Value::String(text) => call.bytes(text).len(),
            _ => NUMBER_BYTES_MAX,
        };
    }
    call.state.heap.check(size)?;
    Ok(NativeResult::Task(Box::new(Join {
        argument: 0,
        copied: 0,
        out: Vec::with_capacity(size),
    })))
}

struct Rep {
    text: StringId,
    left: usize,
    out: Vec<u8>,
}

impl Rep {
    fn run(&mut self, call: &mut Call<'_>) -> bool {
        let text = call.state.heap.bytes(self.text);
        let mut copied = 0;
        if let [byte] = text {
            copied = self.left.min(BYTES_PER_SLICE);
            self.out.resize(self.out.len() + copied, *byte);
            self.left -= copied;
        }
        while self.left > 0 && copied < BYTES_PER_SLICE {
            self.out.extend_from_slice(text);
            self.left -= 1;
            copied += text.len();
        }
        call.charge_bytes(copied);
        self.left == 0
    }
}

impl Task for Rep {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call) {
            call.ret_buffer(&mut self.out)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn held(&self) -> usize {
        self.out.capacity()
    }
}

fn rep(call: &mut Call<'_>) -> Result<NativeResult> {
    let text = call.check_string(0)?;
    let count = usize::try_from(call.check_int(1)?).unwrap_or(0);
    let length = call.bytes(text).len();
    if length == 0 || count == 0 {
        return call.ret_bytes(b"");
    }
    let size = length.saturating_mul(count);
    call.state.heap.check(size)?;
    let mut rep = Rep {
        text,
        left: count,
        out: Vec::with_capacity(size),
    };
    if rep.run(call) {
        return call.ret_buffer(&mut rep.out);
    }
    Ok(NativeResult::Task(Box::new(rep)))
}

/// Pushes a capture, or the whole match where there is none.
pub(super) fn push_capture(
    call: &mut Call<'_>,
    matcher: &Matcher,
    index: usize,
    subject: StringId,
    whole: (usize, usize),
) -> Result<()> {
    let value = capture(call, matcher, index, subject, whole)?;
    call.push(value)
}

pub(super) fn capture(
    call: &mut Call<'_>,
    matcher: &Matcher,
    index: usize,
    subject: StringId,
    whole: (usize, usize),
) -> Result<Value> {
    let (start, end) = if index < matcher.level {
        let capture = matcher.captures[index];
        match capture.length {
            Length::Open => return Err(call.error("unfinished capture")),
            Length::Position => return Ok(Value::Number((capture.start + 1) as f64)),
            Length::Bytes(length) => (capture.start, capture.start + length),
        }
    } else if index == 0 {
        whole
    } else {
        return Err(call.error("invalid capture index"));
    };
    call.charge_bytes(end - start);
    call.state.heap.check(end - start)?;
    let part = call.bytes(subject)[start..end].to_vec();
    Ok(Value::String(call.state.heap.string_from(part)?))
}

/// Pushes all captures; how many.
pub(super) fn push_captures(
    call: &mut Call<'_>,
    matcher: &Matcher,
    subject: StringId,
    whole: (usize, usize),
    whole_if_none: bool,
) -> Result<usize> {
    let count = if matcher.level == 0 && whole_if_none {
        1
    } else {
        matcher.level
    };
    for index in 0..count {
        push_capture(call, matcher, index, subject, whole)?;
    }
    Ok(count)
}

/// Goes on with a search, as far as a slice allows.
pub(super) fn search(
    call: &mut Call<'_>,
    search: &mut Search,
    subject: StringId,
    pattern: StringId,
) -> Result<Verdict> {
    let mut left = SLICE.min(call.state.budget.max(0));
    let granted = left;
    let heap = &call.state.heap;
    let found = search.next(
        heap.bytes(subject),
        until_nul(heap.bytes(pattern)),
        &mut left,
    );
    call.state.budget -= granted - left;
    found.map_err(|message| call.error(message))
}

/// What a search is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Find,
    Match,
    /// The function that `gmatch` returned: it keeps where it is.
    Iterate,
}

/// `find`, `match` and the iterator of `gmatch`.
struct Seek {
    search: Search,
    subject: StringId,
    pattern: StringId,
    purpose: Purpose,
}

impl Seek {
    fn step_or_stop(&mut self, call: &mut Call<'_>) -> Result<Option<NativeResult>> {
        match search(call, &mut self.search, self.subject, self.pattern)? {
            Verdict::Unfinished => Ok(None),
            Verdict::No => match self.purpose {
                Purpose::Iterate => Ok(Some(NativeResult::Return(0))),
                _ => call.ret(Value::Nil).map(Some),
            },
            Verdict::Match(end) => self.found(call, end).map(Some),
        }
    }

    fn found(&mut self, call: &mut Call<'_>, end: usize) -> Result<NativeResult> {
        let start = self.search.start;
        let mut count = 0;
        if self.purpose == Purpose::Find {
            call.push(Value::Number((start + 1) as f64))?;
            call.push(Value::Number(end as f64))?;
            count = 2;
        }
        let whole_if_none = self.purpose != Purpose::Find;
        count += push_captures(
            call,
            &self.search.matcher,
            self.subject,
            (start, end),
            whole_if_none,
        )?;
        if self.purpose == Purpose::Iterate {
            // An empty match must not come again.
            let next = if end == start { end + 1 } else { end };
            call.set_kept(2, Value::Number(next as f64));
        }
        Ok(NativeResult::Return(count))
    }

    fn start(mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        match self.step_or_stop(call)? {
            Some(flow) => Ok(flow),
            None => Ok(NativeResult::Task(Box::new(self))),
        }
    }
}

impl Task for Seek {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        Ok(self.step_or_stop(call)?.unwrap_or(NativeResult::Again))
    }

    fn held(&self) -> usize {
        self.search.matcher.held()
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::String(self.subject));
        visit(Value::String(self.pattern));
    }
}

/// Looking for plain bytes, in slices.
struct PlainFind {
    subject: StringId,
    pattern: StringId,
    at: usize,
}

impl PlainFind {
    fn run(&mut self, call: &mut Call<'_>) -> Result<Option<NativeResult>> {
        let (subject, pattern) = (call.bytes(self.subject), call.bytes(self.pattern));
        let length = pattern.len();
        // Starts that are tried at once: not fewer than the pattern is long, which every slice has to read.
        let starts = BYTES_PER_SLICE.max(length);
        let end = subject.len().min(self.at + starts + length);
        let found = memmem::find(&subject[self.at..end], pattern);
        let is_last = end == subject.len();
        call.charge_bytes(end - self.at + length);
        if let Some(found) = found {
            let start = self.at + found;
            call.push(Value::Number((start + 1) as f64))?;
            call.push(Value::Number((start + length) as f64))?;
            return Ok(Some(NativeResult::Return(2)));
        }
        if is_last {
            return call.ret(Value::Nil).map(Some);
        }
        self.at += starts;
        Ok(None)
    }
}

impl Task for PlainFind {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        Ok(self.run(call)?.unwrap_or(NativeResult::Again))
    }
}

/// Whether a pattern has no special bytes, as far as C reads it.
fn is_plain(pattern: &[u8]) -> bool {
    !until_nul(pattern)
        .iter()
        .any(|byte| b"^$*+?.([%-".contains(byte))
}

fn seek(call: &mut Call<'_>, purpose: Purpose) -> Result<NativeResult> {
    let subject = call.check_string(0)?;
    let pattern = call.check_string(1)?;
    let length = call.bytes(subject).len();
    let start = from_end(call.opt_integer(2, 1)?, length) - 1;
    let start = usize::try_from(start.max(0)).unwrap_or(length).min(length);
    if purpose == Purpose::Find && (call.arg(3).is_true() || is_plain(call.bytes(pattern))) {
        let mut find = PlainFind {
            subject,
            pattern,
            at: start,
        };
        return match find.run(call)? {
            Some(flow) => Ok(flow),
            None => Ok(NativeResult::Task(Box::new(find))),
        };
    }
    let search = Search::new(start, call.bytes(pattern), true);
    Seek {
        search,
        subject,
        pattern,
        purpose,
    }
    .start(call)
}

fn find(call: &mut Call<'_>) -> Result<NativeResult> {
    seek(call, Purpose::Find)
}

fn match_(call: &mut Call<'_>) -> Result<NativeResult> {
    seek(call, Purpose::Match)
}

fn gmatch(call: &mut Call<'_>) -> Result<NativeResult> {
    let subject = call.check_string(0)?;
    let pattern = call.check_string(1)?;
    call.ret_stateful(
        LibraryFunction::GmatchStep,
        vec![
            Value::String(subject),
            Value::String(pattern),
            Value::Number(0.0),
        ],
    )
}

/// What `gmatch` returns.
pub(super) fn gmatch_step(call: &mut Call<'_>) -> Result<NativeResult> {
    let (Value::String(subject), Value::String(pattern), Value::Number(at)) =
        (call.kept(0), call.kept(1), call.kept(2))
    else {
        return Ok(NativeResult::Return(0));
    };
    let start = at as usize;
    if start > call.bytes(subject).len() {
        return Ok(NativeResult::Return(0));
    }
    Seek {
        search: Search::new(start, b"", false),
        subject,
        pattern,
        purpose: Purpose::Iterate,
    }
    .start(call)
}

/// Appends bytes of a string to a buffer.
pub(super) fn append(
    out: &mut Vec<u8>,
    text: StringId,
    range: std::ops::Range<usize>,
    call: &mut Call<'_>,
) -> Result<()> {
    grow(out, range.len(), call)?;
    call.charge_bytes(range.len());
    out.extend_from_slice(&call.bytes(text)[range]);
    Ok(())
}
