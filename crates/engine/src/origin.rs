//! Where commands come from: one function for each source, so that none forgets what follows from it.

use crate::client::{Client, ClientFlags};
use crate::state::{Loading, ServerState};
use dataset::{Expiry, Origin, Source};

/// A request of a client.
#[inline]
pub(crate) fn client(state: &ServerState, client: &Client, now_ms: i64) -> Origin {
    Origin {
        source: Source::Client,
        nested: false,
        again: false,
        db: client.db,
        author: client.id,
        expiry: if state.gate {
            expiry_for_clients(state)
        } else {
            Expiry::Delete
        },
        no_touch: client.flags.has(ClientFlags::NO_TOUCH),
        trusted: client.flags.has(ClientFlags::TRUSTED),
        child_lives: state.has_child(),
        now_ms,
    }
}

/// The second run of a client's command that has been waiting in `db`.
pub(crate) fn again(state: &ServerState, waiting: &Client, db: usize, now_ms: i64) -> Origin {
    Origin {
        again: true,
        db,
        ..client(state, waiting, now_ms)
    }
}

/// A command of the primary's stream, in the database that the stream has selected.
pub(crate) fn primary(state: &ServerState, db: usize, now_ms: i64) -> Origin {
    Origin {
        source: Source::Primary,
        db,
        child_lives: state.has_child(),
        ..Origin::timer(Expiry::Ignore, now_ms)
    }
}

/// What happens by itself.
pub(crate) fn timer(state: &ServerState, now_ms: i64) -> Origin {
    let expiry = if state.repl.is_replica() {
        Expiry::Hide
    } else {
        Expiry::Delete
    };
    Origin {
        child_lives: state.has_child(),
        ..Origin::timer(expiry, now_ms)
    }
}

#[cold]
fn expiry_for_clients(state: &ServerState) -> Expiry {
    if state.loading == Loading::Blocking {
        Expiry::Ignore
    } else if state.repl.is_replica() || state.pause.is_some() {
        // While writes are held back no key may go: the DEL would be a write.
        Expiry::Hide
    } else {
        Expiry::Delete
    }
}
