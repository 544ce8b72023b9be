//! What this server calls itself towards clients, peers and files.

/// The Valkey version whose behaviour this is.
pub const VALKEY: &str = "8.0.1";

/// The Redis OSS version whose behaviour clients may expect.
pub const REDIS: &str = "7.2.4";
