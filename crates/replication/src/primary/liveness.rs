//! Who is still there: closing, timeouts, grace, output limits, and the periodic part of all of it.

use super::hub::{Hub, Waiting};
use super::session::{Session, State};
use super::types::*;
use crate::limits::{CRON_MS, UNWANTED_MS_MAX};
use crate::{ClientId, Level};

/// Blocks trimmed per tick beyond what each append trims.
const TRIM_BLOCKS_PER_TICK: usize = 640;

impl Hub {
    /// A connection has gone, for whatever reason. Any client may be reported.
    pub fn client_closed(&mut self, env: &Env<'_>, client: ClientId) -> Closed {
        if self.drop_session(client, env.now_ms) {
            self.postpone(client, env);
        }
        match self.waiting.contains_key(&client) {
            true => Closed::Protected,
            false => Closed::Free,
        }
    }

    /// Periodic work; call it about ten times a second.
    pub fn tick(&mut self, env: &Env<'_>) {
        if let Some(backlog) = &mut self.backlog {
            backlog.trim(TRIM_BLOCKS_PER_TICK);
        }
        self.wake(1);
        self.end_grace(env);
        self.look_at_pace(env);
        self.look_at_spool(env);
        self.check_failover(env);
        if self.unwanted_for_ms(env.now_ms) > UNWANTED_MS_MAX {
            self.kill_snapshot(env.config.save_points);
        }
        self.schedule_snapshot(env);
        if env.now_ms.saturating_sub(self.cron_ms) >= CRON_MS || self.cron_ms == 0 {
            if self.cron_ms == 0 {
                // The first period begins now, whatever the clock says.
                self.ping_ms = env.now_ms;
            }
            self.cron_ms = env.now_ms.max(1);
            self.check_output_limits(env);
            self.close_timed_out(env);
            self.send_newlines();
            if env.now_ms.saturating_sub(self.ping_ms)
                >= env.config.ping_period_seconds.saturating_mul(1000)
            {
                self.ping_ms = env.now_ms;
                self.ping(env);
            }
            self.expire_backlog(env);
        }
    }

    /// Closes a client on our own account.
    pub(super) fn close(&mut self, client: ClientId, reason: CloseReason, now_ms: u64) {
        self.drop_session(client, now_ms);
        if let Some(waiting) = self.waiting.get_mut(&client) {
            waiting.closed_ms.get_or_insert(now_ms);
        }
        self.actions.push_back(Action::Close { client, reason });
    }

    /// Closes every replica, parked main channel and waiting snapshot channel.
    pub(super) fn close_all(&mut self, now_ms: u64) {
        self.release_all_waiting();
        let takes_part = |s: &State| !matches!(s, State::Normal);
        let clients: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| takes_part(&s.state))
            .map(|(c, _)| *c)
            .collect();
        for client in clients {
            self.close(client, CloseReason::HistoryChanged, now_ms);
        }
        self.kill_snapshot(true);
    }

    /// Ends the wait for a snapshot channel's main channel and frees what it pinned.
    pub(super) fn release_waiting(&mut self, client: ClientId) {
        let Some(waiting) = self.waiting.get(&client) else {
            return;
        };
        let text = format!(
            "Remove psync waiting replica {} with cid {client}, repl buffer block {}",
            waiting.name,
            if waiting.unattached {
                "doesn't exist"
            } else {
                "ref count decreased"
            }
        );
        self.log(Level::Debug, text);
        self.unpin_waiting(client);
    }

    /// The stream has its first block: those who wait pin it from now on.
    pub(super) fn attach_waiting(&mut self) {
        for (client, waiting) in &mut self.waiting {
            if std::mem::take(&mut waiting.unattached) {
                self.actions.push_back(Action::Log(
                    Level::Debug,
                    format!("Attach replica rdb client {client} to repl buf block"),
                ));
            }
        }
    }

    fn unpin_waiting(&mut self, client: ClientId) {
        let Some(waiting) = self.waiting.remove(&client) else {
            return;
        };
        self.release_cursor(Some(waiting.cursor));
        if waiting.closed_ms.is_some() {
            self.log(
                Level::Notice,
                format!("Replica {} rdb channel disconnected.", waiting.name),
            );
            self.actions.push_back(Action::Release(client));
        }
    }

    /// The same for those whose connection has gone and who are `meant`.
    pub(super) fn release_closed_waiting(&mut self, meant: impl Fn(&Waiting) -> bool) {
        let closed = |w: &Waiting| w.closed_ms.is_some() && meant(w);
        let clients: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, w)| closed(w))
            .map(|(c, _)| *c)
            .collect();
        for client in clients {
            self.release_waiting(client);
        }
    }

    pub(super) fn release_all_waiting(&mut self) {
        while let Some(client) = self.waiting.keys().next().copied() {
            self.release_waiting(client);
        }
    }

    /// Forgets a client. Returns whether it took part in replication.
    fn drop_session(&mut self, client: ClientId, now_ms: u64) -> bool {
        let Some(session) = self.sessions.remove(&client) else {
            return false;
        };
        if !session.state.is_replica() {
            return false;
        }
        self.note_unread(&session);
        let name = session.name();
        let rdb_channel = session.requirements.rdb_channel;
        // A tool that wanted the snapshot only may have it, and leave before we hear of the writer's end.
        let left_job = match session.state {
            State::WaitEnd { job, .. } if !session.rdb_only => Some(job),
            _ => None,
        };
        self.release_cursor(session.state.into_cursor());
        if !rdb_channel {
            self.log(
                Level::Notice,
                format!("Connection with replica {name} lost."),
            );
        } else if !self.waiting.contains_key(&client) {
            self.log(
                Level::Notice,
                format!("Replica {name} rdb channel disconnected."),
            );
        }
        if let Some(job) = left_job {
            self.receiver_dropped(job);
        }
        if self.connected_replicas() == 0 {
            self.alone_since_ms = Some(now_ms);
        }
        true
    }

    /// A snapshot channel has gone before its main channel came: keep its pin for the grace period.
    pub(super) fn postpone(&mut self, client: ClientId, env: &Env<'_>) {
        let Some(waiting) = self
            .waiting
            .get_mut(&client)
            .filter(|w| w.closed_ms.is_none())
        else {
            return;
        };
        waiting.closed_ms = Some(env.now_ms);
        let text = format!(
            "Postpone RDB client id={client} ({}) free for {} seconds",
            waiting.name,
            env.config.rdb_client_grace_ms / 1000
        );
        self.log(Level::Verbose, text);
    }

    fn end_grace(&mut self, env: &Env<'_>) {
        let elapsed = |closed: u64| env.now_ms.saturating_sub(closed);
        let over: Vec<(ClientId, u64)> = self
            .waiting
            .iter()
            .filter_map(|(client, w)| Some((*client, elapsed(w.closed_ms?))))
            .filter(|(_, ms)| *ms > env.config.rdb_client_grace_ms)
            .collect();
        for (client, ms) in over {
            self.log(
                Level::Notice,
                format!(
                    "Replica main channel failed to establish PSYNC within the grace period ({} seconds). Freeing RDB client {client}.",
                    ms / 1000
                ),
            );
            let name = self
                .waiting
                .get(&client)
                .map(|w| w.name.clone())
                .unwrap_or_default();
            self.log(
                Level::Debug,
                format!("Remove psync waiting replica {name} with cid {client} from replicas rax."),
            );
            self.unpin_waiting(client);
        }
    }

    fn close_timed_out(&mut self, env: &Env<'_>) {
        let limit_ms = env.config.timeout_seconds.saturating_mul(1000);
        let late: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| {
                s.state.is_online()
                    && !s.pre_psync
                    && env.now_ms.saturating_sub(s.ack_ms) > limit_ms
            })
            .map(|(client, s)| (*client, s.name()))
            .collect();
        for (client, name) in late {
            self.log(
                Level::Warning,
                format!("Disconnecting timedout replica (streaming sync): {name}"),
            );
            self.close(client, CloseReason::Timeout, env.now_ms);
        }
    }

    /// Tells those who wait for a snapshot that we are alive.
    fn send_newlines(&mut self) {
        for (client, session) in &self.sessions {
            match session.state {
                State::WaitStart { .. } => self.actions.push_back(Action::Keepalive(*client)),
                // Behind the line that announced the snapshot.
                State::WaitEnd { disk: true, .. } => self.actions.push_back(Action::Send {
                    client: *client,
                    bytes: b"\n".to_vec(),
                }),
                _ => {}
            }
        }
    }

    fn expire_backlog(&mut self, env: &Env<'_>) {
        let ttl = env.config.backlog_ttl_seconds;
        if self.connected_replicas() > 0 || !self.waiting.is_empty() {
            self.alone_since_ms = None;
            return;
        }
        let since = *self.alone_since_ms.get_or_insert(env.now_ms);
        if ttl == 0 || self.backlog.is_none() || env.role != Role::Primary {
            return;
        }
        if env.now_ms.saturating_sub(since) > ttl.saturating_mul(1000) {
            // The old id must not be answerable once writes go unrecorded.
            self.change_id();
            self.backlog = None;
            self.stream_db = None;
            self.log(
                Level::Notice,
                format!(
                    "Replication backlog freed after {ttl} seconds without connected replicas."
                ),
            );
        }
    }

    /// Closes who pins more of the stream than the replica limit allows.
    pub(super) fn check_output_limits(&mut self, env: &Env<'_>) {
        let Some(backlog) = &self.backlog else { return };
        let limit = env.config.output_limit;
        // A limit below the backlog would close replicas for data that is kept anyway.
        let hard = if limit.hard_bytes == 0 {
            u64::MAX
        } else {
            limit.hard_bytes.max(backlog.size())
        };
        let soft = if limit.soft_bytes == 0 {
            u64::MAX
        } else {
            limit.soft_bytes.max(backlog.size())
        };
        // Pacing keeps those below the hard limit who are being synchronised.
        let spares_syncing = self.spares_syncing(env);
        let soft_ms = limit.soft_seconds.saturating_mul(1000);
        let over = |bytes: u64, since: &mut Option<u64>, is_spared: bool| {
            if bytes <= soft || is_spared {
                *since = None;
                return bytes > hard;
            }
            let first = *since.get_or_insert(env.now_ms);
            bytes > hard || env.now_ms.saturating_sub(first) > soft_ms
        };
        let mut closing = Vec::new();
        for (client, session) in &mut self.sessions {
            let is_spared = spares_syncing && !session.state.is_online();
            if let Some(cursor) = session.state.cursor()
                && over(
                    backlog.memory_of(cursor),
                    &mut session.over_soft_since_ms,
                    is_spared,
                )
            {
                closing.push(*client);
            }
        }
        for (client, waiting) in &mut self.waiting {
            if over(
                backlog.memory_of(&waiting.cursor),
                &mut waiting.over_soft_since_ms,
                spares_syncing,
            ) {
                closing.push(*client);
            }
        }
        for client in closing {
            self.stats.output_limit_closed += 1;
            let is_syncing = |s: &Session| !s.state.is_online();
            if self.sessions.get(&client).is_none_or(is_syncing) {
                self.count_failure(client, "over the output limit");
            }
            // Nothing is kept for the grace period: the memory is what the limit is about.
            if self.sessions.contains_key(&client) {
                self.release_waiting(client);
                self.close(client, CloseReason::OutputLimit, env.now_ms);
            } else {
                // Its snapshot is through and the connection closed or closing: told and counted all the same, while it is
                // still known as a client.
                let reason = CloseReason::OutputLimit;
                self.actions.push_back(Action::Close { client, reason });
                self.release_waiting(client);
            }
        }
    }
}
