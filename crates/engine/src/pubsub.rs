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

    /// How many would receive a message.
    #[must_use]
    pub fn receivers(&self, channel: &[u8]) -> usize {
        let patterns = self.patterns_of(channel).map(|(_, ids)| ids.len());
        self.listeners(Kind::Channel, channel) + patterns.sum::<usize>()
    }

    /// Sends a message to everybody who listens.
    pub fn publish(&self, clients: &mut Clients, channel: &[u8], payload: &[u8]) {
        if let Some(ids) = self.channels.get(channel) {
            send(clients, ids, &Message::Channel { channel, payload });
        }
        for (pattern, ids) in self.patterns_of(channel) {
            let message = Message::Pattern {
                pattern,
                channel,
                payload,
            };
            send(clients, ids, &message);
        }
    }

    /// Sends a message to everybody who listens to a shard channel.
    pub fn publish_shard(&self, clients: &mut Clients, channel: &[u8], payload: &[u8]) {
        if let Some(ids) = self.shards.get(channel) {
            send(clients, ids, &Message::Shard { channel, payload });
        }
    }

    /// The patterns that match a channel, with who listens to them.
    fn patterns_of(&self, channel: &[u8]) -> impl Iterator<Item = (&[u8], &Crowd<()>)> {
        self.patterns
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel, Case::Sensitive))
            .map(|(pattern, ids)| (&**pattern, ids))
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

fn send(clients: &mut Clients, to: &Crowd<()>, message: &Message<'_>) {
    for id in to.numbers() {
        clients.deliver(id, |out| message.write(out));
    }
}
