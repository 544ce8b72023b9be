//! The reference server on a socket in a folder of its own, and EVAL on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::Reply;

/// How often the socket is tried, and the time between.
const TRIES: u32 = 4_000;
const BETWEEN: Duration = Duration::from_millis(25);

/// Longer than any program takes, and for one that has not ended here in a while.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_millis(800);

pub(crate) struct Reference {
    server: Child,
    stream: BufReader<UnixStream>,
    folder: PathBuf,
}

impl Reference {
    /// None where there is no such program.
    pub(crate) fn start() -> Option<Self> {
        let unique = format!(
            "lua-differential-{}-{:?}",
            std::process::id(),
            std::time::Instant::now()
        );
        let unique: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&folder).ok()?;
        let socket = folder.join("s");
        let server = Command::new("valkey-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--busy-reply-threshold",
                "0",
                "--unixsocket",
            ])
            .arg(&socket)
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..TRIES {
            if let Ok(stream) = UnixStream::connect(&socket) {
                return Some(Self {
                    server,
                    stream: BufReader::new(stream),
                    folder,
                });
            }
            // The pause between two looks at whether the server listens.
            std::thread::sleep(BETWEEN);
        }
        None
    }

    /// Has a script run; none if the server has gone.
    pub(crate) fn send(&mut self, script: &[u8]) -> Option<()> {
        let mut request = format!("*3\r\n$4\r\nEVAL\r\n${}\r\n", script.len()).into_bytes();
        request.extend_from_slice(script);
        request.extend_from_slice(b"\r\n$1\r\n0\r\n");
        self.stream.get_mut().write_all(&request).ok()
    }

    /// The reply; none if the server has gone, or takes too long.
    pub(crate) fn receive(&mut self, patience: Duration) -> Option<Reply> {
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(patience)).ok()?;
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).ok()?;
        let (kind, rest) = line.split_first()?;
        let rest = rest.strip_suffix(b"\r\n")?;
        let number = || std::str::from_utf8(rest).ok()?.parse::<i64>().ok();
        Some(match kind {
            b'$' => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    self.stream.read_exact(&mut text).ok()?;
                    text.truncate(length);
                    Reply::Bulk(text)
                }
                Err(_) => Reply::Nil,
            },
            b':' => Reply::Integer(number()?),
            b'-' => Reply::Error(without_place(rest).to_vec()),
            _ => Reply::Nil,
        })
    }
}

/// An error text without the name of the script and the place that the server adds.
fn without_place(text: &[u8]) -> &[u8] {
    let end = text.windows(9).position(|window| window == b" script: ");
    end.map_or(text, |end| &text[..end])
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Either may be gone already, and nothing depends on it.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
