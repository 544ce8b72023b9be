//! The event loop of a thread: waits for the sockets of its connections and gives each a turn that has something to do.
//!
//! A connection belongs to one loop for its life. Others, be it the engine or another loop, reach it through the loop's
//! [`Inbox`].

use crate::channel;
use crate::connection::{Connection, End, Progress, Scratch};
use crate::handshakes::{FIRST_HANDSHAKE, Handshakes};
use crate::listener::Newcomer;
use crate::shared::Shared;
use crate::socket::Socket;
use engine::client::Peer;
use mio::{Events, Poll, Registry, Token, Waker};
use parking_lot::Mutex;
use slab::Slab;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Duration;

/// Reports taken from the kernel at once.
const EVENTS: usize = 1024;
/// Tokens from here on are not connections'.
pub(crate) const FIRST_OTHER: usize = usize::MAX / 2;
/// The token of what wakes a loop.
const WAKE: Token = Token(usize::MAX);

/// What others have for a loop.
pub(crate) struct Inbox {
    mail: Mutex<Mail>,
    /// There is mail, or another reason to look around.
    pending: AtomicBool,
    /// The loop waits, or is about to: it has to be woken.
    asleep: AtomicBool,
    /// The loop's buffers have grown since this was last cleared.
    grown: AtomicBool,
    /// They are to be given back.
    trim: AtomicBool,
    /// Handshakes go on, and have a deadline.
    shaking_hands: AtomicBool,
    waker: Waker,
}

#[derive(Default)]
struct Mail {
    /// Connections that want a turn.
    wanted: Vec<usize>,
    /// Connections that have been accepted.
    accepted: Vec<Newcomer>,
}

impl Inbox {
    /// Gives the loop a connection to serve.
    pub(crate) fn accepted(&self, newcomer: Newcomer) {
        self.mail.lock().accepted.push(newcomer);
        self.wake_loop();
    }

    /// Makes the loop look around once more before it waits.
    pub(crate) fn wake_loop(&self) {
        self.pending.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // Fails only when the counter of wakes is full, and then the loop is awake.
            let _ = self.waker.wake();
        }
    }

    /// Has the loop give its buffers back if they have grown. Called now and then: a loop that is at work grows them again,
    /// and one that is idle keeps nothing.
    pub(crate) fn trim(&self) {
        if self.grown.swap(false, Ordering::Relaxed) {
            self.trim.store(true, Ordering::Relaxed);
            self.wake_loop();
        }
        if self.shaking_hands.load(Ordering::Relaxed) {
            self.wake_loop();
        }
    }

    /// True when the loop may wait: whoever comes from now on will wake it.
    fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.pending.load(Ordering::SeqCst)
    }

    fn wake_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// Wakes one connection.
struct ConnectionWaker {
    connection: usize,
    inbox: Arc<Inbox>,
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.mail.lock().wanted.push(self.connection);
        self.inbox.wake_loop();
    }
}

/// A loop that nobody runs yet.
pub(crate) struct EventLoop {
    poll: Poll,
    events: Events,
    inbox: Arc<Inbox>,
    wanted: Vec<usize>,
    in_line: Vec<usize>,
}

impl EventLoop {
    /// # Errors
    /// The kernel has no descriptors left.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox {
            mail: Mutex::default(),
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            grown: AtomicBool::new(false),
            trim: AtomicBool::new(false),
            shaking_hands: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WAKE)?,
        });
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(EVENTS),
            inbox,
            wanted: Vec::new(),
            in_line: Vec::new(),
        })
    }

    /// The way to reach this loop.
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// For what is to be reported besides the connections, with tokens from [`FIRST_OTHER`] on.
    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Serves connections and nothing else, for ever.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub(crate) fn run(mut self, shared: Arc<Shared>) -> io::Result<()> {
        let mut connections = self.connections(shared)?;
        loop {
            self.turn(&mut connections, true, |_| {})?;
        }
    }

    /// A set of connections that this loop serves.
    pub(crate) fn connections(&self, shared: Arc<Shared>) -> io::Result<Connections> {
        let registry = self.poll.registry().try_clone()?;
        let handshakes = Handshakes::new(Arc::clone(&shared), registry.try_clone()?);
        Ok(Connections {
            shared,
            registry,
            handshakes,
            inbox: Arc::clone(&self.inbox),
            all: Slab::new(),
            scratch: Scratch::default(),
            again: Vec::new(),
            held_back: Vec::new(),
            unwritten: false,
            company: 0,
        })
    }

    /// Waits for something to do, unless `may_wait` is false, and does it. Other tokens are passed to `other`.
    ///
    /// # Errors
    /// The kernel refuses to report: nothing can be served any more.
    pub(crate) fn turn(
        &mut self,
        connections: &mut Connections,
        may_wait: bool,
        mut other: impl FnMut(Token),
    ) -> io::Result<()> {
        let wait = may_wait && connections.may_wait() && self.inbox.fall_asleep();
        let polled = self
            .poll
            .poll(&mut self.events, (!wait).then_some(Duration::ZERO));
        self.inbox.wake_up();
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        std::mem::swap(&mut self.in_line, &mut connections.again);
        for event in &self.events {
            match event.token() {
                WAKE => {}
                token if token.0 >= FIRST_OTHER => other(token),
                token if token.0 >= FIRST_HANDSHAKE => connections.handshakes.note(event),
                token => {
                    if let Some(connection) = connections.all.get_mut(token.0) {
                        connection.socket.note(event);
                        // A turn is a turn: reports must not give more of them to who never pauses.
                        if !connection.in_line {
                            connections.serve(token.0);
                        }
                    }
                }
            }
        }
        let pending = &self.inbox.pending;
        // Exchanged rather than stored: what was done before it was set is to be seen from here on.
        if pending.load(Ordering::Relaxed) && pending.swap(false, Ordering::SeqCst) {
            let mut mail = self.inbox.mail.lock();
            self.wanted.append(&mut mail.wanted);
            let accepted = std::mem::take(&mut mail.accepted);
            drop(mail);
            if self.inbox.trim.swap(false, Ordering::Relaxed) {
                connections.scratch = Scratch::default();
                channel::trim();
            }
            for newcomer in accepted {
                connections.add(newcomer);
            }
        }
        for key in self.wanted.drain(..) {
            if connections.all.get(key).is_some_and(|one| !one.in_line) {
                connections.serve(key);
            }
        }
        for key in self.in_line.drain(..) {
            connections.serve(key);
        }
        connections.shake_hands();
        connections.write_log();
        Ok(())
    }
}

/// The connections of a loop.
pub(crate) struct Connections {
    shared: Arc<Shared>,
    registry: Registry,
    inbox: Arc<Inbox>,
    all: Slab<Box<Connection>>,
    handshakes: Handshakes,
    scratch: Scratch,
    /// Those that had more to do than fits in a turn.
    again: Vec<usize>,
    /// Those whose output waits for the log.
    held_back: Vec<usize>,
    /// Some of them wait for what nobody has been asked to write yet.
    unwritten: bool,
    /// How much output has waited for a sync at a time lately; it takes as many syncs for less to forget it.
    company: usize,
}

impl Connections {
    /// True when nobody has anything to do before something is reported.
    fn may_wait(&self) -> bool {
        self.again.is_empty() && !self.unwritten && !self.handshakes.are_due()
    }

    /// Serves a connection from now on, once its handshake is over if it needs one.
    pub(crate) fn add(&mut self, newcomer: Newcomer) {
        let Newcomer { fd, peer, tls } = newcomer;
        match tls {
            None => self.admit(Socket::new(fd, None), peer),
            Some(context) => {
                self.handshakes.begin(fd, peer, &context);
                self.inbox.shaking_hands.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Takes handshakes further.
    fn shake_hands(&mut self) {
        if self.handshakes.is_empty() {
            return;
        }
        let mut over = Vec::new();
        self.handshakes
            .turn(|socket, peer| over.push((socket, peer)));
        for (socket, peer) in over {
            self.admit(socket, peer);
        }
        let go_on = !self.handshakes.is_empty();
        self.inbox.shaking_hands.store(go_on, Ordering::Relaxed);
    }

    /// Makes a client of a connection.
    fn admit(&mut self, socket: Socket, peer: Peer) {
        let entry = self.all.vacant_entry();
        let key = entry.key();
        let waker = Arc::new(ConnectionWaker {
            connection: key,
            inbox: Arc::clone(&self.inbox),
        });
        let Some(connection) = Connection::open(&self.shared, socket, peer, &waker.into()) else {
            return;
        };
        let registered = connection.socket.register(&self.registry, Token(key));
        entry.insert(Box::new(connection));
        if registered.is_err() {
            self.close(key, Some(End::Closed));
        }
    }

    /// Gives a connection a turn; there may be none of that number any more.
    fn serve(&mut self, key: usize) {
        let Some(connection) = self.all.get_mut(key) else {
            return;
        };
        connection.in_line = false;
        let turn = guarded(|| connection.turn(&mut self.scratch));
        if self.scratch.turn_done() {
            self.inbox.grown.store(true, Ordering::Relaxed);
        }
        if connection.waits_until().is_some() {
            self.unwritten = true;
            if !connection.waits_for_log {
                connection.waits_for_log = true;
                self.held_back.push(key);
            }
        }
        match turn {
            Ok(Progress::Idle) => {}
            Ok(Progress::Again) => {
                connection.in_line = true;
                self.again.push(key);
            }
            Ok(Progress::Over(end)) => self.close(key, Some(end)),
            Err(what) => {
                connection.recover(&what);
                self.scratch = Scratch::default();
                self.close(key, None);
            }
        }
    }

    /// Has the log written up to where output waits for it, or written and synced, and lets the output go that need wait no
    /// longer.
    fn write_log(&mut self) {
        if self.held_back.is_empty() {
            return;
        }
        let append = Arc::clone(&self.shared.append);
        self.company = self.held_back.len().max(self.company.saturating_sub(1));
        // Who asks for more in the course of this is registered in the next turn.
        self.unwritten = false;
        if self.company > 1 && append.gate.waits_for_sync() {
            self.release();
            return append.ask_for_sync(self.furthest());
        }
        append.flush(&self.shared, self.furthest());
        self.release();
        if append.gate.waits_for_sync() && !self.held_back.is_empty() {
            append.sync_for_one(&self.shared, self.furthest());
            self.release();
        }
    }

    /// The position of the log that output waits for which has to wait longest; 0 if there is none.
    fn furthest(&self) -> u64 {
        let waits_until = |key: &usize| self.all.get(*key)?.waits_until();
        let positions = self.held_back.iter().filter_map(waits_until);
        positions.max().unwrap_or(0)
    }

    /// Lets the output go that need not wait for the log any longer.
    fn release(&mut self) {
        let append = Arc::clone(&self.shared.append);
        for key in std::mem::take(&mut self.held_back) {
            let Some(connection) = self.all.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut connection.waits_for_log) {
                // Another one by now.
                continue;
            }
            let waits_until = connection.waits_until();
            if let Some(position) = waits_until
                && append.gate.passage(position).is_none()
                && append.gate.wake_at(position, &self.inbox)
            {
                connection.waits_for_log = true;
                self.held_back.push(key);
            } else if !connection.in_line {
                self.serve(key);
            }
        }
    }

    /// Forgets a connection, and the client unless that has been done.
    fn close(&mut self, key: usize, end: Option<End>) {
        let mut connection = self.all.remove(key);
        connection.socket.deregister(&self.registry);
        // Before the socket closes: whoever gets its number next must not be taken for this client.
        if let Some(end) = end
            && let Err(what) = guarded(|| connection.ended(&end))
        {
            connection.recover(&what);
        }
    }
}

/// Does something of which a panic must cost one connection only. The error is what the panic says.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown")
            .to_owned()
    })
}
