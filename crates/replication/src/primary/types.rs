//! What goes into the primary's state machine and what comes out of it.

use crate::sync::{Amount, SyncMode, WhyClassic, WhyFull};
use crate::{ClientId, Level, OutputLimit, ReplId, Slice};

/// The configuration this side depends on. The server keeps one and changes it on CONFIG SET.
#[derive(Debug, Clone)]
pub struct Config {
    /// `repl-backlog-size`, in bytes.
    pub backlog_bytes: u64,
    /// `repl-backlog-ttl`, in seconds; 0 = keep for ever.
    pub backlog_ttl_seconds: u64,
    /// `repl-ping-replica-period`, in seconds.
    pub ping_period_seconds: u64,
    /// `repl-timeout`, in seconds.
    pub timeout_seconds: u64,
    /// `repl-diskless-sync`.
    pub diskless_sync: bool,
    /// `repl-diskless-sync-delay`, in seconds.
    pub diskless_delay_seconds: u64,
    /// `repl-diskless-sync-max-replicas`; 0 = no early start.
    pub diskless_max_replicas: u64,
    /// `dual-channel-replication-enabled`.
    pub dual_channel: bool,
    /// `client-output-buffer-limit replica`.
    pub output_limit: OutputLimit,
    /// `repl-snapshot-spool`, in bytes: how big a file is kept of a snapshot for replicas that come late; 0 = none.
    pub spool_bytes: u64,
    /// `repl-compression lz4`: for replicas that want it.
    pub compression: bool,
    /// `repl-sync-pacing`.
    pub sync_pacing: bool,
    /// How long a snapshot channel's pin outlives it, in milliseconds (DEBUG DELAY-RDB-CLIENT-FREE-SECONDS).
    pub rdb_client_grace_ms: u64,
    /// `min-replicas-to-write`; 0 = off.
    pub min_replicas_to_write: u64,
    /// `min-replicas-max-lag`, in seconds; 0 = off.
    pub min_replicas_max_lag_seconds: u64,
    /// Whether save points are configured: a snapshot nobody waits for is then still worth finishing.
    pub save_points: bool,
    /// Whether an append-only file is kept: offsets then count commands even without a backlog.
    pub append_only: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            backlog_bytes: 10 << 20,
            backlog_ttl_seconds: 3600,
            ping_period_seconds: 10,
            timeout_seconds: 60,
            diskless_sync: true,
            diskless_delay_seconds: 5,
            diskless_max_replicas: 0,
            dual_channel: false,
            output_limit: OutputLimit::default(),
            spool_bytes: 0,
            compression: false,
            sync_pacing: false,
            rdb_client_grace_ms: crate::limits::RDB_CLIENT_GRACE_MS,
            min_replicas_to_write: 0,
            min_replicas_max_lag_seconds: 10,
            save_points: true,
            append_only: false,
        }
    }
}

/// Whether this server has a primary of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has none.
    Primary,
    /// It is a replica and its link is up.
    Replica {
        /// The DB selected in the stream it applies (and passes on verbatim).
        stream_db: u32,
    },
    /// It is a replica without a working link.
    ReplicaDown {
        /// The DB in which the stream will go on, if it can be continued.
        stream_db: u32,
    },
}

/// A child process that replication did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherChild {
    /// None runs.
    None,
    /// A snapshot to disk that somebody else asked for (BGSAVE, save points).
    DiskSnapshot,
    /// An append-only file rewrite or anything else that excludes a snapshot.
    Other,
}

/// What is true around the machine while it handles an input.
#[derive(Debug, Clone, Copy)]
pub struct Env<'a> {
    /// Configuration in force.
    pub config: &'a Config,
    /// Monotonic time, in milliseconds.
    pub now_ms: u64,
    /// This server's own place.
    pub role: Role,
    /// A child of somebody else's.
    pub other_child: OtherChild,
    /// Clients are paused for a failover that this hub does not run itself (cluster): SYNC and PSYNC are refused, PING
    /// and GETACK kept out of the stream. Its own FAILOVER it knows about.
    pub failing_over: bool,
}

/// Where a client comes from and what it is at the moment it asks for synchronisation.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Its address as the socket knows it, without port.
    pub ip: &'a str,
    /// Replies wait in its output buffer.
    pub pending_output: bool,
    /// It is a MONITOR client.
    pub monitor: bool,
}

/// What to answer to a command, as a reply in the usual order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing at all.
    Nothing,
    /// `+OK`.
    Ok,
    /// An error: the whole line without its end, `-` included.
    Error(String),
    /// A status line, its end included.
    Line(Vec<u8>),
}

impl Reply {
    /// The bytes on the wire.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Reply::Nothing => Vec::new(),
            Reply::Ok => b"+OK\r\n".to_vec(),
            Reply::Error(mut line) => {
                line.push_str("\r\n");
                line.into_bytes()
            }
            Reply::Line(line) => line,
        }
    }
}

/// Names a snapshot that replication asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What a snapshot leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Filter {
    /// No keys.
    pub exclude_data: bool,
    /// No function libraries.
    pub exclude_functions: bool,
}

/// How a snapshot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SnapshotFormat {
    /// As the dump file is.
    #[default]
    Current,
    /// As Redis 7.0 reads it.
    Redis7,
}

/// One receiver of a streamed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketTarget {
    /// The connection the snapshot goes to. Until the job ends nobody else may write to it.
    pub client: ClientId,
    /// What the writer sends before the RDB: `+FULLRESYNC` or `$ENDOFF` line, then `$EOF:<mark>`.
    pub prelude: Vec<u8>,
    /// Nothing follows the snapshot on this connection: the stream has one of its own.
    pub is_last: bool,
    /// What follows the prelude is compressed.
    pub compressed: bool,
}

/// Where a snapshot goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To the dump file.
    Disk,
    /// Straight to sockets.
    Sockets {
        /// The receivers. The job fails only when all of them have failed.
        targets: Vec<SocketTarget>,
        /// What to write after the RDB to each.
        eof_mark: [u8; 40],
        /// All of it also goes into a file of at most so many bytes; 0 = there is none.
        spool_bytes: u64,
    },
    /// To the base of the append-only file.
    Log {
        /// As commands, not as RDB.
        commands: bool,
    },
}

/// Which history a snapshot belongs to, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// RDB aux `repl-id`.
    pub replid: ReplId,
    /// RDB aux `repl-offset`: the last stream byte the data include.
    pub offset: u64,
    /// RDB aux `repl-stream-db`.
    pub stream_db: u32,
}

/// A snapshot to take. No stream byte may be appended between the [`Action::StartSnapshot`] that carries it and the
/// moment the writer's view of the data is fixed: fork while handling the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotJob {
    /// Name to report back with: see [`super::Hub::next_job`].
    pub id: JobId,
    /// Receiver.
    pub target: Target,
    /// What to leave out.
    pub filter: Filter,
    /// How to write it.
    pub format: SnapshotFormat,
    /// Replication wants it, and hears how it ends; otherwise whoever saves does.
    pub for_replicas: bool,
    /// The receivers are dual-channel snapshot connections.
    pub dual: bool,
    /// What the snapshot says of its history; `None` for the history as it is.
    pub identity: Option<Identity>,
    /// A writer waits this long for one receiver before it gives it up, in milliseconds.
    pub send_timeout_ms: u64,
}

/// How a snapshot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotResult {
    /// The dump file is complete and has this many bytes.
    Disk {
        /// Size of the file.
        bytes: u64,
    },
    /// The writer has ended, by itself or not; the listed clients got everything, the others did not.
    Sockets {
        /// Those that did, whether or not they have closed since. Not empty, else it is a failure.
        complete: Vec<ClientId>,
    },
    /// The child failed or was killed.
    Failed {
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// No sign of life for `repl-timeout`.
    Timeout,
    /// Over the replica output limit: log it with the client's description, count it in
    /// `client_output_buffer_limit_disconnections`.
    OutputLimit,
    /// It asked for the snapshot only and has it: close once what is queued has been written.
    Complete,
    /// Its snapshot failed: close once what is queued has been written.
    SnapshotFailed,
    /// The identity of our data changed: it has to ask again.
    HistoryChanged,
}

/// What the server is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write bytes that are not part of the stream, behind what waits in the client's output buffer.
    Send {
        /// To whom.
        client: ClientId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Fork the snapshot writer now; then report `snapshot_started` or `snapshot_not_started`.
    StartSnapshot(SnapshotJob),
    /// Stop the writer; still report `snapshot_finished`.
    KillSnapshot(JobId),
    /// Write `header`, then the dump file; then report `file_sent`.
    SendFile {
        /// To whom.
        client: ClientId,
        /// The `$<len>` line.
        header: Vec<u8>,
    },
    /// Write `prelude`, then the file that is kept of a snapshot, from byte `from` on; then report `file_sent`.
    SendSpool {
        /// To whom.
        client: ClientId,
        /// Lines in front of it.
        prelude: Vec<u8>,
        /// Bytes that the client has already.
        from: u64,
    },
    /// The file that is kept of a snapshot is of no use any more.
    DropSpool,
    /// From now on feed this client from the stream: `Hub::read` and `Hub::sent`.
    StreamTo(ClientId),
    /// Close this connection. Its state here is gone already; reporting `client_closed` does no harm.
    Close {
        /// Whose.
        client: ClientId,
        /// Why.
        reason: CloseReason,
    },
    /// The grace period of a closed snapshot channel is over or not needed: forget the client at last.
    Release(ClientId),
    /// The stream got new bytes while nobody was waiting for more: wake this client's writer.
    Wake(ClientId),
    /// Write a newline that says we are alive: at once into the client's connection, or not at all. Whoever writes a
    /// snapshot to the same connection may begin right after this, and nothing may land in what it writes.
    Keepalive(ClientId),
    /// Stop following our primary: this hub has become a primary already (`PSYNC … FAILOVER` was accepted, or a
    /// FAILOVER of ours has failed).
    Promote,
    /// Log that this client has made a primary of us.
    PromotedBy {
        /// Who.
        client: ClientId,
        /// With `PSYNC … FAILOVER`, as opposed to REPLICAOF.
        failover: bool,
    },
    /// Commands that write have to wait for so long.
    Pace {
        /// Milliseconds.
        ms: u64,
    },
    /// FAILOVER has begun: commands that write have to wait.
    PauseWrites,
    /// FAILOVER has ended, one way or the other.
    ResumeWrites,
    /// Become a replica of our own replica: `Hub::demote`, then `Link::start` from our own history with
    /// `Purpose::Failover`; report the link's answer with `Hub::failover_finished`.
    FailoverTo {
        /// Its announced or peer ip.
        host: String,
        /// Its announced port.
        port: u16,
    },
    /// A log line.
    Log(Level, String),
}

/// Whether a closed client may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Yes.
    Free,
    /// It is a snapshot channel whose main channel has not come yet: keep it in CLIENT LIST until
    /// [`Action::Release`]. The connection itself may go.
    Protected,
}

/// Counters for INFO stats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// `sync_full`.
    pub full: u64,
    /// `sync_partial_ok`.
    pub partial_ok: u64,
    /// `sync_partial_err`.
    pub partial_err: u64,
    /// Share of `client_output_buffer_limit_disconnections`.
    pub output_limit_closed: u64,
    /// Snapshots sent from the file of an earlier one.
    pub spool_served: u64,
}

/// Memory figures, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// `mem_total_replication_buffers`.
    pub total: u64,
    /// `mem_replication_backlog`.
    pub backlog: u64,
    /// `mem_clients_slaves`: what replicas hold beyond the backlog.
    pub replicas: u64,
}

/// A replica as ROLE lists it (online ones only).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRow {
    /// Announced or peer ip.
    pub ip: String,
    /// Announced port; 0 when unknown.
    pub port: u16,
    /// Acknowledged offset.
    pub ack: u64,
}

/// An online replica that has not acknowledged everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lagging {
    /// How log lines call it.
    pub name: String,
    /// What it has acknowledged.
    pub ack: u64,
    /// Since how many seconds nothing has been heard of it.
    pub lag_seconds: u64,
}

/// A run of stream bytes for one replica.
pub type Slices = Vec<Slice>;

/// How the synchronisation of one replica goes, as far as one of its connections is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The connection.
    pub client: ClientId,
    /// How log lines call the replica.
    pub name: String,
    /// Its way; `None` while it is not decided.
    pub mode: Option<SyncMode>,
    /// Why it is a full one.
    pub why_full: Option<WhyFull>,
    /// Why a full one uses one channel.
    pub why_classic: Option<WhyClassic>,
    /// What is being done.
    pub phase: &'static str,
    /// The connection is the one for the snapshot alone.
    pub is_rdb_channel: bool,
    /// Progress of the snapshot on this connection.
    pub snapshot: Amount,
    /// Stream kept for it, in bytes.
    pub pinned_bytes: u64,
    /// The most that was.
    pub pinned_bytes_peak: u64,
    /// The most that may be; 0 = no bound.
    pub pinned_bytes_max: u64,
    /// Stream bytes the connection has taken.
    pub stream_sent: u64,
    /// How long a closed snapshot connection is still kept for its main connection, in milliseconds.
    pub grace_left_ms: Option<u64>,
}
