//! Keys that clients WATCH, and what breaks a watch.
//!
//! A key that has expired is no key, whether or not it has been deleted yet. So a watch remembers that its key had expired:
//! deleting such a key changes nothing, and leaving it in place neither.

use super::{DbKeyRef, HOOK_TRACKING, HOOK_WATCH, Keys, is_past};
use crate::crowd::Crowd;
use crate::effects::{DbKey, News};
use crate::origin::PartyId;
use crate::room::give_back;
use keyspace::Db;

/// Parties from here on are no clients, but work of the server's own that watches keys.
pub const OWN_PARTIES: PartyId = 1 << 62;

impl Keys {
    /// `client` wants to know when the key changes.
    pub fn watch(&mut self, db: usize, key: &[u8], client: PartyId) {
        let expired = has_expired(&self.dbs[db], key, self.origin.now_ms);
        match self.watched.get_mut(&(db, key) as &dyn DbKeyRef) {
            Some(watches) => {
                watches.insert(client, expired);
            }
            None => {
                let watch = Crowd::of(client, expired);
                self.watched.insert((db, key.into()), watch);
            }
        }
        self.arm(HOOK_WATCH, true);
    }

    /// `client` no longer watches the key.
    pub fn unwatch(&mut self, key: &DbKey, client: PartyId) {
        if let Some(watches) = self.watched.get_mut(key) {
            watches.remove(client);
            if watches.is_empty() {
                self.watched.remove(key);
                give_back(&mut self.watched);
            }
        }
        self.arm(HOOK_WATCH, !self.watched.is_empty());
    }

    /// True while nothing has happened to the key since `client` began to watch it, but that its time may have come.
    #[must_use]
    pub fn is_watched_by(&self, key: &DbKey, client: PartyId) -> bool {
        let watches = self.watched.get(key);
        watches.is_some_and(|watches| watches.get(client).is_some())
    }

    /// True when the key `client` watches has expired since.
    pub fn watched_key_expired(&self, key: &DbKey, client: PartyId) -> bool {
        let watches = self.watched.get(key);
        let expired_before = watches
            .and_then(|watches| watches.get(client))
            .unwrap_or_default();
        !expired_before && has_expired(&self.dbs[key.0], &key.1, self.origin.now_ms)
    }

    /// Number of keys somebody watches.
    #[must_use]
    pub fn watched_len(&self) -> usize {
        self.watched.len()
    }

    /// Breaks the WATCH of everybody who watches the key, which has been changed or deleted, and has those told who track it.
    pub fn touch_watchers(&mut self, db: usize, key: &[u8]) {
        if self.hooks & HOOK_TRACKING != 0 {
            self.note_stale(Some(key.into()));
        }
        if self.hooks & HOOK_WATCH == 0 {
            return;
        }
        let name = &(db, key) as &dyn DbKeyRef;
        let Some(watches) = self.watched.get_mut(name) else {
            return;
        };
        let is_there = self.dbs[db].contains(key);
        let effects = &mut self.effects;
        // A watch that is broken has ended: a transaction may change the key thousands of times.
        watches.retain(|client, expired| {
            if *expired && !is_there {
                *expired = false;
                return true;
            }
            effects.tell(News::WatchBroken(client));
            false
        });
        if watches.is_empty() {
            self.watched.remove(name);
            give_back(&mut self.watched);
        }
    }

    /// Breaks every WATCH, whatever has become of the keys.
    pub fn break_all_watches(&mut self) {
        for (_, watches) in self.watched.drain() {
            for client in watches.numbers() {
                self.effects.tell(News::WatchBroken(client));
            }
        }
    }

    /// The values are others now, although the keys may be the same (DEBUG RELOAD): what the server itself watches has changed.
    pub fn break_own_watches(&mut self) {
        self.watched.retain(|_, watches| {
            watches.retain(|party, _| party < OWN_PARTIES);
            !watches.is_empty()
        });
    }

    /// Breaks every WATCH on keys of `db` that exist now or would exist in `replacement` (FLUSHDB, SWAPDB, a new dataset).
    pub fn touch_all_watchers(&mut self, db: usize, replacement: Option<&Db>) {
        let now_ms = self.origin.now_ms;
        let (dbs, effects) = (&self.dbs, &mut self.effects);
        self.watched.retain(|(watched_db, key), watches| {
            if *watched_db != db {
                return true;
            }
            let is_there = dbs[db].contains(key);
            let comes = replacement.is_some_and(|other| other.contains(key));
            let comes_expired = replacement.is_some_and(|other| has_expired(other, key, now_ms));
            watches.retain(|client, expired| {
                let before = is_there && !*expired;
                let after = comes && !comes_expired;
                *expired = comes_expired;
                let broken = before || after;
                if broken {
                    effects.tell(News::WatchBroken(client));
                }
                !broken
            });
            !watches.is_empty()
        });
    }
}

fn has_expired(db: &Db, key: &[u8], now_ms: i64) -> bool {
    db.get(key)
        .and_then(|entry| entry.expire_at_ms())
        .is_some_and(|at| is_past(at, now_ms))
}
