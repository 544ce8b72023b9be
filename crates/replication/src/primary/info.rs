//! What INFO, ROLE, WAIT and the write path ask about replicas.

use super::hub::Hub;
use super::session::{ReplicaState, Session, State};
use super::types::*;
use crate::ClientId;

impl Hub {
    /// Whether this client is a replica (CLIENT LIST flag `S`), snapshot channels included.
    pub fn is_replica(&self, client: ClientId) -> bool {
        self.sessions
            .get(&client)
            .is_some_and(|s| s.state.is_replica())
    }

    /// Whether the idle timeout must leave this client alone: replicas, and main channels parked while their
    /// snapshot channel is on its way.
    pub fn exempt_from_idle_timeout(&self, client: ClientId) -> bool {
        self.sessions
            .get(&client)
            .is_some_and(|s| !matches!(s.state, State::Normal))
    }

    /// A client's state.
    pub fn state_of(&self, client: ClientId) -> ReplicaState {
        self.sessions
            .get(&client)
            .map_or(ReplicaState::None, Session::shown)
    }

    /// `connected_slaves`: those that are there, and snapshot channels that are kept for the grace period.
    pub fn listed_replicas(&self) -> usize {
        let kept = self.waiting.values().filter(|w| w.closed_ms.is_some());
        self.connected_replicas() + kept.count()
    }

    /// Replicas that are there.
    pub fn connected_replicas(&self) -> usize {
        self.sessions
            .values()
            .filter(|s| s.state.is_replica())
            .count()
    }

    /// `replicas_waiting_psync`.
    pub fn replicas_waiting_psync(&self) -> usize {
        self.waiting.len()
    }

    /// Values of the `slaveN:` rows, in order: `ip=…,port=…,state=…,offset=…,lag=…,type=…`.
    pub fn info_rows(&self, now_ms: u64) -> Vec<String> {
        let shown = |s: &&Session| s.shown() != ReplicaState::None;
        let mut rows: Vec<&Session> = self.sessions.values().filter(shown).collect();
        rows.sort_by_key(|s| s.joined);
        rows.into_iter()
            .map(|s| {
                let kind = match (s.requirements.rdb_channel, &s.state) {
                    (true, _) => "rdb-channel",
                    (false, State::BgTransfer { .. }) => "main-channel",
                    (false, _) => "replica",
                };
                let lag = s.lag_seconds(now_ms);
                format!(
                    "ip={},port={},state={},offset={},lag={lag},type={kind}",
                    self.shown_ip(s),
                    s.port,
                    s.shown().as_str(),
                    s.ack
                )
            })
            .collect()
    }

    /// Rows for ROLE.
    pub fn role_rows(&self) -> Vec<RoleRow> {
        let online = self.sessions.values().filter(|s| s.state.is_online());
        online
            .map(|s| RoleRow {
                ip: s.ip().to_owned(),
                port: s.port,
                ack: s.ack,
            })
            .collect()
    }

    /// What each online replica has applied, and has on disk: all that [`Self::acked`] and [`Self::acked_aof`] rest on.
    pub fn acks(&self) -> impl Iterator<Item = (u64, u64)> {
        let online = self.sessions.values().filter(|s| s.state.is_online());
        online.map(|s| (s.ack, s.ack_aof))
    }

    /// Online replicas that have applied the stream up to `offset` (WAIT).
    pub fn acked(&self, offset: u64) -> usize {
        self.sessions
            .values()
            .filter(|s| s.state.is_online() && s.ack >= offset)
            .count()
    }

    /// Online replicas that have it on disk up to `offset` (WAITAOF).
    pub fn acked_aof(&self, offset: u64) -> usize {
        self.sessions
            .values()
            .filter(|s| s.state.is_online() && s.ack_aof >= offset)
            .count()
    }

    /// `min_slaves_good_slaves`: online and heard of lately.
    pub fn good_replicas(&self, env: &Env<'_>) -> u64 {
        let lag_ms = env.config.min_replicas_max_lag_seconds.saturating_mul(1000);
        // Seconds as the reference counts them: a lag of exactly the maximum is good.
        let good = |s: &&Session| {
            s.state.is_online() && env.now_ms.saturating_sub(s.ack_ms) / 1000 * 1000 <= lag_ms
        };
        self.sessions.values().filter(good).count() as u64
    }

    /// Whether writes must be refused with NOREPLICAS.
    pub fn too_few_replicas(&self, env: &Env<'_>) -> bool {
        let config = env.config;
        config.min_replicas_to_write > 0
            && config.min_replicas_max_lag_seconds > 0
            && env.role == Role::Primary
            && self.good_replicas(env) < config.min_replicas_to_write
    }

    /// Online replicas behind the stream's end (shutdown).
    pub fn lagging(&self, now_ms: u64) -> Vec<Lagging> {
        let online = self
            .sessions
            .values()
            .filter(|s| s.state.is_online() && s.ack < self.history.offset);
        online
            .map(|s| Lagging {
                name: s.name(),
                ack: s.ack,
                lag_seconds: s.lag_seconds(now_ms),
            })
            .collect()
    }

    /// Memory figures.
    pub fn memory(&self) -> Memory {
        self.backlog.as_ref().map_or(Memory::default(), |b| Memory {
            total: b.memory_total(),
            backlog: b.memory_backlog(),
            replicas: b.memory_replicas(),
        })
    }

    /// Memory of the stream a client pins, in bytes (CLIENT LIST `omem`), snapshot channels included.
    pub fn memory_of(&self, client: ClientId) -> u64 {
        let waiting = self.waiting.get(&client).map(|w| &w.cursor);
        let cursor = waiting.or_else(|| self.sessions.get(&client).and_then(|s| s.state.cursor()));
        match (&self.backlog, cursor) {
            (Some(backlog), Some(cursor)) => backlog.memory_of(cursor),
            _ => 0,
        }
    }

    /// Whether a snapshot for replicas is under way.
    pub fn snapshot_running(&self) -> bool {
        self.running.is_some()
    }

    /// A snapshot channel says nothing about the announced ip on old replicas; its main channel, known by the
    /// announced port and the same peer, does.
    fn shown_ip<'a>(&'a self, session: &'a Session) -> &'a str {
        if session.requirements.rdb_channel && session.announced_ip.is_none() && session.port != 0 {
            let main = self.sessions.values().find(|s| {
                !s.requirements.rdb_channel
                    && s.port == session.port
                    && s.peer_ip == session.peer_ip
            });
            if let Some(ip) = main.and_then(|s| s.announced_ip.as_deref()) {
                return ip;
            }
        }
        session.ip()
    }
}
