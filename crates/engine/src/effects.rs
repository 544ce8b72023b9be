//! What a command did besides its reply: things to propagate, events to publish, clients to wake, memory to free.
//!
//! Handlers add to it through [`crate::Keys`] and [`crate::Exec`]; the dispatcher settles it after each command. In the
//! usual case (no replica, no AOF, no subscriber, nobody watching or blocked) nothing is ever added.

use crate::client::ClientId;
use crate::notify::Event;
use keyspace::Value;

/// How the running command reaches replicas and the AOF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Propagate {
    /// As it came, if it changed anything.
    #[default]
    Auto,
    /// As it came, whether or not it changed anything.
    Always,
    /// Only as the handler said with [`crate::Exec::propagate_as`]; perhaps not at all.
    Instead,
}

/// One command for the stream: the database it runs in and where its bytes end in [`Effects::bytes`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) db: u32,
    pub(crate) end: u32,
}

/// A key in a database.
pub(crate) type DbKey = (usize, Box<[u8]>);

/// Everything pending after a command.
#[derive(Default, Debug)]
pub(crate) struct Effects {
    /// Something below is not empty: the dispatcher has to settle.
    pub(crate) pending: bool,
    /// Somebody listens to the stream: a backlog or an AOF.
    pub(crate) recording: bool,
    pub(crate) mode: Propagate,
    /// Commands for the stream, RESP-encoded back to back, with their boundaries.
    pub(crate) bytes: Vec<u8>,
    pub(crate) ops: Vec<Op>,
    /// Keyspace events to publish, in order.
    pub(crate) events: Vec<(Event, DbKey)>,
    /// Keys that may serve a blocked client.
    pub(crate) ready: Vec<DbKey>,
    /// What tracking clients have to hear of.
    pub(crate) stale: Vec<crate::tracking::Change>,
    /// Clients whose WATCH has been broken.
    pub(crate) broken_watches: Vec<ClientId>,
    /// Those of them that were running just then.
    pub(crate) broken_running: Vec<ClientId>,
    /// Keys found expired by a read, still to be deleted.
    pub(crate) expired: Vec<DbKey>,
    /// Keys that a client of a replica has given a time to live: no primary will delete them.
    pub(crate) own: Vec<DbKey>,
    /// Values worth freeing in another thread.
    pub(crate) garbage: Vec<Value>,
}

impl Effects {
    /// Adds a command for the stream.
    pub(crate) fn push_op(&mut self, db: usize, args: &[&[u8]]) {
        if !self.recording {
            return;
        }
        encode_command(&mut self.bytes, args);
        self.ops.push(Op {
            db: db as u32,
            end: self.bytes.len() as u32,
        });
        self.pending = true;
    }
}

/// Encodes a command as a RESP array of bulk strings, the form of the stream and of the AOF.
pub fn encode_command(into: &mut Vec<u8>, args: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    into.push(b'*');
    into.extend_from_slice(digits.format(args.len()).as_bytes());
    into.extend_from_slice(b"\r\n");
    for arg in args {
        into.push(b'$');
        into.extend_from_slice(digits.format(arg.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
}
