//! The interpreter's state and its driver: what is on the stacks, and what runs next.

pub(crate) mod call;
pub(crate) mod collect;
pub(crate) mod coroutine;
pub(crate) mod error;
pub(crate) mod execute;
mod load;
pub(crate) mod meta;
pub(crate) mod operate;
pub(crate) mod task;
pub(crate) mod thread;
pub(crate) mod unwind;

pub use load::{Compilation, LoadError};

use error::Error;
use meta::Event;
use task::{Native, NativeResult};
use thread::{After, Frame, FrameKind, Status, TaskFrame, Thread};

use crate::arena::Arena;
use crate::heap::{Function, Heap, OutOfMemory, Upvalue};
use crate::job::{Job, SLOTS_AT_ONCE};
use crate::limits::{MEMORY_BYTES_DEFAULT, WINDOW};
use crate::proto::Proto;
use crate::stdlib::{self, base::LIBRARY_FUNCTIONS};
use crate::table::Found;
use crate::value::{NativeId, StringId, TableId, ThreadId, Value};

/// Numbers of host functions begin here among those of native functions.
const HOST_FUNCTIONS: u32 = 1 << 24;

/// Slots and frames that stay from one run to the next.
const KEPT_SLOTS: usize = 4 * WINDOW;
const KEPT_FRAMES: usize = 64;

/// A lack of memory is final if the last full collection was less than so many units of work ago.
const UNITS_BETWEEN_RESCUES: i64 = 1000;

/// The generator's state in a fresh state, as in a fresh process whose C library has not been seeded.
const RANDOM_START: u64 = 0x1234_ABCD_330E;

/// What a state is made with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes that all objects may take together; a program that wants more gets an error.
    pub memory_bytes_max: usize,
    /// Mixed into the hashes of strings. 0 gives the order of traversal of a stock Lua 5.1.
    pub hash_seed: u32,
    /// `pcall` hands out the field `err` of an error that is a table, where that is a string or a number, instead of the
    /// table.
    pub pcall_unwraps_err: bool,
    /// What `os.clock` answers, in seconds; without it 0.
    pub clock: Option<fn() -> f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes_max: MEMORY_BYTES_DEFAULT,
            hash_seed: 0,
            pcall_unwraps_err: false,
            clock: None,
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// The function has returned; see [`State::results`].
    Done,
    /// An error was not caught.
    Failed(Failure),
    /// A host function was called; see [`State::arguments`]. Answer it, or raise an error, and resume.
    Call(HostCall),
    /// The budget is used up. Resume with another one, or not at all.
    OutOfBudget,
}

/// An error that nothing caught.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The error value.
    pub value: Value,
    /// The chunk and the line of the innermost Lua function when the error was raised.
    pub place: Option<Place>,
    /// What kind of error it was.
    pub kind: FailureKind,
}

/// Where an error was raised.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The chunk's name as it was given to [`State::load`].
    pub source: StringId,
    /// The line, from 1.
    pub line: u32,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Raised by the program, the library or the host.
    Raised,
    /// Memory was used up.
    Memory,
    /// A handler of errors kept failing.
    InHandler,
}

/// A host function that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The number that [`State::host_function`] was given.
    pub function: u32,
}

/// A value that the host keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept(usize);

/// What makes the driver stop.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Done,
    Host(HostCall),
}

/// A call that failed for lack of memory and is made again after a collection.
#[derive(Clone, Copy, Debug)]
struct Retry {
    func: usize,
    args: usize,
    after: After,
}

/// A Lua interpreter: its globals, its objects, and at most one run under way.
pub struct State {
    pub(crate) heap: Heap,
    pub(crate) protos: Arena<Proto>,
    /// The coroutine that runs; its place among the others is empty meanwhile.
    pub(crate) thread: Thread,
    pub(crate) thread_id: ThreadId,
    pub(crate) main: ThreadId,
    /// Units of work left in this slice; below zero it is over.
    pub(crate) budget: i64,
    /// The global table of functions loaded from now on.
    pub(crate) globals: TableId,
    /// What `setfenv(0, table)` has put in its place, until the run ends.
    run_globals: Option<TableId>,
    /// Functions of the library that others hand out.
    pub(crate) handed_out: [Value; LIBRARY_FUNCTIONS],
    pub(crate) string_metatable: Option<TableId>,
    pub(crate) event_names: [StringId; Event::COUNT],
    natives: Vec<Native>,
    named_natives: Vec<(&'static str, Value)>,
    kept: Vec<Value>,
    kept_free: Vec<usize>,
    pub(crate) options: Options,
    /// The state of `math.random`: 48 bits.
    pub(crate) random: u64,
    /// A compilation is under way, whose objects the collector could not find.
    pub(crate) collector_paused: bool,
    /// `collectgarbage("stop")`: no slices by themselves.
    pub(crate) collector_stopped: bool,
    pub(crate) pause: f64,
    pub(crate) step_multiplier: f64,
    stop: Option<Stop>,
    /// An error of the host, to be raised first of all.
    raised: Option<Value>,
    /// The host function that waits: its slot and where its results go.
    waiting: Option<(usize, After)>,
    arguments: (usize, usize),
    results: Vec<Value>,
    /// A full collection must end before the run goes on.
    collecting: bool,
    retry: Option<Retry>,
    /// The coroutine has ended, but there was no room for its results where they go: their first slot and how many.
    ending: Option<(usize, usize)>,
    /// The frame's instruction is to be made again after the job that it has asked for.
    stepped_back: bool,
    /// Units of work of earlier slices, and when the last full collection for lack of memory was.
    worked: i64,
    slice_budget: i64,
    collected_at: Option<i64>,
    failed_place: Option<Place>,
}

impl State {
    /// A state with the standard library in its globals.
    ///
    /// # Errors
    ///
    /// The limit is too small for the library itself.
    pub fn new(options: Options) -> Result<Self, OutOfMemory> {
        let mut heap = Heap::new(options.memory_bytes_max, options.hash_seed);
        let globals = heap.table(0, 0)?;
        let main = ThreadId(heap.threads.insert(Thread::default(), heap.mark));
        let mut names = [StringId::short(0, 0); Event::COUNT];
        for (place, text) in names.iter_mut().zip(Event::NAMES) {
            *place = heap.string(text.as_bytes())?;
        }
        let mut state = Self {
            heap,
            protos: Arena::new(),
            thread: Thread {
                status: Status::Running,
                ..Thread::default()
            },
            thread_id: main,
            main,
            budget: 0,
            globals,
            run_globals: None,
            handed_out: [Value::Nil; LIBRARY_FUNCTIONS],
            string_metatable: None,
            event_names: names,
            natives: Vec::new(),
            named_natives: Vec::new(),
            kept: Vec::new(),
            kept_free: Vec::new(),
            options,
            random: RANDOM_START,
            collector_paused: false,
            collector_stopped: false,
            pause: 200.0,
            step_multiplier: 200.0,
            stop: None,
            raised: None,
            waiting: None,
            arguments: (0, 0),
            results: Vec::new(),
            collecting: false,
            retry: None,
            ending: None,
            stepped_back: false,
            worked: 0,
            slice_budget: 0,
            collected_at: None,
            failed_place: None,
        };
        state.ensure_stack(0)?;
        stdlib::install(&mut state)?;
        state.set_collect_goal();
        Ok(state)
    }

    // Values.

    /// A string.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn string(&mut self, bytes: &[u8]) -> Result<Value, OutOfMemory> {
        self.heap.string(bytes).map(Value::String)
    }

    /// The bytes of a string.
    #[must_use]
    pub fn bytes(&self, id: StringId) -> &[u8] {
        self.heap.bytes(id)
    }

    /// The bytes of a value that is a string.
    #[must_use]
    pub fn as_bytes(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::String(id) => Some(self.heap.bytes(id)),
            _ => None,
        }
    }

    /// An empty table with room for so many items and fields.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn table(&mut self, items: usize, fields: usize) -> Result<TableId, OutOfMemory> {
        self.heap.table(items, fields)
    }

    /// What stands at a key, metatables aside.
    pub fn get(&mut self, table: TableId, key: Value) -> Value {
        // Outside of a run nothing has to wait.
        self.heap.raw_find(table, key).unwrap_or_default()
    }

    /// What stands at a field, metatables aside; nil as well where memory does not suffice for the name.
    pub fn field(&mut self, table: TableId, name: &str) -> Value {
        match self.heap.string(name.as_bytes()) {
            Ok(id) => {
                let found = self.heap.raw_find(table, Value::String(id));
                found.unwrap_or_default()
            }
            Err(OutOfMemory) => Value::Nil,
        }
    }

    /// Puts a value at a key, metatables and protection aside. A key that is nil or not a number is passed over.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn set(&mut self, table: TableId, key: Value, value: Value) -> Result<(), OutOfMemory> {
        self.forget_marks();
        match key {
            Value::Nil => Ok(()),
            Value::Number(number) if number.is_nan() => Ok(()),
            key => self.heap.raw_set(table, key, value),
        }
    }

    /// Puts a value at a field, metatables and protection aside.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn set_field(
        &mut self,
        table: TableId,
        name: &str,
        value: Value,
    ) -> Result<(), OutOfMemory> {
        self.forget_marks();
        let id = self.heap.string(name.as_bytes())?;
        self.heap.raw_set(table, Value::String(id), value)
    }

    /// The pair after a key in the order of traversal; the first one after nil. None at the end, or for an unknown key.
    #[must_use]
    pub fn next(&self, table: TableId, key: Value) -> Option<(Value, Value)> {
        let table = &self.heap.tables[table.index()];
        let mut found = table.next(key, &self.heap.strings);
        while let Ok(Found::Nothing { after }) = found {
            found = Ok(table.next_from(after));
        }
        match found {
            Ok(Found::Pair { key, value, .. }) => Some((key, value)),
            _ => None,
        }
    }

    /// A border of a table: what `#` gives.
    #[must_use]
    pub fn length(&self, table: TableId) -> usize {
        self.heap.tables[table.index()].border(&self.heap.strings)
    }

    /// Gives a table a metatable, or takes it away.
    pub fn set_metatable(&mut self, table: TableId, metatable: Option<TableId>) {
        self.forget_marks();
        self.heap.tables[table.index()].metatable = metatable;
    }

    /// The metatable of a table.
    #[must_use]
    pub fn metatable(&self, table: TableId) -> Option<TableId> {
        self.heap.tables[table.index()].metatable
    }

    /// The metatable that all strings share.
    #[must_use]
    pub fn string_metatable(&self) -> Option<TableId> {
        self.string_metatable
    }

    /// Makes a table refuse all writes of programs, or allows them again.
    pub fn set_readonly(&mut self, table: TableId, readonly: bool) {
        self.heap.tables[table.index()].readonly = readonly;
    }

    /// Whether two values are the same, metatables aside.
    #[must_use]
    pub fn raw_equal(&self, a: Value, b: Value) -> bool {
        self.heap.raw_equal(a, b)
    }

    /// What `tostring` gives without a metatable.
    #[must_use]
    pub fn display(&self, value: Value) -> Vec<u8> {
        stdlib::display(self, value)
    }

    /// A function of the host, named by a number of its choice below 2^24. Calling it leaves [`State::resume`] with
    /// [`Outcome::Call`].
    #[must_use]
    pub fn host_function(&self, number: u32) -> Value {
        Value::Native(NativeId(HOST_FUNCTIONS + (number & (HOST_FUNCTIONS - 1))))
    }

    /// A function of the library.
    pub(crate) fn native(&mut self, native: Native) -> Value {
        let id = u32::try_from(self.natives.len()).unwrap_or(0);
        self.natives.push(native);
        Value::Native(NativeId(id))
    }

    /// A function of a module that may be made more than once: its code is registered under a name the first time.
    pub(crate) fn native_named(&mut self, native: Native, name: &'static str) -> Value {
        if let Some((_, value)) = self.named_natives.iter().find(|(known, _)| *known == name) {
            return *value;
        }
        let value = self.native(native);
        self.named_natives.push((name, value));
        value
    }

    /// The table in which functions that are loaded find their globals.
    #[must_use]
    pub fn globals(&self) -> TableId {
        self.globals
    }

    /// Changes that table.
    pub fn set_globals(&mut self, table: TableId) {
        self.forget_marks();
        self.globals = table;
    }

    /// The globals of functions that the run loads.
    pub(crate) fn run_globals(&self) -> TableId {
        self.run_globals.unwrap_or(self.globals)
    }

    pub(crate) fn set_run_globals(&mut self, table: TableId) {
        self.run_globals = Some(table);
    }

    /// Gives a Lua function other globals. False for a native one.
    pub fn set_environment(&mut self, function: Value, table: TableId) -> bool {
        let Value::Function(id) = function else {
            return false;
        };
        let Function::Lua(closure) = &mut self.heap.functions[id.index()] else {
            return false;
        };
        closure.env = table;
        true
    }

    /// Keeps a value alive until it is released.
    pub fn keep(&mut self, value: Value) -> Kept {
        self.forget_marks();
        let place = self.kept_free.pop().unwrap_or_else(|| {
            self.kept.push(Value::Nil);
            self.kept.len() - 1
        });
        self.kept[place] = value;
        Kept(place)
    }

    /// The value that is kept.
    #[must_use]
    pub fn kept(&self, kept: Kept) -> Value {
        self.kept.get(kept.0).copied().unwrap_or_default()
    }

    /// Lets a value go.
    pub fn release(&mut self, kept: Kept) {
        if let Some(place) = self.kept.get_mut(kept.0) {
            *place = Value::Nil;
            self.kept_free.push(kept.0);
        }
    }

    /// Bytes of all objects.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.heap.bytes
    }

    /// Bytes that all objects may take together from now on. Where there are more already, a program that wants more gets an
    /// error until enough has become garbage.
    pub fn set_memory_limit(&mut self, bytes: usize) {
        self.heap.bytes_max = bytes;
        self.set_collect_goal();
    }

    /// Lets the host make something with up to `bytes` beyond the memory limit, where it has no time for a complete collection:
    /// one is due, in slices, when a program goes on.
    pub fn with_headroom<T>(&mut self, bytes: usize, make: impl FnOnce(&mut Self) -> T) -> T {
        let limit = self.heap.bytes_max;
        self.heap.bytes_max = limit.saturating_add(bytes);
        let made = make(self);
        self.heap.bytes_max = limit;
        self.heap.collect_at = 0;
        made
    }

    /// From now on [`State::memory_grown`] tells how memory grows.
    pub fn watch_memory(&mut self) {
        self.heap.lowest = self.heap.bytes;
        self.heap.grown = 0;
    }

    /// By how many bytes memory has grown at most since [`State::watch_memory`]: beyond what it was then, or beyond what a
    /// collection has left of that.
    #[must_use]
    pub fn memory_grown(&self) -> usize {
        self.heap.growth()
    }

    /// The state of the generator behind `math.random`: 48 bits.
    #[must_use]
    pub fn random_state(&self) -> u64 {
        self.random
    }

    /// Sets the generator, so that several states can share one sequence.
    pub fn set_random_state(&mut self, random: u64) {
        self.random = random & ((1 << 48) - 1);
    }

    // Running.

    /// Prepares a call; [`State::resume`] makes it. A run that was under way is given up.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn start(&mut self, function: Value, arguments: &[Value]) -> Result<(), OutOfMemory> {
        self.abort();
        self.ensure_stack(arguments.len() + 1)?;
        self.thread.stack[0] = function;
        self.thread.stack[1..=arguments.len()].copy_from_slice(arguments);
        self.thread.levels = 1;
        self.thread.base_levels = 1;
        self.thread.status = Status::Running;
        self.retry = Some(Retry {
            func: 0,
            args: arguments.len(),
            after: After::Exit,
        });
        self.thread.top = u32::try_from(arguments.len() + 1).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Gives up the run that is under way: nothing of it will go on.
    pub fn abort(&mut self) {
        self.forget_marks();
        if self.thread_id != self.main {
            self.switch_to(self.main);
        }
        self.drop_frames(0);
        self.close_upvalues(0);
        self.thread.top = 0;
        self.thread.pending = None;
        self.stop = None;
        self.raised = None;
        self.waiting = None;
        self.retry = None;
        self.ending = None;
        self.heap.job = None;
        self.stepped_back = false;
        self.results.clear();
        self.run_globals = None;
        self.collecting = false;
        self.collector_paused = false;
        self.collected_at = None;
        self.worked = 0;
        self.failed_place = None;
        // Slots that are no longer in use are emptied by the next collection, before it frees anything.
        let kept = self.thread.stack.len().min(KEPT_SLOTS);
        if self.thread.stack.len() > kept {
            let surplus = (self.thread.stack.capacity() - kept) * size_of::<Value>();
            self.thread.stack.truncate(kept);
            self.thread.stack.shrink_to_fit();
            self.heap.release(surplus);
        }
        if self.thread.frames.capacity() > KEPT_FRAMES {
            self.heap
                .release(self.thread.frames.capacity() * size_of::<Frame>());
            self.thread.frames = Vec::new();
        }
    }

    /// Runs until the function has returned or failed, a host function is called, or `budget` units of work are done: an
    /// instruction, a step of a pattern, thirty-two bytes copied, an object collected are a unit each.
    pub fn resume(&mut self, budget: u64) -> Outcome {
        if self.thread.frames.is_empty()
            && self.retry.is_none()
            && self.raised.is_none()
            && self.ending.is_none()
        {
            return Outcome::Done;
        }
        self.budget = i64::try_from(budget).unwrap_or(i64::MAX / 2);
        self.slice_budget = self.budget;
        self.heap.takes_jobs = true;
        let outcome = self.drive();
        self.heap.takes_jobs = false;
        self.worked += self.slice_budget - self.budget;
        outcome
    }

    /// Units of work that the run has done, in all its slices.
    #[must_use]
    pub fn work_used(&self) -> u64 {
        u64::try_from(self.worked).unwrap_or(0)
    }

    fn drive(&mut self) -> Outcome {
        loop {
            let step = self.advance();
            match step {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(error) => {
                    if matches!(error, Error::Memory) {
                        if self.heap.job.is_some() {
                            self.step_back();
                            continue;
                        }
                        if self.may_collect() {
                            self.step_back();
                            self.collecting = true;
                            continue;
                        }
                    }
                    self.step_forward();
                    self.retry = None;
                    self.ending = None;
                    // What an error sets off is not made again.
                    self.heap.takes_jobs = false;
                    let failure = self.unwind(error);
                    self.heap.takes_jobs = true;
                    if let Some(failure) = failure {
                        self.drop_frames(0);
                        return Outcome::Failed(failure);
                    }
                }
            }
        }
    }

    /// One stretch of work; the outcome if the run stops.
    fn advance(&mut self) -> Result<Option<Outcome>, Error> {
        if self.budget < 0 {
            return Ok(Some(Outcome::OutOfBudget));
        }
        if self.collecting {
            if self.collect_slice(crate::limits::SLICE) {
                self.collecting = false;
                self.collected_at = Some(self.work_done());
            }
            return Ok(None);
        }
        if self.heap.job.is_some() {
            self.work_on_job()?;
            return Ok(None);
        }
        self.stepped_back = false;
        if let Some(value) = self.raised.take() {
            return Err(Error::Raised(value));
        }
        if let Some(retry) = self.retry.take() {
            self.call_now(retry.func, retry.args, retry.after)?;
        }
        if let Some((first, count)) = self.ending {
            self.ending = None;
            self.finish_thread(first, count)?;
        }
        match self.stop.take() {
            Some(Stop::Done) => return Ok(Some(Outcome::Done)),
            Some(Stop::Host(call)) => return Ok(Some(Outcome::Call(call))),
            None => {}
        }
        if self.collection_is_due() {
            self.collecting = true;
            return Ok(None);
        }
        match self.thread.frames.last().map(|frame| &frame.kind) {
            Some(FrameKind::Lua(_)) => self.execute()?,
            Some(FrameKind::Task(_)) => self.step_task()?,
            _ => return Ok(Some(Outcome::Done)),
        }
        Ok(None)
    }

    /// Whether a lack of memory may be cured by a full collection: not if there has just been one.
    fn may_collect(&mut self) -> bool {
        if self.collector_paused {
            return false;
        }
        let now = self.work_done();
        self.collected_at
            .is_none_or(|at| now - at >= UNITS_BETWEEN_RESCUES)
    }

    /// Units of work since the run began.
    fn work_done(&self) -> i64 {
        self.worked + (self.slice_budget - self.budget)
    }

    /// Has the instruction or the native call that failed made again.
    fn step_back(&mut self) {
        if self.retry.is_none()
            && !self.stepped_back
            && let Some(frame) = self.thread.frames.last_mut()
            && matches!(frame.kind, FrameKind::Lua(_))
        {
            frame.pc = frame.pc.saturating_sub(1);
            self.stepped_back = true;
        }
    }

    /// What was to be made again has failed for good, where it stands.
    fn step_forward(&mut self) {
        if std::mem::take(&mut self.stepped_back)
            && let Some(frame) = self.thread.frames.last_mut()
        {
            frame.pc += 1;
        }
    }

    /// A slice of what the program waits for.
    fn work_on_job(&mut self) -> Result<(), OutOfMemory> {
        let mut left = crate::limits::SLICE;
        let mut complete = false;
        while !complete && left > 0 {
            let running = (self.thread_id, &mut self.thread);
            let (units, done) = self.heap.work_on_job(running)?;
            let units = i64::try_from(units).unwrap_or(i64::MAX / 2);
            left -= units;
            self.budget -= units;
            // A job that lacks memory behind a collection lacks it for good, however long it has taken to find out.
            if let Some(at) = &mut self.collected_at {
                *at += units;
            }
            complete = done;
        }
        Ok(())
    }

    /// The arguments of the host function that waits.
    #[must_use]
    pub fn arguments(&self) -> &[Value] {
        let (first, count) = self.arguments;
        self.thread
            .stack
            .get(first..first + count)
            .unwrap_or_default()
    }

    /// Answers the host function that waits.
    ///
    /// # Errors
    ///
    /// Memory is used up; the function still waits.
    pub fn answer(&mut self, values: &[Value]) -> Result<(), OutOfMemory> {
        let Some((func, after)) = self.waiting else {
            return Ok(());
        };
        let first = func + 1;
        self.ensure_stack(first + values.len())?;
        self.thread.stack[first..first + values.len()].copy_from_slice(values);
        self.waiting = None;
        self.restore_levels();
        match self.deliver(after, func, first, values.len()) {
            Ok(()) => Ok(()),
            Err(_) => Err(OutOfMemory),
        }
    }

    /// Raises an error in place of the host function that waits, once the run is resumed.
    pub fn raise(&mut self, value: Value) {
        self.waiting = None;
        self.raised = Some(value);
    }

    /// `name:line: ` of the Lua function that called the host function which waits; empty if native code did.
    #[must_use]
    pub fn caller_place(&self) -> Vec<u8> {
        self.place_of(self.thread.frames.len().wrapping_sub(1))
    }

    /// What the function has returned.
    #[must_use]
    pub fn results(&self) -> &[Value] {
        &self.results
    }

    /// Makes sure that slots up to `top`, and a window above, are there.
    #[inline]
    pub(crate) fn ensure_stack(&mut self, top: usize) -> Result<(), OutOfMemory> {
        if top + WINDOW <= self.thread.stack.len() {
            return Ok(());
        }
        self.grow_stack(top + WINDOW)
    }

    #[cold]
    fn grow_stack(&mut self, wanted: usize) -> Result<(), OutOfMemory> {
        let stack = &mut self.thread.stack;
        let size = wanted.max(stack.len() + stack.len() / 2).max(2 * WINDOW);
        let more = (size - stack.len()) * size_of::<Value>();
        if self.heap.takes_jobs && size > SLOTS_AT_ONCE {
            self.heap.check(more)?;
            self.heap.job = Some(Job::deepen(self.thread_id, size));
            return Err(OutOfMemory);
        }
        self.heap.charge(more)?;
        stack.reserve_exact(size - stack.len());
        stack.resize(size, Value::Nil);
        Ok(())
    }

    /// Reads or writes a variable that is shared.
    pub(crate) fn upvalue_get(&self, upvalue: Upvalue) -> Value {
        match upvalue {
            Upvalue::Closed(value) => value,
            Upvalue::Open { thread, slot } if thread == self.thread_id => {
                self.thread.stack[slot as usize]
            }
            Upvalue::Open { thread, slot } => {
                let other = &self.heap.threads[thread.index()];
                other.stack.get(slot as usize).copied().unwrap_or_default()
            }
        }
    }

    /// The task of a frame, if it is one's.
    fn task_frame(&mut self, place: usize) -> Option<&mut TaskFrame> {
        match &mut self.thread.frames.get_mut(place)?.kind {
            FrameKind::Task(task) => Some(task),
            _ => None,
        }
    }

    /// Takes a step of the topmost frame's task.
    fn step_task(&mut self) -> Result<(), Error> {
        let place = self.thread.frames.len() - 1;
        let frame = &self.thread.frames[place];
        let base = frame.base as usize;
        let count = frame.top as usize - base;
        let Some(waiting) = self.task_frame(place) else {
            return Ok(());
        };
        let Some(mut task) = waiting.task.take() else {
            return Ok(());
        };
        let results = waiting.results;
        let mut call = task::Call {
            state: self,
            base,
            count,
            pushed: 0,
            results: (results.0 as usize, results.1 as usize),
            has_frame: true,
            is_boundary: false,
        };
        let flow = task.step(&mut call);
        let first = base + count + call.pushed;
        let held = task.held();
        let Some(waiting) = self.task_frame(place) else {
            return Ok(());
        };
        let before = std::mem::replace(&mut waiting.held, held);
        waiting.task = Some(task);
        if !matches!(flow, Err(Error::Memory)) {
            // A step that lacked memory is taken again, with the same results.
            waiting.results = (0, 0);
        }
        self.heap.bytes = (self.heap.bytes + held).saturating_sub(before);
        match flow? {
            NativeResult::Again => Ok(()),
            NativeResult::Call(args) => self.call(first - args - 1, args, After::Native),
            NativeResult::Return(values) => {
                let frame = &self.thread.frames[place];
                let (func, after) = (frame.func as usize, frame.after);
                self.drop_frames(place);
                self.deliver(after, func, first - values, values)
            }
            _ => Err(self.error("a task may not do this")),
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("bytes", &self.heap.bytes)
            .field("frames", &self.thread.frames.len())
            .finish_non_exhaustive()
    }
}
