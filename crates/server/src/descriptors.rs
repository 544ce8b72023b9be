//! The sockets of clients by client, for what is done to a connection outside its turn.

use crate::channel::Channel;
use crate::fanout::{offer, write_some};
use engine::client::ClientId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::Arc;

/// A client's connection.
#[derive(Clone)]
pub(crate) struct Descriptor {
    /// The socket.
    pub(crate) fd: RawFd,
    /// What it is written through, if that is TLS.
    pub(crate) channel: Option<Arc<Mutex<Channel>>>,
}

impl Descriptor {
    /// Writes bytes that the connection can do without if it does not take them at once.
    pub(crate) fn write_now(&self, bytes: &[u8]) {
        match &self.channel {
            // A connection that is broken says so to its reader.
            None => drop(write_some(self.fd, bytes)),
            Some(channel) => channel
                .lock()
                .write_aside(bytes, &mut |bytes| offer(self.fd, bytes)),
        }
    }
}

/// Every client that has a connection. Changed under the engine's lock only, and before the socket closes: whoever holds
/// that lock may use a descriptor it finds here.
#[derive(Default)]
pub(crate) struct Descriptors(Mutex<HashMap<ClientId, Descriptor>>);

impl Descriptors {
    /// The client has this connection.
    pub(crate) fn add(&self, client: ClientId, descriptor: Descriptor) {
        self.0.lock().insert(client, descriptor);
    }

    /// The client's connection is about to close.
    pub(crate) fn remove(&self, client: ClientId) {
        self.0.lock().remove(&client);
    }

    /// A client's connection, if it has one.
    pub(crate) fn get(&self, client: ClientId) -> Option<Descriptor> {
        self.0.lock().get(&client).cloned()
    }
}
