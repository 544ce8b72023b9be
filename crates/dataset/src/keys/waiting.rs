//! Keys that clients wait for: who waits in which order, and which keys may have news for them.

use super::{DbKeyRef, HOOK_BLOCKED, Keys};
use crate::crowd::Crowd;
use crate::effects::DbKey;
use crate::origin::PartyId;
use crate::room::give_back;

/// A place in the line of those who wait: who came first has the smaller one.
pub type Place = u64;

/// Who waits for a key.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// First come, first served.
    clients: Crowd<PartyId>,
    /// How many of them want to know that the key is gone.
    until_gone: usize,
    /// The key is among those that are to be looked at.
    is_ready: bool,
}

impl Keys {
    /// A client waits for the key, and wants to know that it is gone if `until_gone`.
    pub fn wait_in_line(
        &mut self,
        db: usize,
        key: &[u8],
        place: Place,
        client: PartyId,
        until_gone: bool,
    ) {
        let line = match self.waiting.get_mut(&(db, key) as &dyn DbKeyRef) {
            Some(line) => line,
            None => self.waiting.entry((db, key.into())).or_default(),
        };
        line.clients.insert(place, client);
        if until_gone {
            line.until_gone += 1;
            self.waiting_until_gone += usize::from(line.until_gone == 1);
        }
        self.arm(HOOK_BLOCKED, true);
    }

    /// A client no longer waits for the key. The arguments are those it came with.
    pub fn leave_line(&mut self, db: usize, key: &[u8], place: Place, until_gone: bool) {
        let name = &(db, key) as &dyn DbKeyRef;
        if let Some(line) = self.waiting.get_mut(name) {
            line.clients.remove(place);
            if until_gone {
                line.until_gone -= 1;
                self.waiting_until_gone -= usize::from(line.until_gone == 0);
            }
            if line.clients.is_empty() {
                self.waiting.remove(name);
                give_back(&mut self.waiting);
            }
        }
        self.arm(HOOK_BLOCKED, !self.waiting.is_empty());
    }

    /// The first who waits for the key from `place` on.
    pub fn next_in_line(&self, key: &DbKey, place: Place) -> Option<(Place, PartyId)> {
        self.waiting.get(key)?.clients.first_from(place)
    }

    /// The last who waits for the key.
    pub fn last_in_line(&self, key: &DbKey) -> Option<Place> {
        Some(self.waiting.get(key)?.clients.last()?.0)
    }

    /// True when somebody wants to know that the key is gone.
    pub fn is_waited_for_until_gone(&self, key: &DbKey) -> bool {
        self.waiting
            .get(key)
            .is_some_and(|line| line.until_gone > 0)
    }

    /// Number of keys somebody waits for.
    #[must_use]
    pub fn blocked_keys_len(&self) -> usize {
        self.waiting.len()
    }

    /// Number of keys of which somebody wants to know that they are gone.
    #[must_use]
    pub fn blocked_keys_until_gone_len(&self) -> usize {
        self.waiting_until_gone
    }

    /// Has the clients blocked on the key looked at once the command is done.
    pub fn signal_ready(&mut self, db: usize, key: &[u8]) {
        if self.hooks & HOOK_BLOCKED != 0
            && let Some(line) = self.waiting.get_mut(&(db, key) as &dyn DbKeyRef)
            && !line.is_ready
        {
            line.is_ready = true;
            self.effects.ready.push((db, key.into()));
            self.effects.pending = true;
        }
    }

    /// Has every blocked key of `db` looked at, be it there or gone (FLUSHDB, SWAPDB, a new dataset).
    pub fn signal_all_ready(&mut self, db: usize) {
        for (key, line) in &mut self.waiting {
            if key.0 == db && !line.is_ready {
                line.is_ready = true;
                self.effects.ready.push(key.clone());
                self.effects.pending = true;
            }
        }
    }

    /// The keys that are to be looked at. A key whose clients have all left meanwhile may be among them.
    pub fn take_ready(&mut self) -> Vec<DbKey> {
        let ready = std::mem::take(&mut self.effects.ready);
        for key in &ready {
            if let Some(line) = self.waiting.get_mut(key) {
                line.is_ready = false;
            }
        }
        ready
    }
}
