//! `string.gsub`: matches replaced by a string, a table's field, or a call.

use super::pattern::{Search, Verdict};
use super::string::{append, capture, push_captures};
use crate::limits::SLICE;
use crate::number::until_nul;
use crate::value::{StringId, Value};
use crate::vm::error::Error;
use crate::vm::operate::Indexed;
use crate::vm::task::{Call, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

struct Substitute {
    search: Search,
    subject: StringId,
    pattern: StringId,
    /// What is kept of the subject begins here.
    copied: usize,
    out: Vec<u8>,
    count: usize,
    count_max: usize,
    /// The match whose replacement is being looked for: start and end.
    asked: Option<(usize, usize)>,
}

impl Substitute {
    /// Goes on: the flow of a call or the end, or none when the slice is over.
    fn run(&mut self, call: &mut Call<'_>) -> Result<Option<NativeResult>> {
        let mut left = SLICE.min(call.state.budget.max(0));
        let granted = left;
        let done = self.matches(call, &mut left);
        call.state.budget -= granted - left;
        done
    }

    fn matches(&mut self, call: &mut Call<'_>, left: &mut i64) -> Result<Option<NativeResult>> {
        loop {
            let length = call.bytes(self.subject).len();
            if self.count >= self.count_max || self.search.start > length {
                return self.finish(call).map(Some);
            }
            let heap = &call.state.heap;
            let (subject, pattern) = (
                heap.bytes(self.subject),
                until_nul(heap.bytes(self.pattern)),
            );
            let verdict = match self.search.here(subject, pattern, left) {
                Ok(verdict) => verdict,
                Err(message) => return Err(call.error(message)),
            };
            match verdict {
                Verdict::Unfinished => return Ok(None),
                Verdict::No => {
                    // The byte at hand stays, and with an anchor all the rest.
                    if self.search.is_anchored() {
                        return self.finish(call).map(Some);
                    }
                    self.search.move_to(self.search.start + 1);
                }
                Verdict::Match(end) => {
                    if let Some(flow) = self.replace(call, end)? {
                        return Ok(Some(flow));
                    }
                }
            }
        }
    }

    /// Replaces the match that ends here, or asks for its replacement.
    fn replace(&mut self, call: &mut Call<'_>, end: usize) -> Result<Option<NativeResult>> {
        let start = self.search.start;
        let whole = (start, end);
        let value = match call.arg(2) {
            function @ (Value::Function(_) | Value::Native(_)) => {
                call.push(function)?;
                let count = push_captures(call, &self.search.matcher, self.subject, whole, true)?;
                self.asked = Some(whole);
                return Ok(Some(NativeResult::Call(count)));
            }
            table @ Value::Table(_) => {
                let key = capture(call, &self.search.matcher, 0, self.subject, whole)?;
                match call.state.look_up(table, key, None)? {
                    Indexed::Value(value) => value,
                    Indexed::Call { handler, object } => {
                        call.push(handler)?;
                        call.push(object)?;
                        call.push(key)?;
                        self.asked = Some(whole);
                        return Ok(Some(NativeResult::Call(2)));
                    }
                }
            }
            _ => {
                let kept = self.out.len();
                if let Err(error) = self.expand(call, whole) {
                    self.out.truncate(kept);
                    return Err(error);
                }
                self.after(whole);
                return Ok(None);
            }
        };
        self.put(call, value, whole)?;
        Ok(None)
    }

    /// Writes the replacement string with its `%1`.
    fn expand(&mut self, call: &mut Call<'_>, whole: (usize, usize)) -> Result<()> {
        append(&mut self.out, self.subject, self.copied..whole.0, call)?;
        let Value::String(template) = call.arg(2) else {
            return Ok(());
        };
        let mut at = 0;
        loop {
            let rest = &call.bytes(template)[at..];
            let plain = memchr::memchr(b'%', rest).unwrap_or(rest.len());
            append(&mut self.out, template, at..at + plain, call)?;
            at += plain;
            if at >= call.bytes(template).len() {
                return Ok(());
            }
            // A lone `%` at the end stands before the NUL that ends a C string.
            let sign = call.bytes(template).get(at + 1).copied().unwrap_or(0);
            at = (at + 2).min(call.bytes(template).len());
            match sign {
                b'0' => append(&mut self.out, self.subject, whole.0..whole.1, call)?,
                b'1'..=b'9' => {
                    let index = usize::from(sign - b'1');
                    let value = capture(call, &self.search.matcher, index, self.subject, whole)?;
                    self.append_value(call, value)?;
                }
                other => self.out.push(other),
            }
        }
    }

    fn append_value(&mut self, call: &mut Call<'_>, value: Value) -> Result<bool> {
        let Some(text) = call.state.text_of(value)? else {
            return Ok(false);
        };
        let length = call.bytes(text).len();
        append(&mut self.out, text, 0..length, call)?;
        Ok(true)
    }

    /// Puts a value that was found for a match in its place; false and nil keep the match.
    fn put(&mut self, call: &mut Call<'_>, value: Value, whole: (usize, usize)) -> Result<()> {
        let kept = self.out.len();
        let put = if value.is_true() {
            append(&mut self.out, self.subject, self.copied..whole.0, call)
                .and_then(|()| self.append_value(call, value))
        } else {
            append(&mut self.out, self.subject, self.copied..whole.1, call).map(|()| true)
        };
        match put {
            Ok(true) => {
                self.after(whole);
                Ok(())
            }
            Ok(false) => {
                let kind = value.type_name();
                Err(call.error(&format!("invalid replacement value (a {kind})")))
            }
            Err(error) => {
                self.out.truncate(kept);
                Err(error)
            }
        }
    }

    /// Goes on behind a match that has been replaced.
    fn after(&mut self, (start, end): (usize, usize)) {
        self.count += 1;
        self.copied = end;
        // After an empty match the byte at hand stays.
        self.search.move_to(if end > start { end } else { end + 1 });
        if self.search.is_anchored() {
            self.count_max = self.count;
        }
    }

    fn finish(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        let length = call.bytes(self.subject).len();
        let kept = self.out.len();
        append(
            &mut self.out,
            self.subject,
            self.copied.min(length)..length,
            call,
        )?;
        let text = match call.string_of(&mut self.out) {
            Ok(text) => text,
            Err(error) => {
                self.out.truncate(kept);
                return Err(error);
            }
        };
        call.push(text)?;
        call.push(Value::Number(self.count as f64))?;
        Ok(NativeResult::Return(2))
    }
}

impl Task for Substitute {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if let Some(whole) = self.asked {
            let value = call.result(0);
            self.put(call, value, whole)?;
            self.asked = None;
        }
        Ok(self.run(call)?.unwrap_or(NativeResult::Again))
    }

    fn held(&self) -> usize {
        self.out.capacity() + self.search.matcher.held()
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::String(self.subject));
        visit(Value::String(self.pattern));
    }
}

pub(super) fn gsub(call: &mut Call<'_>) -> Result<NativeResult> {
    let subject = call.check_string(0)?;
    let pattern = call.check_string(1)?;
    let everything = i32::try_from(call.bytes(subject).len() + 1).unwrap_or(i32::MAX);
    let count_max = call.opt_int(3, everything)?;
    match call.arg(2) {
        Value::Number(_) | Value::String(_) => {
            call.check_string(2)?;
        }
        Value::Table(_) | Value::Function(_) | Value::Native(_) => {}
        _ => return Err(call.argument_error(2, "string/function/table expected")),
    }
    let search = Search::new(0, call.bytes(pattern), true);
    let mut substitute = Substitute {
        search,
        subject,
        pattern,
        copied: 0,
        out: Vec::new(),
        count: 0,
        count_max: usize::try_from(count_max).unwrap_or(0),
        asked: None,
    };
    if !matches!(call.arg(2), Value::String(_)) {
        // What is called, and the errors of what is looked up, belong above a frame of its own.
        return Ok(NativeResult::Task(Box::new(substitute)));
    }
    match substitute.run(call)? {
        Some(flow) => Ok(flow),
        None => Ok(NativeResult::Task(Box::new(substitute))),
    }
}
