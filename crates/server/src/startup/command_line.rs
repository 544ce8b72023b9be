//! The command line: what the program is asked to be and to read.

use super::{memory_test, system_check};
use config::{CommandLine, Invocation, Text};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// What the server is started with.
///
/// # Errors
/// The exit code when there is nothing to serve: an error has been printed, or what was asked for.
pub(super) fn read(arguments: &[OsString]) -> Result<CommandLine, ExitCode> {
    let called = arguments.first();
    if let Some(program) = called.and_then(|called| tools::by_name(&called.to_string_lossy())) {
        return Err(program(arguments.to_vec()));
    }
    if let Some(refusal) = refuse_role(arguments) {
        complain(&format!("{refusal}\n"));
        return Err(ExitCode::FAILURE);
    }
    let arguments: Vec<Vec<u8>> = arguments
        .iter()
        .skip(1)
        .map(|arg| arg.as_bytes().to_vec())
        .collect();
    match Invocation::parse(&arguments) {
        Ok(Invocation::Run(command_line)) => Ok(command_line),
        Ok(Invocation::Version) => {
            print(&version_line());
            Err(ExitCode::SUCCESS)
        }
        Ok(Invocation::Help) => {
            complain(USAGE);
            Err(ExitCode::FAILURE)
        }
        Ok(Invocation::TestMemory(megabytes)) => Err(test_memory(megabytes.as_ref())),
        Ok(Invocation::CheckSystem) => {
            let (report, fine) = system_check::run();
            print(&report);
            Err(if fine {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            Err(ExitCode::FAILURE)
        }
    }
}

/// Why the program cannot be what its name, or `--sentinel`, asks for. A server instead would be a surprise.
fn refuse_role(arguments: &[OsString]) -> Option<String> {
    let called = std::path::Path::new(arguments.first()?).file_name()?;
    let called = called.to_string_lossy();
    let is = |role: &str| {
        ["valkey", "redis"]
            .iter()
            .any(|product| called.contains(&format!("{product}-{role}")))
    };
    let missing = if is("sentinel") || arguments.iter().any(|argument| argument == "--sentinel") {
        "has no Sentinel mode"
    } else {
        return None;
    };
    Some(format!("{called}: this build {missing}"))
}

/// `--test-memory`.
fn test_memory(megabytes: Option<&Text>) -> ExitCode {
    let Some(megabytes) = megabytes else {
        complain(
            "Please specify the amount of memory to test in megabytes.\nExample: ./valkey-server --test-memory 4096\n\n",
        );
        return ExitCode::FAILURE;
    };
    let Some(megabytes) = megabytes.lossy().parse().ok() else {
        complain("The amount of memory to test must be a number of megabytes.\n");
        return ExitCode::FAILURE;
    };
    match memory_test::run(megabytes, &mut std::io::stdout()) {
        Ok(()) => {
            print(
                "\nYour memory passed this test.\nPlease if you are still in doubt use the following two tools:\n1) memtest86: http://www.memtest86.com/\n2) memtester: http://pyropus.ca/software/memtester/\n",
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            ExitCode::FAILURE
        }
    }
}

/// `-v`.
fn version_line() -> String {
    format!(
        "Valkey server v={} sha=00000000:0 malloc={} bits=64 build={BUILD_ID}\n",
        words::version::VALKEY,
        crate::memory::allocator(),
    )
}

/// A digest of the sources, 16 hexadecimal digits: made by `build.rs`.
pub(crate) const BUILD_ID: &str = env!("BUILD_ID");

const USAGE: &str = "Usage: ./valkey-server [/path/to/valkey.conf] [options] [-]
       ./valkey-server - (read config from stdin)
       ./valkey-server -v or --version
       ./valkey-server -h or --help
       ./valkey-server --test-memory <megabytes>
       ./valkey-server --check-system

Examples:
       ./valkey-server (run the server with default conf)
       echo 'maxmemory 128mb' | ./valkey-server -
       ./valkey-server /etc/valkey/6379.conf
       ./valkey-server --port 7777
       ./valkey-server --port 7777 --replicaof 127.0.0.1 8888
       ./valkey-server /etc/myvalkey.conf --loglevel verbose -
       ./valkey-server /etc/myvalkey.conf --loglevel verbose

Sentinel mode is not part of this program.
";

pub(super) fn print(text: &str) {
    // Nobody to tell when standard output is gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

pub(super) fn complain(text: &str) {
    // Nobody to tell when standard error is gone.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
