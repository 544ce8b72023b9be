//! Both ends of Valkey replication as state machines without I/O.
//!
//! - [`primary::Hub`]: what a server does for its replicas. It owns the replication identity, the shared
//!   buffer, every replica's state and the scheduling of snapshots.
//! - [`replica::Link`]: what a server does towards its primary. It owns both connections of a dual-channel
//!   session as one object.
//!
//! Bytes, time and randomness come in as arguments, [`primary::Action`]s and [`replica::Action`]s go out. No
//! sockets, clocks, files or keyspace here. Source of the rules: `docs/replication.md`.
#![forbid(unsafe_code)]

mod compression;
mod history;
mod limits;
pub mod primary;
pub mod replica;
pub mod sync;
mod text;
mod types;

pub use backlog::Slice;
pub use history::{History, ReplId};
pub use types::{ClientId, Entropy, OutputLimit};
pub use words::Level;
