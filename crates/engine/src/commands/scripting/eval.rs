//! EVAL, EVALSHA, FCALL, and their forms that do not write.

use super::Family;
use crate::commands::monitor;
use crate::exec::{Args, Exec};
use crate::scripting::run::{self, refused, split_keys};
use commandtable::{Error, Outcome};
use scripting::{Digest, Keep, Scripting};
use std::sync::Arc;

pub(in crate::commands) static COMMANDS: Family = &[
    ("eval", eval),
    ("eval_ro", eval_ro),
    ("evalsha", evalsha),
    ("evalsha_ro", evalsha_ro),
    ("fcall", fcall),
    ("fcall_ro", fcall_ro),
];

/// Whether a script that writes may run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Allowed,
    Refused,
}

/// `EVAL script numkeys [key ...] [arg ...]`: runs a script, which is cached from then on.
///
/// Reply: what the script returns.
/// Errors: what the script raises; the number of keys; a script that is none, or that may not run now.
/// Propagates: what its commands propagate; several of them between MULTI and EXEC.
/// Source: Valkey command reference, EVAL (since 2.6.0).
fn eval(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    run_body(x, args, Writes::Allowed)
}

/// `EVAL_RO script numkeys [key ...] [arg ...]`: EVAL of a script that does not write.
///
/// Reply: as EVAL.
/// Errors: as EVAL; commands that write.
/// Propagates: nothing.
/// Source: Valkey command reference, EVAL_RO (since 7.0.0).
fn eval_ro(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    run_body(x, args, Writes::Refused)
}

fn run_body(x: &mut Exec<'_>, args: Args<'_>, writes: Writes) -> Outcome {
    begin(x, args);
    let (keys, words) = split_keys(args, Error::NOT_AN_INTEGER)?;
    let digest = Digest::of(args[1]);
    if x.state.scripting.script_flags(&digest).is_none() {
        if Scripting::is_long(args[1]) {
            let flags = Scripting::flags_of_body(args[1]).map_err(refused)?;
            return run::run(x, args, flags, writes == Writes::Refused, |state| {
                let call = Some((keys, words));
                let scripting = &mut state.scripting;
                scripting.compile_script(args[1], digest, Keep::WhileUsed, call)
            });
        }
        let scripting = &mut x.state.scripting;
        scripting
            .load_script(args[1], digest, Keep::WhileUsed)
            .map_err(refused)?;
    }
    run_script(x, args, digest, (keys, words), writes)
}

/// `EVALSHA sha1 numkeys [key ...] [arg ...]`: runs a script that is cached.
///
/// Reply: as EVAL.
/// Errors: as EVAL; the script is not cached.
/// Propagates: as EVAL.
/// Source: Valkey command reference, EVALSHA (since 2.6.0).
fn evalsha(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    run_cached(x, args, Writes::Allowed)
}

/// `EVALSHA_RO sha1 numkeys [key ...] [arg ...]`: EVALSHA of a script that does not write.
///
/// Reply: as EVAL.
/// Errors: as EVALSHA; commands that write.
/// Propagates: nothing.
/// Source: Valkey command reference, EVALSHA_RO (since 7.0.0).
fn evalsha_ro(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    run_cached(x, args, Writes::Refused)
}

fn run_cached(x: &mut Exec<'_>, args: Args<'_>, writes: Writes) -> Outcome {
    begin(x, args);
    let digest = Digest::parse(args[1]);
    if digest.is_none() && args[1].len() != Digest::HEX_BYTES {
        return Err(Error::NO_SUCH_SCRIPT);
    }
    let (keys, words) = split_keys(args, Error::NOT_AN_INTEGER)?;
    let digest = digest.ok_or(Error::NO_SUCH_SCRIPT)?;
    run_script(x, args, digest, (keys, words), writes)
}

fn run_script(
    x: &mut Exec<'_>,
    args: Args<'_>,
    digest: Digest,
    (keys, words): (Args<'_>, Args<'_>),
    writes: Writes,
) -> Outcome {
    let flags = x.state.scripting.script_flags(&digest);
    let flags = flags.ok_or(Error::NO_SUCH_SCRIPT)?;
    run::run(x, args, flags, writes == Writes::Refused, |state| {
        state.scripting.start_script(&digest, keys, words)
    })
}

/// `FCALL function numkeys [key ...] [arg ...]`: calls a function of a library.
///
/// Reply: what the function returns.
/// Errors: what the function raises; the number of keys; no such function, or one that may not run now.
/// Propagates: what its commands propagate; several of them between MULTI and EXEC.
/// Source: Valkey command reference, FCALL (since 7.0.0).
fn fcall(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    call_function(x, args, Writes::Allowed)
}

/// `FCALL_RO function numkeys [key ...] [arg ...]`: FCALL of a function that says that it does not write.
///
/// Reply: as FCALL.
/// Errors: as FCALL; the function does not say so.
/// Propagates: nothing.
/// Source: Valkey command reference, FCALL_RO (since 7.0.0).
fn fcall_ro(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    call_function(x, args, Writes::Refused)
}

fn call_function(x: &mut Exec<'_>, args: Args<'_>, writes: Writes) -> Outcome {
    begin(x, args);
    let function = x.state.scripting.function(args[1]);
    let function = function.map(Arc::clone).ok_or(Error::NO_FUNCTION)?;
    let (keys, words) = split_keys(args, Error::BAD_KEY_COUNT)?;
    run::run(
        x,
        args,
        function.flags,
        writes == Writes::Refused,
        |state| state.scripting.start_function(&function, keys, words),
    )
}

/// Nothing has run yet. MONITOR shows a script in front of its commands.
#[inline]
fn begin(x: &mut Exec<'_>, args: Args<'_>) {
    x.state.last_run = None;
    if !x.state.monitors.is_empty() {
        monitor::show(x, args);
    }
}
