//! Clients that wait: for a key, for replicas, for a time.
//!
//! A handler that finds nothing calls [`dataset::Call::wait_for_keys`] and returns. When a key it waits for changes, the
//! dispatcher runs the handler again with the same arguments; either it replies, and the client goes on, or it calls
//! `wait_for_keys` again and keeps its place in the queue.

use crate::client::ClientId;
use commandtable::Meta;
use dataset::keys::Place;
use dataset::{Crowd, OnTimeout, Wake};
use std::collections::BTreeSet;
use words::Words;

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
    /// The delivery of what MIGRATE has sent under this number.
    Migration(u64),
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
            WaitFor::Replicas { .. } | WaitFor::Migration(_) | WaitFor::Shutdown => 0,
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
