//! PSYNC and SYNC: refuse, continue, or schedule a full synchronisation.

use super::hub::Hub;
use super::session::State;
use super::types::*;
use crate::sync::{SyncMode, WhyFull};
use crate::text::printable;
use crate::{ClientId, Level};
use words::int::parse_i64;

impl Hub {
    /// `PSYNC args…` (the command's name not among them; the table has checked that there are two or more).
    pub fn psync(
        &mut self,
        env: &Env<'_>,
        client: ClientId,
        peer: Peer<'_>,
        args: &[&[u8]],
    ) -> Reply {
        let (Some(replid), Some(offset)) = (args.first(), args.get(1)) else {
            return Reply::Error("-ERR wrong number of arguments for 'psync' command".into());
        };
        if peer.monitor || self.is_replica(client) {
            return Reply::Nothing;
        }
        let mut env = *env;
        if args
            .get(2)
            .is_some_and(|a| a.eq_ignore_ascii_case(b"failover"))
        {
            self.log(
                Level::Notice,
                format!(
                    "Failover request received for replid {}.",
                    printable(replid)
                ),
            );
            if env.role == Role::Primary {
                return Reply::Error("-ERR PSYNC FAILOVER can't be sent to a master.".into());
            }
            if !self.history.replid.matches(replid) {
                return Reply::Error("-ERR PSYNC FAILOVER replid must match my replid.".into());
            }
            self.actions.push_back(Action::Promote);
            self.promote(&env);
            self.actions.push_back(Action::PromotedBy {
                client,
                failover: true,
            });
            env.role = Role::Primary;
        }
        if let Some(refusal) = self.refuse(&env, client, peer) {
            return refusal;
        }
        let name = self.arrive(client, peer);
        let Some(offset) = parse_i64(offset) else {
            self.log(
                Level::Warning,
                format!("Replica {name} asks for synchronization but with a wrong offset"),
            );
            return Reply::Error("-ERR value is not an integer or out of range".into());
        };
        if let Some(cursor) = self.try_partial(&name, replid, offset) {
            return self.accept_partial(&env, client, &name, cursor);
        }
        if !replid.starts_with(b"?") {
            self.stats.partial_err += 1;
        }
        self.session(client).report.why_full = Some(self.why_full(replid, offset));
        if self.session(client).capabilities.dual_channel
            && !self.session(client).requirements.rdb_channel
        {
            self.session(client).state = State::Parked;
            self.session(client).rdb_client = None;
            self.session(client).report.mode = Some(SyncMode::DualChannel);
            self.log(
                Level::Notice,
                format!(
                    "Replica {name} is capable of dual channel synchronization, and partial sync isn't possible. Full sync will continue with dedicated RDB channel."
                ),
            );
            self.tell_way(client);
            return Reply::Line(b"+DUALCHANNELSYNC\r\n".to_vec());
        }
        if self.wants_rdb_channel(client) {
            return self.park_for_rdb_channel(client, &name);
        }
        self.note_classic(&env, client);
        self.begin_full(&env, client);
        Reply::Nothing
    }

    /// `SYNC`: a full synchronisation without ceremony. Also what a dual-channel snapshot connection sends.
    pub fn sync(&mut self, env: &Env<'_>, client: ClientId, peer: Peer<'_>) -> Reply {
        if peer.monitor || self.is_replica(client) {
            return Reply::Nothing;
        }
        if let Some(refusal) = self.refuse(env, client, peer) {
            return refusal;
        }
        self.arrive(client, peer);
        self.session(client).pre_psync = true;
        if !self.session(client).requirements.rdb_channel {
            self.session(client).report.why_full = Some(WhyFull::Asked);
        }
        self.note_classic(env, client);
        self.begin_full(env, client);
        Reply::Nothing
    }

    fn refuse(&mut self, env: &Env<'_>, client: ClientId, peer: Peer<'_>) -> Option<Reply> {
        let error = if self.failing_over(env) {
            "-NOMASTERLINK Can't SYNC while failing over"
        } else if matches!(env.role, Role::ReplicaDown { .. }) {
            "-NOMASTERLINK Can't SYNC while not connected with my master"
        } else if peer.pending_output {
            "-ERR SYNC and PSYNC are invalid with pending output"
        } else {
            let session = self.session(client);
            if session.requirements.filter == Filter::default() || session.capabilities.eof {
                return None;
            }
            "-ERR Filtered replica requires EOF capability"
        };
        Some(Reply::Error(error.into()))
    }

    /// Notes where the client comes from and returns how logs call it.
    fn arrive(&mut self, client: ClientId, peer: Peer<'_>) -> String {
        let session = self.session(client);
        session.peer_ip = peer.ip.to_owned();
        session.pre_psync = false;
        let name = session.name();
        self.log(
            Level::Notice,
            format!("Replica {name} asks for synchronization"),
        );
        name
    }

    /// The cursor to continue from, when the stream asked for is ours and still held.
    fn try_partial(&mut self, name: &str, replid: &[u8], offset: i64) -> Option<backlog::Cursor> {
        let second = self
            .history
            .second_offset
            .filter(|_| self.history.replid2.matches(replid));
        let shared = second.is_some_and(|limit| u64::try_from(offset).is_ok_and(|o| o <= limit));
        if !self.history.replid.matches(replid) && !shared {
            let text = if replid.starts_with(b"?") {
                format!("Full resync requested by replica {name}")
            } else if let Some(limit) = second {
                format!(
                    "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up to {limit}"
                )
            } else {
                format!(
                    "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}', my replication IDs are '{}' and '{}')",
                    printable(replid),
                    self.history.replid,
                    self.history.replid2
                )
            };
            self.log(Level::Notice, text);
            return None;
        }
        let wanted = u64::try_from(offset).ok();
        let cursor = wanted.and_then(|o| self.backlog.as_mut()?.cursor_at(o));
        if cursor.is_none() {
            self.log(
                Level::Notice,
                format!(
                    "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {offset})."
                ),
            );
            if wanted.is_some_and(|o| o > self.history.offset + 1) {
                self.log(
                    Level::Warning,
                    format!(
                        "Warning: replica {name} tried to PSYNC with an offset that is greater than the primary replication offset."
                    ),
                );
            }
        }
        cursor
    }

    /// Why this replica cannot go on from there.
    fn why_full(&self, replid: &[u8], offset: i64) -> WhyFull {
        if replid.starts_with(b"?") {
            return WhyFull::NothingToContinue;
        }
        let history = &self.history;
        let second = history
            .second_offset
            .is_some_and(|end| u64::try_from(offset).is_ok_and(|offset| offset <= end))
            && history.replid2.matches(replid);
        if !history.replid.matches(replid) && !second {
            return WhyFull::OtherHistory;
        }
        let wanted = u64::try_from(offset).unwrap_or(0);
        if wanted > history.offset + 1 {
            return WhyFull::AheadOfPrimary;
        }
        let first = self
            .backlog
            .as_ref()
            .map_or(history.offset + 1, |backlog| backlog.first_offset());
        WhyFull::BacklogTooShort {
            bytes: first.saturating_sub(wanted),
        }
    }

    fn accept_partial(
        &mut self,
        env: &Env<'_>,
        client: ClientId,
        name: &str,
        cursor: backlog::Cursor,
    ) -> Reply {
        let (from, pending) = (
            cursor.next_offset(),
            self.backlog
                .as_ref()
                .map_or(0, |b| b.pending_bytes(&cursor)),
        );
        let rdb_client = self.session(client).rdb_client.take();
        let joined = rdb_client.and_then(|id| Some((id, self.waiting.get(&id)?.job)));
        self.joins += 1;
        let place = self.joins;
        let session = self.session(client);
        session.joined = place;
        session.rdb_job = joined.map(|(_, job)| job);
        session.report.mode = Some(match joined {
            Some(_) => SyncMode::DualChannel,
            None => SyncMode::Partial,
        });
        if joined.is_none() {
            (session.report.why_full, session.report.why_classic) = (None, None);
        }
        session.state = match joined {
            Some(_) => State::BgTransfer { cursor },
            None => State::Online { cursor },
        };
        if joined.is_none() {
            session.ack = session.ack.max(from.saturating_sub(1));
        }
        session.ack_ms = env.now_ms;
        let line = match session.capabilities.psync2 {
            true => format!("+CONTINUE {}\r\n", self.history.replid),
            false => "+CONTINUE\r\n".to_owned(),
        };
        if let Some((id, _)) = joined {
            self.release_waiting(id);
        } else if self.session(client).port != 0 {
            // It may have lost its main channel after the snapshot and continues without naming the pin.
            self.release_closed_waiting(|w| w.name == name);
        }
        self.log_backlog(from);
        self.alone_since_ms = None;
        self.stats.partial_ok += 1;
        self.log(
            Level::Notice,
            format!(
                "Partial resynchronization request from {name} accepted. Sending {pending} bytes of backlog starting from offset {from}."
            ),
        );
        self.actions.push_back(Action::StreamTo(client));
        Reply::Line(line.into_bytes())
    }

    /// Where in the backlog a replica continues, for those who debug it.
    fn log_backlog(&mut self, from: u64) {
        let Some(backlog) = &self.backlog else { return };
        let mut lines = vec![format!("Replica request offset: {from}")];
        match backlog.histlen() {
            0 => lines.push("Backlog history len is zero".into()),
            held => lines.extend([
                format!("Backlog size: {}", backlog.size()),
                format!("First byte: {}", backlog.first_offset()),
                format!("History len: {held}"),
                format!("Skipping: {}", from - backlog.first_offset()),
            ]),
        }
        for line in lines {
            self.log(Level::Debug, format!("[PSYNC] {line}"));
        }
    }

    fn begin_full(&mut self, env: &Env<'_>, client: ClientId) {
        self.stats.full += 1;
        self.choose_format(client);
        self.joins += 1;
        let place = self.joins;
        let session = self.session(client);
        session.joined = place;
        session.state = State::WaitStart {
            since_ms: env.now_ms,
        };
        session.ack_ms = env.now_ms;
        self.alone_since_ms = None;
        if self.backlog.is_none() {
            // Writes were not recorded until now, so nobody may continue from our old id. A replica without a backlog
            // (its link just came up) keeps the id it shares with its primary.
            if env.role == Role::Primary {
                self.change_id();
                self.stream_db = None;
                self.log(
                    Level::Notice,
                    format!(
                        "Replication backlog created, my new replication IDs are '{}' and '{}'",
                        self.history.replid, self.history.replid2
                    ),
                );
            }
            self.ensure_backlog(env);
        }
        self.join_snapshot(env, client);
    }
}
