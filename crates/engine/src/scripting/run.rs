//! A script or function from its start to its reply.

use super::checks;
use super::host::Caller;
use crate::exec::{Args, Exec};
use crate::state::ServerState;
use commandtable::{Error, Outcome};
use resp::Reply;
use scripting::{Progress, Run, ScriptFlags};
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

/// Runs what `start` starts, if it may run. `read_only` is set for the commands whose name ends in `_RO`.
///
/// # Errors
/// Why it may not run.
#[inline]
pub(crate) fn run(
    x: &mut Exec<'_>,
    flags: ScriptFlags,
    read_only: bool,
    start: impl FnOnce(&mut ServerState) -> Option<Result<Run, scripting::Error>>,
) -> Outcome {
    checks::before_start(x, flags, read_only)?;
    // Another one runs: this is one of its commands.
    let started = start(x.state).ok_or(Error::NOT_FROM_SCRIPT)?;
    let mut run = started.map_err(refused)?;
    let mut active = Active {
        flags,
        read_only: read_only || flags.contains(ScriptFlags::NO_WRITES),
        wrote: false,
    };
    let outer = x.keys.origin;
    let db = x.client.db;
    x.keys.origin = crate::origin::script(outer, x.client);
    let mut caller = Caller {
        x,
        active: &mut active,
    };
    while run.resume(&mut caller, SLICE_UNITS) == Progress::OutOfBudget {}
    x.client.db = db;
    x.keys.origin = outer;
    reply(x, run);
    Ok(())
}

/// Replies with what a script has returned or raised, and puts its interpreter back.
fn reply(x: &mut Exec<'_>, mut run: Run) {
    let before = x.out.len();
    let mut errors = false;
    let Exec { state, out, .. } = &mut *x;
    run.write_reply(out, &mut |text| {
        state.stats.count_error(code(text));
        errors = true;
    });
    if !errors && begins_with_error(out, before) {
        // One of its commands' errors, which has been counted as such, is the reply.
        state.stats.charge_again();
    }
    state.scripting.ended(run);
    // Its commands have recorded themselves.
    x.propagate_nothing();
}

fn begins_with_error(out: &Reply, at: usize) -> bool {
    out.output().start().get(at) == Some(&b'-')
}

/// What the statistics call an error that a script has made up: its first word, if it has several.
fn code(text: &[u8]) -> &str {
    let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    if word.len() == text.len() {
        return "ERR";
    }
    std::str::from_utf8(word).unwrap_or("ERR")
}
