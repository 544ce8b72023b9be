//! Switching the log on and off while the server runs.

use super::State;
use crate::host::Level;
use crate::state::ServerState;
use dataset::Keys;

/// A log is to be kept from now on. It begins with a rewrite, at once or when that is possible; `at_once` is false inside a
/// transaction.
///
/// # Errors
/// It cannot begin; none is kept then. Why has been logged.
pub(crate) fn switch_on(keys: &mut Keys, state: &mut ServerState, at_once: bool) -> Result<(), ()> {
    if state.aof.is_enabled() {
        return Ok(());
    }
    state.aof.state = State::Waiting;
    state.aof.error = None;
    let later = if state.rewrites() {
        Some(
            "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now.",
        )
    } else if state.has_child() {
        Some(
            "AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible.",
        )
    } else if !at_once {
        Some(
            "AOF was enabled during a transaction. An AOF background was scheduled to start when possible.",
        )
    } else {
        None
    };
    if let Some(line) = later {
        state.log(Level::Notice, line);
        state.aof.rewrites.scheduled = true;
        kill_rewrite(state);
    } else if super::start(keys, state).is_err() {
        state.aof.state = State::Off;
        state.refresh_gate();
        return Err(());
    }
    state.refresh_gate();
    Ok(())
}

/// No log is kept any more; its files stay.
pub(crate) fn switch_off(keys: &mut Keys, state: &mut ServerState) {
    if !state.aof.is_enabled() {
        return;
    }
    super::push(state);
    state.host.stop_log();
    state.aof.state = State::Off;
    state.aof.error = None;
    // Whoever waits for the log has to be told.
    state.blocking.synced_seen = u64::MAX;
    state.repl.is_asked = true;
    if std::mem::take(&mut state.aof.rewrites.scheduled) {
        state.log(
            Level::Notice,
            "AOF was disabled but there is a scheduled AOF background, cancel it.",
        );
    }
    if let Some(child) = state.saving.child.as_ref().filter(|_| state.rewrites()) {
        let line = format!("Killing running AOF rewrite child: {}", child.pid);
        state.log(Level::Notice, &line);
        kill_rewrite(state);
    }
    keys.effects.recording = state.records();
    state.refresh_gate();
}

/// The dataset is about to be replaced by that of a primary: what is appended would not fit.
pub(crate) fn stop_for_sync(keys: &mut Keys, state: &mut ServerState) {
    switch_off(keys, state);
}

/// The dataset has been replaced by a snapshot of the primary: a log begins with that, if one is wanted and the snapshot lies in
/// a file. Otherwise [`restart`] has a child write a base. What is in the file is soon rewritten in our own form.
pub(crate) fn begin_with_received(keys: &mut Keys, state: &mut ServerState) {
    // A child that has been killed and not been waited for ends the rewrite that is under way then.
    if !state.config.appendonly || state.aof.is_enabled() || state.rewrites() {
        return;
    }
    let (position, offset) = (state.aof.position(), state.repl.offset());
    let begun = state
        .host
        .begin_log_with_received(&state.config, position, offset);
    if begun.is_err() {
        return;
    }
    state.aof.begin_file();
    state.aof.state = State::On;
    state.aof.error = None;
    state.aof.rewrites.scheduled = true;
    keys.effects.recording = state.records();
    state.refresh_gate();
    state.log(
        Level::Notice,
        "The append-only file begins with the snapshot of the primary, and is to be rewritten.",
    );
}

/// A log is kept again, if one is wanted: the dataset has been replaced, or will not be.
pub(crate) fn restart(keys: &mut Keys, state: &mut ServerState) {
    if state.config.appendonly && switch_on(keys, state, true).is_err() {
        state.log(
            Level::Warning,
            "Failed to enable the AOF after the synchronization: it is tried again.",
        );
        state.aof.state = State::Waiting;
        state.aof.rewrites.scheduled = true;
    }
}

fn kill_rewrite(state: &mut ServerState) {
    if state.rewrites() {
        crate::repl::kill_snapshot(state);
    }
}
