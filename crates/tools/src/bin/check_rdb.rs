//! `valkey-check-rdb`: looks whether a dump file is sound.

use std::process::ExitCode;

fn main() -> ExitCode {
    tools::main_check_rdb(std::env::args_os().collect())
}
