//! COPY of large values: made a slice at a time, while the client waits and others are served.
//!
//! The source is watched, as by WATCH. If it changes before the copy is complete, what has been made is thrown away, and
//! COPY, asked again, copies in one go what is there now. Changes of a stream's groups alone break no WATCH: they have the
//! groups, and these alone, copied anew.

use crate::effects::DbKey;
use crate::keys::{Keys, OWN_PARTIES};
use crate::origin::PartyId;
use keyspace::Value;
use keyspace::copying::{Copying, Plan};
use std::collections::VecDeque;

/// Set in the numbers under which sources are watched.
const PARTY: PartyId = OWN_PARTIES;

/// Copies under way, in the order in which they were asked for. The first one is being made.
#[derive(Debug, Default)]
pub struct Copies {
    /// Copies numbered so far.
    last_number: u64,
    line: VecDeque<Job>,
}

#[derive(Debug)]
struct Job {
    number: u64,
    client: PartyId,
    source: DbKey,
    plan: Plan,
    /// Room for it has been asked for.
    is_asked_for: bool,
    made: Option<Copying>,
    is_complete: bool,
}

impl Copies {
    /// Who waits for the copy that is being made.
    #[must_use]
    pub fn first(&self) -> Option<PartyId> {
        self.line.front().map(|job| job.client)
    }

    /// Whether the first copy can go on: nobody is preparing room for it.
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        self.line
            .front()
            .is_some_and(|job| job.made.is_some() || !job.is_asked_for)
    }

    /// What room the first copy needs, the first time this is asked; with its number.
    pub fn wanted(&mut self) -> Option<(u64, Plan)> {
        let job = self.line.front_mut()?;
        let wants = job.made.is_none() && !job.is_asked_for;
        job.is_asked_for = true;
        wants.then_some((job.number, job.plan))
    }

    /// Room has been prepared for a copy. It comes back if nobody wants it any more.
    #[must_use]
    pub fn prepared(&mut self, number: u64, room: Copying) -> Option<Copying> {
        match self.line.iter_mut().find(|job| job.number == number) {
            Some(job) => job.made.replace(room),
            None => Some(room),
        }
    }
}

impl Keys {
    /// Begins a copy of `key` for the client that asks, which has to wait for it. False if it is copied as quickly as that.
    pub(crate) fn begin_copy(&mut self, key: &[u8]) -> bool {
        let client = self.origin.author;
        self.forget_copy(client);
        let Some(plan) = self.peek(key).and_then(|entry| Plan::of(entry.value())) else {
            return false;
        };
        let source: DbKey = (self.origin.db, key.into());
        self.watch(source.0, key, PARTY | client);
        self.copies.last_number += 1;
        self.copies.line.push_back(Job {
            number: self.copies.last_number,
            client,
            source,
            plan,
            is_asked_for: false,
            made: None,
            is_complete: false,
        });
        true
    }

    /// Goes on with the first copy, as long as `has_time` says so. True when its client is to be asked again: the copy is
    /// complete, or cannot be completed.
    pub fn copy_some(&mut self, has_time: impl FnMut() -> bool) -> bool {
        let Some(job) = self.copies.line.front() else {
            return false;
        };
        if !self.is_watched_by(&job.source, PARTY | job.client) {
            return true;
        }
        let (db, key) = &job.source;
        let Some(source) = self
            .dbs
            .get(*db)
            .and_then(|db| db.get(key))
            .map(|entry| entry.value())
        else {
            return true;
        };
        let Some(job) = self.copies.line.front_mut() else {
            return false;
        };
        if let Some(made) = &mut job.made {
            job.is_complete = made.go_on(source, has_time);
        }
        job.is_complete
    }

    /// Groups of the stream at `key` may change now: copies of them that are under way take them over anew.
    #[inline]
    pub(crate) fn renew_copied_groups(&mut self, key: &[u8]) {
        if !self.copies.line.is_empty() {
            self.renew_groups_of(key);
        }
    }

    #[cold]
    fn renew_groups_of(&mut self, key: &[u8]) {
        let db = self.origin.db;
        let mut stale = Vec::new();
        for job in &mut self.copies.line {
            if job.source.0 == db && *job.source.1 == *key {
                job.is_complete = false;
                stale.extend(job.made.as_mut().and_then(Copying::renew_groups));
            }
        }
        for groups in stale {
            self.free(groups, true);
        }
    }

    /// Takes the copy that was made for the client that asks again, if the source is what it was.
    pub(crate) fn take_copy(&mut self) -> Option<Value> {
        let job = self.end_copy(self.origin.author)?;
        match job {
            (value, true) => Some(value),
            (value, false) => {
                self.free(value, true);
                None
            }
        }
    }

    /// The client does not wait any more.
    pub fn forget_copy(&mut self, client: PartyId) {
        if let Some((value, _)) = self.end_copy(client) {
            self.free(value, true);
        }
    }

    /// Ends a copy: what has been made, and whether it is good.
    fn end_copy(&mut self, client: PartyId) -> Option<(Value, bool)> {
        let line = &mut self.copies.line;
        let at = line.iter().position(|job| job.client == client)?;
        let job = line.remove(at)?;
        let is_good = job.is_complete && self.is_watched_by(&job.source, PARTY | client);
        self.unwatch(&job.source, PARTY | client);
        Some((job.made?.into_value(), is_good))
    }
}

#[cfg(test)]
mod tests {
    use engine::testing::Driver;

    const MANY: usize = 30_000;

    fn with_set() -> Driver {
        let mut driver = Driver::new();
        let members: Vec<Vec<u8>> = (0..MANY).map(|n| format!("m{n}").into_bytes()).collect();
        let words: Vec<&[u8]> = [&b"SADD"[..], b"s"]
            .into_iter()
            .chain(members.iter().map(Vec::as_slice))
            .collect();
        driver.send(0, &words);
        driver
    }

    fn run_all(driver: &mut Driver) {
        for _ in 0..10_000 {
            if driver.engine.keys.copies.first().is_none() {
                return;
            }
            driver.engine.meet_deadline();
        }
        panic!("the copy never ends");
    }

    #[test]
    fn a_large_copy_lets_others_be_served() {
        let mut driver = with_set();
        assert_eq!(driver.send(1, &[b"COPY", b"s", b"d"]), b"");
        assert_eq!(driver.send(0, &[b"EXISTS", b"s", b"d"]), b":1\r\n");
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":1\r\n");
        assert_eq!(driver.send(0, &[b"SCARD", b"d"]), b":30000\r\n");
        assert_eq!(
            driver.send(0, &[b"SDIFFSTORE", b"x", b"s", b"d"]),
            b":0\r\n"
        );
        assert_eq!(driver.engine.keys.watched_len(), 0);
    }

    #[test]
    fn a_source_that_changes_is_copied_as_it_is_then() {
        let mut driver = with_set();
        driver.send(1, &[b"COPY", b"s", b"d"]);
        driver.send(0, &[b"SREM", b"s", b"m7"]);
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":1\r\n");
        assert_eq!(driver.send(0, &[b"SCARD", b"d"]), b":29999\r\n");
        driver.send(1, &[b"COPY", b"s", b"e"]);
        driver.send(0, &[b"DEL", b"s"]);
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":0\r\n");
    }

    #[test]
    fn groups_that_change_are_copied_as_they_are_then() {
        let mut driver = Driver::new();
        for n in 1..=9000 {
            let id = format!("{n}-1");
            driver.send(0, &[b"XADD", b"s", id.as_bytes(), b"f", b"v"]);
        }
        driver.send(0, &[b"XGROUP", b"CREATE", b"s", b"g", b"0"]);
        let read: &[&[u8]] = &[b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"s", b">"];
        driver.send(0, read);
        let changes: [&[&[u8]]; 5] = [
            &[b"XACK", b"s", b"g", b"7-1"],
            &[b"XCLAIM", b"s", b"g", b"other", b"0", b"9-1"],
            &[b"XGROUP", b"CREATE", b"s", b"h", b"5-1"],
            &[b"XSETID", b"s", b"9900-1"],
            &[b"XGROUP", b"DELCONSUMER", b"s", b"g", b"c"],
        ];
        for change in changes {
            assert_eq!(driver.send(1, &[b"COPY", b"s", b"d", b"REPLACE"]), b"");
            let keys = &mut driver.engine.keys;
            let (number, plan) = keys.copies.wanted().expect("it has begun");
            assert!(keys.copies.prepared(number, plan.prepare()).is_none());
            // All entries and some of what is pending.
            let mut steps = 0..100;
            assert!(!keys.copy_some(|| steps.next().is_some()), "{change:?}");
            assert_ne!(driver.send(0, change).first(), Some(&b'-'), "{change:?}");
            run_all(&mut driver);
            assert_eq!(driver.pushed(1), b":1\r\n", "{change:?}");
            let [source, copy] = [b"s", b"d"].map(|key| driver.send(0, &[b"DUMP", key]));
            assert!(source == copy, "{change:?}");
        }
    }

    #[test]
    fn what_is_taken_is_not_copied_and_what_was_taken_meanwhile_stays() {
        let mut driver = with_set();
        driver.send(0, &[b"SET", b"d", b"old"]);
        assert_eq!(driver.send(1, &[b"COPY", b"s", b"d"]), b":0\r\n");
        driver.send(1, &[b"COPY", b"s", b"e"]);
        driver.send(0, &[b"SET", b"e", b"new"]);
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":0\r\n");
        driver.send(1, &[b"COPY", b"s", b"e", b"REPLACE"]);
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":1\r\n");
    }

    #[test]
    fn a_reload_between_slices_does_no_harm() {
        let mut driver = with_set();
        driver.send(1, &[b"COPY", b"s", b"d"]);
        driver.engine.meet_deadline();
        assert_eq!(driver.send(0, &[b"DEBUG", b"RELOAD"]), b"+OK\r\n");
        run_all(&mut driver);
        assert_eq!(driver.pushed(1), b":1\r\n");
        assert_eq!(driver.send(0, &[b"SCARD", b"d"]), b":30000\r\n");
        assert_eq!(driver.engine.keys.watched_len(), 0);
    }

    #[test]
    fn a_transaction_copies_at_once() {
        let mut driver = with_set();
        driver.send(0, &[b"MULTI"]);
        driver.send(0, &[b"COPY", b"s", b"d"]);
        assert_eq!(driver.send(0, &[b"EXEC"]), b"*1\r\n:1\r\n");
    }

    #[test]
    fn who_does_not_wait_any_more_gets_no_copy() {
        let mut driver = with_set();
        driver.send(1, &[b"COPY", b"s", b"d"]);
        assert_eq!(driver.send(0, &[b"CLIENT", b"UNBLOCK", b"2"]), b":1\r\n");
        run_all(&mut driver);
        assert_eq!(driver.send(0, &[b"EXISTS", b"d"]), b":0\r\n");
        assert_eq!(driver.engine.keys.watched_len(), 0);
    }
}
