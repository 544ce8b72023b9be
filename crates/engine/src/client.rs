//! What the engine knows of a connection: identity, protocol state, transaction, subscriptions, pending output.

use crate::blocking::Blocked;
use crate::host::Attention;
use crate::state::ServerState;
use acl::User;
use commandtable::CommandInfo;
use dataset::effects::DbKey;
use resp::{Protocol, Reply};
use std::sync::Arc;
use words::Words;

/// A client's number: never reused within a process.
pub type ClientId = u64;

/// Yes-or-no facts about a client, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClientFlags(u32);

impl ClientFlags {
    /// Between MULTI and EXEC.
    pub const MULTI: u32 = 1;
    /// A watched key has changed: EXEC will give null.
    pub const WATCH_BROKEN: u32 = 1 << 1;
    /// A command was refused while queueing: EXEC will be refused.
    pub const EXEC_REFUSED: u32 = 1 << 2;
    /// Its user may not do everything: see [`Client::bind`].
    pub const RESTRICTED: u32 = 1 << 3;
    /// A replica's connection, main or snapshot channel.
    pub const REPLICA: u32 = 1 << 4;
    /// The link to our primary.
    pub const PRIMARY: u32 = 1 << 5;
    /// MONITOR.
    pub const MONITOR: u32 = 1 << 6;
    /// Waits for a key, for replicas or for a pause to end.
    pub const BLOCKED: u32 = 1 << 7;
    /// To be closed once its output is written.
    pub const CLOSE_AFTER_REPLY: u32 = 1 << 8;
    /// To be closed now.
    pub const CLOSE_NOW: u32 = 1 << 9;
    /// CLIENT NO-EVICT ON.
    pub const NO_EVICT: u32 = 1 << 10;
    /// CLIENT NO-TOUCH ON.
    pub const NO_TOUCH: u32 = 1 << 11;
    /// Came in through the unix socket.
    pub const UNIX: u32 = 1 << 12;
    /// CLIENT REPLY OFF.
    pub const REPLY_OFF: u32 = 1 << 13;
    /// The reply of this command is dropped (CLIENT REPLY SKIP).
    pub const REPLY_SKIP: u32 = 1 << 14;
    /// CLIENT REPLY SKIP was said: the next command's reply is dropped.
    pub const REPLY_SKIP_NEXT: u32 = 1 << 15;
    /// Subscribed to something.
    pub const PUBSUB: u32 = 1 << 16;
    /// READONLY (cluster).
    pub const READONLY: u32 = 1 << 17;
    /// Held back by CLIENT PAUSE.
    pub const PAUSED: u32 = 1 << 18;
    /// A snapshot channel that is kept for the grace period.
    pub const PROTECTED: u32 = 1 << 19;
    /// CLIENT CAPA REDIRECT: follows redirections without cluster mode.
    pub const CAN_REDIRECT: u32 = 1 << 20;
    /// CLIENT TRACKING ON: see [`Client::tracking`].
    pub const TRACKING: u32 = 1 << 21;

    /// What its user restores is not looked through: see [`Client::bind`].
    pub const TRUSTED: u32 = 1 << 22;

    /// True when any of `bits` is set.
    #[inline]
    #[must_use]
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
    /// Sets `bits`.
    #[inline]
    pub fn set(&mut self, bits: u32) {
        self.0 |= bits;
    }
    /// Clears `bits`.
    #[inline]
    pub fn clear(&mut self, bits: u32) {
        self.0 &= !bits;
    }
    /// Sets or clears `bits`.
    pub fn put(&mut self, bits: u32, on: bool) {
        if on { self.set(bits) } else { self.clear(bits) }
    }
}

/// Commands queued by MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    /// What EXEC will run.
    pub queue: Vec<Queued>,
    /// Memory of all queued arguments, in bytes.
    pub arg_bytes: usize,
    /// Union of the flags of the queued commands.
    pub flags: commandtable::Flags,
    /// Flags that allow something, and that some queued command lacks.
    pub lacking: commandtable::Flags,
}

impl Transaction {
    /// Memory of what is queued, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.arg_bytes + self.queue.capacity() * size_of::<Queued>()
    }
}

/// One queued command.
#[derive(Debug)]
pub struct Queued {
    /// The command.
    pub command: &'static CommandInfo,
    /// Its arguments, name included.
    pub args: Words,
}

/// Memory of a name that a client watches, listens to or tracks, in bytes, with a table's entry for it.
pub(crate) fn name_bytes(name: &[u8]) -> usize {
    name.len() + 2 * size_of::<Box<[u8]>>()
}

/// What a client is subscribed to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// SUBSCRIBE.
    pub channels: hashbrown::HashSet<Box<[u8]>>,
    /// PSUBSCRIBE.
    pub patterns: hashbrown::HashSet<Box<[u8]>>,
    /// SSUBSCRIBE.
    pub shard_channels: hashbrown::HashSet<Box<[u8]>>,
}

impl Subscriptions {
    /// True when subscribed to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }
}

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `ip:port`, or `path:0` for a unix socket.
    pub addr: String,
    /// The local end in the same form.
    pub laddr: String,
    /// File descriptor number, for CLIENT LIST.
    pub fd: i32,
    /// Came in through the unix socket.
    pub unix: bool,
    /// Comes from this machine.
    pub loopback: bool,
}

/// A connection's logical state.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub id: ClientId,
    /// Where it comes from.
    pub peer: Peer,
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Vec<u8>,
    /// The selected database.
    pub db: usize,
    /// Yes-or-no facts.
    pub flags: ClientFlags,
    /// Who it is: a user as of its last change.
    pub user: Arc<User>,
    /// Logged in, or there was no need to when it connected.
    pub authenticated: bool,
    /// Output not yet taken by the connection.
    pub out: Reply,
    /// Output taken by the connection but not yet accepted by the kernel, in bytes.
    pub in_flight: usize,
    /// Since when the output has been over its soft limit, in monotonic milliseconds.
    pub over_soft_since_ms: Option<i64>,
    /// Bytes in the query buffer as of the last batch.
    pub query_bytes: usize,
    /// Bytes that count towards `maxmemory-clients` for it.
    pub(crate) weight: usize,
    /// MULTI.
    pub transaction: Option<Box<Transaction>>,
    /// WATCH: the keys.
    pub watching: hashbrown::HashSet<DbKey>,
    /// SUBSCRIBE and friends.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// CLIENT TRACKING.
    pub tracking: Option<Box<crate::tracking::Tracking>>,
    /// Memory of the keys it watches and the names it listens to and tracks, in bytes; see [`name_bytes`].
    pub(crate) names_bytes: usize,
    /// What it waits for.
    pub blocked: Option<Box<Blocked>>,
    /// Unix milliseconds when it connected.
    pub created_ms: i64,
    /// Unix milliseconds of its last request.
    pub last_interaction_ms: i64,
    /// The last command.
    pub last_command: Option<&'static CommandInfo>,
    /// Bytes received.
    pub net_in: u64,
    /// Bytes sent.
    pub net_out: u64,
    /// Commands run.
    pub commands: u64,
    /// Stream offset behind this client's last write; what WAIT waits for.
    pub write_offset: u64,
    /// Position of the append-only file there; what WAITAOF waits for.
    pub log_position: u64,
    /// How the connection is told that there is something to do.
    pub attention: Arc<Attention>,
}

impl Client {
    /// Somebody without a connection who may do everything: our primary, or a log that is being loaded.
    pub(crate) fn without_connection(now_ms: i64) -> Box<Self> {
        let peer = Peer {
            addr: String::new(),
            laddr: String::new(),
            fd: -1,
            unix: false,
            loopback: false,
        };
        let mut client = Box::new(Client::new(
            0,
            peer,
            &Arc::new(User::permissive_default()),
            Arc::new(Attention::default()),
            now_ms,
            Protocol::V2,
        ));
        client.authenticated = true;
        client
    }

    /// What it has just written has been handed on: that is what it waits for with WAIT and WAITAOF.
    pub(crate) fn has_written(&mut self, state: &ServerState) {
        self.write_offset = state.repl.offset();
        self.log_position = state.aof.position();
    }

    /// A fresh connection.
    #[must_use]
    pub fn new(
        id: ClientId,
        peer: Peer,
        user: &Arc<User>,
        attention: Arc<Attention>,
        now_ms: i64,
        protocol: Protocol,
    ) -> Self {
        let mut flags = ClientFlags::default();
        flags.put(ClientFlags::UNIX, peer.unix);
        let mut client = Client {
            id,
            peer,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            db: 0,
            flags,
            user: Arc::clone(user),
            authenticated: false,
            out: Reply::new(protocol),
            in_flight: 0,
            over_soft_since_ms: None,
            query_bytes: 0,
            weight: 0,
            transaction: None,
            watching: Default::default(),
            names_bytes: 0,
            subscriptions: None,
            tracking: None,
            blocked: None,
            created_ms: now_ms,
            last_interaction_ms: now_ms,
            last_command: None,
            net_in: 0,
            net_out: 0,
            commands: 0,
            write_offset: 0,
            log_position: 0,
            attention,
        };
        client.bind(user);
        client
    }

    /// From now on it is this user.
    pub fn bind(&mut self, user: &Arc<User>) {
        self.flags
            .put(ClientFlags::RESTRICTED, !user.may_everything());
        self.flags
            .put(ClientFlags::TRUSTED, !user.sanitizes_payload());
        self.user = Arc::clone(user);
    }

    /// Number of channels and patterns, as replies to SUBSCRIBE count them.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.subscriptions
            .as_ref()
            .map_or(0, |subs| subs.channels.len() + subs.patterns.len())
    }

    /// Its share of what `maxmemory-clients` limits, in bytes: 0 while that is off, and for those it does not concern.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Memory of the commands that MULTI has queued, in bytes.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.transaction.as_ref().map_or(0, |t| t.memory())
    }

    /// Bytes of output held for the client.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.out.len() + self.in_flight
    }

    /// Marks the client to be closed and tells its connection.
    pub fn close_now(&mut self) {
        self.flags.set(ClientFlags::CLOSE_NOW);
        self.attention.raise();
    }
}

/// All clients. The one whose batch is running is taken out for that time.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    free: Vec<u32>,
    slot_of: hashbrown::HashMap<ClientId, u32>,
    last_id: ClientId,
}

impl Clients {
    /// Number of clients, the running one included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slot_of.len()
    }

    /// True without clients.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slot_of.is_empty()
    }

    /// The number the next client gets.
    pub fn next_id(&mut self) -> ClientId {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a client; returns its slot, which stays the same as long as it lives.
    pub fn add(&mut self, client: Box<Client>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slot_of.insert(client.id, slot);
        self.slots[slot as usize] = Some(client);
        slot
    }

    /// Takes the client out of its slot while it runs.
    pub(crate) fn take(&mut self, slot: u32) -> Option<Box<Client>> {
        self.slots.get_mut(slot as usize)?.take()
    }

    /// Puts a client back into its slot.
    pub(crate) fn put_back(&mut self, slot: u32, client: Box<Client>) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(client);
        }
    }

    /// Forgets a client that has been taken out.
    pub(crate) fn release(&mut self, slot: u32, id: ClientId) {
        self.slot_of.remove(&id);
        self.free.push(slot);
    }

    /// The slot of a client.
    #[must_use]
    pub fn slot(&self, id: ClientId) -> Option<u32> {
        self.slot_of.get(&id).copied()
    }

    /// A client, unless it is the running one.
    #[must_use]
    pub fn get(&self, id: ClientId) -> Option<&Client> {
        self.slots[self.slot(id)? as usize].as_deref()
    }

    /// A client to change, unless it is the running one.
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let slot = self.slot(id)?;
        self.slots[slot as usize].as_deref_mut()
    }

    /// The ids of up to `count` clients, from slot `from` on, and the slot to go on from: 0 when all have been seen.
    pub(crate) fn some_from(&self, from: u32, count: usize) -> (Vec<ClientId>, u32) {
        let start = (from as usize).min(self.slots.len());
        let end = (start + count).min(self.slots.len());
        let ids = self.slots[start..end].iter().flatten();
        let next = if end == self.slots.len() { 0 } else { end };
        (ids.map(|client| client.id).collect(), next as u32)
    }

    /// All clients except the running one, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// All clients except the running one, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// Lets `write` add to a client's output and tells its connection. Nothing happens for the running client.
    pub fn deliver(&mut self, id: ClientId, write: impl FnOnce(&mut Reply)) {
        if let Some(client) = self.get_mut(id) {
            write(&mut client.out);
            client.attention.raise();
        }
    }
}
