//! Bounds on what a peer can make us keep.

/// Longest line read during a handshake, without its line end (the reference reads 255).
pub(crate) const LINE_BYTES_MAX: usize = 1024;

/// Longest announced ip, in bytes (exclusive).
pub(crate) const ANNOUNCED_IP_BYTES: usize = 256;

/// Bytes of a peer's text that are repeated in a log line.
pub(crate) const LOGGED_BYTES_MAX: usize = 256;

/// Length of the mark that ends a streamed payload.
pub(crate) const EOF_MARK_BYTES: usize = 40;

/// Largest database index believed when a peer names one.
pub(crate) const DB_INDEX_MAX: u64 = i32::MAX as u64;

/// How long the main channel may take to join after its snapshot channel has gone, in milliseconds.
pub(crate) const RDB_CLIENT_GRACE_MS: u64 = 60_000;

/// Period of the slow part of a tick, in milliseconds.
pub(crate) const CRON_MS: u64 = 1_000;

/// Time between two attempts to connect, unless the first of them has failed in a way that asks for haste, in
/// milliseconds.
pub(crate) const RECONNECT_MS_MIN: u64 = 1_000;

/// Attempts made at once in a row: a primary that refuses each of them must not keep us busy.
pub(crate) const HASTY_ATTEMPTS_MAX: u32 = 5;

/// Longest pause after full synchronisations that have failed, in milliseconds.
pub(crate) const FAILED_SYNC_RETRY_MS_MAX: u64 = 30_000;

/// So often that pause doubles, from [`RECONNECT_MS_MIN`] on, before it is the longest.
pub(crate) const FAILED_SYNC_DOUBLINGS_MAX: u32 = 5;

/// So many dual-channel synchronisations may fail in a row before one is tried with one channel.
pub(crate) const DUAL_FAILURES_MAX: u32 = 3;

/// Bytes of the spill file applied at once.
pub(crate) const SPILL_PIECE_BYTES: u64 = 256 * 1024;

/// Attempts refused for a missing permission are repeated no sooner than this, in milliseconds.
pub(crate) const NOPERM_RETRY_MS: u64 = 10_000;

/// A snapshot whose receivers have all gone is stopped after so long, in milliseconds.
pub(crate) const UNWANTED_MS_MAX: u64 = 200;

/// How long the beginning of a snapshot is kept after its connection broke, in milliseconds.
pub(crate) const SUSPENDED_MS_MAX: u64 = 30_000;

/// A snapshot without keys is at most this long, in bytes. One that goes through a file and may be such is loaded before
/// the old data are dropped, where a primary without data is not welcome.
pub(crate) const EMPTY_SNAPSHOT_BYTES_MAX: u64 = 1 << 20;
