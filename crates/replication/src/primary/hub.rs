//! The hub: identity, shared buffer and the table of replicas; the stream itself.

use super::failover::Failover;
use super::pacing::Pacing;
use super::session::{Session, State};
use super::spool::Spool;
use super::types::*;
use super::unread::Unread;
use crate::{ClientId, Entropy, History, Level, ReplId};
use backlog::{Appended, Backlog, Cursor};
use std::collections::{BTreeMap, VecDeque};
use words::request;

/// `PING` as the stream carries it.
const STREAM_PING: &[u8] = b"*1\r\n$4\r\nping\r\n";
/// The request for an acknowledgement as the stream carries it.
const STREAM_GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// Bytes of the stream that a replica which has still to load is sent at once, unless the timer sends what there is: it only puts
/// them by, and many small pieces cost both sides time that the clients want.
const PIECE_BYTES: u64 = 64 * 1024;

/// A snapshot channel's pin of the stream, until its main channel takes over.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cursor: Cursor,
    /// The stream was empty when it came, and has been since: there is nothing to pin yet.
    pub(super) unattached: bool,
    pub(super) job: JobId,
    /// How log lines call the replica.
    pub(super) name: String,
    /// Since when the connection is gone; the pin then lasts for the grace period.
    pub(super) closed_ms: Option<u64>,
    pub(super) over_soft_since_ms: Option<u64>,
}

/// The snapshot under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: JobId,
    pub(super) disk: bool,
    pub(super) dual: bool,
    pub(super) killed: bool,
    /// Since when nobody wants it.
    pub(super) unwanted_since_ms: Option<u64>,
}

/// What a server does for its replicas.
///
/// Every input may queue [`Action`]s: drain them with [`Hub::next_action`] after each input, before the stream grows.
pub struct Hub {
    pub(super) history: History,
    pub(super) backlog: Option<Backlog>,
    /// DB selected in the stream; `None` = the next command needs a SELECT.
    pub(super) stream_db: Option<u32>,
    pub(super) sessions: BTreeMap<ClientId, Session>,
    pub(super) waiting: BTreeMap<ClientId, Waiting>,
    pub(super) running: Option<Running>,
    /// Replicas that do not read the current format of snapshots.
    pub(super) unread: Unread,
    pub(super) jobs_made: u64,
    pub(super) joins: u64,
    pub(super) actions: VecDeque<Action>,
    pub(super) stats: Stats,
    /// About what the next snapshot takes, in bytes.
    pub(super) snapshot_estimate: Option<u64>,
    pub(super) pacing: Pacing,
    pub(super) spool: Option<Spool>,
    pub(super) failed_syncs: u64,
    pub(super) last_failure: String,
    /// Replicas whose writer waits for bytes.
    asleep: Vec<ClientId>,
    entropy: Entropy,
    /// Since when there is no replica; `None` while there are some.
    pub(super) alone_since_ms: Option<u64>,
    pub(super) failover: Option<Failover>,
    pub(super) cron_ms: u64,
    pub(super) ping_ms: u64,
}

impl Hub {
    /// A hub with a fresh identity and no backlog.
    pub fn new(mut entropy: Entropy) -> Self {
        let history = History::new(ReplId::from_entropy(entropy()));
        Hub {
            history,
            backlog: None,
            stream_db: None,
            sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: None,
            unread: Unread::default(),
            jobs_made: 0,
            joins: 0,
            actions: VecDeque::new(),
            stats: Stats::default(),
            snapshot_estimate: None,
            pacing: Pacing::default(),
            spool: None,
            failed_syncs: 0,
            last_failure: String::new(),
            asleep: Vec::new(),
            entropy,
            alone_since_ms: None,
            failover: None,
            cron_ms: 0,
            ping_ms: 0,
        }
    }

    /// The next thing to do, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Appends one propagated command, `bytes` being its RESP form, preceded by SELECT when its DB is not the
    /// stream's. `db` is `None` for commands that belong to no DB. Only for a primary.
    pub fn feed(&mut self, env: &Env<'_>, db: Option<u32>, bytes: &[u8]) {
        if self.backlog.is_none() {
            // Without readers the offset only tells AOF positions apart.
            self.history.offset += u64::from(env.config.append_only);
            return;
        }
        if let Some(db) = db
            && self.stream_db != Some(db)
        {
            let mut select = Vec::with_capacity(32);
            request::encode(
                &mut select,
                &[b"SELECT", itoa::Buffer::new().format(db).as_bytes()],
            );
            self.append(env, &select);
            self.stream_db = Some(db);
        }
        self.append(env, bytes);
    }

    /// Appends what our own primary's stream contained, verbatim, once applied. Only for a replica.
    pub fn feed_raw(&mut self, env: &Env<'_>, bytes: &[u8]) {
        if self.backlog.is_some() {
            self.append(env, bytes);
        } else {
            self.history.offset += bytes.len() as u64;
        }
    }

    /// Appends a request for acknowledgements (WAIT, WAITAOF, shutdown), unless the stream must not move or is
    /// somebody else's.
    pub fn request_acks(&mut self, env: &Env<'_>) {
        if !self.failing_over(env) && env.role == Role::Primary && self.connected_replicas() > 0 {
            self.feed(env, None, STREAM_GETACK);
        }
    }

    pub(super) fn failing_over(&self, env: &Env<'_>) -> bool {
        env.failing_over || self.failover.is_some()
    }

    /// Appends the periodic PING, under the same conditions.
    pub(super) fn ping(&mut self, env: &Env<'_>) {
        if !self.failing_over(env) && env.role == Role::Primary && self.connected_replicas() > 0 {
            self.feed(env, None, STREAM_PING);
        }
    }

    /// Collects stream bytes for a client into `out`: at most `bytes_max` in `slices_max` slices. Returns how many.
    /// With nothing to send, or a client that does not stream (yet), it returns 0; new bytes then cause
    /// [`Action::Wake`].
    pub fn read(
        &mut self,
        client: ClientId,
        bytes_max: usize,
        slices_max: usize,
        out: &mut Slices,
    ) -> usize {
        let (Some(backlog), Some(session)) = (&self.backlog, self.sessions.get_mut(&client)) else {
            return 0;
        };
        let Some(cursor) = session.state.streaming() else {
            return 0;
        };
        let count = backlog.read(cursor, bytes_max, slices_max, out);
        if count == 0 && !session.asleep {
            session.asleep = true;
            self.asleep.push(client);
        }
        count
    }

    /// The socket took `count` of the bytes that `read` gave.
    pub fn sent(&mut self, client: ClientId, count: u64) {
        if let (Some(backlog), Some(session)) = (&mut self.backlog, self.sessions.get_mut(&client))
            && let Some(cursor) = session.state.streaming()
        {
            backlog.advance(cursor, count);
            session.report.stream_sent += count;
        }
    }

    /// Stream bytes this client has still to be sent.
    pub fn pending_bytes(&self, client: ClientId) -> u64 {
        let cursor = self.sessions.get(&client).and_then(|s| s.state.cursor());
        match (&self.backlog, cursor) {
            (Some(backlog), Some(cursor)) => backlog.pending_bytes(cursor),
            _ => 0,
        }
    }

    /// Identity and offset.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The DB selected in the stream; `None` when the next command brings its own SELECT.
    pub fn stream_db(&self) -> Option<u32> {
        self.stream_db
    }

    /// A copy of the stream behind `offset`, as far as it is held: for the log and tests, not for replicas.
    pub fn stream_since(&mut self, offset: u64) -> Vec<u8> {
        let Some(backlog) = &mut self.backlog else {
            return Vec::new();
        };
        let Some(cursor) = backlog.cursor_at(offset + 1) else {
            return Vec::new();
        };
        let mut slices = Slices::new();
        backlog.read(&cursor, usize::MAX, usize::MAX, &mut slices);
        backlog.release(cursor);
        slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect()
    }

    /// The shared buffer, if there is one.
    pub fn backlog(&self) -> Option<&Backlog> {
        self.backlog.as_ref()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Resets the counters (CONFIG RESETSTAT).
    pub fn reset_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// `repl-backlog-size` was changed.
    pub fn backlog_resized(&mut self, config: &Config) {
        if let Some(backlog) = &mut self.backlog {
            backlog.resize(config.backlog_bytes);
        }
    }

    /// Becomes a primary: a new id, the old one staying answerable; all replicas have to come back.
    pub fn promote(&mut self, env: &Env<'_>) {
        let replid = self.fresh_id();
        self.history.branch(replid);
        self.log(
            Level::Notice,
            format!(
                "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
                self.history.replid2,
                self.history.offset + 1,
                replid
            ),
        );
        self.close_all(env.now_ms);
        self.stream_db = None;
        self.alone_since_ms = Some(env.now_ms);
    }

    /// Becomes a primary because a client wants it.
    pub fn promote_for(&mut self, env: &Env<'_>, client: ClientId) {
        self.promote(env);
        self.actions.push_back(Action::PromotedBy {
            client,
            failover: false,
        });
    }

    /// Becomes a replica. Streaming replicas stay for now; those amid a full sync have to come back.
    pub fn demote(&mut self, env: &Env<'_>) {
        let syncing = |s: &Session| s.state.is_replica() && !s.state.is_online();
        let clients: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| syncing(s))
            .map(|(c, _)| *c)
            .collect();
        for client in clients {
            self.close(client, CloseReason::HistoryChanged, env.now_ms);
        }
        self.release_all_waiting();
    }

    /// The dataset is about to be replaced: nobody can follow from here. The identity goes with the data, so that
    /// what is left of them, should the replacement fail, can be mistaken by nobody for the history it was.
    pub fn detach(&mut self, now_ms: u64) {
        self.drop_followers(now_ms);
        self.change_id();
    }

    /// Takes over the identity of a dataset received whole, in the same step in which the data are swapped in.
    pub fn adopt(&mut self, env: &Env<'_>, replid: Option<ReplId>, offset: u64) {
        self.drop_followers(env.now_ms);
        let replid = replid.unwrap_or_else(|| self.fresh_id());
        self.history.adopt(replid, offset);
        self.backlog = Some(Backlog::new(env.config.backlog_bytes, offset + 1));
    }

    /// Our primary goes on under another id: so do we, and our replicas have to come back to learn it.
    pub fn branch(&mut self, env: &Env<'_>, replid: ReplId) {
        self.history.branch(replid);
        self.close_all(env.now_ms);
        self.ensure_backlog(env);
    }

    /// Makes sure there is a backlog, without changing the identity (a replica whose link comes up).
    pub fn ensure_backlog(&mut self, env: &Env<'_>) {
        if self.backlog.is_none() {
            self.backlog = Some(Backlog::new(
                env.config.backlog_bytes,
                self.history.offset + 1,
            ));
        }
    }

    /// Continues the identity stored with a snapshot, at start. A replica may PSYNC with it; a primary keeps it as
    /// its second id, so that its old replicas can come back.
    pub fn restore(&mut self, env: &Env<'_>, replid: ReplId, offset: u64) {
        self.drop_followers(env.now_ms);
        self.history.adopt(replid, offset);
        if env.role == Role::Primary {
            let fresh = self.fresh_id();
            self.history.branch(fresh);
            self.alone_since_ms = Some(env.now_ms);
        }
        self.backlog = Some(Backlog::new(env.config.backlog_bytes, offset + 1));
    }

    /// A brand-new id that shares nothing with the past (e.g. DEBUG CHANGE-REPL-ID). Replicas stay.
    pub fn change_id(&mut self) {
        let fresh = self.fresh_id();
        self.history.break_off(fresh);
    }

    fn drop_followers(&mut self, now_ms: u64) {
        self.close_all(now_ms);
        self.backlog = None;
        self.stream_db = None;
    }

    pub(super) fn fresh_id(&mut self) -> ReplId {
        ReplId::from_entropy((self.entropy)())
    }

    pub(super) fn log(&mut self, level: Level, text: String) {
        self.actions.push_back(Action::Log(level, text));
    }

    pub(super) fn session(&mut self, client: ClientId) -> &mut Session {
        self.sessions.entry(client).or_insert_with(Session::new)
    }

    /// Gives a state's cursor back, if it has one.
    pub(super) fn release_cursor(&mut self, cursor: Option<Cursor>) {
        if let (Some(backlog), Some(cursor)) = (&mut self.backlog, cursor) {
            backlog.release(cursor);
        }
    }

    /// Replaces a client's state and returns the old one's cursor.
    pub(super) fn swap_state(&mut self, client: ClientId, state: State) -> Option<Cursor> {
        std::mem::replace(&mut self.session(client).state, state).into_cursor()
    }

    /// Wakes the writers that have something to send: those of replicas that only put it by, as they have still to load, for
    /// `piece_bytes` or more.
    pub(super) fn wake(&mut self, piece_bytes: u64) {
        let (Some(backlog), sessions) = (&self.backlog, &mut self.sessions) else {
            return;
        };
        let actions = &mut self.actions;
        self.asleep.retain(|client| {
            let Some(session) = sessions.get_mut(client).filter(|session| session.asleep) else {
                return false;
            };
            let is_due = match &session.state {
                State::Online { cursor } => backlog.pending_bytes(cursor) > 0,
                State::BgTransfer { cursor } => backlog.pending_bytes(cursor) >= piece_bytes,
                // Nothing is sent there now; `Action::StreamTo` tells when.
                _ => false,
            };
            if is_due {
                session.asleep = false;
                actions.push_back(Action::Wake(*client));
            }
            !is_due
        });
    }

    fn append(&mut self, env: &Env<'_>, bytes: &[u8]) {
        let Some(backlog) = &mut self.backlog else {
            return;
        };
        self.history.offset += bytes.len() as u64;
        let appended = backlog.append(bytes);
        self.pace(bytes.len() as u64);
        if !self.asleep.is_empty() {
            self.wake(PIECE_BYTES);
        }
        if appended == Appended::NewBlock {
            self.attach_waiting();
            self.note_pinned();
            self.look_at_pace(env);
            self.check_output_limits(env);
        }
    }
}
