//! Scripts and functions: the sandbox, what they find in it, the cache of scripts, libraries, and runs that can be left and
//! resumed.
//!
//! - [`Scripting`] holds scripts and libraries with an interpreter for each. It starts a [`Run`], and takes it back.
//! - [`Run::resume`] goes on for a while; what the script asks of the server is asked of a [`Host`].
//! - [`Run::write_reply`] writes what it has returned or raised as one reply.
//!
//! Nothing is known of the engine: commands, clients, clocks and the log are behind [`Host`] and [`LoadHost`].
//!
//! Source: the scripting pages of the Valkey documentation, and what Valkey 8.0.1 answers.

#![forbid(unsafe_code)]

mod arguments;
mod digest;
mod error;
mod flags;
mod host;
mod libraries;
mod limits;
mod machine;
mod names;
mod registration;
mod run;
mod sandbox;
mod scripting;
mod scripts;
mod shebang;
mod source;
mod to_lua;
mod to_reply;
mod usage;

pub use digest::Digest;
pub use error::Error;
pub use flags::ScriptFlags;
pub use host::{Host, LogLevel, Targets};
pub use libraries::{ENGINE, Function, Library, LoadHost, Policy};
pub use limits::Limits;
pub use run::{Progress, Run};
pub use scripting::{Discarded, Scripting};
pub use scripts::Keep;
pub use source::KeysAndArgs;
pub use to_reply::Counted;
pub use usage::{LastError, Taken, Usage};
