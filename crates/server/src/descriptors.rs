//! The sockets of clients by client, for what is done to a connection outside its turn.

use engine::client::ClientId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::fd::RawFd;

/// Every client that has a connection. Changed under the engine's lock only, and before the socket closes: whoever holds
/// that lock may use a descriptor it finds here.
#[derive(Default)]
pub(crate) struct Descriptors(Mutex<HashMap<ClientId, RawFd>>);

impl Descriptors {
    /// The client has this connection.
    pub(crate) fn add(&self, client: ClientId, fd: RawFd) {
        self.0.lock().insert(client, fd);
    }

    /// The client's connection is about to close.
    pub(crate) fn remove(&self, client: ClientId) {
        self.0.lock().remove(&client);
    }

    /// A client's connection, if it has one.
    pub(crate) fn get(&self, client: ClientId) -> Option<RawFd> {
        self.0.lock().get(&client).copied()
    }
}
