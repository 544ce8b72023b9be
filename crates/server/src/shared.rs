//! What all tasks and threads of the process share.

use crate::transfer::Transfers;
use engine::Engine;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// The engine behind its lock, and ways to wake the process's own tasks.
pub(crate) struct Shared {
    /// The one engine. Never held across a wait.
    pub(crate) engine: Mutex<Engine>,
    /// Raised when a client begins to wait: the timer has a new deadline to look at.
    pub(crate) deadlines: Notify,
    /// Dump files on their way to replicas.
    pub(crate) transfers: Arc<Transfers>,
    /// Raised when the listening sockets have to be made anew or the process is to end.
    pub(crate) control: Arc<crate::process::Control>,
}
