//! What all threads of the process share.

use crate::descriptors::Descriptors;
use crate::dump_transfer::Transfers;
use crate::tls_config::TlsConfig;
use engine::Engine;
use parking_lot::Mutex;
use std::sync::Arc;

/// The engine behind its lock, and ways to reach the main loop.
pub(crate) struct Shared {
    /// The one engine. Never held while waiting for a peer.
    pub(crate) engine: Mutex<Engine>,
    /// Dump files on their way to replicas.
    pub(crate) transfers: Arc<Transfers>,
    /// The sockets of clients.
    pub(crate) descriptors: Arc<Descriptors>,
    /// What TLS connections are made from.
    pub(crate) tls: Arc<TlsConfig>,
    /// Tells the main loop what has changed for it.
    pub(crate) control: Arc<crate::control::Control>,
}
