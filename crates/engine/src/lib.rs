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
pub mod commands;
pub mod core;
pub mod cron;
pub mod digest;
mod dispatch;
pub mod effects;
pub mod engine;
pub mod eviction;
pub mod exec;
pub mod host;
pub mod keys;
pub mod latency;
pub mod link;
pub mod notify;
pub mod number;
pub mod pubsub;
pub mod registry;
pub mod repl;
pub mod rng;
pub mod saving;
pub mod shutdown;
pub mod slowlog;
pub mod snapshot;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod tracking;

pub use client::{Client, ClientFlags, ClientId};
pub use commandtable::{Error, Outcome};
pub use engine::{Engine, Ran, Then, Traffic};
pub use exec::{Args, Exec, Handler};
pub use keys::Keys;
