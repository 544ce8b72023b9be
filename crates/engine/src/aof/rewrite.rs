//! Rewrites: who asks for them, how they begin and end.

use super::State;
use crate::host::{Level, SnapshotJob, SnapshotResult, Target};
use crate::saving;
use crate::state::{Child, Loading, ServerState};
use aof::names::BaseForm;
use aof::rewrite::{Log, growth};
use commandtable::Error;
use dataset::Keys;

/// How a request for a rewrite is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has begun.
    Started,
    /// It begins as soon as it can.
    Scheduled,
}

/// BGREWRITEAOF. `at_once` is false inside a transaction: the child must not see half of it.
///
/// # Errors
/// A rewrite is at work; it cannot begin.
pub(crate) fn request(
    keys: &mut Keys,
    state: &mut ServerState,
    at_once: bool,
) -> Result<Answer, Error> {
    if state.rewrites() {
        return Err(Error::REWRITE_IN_PROGRESS);
    }
    if state.has_child() || !at_once {
        state.aof.rewrites.scheduled = true;
        state.aof.rewrites.failures.clear();
        return Ok(Answer::Scheduled);
    }
    start(keys, state).map_err(|()| Error::REWRITE_FAILED)?;
    Ok(Answer::Started)
}

/// Starts a rewrite: what has been appended so far is synced, and what follows goes to another file while a child writes
/// the base. For a log that waits for its first base that is the beginning.
///
/// # Errors
/// It cannot begin. Why has been logged.
pub(crate) fn start(keys: &mut Keys, state: &mut ServerState) -> Result<(), ()> {
    let log = match state.aof.state {
        State::Off => Log::Off,
        State::Waiting => Log::Starting,
        State::Starting => return Err(()),
        State::On => Log::On,
    };
    let form = if state.config.aof_use_rdb_preamble {
        BaseForm::Rdb
    } else {
        BaseForm::Commands
    };
    // What happened before belongs to the file that ends now.
    crate::settle::feed_each(keys, state);
    super::push(state);
    let (position, offset) = (state.aof.position(), state.repl.offset());
    let begun = state
        .host
        .begin_rewrite(&state.config, log, form, position, offset);
    if begun.is_err() {
        state.aof.rewrites.last_ok = false;
        return Err(());
    }
    state.aof.begin_file();
    if log == Log::Starting {
        state.aof.state = State::Starting;
        keys.effects.recording = state.records();
    }
    let job = SnapshotJob {
        id: state.repl.hub.next_job(),
        target: Target::Log {
            commands: form == BaseForm::Commands,
        },
        filter: Default::default(),
        format: Default::default(),
        for_replicas: false,
        dual: false,
        identity: None,
        send_timeout_ms: 0,
    };
    match saving::fork(keys, state, &job) {
        Ok(pid) => {
            state.log(
                Level::Notice,
                &format!("Background append only file rewriting started by pid {pid}"),
            );
            state.aof.rewrites.scheduled = false;
            state.aof.rewrites.count += 1;
            Ok(())
        }
        Err(error) => {
            let line = format!("Can't rewrite append only file in background: fork: {error}");
            state.log(Level::Warning, &line);
            state.host.give_up_rewrite();
            state.aof.rewrites.last_ok = false;
            stays_waiting(keys, state);
            Err(())
        }
    }
}

/// The first base has come to nothing: nothing is collected until it is tried again.
fn stays_waiting(keys: &mut Keys, state: &mut ServerState) {
    if state.aof.state == State::Starting {
        state.aof.state = State::Waiting;
        state.aof.rewrites.scheduled = true;
        super::push(state);
        keys.effects.recording = state.records();
    }
}

/// Starts the rewrites that are due.
pub(crate) fn tick(keys: &mut Keys, state: &mut ServerState) {
    if state.has_child() || state.loading != Loading::No {
        return;
    }
    let grown = if state.aof.rewrites.scheduled {
        None
    } else {
        match grown_by(state) {
            Some(percent) => Some(percent),
            None => return,
        }
    };
    let now_s = state.monotonic_ms() / 1000;
    let permit = state.aof.rewrites.failures.permit(now_s);
    if let Some(line) = permit.line() {
        state.log(Level::Warning, &line);
    }
    if permit != aof::rewrite::Permit::Go {
        return;
    }
    if let Some(percent) = grown {
        let line = format!("Starting automatic rewriting of AOF on {percent}% growth");
        state.log(Level::Notice, &line);
    }
    if start(keys, state).is_err() {
        state.aof.rewrites.failures.failed();
    }
}

/// By how many percent the log has grown, if that is enough.
fn grown_by(state: &ServerState) -> Option<u64> {
    if state.aof.state != State::On || state.config.auto_aof_rewrite_percentage == 0 {
        return None;
    }
    let figures = state.host.log_figures();
    let percentage = u64::try_from(state.config.auto_aof_rewrite_percentage).unwrap_or(0);
    let size_min = state.config.auto_aof_rewrite_min_size.unsigned_abs();
    growth(figures.size, figures.base_size, percentage, size_min)
}

/// The child that wrote a base has ended; the process has put it in its place if that went well.
pub(crate) fn ended(
    keys: &mut Keys,
    state: &mut ServerState,
    child: &Child,
    result: &SnapshotResult,
) {
    state.aof.rewrites.last_seconds = keys.origin.now_ms / 1000 - child.started_at;
    state.aof.rewrites.last_cow_bytes = child.cow_peak;
    match result {
        SnapshotResult::Disk { .. } | SnapshotResult::Sockets { .. } => {
            state.aof.rewrites.last_ok = true;
            state.aof.rewrites.failures.clear();
            if state.aof.state == State::Starting {
                state.aof.state = State::On;
            }
            state.log(
                Level::Notice,
                "Background AOF rewrite finished successfully",
            );
        }
        SnapshotResult::Failed { signal } => {
            match signal {
                Some(signal) => state.log(
                    Level::Warning,
                    &format!("Background AOF rewrite terminated by signal {signal}"),
                ),
                None => state.log(
                    Level::Warning,
                    "Background AOF rewrite terminated with error",
                ),
            }
            if !child.killed {
                state.aof.rewrites.last_ok = false;
                state.aof.rewrites.failures.failed();
            }
            stays_waiting(keys, state);
        }
    }
}
