//! What the primary knows about one client that takes part in replication.

use super::report::Report;
use super::spool::Resume;
use super::types::{Filter, JobId, SnapshotFormat};
use crate::ClientId;
use backlog::Cursor;

/// What a replica says it understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Capabilities {
    pub(super) eof: bool,
    pub(super) psync2: bool,
    pub(super) dual_channel: bool,
    /// What Redis calls a dual channel.
    pub(super) rdb_channel: bool,
}

impl Capabilities {
    /// Whether everything `other` understands is understood here too.
    pub(super) fn covers(self, other: Self) -> bool {
        (self.eof || !other.eof)
            && (self.psync2 || !other.psync2)
            && (self.dual_channel || !other.dual_channel)
            && (self.rdb_channel || !other.rdb_channel)
    }
}

/// What the snapshot of a replica must be like. Only equal ones share a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Requirements {
    pub(super) filter: Filter,
    pub(super) format: SnapshotFormat,
    pub(super) rdb_channel: bool,
}

/// Where a client is on its way to being a replica.
#[derive(Debug)]
pub(super) enum State {
    /// An ordinary client that may have said REPLCONF.
    Normal,
    /// `+DUALCHANNELSYNC` or `+RDBCHANNELSYNC` sent: a main channel whose snapshot channel is on its way.
    Parked,
    /// Waiting for a snapshot to start.
    WaitStart { since_ms: u64 },
    /// Its snapshot is being taken (disk) or transferred (sockets).
    WaitEnd {
        job: JobId,
        disk: bool,
        offset: u64,
        cursor: Option<Cursor>,
        acked: bool,
    },
    /// The dump file is being sent.
    SendBulk { cursor: Option<Cursor> },
    /// It has a streamed snapshot; its first ACK starts the stream.
    AwaitAck { cursor: Cursor },
    /// Main channel that streams while the snapshot channel still loads.
    BgTransfer { cursor: Cursor },
    /// Streaming.
    Online { cursor: Cursor },
    /// It wanted the snapshot only and has it.
    Done,
}

impl State {
    /// Whether the client counts as a replica.
    pub(super) fn is_replica(&self) -> bool {
        !matches!(self, State::Normal | State::Parked)
    }

    /// Online for WAIT, ROLE, INFO and timeouts.
    pub(super) fn is_online(&self) -> bool {
        matches!(self, State::AwaitAck { .. } | State::Online { .. })
    }

    /// Its place in the stream, if it has one.
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        match self {
            State::WaitEnd { cursor, .. } | State::SendBulk { cursor } => cursor.as_ref(),
            State::AwaitAck { cursor }
            | State::BgTransfer { cursor }
            | State::Online { cursor } => Some(cursor),
            State::Normal | State::Parked | State::WaitStart { .. } | State::Done => None,
        }
    }

    /// The same, when bytes may be sent from there now.
    pub(super) fn streaming(&mut self) -> Option<&mut Cursor> {
        match self {
            State::BgTransfer { cursor } | State::Online { cursor } => Some(cursor),
            _ => None,
        }
    }

    /// The same, taken out.
    pub(super) fn into_cursor(self) -> Option<Cursor> {
        match self {
            State::WaitEnd { cursor, .. } | State::SendBulk { cursor } => cursor,
            State::AwaitAck { cursor }
            | State::BgTransfer { cursor }
            | State::Online { cursor } => Some(cursor),
            State::Normal | State::Parked | State::WaitStart { .. } | State::Done => None,
        }
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) announced_ip: Option<String>,
    pub(super) peer_ip: String,
    /// Announced port, 0 = none.
    pub(super) port: u16,
    pub(super) version: u32,
    pub(super) capabilities: Capabilities,
    /// It knows two channels, whether or not we have them.
    pub(super) offered_dual: bool,
    /// It gets a snapshot from the file of an earlier one.
    pub(super) from_spool: bool,
    /// What follows the line in front of a snapshot or of the stream is compressed.
    pub(super) compressed: bool,
    /// It has the beginning of a snapshot.
    pub(super) resume: Option<Resume>,
    pub(super) report: Report,
    pub(super) requirements: Requirements,
    pub(super) rdb_only: bool,
    /// The snapshot channel this main channel named or, where the replica is Redis, that named it.
    pub(super) rdb_client: Option<ClientId>,
    /// The main channel that this snapshot channel of Redis named.
    pub(super) main_client: Option<ClientId>,
    /// The snapshot that this main channel's snapshot channel receives.
    pub(super) rdb_job: Option<JobId>,
    pub(super) state: State,
    /// When it became a replica, as a running number: rows are shown in this order.
    pub(super) joined: u64,
    /// It used SYNC: no FULLRESYNC line, no ACKs to expect.
    pub(super) pre_psync: bool,
    /// It has asked for a snapshot.
    pub(super) had_snapshot: bool,
    /// It has acknowledged something since.
    pub(super) acked: bool,
    pub(super) ack: u64,
    pub(super) ack_aof: u64,
    pub(super) ack_ms: u64,
    /// Since when the soft output limit is exceeded.
    pub(super) over_soft_since_ms: Option<u64>,
    /// Its writer has seen the end of the stream and waits to be woken.
    pub(super) asleep: bool,
}

impl Session {
    pub(super) fn new() -> Self {
        Session {
            announced_ip: None,
            peer_ip: String::new(),
            port: 0,
            joined: 0,
            version: 0,
            capabilities: Capabilities::default(),
            offered_dual: false,
            from_spool: false,
            compressed: false,
            resume: None,
            report: Report::default(),
            requirements: Requirements::default(),
            rdb_only: false,
            rdb_client: None,
            main_client: None,
            rdb_job: None,
            state: State::Normal,
            pre_psync: false,
            had_snapshot: false,
            acked: false,
            ack: 0,
            ack_aof: 0,
            ack_ms: 0,
            over_soft_since_ms: None,
            asleep: false,
        }
    }

    /// Announced ip, else the peer's.
    pub(super) fn ip(&self) -> &str {
        self.announced_ip.as_deref().unwrap_or(&self.peer_ip)
    }

    /// How log lines call it.
    pub(super) fn name(&self) -> String {
        match self.port {
            0 => format!("{}:<unknown-replica-port>", self.ip()),
            port => format!("{}:{port}", self.ip()),
        }
    }

    /// Seconds since its last sign of life; 0 unless it is online.
    pub(super) fn lag_seconds(&self, now_ms: u64) -> u64 {
        match self.state.is_online() {
            true => now_ms.saturating_sub(self.ack_ms) / 1000,
            false => 0,
        }
    }

    /// The state as others may see it.
    pub(super) fn shown(&self) -> ReplicaState {
        match self.state {
            State::Normal | State::Parked | State::Done => ReplicaState::None,
            State::WaitStart { .. } | State::WaitEnd { .. } => ReplicaState::WaitBgsave,
            State::SendBulk { .. } => ReplicaState::SendBulk,
            State::BgTransfer { .. } => ReplicaState::BgTransfer,
            State::AwaitAck { .. } | State::Online { .. } => ReplicaState::Online,
        }
    }
}

/// A replica's state as INFO prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// Not a replica, or one without a row.
    None,
    /// `wait_bgsave`: waiting for, or receiving, a snapshot.
    WaitBgsave,
    /// `send_bulk`: receiving the dump file.
    SendBulk,
    /// `bg_transfer`: the main channel of a dual-channel sync.
    BgTransfer,
    /// `online`.
    Online,
}

impl ReplicaState {
    /// Word for INFO.
    pub fn as_str(self) -> &'static str {
        match self {
            ReplicaState::None => "none",
            ReplicaState::WaitBgsave => "wait_bgsave",
            ReplicaState::SendBulk => "send_bulk",
            ReplicaState::BgTransfer => "bg_transfer",
            ReplicaState::Online => "online",
        }
    }
}
