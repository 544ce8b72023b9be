//! Every bound of this crate, with its unit and its reason.

/// Longest line of a manifest, in bytes with its line feed. Same as Valkey.
pub const MANIFEST_LINE_BYTES_MAX: usize = 1024;

/// Longest manifest that is read, in bytes: room for a quarter of a million files. It is read whole.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// Largest sequence number of a file. The next ones are computed without a check for the end of the numbers.
pub const SEQ_MAX: u64 = (i64::MAX as u64) >> 1;

/// Longest annotation, in bytes from `#` up to and with the line feed. Same as Valkey.
pub const ANNOTATION_BYTES_MAX: usize = 1023;

/// Longest line with a count or a length, in bytes from its prefix up to and with the line feed: Valkey reads as many.
pub const HEADER_BYTES_MAX: usize = 127;

/// Longest argument that a decoder accepts by default, in bytes: the default of `proto-max-bulk-len`. Who knows how many
/// bytes there are needs no such bound.
pub const STRING_BYTES_MAX: u64 = 512 << 20;

/// Bytes read from a file at once: a system call then costs nothing per record.
pub const READ_BYTES: usize = 256 << 10;

/// Places reserved for the arguments of a record ahead of those that have come.
pub const ARGS_AHEAD_MAX: u64 = 1024;

/// Bytes that may wait to be written before whoever writes has to wait, by default.
pub const PENDING_BYTES_MAX: usize = 64 << 20;

/// Bytes since the last sync that are kept in case it fails, by default: two seconds of a busy server.
pub const UNSYNCED_BYTES_KEPT_MAX: usize = 64 << 20;

/// Allocation that is kept for what waits, in bytes; what a burst needed beyond it is given back.
pub const PENDING_BYTES_KEPT: usize = 4 << 20;

/// Rewrites that may fail one after the other before automatic ones have to wait. Same as Valkey.
pub const REWRITE_FAILURES_FREE: u32 = 2;

/// Longest wait after failed rewrites, in minutes. Same as Valkey.
pub const REWRITE_DELAY_MINUTES_MAX: u64 = 60;
