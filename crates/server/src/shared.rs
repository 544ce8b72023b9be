//! What all threads of the process share.

use crate::append::AppendFile;
use crate::control::Control;
use crate::descriptors::Descriptors;
use crate::dump_transfer::Transfers;
use crate::tls_config::TlsConfig;
use engine::Engine;
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;

/// What the engine's host shares with connections and the main loop.
#[derive(Clone)]
pub(crate) struct Parts {
    /// Dump files on their way to replicas.
    pub(crate) transfers: Arc<Transfers>,
    /// The sockets of clients.
    pub(crate) descriptors: Arc<Descriptors>,
    /// The append-only file.
    pub(crate) append: Arc<AppendFile>,
    /// What TLS connections are made from.
    pub(crate) tls: Arc<TlsConfig>,
    /// Tells the main loop what has changed for it.
    pub(crate) control: Arc<Control>,
}

/// The engine behind its lock, and what surrounds it.
pub(crate) struct Shared {
    /// The one engine. Never held while waiting for a peer.
    pub(crate) engine: Mutex<Engine>,
    parts: Parts,
}

impl Shared {
    pub(crate) fn new(engine: Engine, parts: Parts) -> Self {
        Shared {
            engine: Mutex::new(engine),
            parts,
        }
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
