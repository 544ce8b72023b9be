//! The engine: what the server does with a request, as a pure machine.
//!
//! Requests, time and randomness come in; replies and effects go out. No socket, file, clock or task is known here: what
//! the engine needs of the process comes through [`host::Host`].
#![forbid(unsafe_code)]

pub mod blocking;
pub mod client;
pub mod command;
pub mod config;
pub mod effects;
pub mod error;
pub mod exec;
pub mod host;
pub mod keys;
pub mod notify;
pub mod number;
pub mod rng;

pub use client::{Client, ClientFlags, ClientId};
pub use error::{Error, Outcome};
pub use exec::Exec;
pub use keys::Keys;
