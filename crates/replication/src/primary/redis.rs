//! A full synchronisation on two connections as replicas of Redis 8 know it: `replica/redis.rs` draws it.
//!
//! The main connection waits, known to the replica by our number for it, until the snapshot's connection has named it and its
//! snapshot begins; from that moment on it streams. So nothing has to be pinned for it, and it needs no second PSYNC.

use super::hub::Hub;
use super::session::State;
use super::types::*;
use crate::sync::SyncMode;
use crate::text::printable;
use crate::{ClientId, Level};
use words::int::parse_i64;

impl Hub {
    /// Whether this client, for which only a full synchronisation will do, wants it on two connections as Redis does. One that
    /// knows Valkey's way as well is served that way.
    pub(super) fn wants_rdb_channel(&self, client: ClientId) -> bool {
        self.sessions.get(&client).is_some_and(|s| {
            s.capabilities.rdb_channel
                && !s.capabilities.dual_channel
                && !s.requirements.rdb_channel
        })
    }

    /// Has it wait for the snapshot's connection.
    pub(super) fn park_for_rdb_channel(&mut self, client: ClientId, name: &str) -> Reply {
        let session = self.session(client);
        session.state = State::Parked;
        session.rdb_client = None;
        session.report.mode = Some(SyncMode::DualChannel);
        self.tell_way(client);
        self.log(
            Level::Notice,
            format!(
                "Replica {name} is capable of rdb channel synchronization, and partial sync isn't possible. Full sync will continue with dedicated rdb channel."
            ),
        );
        Reply::Line(format!("+RDBCHANNELSYNC {client}\r\n").into_bytes())
    }

    /// `main-ch-client-id`: this is the snapshot's connection of that replica.
    ///
    /// # Errors
    /// The reply: it is no number, or nobody waits under it.
    pub(super) fn name_main_channel(
        &mut self,
        client: ClientId,
        value: &[u8],
    ) -> Result<(), String> {
        let number = parse_i64(value).ok_or("-ERR value is not an integer or out of range")?;
        let main = u64::try_from(number)
            .ok()
            .map(ClientId)
            .filter(|main| *main != client && self.waits_for(*main, client))
            .ok_or_else(|| format!("-ERR Unrecognized RDB client id: {}", printable(value)))?;
        self.session(main).rdb_client = Some(client);
        let session = self.session(client);
        session.main_client = Some(main);
        // What is sent behind the snapshot would go to nobody.
        session.rdb_only = true;
        session.requirements.rdb_channel = true;
        Ok(())
    }

    /// Whether this main connection waits for its snapshot's connection, and may find it in that client.
    fn waits_for(&self, main: ClientId, client: ClientId) -> bool {
        self.wants_rdb_channel(main)
            && self.sessions.get(&main).is_some_and(|s| {
                let taken = s.rdb_client.filter(|other| *other != client);
                matches!(s.state, State::Parked)
                    && !taken.is_some_and(|other| self.sessions.contains_key(&other))
            })
    }

    /// The snapshot for this connection begins: its main connection streams from here.
    pub(super) fn join_main(&mut self, env: &Env<'_>, client: ClientId, job: JobId) {
        let Some(main) = self.session(client).main_client else {
            return;
        };
        let name = self.session(client).name();
        let waits = |s: &super::session::Session| {
            matches!(s.state, State::Parked) && s.rdb_client == Some(client)
        };
        let cursor = match &mut self.backlog {
            Some(backlog) if self.sessions.get(&main).is_some_and(waits) => backlog.cursor_at_end(),
            // It has gone, and the replica will give up what it gets here.
            _ => {
                return self.log(
                    Level::Warning,
                    format!(
                        "Starting to deliver RDB to replica {name} but it has no associated main channel"
                    ),
                );
            }
        };
        self.joins += 1;
        let place = self.joins;
        let session = self.session(main);
        session.joined = place;
        session.rdb_job = Some(job);
        session.ack_ms = env.now_ms;
        session.state = State::BgTransfer { cursor };
        self.log(
            Level::Notice,
            format!("Starting to deliver RDB and replication stream to replica: {name}"),
        );
        self.actions.push_back(Action::StreamTo(main));
    }

    /// A snapshot has ended, for these clients well: the main connections of the others are of no use to anybody.
    pub(super) fn close_mains_without_snapshot(
        &mut self,
        env: &Env<'_>,
        job: JobId,
        complete: &[ClientId],
    ) {
        let lost: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| {
                matches!(s.state, State::BgTransfer { .. })
                    && s.rdb_job == Some(job)
                    && s.rdb_client
                        .is_some_and(|client| !complete.contains(&client))
            })
            .map(|(client, _)| *client)
            .collect();
        for client in lost {
            self.close(client, CloseReason::SnapshotFailed, env.now_ms);
        }
    }
}
