//! The instructions of Lua functions.
//!
//! The loop holds the running function's registers, code and constants; whatever needs more of the state notes where it
//! is and begins anew with the topmost frame. So calls, returns and metamethods cost no native stack.

use super::State;
use super::call::slot;
use super::error::Error;
use super::meta::Event;
use super::thread::{After, FrameKind, window};
use crate::compiler::room;
use crate::heap::{Closure, Function, Heap, OutOfMemory, Upvalue};
use crate::job::Job;
use crate::number::modulo;
use crate::op::{EXPECT, OPEN, Op};
use crate::proto::Capture;
use crate::table::{Plan, Table};
use crate::value::{FunctionId, ProtoId, StringId, TableId, UpvalueId, Value};

/// Room, as instructions encode it, from which on a table is made in slices: some 4000 entries.
const LARGE_ROOM: u8 = 0x50;

impl State {
    /// Runs the topmost frame, and those that follow it, until one is not a Lua function's or the budget is used up.
    #[allow(
        clippy::too_many_lines,
        reason = "one arm per instruction; what is long stands elsewhere"
    )]
    pub(crate) fn execute(&mut self) -> Result<(), Error> {
        'frame: loop {
            if self.stop.is_some() || self.budget < 0 || self.collection_is_due() {
                return Ok(());
            }
            let Some(frame) = self.thread.frames.last_mut() else {
                return Ok(());
            };
            let FrameKind::Lua(id) = frame.kind else {
                return Ok(());
            };
            let Function::Lua(closure) = &self.heap.functions[id.index()] else {
                return Ok(());
            };
            let env = closure.env;
            let proto = &self.protos[closure.proto.index()];
            let code = &proto.code[..];
            let constants = &proto.constants[..];
            let base = frame.base as usize;
            let mut pc = frame.pc as usize;
            let heap = &mut self.heap;
            let (below, above) = self.thread.stack.split_at_mut(base);
            let regs = window(above);
            let running = self.thread_id;
            let mut budget = self.budget;

            /// Notes where the function is: before anything that may look at frames, fail or call.
            macro_rules! leave {
                () => {
                    frame.pc = slot(pc);
                    self.budget = budget;
                };
            }
            macro_rules! reg {
                ($index:expr) => {
                    regs[usize::from($index)]
                };
            }
            macro_rules! arithmetic {
                ($event:ident, $dst:expr, $lhs:expr, $rhs:expr, $a:ident, $b:ident, $result:expr) => {{
                    let (a, b) = (reg!($lhs), reg!($rhs));
                    if let (Value::Number($a), Value::Number($b)) = (a, b) {
                        reg!($dst) = Value::Number($result);
                    } else {
                        leave!();
                        self.arithmetic(Event::$event, (a, Some($lhs)), (b, Some($rhs)), $dst)?;
                        continue 'frame;
                    }
                }};
            }
            macro_rules! arithmetic_k {
                ($event:ident, $dst:expr, $lhs:expr, $k:expr, $a:ident, $b:ident, $result:expr) => {{
                    let (a, b) = (reg!($lhs), constants[$k as usize]);
                    if let (Value::Number($a), Value::Number($b)) = (a, b) {
                        reg!($dst) = Value::Number($result);
                    } else {
                        leave!();
                        self.arithmetic(Event::$event, (a, Some($lhs)), (b, None), $dst)?;
                        continue 'frame;
                    }
                }};
            }
            macro_rules! compare {
                ($slow:ident, $a:expr, $b:expr, $expect:expr, $to:expr, $x:ident, $y:ident, $holds:expr) => {{
                    let (a, b) = ($a, $b);
                    if let (Value::Number($x), Value::Number($y)) = (a, b) {
                        if $holds == $expect {
                            pc = $to as usize;
                        }
                    } else {
                        leave!();
                        self.$slow(a, b, $expect, $to)?;
                        continue 'frame;
                    }
                }};
            }

            loop {
                let op = code[pc];
                pc += 1;
                budget -= 1;
                if budget < 0 {
                    pc -= 1;
                    leave!();
                    return Ok(());
                }
                match op {
                    Op::Move { dst, src } => reg!(dst) = reg!(src),
                    Op::Constant { dst, k } => reg!(dst) = constants[k as usize],
                    Op::Boolean { dst, value, skip } => {
                        reg!(dst) = Value::Boolean(value);
                        pc += usize::from(skip);
                    }
                    Op::Nil { first, last } => {
                        regs[usize::from(first)..=usize::from(last)].fill(Value::Nil);
                    }
                    Op::GetUpvalue { dst, upvalue } => {
                        if let Function::Lua(closure) = &heap.functions[id.index()] {
                            let place = closure.upvalues[usize::from(upvalue)];
                            match heap.upvalues[place.index()] {
                                Upvalue::Closed(value) => reg!(dst) = value,
                                Upvalue::Open { thread, slot }
                                    if thread == running && (slot as usize) < base =>
                                {
                                    reg!(dst) = below[slot as usize];
                                }
                                other => {
                                    leave!();
                                    let value = self.upvalue_get(other);
                                    self.thread.stack[base + usize::from(dst)] = value;
                                    continue 'frame;
                                }
                            }
                        }
                    }
                    Op::SetUpvalue { src, upvalue } => {
                        if let Function::Lua(closure) = &heap.functions[id.index()] {
                            let place = closure.upvalues[usize::from(upvalue)];
                            let value = reg!(src);
                            match &mut heap.upvalues[place.index()] {
                                Upvalue::Closed(closed) => *closed = value,
                                Upvalue::Open { thread, slot }
                                    if *thread == running && (*slot as usize) < base =>
                                {
                                    below[*slot as usize] = value;
                                }
                                Upvalue::Open { thread, slot } => {
                                    let (thread, place) = (*thread, *slot as usize);
                                    leave!();
                                    self.set_open_upvalue(thread, place, value);
                                    continue 'frame;
                                }
                            }
                        }
                    }
                    Op::GetGlobal { dst, k } => {
                        let key = constants[k as usize];
                        if let Value::String(name) = key
                            && let Some(value) = heap.tables[env.index()].get_short(name)
                            && !value.is_nil()
                        {
                            reg!(dst) = *value;
                        } else {
                            leave!();
                            self.index(Value::Table(env), key, dst, None)?;
                            continue 'frame;
                        }
                    }
                    Op::SetGlobal { src, k } => {
                        let (key, value) = (constants[k as usize], reg!(src));
                        leave!();
                        self.set_index(Value::Table(env), key, value, None)?;
                        continue 'frame;
                    }
                    Op::GetField { dst, table, k } => {
                        let (object, key) = (reg!(table), constants[k as usize]);
                        if let (Value::Table(place), Value::String(name)) = (object, key) {
                            let found = &heap.tables[place.index()];
                            match found.get_short(name) {
                                Some(value) if !value.is_nil() => {
                                    reg!(dst) = *value;
                                    continue;
                                }
                                _ if found.metatable.is_none() && !name.is_long() => {
                                    reg!(dst) = Value::Nil;
                                    continue;
                                }
                                _ => {}
                            }
                        }
                        leave!();
                        self.index(object, key, dst, Some(table))?;
                        continue 'frame;
                    }
                    Op::GetItem { dst, table, item } => {
                        let object = reg!(table);
                        if let Value::Table(place) = object
                            && let Some(value) =
                                heap.tables[place.index()].array().get(item as usize - 1)
                            && !value.is_nil()
                        {
                            reg!(dst) = *value;
                            continue;
                        }
                        leave!();
                        self.index(object, Value::Number(f64::from(item)), dst, Some(table))?;
                        continue 'frame;
                    }
                    Op::GetIndex { dst, table, key } => {
                        let (object, key) = (reg!(table), reg!(key));
                        if let Value::Table(place) = object {
                            let found = &heap.tables[place.index()];
                            let value = match key {
                                Value::Number(number) => found.get_item(number),
                                Value::String(name) => found.get_short(name),
                                _ => None,
                            };
                            if let Some(value) = value
                                && !value.is_nil()
                            {
                                reg!(dst) = *value;
                                continue;
                            }
                        }
                        leave!();
                        self.index(object, key, dst, Some(table))?;
                        continue 'frame;
                    }
                    Op::SetField { table, src, k } => {
                        let (object, key, value) = (reg!(table), constants[k as usize], reg!(src));
                        if let (Value::Table(place), Value::String(name)) = (object, key) {
                            let found = &mut heap.tables[place.index()];
                            if !found.readonly
                                && let Some(old) = found.get_short_mut(name)
                                && !old.is_nil()
                            {
                                *old = value;
                                continue;
                            }
                        }
                        leave!();
                        self.set_index(object, key, value, Some(table))?;
                        continue 'frame;
                    }
                    Op::SetIndex { table, key, src } => {
                        let (object, key, value) = (reg!(table), reg!(key), reg!(src));
                        if let Value::Table(place) = object {
                            let found = &mut heap.tables[place.index()];
                            if !found.readonly {
                                let plain = found.metatable.is_none();
                                let old = match key {
                                    Value::Number(number) => found.get_item_mut(number),
                                    Value::String(name) => {
                                        found.get_short_mut(name).filter(|old| !old.is_nil())
                                    }
                                    _ => None,
                                };
                                if let Some(old) = old
                                    && (plain || !old.is_nil())
                                {
                                    *old = value;
                                    continue;
                                }
                            }
                        }
                        leave!();
                        self.set_index(object, key, value, Some(table))?;
                        continue 'frame;
                    }
                    Op::NewTable { dst, array, hash } => {
                        if array >= LARGE_ROOM || hash >= LARGE_ROOM {
                            leave!();
                            return self.make_large_table(dst, array, hash);
                        }
                        match heap.table(room::decode(array), room::decode(hash)) {
                            Ok(table) => reg!(dst) = Value::Table(table),
                            Err(OutOfMemory) => {
                                leave!();
                                return Err(Error::Memory);
                            }
                        }
                        if heap.bytes >= heap.collect_at {
                            leave!();
                            continue 'frame;
                        }
                    }
                    Op::Method { dst, table, k } => {
                        let (object, key) = (reg!(table), constants[k as usize]);
                        reg!(dst + 1) = object;
                        if let Value::String(name) = key {
                            let (own, metatable) = match object {
                                Value::Table(place) => {
                                    let table = &heap.tables[place.index()];
                                    (table.get_short(name).copied(), table.metatable)
                                }
                                Value::String(_) => (None, self.string_metatable),
                                _ => (None, None),
                            };
                            let index = self.event_names[Event::Index as usize];
                            let found = own
                                .filter(|value| !value.is_nil())
                                .or_else(|| inherited(heap, metatable, index, name));
                            if let Some(value) = found {
                                reg!(dst) = value;
                                continue;
                            }
                        }
                        leave!();
                        self.index(object, key, dst, Some(table))?;
                        continue 'frame;
                    }
                    Op::Add { dst, lhs, rhs } => arithmetic!(Add, dst, lhs, rhs, a, b, a + b),
                    Op::Sub { dst, lhs, rhs } => arithmetic!(Sub, dst, lhs, rhs, a, b, a - b),
                    Op::Mul { dst, lhs, rhs } => arithmetic!(Mul, dst, lhs, rhs, a, b, a * b),
                    Op::Div { dst, lhs, rhs } => arithmetic!(Div, dst, lhs, rhs, a, b, a / b),
                    Op::Mod { dst, lhs, rhs } => {
                        arithmetic!(Mod, dst, lhs, rhs, a, b, modulo(a, b))
                    }
                    Op::Pow { dst, lhs, rhs } => arithmetic!(Pow, dst, lhs, rhs, a, b, a.powf(b)),
                    Op::AddK { dst, lhs, k } => arithmetic_k!(Add, dst, lhs, k, a, b, a + b),
                    Op::SubK { dst, lhs, k } => arithmetic_k!(Sub, dst, lhs, k, a, b, a - b),
                    Op::MulK { dst, lhs, k } => arithmetic_k!(Mul, dst, lhs, k, a, b, a * b),
                    Op::DivK { dst, lhs, k } => arithmetic_k!(Div, dst, lhs, k, a, b, a / b),
                    Op::ModK { dst, lhs, k } => arithmetic_k!(Mod, dst, lhs, k, a, b, modulo(a, b)),
                    Op::PowK { dst, lhs, k } => arithmetic_k!(Pow, dst, lhs, k, a, b, a.powf(b)),
                    Op::Negate { dst, src } => {
                        let value = reg!(src);
                        if let Value::Number(number) = value {
                            reg!(dst) = Value::Number(-number);
                        } else {
                            leave!();
                            let operand = (value, Some(src));
                            self.arithmetic(Event::Unm, operand, operand, dst)?;
                            continue 'frame;
                        }
                    }
                    Op::Not { dst, src } => reg!(dst) = Value::Boolean(!reg!(src).is_true()),
                    Op::Length { dst, src } => match reg!(src) {
                        Value::Table(table) => {
                            let length = heap.tables[table.index()].border(&heap.strings);
                            let length = length as f64;
                            reg!(dst) = Value::Number(length);
                        }
                        Value::String(text) => {
                            let length = heap.bytes(text).len() as f64;
                            reg!(dst) = Value::Number(length);
                        }
                        value => {
                            leave!();
                            self.length_of(value, src, dst)?;
                            continue 'frame;
                        }
                    },
                    Op::Concat { dst, first, last } => {
                        leave!();
                        self.concat(dst, first, last)?;
                        continue 'frame;
                    }
                    Op::Jump { to } => pc = to as usize,
                    Op::Eq {
                        lhs,
                        rhs,
                        expect,
                        to,
                    } => {
                        compare!(equal_jump, reg!(lhs), reg!(rhs), expect, to, a, b, (a == b));
                    }
                    Op::Lt {
                        lhs,
                        rhs,
                        expect,
                        to,
                    } => {
                        compare!(less, reg!(lhs), reg!(rhs), expect, to, a, b, (a < b));
                    }
                    Op::Le {
                        lhs,
                        rhs,
                        expect,
                        to,
                    } => {
                        compare!(less_equal, reg!(lhs), reg!(rhs), expect, to, a, b, (a <= b));
                    }
                    Op::EqK { lhs, k, to } => {
                        // The constant is a number or a short string: never a matter of metamethods.
                        if reg!(lhs).same(constants[usize::from(k & !EXPECT)]) == (k & EXPECT != 0)
                        {
                            pc = to as usize;
                        }
                    }
                    Op::LtK { lhs, k, to } => {
                        let constant = constants[usize::from(k & !EXPECT)];
                        compare!(
                            less,
                            reg!(lhs),
                            constant,
                            k & EXPECT != 0,
                            to,
                            a,
                            b,
                            (a < b)
                        );
                    }
                    Op::LeK { lhs, k, to } => {
                        let constant = constants[usize::from(k & !EXPECT)];
                        compare!(
                            less_equal,
                            reg!(lhs),
                            constant,
                            k & EXPECT != 0,
                            to,
                            a,
                            b,
                            (a <= b)
                        );
                    }
                    Op::GtK { lhs, k, to } => {
                        let constant = constants[usize::from(k & !EXPECT)];
                        compare!(
                            less,
                            constant,
                            reg!(lhs),
                            k & EXPECT != 0,
                            to,
                            a,
                            b,
                            (a < b)
                        );
                    }
                    Op::GeK { lhs, k, to } => {
                        let constant = constants[usize::from(k & !EXPECT)];
                        compare!(
                            less_equal,
                            constant,
                            reg!(lhs),
                            k & EXPECT != 0,
                            to,
                            a,
                            b,
                            (a <= b)
                        );
                    }
                    Op::Test { src, expect, to } => {
                        if reg!(src).is_true() == expect {
                            pc = to as usize;
                        }
                    }
                    Op::TestSet {
                        dst,
                        src,
                        expect,
                        to,
                    } => {
                        if reg!(src).is_true() == expect {
                            reg!(dst) = reg!(src);
                            pc = to as usize;
                        }
                    }
                    Op::Call {
                        base: callee,
                        args,
                        results,
                    } => {
                        leave!();
                        let func = base + usize::from(callee);
                        let args = self.argument_count(func, args);
                        self.call(func, args, After::Results(results))?;
                        continue 'frame;
                    }
                    Op::TailCall { base: callee, args } => {
                        leave!();
                        let func = base + usize::from(callee);
                        let args = self.argument_count(func, args);
                        self.tail_call(func, args)?;
                        continue 'frame;
                    }
                    Op::Return { first, count } => {
                        leave!();
                        let first = base + usize::from(first);
                        let count = if count == OPEN {
                            (self.thread.top as usize).saturating_sub(first)
                        } else {
                            usize::from(count) - 1
                        };
                        self.return_from_lua(first, count)?;
                        continue 'frame;
                    }
                    Op::ForPrepare { base: first, to } => {
                        if let (Value::Number(start), Value::Number(_), Value::Number(step)) =
                            (reg!(first), reg!(first + 1), reg!(first + 2))
                        {
                            reg!(first) = Value::Number(start - step);
                            pc = to as usize;
                        } else {
                            leave!();
                            self.prepare_for(base + usize::from(first), to)?;
                            continue 'frame;
                        }
                    }
                    Op::ForLoop { base: first, to } => {
                        if let (Value::Number(index), Value::Number(limit), Value::Number(step)) =
                            (reg!(first), reg!(first + 1), reg!(first + 2))
                        {
                            let index = index + step;
                            let goes_on = if step > 0.0 {
                                index <= limit
                            } else {
                                limit <= index
                            };
                            if goes_on {
                                reg!(first) = Value::Number(index);
                                reg!(first + 3) = Value::Number(index);
                                pc = to as usize;
                            }
                        }
                    }
                    Op::IteratorCall { base: first, count } => {
                        reg!(first + 3) = reg!(first);
                        reg!(first + 4) = reg!(first + 1);
                        reg!(first + 5) = reg!(first + 2);
                        leave!();
                        self.call(base + usize::from(first) + 3, 2, After::Results(count + 1))?;
                        continue 'frame;
                    }
                    Op::IteratorLoop { base: first, to } => {
                        let control = reg!(first + 3);
                        if !control.is_nil() {
                            reg!(first + 2) = control;
                            pc = to as usize;
                        }
                    }
                    Op::SetList {
                        table,
                        count,
                        offset,
                    } => {
                        leave!();
                        self.set_list(base + usize::from(table), count, offset as usize)?;
                        continue 'frame;
                    }
                    Op::Close { first } => {
                        leave!();
                        self.close_upvalues(base + usize::from(first));
                        continue 'frame;
                    }
                    Op::Closure { dst, proto } => {
                        let inner =
                            proto_id(&self.protos[closure_proto(heap, id).index()].protos, proto);
                        leave!();
                        let made = self.make_closure(inner, id, base)?;
                        self.thread.stack[base + usize::from(dst)] = Value::Function(made);
                        continue 'frame;
                    }
                    Op::VarArg { dst, count } => {
                        let params = usize::from(proto.params);
                        let func = frame.func as usize;
                        leave!();
                        self.copy_varargs(func + 1 + params, base, base + usize::from(dst), count)?;
                        continue 'frame;
                    }
                }
            }
        }
    }

    /// A table with room for many items or fields, which is made in slices before the program goes on.
    #[cold]
    fn make_large_table(&mut self, dst: u8, array: u8, hash: u8) -> Result<(), Error> {
        let plan = Plan {
            array: room::decode(array),
            hash: room::decode(hash),
        };
        self.heap.check(Table::room_bytes(plan.array, plan.hash))?;
        let table = self.heap.table(0, 0)?;
        self.set_register(dst, Value::Table(table));
        self.heap.job = Some(Job::grow_to(table, plan));
        Ok(())
    }

    /// Arguments behind a function: so many, or all up to the end of open results.
    #[inline]
    fn argument_count(&self, func: usize, args: u8) -> usize {
        if args == OPEN {
            (self.thread.top as usize).saturating_sub(func + 1)
        } else {
            usize::from(args) - 1
        }
    }

    fn set_open_upvalue(&mut self, thread: crate::value::ThreadId, place: usize, value: Value) {
        let stack = if thread == self.thread_id {
            &mut self.thread.stack
        } else {
            &mut self.heap.threads[thread.index()].stack
        };
        if let Some(slot) = stack.get_mut(place) {
            *slot = value;
        }
    }

    /// Makes numbers of a loop's start, limit and step.
    #[cold]
    fn prepare_for(&mut self, first: usize, to: u32) -> Result<(), Error> {
        let mut numbers = [0.0; 3];
        for (index, what) in ["initial value", "limit", "step"].into_iter().enumerate() {
            let value = self.thread.stack[first + index];
            let Some(number) = self.to_number(value) else {
                return Err(self.error(&format!("'for' {what} must be a number")));
            };
            numbers[index] = number;
        }
        let [start, limit, step] = numbers;
        self.thread.stack[first] = Value::Number(start - step);
        self.thread.stack[first + 1] = Value::Number(limit);
        self.thread.stack[first + 2] = Value::Number(step);
        if let Some(frame) = self.thread.frames.last_mut() {
            frame.pc = to;
        }
        Ok(())
    }

    fn set_list(&mut self, table: usize, count: u8, offset: usize) -> Result<(), Error> {
        let count = if count == OPEN {
            (self.thread.top as usize).saturating_sub(table + 1)
        } else {
            usize::from(count) - 1
        };
        let Value::Table(id) = self.thread.stack[table] else {
            return Ok(());
        };
        self.heap.reserve_array(id, offset + count)?;
        let items = &mut self.heap.tables[id.index()].array_mut()[offset..offset + count];
        items.copy_from_slice(&self.thread.stack[table + 1..=table + count]);
        self.thread.top = 0;
        self.budget -= i64::try_from(count / 4).unwrap_or(0);
        Ok(())
    }

    fn make_closure(
        &mut self,
        proto: ProtoId,
        around: FunctionId,
        base: usize,
    ) -> Result<FunctionId, Error> {
        let captures = self.protos[proto.index()].captures.len();
        let mut upvalues = Vec::with_capacity(captures);
        for index in 0..captures {
            upvalues.push(match self.protos[proto.index()].captures[index] {
                Capture::Local(register) => self.open_upvalue(base + usize::from(register))?,
                Capture::Upvalue(upvalue) => match &self.heap.functions[around.index()] {
                    Function::Lua(closure) => closure.upvalues[usize::from(upvalue)],
                    Function::Native { .. } => UpvalueId(0),
                },
            });
        }
        let Function::Lua(closure) = &self.heap.functions[around.index()] else {
            return Err(Error::Memory);
        };
        let env = closure.env;
        Ok(self.heap.function(Function::Lua(Closure {
            proto,
            env,
            upvalues: upvalues.into_boxed_slice(),
        }))?)
    }

    /// The shared variable for a slot of the running stack.
    fn open_upvalue(&mut self, place: usize) -> Result<UpvalueId, OutOfMemory> {
        let place = slot(place);
        match self
            .thread
            .open
            .binary_search_by_key(&place, |(slot, _)| *slot)
        {
            Ok(index) => Ok(self.thread.open[index].1),
            Err(index) => {
                let id = self.heap.upvalue(Upvalue::Open {
                    thread: self.thread_id,
                    slot: place,
                })?;
                self.thread.open.insert(index, (place, id));
                Ok(id)
            }
        }
    }

    fn copy_varargs(
        &mut self,
        first: usize,
        end: usize,
        target: usize,
        count: u8,
    ) -> Result<(), Error> {
        let there = end.saturating_sub(first);
        if count == OPEN {
            self.ensure_stack(target + there)?;
            self.thread.stack.copy_within(first..first + there, target);
            self.thread.top = slot(target + there);
        } else {
            let wanted = usize::from(count) - 1;
            let kept = wanted.min(there);
            self.thread.stack.copy_within(first..first + kept, target);
            self.thread.stack[target + kept..target + wanted].fill(Value::Nil);
        }
        self.budget -= i64::try_from(there / 4).unwrap_or(0);
        Ok(())
    }
}

/// What an object finds in the table behind its metatable's `__index`, one step away.
#[inline]
fn inherited(
    heap: &Heap,
    metatable: Option<TableId>,
    index: StringId,
    name: StringId,
) -> Option<Value> {
    let Value::Table(class) = *heap.tables[metatable?.index()].get_short(index)? else {
        return None;
    };
    let found = heap.tables[class.index()].get_short(name).copied();
    found.filter(|value| !value.is_nil())
}

fn closure_proto(heap: &Heap, id: FunctionId) -> ProtoId {
    match &heap.functions[id.index()] {
        Function::Lua(closure) => closure.proto,
        Function::Native { .. } => ProtoId(0),
    }
}

fn proto_id(protos: &[ProtoId], index: u32) -> ProtoId {
    protos.get(index as usize).copied().unwrap_or(ProtoId(0))
}
