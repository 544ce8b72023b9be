//! The link to our primary, as the engine sees it: what arrives is applied here, what is to be sent goes to the process.

mod actions;
mod role;
mod stream;

pub(crate) use self::actions::{go_on_draining, pump};
pub(crate) use self::role::{follow, follow_at_start, promote, stop_link};
use self::stream::apply;
pub(crate) use self::stream::{go_on_applying, script_ended, stream_failed};
use crate::client::{Client, ClientFlags, Peer};
use crate::engine::Engine;
use crate::state::{Loading, ServerState};
use config::{Config, RefuseEmptyPrimary, ReplCompression, ReplDisklessLoad};
use dataset::Keys;
use dataset::snapshot::{LoadOptions, Loaded};
use replication::replica::{self, Conn, Drain, Env, Link, LoadId, LoadMode, Numbers, Routing};
use resp::Decoder;
use std::ops::Range;

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

/// A connection has ended.
pub(crate) fn closed(keys: &Keys, state: &mut ServerState, conn: Conn, error: &str) {
    with_link(keys, state, |link, env| link.closed(env, conn, error));
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
