//! The append-only file as the engine sees it: what is appended to it, when it is rewritten, how it is switched on and off.
//!
//! The engine encodes what it propagates into a buffer and counts the bytes; the process takes them from there, writes them,
//! and holds replies back until what they reveal is written ([`crate::host::AppendLog`]).

pub mod load;
mod rewrite;
mod switch;
#[cfg(test)]
mod tests;

pub(crate) use rewrite::{Answer, ended, request, start, tick};
pub(crate) use switch::{begin_with_received, restart, stop_for_sync, switch_off, switch_on};

use crate::engine::Engine;
use crate::state::ServerState;
use aof::encoder::Encoder;
use aof::identity::Identity;
use aof::rewrite::Failures;

/// Whether a log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// None is.
    #[default]
    Off,
    /// One is to be kept, and waits for the child that writes its base.
    Waiting,
    /// A child writes its base; what is done meanwhile is collected beside the log.
    Starting,
    /// One is.
    On,
}

/// The log, and how its rewrites have gone.
#[derive(Clone, Debug, Default)]
pub struct AppendOnly {
    pub(crate) state: State,
    /// What the process has not been given yet.
    buffer: Vec<u8>,
    /// Bytes appended since the process started: the position behind all of them.
    appended: u64,
    encoder: Encoder,
    /// Unix seconds of the batch under way, for the stamps.
    pub(crate) now_s: i64,
    /// Why the disk refuses what is written; writes are refused meanwhile.
    pub(crate) error: Option<String>,
    pub(crate) rewrites: Rewrites,
}

/// How rewrites have gone.
#[derive(Clone, Debug)]
pub struct Rewrites {
    /// One is to begin as soon as it can.
    pub(crate) scheduled: bool,
    pub(crate) failures: Failures,
    /// Whether the last one succeeded.
    pub(crate) last_ok: bool,
    /// Seconds the last one took; -1 for none.
    pub(crate) last_seconds: i64,
    /// Begun so far.
    pub(crate) count: u64,
    /// Copy-on-write bytes of the last one.
    pub(crate) last_cow_bytes: u64,
}

impl Default for Rewrites {
    fn default() -> Self {
        Rewrites {
            scheduled: false,
            failures: Failures::default(),
            last_ok: true,
            last_seconds: -1,
            count: 0,
            last_cow_bytes: 0,
        }
    }
}

/// What the process has to tell of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Why the disk refuses what is written, if it does.
    pub error: Option<String>,
    /// What took long, for the latency monitor: event and milliseconds.
    pub slow: Vec<(&'static str, u64)>,
    /// What was written cannot be made durable any more but by a new base.
    pub needs_base: bool,
}

impl AppendOnly {
    /// Whether commands are appended.
    #[inline]
    #[must_use]
    pub fn collects(&self) -> bool {
        matches!(self.state, State::Starting | State::On)
    }

    /// Whether a log is kept, or is about to be.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state != State::Off
    }

    /// Whether the files on the disk are still those of an older log, or of none.
    pub(crate) fn waits_for_base(&self) -> bool {
        matches!(self.state, State::Waiting | State::Starting)
    }

    /// Position behind everything appended so far.
    #[inline]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.appended
    }

    /// Appends a command of this database, or MULTI or EXEC, which belong to none.
    pub(crate) fn append(&mut self, db: Option<u32>, command: &[u8]) {
        if !self.collects() {
            return;
        }
        let before = self.buffer.len();
        self.encoder
            .encoded(&mut self.buffer, db, command, self.now_s);
        self.appended += (self.buffer.len() - before) as u64;
    }

    /// Appends the line that says where in the history of replication the log ends.
    fn append_identity(&mut self, identity: &Identity) {
        let line = identity.line();
        self.buffer.extend_from_slice(&line);
        self.appended += line.len() as u64;
    }

    /// Bytes that the process has not been given yet.
    pub(crate) fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// What follows goes to another file.
    fn begin_file(&mut self) {
        self.encoder.begin_file();
    }

    /// Takes over `aof-timestamp-enabled`.
    pub(crate) fn set_stamps(&mut self, stamps: bool) {
        self.encoder.set_stamps(stamps);
    }
}

/// Gives the process what has been appended.
pub(crate) fn push(state: &mut ServerState) {
    if !state.aof.buffer.is_empty() {
        let offset = state.repl.offset();
        let aof = &mut state.aof;
        state.host.push_log(&mut aof.buffer, aof.appended, offset);
    }
}

/// The process ends, and the log with it: says where in the history of replication that is.
pub(crate) fn end(state: &mut ServerState) {
    if state.aof.state == State::On
        && let Some(identity) = crate::saving::identity(state)
    {
        state.aof.append_identity(&Identity {
            replid: identity.replid,
            offset: identity.offset,
            stream_db: identity.stream_db,
        });
    }
    push(state);
}

/// The stream offset up to which everything is on the disk; `None` without a log.
pub(crate) fn synced_offset(state: &ServerState) -> Option<u64> {
    match state.aof.state {
        State::Off => None,
        State::Waiting | State::Starting => Some(0),
        State::On => {
            let (synced, offset) = state.host.synced_log();
            if synced >= state.aof.appended {
                Some(state.repl.offset())
            } else {
                Some(offset)
            }
        }
    }
}

/// Position up to which everything is on the disk; 0 without a log.
pub(crate) fn synced(state: &ServerState) -> u64 {
    match state.aof.state {
        State::On => state.host.synced_log().0,
        _ => 0,
    }
}

/// Whether everything up to `position` is on the disk.
pub(crate) fn is_synced(state: &ServerState, position: u64) -> bool {
    state.aof.state == State::On && state.host.synced_log().0 >= position
}

impl Engine {
    /// Gives the process what has been appended, with [`crate::host::AppendLog::push_log`].
    pub fn push_log(&mut self) {
        push(&mut self.state);
    }

    /// What a client is told whose writes the disk has refused after they had been done.
    #[must_use]
    pub fn log_refusal(&mut self) -> Vec<u8> {
        let reason = self.state.aof.error.as_deref().unwrap_or("unknown");
        let error = commandtable::Error::append_only(reason);
        self.state.stats.count_error(error.code());
        [b"-", error.as_bytes(), b"\r\n"].concat()
    }

    /// The process tells of the log.
    pub fn hear_of_log(&mut self, news: News) {
        let now = crate::accounting::unix_seconds(&self.state);
        for (event, ms) in news.slow {
            let ms = i64::try_from(ms).unwrap_or(i64::MAX);
            self.state.latency.add(event, now, ms);
        }
        if self.state.aof.is_enabled() {
            self.state.aof.error = news.error;
            self.state.aof.rewrites.scheduled |=
                news.needs_base && self.state.aof.state == State::On;
        }
        self.state.refresh_gate();
    }

    /// The base of a log that begins without data: a snapshot, or commands.
    #[must_use]
    pub fn empty_base(&self, commands: bool) -> Vec<u8> {
        crate::saving::empty_base(&self.keys, &self.state, commands)
    }

    /// More of the log is on the disk: somebody may have waited for that.
    pub fn log_synced(&mut self) {
        if self.state.blocking.waits_for_replicas() {
            self.set_time();
            self.settle();
        }
    }
}
