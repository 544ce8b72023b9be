//! COPY of large values goes on between other work: see [`dataset::copies`].

use crate::blocking;
use crate::state::ServerState;
use dataset::Keys;

/// How long a slice may take, in nanoseconds: what others wait for it at most.
const SLICE_NS: u64 = 3_000_000;

/// Whether there is something to go on with. While writes are held back nothing can be finished.
pub(crate) fn is_due(keys: &Keys, state: &ServerState) -> bool {
    keys.copies.can_go_on() && state.pause.is_none()
}

/// Copies some more. When a copy is complete, its client's COPY runs again and puts it in place.
pub(crate) fn slice(keys: &mut Keys, state: &mut ServerState) {
    if !is_due(keys, state) {
        return;
    }
    let Some(id) = keys.copies.first() else {
        return;
    };
    let client = state.clients.slot(id).and_then(|slot| {
        let client = state.clients.take(slot)?;
        Some((slot, client))
    });
    let Some((slot, mut client)) = client else {
        keys.forget_copy(id);
        return;
    };
    if client.blocked.is_none() {
        keys.forget_copy(id);
    } else if let Some((number, plan)) = keys.copies.wanted() {
        if let Some(room) = state.host.prepare_copy(number, plan) {
            // Nobody else wants it: its job has just asked.
            drop(keys.copies.prepared(number, room));
        }
    } else {
        let clock = state.clock.monotonic_ns;
        let until_ns = clock() + SLICE_NS;
        // At least one step is made, whatever the clock says.
        let mut first = true;
        if keys.copy_some(|| std::mem::take(&mut first) || clock() < until_ns) {
            blocking::run_again(keys, state, &mut client);
        }
    }
    state.clients.put_back(slot, client);
}
