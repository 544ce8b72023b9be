//! `maxmemory`: removing keys when there is too little room, by the configured policy.

use crate::state::ServerState;
use config::MaxmemoryPolicy;
use dataset::Keys;
use dataset::eviction::{Choice, Reason};

/// Keys removed between two looks at the clock.
const CHECK_EVERY: usize = 16;
/// Microseconds between two looks at the memory while another thread frees some.
const FREES_LOOK_US: u64 = 50;
/// `maxmemory-eviction-tenacity` up to which the time allowed grows by [`TENACITY_STEP_NS`], and beyond which by 15 percent.
const TENACITY_LINEAR: i32 = 10;
/// See [`TENACITY_LINEAR`].
const TENACITY_STEP_NS: u64 = 50_000;
/// The tenacity that never gives up.
const TENACITY_ENDLESS: i32 = 100;

/// Whether there is room for another command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Memory is within its limit.
    Enough,
    /// Not yet: keys go, and [`crate::Engine::evict_slice`] goes on with it.
    Coming,
    /// There is too little, and nothing more to remove.
    None,
}

/// Removes keys until memory fits again, or the time is up that `maxmemory-eviction-tenacity` allows.
pub(crate) fn make_room(keys: &mut Keys, state: &mut ServerState) -> Room {
    let started_ns = (state.clock.monotonic_ns)();
    let room = remove_keys(keys, state, started_ns);
    let ended_ns = (state.clock.monotonic_ns)();
    state.evicting = room == Room::Coming;
    let stats = &mut state.stats;
    if room == Room::Enough {
        let since = stats.over_limit_since_ns.take();
        stats.over_limit_ns += since.map_or(0, |since| ended_ns.saturating_sub(since));
    } else {
        stats.over_limit_since_ns.get_or_insert(started_ns);
    }
    room
}

fn remove_keys(keys: &mut Keys, state: &mut ServerState, started_ns: u64) -> Room {
    let left_alone = state.repl.is_replica() && state.config.replica_ignore_maxmemory;
    if state.config.maxmemory == 0 || left_alone || over_limit(state) == 0 {
        return Room::Enough;
    }
    let Some(choice) = choice(state) else {
        return Room::None;
    };
    let limit_ns = time_limit_ns(state.config.maxmemory_eviction_tenacity);
    for evicted in 1.. {
        let Some(candidate) = keys.eviction_candidate(choice) else {
            return wait_for_frees(state, started_ns, limit_ns);
        };
        keys.evict(&candidate, state.config.lazyfree_lazy_eviction);
        // On its own, not as a part of what the client asked for.
        crate::settle::feed_stream(keys, state);
        if over_limit(state) == 0 {
            break;
        }
        let elapsed_ns = || (state.clock.monotonic_ns)().saturating_sub(started_ns);
        if evicted % CHECK_EVERY == 0 && elapsed_ns() > limit_ns {
            return Room::Coming;
        }
    }
    Room::Enough
}

/// Nothing is left to remove, but what has been may not have been freed yet: gives the other thread a moment.
fn wait_for_frees(state: &mut ServerState, started_ns: u64, limit_ns: u64) -> Room {
    loop {
        let pending = state.host.pending_frees() > 0;
        if over_limit(state) == 0 {
            return Room::Enough;
        }
        if !pending || (state.clock.monotonic_ns)().saturating_sub(started_ns) > limit_ns {
            return Room::None;
        }
        state.host.sleep_us(FREES_LOOK_US);
    }
}

/// Up to 10 the time is proportional, from there on it grows by 15 percent a step: 500 us at 10, 2.0 ms at 20, 2.3 min at
/// 99.
fn time_limit_ns(tenacity: i32) -> u64 {
    if tenacity >= TENACITY_ENDLESS {
        return u64::MAX;
    }
    let linear = tenacity.min(TENACITY_LINEAR).unsigned_abs();
    let growth = 1.15f64.powi((tenacity - TENACITY_LINEAR).max(0));
    (TENACITY_STEP_NS as f64 * f64::from(linear) * growth) as u64
}

/// Bytes above the limit. The stream that waits for replicas does not count: evicting keys would only make it longer.
fn over_limit(state: &ServerState) -> usize {
    let used = state.host.used_memory();
    let not_counted = state.repl.hub.memory().replicas as usize;
    used.saturating_sub(not_counted)
        .saturating_sub(usize::try_from(state.config.maxmemory).unwrap_or(usize::MAX))
}

/// What the policy goes by; `None` for the one that removes nothing.
fn choice(state: &ServerState) -> Option<Choice> {
    use MaxmemoryPolicy as P;
    let (reason, volatile) = match state.config.maxmemory_policy {
        P::VolatileLru => (Reason::Idle, true),
        P::AllkeysLru => (Reason::Idle, false),
        P::VolatileLfu => (Reason::Rare, true),
        P::AllkeysLfu => (Reason::Rare, false),
        P::VolatileRandom => (Reason::Chance, true),
        P::AllkeysRandom => (Reason::Chance, false),
        P::VolatileTtl => (Reason::Soon, true),
        P::Noeviction => return None,
    };
    Some(Choice {
        reason,
        volatile,
        samples: state.config.maxmemory_samples.unsigned_abs() as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::time_limit_ns;

    #[test]
    fn tenacity_buys_time() {
        assert_eq!(time_limit_ns(0), 0);
        assert_eq!(time_limit_ns(1), 50_000);
        assert_eq!(time_limit_ns(10), 500_000);
        assert!((2_000_000..2_050_000).contains(&time_limit_ns(20)));
        assert_eq!(time_limit_ns(100), u64::MAX);
    }
}
