//! What goes into the replica's link and what comes out of it.

use crate::sync::{Amount, SyncMode, Traffic, WhyClassic, WhyFull};
use crate::{Level, ReplId};

/// How a received snapshot gets into memory: `repl-diskless-load`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Through a file.
    #[default]
    Disabled,
    /// Straight into the parser, when there are no keys to lose.
    OnEmptyDb,
    /// Straight into the parser, beside the old data, which are swapped out at the end.
    SwapDb,
}

/// The configuration this side depends on.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port to announce: `replica-announce-port`, else the port replicas can reach.
    pub announced_port: u16,
    /// `replica-announce-ip`; empty = none.
    pub announced_ip: String,
    /// `primaryuser`; empty = default user.
    pub user: Vec<u8>,
    /// `primaryauth`; `None` = send no AUTH.
    pub password: Option<Vec<u8>>,
    /// `repl-timeout`, in seconds.
    pub timeout_seconds: u64,
    /// `dual-channel-replication-enabled`.
    pub dual_channel: bool,
    /// `repl-diskless-load`.
    pub load_mode: LoadMode,
    /// Hard limit of `client-output-buffer-limit replica`, in bytes; 0 = none. Bounds the local buffer.
    pub buffer_bytes_max: u64,
    /// `repl-backlog-size`, in bytes; sizes the local buffer's blocks.
    pub backlog_bytes: u64,
    /// `replica-sync-buffer-spill-max`, in bytes: what the local buffer may put into a file beyond its memory; 0 = nothing.
    pub spill_bytes_max: u64,
    /// `repl-compression lz4`: from primaries that have it.
    pub compression: bool,
    /// `replica-serve-stale-data`.
    pub serve_stale: bool,
    /// `replica-refuse-empty-primary`, as it is in force.
    pub refuse_empty_primary: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            announced_port: 6379,
            announced_ip: String::new(),
            user: Vec::new(),
            password: None,
            timeout_seconds: 60,
            dual_channel: false,
            load_mode: LoadMode::Disabled,
            buffer_bytes_max: 256 << 20,
            backlog_bytes: 10 << 20,
            spill_bytes_max: 1 << 30,
            compression: false,
            serve_stale: true,
            refuse_empty_primary: false,
        }
    }
}

/// What is true around the machine while it handles an input.
#[derive(Debug, Clone, Copy)]
pub struct Env<'a> {
    /// Configuration in force.
    pub config: &'a Config,
    /// Monotonic time, in milliseconds.
    pub now_ms: u64,
    /// There are no keys.
    pub keyspace_empty: bool,
    /// Stream position that is safe in the append-only file, where one is kept (FACK).
    pub aof_offset: Option<u64>,
}

/// Why a link is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To follow a primary.
    Follow,
    /// To hand our own role over to it (FAILOVER).
    Failover,
    /// To follow a primary even if it has no data and ours are lost by it (REPLICAOF … FORCE).
    FollowAnyway,
}

/// Which of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Handshake and stream.
    Main,
    /// The snapshot of a dual-channel sync.
    Rdb,
}

/// How many names a [`super::Link`] has given away. One that takes the place of another goes on counting, or late reports
/// about the other's connections and snapshots would be taken for its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Connection attempts.
    pub(super) attempts: u64,
    /// Snapshots.
    pub(super) loads: u64,
}

/// One connection attempt. Reports about an attempt that is no longer current are ignored, so the server
/// need not care about races with [`Action::Close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn {
    /// Which channel it serves.
    pub channel: Channel,
    /// Number of the attempt.
    pub attempt: u64,
}

/// One snapshot being received and loaded. Reports about one that is no longer current are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadId(pub u64);

/// Where payload bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Into a temporary file, loaded once complete.
    File,
    /// Into the RDB parser as they come.
    Parser,
}

/// A snapshot about to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Its name.
    pub load: LoadId,
    /// Where it goes.
    pub sink: Sink,
    /// Its size in bytes; `None` when only the mark tells the end.
    pub size: Option<u64>,
    /// How it replaces the old data.
    pub mode: LoadMode,
    /// The old data belong to the same history and may be served while loading.
    pub serve_old: bool,
}

/// Identity of data that were received whole, to be taken over in the same step as the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adoption {
    /// Its history; `None` when the primary's line was malformed: invent one that nobody can ask for.
    pub replid: Option<ReplId>,
    /// Last stream byte it includes.
    pub offset: u64,
    /// DB the stream's next command applies to; `None` = leave what is selected.
    pub stream_db: Option<u32>,
}

/// What the server is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; then report `connected` or `closed`.
    Connect {
        /// Name of the attempt.
        conn: Conn,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Write bytes.
    Send(Conn, Vec<u8>),
    /// Close, dropping what is unread.
    Close(Conn),
    /// Stop reading (leave bytes in the socket, so that the primary feels it); keep what `bytes` left over.
    PauseReading(Conn),
    /// Read again, first what was left over.
    ResumeReading(Conn),
    /// What follows on this connection is compressed.
    Decompress(Conn),
    /// Open the sink for a snapshot. Payload bytes follow as [`Routing::Payload`].
    BeginPayload(Payload),
    /// The payload is complete; its last `mark_bytes` bytes are not part of the RDB. File: make it durable, rename,
    /// wait for [`Action::Load`]. Parser: nothing more will come.
    EndPayload {
        /// Which.
        load: LoadId,
        /// Bytes to cut from the end.
        mark_bytes: u64,
    },
    /// Load the complete file (or wait for the parser to finish); then report `load_finished`.
    Load {
        /// Which.
        load: LoadId,
        /// How it replaces the old data.
        mode: LoadMode,
    },
    /// Forget this snapshot: stop its load, delete its temporary file, free what was built.
    AbortPayload(LoadId),
    /// The old history ends here: disconnect our replicas and free the backlog (`Hub::detach`).
    DropHistory,
    /// Swap the loaded data in and take over identity (`Hub::adopt`) and stream DB in the same step, before anybody
    /// can ask for either: the link may be lost, or its target changed, before it is up.
    Adopt(Adoption),
    /// The primary goes on under a new id; the old one stays answerable up to here (`Hub::branch`).
    Branch(ReplId),
    /// The link is up: commands of the stream may be applied, in the DB selected last.
    LinkUp,
    /// The link was up and is not any more. Drop what is unparsed and any open transaction of the stream:
    /// it will be sent again.
    LinkDown,
    /// Apply the buffered stream: call `drain` until it is [`Drain::Done`], serving clients in between.
    Drain,
    /// Nothing of the spill file is needed any more: delete it.
    DropSpill,
    /// The main channel's PSYNC of a dual-channel sync is about to be sent (DEBUG PAUSE-AFTER-FORK stops here).
    BeforeMainPsync,
    /// The data of a full sync are complete, and the sync has finished or has been called off: start the append-only file
    /// anew where one is kept.
    RestartAof,
    /// The failover this link was started for has succeeded or not.
    Failover {
        /// Whether the new primary has accepted us.
        accepted: bool,
    },
    /// A log line.
    Log(Level, String),
}

/// What a run of received bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Protocol lines: done with.
    Control,
    /// The line in front of the snapshot, or of the empty ones in front of that: done with, and part of the transfer.
    Header,
    /// Part of the snapshot: give it to the current payload's sink, then call `Link::payload_taken`.
    Payload,
    /// Part of the stream: apply it, and report `applied` as whole commands are done.
    Stream,
    /// Part of the stream, copied into the local buffer.
    Buffered,
    /// Part of the stream, for which the local buffer has no memory: append it to the spill file, or say that it could not be
    /// done with `Link::spill_failed`.
    Spill,
    /// Nothing can be taken now: keep the bytes, stop reading until [`Action::ResumeReading`].
    Hold,
    /// The connection is not current: throw the bytes away.
    Stale,
}

/// How many of the given bytes were taken, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The first so many bytes.
    pub used: usize,
    /// What they are.
    pub routing: Routing,
}

/// What comes next of the buffered stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Drain {
    /// Bytes to apply. Report what was applied before asking again.
    Bytes(Vec<u8>),
    /// Read so many bytes from the front of the spill file and apply them; if they cannot be read, `Link::spill_lost`.
    Spilled(u64),
    /// Nothing: the link goes on by itself, or the drain was called off.
    Done,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Data are swapped in as soon as [`Action::Adopt`] is handled.
    Ok {
        /// RDB aux `repl-stream-db`, if present.
        stream_db: Option<u32>,
        /// There is no key in them.
        is_empty: bool,
    },
    /// It failed; text for the log.
    Failed(String),
}

/// The state as ROLE prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not a replica.
    None,
    /// Waiting for the next attempt.
    Connect,
    /// TCP (or TLS) connect under way.
    Connecting,
    /// Between connect and transfer.
    Handshake,
    /// Receiving or loading a snapshot.
    Sync,
    /// Up.
    Connected,
}

impl LinkState {
    /// Word for ROLE.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::None => "none",
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Handshake => "handshake",
            LinkState::Sync => "sync",
            LinkState::Connected => "connected",
        }
    }
}

/// The replica's rows of INFO replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// `master_host`.
    pub host: String,
    /// `master_port`.
    pub port: u16,
    /// `master_link_status:up`.
    pub up: bool,
    /// `master_last_io_seconds_ago`; `None` prints -1.
    pub last_io_seconds: Option<u64>,
    /// `master_sync_in_progress`.
    pub sync_in_progress: bool,
    /// `slave_read_repl_offset`.
    pub read_offset: u64,
    /// `slave_repl_offset`.
    pub applied_offset: u64,
    /// `replicas_repl_buffer_size`, in bytes.
    pub buffer_bytes: u64,
    /// `replicas_repl_buffer_peak`, in bytes.
    pub buffer_bytes_peak: u64,
    /// Progress, while a sync is in progress.
    pub sync: Option<SyncProgress>,
    /// `master_link_down_since_seconds` while not connected; `None` prints -1.
    pub down_seconds: Option<u64>,
}

/// Progress rows of INFO replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncProgress {
    /// `master_sync_total_bytes`: -1 before the header, 0 when only a mark tells the end.
    pub total_bytes: i64,
    /// `master_sync_read_bytes`.
    pub read_bytes: u64,
    /// `master_sync_left_bytes`: 0 when unknown.
    pub left_bytes: u64,
    /// `master_sync_last_io_seconds_ago`.
    pub last_io_seconds: u64,
}

/// What a link does at the moment, in more detail than [`LinkState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not a replica.
    None,
    /// The next attempt is due later.
    Waiting,
    /// A connection is being made.
    Connecting,
    /// Both ends agree on what is to come.
    Handshake,
    /// The primary has to take the snapshot first.
    AwaitingSnapshot,
    /// The snapshot is arriving.
    Receiving,
    /// It is complete and being loaded.
    Loading,
    /// It is loaded; the stream's connection has yet to join.
    AwaitingStream,
    /// It is loaded; the stream that has come meanwhile is being applied.
    Draining,
    /// The stream flows.
    Online,
}

impl Phase {
    /// Word for INFO.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::None => "none",
            Phase::Waiting => "waiting-for-next-attempt",
            Phase::Connecting => "connecting",
            Phase::Handshake => "handshake",
            Phase::AwaitingSnapshot => "waiting-for-snapshot",
            Phase::Receiving => "receiving-snapshot",
            Phase::Loading => "loading-snapshot",
            Phase::AwaitingStream => "waiting-for-stream",
            Phase::Draining => "applying-buffer",
            Phase::Online => "online",
        }
    }
}

/// How the synchronisation under way, or the last one, has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// Its way; `None` before the first one.
    pub mode: Option<SyncMode>,
    /// Why it is a full one.
    pub why_full: Option<WhyFull>,
    /// Why a full one uses one channel.
    pub why_classic: Option<WhyClassic>,
    /// What is being done.
    pub phase: Phase,
    /// What the primary sends is compressed.
    pub compressed: bool,
    /// Progress of the snapshot.
    pub snapshot: Amount,
    /// Stream held in memory until the snapshot is loaded, in bytes.
    pub buffer_bytes: u64,
    /// Bound of that; 0 = none.
    pub buffer_bytes_max: u64,
    /// The most there has been in this session or the last one.
    pub buffer_bytes_peak: u64,
    /// Stream held in the spill file, in bytes.
    pub spilled_bytes: u64,
    /// The most there has been in this session or the last one.
    pub spilled_bytes_peak: u64,
    /// Bound of that; 0 = nothing is spilled.
    pub spill_bytes_max: u64,
    /// Bytes of the stream's connection since it was made.
    pub main: Traffic,
    /// Bytes of the snapshot's connection in this attempt.
    pub rdb: Traffic,
    /// Full synchronisations that have failed since one succeeded.
    pub failures: u32,
    /// All that have failed.
    pub failures_total: u64,
    /// Why the last attempt failed; empty = none has.
    pub cause: String,
    /// When the next attempt comes, in milliseconds from now; `None` unless it is waited for.
    pub next_attempt_ms: Option<u64>,
}
