//! From the payload's header to a link that is up: receiving, loading, buffering, draining.

use super::buffer::{Bounds, Next, Placed};
use super::link::{Link, Main, Position, RdbState, Retry};
use super::payload::{Header, Receiving};
use super::types::*;
use crate::Level;
use crate::limits::{EMPTY_SNAPSHOT_BYTES_MAX, SPILL_PIECE_BYTES, SUSPENDED_MS_MAX};
use crate::sync::SyncMode;
use crate::text::printable;

/// How a dual-channel sync ends when it fails.
pub(super) const ABORTING_DUAL: &str = "Aborting dual channel sync";

impl Link {
    /// The line before a snapshot, on whichever connection brings it.
    pub(super) fn header(&mut self, env: &Env<'_>, channel: Channel, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let Some(header) = Header::parse(line) else {
            let text = match line.first() {
                Some(b'-') => format!(
                    "PRIMARY aborted replication with an error: {}",
                    printable(&line[1..])
                ),
                _ => format!(
                    "Bad protocol from PRIMARY, the first byte is not '$' (we received '{}'), are you sure the host and port are right?",
                    printable(line)
                ),
            };
            self.log(Level::Warning, text);
            return self.give_up_attempt(env, Retry::FailedSync);
        };
        self.decompress(channel);
        let mode = env.config.load_mode;
        let direct = mode == LoadMode::SwapDb || mode == LoadMode::OnEmptyDb && env.keyspace_empty;
        let (sink, place) = if direct {
            (Sink::Parser, "to parser")
        } else {
            (Sink::File, "to disk")
        };
        if self.resume(env, channel, header) {
            return;
        }
        let size = match header {
            Header::Sized(bytes) => {
                self.log(
                    Level::Notice,
                    format!(
                        "PRIMARY <-> REPLICA sync: receiving {bytes} bytes from primary {place}"
                    ),
                );
                if channel == Channel::Main {
                    self.report.mode = Some(SyncMode::ClassicDisk);
                }
                Some(bytes)
            }
            Header::Marked(_) => {
                self.log(
                    Level::Notice,
                    format!("PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF {place}"),
                );
                None
            }
        };
        let replid = match (&self.rdb, channel) {
            (Some(rdb), Channel::Rdb) => rdb.replid,
            _ => self.full.map(|(replid, _)| replid),
        };
        let same_history = replid.is_some() && replid == self.position.and_then(|p| p.replid);
        self.numbers.loads += 1;
        let payload = Payload {
            load: LoadId(self.numbers.loads),
            sink,
            size,
            mode: if direct { mode } else { LoadMode::Disabled },
            serve_old: direct
                && mode == LoadMode::SwapDb
                && (same_history || env.config.serve_stale),
        };
        self.report.snapshot(env.now_ms, size);
        if direct {
            self.begin_load(payload.mode);
        }
        self.actions.push_back(Action::BeginPayload(payload));
        self.receiving = Some(Receiving::new(payload, header));
        match (&mut self.rdb, channel) {
            (Some(rdb), Channel::Rdb) => rdb.state = RdbState::Payload,
            _ => self.state = Main::Payload,
        }
    }

    /// The line has come behind which this connection is compressed, if that has been agreed.
    pub(super) fn decompress(&mut self, channel: Channel) {
        let conn = match (&self.rdb, channel) {
            (Some(rdb), Channel::Rdb) => rdb.conn.filter(|_| rdb.compressed),
            _ => self.main.filter(|_| self.compressed),
        };
        self.actions.extend(conn.map(Action::Decompress));
    }

    /// Goes on with the snapshot whose connection broke, if this is the rest of it; otherwise that is given up.
    fn resume(&mut self, env: &Env<'_>, channel: Channel, header: Header) -> bool {
        let Some((receiving, until_ms)) = self.suspended.take() else {
            return false;
        };
        if !receiving.is_of(header) {
            self.suspended = Some((receiving, until_ms));
            self.forget_suspended();
            return false;
        }
        let bytes = receiving.received;
        self.log(
            Level::Notice,
            format!("PRIMARY <-> REPLICA sync: going on with the snapshot at byte {bytes}"),
        );
        self.report.resume(env.now_ms, bytes);
        self.receiving = Some(receiving);
        match (&mut self.rdb, channel) {
            (Some(rdb), Channel::Rdb) => rdb.state = RdbState::Payload,
            _ => self.state = Main::Payload,
        }
        true
    }

    /// What has come of the snapshot is kept for the next attempt, if the primary keeps it as well.
    pub(super) fn suspend(&mut self, env: &Env<'_>) -> bool {
        let Some(receiving) = self
            .receiving
            .take_if(|r| r.received > 0 && r.resumable().is_some())
        else {
            return false;
        };
        let text = format!(
            "PRIMARY <-> REPLICA sync: the first {} bytes of the snapshot are kept, the rest is asked for",
            receiving.received
        );
        self.log(Level::Notice, text);
        self.suspended = Some((receiving, env.now_ms.saturating_add(SUSPENDED_MS_MAX)));
        true
    }

    /// Nothing comes of the snapshot whose connection broke.
    pub(super) fn forget_suspended(&mut self) {
        if let Some((receiving, _)) = self.suspended.take() {
            self.actions
                .push_back(Action::AbortPayload(receiving.payload.load));
        }
    }

    /// How to ask for the rest of it.
    pub(super) fn resume_capability(&self) -> Option<Vec<u8>> {
        let (receiving, _) = self.suspended.as_ref()?;
        let bytes = receiving.received.to_string();
        Some(
            [
                b"resume-",
                &receiving.resumable()?[..],
                b"-",
                bytes.as_bytes(),
            ]
            .concat(),
        )
    }

    /// Snapshot bytes.
    pub(super) fn take_payload(&mut self, env: &Env<'_>, data: &[u8]) -> Taken {
        let Some(receiving) = &mut self.receiving else {
            return Taken {
                used: data.len(),
                routing: Routing::Stale,
            };
        };
        let (used, complete) = receiving.take(data);
        if complete {
            // The bytes themselves go to the sink after this call, so its end is announced by `payload_taken`.
            self.complete = true;
        }
        self.report.receive(env.now_ms, &data[..used]);
        Taken {
            used,
            routing: Routing::Payload,
        }
    }

    /// The bytes that `bytes` called [`Routing::Payload`] are with the sink. Call it after each of them.
    pub fn payload_taken(&mut self, env: &Env<'_>) {
        if !std::mem::take(&mut self.complete) {
            return;
        }
        let refuses_empty = self.refuses_empty(env);
        let Some(receiving) = &mut self.receiving else {
            return;
        };
        if receiving.payload.sink == Sink::File
            && receiving.received <= EMPTY_SNAPSHOT_BYTES_MAX
            && refuses_empty
        {
            receiving.payload.mode = LoadMode::SwapDb;
        }
        let (payload, mark_bytes) = (receiving.payload, receiving.mark_bytes());
        self.actions.push_back(Action::EndPayload {
            load: payload.load,
            mark_bytes,
        });
        match &mut self.rdb {
            Some(rdb) => rdb.state = RdbState::Loading,
            None => {
                self.state = Main::Loading;
                if let Some(conn) = self.main {
                    self.actions.push_back(Action::PauseReading(conn));
                }
            }
        }
        if payload.sink == Sink::File {
            self.begin_load(payload.mode);
        }
        self.actions.push_back(Action::Load {
            load: payload.load,
            mode: payload.mode,
        });
        if let Some(result) = self.early.take() {
            self.load_finished(env, payload.load, result);
        }
    }

    /// Whether data without keys would be refused: we have some, and they are not of the same history.
    fn refuses_empty(&self, env: &Env<'_>) -> bool {
        let theirs = match &self.rdb {
            Some(rdb) => rdb.replid,
            None => self.full.map(|(replid, _)| replid),
        };
        let is_ours = theirs.is_some() && theirs == self.position.and_then(|p| p.replid);
        env.config.refuse_empty_primary && !self.accepts_empty && !env.keyspace_empty && !is_ours
    }

    /// The old data go now (or, with swapdb, when the new ones are complete).
    fn begin_load(&mut self, mode: LoadMode) {
        if mode != LoadMode::SwapDb {
            self.drop_history();
            self.log(
                Level::Notice,
                "PRIMARY <-> REPLICA sync: Flushing old data".into(),
            );
        }
        self.log(
            Level::Notice,
            "PRIMARY <-> REPLICA sync: Loading DB in memory".into(),
        );
    }

    /// What we could have continued from is of no use any more.
    pub(super) fn forget_position(&mut self) {
        if self.position.take().is_some() {
            self.log(
                Level::Notice,
                "Discarding previously cached primary state.".into(),
            );
        }
    }

    fn drop_history(&mut self) {
        self.forget_position();
        self.actions.push_back(Action::DropHistory);
    }

    /// The data are complete in memory and ready to be swapped in, or loading them failed.
    pub fn load_finished(&mut self, env: &Env<'_>, load: LoadId, result: Loaded) {
        if self
            .suspended
            .as_ref()
            .is_some_and(|(r, _)| r.payload.load == load)
        {
            // What has come is damaged: the rest is of no use.
            return self.forget_suspended();
        }
        let Some(payload) = self
            .receiving
            .as_ref()
            .map(|r| r.payload)
            .filter(|p| p.load == load)
        else {
            return;
        };
        let stream_db = match result {
            Loaded::Ok { .. } if !self.is_loading() => {
                self.early = Some(result);
                return;
            }
            Loaded::Ok { is_empty: true, .. }
                if payload.mode == LoadMode::SwapDb && self.refuses_empty(env) =>
            {
                return self.refuse_empty(env);
            }
            Loaded::Ok { stream_db, .. } => stream_db,
            Loaded::Failed(error) => {
                return self.load_failed(env, payload, &error, Retry::FailedSync);
            }
        };
        self.receiving = None;
        if payload.mode == LoadMode::SwapDb {
            self.drop_history();
            self.log(
                Level::Notice,
                "PRIMARY <-> REPLICA sync: Swapping active DB with loaded DB".into(),
            );
            self.log(
                Level::Notice,
                "PRIMARY <-> REPLICA sync: Discarding old DB in background".into(),
            );
        }
        match &mut self.rdb {
            Some(rdb) => {
                // The aux field is right where 8.0.1 primaries always say DB 0 in $ENDOFF.
                rdb.stream_db = stream_db.or(rdb.stream_db);
                rdb.state = RdbState::Loaded;
                let adoption = Adoption {
                    replid: rdb.replid,
                    offset: rdb.offset,
                    stream_db: rdb.stream_db,
                };
                self.adopt(adoption);
                self.rdb_loaded(env);
            }
            None => {
                let (replid, offset) = match self.full.take() {
                    Some((replid, offset)) => (Some(replid), offset),
                    None => (None, 0),
                };
                self.adopt(Adoption {
                    replid,
                    offset,
                    stream_db,
                });
                self.finish_full(env);
            }
        }
    }

    /// The primary has lost its data, or never had any: ours are worth more.
    fn refuse_empty(&mut self, env: &Env<'_>) {
        let text = format!(
            "Refusing to synchronize with PRIMARY {0}:{1}: it has no keys and another history, and would wipe the data of this replica. REPLICAOF {0} {1} FORCE overrides",
            self.host, self.port
        );
        self.log(Level::Warning, text);
        self.give_up_attempt(env, Retry::RefusedSync);
    }

    fn load_failed(&mut self, env: &Env<'_>, payload: Payload, error: &str, retry: Retry) {
        let place = if payload.sink == Sink::Parser {
            "socket"
        } else {
            "disk"
        };
        let error = printable(error.as_bytes());
        if !error.is_empty() {
            self.log(Level::Warning, error.clone());
        }
        self.log(
            Level::Warning,
            format!("Failed trying to load the PRIMARY synchronization DB from {place}, check server logs."),
        );
        // It says more than that line does.
        self.report.warning = Some(error).filter(|error| !error.is_empty());
        let text = match payload.mode {
            LoadMode::SwapDb => "PRIMARY <-> REPLICA sync: Discarding temporary DB in background",
            LoadMode::Disabled | LoadMode::OnEmptyDb => {
                "PRIMARY <-> REPLICA sync: Discarding the half-loaded data"
            }
        };
        self.log(Level::Notice, text.into());
        self.give_up_attempt(env, retry);
    }

    /// The connection has ended in the middle of the snapshot.
    pub(super) fn payload_lost(&mut self, env: &Env<'_>, error: &str) {
        if self.suspend(env) {
            self.log(
                Level::Warning,
                format!("I/O error trying to sync with PRIMARY: {error}"),
            );
            return self.give_up_attempt(env, Retry::Resume);
        }
        match self.receiving.as_ref().map(|r| (r.payload, r.received)) {
            // For the parser it is a snapshot that ends too early.
            Some((payload, received)) if payload.sink == Sink::Parser => {
                let text = format!(
                    "Internal error in RDB reading offset {received}, function at load -> Unexpected EOF reading RDB file: {error}"
                );
                self.load_failed(env, payload, &text, Retry::FailedSync);
            }
            _ => {
                self.log(
                    Level::Warning,
                    format!("I/O error trying to sync with PRIMARY: {error}"),
                );
                self.give_up_attempt(env, Retry::FailedSync);
            }
        }
    }

    /// Nothing comes of this attempt, of whichever kind it is.
    pub(super) fn give_up_attempt(&mut self, env: &Env<'_>, retry: Retry) {
        if self.rdb.is_some() {
            self.log(Level::Notice, ABORTING_DUAL.into());
        }
        self.fail(env, retry);
    }

    /// Whether this payload is the one that is awaited.
    #[must_use]
    pub fn is_receiving(&self, load: LoadId) -> bool {
        let suspended = self.suspended.as_ref().map(|(receiving, _)| receiving);
        let known = self.receiving.as_ref().into_iter().chain(suspended);
        known.into_iter().any(|r| r.payload.load == load)
    }

    /// Whether the payload is complete and being loaded. Data that are loaded before the payload's end is known are kept
    /// until it is, and only then adopted.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        match &self.rdb {
            Some(rdb) => rdb.state == RdbState::Loading,
            None => self.state == Main::Loading,
        }
    }

    fn adopt(&mut self, adoption: Adoption) {
        self.position = Some(Position {
            replid: adoption.replid,
            applied: adoption.offset,
        });
        self.read = adoption.offset;
        self.actions.push_back(Action::Adopt(adoption));
    }

    pub(super) fn link_up(&mut self) {
        self.state = Main::Connected;
        self.up = true;
        self.down_since_ms = None;
        self.actions.push_back(Action::LinkUp);
    }

    /// A full synchronisation has succeeded: what failed before is past.
    fn succeeded(&mut self) {
        self.accepts_empty = false;
        self.report.failures = 0;
        self.report.dual_failures = 0;
        self.classic_next = None;
    }

    /// A classic full sync has its data.
    fn finish_full(&mut self, env: &Env<'_>) {
        self.succeeded();
        self.log(
            Level::Notice,
            "PRIMARY <-> REPLICA sync: Finished with success".into(),
        );
        self.actions.push_back(Action::RestartAof);
        match self.main {
            Some(conn) => {
                self.link_up();
                self.send_ack(env);
                self.actions.push_back(Action::ResumeReading(conn));
            }
            None => self.lost_meanwhile(env),
        }
    }

    /// The main connection went away while we could do without it: continue from what we have.
    fn lost_meanwhile(&mut self, env: &Env<'_>) {
        self.log_lost();
        self.fail(env, Retry::AtOnce);
    }

    /// Dual channel: the snapshot is in memory and its identity adopted.
    fn rdb_loaded(&mut self, env: &Env<'_>) {
        if let Some(conn) = self.rdb.as_mut().and_then(|r| r.conn.take()) {
            self.actions.push_back(Action::Close(conn));
        }
        if self.state == Main::Buffering {
            self.rdb = None;
            self.link_up();
            self.state = Main::Draining;
            self.drain_to = Some(self.read + self.buffered);
            self.last_newline_ms = env.now_ms;
            self.actions.push_back(Action::Drain);
        } else {
            self.log(
                Level::Notice,
                "PRIMARY <-> REPLICA sync: Finished with success".into(),
            );
            self.actions.push_back(Action::RestartAof);
            self.last_io_ms = env.now_ms;
        }
    }

    /// Dual channel: the main connection streams from the snapshot's offset on.
    pub(super) fn main_joined(&mut self, env: &Env<'_>) {
        self.decompress(Channel::Main);
        let loaded = self
            .rdb
            .as_ref()
            .is_some_and(|r| r.state == RdbState::Loaded);
        if !loaded {
            self.log(
                Level::Notice,
                "Primary <-> REPLICA sync: Primary accepted a Partial Resynchronization, RDB load in background.".into(),
            );
            self.restart_buffer();
            self.state = Main::Buffering;
            return;
        }
        self.log(
            Level::Notice,
            "Primary <-> REPLICA sync: Primary accepted a Partial Resynchronization.".into(),
        );
        self.log(
            Level::Debug,
            "Dual channel sync - psync established after rdb load".into(),
        );
        self.restart_buffer();
        self.rdb = None;
        self.succeeded();
        self.link_up();
        self.log(
            Level::Notice,
            "Successfully streamed replication data into memory".into(),
        );
        self.send_ack(env);
    }

    fn bounds(env: &Env<'_>) -> Bounds {
        Bounds {
            memory_bytes: env.config.buffer_bytes_max,
            spill_bytes: env.config.spill_bytes_max,
            backlog_bytes: env.config.backlog_bytes,
        }
    }

    /// A session with two channels begins to buffer.
    pub(super) fn restart_buffer(&mut self) {
        self.clear_buffer();
        self.buffer.restart();
    }

    /// Drops what is buffered, and the file.
    pub(super) fn clear_buffer(&mut self) {
        if self.buffer.has_file() {
            self.actions.push_back(Action::DropSpill);
        }
        self.buffer.clear();
        self.buffered = 0;
        self.drain_to = None;
        self.is_paused = false;
    }

    /// Stream bytes that have to wait for the snapshot, or for those that wait in front of them.
    pub(super) fn take_buffered(&mut self, env: &Env<'_>, conn: Conn, data: &[u8]) -> Taken {
        let bounds = Self::bounds(env);
        let (used, routing) = match self.buffer.place(data, bounds) {
            Placed::Memory(used) => (used, Routing::Buffered),
            Placed::Spill(used) => {
                if self.buffer.stop() {
                    let bytes = bounds.spill_bytes;
                    self.log(
                        Level::Notice,
                        format!("Replication buffer limit reached, stopping buffering. Up to {bytes} bytes more go into a file."),
                    );
                }
                (used, Routing::Spill)
            }
            Placed::Nowhere => {
                self.stop_buffering(conn);
                (0, Routing::Hold)
            }
        };
        self.buffered += used as u64;
        Taken { used, routing }
    }

    fn stop_buffering(&mut self, conn: Conn) {
        if self.is_paused {
            return;
        }
        self.is_paused = true;
        let text = match self.buffer.stop() {
            true => "Replication buffer limit reached, stopping buffering.",
            false => "No more of the replication stream can be buffered: reading it has to wait.",
        };
        self.log(Level::Notice, text.into());
        self.actions.push_back(Action::PauseReading(conn));
    }

    /// The spill file could not take the last `count` bytes, which [`Routing::Spill`] named: they are to be kept like those of
    /// [`Routing::Hold`].
    pub fn spill_failed(&mut self, conn: Conn, count: u64, error: &str) {
        if self.main != Some(conn) || !matches!(self.state, Main::Buffering | Main::Draining) {
            return;
        }
        self.buffer.spill_failed(count);
        self.buffered -= count;
        self.log(
            Level::Warning,
            format!("Can't write to the file that holds the buffered replication stream: {error}"),
        );
        self.stop_buffering(conn);
    }

    /// The spill file cannot be read: what it held has to be sent again.
    pub fn spill_lost(&mut self, env: &Env<'_>, error: &str) {
        if self.state == Main::Draining {
            self.log(
                Level::Warning,
                format!("Can't read the file that holds the buffered replication stream: {error}"),
            );
            self.lost_meanwhile(env);
        }
    }

    /// The next run of buffered stream bytes to apply, after [`Action::Drain`].
    pub fn drain(&mut self, env: &Env<'_>) -> Drain {
        if self.state != Main::Draining {
            return Drain::Done;
        }
        self.last_io_ms = env.now_ms;
        if self.drain_to.is_some_and(|end| self.read >= end) {
            self.finish_dual(env);
        }
        if self.is_paused
            && self.buffer.has_room_again(Self::bounds(env))
            && let Some(conn) = self.main
        {
            self.is_paused = false;
            self.actions.push_back(Action::ResumeReading(conn));
        }
        let had_file = self.buffer.has_file();
        let (count, next) = match self.buffer.next(SPILL_PIECE_BYTES) {
            Next::Block(block) => (block.len() as u64, Drain::Bytes(block)),
            Next::Spilled(count) => (count, Drain::Spilled(count)),
            Next::Empty => {
                self.drained(env);
                return Drain::Done;
            }
        };
        debug_assert!(had_file || !matches!(next, Drain::Spilled(_)));
        self.read += count;
        self.buffered -= count;
        next
    }

    /// What was buffered when the snapshot had been loaded is applied.
    fn finish_dual(&mut self, env: &Env<'_>) {
        self.drain_to = None;
        self.succeeded();
        self.log(
            Level::Notice,
            "Successfully streamed replication data into memory".into(),
        );
        self.log(
            Level::Notice,
            "PRIMARY <-> REPLICA sync: Finished with success".into(),
        );
        self.actions.push_back(Action::RestartAof);
        self.send_ack(env);
    }

    /// The buffer is empty: from now on the stream is applied as it comes.
    fn drained(&mut self, env: &Env<'_>) {
        let was_paused = self.is_paused;
        self.clear_buffer();
        self.state = Main::Connected;
        match self.main {
            Some(conn) if was_paused => self.actions.push_back(Action::ResumeReading(conn)),
            Some(_) => {}
            None => self.lost_meanwhile(env),
        }
    }

    pub(super) fn rdb_closed(&mut self, env: &Env<'_>, error: &str) {
        let Some(rdb) = &mut self.rdb else { return };
        rdb.conn = None;
        match rdb.state {
            RdbState::Loading | RdbState::Loaded => {}
            RdbState::Payload => self.payload_lost(env, error),
            RdbState::AwaitHeader => {
                self.log(
                    Level::Warning,
                    format!("I/O error reading bulk count from PRIMARY: {error}"),
                );
                self.abort_dual(env, None);
            }
            RdbState::Connecting => {
                self.log(
                    Level::Warning,
                    format!("Error condition on socket for SYNC: {error}"),
                );
                self.abort_dual(env, None);
            }
            _ => {
                self.log(
                    Level::Warning,
                    format!("Failed to read response from the server: {error}"),
                );
                self.abort_dual(env, None);
            }
        }
    }

    /// Gives a dual-channel sync up: both connections, the snapshot and the buffer go. `psync_result` says what the
    /// main connection was told, where that is the reason.
    pub(super) fn abort_dual(&mut self, env: &Env<'_>, psync_result: Option<i32>) {
        if let Some(result) = psync_result {
            self.log(
                Level::Warning,
                format!("{ABORTING_DUAL}. Main channel psync result {result}"),
            );
        }
        self.log(Level::Notice, ABORTING_DUAL.into());
        let refused = self.rdb.as_ref().is_some_and(|rdb| {
            use RdbState as S;
            matches!(
                rdb.state,
                S::Connecting | S::AwaitAuth | S::AwaitReplconf | S::AwaitEndoff
            )
        });
        let retry = if refused {
            Retry::Cron
        } else {
            Retry::FailedSync
        };
        self.fail(env, retry);
    }
}
