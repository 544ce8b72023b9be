//! The machine that measures.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What a reader needs to know of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    pub(crate) processor: String,
    /// Its cores, as this program may use them.
    pub(crate) cores: usize,
    /// Memory.
    pub(crate) memory_bytes: u64,
    /// Version of the kernel.
    pub(crate) kernel: String,
    /// Day of the measurement.
    pub(crate) date: String,
}

impl Machine {
    /// This one, today.
    pub(crate) fn here() -> Machine {
        let row = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let memory = row("/proc/meminfo", "MemTotal");
        Machine {
            processor: row("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory
                .split_whitespace()
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024,
            kernel: said_by("uname", &["-sr"]),
            date: said_by("date", &["-u", "+%Y-%m-%d"]),
        }
    }
}

/// What a program prints, in one line.
pub(crate) fn said_by(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
