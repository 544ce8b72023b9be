//! What happens by itself: timeouts, expiry, rehashing, rates, delayed work.

use crate::client::{Client, ClientFlags, ClientId};
use crate::engine::Engine;
use crate::host::Level;
use crate::state::{PauseBy, ServerState};
use config::MaxmemoryPolicy;
use dataset::AccessClock;
use dataset::Keys;
use dataset::OnTimeout;
use dataset::effects::DbKey;
use std::collections::BTreeSet;
use std::ops::Bound;

/// What expires by itself, between two turns of the timer.
#[derive(Clone, Debug, Default)]
pub struct Expire {
    cycle: dataset::expiry::Cycle,
    /// On a writable replica: keys with a time to live that its own clients wrote, by database. Nobody else will delete
    /// them.
    pub(crate) own: BTreeSet<DbKey>,
    /// The last of them that was looked at.
    own_looked_at: Option<DbKey>,
    /// The last slice ran out of time: the next fast one is worth it.
    pub timed_out: bool,
}

/// Largest share of the processor the active expire cycle may take at effort 1, in percent.
const EXPIRE_CPU_PERCENT: u64 = 25;
/// Fewest clients looked at per turn of the timer.
const SWEPT_MIN: usize = 5;
/// Most clients looked at per turn of the timer, however many there are.
const SWEPT_MAX: usize = 5000;
/// Keys of a writable replica's own clients looked at per turn of the timer.
const OWN_KEYS_PER_TURN: usize = 512;
/// Buckets moved between two looks at the clock while rehashing in the background.
const REHASH_BUCKETS: usize = 128;
/// Time for background rehashing per turn of the timer, in nanoseconds.
const REHASH_NS: u64 = 1_000_000;

/// Units of work that looking for garbage of scripts may take per turn of the timer: about a millisecond's worth.
const GARBAGE_UNITS: u64 = 100_000;

impl Engine {
    /// Periodic work; the process calls it `hz` times a second. Returns how many times a second it wants to be called.
    pub fn tick(&mut self) -> u64 {
        self.state.cron_runs += 1;
        self.set_time();
        refresh_access_clock(&mut self.keys, &self.state);
        let used = self.state.host.used_memory();
        self.state.stats.peak_memory = self.state.stats.peak_memory.max(used);
        let snapshot = self.state.saving.expected_bytes(used as u64);
        self.state.repl.hub.expect_snapshot(snapshot);
        self.sample_rates();
        self.expire_pause();
        self.time_out_blocked();
        crate::scripting::busy::slice(&mut self.keys, &mut self.state);
        if self.state.busy.is_none() {
            self.change_data();
        }
        if !self.state.debug.pause_cron {
            self.sweep_clients();
            self.check_soft_limits();
            self.state.evict_clients();
            crate::shutdown::tick(&mut self.keys, &mut self.state);
        }
        if self.state.busy.is_none() {
            self.state.repl.with_hub(|hub, env| hub.tick(env));
            self.state.scripting.collect_garbage(GARBAGE_UNITS);
        }
        crate::repl::pump(&mut self.keys, &mut self.state);
        crate::saving::remove_sync_file(&mut self.state);
        crate::primary_link::tick(&mut self.keys, &mut self.state);
        self.settle();
        crate::tracking::turn_done(&mut self.state);
        let took_ns = (self.state.clock.monotonic_ns)().saturating_sub(self.state.now_ns);
        self.state.stats.cron_us += took_ns / 1000;
        self.state.config.hz.unsigned_abs().into()
    }

    /// What happens to the data by itself: not while a script is busy.
    fn change_data(&mut self) {
        crate::copying::slice(&mut self.keys, &mut self.state);
        crate::migration::tick(&mut self.keys, &mut self.state);
        if !self.state.debug.pause_cron {
            self.expire_slice();
            self.expire_own();
            self.rehash_slice();
            self.evict_slice();
            crate::aof::tick(&mut self.keys, &mut self.state);
            crate::saving::tick(&mut self.keys, &mut self.state);
        }
    }

    /// The next moment, in Unix milliseconds, at which a waiting client gives up; at once while keys are being evicted or a
    /// script is busy. "At once" is a millisecond later: a thread that sleeps now and then is let in when there is something to
    /// answer, also where others want its processor; one that never does has to wait for them.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        if self.state.busy.is_some() {
            return Some(self.keys.origin.now_ms);
        }
        if self.state.evicting || crate::copying::is_due(&self.keys, &self.state) {
            return Some(self.keys.origin.now_ms);
        }
        let blocked = self.state.blocking.deadlines.first();
        let paced = self.state.pauses[PauseBy::SyncPacing as usize];
        [
            blocked.map(|(deadline, _)| *deadline),
            paced.map(|pause| pause.until_ms),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is due at [`Self::next_deadline_ms`].
    pub fn meet_deadline(&mut self) {
        self.time_out_blocked();
        self.end_pacing();
        crate::scripting::busy::slice(&mut self.keys, &mut self.state);
        if self.state.busy.is_none() {
            self.evict_slice();
            crate::copying::slice(&mut self.keys, &mut self.state);
        }
        self.settle();
    }

    /// Goes on with making room below `maxmemory`.
    fn evict_slice(&mut self) {
        if self.state.evicting && self.state.loading == crate::state::Loading::No {
            crate::eviction::make_room(&mut self.keys, &mut self.state);
        }
    }

    /// Answers the waiting clients whose time is up.
    pub fn time_out_blocked(&mut self) {
        self.keys.origin.now_ms = self.state.look_at_clock();
        while let Some(&(deadline, id)) = self.state.blocking.deadlines.first() {
            if deadline > self.keys.origin.now_ms {
                break;
            }
            // Removed here as well: a client that has vanished must not keep the loop going.
            self.state.blocking.deadlines.remove(&(deadline, id));
            crate::blocking::unblock_with(&mut self.keys, &mut self.state, id, reply_timeout);
        }
    }

    fn sample_rates(&mut self) {
        self.state.count_sent();
        let now_ms = (self.state.now_ns / 1_000_000) as i64;
        let stats = &mut self.state.stats;
        stats.rates.commands.sample(stats.processed, now_ms);
        stats
            .rates
            .net_in
            .sample(stats.net_in + stats.net_repl_in, now_ms);
        stats
            .rates
            .net_out
            .sample(stats.net_out + stats.net_repl_out, now_ms);
        stats.rates.repl_in.sample(stats.net_repl_in, now_ms);
        stats.rates.repl_out.sample(stats.net_repl_out, now_ms);
        stats.rates.loops.sample(stats.reads, now_ms);
    }

    /// Lets writers go on that were held up for a replica.
    fn end_pacing(&mut self) {
        if self.state.pauses[PauseBy::SyncPacing as usize]
            .is_some_and(|pause| pause.until_ms <= self.keys.origin.now_ms)
        {
            self.state.unpause(PauseBy::SyncPacing);
        }
    }

    fn expire_pause(&mut self) {
        self.end_pacing();
        if self.state.pauses[PauseBy::Client as usize]
            .is_some_and(|pause| pause.until_ms <= self.keys.origin.now_ms)
        {
            self.state.unpause(PauseBy::Client);
        }
    }

    /// Looks at some clients, so that each is looked at about once a second: whether it is idle, and what it takes.
    fn sweep_clients(&mut self) {
        let hz = self.state.config.hz.unsigned_abs().max(1) as usize;
        let count = (self.state.clients.len() / hz).clamp(SWEPT_MIN, SWEPT_MAX);
        let (ids, next) = self.state.clients.some_from(self.state.swept_to, count);
        self.state.swept_to = next;
        for id in ids {
            self.close_if_idle(id);
            self.check_output_of(id);
            self.state.with_client(id, ServerState::weigh);
        }
    }

    /// Closes a client that has sent nothing for longer than `timeout` allows.
    fn close_if_idle(&mut self, id: ClientId) {
        const EXEMPT: u32 = ClientFlags::REPLICA
            | ClientFlags::PRIMARY
            | ClientFlags::MONITOR
            | ClientFlags::BLOCKED
            | ClientFlags::PUBSUB
            | ClientFlags::PROTECTED;
        let timeout = i64::from(self.state.config.timeout);
        let now_ms = self.keys.origin.now_ms;
        let Some(client) = self.state.clients.get_mut(id) else {
            return;
        };
        if timeout > 0
            && !client.flags.has(EXEMPT)
            && now_ms - client.last_interaction_ms > timeout * 1000
            && !self
                .state
                .repl
                .hub
                .exempt_from_idle_timeout(replication::ClientId(id))
        {
            client.close_now();
            self.state.log(Level::Verbose, "Closing idle client");
        }
    }

    /// One slice of the active expire cycle, within a budget.
    fn expire_slice(&mut self) {
        if !self.state.debug.active_expire
            || self.state.repl.is_replica()
            || self.state.loading != crate::state::Loading::No
            || self.state.pause.is_some()
        {
            return;
        }
        let effort = self
            .state
            .config
            .active_expire_effort
            .unsigned_abs()
            .clamp(1, 10) as u64
            - 1;
        let hz = u64::from(self.state.config.hz.unsigned_abs().max(1));
        let budget_ns = (EXPIRE_CPU_PERCENT + 2 * effort) * 10_000_000 / hz;
        let start_ns = (self.state.clock.monotonic_ns)();
        let mut cycle = std::mem::take(&mut self.state.expire.cycle);
        let state = &mut self.state;
        let slice = cycle.slice(&mut self.keys, &mut |keys| {
            crate::settle::feed_each(keys, state);
            (state.clock.monotonic_ns)().saturating_sub(start_ns) > budget_ns
        });
        self.state.expire.cycle = cycle;
        self.state.expire.timed_out = slice.timed_out;
        let stats = &mut self.state.stats;
        stats.expire_cap_reached += u64::from(slice.timed_out);
        if slice.looked > 0 {
            let share = slice.expired as f64 / slice.looked as f64 * 100.0;
            stats.expired_stale_percent = share * 0.05 + stats.expired_stale_percent * 0.95;
        }
        stats.expire_cycle_ns += (self.state.clock.monotonic_ns)() - start_ns;
    }

    /// On a replica: deletes what its own clients wrote and whose time has come.
    fn expire_own(&mut self) {
        if self.state.expire.own.is_empty() || !self.state.repl.is_replica() {
            return;
        }
        let cycle = &mut self.state.expire;
        let start = match cycle.own_looked_at.take() {
            Some(place) => Bound::Excluded(place),
            None => Bound::Unbounded,
        };
        let rest = cycle.own.range((start, Bound::Unbounded));
        let looked: Vec<_> = rest.take(OWN_KEYS_PER_TURN).cloned().collect();
        if looked.len() == OWN_KEYS_PER_TURN {
            cycle.own_looked_at = looked.last().cloned();
        }
        let now_ms = self.keys.origin.now_ms;
        for place in looked {
            let (db, key) = &place;
            let entry = self.keys.dbs.get(*db).and_then(|db| db.get(key));
            match entry.and_then(|entry| entry.expire_at_ms()) {
                Some(at) if !dataset::keys::is_past(at, now_ms) => continue,
                Some(_) => self.keys.delete_expired(*db, key),
                None => {}
            }
            self.state.expire.own.remove(&place);
        }
    }

    fn rehash_slice(&mut self) {
        if !self.state.config.activerehashing || self.state.has_child() {
            return;
        }
        let start_ns = (self.state.clock.monotonic_ns)();
        for db in &mut self.keys.dbs {
            while db.rehash_for(REHASH_BUCKETS) {
                if (self.state.clock.monotonic_ns)() - start_ns > REHASH_NS {
                    return;
                }
            }
        }
    }
}

/// Replies to a waiting client as if its time were up.
pub(crate) fn reply_timeout(state: &mut ServerState, client: &Client, out: &mut resp::Reply) {
    match client.blocked.as_deref().map(|blocked| &blocked.on_timeout) {
        Some(OnTimeout::NullArray) => out.null_array(),
        Some(OnTimeout::Null) => out.null(),
        Some(OnTimeout::Acknowledged) => crate::repl::acknowledged(state, client, out),
        None => {}
    }
}

/// Sets the access clock to now, in the form the eviction policy wants.
pub(crate) fn refresh_access_clock(keys: &mut Keys, state: &ServerState) {
    let seconds = keys.origin.now_ms / 1000;
    keys.access = if is_lfu(state.config.maxmemory_policy) {
        use_counting_clock(keys, state)
    } else {
        AccessClock::Lru((seconds & 0xff_ffff) as u32)
    };
}

/// The access clock as the policies want it that count uses.
pub(crate) fn use_counting_clock(keys: &Keys, state: &ServerState) -> AccessClock {
    AccessClock::Lfu {
        minutes: ((keys.origin.now_ms / 60_000) & 0xffff) as u32,
        log_factor: state.config.lfu_log_factor.unsigned_abs(),
        decay_minutes: state.config.lfu_decay_time.unsigned_abs(),
    }
}

/// True for the policies that count how often a key is used.
#[must_use]
pub fn is_lfu(policy: MaxmemoryPolicy) -> bool {
    matches!(
        policy,
        MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::Driver;
    use dataset::notify::Classes;

    /// Its connection may have had no turn since it was told to close.
    #[test]
    fn a_client_beyond_its_limits_is_counted_once() {
        let mut driver = Driver::new();
        driver.send(1, &[b"SUBSCRIBE", b"channel"]);
        driver.send(
            0,
            &[
                b"CONFIG",
                b"SET",
                b"client-output-buffer-limit",
                b"pubsub 2000 0 0",
            ],
        );
        driver.send(0, &[b"PUBLISH", b"channel", &[b'x'; 4000]]);
        for _ in 0..3 {
            driver.pushed(1);
            driver.engine.tick();
        }
        assert_eq!(driver.engine.state.stats.output_buffer_disconnections, 1);
    }

    #[test]
    fn the_active_cycle_deletes_counts_and_propagates() {
        let mut driver = Driver::new();
        for n in 0..100u8 {
            let key = [b'k', n];
            driver.send(0, &[b"SET", &key, b"v", b"PX", b"10"]);
        }
        driver.send(0, &[b"SET", b"stays", b"v", b"PX", b"100000"]);
        let classes = Classes::KEYEVENT.and(Classes::EXPIRED);
        driver.engine.keys.set_events(classes);
        driver.send(1, &[b"SUBSCRIBE", b"__keyevent@0__:expired"]);
        let offset = driver.engine.state.repl.offset();
        driver.advance_ms(11);
        // Each turn takes a bounded sample: some turns are needed, not one.
        for _ in 0..100 {
            driver.engine.tick();
        }
        assert_eq!(driver.engine.keys.dbs[0].len(), 1);
        assert_eq!(driver.engine.keys.stats.expired, 100);
        assert_eq!(driver.engine.keys.dirty, 101);
        let stream = driver.engine.state.repl.hub.stream_since(offset);
        let unlinks = stream.windows(6).filter(|bytes| bytes == b"UNLINK").count();
        assert_eq!(unlinks, 100);
        let pushed = driver.pushed(1);
        let messages = pushed
            .windows(7)
            .filter(|bytes| bytes == b"message")
            .count();
        assert_eq!(messages, 100);
        assert!(driver.engine.state.stats.expired_stale_percent > 0.0);
    }
}
