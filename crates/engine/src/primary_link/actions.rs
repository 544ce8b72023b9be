//! What the link asks for is carried out: connections, loading, the swap of datasets, histories.

use crate::host::{Level, LinkCommand};
use crate::state::{LoadProgress, Loading, ServerState};
use dataset::Keys;
use dataset::snapshot::Loaded;
use replication::replica::{self, Action, LoadMode};

/// Carries out what the link asks for.
pub(crate) fn pump(keys: &mut Keys, state: &mut ServerState) {
    while let Some(action) = state
        .repl
        .link
        .as_mut()
        .and_then(|side| side.link.next_action())
    {
        match action {
            Action::Connect { conn, host, port } => {
                let source = state.config.bind_source_addr.lossy().into_owned();
                state.host.link(LinkCommand::Connect {
                    conn,
                    host,
                    port,
                    source,
                });
            }
            Action::Send(conn, bytes) => state.host.link(LinkCommand::Send(conn, bytes)),
            Action::Close(conn) => state.host.link(LinkCommand::Close(conn)),
            Action::PauseReading(conn) => state.host.link(LinkCommand::Pause(conn)),
            Action::ResumeReading(conn) => state.host.link(LinkCommand::Resume(conn)),
            Action::BeginPayload(payload) => {
                let parsing = payload.sink == replica::Sink::Parser;
                forget_loaded(state);
                if let Some(side) = &mut state.repl.link {
                    side.parsing = parsing;
                }
                if parsing {
                    begin_loading(keys, state, payload.serve_old, payload.mode, payload.size);
                }
                state.host.link(LinkCommand::BeginPayload(payload));
            }
            Action::EndPayload { load, mark_bytes } => state
                .host
                .link(LinkCommand::EndPayload { load, mark_bytes }),
            Action::Load { load, mode } => {
                if state.repl.link.as_ref().is_some_and(|side| !side.parsing) {
                    begin_loading(keys, state, mode == LoadMode::SwapDb, mode, None);
                }
                state.host.link(LinkCommand::Load(load));
            }
            Action::AbortPayload(load) => {
                state.loading = Loading::No;
                state.refresh_gate();
                forget_loaded(state);
                state.host.link(LinkCommand::AbortPayload(load));
            }
            Action::DropHistory => {
                let now_ms = state.repl.now_ms;
                state.repl.hub.detach(now_ms);
            }
            Action::Adopt(adoption) => {
                if let Some(loaded) = state.repl.link.as_mut().and_then(|side| side.loaded.take()) {
                    crate::aof::stop_for_sync(keys, state);
                    swap_in(keys, state, loaded);
                }
                state.loading = Loading::No;
                state.refresh_gate();
                state
                    .repl
                    .with_hub(|hub, env| hub.adopt(env, adoption.replid, adoption.offset));
                crate::aof::begin_with_received(keys, state);
                if let Some(side) = &mut state.repl.link {
                    side.adopted = true;
                }
                if let (Some(side), Some(db)) = (&mut state.repl.link, adoption.stream_db) {
                    side.stream_db = db;
                    side.client.db = usize::try_from(db)
                        .unwrap_or(0)
                        .min(keys.dbs.len().saturating_sub(1));
                }
            }
            Action::Branch(replid) => state.repl.with_hub(|hub, env| hub.branch(env, replid)),
            Action::LinkUp => {
                state.repl.with_hub(|hub, env| hub.ensure_backlog(env));
                if let Some(side) = &mut state.repl.link {
                    side.reset_stream();
                    if !std::mem::take(&mut side.adopted) {
                        state.host.tell_supervisor("STATUS=PRIMARY <-> REPLICA sync: Partial Resynchronization accepted. Ready to accept connections in read-write mode.\n");
                    }
                }
                state.refresh_gate();
            }
            Action::LinkDown => {
                if let Some(side) = &mut state.repl.link {
                    side.reset_stream();
                }
                state.refresh_gate();
            }
            Action::Drain => {
                if let Some(side) = &mut state.repl.link {
                    side.draining = true;
                }
                state.host.link(LinkCommand::Drain);
            }
            Action::Decompress(conn) => state.host.link(LinkCommand::Decompress(conn)),
            Action::DropSpill => state.host.link(LinkCommand::DropSpill),
            Action::BeforeMainPsync => {
                if state.debug.pause_after_fork {
                    state.log(Level::Notice, "Process is about to stop.");
                    state.host.stop_self();
                    state.log(Level::Notice, "Process has been continued.");
                }
            }
            Action::RestartAof => {
                state.host.tell_supervisor("STATUS=PRIMARY <-> REPLICA sync: Finished with success. Ready to accept connections in read-write mode.\n");
                crate::aof::restart(keys, state);
            }
            Action::Failover { accepted } => {
                state
                    .repl
                    .with_hub(|hub, env| hub.failover_finished(env, accepted));
            }
            Action::Log(level, text) => state.log(level, &text),
        }
    }
}

/// Goes on with the locally buffered stream where a script has held it up.
pub(crate) fn go_on_draining(state: &mut ServerState) {
    if state.repl.link.as_ref().is_some_and(|side| side.draining) {
        state.host.link(LinkCommand::Drain);
    }
}

/// A dataset that was loaded but is not wanted any more.
fn forget_loaded(state: &mut ServerState) {
    if let Some(unused) = state.repl.link.as_mut().and_then(|side| side.loaded.take()) {
        state.host.free_databases(unused.dbs, false);
    }
}

/// Loading begins: the old data go, unless they are to be served or kept until the new ones are complete.
fn begin_loading(
    keys: &mut Keys,
    state: &mut ServerState,
    serve_old: bool,
    mode: LoadMode,
    size: Option<u64>,
) {
    if mode != LoadMode::SwapDb {
        crate::aof::stop_for_sync(keys, state);
    }
    state.loading = if serve_old {
        Loading::Serving
    } else {
        Loading::Blocking
    };
    state.load_progress = LoadProgress {
        started_at: keys.origin.now_ms / 1000,
        total_bytes: size.unwrap_or(0),
        ..LoadProgress::default()
    };
    state.refresh_gate();
    if mode != LoadMode::SwapDb {
        crate::scripting::busy::give_up(keys, state);
        state.expire.own.clear();
        for db in 0..keys.dbs.len() {
            keys.touch_all_watchers(db, None);
        }
        let old = keys.dbs.iter_mut().map(|db| db.clear()).collect();
        crate::scripting::libraries::forget(state);
        let wait = !state.config.replica_lazy_flush;
        state.host.free_databases(old, wait);
        keys.all_stale();
    }
}

/// The new dataset takes the place of the old one.
fn swap_in(keys: &mut Keys, state: &mut ServerState, mut loaded: Loaded) {
    state.expire.own.clear();
    for (db, new) in loaded.dbs.iter().enumerate().take(keys.dbs.len()) {
        keys.touch_all_watchers(db, Some(new));
    }
    loaded.dbs.resize_with(keys.dbs.len(), Default::default);
    let old = keys.replace_all(loaded.dbs);
    // They have been tried before; only memory can be lacking by now.
    if let Err(error) =
        crate::scripting::libraries::install(state, &loaded.functions, scripting::Policy::Flush)
    {
        state.log(Level::Warning, &error);
    }
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    keys.all_stale();
    let wait = !state.config.replica_lazy_flush;
    state.host.free_databases(old, wait);
}
