//! Which replicas share which snapshot, when it starts, and what its end means to them.

use super::hub::{Hub, Running, Waiting};
use super::session::{Capabilities, Requirements, State};
use super::types::*;
use crate::sync::SyncMode;
use crate::{ClientId, Level};
use backlog::Backlog;

impl Hub {
    /// A client has just begun to wait for a snapshot: attach it, delay it, or start one.
    pub(super) fn join_snapshot(&mut self, env: &Env<'_>, client: ClientId) {
        if self.join_spool(env, client) {
            return;
        }
        let text = match &self.running {
            Some(running) if running.disk => {
                if self.attach(client) {
                    "Waiting for end of BGSAVE for SYNC"
                } else {
                    "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
                }
            }
            Some(_) => "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC",
            None => match env.other_child {
                OtherChild::DiskSnapshot => {
                    "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
                }
                _ if env.config.diskless_sync
                    && env.config.diskless_delay_seconds > 0
                    && self.session(client).capabilities.eof =>
                {
                    "Delay next BGSAVE for diskless SYNC"
                }
                OtherChild::Other => {
                    "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed"
                }
                OtherChild::None => {
                    let requirements = self.session(client).requirements;
                    self.start_snapshot(env, requirements);
                    return;
                }
            },
        };
        self.log(Level::Notice, text.into());
    }

    /// Starts a snapshot if somebody waits for one and none runs. Called on every tick and when a child ends.
    pub fn schedule_snapshot(&mut self, env: &Env<'_>) {
        if self.running.is_some() || env.other_child != OtherChild::None {
            return;
        }
        let Some(requirements) = self.waiters().map(|(_, r, ..)| r).next() else {
            return;
        };
        let mut count = 0;
        let mut longest_ms = 0;
        for (.., since_ms) in self.waiters().filter(|(_, r, ..)| *r == requirements) {
            count += 1;
            longest_ms = longest_ms.max(env.now_ms.saturating_sub(since_ms));
        }
        let config = env.config;
        let enough = config.diskless_max_replicas > 0 && count >= config.diskless_max_replicas;
        if !config.diskless_sync
            || enough
            || longest_ms >= config.diskless_delay_seconds.saturating_mul(1000)
        {
            self.start_snapshot(env, requirements);
        }
    }

    /// The writer was forked. Returns what to log, at level notice, at once.
    pub fn snapshot_started(&mut self, job: JobId, pid: u32) -> Option<String> {
        let running = self.running.as_ref().filter(|r| r.id == job)?;
        Some(match (running.disk, running.dual) {
            (true, _) => format!("Background saving started by pid {pid}"),
            (false, true) => {
                format!("Background RDB transfer started by pid {pid} to direct socket to replica")
            }
            (false, false) => format!(
                "Background RDB transfer started by pid {pid} to pipe through parent process"
            ),
        })
    }

    /// The writer could not be forked.
    pub fn snapshot_not_started(&mut self, env: &Env<'_>, job: JobId) {
        if self.running.take_if(|r| r.id == job).is_none() {
            return;
        }
        if self.spools(job) {
            self.spool_lost(env);
        }
        for client in self.receivers(job) {
            let bytes = b"-ERR BGSAVE failed, replication can't continue\r\n".to_vec();
            self.actions.push_back(Action::Send { client, bytes });
            self.close_failed(env, client);
        }
        self.close_mains_without_snapshot(env, job, &[]);
    }

    /// The writer gave up one receiver of a socket snapshot, because it took nothing for too long or its connection is
    /// broken; the others go on.
    pub fn snapshot_target_failed(
        &mut self,
        env: &Env<'_>,
        job: JobId,
        client: ClientId,
        timed_out: bool,
    ) {
        if !self.receivers(job).contains(&client) {
            return;
        }
        if timed_out {
            let name = self.session(client).name();
            self.log(
                Level::Warning,
                format!("Disconnecting timedout replica (full sync): {name}"),
            );
        }
        self.close_failed(env, client);
    }

    /// The writer has ended (also after [`Action::KillSnapshot`]).
    pub fn snapshot_finished(&mut self, env: &Env<'_>, job: JobId, result: &SnapshotResult) {
        let Some(running) = self.running.take_if(|r| r.id == job) else {
            return;
        };
        let receivers = self.receivers(job);
        match result {
            SnapshotResult::Disk { .. } => {}
            SnapshotResult::Sockets { complete } => {
                self.close_mains_without_snapshot(env, job, complete);
            }
            SnapshotResult::Failed { .. } => self.close_mains_without_snapshot(env, job, &[]),
        }
        match result {
            SnapshotResult::Disk { bytes } => {
                for client in receivers {
                    let cursor = self.swap_state(client, State::Done);
                    self.session(client).state = State::SendBulk { cursor };
                    self.session(client).report.snapshot_size(*bytes);
                    let header = format!("${bytes}\r\n").into_bytes();
                    self.actions.push_back(Action::SendFile { client, header });
                }
            }
            SnapshotResult::Sockets { complete } => {
                let up = receivers.iter().filter(|c| complete.contains(c)).count();
                if !running.dual {
                    self.log(
                        Level::Notice,
                        format!(
                            "Diskless rdb transfer, done reading from pipe, {up} replicas still up."
                        ),
                    );
                }
                let is_spooled = self.spool_written(job);
                let text = match complete.is_empty() && !is_spooled {
                    false => "Background RDB transfer terminated with success",
                    true => "Background RDB transfer error",
                };
                self.log(Level::Notice, text.into());
                for client in receivers {
                    match complete.contains(&client) {
                        true => self.streamed(env, client),
                        false => self.close_failed(env, client),
                    }
                }
            }
            SnapshotResult::Failed { signal } => {
                if self.spools(job) {
                    self.spool_lost(env);
                }
                if !running.disk {
                    // Replicas that break off a dual-channel transfer make it fail, whoever is first to notice.
                    let text = match signal {
                        Some(n) if !(running.killed && running.dual) => {
                            format!("Background RDB transfer terminated by signal {n}")
                        }
                        _ => "Background RDB transfer error".into(),
                    };
                    self.log(Level::Warning, text);
                }
                for client in receivers {
                    self.log(
                        Level::Warning,
                        "SYNC failed. BGSAVE child returned an error".into(),
                    );
                    self.close_failed(env, client);
                }
                if !running.killed {
                    self.release_closed_waiting(|w| w.job == job);
                }
            }
        }
        self.schedule_snapshot(env);
    }

    /// The dump file was written to this client's socket to its last byte.
    pub fn file_sent(&mut self, env: &Env<'_>, client: ClientId) {
        let Some(session) = self.sessions.get_mut(&client) else {
            return;
        };
        if std::mem::take(&mut session.from_spool) {
            return self.streamed(env, client);
        }
        if !matches!(session.state, State::SendBulk { .. }) {
            return;
        }
        session.ack_ms = env.now_ms;
        let name = session.name();
        match self.swap_state(client, State::Done) {
            Some(cursor) => {
                self.session(client).state = State::Online { cursor };
                self.actions.push_back(Action::StreamTo(client));
                self.log(
                    Level::Notice,
                    format!("Synchronization with replica {name} succeeded"),
                );
            }
            None => self.complete_rdb_only(env, client, &name),
        }
    }

    /// Whether a dump file is being sent to somebody, or about to be.
    #[must_use]
    pub fn sends_dump(&self) -> bool {
        self.sessions.values().any(|s| {
            matches!(
                s.state,
                State::SendBulk { .. } | State::WaitEnd { disk: true, .. }
            )
        })
    }

    /// The dump file of a [`Action::SendFile`] cannot be opened any more.
    pub fn file_not_sent(&mut self, env: &Env<'_>, client: ClientId, error: &str) {
        self.log(
            Level::Warning,
            format!("SYNC failed. Can't open/stat DB after BGSAVE: {error}"),
        );
        self.close_failed(env, client);
    }

    /// For how long nobody has wanted the snapshot under way, in milliseconds; 0 = somebody does.
    ///
    /// A replica that has everything closes its snapshot channel before we hear of the writer's end: so its main
    /// channel counts, and what looks unwanted gets a moment to end by itself.
    pub(super) fn unwanted_for_ms(&mut self, now_ms: u64) -> u64 {
        let Some(id) = self.running.as_ref().map(|r| r.id) else {
            return 0;
        };
        let wanted = self.spools(id)
            || self.sessions.values().any(|s| match &s.state {
                State::WaitEnd { job, .. } => *job == id,
                State::BgTransfer { .. } => s.rdb_job == Some(id),
                _ => false,
            });
        let Some(running) = &mut self.running else {
            return 0;
        };
        if wanted {
            running.unwanted_since_ms = None;
            return 0;
        }
        now_ms.saturating_sub(*running.unwanted_since_ms.get_or_insert(now_ms))
    }

    /// One receiver fewer: a classic streamed snapshot that has none left ends at once. (A dual-channel one may have been
    /// received whole.)
    pub(super) fn receiver_dropped(&mut self, job: JobId) {
        let classic = |r: &Running| r.id == job && !r.disk && !r.dual;
        if !self.spools(job)
            && self.running.as_ref().is_some_and(classic)
            && self.receivers(job).is_empty()
        {
            self.kill_snapshot(false);
        }
    }

    /// Stops the snapshot under way, unless it goes to disk and save points want it anyway.
    pub(super) fn kill_snapshot(&mut self, save_points: bool) {
        let wanted = |r: &&mut Running| !(r.killed || r.disk && save_points);
        let Some(running) = self.running.as_mut().filter(wanted) else {
            return;
        };
        running.killed = true;
        let (id, classic) = (running.id, !running.disk && !running.dual);
        if classic {
            self.log(
                Level::Warning,
                "Diskless rdb transfer, last replica dropped, killing fork child.".into(),
            );
        }
        self.actions.push_back(Action::KillSnapshot(id));
    }

    /// Clients in a running snapshot.
    fn receivers(&self, job: JobId) -> Vec<ClientId> {
        let of_job = |s: &State| matches!(s, State::WaitEnd { job: j, .. } if *j == job);
        self.sessions
            .iter()
            .filter(|(_, s)| of_job(&s.state) && !s.from_spool)
            .map(|(c, _)| *c)
            .collect()
    }

    /// Clients that wait for a snapshot to start: id, requirements, capabilities, since when.
    fn waiters(&self) -> impl Iterator<Item = (ClientId, Requirements, Capabilities, u64)> {
        self.sessions
            .iter()
            .filter_map(|(client, s)| match s.state {
                State::WaitStart { since_ms } => {
                    Some((*client, s.requirements, s.capabilities, since_ms))
                }
                _ => None,
            })
    }

    /// Lets a client share the disk snapshot under way, if one like it waits for that already.
    fn attach(&mut self, client: ClientId) -> bool {
        let Some(job) = self.running.as_ref().filter(|r| !r.killed).map(|r| r.id) else {
            return false;
        };
        let Some(me) = self.sessions.get(&client) else {
            return false;
        };
        let alike = self.sessions.values().find_map(|s| match &s.state {
            State::WaitEnd {
                job: j,
                offset,
                cursor: Some(cursor),
                ..
            } if *j == job
                && s.requirements == me.requirements
                && me.capabilities.covers(s.capabilities) =>
            {
                Some((*offset, cursor))
            }
            _ => None,
        });
        let (Some((offset, cursor)), Some(backlog)) = (alike, &mut self.backlog) else {
            return false;
        };
        let cursor = (!me.rdb_only).then(|| backlog.duplicate(cursor));
        self.session(client).state = State::WaitEnd {
            job,
            disk: true,
            offset,
            cursor,
            acked: false,
        };
        if let Some(bytes) = self.full_resync_line(client, offset) {
            self.actions.push_back(Action::Send { client, bytes });
        }
        true
    }

    /// The name of a new snapshot job, also of one that replication does not ask for.
    pub fn next_job(&mut self) -> JobId {
        self.jobs_made += 1;
        JobId(self.jobs_made)
    }

    /// Starts a snapshot for everybody who waits with these requirements.
    fn start_snapshot(&mut self, env: &Env<'_>, requirements: Requirements) {
        let group: Vec<_> = self
            .waiters()
            .filter(|(_, r, ..)| *r == requirements)
            .collect();
        let filtered = requirements.filter != Filter::default()
            || requirements.format != SnapshotFormat::Current;
        let sockets =
            (env.config.diskless_sync || filtered) && group.iter().all(|(_, _, c, _)| c.eof);
        let dual = sockets && requirements.rdb_channel;
        let id = self.next_job();
        let offset = self.history.offset;
        let stream_db = match env.role {
            // Also without a link: the stream may be continued from here, and nobody will select again.
            Role::Replica { stream_db } | Role::ReplicaDown { stream_db } => stream_db,
            Role::Primary => self.stream_db.unwrap_or(0),
        };
        self.log(
            Level::Notice,
            format!(
                "Starting BGSAVE for SYNC with target: {} using: {}",
                if sockets { "replicas sockets" } else { "disk" },
                if dual { "dual-channel" } else { "normal sync" }
            ),
        );
        self.running = Some(Running {
            id,
            disk: !sockets,
            dual,
            killed: false,
            unwanted_since_ms: None,
        });
        let mode = match (sockets, dual) {
            (false, _) => SyncMode::ClassicDisk,
            (true, false) => SyncMode::ClassicSockets,
            (true, true) => SyncMode::DualChannel,
        };
        let estimate = self.snapshot_estimate;
        let mark = sockets.then(|| self.new_mark(env));
        if let Some((mark, spool_bytes)) = mark
            && spool_bytes > 0
        {
            self.begin_spool(env, id, requirements, mode, stream_db, mark);
        }
        let mut targets = Vec::with_capacity(group.len());
        for (client, ..) in group {
            let mut prelude = Vec::new();
            let report = &mut self.session(client).report;
            report.snapshot(env.now_ms, mode, estimate);
            if !dual {
                self.tell_way(client);
            }
            let redis = self.session(client).main_client.is_some();
            let cursor = if redis {
                self.join_main(env, client, id);
                None
            } else if dual {
                if let Some(cursor) = self.backlog.as_mut().map(Backlog::cursor_at_end) {
                    prelude = self.begin_waiting(client, id, (offset, stream_db), cursor);
                }
                None
            } else if self.session(client).rdb_only {
                None
            } else {
                self.backlog.as_mut().map(Backlog::cursor_at_end)
            };
            prelude.extend(self.full_resync_line(client, offset).unwrap_or_default());
            self.session(client).state = State::WaitEnd {
                job: id,
                disk: !sockets,
                offset,
                cursor,
                acked: false,
            };
            match &mark {
                Some((mark, _)) => {
                    prelude.extend_from_slice(b"$EOF:");
                    prelude.extend_from_slice(mark);
                    prelude.extend_from_slice(b"\r\n");
                    targets.push(SocketTarget {
                        client,
                        prelude,
                        is_last: dual,
                        compressed: self.session(client).compressed,
                    });
                }
                None if prelude.is_empty() => {}
                None => self.actions.push_back(Action::Send {
                    client,
                    bytes: prelude,
                }),
            }
        }
        // Whatever the receivers have selected, they start from the snapshot: say it again.
        self.stream_db = None;
        self.actions.push_back(Action::StartSnapshot(SnapshotJob {
            id,
            target: match mark {
                Some((eof_mark, spool_bytes)) => Target::Sockets {
                    targets,
                    eof_mark,
                    spool_bytes,
                },
                None => Target::Disk,
            },
            filter: requirements.filter,
            format: requirements.format,
            for_replicas: true,
            dual,
            identity: Some(Identity {
                replid: self.history.replid,
                offset,
                stream_db,
            }),
            send_timeout_ms: env.config.timeout_seconds.saturating_mul(1000),
        }));
    }

    /// Pins the stream for a snapshot channel and returns its `$ENDOFF` line.
    pub(super) fn begin_waiting(
        &mut self,
        client: ClientId,
        job: JobId,
        (offset, stream_db): (u64, u32),
        cursor: backlog::Cursor,
    ) -> Vec<u8> {
        let name = self.session(client).name();
        if self.session(client).port != 0 {
            // The replica starts over: what it left behind is of no use any more.
            self.release_closed_waiting(|w| w.name == name);
        }
        self.log(
            Level::Notice,
            format!("Sending to replica {name} RDB end offset {offset} and client-id {client}"),
        );
        let unattached = self.backlog.as_ref().is_some_and(Backlog::is_empty);
        let tail = if unattached {
            "no repl-backlog to track"
        } else {
            "tracking repl-backlog tail"
        };
        self.log(
            Level::Debug,
            format!("Add rdb replica {name} to waiting psync, with cid {client}, {tail}"),
        );
        self.waiting.insert(
            client,
            Waiting {
                cursor,
                unattached,
                job,
                name,
                closed_ms: None,
                over_soft_since_ms: None,
            },
        );
        format!(
            "$ENDOFF:{offset} {} {stream_db} {client}\r\n",
            self.history.replid
        )
        .into_bytes()
    }

    pub(super) fn full_resync_line(&mut self, client: ClientId, offset: u64) -> Option<Vec<u8>> {
        let replid = self.history.replid;
        (!self.session(client).pre_psync)
            .then(|| format!("+FULLRESYNC {replid} {offset}\r\n").into_bytes())
    }

    /// A streamed snapshot has reached this client.
    fn streamed(&mut self, env: &Env<'_>, client: ClientId) {
        let session = self.session(client);
        session.ack_ms = env.now_ms;
        let name = session.name();
        let acked = matches!(session.state, State::WaitEnd { acked: true, .. });
        let pre_psync = session.pre_psync;
        self.log(
            Level::Notice,
            format!(
                "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming"
            ),
        );
        let Some(cursor) = self.swap_state(client, State::Done) else {
            return self.complete_rdb_only(env, client, &name);
        };
        // A client that used SYNC sends no ACKs, and one that has sent its first is ready.
        if acked || pre_psync {
            self.session(client).state = State::Online { cursor };
            self.actions.push_back(Action::StreamTo(client));
            self.log(
                Level::Notice,
                format!("Synchronization with replica {name} succeeded"),
            );
        } else {
            self.session(client).state = State::AwaitAck { cursor };
        }
    }

    fn complete_rdb_only(&mut self, env: &Env<'_>, client: ClientId, name: &str) {
        self.log(
            Level::Notice,
            format!(
                "RDB transfer completed, rdb only replica ({name}) should be disconnected asap"
            ),
        );
        self.postpone(client, env);
        self.close(client, CloseReason::Complete, env.now_ms);
    }

    /// Closes a client whose snapshot failed; its pin goes with it.
    pub(super) fn close_failed(&mut self, env: &Env<'_>, client: ClientId) {
        self.count_failure(client, "its snapshot failed");
        if self.waiting.contains_key(&client) {
            self.release_waiting(client);
        }
        self.close(client, CloseReason::SnapshotFailed, env.now_ms);
    }
}
