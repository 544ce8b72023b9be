//! Placeholder for the `backlog` crate.
#![forbid(unsafe_code)]
