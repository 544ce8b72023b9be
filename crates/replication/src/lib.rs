//! Placeholder for the `replication` crate.
#![forbid(unsafe_code)]
