//! The link: one object for everything towards our primary, both connections of a dual-channel sync included.

use super::buffer::LocalBuffer;
use super::handshake::psync_result;
use super::lines::{Line, LineReader};
use super::payload::Receiving;
use super::redis::Dialect;
use super::report::Report;
use super::types::*;
use crate::limits::{
    DUAL_FAILURES_MAX, FAILED_SYNC_DOUBLINGS_MAX, FAILED_SYNC_RETRY_MS_MAX, HASTY_ATTEMPTS_MAX,
    NOPERM_RETRY_MS, RECONNECT_MS_MIN,
};
use crate::sync::WhyClassic;
use crate::{Level, ReplId};
use std::collections::VecDeque;
use words::request;

/// Where the main connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Main {
    /// Not a replica.
    Off,
    /// The next attempt is due at `Link::next_attempt_ms`.
    Waiting,
    Connecting,
    AwaitPing,
    /// AUTH and REPLCONF replies are on their way, one per `Link::steps`.
    AwaitSteps,
    AwaitPsync,
    /// Full sync: the payload's header comes next.
    AwaitHeader,
    Payload,
    Loading,
    /// Dual channel: waiting for the snapshot channel's `$ENDOFF`.
    Parked,
    AwaitIdentity,
    AwaitDualPsync,
    /// Dual channel: the stream flows, or may flow at any time, into the local buffer.
    Buffering,
    /// Dual channel: loaded; the local buffer is being applied.
    Draining,
    Connected,
}

/// A reply the handshake waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Auth,
    Port,
    Ip,
    Capabilities,
    Version,
    /// Of a primary that is no Valkey.
    RdbChannel,
}

/// Where the snapshot connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RdbState {
    Connecting,
    AwaitAuth,
    AwaitReplconf,
    /// `$ENDOFF`, or `+FULLRESYNC` where the primary is Redis.
    AwaitEndoff,
    AwaitHeader,
    Payload,
    Loading,
    Loaded,
}

/// The snapshot's half of a dual-channel sync.
#[derive(Debug)]
pub(super) struct Rdb {
    /// `None` once it is closed, which it may be as soon as the payload is complete.
    pub(super) conn: Option<Conn>,
    pub(super) lines: LineReader,
    pub(super) state: RdbState,
    pub(super) dialect: Dialect,
    /// The primary has agreed to compress the snapshot.
    pub(super) compressed: bool,
    /// Identity of the snapshot, from `$ENDOFF` or `+FULLRESYNC`.
    pub(super) replid: Option<ReplId>,
    pub(super) offset: u64,
    pub(super) stream_db: Option<u32>,
    pub(super) last_io_ms: u64,
}

/// The history we can continue: what PSYNC asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// `None` when the primary never named it properly: then there is nothing to ask for.
    pub(super) replid: Option<ReplId>,
    /// Last byte applied.
    pub(super) applied: u64,
}

/// When to try again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// At the next second.
    Cron,
    /// At once, unless that has led nowhere several times within a second each.
    AtOnce,
    /// Much later: only an administrator can change the outcome.
    Refused,
    /// A full synchronisation had begun and failed: at once, then after pauses that grow as long as it goes on. Every
    /// attempt costs the primary a snapshot, and what is in the way is likely to stay there.
    FailedSync,
    /// The same, and the number of channels has nothing to do with it.
    RefusedSync,
    /// At once: what has come of a snapshot is kept, and the rest is asked for.
    Resume,
}

impl Retry {
    /// Whether the primary has taken a snapshot for nothing.
    fn is_failed_sync(self) -> bool {
        matches!(self, Retry::FailedSync | Retry::RefusedSync)
    }
}

/// What a server does towards its primary.
///
/// Every input may queue [`Action`]s: drain them with [`Link::next_action`] after each input.
#[derive(Debug)]
pub struct Link {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) state: Main,
    pub(super) main: Option<Conn>,
    pub(super) lines: LineReader,
    pub(super) steps: VecDeque<Step>,
    pub(super) rdb: Option<Rdb>,
    pub(super) position: Option<Position>,
    /// Last stream byte received.
    pub(super) read: u64,
    /// Identity a classic full sync will have.
    pub(super) full: Option<(ReplId, u64)>,
    pub(super) receiving: Option<Receiving>,
    /// A snapshot whose connection broke, and until when it is kept so that it can be gone on with.
    pub(super) suspended: Option<(Receiving, u64)>,
    /// The parser was done before the payload's last byte was counted.
    pub(super) early: Option<Loaded>,
    /// The payload's last byte has been seen and goes to the sink now.
    pub(super) complete: bool,
    pub(super) buffer: LocalBuffer,
    /// This handshake said `capa dual-channel`: the setting may have changed since.
    pub(super) dual_announced: bool,
    /// The primary has agreed to compress what it sends on the main connection.
    pub(super) compressed: bool,
    /// And, to Redis, `capa rdb-channel-repl`.
    pub(super) rdb_channel_announced: bool,
    pub(super) failover: bool,
    /// A primary without data is welcome.
    pub(super) accepts_empty: bool,
    pub(super) up: bool,
    pub(super) numbers: Numbers,
    pub(super) last_io_ms: u64,
    pub(super) last_newline_ms: u64,
    pub(super) last_ack_ms: u64,
    pub(super) last_attempt_ms: Option<u64>,
    /// Attempts made at once in a row, each within a second of the one before.
    pub(super) hasty_attempts: u32,
    pub(super) next_attempt_ms: u64,
    /// The buffered stream that has to be applied before the synchronisation is finished ends here; `None` once it is.
    pub(super) drain_to: Option<u64>,
    /// Stream bytes in the local buffer, in memory and in the file.
    pub(super) buffered: u64,
    /// Reading of the main connection has stopped until there is room in the buffer.
    pub(super) is_paused: bool,
    /// The next attempt uses one channel: two have failed too often.
    pub(super) classic_next: Option<WhyClassic>,
    pub(super) report: Report,
    pub(super) down_since_ms: Option<u64>,
    pub(super) actions: VecDeque<Action>,
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// A link to nobody.
    pub fn new() -> Self {
        Link {
            host: String::new(),
            port: 0,
            state: Main::Off,
            main: None,
            lines: LineReader::default(),
            steps: VecDeque::new(),
            rdb: None,
            position: None,
            read: 0,
            full: None,
            receiving: None,
            suspended: None,
            early: None,
            complete: false,
            buffer: LocalBuffer::default(),
            dual_announced: false,
            compressed: false,
            rdb_channel_announced: false,
            failover: false,
            accepts_empty: false,
            up: false,
            numbers: Numbers::default(),
            last_io_ms: 0,
            last_newline_ms: 0,
            last_ack_ms: 0,
            last_attempt_ms: None,
            hasty_attempts: 0,
            next_attempt_ms: 0,
            drain_to: None,
            buffered: 0,
            is_paused: false,
            classic_next: None,
            report: Report::default(),
            down_since_ms: None,
            actions: VecDeque::new(),
        }
    }

    /// A link to nobody that goes on counting where another one ended.
    pub fn succeeding(numbers: Numbers) -> Self {
        Link {
            numbers,
            ..Self::new()
        }
    }

    /// What a successor has to know.
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// The next thing to do, in order.
    pub fn next_action(&mut self) -> Option<Action> {
        if self.actions.is_empty() {
            self.tell_phase();
        }
        self.actions.pop_front()
    }

    /// Becomes a replica of `host:port` and connects. Whatever the link did before ends.
    ///
    /// `from` is the history our data belong to, as PSYNC shall ask for it: id and last byte applied; `None` when
    /// there is none worth continuing.
    pub fn start(
        &mut self,
        env: &Env<'_>,
        host: &str,
        port: u16,
        from: Option<(ReplId, u64)>,
        purpose: Purpose,
    ) {
        self.end();
        self.position = None;
        self.host = host.to_owned();
        self.port = port;
        self.position = from.map(|(replid, applied)| Position {
            replid: Some(replid),
            applied,
        });
        self.read = from.map_or(0, |(_, applied)| applied);
        self.failover = purpose == Purpose::Failover;
        self.accepts_empty = purpose == Purpose::FollowAnyway;
        self.down_since_ms = None;
        self.report = Report::default();
        self.classic_next = None;
        self.connect(env, "Connecting to", "");
    }

    /// Stops being a replica. Both connections close, a snapshot under way is dropped, nothing stays.
    pub fn stop(&mut self) {
        self.end();
        self.forget_position();
    }

    fn end(&mut self) {
        self.forget_suspended();
        if self.state == Main::Draining {
            self.log(
                Level::Warning,
                "Failed to stream local replication buffer into memory".into(),
            );
        }
        if self.up {
            self.log_lost();
        }
        self.clean_up();
        self.state = Main::Off;
        self.failover = false;
        self.host.clear();
    }

    /// A connection is established.
    pub fn connected(&mut self, env: &Env<'_>, conn: Conn) {
        if self.main == Some(conn) && self.state == Main::Connecting {
            self.last_io_ms = env.now_ms;
            self.log(
                Level::Notice,
                "Non blocking connect for SYNC fired the event.".into(),
            );
            self.send(conn, &[b"PING"]);
            self.state = Main::AwaitPing;
        } else if self.is_rdb(conn) {
            self.rdb_connected(env, conn);
        }
    }

    /// A connection could not be established, or has ended; `error` says how, for the log.
    pub fn closed(&mut self, env: &Env<'_>, conn: Conn, error: &str) {
        if self.is_rdb(conn) {
            self.rdb_closed(env, error);
        } else if self.main == Some(conn) {
            self.main_closed(env, error);
        }
    }

    /// Bytes from a connection. Takes a first run of them and says what they are; call again with the rest.
    pub fn bytes(&mut self, env: &Env<'_>, conn: Conn, data: &[u8]) -> Taken {
        let taken = self.take(env, conn, data);
        if taken.routing != Routing::Stale {
            self.report.traffic(conn.channel).bytes_in += taken.used as u64;
        }
        taken
    }

    fn take(&mut self, env: &Env<'_>, conn: Conn, data: &[u8]) -> Taken {
        let all = data.len();
        if self.is_rdb(conn) {
            let Some(rdb) = &mut self.rdb else {
                return Taken {
                    used: all,
                    routing: Routing::Stale,
                };
            };
            rdb.last_io_ms = env.now_ms;
            return match rdb.state {
                RdbState::Payload => self.take_payload(env, data),
                RdbState::Loading | RdbState::Loaded => Taken {
                    used: 0,
                    routing: Routing::Hold,
                },
                state => {
                    let routing = match state {
                        RdbState::AwaitHeader => Routing::Header,
                        _ => Routing::Control,
                    };
                    let (used, line) = rdb.lines.feed(data);
                    self.control(env, Channel::Rdb, line);
                    Taken { used, routing }
                }
            };
        }
        if self.main != Some(conn) {
            return Taken {
                used: all,
                routing: Routing::Stale,
            };
        }
        self.last_io_ms = env.now_ms;
        match self.state {
            Main::Connected => {
                self.read += all as u64;
                Taken {
                    used: all,
                    routing: Routing::Stream,
                }
            }
            Main::Payload => self.take_payload(env, data),
            Main::Buffering | Main::Draining => self.take_buffered(env, conn, data),
            Main::Loading => Taken {
                used: 0,
                routing: Routing::Hold,
            },
            state => {
                let routing = match state {
                    Main::AwaitHeader => Routing::Header,
                    _ => Routing::Control,
                };
                let (used, line) = self.lines.feed(data);
                self.control(env, Channel::Main, line);
                Taken { used, routing }
            }
        }
    }

    /// The engine has applied (and passed on to our own backlog) this many further bytes of the stream: whole
    /// commands, and whole transactions.
    pub fn applied(&mut self, count: u64) {
        let read = self.read;
        if let Some(position) = &mut self.position {
            position.applied = position
                .applied
                .saturating_add(count)
                .min(read.max(position.applied));
        }
    }

    /// The stream asked for an acknowledgement (`REPLCONF GETACK *`).
    pub fn getack(&mut self, env: &Env<'_>) {
        self.send_ack(env);
    }

    /// The stream broke the protocol or the engine cannot follow it: start the connection anew.
    pub fn stream_failed(&mut self, env: &Env<'_>, error: &str) {
        if let Some(conn) = self.main.filter(|_| self.up) {
            self.actions.push_back(Action::Close(conn));
            self.main_closed(env, error);
        }
    }

    /// As [`Self::stream_failed`], and what has been applied of it cannot be trusted: only a full sync will do.
    pub fn stream_unusable(&mut self, env: &Env<'_>, error: &str) {
        self.forget_position();
        self.stream_failed(env, error);
    }

    /// Periodic work; call it about ten times a second.
    pub fn tick(&mut self, env: &Env<'_>) {
        self.check_timeouts(env);
        if self
            .suspended
            .as_ref()
            .is_some_and(|(_, until_ms)| env.now_ms > *until_ms)
        {
            self.forget_suspended();
        }
        match self.state {
            Main::Waiting if env.now_ms >= self.next_attempt_ms => {
                self.hasty_attempts = 0;
                self.connect(env, "Connecting to", "")
            }
            Main::Connected if env.now_ms.saturating_sub(self.last_ack_ms) >= 1000 => {
                self.send_ack(env)
            }
            Main::Loading | Main::Buffering | Main::Draining
                if env.now_ms.saturating_sub(self.last_newline_ms) >= 1000 =>
            {
                self.last_newline_ms = env.now_ms;
                match self.main {
                    // The synchronisation is finished; what has come since is still being applied.
                    Some(_) if self.up && self.drain_to.is_none() => self.send_ack(env),
                    Some(conn) => self.send_bytes(conn, b"\n".to_vec()),
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Nobody reads what comes for now: that nothing is heard does not mean that nothing is said.
    pub fn is_not_read(&mut self, env: &Env<'_>) {
        self.last_io_ms = env.now_ms;
    }

    /// The state for ROLE.
    pub fn state(&self) -> LinkState {
        match self.state {
            Main::Off => LinkState::None,
            Main::Waiting => LinkState::Connect,
            Main::Connecting => LinkState::Connecting,
            Main::AwaitHeader | Main::Payload | Main::Loading | Main::Buffering => LinkState::Sync,
            Main::Draining | Main::Connected => LinkState::Connected,
            _ => LinkState::Handshake,
        }
    }

    /// Host and port of the primary; `None` when not a replica.
    pub fn target(&self) -> Option<(&str, u16)> {
        (self.state != Main::Off).then_some((self.host.as_str(), self.port))
    }

    /// Whether the stream may be applied.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Id and last applied byte we could continue from: what a restart, or FAILOVER, may use.
    pub fn position(&self) -> Option<(ReplId, u64)> {
        self.position.and_then(|p| Some((p.replid?, p.applied)))
    }

    /// Memory of the local buffer, in bytes.
    pub fn buffer_bytes(&self) -> u64 {
        self.buffer.bytes()
    }

    /// Rows for INFO.
    pub fn info(&self, now_ms: u64) -> LinkInfo {
        let seconds = |since: u64| now_ms.saturating_sub(since) / 1000;
        let sync_in_progress = self.state() == LinkState::Sync;
        let read = self.receiving.as_ref().map_or(0, |r| r.received);
        let size = self.receiving.as_ref().map(|r| r.payload.size);
        let last_io = self.rdb.as_ref().map_or(self.last_io_ms, |r| r.last_io_ms);
        LinkInfo {
            host: self.host.clone(),
            port: self.port,
            up: self.state() == LinkState::Connected,
            last_io_seconds: self.up.then(|| seconds(self.last_io_ms)),
            sync_in_progress,
            read_offset: if self.position.is_some() {
                self.read
            } else {
                1
            },
            applied_offset: self.position.map_or(1, |p| p.applied),
            buffer_bytes: self.buffer.bytes(),
            buffer_bytes_peak: self.buffer.peak(),
            sync: sync_in_progress.then(|| SyncProgress {
                total_bytes: match size {
                    None => -1,
                    Some(size) => size.and_then(|n| i64::try_from(n).ok()).unwrap_or(0),
                },
                read_bytes: read,
                left_bytes: size.flatten().map_or(0, |n| n.saturating_sub(read)),
                last_io_seconds: seconds(last_io),
            }),
            down_seconds: self.down_since_ms.map(seconds),
        }
    }

    pub(super) fn log(&mut self, level: Level, text: String) {
        if level == Level::Warning {
            self.report.warning = Some(text.clone());
        }
        self.actions.push_back(Action::Log(level, text));
    }

    pub(super) fn send(&mut self, conn: Conn, args: &[&[u8]]) {
        let mut bytes = Vec::new();
        request::encode(&mut bytes, args);
        self.send_bytes(conn, bytes);
    }

    pub(super) fn send_bytes(&mut self, conn: Conn, bytes: Vec<u8>) {
        self.report.traffic(conn.channel).bytes_out += bytes.len() as u64;
        self.actions.push_back(Action::Send(conn, bytes));
    }

    pub(super) fn send_ack(&mut self, env: &Env<'_>) {
        let (Some(conn), Some(position)) = (self.main.filter(|_| self.up), self.position) else {
            return;
        };
        self.last_ack_ms = env.now_ms;
        let offset = position.applied.to_string();
        match env.aof_offset {
            None => self.send(conn, &[b"REPLCONF", b"ACK", offset.as_bytes()]),
            Some(aof) => {
                let aof = aof.to_string();
                self.send(
                    conn,
                    &[
                        b"REPLCONF",
                        b"ACK",
                        offset.as_bytes(),
                        b"FACK",
                        aof.as_bytes(),
                    ],
                );
            }
        }
    }

    pub(super) fn new_conn(&mut self, channel: Channel) -> Conn {
        self.numbers.attempts += 1;
        let conn = Conn {
            channel,
            attempt: self.numbers.attempts,
        };
        self.actions.push_back(Action::Connect {
            conn,
            host: self.host.clone(),
            port: self.port,
        });
        conn
    }

    pub(super) fn is_rdb(&self, conn: Conn) -> bool {
        self.rdb.as_ref().is_some_and(|r| r.conn == Some(conn))
    }

    fn connect(&mut self, env: &Env<'_>, how: &str, why: &str) {
        let text = format!("{how} PRIMARY {}:{}{why}", self.host, self.port);
        self.log(Level::Notice, text);
        self.last_attempt_ms = Some(env.now_ms);
        self.last_io_ms = env.now_ms;
        self.lines = LineReader::default();
        self.report.restart();
        self.main = Some(self.new_conn(Channel::Main));
        self.state = Main::Connecting;
        self.log(Level::Notice, "PRIMARY <-> REPLICA sync started".into());
    }

    /// Ends the attempt: everything it had is released, and the next one is planned.
    pub(super) fn fail(&mut self, env: &Env<'_>, retry: Retry) {
        let was_up = self.up;
        let was_dual = self.rdb.is_some();
        if let Some(cause) = self.report.warning.take() {
            self.report.cause = cause;
        }
        self.clean_up();
        self.state = Main::Waiting;
        if was_up {
            self.down_since_ms = Some(env.now_ms);
        }
        match retry {
            Retry::RefusedSync | Retry::Resume => {}
            _ if was_dual => self.count_dual_failure(retry),
            // One channel has had its turn.
            Retry::FailedSync => self.classic_next = None,
            _ => {}
        }
        let earliest = self
            .last_attempt_ms
            .map_or(0, |last| last.saturating_add(RECONNECT_MS_MIN));
        let pause_ms = retry
            .is_failed_sync()
            .then(|| self.failed_sync(env))
            .flatten();
        self.next_attempt_ms = match retry {
            Retry::Refused => env.now_ms.saturating_add(NOPERM_RETRY_MS),
            Retry::Cron => earliest.max(env.now_ms.saturating_add(1)),
            _ => pause_ms.map_or(earliest, |ms| env.now_ms + ms),
        };
        if env.now_ms >= earliest {
            self.hasty_attempts = 0;
        }
        let at_once = !matches!(retry, Retry::Cron | Retry::Refused) && pause_ms.is_none();
        if at_once && self.hasty_attempts < HASTY_ATTEMPTS_MAX {
            self.hasty_attempts += 1;
            let why = if was_up { "" } else { " after failure" };
            self.connect(env, "Reconnecting to", why);
        }
    }

    /// Counts a full synchronisation that has failed. Returns how long to wait before the next one, in milliseconds; `None`
    /// for the first in a row, which is repeated at once.
    fn failed_sync(&mut self, env: &Env<'_>) -> Option<u64> {
        self.report.failures = self.report.failures.saturating_add(1);
        self.report.failures_total += 1;
        let times = self.report.failures;
        let doublings = times.checked_sub(2)?.min(FAILED_SYNC_DOUBLINGS_MAX);
        let pause_ms = RECONNECT_MS_MIN
            .saturating_mul(1 << doublings)
            .min(FAILED_SYNC_RETRY_MS_MAX);
        // Replicas that failed together do not come back together.
        let pause_ms = pause_ms - jitter(env.now_ms, self.numbers.attempts, pause_ms / 4);
        let (seconds, cause) = (pause_ms as f64 / 1000.0, &self.report.cause);
        let text = format!(
            "{times} synchronizations in a row have failed, the next one is tried in {seconds:.1} seconds. Last cause: {cause}"
        );
        self.actions.push_back(Action::Log(Level::Warning, text));
        Some(pause_ms)
    }

    /// Two channels have failed once more with this peer. When it has been too often, the next attempt does with one.
    fn count_dual_failure(&mut self, retry: Retry) {
        self.report.dual_failures += 1;
        let failures = self.report.dual_failures;
        if failures < DUAL_FAILURES_MAX {
            return;
        }
        self.report.dual_failures = 0;
        self.classic_next = Some(match retry {
            Retry::Refused => WhyClassic::RightMissing,
            _ => WhyClassic::Fallback { failures },
        });
        self.log(
            Level::Notice,
            format!("Dual channel synchronization has failed {failures} times in a row, the next attempt uses one channel."),
        );
    }

    /// Closes both connections and drops the snapshot, the local buffer and the dual-channel session.
    fn clean_up(&mut self) {
        if let Some(conn) = self.main.take() {
            self.actions.push_back(Action::Close(conn));
        }
        if let Some(conn) = self.rdb.take().and_then(|r| r.conn) {
            self.actions.push_back(Action::Close(conn));
        }
        if let Some(receiving) = self.receiving.take() {
            self.actions
                .push_back(Action::AbortPayload(receiving.payload.load));
        }
        if std::mem::take(&mut self.up) {
            self.actions.push_back(Action::LinkDown);
        }
        if self.state == Main::Draining {
            // The data have been replaced already, and what comes next may well be a partial resynchronization.
            self.actions.push_back(Action::RestartAof);
        }
        self.early = None;
        self.complete = false;
        self.full = None;
        self.steps.clear();
        self.clear_buffer();
        // What was received and not applied will be sent again.
        self.read = self.position.map_or(0, |p| p.applied);
    }

    fn main_closed(&mut self, env: &Env<'_>, error: &str) {
        self.main = None;
        match self.state {
            // The data are here or on their way to memory: finish, then continue from where they end.
            Main::Loading | Main::Draining => {}
            Main::Connected => {
                self.log_lost();
                self.fail(env, Retry::AtOnce);
            }
            Main::AwaitPsync | Main::AwaitDualPsync => {
                self.log(
                    Level::Warning,
                    format!("Failed to read response from the server: {error}"),
                );
                self.log(
                    Level::Warning,
                    "Primary did not reply to PSYNC, will try later".into(),
                );
                match self.state {
                    Main::AwaitDualPsync => self.abort_dual(env, Some(psync_result::TRY_LATER)),
                    _ => self.fail(env, Retry::Cron),
                }
            }
            Main::AwaitHeader => {
                self.log(
                    Level::Warning,
                    format!("I/O error reading bulk count from PRIMARY: {error}"),
                );
                self.fail(env, Retry::FailedSync);
            }
            Main::Payload => self.payload_lost(env, error),
            Main::Parked | Main::AwaitIdentity | Main::Buffering => {
                let text = "Provisional primary closed connection";
                self.log(Level::Verbose, text.into());
                self.report.warning = Some(text.into());
                match self.suspend(env) {
                    true => self.give_up_attempt(env, Retry::Resume),
                    false => self.abort_dual(env, None),
                }
            }
            _ => {
                self.log(
                    Level::Warning,
                    format!("Error condition on socket for SYNC: {error}"),
                );
                self.fail(env, Retry::Cron);
            }
        }
    }

    /// The stream has ended, and can be continued from where it did.
    pub(super) fn log_lost(&mut self) {
        self.log(Level::Notice, "Connection with primary lost.".into());
        self.log(
            Level::Notice,
            "Caching the disconnected primary state.".into(),
        );
    }

    fn control(&mut self, env: &Env<'_>, channel: Channel, line: Line) {
        match line {
            Line::Partial => {}
            Line::Whole(line) if channel == Channel::Main => self.main_line(env, &line),
            Line::Whole(line) => self.rdb_line(env, &line),
            Line::TooLong => {
                self.log(
                    Level::Warning,
                    "Bad protocol from PRIMARY, a line of the handshake has no end. Aborting the synchronization.".into(),
                );
                self.fail(env, Retry::Cron);
            }
        }
    }

    fn check_timeouts(&mut self, env: &Env<'_>) {
        let limit_ms = env.config.timeout_seconds.saturating_mul(1000);
        let late = |since: u64| env.now_ms.saturating_sub(since) > limit_ms;
        let rdb = self.rdb.as_ref().map(|r| (r.state, late(r.last_io_ms)));
        match (self.state, rdb) {
            (Main::Off | Main::Waiting | Main::Loading | Main::Draining, _) => {}
            (_, Some((RdbState::Payload | RdbState::AwaitHeader, true))) => self.bulk_timeout(env),
            (_, Some((RdbState::Payload | RdbState::AwaitHeader, false))) => {}
            (_, Some((RdbState::Loading, _))) => {}
            (_, Some((RdbState::Loaded, _))) if !late(self.last_io_ms) => {}
            (_, Some((RdbState::Loaded, _)) | Some((_, true))) => {
                self.log(
                    Level::Warning,
                    "Timeout connecting to the PRIMARY...".into(),
                );
                self.fail(env, Retry::FailedSync);
            }
            (_, Some((_, false))) => {}
            (Main::Connected, None) if late(self.last_io_ms) => {
                self.log(
                    Level::Warning,
                    "PRIMARY timeout: no data nor PING received...".into(),
                );
                self.log_lost();
                self.fail(env, Retry::AtOnce);
            }
            (Main::AwaitHeader | Main::Payload, None) if late(self.last_io_ms) => {
                self.bulk_timeout(env)
            }
            (_, None) if late(self.last_io_ms) => {
                self.log(
                    Level::Warning,
                    "Timeout connecting to the PRIMARY...".into(),
                );
                self.fail(env, Retry::Cron);
            }
            (_, None) => {}
        }
    }

    fn bulk_timeout(&mut self, env: &Env<'_>) {
        self.log(
            Level::Warning,
            "Timeout receiving bulk data from PRIMARY... If the problem persists try to set the 'repl-timeout' parameter in valkey.conf to a larger value.".into(),
        );
        let retry = match self.suspend(env) {
            true => Retry::Resume,
            false => Retry::FailedSync,
        };
        self.give_up_attempt(env, retry);
    }
}

/// A number below `bound`, or 0, that differs between replicas and attempts. It decides nothing but a moment.
fn jitter(now_ms: u64, attempt: u64, bound: u64) -> u64 {
    let mut x = now_ms ^ attempt.rotate_left(32);
    x = (x ^ (x >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    x = (x ^ (x >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d);
    (x ^ (x >> 33)).checked_rem(bound).unwrap_or(0)
}
