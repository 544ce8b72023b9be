//! The link to our primary, as the engine sees it: what arrives is applied here, what is to be sent goes to the process.

use crate::client::{Client, ClientFlags, ClientId, Peer};
use crate::dispatch;
use crate::engine::Engine;
use crate::exec::Exec;
use crate::host::{Crash, Level, LinkCommand};
use crate::state::{LoadProgress, Loading, ServerState};
use config::{
    Config, PropagationErrorBehavior, RefuseEmptyPrimary, ReplCompression, ReplDisklessLoad,
    quote_into,
};
use dataset::Keys;
use dataset::snapshot::{LoadOptions, Loaded};
use replication::replica::{
    self, Action, Conn, Drain, Env, Link, LoadId, LoadMode, Numbers, Purpose, Routing,
};
use resp::{Batch, Decoder, Protocol, Reply, Violation};
use smallvec::SmallVec;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What we do towards our primary.
pub struct LinkSide {
    /// The state machine.
    pub link: Link,
    /// Its parameters, kept in step with [`Config`].
    pub config: replica::Config,
    /// The database selected in the stream.
    pub stream_db: u32,
    /// The primary as a client of ours: it runs the commands of the stream.
    client: Box<Client>,
    decoder: Decoder,
    /// Stream bytes that make no whole command yet; in front of them the command whose script is busy, if one is, and all that
    /// has come behind it.
    buffer: Vec<u8>,
    /// Bytes of that command; 0 without one.
    parked_bytes: usize,
    /// Bytes of whole commands inside an open transaction: they count as applied once it ends.
    unapplied: Vec<u8>,
    /// A dataset that has been loaded and waits to be swapped in.
    loaded: Option<Loaded>,
    draining: bool,
    /// The snapshot under way goes straight into the parser.
    parsing: bool,
    /// The data are those of a snapshot, since when the link has not been up.
    adopted: bool,
}

impl LinkSide {
    fn new(config: &Config, numbers: Numbers, now_ms: i64) -> Self {
        let mut client = Client::without_connection(now_ms);
        client.flags.set(ClientFlags::PRIMARY);
        let mut decoder = Decoder::default();
        decoder.authenticated = true;
        let mut side = LinkSide {
            link: Link::succeeding(numbers),
            config: replica::Config::default(),
            stream_db: 0,
            client,
            decoder,
            buffer: Vec::new(),
            parked_bytes: 0,
            unapplied: Vec::new(),
            loaded: None,
            draining: false,
            parsing: false,
            adopted: false,
        };
        side.configure(config);
        side
    }

    /// True when the stream flows.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// The primary as a client, while there is a stream to run.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        self.link.is_up().then_some(&*self.client)
    }

    /// Takes over parameters.
    pub fn configure(&mut self, config: &Config) {
        let port = if config.replica_announce_port > 0 {
            config.replica_announce_port
        } else if config.tls_replication {
            config.tls_port
        } else {
            config.port
        };
        let password = config.primaryauth.as_bytes();
        self.config = replica::Config {
            announced_port: u16::try_from(port).unwrap_or(0),
            announced_ip: config.replica_announce_ip.lossy().into_owned(),
            user: config.primaryuser.as_bytes().to_vec(),
            password: (!password.is_empty()).then(|| password.to_vec()),
            timeout_seconds: u64::from(config.repl_timeout.unsigned_abs()),
            dual_channel: config.dual_channel_replication_enabled,
            load_mode: match config.repl_diskless_load {
                ReplDisklessLoad::Disabled => LoadMode::Disabled,
                ReplDisklessLoad::OnEmptyDb => LoadMode::OnEmptyDb,
                ReplDisklessLoad::Swapdb => LoadMode::SwapDb,
            },
            buffer_bytes_max: config.client_output_buffer_limit.replica.hard_bytes,
            backlog_bytes: config.repl_backlog_size.unsigned_abs(),
            spill_bytes_max: spill_bytes_max(config),
            compression: config.repl_compression == ReplCompression::Lz4,
            serve_stale: config.replica_serve_stale_data,
            refuse_empty_primary: match config.replica_refuse_empty_primary {
                RefuseEmptyPrimary::Yes => true,
                RefuseEmptyPrimary::No => false,
                RefuseEmptyPrimary::Auto => config.appendonly || !config.save.rules().is_empty(),
            },
        };
    }

    /// Forgets what is left of a stream that has ended.
    fn reset_stream(&mut self) {
        self.buffer.clear();
        self.parked_bytes = 0;
        self.unapplied.clear();
        self.decoder = Decoder::default();
        self.decoder.authenticated = true;
        self.client
            .flags
            .clear(ClientFlags::MULTI | ClientFlags::EXEC_REFUSED | ClientFlags::WATCH_BROKEN);
        self.client.transaction = None;
    }
}

/// What may be buffered in a file, in bytes: as configured, or a share of what may be in memory.
fn spill_bytes_max(config: &Config) -> u64 {
    let memory = config.client_output_buffer_limit.replica.hard_bytes;
    match config.replica_sync_buffer_spill_max {
        percent @ ..0 => {
            let bytes = u128::from(memory) * u128::from(percent.unsigned_abs()) / 100;
            u64::try_from(bytes).unwrap_or(u64::MAX)
        }
        bytes => bytes.unsigned_abs(),
    }
}

/// What became of received bytes.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Bytes done with.
    pub used: usize,
    /// Runs of them that belong to the snapshot: to be given to its sink, then [`Engine::link_payload_taken`].
    pub payload: Option<Range<usize>>,
    /// Runs of them to append to the file behind the buffer, or to [`Engine::link_spill_failed`].
    pub spill: Option<Range<usize>>,
    /// The rest has to wait for [`LinkCommand::Resume`].
    pub hold: bool,
}

/// Calls the link with everything it has to know.
fn with_link<R>(
    keys: &Keys,
    state: &mut ServerState,
    call: impl FnOnce(&mut Link, &Env<'_>) -> R,
) -> Option<R> {
    let keyspace_empty = keys.dbs.iter().all(|db| db.is_empty()) && state.scripting.counts().0 == 0;
    let now_ms = state.repl.now_ms;
    let aof_offset = crate::aof::synced_offset(state);
    let side = state.repl.link.as_mut()?;
    let env = Env {
        config: &side.config,
        now_ms,
        keyspace_empty,
        aof_offset,
    };
    Some(call(&mut side.link, &env))
}

impl Engine {
    /// A connection is established.
    pub fn link_connected(&mut self, conn: Conn, addr: String, laddr: String, fd: i32) {
        self.set_time();
        if let Some(side) = &mut self.state.repl.link
            && conn.channel == replica::Channel::Main
        {
            side.client.peer = Peer {
                addr,
                laddr,
                fd,
                unix: false,
                loopback: false,
            };
            side.client.created_ms = self.keys.origin.now_ms;
            side.client.last_command = None;
        }
        with_link(&self.keys, &mut self.state, |link, env| {
            link.connected(env, conn)
        });
        self.settle();
    }

    /// A connection could not be made, or has ended.
    pub fn link_closed(&mut self, conn: Conn, error: &str) {
        if crate::scripting::busy::keeps_closed(&mut self.state, conn, error) {
            return;
        }
        self.set_time();
        closed(&self.keys, &mut self.state, conn, error);
        self.settle();
    }

    /// Bytes have come. Takes a first run of them; to be called again with the rest.
    pub fn link_received(&mut self, conn: Conn, data: &[u8]) -> Received {
        if crate::scripting::busy::holds(&mut self.state, conn) {
            return Received {
                hold: true,
                ..Received::default()
            };
        }
        self.set_time();
        let Some(taken) = with_link(&self.keys, &mut self.state, |link, env| {
            link.bytes(env, conn, data)
        }) else {
            return Received {
                used: data.len(),
                ..Received::default()
            };
        };
        // The handshake is no part of what is replicated.
        if !matches!(taken.routing, Routing::Control | Routing::Stale) {
            self.state.stats.net_repl_in += taken.used as u64;
        }
        let mut received = Received {
            used: taken.used,
            ..Received::default()
        };
        match taken.routing {
            Routing::Payload => received.payload = Some(0..taken.used),
            Routing::Stream => {
                let stream = &data[..taken.used];
                apply(&mut self.keys, &mut self.state, stream);
            }
            Routing::Hold => received.hold = true,
            Routing::Spill => received.spill = Some(0..taken.used),
            Routing::Control | Routing::Header | Routing::Buffered | Routing::Stale => {}
        }
        self.settle();
        received
    }

    /// The sink has the payload that [`Self::link_received`] told of.
    pub fn link_payload_taken(&mut self) {
        with_link(&self.keys, &mut self.state, |link, env| {
            link.payload_taken(env)
        });
        self.settle();
    }

    /// How to load the payload that is coming.
    #[must_use]
    pub fn link_load_options(&self) -> LoadOptions {
        self.load_options(true)
    }

    /// A snapshot has been loaded, or could not be.
    pub fn link_loaded(&mut self, load: LoadId, result: Result<Loaded, String>) {
        self.set_time();
        let side = self.state.repl.link.as_ref();
        if !side.is_some_and(|side| side.link.is_receiving(load)) {
            // Called off, and the thread was late to see it: by now there may be another load under way.
            if let Ok(unused) = result {
                self.state.host.free_databases(unused.dbs, false);
            }
            return;
        }
        crate::scripting::busy::give_up(&mut self.keys, &mut self.state);
        let result = result.and_then(|loaded| {
            crate::scripting::libraries::check(&mut self.state, &loaded.functions)?;
            Ok(loaded)
        });
        let loaded_well = result.is_ok();
        let outcome = match result {
            Ok(loaded) => {
                self.state.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
                let aux_db = loaded
                    .replication
                    .as_ref()
                    .and_then(|aux| u32::try_from(aux.stream_db).ok());
                let is_empty = loaded.keys_loaded + loaded.keys_expired == 0;
                if let Some(side) = &mut self.state.repl.link {
                    side.loaded = Some(loaded);
                }
                replica::Loaded::Ok {
                    stream_db: aux_db,
                    is_empty,
                }
            }
            Err(error) => replica::Loaded::Failed(error),
        };
        if !loaded_well {
            self.state.loading = Loading::No;
        }
        with_link(&self.keys, &mut self.state, |link, env| {
            link.load_finished(env, load, outcome)
        });
        pump(&mut self.keys, &mut self.state);
        self.state.refresh_gate();
        self.settle();
    }

    /// Bytes that [`Self::link_received`] wanted in the file behind the buffer could not be written. They are to be kept.
    pub fn link_spill_failed(&mut self, conn: Conn, count: u64, error: &str) {
        self.state.stats.net_repl_in -= count;
        with_link(&self.keys, &mut self.state, |link, _| {
            link.spill_failed(conn, count, error)
        });
        self.settle();
    }

    /// Applies one more piece of the locally buffered stream.
    pub fn link_drain(&mut self) -> DrainStep {
        self.set_time();
        let Some(side) = &self.state.repl.link else {
            return DrainStep::Done;
        };
        // A script that is busy has the rest drained when it ends.
        if !side.draining || self.state.busy.is_some() {
            return DrainStep::Done;
        }
        let next = with_link(&self.keys, &mut self.state, |link, env| link.drain(env));
        let step = match next.unwrap_or(Drain::Done) {
            Drain::Bytes(piece) => {
                apply(&mut self.keys, &mut self.state, &piece);
                DrainStep::Again
            }
            Drain::Spilled(count) => DrainStep::Read(count),
            Drain::Done => {
                if let Some(side) = &mut self.state.repl.link {
                    side.draining = false;
                }
                DrainStep::Done
            }
        };
        self.settle();
        step
    }

    /// What [`Self::link_drain`] wanted read of the file.
    pub fn link_drain_spilled(&mut self, piece: Result<&[u8], &str>) {
        self.set_time();
        match piece {
            Ok(bytes) => apply(&mut self.keys, &mut self.state, bytes),
            Err(error) => {
                with_link(&self.keys, &mut self.state, |link, env| {
                    link.spill_lost(env, error)
                });
            }
        }
        self.settle();
    }
}

/// What [`Engine::link_drain`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainStep {
    /// A piece is applied; there may be more.
    Again,
    /// So many bytes are to be read from the front of the file, for [`Engine::link_drain_spilled`].
    Read(u64),
    /// There is nothing to apply, or not now.
    Done,
}

/// Room that is kept for the next piece of the stream, whatever the last command has taken.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Applies a piece of the stream: whole commands are run as the primary's, and passed on verbatim.
fn apply(keys: &mut Keys, state: &mut ServerState, bytes: &[u8]) {
    let Some(mut side) = state.repl.link.take() else {
        return;
    };
    side.buffer.extend_from_slice(bytes);
    if state.busy.is_some() {
        // It waits until the script has ended.
        state.repl.link = Some(side);
        return;
    }
    side.decoder.bulk_bytes_max = None;
    let mut batch = Batch::default();
    let mut buffer = std::mem::take(&mut side.buffer);
    // Big arguments leave the buffer while they are collected; the stream must stay whole to be passed on.
    let decoded = side.decoder.decode_in_place(&mut buffer, &mut batch);
    let outer = keys.origin;
    let mut start = 0;
    let mut out = Reply::new(Protocol::V2);
    let mut applied = 0u64;
    let mut getack = false;
    let mut failed = None;
    side.client.last_interaction_ms = keys.origin.now_ms;
    for index in 0..batch.len() {
        let args: SmallVec<[&[u8]; 8]> = batch
            .request(index)
            .iter()
            .map(|arg| batch.bytes(&buffer, *arg))
            .collect();
        let end = batch.end_of(index);
        if !args.is_empty() {
            if args[0].eq_ignore_ascii_case(b"replconf") {
                getack |= args
                    .get(1)
                    .is_some_and(|word| word.eq_ignore_ascii_case(b"getack"));
            } else if let Err(what) = run(keys, state, &mut side, &mut out, &args) {
                failed = Some(what);
                break;
            }
        }
        if state.busy.is_some() {
            park(state, &mut side, end - start);
            break;
        }
        let command = &buffer[start..end];
        start = end;
        let Some((back, bytes)) = pass_on(state, side, command) else {
            return;
        };
        side = back;
        applied += bytes;
    }
    buffer.drain(..start);
    if buffer.len() < KEPT_BYTES_MAX {
        buffer.shrink_to(KEPT_BYTES_MAX);
    }
    side.buffer = buffer;
    side.stream_db = side.client.db as u32;
    side.link.applied(applied);
    let parked = side.parked_bytes > 0;
    state.repl.link = Some(side);
    keys.origin = outer;
    crate::tracking::turn_done(state);
    if getack {
        with_link(keys, state, |link, env| link.getack(env));
    }
    if let Some(what) = failed {
        stream_failed(keys, state, &what);
    } else if parked {
        // What is left is read again when the script has ended.
    } else if let Err(error) = decoded {
        let hide = state.config.hide_user_data_from_log;
        let (client, name) = state
            .repl
            .link
            .as_ref()
            .map_or_else(Default::default, |side| {
                let client = crate::commands::client::describe(&side.client, hide);
                (client, last_command(&side.client))
            });
        if error.violation == Violation::InlineFromPrimary {
            state.log(Level::Warning, "WARNING: Receiving inline protocol from primary, primary stream corruption? Closing the primary connection and discarding the cached primary.");
        } else {
            error_to_primary(state, &error.to_string(), name);
        }
        state.log(Level::Warning, &error.log_line(&client));
        // The same bytes would come again from where we are.
        with_link(keys, state, |link, env| {
            link.stream_unusable(env, &error.to_string())
        });
    }
}

/// A command has been carried out: it counts, and goes to our own replicas, unless it is in the midst of a transaction. How many
/// bytes count now.
fn pass_on(state: &mut ServerState, mut side: LinkSide, command: &[u8]) -> Option<(LinkSide, u64)> {
    let in_transaction = side.client.flags.has(ClientFlags::MULTI);
    if in_transaction || !side.unapplied.is_empty() {
        side.unapplied.extend_from_slice(command);
    }
    if in_transaction {
        return Some((side, 0));
    }
    let whole = std::mem::take(&mut side.unapplied);
    let raw = if whole.is_empty() { command } else { &whole };
    let bytes = raw.len() as u64;
    state.repl.link = Some(side);
    state.repl.with_hub(|hub, env| hub.feed_raw(env, raw));
    let mut side = state.repl.link.take()?;
    side.unapplied = whole;
    side.unapplied.clear();
    side.unapplied.shrink_to(KEPT_BYTES_MAX);
    Some((side, bytes))
}

/// The script of a command of so many bytes is busy. It keeps the primary's client; the command, and what is behind it, wait in
/// the buffer.
#[cold]
fn park(state: &mut ServerState, side: &mut LinkSide, bytes: usize) {
    let mut stand_in = Client::without_connection(side.client.last_interaction_ms);
    stand_in.flags.set(ClientFlags::PRIMARY);
    stand_in.peer = side.client.peer.clone();
    stand_in.created_ms = side.client.created_ms;
    stand_in.last_command = side.client.last_command;
    stand_in.db = side.client.db;
    let client = std::mem::replace(&mut side.client, stand_in);
    crate::scripting::busy::adopt(state, client);
    side.parked_bytes = bytes;
    side.decoder = Decoder::default();
    side.decoder.authenticated = true;
}

/// The busy script of the stream has ended, or with it the transaction around it: its command counts, and the stream goes on.
#[cold]
pub(crate) fn script_ended(state: &mut ServerState, mut client: Box<Client>) {
    let out = std::mem::replace(&mut client.out, Reply::new(Protocol::V2));
    check_reply(state, &out, last_command(&client));
    let Some(mut side) = state.repl.link.take() else {
        return;
    };
    side.client = client;
    let parked = std::mem::take(&mut side.parked_bytes);
    let mut buffer = std::mem::take(&mut side.buffer);
    let command: Vec<u8> = buffer.drain(..parked.min(buffer.len())).collect();
    side.buffer = buffer;
    let Some((mut side, bytes)) = pass_on(state, side, &command) else {
        return;
    };
    side.link.applied(bytes);
    state.repl.link = Some(side);
}

/// Applies what is left of the stream from the time of a script that was busy.
pub(crate) fn go_on_applying(keys: &mut Keys, state: &mut ServerState) {
    let side = state.repl.link.as_ref();
    if side.is_some_and(|side| (side.is_up() || side.draining) && !side.buffer.is_empty()) {
        apply(keys, state, &[]);
    }
}

/// A connection has ended.
pub(crate) fn closed(keys: &Keys, state: &mut ServerState, conn: Conn, error: &str) {
    with_link(keys, state, |link, env| link.closed(env, conn, error));
}

/// A command of the stream has failed an assertion: who knows what it has done to the data.
#[cold]
pub(crate) fn stream_failed(keys: &mut Keys, state: &mut ServerState, what: &str) {
    state.stats.panics_caught += 1;
    keys.ahead.forget();
    crate::scripting::libraries::recover(state);
    let text = format!("A command of the stream failed an assertion: {what}");
    state.log(Level::Warning, &text);
    crate::recovery::forsake_history(keys, state, &text);
}

/// Runs one command of the stream; its reply goes nowhere.
///
/// # Errors
/// The handler failed an assertion, with this text: who knows what it has done to the data.
fn run(
    keys: &mut Keys,
    state: &mut ServerState,
    side: &mut LinkSide,
    out: &mut Reply,
    args: &[&[u8]],
) -> Result<(), String> {
    keys.origin = crate::origin::primary(state, side.client.db, keys.origin.now_ms);
    state.repl.applying = true;
    state.now_ns = (state.clock.monotonic_ns)();
    out.truncate(0);
    let command = &commandtable::COMMANDS[0];
    let mut x = Exec {
        keys,
        state,
        client: &mut side.client,
        out,
        command,
        waits: false,
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        dispatch::process(&mut x, args, None);
        if crate::settle::is_due(x.keys, x.state) {
            crate::settle::settle(x.keys, x.state);
        }
    }));
    state.repl.applying = false;
    if let Err(panic) = ran {
        return Err(format!(
            "{}, in '{}'",
            crate::recovery::text_of(&*panic),
            last_command(&side.client)
        ));
    }
    check_reply(state, out, last_command(&side.client));
    Ok(())
}

/// An error where the primary had none is something to be told.
fn check_reply(state: &mut ServerState, out: &Reply, name: &str) {
    if out.output().start().first() == Some(&b'-') {
        state.stats.unexpected_error_replies += 1;
        let text = String::from_utf8_lossy(out.output().start());
        let text = text.strip_suffix("\r\n").unwrap_or(&text);
        error_to_primary(state, text.strip_prefix("-ERR ").unwrap_or(text), name);
    }
}

/// The name of the last command of the stream, for the log.
fn last_command(primary: &Client) -> &'static str {
    primary
        .last_command
        .map_or("<unknown>", |command| command.full_name)
}

/// Something in the stream is refused with this text: the data may differ from the primary's.
fn error_to_primary(state: &mut ServerState, text: &str, name: &str) {
    let line = format!(
        "== CRITICAL == This replica is sending an error to its primary: '{text}' after processing the command '{name}'"
    );
    state.log(Level::Warning, &line);
    log_latest(state);
    if state.config.propagation_error_behavior != PropagationErrorBehavior::Ignore {
        state.host.crash(Crash::Panic(format!(
            "This replica panicked sending an error to its primary after processing the command '{name}'"
        )));
    }
}

/// Bytes of the stream that are shown after an error.
const LATEST_BYTES: u64 = 256;

/// Shows what came in front of an error, if the log may hold users' data.
fn log_latest(state: &mut ServerState) {
    let hub = &mut state.repl.hub;
    let Some(backlog) = hub.backlog().filter(|backlog| backlog.histlen() > 0) else {
        return;
    };
    if state.config.hide_user_data_from_log {
        state.log(
            Level::Notice,
            "hide-user-data-from-log is on, skip logging backlog content to avoid spilling user data.",
        );
        return;
    }
    let last = backlog.next_offset() - 1;
    let latest = hub.stream_since(last - backlog.histlen().min(LATEST_BYTES));
    let mut line = b"Latest backlog is: '".to_vec();
    quote_into(&mut line, &latest);
    line.push(b'\'');
    state.log(Level::Notice, &String::from_utf8_lossy(&line));
}

/// Carries out what the link asks for.
pub(crate) fn pump(keys: &mut Keys, state: &mut ServerState) {
    while let Some(action) = state
        .repl
        .link
        .as_mut()
        .and_then(|side| side.link.next_action())
    {
        match action {
            Action::Connect { conn, host, port } => {
                let source = state.config.bind_source_addr.lossy().into_owned();
                state.host.link(LinkCommand::Connect {
                    conn,
                    host,
                    port,
                    source,
                });
            }
            Action::Send(conn, bytes) => state.host.link(LinkCommand::Send(conn, bytes)),
            Action::Close(conn) => state.host.link(LinkCommand::Close(conn)),
            Action::PauseReading(conn) => state.host.link(LinkCommand::Pause(conn)),
            Action::ResumeReading(conn) => state.host.link(LinkCommand::Resume(conn)),
            Action::BeginPayload(payload) => {
                let parsing = payload.sink == replica::Sink::Parser;
                forget_loaded(state);
                if let Some(side) = &mut state.repl.link {
                    side.parsing = parsing;
                }
                if parsing {
                    begin_loading(keys, state, payload.serve_old, payload.mode, payload.size);
                }
                state.host.link(LinkCommand::BeginPayload(payload));
            }
            Action::EndPayload { load, mark_bytes } => state
                .host
                .link(LinkCommand::EndPayload { load, mark_bytes }),
            Action::Load { load, mode } => {
                if state.repl.link.as_ref().is_some_and(|side| !side.parsing) {
                    begin_loading(keys, state, mode == LoadMode::SwapDb, mode, None);
                }
                state.host.link(LinkCommand::Load(load));
            }
            Action::AbortPayload(load) => {
                state.loading = Loading::No;
                state.refresh_gate();
                forget_loaded(state);
                state.host.link(LinkCommand::AbortPayload(load));
            }
            Action::DropHistory => {
                let now_ms = state.repl.now_ms;
                state.repl.hub.detach(now_ms);
            }
            Action::Adopt(adoption) => {
                if let Some(loaded) = state.repl.link.as_mut().and_then(|side| side.loaded.take()) {
                    crate::aof::stop_for_sync(keys, state);
                    swap_in(keys, state, loaded);
                }
                state.loading = Loading::No;
                state.refresh_gate();
                state
                    .repl
                    .with_hub(|hub, env| hub.adopt(env, adoption.replid, adoption.offset));
                crate::aof::begin_with_received(keys, state);
                if let Some(side) = &mut state.repl.link {
                    side.adopted = true;
                }
                if let (Some(side), Some(db)) = (&mut state.repl.link, adoption.stream_db) {
                    side.stream_db = db;
                    side.client.db = usize::try_from(db)
                        .unwrap_or(0)
                        .min(keys.dbs.len().saturating_sub(1));
                }
            }
            Action::Branch(replid) => state.repl.with_hub(|hub, env| hub.branch(env, replid)),
            Action::LinkUp => {
                state.repl.with_hub(|hub, env| hub.ensure_backlog(env));
                if let Some(side) = &mut state.repl.link {
                    side.reset_stream();
                    if !std::mem::take(&mut side.adopted) {
                        state.host.tell_supervisor("STATUS=PRIMARY <-> REPLICA sync: Partial Resynchronization accepted. Ready to accept connections in read-write mode.\n");
                    }
                }
                state.refresh_gate();
            }
            Action::LinkDown => {
                if let Some(side) = &mut state.repl.link {
                    side.reset_stream();
                }
                state.refresh_gate();
            }
            Action::Drain => {
                if let Some(side) = &mut state.repl.link {
                    side.draining = true;
                }
                state.host.link(LinkCommand::Drain);
            }
            Action::Decompress(conn) => state.host.link(LinkCommand::Decompress(conn)),
            Action::DropSpill => state.host.link(LinkCommand::DropSpill),
            Action::BeforeMainPsync => {
                if state.debug.pause_after_fork {
                    state.log(Level::Notice, "Process is about to stop.");
                    state.host.stop_self();
                    state.log(Level::Notice, "Process has been continued.");
                }
            }
            Action::RestartAof => {
                state.host.tell_supervisor("STATUS=PRIMARY <-> REPLICA sync: Finished with success. Ready to accept connections in read-write mode.\n");
                crate::aof::restart(keys, state);
            }
            Action::Failover { accepted } => {
                state
                    .repl
                    .with_hub(|hub, env| hub.failover_finished(env, accepted));
            }
            Action::Log(level, text) => state.log(level, &text),
        }
    }
}

/// Goes on with the locally buffered stream where a script has held it up.
pub(crate) fn go_on_draining(state: &mut ServerState) {
    if state.repl.link.as_ref().is_some_and(|side| side.draining) {
        state.host.link(LinkCommand::Drain);
    }
}

/// A dataset that was loaded but is not wanted any more.
fn forget_loaded(state: &mut ServerState) {
    if let Some(unused) = state.repl.link.as_mut().and_then(|side| side.loaded.take()) {
        state.host.free_databases(unused.dbs, false);
    }
}

/// Loading begins: the old data go, unless they are to be served or kept until the new ones are complete.
fn begin_loading(
    keys: &mut Keys,
    state: &mut ServerState,
    serve_old: bool,
    mode: LoadMode,
    size: Option<u64>,
) {
    if mode != LoadMode::SwapDb {
        crate::aof::stop_for_sync(keys, state);
    }
    state.loading = if serve_old {
        Loading::Serving
    } else {
        Loading::Blocking
    };
    state.load_progress = LoadProgress {
        started_at: keys.origin.now_ms / 1000,
        total_bytes: size.unwrap_or(0),
        ..LoadProgress::default()
    };
    state.refresh_gate();
    if mode != LoadMode::SwapDb {
        crate::scripting::busy::give_up(keys, state);
        state.expire.own.clear();
        for db in 0..keys.dbs.len() {
            keys.touch_all_watchers(db, None);
        }
        let old = keys.dbs.iter_mut().map(|db| db.clear()).collect();
        crate::scripting::libraries::forget(state);
        let wait = !state.config.replica_lazy_flush;
        state.host.free_databases(old, wait);
        keys.all_stale();
    }
}

/// The new dataset takes the place of the old one.
fn swap_in(keys: &mut Keys, state: &mut ServerState, mut loaded: Loaded) {
    state.expire.own.clear();
    for (db, new) in loaded.dbs.iter().enumerate().take(keys.dbs.len()) {
        keys.touch_all_watchers(db, Some(new));
    }
    loaded.dbs.resize_with(keys.dbs.len(), Default::default);
    let old = keys.replace_all(loaded.dbs);
    // They have been tried before; only memory can be lacking by now.
    if let Err(error) =
        crate::scripting::libraries::install(state, &loaded.functions, scripting::Policy::Flush)
    {
        state.log(Level::Warning, &error);
    }
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    keys.all_stale();
    let wait = !state.config.replica_lazy_flush;
    state.host.free_databases(old, wait);
}

/// Becomes a replica of `host:port`.
pub(crate) fn follow(
    keys: &mut Keys,
    state: &mut ServerState,
    host: &str,
    port: u16,
    purpose: Purpose,
) {
    state.host.set_role(true);
    let from = match &state.repl.link {
        Some(side) => side.link.position(),
        None => {
            // What the transaction around this has written belongs to the history that we say we have.
            crate::settle::feed_stream(keys, state);
            state.repl.with_hub(|hub, env| hub.demote(env));
            let history = state.repl.hub.history();
            state.log(
                Level::Notice,
                "Before turning into a replica, using my own primary parameters to synthesize a cached primary: I may be able to synchronize with the new primary with just a partial transfer.",
            );
            Some((history.replid, history.offset))
        }
    };
    unblock_for_role(keys, state);
    if state.repl.link.is_none() {
        let mut side = LinkSide::new(&state.config, state.repl.link_numbers, keys.origin.now_ms);
        side.client.id = state.clients.next_id();
        state.repl.link = Some(side);
    }
    if let Some(side) = &mut state.repl.link {
        side.reset_stream();
    }
    with_link(keys, state, |link, env| {
        link.start(env, host, port, from, purpose)
    });
    state.refresh_gate();
    pump(keys, state);
}

/// Becomes a replica at the start, of the primary that the configuration names.
pub(crate) fn follow_at_start(
    keys: &mut Keys,
    state: &mut ServerState,
    restored: Option<(replication::ReplId, u64, i64)>,
) {
    let Some(primary) = state.config.replicaof.clone() else {
        return;
    };
    let mut side = LinkSide::new(&state.config, state.repl.link_numbers, keys.origin.now_ms);
    side.client.id = state.clients.next_id();
    if let Some((_, _, db)) = restored {
        side.client.db = usize::try_from(db)
            .unwrap_or(0)
            .min(keys.dbs.len().saturating_sub(1));
        side.stream_db = side.client.db as u32;
    }
    state.repl.link = Some(side);
    state.host.set_role(true);
    let from = restored.map(|(replid, offset, _)| (replid, offset));
    if let Some((replid, offset)) = from {
        state
            .repl
            .with_hub(|hub, env| hub.adopt(env, Some(replid), offset));
    }
    let host = primary.host.lossy().into_owned();
    with_link(keys, state, |link, env| {
        link.start(env, &host, primary.port, from, Purpose::Follow)
    });
    state.refresh_gate();
    pump(keys, state);
}

/// Becomes a primary, as a client wants it.
pub(crate) fn promote(keys: &mut Keys, state: &mut ServerState, by: ClientId) {
    stop_link(keys, state);
    state
        .repl
        .with_hub(|hub, env| hub.promote_for(env, replication::ClientId(by)));
    unblock_for_role(keys, state);
}

/// Ends the link without touching the hub: it knows already, and may be in the middle of saying more.
pub(crate) fn stop_link(keys: &mut Keys, state: &mut ServerState) {
    state.host.set_role(false);
    if let Some(side) = &mut state.repl.link {
        side.link.stop();
        state.repl.link_numbers = side.link.numbers();
    }
    pump(keys, state);
    state.repl.link = None;
    state.expire.own.clear();
    state.loading = Loading::No;
    keys.effects.recording = state.records();
    state.refresh_gate();
    // A synchronisation that failed has left it off.
    crate::aof::restart(keys, state);
}

/// Clients that wait for keys cannot be served by a replica, nor may they go on waiting when roles change.
fn unblock_for_role(keys: &mut Keys, state: &mut ServerState) {
    let waiting: Vec<_> = state
        .clients
        .iter()
        .filter(|client| client.blocked.is_some())
        .map(|client| client.id)
        .collect();
    for id in waiting {
        crate::blocking::unblock_with(keys, state, id, |state, _, out| {
            state.stats.count_error("UNBLOCKED");
            out.error(crate::Error::UNBLOCKED_ROLE.text().as_bytes());
        });
    }
}

/// Cuts the link (CLIENT KILL): it is then taken up again by itself.
pub(crate) fn cut(keys: &mut Keys, state: &mut ServerState) {
    with_link(keys, state, |link, env| {
        link.stream_failed(env, "Connection with primary killed.")
    });
    pump(keys, state);
}

/// The data are not what the stream has made of them: only a full synchronisation will do.
pub(crate) fn resynchronise(keys: &Keys, state: &mut ServerState, why: &str) {
    with_link(keys, state, |link, env| link.stream_unusable(env, why));
}

/// Periodic work.
pub(crate) fn tick(keys: &mut Keys, state: &mut ServerState) {
    let is_read = state.busy.is_none();
    with_link(keys, state, |link, env| {
        if !is_read {
            link.is_not_read(env);
        }
        link.tick(env);
    });
}
