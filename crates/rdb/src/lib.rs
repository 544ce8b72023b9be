//! Placeholder for the `rdb` crate.
#![forbid(unsafe_code)]
