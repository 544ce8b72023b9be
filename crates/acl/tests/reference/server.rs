//! The reference server, and just enough of its protocol to ask it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A reply in RESP2.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+`
    Status(String),
    /// `-`
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`
    Null,
    /// `*`
    Array(Vec<Reply>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{}", text.escape_ascii()),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Null => f.write_str("null"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
        }
    }
}

impl Reply {
    /// A bulk string.
    pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    /// `+OK`
    pub(crate) fn ok() -> Self {
        Self::Status("OK".into())
    }
}

/// A random source, repeated with the seed that is printed in `ACL_SEED`.
pub(crate) fn seeded(test: &str) -> StdRng {
    let seed = setting("ACL_SEED", rand::rng().random());
    println!("{test}: ACL_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether the reference is installed.
pub(crate) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("valkey-server").is_file())
}

/// A folder of this name, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A server on a socket file, gone when dropped, with a connection to it.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    connection: Connection,
}

/// A connection to a server.
pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
    /// Requests that were not sent yet, and how many replies are to come.
    pending: (Vec<u8>, usize),
}

impl Server {
    /// Starts a server in a folder.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("s");
        let mut child = Command::new("valkey-server")
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(folder)
            .arg("--unixsocket")
            .arg(&socket)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    child.kill().ok();
                    panic!("valkey-server does not answer: {error}");
                }
                Err(_) => std::thread::yield_now(),
            }
        };
        Self {
            child,
            socket,
            connection: Connection::new(stream),
        }
    }

    /// Another connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::new(UnixStream::connect(&self.socket).unwrap())
    }
}

impl Deref for Server {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            reader: BufReader::new(stream),
            pending: (Vec::new(), 0),
        }
    }

    /// Adds a request to those that the next [`Self::replies`] sends.
    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let (bytes, count) = &mut self.pending;
        bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            bytes.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
            bytes.extend_from_slice(arg.as_ref());
            bytes.extend_from_slice(b"\r\n");
        }
        *count += 1;
    }

    /// Sends what was added and waits for all replies. `None` when the connection is closed.
    pub(crate) fn replies(&mut self) -> Option<Vec<Reply>> {
        let (bytes, count) = std::mem::take(&mut self.pending);
        self.reader.get_mut().write_all(&bytes).ok()?;
        (0..count).map(|_| self.read()).collect()
    }

    fn read(&mut self) -> Option<Reply> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok()?;
        let line = line.strip_suffix(b"\r\n")?;
        let (kind, rest) = line.split_first()?;
        let text = || String::from_utf8_lossy(rest).into_owned();
        let number = || text().parse::<i64>().ok();
        Some(match kind {
            b'+' => Reply::Status(text()),
            b'-' => Reply::Error(rest.to_vec()),
            b':' => Reply::Integer(number()?),
            b'$' => match usize::try_from(number()?) {
                Err(_) => Reply::Null,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.reader.read_exact(&mut bytes).ok()?;
                    bytes.truncate(length);
                    Reply::Bulk(bytes)
                }
            },
            b'*' => match usize::try_from(number()?) {
                Err(_) => Reply::Null,
                Ok(length) => {
                    Reply::Array((0..length).map(|_| self.read()).collect::<Option<_>>()?)
                }
            },
            _ => return None,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
