//! The active expire cycle: keys whose time has come go, though nobody asks for them.

use crate::keys::{Keys, is_past};

/// Entries looked at before the clock is read again.
const CHECK_EVERY: usize = 16;
/// A database with fewer expired keys among those looked at than this share, in percent, is left for the next turn.
const STALE_PERCENT: usize = 10;

/// Where the cycle stands between its slices: databases in turn, each by a cursor over its expiring keys.
#[derive(Clone, Debug, Default)]
pub struct Cycle {
    db: usize,
    cursors: Vec<u64>,
}

/// What a slice has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// Keys with a time to live that were looked at.
    pub looked: usize,
    /// Those that have gone.
    pub expired: usize,
    /// It ran out of time.
    pub timed_out: bool,
}

impl Cycle {
    /// One slice. `pause` is called after each few keys, when what has gone may be told; it says when the time is up.
    pub fn slice(&mut self, keys: &mut Keys, pause: &mut dyn FnMut(&mut Keys) -> bool) -> Slice {
        let databases = keys.dbs.len();
        self.cursors.resize(databases, 0);
        let mut slice = Slice::default();
        for _ in 0..databases {
            let db = self.db % databases;
            self.db = db + 1;
            if keys.dbs[db].expires_len() == 0 {
                continue;
            }
            loop {
                let (looked, expired, swept) = self.look(keys, db);
                slice.looked += looked;
                slice.expired += expired;
                if pause(keys) {
                    slice.timed_out = true;
                    return slice;
                }
                // Few of the keys looked at are due: the rest of this database can wait.
                if swept || expired * 100 <= looked * STALE_PERCENT {
                    break;
                }
            }
        }
        slice
    }

    /// Looks at some keys: how many, how many of them have gone, and whether the whole database has been seen.
    fn look(&mut self, keys: &mut Keys, db: usize) -> (usize, usize, bool) {
        let (mut looked, mut due) = (0, Vec::new());
        let now_ms = keys.origin.now_ms;
        let mut swept = false;
        while looked < CHECK_EVERY && !swept {
            self.cursors[db] = keys.dbs[db].scan_expires(self.cursors[db], &mut |entry| {
                looked += 1;
                if entry.expire_at_ms().is_some_and(|at| is_past(at, now_ms)) {
                    due.push(Box::<[u8]>::from(entry.key()));
                }
            });
            swept = self.cursors[db] == 0;
        }
        for key in &due {
            keys.delete_expired(db, key);
        }
        (looked, due.len(), swept)
    }
}
