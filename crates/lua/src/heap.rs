//! Everything a state has allocated, and how many bytes that is.
//!
//! Allocating never collects: what runs out of memory fails, and the interpreter collects at the next point where all
//! values in use stand in places the collector looks at. So native code may hold values in variables of its own.

use crate::arena::Arena;
use crate::job::Job;
use crate::limits::SHORT_STRING_BYTES_MAX;
use crate::pieces::Pieces;
use crate::remains::{RELEASED_BYTES, Remains};
use crate::strings::{STRING_BYTES, Strings};
use crate::table::{Plan, TABLE_BYTES, Table};
use crate::value::{
    FunctionId, NativeId, ProtoId, StringId, TableId, ThreadId, UpvalueId, UserDataId, Value,
};
use crate::vm::thread::Thread;

/// The state's memory limit would have been passed; nothing was changed. Inside of the interpreter it stands as well for what must
/// wait until a [`Job`] is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A Lua function with its variables.
pub(crate) struct Closure {
    pub(crate) proto: ProtoId,
    pub(crate) env: TableId,
    pub(crate) upvalues: Box<[UpvalueId]>,
}

/// A function that has state of its own.
pub(crate) enum Function {
    Lua(Closure),
    /// A native function with values that it keeps from call to call.
    Native {
        id: NativeId,
        values: Vec<Value>,
    },
}

impl Default for Function {
    fn default() -> Self {
        Self::Native {
            id: NativeId(0),
            values: Vec::new(),
        }
    }
}

impl Function {
    fn bytes(&self) -> usize {
        let own = match self {
            Self::Lua(closure) => closure.upvalues.len() * size_of::<UpvalueId>(),
            Self::Native { values, .. } => values.capacity() * size_of::<Value>(),
        };
        own + size_of::<Self>() + 1
    }
}

/// A variable that closures share: on a coroutine's stack while its block runs, on its own afterwards.
#[derive(Clone, Copy)]
pub(crate) enum Upvalue {
    Open { thread: ThreadId, slot: u32 },
    Closed(Value),
}

impl Default for Upvalue {
    fn default() -> Self {
        Self::Closed(Value::Nil)
    }
}

#[derive(Default)]
pub(crate) struct UserData {
    pub(crate) metatable: Option<TableId>,
    pub(crate) env: Option<TableId>,
}

/// What the collector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    /// Reaching what is alive. The program stands still.
    Mark,
    /// Emptying weak tables of what was not reached. The program stands still.
    Clear,
    /// Freeing what was not reached: the arena and the next place.
    Sweep {
        arena: usize,
        place: usize,
    },
}

pub(crate) struct Heap {
    pub(crate) strings: Strings,
    pub(crate) tables: Arena<Table>,
    pub(crate) functions: Arena<Function>,
    pub(crate) upvalues: Arena<Upvalue>,
    pub(crate) threads: Arena<Thread>,
    pub(crate) userdata: Arena<UserData>,
    /// Bytes of all objects.
    pub(crate) bytes: usize,
    pub(crate) bytes_max: usize,
    /// Bytes at which the next collection begins.
    pub(crate) collect_at: usize,
    /// The fewest bytes there have been since growth is watched, as collections have found it.
    pub(crate) lowest: usize,
    /// The most bytes beyond those when a collection began.
    pub(crate) grown: usize,
    /// What objects are painted with that are new, or that this cycle has reached.
    pub(crate) mark: u8,
    pub(crate) phase: Phase,
    /// Reached, but what they refer to is not yet; with how far a long table has been read.
    pub(crate) gray: Pieces<(Value, usize)>,
    /// Compiled functions that were reached, but what they refer to is not yet; with how far one has been read.
    pub(crate) gray_protos: Pieces<(ProtoId, usize)>,
    /// Weak tables that this cycle reached, with how far one has been emptied.
    pub(crate) weak: Pieces<(TableId, usize)>,
    /// Hash bytes read and other work done here that is not yet counted into the budget.
    pub(crate) work: usize,
    /// Whether who fails is made again: then what takes long becomes a job.
    pub(crate) takes_jobs: bool,
    /// What the sweep has left to be freed in pieces, before it goes on.
    pub(crate) remains: Vec<Remains>,
    /// What the program waits for.
    pub(crate) job: Option<Job>,
}

impl Heap {
    pub(crate) fn new(bytes_max: usize, seed: u32) -> Self {
        Self {
            strings: Strings::new(seed),
            tables: Arena::new(),
            functions: Arena::new(),
            upvalues: Arena::new(),
            threads: Arena::new(),
            userdata: Arena::new(),
            bytes: 0,
            bytes_max,
            collect_at: usize::MAX,
            lowest: 0,
            grown: 0,
            mark: 0,
            phase: Phase::Idle,
            gray: Pieces::new(),
            gray_protos: Pieces::new(),
            weak: Pieces::new(),
            work: 0,
            takes_jobs: false,
            remains: Vec::new(),
            job: None,
        }
    }

    /// Bytes beyond the fewest there have been since growth is watched, at most. Memory only falls by collections.
    pub(crate) fn growth(&self) -> usize {
        self.grown.max(self.bytes.saturating_sub(self.lowest))
    }

    /// Whether so many bytes more would be too many.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), OutOfMemory> {
        match self.bytes.checked_add(bytes) {
            Some(sum) if sum <= self.bytes_max => Ok(()),
            _ => Err(OutOfMemory),
        }
    }

    /// Whether a string of so many bytes would be too much.
    pub(crate) fn check_string(&self, bytes: usize) -> Result<(), OutOfMemory> {
        self.check(bytes.saturating_add(STRING_BYTES))
    }

    /// Counts bytes that are about to be taken.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        self.check(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn release(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) fn string(&mut self, bytes: &[u8]) -> Result<StringId, OutOfMemory> {
        if bytes.len() > SHORT_STRING_BYTES_MAX {
            self.charge(bytes.len() + STRING_BYTES)?;
            return Ok(self.strings.add_long(bytes.into(), self.mark));
        }
        match self.strings.find(bytes, self.mark) {
            Ok(id) => Ok(id),
            Err(hash) => {
                self.charge(bytes.len() + STRING_BYTES)?;
                Ok(self.strings.add_short(bytes, hash, self.mark))
            }
        }
    }

    /// A string of bytes that already stand in a buffer of their own.
    pub(crate) fn string_from(&mut self, bytes: Vec<u8>) -> Result<StringId, OutOfMemory> {
        if bytes.len() <= SHORT_STRING_BYTES_MAX {
            return self.string(&bytes);
        }
        self.charge(bytes.len() + STRING_BYTES)?;
        Ok(self.strings.add_long(bytes.into_boxed_slice(), self.mark))
    }

    /// A string of some bytes of another one.
    pub(crate) fn part_of_string(
        &mut self,
        whole: StringId,
        part: std::ops::Range<usize>,
    ) -> Result<StringId, OutOfMemory> {
        if part.len() > SHORT_STRING_BYTES_MAX {
            self.charge(part.len() + STRING_BYTES)?;
            let bytes = self.bytes(whole)[part].into();
            return Ok(self.strings.add_long(bytes, self.mark));
        }
        let mut short = [0; SHORT_STRING_BYTES_MAX];
        let short = &mut short[..part.len()];
        short.copy_from_slice(&self.bytes(whole)[part]);
        self.string(short)
    }

    pub(crate) fn bytes(&self, id: StringId) -> &[u8] {
        self.strings.bytes(id)
    }

    pub(crate) fn table(&mut self, array: usize, hash: usize) -> Result<TableId, OutOfMemory> {
        self.charge(TABLE_BYTES.saturating_add(Table::room_bytes(array, hash)))?;
        Ok(TableId(
            self.tables.insert(Table::with_room(array, hash), self.mark),
        ))
    }

    pub(crate) fn function(&mut self, function: Function) -> Result<FunctionId, OutOfMemory> {
        self.charge(function.bytes())?;
        Ok(FunctionId(self.functions.insert(function, self.mark)))
    }

    pub(crate) fn upvalue(&mut self, upvalue: Upvalue) -> Result<UpvalueId, OutOfMemory> {
        self.charge(size_of::<Upvalue>() + 1)?;
        Ok(UpvalueId(self.upvalues.insert(upvalue, self.mark)))
    }

    pub(crate) fn userdata(&mut self, userdata: UserData) -> Result<UserDataId, OutOfMemory> {
        self.charge(size_of::<UserData>() + 1)?;
        Ok(UserDataId(self.userdata.insert(userdata, self.mark)))
    }

    pub(crate) fn raw_equal(&self, a: Value, b: Value) -> bool {
        a.same(b)
            || matches!((a, b), (Value::String(a), Value::String(b)) if self.strings.equal(a, b))
    }

    /// The value at a key other than a string, or a short one: nothing has to wait for it.
    pub(crate) fn raw_get(&self, table: TableId, key: Value) -> Value {
        self.tables[table.index()].get(key, &self.strings)
    }

    /// The value at any key. Fails where finding it must wait.
    pub(crate) fn raw_find(&mut self, table: TableId, key: Value) -> Result<Value, OutOfMemory> {
        self.prepare(table, key)?;
        Ok(self.raw_get(table, key))
    }

    /// Sets a key that is neither nil nor NaN, whatever the table's protection. Fails as well where that must wait.
    pub(crate) fn raw_set(
        &mut self,
        table: TableId,
        key: Value,
        value: Value,
    ) -> Result<(), OutOfMemory> {
        self.prepare(table, key)?;
        let object = &mut self.tables[table.index()];
        object.absent = 0;
        if let Some(slot) = object.slot(key, &self.strings) {
            *slot = value;
            return Ok(());
        }
        // Nil takes a node as well: so it is in Lua 5.1, and the order of traversal shows it.
        if object.insert(key, value, &self.strings) {
            return Ok(());
        }
        self.grow_table(table, key)?;
        self.tables[table.index()].put(key, value, &self.strings);
        Ok(())
    }

    /// Makes room for items 1 to `count`.
    pub(crate) fn reserve_array(
        &mut self,
        table: TableId,
        count: usize,
    ) -> Result<(), OutOfMemory> {
        let object = &self.tables[table.index()];
        if count > object.array().len() {
            let plan = Plan {
                array: count,
                hash: object.nodes().len(),
            };
            self.resize_table(table, plan)?;
        }
        Ok(())
    }

    /// Marks a value as reached.
    pub(crate) fn shade(&mut self, value: Value) {
        let mark = self.mark;
        let fresh = match value {
            Value::String(id) => {
                self.strings.paint(id, mark);
                false
            }
            Value::Table(id) => self.tables.paint(id.index(), mark),
            Value::Function(id) => self.functions.paint(id.index(), mark),
            Value::Thread(id) => self.threads.paint(id.index(), mark),
            Value::UserData(id) => self.userdata.paint(id.index(), mark),
            Value::Nil
            | Value::Boolean(_)
            | Value::Number(_)
            | Value::Native(_)
            | Value::Light(_) => false,
        };
        if fresh {
            self.gray.push((value, 0));
        }
    }

    /// Whether the cycle that has just marked everything did not reach a value. Strings count as values, never dead.
    pub(crate) fn is_dead(&mut self, value: Value) -> bool {
        match value {
            Value::String(id) => {
                self.strings.paint(id, self.mark);
                false
            }
            Value::Table(id) => self.tables.mark(id.index()) != self.mark,
            Value::Function(id) => self.functions.mark(id.index()) != self.mark,
            Value::Thread(id) => self.threads.mark(id.index()) != self.mark,
            Value::UserData(id) => self.userdata.mark(id.index()) != self.mark,
            _ => false,
        }
    }

    /// Paints every object as reached, and ends the cycle.
    pub(crate) fn paint_all(&mut self) {
        let mark = self.mark;
        self.strings.paint_all(mark);
        macro_rules! paint {
            ($($arena:ident)*) => {$(
                for place in 0..self.$arena.len() {
                    self.$arena.paint(place, mark);
                }
            )*};
        }
        paint!(tables functions upvalues threads userdata);
        self.gray = Pieces::new();
        self.gray_protos = Pieces::new();
        self.weak = Pieces::new();
        self.phase = Phase::Idle;
    }

    /// Frees an object of the sweep's arena unless it was reached.
    pub(crate) fn sweep_one(&mut self, arena: usize, place: usize) -> Swept {
        let mark = self.mark;
        macro_rules! sweep {
            ($arena:ident, $bytes:expr) => {{
                if place >= self.$arena.len() {
                    return Swept::End;
                }
                if self.$arena.is_free(place) || self.$arena.mark(place) == mark {
                    return Swept::Kept;
                }
                let object = self.$arena.remove(place);
                let bytes = $bytes(&object);
                self.release(bytes);
            }};
        }
        match arena {
            0 => {
                if place >= self.strings.len() {
                    return Swept::End;
                }
                let Some(text) = self.strings.sweep(place, mark) else {
                    return Swept::Kept;
                };
                self.release(text.len() + STRING_BYTES);
                if text.len() > RELEASED_BYTES {
                    self.remains.push(Remains::Text(text.into_vec()));
                }
            }
            1 => {
                if place >= self.tables.len() {
                    return Swept::End;
                }
                if self.tables.is_free(place) || self.tables.mark(place) == mark {
                    return Swept::Kept;
                }
                let table = self.tables.remove(place);
                self.release(table.bytes() + TABLE_BYTES);
                if table.bytes() > RELEASED_BYTES {
                    self.remains.push(Remains::Table(table));
                }
            }
            2 => sweep!(functions, Function::bytes),
            3 => sweep!(upvalues, |_: &Upvalue| size_of::<Upvalue>() + 1),
            4 => sweep!(threads, Thread::bytes),
            5 => sweep!(userdata, |_: &UserData| size_of::<UserData>() + 1),
            _ => return Swept::End,
        }
        Swept::Freed
    }
}

/// What became of a place that the sweep came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// It was free, or what it holds was reached.
    Kept,
    Freed,
    /// There is no such place.
    End,
}

/// Arenas that [`Heap::sweep_one`] knows.
pub(crate) const ARENAS: usize = 6;
