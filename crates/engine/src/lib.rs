//! The engine: what the server does with a request, as a pure machine.
//!
//! Requests, time and randomness come in; replies and effects go out. No socket, file, clock or task is known here: what
//! the engine needs of the process comes through [`host::Host`].
#![forbid(unsafe_code)]

pub mod acl_log;
mod ahead;
pub mod blocking;
pub mod client;
mod client_eviction;
pub mod command;
pub mod commands;
pub mod config;
pub mod core;
pub mod cron;
mod crowd;
pub mod digest;
mod dispatch;
pub mod effects;
pub mod engine;
pub mod error;
pub mod eviction;
pub mod exec;
pub mod glob;
pub mod host;
pub mod keys;
pub mod latency;
pub mod link;
pub mod longdouble;
pub mod notify;
pub mod number;
pub mod pubsub;
pub mod repl;
pub mod rng;
mod room;
pub mod saving;
pub mod shutdown;
pub mod slowlog;
pub mod snapshot;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod tracking;
pub mod words;

pub use client::{Client, ClientFlags, ClientId};
pub use engine::{Engine, Ran, Then, Traffic};
pub use error::{Error, Outcome};
pub use exec::{Args, Exec, Handler};
pub use keys::Keys;
