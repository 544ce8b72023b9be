//! Lua 5.1 in safe Rust: resumable, metered, deterministic.

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arena;
mod compiler;
mod ext;
mod heap;
mod job;
pub mod limits;
mod number;
mod op;
mod pieces;
mod proto;
mod remains;
mod stdlib;
mod strings;
mod table;
mod value;
mod vm;

pub use heap::OutOfMemory;
pub use value::{
    FunctionId, NativeId, ProtoId, StringId, TableId, ThreadId, UpvalueId, UserDataId, Value,
};
pub use vm::{
    Compilation, Failure, FailureKind, HostCall, Kept, LoadError, Options, Outcome, Place, State,
};
