//! Placeholder for the keyspace crate.
#![deny(unsafe_code)]
