//! What follows from a command, a transaction or a turn of the timer, in this order: the stream, what clients are to hear
//! of, what the hub of replication asks for, those who wait for a key; and again for what that has caused.
//!
//! A script that has been killed ends first. Nobody is running meanwhile: the client whose requests are being served is among the others.

use crate::blocking;
use crate::commands::transactions;
use crate::engine::Engine;
use crate::state::ServerState;
use dataset::Keys;
use dataset::effects::{Audience, Effects, News, Recorded};

/// Rounds after one command; each is caused by the one before it.
const ROUNDS_MAX: usize = 10_000;
/// Room for news that is kept from one command to the next.
const NEWS_KEPT: usize = 1024;

/// Carries out everything that is pending.
pub(crate) fn settle(keys: &mut Keys, state: &mut ServerState) {
    crate::scripting::busy::end_killed(keys, state);
    for _ in 0..ROUNDS_MAX {
        if !keys.effects.expired.is_empty() {
            keys.delete_found_expired();
        }
        keys.effects.pending = false;
        feed_stream(keys, state);
        deliver_news(keys, state);
        if !keys.effects.garbage.is_empty() {
            let garbage = std::mem::take(&mut keys.effects.garbage);
            keys.stats.lazy_freed += garbage.len() as u64;
            state.host.free(garbage);
        }
        if !keys.effects.own.is_empty() {
            let own = std::mem::take(&mut keys.effects.own);
            if state.repl.is_replica() {
                state.expire.own.extend(own);
            }
        }
        crate::repl::pump(keys, state);
        for key in keys.take_ready() {
            blocking::serve(keys, state, &key);
        }
        if !is_due(keys, state) {
            break;
        }
    }
}

impl Engine {
    /// Carries out everything that is pending, after something that has come from outside.
    pub(crate) fn settle(&mut self) {
        settle(&mut self.keys, &mut self.state);
    }
}

/// Whether there is something to settle.
#[inline]
pub(crate) fn is_due(keys: &Keys, state: &ServerState) -> bool {
    keys.effects.pending || state.repl.is_asked
}

/// Tells clients what has happened, in order.
fn deliver_news(keys: &mut Keys, state: &mut ServerState) {
    crate::tracking::tell_pending(state);
    let mut all = std::mem::take(&mut keys.effects.news);
    for news in all.drain(..) {
        match news {
            News::Event(event, (db, key)) => publish_event(keys, state, event, db, &key),
            News::Stale(change) => crate::tracking::tell(state, change),
            News::WatchBroken(id) => {
                if let Some(client) = state.clients.get_mut(id) {
                    transactions::break_watches(keys, client);
                }
            }
            News::Message { shard, words } => {
                let mut words = words.iter();
                let channel = words.next().unwrap_or_default();
                let payload = words.next().unwrap_or_default();
                let clients = &mut state.clients;
                if shard {
                    state.pubsub.publish_shard(clients, channel, payload);
                } else {
                    state.pubsub.publish(clients, channel, payload);
                }
            }
            News::Shown(line) => {
                for id in &state.monitors {
                    state.clients.deliver(*id, |out| out.raw(&line));
                }
            }
        }
    }
    // Nothing of this causes more news: the room is for the next command's.
    if all.capacity() <= NEWS_KEPT {
        keys.effects.news = all;
    }
}

/// Hands the recorded commands to the stream: several of them as one transaction.
pub(crate) fn feed_stream(keys: &mut Keys, state: &mut ServerState) {
    let recorded = &keys.effects.recorded;
    let transaction = recorded.len() > 1 || !keys.effects.recorded_before.is_empty();
    if !transaction {
        return feed_each(keys, state);
    }
    let audience = audience_of(&keys.effects);
    // MULTI comes before the SELECT, which belongs to the first command.
    state.feed(audience, None, b"*1\r\n$5\r\nMULTI\r\n");
    feed_each(keys, state);
    state.feed(audience, None, b"*1\r\n$4\r\nEXEC\r\n");
}

/// Who is to see that the recorded commands are a transaction: everybody who sees one of them.
fn audience_of(effects: &Effects) -> Audience {
    let pieces = effects.recorded_before.iter().chain([&effects.recorded]);
    let audiences = pieces
        .flat_map(Recorded::commands)
        .map(|command| command.audience);
    audiences.reduce(Audience::and).unwrap_or_default()
}

/// Hands the recorded commands to the stream, one by one.
pub(crate) fn feed_each(keys: &mut Keys, state: &mut ServerState) {
    let effects = &mut keys.effects;
    if effects.recorded.is_empty() {
        return;
    }
    for piece in std::mem::take(&mut effects.recorded_before) {
        for command in piece.commands() {
            state.feed(command.audience, Some(command.db), command.bytes);
        }
    }
    for command in effects.recorded.commands() {
        state.feed(command.audience, Some(command.db), command.bytes);
    }
    effects.recorded.clear();
}

fn publish_event(
    keys: &Keys,
    state: &mut ServerState,
    event: dataset::notify::Event,
    db: usize,
    key: &[u8],
) {
    use dataset::notify::Classes;
    let classes = keys.events_on();
    if state.pubsub.is_idle() {
        return;
    }
    if classes.contains(Classes::KEYSPACE) {
        let mut channel = format!("__keyspace@{db}__:").into_bytes();
        channel.extend_from_slice(key);
        state
            .pubsub
            .publish(&mut state.clients, &channel, event.name.as_bytes());
    }
    if classes.contains(Classes::KEYEVENT) {
        let channel = format!("__keyevent@{db}__:{}", event.name);
        state
            .pubsub
            .publish(&mut state.clients, channel.as_bytes(), key);
    }
}
