//! Publish and subscribe: who listens to what, and how a message reaches them.

use crate::client::{ClientId, Clients};
use dataset::{Crowd, give_back};
use hashbrown::HashMap;
use resp::Reply;
use words::glob::{self, Case};

/// A message on its way to one client.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// From SUBSCRIBE.
    Channel {
        /// Where it was published.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
    /// From PSUBSCRIBE.
    Pattern {
        /// The pattern that matched.
        pattern: &'a [u8],
        /// Where it was published.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
    /// From SSUBSCRIBE.
    Shard {
        /// Where it was published.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
}

impl Message<'_> {
    /// Encodes the message.
    pub fn write(&self, out: &mut Reply) {
        match self {
            Message::Channel { channel, payload } => push(out, &[b"message", channel, payload]),
            Message::Pattern {
                pattern,
                channel,
                payload,
            } => push(out, &[b"pmessage", pattern, channel, payload]),
            Message::Shard { channel, payload } => push(out, &[b"smessage", channel, payload]),
        }
    }
}

fn push(out: &mut Reply, parts: &[&[u8]]) {
    out.push(parts.len());
    for part in parts {
        out.bulk(part);
    }
}

/// Which kind of channel a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Shard,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: HashMap<Box<[u8]>, Crowd<()>>,
    patterns: HashMap<Box<[u8]>, Crowd<()>>,
    shards: HashMap<Box<[u8]>, Crowd<()>>,
    /// Messages for clients that are running just now; delivered when their command is done.
    pub(crate) deferred: Vec<(ClientId, Deferred)>,
}

/// A message kept for later.
#[derive(Debug)]
pub(crate) struct Deferred {
    kind: Kind,
    pattern: Box<[u8]>,
    channel: Box<[u8]>,
    payload: Box<[u8]>,
}

impl Deferred {
    pub(crate) fn write(&self, out: &mut Reply) {
        let (channel, payload) = (&*self.channel, &*self.payload);
        match self.kind {
            Kind::Channel => Message::Channel { channel, payload }.write(out),
            Kind::Pattern => Message::Pattern {
                pattern: &self.pattern,
                channel,
                payload,
            }
            .write(out),
            Kind::Shard => Message::Shard { channel, payload }.write(out),
        }
    }
}

impl PubSub {
    fn map(&mut self, kind: Kind) -> &mut HashMap<Box<[u8]>, Crowd<()>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// `client` listens to `name`; it did not before.
    pub fn subscribe(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        let listeners = self.map(kind).entry(name.into()).or_default();
        listeners.insert(client, ());
    }

    /// `client` no longer listens to `name`.
    pub fn unsubscribe(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        let map = self.map(kind);
        if let Some(clients) = map.get_mut(name) {
            clients.remove(client);
            if clients.is_empty() {
                map.remove(name);
                give_back(map);
            }
        }
    }

    /// True when nobody listens to anything: publishing costs nothing then.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Sends a message to everybody who listens; returns how many receive it.
    pub fn publish(&mut self, clients: &mut Clients, channel: &[u8], payload: &[u8]) -> usize {
        let mut receivers = 0;
        if let Some(ids) = self.channels.get(channel) {
            receivers += ids.len();
            for id in ids.numbers() {
                let message = Message::Channel { channel, payload };
                send(
                    clients,
                    &mut self.deferred,
                    id,
                    Kind::Channel,
                    b"",
                    &message,
                    channel,
                    payload,
                );
            }
        }
        for (pattern, ids) in self
            .patterns
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel, Case::Sensitive))
        {
            receivers += ids.len();
            for id in ids.numbers() {
                let message = Message::Pattern {
                    pattern,
                    channel,
                    payload,
                };
                send(
                    clients,
                    &mut self.deferred,
                    id,
                    Kind::Pattern,
                    pattern,
                    &message,
                    channel,
                    payload,
                );
            }
        }
        receivers
    }

    /// Sends a message to everybody who listens to a shard channel.
    pub fn publish_shard(
        &mut self,
        clients: &mut Clients,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let Some(ids) = self.shards.get(channel) else {
            return 0;
        };
        for id in ids.numbers() {
            let message = Message::Shard { channel, payload };
            send(
                clients,
                &mut self.deferred,
                id,
                Kind::Shard,
                b"",
                &message,
                channel,
                payload,
            );
        }
        ids.len()
    }

    /// Names somebody listens to, those that match `pattern`.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<&[u8]> {
        let map = match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        };
        map.keys()
            .map(|name| &**name)
            .filter(|name| pattern.is_none_or(|p| glob::matches(p, name, Case::Sensitive)))
            .collect()
    }

    /// How many listen to `name`.
    #[must_use]
    pub fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        let map = match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        };
        map.get(name).map_or(0, Crowd::len)
    }

    /// Number of distinct channels, patterns and shard channels.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.channels.len(), self.patterns.len(), self.shards.len())
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one message, described twice: borrowed to send, by parts to keep"
)]
fn send(
    clients: &mut Clients,
    deferred: &mut Vec<(ClientId, Deferred)>,
    id: ClientId,
    kind: Kind,
    pattern: &[u8],
    message: &Message<'_>,
    channel: &[u8],
    payload: &[u8],
) {
    match clients.get_mut(id) {
        Some(client) => {
            message.write(&mut client.out);
            client.attention.raise();
        }
        None => deferred.push((
            id,
            Deferred {
                kind,
                pattern: pattern.into(),
                channel: channel.into(),
                payload: payload.into(),
            },
        )),
    }
}
