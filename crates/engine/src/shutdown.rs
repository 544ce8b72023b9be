//! SHUTDOWN and the signals that mean it: wait for replicas, save, end.

use crate::blocking::WaitFor;
use crate::dispatch;
use crate::host::Level;
use crate::state::{Loading, Pause, PauseBy, PauseKind, ServerState};
use commandtable::Error;
use dataset::Keys;

/// A shutdown that waits for its replicas.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Whether to save: `None` means if save points are set.
    pub save: Option<bool>,
    /// Go on although something failed.
    pub force: bool,
    /// Unix milliseconds when waiting ends.
    pub deadline_ms: i64,
}

/// How to shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `SAVE` or `NOSAVE`; `None` means if save points are set.
    pub save: Option<bool>,
    /// `NOW`: do not wait for replicas.
    pub now: bool,
    /// `FORCE`: go on although something failed.
    pub force: bool,
}

/// How an attempt to shut down has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The process ends now.
    Ends,
    /// Some replicas have yet to receive the rest of the stream.
    Waits,
    /// It goes on: saving failed.
    Failed,
}

/// Starts shutting down. `by` describes the client that asks for it. Who comes second waits for what the first one wanted.
pub fn begin(
    keys: &mut Keys,
    state: &mut ServerState,
    options: Options,
    by: Option<&str>,
) -> Started {
    if state.shutdown.is_some() {
        return Started::Waits;
    }
    if state.loading == Loading::Blocking {
        // What is there so far must not take the place of what is being loaded.
        state.log(
            Level::Warning,
            "Received shutdown signal during loading, exiting now.",
        );
        state.host.remove_files();
        state.host.exit(0);
        return Started::Ends;
    }
    let mut line = "User requested shutdown...".to_owned();
    if let Some(client) = by {
        line.push_str(&format!(" (user request from '{client}')"));
    }
    state.log(Level::Notice, &line);
    state.host.tell_supervisor("STOPPING=1\n");
    let timeout_ms = i64::from(state.config.shutdown_timeout) * 1000;
    let waits = !options.now && timeout_ms > 0 && !state.repl.is_replica();
    if waits && !state.repl.hub.lagging(state.repl.now_ms).is_empty() {
        state.log(Level::Notice, "Waiting for replicas before shutting down.");
        state.repl.with_hub(|hub, env| hub.request_acks(env));
        state.shutdown = Some(Pending {
            save: options.save,
            force: options.force,
            deadline_ms: keys.origin.now_ms + timeout_ms,
        });
        let pause = Pause {
            kind: PauseKind::Write,
            until_ms: i64::MAX,
        };
        state.pause_for(PauseBy::Shutdown, pause);
        return Started::Waits;
    }
    if finish(keys, state, options.save, options.force) {
        Started::Ends
    } else {
        Started::Failed
    }
}

/// Looks whether a waiting shutdown can go on.
pub(crate) fn tick(keys: &mut Keys, state: &mut ServerState) {
    if let Some(pending) = state.shutdown
        && (state.repl.hub.lagging(state.repl.now_ms).is_empty()
            || keys.origin.now_ms >= pending.deadline_ms)
    {
        state.shutdown = None;
        if !finish(keys, state, pending.save, pending.force) {
            state.unpause(PauseBy::Shutdown);
            refuse_waiting(keys, state);
        }
    }
}

/// Tells the clients that wait for the end that it does not come.
fn refuse_waiting(keys: &mut Keys, state: &mut ServerState) {
    let waits = |client: &&crate::Client| {
        let blocked = client.blocked.as_deref();
        blocked.is_some_and(|blocked| matches!(blocked.wait, WaitFor::Shutdown))
    };
    let waiting: Vec<_> = state.clients.iter().filter(waits).map(|c| c.id).collect();
    for id in waiting {
        crate::blocking::unblock_with(keys, state, id, |state, _, out| {
            dispatch::write_error(state, out, &Error::SHUTDOWN_FAILED);
        });
    }
}

/// Calls a waiting shutdown off. False when none waits.
pub fn abort(keys: &mut Keys, state: &mut ServerState) -> bool {
    if state.shutdown.take().is_none() {
        return false;
    }
    state.log(Level::Notice, "Shutdown manually aborted.");
    state.unpause(PauseBy::Shutdown);
    refuse_waiting(keys, state);
    true
}

/// Saves if asked to and ends the process. False when a save failed and the process goes on.
///
/// Nobody can connect any more from here on: whoever loses its connection would otherwise wait in the queue of a server
/// that is writing its snapshot, instead of trying another one.
fn finish(keys: &mut Keys, state: &mut ServerState, save: Option<bool>, force: bool) -> bool {
    state.host.stop_listening();
    let ends = save_and_exit(keys, state, save, force);
    if !ends {
        state.host.listen_again();
    }
    ends
}

fn save_and_exit(
    keys: &mut Keys,
    state: &mut ServerState,
    save: Option<bool>,
    force: bool,
) -> bool {
    if state.aof.state == crate::aof::State::Starting && state.rewrites() {
        // Without the base nothing of what was collected would be found again.
        if !force {
            state.log(Level::Warning, "Writing initial AOF, can't exit.");
            state.log(
                Level::Warning,
                "Errors trying to shut down the server. Check the logs for more information.",
            );
            return false;
        }
        state.log(Level::Warning, "Writing initial AOF. Exit anyway.");
    }
    if state.has_child() {
        let what = if state.rewrites() {
            "There is a child rewriting the AOF. Killing it!"
        } else {
            "There is a child saving an .rdb. Killing it!"
        };
        state.log(Level::Warning, what);
        if let Some(child) = &mut state.saving.child {
            child.killed = true;
        }
        state.host.kill_snapshot();
    }
    let replicas = state.repl.hub.connected_replicas();
    if replicas > 0 {
        let lagging = state.repl.hub.lagging(state.repl.now_ms);
        for replica in &lagging {
            state.log(
                Level::Notice,
                &format!(
                    "Lagging replica {} reported offset {} behind master, lag={}, state=online.",
                    replica.name,
                    state.repl.offset().saturating_sub(replica.ack),
                    replica.lag_seconds
                ),
            );
        }
        let line = format!(
            "{} of {replicas} replicas are in sync when shutting down.",
            replicas - lagging.len().min(replicas)
        );
        state.log(Level::Notice, &line);
    }
    if state.aof.is_enabled() {
        state.log(Level::Notice, "Calling fsync() on the AOF file.");
        crate::aof::end(state);
        if let Err(error) = state.host.sync_log() {
            let line = format!("Fail to fsync the AOF file: {error}.");
            state.log(Level::Warning, &line);
        }
    }
    let wanted = save.unwrap_or_else(|| !state.config.save.rules().is_empty());
    if wanted {
        state.log(
            Level::Notice,
            "Saving the final RDB snapshot before exiting.",
        );
        state
            .host
            .tell_supervisor("STATUS=Saving the final RDB snapshot\n");
        if crate::saving::save_now(keys, state).is_err() {
            if !force {
                state.log(Level::Warning, "Error trying to save the DB, can't exit.");
                state
                    .host
                    .tell_supervisor("STATUS=Error trying to save the DB, can't exit.\n");
                state.log(
                    Level::Warning,
                    "Errors trying to shut down the server. Check the logs for more information.",
                );
                return false;
            }
            state.log(Level::Warning, "Error trying to save the DB. Exit anyway.");
        }
    }
    state.host.remove_files();
    state.log(Level::Warning, "Valkey is now ready to exit, bye bye...");
    state.host.exit(0);
    true
}
