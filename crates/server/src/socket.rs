//! A connection's socket, and what the kernel has told of it.
//!
//! It is registered once and edge-triggered: the kernel tells when a direction has become ready, which is remembered here
//! until a call finds it otherwise. A read that brings less than there was room for has emptied the socket, so the call that
//! would only say so is saved.
//!
//! What goes over it may be TLS: then a channel stands between the socket and its user, who does not notice.
#![allow(unsafe_code, reason = "a vector is told what the kernel wrote to it")]

use crate::channel::{Channel, log_failure};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Poll;

/// A TCP or Unix stream socket that does not block, plain or with TLS.
pub(crate) struct Socket {
    plain: PlainSocket,
    /// Others write through it too: see [`crate::descriptors`].
    channel: Option<Arc<Mutex<Channel>>>,
}

impl Socket {
    /// A socket that has just been accepted.
    pub(crate) fn new(fd: OwnedFd, channel: Option<Channel>) -> Self {
        Socket {
            plain: PlainSocket::new(fd),
            channel: channel.map(|channel| Arc::new(Mutex::new(channel))),
        }
    }

    /// Has the kernel report on it under `token`.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        registry.register(&mut SourceFd(&self.raw()), token, all)
    }

    /// No more reports. Closing is not enough when a child process holds a copy of the descriptor.
    pub(crate) fn deregister(&self, registry: &Registry) {
        // It has been registered, which is all that this could object to.
        let _ = registry.deregister(&mut SourceFd(&self.raw()));
    }

    /// Takes note of a report.
    pub(crate) fn note(&mut self, event: &Event) {
        self.plain.note(event);
        if let Some(channel) = &self.channel {
            // A connection that is broken says so to its reader.
            let _ = channel.lock().flush(&mut |bytes| self.plain.write(bytes));
        }
    }

    /// Appends up to `max` bytes to `into`, as far as it has room. None have come when the peer has ended.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Poll<io::Result<usize>> {
        match &self.channel {
            None => self.plain.read(into, max),
            Some(channel) => read_channel(&mut self.plain, &mut channel.lock(), into, max),
        }
    }

    /// Writes; tells how many bytes need not be written again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.channel {
            None => self.plain.write(bytes),
            Some(_) => self.write_channel(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes several pieces at once; tells how many bytes need not be written again.
    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &self.channel {
            None => self.plain.write_vectored(parts),
            Some(_) => self.write_channel(parts),
        }
    }

    fn write_channel(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some(channel) = &self.channel else {
            return Poll::Ready(Ok(0));
        };
        channel
            .lock()
            .write(parts, &mut |bytes| self.plain.write(bytes))
    }

    /// Takes the handshake of its channel as far as it goes; `Ready` once it is over.
    ///
    /// # Errors
    /// It has failed, or the peer has left.
    pub(crate) fn shake_hands(&mut self) -> Poll<Result<(), tls::Failure>> {
        let Some(channel) = &self.channel else {
            return Poll::Ready(Ok(()));
        };
        let (plain, mut channel) = (RefCell::new(&mut self.plain), channel.lock());
        channel.shake_hands(
            &mut |into, max| plain.borrow_mut().read(into, max),
            &mut |bytes| plain.borrow_mut().write(bytes),
        )
    }

    /// Its channel, for those who write beside its user.
    pub(crate) fn channel(&self) -> Option<Arc<Mutex<Channel>>> {
        self.channel.clone()
    }

    /// The descriptor, which stays with the socket.
    pub(crate) fn raw(&self) -> RawFd {
        self.plain.fd.as_raw_fd()
    }

    /// Closes both directions, also for copies of the descriptor that a child holds.
    pub(crate) fn shut_down(&self) {
        // Failing means that the peer has closed it already.
        let _ = rustix::net::shutdown(&self.plain.fd, rustix::net::Shutdown::Both);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            channel.lock().close(&mut |bytes| self.plain.write(bytes));
        }
    }
}

/// Reads through a channel.
fn read_channel(
    plain: &mut PlainSocket,
    channel: &mut Channel,
    into: &mut Vec<u8>,
    max: usize,
) -> Poll<io::Result<usize>> {
    let plain = RefCell::new(plain);
    let read = channel.read(
        into,
        max,
        &mut |into, max| plain.borrow_mut().read(into, max),
        &mut |bytes| plain.borrow_mut().write(bytes),
    );
    if let Poll::Ready(Err(error)) = &read {
        log_failure(error);
    }
    read
}

/// What the kernel has.
struct PlainSocket {
    fd: OwnedFd,
    readable: bool,
    writable: bool,
    /// A short read does not tell that there is no more: the peer has ended, which is to be read when everything else has
    /// been, or has sent urgent data, before which a read stops.
    wary: bool,
}

impl PlainSocket {
    fn new(fd: OwnedFd) -> Self {
        PlainSocket {
            fd,
            readable: false,
            writable: true,
            wary: false,
        }
    }

    /// Takes note of a report.
    fn note(&mut self, event: &Event) {
        let ended = event.is_read_closed() || event.is_error();
        self.wary |= ended || event.is_priority();
        self.readable |= ended || event.is_readable();
        self.writable |= ended || event.is_writable();
    }

    /// Appends up to `max` bytes to `into`, as far as it has room. None have come when the peer has ended.
    fn read(&mut self, into: &mut Vec<u8>, max: usize) -> Poll<io::Result<usize>> {
        if !self.readable {
            return Poll::Pending;
        }
        let room = into.spare_capacity_mut();
        let asked = room.len().min(max);
        let received = loop {
            match rustix::net::recv(&self.fd, &mut room[..asked], RecvFlags::empty()) {
                Ok(((bytes, _), _)) => break bytes.len(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        };
        if received < asked {
            self.readable = self.wary;
        }
        // SAFETY: the kernel has written so many bytes to the room behind the present ones.
        unsafe { into.set_len(into.len() + received) };
        Poll::Ready(Ok(received))
    }

    /// Writes; tells how many bytes the kernel has taken.
    fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.try_write(|fd| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL))
    }

    /// Writes several pieces at once; tells how many bytes the kernel has taken.
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.try_write(|fd| rustix::io::writev(fd, parts))
    }

    fn try_write(
        &mut self,
        write: impl Fn(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !self.writable {
            return Poll::Pending;
        }
        match rustix::io::retry_on_intr(|| write(&self.fd)) {
            Err(Errno::AGAIN) => {
                self.writable = false;
                Poll::Pending
            }
            result => Poll::Ready(result.map_err(io::Error::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll as Poller};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    /// A socket that a poller reports on, and its peer.
    fn pair() -> (Poller, Socket, UnixStream) {
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let poller = Poller::new().unwrap();
        let socket = Socket::new(ours.into(), None);
        socket.register(poller.registry(), Token(7)).unwrap();
        (poller, socket, peer)
    }

    /// Waits for a report and takes note of it.
    fn wait(poller: &mut Poller, socket: &mut Socket) {
        let mut events = Events::with_capacity(4);
        poller.poll(&mut events, None).unwrap();
        events.iter().for_each(|event| socket.note(event));
    }

    #[test]
    fn the_end_is_read_behind_the_last_bytes() {
        let (mut poller, mut socket, mut peer) = pair();
        peer.write_all(b"abc").unwrap();
        drop(peer);
        wait(&mut poller, &mut socket);
        let mut bytes = Vec::with_capacity(16);
        assert!(matches!(socket.read(&mut bytes, 16), Poll::Ready(Ok(3))));
        assert!(matches!(socket.read(&mut bytes, 16), Poll::Ready(Ok(0))));
        assert_eq!(bytes, b"abc");
    }

    #[test]
    fn a_short_read_waits_for_the_next_report() {
        let (mut poller, mut socket, mut peer) = pair();
        wait(&mut poller, &mut socket);
        let mut bytes = Vec::with_capacity(16);
        assert!(socket.read(&mut bytes, 2).is_pending());
        peer.write_all(b"abc").unwrap();
        wait(&mut poller, &mut socket);
        // Never more than asked for, whatever room there is.
        assert!(matches!(socket.read(&mut bytes, 2), Poll::Ready(Ok(2))));
        assert!(matches!(socket.read(&mut bytes, 2), Poll::Ready(Ok(1))));
        assert!(socket.read(&mut bytes, 2).is_pending());
        peer.write_all(b"d").unwrap();
        wait(&mut poller, &mut socket);
        assert!(matches!(socket.read(&mut bytes, 2), Poll::Ready(Ok(1))));
        assert_eq!(bytes, b"abcd");
    }

    #[test]
    fn what_follows_urgent_data_is_read_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut poller = Poller::new().unwrap();
        let mut socket = Socket::new(ours.into(), None);
        socket.register(poller.registry(), Token(7)).unwrap();
        peer.write_all(b"ab").unwrap();
        rustix::net::send(&peer, b"!", SendFlags::OOB).unwrap();
        peer.write_all(b"cd").unwrap();
        let mut bytes = Vec::with_capacity(16);
        while bytes.len() < 4 {
            if socket.read(&mut bytes, 16).is_pending() {
                wait(&mut poller, &mut socket);
            }
        }
        assert_eq!(bytes, b"abcd");
    }

    #[test]
    fn a_full_socket_is_written_again_when_the_peer_has_read() {
        let (mut poller, mut socket, mut peer) = pair();
        wait(&mut poller, &mut socket);
        let piece = [b'x'; 4096];
        let mut written = 0;
        while let Poll::Ready(count) = socket.write_vectored(&[IoSlice::new(&piece)]) {
            written += count.unwrap();
        }
        assert!(socket.write(&piece).is_pending());
        peer.read_exact(&mut vec![0; written]).unwrap();
        wait(&mut poller, &mut socket);
        assert!(matches!(socket.write(b"y"), Poll::Ready(Ok(1))));
    }
}
