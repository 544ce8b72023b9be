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

/// A piece of what is recorded is closed when it has so many bytes: pieces are freed one by one as they are handed on, and
/// none is copied to make room for more.
const PIECE_BYTES: usize = 1024 * 1024;

/// One command for the stream: the database it runs in and where its bytes end in [`Recorded::bytes`].
#[derive(Clone, Copy, Debug)]
struct Op {
    db: u32,
    end: usize,
}

/// Commands for the stream, RESP-encoded back to back, with their boundaries.
#[derive(Default, Debug)]
pub(crate) struct Recorded {
    bytes: Vec<u8>,
    ops: Vec<Op>,
}

impl Recorded {
    /// The commands in order, each with its database.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut start = 0;
        self.ops.iter().map(move |op| {
            let command = &self.bytes[start..op.end];
            start = op.end;
            (op.db, command)
        })
    }

    /// Number of commands.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Forgets everything; keeps the allocations unless they are large.
    pub(crate) fn clear(&mut self) {
        if self.bytes.capacity() > PIECE_BYTES || self.ops.capacity() > PIECE_BYTES / 16 {
            *self = Recorded::default();
        }
        self.bytes.clear();
        self.ops.clear();
    }
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
    /// Commands for the stream that come in front of `recorded`, if those of one transaction are very many bytes.
    pub(crate) recorded_before: Vec<Recorded>,
    /// Commands for the stream. Empty only when `recorded_before` is.
    pub(crate) recorded: Recorded,
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
    /// Values worth freeing in another thread.
    pub(crate) garbage: Vec<Value>,
}

impl Effects {
    /// Adds a command for the stream.
    pub(crate) fn push_op(&mut self, db: usize, args: &[&[u8]]) {
        if !self.recording {
            return;
        }
        if self.recorded.bytes.len() >= PIECE_BYTES {
            self.recorded_before
                .push(std::mem::take(&mut self.recorded));
        }
        let Recorded { bytes, ops } = &mut self.recorded;
        encode_command(bytes, args);
        ops.push(Op {
            db: db as u32,
            end: bytes.len(),
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

#[cfg(test)]
mod tests {
    use super::{Effects, PIECE_BYTES};

    #[test]
    fn what_is_recorded_comes_back_whatever_its_size() {
        let mut effects = Effects {
            recording: true,
            ..Effects::default()
        };
        let big = vec![b'x'; PIECE_BYTES];
        let sent: [(usize, &[u8]); 6] = [
            (0, b"a"),
            (1, &big),
            (1, b"b"),
            (2, &big),
            (2, &big),
            (0, b"c"),
        ];
        for (db, word) in sent {
            effects.push_op(db, &[word]);
        }
        assert_eq!(effects.recorded_before.len(), 3);
        let pieces = effects.recorded_before.iter().chain([&effects.recorded]);
        let commands: Vec<_> = pieces.flat_map(|piece| piece.commands()).collect();
        assert_eq!(commands.len(), sent.len());
        for ((db, command), (sent_db, word)) in commands.iter().zip(sent) {
            let mut expected = Vec::new();
            super::encode_command(&mut expected, &[word]);
            assert_eq!((*db as usize, *command), (sent_db, &expected[..]));
        }
        effects.recorded.clear();
        assert_eq!(effects.recorded.len(), 0);
        assert!(effects.recorded.bytes.capacity() <= PIECE_BYTES);
    }
}
