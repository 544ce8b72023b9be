//! The databases as handlers see them: lookups that respect expiry, and the one change hook.
//!
//! Every change of a key goes through [`Keys::changed`]: dirty counting, keyspace events, WATCH and blocked clients hang
//! on it. Reads of an expired key answer "missing"; on a primary the key is then deleted and the deletion propagated.

use crate::access::{AccessClock, touch};
use crate::ahead::Ahead;
use crate::crowd::Crowd;
use crate::effects::{Change, DbKey, Effects, News};
use crate::notify::{Classes, Event};
use crate::origin::{Expiry, Origin};
use crate::rng::Random;
use crate::settings::{LazyFree, Settings};
use commandtable::Error;
use hashbrown::HashMap;
use keyspace::{
    Db, Entry, EntryMut, EntryRef, Limits, Overwritten, StrHow, Ttl, Type, Value, ValueRef,
};

mod typed;
mod waiting;
mod watch;

use waiting::Line;
pub use waiting::Place;
pub use watch::OWN_PARTIES;

/// Counters about keys.
#[derive(Clone, Debug, Default)]
pub struct KeyStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys deleted because their time had come.
    pub expired: u64,
    /// Keys deleted for want of memory.
    pub evicted: u64,
    /// Values handed to the background to be freed.
    pub lazy_freed: u64,
}

/// Hooks that are armed, so that the usual change costs one test.
const HOOK_EVENTS: u8 = 1;
const HOOK_WATCH: u8 = 2;
const HOOK_BLOCKED: u8 = 4;
const HOOK_TRACKING: u8 = 8;

/// The databases, the selected one, the time, and what has to happen when a key changes.
#[derive(Debug)]
pub struct Keys {
    /// All databases.
    pub dbs: Vec<Db>,
    /// Where the running command comes from.
    pub origin: Origin,
    /// When compact encodings give way.
    pub limits: Limits,
    /// Changes since the start, counted as the reference counts them.
    pub dirty: u64,
    /// Counters.
    pub stats: KeyStats,
    /// The random source of handlers.
    pub rng: Random,
    /// `notify-keyspace-events`.
    events_on: Classes,
    hooks: u8,
    /// What parameters say about values.
    pub settings: Settings,
    /// The access clock as [`Self::touch`] writes it; set by the timer.
    pub access: AccessClock,
    /// Lazy freeing, by cause.
    pub lazy: LazyFree,
    /// What commands leave to be settled.
    pub effects: Effects,
    /// What is known of the requests that come next.
    pub ahead: Ahead,
    /// COPY of large values, under way.
    pub copies: crate::copies::Copies,
    /// Who watches a key. True of whoever began when the key was there, but had expired.
    watched: HashMap<DbKey, Crowd<bool>>,
    /// Who is blocked on a key.
    waiting: HashMap<DbKey, Line>,
    /// Number of keys in `waiting` of which somebody wants to know that they are gone.
    waiting_until_gone: usize,
}

impl Keys {
    /// Empty databases.
    #[must_use]
    pub fn new(databases: usize, seed: u64) -> Self {
        Keys {
            dbs: (0..databases).map(|_| Db::new()).collect(),
            origin: Origin::timer(Expiry::Delete, 0),
            limits: Limits::default(),
            dirty: 0,
            stats: KeyStats::default(),
            rng: Random::new(seed),
            events_on: Classes::default(),
            hooks: 0,
            settings: Settings::default(),
            access: AccessClock::Lru(0),
            lazy: LazyFree {
                user_del: true,
                server_del: true,
                expire: true,
            },
            effects: Effects::default(),
            ahead: Ahead::default(),
            copies: Default::default(),
            watched: HashMap::new(),
            waiting: HashMap::new(),
            waiting_until_gone: 0,
        }
    }

    /// Exchanges two databases, which are not the same one, and tells those who watch or wait (SWAPDB).
    pub fn swap(&mut self, first: usize, second: usize) {
        // Watchers look at both datasets, so each is taken out while the other one's place is looked at.
        let other = std::mem::take(&mut self.dbs[second]);
        self.touch_all_watchers(first, Some(&other));
        self.dbs[second] = other;
        let other = std::mem::take(&mut self.dbs[first]);
        self.touch_all_watchers(second, Some(&other));
        self.dbs[first] = std::mem::replace(&mut self.dbs[second], other);
        self.signal_all_ready(first);
        self.signal_all_ready(second);
    }

    /// Puts databases in the place of all there are, which are handed back. Nobody is told.
    pub fn replace_all(&mut self, databases: Vec<Db>) -> Vec<Db> {
        std::mem::replace(&mut self.dbs, databases)
    }

    /// The selected database.
    #[inline]
    #[must_use]
    pub fn current(&self) -> &Db {
        &self.dbs[self.origin.db]
    }

    /// The selected database, to be changed. Tell [`Self::changed`] about it.
    #[inline]
    pub fn current_mut(&mut self) -> &mut Db {
        &mut self.dbs[self.origin.db]
    }

    /// Refuses strings longer than `proto-max-bulk-len`.
    ///
    /// # Errors
    /// [`Error::STRING_TOO_LONG`].
    pub fn check_string_length(&self, length: u64) -> Result<(), Error> {
        if length > self.settings.string_bytes_max {
            return Err(Error::STRING_TOO_LONG);
        }
        Ok(())
    }

    // ---- lookups ----------------------------------------------------------------------------------------------------

    /// Looks a key up for a read: counts a hit or a miss, refreshes the access clock, hides an expired key.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.look_up(key, self.origin.touches())
    }

    /// As [`Self::read`], for commands that look at a key rather than use it (TYPE, TTL, EXISTS): the access clock stays.
    #[inline]
    pub fn inspect(&mut self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.look_up(key, false)
    }

    #[inline]
    fn look_up(&mut self, key: &[u8], refresh: bool) -> Option<EntryRef<'_>> {
        let Some(entry) = self.dbs[self.origin.db].get_hashed(self.ahead.hash(key), key) else {
            self.stats.misses += 1;
            if self.hooks & HOOK_EVENTS != 0 {
                push_event(
                    &mut self.effects,
                    self.events_on,
                    Event::KEY_MISS,
                    self.origin.db,
                    key,
                );
            }
            return None;
        };
        if let Some(at) = entry.expire_at_ms()
            && is_past(at, self.origin.now_ms)
            && self.origin.expiry != Expiry::Ignore
        {
            self.stats.misses += 1;
            if self.origin.expiry == Expiry::Delete {
                // Deleted when the command is settled: nothing may change under the reference we would return. The
                // miss is told then, behind the key's end.
                self.effects.expired.push((self.origin.db, key.into()));
                self.effects.pending = true;
            } else if self.hooks & HOOK_EVENTS != 0 {
                push_event(
                    &mut self.effects,
                    self.events_on,
                    Event::KEY_MISS,
                    self.origin.db,
                    key,
                );
            }
            return None;
        }
        self.stats.hits += 1;
        if refresh {
            touch(&entry, self.access, &mut self.rng);
        }
        Some(entry)
    }

    /// The command has looked up what it is about: that it does so again is no further use of its keys.
    #[inline]
    pub fn looked_up(&mut self) {
        self.origin.no_touch = true;
    }

    /// Looks a key up without leaving a trace: no counters, no access clock. Expired keys are missing.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.peek_in(self.origin.db, key)
    }

    /// As [`Self::peek`], in any database.
    #[must_use]
    pub fn peek_in(&self, db: usize, key: &[u8]) -> Option<EntryRef<'_>> {
        let entry = self.dbs.get(db)?.get(key)?;
        (!self.is_gone(&entry)).then_some(entry)
    }

    /// True when `entry` has expired as far as the running command is concerned.
    #[inline]
    #[must_use]
    pub fn is_gone(&self, entry: &Entry) -> bool {
        entry
            .expire_at_ms()
            .is_some_and(|at| is_past(at, self.origin.now_ms))
            && self.origin.expiry != Expiry::Ignore
    }

    /// Looks a key up to change it. An expired key is deleted first.
    #[inline]
    pub fn write(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        self.expire_now(self.origin.db, key);
        let entry = self.dbs[self.origin.db].get_mut_hashed(self.ahead.hash(key), key)?;
        if self.origin.touches() {
            touch(&entry.entry(), self.access, &mut self.rng);
        }
        Some(entry)
    }

    /// Deletes the key if it has expired, since it is about to be written: every lookup of a write goes through here, so
    /// that none finds what is gone, also on a replica.
    #[inline]
    pub fn expire_now(&mut self, db: usize, key: &[u8]) {
        // Databases without expiring keys pay nothing.
        if self.dbs[db].expires_len() > 0 && self.origin.expiry != Expiry::Ignore {
            self.expire_now_slow(db, key);
        }
    }

    fn expire_now_slow(&mut self, db: usize, key: &[u8]) {
        let gone = self.dbs[db]
            .get(key)
            .is_some_and(|entry| self.is_gone(&entry));
        if gone {
            self.delete_expired(db, key);
        }
    }

    /// As [`Self::expire_now`], for those who only look or delete: where expired keys are kept it stays.
    pub fn expire_seen(&mut self, db: usize, key: &[u8]) {
        if self.origin.expiry == Expiry::Delete {
            self.expire_now(db, key);
        }
    }

    /// Removes the expired keys that lookups have come across, and tells of each as gone and missed. A command that looks
    /// up and then overwrites or deletes the same key has it done in between.
    pub fn delete_found_expired(&mut self) {
        for (db, key) in std::mem::take(&mut self.effects.expired) {
            self.expire_seen(db, &key);
            self.notify_in(db, Event::KEY_MISS, &key);
        }
    }

    /// Removes a key whose time has come, with everything that follows from it.
    pub fn delete_expired(&mut self, db: usize, key: &[u8]) {
        let Some(entry) = self.dbs[db].remove(key) else {
            return;
        };
        self.free(entry.into_value(), self.lazy.expire);
        self.tell_expired(db, key);
    }

    // ---- changes ----------------------------------------------------------------------------------------------------

    /// Makes `key` hold a string. The type that was there before goes.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: &[u8], ttl: Ttl, how: StrHow) {
        if ttl == Ttl::Keep {
            self.expire_now(self.origin.db, key);
        }
        if matches!(ttl, Ttl::At(_)) {
            self.gave_time(self.origin.db, key);
        }
        let hash = self.ahead.hash(key);
        let stamp = self.access.stamp();
        let db = &mut self.dbs[self.origin.db];
        let old = match self.ahead.counted(value) {
            Some(value) => db.set_raw(key, value, ttl, stamp),
            None => db.set_str_hashed(hash, key, value, ttl, how, stamp),
        };
        match old {
            None => {
                if self.hooks & HOOK_EVENTS != 0 {
                    push_event(
                        &mut self.effects,
                        self.events_on,
                        Event::NEW,
                        self.origin.db,
                        key,
                    );
                }
            }
            Some(old) => self.overwrote(self.origin.db, key, old),
        }
    }

    /// Makes `key` hold `value`, whatever was there before.
    pub fn put(&mut self, key: &[u8], value: Value, expire_at_ms: Option<i64>) {
        self.put_in(self.origin.db, key, value, expire_at_ms);
    }

    /// As [`Self::put`], where there is no such key, with the access clock that it is to have.
    pub fn put_new(&mut self, key: &[u8], value: Value, expire_at_ms: Option<i64>, clock: u32) {
        let db = self.origin.db;
        let entry = self.dbs[db].insert_new(key, value, expire_at_ms);
        entry.set_clock(clock);
        if expire_at_ms.is_some() {
            self.gave_time(db, key);
        }
        if self.hooks & HOOK_EVENTS != 0 {
            push_event(&mut self.effects, self.events_on, Event::NEW, db, key);
        }
    }

    /// As [`Self::put`], in any database.
    pub fn put_in(&mut self, db: usize, key: &[u8], value: Value, expire_at_ms: Option<i64>) {
        let old = self.dbs[db].insert(key, value, expire_at_ms);
        if (old.is_none() || matches!(self.access, AccessClock::Lru(_)))
            && let Some(entry) = self.dbs[db].get(key)
        {
            entry.set_clock(self.access.fresh());
        }
        if expire_at_ms.is_some() {
            self.gave_time(db, key);
        }
        match old {
            None => {
                if self.hooks & HOOK_EVENTS != 0 {
                    push_event(&mut self.effects, self.events_on, Event::NEW, db, key);
                }
            }
            Some(old) => self.overwrote(db, key, old),
        }
    }

    /// Sets or clears the time at which a key of the selected database expires; false if there is no such key.
    pub fn set_expire(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        if at_ms.is_some() {
            self.gave_time(self.origin.db, key);
        }
        self.current_mut().set_expire(key, at_ms)
    }

    /// The key will have a time to live. On a replica it is a client that says so.
    #[inline]
    fn gave_time(&mut self, db: usize, key: &[u8]) {
        if self.origin.expiry == Expiry::Hide {
            self.effects.own.push((db, key.into()));
            self.effects.pending = true;
        }
    }

    /// What follows from writing over `old`. If its time had come, the key is a new one.
    #[inline]
    fn overwrote(&mut self, db: usize, key: &[u8], old: Overwritten) {
        let expired = old
            .expire_at_ms
            .is_some_and(|at| is_past(at, self.origin.now_ms))
            && self.origin.expiry != Expiry::Ignore;
        if expired {
            self.tell_expired(db, key);
            self.notify_in(db, Event::NEW, key);
        }
        if matches!(self.access, AccessClock::Lfu { .. })
            && let Some(entry) = self.dbs[db].get(key)
        {
            if expired {
                entry.set_clock(self.access.fresh());
            } else if self.origin.touches() {
                touch(&entry, self.access, &mut self.rng);
            }
        }
        if let Some(heavy) = old.heavy {
            self.free(heavy, self.lazy.server_del);
        }
    }

    /// What follows from a key's time having come, besides its removal.
    #[cold]
    fn tell_expired(&mut self, db: usize, key: &[u8]) {
        self.stats.expired += 1;
        self.propagate_expired(db, key);
        self.went_away(db, key, Event::EXPIRED);
    }

    /// Tells the stream alone that a key's time has come.
    pub fn propagate_expired(&mut self, db: usize, key: &[u8]) {
        let command: &[u8] = if self.lazy.expire { b"UNLINK" } else { b"DEL" };
        self.effects.push_op(db, &[command, key]);
    }

    /// As [`Self::changed_in`], for a key that went by itself.
    pub fn went_away(&mut self, db: usize, key: &[u8], event: Event) {
        let before = self.effects.news.len();
        self.changed_in(db, key, event, 0);
        for news in &mut self.effects.news[before..] {
            if let News::Stale(change) = news {
                change.by_itself = true;
            }
        }
    }

    /// Removes a key, freeing its value in the background if that is worth it. Tells nobody: see [`Self::delete`].
    pub fn remove(&mut self, key: &[u8], lazy: bool) -> bool {
        match self.dbs[self.origin.db].remove(key) {
            None => false,
            Some(entry) => {
                self.free(entry.into_value(), lazy);
                true
            }
        }
    }

    /// Removes a key and tells everybody: `del`, one change.
    pub fn delete(&mut self, key: &[u8], lazy: bool) -> bool {
        let removed = self.remove(key, lazy);
        if removed {
            self.changed(key, Event::DEL, 1);
        }
        removed
    }

    /// Removes a container that has become empty, with its `del` event. The change itself is already counted.
    pub fn delete_if_empty(&mut self, key: &[u8]) -> bool {
        let empty = match self.current().get(key).map(|entry| entry.value()) {
            Some(ValueRef::List(list)) => list.is_empty(),
            Some(ValueRef::Set(set)) => set.is_empty(),
            Some(ValueRef::Hash(hash)) => hash.is_empty(),
            Some(ValueRef::ZSet(zset)) => zset.is_empty(),
            // Streams stay when they are empty.
            Some(ValueRef::Str(_) | ValueRef::Stream(_)) | None => false,
        };
        if empty {
            self.remove(key, false);
            self.changed(key, Event::DEL, 0);
        }
        empty
    }

    /// Frees a value, in the background if it is large and `lazy` allows it.
    pub fn free(&mut self, value: Value, lazy: bool) {
        if lazy && value.free_effort() > keyspace::limits::HEAVY_EFFORT {
            self.effects.garbage.push(value);
            self.effects.pending = true;
        }
    }

    /// The change hook: `key` of the selected database has changed by `dirty` changes, and `event` tells how.
    #[inline]
    pub fn changed(&mut self, key: &[u8], event: Event, dirty: u64) {
        self.dirty += dirty;
        if self.hooks != 0 {
            self.changed_slow(self.origin.db, key, event);
        }
    }

    /// As [`Self::changed`], in any database.
    #[inline]
    pub fn changed_in(&mut self, db: usize, key: &[u8], event: Event, dirty: u64) {
        self.dirty += dirty;
        if self.hooks != 0 {
            self.changed_slow(db, key, event);
        }
    }

    #[cold]
    fn changed_slow(&mut self, db: usize, key: &[u8], event: Event) {
        self.touch_watchers(db, key);
        self.signal_ready(db, key);
        push_event(&mut self.effects, self.events_on, event, db, key);
    }

    /// Publishes an event without counting a change, such as the second one of a command.
    pub fn notify(&mut self, event: Event, key: &[u8]) {
        self.notify_in(self.origin.db, event, key);
    }

    /// As [`Self::notify`], in any database.
    pub fn notify_in(&mut self, db: usize, event: Event, key: &[u8]) {
        if self.hooks & HOOK_EVENTS != 0 {
            push_event(&mut self.effects, self.events_on, event, db, key);
        }
    }

    /// All keys have changed, or may have: tracking clients are told.
    pub fn all_stale(&mut self) {
        if self.hooks & HOOK_TRACKING != 0 {
            self.note_stale(None);
        }
    }

    /// Tracking clients are to be told of a key, or of all.
    fn note_stale(&mut self, stale: Option<Box<[u8]>>) {
        self.effects.tell(News::Stale(Change {
            stale,
            author: self.origin.author,
            by_itself: false,
        }));
    }

    /// Whether somebody tracks.
    pub fn track_changes(&mut self, on: bool) {
        self.arm(HOOK_TRACKING, on);
    }

    /// Chooses the events to publish.
    pub fn set_events(&mut self, classes: Classes) {
        self.events_on = classes;
        self.arm(HOOK_EVENTS, !classes.is_empty());
    }

    /// The events that are published.
    #[must_use]
    pub fn events_on(&self) -> Classes {
        self.events_on
    }

    fn arm(&mut self, hook: u8, on: bool) {
        self.hooks = if on {
            self.hooks | hook
        } else {
            self.hooks & !hook
        };
    }

    /// Forgets what was to be propagated and told. What others rely on stays: watches that are broken, keys that may serve
    /// somebody, values to be freed.
    pub fn forget_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        effects
            .news
            .retain(|news| matches!(news, News::WatchBroken(_)));
        self.effects = Effects {
            pending: true,
            recording: effects.recording,
            news: effects.news,
            ready: effects.ready,
            garbage: effects.garbage,
            own: effects.own,
            ..Effects::default()
        };
    }

    /// The type of the key as TYPE prints it, `none` when it is missing.
    #[must_use]
    pub fn type_name(&self, key: &[u8]) -> &'static str {
        self.peek(key)
            .map_or("none", |entry| Type::name(entry.type_()))
    }
}

/// A key is gone once the clock is past its time, not when it reaches it.
#[inline]
#[must_use]
pub fn is_past(at_ms: i64, now_ms: i64) -> bool {
    now_ms > at_ms
}

fn push_event(effects: &mut Effects, on: Classes, event: Event, db: usize, key: &[u8]) {
    if on.contains(event.class) {
        effects.tell(News::Event(event, (db, key.into())));
    }
}

/// Lets `(usize, Box<[u8]>)` maps be searched without building a box.
pub trait DbKeyRef {
    /// The database and the key.
    fn parts(&self) -> (usize, &[u8]);
}

impl DbKeyRef for DbKey {
    fn parts(&self) -> (usize, &[u8]) {
        (self.0, &self.1)
    }
}

impl DbKeyRef for (usize, &[u8]) {
    fn parts(&self) -> (usize, &[u8]) {
        *self
    }
}

impl std::hash::Hash for dyn DbKeyRef + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (db, key) = self.parts();
        db.hash(state);
        key.hash(state);
    }
}

impl hashbrown::Equivalent<DbKey> for dyn DbKeyRef + '_ {
    fn equivalent(&self, other: &DbKey) -> bool {
        self.parts() == other.parts()
    }
}
