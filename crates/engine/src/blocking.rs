//! Clients that wait: for a key, for replicas, for a time.
//!
//! A handler that finds nothing calls [`crate::Exec::block_on_keys`] and returns. When a key it waits for changes, the
//! dispatcher runs the handler again with the same arguments; either it replies, and the client goes on, or it calls
//! `block_on_keys` again and keeps its place in the queue.

use crate::client::ClientId;
use crate::command::meta::Meta;
use crate::crowd::Crowd;
use crate::error::Error;
use crate::keys::Place;
use crate::longdouble::LongDouble;
use crate::words::Words;
use keyspace::Type;
use std::collections::BTreeSet;

/// What is replied when the time is up.
#[derive(Clone, Debug)]
pub enum OnTimeout {
    /// A null array.
    NullArray,
    /// A null.
    Null,
    /// Whatever WAIT and WAITAOF have counted by then.
    Acknowledged,
}

/// Which news of its keys a waiting client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A key is there, whatever it holds.
    Existing,
    /// A key holds a stream.
    Stream,
    /// Everything, even that a key is gone: what was waited for may be gone with it.
    Always,
}

impl Wake {
    /// Whether a key that now holds this, or nothing, is news.
    pub(crate) fn on(self, holds: Option<Type>) -> bool {
        match self {
            Wake::Existing => holds.is_some(),
            Wake::Stream => holds == Some(Type::Stream),
            Wake::Always => true,
        }
    }
}

/// What a client waits for.
#[derive(Clone, Debug)]
pub enum WaitFor {
    /// One of these keys; the handler decides whether its type will do.
    Keys(Words),
    /// This many replicas at this offset, and for WAITAOF the local and the remote files.
    Replicas {
        /// Stream offset to reach.
        offset: u64,
        /// Replicas wanted.
        replicas: u64,
        /// For WAITAOF: local syncs wanted.
        aof_local: Option<u64>,
    },
    /// The end of the process, or the news that it will not come.
    Shutdown,
}

/// A waiting client's state.
#[derive(Debug)]
pub struct Blocked {
    /// What it waits for.
    pub wait: WaitFor,
    /// What is news to it, if it waits for keys.
    pub wake: Wake,
    /// The database it waits in.
    pub db: usize,
    /// Unix milliseconds when it gives up; 0 for never.
    pub deadline_ms: i64,
    /// The reply at that time.
    pub on_timeout: OnTimeout,
    /// The command to run again.
    pub meta: &'static Meta,
    /// Its arguments.
    pub args: Words,
    /// Its place in the lines it waits in.
    pub(crate) place: Place,
    /// Nanoseconds the command has taken so far.
    pub nanos: u64,
}

impl Blocked {
    /// Memory of what it waits for and of its command, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let keys = match &self.wait {
            WaitFor::Keys(keys) => keys.bytes(),
            WaitFor::Replicas { .. } | WaitFor::Shutdown => 0,
        };
        size_of::<Self>() + keys + self.args.bytes()
    }
}

/// Waiting clients, but for the lines at the keys, which are with the keys.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    /// (deadline, client), soonest first.
    pub(crate) deadlines: BTreeSet<(i64, ClientId)>,
    /// Clients waiting for replicas.
    pub(crate) waiting_replicas: Crowd<ClientId>,
    /// The acknowledgements that those have last been compared with.
    pub(crate) acks_seen: Vec<(u64, u64)>,
    /// Places given so far.
    pub(crate) places: Place,
    /// Number of blocked clients.
    pub(crate) count: usize,
}

/// Parses a timeout given in seconds with fractions, as BLPOP takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_seconds(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    // Just below zero is zero when rounded up to milliseconds, and zero is never.
    let ms = LongDouble::parse(text)
        .ok_or(Error::TIMEOUT_NOT_A_FLOAT)?
        .thousandfold_ceil();
    deadline_after(ms, now_ms)
}

/// Parses a timeout given in milliseconds, as WAIT takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_ms(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    let ms = resp::parse_i64(text).ok_or(Error::TIMEOUT_NOT_AN_INTEGER)?;
    deadline_after(ms, now_ms)
}

fn deadline_after(ms: i64, now_ms: i64) -> Result<i64, Error> {
    if ms < 0 {
        return Err(Error::TIMEOUT_NEGATIVE);
    }
    if ms == 0 {
        return Ok(0);
    }
    now_ms.checked_add(ms).ok_or(Error::TIMEOUT_OUT_OF_RANGE)
}
