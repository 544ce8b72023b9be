//! How native functions run: at once, or as tasks that are left and continued.

use super::State;
use super::error::Error;
use crate::value::{ThreadId, Value};

/// What a native function leaves behind.
pub(crate) enum NativeResult {
    /// It is done; so many results were pushed.
    Return(usize),
    /// A function and so many arguments were pushed: call it, and continue with its results.
    Call(usize),
    /// It has worked for a while: count that, and continue.
    Again,
    /// It goes on as a task.
    Task(Box<dyn Task>),
    /// Call the first argument with the others, and catch errors.
    Protect { has_handler: bool },
    /// Go on in another coroutine, with the arguments from this one on.
    Resume {
        thread: ThreadId,
        first: usize,
        is_wrap: bool,
    },
    /// Give way to whoever resumed this coroutine.
    Yield,
}

/// A native function's work that goes on over calls and slices.
///
/// Its arguments stay where they were. A step that fails for lack of memory must have changed nothing: it is taken again
/// after a collection.
pub(crate) trait Task: Send {
    /// Goes on: at first, after [`NativeResult::Again`], and with the results of a call.
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult, Error>;

    /// Bytes that it has allocated.
    fn held(&self) -> usize {
        0
    }

    /// Names the values that it refers to, beside its arguments.
    fn trace(&self, _visit: &mut dyn FnMut(Value)) {}

    /// Whether what it waits for is the end of another call, as far as it knows; compiling sets this to keep the
    /// collector away.
    fn pauses_collector(&self) -> bool {
        false
    }
}

/// A native function.
pub(crate) type Native = fn(&mut Call<'_>) -> Result<NativeResult, Error>;

/// A native function's view of its call.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    /// The slot of the first argument.
    pub(crate) base: usize,
    pub(crate) count: usize,
    /// Values pushed so far.
    pub(crate) pushed: usize,
    /// Results of the call that a task made: the first slot and how many.
    pub(crate) results: (usize, usize),
    /// Whether the topmost frame is its own.
    pub(crate) has_frame: bool,
    /// Whether native code called it.
    pub(crate) is_boundary: bool,
}

impl Call<'_> {
    /// An argument; nil where there is none.
    pub(crate) fn arg(&self, index: usize) -> Value {
        if index < self.count {
            self.state.thread.stack[self.base + index]
        } else {
            Value::Nil
        }
    }

    pub(crate) fn has(&self, index: usize) -> bool {
        index < self.count
    }

    pub(crate) fn set_arg(&mut self, index: usize, value: Value) {
        if index < self.count {
            self.state.thread.stack[self.base + index] = value;
        }
    }

    /// A result of the call that the task made.
    pub(crate) fn result(&self, index: usize) -> Value {
        if index < self.results.1 {
            self.state.thread.stack[self.results.0 + index]
        } else {
            Value::Nil
        }
    }

    pub(crate) fn push(&mut self, value: Value) -> Result<(), Error> {
        let slot = self.base + self.count + self.pushed;
        self.state.ensure_stack(slot + 1)?;
        self.state.thread.stack[slot] = value;
        self.pushed += 1;
        Ok(())
    }

    /// Returns one value.
    pub(crate) fn ret(&mut self, value: Value) -> Result<NativeResult, Error> {
        self.push(value)?;
        Ok(NativeResult::Return(1))
    }

    pub(crate) fn ret_bytes(&mut self, bytes: &[u8]) -> Result<NativeResult, Error> {
        let id = self.state.heap.string(bytes)?;
        self.ret(Value::String(id))
    }

    /// Makes a string of a buffer, which a task that holds it has counted already. The buffer stays if memory is used up.
    pub(crate) fn string_of(&mut self, buffer: &mut Vec<u8>) -> Result<Value, Error> {
        let counted = match self.state.thread.frames.last() {
            Some(frame) if self.has_frame => frame.held(),
            _ => 0,
        };
        let heap = &mut self.state.heap;
        heap.release(counted);
        let made = heap
            .check_string(buffer.len())
            .and_then(|()| heap.string_from(std::mem::take(buffer)));
        heap.bytes += counted;
        Ok(Value::String(made?))
    }

    /// Returns a buffer as a string.
    pub(crate) fn ret_buffer(&mut self, buffer: &mut Vec<u8>) -> Result<NativeResult, Error> {
        let text = self.string_of(buffer)?;
        self.ret(text)
    }

    /// Counts work into the budget.
    pub(crate) fn charge(&mut self, units: usize) {
        self.state.budget -= i64::try_from(units).unwrap_or(i64::MAX / 2);
    }

    /// Counts bytes copied or compared into the budget.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) {
        self.charge(bytes / crate::limits::BYTES_PER_UNIT);
    }
}
