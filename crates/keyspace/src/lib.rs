//! The dataset: databases, keys and their values, expiry times, scan cursors and what they weigh.
//!
//! A [`Db`] maps keys to [`Entry`]s; an entry is one allocation holding the key, its expiry time, its
//! access clock and, where it is small, the value. Larger values hang off it as boxed containers:
//! [`List`], [`Set`], [`Hash`], [`ZSet`], [`Stream`]. Small containers are kept in the byte layouts of `packed`, which
//! are also the layouts on disk.
//!
//! This crate knows nothing of RESP, of the wall clock, of random sources (they come in as [`Rng`]) and of
//! replication. `unsafe` is confined to the files that `crates/server/tests/tidy.rs` lists.
#![deny(unsafe_code)]

pub mod bits;
pub mod copying;
pub mod db;
pub mod embedded;
pub mod entry;
mod entry_ref;
pub mod hash;
pub mod hashing;
pub mod hyperloglog;
pub mod limits;
pub mod list;
pub mod rng;
pub mod set;
pub mod stream;
pub mod table;
#[cfg(test)]
mod testing;
mod thin;
pub mod value;
mod vector;
pub mod zset;

pub use packed::Element;

pub use db::{Conflict, Db, EntryMut, Incoming, Overwritten, Stamp, StrHow, Ttl};
pub use embedded::Edit;
pub use entry::Entry;
pub use entry_ref::EntryRef;
pub use hash::{Hash, HashRef};
pub use hashing::{hash, set_hash_seed};
pub use limits::Limits;
pub use list::{List, ListLimits, ListRef};
pub use rng::Rng;
pub use set::{Set, SetRef};
pub use stream::{Stream, StreamId, StreamLimits};
pub use table::Resize;
pub use value::{Counted, Encoding, Invalid, Str, StrRef, Type, Value, ValueMut, ValueRef};
pub use zset::{Inserted, LexBound, LexRange, ScoreRange, ZSet, ZSetRef};
