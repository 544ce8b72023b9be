//! The replica's side: one link to a primary.

mod buffer;
mod handshake;
mod lines;
mod link;
mod payload;
mod redis;
mod report;
mod transfer;
mod types;

pub use link::Link;
pub use types::*;
