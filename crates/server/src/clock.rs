//! The only place that reads clocks.
//!
//! Every command reads one, so it matters what that costs. Where the kernel itself keeps time by the processor's time
//! stamp counter, so do we: the kernel is asked once in a millisecond per thread, and in between ticks are counted. An
//! error of the rate cannot add up.
#![allow(
    unsafe_code,
    reason = "reading the time stamp counter is an intrinsic that is marked unsafe"
)]

use engine::host::Clock;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clocks of the system.
pub(crate) const SYSTEM: Clock = Clock {
    monotonic_ns,
    unix_us,
};

/// The kernel is asked again after so many ticks: about a millisecond.
const TICKS_MAX: u64 = 1 << 21;
/// What the rate is measured over, at least: the two readings at its ends are uncertain by some 50 ns.
const MEASURE_NS: u64 = 10_000_000;
/// Nanoseconds per tick are below this: a product with [`TICKS_MAX`] fits in 64 bits, and a counter so slow is no use.
const RATE_MAX: u64 = 16 << 32;

/// What the kernel said, and what the counter said then.
#[derive(Clone, Copy)]
struct Base {
    ticks: u64,
    monotonic_ns: u64,
    unix_us: u64,
}

/// Nanoseconds per tick in units of 2^-32; 0 as long as the counter is not to be used.
static RATE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static BASE: Cell<Base> = const { Cell::new(Base { ticks: 0, monotonic_ns: 0, unix_us: 0 }) };
}

/// Nanoseconds of a clock that never jumps nor goes back. Two threads may differ by some nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    match counted() {
        Some((base, ns)) => base.monotonic_ns + ns,
        None => kernel_monotonic_ns(),
    }
}

/// Microseconds since the Unix epoch; a change of the system's time is seen within a millisecond.
pub(crate) fn unix_us() -> u64 {
    match counted() {
        Some((base, ns)) => base.unix_us + ns / 1000,
        None => kernel_unix_us(),
    }
}

/// Measures the rate of the counter. To be called now and then until it returns true.
pub(crate) fn measure_rate() -> bool {
    static START: OnceLock<Option<(u64, u64)>> = OnceLock::new();
    let start = START.get_or_init(|| {
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let trusted = std::fs::read(source).is_ok_and(|name| name.trim_ascii() == b"tsc");
        trusted.then(|| (ticks(), kernel_monotonic_ns()))
    });
    let Some((start_ticks, start_ns)) = *start else {
        return true;
    };
    let elapsed_ns = kernel_monotonic_ns().saturating_sub(start_ns);
    let elapsed_ticks = ticks().saturating_sub(start_ticks);
    if elapsed_ns < MEASURE_NS {
        return false;
    }
    let rate = (u128::from(elapsed_ns) << 32)
        .checked_div(u128::from(elapsed_ticks))
        .and_then(|rate| u64::try_from(rate).ok())
        .filter(|rate| *rate < RATE_MAX);
    RATE.store(rate.unwrap_or(0), Ordering::Relaxed);
    true
}

/// What the kernel last said to this thread, and the nanoseconds since.
#[inline]
fn counted() -> Option<(Base, u64)> {
    let rate = RATE.load(Ordering::Relaxed);
    if rate == 0 {
        return None;
    }
    let base = BASE.get();
    // Far too large when this thread has moved to a processor whose counter is behind, or the machine has slept.
    let elapsed = ticks().wrapping_sub(base.ticks);
    if elapsed < TICKS_MAX {
        Some((base, (elapsed * rate) >> 32))
    } else {
        Some((ask_again(base, rate), 0))
    }
}

#[cold]
fn ask_again(old: Base, rate: u64) -> Base {
    // At least what may have been said last: the rate is a little wrong.
    let said_ns = old.monotonic_ns + ((TICKS_MAX * rate) >> 32);
    let base = Base {
        ticks: ticks(),
        monotonic_ns: kernel_monotonic_ns().max(said_ns),
        unix_us: kernel_unix_us(),
    };
    BASE.set(base);
    base
}

#[inline]
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a register; every processor of this architecture has it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads clocks"
)]
fn kernel_monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    start.elapsed().as_nanos() as u64
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads clocks"
)]
fn kernel_unix_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_agrees_with_the_kernel() {
        while !measure_rate() {
            std::hint::spin_loop();
        }
        let end = kernel_monotonic_ns() + 20_000_000;
        let mut last = 0;
        while kernel_monotonic_ns() < end {
            let before = kernel_monotonic_ns();
            let counted = monotonic_ns();
            let after = kernel_monotonic_ns();
            // A microsecond is far more than the rate can be wrong by within a millisecond.
            assert!(
                counted + 1000 >= before && counted <= after + 1000,
                "{before} {counted} {after}"
            );
            assert!(counted >= last);
            last = counted;
            assert!(unix_us().abs_diff(kernel_unix_us()) < 1_000_000);
        }
    }
}
