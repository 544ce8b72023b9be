//! The engine: what the server does with a request, as a pure machine.
//!
//! Requests, time and randomness come in; replies and effects go out. No socket, file, clock or task is known here: what
//! the engine needs of the process comes through [`host::Host`].
#![forbid(unsafe_code)]

pub mod acl_log;
pub mod blocking;
pub mod client;
mod client_eviction;
pub mod commands;
mod copying;
pub mod core;
pub mod cron;
mod dispatch;
pub mod engine;
pub mod eviction;
pub mod exec;
pub mod host;
pub mod latency;
pub mod link;
pub mod migration;
mod origin;
pub mod pubsub;
pub mod registry;
pub mod repl;
pub mod saving;
pub mod shutdown;
pub mod slowlog;
pub mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tracking;

pub use client::{Client, ClientFlags, ClientId};
pub use commandtable::{Error, Outcome};
pub use engine::{Engine, Ran, Then, Traffic};
pub use exec::{Args, Exec, Handler};
