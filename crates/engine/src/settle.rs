//! What follows from a command, a transaction or a turn of the timer, in this order: the stream, what clients are to hear
//! of, what the hub of replication asks for, those who wait for a key; and again for what that has caused.
//!
//! Nobody is running meanwhile: the client whose requests are being served is among the others.

use crate::blocking;
use crate::commands::transactions;
use crate::core::Core;
use crate::engine::Engine;
use dataset::Keys;
use dataset::effects::News;

/// Rounds after one command; each is caused by the one before it.
const ROUNDS_MAX: usize = 10_000;
/// Room for news that is kept from one command to the next.
const NEWS_KEPT: usize = 1024;

/// Carries out everything that is pending.
pub(crate) fn settle(keys: &mut Keys, core: &mut Core) {
    for _ in 0..ROUNDS_MAX {
        if !keys.effects.expired.is_empty() {
            keys.delete_found_expired();
        }
        keys.effects.pending = false;
        feed_stream(keys, core);
        deliver_news(keys, core);
        if !keys.effects.garbage.is_empty() {
            let garbage = std::mem::take(&mut keys.effects.garbage);
            keys.stats.lazy_freed += garbage.len() as u64;
            core.host.free(garbage);
        }
        if !keys.effects.own.is_empty() {
            let own = std::mem::take(&mut keys.effects.own);
            if core.repl.is_replica() {
                core.expire.own.extend(own);
            }
        }
        crate::repl::pump(keys, core);
        for key in keys.take_ready() {
            blocking::serve(keys, core, &key);
        }
        if !is_due(keys, core) {
            break;
        }
    }
}

impl Engine {
    /// Carries out everything that is pending, after something that has come from outside.
    pub(crate) fn settle(&mut self) {
        settle(&mut self.keys, &mut self.core);
    }
}

/// Whether there is something to settle.
#[inline]
pub(crate) fn is_due(keys: &Keys, core: &Core) -> bool {
    keys.effects.pending || core.repl.is_asked
}

/// Tells clients what has happened, in order.
fn deliver_news(keys: &mut Keys, core: &mut Core) {
    crate::tracking::tell_pending(core);
    let mut all = std::mem::take(&mut keys.effects.news);
    for news in all.drain(..) {
        match news {
            News::Event(event, (db, key)) => publish_event(keys, core, event, db, &key),
            News::Stale(change) => crate::tracking::tell(core, change),
            News::WatchBroken(id) => {
                if let Some(client) = core.clients.get_mut(id) {
                    transactions::break_watches(keys, client);
                }
            }
            News::Message { shard, words } => {
                let mut words = words.iter();
                let channel = words.next().unwrap_or_default();
                let payload = words.next().unwrap_or_default();
                let clients = &mut core.clients;
                if shard {
                    core.pubsub.publish_shard(clients, channel, payload);
                } else {
                    core.pubsub.publish(clients, channel, payload);
                }
            }
            News::Shown(line) => {
                for id in &core.monitors {
                    core.clients.deliver(*id, |out| out.raw(&line));
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
pub(crate) fn feed_stream(keys: &mut Keys, core: &mut Core) {
    let recorded = &keys.effects.recorded;
    let transaction = recorded.len() > 1 || !keys.effects.recorded_before.is_empty();
    if transaction {
        // MULTI comes before the SELECT, which belongs to the first command.
        core.repl.feed(None, b"*1\r\n$5\r\nMULTI\r\n");
    }
    feed_each(keys, core);
    if transaction {
        core.repl.feed(None, b"*1\r\n$4\r\nEXEC\r\n");
    }
}

/// Hands the recorded commands to the stream, one by one.
pub(crate) fn feed_each(keys: &mut Keys, core: &mut Core) {
    let effects = &mut keys.effects;
    if effects.recorded.is_empty() {
        return;
    }
    for piece in std::mem::take(&mut effects.recorded_before) {
        for (db, command) in piece.commands() {
            core.repl.feed(Some(db), command);
        }
    }
    for (db, command) in effects.recorded.commands() {
        core.repl.feed(Some(db), command);
    }
    effects.recorded.clear();
}

fn publish_event(
    keys: &Keys,
    core: &mut Core,
    event: dataset::notify::Event,
    db: usize,
    key: &[u8],
) {
    use dataset::notify::Classes;
    let classes = keys.events_on();
    if core.pubsub.is_idle() {
        return;
    }
    if classes.contains(Classes::KEYSPACE) {
        let mut channel = format!("__keyspace@{db}__:").into_bytes();
        channel.extend_from_slice(key);
        core.pubsub
            .publish(&mut core.clients, &channel, event.name.as_bytes());
    }
    if classes.contains(Classes::KEYEVENT) {
        let channel = format!("__keyevent@{db}__:{}", event.name);
        core.pubsub
            .publish(&mut core.clients, channel.as_bytes(), key);
    }
}
