//! Bounds of the shared replication buffer.

/// Smallest window that can be configured, in bytes.
pub const BACKLOG_SIZE_MIN: u64 = 16 * 1024;

/// Smallest capacity of a block, in bytes. Only blocks of this size are ever partly filled, so it also
/// bounds what an append copies when a reader still holds the open tail.
pub const BLOCK_BYTES_MIN: usize = 16 * 1024;

/// A block takes at most one part in this many of the window, lest trimming become too coarse.
pub(crate) const BACKLOG_SHARE_MAX: u64 = 16;

/// Blocks that one call trims at most, so that no single command pays for a long backlog.
pub const TRIM_BLOCKS_PER_CALL: usize = 64;
