//! One snapshot to several connections, each at its own pace.
//!
//! Whoever is behind is sent what it lacks from a window that is kept in memory, so that a slow receiver holds up nobody
//! until the window is full, and nothing is kept that everybody has. One that fails, or takes nothing for too long, is
//! given up; the rest goes on, until nobody is left.
#![allow(unsafe_code, reason = "system calls on raw descriptors")]

use crate::channel::Channel;
use crate::compression::Packer;
use crate::spool::SpoolWriter;
use crate::tally::Tally;
use engine::client::ClientId;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Bytes of a piece of the window: what is given to a connection at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// The most that is kept for those who are behind, in bytes.
const WINDOW_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Milliseconds between two looks at who has been stuck for too long, while waiting.
const LOOK_EVERY_MS: i32 = 100;

/// Why a receiver was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Its connection failed.
    Broken,
    /// It took nothing for too long.
    Stuck,
}

/// A connection that a snapshot goes to.
pub(crate) struct Target {
    /// Its client.
    pub(crate) client: ClientId,
    /// Its descriptor.
    pub(crate) fd: RawFd,
    /// Its TLS, if it has one, which is nobody else's any more.
    pub(crate) channel: Option<Channel>,
    /// Written before the snapshot.
    pub(crate) prelude: Vec<u8>,
    /// What follows it is compressed.
    pub(crate) compressed: bool,
}

/// One receiver.
struct Receiver {
    client: u64,
    /// Its place among those who have begun.
    number: usize,
    fd: RawFd,
    channel: Option<Channel>,
    packer: Option<Packer>,
    /// What is meant for it alone, and comes first.
    prelude: Vec<u8>,
    /// Bytes of the prelude that answer the request and are no part of the transfer: all but its last line.
    answer: usize,
    /// Bytes of the snapshot it has taken.
    taken: u64,
    /// When it last took something, or had everything there was.
    moved_ns: u64,
}

/// The writer. See the module.
pub(crate) struct Fanout<'a> {
    /// Those that have not been given up.
    receivers: Vec<Receiver>,
    /// Pieces of `CHUNK_BYTES`, but for the last one.
    window: VecDeque<Vec<u8>>,
    /// Bytes that were in front of the window. Invariant: no receiver has taken fewer.
    base: u64,
    /// Bytes written so far.
    end: u64,
    timeout_ns: u64,
    /// Bytes of the transfer that connections have taken, headers included.
    sent: &'a Tally,
    /// A file that gets everything, too.
    spool: Option<SpoolWriter>,
    report: Box<dyn FnMut(u64, GivenUp) + 'a>,
}

impl<'a> Fanout<'a> {
    /// A snapshot to `targets`. `report` is told of every receiver that is given up, and what connections take is added to
    /// `sent`.
    pub(crate) fn new(
        targets: Vec<Target>,
        timeout_ms: u64,
        sent: &'a Tally,
        report: Box<dyn FnMut(u64, GivenUp) + 'a>,
    ) -> Self {
        let moved_ns = crate::clock::monotonic_ns();
        let numbered = targets.into_iter().enumerate();
        let receivers = numbered.map(|(number, target)| Receiver {
            client: target.client,
            number,
            fd: target.fd,
            channel: target.channel,
            packer: target.compressed.then(Packer::default),
            answer: answer_len(&target.prelude),
            prelude: target.prelude,
            taken: 0,
            moved_ns,
        });
        Fanout {
            receivers: receivers.collect(),
            window: VecDeque::new(),
            base: 0,
            end: 0,
            timeout_ns: timeout_ms.saturating_mul(1_000_000),
            sent,
            spool: None,
            report,
        }
    }

    /// Everything goes into this file as well, and goes on to do so when no receiver is left.
    pub(crate) fn spool_to(&mut self, spool: Option<SpoolWriter>) {
        self.spool = spool;
    }

    fn spools(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| !spool.is_lost())
    }

    /// Sends the preludes: receivers have something to do with them before the snapshot comes.
    ///
    /// # Errors
    /// Nobody is left.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.pump()
    }

    /// Bytes of the snapshot.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// Waits until everybody who is left has everything, and returns who that is.
    ///
    /// # Errors
    /// Nobody is left.
    pub(crate) fn finish(&mut self) -> io::Result<Vec<u64>> {
        self.pump()?;
        while self.receivers.iter().any(|r| r.taken < self.end) {
            self.wait_writable(|_| true);
            self.pump()?;
        }
        if let Some(spool) = &mut self.spool {
            spool.finish();
        }
        Ok(self.receivers.iter().map(|r| r.client).collect())
    }

    /// Sends what can be sent, and waits while there is no use in writing on: when nobody keeps up, or the window is
    /// full.
    fn advance(&mut self) -> io::Result<()> {
        loop {
            self.pump()?;
            let (base, end) = (self.base, self.end);
            if self.receivers.is_empty() {
                return Ok(());
            }
            if self.receivers.iter().all(|r| r.taken < end) {
                self.wait_writable(|_| true);
            } else if end - base > WINDOW_BYTES_MAX as u64 {
                self.wait_writable(|r| r.taken < base + CHUNK_BYTES as u64);
            } else {
                return Ok(());
            }
        }
    }

    /// Sends everybody what its connection takes now, and gives up who is lost.
    fn pump(&mut self) -> io::Result<()> {
        let now_ns = crate::clock::monotonic_ns();
        let mut index = 0;
        while let Some(receiver) = self.receivers.get_mut(index) {
            let why = match receiver.send(&self.window, self.base, self.sent) {
                Err(_) => Some(GivenUp::Broken),
                Ok(moved) => {
                    if moved || receiver.taken == self.end {
                        receiver.moved_ns = now_ns;
                    }
                    (now_ns - receiver.moved_ns > self.timeout_ns).then_some(GivenUp::Stuck)
                }
            };
            match why {
                None => index += 1,
                Some(why) => {
                    let lost = self.receivers.swap_remove(index);
                    (self.report)(lost.client, why);
                }
            }
        }
        let Some(least) = self.receivers.iter().map(|r| r.taken).min() else {
            if self.spools() {
                self.window.clear();
                self.base = self.end;
                return Ok(());
            }
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "no replica is left",
            ));
        };
        while let Some(chunk) = self.window.front()
            && self.base + chunk.len() as u64 <= least
        {
            self.base += chunk.len() as u64;
            self.window.pop_front();
        }
        Ok(())
    }

    /// Waits until one of those who are behind, and `meant`, takes bytes again, for a moment at most.
    fn wait_writable(&self, meant: impl Fn(&Receiver) -> bool) {
        let behind = self
            .receivers
            .iter()
            .filter(|r| r.taken < self.end && meant(r));
        let mut polled: Vec<libc::pollfd> = behind
            .map(|receiver| libc::pollfd {
                fd: receiver.fd,
                events: libc::POLLOUT,
                revents: 0,
            })
            .collect();
        // SAFETY: the array is ours and has that length. A failure is an interruption, after which everything is looked at
        // again.
        unsafe {
            libc::poll(
                polled.as_mut_ptr(),
                polled.len() as libc::nfds_t,
                LOOK_EVERY_MS,
            )
        };
    }
}

impl Receiver {
    /// Sends what the connection takes of what is there; true if it took something.
    fn send(&mut self, window: &VecDeque<Vec<u8>>, base: u64, sent: &Tally) -> io::Result<bool> {
        let mut moved = false;
        while !self.prelude.is_empty() {
            match write_through(self.fd, &mut self.channel, &self.prelude)? {
                0 => return Ok(moved),
                count => {
                    self.prelude.drain(..count);
                    let answer = count.min(self.answer);
                    self.answer -= answer;
                    sent.all()
                        .fetch_add((count - answer) as u64, Ordering::Relaxed);
                }
            }
            moved = true;
        }
        loop {
            let at = (self.taken - base) as usize;
            let Some(rest) = window
                .get(at / CHUNK_BYTES)
                .and_then(|chunk| chunk.get(at % CHUNK_BYTES..))
                .filter(|rest| !rest.is_empty())
            else {
                return Ok(moved);
            };
            match self.write(rest)? {
                0 => return Ok(moved),
                count => {
                    self.taken += count as u64;
                    sent.all().fetch_add(count as u64, Ordering::Relaxed);
                    if let Some(own) = sent.of(self.number) {
                        own.store(self.taken, Ordering::Relaxed);
                    }
                }
            }
            moved = true;
        }
    }

    /// Writes what the connection takes of the snapshot now; 0 when it takes nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(packer) = &mut self.packer else {
            return write_through(self.fd, &mut self.channel, bytes);
        };
        let (fd, channel) = (self.fd, &mut self.channel);
        let sent = packer.write(&[IoSlice::new(bytes)], &mut |block| match write_through(
            fd, channel, block,
        ) {
            Ok(0) => Poll::Pending,
            result => Poll::Ready(result),
        });
        match sent {
            Poll::Pending => Ok(0),
            Poll::Ready(result) => result,
        }
    }
}

/// Bytes of a prelude in front of its last line.
fn answer_len(prelude: &[u8]) -> usize {
    let lines = prelude.strip_suffix(b"\n").unwrap_or(prelude);
    lines
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

impl Write for Fanout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self
            .window
            .back()
            .is_none_or(|last| last.len() == CHUNK_BYTES)
        {
            self.window.push_back(Vec::with_capacity(CHUNK_BYTES));
        }
        let Some(last) = self.window.back_mut() else {
            return Ok(0);
        };
        let count = bytes.len().min(CHUNK_BYTES - last.len());
        last.extend_from_slice(&bytes[..count]);
        if let Some(spool) = &mut self.spool {
            spool.write(&bytes[..count]);
        }
        let full = last.len() == CHUNK_BYTES;
        self.end += count as u64;
        if full {
            self.advance()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.advance()
    }
}

/// Writes what the connection takes now, through its TLS if it has one; 0 when it takes nothing.
fn write_through(fd: RawFd, channel: &mut Option<Channel>, bytes: &[u8]) -> io::Result<usize> {
    let Some(channel) = channel else {
        return write_some(fd, bytes);
    };
    match channel.write(&[IoSlice::new(bytes)], &mut |bytes| offer(fd, bytes)) {
        Poll::Pending => Ok(0),
        Poll::Ready(result) => result,
    }
}

/// Writes what the connection takes now.
pub(crate) fn offer(fd: RawFd, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match write_some(fd, bytes) {
        Ok(0) => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// Writes what the connection takes now; 0 when it takes nothing.
pub(crate) fn write_some(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: reads from a buffer of that length; MSG_NOSIGNAL turns a broken connection into an error.
        let count = unsafe {
            libc::send(
                fd,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
            )
        };
        if count >= 0 {
            return Ok(count as usize);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(0),
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn target(client: u64, stream: &UnixStream) -> Target {
        Target {
            client,
            fd: stream.as_raw_fd(),
            channel: None,
            compressed: false,
            prelude: format!("answer\r\nfor {client}\n").into_bytes(),
        }
    }

    fn reader(mut stream: UnixStream) -> std::thread::JoinHandle<Vec<u8>> {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        })
    }

    fn payload() -> Vec<u8> {
        (0..3_000_000u32).map(|n| (n * 31 / 7) as u8).collect()
    }

    #[test]
    fn one_that_reads_nothing_holds_up_nobody_and_is_given_up() {
        let (good, good_end) = UnixStream::pair().unwrap();
        let (stuck, mut stuck_end) = UnixStream::pair().unwrap();
        let lost = RefCell::new(Vec::new());
        let report = |client, why| lost.borrow_mut().push((client, why));
        let targets = [target(1, &stuck), target(2, &good)];
        let received = reader(good_end);
        let sent = Tally::new().unwrap();
        let mut fanout = Fanout::new(targets.into(), 1000, &sent, Box::new(report));
        fanout.start().unwrap();
        fanout.write_all(&payload()).unwrap();
        assert!(lost.borrow().is_empty(), "nobody was waited for");
        assert_eq!(fanout.finish().unwrap(), [2]);
        assert_eq!(fanout.bytes(), 3_000_000);
        drop(fanout);
        drop(good);
        assert_eq!(*lost.borrow(), [(1, GivenUp::Stuck)]);
        let received = received.join().unwrap();
        assert!(received.starts_with(b"answer\r\nfor 2\n") && received[14..] == payload());
        // What the stuck one took counts as well, the answers do not.
        stuck_end.set_nonblocking(true).unwrap();
        drop(stuck);
        let mut taken = Vec::new();
        stuck_end.read_to_end(&mut taken).unwrap();
        let whole = (received.len() + taken.len()) as u64;
        assert_eq!(sent.all().load(Ordering::Relaxed), whole - 2 * 8);
        let own = [0, 1].map(|number| sent.of(number).unwrap().load(Ordering::Relaxed));
        assert_eq!(own[1], 3_000_000);
        assert_eq!(own[0] + own[1] + 2 * 6, whole - 2 * 8);
    }

    #[test]
    fn what_follows_the_prelude_is_compressed_for_those_who_want_it() {
        let (one, one_end) = UnixStream::pair().unwrap();
        let (two, two_end) = UnixStream::pair().unwrap();
        let mut targets = [target(1, &one), target(2, &two)];
        targets[1].compressed = true;
        let received = [reader(one_end), reader(two_end)];
        let sent = Tally::new().unwrap();
        let report = |client, why| panic!("{client} was given up: {why:?}");
        let mut fanout = Fanout::new(targets.into(), 10_000, &sent, Box::new(report));
        fanout.start().unwrap();
        let text = b"the same again and ".repeat(50_000);
        fanout.write_all(&text).unwrap();
        assert_eq!(fanout.finish().unwrap(), [1, 2]);
        drop((fanout, one, two));
        let [plain, packed] = received.map(|reader| reader.join().unwrap());
        assert_eq!(plain[14..], text);
        assert!(packed.starts_with(b"answer\r\nfor 2\n") && packed.len() < text.len() / 20);
        let unpacked = crate::compression::Unpacker::default().take(&packed[14..]);
        assert!(unpacked.unwrap() == text);
    }

    #[test]
    fn a_broken_connection_is_left_out_and_none_left_is_an_error() {
        let (one, one_end) = UnixStream::pair().unwrap();
        let (two, two_end) = UnixStream::pair().unwrap();
        let lost = RefCell::new(Vec::new());
        let report = |client, why| lost.borrow_mut().push((client, why));
        let targets = [target(1, &one), target(2, &two)];
        let sent = Tally::new().unwrap();
        let mut fanout = Fanout::new(targets.into(), 10_000, &sent, Box::new(report));
        drop(one_end);
        fanout.write_all(&[7; 2 * CHUNK_BYTES]).unwrap();
        drop(two_end);
        let error = fanout.write_all(&[7; 2 * CHUNK_BYTES]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        drop(fanout);
        assert_eq!(*lost.borrow(), [(1, GivenUp::Broken), (2, GivenUp::Broken)]);
    }
}
