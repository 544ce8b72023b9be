//! Connections as the engine sees them: they come, read and write, and go.

use crate::client::{Client, ClientFlags, ClientId, Peer};
use crate::engine::{Engine, NextStep, Traffic};
use crate::host::{Attention, Level};
use crate::recovery;
use commandtable::Error;
use resp::{Output, Protocol, ProtocolError};
use std::sync::Arc;

/// Most bytes of query buffer before login.
const UNAUTHENTICATED_QUERY_BYTES_MAX: usize = 1024 * 1024;

impl Engine {
    /// A connection has been accepted. Returns its slot and number, or the error to write before closing.
    ///
    /// # Errors
    /// Too many clients, or protected mode.
    pub fn connect(
        &mut self,
        peer: Peer,
        attention: Arc<Attention>,
    ) -> Result<(u32, ClientId), Error> {
        self.set_time();
        self.state.stats.connections += 1;
        if self.state.is_verbose() {
            let line = match peer.addr.strip_suffix(":0").filter(|_| peer.unix) {
                Some(path) => format!("Accepted connection to {path}"),
                None => format!("Accepted {}", peer.addr),
            };
            self.state.log(Level::Verbose, &line);
        }
        if self.state.clients.len() >= self.state.config.maxclients as usize {
            self.state.stats.rejected_connections += 1;
            return Err(Error::MAX_CLIENTS);
        }
        let user = self.state.users.default_user();
        if self.state.config.protected_mode
            && user.takes_any_password()
            && !peer.unix
            && !peer.loopback
        {
            self.state.stats.rejected_connections += 1;
            return Err(Error::PROTECTED);
        }
        let id = self.state.clients.next_id();
        let protocol = if self.state.config.client_default_resp == 3 {
            Protocol::V3
        } else {
            Protocol::V2
        };
        let mut client = Box::new(Client::new(
            id,
            peer,
            user,
            attention,
            self.keys.origin.now_ms,
            protocol,
        ));
        client.authenticated = user.is_open();
        Ok((self.state.clients.add(client), id))
    }

    /// True when one more connection would be too many, besides so many that are not clients yet; it then counts as refused.
    pub fn is_full(&mut self, besides: usize) -> bool {
        let full = self.state.clients.len() + besides >= self.state.config.maxclients as usize;
        self.state.stats.rejected_connections += u64::from(full);
        full
    }

    /// The peer has closed the connection, which is about to end: tells the log.
    pub fn peer_left(&self, id: ClientId) {
        if self.state.is_verbose()
            && let Some(client) = self.state.clients.get(id)
        {
            let shown = crate::commands::client::describe(
                client,
                self.state.config.hide_user_data_from_log,
            );
            self.state
                .log(Level::Verbose, &format!("Client closed connection {shown}"));
        }
    }

    /// A connection has ended. Its client is forgotten, whatever it was doing.
    pub fn disconnect(&mut self, slot: u32) {
        self.set_time();
        let Some(mut client) = self.state.clients.take(slot) else {
            return;
        };
        let closed = self
            .state
            .repl
            .with_hub(|hub, env| hub.client_closed(env, replication::ClientId(client.id)));
        self.release_state(&mut client);
        self.state.forget_weight(&mut client);
        if closed == replication::primary::Closed::Protected {
            client.flags.clear(ClientFlags::CLOSE_AFTER_REPLY);
            client
                .flags
                .set(ClientFlags::PROTECTED | ClientFlags::CLOSE_NOW);
            self.state.clients.put_back(slot, client);
        } else {
            self.state.clients.release(slot, client.id);
            if crate::scripting::busy::is_waited_for_by(&self.state, client.id) {
                crate::scripting::busy::adopt(&mut self.state, client);
            }
        }
        self.settle();
    }

    /// Takes a client out of everything it is registered in.
    fn release_state(&mut self, client: &mut Client) {
        crate::blocking::unregister(&mut self.keys, &mut self.state, client);
        crate::commands::pubsub::forget(&mut self.state, client);
        crate::tracking::disable(&mut self.keys, &mut self.state.tracking, client);
        crate::commands::transactions::unwatch_all(&mut self.keys, client);
        let id = client.id;
        if client.flags.has(ClientFlags::MONITOR) {
            self.state.monitors.retain(|monitor| *monitor != id);
        }
        if client.flags.has(ClientFlags::PAUSED) {
            self.state.paused_clients.remove(&id);
        }
    }

    /// The peer has violated the protocol: adds the error to its output and marks it to be closed. To a replica nothing is
    /// said: it would take that for a part of its stream or, with a child writing to the same connection, of its snapshot.
    pub fn protocol_error(&mut self, slot: u32, error: ProtocolError) {
        let Some(client) = self.state.clients.take(slot) else {
            return;
        };
        let mut client = client;
        self.state.stats.count_error("ERR");
        if !client.flags.has(ClientFlags::REPLICA) {
            client
                .out
                .error(&[b"ERR ", error.reply().as_slice()].concat());
        }
        if self.state.is_verbose() {
            let hide = self.state.config.hide_user_data_from_log;
            let client = crate::commands::client::describe(&client, hide);
            self.state.log(Level::Verbose, &error.log_line(&client));
        }
        client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
        self.state.clients.put_back(slot, client);
    }

    /// Takes the output that others have caused; tells what the connection is to do.
    pub fn take_output(&mut self, slot: u32, io: Traffic, scratch: &mut Output) -> NextStep {
        let Some(mut client) = self.state.clients.take(slot) else {
            return NextStep::Close;
        };
        let mut then = NextStep::Continue;
        client.in_flight = io.unsent;
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            then = NextStep::Drop;
        } else {
            scratch.clear();
            std::mem::swap(scratch, client.out.output_mut());
            if client.flags.has(ClientFlags::CLOSE_AFTER_REPLY) {
                then = NextStep::Close;
            } else if client.flags.has(ClientFlags::BLOCKED | ClientFlags::PAUSED) {
                then = NextStep::Wait;
            }
            self.hand_over(&mut client, scratch, &mut then);
        }
        self.put_back(slot, client);
        then
    }

    /// The kernel did not take all of a client's output: `unsent` bytes are left in the connection's hands.
    pub fn unsent(&mut self, slot: u32, unsent: usize) {
        if let Some(mut client) = self.state.clients.take(slot) {
            client.in_flight = unsent;
            self.put_back(slot, client);
        }
    }

    /// `held` bytes of the client's requests wait for more. Checks `client-query-buffer-limit`.
    pub fn check_query_buffer(&mut self, slot: u32, held: usize) -> NextStep {
        let Some(mut client) = self.state.clients.take(slot) else {
            return NextStep::Close;
        };
        client.query_bytes = held;
        let then = if self.asks_too_much(&client) {
            NextStep::Close
        } else {
            NextStep::Continue
        };
        self.put_back(slot, client);
        then
    }

    /// True when a client's requests, those that MULTI has queued included, take more than `client-query-buffer-limit`.
    pub(crate) fn asks_too_much(&mut self, client: &Client) -> bool {
        let mut limit = self.state.config.client_query_buffer_limit;
        if self.state.needs_login(client) {
            limit = limit.min(UNAUTHENTICATED_QUERY_BYTES_MAX as u64);
        }
        let bytes = client.query_bytes + client.queued_bytes();
        if bytes as u64 <= limit || client.flags.has(ClientFlags::PRIMARY) {
            return false;
        }
        self.state.stats.query_buffer_disconnections += 1;
        let hide = self.state.config.hide_user_data_from_log;
        let who = crate::commands::client::describe(client, hide);
        let line = format!("Closing client that reached max query buffer length: {who}");
        self.state.log(Level::Warning, &line);
        true
    }

    /// True when the client has logged in, or needs no login.
    #[must_use]
    pub fn is_authenticated(&self, id: ClientId) -> bool {
        self.state
            .clients
            .get(id)
            .is_some_and(|client| !self.state.needs_login(client))
    }

    /// Puts a client back whose buffers may have changed.
    pub(crate) fn put_back(&mut self, slot: u32, mut client: Box<Client>) {
        self.state.weigh(&mut client);
        self.state.clients.put_back(slot, client);
        self.state.evict_clients();
    }

    /// Something has failed an assertion while it dealt with this client's connection: the client is forgotten.
    pub fn recover(&mut self, slot: u32, id: ClientId, what: &str) {
        self.keys.ahead.forget();
        let Some(mut client) = self.state.clients.take(slot).filter(|c| c.id == id) else {
            return;
        };
        recovery::give_up(&mut self.keys, &mut self.state, &mut client, true, what);
        self.state.clients.put_back(slot, client);
        self.disconnect(slot);
    }
}
