//! Every bound of this crate, with its unit and its reason.

/// Longest string accepted by default, in bytes: the default of `proto-max-bulk-len`. A server that was
/// configured higher says so in `ReaderOptions::string_bytes_max`.
pub const STRING_BYTES_MAX: u64 = 512 << 20;

/// Bytes of the buffers of reader and writer: large enough that a system call costs nothing per byte,
/// small enough to stay in the second-level cache.
pub const BUFFER_BYTES: usize = 64 << 10;

/// How far memory may be reserved ahead of the bytes that have arrived, in bytes. A promised length is
/// only a promise.
pub const RESERVE_AHEAD_BYTES: usize = 1 << 20;

/// Largest element count passed on as a size hint (elements). The real count may be higher; containers
/// then grow as they would by commands.
pub const SIZE_HINT_MAX: usize = 1 << 20;

/// Shortest string worth an attempt to compress, in bytes; shorter ones cannot win. Same as Valkey.
pub const LZF_INPUT_MIN: usize = 21;

/// Bytes that compression must save, else the string is stored as it is. Same as Valkey.
pub const LZF_SAVING_MIN: usize = 4;

/// Largest accepted ratio of declared to compressed size. The format cannot pass 88 (264 bytes from
/// three), so nothing honest comes near.
pub const LZF_EXPANSION_MAX: u64 = 256;

/// Bytes that an LZF string may declare beyond [`LZF_EXPANSION_MAX`] times its input.
pub const LZF_EXPANSION_SLACK: u64 = 64 << 10;

/// Longest decimal text that can be an encoded integer, in bytes: `-2147483648`.
pub const INT_TEXT_MAX: usize = 11;

/// Largest hash, set or zset (members) in which a cheap digest of each is compared with those of all others; above it,
/// digests that nobody can foresee are sorted. At the worst all members are compared with each other: some 2000 times.
pub const PAIRWISE_MAX: usize = 64;

/// Largest packed blob (listpack, ziplist, zipmap, intset) accepted, in bytes. Same as Valkey, which
/// never lets a listpack grow beyond it.
pub const PACKED_BYTES_MAX: usize = 1 << 30;
