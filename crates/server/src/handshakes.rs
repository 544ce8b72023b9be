//! Connections whose TLS handshake is not over: they are no clients yet, and cost no more than a socket.
//!
//! A handshake takes long to compute, so a loop does a few of them between two turns of its connections; and it takes as long
//! as the peer likes, so it has a deadline.

use crate::channel::Channel;
use crate::logging;
use crate::shared::Shared;
use crate::socket::Socket;
use engine::client::Peer;
use engine::host::Level;
use mio::event::Event;
use mio::{Registry, Token};
use slab::Slab;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tls::{Failure, ServerContext, Session};

/// Tokens of handshakes begin here.
pub(crate) const FIRST_HANDSHAKE: usize = usize::MAX / 4;
/// Handshakes taken further in a turn of the loop: a bound on how long its connections wait.
const STEPS_PER_TURN: usize = 4;
/// A handshake that takes longer is given up, in nanoseconds.
const DEADLINE_NS: u64 = 10_000_000_000;
/// Nanoseconds between two looks for those.
const LOOK_EVERY_NS: u64 = 100_000_000;
/// Of the connections that there may be, one in so many may be in its handshake.
const SHARE_OF_CLIENTS: usize = 10;

/// How many handshakes may go on at once.
pub(crate) fn handshakes_max(maxclients: u32) -> usize {
    (maxclients as usize / SHARE_OF_CLIENTS).max(1)
}

/// One that goes on.
struct Handshake {
    socket: Socket,
    peer: Peer,
    deadline_ns: u64,
    /// It is in line.
    is_due: bool,
}

/// The handshakes of a loop.
pub(crate) struct Handshakes {
    shared: Arc<Shared>,
    registry: Registry,
    all: Slab<Handshake>,
    /// Those that may have something to do.
    due: VecDeque<usize>,
    /// When to look next for those that take too long.
    next_look_ns: u64,
}

impl Handshakes {
    pub(crate) fn new(shared: Arc<Shared>, registry: Registry) -> Self {
        Handshakes {
            shared,
            registry,
            all: Slab::new(),
            due: VecDeque::new(),
            next_look_ns: 0,
        }
    }

    /// Begins one.
    pub(crate) fn begin(&mut self, fd: OwnedFd, peer: Peer, context: &ServerContext) {
        let session = match Session::server(context) {
            Ok(session) => session,
            Err(failure) => return report(&peer, &failure),
        };
        let socket = Socket::new(fd, Some(Channel::new(session)));
        let entry = self.all.vacant_entry();
        if socket
            .register(&self.registry, Token(FIRST_HANDSHAKE + entry.key()))
            .is_err()
        {
            return;
        }
        entry.insert(Handshake {
            socket,
            peer,
            deadline_ns: crate::clock::monotonic_ns() + DEADLINE_NS,
            is_due: false,
        });
        self.shared.tls.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// The kernel reports on one.
    pub(crate) fn note(&mut self, event: &Event) {
        let key = event.token().0 - FIRST_HANDSHAKE;
        if let Some(handshake) = self.all.get_mut(key) {
            handshake.socket.note(event);
            if !std::mem::replace(&mut handshake.is_due, true) {
                self.due.push_back(key);
            }
        }
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// True when one of them could go on at once.
    pub(crate) fn are_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Takes some further. Those that are over are taken out and given to `admit`.
    pub(crate) fn turn(&mut self, mut admit: impl FnMut(Socket, Peer)) {
        if self.all.is_empty() {
            return;
        }
        for _ in 0..STEPS_PER_TURN {
            let Some(key) = self.due.pop_front() else {
                break;
            };
            let Some(handshake) = self.all.get_mut(key) else {
                continue;
            };
            handshake.is_due = false;
            match handshake.socket.shake_hands() {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    let (socket, peer) = self.remove(key);
                    admit(socket, peer);
                }
                Poll::Ready(Err(failure)) => {
                    let (_, peer) = self.remove(key);
                    report(&peer, &failure);
                }
            }
        }
        self.give_up();
    }

    /// Ends those that take too long.
    fn give_up(&mut self) {
        let now_ns = crate::clock::monotonic_ns();
        if now_ns < self.next_look_ns {
            return;
        }
        self.next_look_ns = now_ns + LOOK_EVERY_NS;
        let late = self.all.iter().filter(|(_, one)| one.deadline_ns <= now_ns);
        let late: Vec<usize> = late.map(|(key, _)| key).collect();
        for key in late {
            let (_, peer) = self.remove(key);
            let failure = Failure::Broken("the handshake took too long".to_owned());
            report(&peer, &failure);
        }
    }

    fn remove(&mut self, key: usize) -> (Socket, Peer) {
        let Handshake { socket, peer, .. } = self.all.remove(key);
        socket.deregister(&self.registry);
        self.shared.tls.handshakes.fetch_sub(1, Ordering::Relaxed);
        (socket, peer)
    }
}

fn report(peer: &Peer, failure: &Failure) {
    let text = format!(
        "Error accepting a client connection: {failure} (addr={} laddr={})",
        peer.addr, peer.laddr
    );
    logging::log(Level::Warning, &text);
}
