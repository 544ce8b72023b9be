//! Programs beside the server that look at its files: `valkey-check-rdb` and `valkey-check-aof`.
//!
//! Options, exit codes and lines are those of the reference; `--json` is ours, and so is `--help`. Each program is a
//! function, so that another binary can be one of them by its name ([`by_name`]).
//!
//! Source: what the programs of Valkey 8.0.1 print (compared with them by the tests).
#![forbid(unsafe_code)]

mod arguments;
mod check_aof;
mod check_rdb;
mod clock;
mod console;
mod rdb_check;

pub use check_aof::main_check_aof;
pub use check_rdb::main_check_rdb;

use std::ffi::OsString;
use std::process::ExitCode;

/// A program: its arguments, the first of which is its own name.
pub type Program = fn(Vec<OsString>) -> ExitCode;

/// The program that a binary called so is; the reference goes by a part of the name, old names among them.
#[must_use]
pub fn by_name(argv0: &str) -> Option<Program> {
    let file = argv0.rsplit('/').next().unwrap_or(argv0);
    let is = |part: &str| {
        file.contains(&format!("valkey-{part}")) || file.contains(&format!("redis-{part}"))
    };
    if is("check-rdb") {
        Some(main_check_rdb)
    } else if is("check-aof") {
        Some(main_check_aof)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_programs() {
        for name in [
            "valkey-check-rdb",
            "/usr/bin/redis-check-aof",
            "./valkey-check-aof-8",
        ] {
            assert!(by_name(name).is_some(), "{name}");
        }
        for name in ["valkey-server", "check-rdb", "/valkey-check-rdb/server"] {
            assert!(by_name(name).is_none(), "{name}");
        }
    }
}
