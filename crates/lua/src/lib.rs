//! Lua 5.1 in safe Rust: resumable, metered, deterministic.
//!
//! A [`State`] holds globals and objects. [`State::load`] compiles a source, [`State::start`] prepares a call, and
//! [`State::resume`] runs it for as much work as the caller allows; between two resumes the host answers calls of its own
//! functions, serves others, or gives the run up. See the crate's README for the picture.
#![forbid(unsafe_code)]

mod arena;
mod compiler;
mod heap;
pub mod limits;
mod number;
mod op;
mod proto;
mod stdlib;
mod strings;
mod table;
mod value;
mod vm;

pub use heap::OutOfMemory;
pub use value::{
    FunctionId, NativeId, ProtoId, StringId, TableId, ThreadId, UpvalueId, UserDataId, Value,
};
pub use vm::{Failure, FailureKind, HostCall, Kept, LoadError, Options, Outcome, Place, State};
