//! Between the keyspace and the RDB format: what a snapshot holds, and how a dataset is made from one.

use keyspace::{Db, Limits};
use std::io::{self, Read, Write};

/// The replication identity that travels with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationAux {
    /// The history, 40 hexadecimal digits.
    pub replid: String,
    /// The last byte of the stream that the data include.
    pub offset: u64,
    /// The database selected in the stream there; -1 for none.
    pub stream_db: i64,
}

/// What a snapshot contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Keys.
    pub data: bool,
    /// Function libraries.
    pub functions: bool,
}

impl Filter {
    /// Everything.
    pub const ALL: Filter = Filter {
        data: true,
        functions: true,
    };
}

/// What goes into the header, and how to write.
#[derive(Clone, Debug)]
pub struct SaveInfo {
    /// Memory in use, in bytes.
    pub used_memory: u64,
    /// Time of the snapshot.
    pub unix_seconds: i64,
    /// `rdbcompression`.
    pub compress: bool,
    /// `rdbchecksum`.
    pub checksum: bool,
    /// `rdb-key-save-delay`: microseconds per key, or one microsecond every -N keys.
    pub key_save_delay_us: i64,
    /// Identity, if there is one worth keeping.
    pub replication: Option<ReplicationAux>,
    /// What to write.
    pub filter: Filter,
}

/// How to load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Databases there are; a file that selects another is refused.
    pub databases: usize,
    /// Encoding thresholds of the dataset to be made.
    pub limits: Limits,
    /// Unix milliseconds: keys that expired before are dropped.
    pub now_ms: i64,
    /// Keep expired keys all the same: a replica deletes only what its primary deletes.
    pub keep_expired: bool,
    /// `key-load-delay`: microseconds per key, or one microsecond every -N keys.
    pub key_load_delay_us: i64,
    /// `rdbchecksum`.
    pub checksum: bool,
}

/// A dataset made from a snapshot.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The databases.
    pub dbs: Vec<Db>,
    /// The identity it carried.
    pub replication: Option<ReplicationAux>,
    /// Server version that wrote it (`valkey-ver` or `redis-ver`), empty when unknown.
    pub version: String,
    /// Unix seconds when it was written; 0 when unknown.
    pub created_at: i64,
    /// Memory in use when it was written, in bytes; 0 when unknown.
    pub used_memory: u64,
    /// Keys loaded.
    pub keys_loaded: u64,
    /// Keys dropped because they had expired.
    pub keys_expired: u64,
    /// Keys dropped because their value was empty.
    pub keys_empty: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
}

/// Writes a snapshot of `dbs`, telling `progress` now and then how many keys are done.
///
/// # Errors
/// Whatever the sink reports.
pub fn write(
    _dbs: &[Db],
    _info: &SaveInfo,
    _sink: &mut dyn Write,
    _progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    Err(io::Error::other("not yet"))
}

/// Makes a dataset from a snapshot. `progress` is told now and then how many bytes are done; when it returns false the
/// load is given up.
///
/// # Errors
/// The first thing wrong with the snapshot, with its offset.
pub fn load(
    _source: impl Read,
    _options: &LoadOptions,
    _progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Loaded, String> {
    Err("not yet".into())
}
