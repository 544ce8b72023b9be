//! Clients that wait: for a key, for replicas, for a time.
//!
//! A handler that finds nothing calls [`crate::Exec::block_on_keys`] and returns. When a key it waits for changes, the
//! dispatcher runs the handler again with the same arguments; either it replies, and the client goes on, or it calls
//! `block_on_keys` again and keeps its place in the queue.

use crate::client::ClientId;
use crate::command::meta::Meta;
use crate::effects::DbKey;
use crate::error::Error;
use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};

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

/// What a client waits for.
#[derive(Clone, Debug)]
pub enum WaitFor {
    /// One of these keys; the handler decides whether its type will do.
    Keys(Vec<Box<[u8]>>),
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
    /// The database it waits in.
    pub db: usize,
    /// Unix milliseconds when it gives up; 0 for never.
    pub deadline_ms: i64,
    /// The reply at that time.
    pub on_timeout: OnTimeout,
    /// The command to run again.
    pub meta: &'static Meta,
    /// Its arguments.
    pub args: Vec<Box<[u8]>>,
    /// Nanoseconds the command has taken so far.
    pub nanos: u64,
}

/// Queues of waiting clients.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    /// First come, first served, per key.
    pub(crate) queues: HashMap<DbKey, VecDeque<ClientId>>,
    /// (deadline, client), soonest first.
    pub(crate) deadlines: BTreeSet<(i64, ClientId)>,
    /// Clients waiting for replicas.
    pub(crate) waiting_replicas: Vec<ClientId>,
    /// Number of blocked clients.
    pub(crate) count: usize,
}

/// Parses a timeout given in seconds with fractions, as BLPOP takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_seconds(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    let seconds = crate::number::parse_f64(text).ok_or(Error::TIMEOUT_NOT_A_FLOAT)?;
    if seconds < 0.0 {
        return Err(Error::TIMEOUT_NEGATIVE);
    }
    if seconds == 0.0 {
        return Ok(0);
    }
    let ms = (seconds * 1000.0).ceil();
    if ms >= i64::MAX as f64 {
        return Err(Error::TIMEOUT_OUT_OF_RANGE);
    }
    now_ms
        .checked_add(ms as i64)
        .ok_or(Error::TIMEOUT_OUT_OF_RANGE)
}

/// Parses a timeout given in milliseconds, as WAIT takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_ms(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    let ms = resp::parse_i64(text).ok_or(Error::TIMEOUT_NOT_AN_INTEGER)?;
    if ms < 0 {
        return Err(Error::TIMEOUT_NEGATIVE);
    }
    if ms == 0 {
        return Ok(0);
    }
    now_ms.checked_add(ms).ok_or(Error::TIMEOUT_OUT_OF_RANGE)
}
