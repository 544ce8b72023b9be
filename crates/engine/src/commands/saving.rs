//! The process that keeps the keys: its clock, its dump file, its end.

use crate::aof;
use crate::blocking::WaitFor;
use crate::commands::Family;
use crate::exec::{Args, Exec};
use crate::shutdown::{self, Options};
use crate::{saving, shutdown::Started};
use commandtable::{Error, Outcome};
use dataset::OnTimeout;

pub(super) static COMMANDS: Family = &[
    ("bgrewriteaof", bgrewriteaof),
    ("bgsave", bgsave),
    ("lastsave", lastsave),
    ("save", save),
    ("shutdown", shutdown_command),
    ("time", time),
];

/// `TIME`. It stands still in a transaction, and in a script until that is busy.
///
/// Reply: Unix seconds and the microseconds of the current one.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, TIME (since 2.6.0).
fn time(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let now_us = x.state.now_us;
    x.out.array(2);
    x.out.bulk_int((now_us / 1_000_000) as i64);
    x.out.bulk_int((now_us % 1_000_000) as i64);
    Ok(())
}

/// `LASTSAVE`.
///
/// Reply: Unix seconds of the last successful save, or of the start.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LASTSAVE (since 1.0.0).
fn lastsave(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.int(x.state.saving.last_save_at);
    Ok(())
}

/// `SAVE`: writes the dump file, while everybody waits.
///
/// Reply: OK.
/// Errors: a snapshot is being written; it failed.
/// Propagates: nothing.
/// Source: Valkey command reference, SAVE (since 1.0.0).
fn save(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if x.state.saves() {
        return Err(Error::BGSAVE_IN_PROGRESS);
    }
    saving::save_now(x.keys, x.state).map_err(|_| Error::SAVE_FAILED)?;
    x.out.ok();
    Ok(())
}

/// `BGSAVE [SCHEDULE]`: has a child write the dump file. Inside a transaction it starts behind it.
///
/// Reply: a status line.
/// Errors: syntax; a snapshot is being written; the fork failed.
/// Propagates: nothing.
/// Source: Valkey command reference, BGSAVE (since 1.0.0).
fn bgsave(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let may_wait = match args {
        [_] => false,
        [_, word] if word.eq_ignore_ascii_case(b"schedule") => true,
        _ => return Err(Error::SYNTAX),
    };
    if x.state.saves() {
        return Err(Error::BGSAVE_IN_PROGRESS);
    }
    if x.must_not_block() || (may_wait && x.state.has_child()) {
        x.state.saving.scheduled = true;
        x.out.simple(b"Background saving scheduled");
        return Ok(());
    }
    saving::background_save(x.keys, x.state)?;
    x.out.simple(b"Background saving started");
    Ok(())
}

/// `BGREWRITEAOF`: has a child write a base for the append-only file that takes the place of everything older. Beside
/// another child, or inside a transaction, it starts behind that.
///
/// Reply: a status line.
/// Errors: a rewrite is at work; it cannot begin.
/// Propagates: nothing.
/// Source: Valkey command reference, BGREWRITEAOF (since 1.0.0).
fn bgrewriteaof(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let at_once = !x.must_not_block();
    x.out.simple(match aof::request(x.keys, x.state, at_once)? {
        aof::Answer::Started => b"Background append only file rewriting started".as_slice(),
        aof::Answer::Scheduled => b"Background append only file rewriting scheduled",
    });
    Ok(())
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]`: ends the process, once the replicas have everything.
///
/// Reply: none when it succeeds: the connection ends with the process. OK to ABORT.
/// Errors: syntax; saving failed; nothing to abort.
/// Propagates: nothing.
/// Source: Valkey command reference, SHUTDOWN (since 1.0.0).
fn shutdown_command(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut options = Options::default();
    let mut abort = false;
    for word in &args[1..] {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" if options.save != Some(true) => options.save = Some(false),
            b"save" if options.save != Some(false) => options.save = Some(true),
            b"now" => options.now = true,
            b"force" => options.force = true,
            b"abort" => abort = true,
            _ => return Err(Error::SYNTAX),
        }
    }
    if abort {
        if options != Options::default() {
            return Err(Error::SYNTAX);
        }
        if !shutdown::abort(x.keys, x.state) {
            return Err(Error::NO_SHUTDOWN);
        }
        x.out.ok();
        return Ok(());
    }
    let client =
        crate::commands::client::describe(x.client, x.state.config.hide_user_data_from_log);
    match shutdown::begin(x.keys, x.state, options, Some(&client)) {
        Started::Ends => Ok(()),
        Started::Failed => Err(Error::SHUTDOWN_FAILED),
        Started::Waits => {
            x.block(WaitFor::Shutdown, args, 0, OnTimeout::Null);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn saving_and_telling_the_time() {
        check(
            "
            > TIME
            < 1) \"1000000000\"
            < 2) \"0\"
            > SAVE
            < OK
            + 5000
            > LASTSAVE
            < (integer) 1000000000
            > SAVE
            < OK
            > LASTSAVE
            < (integer) 1000000005
            > BGSAVE foo
            < (error) ERR syntax error
            > BGSAVE SCHEDULE foo
            < (error) ERR syntax error
            > MULTI
            < OK
            > BGSAVE
            < QUEUED
            > EXEC
            < 1) Background saving scheduled
            ",
        );
    }

    #[test]
    fn shutdown_refuses_what_makes_no_sense() {
        check(
            "
            > SHUTDOWN foo
            < (error) ERR syntax error
            > SHUTDOWN SAVE NOSAVE
            < (error) ERR syntax error
            > SHUTDOWN ABORT NOW
            < (error) ERR syntax error
            > SHUTDOWN ABORT
            < (error) ERR No shutdown in progress.
            ",
        );
    }
}
