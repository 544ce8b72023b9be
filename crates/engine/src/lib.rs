//! The engine: what the server does with a request, as a pure machine.
//!
//! Requests, time and randomness come in; replies and effects go out. No socket, file, clock or task is known here: what
//! the engine needs of the process comes through [`host::Host`].
#![forbid(unsafe_code)]

mod accounting;
mod admission;
pub mod blocking;
pub mod client;
mod client_eviction;
pub mod commands;
mod connections;
mod copying;
pub mod cron;
mod dispatch;
pub mod engine;
pub mod eviction;
pub mod exec;
pub mod host;
pub mod latency;
mod loading;
pub mod migration;
mod origin;
mod output_limits;
pub mod primary_link;
pub mod pubsub;
mod recovery;
pub mod registry;
pub mod repl;
mod replicas;
mod requests;
pub mod saving;
mod settle;
pub mod shutdown;
pub mod slowlog;
pub mod state;
pub mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tracking;
pub mod users;

pub use client::{Client, ClientFlags, ClientId};
pub use commandtable::{Error, Outcome};
pub use engine::{Engine, NextStep, Traffic};
pub use exec::{Args, Exec, Handler};
pub use requests::BatchResult;
