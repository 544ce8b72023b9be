//! Everything the engine holds besides the keys.

use crate::aof::AppendOnly;
use crate::blocking::Blocking;
use crate::client::{Client, ClientFlags, ClientId, Clients};
use crate::client_eviction::Weights;
use crate::host::{Clock, Host, JobId, Level};
use crate::latency::LatencyLog;
use crate::pubsub::PubSub;
use crate::registry::Registry;
use crate::repl::Repl;
use crate::slowlog::SlowLog;
use crate::stats::Stats;
use config::Config;

/// What CLIENT PAUSE holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseKind {
    /// Commands that may write.
    Write,
    /// All commands.
    All,
}

/// A pause: what it holds back and until when, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// What is held back.
    pub kind: PauseKind,
    /// When it ends.
    pub until_ms: i64,
}

/// Who has commands held back. Each has a pause of its own, which the others cannot end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseBy {
    /// CLIENT PAUSE.
    Client,
    /// A shutdown that waits for replicas.
    Shutdown,
    /// FAILOVER.
    Failover,
    /// A replica that synchronises and is far behind.
    SyncPacing,
}

/// How the dataset is being replaced just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loading {
    /// It is not.
    #[default]
    No,
    /// Nothing can be read meanwhile.
    Blocking,
    /// The old data are served meanwhile.
    Serving,
}

/// Progress of a load, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadProgress {
    /// Unix seconds of the start.
    pub started_at: i64,
    /// Size of what is loaded, in bytes; 0 when unknown.
    pub total_bytes: u64,
    /// Bytes loaded so far.
    pub loaded_bytes: u64,
    /// Memory in use by the loader's result, in bytes.
    pub used_memory: u64,
}

/// State of saving, for INFO and for the decision to save.
#[derive(Clone, Debug)]
pub struct Saving {
    /// `dirty` at the last successful save.
    pub dirty_at_save: u64,
    /// `dirty` when the running child started.
    pub dirty_at_start: u64,
    /// Unix seconds of the last successful save.
    pub last_save_at: i64,
    /// Unix seconds of the last attempt.
    pub last_try_at: i64,
    /// Whether the last attempt succeeded.
    pub last_ok: bool,
    /// Seconds the last one took; -1 for none.
    pub last_seconds: i64,
    /// Saves completed.
    pub saves: u64,
    /// The running child.
    pub child: Option<Child>,
    /// BGSAVE SCHEDULE is waiting for another child to end.
    pub scheduled: bool,
    /// Bytes of the last snapshot, and of the memory that was used then.
    pub last_size: Option<(u64, u64)>,
    /// Copy-on-write bytes of the last child.
    pub last_cow_bytes: u64,
    /// Keys loaded and found expired by the last load.
    pub last_load_keys: (u64, u64),
    /// The dump file was made for replicas, and for nothing else.
    pub for_replicas: bool,
}

impl Saving {
    /// About what a snapshot takes while so many bytes of memory are used.
    #[must_use]
    pub fn expected_bytes(&self, used: u64) -> u64 {
        let Some((bytes, memory)) = self.last_size else {
            return used;
        };
        let expected = u128::from(used) * u128::from(bytes) / u128::from(memory.max(1));
        u64::try_from(expected).unwrap_or(u64::MAX)
    }
}

/// What a snapshot child writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildOutput {
    /// The dump file.
    Dump,
    /// To replicas' connections.
    Sockets,
    /// The base of the append-only file.
    Log,
}

/// A running snapshot child.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
    /// What it does.
    pub job: JobId,
    /// Replication has asked for it.
    pub for_replicas: bool,
    /// What it writes.
    pub output: ChildOutput,
    /// Unix seconds of its start.
    pub started_at: i64,
    /// Keys when it started.
    pub keys_total: u64,
    /// Keys written so far.
    pub keys_done: u64,
    /// Private dirty memory, in bytes: now, at its peak, and when it was measured (Unix milliseconds).
    pub cow_bytes: u64,
    /// See `cow_bytes`.
    pub cow_peak: u64,
    /// See `cow_bytes`.
    pub cow_at_ms: i64,
    /// It was killed on purpose: its end is no failure.
    pub killed: bool,
}

/// Knobs of the DEBUG command.
#[derive(Clone, Copy, Debug)]
pub struct DebugKnobs {
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: bool,
    /// DEBUG PAUSE-AFTER-FORK.
    pub pause_after_fork: bool,
    /// DEBUG PAUSE-CRON.
    pub pause_cron: bool,
    /// DEBUG DICT-RESIZING 0.
    pub avoid_resizing: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may run what they usually may not.
    pub disable_deny_scripts: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION: checksums of snapshots and RESTORE payloads are not compared.
    pub skip_checksums: bool,
}

/// Everything besides the keys.
pub struct ServerState {
    /// The parameters in force.
    pub config: Config,
    /// The handler of each command.
    pub registry: &'static Registry,
    /// The names of commands.
    pub names: commandtable::Names,
    /// Connections.
    pub clients: Clients,
    /// Counters.
    pub stats: Stats,
    /// Subscriptions.
    pub pubsub: PubSub,
    /// Memory of the clients that `maxmemory-clients` speaks of; counted while it is set.
    pub(crate) weights: Weights,
    /// Where the sweep over the clients goes on.
    pub(crate) swept_to: u32,
    /// Clients whose output is above its soft limit.
    pub(crate) over_soft_limit: std::collections::BTreeSet<ClientId>,
    /// Client-side caching.
    pub tracking: crate::tracking::Table,
    pub(crate) blocking: Blocking,
    /// Slow commands.
    pub slowlog: SlowLog,
    /// Who may log in, and what each may do.
    pub users: acl::Users,
    /// What was refused to users.
    pub acl_log: acl::Log,
    /// Latency spikes by event.
    pub latency: LatencyLog,
    /// MONITOR clients, in order.
    pub monitors: Vec<ClientId>,
    /// Both roles of replication.
    pub repl: Repl,
    /// Unix seconds of the last log line about requests of HTTP.
    pub(crate) http_logged_at: i64,
    /// What is held back, by whomsoever: the sum of `pauses`.
    pub pause: Option<Pause>,
    /// The pauses of each [`PauseBy`].
    pub(crate) pauses: [Option<Pause>; 4],
    /// Clients held back.
    pub paused_clients: std::collections::BTreeSet<ClientId>,
    /// A load under way.
    pub loading: Loading,
    /// Its progress.
    pub load_progress: LoadProgress,
    /// Snapshots.
    pub saving: Saving,
    /// Scripts and libraries.
    pub scripting: scripting::Scripting,
    /// Whether the last command that was judged by memory found too little of it; its script is judged by that, too.
    pub(crate) lacks_room: bool,
    /// The script that has run for longer than others can wait, if there is one.
    pub(crate) busy: Option<Box<crate::scripting::busy::Busy>>,
    /// The script of the log being loaded that is left between two slices, if there is one.
    pub(crate) parked: Option<Box<crate::scripting::parked::Parked>>,
    /// What the script has taken that has ended last, until its command is accounted for.
    pub(crate) last_run: Option<scripting::Taken>,
    /// The append-only file.
    pub aof: AppendOnly,
    /// Keys on their way to other servers.
    pub(crate) migrations: crate::migration::Migrations,
    /// DEBUG.
    pub debug: DebugKnobs,
    /// SHUTDOWN is waiting for replicas, since this Unix millisecond.
    pub shutdown: Option<crate::shutdown::Pending>,
    /// Some check beyond the usual ones is needed before a command runs. See [`Self::refresh_gate`].
    pub(crate) gate: bool,
    /// Memory is above its limit and keys are being removed for it, a slice at a time.
    pub(crate) evicting: bool,
    /// Clocks.
    pub clock: Clock,
    /// Monotonic nanoseconds as of the end of the last command.
    pub now_ns: u64,
    /// Unix microseconds, which TIME tells: as of the beginning of the running command, transaction or script. For a script that is
    /// busy they go on with each slice; what expires is still judged by [`dataset::Origin::now_ms`].
    pub(crate) now_us: u64,
    /// The clock when a script has ended whose command is about to, so that it need not be asked again; else 0.
    pub(crate) script_ended_ns: u64,
    /// The process.
    pub host: Box<dyn Host>,
    /// Memory in use when the engine started.
    pub startup_memory: usize,
    /// Turns of the timer.
    pub cron_runs: u64,
    /// The active expire cycle between its slices.
    pub expire: crate::cron::Expire,
}

impl ServerState {
    /// Writes a log line if `loglevel` lets it pass.
    pub fn log(&self, level: Level, text: &str) {
        self.host.log(level, text);
    }

    /// Lets `act` deal with a client and the rest of the state; nothing happens for one that has gone or runs.
    pub(crate) fn with_client(
        &mut self,
        id: ClientId,
        act: impl FnOnce(&mut ServerState, &mut Client),
    ) {
        if let Some(slot) = self.clients.slot(id)
            && let Some(mut client) = self.clients.take(slot)
        {
            act(self, &mut client);
            self.clients.put_back(slot, client);
        }
    }

    /// Counts what the snapshot child has sent since the last time.
    pub(crate) fn count_sent(&mut self) {
        self.stats.net_repl_out += self.host.take_sent();
        for (client, bytes) in self.host.sent_to() {
            let client = replication::ClientId(client);
            let now_ms = self.repl.now_ms;
            self.repl.hub.snapshot_progress(now_ms, client, bytes);
        }
        if self.host.has_lost_spool() {
            self.repl.with_hub(|hub, env| hub.spool_lost(env));
        }
    }

    /// Whether lines of [`Level::Verbose`] are logged: what is only for them need not be made up otherwise.
    pub(crate) fn is_verbose(&self) -> bool {
        use config::LogLevel;
        matches!(self.config.loglevel, LogLevel::Verbose | LogLevel::Debug)
    }

    /// Milliseconds of a clock that never jumps.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        (self.clock.monotonic_ns)() / 1_000_000
    }

    /// Decides again whether commands need the slow checks. To be called when any of their conditions changes.
    pub fn refresh_gate(&mut self) {
        self.gate = self.loading != Loading::No
            || self.repl.is_replica()
            || self.config.maxmemory > 0
            || self.pause.is_some()
            || self.busy.is_some()
            || (self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag > 0)
            || self.write_refusal().is_some();
    }

    /// Holds commands back until [`Self::unpause`] or the pause's end.
    pub fn pause_for(&mut self, by: PauseBy, pause: Pause) {
        self.pauses[by as usize] = Some(pause);
        self.sum_up_pauses();
    }

    /// Ends a pause. The clients that were held back are offered again, though others may hold them back once more.
    pub fn unpause(&mut self, by: PauseBy) {
        self.pauses[by as usize] = None;
        self.sum_up_pauses();
        if by == PauseBy::SyncPacing {
            self.stats.paced_commands += self.paused_clients.len() as u64;
        }
        for id in std::mem::take(&mut self.paused_clients) {
            if let Some(client) = self.clients.get_mut(id) {
                client.flags.clear(ClientFlags::PAUSED);
                client.attention.raise();
            }
        }
    }

    fn sum_up_pauses(&mut self) {
        self.pause = self.pauses.iter().flatten().copied().reduce(|a, b| Pause {
            kind: a.kind.max(b.kind),
            until_ms: a.until_ms.max(b.until_ms),
        });
        self.refresh_gate();
    }

    /// Why writes are refused: the last save failed, or the disk does not take the append-only file.
    #[must_use]
    pub fn write_refusal(&self) -> Option<commandtable::Error> {
        if self.cannot_save() {
            return Some(commandtable::Error::MISCONF);
        }
        let reason = self.aof.error.as_ref()?;
        Some(commandtable::Error::append_only(reason))
    }

    /// As [`Self::write_refusal`], for a script that may write.
    #[must_use]
    pub fn script_refusal(&self) -> Option<commandtable::Error> {
        if self.cannot_save() {
            return Some(commandtable::Error::MISCONF_SCRIPT);
        }
        let reason = self.aof.error.as_ref()?;
        Some(commandtable::Error::append_only_script(reason))
    }

    fn cannot_save(&self) -> bool {
        !self.saving.last_ok
            && self.config.stop_writes_on_bgsave_error
            && !self.config.save.rules().is_empty()
    }

    /// Asks the clock; returns Unix milliseconds.
    pub(crate) fn look_at_clock(&mut self) -> i64 {
        self.now_us = (self.clock.unix_us)();
        (self.now_us / 1000) as i64
    }

    /// Counts one turn of a connection that started at `start_ns`, when `processed_before` commands had been run.
    pub(crate) fn loop_turn(&mut self, start_ns: u64, processed_before: u64) {
        let us = self.now_ns.saturating_sub(start_ns) / 1000;
        let stats = &mut self.stats;
        stats.loop_cycles += 1;
        stats.loop_us += us;
        stats.loop_us_max = stats.loop_us_max.max(us);
        let commands = stats.processed.saturating_sub(processed_before);
        stats.loop_commands_max = stats.loop_commands_max.max(commands);
    }

    /// True while a child process writes the dataset, to wherever.
    #[must_use]
    pub fn has_child(&self) -> bool {
        self.saving.child.is_some()
    }

    /// True while a child writes the base of the append-only file.
    #[must_use]
    pub fn rewrites(&self) -> bool {
        let child = self.saving.child.as_ref();
        child.is_some_and(|child| child.output == ChildOutput::Log)
    }

    /// True while a child writes a snapshot.
    #[must_use]
    pub fn saves(&self) -> bool {
        self.has_child() && !self.rewrites()
    }
}
