//! Every bound on what a peer may send, with its reason. Values are those of Valkey 8.0.1 unless said otherwise.

/// Longest inline request, in bytes, without a line end.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Longest `*<count>` or `$<length>` line, in bytes, without CRLF.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Largest number of arguments in one request.
pub const MULTIBULK_COUNT_MAX: i64 = i32::MAX as i64;
/// Largest number of arguments before login.
pub const UNAUTHENTICATED_MULTIBULK_COUNT_MAX: i64 = 10;
/// Longest argument before login, in bytes.
pub const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;
/// An argument of at least this many bytes that has not arrived whole is read into an allocation of its own, which can
/// then become the stored value without another copy.
pub const BIG_ARG_BYTES: usize = 32 * 1024;
/// Bytes reserved ahead of what has arrived: a promised length never allocates more than this.
pub const RESERVE_AHEAD_BYTES: usize = 1024 * 1024;
/// Bytes reserved for a big argument of which next to nothing has arrived: ten thousand peers may promise one each.
pub const RESERVE_FIRST_BYTES: usize = 64 * 1024;
/// Argument slots reserved ahead of what has arrived, for the same reason.
pub const RESERVE_AHEAD_ARGS: usize = 1024;

/// How much the log shows of each end of a request that it does not understand, in bytes.
pub(crate) const EXCERPT_END_BYTES: usize = 64;
