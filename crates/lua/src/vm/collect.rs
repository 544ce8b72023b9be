//! The collector: marks what can be reached, empties weak tables, frees the rest.
//!
//! It works in slices that the budget counts, and a run can be left between them. While it marks, the program stands
//! still, so that nothing has to tell it of changes; the sweep goes on in the same stretch.

use super::State;
use super::meta::Event;
use super::thread::{FrameKind, Thread};
use crate::heap::{ARENAS, Function, Phase, Swept, Upvalue};
use crate::limits::SLICE;
use crate::remains::{Remains, UNITS_PER_PIECE};
use crate::value::{ProtoId, TableId, Value};

/// Entries of a table, or names and constants of a function, that are read at once.
const ENTRIES_PER_STEP: usize = 512;

/// Slots of a stack that are read or emptied at once: most stacks are small.
const SLOTS_PER_STEP: usize = 2048;

/// Bytes that are allocated at least between two collections.
const BYTES_BETWEEN_MIN: usize = 256 << 10;

/// What it costs to free an object: where it lies, and where its neighbours of the same chain do, nothing has been read for long.
const UNITS_PER_FREED: i64 = 20;

/// Which references of a table do not keep their objects alive.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mode {
    weak_keys: bool,
    weak_values: bool,
}

impl State {
    /// Does some of a collection, outside of any run: up to `units` units of work. True when it is complete.
    pub fn gc_step(&mut self, units: u64) -> bool {
        if self.collector_paused {
            return true;
        }
        let budget = std::mem::replace(
            &mut self.budget,
            i64::try_from(units).unwrap_or(i64::MAX / 2),
        );
        let mut complete = false;
        while !complete && self.budget >= 0 {
            complete = self.collect_slice(SLICE);
        }
        self.budget = budget;
        // A run that comes in between waits for the rest.
        self.collecting = self.heap.phase != Phase::Idle;
        complete
    }

    /// Collects all that can no longer be reached. Values that only the host holds are lost, see [`State::keep`].
    pub fn collect(&mut self) {
        self.forget_marks();
        // A sweep that is under way is of an earlier time.
        let was_sweeping = self.heap.phase != Phase::Idle;
        while !self.gc_step(u64::MAX / 4) {}
        if was_sweeping {
            while !self.gc_step(u64::MAX / 4) {}
        }
    }

    /// Gives up marking that was left half-way, before the host changes what objects refer to: for now all are alive.
    pub(crate) fn forget_marks(&mut self) {
        if matches!(self.heap.phase, Phase::Mark | Phase::Clear) {
            self.heap.paint_all();
            let mark = self.heap.mark;
            for place in 0..self.protos.len() {
                self.protos.paint(place, mark);
            }
            self.collecting = false;
        }
    }

    #[inline]
    pub(crate) fn collection_is_due(&self) -> bool {
        self.heap.bytes >= self.heap.collect_at && !self.collector_paused && !self.collector_stopped
    }

    /// Sets when the next collection begins: when memory has grown by what `setpause` says, and before it is used up.
    pub(crate) fn set_collect_goal(&mut self) {
        let bytes = self.heap.bytes;
        let grown = (bytes as f64 * self.pause.clamp(110.0, 1000.0) / 100.0) as usize;
        let middle = bytes + (self.heap.bytes_max.saturating_sub(bytes)) / 2;
        self.heap.collect_at = grown
            .max(bytes + BYTES_BETWEEN_MIN)
            .min(middle.max(bytes + BYTES_BETWEEN_MIN / 4));
    }

    /// One slice of work, counted into the budget. True when a collection has just become complete.
    pub(crate) fn collect_slice(&mut self, units: i64) -> bool {
        let mut left = units;
        while left > 0 {
            match self.heap.phase {
                Phase::Idle => {
                    self.heap.grown = self.heap.growth();
                    self.heap.mark ^= 1;
                    self.heap.phase = Phase::Mark;
                    self.mark_roots();
                    left -= 100;
                }
                Phase::Mark => {
                    if let Some((proto, from)) = self.heap.gray_protos.pop() {
                        left -= self.traverse_proto(proto, from);
                    } else if let Some((value, from)) = self.heap.gray.pop() {
                        left -= self.traverse(value, from);
                    } else {
                        self.heap.phase = Phase::Clear;
                    }
                }
                Phase::Clear => match self.heap.weak.pop() {
                    Some((table, from)) => left -= self.clear_weak(table, from),
                    None => self.heap.phase = Phase::Sweep { arena: 0, place: 0 },
                },
                Phase::Sweep { .. } if !self.heap.remains.is_empty() => {
                    if self.heap.remains.last_mut().is_none_or(Remains::release) {
                        self.heap.remains.pop();
                    }
                    left -= i64::try_from(UNITS_PER_PIECE).unwrap_or(1);
                }
                Phase::Sweep { arena, place } => {
                    let mut place = place;
                    let end = place + ENTRIES_PER_STEP;
                    let mut swept = Swept::Kept;
                    while swept != Swept::End && place < end {
                        swept = if arena < ARENAS {
                            self.heap.sweep_one(arena, place)
                        } else {
                            self.sweep_proto(place)
                        };
                        if swept == Swept::Freed {
                            left -= UNITS_PER_FREED;
                        }
                        place += 1;
                    }
                    left -= i64::try_from(ENTRIES_PER_STEP / 2).unwrap_or(1);
                    self.heap.phase = match (swept != Swept::End, arena) {
                        (true, _) => Phase::Sweep { arena, place },
                        (false, ARENAS) => Phase::Idle,
                        (false, _) => Phase::Sweep {
                            arena: arena + 1,
                            place: 0,
                        },
                    };
                    if self.heap.phase == Phase::Idle {
                        self.heap.lowest = self.heap.lowest.min(self.heap.bytes);
                        self.set_collect_goal();
                        self.budget -= units - left;
                        return true;
                    }
                }
            }
        }
        self.budget -= units - left;
        false
    }

    fn sweep_proto(&mut self, place: usize) -> Swept {
        if place >= self.protos.len() {
            return Swept::End;
        }
        if self.protos.is_free(place) || self.protos.mark(place) == self.heap.mark {
            return Swept::Kept;
        }
        let proto = self.protos.remove(place);
        self.heap.release(proto.bytes());
        Swept::Freed
    }

    fn mark_roots(&mut self) {
        self.heap.strings.forget_settled();
        let roots = [
            Value::Table(self.globals),
            Value::Table(self.run_globals()),
            self.string_metatable.map_or(Value::Nil, Value::Table),
            Value::Thread(self.main),
            Value::Thread(self.thread_id),
        ];
        for value in roots {
            self.heap.shade(value);
        }
        for name in self.event_names {
            self.heap.shade(Value::String(name));
        }
        for value in &self.kept {
            self.heap.shade(*value);
        }
        for value in &self.results {
            self.heap.shade(*value);
        }
        if let Some(value) = self.raised {
            self.heap.shade(value);
        }
        if let Some(job) = &self.heap.job {
            for value in job.values() {
                self.heap.shade(value);
            }
        }
        if let Some(place) = self.failed_place {
            self.heap.shade(Value::String(place.source));
        }
    }

    /// Reads what an object refers to; the units of work done. What is long is read in pieces.
    fn traverse(&mut self, value: Value, from: usize) -> i64 {
        match value {
            Value::Table(id) => return self.traverse_table(id, from),
            Value::Function(id) => match &self.heap.functions[id.index()] {
                Function::Lua(closure) => {
                    let (proto, env) = (closure.proto, closure.env);
                    for index in 0..closure.upvalues.len() {
                        let Function::Lua(closure) = &self.heap.functions[id.index()] else {
                            break;
                        };
                        let upvalue = closure.upvalues[index];
                        if self.heap.upvalues.paint(upvalue.index(), self.heap.mark) {
                            let value = match self.heap.upvalues[upvalue.index()] {
                                Upvalue::Closed(value) => value,
                                // The variable lives on that stack.
                                Upvalue::Open { thread, .. } => Value::Thread(thread),
                            };
                            self.heap.shade(value);
                        }
                    }
                    self.heap.shade(Value::Table(env));
                    self.shade_proto(proto);
                }
                Function::Native { values, .. } => {
                    for value in values.clone() {
                        self.heap.shade(value);
                    }
                }
            },
            Value::UserData(id) => {
                let object = &self.heap.userdata[id.index()];
                let tables = [object.metatable, object.env];
                for table in tables.into_iter().flatten() {
                    self.heap.shade(Value::Table(table));
                }
            }
            Value::Thread(id) => return self.traverse_thread(id, from),
            _ => {}
        }
        4
    }

    fn shade_proto(&mut self, id: ProtoId) {
        if self.protos.paint(id.index(), self.heap.mark) {
            self.heap.gray_protos.push((id, 0));
        }
    }

    /// Reads what a compiled function refers to; the units of work done. What is long is read in pieces.
    fn traverse_proto(&mut self, id: ProtoId, from: usize) -> i64 {
        let proto = &self.protos[id.index()];
        let (constants, locals) = (proto.constants.len(), proto.locals.len());
        let all = constants + locals + proto.protos.len();
        let end = all.min(from + ENTRIES_PER_STEP);
        if end < all {
            self.heap.gray_protos.push((id, end));
        }
        if from == 0 {
            let names = proto.upvalue_names.iter().copied();
            for name in names.chain(proto.source) {
                self.heap.shade(Value::String(name));
            }
        }
        for index in from..end {
            let proto = &self.protos[id.index()];
            if let Some(value) = proto.constants.get(index) {
                self.heap.shade(*value);
            } else if let Some(local) = proto.locals.get(index - constants) {
                self.heap.shade(Value::String(local.name));
            } else {
                self.shade_proto(proto.protos[index - constants - locals]);
            }
        }
        i64::try_from((end - from) / 2).unwrap_or(1) + 4
    }

    fn mode(&mut self, table: TableId) -> Mode {
        let mode = match self.heap.tables[table.index()].metatable {
            Some(metatable) => self.meta_field(metatable, Event::Mode),
            None => Value::Nil,
        };
        let letters = match mode {
            Value::String(id) => self.heap.bytes(id),
            _ => b"",
        };
        Mode {
            weak_keys: letters.contains(&b'k'),
            weak_values: letters.contains(&b'v'),
        }
    }

    fn traverse_table(&mut self, id: TableId, from: usize) -> i64 {
        let mode = self.mode(id);
        if from == 0 {
            if let Some(metatable) = self.heap.tables[id.index()].metatable {
                self.heap.shade(Value::Table(metatable));
            }
            if mode.weak_keys || mode.weak_values {
                self.heap.weak.push((id, 0));
            }
        }
        let table = &self.heap.tables[id.index()];
        let items = table.array().len();
        let all = items + table.nodes().len();
        let end = all.min(from + ENTRIES_PER_STEP);
        if end < all {
            self.heap.gray.push((Value::Table(id), end));
        }
        for index in from..end {
            let table = &self.heap.tables[id.index()];
            let (key, value) = match table.array().get(index) {
                Some(value) => (Value::Nil, *value),
                None => {
                    let node = &table.nodes()[index - items];
                    (node.key, node.value)
                }
            };
            // A key without a value is kept for `next`, unless it is weak: then clearing takes it.
            if !mode.weak_keys {
                self.heap.shade(key);
            }
            if !mode.weak_values {
                self.heap.shade(value);
            }
        }
        i64::try_from((end - from) / 2).unwrap_or(1) + 4
    }

    /// Takes out of a weak table what was not reached. What is long is read in pieces.
    fn clear_weak(&mut self, id: TableId, from: usize) -> i64 {
        let mode = self.mode(id);
        let table = &self.heap.tables[id.index()];
        let items = table.array().len();
        let all = table.entries();
        let end = all.min(from + ENTRIES_PER_STEP);
        if end < all {
            self.heap.weak.push((id, end));
        }
        if mode.weak_values {
            for index in from..end.min(items) {
                let value = self.heap.tables[id.index()].array()[index];
                if self.heap.is_dead(value) {
                    self.heap.tables[id.index()].array_mut()[index] = Value::Nil;
                }
            }
        }
        for index in from.max(items)..end {
            let index = index - items;
            let node = self.heap.tables[id.index()].nodes()[index];
            let dead_key = self.heap.is_dead(node.key);
            let dead_value = self.heap.is_dead(node.value);
            if let Some(node) = self.heap.tables[id.index()].node_mut(index)
                && (dead_key || dead_value)
            {
                node.value = Value::Nil;
                if dead_key {
                    // Equal to nothing: the place may be another object's soon.
                    node.key = Value::Number(f64::NAN);
                }
            }
        }
        i64::try_from((end - from) / 2).unwrap_or(1) + 1
    }

    fn traverse_thread(&mut self, id: crate::value::ThreadId, from: usize) -> i64 {
        let is_running = id == self.thread_id;
        // A call that is made again after this collection stands above what its caller uses.
        let retried = self
            .retry
            .filter(|_| is_running)
            .map_or(0, |retry| retry.func + retry.args + 1);
        let thread = if is_running {
            &mut self.thread
        } else {
            &mut self.heap.threads[id.index()]
        };
        let top = thread
            .live_top()
            .max(retried)
            .max(usize::from(thread.frames.is_empty()))
            .min(thread.stack.len());
        let end = thread.stack.len().min(from + SLOTS_PER_STEP);
        let mut found = if from == 0 {
            thread_values(thread)
        } else {
            Vec::new()
        };
        let live = top.clamp(from, end);
        found.extend_from_slice(&thread.stack[from..live]);
        // What lies above may be of objects that go now.
        thread.stack[live..end].fill(Value::Nil);
        if let Some(job) = &mut self.heap.job {
            job.empty(id, live..end);
        }
        let open: Vec<_> = if from == 0 {
            thread.open.iter().map(|(_, id)| *id).collect()
        } else {
            Vec::new()
        };
        let resumer = thread.resumer;
        if end < thread.stack.len() {
            self.heap.gray.push((Value::Thread(id), end));
        }
        let work = i64::try_from(found.len() / 4 + (end - live) / 64).unwrap_or(1) + 2;
        for value in found {
            self.heap.shade(value);
        }
        for upvalue in open {
            self.heap.upvalues.paint(upvalue.index(), self.heap.mark);
        }
        if let Some(resumer) = resumer {
            self.heap.shade(Value::Thread(resumer));
        }
        work
    }
}

/// What the frames of a coroutine refer to beside its stack.
fn thread_values(thread: &Thread) -> Vec<Value> {
    let mut found = Vec::new();
    for frame in &thread.frames {
        match &frame.kind {
            FrameKind::Lua(id) => found.push(Value::Function(*id)),
            FrameKind::Task(waiting) => {
                if let Some(task) = &waiting.task {
                    task.trace(&mut |value| found.push(value));
                }
            }
            _ => {}
        }
    }
    found
}
