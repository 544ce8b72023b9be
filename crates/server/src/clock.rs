//! The only place that reads clocks.

use engine::host::Clock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The clocks of the system.
pub(crate) const SYSTEM: Clock = Clock {
    monotonic_ns,
    unix_us,
};

/// Nanoseconds of a clock that never jumps.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads clocks"
)]
pub(crate) fn monotonic_ns() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    start.elapsed().as_nanos() as u64
}

/// Microseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the module that reads clocks"
)]
pub(crate) fn unix_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}
