//! `valkey-server`: the process around the engine.
//!
//! Read the configuration, bind, load the dataset, serve until told to stop. The main thread runs the event loop that also
//! accepts connections and keeps time; with more I/O threads the others run loops of their own.

mod append;
mod binding;
mod channel;
mod child;
mod clock;
mod compression;
mod connection;
mod control;
mod courier;
mod crash;
mod descriptors;
mod dump_transfer;
mod event_loop;
mod fanout;
mod feed;
mod figures;
mod handshakes;
mod limits;
mod link_io;
mod link_stream;
mod listener;
mod loading;
mod logging;
mod memory;
mod migrate_stream;
mod oom;
mod payload;
mod process;
mod relay;
mod replace;
mod shared;
mod signals;
mod socket;
mod spill;
mod spool;
mod stand_back;
mod startup;
mod supervise;
mod tally;
mod timer;
mod title;
mod tls_config;
mod user_file;

use append::AppendFile;
use control::Control;
use engine::Engine;
use engine::host::Level;
use event_loop::{Connections, EventLoop, FIRST_OTHER, Inbox};
use listener::{Acceptor, Listeners};
use mio::Token;
use process::ServerProcess;
use shared::{Parts, Shared};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use timer::Timer;
use tls_config::TlsConfig;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() -> ExitCode {
    memory::set_up();
    let start = match startup::read() {
        Ok(start) => start,
        Err(code) => return code,
    };
    let code = run(start).unwrap_or_else(|error| {
        cannot_serve(error);
        1
    });
    startup::clean_up();
    ExitCode::from(code)
}

fn cannot_serve(error: io::Error) {
    logging::log(Level::Warning, &format!("Can't serve: {error}"));
}

/// Serves until the engine or a signal ends it; returns the exit code.
fn run(start: startup::Start) -> io::Result<u8> {
    let tls = Arc::new(TlsConfig::default());
    if tls.load(&start.config).is_err() {
        let text = "Failed to configure TLS. Check logs for more info.";
        logging::log(Level::Warning, text);
        return Ok(1);
    }
    let listeners = match Listeners::bind(&start.config) {
        Ok(listeners) => listeners,
        Err(text) => {
            logging::log(Level::Warning, &text);
            return Ok(1);
        }
    };
    memory::purge_in_background(start.config.jemalloc_bg_thread);
    let tcp_backlog = start.config.tcp_backlog;
    let mut facts = start.facts;
    facts.listeners = listeners.describe(&start.config);
    let event_loop = EventLoop::new()?;
    let control = Arc::new(Control::new(Arc::clone(event_loop.inbox())));
    *control.listening.lock() = listeners.handles();
    keyspace::set_hash_seed({
        let random = process::random_bytes();
        let mut seed = [0; 16];
        seed.copy_from_slice(&random[..16]);
        seed
    });
    let (config, users, names) = (start.config, start.users, start.names);
    let parts = Parts {
        transfers: Arc::default(),
        descriptors: Arc::default(),
        append: Arc::new(AppendFile::new(&config)),
        tls,
        control,
    };
    let io_threads = usize::try_from(config.io_threads).unwrap_or(1).max(1);
    let shared = Arc::new_cyclic(|weak| {
        let process = ServerProcess::new(&config, facts, parts.clone(), weak.clone());
        let mut engine = Engine::new(config, clock::SYSTEM, Box::new(process));
        engine.state.names = names;
        engine.state.users = users;
        Shared::new(engine, parts)
    });
    shared.append.start_syncer(Arc::downgrade(&shared));
    listener::warn_of_backlog(tcp_backlog);
    logging::log(Level::Notice, "Server initialized");
    // Before the first client is served: a signal without a handler would end the process.
    if let Err(error) = signals::obey(Arc::clone(&shared)) {
        let text = format!("Can't listen to signals: {error}");
        logging::log(Level::Warning, &text);
    }
    loading::at_start(&shared);
    let main = Main::new(shared, event_loop, listeners, io_threads)?;
    main.run()
}

/// The token of the timer.
const TIMER: Token = Token(FIRST_OTHER);
/// Nanoseconds between two looks at the buffers of the loops.
const TRIM_EVERY_NS: u64 = 1_000_000_000;
/// Tokens of listening sockets begin here.
const FIRST_ACCEPTOR: usize = FIRST_OTHER + 1;

/// The main thread: it serves its share of the connections, lets new ones in, and keeps time.
struct Main {
    shared: Arc<Shared>,
    event_loop: EventLoop,
    connections: Connections,
    acceptors: Vec<Acceptor>,
    /// The token of the next listening socket.
    next_token: usize,
    timer: Timer,
    next_tick_ns: u64,
    next_trim_ns: u64,
    clock_measured: bool,
    /// The loops of the other I/O threads.
    others: Vec<Arc<Inbox>>,
    /// Connections let in so far.
    let_in: usize,
}

impl Main {
    /// Starts the other threads; everything is served once [`Self::run`] runs.
    fn new(
        shared: Arc<Shared>,
        event_loop: EventLoop,
        listeners: Listeners,
        io_threads: usize,
    ) -> io::Result<Self> {
        let mut others = Vec::new();
        for _ in 1..io_threads {
            let other = EventLoop::new()?;
            others.push(Arc::clone(other.inbox()));
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("io".into())
                .spawn(move || other.run(shared).unwrap_or_else(cannot_serve))?;
        }
        let timer = Timer::new(event_loop.registry(), TIMER)?;
        let mut main = Main {
            connections: event_loop.connections(Arc::clone(&shared))?,
            shared,
            event_loop,
            acceptors: Vec::new(),
            next_token: FIRST_ACCEPTOR,
            timer,
            next_tick_ns: clock::monotonic_ns(),
            next_trim_ns: 0,
            clock_measured: false,
            others,
            let_in: 0,
        };
        main.open(listeners);
        Ok(main)
    }

    /// Serves until the process is to end; returns the exit code.
    fn run(mut self) -> io::Result<u8> {
        self.keep_time()?;
        loop {
            let may_wait = !self.acceptors.iter().any(Acceptor::is_ready);
            let (mut timer, acceptors) = (false, &mut self.acceptors);
            self.event_loop
                .turn(&mut self.connections, may_wait, |token| {
                    if token == TIMER {
                        timer = true;
                    } else if let Some(acceptor) = acceptors
                        .iter_mut()
                        .find(|acceptor| acceptor.token == token)
                    {
                        acceptor.waiting = true;
                    }
                })?;
            if timer {
                self.keep_time()?;
            }
            self.let_in();
            if self.shared.control.take_changed() {
                if let Some(code) = self.shared.control.exit_code() {
                    return Ok(u8::try_from(code).unwrap_or(1));
                }
                let fresh = self.shared.control.listeners.lock().take();
                fresh.into_iter().for_each(|fresh| self.open(fresh));
                self.set_timer()?;
            }
        }
    }

    /// Serves these sockets, and of the present ones only the Unix one.
    fn open(&mut self, listeners: Listeners) {
        let registry = self.event_loop.registry();
        for acceptor in self
            .acceptors
            .extract_if(.., |acceptor| !acceptor.is_unix())
        {
            acceptor.deregister(registry);
        }
        self.acceptors
            .extend(listeners.serve(registry, self.next_token));
        self.next_token += self.acceptors.len();
    }

    /// Lets in who waits, and shares them out.
    fn let_in(&mut self) {
        for acceptor in self
            .acceptors
            .iter_mut()
            .filter(|acceptor| acceptor.is_ready())
        {
            acceptor.let_in(&self.shared, |newcomer| {
                match self.let_in % (self.others.len() + 1) {
                    0 => self.connections.add(newcomer),
                    other => self.others[other - 1].accepted(newcomer),
                }
                self.let_in += 1;
            });
        }
    }

    /// The timer has run out: the engine's periodic work is due, or a waiting client's time is up.
    fn keep_time(&mut self) -> io::Result<()> {
        self.timer.ran_out();
        let now_ns = clock::monotonic_ns();
        if now_ns < self.next_tick_ns {
            self.run_timer(Engine::meet_deadline);
            return self.set_timer();
        }
        self.clock_measured = self.clock_measured || clock::measure_rate();
        let hz = self.run_timer(Engine::tick).max(1);
        self.shared.append.try_again(&self.shared);
        self.next_tick_ns = now_ns.max(self.next_tick_ns + 1_000_000_000 / hz);
        self.acceptors.iter_mut().for_each(Acceptor::try_again);
        if now_ns >= self.next_trim_ns {
            self.next_trim_ns = now_ns + TRIM_EVERY_NS;
            let inboxes = self.others.iter().chain([self.event_loop.inbox()]);
            inboxes.for_each(|inbox| inbox.trim());
        }
        self.set_timer()
    }

    /// Has the engine do what is due, and writes what that has appended to the log.
    fn run_timer<R>(&self, work: impl FnOnce(&mut Engine) -> R) -> R {
        let mut engine = self.shared.engine.lock();
        let result = work(&mut engine);
        let position = engine.state.aof.position();
        drop(engine);
        self.shared.append.flush(&self.shared, position);
        result
    }

    fn set_timer(&mut self) -> io::Result<()> {
        let deadline_ms = self.shared.engine.lock().next_deadline_ms();
        let mut at_ns = self.next_tick_ns;
        if let Some(deadline_ms) = deadline_ms {
            let now_ms = (clock::unix_us() / 1000) as i64;
            let wait_ms = (deadline_ms - now_ms).max(0) as u64 + 1;
            at_ns = at_ns.min(clock::monotonic_ns() + wait_ms * 1_000_000);
        }
        self.timer.set(at_ns)
    }
}

/// The system's words for an error, without Rust's ` (os error N)`.
fn errno_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
