//! The one place where the time is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "a program of its own asks the clock itself"
)]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
