//! What INFO says of the process.
#![allow(
    unsafe_code,
    reason = "the system's name is asked for with a system call"
)]

use super::command_line::BUILD_ID;
use crate::process;
use config::Config;
use engine::host::ProcessFacts;

/// Facts that do not change while the process lives.
pub(super) fn gather(config: &Config, config_file: String) -> ProcessFacts {
    let random = process::random_bytes();
    let run_id = random
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ProcessFacts {
        pid: std::process::id(),
        os: system_name(),
        build_id: BUILD_ID,
        allocator: crate::memory::allocator(),
        executable: std::env::current_exe()
            .map_or_else(|_| String::new(), |path| path.display().to_string()),
        config_file,
        supervised: crate::supervise::in_force().name().to_owned(),
        listeners: Vec::new(),
        port: crate::listener::shown_port(config),
        run_id,
        started_at: (crate::clock::unix_us() / 1_000_000) as i64,
    }
}

/// System, release and machine, as `uname` tells them.
fn system_name() -> String {
    // SAFETY: all-zero is a valid `utsname`, and `uname` writes only to it.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        name
    };
    let text = |field: &[libc::c_char]| -> String {
        field
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte as u8))
            .collect()
    };
    format!(
        "{} {} {}",
        text(&name.sysname),
        text(&name.release),
        text(&name.machine)
    )
}
