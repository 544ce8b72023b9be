//! The clients that the primary has to serve meanwhile: one request at a time each, as fast as they are answered.
//!
//! One thread drives all of them, as `valkey-benchmark` does, and remembers how long each request took.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::encode;
use crate::scan::Scanner;

/// Numbers that are pushed are below this, as with `valkey-benchmark -r 100000`.
const RANDOM_MAX: u64 = 100_000;
/// How often the thread looks whether it is to end, at least.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes that are read at once: replies with large sets come in many pieces.
const READ_BYTES: usize = 1 << 16;

/// A request that has been answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answered {
    /// When, in microseconds since the load began.
    pub(crate) at_us: u64,
    /// How long it took.
    pub(crate) took_us: u32,
}

/// What came of the load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Writes, in the order of their replies.
    pub(crate) writes: Vec<Answered>,
    /// Reads, in the order of their replies.
    pub(crate) reads: Vec<Answered>,
    /// What went wrong first.
    pub(crate) error: Option<String>,
}

/// A load that is under way.
pub(crate) struct Load {
    /// When it began.
    pub(crate) begin: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Outcome>,
}

impl Load {
    /// Lets `writers` clients write and `readers` clients read, until it is stopped or has written `requests_max` times.
    pub(crate) fn start(
        port: u16,
        writers: u32,
        readers: u32,
        requests_max: u64,
    ) -> io::Result<Load> {
        let begin = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Clients::connect(port, writers, readers, requests_max, begin)?;
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            if let Err(error) = clients.run(&told) {
                clients
                    .outcome
                    .error
                    .get_or_insert_with(|| format!("a client of the load: {error}"));
            }
            clients.outcome
        });
        Ok(Load {
            begin,
            stop,
            thread,
        })
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Outcome {
            error: Some("the load has panicked".to_owned()),
            ..Outcome::default()
        })
    }
}

struct Connection {
    stream: TcpStream,
    writes: bool,
    request: Vec<u8>,
    /// Bytes of the request that have been sent.
    sent: usize,
    begun: Instant,
    scanner: Scanner,
    /// Its requests so far.
    serial: u64,
    /// No more requests.
    done: bool,
}

struct Clients {
    poll: Poll,
    connections: Vec<Connection>,
    begin: Instant,
    writes_left: u64,
    random: Random,
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl Clients {
    fn connect(
        port: u16,
        writers: u32,
        readers: u32,
        requests_max: u64,
        begin: Instant,
    ) -> io::Result<Clients> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..writers + readers {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            poll.registry().register(
                &mut stream,
                Token(number as usize),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            connections.push(Connection {
                stream,
                writes: number < writers,
                request: Vec::new(),
                sent: 0,
                begun: begin,
                scanner: Scanner::new(),
                serial: 0,
                done: false,
            });
        }
        Ok(Clients {
            poll,
            connections,
            begin,
            writes_left: requests_max,
            random: Random::new(1),
            buffer: vec![0; READ_BYTES],
            outcome: Outcome::default(),
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(self.connections.len());
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(LOOK)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                self.turn(event)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, event: &Event) -> io::Result<()> {
        let number = event.token().0;
        if event.is_writable() {
            if self.connections[number].serial == 0 {
                self.next_request(number);
            }
            self.connections[number].flush()?;
        }
        if event.is_readable() {
            self.read(number)?;
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> io::Result<()> {
        loop {
            let connection = &mut self.connections[number];
            let count = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if connection.scanner.feed(&self.buffer[..count]) {
                self.answered(number)?;
            }
        }
    }

    fn answered(&mut self, number: usize) -> io::Result<()> {
        let now = Instant::now();
        let connection = &mut self.connections[number];
        if let Some(error) = connection.scanner.take_error() {
            self.outcome.error.get_or_insert(error);
        }
        let answered = Answered {
            at_us: micros(now - self.begin),
            took_us: u32::try_from(micros(now - connection.begun)).unwrap_or(u32::MAX),
        };
        if connection.writes {
            self.outcome.writes.push(answered);
        } else {
            self.outcome.reads.push(answered);
        }
        self.next_request(number);
        self.connections[number].flush()
    }

    fn next_request(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        connection.request.clear();
        connection.sent = 0;
        if connection.writes {
            if self.writes_left == 0 {
                connection.done = true;
            } else {
                self.writes_left -= 1;
                let value = format!("{:012}", self.random.next() % RANDOM_MAX);
                encode(&mut connection.request, &["LPUSH", "my_list", &value]);
            }
        } else {
            let command = if connection.serial.is_multiple_of(2) {
                "SDIFF"
            } else {
                "SUNION"
            };
            encode(&mut connection.request, &[command, "set:a", "set:b"]);
        }
        connection.serial += 1;
        connection.begun = Instant::now();
    }
}

impl Connection {
    /// Sends what is left of the request.
    fn flush(&mut self) -> io::Result<()> {
        while !self.done && self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Numbers without a pattern that a server might profit from: xorshift, good enough for values.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// Answers each request line by line: `:1` for a write, a set of two for a read.
    fn answer(stream: std::net::TcpStream) {
        let mut writer = stream.try_clone().expect("a socket");
        let mut reader = BufReader::new(stream);
        loop {
            let mut words = Vec::new();
            for _ in 0..7 {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                words.push(line);
            }
            let reply: &[u8] = if words[2].starts_with('L') {
                b":1\r\n"
            } else {
                b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"
            };
            if writer.write_all(reply).is_err() {
                return;
            }
        }
    }

    #[test]
    fn writers_stop_after_their_number_and_readers_go_on() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        let load = Load::start(port, 2, 1, 100).expect("it connects");
        std::thread::sleep(Duration::from_millis(300));
        let outcome = load.stop();
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.writes.len(), 100);
        assert!(outcome.reads.len() > 10, "{}", outcome.reads.len());
        assert!(
            outcome
                .writes
                .windows(2)
                .all(|two| two[0].at_us <= two[1].at_us)
        );
    }
}
