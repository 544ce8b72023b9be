//! Calls and returns.

use super::error::Error;
use super::meta::Event;
use super::task::{Call, Native, NativeResult};
use super::thread::{After, Frame, FrameKind, TaskFrame};
use super::{HOST_FUNCTIONS, HostCall, Retry, State, Stop};
use crate::heap::{Function, OutOfMemory, Upvalue};
use crate::limits::{FRAMES_MAX, FRAMES_SPARE, NATIVE_LEVELS_MAX, NATIVE_LEVELS_SPARE};
use crate::op::OPEN;
use crate::value::{FunctionId, NativeId, Value};

/// A slot as frames keep it. Stacks are limited by memory to far fewer.
#[inline]
pub(crate) fn slot(index: usize) -> u32 {
    index as u32
}

impl State {
    /// Calls the value in a slot with the arguments behind it.
    #[inline]
    pub(crate) fn call(&mut self, func: usize, args: usize, after: After) -> Result<(), Error> {
        if after.is_boundary() {
            self.enter_native_level()?;
        }
        self.call_now(func, args, after)
    }

    /// The same for a call whose native level is counted already.
    #[inline]
    pub(crate) fn call_now(&mut self, func: usize, args: usize, after: After) -> Result<(), Error> {
        let called = match self.thread.stack[func] {
            Value::Function(id) => match &self.heap.functions[id.index()] {
                Function::Lua(_) => self.enter_lua(id, func, args, after),
                Function::Native { id, .. } => {
                    let id = *id;
                    self.run_native(id, func, args, after)
                }
            },
            Value::Native(id) => self.run_native(id, func, args, after),
            other => return self.call_other(other, func, args, after),
        };
        if let Err(Error::Memory) = called
            && self.retry.is_none()
            && self.ending.is_none()
        {
            self.retry = Some(Retry { func, args, after });
        }
        called
    }

    /// Calls a value that is no function, through its metamethod.
    #[cold]
    fn call_other(
        &mut self,
        callee: Value,
        func: usize,
        args: usize,
        after: After,
    ) -> Result<(), Error> {
        let handler = self.metamethod(callee, Event::Call);
        if !matches!(handler, Value::Function(_) | Value::Native(_)) {
            let register = match (after, self.thread.frames.last()) {
                (After::Results(_), Some(frame)) if matches!(frame.kind, FrameKind::Lua(_)) => func
                    .checked_sub(frame.base as usize)
                    .and_then(|register| u8::try_from(register).ok()),
                _ => None,
            };
            return Err(self.type_error("call", callee, register));
        }
        self.ensure_stack(func + args + 2)?;
        self.thread.stack.copy_within(func..=func + args, func + 1);
        self.thread.stack[func] = handler;
        self.call_now(func, args + 1, after)
    }

    fn enter_native_level(&mut self) -> Result<(), Error> {
        self.thread.levels += 1;
        if self.thread.levels == NATIVE_LEVELS_MAX {
            return Err(self.error("C stack overflow"));
        }
        if self.thread.levels >= NATIVE_LEVELS_MAX + NATIVE_LEVELS_SPARE + 3 {
            return Err(Error::InHandler);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn restore_levels(&mut self) {
        let thread = &mut self.thread;
        thread.levels = thread
            .frames
            .last()
            .map_or(thread.base_levels, |frame| frame.levels);
    }

    /// Makes sure that a frame can be pushed.
    #[inline]
    fn reserve_frame(&mut self) -> Result<(), Error> {
        let frames = &self.thread.frames;
        if frames.len() >= FRAMES_MAX - 1 || frames.len() == frames.capacity() {
            return self.make_frame_room();
        }
        Ok(())
    }

    #[cold]
    fn make_frame_room(&mut self) -> Result<(), Error> {
        let frames = &mut self.thread.frames;
        if frames.len() == FRAMES_MAX - 1 {
            // The one that is called does not run, but a handler above it may.
            return Err(self.error("stack overflow"));
        }
        if frames.len() > FRAMES_MAX + FRAMES_SPARE {
            return Err(Error::InHandler);
        }
        if frames.len() == frames.capacity() {
            let more = frames.capacity().max(8);
            self.heap.charge(more * size_of::<Frame>())?;
            frames.reserve_exact(more);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn enter_lua(
        &mut self,
        id: FunctionId,
        func: usize,
        args: usize,
        after: After,
    ) -> Result<(), Error> {
        let Function::Lua(closure) = &self.heap.functions[id.index()] else {
            return Ok(());
        };
        let proto = &self.protos[closure.proto.index()];
        let registers = usize::from(proto.registers);
        let mut given = args.min(usize::from(proto.params));
        let mut base = func + 1;
        if proto.is_vararg {
            let (params, needs_arg) = (usize::from(proto.params), proto.needs_arg);
            base += args;
            self.ensure_stack(base + registers)?;
            given = self.shift_params(func + 1, args, params, needs_arg)?;
        } else {
            self.ensure_stack(base + registers)?;
        }
        let top = base + registers;
        self.reserve_frame()?;
        self.thread
            .push_frame(FrameKind::Lua(id), after, slot(func), slot(base), slot(top));
        self.thread.stack[base + given..top].fill(Value::Nil);
        self.thread.top = 0;
        Ok(())
    }

    /// Copies the parameters of a function with variable arguments above those; how many registers are filled.
    fn shift_params(
        &mut self,
        first: usize,
        args: usize,
        params: usize,
        needs_arg: bool,
    ) -> Result<usize, Error> {
        let base = first + args;
        let given = args.min(params);
        let arg = if needs_arg {
            Some(self.arg_table(first + params, args.saturating_sub(params))?)
        } else {
            None
        };
        for index in 0..given {
            self.thread.stack[base + index] = std::mem::take(&mut self.thread.stack[first + index]);
        }
        let Some(arg) = arg else {
            return Ok(given);
        };
        self.thread.stack[base + given..base + params].fill(Value::Nil);
        self.thread.stack[base + params] = arg;
        Ok(params + 1)
    }

    /// The table `arg` of Lua 5.0: the variable arguments and how many they are.
    fn arg_table(&mut self, first: usize, count: usize) -> Result<Value, OutOfMemory> {
        let table = self.heap.table(count, 1)?;
        for index in 0..count {
            let value = self.thread.stack[first + index];
            self.heap.tables[table.index()].array_mut()[index] = value;
        }
        let name = self.heap.string(b"n")?;
        self.heap
            .raw_set(table, Value::String(name), Value::Number(count as f64))?;
        Ok(Value::Table(table))
    }

    pub(crate) fn run_native(
        &mut self,
        id: NativeId,
        func: usize,
        args: usize,
        after: After,
    ) -> Result<(), Error> {
        let base = func + 1;
        if id.0 >= HOST_FUNCTIONS {
            self.waiting = Some((func, after));
            self.arguments = (base, args);
            self.thread.top = slot(base + args);
            self.stop = Some(Stop::Host(HostCall {
                function: id.0 - HOST_FUNCTIONS,
            }));
            return Ok(());
        }
        let native: Native = self.natives[id.index()];
        self.ensure_stack(base + args)?;
        self.budget -= 2;
        let mut call = Call {
            state: self,
            base,
            count: args,
            pushed: 0,
            results: (0, 0),
            has_frame: false,
            is_boundary: after.is_boundary(),
        };
        let flow = native(&mut call)?;
        let first = base + args + call.pushed;
        match flow {
            NativeResult::Return(values) => {
                if after.is_boundary() {
                    self.restore_levels();
                }
                self.deliver(after, func, first - values, values)
            }
            NativeResult::Task(task) => {
                let held = task.held();
                let frame = TaskFrame {
                    task: Some(task),
                    held,
                    results: (0, 0),
                };
                self.push_native_frame(
                    FrameKind::Task(Box::new(frame)),
                    func,
                    base,
                    base + args,
                    after,
                )?;
                self.heap.bytes += held;
                Ok(())
            }
            NativeResult::Protect { has_handler } => {
                self.push_native_frame(
                    FrameKind::Protected { has_handler },
                    func,
                    base,
                    base + args,
                    after,
                )?;
                if has_handler {
                    self.thread.stack.swap(base, base + 1);
                    self.call(base + 1, 0, After::Native)
                } else {
                    self.call(base, args - 1, After::Native)
                }
            }
            NativeResult::Resume {
                thread,
                first,
                is_wrap,
            } => {
                self.push_native_frame(
                    FrameKind::Resume { is_wrap },
                    func,
                    base,
                    base + args,
                    after,
                )?;
                self.resume_thread(thread, base + first, args - first)
            }
            NativeResult::Yield => self.yield_thread(func, base, args, after),
            NativeResult::Call(_) | NativeResult::Again => {
                Err(self.error("a function may not do this"))
            }
        }
    }

    fn push_native_frame(
        &mut self,
        kind: FrameKind,
        func: usize,
        base: usize,
        top: usize,
        after: After,
    ) -> Result<(), Error> {
        self.thread.top = 0;
        self.reserve_frame()?;
        self.thread
            .push_frame(kind, after, slot(func), slot(base), slot(top));
        Ok(())
    }

    /// Hands results on, for a call whose frame is gone: `count` values from the slot `first` on.
    pub(crate) fn deliver(
        &mut self,
        mut after: After,
        mut func: usize,
        mut first: usize,
        mut count: usize,
    ) -> Result<(), Error> {
        loop {
            let value = if count > 0 {
                self.thread.stack[first]
            } else {
                Value::Nil
            };
            match after {
                After::Results(wanted) => {
                    self.place_results(func, first, count, wanted);
                    return Ok(());
                }
                After::Store(register) => {
                    if let Some(frame) = self.thread.frames.last() {
                        self.thread.stack[frame.base as usize + usize::from(register)] = value;
                    }
                    return Ok(());
                }
                After::Jump { expect, to } => {
                    if value.is_true() == expect
                        && let Some(frame) = self.thread.frames.last_mut()
                    {
                        frame.pc = to;
                    }
                    return Ok(());
                }
                After::Concat(register) => {
                    if let Some(frame) = self.thread.frames.last_mut() {
                        self.thread.stack[frame.base as usize + usize::from(register)] = value;
                        frame.concat_last = Some(register);
                        frame.pc -= 1;
                    }
                    return Ok(());
                }
                After::Discard => return Ok(()),
                After::Native => {
                    let Some(frame) = self.thread.frames.last_mut() else {
                        return Ok(());
                    };
                    if let FrameKind::Task(task) = &mut frame.kind {
                        task.results = (slot(first), slot(count));
                        return Ok(());
                    }
                    // What was called is done, so the slot before its results is free.
                    first -= 1;
                    count += 1;
                    (after, func) = (frame.after, frame.func as usize);
                    self.thread.stack[first] = Value::Boolean(true);
                    self.thread.frames.pop();
                    self.restore_levels();
                }
                After::Handler => {
                    self.catch(value);
                    return Ok(());
                }
                After::Exit => return self.finish_thread(first, count),
            }
        }
    }

    #[inline]
    fn place_results(&mut self, func: usize, first: usize, count: usize, wanted: u8) {
        let stack = &mut self.thread.stack;
        if wanted == OPEN {
            stack.copy_within(first..first + count, func);
            self.thread.top = slot(func + count);
            return;
        }
        let wanted = usize::from(wanted) - 1;
        match wanted {
            0 => {}
            1 => stack[func] = if count > 0 { stack[first] } else { Value::Nil },
            _ => {
                let kept = count.min(wanted);
                stack.copy_within(first..first + kept, func);
                stack[func + kept..func + wanted].fill(Value::Nil);
            }
        }
        self.thread.top = 0;
    }

    /// Ends the topmost frame, a Lua function's, with values from the slot `first` on.
    #[inline]
    pub(crate) fn return_from_lua(&mut self, first: usize, count: usize) -> Result<(), Error> {
        let Some(frame) = self.thread.frames.last() else {
            return Ok(());
        };
        let (after, func, base) = (frame.after, frame.func as usize, frame.base as usize);
        let below = self.thread.frames.len() - 1;
        self.thread.frames.truncate(below);
        if !self.thread.open.is_empty() {
            self.close_upvalues(base);
        }
        if let After::Results(wanted) = after {
            self.place_results(func, first, count, wanted);
            return Ok(());
        }
        if after.is_boundary() {
            self.restore_levels();
        }
        self.deliver(after, func, first, count)
    }

    /// The main function or a coroutine's has returned.
    pub(super) fn finish_thread(&mut self, first: usize, count: usize) -> Result<(), Error> {
        if self.thread_id == self.main {
            self.results.clear();
            self.results
                .extend_from_slice(&self.thread.stack[first..first + count]);
            self.stop = Some(Stop::Done);
            return Ok(());
        }
        let ended = self.thread_id;
        let given = self.give_way(first, count, super::Status::Dead);
        if matches!(given, Err(Error::Memory)) && self.thread_id == ended {
            // What has returned is gone: only this can be made again.
            self.ending = Some((first, count));
            self.thread.top = slot(first + count);
        }
        given
    }

    /// Calls a Lua function in place of the running one.
    pub(crate) fn tail_call(&mut self, func: usize, args: usize) -> Result<(), Error> {
        if !matches!(
            self.thread.stack[func],
            Value::Function(_) | Value::Native(_)
        ) {
            let callee = self.thread.stack[func];
            let handler = self.metamethod(callee, Event::Call);
            if matches!(handler, Value::Function(_)) {
                // Room for what comes then as well: the instruction cannot be made again once the handler stands there.
                self.ensure_stack(func + 2 * (args + 2) + crate::limits::WINDOW)?;
                self.thread.stack.copy_within(func..=func + args, func + 1);
                self.thread.stack[func] = handler;
                return self.tail_call(func, args + 1);
            }
        }
        if let Value::Function(id) = self.thread.stack[func]
            && matches!(self.heap.functions[id.index()], Function::Lua(_))
        {
            let Some(frame) = self.thread.frames.last() else {
                return Ok(());
            };
            let (base, target, after, tail_calls) = (
                frame.base as usize,
                frame.func as usize,
                frame.after,
                frame.tail_calls,
            );
            if !self.thread.open.is_empty() {
                self.close_upvalues(base);
            }
            // The new frame needs at most what this copy of function and arguments and its registers need.
            self.ensure_stack(target + 2 * (args + 1) + crate::limits::WINDOW)?;
            self.thread.stack.copy_within(func..=func + args, target);
            self.thread.frames.pop();
            if let Err(error) = self.enter_lua(id, target, args, after) {
                self.retry = matches!(error, Error::Memory).then_some(Retry {
                    func: target,
                    args,
                    after,
                });
                return Err(error);
            }
            if let Some(frame) = self.thread.frames.last_mut() {
                frame.tail_calls = tail_calls.saturating_add(1);
            }
            return Ok(());
        }
        self.call(func, args, After::Results(OPEN))
    }

    /// Gives the variables from a slot on to those that keep them.
    pub(crate) fn close_upvalues(&mut self, from: usize) {
        while let Some((place, id)) = self.thread.open.last().copied() {
            if (place as usize) < from {
                break;
            }
            self.thread.open.pop();
            let value = self.thread.stack[place as usize];
            self.heap.upvalues[id.index()] = Upvalue::Closed(value);
        }
    }
}
