//! A coroutine: its stack of values and its frames.

use super::task::Task;
use crate::limits::WINDOW;
use crate::value::{FunctionId, ThreadId, UpvalueId, Value};

/// What runs in a frame.
pub(crate) enum FrameKind {
    Lua(FunctionId),
    /// `pcall`, or `xpcall` with its handler in the frame's first slot.
    Protected {
        has_handler: bool,
    },
    /// `coroutine.resume` or a wrapped coroutine, until the other one gives way.
    Resume {
        is_wrap: bool,
    },
    /// A native function that is left and continued.
    Task(Box<TaskFrame>),
}

/// What the frame of a task keeps.
pub(crate) struct TaskFrame {
    /// Absent while it takes a step.
    pub(crate) task: Option<Box<dyn Task>>,
    /// Bytes that the task held when they were counted last.
    pub(crate) held: usize,
    /// Results of the task's call: the first slot and how many.
    pub(crate) results: (u32, u32),
}

/// What becomes of the results of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// To the slot of the function and behind it: so many plus one, or [`OPEN`](crate::op::OPEN).
    Results(u8),
    /// The first one into this register of the frame below.
    Store(u8),
    /// The first one decides a jump of the frame below.
    Jump {
        expect: bool,
        to: u32,
    },
    /// The first one is an operand of the concatenation that the frame below repeats up to this register.
    Concat(u8),
    Discard,
    /// The frame below, which is not a Lua function's, takes them.
    Native,
    /// The first one replaces the error value that a handler was called with.
    Handler,
    /// The coroutine ends.
    Exit,
}

impl After {
    /// Whether the call passes through native code, which cannot be left by `coroutine.yield`.
    pub(crate) fn is_boundary(self) -> bool {
        !matches!(self, Self::Results(_) | Self::Exit)
    }
}

pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) after: After,
    /// Native levels down to here, this one included.
    pub(crate) levels: u32,
    /// The slot of the called function.
    pub(crate) func: u32,
    /// The first register, or the first argument of a native function.
    pub(crate) base: u32,
    /// One past the last slot in use.
    pub(crate) top: u32,
    /// The next instruction.
    pub(crate) pc: u32,
    /// Calls that this one has replaced.
    pub(crate) tail_calls: u32,
    /// The last operand of the concatenation to be repeated.
    pub(crate) concat_last: Option<u8>,
}

impl Frame {
    /// What is pushed before its fields are set where it stands: a frame of its own would be copied to the stack, and the
    /// copy waits for the fields to be written.
    const EMPTY: Self = Self {
        kind: FrameKind::Resume { is_wrap: false },
        after: After::Discard,
        levels: 0,
        func: 0,
        base: 0,
        top: 0,
        pc: 0,
        tail_calls: 0,
        concat_last: None,
    };
}

impl Frame {
    /// Bytes that its task has been counted with.
    pub(crate) fn held(&self) -> usize {
        match &self.kind {
            FrameKind::Task(task) => task.held,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Status {
    /// Created, or it has yielded.
    #[default]
    Suspended,
    Running,
    /// It has resumed another one.
    Normal,
    Dead,
}

#[derive(Default)]
pub(crate) struct Thread {
    /// [`WINDOW`] slots stand above every frame's base.
    pub(crate) stack: Vec<Value>,
    pub(crate) frames: Vec<Frame>,
    /// Variables on this stack that closures share, with their slots, in ascending order.
    pub(crate) open: Vec<(u32, UpvalueId)>,
    /// One past the values of a call that asked for all, or 0.
    pub(crate) top: u32,
    pub(crate) levels: u32,
    /// The levels at which it was resumed last.
    pub(crate) base_levels: u32,
    pub(crate) status: Status,
    pub(crate) resumer: Option<ThreadId>,
    /// What its pending `yield` does with the values that it is resumed with: the slot of `yield`, and where to.
    pub(crate) pending: Option<(u32, After)>,
}

impl Thread {
    pub(crate) fn bytes(&self) -> usize {
        self.stack.capacity() * size_of::<Value>()
            + self.frames.capacity() * size_of::<Frame>()
            + self.open.capacity() * 8
            + size_of::<Self>()
            + 1
    }

    /// Pushes a frame for the slots of a call.
    #[inline]
    pub(crate) fn push_frame(
        &mut self,
        kind: FrameKind,
        after: After,
        func: u32,
        base: u32,
        top: u32,
    ) {
        self.frames.push(Frame::EMPTY);
        if let Some(frame) = self.frames.last_mut() {
            frame.kind = kind;
            frame.after = after;
            frame.levels = self.levels;
            frame.func = func;
            frame.base = base;
            frame.top = top;
        }
    }

    /// The first slot above all that is in use.
    pub(crate) fn live_top(&self) -> usize {
        let frame = self.frames.last().map_or(0, |frame| frame.top);
        frame.max(self.top) as usize
    }
}

/// The registers of a frame, given the stack from its base on.
#[inline]
pub(crate) fn window(stack: &mut [Value]) -> &mut [Value; WINDOW] {
    stack
        .first_chunk_mut()
        .expect("a window of slots stands above every base")
}
