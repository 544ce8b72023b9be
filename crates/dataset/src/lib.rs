//! The dataset: databases as commands see them, what a command does to them, their expiry, their snapshots, and all data
//! commands.
//!
//! It knows no clients, no connections, no parameters and no replication. Whoever runs a command says where it comes from
//! ([`Origin`]), gets the reply and the [`effects`] back, and settles them.
#![forbid(unsafe_code)]

mod access;
mod ahead;
mod call;
pub mod commands;
pub mod copies;
mod crowd;
pub mod digest;
pub mod effects;
pub mod eviction;
pub mod expiry;
pub mod keys;
pub mod notify;
pub mod number;
mod origin;
mod rng;
mod room;
mod settings;
pub mod snapshot;

pub use access::{AccessClock, idle_seconds};
pub use call::{Args, Call, Handler, OnTimeout, ReplyLimit, Wait, Wake, reply_help};
pub use crowd::Crowd;
pub use keys::Keys;
pub use origin::{Expiry, Origin, PartyId, Source};
pub use rng::Random;
pub use room::give_back;
pub use settings::{Eviction, LazyFree, Sanitize, Settings};
