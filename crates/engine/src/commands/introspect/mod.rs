//! COMMAND and its subcommands: the server tells what it can do.

mod command;
mod describe;

pub(super) use command::{COMMANDS, lookup};
