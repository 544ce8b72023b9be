//! A connection's TLS between its socket and those who read and write it.
//!
//! It keeps what the kernel has not taken of a record, and what a reader had no room for; an idle one keeps nothing. What it
//! has begun to send it must send to the end: a write that is `Pending` is to be repeated with the same bytes, as with a
//! socket, and counts as done once the whole record has left.

use crate::logging;
use engine::host::Level;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::Poll;
use tls::{Failure, Progress, Session};

/// Bytes of plaintext encrypted at once, so that what the kernel does not take is bounded.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Bytes asked of the socket at least, whatever room the reader has: a record, with what encryption adds.
const READ_BYTES_MIN: usize = 17 * 1024;

/// Buffers of a thread, lent to whichever channel is at work.
#[derive(Default)]
struct Scratch {
    /// What the peer has sent.
    incoming: Vec<u8>,
    /// Pieces of plaintext, joined for fewer records.
    joined: Vec<u8>,
    /// What goes to the peer.
    outgoing: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Gives this thread's buffers back.
pub(crate) fn trim() {
    SCRATCH.take();
}

/// Takes bytes for the peer; `Pending` when it takes none for now.
pub(crate) type Send<'a> = &'a mut dyn FnMut(&[u8]) -> Poll<io::Result<usize>>;
/// Appends at most so many bytes of the peer; none when it has ended.
pub(crate) type Receive<'a> = &'a mut dyn FnMut(&mut Vec<u8>, usize) -> Poll<io::Result<usize>>;

/// The TLS of one connection.
pub(crate) struct Channel {
    /// `None` once it has been given away: see [`Self::give_away`].
    session: Option<Session>,
    /// Records that the kernel has not taken, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Bytes of plaintext in `outgoing` whose writer has not been told yet.
    accepted: usize,
    /// Plaintext that the last reader had no room for.
    left_over: Vec<u8>,
}

impl Channel {
    pub(crate) fn new(session: Session) -> Self {
        Channel {
            session: Some(session),
            outgoing: Vec::new(),
            sent: 0,
            accepted: 0,
            left_over: Vec::new(),
        }
    }

    /// Takes the handshake as far as it goes; `Ready` once it is over.
    ///
    /// # Errors
    /// It has failed, or the peer has left.
    pub(crate) fn shake_hands(
        &mut self,
        receive: Receive<'_>,
        send: Send<'_>,
    ) -> Poll<Result<(), Failure>> {
        let broken = |error: io::Error| Failure::Broken(crate::errno_text(&error));
        while self.progress() == Some(Progress::Handshake) {
            let mut early = Vec::new();
            match self.fetch(&mut early, READ_BYTES_MIN, receive, send) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(Failure::Broken(
                        "unexpected eof while reading".to_owned(),
                    )));
                }
                Poll::Ready(Ok(_)) => self.left_over.append(&mut early),
                Poll::Ready(Err(error)) => match error.downcast::<Failure>() {
                    Ok(failure) => return Poll::Ready(Err(failure)),
                    Err(error) => return Poll::Ready(Err(broken(error))),
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Begins a handshake that is ours to begin.
    ///
    /// # Errors
    /// The session cannot be used.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        match &mut self.session {
            Some(session) => {
                session.receive(&mut Vec::new(), &mut self.left_over, &mut self.outgoing)
            }
            None => Ok(()),
        }
    }

    fn progress(&self) -> Option<Progress> {
        self.session.as_ref().map(Session::progress)
    }

    /// Appends up to `max` bytes to `into`. None have come when the peer has ended.
    pub(crate) fn read(
        &mut self,
        into: &mut Vec<u8>,
        max: usize,
        receive: Receive<'_>,
        send: Send<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.left_over.is_empty() {
            let count = self.left_over.len().min(max);
            into.extend(self.left_over.drain(..count));
            if self.left_over.is_empty() {
                self.left_over = Vec::new();
            }
            return Poll::Ready(Ok(count));
        }
        let before = into.len();
        loop {
            match self.fetch(into, max, receive, send) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(_)) if into.len() == before => {}
                Poll::Ready(Ok(_)) => {
                    if into.len() - before > max {
                        self.left_over = into.split_off(before + max);
                    }
                    return Poll::Ready(Ok(into.len() - before));
                }
                other => return other,
            }
        }
    }

    /// Takes one piece of what the socket has, and appends what it means to `into`. Returns the size of the piece: 0 when the
    /// peer has ended.
    fn fetch(
        &mut self,
        into: &mut Vec<u8>,
        max: usize,
        receive: Receive<'_>,
        send: Send<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.progress() == Some(Progress::PeerClosed) {
            return Poll::Ready(Ok(0));
        }
        let result = SCRATCH.with_borrow_mut(|scratch| {
            let incoming = &mut scratch.incoming;
            incoming.clear();
            if let Some(session) = &mut self.session {
                session.resume(incoming);
            }
            let held = incoming.len();
            let room = max.saturating_sub(held).max(READ_BYTES_MIN);
            incoming.reserve(room);
            let received = receive(incoming, room);
            if received.is_pending() && held == 0 {
                return Poll::Pending;
            }
            let Some(session) = &mut self.session else {
                // Whoever has the session reads nothing: that the peer leaves is all there is to learn.
                return received;
            };
            let is_new = matches!(received, Poll::Ready(Ok(1..)));
            match session.receive(incoming, into, &mut self.outgoing) {
                // What it had held must be held again.
                Err(failure) if is_new => Poll::Ready(Err(io::Error::other(failure))),
                _ => received,
            }
        });
        // A failure may have left an alert to be sent; that this fails as well says nothing new.
        if self.flush(send).is_err() && matches!(result, Poll::Ready(Ok(1..))) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        result
    }

    /// Writes; tells how many bytes need not be written again.
    pub(crate) fn write(
        &mut self,
        parts: &[IoSlice<'_>],
        send: Send<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.flush(send)? {
            return Poll::Pending;
        }
        if self.accepted > 0 {
            return Poll::Ready(Ok(std::mem::take(&mut self.accepted)));
        }
        let Some(session) = &mut self.session else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                joined, outgoing, ..
            } = scratch;
            outgoing.clear();
            let bytes = match parts {
                [part] => &part[..part.len().min(WRITE_BYTES_MAX)],
                parts => {
                    joined.clear();
                    for part in parts {
                        let room = WRITE_BYTES_MAX - joined.len();
                        joined.extend_from_slice(&part[..part.len().min(room)]);
                    }
                    joined
                }
            };
            session.send(bytes, outgoing).map_err(io::Error::other)?;
            let mut sent = 0;
            while sent < outgoing.len() {
                match send(&outgoing[sent..])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(count) => sent += count,
                    Poll::Pending => {
                        self.outgoing = outgoing[sent..].to_vec();
                        self.accepted = bytes.len();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// Writes beside the one who writes usually: all of it, or nothing if there is anything in the way.
    pub(crate) fn write_aside(&mut self, bytes: &[u8], send: Send<'_>) {
        if self.accepted > 0 || !self.outgoing.is_empty() {
            return;
        }
        // A connection that is broken says so to its reader.
        let _ = self.write(&[IoSlice::new(bytes)], send);
        self.accepted = 0;
    }

    /// Sends what is left of earlier records; true when nothing is left.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn flush(&mut self, send: Send<'_>) -> io::Result<bool> {
        while self.sent < self.outgoing.len() {
            match send(&self.outgoing[self.sent..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.sent += count,
                Poll::Pending => return Ok(false),
            }
        }
        self.outgoing = Vec::new();
        self.sent = 0;
        Ok(true)
    }

    /// Tells the peer that no more comes, if there is nothing in the way.
    pub(crate) fn close(&mut self, send: Send<'_>) {
        if let (Ok(true), Some(session)) = (self.flush(send), &mut self.session)
            && session.close(&mut self.outgoing).is_ok()
        {
            // A peer that does not take it sees the end of the connection.
            let _ = self.flush(send);
        }
    }

    /// Gives the session to another process, with the records that the kernel has not taken. From here on nothing is written,
    /// and what the peer sends is thrown away: two that encrypt with the same keys would give them away.
    pub(crate) fn give_away(&mut self) -> Option<Channel> {
        let session = self.session.take()?;
        let outgoing = self.outgoing.split_off(self.sent);
        self.outgoing = Vec::new();
        self.sent = 0;
        self.accepted = 0;
        Some(Channel {
            outgoing,
            ..Channel::new(session)
        })
    }
}

/// Tells the log why a connection ends.
pub(crate) fn log_failure(error: &io::Error) {
    if error.get_ref().is_some_and(|cause| cause.is::<Failure>()) {
        logging::log(Level::Verbose, &format!("Reading from client: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use tls::{AuthClients, Contexts, KeyPair, Outside, Settings};

    struct Disk;

    impl Outside for Disk {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            std::fs::read(path)
        }

        fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
            Ok(Vec::new())
        }

        fn clock(&self) -> fn() -> u64 {
            || crate::clock::unix_us() / 1_000_000
        }
    }

    /// A certificate that vouches for itself.
    fn contexts() -> Contexts {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x \
                     -addext basicConstraints=critical,CA:FALSE -keyout";
        let mut openssl = Command::new("openssl");
        openssl.args(words.split_whitespace());
        let made = openssl.arg(&key).arg("-out").arg(&cert).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let settings = Settings {
            own: KeyPair {
                cert_file: cert.clone(),
                key_file: key,
                key_file_pass: Vec::new(),
            },
            ca_cert_file: cert,
            ..Settings::default()
        };
        Contexts::load(&settings, &Disk).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One direction of a connection, which takes so many bytes at once and so many altogether.
    #[derive(Default)]
    struct Pipe {
        bytes: Vec<u8>,
        room: usize,
        at_once: usize,
    }

    impl Pipe {
        fn send(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.room).min(self.at_once);
            self.bytes.extend_from_slice(&bytes[..count]);
            self.room -= count;
            if count == 0 {
                Poll::Pending
            } else {
                Poll::Ready(Ok(count))
            }
        }

        fn receive(&mut self, into: &mut Vec<u8>, max: usize) -> Poll<io::Result<usize>> {
            let count = self.bytes.len().min(max).min(self.at_once);
            into.extend(self.bytes.drain(..count));
            if count == 0 {
                Poll::Pending
            } else {
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Two channels that have shaken hands, and the pipes to the first and to the second.
    fn pair() -> (Channel, Channel, Pipe, Pipe) {
        let contexts = contexts();
        let mut client = Channel::new(Session::client(contexts.client(), "127.0.0.1").unwrap());
        let mut server = Channel::new(Session::server(contexts.server(AuthClients::No)).unwrap());
        let pipe = || Pipe {
            room: usize::MAX,
            at_once: usize::MAX,
            ..Pipe::default()
        };
        let (mut to_client, mut to_server) = (pipe(), pipe());
        client.begin().unwrap();
        client.flush(&mut |bytes| to_server.send(bytes)).unwrap();
        let mut open = 0;
        while open < 2 {
            let one = server.shake_hands(
                &mut |into, max| to_server.receive(into, max),
                &mut |bytes| to_client.send(bytes),
            );
            let other = client.shake_hands(
                &mut |into, max| to_client.receive(into, max),
                &mut |bytes| to_server.send(bytes),
            );
            let done = |polled: Poll<Result<(), Failure>>| {
                usize::from(polled.map(Result::unwrap).is_ready())
            };
            open = done(one) + done(other);
        }
        (client, server, to_client, to_server)
    }

    fn read_all(channel: &mut Channel, from: &mut Pipe, max: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut back = Pipe::default();
        while let Poll::Ready(count) = channel.read(
            &mut all,
            max,
            &mut |into, max| from.receive(into, max),
            &mut |bytes| back.send(bytes),
        ) {
            let count = count.unwrap();
            assert!(count <= max && count > 0, "{count} of {max}");
        }
        all
    }

    #[test]
    fn a_write_that_was_refused_goes_on_with_the_same_bytes() {
        let (mut client, mut server, mut to_client, _) = pair();
        let value: Vec<u8> = (0..300_000u32).map(|n| (n * 7 / 3) as u8).collect();
        (to_client.room, to_client.at_once) = (0, 1000);
        let (mut written, mut refused) = (0, 0);
        while written < value.len() {
            let (one, two) = value[written..].split_at((value.len() - written) / 3);
            let parts = [IoSlice::new(one), IoSlice::new(two)];
            match server.write(&parts, &mut |bytes| to_client.send(bytes)) {
                Poll::Ready(count) => written += count.unwrap(),
                Poll::Pending => {
                    refused += 1;
                    // What comes beside it must not come in between.
                    server.write_aside(b"\n", &mut |bytes| to_client.send(bytes));
                    to_client.room += 7000;
                }
            }
        }
        assert!(refused > 30, "{refused}");
        assert!(server.outgoing.is_empty() && server.accepted == 0);
        to_client.room = usize::MAX;
        server.write_aside(b"\n", &mut |bytes| to_client.send(bytes));
        let read = read_all(&mut client, &mut to_client, 777);
        assert!(read.strip_suffix(b"\n") == Some(&value[..]));
        assert_eq!(
            (client.left_over.capacity(), server.outgoing.capacity()),
            (0, 0)
        );
    }

    #[test]
    fn a_channel_given_away_goes_on_elsewhere_and_nowhere_else() {
        let (mut client, mut server, mut to_client, mut to_server) = pair();
        (to_client.room, to_client.at_once) = (10, usize::MAX);
        let parts = [IoSlice::new(b"+OK\r\n")];
        assert!(
            server
                .write(&parts, &mut |bytes| to_client.send(bytes))
                .is_pending()
        );
        let mut other = server.give_away().unwrap();
        to_client.room = usize::MAX;
        let before = to_client.bytes.len();
        let refused = server.write(&parts, &mut |bytes| to_client.send(bytes));
        assert!(matches!(refused, Poll::Ready(Err(_))));
        server.write_aside(b"\n", &mut |bytes| to_client.send(bytes));
        server.close(&mut |bytes| to_client.send(bytes));
        assert_eq!(
            to_client.bytes.len(),
            before,
            "nothing is sent from here any more"
        );
        // What the peer says is thrown away.
        let ack = [IoSlice::new(b"REPLCONF ACK 1\r\n")];
        assert!(
            client
                .write(&ack, &mut |bytes| to_server.send(bytes))
                .is_ready()
        );
        assert_eq!(read_all(&mut server, &mut to_server, 100), b"");
        let sent = other.write(&[IoSlice::new(b"snapshot")], &mut |bytes| {
            to_client.send(bytes)
        });
        assert!(matches!(sent, Poll::Ready(Ok(8))), "{sent:?}");
        assert_eq!(
            read_all(&mut client, &mut to_client, 100),
            b"+OK\r\nsnapshot"
        );
    }
}
