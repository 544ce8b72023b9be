//! Placeholder for the `resp` crate.
#![forbid(unsafe_code)]
