//! Which key goes when there is too little room, and what follows from its going.

use crate::access::idle_seconds;
use crate::keys::Keys;
use crate::notify::Event;
use keyspace::{Entry, Rng};

/// What a key deserves to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has not been used for longest.
    Idle,
    /// It is used least often.
    Rare,
    /// Its time is up soonest.
    Soon,
    /// Nothing: any will do.
    Chance,
}

/// How a key to go is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// By what.
    pub reason: Reason,
    /// Only keys with a time to live may go.
    pub volatile: bool,
    /// Keys of each database that are compared.
    pub samples: usize,
}

/// A key that might go, and how much it deserves to: the higher the better.
#[derive(Debug)]
pub struct Candidate {
    db: usize,
    key: Box<[u8]>,
    score: u64,
}

impl Keys {
    /// The key that deserves most to go among some; `None` when there is none that may.
    pub fn eviction_candidate(&mut self, choice: Choice) -> Option<Candidate> {
        let samples = if choice.reason == Reason::Chance {
            1
        } else {
            choice.samples
        };
        let access = self.access;
        let mut best: Option<Candidate> = None;
        let mut noise = self.rng.next_u64();
        for db in 0..self.dbs.len() {
            let mut look = |entry: &Entry| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let score = match choice.reason {
                    Reason::Soon => u64::MAX - entry.expire_at_ms().unwrap_or(0).unsigned_abs(),
                    Reason::Chance => noise,
                    Reason::Rare => u64::from(255 - access.decayed(entry.clock())),
                    Reason::Idle => u64::from(idle_seconds(access, entry.clock())),
                };
                if best.as_ref().is_none_or(|best| score > best.score) {
                    best = Some(Candidate {
                        db,
                        key: entry.key().into(),
                        score,
                    });
                }
            };
            if choice.volatile {
                self.dbs[db].sample_expiring(&mut self.rng, samples, &mut look);
            } else {
                self.dbs[db].sample(&mut self.rng, samples, &mut look);
            }
        }
        best
    }

    /// Removes a key for want of memory, in the background if that is worth it and `lazy` allows it, and tells everybody.
    pub fn evict(&mut self, candidate: &Candidate, lazy: bool) {
        let Some(entry) = self.dbs[candidate.db].remove(&candidate.key) else {
            return;
        };
        self.free(entry.into_value(), lazy);
        self.stats.evicted += 1;
        let command: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
        self.effects
            .push_op(candidate.db, &[command, &candidate.key]);
        // News to every client, also to the one whose command needs the room.
        let author = std::mem::take(&mut self.origin.author);
        self.went_away(candidate.db, &candidate.key, Event::EVICTED);
        self.origin.author = author;
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Reason};
    use crate::access::AccessClock;
    use crate::keys::Keys;
    use keyspace::{StrHow, Ttl};

    /// Keys `a` to `c`, each used later and living shorter than the one before; `d` lives for ever.
    fn keys() -> Keys {
        let mut keys = Keys::new(1, 1);
        keys.access = AccessClock::Lru(1000);
        for (n, name) in [b"a", b"b", b"c"].into_iter().enumerate() {
            let ttl = Ttl::At(1_000_000 - n as i64);
            keys.dbs[0].set_str(name, b"v", ttl, StrHow::Detect);
            if let Some(entry) = keys.dbs[0].get(name) {
                entry.set_clock(100 + n as u32);
            }
        }
        keys.dbs[0].set_str(b"d", b"v", Ttl::Clear, StrHow::Detect);
        keys
    }

    #[test]
    fn the_key_that_deserves_it_goes() {
        for (reason, volatile, expected) in [
            (Reason::Idle, true, &b"a"[..]),
            (Reason::Idle, false, b"d"),
            (Reason::Soon, true, b"c"),
        ] {
            let mut keys = keys();
            let choice = Choice {
                reason,
                volatile,
                samples: 64,
            };
            let candidate = keys.eviction_candidate(choice).expect("there are keys");
            assert_eq!(&*candidate.key, expected, "{reason:?}");
            keys.evict(&candidate, true);
            assert!(!keys.dbs[0].contains(expected));
            assert_eq!(keys.stats.evicted, 1);
        }
    }

    #[test]
    fn a_database_without_volatile_keys_offers_none() {
        let mut keys = Keys::new(2, 1);
        keys.dbs[1].set_str(b"d", b"v", Ttl::Clear, StrHow::Detect);
        let choice = Choice {
            reason: Reason::Chance,
            volatile: true,
            samples: 5,
        };
        assert!(keys.eviction_candidate(choice).is_none());
    }
}
