//! The primary's side: replicas, snapshots, the stream.

mod failover;
mod hub;
mod info;
mod liveness;
mod pacing;
mod psync;
mod redis;
mod replconf;
mod report;
mod session;
mod snapshot;
pub(crate) mod spool;
mod types;
mod unread;

pub use failover::FailoverState;
pub use hub::Hub;
pub use session::ReplicaState;
pub use types::*;
