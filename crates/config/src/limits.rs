//! Bounds on what configuration files and the command line may hold.

/// Longest configuration line, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most words in one line, and most arguments on the command line.
pub const WORDS_MAX: usize = 1 << 16;
/// Most addresses in `bind`.
pub const BIND_ADDRESSES_MAX: usize = 16;
/// Deepest nesting of `include`.
pub const INCLUDE_DEPTH_MAX: usize = 16;
/// Most lines read in all, includes counted, so that files that include each other twice come to an end.
pub const LINES_MAX: usize = 1 << 20;
/// Longest host name the server announces, exclusive, in bytes.
pub const HOSTNAME_BYTES_END: usize = 256;
/// Longest number of any kind, in bytes.
pub const NUMBER_BYTES_MAX: usize = 32;
