//! Loading: entries on their way into a database, so that the memory they go to is fetched meanwhile.

use super::{Db, alias};
use crate::entry::Entry;
use crate::hashing::hash;
use crate::{StrHow, Value};

/// Entries under way at a time: enough to hide a cache miss behind the making of the others.
const UNDER_WAY: usize = 16;

/// What happens to a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is an error.
    Refuse,
    /// The key takes the new value.
    Replace,
}

/// A short queue in front of one database. What is in it when it is dropped is lost: see [`Incoming::flush`].
#[derive(Debug)]
pub struct Incoming {
    queue: Vec<(u64, Entry)>,
    conflict: Conflict,
}

impl Incoming {
    /// An empty queue.
    #[must_use]
    pub fn new(conflict: Conflict) -> Self {
        Incoming {
            queue: Vec::with_capacity(UNDER_WAY),
            conflict,
        }
    }

    /// Adds a string, whose encoding is chosen as by SET: its entry is the only allocation.
    ///
    /// # Errors
    /// An entry that came before, or this one, if its key is there already and may not be replaced.
    #[inline]
    pub fn push_str(
        &mut self,
        db: &mut Db,
        key: &[u8],
        value: &[u8],
        expire_at_ms: Option<i64>,
        clock: u32,
    ) -> Result<(), Entry> {
        let entry = Entry::new_str(key, expire_at_ms, value, StrHow::Detect);
        self.push_entry(db, hash(key), entry, clock)
    }

    /// Adds any value.
    ///
    /// # Errors
    /// As [`Incoming::push_str`].
    pub fn push(
        &mut self,
        db: &mut Db,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<i64>,
        clock: u32,
    ) -> Result<(), Entry> {
        self.push_entry(db, hash(key), Entry::new(key, expire_at_ms, value), clock)
    }

    #[inline]
    fn push_entry(&mut self, db: &mut Db, h: u64, entry: Entry, clock: u32) -> Result<(), Entry> {
        entry.set_clock(clock);
        db.keys.prefetch(h);
        self.queue.push((h, entry));
        if self.queue.len() == UNDER_WAY {
            self.flush(db)?;
        }
        Ok(())
    }

    /// Lets everything arrive. To be called before another database is loaded, and at the end.
    ///
    /// # Errors
    /// An entry whose key is there already and may not be replaced.
    pub fn flush(&mut self, db: &mut Db) -> Result<(), Entry> {
        for (h, entry) in self.queue.drain(..) {
            if db.keys.find(h, entry.key()).is_some() {
                if self.conflict == Conflict::Refuse {
                    return Err(entry);
                }
                db.remove_hashed(h, entry.key());
            }
            db.about_to_change(entry.key());
            let expires = entry.expire_at_ms().is_some();
            let entry = db.keys.insert_new(h, entry);
            if expires {
                db.expires.insert_new(h, alias(&entry));
            }
        }
        Ok(())
    }
}
