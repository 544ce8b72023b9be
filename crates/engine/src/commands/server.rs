//! What the server calls itself.

/// The Redis OSS version whose behaviour clients may expect.
pub const REDIS_VERSION: &str = "7.2.4";

/// Our version.
pub const VALKEY_VERSION: &str = "8.0.1";
