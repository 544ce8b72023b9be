//! From the snapshot child to a replica whose TLS session stays here.
//!
//! In a synchronisation on one connection the stream follows the snapshot in the same TLS session. Two processes must not
//! encrypt in one session, and a session that has been away cannot come back; so the child writes the snapshot to a socket
//! pair, as if that were the replica, and a thread here passes it on through the replica's channel. It knows nothing of what
//! it carries. Whoever reports that a replica has everything waits for its relay first.
#![allow(unsafe_code, reason = "descriptors are borrowed and waited for")]

use crate::channel::Channel;
use crate::fanout::offer;
use engine::client::ClientId;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;

/// Bytes taken from the child at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a relay waits for its replica between two looks at the clock.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// One that has not been started.
struct Relay {
    client: ClientId,
    /// Our end of the pair.
    source: UnixStream,
    /// The child's end; it sees the end of the relay when nobody else has it any more.
    entry: UnixStream,
    /// The replica's socket, also when its connection has closed meanwhile.
    socket: OwnedFd,
    channel: Arc<Mutex<Channel>>,
    timeout_ns: u64,
}

/// The relays of a snapshot that has not been started.
#[derive(Default)]
pub(crate) struct Relays(Vec<Relay>);

impl Relays {
    /// Puts a relay in front of a replica's connection. Returns the descriptor that stands for it, which stays ours; nothing
    /// if there are no descriptors left. `fd` must be open.
    pub(crate) fn add(
        &mut self,
        client: ClientId,
        fd: RawFd,
        channel: Arc<Mutex<Channel>>,
        timeout_ms: u64,
    ) -> Option<RawFd> {
        // SAFETY: the engine's lock is held, so the descriptor is open: see `Descriptors`.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = socket.try_clone_to_owned().ok()?;
        let (source, entry) = UnixStream::pair().ok()?;
        let fd = entry.as_raw_fd();
        self.0.push(Relay {
            client,
            source,
            entry,
            socket,
            channel,
            timeout_ns: timeout_ms.saturating_mul(1_000_000),
        });
        Some(fd)
    }

    /// Starts them; the child has been forked.
    pub(crate) fn start(self) -> Running {
        let start = |relay: Relay| {
            let Relay {
                client,
                source,
                entry,
                socket,
                channel,
                timeout_ns,
            } = relay;
            drop(entry);
            let stuck = Arc::new(AtomicBool::new(false));
            let thread = std::thread::Builder::new().name("relay".into());
            let seen = Arc::clone(&stuck);
            let run = move || run(source, &socket, &channel, timeout_ns, &seen);
            let thread = thread.spawn(run).ok()?;
            Some(At {
                client,
                thread,
                stuck,
            })
        };
        Running(self.0.into_iter().filter_map(start).collect())
    }
}

/// A relay at work.
struct At {
    client: ClientId,
    thread: JoinHandle<io::Result<()>>,
    /// It has given up a replica that took nothing for too long. Set before the child can see that the relay has ended.
    stuck: Arc<AtomicBool>,
}

/// A relay that has not passed on everything.
pub(crate) struct Broken {
    /// The replica's connection.
    pub(crate) client: ClientId,
    /// It took nothing for too long.
    pub(crate) stuck: bool,
}

/// Relays at work.
pub(crate) struct Running(Vec<At>);

impl Running {
    /// Whether a replica took nothing for too long: to the child, which fills a pair of sockets first, its connection is just
    /// broken.
    pub(crate) fn is_stuck(&self, client: ClientId) -> bool {
        let is_it = |at: &At| at.client == client && at.stuck.load(Ordering::Relaxed);
        self.0.iter().any(is_it)
    }

    /// Waits until they have passed on everything, and returns those that have not: the child has ended, so they end.
    pub(crate) fn join(self) -> Vec<Broken> {
        let failed = |at: At| {
            let failed = !matches!(at.thread.join(), Ok(Ok(())));
            failed.then(|| Broken {
                client: at.client,
                stuck: at.stuck.load(Ordering::Relaxed),
            })
        };
        self.0.into_iter().filter_map(failed).collect()
    }
}

/// Passes on what comes until nothing comes any more.
fn run(
    mut source: UnixStream,
    socket: &OwnedFd,
    channel: &Mutex<Channel>,
    timeout_ns: u64,
    stuck: &AtomicBool,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = source.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &piece[..count];
        let mut moved_ns = crate::clock::monotonic_ns();
        while !rest.is_empty() {
            let fd = socket.as_raw_fd();
            let written = channel
                .lock()
                .write(&[IoSlice::new(rest)], &mut |bytes| offer(fd, bytes));
            match written {
                Poll::Ready(count) => {
                    rest = &rest[count?..];
                    moved_ns = crate::clock::monotonic_ns();
                }
                Poll::Pending if crate::clock::monotonic_ns() - moved_ns > timeout_ns => {
                    stuck.store(true, Ordering::Relaxed);
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Poll::Pending => {
                    // Interrupted or not: it is tried again.
                    let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&WAIT));
                }
            }
        }
    }
}
