//! The engine as the process drives it: connections come and go, batches of requests run, timers tick.

use crate::host::{Clock, Host};
use crate::registry::Registry;
use crate::repl::Repl;
use crate::state::{DebugKnobs, LoadProgress, Loading, Saving, ServerState};
use config::Config;
use dataset::Keys;

/// The server without its process.
pub struct Engine {
    /// The databases.
    pub keys: Keys,
    /// Everything else.
    pub state: ServerState,
}

/// What a connection does after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
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
        let mut users = acl::Users::default();
        users.require_password(config.requirepass.as_bytes());
        let mut engine = Engine {
            keys: Keys::new(databases, keys_seed),
            state: ServerState {
                registry: Registry::get(),
                names: Default::default(),
                clients: Default::default(),
                stats: Default::default(),
                pubsub: Default::default(),
                weights: Default::default(),
                swept_to: 0,
                over_soft_limit: Default::default(),
                tracking: Default::default(),
                blocking: Default::default(),
                slowlog: Default::default(),
                users,
                acl_log: Default::default(),
                latency: Default::default(),
                monitors: Vec::new(),
                repl,
                http_logged_at: 0,
                pause: None,
                pauses: [None; 4],
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
                    last_size: None,
                    last_cow_bytes: 0,
                    last_load_keys: (0, 0),
                    for_replicas: false,
                },
                scripting: Default::default(),
                lacks_room: false,
                busy: None,
                parked: None,
                last_run: None,
                aof: Default::default(),
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
                now_us,
                script_ended_ns: 0,
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
        crate::commands::config::take_over(&mut self.keys, &mut self.state);
        self.set_time();
        crate::cron::refresh_access_clock(&mut self.keys, &self.state);
    }

    pub(crate) fn set_time(&mut self) {
        let now_ms = self.state.look_at_clock();
        self.keys.origin = crate::origin::timer(&self.state, now_ms);
        self.state.now_ns = (self.state.clock.monotonic_ns)();
        self.state.repl.now_ms = self.state.now_ns / 1_000_000;
        self.state.aof.now_s = now_ms / 1000;
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
        let Some(delivery) = crate::scripting::busy::keeps_delivery(&mut self.state, id, delivery)
        else {
            return;
        };
        self.set_time();
        crate::migration::delivered(&mut self.keys, &mut self.state, id, delivery);
        self.settle();
    }

    /// SIGTERM or SIGINT has come.
    pub fn shutdown(&mut self, options: crate::shutdown::Options) {
        if crate::scripting::busy::postpones(&mut self.state, options) {
            return;
        }
        self.set_time();
        crate::shutdown::begin(&mut self.keys, &mut self.state, options, None);
    }
}
