//! A client that waits for its replies, for everything but the load.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a reply may take. A digest of gigabytes takes many seconds.
const REPLY_TIME_MAX: Duration = Duration::from_secs(300);
/// The longest bulk string that is taken: all of INFO is far smaller.
const BULK_BYTES_MAX: u64 = 1 << 24;

/// A connection to 127.0.0.1.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIME_MAX))?;
        stream.set_write_timeout(Some(REPLY_TIME_MAX))?;
        Ok(Client {
            reader: BufReader::new(stream),
        })
    }

    /// Sends what is encoded already.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends one request and reads its reply as text; an error reply is an error.
    pub(crate) fn call(&mut self, args: &[&str]) -> io::Result<String> {
        let mut request = Vec::new();
        encode(&mut request, args);
        self.send(&request)?;
        self.reply()
    }

    /// Reads a reply that is a line or a bulk string.
    pub(crate) fn reply(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        match line.as_bytes().first() {
            Some(b'+' | b':') => Ok(line[1..].to_owned()),
            Some(b'$') => {
                let length = line[1..]
                    .parse::<u64>()
                    .ok()
                    .filter(|length| *length <= BULK_BYTES_MAX)
                    .ok_or_else(|| io::Error::other(format!("unexpected reply {line}")))?;
                let mut bytes = Vec::new();
                (&mut self.reader)
                    .take(length + 2)
                    .read_to_end(&mut bytes)?;
                bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Err(io::Error::other(line.to_owned())),
        }
    }

    /// The fields of INFO, of all sections.
    pub(crate) fn info(&mut self) -> io::Result<Info> {
        let text = self.call(&["INFO"])?;
        Ok(Info(
            text.lines()
                .filter_map(|line| line.trim_end().split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }
}

/// Fields of INFO.
pub(crate) struct Info(HashMap<String, String>);

impl Info {
    /// A field as it stands; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A field that is a number; 0 where there is none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }
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
