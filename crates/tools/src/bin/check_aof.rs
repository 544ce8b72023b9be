//! `valkey-check-aof`: looks whether an append-only file is sound, and cuts it where it is not.

use std::process::ExitCode;

fn main() -> ExitCode {
    tools::main_check_aof(std::env::args_os().collect())
}
