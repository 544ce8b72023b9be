//! COPY of large values goes on between other work: see [`dataset::copies`].

use crate::blocking;
use crate::core::Core;
use dataset::Keys;

/// How long a slice may take, in nanoseconds: what others wait for it at most.
const SLICE_NS: u64 = 3_000_000;

/// Whether there is something to go on with. While writes are held back nothing can be finished.
pub(crate) fn is_due(keys: &Keys, core: &Core) -> bool {
    keys.copies.can_go_on() && core.pause.is_none()
}

/// Copies some more. When a copy is complete, its client's COPY runs again and puts it in place.
pub(crate) fn slice(keys: &mut Keys, core: &mut Core) {
    if !is_due(keys, core) {
        return;
    }
    let Some(id) = keys.copies.first() else {
        return;
    };
    let client = core.clients.slot(id).and_then(|slot| {
        let client = core.clients.take(slot)?;
        Some((slot, client))
    });
    let Some((slot, mut client)) = client else {
        keys.forget_copy(id);
        return;
    };
    if client.blocked.is_none() {
        keys.forget_copy(id);
    } else if let Some((number, plan)) = keys.copies.wanted() {
        if let Some(room) = core.host.prepare_copy(number, plan) {
            // Nobody else wants it: its job has just asked.
            drop(keys.copies.prepared(number, room));
        }
    } else {
        let clock = core.clock.monotonic_ns;
        let until_ns = clock() + SLICE_NS;
        // At least one step is made, whatever the clock says.
        let mut first = true;
        if keys.copy_some(|| std::mem::take(&mut first) || clock() < until_ns) {
            blocking::run_again(keys, core, &mut client);
        }
    }
    core.clients.put_back(slot, client);
}
