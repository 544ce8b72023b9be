//! The append-only file of the running server: what the engine appends goes to the disk through here, and nowhere else.
//!
//! ```text
//! engine --push--> queue --write--> kernel --sync--> disk
//!  (its lock)           (any loop,           (one thread)
//!                        one at a time)
//! ```
//!
//! Whoever has run requests writes what was appended before any reply leaves ([`AppendFile::flush`]): one call to the system
//! for all that waits, whichever loop it comes from. The engine's lock is not held meanwhile. Syncs are the business of a
//! thread of their own, so that one of them serves everybody who waits ([`syncer`]). With `always` that thread also writes, just
//! before it syncs.
//!
//! Locks are taken in this order: engine, layout, mouth, queue.

mod base;
pub(crate) mod gate;
mod layout;
mod mouth;
mod received;
mod start;
mod syncer;

use crate::shared::Shared;
use aof::writer::{Marks, Writer};
use config::{AppendFsync, Config, Param};
use engine::host::LogFigures;
use gate::Gate;
use layout::Layout;
use mouth::Mouth;
use parking_lot::{Condvar, Mutex};
use received::Received;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub(crate) use base::write_base;
pub(crate) use start::load_at_start;

/// Whether our files carry marks of what is synced.
const MARKS: Marks = Marks::On;

/// What was appended and has not been taken to the mouth.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Position behind them.
    position: u64,
    /// Offset of the replication stream there.
    offset: u64,
}

/// Parameters that the threads look at without the engine's lock.
#[derive(Default)]
struct Settings {
    fsync: AtomicFsync,
    /// `no-appendfsync-on-rewrite`.
    not_beside_child: AtomicBool,
    /// A child process writes a snapshot or a base.
    child_lives: AtomicBool,
    /// `latency-monitor-threshold`, in milliseconds; 0 for none.
    latency_ms: AtomicU64,
    /// DEBUG AOF-FLUSH-SLEEP, in microseconds.
    flush_sleep_us: AtomicU64,
    /// `aof-disable-auto-gc`.
    keeps_history: AtomicBool,
    /// `aof-rewrite-incremental-fsync`.
    syncs_base_often: AtomicBool,
}

/// The append-only file.
pub(crate) struct AppendFile {
    pub(crate) gate: Gate,
    queue: Mutex<Queue>,
    mouth: Mutex<Mouth>,
    /// The syncer may have something to do.
    woken: Condvar,
    /// A reply waits for a sync.
    sync_wanted: AtomicBool,
    /// The syncer waits, or is about to.
    syncer_waits: AtomicBool,
    /// A sync has ended.
    sync_ended: Condvar,
    /// Bytes that the log takes in memory.
    memory: AtomicUsize,
    /// Nanoseconds that event loops have spent in writes, and in syncs of their own.
    loop_ns: AtomicU64,
    /// See [`layout::Known`].
    base_bytes: AtomicU64,
    earlier_bytes: AtomicU64,
    layout: Mutex<Layout>,
    received: Mutex<Option<Received>>,
    settings: Settings,
}

/// [`AppendFsync`], to be looked at by several threads.
#[derive(Default)]
struct AtomicFsync(std::sync::atomic::AtomicU8);

impl AtomicFsync {
    fn set(&self, policy: AppendFsync) {
        self.0.store(policy as u8, Ordering::Relaxed);
    }

    fn is(&self, policy: AppendFsync) -> bool {
        self.0.load(Ordering::Relaxed) == policy as u8
    }
}

impl AppendFile {
    /// None is kept yet.
    pub(crate) fn new(config: &Config) -> Self {
        let file = AppendFile {
            gate: Gate::default(),
            queue: Mutex::default(),
            mouth: Mutex::default(),
            woken: Condvar::new(),
            sync_wanted: AtomicBool::new(false),
            syncer_waits: AtomicBool::new(false),
            sync_ended: Condvar::new(),
            memory: AtomicUsize::new(0),
            loop_ns: AtomicU64::new(0),
            base_bytes: AtomicU64::new(0),
            earlier_bytes: AtomicU64::new(0),
            layout: Mutex::default(),
            received: Mutex::default(),
            settings: Settings::default(),
        };
        file.configure(config);
        file
    }

    /// Takes over parameters.
    pub(crate) fn configure(&self, config: &Config) {
        let settings = &self.settings;
        settings.fsync.set(config.appendfsync);
        let beside = config.no_appendfsync_on_rewrite;
        settings.not_beside_child.store(beside, Ordering::Relaxed);
        let latency_ms = config.latency_monitor_threshold.unsigned_abs();
        settings.latency_ms.store(latency_ms, Ordering::Relaxed);
        let keeps = config.aof_disable_auto_gc;
        settings.keeps_history.store(keeps, Ordering::Relaxed);
        let often = config.aof_rewrite_incremental_fsync;
        settings.syncs_base_often.store(often, Ordering::Relaxed);
        self.keep_for_sync(&mut self.mouth.lock());
        self.follow_policy();
    }

    /// A parameter has been set.
    ///
    /// # Errors
    /// It cannot be in force: with `always` the process would end at once.
    pub(crate) fn reconfigure(&self, config: &Config, param: Param) -> Result<(), String> {
        if param == Param::Appendfsync
            && config.appendfsync == AppendFsync::Always
            && let Some(error) = self.mouth.lock().error()
        {
            return Err(format!("Errors writing to the AOF file: {error}"));
        }
        self.configure(config);
        if param == Param::AofDisableAutoGc {
            self.remove_history();
        }
        Ok(())
    }

    /// What is not synced is kept in case that its sync fails, if there are to be any.
    fn keep_for_sync(&self, mouth: &mut Mouth) {
        if let Some(writer) = &mut mouth.writer {
            let never = self.settings.fsync.is(AppendFsync::No);
            writer.set_kept_max(if never {
                0
            } else {
                aof::limits::UNSYNCED_BYTES_KEPT_MAX
            });
        }
    }

    /// Whether replies wait for the sync follows from the policy, and from a child that none is to compete with.
    fn follow_policy(&self) {
        let always = self.settings.fsync.is(AppendFsync::Always);
        self.gate.wait_for_sync(always && !self.is_paused());
        // Not between its look at the policy and its wait.
        let _mouth = self.mouth.lock();
        self.woken.notify_one();
    }

    /// A child process has begun or ended.
    pub(crate) fn child_lives(&self, lives: bool) {
        self.settings.child_lives.store(lives, Ordering::Relaxed);
        self.follow_policy();
    }

    /// `aof-disable-auto-gc`.
    fn keeps_history(&self) -> bool {
        self.settings.keeps_history.load(Ordering::Relaxed)
    }

    /// DEBUG AOF-FLUSH-SLEEP.
    pub(crate) fn sleep_before_writes(&self, microseconds: u64) {
        let sleep_us = &self.settings.flush_sleep_us;
        sleep_us.store(microseconds, Ordering::Relaxed);
    }

    /// Writes what is queued and syncs it. The engine's lock is held.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn sync_now(&self) -> Result<(), String> {
        self.write_and_sync(&mut self.mouth.lock())
    }

    /// Tries again to write what the disk has refused, and tells what nobody has written behind. Called now and then.
    pub(crate) fn try_again(&self, shared: &Shared) {
        let mut mouth = self.mouth.lock();
        if mouth.write_error.is_some() {
            self.write(&mut mouth);
            self.wake_syncer(&mouth);
        } else if !mouth.was_slow() {
            return;
        }
        let news = mouth.news();
        drop(mouth);
        if let Some(news) = news {
            shared.engine.lock().hear_of_log(news);
        }
    }

    /// Bytes that the log takes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Figures for INFO. The engine's lock is held.
    pub(crate) fn figures(&self) -> LogFigures {
        // Not those of the layout, which waits for the disk while it changes.
        let base_size = self.base_bytes.load(Ordering::Relaxed);
        let earlier = self.earlier_bytes.load(Ordering::Relaxed);
        let mouth = self.mouth.lock();
        let writer = mouth.writer.as_ref();
        LogFigures {
            size: earlier + writer.map_or(0, Writer::size),
            base_size,
            waiting: writer.map_or(0, |writer| writer.waiting() as u64),
            memory: writer.map_or(0, |writer| writer.memory() as u64),
            unsynced: writer.map_or(0, Writer::unsynced),
            unsynced_since_ms: writer.and_then(Writer::unsynced_since_ms),
            syncs: mouth.sync_since_ns.is_some(),
            delayed_syncs: mouth.delayed_syncs,
            loop_us: self.loop_ns.load(Ordering::Relaxed) / 1000,
        }
    }
}
