//! What the engine asks of the process around it: clocks, the log, memory figures, files and the snapshot child.
//!
//! The engine never does I/O itself. `server` implements [`Host`]; tests bring their own.

use keyspace::copying::{Copying, Plan};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crate::client::ClientId;
pub use replication::primary::{JobId, SnapshotJob, SnapshotResult, SocketTarget, Target};
pub use words::Level;

/// Clocks, as plain functions: reading one costs no indirection that matters.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds of a clock that never jumps.
    pub monotonic_ns: fn() -> u64,
    /// Microseconds since the Unix epoch.
    pub unix_us: fn() -> u64,
}

/// Memory as the allocator and the kernel see it, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFigures {
    /// Bytes handed out by the allocator.
    pub used: usize,
    /// Resident set size.
    pub rss: usize,
    /// Allocator statistics: allocated, active, resident.
    pub allocated: usize,
    /// See `allocated`.
    pub active: usize,
    /// See `allocated`.
    pub resident: usize,
    /// Memory of the machine.
    pub system: u64,
}

/// Processor time in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuFigures {
    /// Kernel time of the process.
    pub system_us: u64,
    /// User time of the process.
    pub user_us: u64,
    /// Kernel time of finished children.
    pub children_system_us: u64,
    /// User time of finished children.
    pub children_user_us: u64,
    /// Kernel time of the thread asking.
    pub thread_system_us: u64,
    /// User time of the thread asking.
    pub thread_user_us: u64,
}

/// Facts about the process that INFO shows.
#[derive(Clone, Debug, Default)]
pub struct ProcessFacts {
    /// Process id.
    pub pid: u32,
    /// Name, release and machine of the system.
    pub os: String,
    /// Tells builds apart: 16 hexadecimal digits, the same for the same sources.
    pub build_id: &'static str,
    /// The allocator, with its version.
    pub allocator: String,
    /// Path of the binary.
    pub executable: String,
    /// Path of the configuration file, empty without one.
    pub config_file: String,
    /// Who supervises the process: `systemd`, `upstart` or `no`.
    pub supervised: String,
    /// Listening addresses, as INFO shows them: a name that stands for the kind, and kind, address list and port.
    pub listeners: Vec<(&'static str, String)>,
    /// The port in use.
    pub port: u16,
    /// Random, 40 hexadecimal digits, new at each start.
    pub run_id: String,
    /// Unix time of the start, in seconds.
    pub started_at: i64,
}

/// A flag that a connection looks at in its turn, and the waker that gives it one.
///
/// The engine raises it under its lock; the connection lowers it before it asks the engine what there is to do.
#[derive(Debug, Default)]
pub struct Attention {
    raised: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Attention {
    /// Sets the flag and wakes the connection.
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel)
            && let Ok(waker) = self.waker.lock()
            && let Some(waker) = waker.as_ref()
        {
            waker.wake_by_ref();
        }
    }

    /// Clears the flag; true when it was set.
    pub fn lower(&self) -> bool {
        self.raised.load(Ordering::Acquire) && self.raised.swap(false, Ordering::AcqRel)
    }

    /// Remembers whom to wake.
    pub fn register(&self, waker: &Waker) {
        if let Ok(mut registered) = self.waker.lock()
            && !registered.as_ref().is_some_and(|old| old.will_wake(waker))
        {
            *registered = Some(waker.clone());
        }
    }
}

/// How a save went wrong.
pub type HostError = String;

/// Writes a snapshot to a sink, telling now and then how many keys are done; see [`crate::snapshot`].
pub type WriteSnapshot<'a> =
    &'a dyn Fn(&mut dyn std::io::Write, &mut dyn FnMut(u64)) -> std::io::Result<()>;

/// What a snapshot child says of itself while it works.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildReport {
    /// Keys written.
    pub keys_done: u64,
    /// Private dirty memory, in bytes, if it has been measured again.
    pub cow_bytes: Option<u64>,
}

/// The process around the engine, by what it serves.
pub trait Host:
    Log + Process + Memory + Files + Snapshots + AppendLog + Connections + PrimaryLink + Couriers + Send
{
}

impl<T> Host for T where
    T: Log
        + Process
        + Memory
        + Files
        + Snapshots
        + AppendLog
        + Connections
        + PrimaryLink
        + Couriers
        + Send
{
}

/// The log.
pub trait Log {
    /// Writes a log line.
    fn log(&self, level: Level, text: &str);
    /// [`Self::log`] for other threads.
    fn logger(&self) -> fn(Level, &str) {
        |_, _| {}
    }
}

/// The process itself.
pub trait Process {
    /// Processor time.
    fn cpu(&self) -> CpuFigures;
    /// Facts for INFO.
    fn facts(&self) -> ProcessFacts;
    /// A parameter has been set: act on it (listeners, limits of the process, log).
    ///
    /// # Errors
    /// Why it cannot be done; the parameter is then set back.
    fn apply(&mut self, config: &config::Config, parameter: config::Param) -> Result<(), String>;
    /// Unpredictable bytes for identities and marks.
    fn random_bytes(&mut self) -> [u8; 32];
    /// The server has become a replica, or a primary: log lines tell, and the out-of-memory score may change.
    fn set_role(&mut self, replica: bool);
    /// Tells the supervisor of the process, if it listens to systemd's messages, one or several lines.
    fn tell_supervisor(&mut self, _message: &str) {}
    /// Blocks this thread (DEBUG SLEEP, key-load-delay).
    fn sleep_us(&mut self, microseconds: u64);
    /// Stops the process with SIGSTOP until somebody continues it (DEBUG PAUSE-AFTER-FORK).
    fn stop_self(&mut self);
    /// Makes the process fail in the given way (DEBUG PANIC, SEGFAULT, `propagation-error-behavior`).
    fn crash(&mut self, how: Crash);
    /// Starts the process anew (DEBUG RESTART).
    fn restart(&mut self, delay_ms: u64);
    /// The process is about to end: its pid file and socket go.
    fn remove_files(&mut self) {}
    /// The process is to end now, with this exit code.
    fn exit(&mut self, code: i32);
}

/// Memory: the allocator, and the thread that frees what is large.
pub trait Memory {
    /// Memory figures; `used` is cheap, the others may take a system call.
    fn memory(&self) -> MemoryFigures;
    /// Bytes handed out by the allocator: cheap enough for every command.
    fn used_memory(&self) -> usize;
    /// Frees in another thread.
    fn free(&mut self, garbage: Vec<keyspace::Value>);
    /// Frees whole databases in another thread, or here when `wait` is set.
    fn free_databases(&mut self, databases: Vec<keyspace::Db>, wait: bool);
    /// Frees anything else in another thread.
    fn free_other(&mut self, garbage: Box<dyn Send>);
    /// Makes room for a copy in another thread, and then reports [`crate::Engine::copy_prepared`]; or makes it here and now.
    fn prepare_copy(&mut self, _number: u64, plan: Plan) -> Option<Copying> {
        Some(plan.prepare())
    }
    /// Values and databases still waiting to be freed.
    fn pending_frees(&self) -> usize;
    /// What the allocator has to say about itself (MEMORY MALLOC-STATS).
    fn allocator_report(&self) -> String {
        "Stats not supported for the current allocator".to_owned()
    }
    /// Has the allocator give back what it holds in reserve (MEMORY PURGE).
    fn purge_allocator(&mut self) {}
    /// Gets a number from the allocator by its name there, and sets it first if there is a value (DEBUG MALLCTL): what it
    /// was.
    ///
    /// # Errors
    /// Why not, in the system's words.
    fn allocator_number(&mut self, name: &[u8], value: Option<i64>) -> Result<i64, HostError>;
    /// As [`Self::allocator_number`], for texts (DEBUG MALLCTL-STR).
    ///
    /// # Errors
    /// Why not, in the system's words.
    fn allocator_text(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>, HostError>;
}

/// Files that are read and written while clients wait.
pub trait Files {
    /// The folder the process is in, where its files are; `None` when it is gone.
    fn folder(&self) -> Option<Vec<u8>>;
    /// Writes the dump file in this process: temporary file, sync, rename, sync of the folder.
    ///
    /// # Errors
    /// What went wrong; the old file is untouched.
    fn save(&mut self, write: WriteSnapshot<'_>) -> Result<(), HostError>;
    /// Opens the dump file.
    ///
    /// # Errors
    /// What went wrong; `Ok(None)` when there is no file.
    fn open_dump(&mut self) -> Result<Option<Box<dyn std::io::Read + Send>>, HostError>;
    /// Reads the configuration file for CONFIG REWRITE.
    ///
    /// # Errors
    /// What went wrong.
    fn read_config_file(&mut self) -> Result<Vec<u8>, HostError>;
    /// Replaces the configuration file.
    ///
    /// # Errors
    /// What went wrong; the old file is untouched.
    fn write_config_file(&mut self, text: &[u8]) -> Result<(), HostError>;
    /// Reads the file of users of that name.
    ///
    /// # Errors
    /// What went wrong.
    fn read_user_file(&mut self, name: &[u8]) -> Result<Vec<u8>, HostError>;
    /// Replaces the file of users of that name, which stays as readable for others as it was, and, when it is new, is not.
    ///
    /// # Errors
    /// A line for the log; the old file is untouched.
    fn write_user_file(&mut self, name: &[u8], text: &[u8]) -> Result<(), HostError>;
}

/// The child process that writes snapshots, and what it leaves behind.
pub trait Snapshots {
    /// Forks a child that writes a snapshot; returns its process id. It reports with [`crate::Engine::snapshot_progress`],
    /// [`crate::Engine::snapshot_receiver_failed`] and [`crate::Engine::snapshot_finished`].
    ///
    /// # Errors
    /// The fork failed.
    fn start_snapshot(
        &mut self,
        job: &SnapshotJob,
        write: WriteSnapshot<'_>,
    ) -> Result<u32, HostError>;
    /// Kills the snapshot child; its end is reported as usual.
    fn kill_snapshot(&mut self);
    /// Bytes that replicas' connections have taken of what the snapshot child writes to them, since this was last asked.
    fn take_sent(&mut self) -> u64 {
        0
    }
    /// Bytes of the snapshot under way, or of the last one, that each replica's connection has taken.
    fn sent_to(&self) -> Vec<(ClientId, u64)> {
        Vec::new()
    }
    /// Writes `header` and then the file that the last snapshot child has written to a replica's connection; reports
    /// [`crate::Engine::dump_sent`] when all of it has been written.
    ///
    /// # Errors
    /// Why there is no such file any more.
    fn send_dump(&mut self, client: ClientId, header: Vec<u8>) -> Result<(), HostError>;
    /// Writes `prelude` and then the file that is kept of the last snapshot that went to connections, from byte `from` on and as
    /// far as it grows; reports [`crate::Engine::dump_sent`] when all of it has been written.
    ///
    /// # Errors
    /// Why there is no such file.
    fn send_spool(
        &mut self,
        _client: ClientId,
        _prelude: Vec<u8>,
        _from: u64,
    ) -> Result<(), HostError> {
        Err("no snapshot is kept".into())
    }
    /// Deletes that file. Who is being sent one that is whole gets the rest.
    fn drop_spool(&mut self) {}
    /// Whether that file has become too big, or could not be written.
    fn has_lost_spool(&self) -> bool {
        false
    }
    /// Removes the file that the last snapshot child has written.
    fn remove_dump(&mut self);
}

/// The append-only file: bytes on their way to the disk, and the files that they lie in.
///
/// Positions count the bytes that were appended since the process started. A connection's output waits until everything
/// that had been appended when it was made is written, or synced with `appendfsync always`.
pub trait AppendLog {
    /// Takes over what was appended: `bytes`, which are empty afterwards. Behind them the position is `position`, and the
    /// offset of the replication stream `offset`.
    fn push_log(&mut self, bytes: &mut Vec<u8>, position: u64, offset: u64);
    /// Writes and syncs everything it was given.
    ///
    /// # Errors
    /// Why not all of it is on the disk.
    fn sync_log(&mut self) -> Result<(), HostError>;
    /// Prepares a rewrite: everything it was given, up to `position`, is written and synced, and what follows goes to
    /// another file. The child with [`Target::Log`] is forked next.
    ///
    /// # Errors
    /// Why not; it has been logged.
    fn begin_rewrite(
        &mut self,
        config: &config::Config,
        log: aof::rewrite::Log,
        form: aof::names::BaseForm,
        position: u64,
        offset: u64,
    ) -> Result<(), HostError>;
    /// Begins a log with the snapshot of the primary that has just been loaded, if that lies in a file: it holds everything
    /// up to `position`. What follows goes to the log.
    ///
    /// # Errors
    /// It does not, or cannot be had: nothing has changed.
    fn begin_log_with_received(
        &mut self,
        config: &config::Config,
        position: u64,
        offset: u64,
    ) -> Result<(), HostError>;
    /// There is no child for the rewrite that was prepared.
    fn give_up_rewrite(&mut self);
    /// Writes and syncs everything it was given, and nothing from then on.
    fn stop_log(&mut self);
    /// A child process has begun, or ended, which syncs are not to compete with (`no-appendfsync-on-rewrite`).
    fn child_lives(&mut self, lives: bool);
    /// Position up to which everything is on the disk, and the offset of the replication stream there. Costs next to
    /// nothing.
    fn synced_log(&self) -> (u64, u64);
    /// Bytes that the log takes in memory, which do not count for `maxmemory`. Costs next to nothing.
    fn log_memory(&self) -> usize;
    /// Figures for INFO.
    fn log_figures(&self) -> LogFigures;
    /// Opens the files of the log, in order, to load them anew (DEBUG LOADAOF).
    ///
    /// # Errors
    /// Why not, as a log line.
    fn open_log(&mut self) -> Result<Vec<LogSource>, HostError>;
    /// Waits so many microseconds before each write (DEBUG AOF-FLUSH-SLEEP).
    fn sleep_before_writes(&mut self, _microseconds: u64) {}
}

/// A file of the log, to be read.
pub struct LogSource {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its content.
    pub source: Box<dyn std::io::Read + Send>,
}

/// How the append-only file stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFigures {
    /// Bytes of all its files.
    pub size: u64,
    /// Bytes of its base.
    pub base_size: u64,
    /// Bytes that wait to be written.
    pub waiting: u64,
    /// Memory that they and those not yet synced take, in bytes.
    pub memory: u64,
    /// Bytes written but not synced.
    pub unsynced: u64,
    /// Since when, in monotonic milliseconds, the oldest of them is not.
    pub unsynced_since_ms: Option<u64>,
    /// A sync is running.
    pub syncs: bool,
    /// Syncs that took so long that somebody wrote behind them.
    pub delayed_syncs: u64,
    /// Microseconds that event loops have spent in writing it and in syncing it themselves.
    pub loop_us: u64,
}

/// Clients' connections, where the engine does not wait for their turn.
pub trait Connections {
    /// Writes a few bytes to a connection now: all of them or nothing. For a connection that has nothing else to write and
    /// that somebody else is about to write to.
    fn write_now(&mut self, client: ClientId, bytes: &[u8]);
    /// Lets the kernel gather small writes to a connection into fewer packets, which come later.
    fn coalesce(&mut self, client: ClientId);
    /// Closes both directions of a client's connection now; the connection itself ends in its turn.
    fn hang_up(&mut self, client: ClientId);
    /// Refuses new connections.
    fn stop_listening(&mut self) {}
    /// Takes [`Self::stop_listening`] back.
    fn listen_again(&mut self) {}
}

/// The link to our primary.
pub trait PrimaryLink {
    /// Does something for the link; must not block.
    fn link(&mut self, command: LinkCommand);
}

/// Threads that carry keys to other servers.
pub trait Couriers {
    /// Carries keys to another server in another thread; then reports [`crate::Engine::delivered`].
    ///
    /// # Errors
    /// Nobody is there to carry them.
    fn ship(&mut self, _shipment: crate::migration::Shipment) -> Result<(), HostError> {
        Err("no way to other servers".into())
    }
    /// As [`Self::ship`], but waits for the end.
    fn ship_now(&mut self, _shipment: &crate::migration::Shipment) -> crate::migration::Delivery {
        crate::migration::Delivery::default()
    }
    /// Connections to such servers that are kept for the next time.
    fn cached_targets(&self) -> usize {
        0
    }
}

/// What the link to our primary asks of the process.
#[derive(Debug)]
pub enum LinkCommand {
    /// Open a connection, from `source` unless that is empty; then report `link_connected` or `link_closed`.
    Connect {
        /// Name of the attempt.
        conn: replication::replica::Conn,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Local address (`bind-source-addr`).
        source: String,
    },
    /// Write bytes.
    Send(replication::replica::Conn, Vec<u8>),
    /// Close, dropping what is unread.
    Close(replication::replica::Conn),
    /// Stop reading.
    Pause(replication::replica::Conn),
    /// Read again, first what was left over.
    Resume(replication::replica::Conn),
    /// Open the sink of a snapshot.
    BeginPayload(replication::replica::Payload),
    /// The snapshot is complete, its last bytes are not part of it.
    EndPayload {
        /// Which.
        load: replication::replica::LoadId,
        /// Bytes to cut.
        mark_bytes: u64,
    },
    /// Load it; then report `link_loaded`.
    Load(replication::replica::LoadId),
    /// Forget it.
    AbortPayload(replication::replica::LoadId),
    /// Call `link_drain` until it is done.
    Drain,
    /// Delete the file behind the buffer.
    DropSpill,
    /// What follows on this connection is compressed.
    Decompress(replication::replica::Conn),
}

/// Ways to crash on request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// As by a state that cannot be, which is named.
    Panic(String),
    /// As by a failed assertion.
    Assertion,
    /// As by a wild pointer.
    Segfault,
}
