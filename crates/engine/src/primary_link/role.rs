//! Becoming a replica, and a primary again.

use super::{LinkSide, pump, with_link};
use crate::client::ClientId;
use crate::host::Level;
use crate::state::{Loading, ServerState};
use dataset::Keys;
use replication::replica::Purpose;

/// Becomes a replica of `host:port`.
pub(crate) fn follow(
    keys: &mut Keys,
    state: &mut ServerState,
    host: &str,
    port: u16,
    purpose: Purpose,
) {
    state.host.set_role(true);
    let from = match &state.repl.link {
        Some(side) => side.link.position(),
        None => {
            // What the transaction around this has written belongs to the history that we say we have.
            crate::settle::feed_stream(keys, state);
            state.repl.with_hub(|hub, env| hub.demote(env));
            let history = state.repl.hub.history();
            state.log(
                Level::Notice,
                "Before turning into a replica, using my own primary parameters to synthesize a cached primary: I may be able to synchronize with the new primary with just a partial transfer.",
            );
            Some((history.replid, history.offset))
        }
    };
    unblock_for_role(keys, state);
    if state.repl.link.is_none() {
        let mut side = LinkSide::new(&state.config, state.repl.link_numbers, keys.origin.now_ms);
        side.client.id = state.clients.next_id();
        state.repl.link = Some(side);
    }
    if let Some(side) = &mut state.repl.link {
        side.reset_stream();
    }
    with_link(keys, state, |link, env| {
        link.start(env, host, port, from, purpose)
    });
    state.refresh_gate();
    pump(keys, state);
}

/// Becomes a replica at the start, of the primary that the configuration names.
pub(crate) fn follow_at_start(
    keys: &mut Keys,
    state: &mut ServerState,
    restored: Option<(replication::ReplId, u64, i64)>,
) {
    let Some(primary) = state.config.replicaof.clone() else {
        return;
    };
    let mut side = LinkSide::new(&state.config, state.repl.link_numbers, keys.origin.now_ms);
    side.client.id = state.clients.next_id();
    if let Some((_, _, db)) = restored {
        side.client.db = usize::try_from(db)
            .unwrap_or(0)
            .min(keys.dbs.len().saturating_sub(1));
        side.stream_db = side.client.db as u32;
    }
    state.repl.link = Some(side);
    state.host.set_role(true);
    let from = restored.map(|(replid, offset, _)| (replid, offset));
    if let Some((replid, offset)) = from {
        state
            .repl
            .with_hub(|hub, env| hub.adopt(env, Some(replid), offset));
    }
    let host = primary.host.lossy().into_owned();
    with_link(keys, state, |link, env| {
        link.start(env, &host, primary.port, from, Purpose::Follow)
    });
    state.refresh_gate();
    pump(keys, state);
}

/// Becomes a primary, as a client wants it.
pub(crate) fn promote(keys: &mut Keys, state: &mut ServerState, by: ClientId) {
    stop_link(keys, state);
    state
        .repl
        .with_hub(|hub, env| hub.promote_for(env, replication::ClientId(by)));
    unblock_for_role(keys, state);
}

/// Ends the link without touching the hub: it knows already, and may be in the middle of saying more.
pub(crate) fn stop_link(keys: &mut Keys, state: &mut ServerState) {
    state.host.set_role(false);
    if let Some(side) = &mut state.repl.link {
        side.link.stop();
        state.repl.link_numbers = side.link.numbers();
    }
    pump(keys, state);
    state.repl.link = None;
    state.expire.own.clear();
    state.loading = Loading::No;
    keys.effects.recording = state.records();
    state.refresh_gate();
    // A synchronisation that failed has left it off.
    crate::aof::restart(keys, state);
}

/// Clients that wait for keys cannot be served by a replica, nor may they go on waiting when roles change.
fn unblock_for_role(keys: &mut Keys, state: &mut ServerState) {
    let waiting: Vec<_> = state
        .clients
        .iter()
        .filter(|client| client.blocked.is_some())
        .map(|client| client.id)
        .collect();
    for id in waiting {
        crate::blocking::unblock_with(keys, state, id, |state, _, out| {
            state.stats.count_error("UNBLOCKED");
            out.error(crate::Error::UNBLOCKED_ROLE.text().as_bytes());
        });
    }
}
