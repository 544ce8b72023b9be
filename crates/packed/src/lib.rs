//! Placeholder for the `packed` crate.
#![forbid(unsafe_code)]
