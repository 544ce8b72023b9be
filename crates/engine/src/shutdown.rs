//! SHUTDOWN and the signals that mean it: wait for replicas, save, end.

use crate::blocking::WaitFor;
use crate::core::{Core, Pause, PauseBy, PauseKind};
use crate::dispatch;
use crate::host::Level;
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
pub fn begin(keys: &mut Keys, core: &mut Core, options: Options, by: Option<&str>) -> Started {
    if core.shutdown.is_some() {
        return Started::Waits;
    }
    let mut line = "User requested shutdown...".to_owned();
    if let Some(client) = by {
        line.push_str(&format!(" (user request from '{client}')"));
    }
    core.log(Level::Notice, &line);
    core.host.tell_supervisor("STOPPING=1\n");
    let timeout_ms = i64::from(core.config.shutdown_timeout) * 1000;
    let waits = !options.now && timeout_ms > 0 && !core.repl.is_replica();
    if waits && !core.repl.hub.lagging(core.repl.now_ms).is_empty() {
        core.log(Level::Notice, "Waiting for replicas before shutting down.");
        core.repl.with_hub(|hub, env| hub.request_acks(env));
        core.shutdown = Some(Pending {
            save: options.save,
            force: options.force,
            deadline_ms: keys.origin.now_ms + timeout_ms,
        });
        let pause = Pause {
            kind: PauseKind::Write,
            until_ms: i64::MAX,
        };
        core.pause_for(PauseBy::Shutdown, pause);
        return Started::Waits;
    }
    if finish(keys, core, options.save, options.force) {
        Started::Ends
    } else {
        Started::Failed
    }
}

/// Looks whether a waiting shutdown can go on.
pub(crate) fn tick(keys: &mut Keys, core: &mut Core) {
    if let Some(pending) = core.shutdown
        && (core.repl.hub.lagging(core.repl.now_ms).is_empty()
            || keys.origin.now_ms >= pending.deadline_ms)
    {
        core.shutdown = None;
        if !finish(keys, core, pending.save, pending.force) {
            core.unpause(PauseBy::Shutdown);
            refuse_waiting(keys, core);
        }
    }
}

/// Tells the clients that wait for the end that it does not come.
fn refuse_waiting(keys: &mut Keys, core: &mut Core) {
    let waits = |client: &&crate::Client| {
        let blocked = client.blocked.as_deref();
        blocked.is_some_and(|blocked| matches!(blocked.wait, WaitFor::Shutdown))
    };
    let waiting: Vec<_> = core.clients.iter().filter(waits).map(|c| c.id).collect();
    for id in waiting {
        crate::blocking::unblock_with(keys, core, id, |core, _, out| {
            dispatch::write_error(core, out, &Error::SHUTDOWN_FAILED);
        });
    }
}

/// Calls a waiting shutdown off. False when none waits.
pub fn abort(keys: &mut Keys, core: &mut Core) -> bool {
    if core.shutdown.take().is_none() {
        return false;
    }
    core.log(Level::Notice, "Shutdown manually aborted.");
    core.unpause(PauseBy::Shutdown);
    refuse_waiting(keys, core);
    true
}

/// Saves if asked to and ends the process. False when a save failed and the process goes on.
///
/// Nobody can connect any more from here on: whoever loses its connection would otherwise wait in the queue of a server
/// that is writing its snapshot, instead of trying another one.
fn finish(keys: &mut Keys, core: &mut Core, save: Option<bool>, force: bool) -> bool {
    core.host.stop_listening();
    let ends = save_and_exit(keys, core, save, force);
    if !ends {
        core.host.listen_again();
    }
    ends
}

fn save_and_exit(keys: &mut Keys, core: &mut Core, save: Option<bool>, force: bool) -> bool {
    if core.has_child() {
        core.log(
            Level::Warning,
            "There is a child saving an .rdb. Killing it!",
        );
        if let Some(child) = &mut core.saving.child {
            child.killed = true;
        }
        core.host.kill_snapshot();
    }
    let replicas = core.repl.hub.connected_replicas();
    if replicas > 0 {
        let lagging = core.repl.hub.lagging(core.repl.now_ms);
        for replica in &lagging {
            core.log(
                Level::Notice,
                &format!(
                    "Lagging replica {} reported offset {} behind master, lag={}, state=online.",
                    replica.name,
                    core.repl.offset().saturating_sub(replica.ack),
                    replica.lag_seconds
                ),
            );
        }
        let line = format!(
            "{} of {replicas} replicas are in sync when shutting down.",
            replicas - lagging.len().min(replicas)
        );
        core.log(Level::Notice, &line);
    }
    let wanted = save.unwrap_or_else(|| !core.config.save.rules().is_empty());
    if wanted {
        core.log(
            Level::Notice,
            "Saving the final RDB snapshot before exiting.",
        );
        core.host
            .tell_supervisor("STATUS=Saving the final RDB snapshot\n");
        if crate::saving::save_now(keys, core).is_err() {
            if !force {
                core.log(Level::Warning, "Error trying to save the DB, can't exit.");
                core.host
                    .tell_supervisor("STATUS=Error trying to save the DB, can't exit.\n");
                core.log(
                    Level::Warning,
                    "Errors trying to shut down the server. Check the logs for more information.",
                );
                return false;
            }
            core.log(Level::Warning, "Error trying to save the DB. Exit anyway.");
        }
    }
    core.host.remove_files();
    core.log(Level::Warning, "Valkey is now ready to exit, bye bye...");
    core.host.exit(0);
    true
}
