//! From an error to whoever catches it: handlers first, while the frames stand, then the frames fall.

use super::error::Error;
use super::thread::{After, FrameKind, Status};
use super::{Failure, FailureKind, Place, State};
use crate::value::Value;

/// What memory errors say.
const NOT_ENOUGH_MEMORY: &[u8] = b"not enough memory";

/// What an error in a handler of errors becomes.
const ERROR_IN_HANDLER: &[u8] = b"error in error handling";

/// Who looks at an error first.
enum Catcher {
    /// A handler, and the error it gets.
    Handler {
        handler: Value,
    },
    /// A protected call without one.
    Protected,
    Nobody,
}

impl State {
    /// Takes an error to its catcher; the failure if there is none.
    pub(crate) fn unwind(&mut self, mut error: Error) -> Option<Failure> {
        if self.failed_place.is_none() {
            self.failed_place = self.error_place();
        }
        loop {
            if let Error::Raised(value) = error {
                match self.catcher() {
                    Catcher::Handler { handler } => match self.call_handler(handler, value) {
                        Ok(()) => return None,
                        Err(next) => {
                            error = next;
                            continue;
                        }
                    },
                    Catcher::Protected => {
                        self.catch(value);
                        return None;
                    }
                    Catcher::Nobody => {}
                }
            } else if self.protected().is_some() {
                let value = self.error_value(error);
                self.catch(value);
                return None;
            }
            if self.thread_id == self.main {
                let kind = match error {
                    Error::Raised(_) => FailureKind::Raised,
                    Error::Memory => FailureKind::Memory,
                    Error::InHandler => FailureKind::InHandler,
                };
                return Some(Failure {
                    value: self.error_value(error),
                    place: self.failed_place.take(),
                    kind,
                });
            }
            match self.kill_thread(error) {
                None => return None,
                Some(next) => error = next,
            }
        }
    }

    fn error_place(&self) -> Option<Place> {
        (0..self.thread.frames.len()).rev().find_map(|frame| {
            let (proto, pc) = self.frame_code(frame)?;
            Some(Place {
                source: proto.source?,
                line: proto.line(pc),
            })
        })
    }

    fn error_value(&mut self, error: Error) -> Value {
        let text = match error {
            Error::Raised(value) => return value,
            Error::Memory => NOT_ENOUGH_MEMORY,
            Error::InHandler => ERROR_IN_HANDLER,
        };
        // Both texts exist from the beginning, so that they cost no memory now.
        self.heap.string(text).map_or(Value::Nil, Value::String)
    }

    /// The innermost protected call of this coroutine.
    fn protected(&self) -> Option<usize> {
        let is_protected =
            |frame: &super::thread::Frame| matches!(frame.kind, FrameKind::Protected { .. });
        self.thread.frames.iter().rposition(is_protected)
    }

    fn catcher(&self) -> Catcher {
        let Some(place) = self.protected() else {
            return Catcher::Nobody;
        };
        let frame = &self.thread.frames[place];
        match frame.kind {
            FrameKind::Protected { has_handler: true } => Catcher::Handler {
                handler: self.thread.stack[frame.base as usize],
            },
            _ => Catcher::Protected,
        }
    }

    fn call_handler(&mut self, handler: Value, value: Value) -> Result<(), Error> {
        if !matches!(handler, Value::Function(_) | Value::Native(_)) {
            return Err(Error::InHandler);
        }
        let top = self.thread.live_top();
        self.ensure_stack(top + 2)?;
        self.thread.stack[top] = handler;
        self.thread.stack[top + 1] = value;
        self.call(top, 1, After::Handler)?;
        Ok(())
    }

    /// Ends the innermost protected call with an error.
    pub(crate) fn catch(&mut self, value: Value) {
        let Some(place) = self.protected() else {
            return;
        };
        self.failed_place = None;
        self.retry = None;
        let frame = &self.thread.frames[place];
        let (base, func, after) = (frame.base as usize, frame.func as usize, frame.after);
        let unwraps = matches!(frame.kind, FrameKind::Protected { has_handler: false });
        self.close_upvalues(base);
        self.drop_frames(place);
        self.thread.top = 0;
        let value = if unwraps {
            self.unwrap_err(value)
        } else {
            value
        };
        self.thread.stack[base] = Value::Boolean(false);
        self.thread.stack[base + 1] = value;
        // Only the end of a coroutine can fail for lack of memory; then its resumer learns of it.
        if let Err(error) = self.deliver(after, func, base, 2) {
            self.raised = match error {
                Error::Raised(value) => Some(value),
                other => Some(self.error_value(other)),
            };
        }
    }

    /// The text of an error that is a table, where the options ask for it.
    fn unwrap_err(&mut self, value: Value) -> Value {
        if !self.options.pcall_unwraps_err {
            return value;
        }
        let Value::Table(table) = value else {
            return value;
        };
        match self.field(table, "err") {
            text @ Value::String(_) => text,
            Value::Number(number) => {
                let mut text = Vec::new();
                crate::number::write_number(number, &mut text);
                self.heap.string(&text).map_or(value, Value::String)
            }
            _ => value,
        }
    }

    /// Takes frames away, and what their tasks held.
    pub(crate) fn drop_frames(&mut self, keep: usize) {
        while self.thread.frames.len() > keep {
            if let Some(frame) = self.thread.frames.pop()
                && let FrameKind::Task(waiting) = &frame.kind
            {
                self.heap.release(waiting.held);
                let task = waiting.task.as_ref();
                if task.is_some_and(|task| task.pauses_collector()) {
                    self.collector_paused = false;
                }
            }
        }
        self.restore_levels();
    }

    /// A coroutine ends with an error, which goes to its resumer: as a result, or raised there again.
    fn kill_thread(&mut self, error: Error) -> Option<Error> {
        let value = self.error_value(error);
        self.close_upvalues(0);
        self.drop_frames(0);
        let resumer = self.thread.resumer.take().unwrap_or(self.main);
        self.thread.status = Status::Dead;
        self.shrink_dead();
        self.switch_to(resumer);
        self.thread.status = Status::Running;
        let frame = self.thread.frames.pop()?;
        self.restore_levels();
        let FrameKind::Resume { is_wrap } = frame.kind else {
            return Some(error);
        };
        if is_wrap {
            let mut text = self.place_of(self.thread.frames.len().wrapping_sub(1));
            if matches!(frame.after, After::Native) {
                text.clear();
            }
            return Some(match (error, value) {
                (Error::Raised(_), Value::String(id)) if !text.is_empty() => {
                    text.extend_from_slice(self.heap.bytes(id));
                    self.text_error(&text)
                }
                _ => Error::Raised(value),
            });
        }
        self.failed_place = None;
        let base = frame.base as usize;
        self.thread.stack[base] = Value::Boolean(false);
        self.thread.stack[base + 1] = value;
        self.deliver(frame.after, frame.func as usize, base, 2)
            .err()
    }
}
