//! The replica's side: one link to a primary.

mod types;

pub use types::*;
