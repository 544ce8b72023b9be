//! The log of refused logins, newest first.

use std::collections::VecDeque;

/// Refusals of the same kind within this time share an entry.
const GROUPED_MS: i64 = 60_000;
/// Entries looked through for one of the same kind.
const LOOKED_AT: usize = 10;

/// Refusals of one kind.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number of the entry, growing.
    pub id: i64,
    /// How many there were.
    pub count: i64,
    /// `toplevel` or `multi`.
    pub context: &'static str,
    /// The command, as it was written.
    pub command: Vec<u8>,
    /// Who tried to log in.
    pub user: Vec<u8>,
    /// The last client, as CLIENT LIST shows it.
    pub client: String,
    /// Unix milliseconds of the first.
    pub first_ms: i64,
    /// Unix milliseconds of the last.
    pub last_ms: i64,
}

/// The log.
#[derive(Debug, Default)]
pub struct AclLog {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_id: i64,
}

impl AclLog {
    /// Adds a refusal, dropping the oldest entries beyond `max`. Its number and count are filled in.
    pub(crate) fn push(&mut self, mut fresh: Entry, max: usize) {
        let known = self.entries.iter_mut().take(LOOKED_AT).find(|entry| {
            entry.context == fresh.context
                && entry.command == fresh.command
                && entry.user == fresh.user
                && fresh.last_ms - entry.last_ms <= GROUPED_MS
        });
        if let Some(entry) = known {
            entry.count += 1;
            entry.client = fresh.client;
            entry.last_ms = fresh.last_ms;
        } else {
            fresh.id = self.next_id;
            self.next_id += 1;
            self.entries.push_front(fresh);
        }
        self.entries.truncate(max);
    }
}
