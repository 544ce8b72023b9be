//! Errors, and the texts that say where they happened and in which variable.

use super::State;
use super::task::Call;
use super::thread::FrameKind;
use crate::compiler::lexer::chunk_name;
use crate::heap::{Function, OutOfMemory};
use crate::number::until_nul;
use crate::op::Op;
use crate::proto::Proto;
use crate::value::{StringId, Value};

/// What ends a call early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// A value that `error` or the interpreter raised.
    Raised(Value),
    /// Memory is used up.
    Memory,
    /// A handler of errors keeps failing.
    InHandler,
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::Memory
    }
}

/// Where a value came from: the kind of variable and its name.
pub(crate) struct Origin {
    pub(crate) kind: &'static str,
    pub(crate) name: StringId,
}

/// The variable that a register holds at an instruction, if it is plain from the code before it.
pub(crate) fn origin(proto: &Proto, pc: usize, register: u8, depth: u8) -> Option<Origin> {
    if let Some(name) = proto.local_name(register, pc) {
        return Some(Origin {
            kind: "local",
            name,
        });
    }
    let setter = proto.code[last_setter(proto, pc, register)?];
    let constant = |k: u32| match proto.constants.get(k as usize) {
        Some(Value::String(id)) => Some(*id),
        _ => None,
    };
    match setter {
        Op::GetGlobal { k, .. } => Some(Origin {
            kind: "global",
            name: constant(k)?,
        }),
        Op::Move { src, dst } if src < dst && depth > 0 => {
            let at = last_setter(proto, pc, register)?;
            origin(proto, at, src, depth - 1)
        }
        Op::GetField { k, .. } => Some(Origin {
            kind: "field",
            name: constant(k)?,
        }),
        Op::Method { k, dst, .. } if dst == register => Some(Origin {
            kind: "method",
            name: constant(k)?,
        }),
        Op::GetUpvalue { upvalue, .. } => Some(Origin {
            kind: "upvalue",
            name: *proto.upvalue_names.get(usize::from(upvalue))?,
        }),
        _ => None,
    }
}

/// Whether the register was filled by an index that has no name.
fn is_unnamed_field(proto: &Proto, pc: usize, register: u8) -> bool {
    proto.local_name(register, pc).is_none()
        && last_setter(proto, pc, register)
            .is_some_and(|at| matches!(proto.code[at], Op::GetIndex { .. } | Op::GetItem { .. }))
}

/// The last instruction before `pc` that set a register, walking the code in its order and passing over what a forward
/// jump leaves out.
fn last_setter(proto: &Proto, pc: usize, register: u8) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    while at < pc {
        let op = &proto.code[at];
        if op.writes(register) {
            found = Some(at);
        }
        at += 1;
        // Conditional jumps too: what they leave out may not have run.
        if let Some(to) = op.target()
            && (to as usize) > at
            && (to as usize) <= pc
        {
            at = to as usize;
        }
    }
    found
}

/// A level of the call stack, as `error` and `getfenv` count.
pub(crate) enum Level {
    /// A frame, by its place.
    Frame(usize),
    /// A call that was replaced by a tail call.
    Replaced,
    /// Past the bottom.
    None,
}

impl State {
    /// Makes an error value of a text.
    pub(crate) fn text_error(&mut self, text: &[u8]) -> Error {
        match self.heap.string(text) {
            Ok(id) => Error::Raised(Value::String(id)),
            Err(OutOfMemory) => Error::Memory,
        }
    }

    /// An error of the interpreter in the running function: the text with place.
    #[cold]
    pub(crate) fn error(&mut self, message: &str) -> Error {
        self.error_bytes(message.as_bytes())
    }

    #[cold]
    pub(crate) fn error_bytes(&mut self, message: &[u8]) -> Error {
        let mut text = self.place_of(self.thread.frames.len().wrapping_sub(1));
        text.extend_from_slice(message);
        self.text_error(&text)
    }

    /// `name:line: ` of a Lua function's frame, nothing for others.
    pub(crate) fn place_of(&self, frame: usize) -> Vec<u8> {
        match self.source_line(frame) {
            Some((source, line)) => {
                let mut text = chunk_name(source);
                text.extend_from_slice(format!(":{line}: ").as_bytes());
                text
            }
            None => Vec::new(),
        }
    }

    /// The chunk's name as given and the current line of a Lua function's frame.
    pub(crate) fn source_line(&self, frame: usize) -> Option<(&[u8], u32)> {
        let (proto, pc) = self.frame_code(frame)?;
        Some((self.heap.bytes(proto.source?), proto.line(pc)))
    }

    /// The function and the instruction under way of a Lua function's frame.
    pub(crate) fn frame_code(&self, frame: usize) -> Option<(&Proto, usize)> {
        let frame = self.thread.frames.get(frame)?;
        let FrameKind::Lua(id) = frame.kind else {
            return None;
        };
        let Function::Lua(closure) = &self.heap.functions[id.index()] else {
            return None;
        };
        let pc = (frame.pc as usize).saturating_sub(1);
        Some((&self.protos[closure.proto.index()], pc))
    }

    /// The level that is so many below the caller: 1 is the topmost frame that is not the native function's own.
    pub(crate) fn level(&self, mut level: usize, has_frame: bool) -> Level {
        let mut frame = self.thread.frames.len() + usize::from(!has_frame);
        // Level 0 is the native function itself.
        loop {
            if level == 0 {
                return match frame.checked_sub(1) {
                    Some(place) if place < self.thread.frames.len() => Level::Frame(place),
                    _ => Level::None,
                };
            }
            frame -= 1;
            level -= 1;
            if frame == 0 {
                return Level::None;
            }
            if level > 0 {
                let replaced = self.thread.frames[frame - 1].tail_calls as usize;
                if replaced > 0 {
                    if level <= replaced {
                        return Level::Replaced;
                    }
                    level -= replaced;
                }
            }
        }
    }

    /// "attempt to index local 'x' (a nil value)".
    #[cold]
    pub(crate) fn type_error(&mut self, what: &str, value: Value, register: Option<u8>) -> Error {
        let kind = value.type_name();
        let variable = register.and_then(|register| {
            let (proto, pc) = self.frame_code(self.thread.frames.len() - 1)?;
            match origin(proto, pc, register, 8) {
                Some(origin) => Some((origin.kind, self.heap.bytes(origin.name).to_vec())),
                None if is_unnamed_field(proto, pc, register) => Some(("field", b"?".to_vec())),
                None => None,
            }
        });
        let mut text = format!("attempt to {what} ").into_bytes();
        match variable {
            Some((variable, name)) => {
                text.extend_from_slice(format!("{variable} '").as_bytes());
                text.extend_from_slice(until_nul(&name));
                text.extend_from_slice(format!("' (a {kind} value)").as_bytes());
            }
            None => text.extend_from_slice(format!("a {kind} value").as_bytes()),
        }
        self.error_bytes(&text)
    }

    #[cold]
    pub(crate) fn compare_error(&mut self, a: Value, b: Value) -> Error {
        let (a, b) = (a.type_name(), b.type_name());
        // Lua 5.1 tells types apart by the third letters of their names, which `thread` and `string` share.
        self.error(&if a.as_bytes()[2] == b.as_bytes()[2] {
            format!("attempt to compare two {a} values")
        } else {
            format!("attempt to compare {a} with {b}")
        })
    }

    /// How the running Lua function names the native function that it calls.
    fn called_name(&self) -> Option<Origin> {
        let (proto, pc) = self.frame_code(self.thread.frames.len().checked_sub(1)?)?;
        let register = match proto.code[pc] {
            Op::Call { base, .. } | Op::TailCall { base, .. } | Op::IteratorCall { base, .. } => {
                base
            }
            _ => return None,
        };
        origin(proto, pc, register, 8)
    }
}

impl Call<'_> {
    /// An error with the place of the function that called this one.
    pub(crate) fn error(&mut self, message: &str) -> Error {
        self.error_bytes(message.as_bytes())
    }

    pub(crate) fn error_bytes(&mut self, message: &[u8]) -> Error {
        let frames = self.state.thread.frames.len();
        let caller = frames.wrapping_sub(if self.has_frame { 2 } else { 1 });
        let mut text = self.state.place_of(caller);
        text.extend_from_slice(message);
        self.state.text_error(&text)
    }

    /// "bad argument #1 to 'name' (message)"; arguments are counted from 0 here.
    pub(crate) fn argument_error(&mut self, index: usize, message: &str) -> Error {
        self.numbered_argument_error(index + 1, message.as_bytes())
    }

    /// The same with the argument's number as the text shows it.
    pub(crate) fn numbered_argument_error(&mut self, mut number: usize, message: &[u8]) -> Error {
        let origin = if self.has_frame || self.is_boundary {
            None
        } else {
            self.state.called_name()
        };
        let Some(origin) = origin else {
            let mut text = format!("bad argument #{number} to '?' (").into_bytes();
            text.extend_from_slice(message);
            text.push(b')');
            return self.error_bytes(&text);
        };
        let name = self.state.heap.bytes(origin.name).to_vec();
        let mut text = Vec::new();
        let is_method = origin.kind == "method";
        number -= usize::from(is_method);
        if is_method && number == 0 {
            text.extend_from_slice(b"calling '");
            text.extend_from_slice(until_nul(&name));
            text.extend_from_slice(b"' on bad self (");
        } else {
            text.extend_from_slice(format!("bad argument #{number} to '").as_bytes());
            text.extend_from_slice(until_nul(&name));
            text.extend_from_slice(b"' (");
        }
        text.extend_from_slice(message);
        text.push(b')');
        self.error_bytes(&text)
    }

    pub(crate) fn type_argument_error(&mut self, index: usize, expected: &str) -> Error {
        let got = if self.has(index) {
            self.arg(index).type_name()
        } else {
            "no value"
        };
        self.argument_error(index, &format!("{expected} expected, got {got}"))
    }
}
