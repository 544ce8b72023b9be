//! A script or function from its start to its reply.

use super::host::Caller;
use super::{busy, checks, parked};
use crate::exec::{Args, Exec};
use crate::state::ServerState;
use commandtable::{CommandInfo, Error, Outcome};
use dataset::Source;
use resp::Reply;
use scripting::{Counted, Progress, Run, ScriptFlags};
use words::int::parse_i64;

/// Units of work between two looks at the clock: less than a millisecond's worth.
const SLICE_UNITS: u64 = 100_000;

/// What the commands of a script that runs are judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    /// What the script says of itself.
    pub(crate) flags: ScriptFlags,
    /// It must not write: it says that it does not, or its command does.
    pub(crate) read_only: bool,
    /// It has called a command that writes.
    pub(crate) wrote: bool,
}

/// The words behind a script's body, digest or name: its keys and its arguments.
///
/// # Errors
/// The number of keys is none: `not_a_number` says so; or it is not that of any of the words.
pub(crate) fn split_keys<'a>(
    args: Args<'a>,
    not_a_number: Error,
) -> Result<(Args<'a>, Args<'a>), Error> {
    let count = args.get(2).and_then(|word| parse_i64(word));
    let count = count.ok_or(not_a_number)?;
    let words = args.get(3..).unwrap_or_default();
    if count > words.len() as i64 {
        return Err(Error::TOO_MANY_KEYS);
    }
    let count = usize::try_from(count).map_err(|_| Error::NEGATIVE_KEYS)?;
    Ok(words.split_at(count))
}

/// An error of the crate as a reply.
pub(crate) fn refused(error: scripting::Error) -> Error {
    Error::Raw(error.into_text())
}

/// Runs what `start` starts, if it may run: to its end, or for as long as others can wait. `read_only` is set for the commands whose name ends in `_RO`.
///
/// # Errors
/// Why it may not run.
#[inline]
pub(crate) fn run(
    x: &mut Exec<'_>,
    args: Args<'_>,
    flags: ScriptFlags,
    read_only: bool,
    start: impl FnOnce(&mut ServerState) -> Option<Result<Run, scripting::Error>>,
) -> Outcome {
    checks::before_start(x, flags, read_only)?;
    let active = Active {
        flags,
        read_only: read_only || flags.contains(ScriptFlags::NO_WRITES),
        wrote: false,
    };
    go(x, args, active, start)
}

/// Runs what `start` starts, which only compiles a script.
///
/// # Errors
/// Its first line is wrong, or another one runs.
pub(crate) fn compile(
    x: &mut Exec<'_>,
    args: Args<'_>,
    start: impl FnOnce(&mut ServerState) -> Option<Result<Run, scripting::Error>>,
) -> Outcome {
    let active = Active {
        flags: ScriptFlags::default(),
        read_only: true,
        wrote: false,
    };
    go(x, args, active, start)
}

#[inline]
fn go(
    x: &mut Exec<'_>,
    args: Args<'_>,
    mut active: Active,
    start: impl FnOnce(&mut ServerState) -> Option<Result<Run, scripting::Error>>,
) -> Outcome {
    // Another one runs: this is one of its commands.
    let started = start(x.state).ok_or(Error::NOT_FROM_SCRIPT)?;
    let mut run = started.map_err(refused)?;
    let outer = x.keys.origin;
    let db = x.client.db;
    x.keys.origin = crate::origin::script(outer, x.client);
    let mut caller = Caller {
        x,
        active: &mut active,
    };
    let started_ns = caller.x.state.now_ns;
    while run.resume(&mut caller, SLICE_UNITS) == Progress::OutOfBudget {
        let is_of_log = outer.source == Source::Log;
        if is_of_log && parked::is_due(caller.x, started_ns) {
            parked::park(x, run, active, db, started_ns);
            x.keys.origin = outer;
            return Ok(());
        }
        let Some(elapsed_ms) = takes_long(caller.x.state, started_ns) else {
            continue;
        };
        if !is_of_log {
            busy::warn(caller.x.state, &run, elapsed_ms);
            busy::set_aside(x, args, run, active, db, started_ns);
            x.keys.origin = outer;
            return Ok(());
        }
    }
    x.client.db = db;
    x.keys.origin = outer;
    let mark = x.out.len();
    let mut errors = ReplyErrors::default();
    while write_reply(x, &mut run, SLICE_UNITS, &mut errors) == Progress::OutOfBudget {
        let elapsed_ms = takes_long(x.state, started_ns);
        if outer.source != Source::Log
            && let Some(elapsed_ms) = elapsed_ms
        {
            busy::warn(x.state, &run, elapsed_ms);
            let answer = busy::Answer {
                out: Reply::with_rest(x.out, mark),
                errors,
            };
            busy::set_aside(x, args, run, active, db, started_ns);
            busy::keep_answer(x.state, answer);
            return Ok(());
        }
    }
    errors.count(x.state, x.command);
    // Its commands have recorded themselves.
    x.propagate_nothing();
    let ended_ns = (x.state.clock.monotonic_ns)();
    if outer.source != Source::Log {
        x.state.script_ended_ns = ended_ns;
    }
    let elapsed_ns = ended_ns.saturating_sub(started_ns);
    ended(x.state, run, elapsed_ns, x.keys.origin.now_ms);
    Ok(())
}

/// Takes a run back that has ended.
#[inline]
pub(super) fn ended(state: &mut ServerState, run: Run, elapsed_ns: u64, now_ms: i64) {
    state.last_run = Some(state.scripting.ended(run, elapsed_ns, now_ms));
}

/// Whether a command runs a script or a function.
pub(crate) fn is_script(command: &CommandInfo) -> bool {
    matches!(
        command.name,
        "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro"
    )
}

/// For how many milliseconds a script has run, if others have waited for long enough.
#[cold]
pub(super) fn takes_long(state: &ServerState, started_ns: u64) -> Option<u64> {
    let threshold_ms = u64::try_from(state.config.busy_reply_threshold).unwrap_or(0);
    let elapsed_ms = (state.clock.monotonic_ns)().saturating_sub(started_ns) / 1_000_000;
    (threshold_ms > 0 && elapsed_ms >= threshold_ms).then_some(elapsed_ms)
}

/// Errors in the reply of a script.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplyErrors {
    /// Of its commands.
    known: u64,
    /// Those that it has made up.
    made_up: u64,
}

impl ReplyErrors {
    /// Each error of one of its commands counts for the script as well, what it has made up counts as one. Whether there was
    /// one.
    pub(super) fn count(self, state: &mut ServerState, command: &CommandInfo) -> bool {
        let mut known = self.known;
        if self.made_up == 0 && known > 0 {
            state.stats.charge_again();
            known -= 1;
        }
        state.stats.commands[command.id as usize].failed += known;
        self.known > 0 || self.made_up > 0
    }
}

/// Replies with what a script has returned or raised, or goes on with that, until the end or for so many units of work.
pub(super) fn write_reply(
    x: &mut Exec<'_>,
    run: &mut Run,
    budget: u64,
    errors: &mut ReplyErrors,
) -> Progress {
    let Exec { state, out, .. } = &mut *x;
    run.write_reply(budget, out, &mut |text, counted| match counted {
        Counted::Yes => errors.known += 1,
        Counted::No => {
            errors.made_up += 1;
            state.stats.count_made_up_error(code(text));
        }
    })
}

/// What the statistics call an error that a script has made up: its first word, if it has several.
fn code(text: &[u8]) -> &str {
    let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    if word.len() == text.len() {
        return "ERR";
    }
    std::str::from_utf8(word).unwrap_or("ERR")
}
