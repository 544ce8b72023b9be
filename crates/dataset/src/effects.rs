//! What a command did besides its reply: things to propagate, events to publish, clients to wake, memory to free.
//!
//! Handlers add to it through [`crate::Keys`] and [`crate::Exec`]; the dispatcher settles it after each command. In the
//! usual case (no replica, no AOF, no subscriber, nobody watching or blocked) nothing is ever added.

use crate::notify::Event;
use crate::origin::PartyId;
use keyspace::Value;
use words::request;

/// How the running command reaches replicas and the AOF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Propagate {
    /// As it came, if it changed anything.
    #[default]
    Auto,
    /// As it came, whether or not it changed anything.
    Always,
    /// Only as the handler said with [`crate::Call::propagate_as`]; perhaps not at all.
    Instead,
}

/// One command for the stream: the database it runs in and where its bytes end in [`Effects::bytes`].
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its database.
    pub db: u32,
    /// Where it ends in [`Effects::bytes`].
    pub end: u32,
}

/// A change that those who cache keys have to hear of.
#[derive(Debug)]
pub struct Change {
    /// The key; `None` for all of them.
    pub stale: Option<Box<[u8]>>,
    /// Whose command ran; 0 if nobody's.
    pub author: PartyId,
    /// The key went by itself.
    pub by_itself: bool,
}

/// A key in a database.
pub type DbKey = (usize, Box<[u8]>);

/// Everything pending after a command.
#[derive(Default, Debug)]
pub struct Effects {
    /// Something below is not empty: the dispatcher has to settle.
    pub pending: bool,
    /// Somebody listens to the stream: a backlog or an AOF.
    pub recording: bool,
    /// How the running command is to travel.
    pub mode: Propagate,
    /// Commands for the stream, RESP-encoded back to back, with their boundaries.
    pub bytes: Vec<u8>,
    /// See `bytes`.
    pub ops: Vec<Op>,
    /// Keyspace events to publish, in order.
    pub events: Vec<(Event, DbKey)>,
    /// Keys that may serve a blocked client.
    pub ready: Vec<DbKey>,
    /// What tracking clients have to hear of.
    pub stale: Vec<Change>,
    /// Clients whose WATCH has been broken.
    pub broken_watches: Vec<PartyId>,
    /// Those of them that were running just then.
    pub broken_running: Vec<PartyId>,
    /// Keys found expired by a read, still to be deleted.
    pub expired: Vec<DbKey>,
    /// Keys that a client of a replica has given a time to live: no primary will delete them.
    pub own: Vec<DbKey>,
    /// Values worth freeing in another thread.
    pub garbage: Vec<Value>,
}

impl Effects {
    /// Adds a command for the stream.
    pub fn push_op(&mut self, db: usize, args: &[&[u8]]) {
        if !self.recording {
            return;
        }
        request::encode(&mut self.bytes, args);
        self.ops.push(Op {
            db: db as u32,
            end: self.bytes.len() as u32,
        });
        self.pending = true;
    }
}
