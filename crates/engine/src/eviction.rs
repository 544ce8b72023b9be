//! `maxmemory`: removing keys when there is too little room, by the configured policy.

use crate::config::MaxmemoryPolicy;
use crate::exec::Exec;
use crate::keys::AccessClock;
use crate::notify::Event;
use keyspace::{Entry, Rng};

/// Keys removed before the clock decides whether to go on with the next command.
const KEYS_PER_ROUND_MAX: usize = 1000;

/// A key that might go, and how much it deserves to: the higher the better.
struct Candidate {
    db: usize,
    key: Box<[u8]>,
    score: u64,
}

/// Removes keys until memory fits again. False when it does not and nothing more can be removed.
pub(crate) fn make_room(x: &mut Exec<'_>) -> bool {
    if over_limit(x) == 0 {
        return true;
    }
    if x.core.repl.is_replica() && x.core.config.replica_ignore_maxmemory {
        return true;
    }
    let policy = x.core.config.maxmemory_policy;
    if policy == MaxmemoryPolicy::Noeviction {
        return false;
    }
    for _ in 0..KEYS_PER_ROUND_MAX {
        if over_limit(x) == 0 {
            return true;
        }
        let Some(candidate) = choose(x, policy) else {
            return false;
        };
        evict(x, &candidate);
    }
    over_limit(x) == 0
}

/// Bytes above the limit. The stream that waits for replicas does not count: evicting keys would only make it longer.
fn over_limit(x: &Exec<'_>) -> usize {
    let used = x.core.host.used_memory();
    let not_counted = x.core.repl.hub.memory().replicas as usize;
    used.saturating_sub(not_counted)
        .saturating_sub(usize::try_from(x.core.config.maxmemory).unwrap_or(usize::MAX))
}

fn choose(x: &mut Exec<'_>, policy: MaxmemoryPolicy) -> Option<Candidate> {
    use MaxmemoryPolicy as P;
    let volatile = matches!(
        policy,
        P::VolatileLru | P::VolatileLfu | P::VolatileRandom | P::VolatileTtl
    );
    let random = matches!(policy, P::AllkeysRandom | P::VolatileRandom);
    let samples = if random {
        1
    } else {
        x.core.config.maxmemory_samples.unsigned_abs() as usize
    };
    let access = x.keys.access;
    let mut best: Option<Candidate> = None;
    let mut noise = x.keys.rng.next_u64();
    for db in 0..x.keys.dbs.len() {
        let mut look = |entry: &Entry| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let score = match policy {
                P::VolatileTtl => u64::MAX - entry.expire_at_ms().unwrap_or(0).unsigned_abs(),
                P::AllkeysRandom | P::VolatileRandom => noise,
                P::AllkeysLfu | P::VolatileLfu => u64::from(255 - access.decayed(entry.clock())),
                _ => u64::from(idle_seconds(access, entry.clock())),
            };
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Candidate {
                    db,
                    key: entry.key().into(),
                    score,
                });
            }
        };
        let keys = &mut *x.keys;
        if volatile {
            keys.dbs[db].sample_expiring(&mut keys.rng, samples, &mut look);
        } else {
            keys.dbs[db].sample(&mut keys.rng, samples, &mut look);
        }
    }
    best
}

/// Seconds since an access that was noted as `clock`.
#[must_use]
pub fn idle_seconds(access: AccessClock, clock: u32) -> u32 {
    match access {
        AccessClock::Lru(now) => now.wrapping_sub(clock) & 0xff_ffff,
        AccessClock::Lfu { .. } => 0,
    }
}

fn evict(x: &mut Exec<'_>, candidate: &Candidate) {
    let Some(entry) = x.keys.dbs[candidate.db].remove(&candidate.key) else {
        return;
    };
    x.keys
        .free(entry.into_value(), x.core.config.lazyfree_lazy_eviction);
    x.keys.stats.evicted += 1;
    let command: &[u8] = if x.core.config.lazyfree_lazy_eviction {
        b"UNLINK"
    } else {
        b"DEL"
    };
    x.keys
        .effects
        .push_op(candidate.db, &[command, &candidate.key]);
    x.keys
        .went_away(candidate.db, &candidate.key, Event::EVICTED);
}
