//! Commands about the server's own commands.

pub mod command;
mod describe;
