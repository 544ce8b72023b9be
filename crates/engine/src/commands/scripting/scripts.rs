//! SCRIPT: the cache of scripts.

use super::{Family, discard, help, is_flush_mode, stats};
use crate::exec::{Args, Exec};
use crate::scripting::busy;
use crate::scripting::run::{self, refused};
use commandtable::{Error, Outcome};
use scripting::{Digest, Keep, Scripting};

pub(in crate::commands) static COMMANDS: Family = &[
    ("script|debug", debug),
    ("script|exists", exists),
    ("script|flush", flush),
    ("script|kill", kill),
    ("script|load", load),
    ("script|show", show),
    ("script|stats", stats::stats),
    ("script|help", script_help),
];

/// `SCRIPT LOAD script`: caches a script until SCRIPT FLUSH.
///
/// Reply: the digits of its digest.
/// Errors: it is no script.
/// Propagates: nothing: each server has a cache of its own.
/// Source: Valkey command reference, SCRIPT LOAD (since 2.6.0).
fn load(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let digest = Digest::of(args[2]);
    let scripting = &mut x.state.scripting;
    if Scripting::is_long(args[2]) && scripting.script_flags(&digest).is_none() {
        return run::compile(x, args, |state| {
            let scripting = &mut state.scripting;
            scripting.compile_script(args[2], digest, Keep::Always, None)
        });
    }
    scripting
        .load_script(args[2], digest, Keep::Always)
        .map_err(refused)?;
    x.out.bulk(&digest.hex());
    Ok(())
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`.
///
/// Reply: for each digest whether its script is cached.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT EXISTS (since 2.6.0).
fn exists(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let digests = &args[2..];
    x.out.array(digests.len());
    for digest in digests {
        let digest = Digest::parse(digest);
        let flags = digest.and_then(|digest| x.state.scripting.script_flags(&digest));
        x.out.int(i64::from(flags.is_some()));
    }
    Ok(())
}

/// `SCRIPT SHOW sha1`.
///
/// Reply: the script's body.
/// Errors: it is not cached.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT SHOW (since 8.0.0).
fn show(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let digest = Digest::parse(args[2]).ok_or(Error::NO_SUCH_SCRIPT)?;
    let body = x.state.scripting.script_body(&digest);
    x.out.bulk(body.ok_or(Error::NO_SUCH_SCRIPT)?);
    Ok(())
}

/// `SCRIPT FLUSH [ASYNC|SYNC]`: forgets all scripts.
///
/// Reply: OK.
/// Errors: another mode.
/// Propagates: nothing: each server has a cache of its own.
/// Source: Valkey command reference, SCRIPT FLUSH (since 2.6.0, with modes since 6.2.0).
fn flush(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if !is_flush_mode(&args[2..]) {
        return Err(Error::SCRIPT_FLUSH_MODE);
    }
    let interpreter = x.state.scripting.flush_scripts().map_err(refused)?;
    discard(x, interpreter, &args[2..]);
    x.out.ok();
    Ok(())
}

/// `SCRIPT KILL`: ends a script that runs too long.
///
/// Reply: OK.
/// Errors: none runs, or it is a function; it has written.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT KILL (since 2.6.0).
fn kill(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    busy::kill(x, false)
}

/// `SCRIPT DEBUG YES|SYNC|NO`.
///
/// Reply: OK to NO, as scripts are never debugged.
/// Errors: another word; YES and SYNC, as there is no debugger.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT DEBUG (since 3.2.0).
fn debug(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    match args[2].to_ascii_lowercase().as_slice() {
        b"no" => {
            x.out.ok();
            Ok(())
        }
        b"yes" | b"sync" => Err(Error::NO_DEBUGGER),
        _ => Err(Error::SCRIPT_DEBUG_MODE),
    }
}

/// `SCRIPT HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT HELP (since 5.0.0).
fn script_help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help("SCRIPT", help::SCRIPT);
    Ok(())
}
