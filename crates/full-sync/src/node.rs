//! A server that is measured.

use std::error::Error;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;

/// How long a start may take.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks at a server.
const POLL: Duration = Duration::from_millis(20);

/// A process in a folder of its own; killed when dropped.
pub(crate) struct Node {
    child: Child,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    folder: TempDir,
}

impl Node {
    /// Starts a server and waits until it answers.
    pub(crate) fn start(
        binary: &Path,
        port: u16,
        options: &[(&str, &str)],
    ) -> Result<Node, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("full-sync-").tempdir()?;
        let port = if port == 0 { free_port()? } else { port };
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new(binary);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(folder.path())
            .args(["--save", "", "--enable-debug-command", "yes"]);
        for (name, value) in options {
            command.arg(format!("--{name}")).args(value.split(' '));
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut node = Node {
            child,
            port,
            folder,
        };
        let begin = Instant::now();
        while !node.answers() {
            if node.child.try_wait()?.is_some() || begin.elapsed() > START_TIME_MAX {
                return Err(format!("{} does not start: {}", binary.display(), node.log()).into());
            }
            pause();
        }
        Ok(node)
    }

    fn answers(&self) -> bool {
        Client::connect(self.port).is_ok_and(|mut client| client.call(&["PING"]).is_ok())
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::connect(self.port)?)
    }

    /// The end of what it has logged.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it is worth looking at a server again.
pub(crate) fn pause() {
    thread::sleep(POLL);
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The version that a program tells, without what else it tells of its build.
pub(crate) fn version(binary: &Path) -> String {
    let text = crate::machine::said_by(&binary.to_string_lossy(), &["--version"]);
    version_in(&text).unwrap_or_default().to_owned()
}

fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace()
        .find_map(|word| word.strip_prefix("v="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_among_other_words() {
        let text = "Valkey server v=8.0.1 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64 build=9";
        assert_eq!(version_in(text), Some("8.0.1"));
        assert_eq!(version_in("what?"), None);
    }
}
