//! The engine as the process drives it: connections come and go, batches of requests run, timers tick.

use crate::client::{Client, ClientFlags, ClientId, Peer};
use crate::core::{Core, DebugKnobs, LoadProgress, Loading, Saving};
use crate::dispatch::{self, Flow};
use crate::exec::Exec;
use crate::host::{Attention, Clock, Host, Level};
use crate::registry::Registry;
use crate::repl::Repl;
use commandtable::Error;
use commandtable::Meta;
use config::Config;
use dataset::Keys;
use resp::{Batch, Output, Protocol, ProtocolError, Reply};
use std::sync::Arc;

/// The server without its process.
pub struct Engine {
    /// The databases.
    pub keys: Keys,
    /// Everything else.
    pub core: Core,
}

/// What a connection does after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Read on.
    Continue,
    /// Run nothing more of this client until its attention is raised.
    Wait,
    /// Write what there is, then close.
    Close,
    /// Close at once: what is not written is dropped, since the peer may never read it.
    Drop,
}

/// What a connection reports with each call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Bytes read since the last call.
    pub received: usize,
    /// Bytes of requests held back, complete ones included.
    pub held: usize,
    /// Bytes of output that the kernel has not taken yet.
    pub unsent: usize,
}

/// How a batch went.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// Requests that have run; the others have to be offered again.
    pub done: usize,
    /// What next.
    pub then: Then,
    /// The client has logged in, or needs no login; with RESET it is logged out.
    pub authenticated: bool,
}

/// Most bytes of output a client that has not logged in may leave unread.
const UNAUTHENTICATED_OUTPUT_BYTES_MAX: usize = 1024;
/// Bytes of the stream given to a replica's connection at once.
const STREAM_BYTES_MAX: usize = 512 * 1024;
/// Pieces of the stream given to a replica's connection at once: what one vectored write takes.
const STREAM_SLICES_MAX: usize = 64;
/// Bytes of a reply that may grow before somebody looks at the client's limits.
const REPLY_BYTES_UNCHECKED: usize = 64 * 1024;
/// A batch ends early when so many bytes of output wait: they are to be on their way, or refused, before more are made.
const OUTPUT_BYTES_PER_BATCH: usize = 1024 * 1024;
/// Arguments that a batch has room for without a second allocation.
const ARGS_AT_FIRST: usize = 16;
/// Most bytes of query buffer before login.
const UNAUTHENTICATED_QUERY_BYTES_MAX: usize = 1024 * 1024;

impl Engine {
    /// An empty engine.
    pub fn new(config: Config, clock: Clock, mut host: Box<dyn Host>) -> Self {
        let seed = host.random_bytes();
        let mut state = dataset::Random::new(u64::from_le_bytes([
            seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
        ]));
        let keys_seed = keyspace::Rng::next_u64(&mut state);
        let mut pool = seed.to_vec();
        let mut counter = 0u64;
        let entropy: replication::Entropy = Box::new(move || {
            // A hash of secret, process-wide random bytes and a counter: unpredictable, and no system call under the lock.
            use sha1::Digest;
            counter += 1;
            pool.truncate(32);
            pool.extend_from_slice(&counter.to_le_bytes());
            sha1::Sha1::digest(&pool).into()
        });
        let startup_memory = host.used_memory();
        let now_us = (clock.unix_us)();
        let databases = usize::try_from(config.databases).unwrap_or(1);
        let repl = Repl::new(entropy, &config);
        let mut engine = Engine {
            keys: Keys::new(databases, keys_seed),
            core: Core {
                registry: Registry::get(),
                names: Default::default(),
                clients: Default::default(),
                stats: Default::default(),
                pubsub: Default::default(),
                client_bytes: 0,
                tracking: Default::default(),
                blocking: Default::default(),
                slowlog: Default::default(),
                acl_log: Default::default(),
                latency: Default::default(),
                monitors: Vec::new(),
                repl,
                http_logged_at: 0,
                pause: None,
                pauses: [None; 3],
                paused_clients: Default::default(),
                loading: Loading::No,
                load_progress: LoadProgress::default(),
                saving: Saving {
                    dirty_at_save: 0,
                    dirty_at_start: 0,
                    last_save_at: (now_us / 1_000_000) as i64,
                    last_try_at: 0,
                    last_ok: true,
                    last_seconds: -1,
                    saves: 0,
                    child: None,
                    scheduled: false,
                    last_cow_bytes: 0,
                    last_load_keys: (0, 0),
                    jobs: 0,
                    for_replicas: false,
                },
                migrations: Default::default(),
                debug: DebugKnobs {
                    active_expire: true,
                    pause_after_fork: false,
                    pause_cron: false,
                    avoid_resizing: false,
                    disable_deny_scripts: false,
                    skip_checksums: false,
                },
                shutdown: None,
                gate: false,
                evicting: false,
                now_ns: (clock.monotonic_ns)(),
                clock,
                startup_memory,
                cron_runs: 0,
                expire: Default::default(),
                config,
                host,
            },
        };
        engine.configure_all();
        engine
    }

    /// Takes over every parameter that is kept in another form somewhere.
    pub fn configure_all(&mut self) {
        crate::commands::config::take_over(&mut self.keys, &mut self.core);
        self.set_time();
        crate::cron::refresh_access_clock(&mut self.keys, &self.core);
    }

    pub(crate) fn set_time(&mut self) {
        let now_ms = ((self.core.clock.unix_us)() / 1000) as i64;
        self.keys.origin = crate::origin::timer(&self.core, now_ms);
        self.core.now_ns = (self.core.clock.monotonic_ns)();
        self.core.repl.now_ms = self.core.now_ns / 1_000_000;
    }

    // ---- connections --------------------------------------------------------------------------------------------------

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
        self.core.stats.connections += 1;
        if self.core.is_verbose() {
            let line = match peer.addr.strip_suffix(":0").filter(|_| peer.unix) {
                Some(path) => format!("Accepted connection to {path}"),
                None => format!("Accepted {}", peer.addr),
            };
            self.core.log(Level::Verbose, &line);
        }
        if self.core.clients.len() >= self.core.config.maxclients as usize {
            self.core.stats.rejected_connections += 1;
            return Err(Error::MAX_CLIENTS);
        }
        let no_password = self.core.config.requirepass.as_bytes().is_empty();
        if self.core.config.protected_mode && no_password && !peer.unix && !peer.loopback {
            self.core.stats.rejected_connections += 1;
            return Err(Error::PROTECTED);
        }
        let id = self.core.clients.next_id();
        let protocol = if self.core.config.client_default_resp == 3 {
            Protocol::V3
        } else {
            Protocol::V2
        };
        let mut client = Box::new(Client::new(
            id,
            peer,
            attention,
            self.keys.origin.now_ms,
            protocol,
        ));
        client.authenticated = no_password;
        Ok((self.core.clients.add(client), id))
    }

    /// The peer has closed the connection, which is about to end: tells the log.
    pub fn peer_left(&self, id: ClientId) {
        if self.core.is_verbose()
            && let Some(client) = self.core.clients.get(id)
        {
            let shown =
                crate::commands::client::describe(client, self.core.config.hide_user_data_from_log);
            self.core
                .log(Level::Verbose, &format!("Client closed connection {shown}"));
        }
    }

    /// A connection has ended. Its client is forgotten, whatever it was doing.
    pub fn disconnect(&mut self, slot: u32) {
        self.set_time();
        let Some(mut client) = self.core.clients.take(slot) else {
            return;
        };
        let closed = self
            .core
            .repl
            .with_hub(|hub, env| hub.client_closed(env, replication::ClientId(client.id)));
        self.release_state(&mut client);
        self.core.forget_weight(&mut client);
        if closed == replication::primary::Closed::Protected {
            client.flags.clear(ClientFlags::CLOSE_AFTER_REPLY);
            client
                .flags
                .set(ClientFlags::PROTECTED | ClientFlags::CLOSE_NOW);
            self.core.clients.put_back(slot, client);
        } else {
            self.core.clients.release(slot, client.id);
        }
        crate::repl::pump(&mut self.keys, &mut self.core);
    }

    /// Takes a client out of everything it is registered in.
    fn release_state(&mut self, client: &mut Client) {
        dispatch::unregister_blocked(&mut self.keys, &mut self.core, client);
        crate::commands::pubsub::forget(&mut self.core, client);
        crate::tracking::disable(&mut self.keys, &mut self.core.tracking, client);
        crate::commands::transactions::unwatch_all(&mut self.keys, client);
        let id = client.id;
        if client.flags.has(ClientFlags::MONITOR) {
            self.core.monitors.retain(|monitor| *monitor != id);
        }
        if client.flags.has(ClientFlags::PAUSED) {
            self.core.paused_clients.remove(&id);
        }
    }

    // ---- requests -------------------------------------------------------------------------------------------------------

    /// Runs the requests of one client, from number `from` on.
    ///
    /// `buffer` is what the requests point into. `scratch` is an empty buffer to reply into; afterwards it holds all
    /// output of the client that has not been taken yet. It counts as written: what the kernel does not take at once is
    /// told with the next call.
    pub fn run(
        &mut self,
        slot: u32,
        batch: &Batch,
        from: usize,
        buffer: &[u8],
        io: Traffic,
        scratch: &mut Output,
    ) -> Ran {
        let Some(mut client) = self.core.clients.take(slot) else {
            return Ran {
                done: batch.len(),
                then: Then::Close,
                authenticated: false,
            };
        };
        self.set_time();
        self.core.stats.reads += 1;
        self.core.stats.net_in += io.received as u64;
        client.net_in += io.received as u64;
        client.in_flight = io.unsent;
        client.last_interaction_ms = self.keys.origin.now_ms;
        client.query_bytes = io.held;
        let processed = self.core.stats.processed;
        let base_ns = self.core.now_ns;
        let base_ms = self.keys.origin.now_ms;
        let mut out = Reply::with_output(std::mem::take(scratch), client.out.protocol);
        if !client.out.is_empty() {
            out.output_mut().append(client.out.output_mut());
        }
        let mut done = from;
        let mut then = Then::Continue;
        // Requests from `look_from` up to `looked` have been looked at.
        let (mut look_from, mut looked) = (from, from);
        let mut args: Vec<&[u8]> = Vec::with_capacity(ARGS_AT_FIRST);
        if !client.flags.has(
            ClientFlags::BLOCKED
                | ClientFlags::PAUSED
                | ClientFlags::CLOSE_NOW
                | ClientFlags::CLOSE_AFTER_REPLY,
        ) {
            while done < batch.len() {
                if done == looked {
                    look_from = done;
                    looked = self.keys.ahead.look(
                        &self.keys.dbs[client.db],
                        &self.core.names,
                        batch,
                        buffer,
                        done,
                    );
                }
                let known = self.keys.ahead.begin(done - look_from);
                let spans = batch.request(done);
                if spans.is_empty() {
                    // An empty line: from a replica a sign of life, from anybody else nothing.
                    if client.flags.has(ClientFlags::REPLICA) {
                        self.core.repl.with_hub(|hub, env| {
                            hub.newline(env, replication::ClientId(client.id))
                        });
                    }
                    done += 1;
                    continue;
                }
                args.clear();
                args.extend(spans.iter().map(|span| batch.bytes(buffer, *span)));
                self.keys.origin.now_ms =
                    base_ms + (self.core.now_ns.saturating_sub(base_ns) / 1_000_000) as i64;
                match self.run_one(&mut client, &mut out, &args, known) {
                    Flow::Done => done += 1,
                    Flow::Waits => {
                        done += 1;
                        then = Then::Wait;
                        break;
                    }
                    Flow::Postponed => {
                        client.flags.set(ClientFlags::PAUSED);
                        self.core.paused_clients.insert(client.id);
                        then = Then::Wait;
                        break;
                    }
                }
                if client
                    .flags
                    .has(ClientFlags::CLOSE_NOW | ClientFlags::CLOSE_AFTER_REPLY)
                    || out.len() > OUTPUT_BYTES_PER_BATCH
                {
                    break;
                }
            }
        } else if client.flags.has(ClientFlags::BLOCKED | ClientFlags::PAUSED) {
            then = Then::Wait;
        }
        if client.flags.has(ClientFlags::MULTI) && self.asks_too_much(&client) {
            client.flags.set(ClientFlags::CLOSE_NOW);
        }
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            then = Then::Drop;
        } else if client.flags.has(ClientFlags::CLOSE_AFTER_REPLY) {
            then = Then::Close;
        }
        self.keys.ahead.forget();
        crate::tracking::turn_done(&mut self.core, Some((&mut *client, &mut out)));
        client.out.protocol = out.protocol;
        *scratch = out.into_output();
        self.hand_over(&mut client, scratch, &mut then);
        self.core.loop_turn(base_ns, processed);
        let authenticated = client.authenticated;
        self.put_back(slot, client);
        Ran {
            done,
            then,
            authenticated,
        }
    }

    /// Puts a client back whose buffers may have changed.
    fn put_back(&mut self, slot: u32, mut client: Box<Client>) {
        self.core.weigh(&mut client);
        self.core.clients.put_back(slot, client);
        self.core.evict_clients();
    }

    /// Counts output as written and checks the client's limits.
    fn hand_over(&mut self, client: &mut Client, output: &mut Output, then: &mut Then) {
        let bytes = output.len();
        if bytes == 0 {
            return;
        }
        if self.check_output(client, bytes, then) {
            // Nothing of it goes out: half a reply would be no use.
            output.clear();
            return;
        }
        self.core.stats.writes += 1;
        self.core.stats.net_out += bytes as u64;
        client.net_out += bytes as u64;
    }

    #[inline]
    fn run_one(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        args: &[&[u8]],
        known: Option<&'static Meta>,
    ) -> Flow {
        self.keys.origin = crate::origin::client(&self.core, client, self.keys.origin.now_ms);
        let quiet = client
            .flags
            .has(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT);
        let mark = out.len();
        if quiet {
            let skip = client.flags.has(ClientFlags::REPLY_SKIP_NEXT);
            client.flags.put(ClientFlags::REPLY_SKIP, skip);
            client.flags.clear(ClientFlags::REPLY_SKIP_NEXT);
        }
        let meta = &commandtable::COMMANDS[0];
        let mut x = Exec {
            keys: &mut self.keys,
            core: &mut self.core,
            client,
            out,
            meta,
            waits: false,
        };
        let was_replica = x.client.flags.has(ClientFlags::REPLICA);
        let flow = dispatch::process(&mut x, args, known);
        if was_replica && out.len() > mark {
            self.drop_talking_replica(client, args);
            out.truncate(mark);
        }
        if quiet && flow != Flow::Waits {
            dispatch::keep_quiet(client, out, mark);
        }
        if client.flags.has(ClientFlags::TRACKING) {
            crate::tracking::command_done(client, args);
        }
        flow
    }

    /// A replica's connection carries the stream: a reply in its midst would end it badly, so the connection ends well.
    #[cold]
    fn drop_talking_replica(&mut self, client: &mut Client, args: &[&[u8]]) {
        let command = args
            .first()
            .map(|name| String::from_utf8_lossy(name))
            .unwrap_or_default();
        let who =
            crate::commands::client::describe(client, self.core.config.hide_user_data_from_log);
        let line =
            format!("Replica generated a reply to command '{command}', disconnecting it: {who}");
        self.core.log(Level::Warning, &line);
        client.flags.set(ClientFlags::CLOSE_NOW);
    }

    /// The peer has violated the protocol: adds the error to its output and marks it to be closed. To a replica nothing is
    /// said: it would take that for a part of its stream or, with a child writing to the same connection, of its snapshot.
    pub fn protocol_error(&mut self, slot: u32, error: ProtocolError) {
        let Some(client) = self.core.clients.take(slot) else {
            return;
        };
        let mut client = client;
        self.core.stats.count_error("ERR");
        if !client.flags.has(ClientFlags::REPLICA) {
            client
                .out
                .error(&[b"ERR ", error.reply().as_slice()].concat());
        }
        if self.core.is_verbose() {
            let hide = self.core.config.hide_user_data_from_log;
            let client = crate::commands::client::describe(&client, hide);
            self.core.log(Level::Verbose, &error.log_line(&client));
        }
        client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
        self.core.clients.put_back(slot, client);
    }

    /// Takes the output that others have caused; tells what the connection is to do.
    pub fn take_output(&mut self, slot: u32, io: Traffic, scratch: &mut Output) -> Then {
        let Some(mut client) = self.core.clients.take(slot) else {
            return Then::Close;
        };
        let mut then = Then::Continue;
        client.in_flight = io.unsent;
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            then = Then::Drop;
        } else {
            scratch.clear();
            std::mem::swap(scratch, client.out.output_mut());
            if client.flags.has(ClientFlags::CLOSE_AFTER_REPLY) {
                then = Then::Close;
            } else if client.flags.has(ClientFlags::BLOCKED | ClientFlags::PAUSED) {
                then = Then::Wait;
            }
            self.hand_over(&mut client, scratch, &mut then);
        }
        self.put_back(slot, client);
        then
    }

    /// The kernel did not take all of a client's output: `unsent` bytes are left in the connection's hands.
    pub fn unsent(&mut self, slot: u32, unsent: usize) {
        if let Some(mut client) = self.core.clients.take(slot) {
            client.in_flight = unsent;
            self.put_back(slot, client);
        }
    }

    /// `held` bytes of the client's requests wait for more. Checks `client-query-buffer-limit`.
    pub fn check_query_buffer(&mut self, slot: u32, held: usize) -> Then {
        let Some(mut client) = self.core.clients.take(slot) else {
            return Then::Close;
        };
        client.query_bytes = held;
        let then = if self.asks_too_much(&client) {
            Then::Close
        } else {
            Then::Continue
        };
        self.put_back(slot, client);
        then
    }

    /// True when a client's requests, those that MULTI has queued included, take more than `client-query-buffer-limit`.
    fn asks_too_much(&mut self, client: &Client) -> bool {
        let mut limit = self.core.config.client_query_buffer_limit;
        if !client.authenticated {
            limit = limit.min(UNAUTHENTICATED_QUERY_BYTES_MAX as u64);
        }
        let bytes = client.query_bytes + client.queued_bytes();
        if bytes as u64 <= limit || client.flags.has(ClientFlags::PRIMARY) {
            return false;
        }
        self.core.stats.query_buffer_disconnections += 1;
        let hide = self.core.config.hide_user_data_from_log;
        let who = crate::commands::client::describe(client, hide);
        let line = format!("Closing client that reached max query buffer length: {who}");
        self.core.log(Level::Warning, &line);
        true
    }

    /// True when the client has logged in, or needs no login.
    #[must_use]
    pub fn is_authenticated(&self, id: ClientId) -> bool {
        self.core
            .clients
            .get(id)
            .is_some_and(|client| client.authenticated)
    }

    /// A handler has failed an assertion while this client's batch ran: forgets the client, counts it.
    pub fn recover(&mut self, slot: u32, id: ClientId, what: &str) {
        self.core.stats.panics_caught += 1;
        self.keys.ahead.forget();
        self.core.log(
            Level::Warning,
            &format!("A command handler failed an assertion: {what}"),
        );
        if self.core.clients.take(slot).is_some() || self.core.clients.slot(id).is_some() {
            self.core.clients.release(slot, id);
        }
    }

    // ---- replicas -------------------------------------------------------------------------------------------------------

    /// True for the connection of a replica, which is fed from the stream.
    #[must_use]
    pub fn is_replica(&self, id: ClientId) -> bool {
        self.core.repl.hub.is_replica(replication::ClientId(id))
    }

    /// The kernel has taken `sent` bytes of the stream; what comes next is added to `slices`. Returns how many bytes.
    pub fn stream(
        &mut self,
        id: ClientId,
        sent: usize,
        slices: &mut Vec<replication::Slice>,
    ) -> usize {
        let client = replication::ClientId(id);
        self.core.repl.hub.sent(client, sent as u64);
        self.core.stats.net_repl_out += sent as u64;
        self.core
            .repl
            .hub
            .read(client, STREAM_BYTES_MAX, STREAM_SLICES_MAX, slices)
    }

    /// A replica's connection has taken `bytes` more of the dump file.
    pub fn dump_taken(&mut self, bytes: u64) {
        self.core.stats.net_repl_out += bytes;
    }

    /// The dump file has been written to a replica's connection.
    pub fn dump_sent(&mut self, id: ClientId) {
        self.set_time();
        self.core
            .repl
            .with_hub(|hub, env| hub.file_sent(env, replication::ClientId(id)));
        crate::repl::pump(&mut self.keys, &mut self.core);
    }

    /// The snapshot child has given up one of the connections it writes to; the others go on.
    pub fn snapshot_receiver_failed(&mut self, id: ClientId, timed_out: bool) {
        self.set_time();
        if let Some(job) = self.core.saving.child.as_ref().and_then(|c| c.replication) {
            let (job, client) = (replication::primary::JobId(job), replication::ClientId(id));
            self.core
                .repl
                .with_hub(|hub, env| hub.snapshot_target_failed(env, job, client, timed_out));
            crate::repl::pump(&mut self.keys, &mut self.core);
        }
    }

    /// The snapshot child tells how far it is.
    pub fn snapshot_progress(&mut self, report: crate::host::ChildReport) {
        self.set_time();
        crate::saving::progress(&self.keys, &mut self.core, report);
    }

    /// The snapshot child has ended.
    pub fn snapshot_finished(&mut self, end: crate::host::SnapshotEnd) {
        self.set_time();
        crate::saving::finished(&mut self.keys, &mut self.core, end);
        dispatch::settle_engine(&mut self.keys, &mut self.core);
        crate::repl::pump(&mut self.keys, &mut self.core);
    }

    /// There is room for a copy now. It comes back if nobody wants it any more.
    #[must_use]
    pub fn copy_prepared(
        &mut self,
        number: u64,
        room: keyspace::copying::Copying,
    ) -> Option<keyspace::copying::Copying> {
        self.keys.copies.prepared(number, room)
    }

    /// Keys have been brought to another server, or not.
    pub fn delivered(&mut self, id: u64, delivery: crate::migration::Delivery) {
        self.set_time();
        crate::migration::delivered(&mut self.keys, &mut self.core, id, delivery);
        dispatch::settle_engine(&mut self.keys, &mut self.core);
        crate::repl::pump(&mut self.keys, &mut self.core);
    }

    // ---- the dataset ----------------------------------------------------------------------------------------------------

    /// Opens the dump file and refuses most commands until [`Self::finish_load`]. `None` when there is no file.
    ///
    /// # Errors
    /// The file cannot be opened.
    #[expect(clippy::type_complexity, reason = "a source and how to read it")]
    pub fn begin_load(
        &mut self,
    ) -> Result<
        Option<(
            Box<dyn std::io::Read + Send>,
            dataset::snapshot::LoadOptions,
        )>,
        crate::host::HostError,
    > {
        self.set_time();
        let Some(source) = self.core.host.open_dump()? else {
            return Ok(None);
        };
        self.core.loading = Loading::Blocking;
        self.core.load_progress = LoadProgress {
            started_at: self.keys.origin.now_ms / 1000,
            ..LoadProgress::default()
        };
        self.core.refresh_gate();
        let options = self.load_options(self.core.config.replicaof.is_some());
        Ok(Some((source, options)))
    }

    /// How a dataset is to be loaded now.
    #[must_use]
    pub fn load_options(&self, keep_expired: bool) -> dataset::snapshot::LoadOptions {
        dataset::snapshot::LoadOptions {
            keep_expired,
            ..crate::saving::load_options(&self.keys, &self.core)
        }
    }

    /// Puts the loaded dataset in place.
    pub fn finish_load(&mut self, loaded: dataset::snapshot::Loaded) {
        self.set_time();
        self.core.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
        let restored = loaded.replication.as_ref().and_then(|aux| {
            Some((
                replication::ReplId::parse(aux.replid.as_bytes())?,
                aux.offset,
                aux.stream_db,
            ))
        });
        let old = std::mem::replace(&mut self.keys.dbs, loaded.dbs);
        self.keys.functions = loaded.functions.into();
        self.core.host.free_databases(old, false);
        self.core.loading = Loading::No;
        self.core.saving.dirty_at_save = self.keys.dirty;
        self.core.refresh_gate();
        self.start_role(restored);
        // Who continues the snapshot's history still has the keys that were dropped. One by one, as they were many.
        for (db, key) in &loaded.expired {
            self.keys.propagate_expired(*db, key);
            dispatch::feed_each(&mut self.keys, &mut self.core);
        }
    }

    /// Takes up the configured role, with the identity that the dataset carried.
    pub fn start_role(&mut self, restored: Option<(replication::ReplId, u64, i64)>) {
        if self.core.config.replicaof.is_some() {
            crate::link::follow_at_start(&mut self.keys, &mut self.core, restored);
        } else if let Some((replid, offset, _)) = restored {
            self.core
                .repl
                .with_hub(|hub, env| hub.restore(env, replid, offset));
        }
        crate::repl::pump(&mut self.keys, &mut self.core);
    }

    /// SIGTERM or SIGINT has come.
    pub fn shutdown(&mut self, options: crate::shutdown::Options) {
        self.set_time();
        crate::shutdown::begin(&mut self.keys, &mut self.core, options, None);
    }

    /// Closes a client whose output has grown past its limits; true when it did.
    fn check_output(&mut self, client: &mut Client, fresh: usize, then: &mut Then) -> bool {
        let bytes = client.output_bytes() + fresh;
        if bytes <= UNAUTHENTICATED_OUTPUT_BYTES_MAX || client.flags.has(ClientFlags::REPLICA) {
            return false;
        }
        let limit = self.core.output_limit(client);
        let now_ms = (self.core.now_ns / 1_000_000) as i64;
        let mut over = limit.hard_bytes > 0 && bytes as u64 > limit.hard_bytes;
        if limit.soft_bytes > 0 && bytes as u64 > limit.soft_bytes {
            let since = *client.over_soft_since_ms.get_or_insert(now_ms);
            over |= now_ms - since > i64::from(limit.soft_seconds) * 1000;
        } else {
            client.over_soft_since_ms = None;
        }
        over |= !client.authenticated && client.in_flight > 16 * UNAUTHENTICATED_OUTPUT_BYTES_MAX;
        if over {
            self.core.close_for_output(client);
            *then = Then::Drop;
        }
        over
    }

    /// As the periodic check: closes clients whose output has been too large for too long.
    pub(crate) fn check_all_outputs(&mut self) {
        let ids: Vec<u32> = self
            .core
            .clients
            .iter()
            .filter(|client| client.output_bytes() > UNAUTHENTICATED_OUTPUT_BYTES_MAX)
            .filter_map(|client| self.core.clients.slot(client.id))
            .collect();
        for slot in ids {
            if let Some(mut client) = self.core.clients.take(slot) {
                let mut then = Then::Continue;
                self.check_output(&mut client, 0, &mut then);
                if then == Then::Drop {
                    client.attention.raise();
                }
                self.core.clients.put_back(slot, client);
            }
        }
    }
}

impl Core {
    /// The limits on the output of a client that is no replica.
    fn output_limit(&self, client: &Client) -> config::OutputLimit {
        let limits = &self.config.client_output_buffer_limit;
        if client.flags.has(ClientFlags::PUBSUB) {
            limits.pubsub
        } else {
            limits.normal
        }
    }

    /// A client's output is too large: it is to be closed, once what runs has ended.
    fn close_for_output(&mut self, client: &mut Client) {
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            return;
        }
        self.stats.output_buffer_disconnections += 1;
        let hide = self.config.hide_user_data_from_log;
        let who = crate::commands::client::describe(client, hide);
        let line = format!(
            "Client {who} scheduled to be closed ASAP for overcoming of output buffer limits."
        );
        self.log(Level::Warning, &line);
        client.flags.set(ClientFlags::CLOSE_NOW);
    }

    /// While a reply grows: true when it is so long that the client is closed for it, of which nothing goes out any more.
    ///
    /// `bytes_max` bounds the replies of clients that have no limit.
    #[inline]
    pub(crate) fn refuses_reply(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        bytes_max: usize,
    ) -> bool {
        out.len() > REPLY_BYTES_UNCHECKED && self.refuses_long_reply(client, out, bytes_max)
    }

    #[cold]
    fn refuses_long_reply(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        bytes_max: usize,
    ) -> bool {
        let too_long = out.len() > self.reply_bytes_max(client).min(bytes_max);
        if too_long {
            self.refuse_reply(client, out);
        }
        too_long
    }

    /// Bytes of output that the client may have now before it is closed.
    #[inline]
    pub(crate) fn reply_bytes_max(&self, client: &Client) -> usize {
        match self.output_limit(client).hard_bytes {
            0 => usize::MAX,
            hard => usize::try_from(hard)
                .unwrap_or(usize::MAX)
                .saturating_sub(client.in_flight),
        }
    }

    /// The reply has got too long: the client is to be closed, and nothing of it goes out any more.
    #[cold]
    pub(crate) fn refuse_reply(&mut self, client: &mut Client, out: &mut Reply) {
        // For the log: nothing of it was handed over.
        client.in_flight = client.in_flight.saturating_add(out.len());
        self.close_for_output(client);
        out.take_back_all();
    }
}

/// Forgets a snapshot channel whose grace period is over.
pub(crate) fn forget_protected(core: &mut Core, id: ClientId) {
    if let Some(slot) = core.clients.slot(id)
        && core
            .clients
            .get(id)
            .is_some_and(|client| client.flags.has(ClientFlags::PROTECTED))
        && core.clients.take(slot).is_some()
    {
        core.clients.release(slot, id);
    }
}
