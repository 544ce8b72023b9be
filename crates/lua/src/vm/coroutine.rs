//! Going from one coroutine to another.

use super::State;
use super::error::Error;
use super::thread::{After, FrameKind, Status, Thread};
use crate::heap::OutOfMemory;
use crate::limits::NATIVE_LEVELS_MAX;
use crate::value::{ThreadId, Value};

impl State {
    /// A coroutine that will call a function.
    pub(crate) fn new_thread(&mut self, function: Value) -> Result<ThreadId, OutOfMemory> {
        let thread = Thread {
            // The function waits in the first slot; the stack grows when the coroutine runs.
            stack: vec![function],
            ..Thread::default()
        };
        self.heap.charge(thread.bytes())?;
        Ok(ThreadId(self.heap.threads.insert(thread, self.heap.mark)))
    }

    /// Puts the running coroutine into its place and takes another one out.
    pub(crate) fn switch_to(&mut self, id: ThreadId) {
        let from = self.thread_id.index();
        std::mem::swap(&mut self.thread, &mut self.heap.threads[from]);
        std::mem::swap(&mut self.thread, &mut self.heap.threads[id.index()]);
        self.thread_id = id;
    }

    pub(crate) fn status(&self, id: ThreadId) -> Status {
        if id == self.thread_id {
            self.thread.status
        } else {
            self.heap.threads[id.index()].status
        }
    }

    /// Goes on in a suspended coroutine with values from the running one's stack. The frame that waits for it is on top.
    pub(crate) fn resume_thread(
        &mut self,
        id: ThreadId,
        first: usize,
        count: usize,
    ) -> Result<(), Error> {
        let levels = self.thread.levels + 1;
        if levels >= NATIVE_LEVELS_MAX {
            return self.refuse_resume(b"C stack overflow");
        }
        let resumer = self.thread_id;
        self.thread.status = Status::Normal;
        self.switch_to(id);
        let pending = self.thread.pending.take();
        let target = match pending {
            None => 1,
            Some((func, _)) => func as usize + 1,
        };
        if let Err(error) = self.ensure_stack(target + count) {
            self.thread.pending = pending;
            self.switch_to(resumer);
            self.thread.status = Status::Running;
            self.thread.frames.pop();
            self.restore_levels();
            return Err(error.into());
        }
        self.thread.status = Status::Running;
        self.thread.resumer = Some(resumer);
        self.thread.base_levels = levels;
        self.thread.levels = levels;
        for frame in &mut self.thread.frames {
            frame.levels = levels;
        }
        let source = &self.heap.threads[resumer.index()].stack[first..first + count];
        self.thread.stack[target..target + count].copy_from_slice(source);
        match pending {
            None => self.call(0, count, After::Exit),
            Some((func, after)) => self.deliver(after, func as usize, target, count),
        }
    }

    /// Answers a `resume` that cannot be done, as if the coroutine had failed.
    fn refuse_resume(&mut self, text: &[u8]) -> Result<(), Error> {
        let Some(frame) = self.thread.frames.pop() else {
            return Ok(());
        };
        self.restore_levels();
        let id = self.heap.string(text)?;
        if matches!(frame.kind, FrameKind::Resume { is_wrap: true }) {
            let mut message = self.place_of(self.thread.frames.len().wrapping_sub(1));
            message.extend_from_slice(text);
            return Err(self.text_error(&message));
        }
        let base = frame.base as usize;
        self.thread.stack[base] = Value::Boolean(false);
        self.thread.stack[base + 1] = Value::String(id);
        self.deliver(frame.after, frame.func as usize, base, 2)
    }

    /// `coroutine.yield`: its arguments become the results of the resume.
    pub(crate) fn yield_thread(
        &mut self,
        func: usize,
        first: usize,
        count: usize,
        after: After,
    ) -> Result<(), Error> {
        let is_inside = after.is_boundary() || self.thread.levels > self.thread.base_levels;
        if self.thread_id == self.main || is_inside {
            return Err(self.text_error(b"attempt to yield across metamethod/C-call boundary"));
        }
        self.thread.pending = Some((super::call::slot(func), after));
        self.thread.top = super::call::slot(func + 1);
        self.give_way(first, count, Status::Suspended)
    }

    /// Hands values to the coroutine that resumed this one, and goes on there.
    pub(crate) fn give_way(
        &mut self,
        first: usize,
        count: usize,
        status: Status,
    ) -> Result<(), Error> {
        let from = self.thread_id;
        let Some(resumer) = self.thread.resumer else {
            return Ok(());
        };
        let base = {
            let waiting = &self.heap.threads[resumer.index()];
            waiting.frames.last().map_or(0, |frame| frame.base as usize)
        };
        self.thread.status = status;
        self.switch_to(resumer);
        // One slot for `true`, and the values behind it.
        if let Err(error) = self.ensure_stack(base + 1 + count) {
            self.switch_to(from);
            self.thread.status = Status::Running;
            if matches!(status, Status::Suspended) {
                self.thread.pending = None;
            }
            return Err(error.into());
        }
        self.thread.status = Status::Running;
        let other = &mut self.heap.threads[from.index()];
        other.resumer = None;
        let source = &other.stack[first..first + count];
        self.thread.stack[base + 1..base + 1 + count].copy_from_slice(source);
        if status == Status::Dead {
            let freed = other.bytes();
            other.stack = Vec::new();
            other.frames = Vec::new();
            let left = other.bytes();
            self.heap.release(freed - left);
        }
        let Some(frame) = self.thread.frames.pop() else {
            return Ok(());
        };
        self.restore_levels();
        let func = frame.func as usize;
        if matches!(frame.kind, FrameKind::Resume { is_wrap: true }) {
            return self.deliver(frame.after, func, base + 1, count);
        }
        self.thread.stack[base] = Value::Boolean(true);
        self.deliver(frame.after, func, base, count + 1)
    }

    /// Frees the stack of the running coroutine, which is dead.
    pub(crate) fn shrink_dead(&mut self) {
        let before = self.thread.bytes();
        self.thread.stack = Vec::new();
        self.thread.frames = Vec::new();
        let after = self.thread.bytes();
        self.heap.release(before - after);
    }
}
