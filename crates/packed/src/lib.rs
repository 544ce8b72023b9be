//! The byte layouts that memory, RDB files and DUMP payloads share: listpack and intset.
//!
//! A small list, hash, set or sorted set is held in memory as exactly the bytes that go to disk, so saving
//! and loading it is a copy. This crate knows the two layouts, edits them in place (one `memmove` per edit)
//! and validates bytes that come from outside: whatever [`Listpack::from_bytes`] and [`Intset::from_bytes`]
//! accept, every later operation handles without a panic.
//!
//! It does not know what the elements mean: fields, members and scores are the business of `keyspace`.
//!
//! Source of the layouts: the listpack specification (antirez/listpack) and the bytes that the reference
//! server's `DUMP` prints, which the tests pin.
#![forbid(unsafe_code)]

mod element;
mod error;
mod intset;
pub mod limits;
mod listpack;

pub use element::{Element, IntBuf};
pub use error::Error;
pub use intset::{Intset, IntsetRef, Iter as IntsetIter};
pub use listpack::{Count, Iter as ListpackIter, Listpack, ListpackRef, Pos};
