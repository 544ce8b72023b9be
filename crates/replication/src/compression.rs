//! The words by which both ends agree that a snapshot and the stream are compressed: see `docs/replication.md`.

/// The capability of a replica that can read it.
pub(crate) const COMPRESSION: &[u8] = b"lz4";
/// The answer of a primary that will send it, without its end. One that will not says `+OK`.
pub(crate) const COMPRESSION_AGREED: &[u8] = b"+OK lz4";
