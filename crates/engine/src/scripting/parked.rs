//! A script of the log being loaded that takes long: left between two slices, so that others are answered meanwhile.
//!
//! Nobody waits for it, nothing else touches the data until the log is loaded, and nothing of it is propagated. So it is
//! simpler than [`super::busy`]: what loads the log goes on with it before it reads another record.

use super::host::Caller;
use super::run::{self, Active, ReplyErrors};
use crate::exec::Exec;
use dataset::Origin;
use scripting::{Progress, Run};

/// How long a script of the log runs in one piece, in nanoseconds.
const SLICE_NS: u64 = 2_000_000;
/// Units of work between two looks at the clock.
const LOOK_UNITS: u64 = 20_000;

/// A script between two slices.
pub(crate) struct Parked {
    run: Run,
    active: Active,
    /// Where its commands come from, and when.
    origin: Origin,
    /// The database that its client is in again when it ends.
    caller_db: usize,
    started_ns: u64,
    /// The log has told that it takes long.
    warned: bool,
}

/// Whether a script of the log has had its turn.
pub(super) fn is_due(x: &Exec<'_>, started_ns: u64) -> bool {
    (x.state.clock.monotonic_ns)().saturating_sub(started_ns) >= SLICE_NS
}

/// Parks a script that has run since `started_ns`.
pub(super) fn park(x: &mut Exec<'_>, run: Run, active: Active, caller_db: usize, started_ns: u64) {
    x.state.parked = Some(Box::new(Parked {
        run,
        active,
        origin: x.keys.origin,
        caller_db,
        started_ns,
        warned: false,
    }));
    x.waits = true;
}

/// Goes on with the script that is parked, if one is, until then. It has ended and replied when none is parked any more.
pub(crate) fn go_on(x: &mut Exec<'_>, until_ns: u64) {
    let Some(mut parked) = x.state.parked.take() else {
        return;
    };
    let outer = std::mem::replace(&mut x.keys.origin, parked.origin);
    let clock = x.state.clock.monotonic_ns;
    loop {
        let mut caller = Caller {
            x,
            active: &mut parked.active,
        };
        if parked.run.resume(&mut caller, LOOK_UNITS) == Progress::Ended {
            break;
        }
        if clock() >= until_ns {
            warn(&mut parked, x);
            x.keys.origin = outer;
            x.state.parked = Some(parked);
            return;
        }
    }
    x.client.db = parked.caller_db;
    let mut errors = ReplyErrors::default();
    run::write_reply(x, &mut parked.run, u64::MAX, &mut errors);
    errors.count(x.state, x.command);
    x.propagate_nothing();
    let elapsed_ns = clock().saturating_sub(parked.started_ns);
    run::ended(x.state, parked.run, elapsed_ns, x.keys.origin.now_ms);
    x.keys.origin = outer;
}

/// Tells the log of a script that has run for too long, once.
fn warn(parked: &mut Parked, x: &Exec<'_>) {
    if parked.warned {
        return;
    }
    if let Some(elapsed_ms) = run::takes_long(x.state, parked.started_ns) {
        super::busy::warn(x.state, &parked.run, elapsed_ms);
        parked.warned = true;
    }
}
