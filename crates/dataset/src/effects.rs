//! What a command did besides its reply: things to propagate, events to publish, clients to wake, memory to free.
//!
//! Handlers add to it through [`crate::Keys`] and [`crate::Call`]; the engine settles it after each command. In the
//! usual case (no replica, no AOF, no subscriber, nobody watching or blocked) nothing is ever added.

use crate::notify::Event;
use crate::origin::PartyId;
use keyspace::Value;
use words::{Words, request};

/// How the running command reaches replicas and the AOF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Propagate {
    /// As it came, if it changed anything.
    #[default]
    Auto,
    /// As it came, whether or not it changed anything.
    Always,
    /// As it came, whether or not it changed anything; but not to the AOF, which is about data.
    Stream,
    /// Only as the handler said with [`crate::Call::propagate_as`]; perhaps not at all.
    Instead,
}

/// A piece of what is recorded is closed when it has so many bytes: pieces are freed one by one as they are handed on, and
/// none is copied to make room for more.
const PIECE_BYTES: usize = 1024 * 1024;

/// A change that those who cache keys have to hear of.
#[derive(Debug, Default)]
pub struct Change {
    /// The key; `None` for all of them.
    pub stale: Option<Box<[u8]>>,
    /// Whose command ran; 0 if nobody's.
    pub author: PartyId,
    /// The key went by itself.
    pub by_itself: bool,
}

/// Something that clients are to hear of once the command or transaction at hand has ended.
#[derive(Debug)]
pub enum News {
    /// A keyspace event, for those who listen to its channels.
    Event(Event, DbKey),
    /// A change, for those who cache keys.
    Stale(Change),
    /// The WATCH of this client is broken.
    WatchBroken(PartyId),
    /// What a client publishes: the channel and the message.
    Message {
        /// To a shard channel.
        shard: bool,
        /// Channel and message.
        words: Words,
    },
    /// A command as MONITOR shows it.
    Shown(Vec<u8>),
}

/// Where a recorded command goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// To replicas and the AOF.
    #[default]
    Everybody,
    /// To replicas alone: it changes no data, or a script wants it so.
    Replicas,
    /// To the AOF alone, as a script wants it.
    Log,
}

impl Audience {
    /// Whether replicas are among it.
    #[must_use]
    pub fn has_replicas(self) -> bool {
        self != Self::Log
    }

    /// Whether the AOF is.
    #[must_use]
    pub fn has_log(self) -> bool {
        self != Self::Replicas
    }

    /// Those of `self` that are in `other` as well; `None` if there are none.
    fn within(self, other: Self) -> Option<Self> {
        match (self, other) {
            (audience, Self::Everybody) | (Self::Everybody, audience) => Some(audience),
            (audience, other) => (audience == other).then_some(audience),
        }
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Everybody }
    }
}

/// A recorded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedCommand<'a> {
    /// The database it runs in.
    pub db: u32,
    /// Its bytes, as a request.
    pub bytes: &'a [u8],
    /// Where it goes.
    pub audience: Audience,
}

/// One command for the stream: the database it runs in and where its bytes end in [`Recorded::bytes`].
#[derive(Clone, Copy, Debug)]
struct Op {
    db: u32,
    audience: Audience,
    end: usize,
}

/// Commands for the stream, RESP-encoded back to back, with their boundaries.
#[derive(Default, Debug)]
pub struct Recorded {
    bytes: Vec<u8>,
    ops: Vec<Op>,
}

impl Recorded {
    /// The commands in order.
    pub fn commands(&self) -> impl Iterator<Item = RecordedCommand<'_>> {
        let mut start = 0;
        self.ops.iter().map(move |op| {
            let bytes = &self.bytes[start..op.end];
            start = op.end;
            RecordedCommand {
                db: op.db,
                bytes,
                audience: op.audience,
            }
        })
    }

    /// Number of commands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True without commands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Forgets everything; keeps the allocations unless they are large.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > PIECE_BYTES || self.ops.capacity() > PIECE_BYTES / 16 {
            *self = Recorded::default();
        }
        self.bytes.clear();
        self.ops.clear();
    }
}

/// A key in a database.
pub type DbKey = (usize, Box<[u8]>);

/// Everything pending after a command.
#[derive(Default, Debug)]
pub struct Effects {
    /// Something below is not empty: the engine has to settle.
    pub pending: bool,
    /// Somebody listens to the stream: a backlog or an AOF.
    pub recording: bool,
    /// Who is to see what is recorded: all that a script lets it reach.
    pub reach: Audience,
    /// How the running command is to travel.
    pub mode: Propagate,
    /// Commands for the stream that come in front of `recorded`, if those of one transaction are very many bytes.
    pub recorded_before: Vec<Recorded>,
    /// Commands for the stream. Empty only when `recorded_before` is.
    pub recorded: Recorded,
    /// What clients are to hear of, in the order in which it happened.
    pub news: Vec<News>,
    /// Keys that may serve a blocked client.
    pub ready: Vec<DbKey>,
    /// Keys found expired by a read, still to be deleted.
    pub expired: Vec<DbKey>,
    /// Keys that a client of a replica has given a time to live: no primary will delete them.
    pub own: Vec<DbKey>,
    /// Values worth freeing in another thread.
    pub garbage: Vec<Value>,
}

impl Effects {
    /// Adds a command for replicas and the AOF.
    pub fn push_op(&mut self, db: usize, args: &[&[u8]]) {
        self.push_op_for(Audience::Everybody, db, args);
    }

    /// Adds a command for the stream.
    pub fn push_op_for(&mut self, audience: Audience, db: usize, args: &[&[u8]]) {
        let Some(audience) = audience.within(self.reach).filter(|_| self.recording) else {
            return;
        };
        if self.recorded.bytes.len() >= PIECE_BYTES {
            self.recorded_before
                .push(std::mem::take(&mut self.recorded));
        }
        let Recorded { bytes, ops } = &mut self.recorded;
        request::encode(bytes, args);
        ops.push(Op {
            db: db as u32,
            audience,
            end: bytes.len(),
        });
        self.pending = true;
    }

    /// Adds something that clients are to hear of.
    pub fn tell(&mut self, news: News) {
        self.news.push(news);
        self.pending = true;
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
        for (command, (sent_db, word)) in commands.iter().zip(sent) {
            let mut expected = Vec::new();
            words::request::encode(&mut expected, &[word]);
            assert_eq!(
                (command.db as usize, command.bytes),
                (sent_db, &expected[..])
            );
        }
        effects.recorded.clear();
        assert_eq!(effects.recorded.len(), 0);
        assert!(effects.recorded.bytes.capacity() <= PIECE_BYTES);
    }
}
