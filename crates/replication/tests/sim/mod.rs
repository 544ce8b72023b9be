//! Servers without sockets: hubs and links wired by scripted connections in virtual time.
//!
//! A dataset is the list of values that were added, each with its DB. Every node can be primary and replica at
//! once, so chains work too. What a real server does around the two machines, `world.rs` does in the simplest way.
#![allow(dead_code, reason = "every test file uses its own part")]

pub(crate) mod model;
pub(crate) mod script;
pub(crate) mod world;
