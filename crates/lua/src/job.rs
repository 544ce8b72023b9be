//! Work that one instruction asks for and that takes long: giving a large table new parts, or a deep stack more room, comparing
//! long strings.
//!
//! Whoever needs it asks for it and fails as for lack of memory, with nothing changed. The driver does the work in slices,
//! while the program stands still, and makes the instruction or the native call again, which finds it done. Outside of a run
//! ([`Heap::takes_jobs`] is off) the same work is done at once.

use std::cmp::Ordering;
use std::ops::Range;

use crate::heap::{Heap, OutOfMemory};
use crate::limits::BYTES_PER_UNIT;
use crate::remains::{UNITS_PER_PIECE, release_end};
use crate::strings::Settled;
use crate::table::growth::{Growth, Progress};
use crate::table::{Plan, Table};
use crate::value::{StringId, TableId, ThreadId, Value};
use crate::vm::thread::Thread;

/// Entries of a table that are moved at once.
const MOVED_AT_ONCE: usize = 1024;

/// Bytes of two strings that are compared at once, and in one step.
pub(crate) const COMPARED_AT_ONCE: usize = 64 << 10;

/// Slots of a stack that are moved at once: as many as take little time, or as one step moves.
pub(crate) const SLOTS_AT_ONCE: usize = 16 << 10;

/// Slots that are moved for one unit of work.
const SLOTS_PER_UNIT: usize = 8;

/// A stack's way to more room.
pub(crate) struct Room {
    /// The slots of the new stack; after the exchange what is left of the old one.
    slots: Vec<Value>,
    size: usize,
    is_exchanged: bool,
}

pub(crate) enum Job {
    Grow {
        table: TableId,
        /// The key that finds no room; nil if there is none.
        key: Value,
        growth: Box<Growth>,
    },
    Compare {
        strings: (StringId, StringId),
        /// The bytes before are equal.
        at: usize,
    },
    /// More slots for a coroutine's stack.
    Deepen { thread: ThreadId, room: Room },
}

impl Job {
    pub(crate) fn grow_to(table: TableId, plan: Plan) -> Self {
        Self::Grow {
            table,
            key: Value::Nil,
            growth: Box::new(Growth::to_sizes(plan)),
        }
    }

    pub(crate) fn deepen(thread: ThreadId, size: usize) -> Self {
        Self::Deepen {
            thread,
            room: Room {
                slots: Vec::with_capacity(size),
                size,
                is_exchanged: false,
            },
        }
    }

    /// The collector empties slots that are not in use: what has been copied of them as well.
    pub(crate) fn empty(&mut self, of: ThreadId, slots: Range<usize>) {
        if let Self::Deepen { thread, room } = self
            && *thread == of
            && !room.is_exchanged
        {
            let end = slots.end.min(room.slots.len());
            room.slots[slots.start.min(end)..end].fill(Value::Nil);
        }
    }

    /// What it needs beside what the instruction holds on to.
    pub(crate) fn values(&self) -> [Value; 2] {
        match self {
            Self::Grow { table, key, .. } => [Value::Table(*table), *key],
            Self::Compare { strings, .. } => [Value::String(strings.0), Value::String(strings.1)],
            Self::Deepen { thread, .. } => [Value::Thread(*thread), Value::Nil],
        }
    }
}

impl Room {
    /// Does some of the work for a stack: the units it took, and whether it is complete.
    fn step(&mut self, stack: &mut Vec<Value>) -> (usize, bool) {
        if self.is_exchanged {
            return (UNITS_PER_PIECE, release_end(&mut self.slots));
        }
        let from = self.slots.len();
        let to = self.size.min(from + SLOTS_AT_ONCE);
        let there = stack.get(from..to.min(stack.len())).unwrap_or_default();
        self.slots.extend_from_slice(there);
        self.slots.resize(to, Value::Nil);
        if to == self.size {
            std::mem::swap(stack, &mut self.slots);
            self.is_exchanged = true;
        }
        ((to - from) / SLOTS_PER_UNIT, false)
    }
}

impl Heap {
    /// Asks for room for one more key, where there is none. Fails where that must wait.
    pub(crate) fn grow_table(&mut self, table: TableId, key: Value) -> Result<(), OutOfMemory> {
        let object = &self.tables[table.index()];
        if self.takes_jobs && object.entries() > MOVED_AT_ONCE {
            self.job = Some(Job::Grow {
                table,
                key,
                growth: Box::new(Growth::with_key(key)),
            });
            return Err(OutOfMemory);
        }
        let plan = object.plan(key);
        self.resize_table(table, plan)
    }

    /// Gives a table's parts new sizes. Old and new stand side by side for a while, and both must fit. Fails where that must
    /// wait.
    pub(crate) fn resize_table(&mut self, table: TableId, plan: Plan) -> Result<(), OutOfMemory> {
        self.check(Table::room_bytes(plan.array, plan.hash))?;
        let object = &self.tables[table.index()];
        if self.takes_jobs && object.entries() + plan.array + plan.hash > 2 * MOVED_AT_ONCE {
            self.job = Some(Job::grow_to(table, plan));
            return Err(OutOfMemory);
        }
        let object = &mut self.tables[table.index()];
        let before = object.bytes();
        object.resize(plan.array, plan.hash, &self.strings);
        let after = object.bytes();
        self.bytes = (self.bytes + after).saturating_sub(before);
        self.work += (plan.array + plan.hash) * 8;
        Ok(())
    }

    /// Compares two strings. Fails where that must wait.
    pub(crate) fn compare_strings(
        &mut self,
        a: StringId,
        b: StringId,
    ) -> Result<Ordering, OutOfMemory> {
        if a.place == b.place {
            return Ok(Ordering::Equal);
        }
        let (x, y) = (self.strings.bytes(a), self.strings.bytes(b));
        let shared = x.len().min(y.len());
        if !self.takes_jobs || shared <= COMPARED_AT_ONCE {
            let ordering = x.cmp(y);
            self.work += shared / BYTES_PER_UNIT * 8;
            return Ok(ordering);
        }
        if let Some(ordering) = self.strings.settled(a, b) {
            return Ok(ordering);
        }
        // Most strings differ soon.
        let ordering = x[..COMPARED_AT_ONCE].cmp(&y[..COMPARED_AT_ONCE]);
        if ordering != Ordering::Equal {
            self.work += COMPARED_AT_ONCE / BYTES_PER_UNIT * 8;
            return Ok(ordering);
        }
        self.job = Some(Job::Compare {
            strings: (a, b),
            at: COMPARED_AT_ONCE,
        });
        Err(OutOfMemory)
    }

    /// Whether two strings are equal. Fails where that must wait.
    pub(crate) fn equal_strings(&mut self, a: StringId, b: StringId) -> Result<bool, OutOfMemory> {
        // Short ones are equal where they are the same.
        if a.place == b.place || !a.is_long() || !b.is_long() {
            return Ok(a.place == b.place);
        }
        if self.bytes(a).len() != self.bytes(b).len() {
            return Ok(false);
        }
        Ok(self.compare_strings(a, b)? == Ordering::Equal)
    }

    /// Makes a key ready to be looked up: a long string needs its hash, and to have been compared with what its chain holds.
    /// Fails where that must wait.
    pub(crate) fn prepare(&mut self, table: TableId, key: Value) -> Result<(), OutOfMemory> {
        let Value::String(id) = key else {
            return Ok(());
        };
        if !id.is_long() {
            return Ok(());
        }
        self.work += self.strings.prepare(id);
        if !self.takes_jobs || self.bytes(id).len() <= COMPARED_AT_ONCE {
            return Ok(());
        }
        let mut place = self.tables[table.index()].chain(key, &self.strings);
        while let Some(node) = place {
            let (other, next) = self.tables[table.index()].link(node);
            if let Value::String(other) = other
                && self.strings.may_equal(id, other)
            {
                self.equal_strings(id, other)?;
            }
            place = next;
        }
        Ok(())
    }

    /// Does some of the work that was asked for: the units it took, and whether it is complete. It is given up where memory
    /// does not suffice. `running` is the coroutine that runs, whose stack is not among the others.
    pub(crate) fn work_on_job(
        &mut self,
        running: (ThreadId, &mut Thread),
    ) -> Result<(usize, bool), OutOfMemory> {
        match &mut self.job {
            None => Ok((0, true)),
            Some(Job::Deepen { thread, room }) => {
                let thread = if *thread == running.0 {
                    running.1
                } else {
                    &mut self.threads[thread.index()]
                };
                let was_exchanged = room.is_exchanged;
                let more = room.size.saturating_sub(thread.stack.len()) * size_of::<Value>();
                let (units, complete) = room.step(&mut thread.stack);
                if room.is_exchanged && !was_exchanged {
                    self.bytes += more;
                }
                if complete {
                    self.job = None;
                }
                Ok((units, complete))
            }
            Some(Job::Grow { table, growth, .. }) => {
                let table = *table;
                let (units, progress) = growth.step(&self.tables[table.index()], &self.strings);
                match progress {
                    Progress::More => return Ok((units, false)),
                    Progress::Planned(plan) => {
                        let fits = self.check(Table::room_bytes(plan.array, plan.hash));
                        if fits.is_err() {
                            self.job = None;
                        }
                        return fits.map(|()| (units, false));
                    }
                    Progress::Complete => {
                        let object = &mut self.tables[table.index()];
                        let before = object.bytes();
                        growth.exchange(object);
                        let after = object.bytes();
                        self.bytes = (self.bytes + after).saturating_sub(before);
                        return Ok((units, false));
                    }
                    Progress::Done => self.job = None,
                }
                Ok((units, true))
            }
            Some(Job::Compare { strings, at }) => {
                let (a, b) = *strings;
                let (x, y) = (self.strings.bytes(a), self.strings.bytes(b));
                let end = x.len().min(y.len()).min(*at + COMPARED_AT_ONCE);
                let mut ordering = x[*at..end].cmp(&y[*at..end]);
                let units = (end - *at) / BYTES_PER_UNIT;
                *at = end;
                if ordering == Ordering::Equal && end < x.len().min(y.len()) {
                    return Ok((units, false));
                }
                if ordering == Ordering::Equal {
                    ordering = x.len().cmp(&y.len());
                }
                self.strings.settle(Settled { a, b, ordering });
                self.job = None;
                Ok((units, true))
            }
        }
    }
}
