//! What the tests of the binary share: a process that ends with its test, and a client that reads every kind of reply.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests measure how long they have waited"
)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The binary under test.
pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_valkey-server");
/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);
/// Address space of a server, in KiB: a runaway must not take the machine with it.
const ADDRESS_SPACE_KIB: u64 = 2 << 20;

/// Looks at `condition` until it holds.
///
/// # Panics
/// When it never came true; `what` says what was expected.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        // The only sleep of these tests: the pause between two looks.
        std::thread::sleep(POLL);
    }
}

/// A TCP port that nobody has right now.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    socket.local_addr().expect("it is bound").port()
}

/// A number from the environment, or `default`.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A server process in a folder of its own; killed when dropped.
pub(crate) struct Server {
    /// The process.
    pub(crate) child: Child,
    /// Its TCP port on 127.0.0.1.
    pub(crate) port: u16,
    /// Its working directory; the log is `log` in it.
    pub(crate) dir: TempDir,
}

impl Server {
    /// Starts `binary` with `options` on a free port, and waits until it answers.
    pub(crate) fn start(binary: &str, options: &[&str]) -> Server {
        let dir = TempDir::new().expect("a folder can be made");
        Self::start_in(binary, dir, options)
    }

    /// As [`Self::start`], in a folder that may hold files already.
    pub(crate) fn start_in(binary: &str, dir: TempDir, options: &[&str]) -> Server {
        let server = Self::spawn(binary, dir, options);
        server.wait_until_up();
        server
    }

    /// Starts the process without waiting.
    pub(crate) fn spawn(binary: &str, dir: TempDir, options: &[&str]) -> Server {
        let port = free_port();
        // A file that may not grow any more (`prlimit --fsize`) is an error of a write, and not the end of the process.
        let limited = format!("trap '' XFSZ; ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\"");
        let child = Command::new("/bin/sh")
            .args(["-c", &limited, binary])
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--logfile", "log", "--save", ""])
            .arg("--dir")
            .arg(dir.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        Server { child, port, dir }
    }

    fn wait_until_up(&self) {
        wait_for("a server that answers PING", || {
            Client::connect(self.port)
                .and_then(|mut client| client.call(&[b"PING"]))
                .is_ok_and(
                    |reply| !matches!(&reply, Reply::Error(text) if text.starts_with(b"LOADING")),
                )
        });
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port).expect("the server accepts")
    }

    /// What has been logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Sends a signal by name, as `kill` knows it.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill exists");
        assert!(status.success());
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the end of the process", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Bytes of the process in memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_field("VmRSS:") * 1024
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(Path::new(&path)).map_or(0, Iterator::count)
    }

    fn status_field(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A reply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    /// `+`.
    Simple(Vec<u8>),
    /// `-`.
    Error(Vec<u8>),
    /// `:`.
    Int(i64),
    /// `$`.
    Bulk(Vec<u8>),
    /// `$-1` (`'$'`), `*-1` (`'*'`) or `_`.
    Null(char),
    /// `,`.
    Double(Vec<u8>),
    /// `#`.
    Bool(bool),
    /// `(`.
    Big(Vec<u8>),
    /// `=`.
    Verbatim(Vec<u8>),
    /// `*`, `~`, `>`, `%` or `|`: the sign and the items, two per pair of a map.
    Many(char, Vec<Reply>),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reply::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            Reply::Error(text) => write!(f, "-{}", text.escape_ascii()),
            Reply::Int(number) => write!(f, ":{number}"),
            Reply::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Reply::Null(sign) => write!(f, "nil{sign}"),
            Reply::Double(text) => write!(f, ",{}", text.escape_ascii()),
            Reply::Bool(value) => write!(f, "#{value}"),
            Reply::Big(text) => write!(f, "({}", text.escape_ascii()),
            Reply::Verbatim(text) => write!(f, "={}", text.escape_ascii()),
            Reply::Many(sign, items) => {
                write!(f, "{sign}")?;
                f.debug_list().entries(items).finish()
            }
        }
    }
}

impl Reply {
    /// The bytes of a bulk, simple or error reply.
    pub(crate) fn text(&self) -> String {
        match self {
            Reply::Simple(text)
            | Reply::Error(text)
            | Reply::Bulk(text)
            | Reply::Verbatim(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        }
    }

    /// The items of an aggregate.
    pub(crate) fn items(&self) -> &[Reply] {
        match self {
            Reply::Many(_, items) => items,
            _ => &[],
        }
    }
}

/// A blocking connection.
pub(crate) struct Client {
    /// The socket, for tests that do strange things to it.
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

impl Client {
    /// Connects to 127.0.0.1.
    pub(crate) fn connect(port: u16) -> io::Result<Client> {
        Self::over(TcpStream::connect(("127.0.0.1", port))?)
    }

    /// Speaks over an open connection, whoever opened it.
    pub(crate) fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            buffer: Vec::new(),
            at: 0,
        })
    }

    /// Sends raw bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one request and reads its reply.
    pub(crate) fn call(&mut self, args: &[&[u8]]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        encode(&mut bytes, args);
        self.send(&bytes)?;
        self.read()
    }

    /// Sends words of a line; the reply must come.
    pub(crate) fn words(&mut self, line: &str) -> Reply {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.call(&args).expect("a reply")
    }

    /// A field of INFO.
    pub(crate) fn info(&mut self, section: &str, field: &str) -> String {
        let text = self.words(&format!("INFO {section}")).text();
        let row = format!("{field}:");
        text.lines()
            .find_map(|line| line.strip_prefix(row.as_str()))
            .unwrap_or_default()
            .to_owned()
    }

    /// Reads one reply.
    pub(crate) fn read(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (&sign, rest) = line.split_first().ok_or_else(|| broken(&line))?;
        let number = || -> io::Result<i64> {
            std::str::from_utf8(rest)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| broken(&line))
        };
        Ok(match sign {
            b'+' => Reply::Simple(rest.to_vec()),
            b'-' => Reply::Error(rest.to_vec()),
            b':' => Reply::Int(number()?),
            b',' => Reply::Double(rest.to_vec()),
            b'(' => Reply::Big(rest.to_vec()),
            b'#' => Reply::Bool(rest == b"t"),
            b'_' => Reply::Null('_'),
            b'$' | b'=' => match usize::try_from(number()?) {
                Err(_) => Reply::Null('$'),
                Ok(len) => {
                    self.fill(len + 2)?;
                    let bytes = self.buffer[self.at..self.at + len].to_vec();
                    if &self.buffer[self.at + len..self.at + len + 2] != b"\r\n" {
                        return Err(broken(&bytes));
                    }
                    self.at += len + 2;
                    if sign == b'$' {
                        Reply::Bulk(bytes)
                    } else {
                        Reply::Verbatim(bytes)
                    }
                }
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match usize::try_from(number()?) {
                Err(_) => Reply::Null('*'),
                Ok(count) => {
                    let pairs = matches!(sign, b'%' | b'|');
                    let count = if pairs { count * 2 } else { count };
                    let items = (0..count).map(|_| self.read());
                    Reply::Many(char::from(sign), items.collect::<io::Result<_>>()?)
                }
            },
            _ => return Err(broken(&line)),
        })
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut from = self.at;
        loop {
            let found = self.buffer[from..]
                .windows(2)
                .position(|two| two == b"\r\n");
            if let Some(found) = found {
                let line = self.buffer[self.at..from + found].to_vec();
                self.at = from + found + 2;
                return Ok(line);
            }
            from = self.buffer.len().saturating_sub(1).max(self.at);
            let before = self.at;
            self.fill(self.buffer.len() - self.at + 1)?;
            from -= before - self.at;
        }
    }

    /// Makes sure that `bytes` unread bytes are there.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        if self.at > 1 << 16 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let mut chunk = [0; 1 << 14];
        while self.buffer.len() - self.at < bytes {
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&chunk[..read]);
        }
        Ok(())
    }
}

fn broken(bytes: &[u8]) -> io::Error {
    io::Error::other(format!("not a reply: {}", bytes.escape_ascii()))
}

/// Appends a request.
pub(crate) fn encode(out: &mut Vec<u8>, args: &[impl AsRef<[u8]>]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
