//! Placeholder for the `engine` crate.
#![forbid(unsafe_code)]

pub mod config;
pub mod glob;
