//! Placeholder for the `engine` crate.
#![forbid(unsafe_code)]

pub mod command;
pub mod commands;
