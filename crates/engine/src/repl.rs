//! Replication as the engine sees it: the hub for our replicas, the link to our primary, and the glue to both.

use crate::client::{Client, ClientFlags, ClientId};
use crate::host::{Level, SnapshotJob};
use crate::state::{Loading, Pause, PauseBy, PauseKind, ServerState};
use commandtable::Error;
use config::{Config, ReplCompression};
use dataset::Keys;
use dataset::effects::Audience;
use replication::primary::{self, CloseReason, Env, Hub, OtherChild, Role};
use replication::replica::Purpose;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Both roles.
pub struct Repl {
    /// What we do for our replicas.
    pub hub: Hub,
    /// The hub's parameters, kept in step with [`Config`].
    pub hub_config: primary::Config,
    /// What we do towards our primary; `None` on a primary.
    pub link: Option<crate::primary_link::LinkSide>,
    /// Where the last link has ended counting.
    pub link_numbers: replication::replica::Numbers,
    /// A command of our primary's stream is running. `link`, which runs it, is away meanwhile.
    pub applying: bool,
    /// The hub has been told something since [`pump`] was called last.
    pub(crate) is_asked: bool,
    /// Monotonic milliseconds as of the running batch.
    pub now_ms: u64,
    /// A child that replication did not start.
    pub other_child: OtherChild,
    /// When a replica that follows though it cannot save has last said so.
    pub disk_warning_ms: Option<u64>,
    /// `key-load-delay`, for loads under way as well.
    pub key_load_delay_us: Arc<AtomicI64>,
    /// Settings that cancel each other and have been told to the log.
    told_contradictions: Vec<String>,
}

impl Repl {
    /// A primary without replicas.
    pub fn new(entropy: replication::Entropy, config: &Config) -> Self {
        let mut repl = Repl {
            hub: Hub::new(entropy),
            hub_config: primary::Config::default(),
            link: None,
            link_numbers: replication::replica::Numbers::default(),
            applying: false,
            is_asked: false,
            now_ms: 0,
            other_child: OtherChild::None,
            disk_warning_ms: None,
            key_load_delay_us: Arc::default(),
            told_contradictions: config::contradictions(config),
        };
        repl.configure(config);
        repl
    }

    /// Takes over the parameters that concern replication.
    pub fn configure(&mut self, config: &Config) {
        let limit = config.client_output_buffer_limit.replica;
        self.hub_config = primary::Config {
            backlog_bytes: config.repl_backlog_size.unsigned_abs(),
            backlog_ttl_seconds: config.repl_backlog_ttl.unsigned_abs(),
            ping_period_seconds: u64::from(config.repl_ping_replica_period.unsigned_abs()),
            timeout_seconds: u64::from(config.repl_timeout.unsigned_abs()),
            diskless_sync: config.repl_diskless_sync,
            diskless_delay_seconds: u64::from(config.repl_diskless_sync_delay.unsigned_abs()),
            diskless_max_replicas: u64::from(config.repl_diskless_sync_max_replicas.unsigned_abs()),
            dual_channel: config.dual_channel_replication_enabled,
            output_limit: replication::OutputLimit {
                hard_bytes: limit.hard_bytes,
                soft_bytes: limit.soft_bytes,
                soft_seconds: u64::from(limit.soft_seconds.unsigned_abs()),
            },
            rdb_client_grace_ms: self.hub_config.rdb_client_grace_ms,
            min_replicas_to_write: u64::from(config.min_replicas_to_write.unsigned_abs()),
            min_replicas_max_lag_seconds: u64::from(config.min_replicas_max_lag.unsigned_abs()),
            spool_bytes: config.repl_snapshot_spool,
            compression: config.repl_compression == ReplCompression::Lz4,
            sync_pacing: config.repl_sync_pacing,
            save_points: !config.save.rules().is_empty(),
            append_only: config.appendonly,
        };
        self.key_load_delay_us
            .store(i64::from(config.key_load_delay), Ordering::Relaxed);
        self.hub.backlog_resized(&self.hub_config);
        if let Some(link) = &mut self.link {
            link.configure(config);
        }
    }

    /// Settings that cancel each other since this was last asked.
    pub fn new_contradictions(&mut self, config: &Config) -> Vec<String> {
        let found = config::contradictions(config);
        let new = found
            .iter()
            .filter(|sentence| !self.told_contradictions.contains(sentence))
            .cloned()
            .collect();
        self.told_contradictions = found;
        new
    }

    /// What is true around the hub now.
    #[must_use]
    pub fn role(&self) -> Role {
        match &self.link {
            // No snapshot starts in the middle of a command of the stream.
            None if self.applying => Role::ReplicaDown { stream_db: 0 },
            None => Role::Primary,
            Some(link) if link.is_up() => Role::Replica {
                stream_db: link.stream_db,
            },
            Some(link) => Role::ReplicaDown {
                stream_db: link.stream_db,
            },
        }
    }

    /// Tells the hub something, with everything it has to know. What it asks for in return is carried out when the command
    /// at hand is settled.
    pub fn with_hub<R>(&mut self, call: impl FnOnce(&mut Hub, &Env<'_>) -> R) -> R {
        self.is_asked = true;
        let role = self.role();
        let env = Env {
            config: &self.hub_config,
            now_ms: self.now_ms,
            role,
            other_child: self.other_child,
            failing_over: false,
        };
        call(&mut self.hub, &env)
    }

    /// Appends one command to the stream, after a SELECT if the stream is in another database; `None` for a command
    /// that has none. On a replica nothing: its stream is its primary's, verbatim.
    fn feed(&mut self, db: Option<u32>, command: &[u8]) {
        if !self.is_replica() {
            self.with_hub(|hub, env| hub.feed(env, db, command));
        }
    }

    /// True when commands have to be recorded for replicas.
    fn records(&self) -> bool {
        !self.is_replica() && (self.hub.backlog().is_some() || self.hub_config.append_only)
    }

    /// True on a replica, whatever the state of its link.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.link.is_some() || self.applying
    }

    /// Host and port of the primary we follow; `None` on a primary.
    #[must_use]
    pub fn primary(&self) -> Option<(&str, u16)> {
        self.link.as_ref()?.link.target()
    }

    /// True when the link to our primary is up.
    #[must_use]
    pub fn link_is_up(&self) -> bool {
        self.applying
            || self
                .link
                .as_ref()
                .is_some_and(crate::primary_link::LinkSide::is_up)
    }

    /// True when `min-replicas-to-write` allows writes.
    #[must_use]
    pub fn has_enough_replicas(&self) -> bool {
        let env = Env {
            config: &self.hub_config,
            now_ms: self.now_ms,
            role: self.role(),
            other_child: self.other_child,
            failing_over: false,
        };
        !self.hub.too_few_replicas(&env)
    }

    /// The stream's length so far, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.hub.history().offset
    }
}

impl ServerState {
    /// Hands on one command that was carried out: to the backlog and the replicas, and to the append-only file. A replica's
    /// file gets what it has applied, as the file of a primary gets what it has done.
    pub(crate) fn feed(&mut self, audience: Audience, db: Option<u32>, command: &[u8]) {
        if audience.has_replicas() {
            self.repl.feed(db, command);
        }
        if audience.has_log() {
            self.aof.append(db, command);
        }
    }

    /// True when commands have to be recorded for somebody.
    #[must_use]
    pub fn records(&self) -> bool {
        self.loading != Loading::Blocking && (self.repl.records() || self.aof.collects())
    }
}

/// Carries out what the link and the hub ask for.
pub(crate) fn pump(keys: &mut Keys, state: &mut ServerState) {
    crate::primary_link::pump(keys, state);
    if state.busy.is_some() {
        // Replicas get nothing of a script that is half done, least of all a snapshot.
        state.repl.is_asked = false;
        return;
    }
    state.repl.is_asked = false;
    while let Some(action) = state.repl.hub.next_action() {
        carry_out(keys, state, action);
    }
    keys.effects.recording = state.records();
    serve_waiting(keys, state);
}

fn carry_out(keys: &mut Keys, state: &mut ServerState, action: primary::Action) {
    use primary::Action;
    match action {
        Action::Send { client, bytes } => state.clients.deliver(client.0, |out| out.raw(&bytes)),
        Action::StartSnapshot(job) => start(keys, state, &job),
        Action::KillSnapshot(_) => kill_snapshot(state),
        Action::SendFile { client, header } => match state.host.send_dump(client.0, header) {
            Ok(()) => raise_attention(state, client.0),
            Err(error) => state
                .repl
                .with_hub(|hub, env| hub.file_not_sent(env, client, &error)),
        },
        Action::SendSpool {
            client,
            prelude,
            from,
        } => match state.host.send_spool(client.0, prelude, from) {
            Ok(()) => raise_attention(state, client.0),
            Err(error) => state
                .repl
                .with_hub(|hub, env| hub.file_not_sent(env, client, &error)),
        },
        Action::DropSpool => state.host.drop_spool(),
        Action::StreamTo(client) | Action::Wake(client) => raise_attention(state, client.0),
        Action::Close { client, reason } => {
            if let Some(slot) = state.clients.slot(client.0)
                && let Some(mut client) = state.clients.take(slot)
            {
                close(state, &mut client, reason);
                state.clients.put_back(slot, client);
            }
        }
        Action::Keepalive(client) => {
            state.host.write_now(client.0, b"\n");
        }
        Action::PromotedBy { client, failover } => {
            let what = if failover { "failover" } else { "user" };
            if let Some(client) = state.clients.get(client.0) {
                log_promotion(state, what, client);
            }
        }
        Action::Release(client) => crate::replicas::forget_protected(state, client.0),
        Action::Promote => crate::primary_link::stop_link(keys, state),
        Action::PauseWrites => state.pause_for(
            PauseBy::Failover,
            Pause {
                kind: PauseKind::Write,
                until_ms: i64::MAX,
            },
        ),
        Action::Pace { ms } => pace(state, ms),
        Action::ResumeWrites => state.unpause(PauseBy::Failover),
        Action::FailoverTo { host, port } => {
            crate::primary_link::follow(keys, state, &host, port, Purpose::Failover);
        }
        Action::Log(level, text) => state.log(level, &text),
    }
}

/// So many held up clients are offered again for each millisecond of a pause, at most.
const RESUMED_PER_MS: u64 = 500;

/// Holds writers up for a moment, so that a replica that synchronises keeps up.
fn pace(state: &mut ServerState, ms: u64) {
    // All of them are offered again afterwards, and that takes time as well.
    let ms = ms.max(state.paused_clients.len() as u64 / RESUMED_PER_MS);
    let now_us = (state.clock.unix_us)();
    let until_ms = (now_us / 1000).saturating_add(ms) as i64;
    let pause = Pause {
        kind: PauseKind::Write,
        until_ms,
    };
    state.pause_for(PauseBy::SyncPacing, pause);
    state.stats.paced_ms += ms;
    let ms = ms as i64;
    if (1..=ms).contains(&state.config.latency_monitor_threshold) {
        let now = (now_us / 1_000_000) as i64;
        state.latency.add("repl-sync-pacing", now, ms);
    }
}

fn raise_attention(state: &mut ServerState, id: ClientId) {
    if let Some(client) = state.clients.get_mut(id) {
        client.attention.raise();
    }
}

/// Has the snapshot child killed; its end is then no failure.
pub(crate) fn kill_snapshot(state: &mut ServerState) {
    if let Some(child) = &mut state.saving.child {
        child.killed = true;
        state.host.kill_snapshot();
    }
}

/// Logs that a client has made a primary of us.
fn log_promotion(state: &ServerState, what: &str, client: &Client) {
    let who = crate::commands::client::describe(client, state.config.hide_user_data_from_log);
    state.log(
        Level::Notice,
        &format!("PRIMARY MODE enabled ({what} request from '{who}')"),
    );
}

fn close(state: &mut ServerState, client: &mut Client, reason: CloseReason) {
    match reason {
        CloseReason::Complete | CloseReason::SnapshotFailed => {
            client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
            client.attention.raise();
        }
        CloseReason::OutputLimit => {
            state.stats.output_buffer_disconnections += 1;
            let line = format!(
                "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
                crate::commands::client::describe(client, state.config.hide_user_data_from_log)
            );
            state.log(Level::Warning, &line);
            client.close_now();
        }
        CloseReason::Timeout | CloseReason::HistoryChanged => client.close_now(),
    }
}

fn start(keys: &mut Keys, state: &mut ServerState, job: &SnapshotJob) {
    match crate::saving::fork(keys, state, job) {
        Ok(pid) => {
            if let Some(line) = state.repl.hub.snapshot_started(job.id, pid) {
                state.log(Level::Notice, &line);
            }
            if state.debug.pause_after_fork {
                state.log(Level::Notice, "Process is about to stop.");
                state.host.stop_self();
                state.log(Level::Notice, "Process has been continued.");
            }
        }
        Err(error) => {
            state.log(
                Level::Warning,
                &format!("Can't save in background: fork: {error}"),
            );
            state
                .repl
                .with_hub(|hub, env| hub.snapshot_not_started(env, job.id));
        }
    }
}

/// Answers the WAITs that the replicas have fulfilled by now.
fn serve_waiting(keys: &mut Keys, state: &mut ServerState) {
    use crate::blocking::WaitFor;
    if state.blocking.waiting_replicas.is_empty() {
        return;
    }
    // This is asked after each write and each disconnection: most of them change nothing for thousands who wait.
    let synced = crate::aof::synced(state);
    let seen = &state.blocking;
    let acks = &seen.acks_seen;
    if seen.synced_seen == synced && acks.iter().copied().eq(state.repl.hub.acks()) {
        return;
    }
    state.blocking.acks_seen = state.repl.hub.acks().collect();
    state.blocking.synced_seen = synced;
    let mut from = 0;
    while let Some((place, id)) = state.blocking.waiting_replicas.first_from(from) {
        from = place + 1;
        let Some(client) = state.clients.get(id) else {
            continue;
        };
        let Some(blocked) = client.blocked.as_deref() else {
            continue;
        };
        let WaitFor::Replicas {
            offset,
            replicas,
            aof_local,
        } = blocked.wait
        else {
            continue;
        };
        let done = match aof_local {
            None => state.repl.hub.acked(offset) as u64 >= replicas,
            Some((local, _)) if local > 0 && !state.config.appendonly => {
                crate::blocking::unblock_with(keys, state, id, |state, _, out| {
                    crate::dispatch::write_error(state, out, &Error::WAITAOF_NO_AOF);
                });
                continue;
            }
            Some((local, position)) => {
                u64::from(crate::aof::is_synced(state, position)) >= local
                    && state.repl.hub.acked_aof(offset) as u64 >= replicas
            }
        };
        if done {
            crate::blocking::unblock_with(keys, state, id, acknowledged);
        }
    }
}

/// The reply to WAIT and WAITAOF: how many have acknowledged by now.
pub(crate) fn acknowledged(state: &mut ServerState, client: &crate::Client, out: &mut resp::Reply) {
    use crate::blocking::WaitFor;
    if let Some(WaitFor::Replicas {
        offset, aof_local, ..
    }) = client.blocked.as_deref().map(|b| &b.wait)
    {
        match aof_local {
            None => out.uint(state.repl.hub.acked(*offset)),
            Some((_, position)) => {
                out.array(2);
                out.int(i64::from(crate::aof::is_synced(state, *position)));
                out.uint(state.repl.hub.acked_aof(*offset));
            }
        }
    }
}

/// A reply of the hub, as a handler's outcome.
pub(crate) fn write_reply(out: &mut resp::Reply, reply: primary::Reply) -> Result<(), Error> {
    match reply {
        primary::Reply::Nothing => {}
        primary::Reply::Ok => out.ok(),
        primary::Reply::Error(line) => {
            return Err(Error::Built(line.trim_start_matches('-').to_owned()));
        }
        primary::Reply::Line(line) => out.raw(&line),
    }
    Ok(())
}
