//! The access clock that each key carries, for eviction by it: when a key was last used, or how often.

use crate::rng::Random;
use keyspace::{Entry, Stamp};

/// What the access clock of an entry means under the current eviction policy.
#[derive(Clone, Copy, Debug)]
pub enum AccessClock {
    /// Least recently used: seconds, modulo 2^24.
    Lru(u32),
    /// Least frequently used: minutes in the upper 16 bits, a logarithmic counter in the lower 8.
    Lfu {
        /// The minute clock, modulo 2^16.
        minutes: u32,
        /// `lfu-log-factor`.
        log_factor: u32,
        /// `lfu-decay-time` in minutes.
        decay_minutes: u32,
    },
}

/// Counter given to a new key under LFU, so that it is not evicted at once.
const LFU_INIT: u32 = 5;

impl AccessClock {
    /// The clock value of a key that has just been made.
    #[must_use]
    pub fn fresh(self) -> u32 {
        match self {
            AccessClock::Lru(seconds) => seconds,
            AccessClock::Lfu { minutes, .. } => (minutes << 8) | LFU_INIT,
        }
    }

    /// The clock value of a key that comes from elsewhere, with the idle time in seconds or the counter it had there.
    #[inline]
    #[must_use]
    pub fn brought(self, idle: Option<u64>, freq: Option<u8>) -> u32 {
        match (self, idle, freq) {
            (AccessClock::Lru(now), Some(idle), _) => {
                // Idle since before the clock began: as long as the clock can tell.
                now.wrapping_sub(idle.min(0xff_ffff) as u32) & 0xff_ffff
            }
            (AccessClock::Lfu { minutes, .. }, _, Some(freq)) => (minutes << 8) | u32::from(freq),
            _ => self.fresh(),
        }
    }

    /// What SET writes: an overwritten key starts anew, but for how often it was used.
    pub(crate) fn stamp(self) -> Stamp {
        Stamp {
            new: self.fresh(),
            old: matches!(self, AccessClock::Lru(_)).then(|| self.fresh()),
        }
    }

    /// The LFU counter of `clock` after decay.
    #[must_use]
    pub fn decayed(self, clock: u32) -> u32 {
        let AccessClock::Lfu {
            minutes,
            decay_minutes,
            ..
        } = self
        else {
            return clock & 0xff;
        };
        let elapsed = minutes.wrapping_sub(clock >> 8) & 0xffff;
        match elapsed.checked_div(decay_minutes) {
            Some(periods) => (clock & 0xff).saturating_sub(periods),
            None => clock & 0xff,
        }
    }
}

/// Seconds since an access that was noted as `clock`.
#[must_use]
pub fn idle_seconds(access: AccessClock, clock: u32) -> u32 {
    match access {
        AccessClock::Lru(now) => now.wrapping_sub(clock) & 0xff_ffff,
        AccessClock::Lfu { .. } => 0,
    }
}

/// Notes that the entry is used.
#[inline]
pub(crate) fn touch(entry: &Entry, access: AccessClock, rng: &mut Random) {
    match access {
        AccessClock::Lru(seconds) => {
            // A store only when the second has changed: reads of a hot key leave its cache line clean.
            if entry.clock() != seconds {
                entry.set_clock(seconds);
            }
        }
        AccessClock::Lfu {
            minutes,
            log_factor,
            ..
        } => {
            let mut counter = access.decayed(entry.clock());
            if counter < 255 {
                let base = f64::from(counter.saturating_sub(LFU_INIT));
                if rng.unit() < 1.0 / (base * f64::from(log_factor) + 1.0) {
                    counter += 1;
                }
            }
            entry.set_clock((minutes << 8) | counter);
        }
    }
}
