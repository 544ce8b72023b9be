//! `valkey-server`: the process around the engine.
//!
//! Read the configuration, bind, start the runtime, load the dataset, serve until told to stop.

mod child;
mod clock;
mod connection;
mod crash;
mod fanout;
mod limits;
mod link_io;
mod listener;
mod loading;
mod logging;
mod memory;
mod oom;
mod process;
mod shared;
mod startup;
mod supervise;
mod title;
mod transfer;

use engine::Engine;
use engine::host::Level;
use parking_lot::Mutex;
use process::{Control, Process};
use shared::Shared;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use transfer::Transfers;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() -> ExitCode {
    memory::set_up();
    let start = match startup::read() {
        Ok(start) => start,
        Err(code) => return code,
    };
    match runtime(usize::try_from(start.config.io_threads).unwrap_or(1)) {
        Ok(runtime) => {
            let code = runtime.block_on(run(start));
            runtime.shutdown_timeout(Duration::from_millis(10));
            startup::clean_up();
            ExitCode::from(code)
        }
        Err(error) => {
            logging::log(Level::Warning, &format!("Can't start the runtime: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The runtime of the connections. A single I/O thread needs none of what shares tasks among several, which is a
/// measurable part of a request that comes alone.
fn runtime(io_threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    use tokio::runtime::Builder;
    if io_threads <= 1 {
        return Builder::new_current_thread().enable_all().build();
    }
    Builder::new_multi_thread()
        .worker_threads(io_threads)
        .thread_name("io")
        .enable_all()
        .build()
}

/// Serves until the engine or a signal ends it; returns the exit code.
async fn run(start: startup::Start) -> u8 {
    let listeners = match listener::Listeners::bind(&start.config) {
        Ok(listeners) => listeners,
        Err(text) => {
            logging::log(Level::Warning, &text);
            return 1;
        }
    };
    memory::purge_in_background(start.config.jemalloc_bg_thread);
    let mut facts = start.facts;
    facts.listeners = listeners.describe(&start.config);
    let control = Arc::new(Control::new());
    *control.listening.lock() = listeners.handles();
    let transfers = Arc::new(Transfers::default());
    keyspace::set_hash_seed({
        let random = process::random_bytes();
        let mut seed = [0; 16];
        seed.copy_from_slice(&random[..16]);
        seed
    });
    let (config, names) = (start.config, start.names);
    let supervised = supervise::resolve(config.supervised);
    let shared = Arc::new_cyclic(|weak| {
        let process = Process::new(
            &config,
            facts,
            Arc::clone(&control),
            Arc::clone(&transfers),
            weak.clone(),
        );
        let mut engine = Engine::new(config, clock::SYSTEM, Box::new(process));
        engine.core.names = names;
        Shared {
            engine: Mutex::new(engine),
            deadlines: Notify::new(),
            transfers,
            control: Arc::clone(&control),
        }
    });
    logging::log(Level::Notice, "Server initialized");
    // Before the first client is served: a signal without a handler would end the process.
    let signals = Signals::new();
    loading::at_start(&shared);
    let mut accepting = listeners.serve(&shared);
    supervise::ready(supervised);
    tokio::spawn(tick(Arc::clone(&shared)));
    if let Some(signals) = signals {
        tokio::spawn(obey(signals, Arc::clone(&shared)));
    } else {
        logging::log(Level::Warning, "Can't listen to signals");
    }
    loop {
        control.changed.notified().await;
        if let Some(code) = control.exit_code() {
            return u8::try_from(code).unwrap_or(1);
        }
        let fresh = control.listeners.lock().take();
        if let Some(fresh) = fresh {
            for task in accepting.drain(..) {
                task.abort();
            }
            accepting = fresh.serve(&shared);
        }
    }
}

/// Calls the engine's periodic work, and wakes it when a waiting client's time is up.
async fn tick(shared: Arc<Shared>) {
    let mut next = tokio::time::Instant::now();
    let mut clock_measured = false;
    loop {
        clock_measured = clock_measured || clock::measure_rate();
        let hz = shared.engine.lock().tick().max(1);
        next += Duration::from_micros(1_000_000 / hz);
        loop {
            let deadline = shared.engine.lock().next_deadline_ms();
            let now_ms = (clock::unix_us() / 1000) as i64;
            let until_deadline = deadline
                .map(|deadline| Duration::from_millis((deadline - now_ms).max(0) as u64 + 1));
            let wait =
                until_deadline.map_or(next, |wait| next.min(tokio::time::Instant::now() + wait));
            tokio::select! {
                // Cancel-safe: both only wait.
                () = tokio::time::sleep_until(wait) => {}
                () = shared.deadlines.notified() => continue,
            }
            if wait >= next {
                break;
            }
            shared.engine.lock().meet_deadline();
        }
    }
}

/// The signals that end the process in order.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Starts to catch them.
    fn new() -> Option<Self> {
        Some(Signals {
            term: signal(SignalKind::terminate()).ok()?,
            int: signal(SignalKind::interrupt()).ok()?,
        })
    }
}

/// SIGTERM and SIGINT mean SHUTDOWN, as configured.
async fn obey(signals: Signals, shared: Arc<Shared>) {
    let Signals { mut term, mut int } = signals;
    let mut asked = false;
    loop {
        let (name, is_int) = tokio::select! {
            // Cancel-safe: a signal that is not taken stays pending.
            _ = term.recv() => ("SIGTERM", false),
            _ = int.recv() => ("SIGINT", true),
        };
        if is_int && asked {
            logging::log(Level::Warning, "You insist... exiting now.");
            startup::clean_up();
            std::process::exit(1);
        }
        asked = true;
        logging::signal(&format!("Received {name} scheduling shutdown..."));
        let mut engine = shared.engine.lock();
        let wanted = if is_int {
            engine.core.config.shutdown_on_sigint
        } else {
            engine.core.config.shutdown_on_sigterm
        };
        engine.shutdown(startup::shutdown_options(wanted));
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
