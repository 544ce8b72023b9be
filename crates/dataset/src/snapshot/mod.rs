//! Between the keyspace and the RDB format: what a snapshot holds, and how a dataset is made from one.
//!
//! [`write`] walks the databases and hands keys and values to the writer of the `rdb` crate; [`load`] does the opposite.
//! Packed encodings go both ways as they are. A single value, as DUMP and RESTORE need it, is written by
//! [`write_value`] and read by [`read_value`].
//!
//! Source: the files of Valkey 8.0.1, with which those written here agree byte by byte but for the order of keys.

use crate::AccessClock;
pub use keyspace::Conflict;
use keyspace::{Db, Limits};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use words::Level;

mod commands;
mod error;
mod load;
mod older;
mod save;
mod stream;
#[cfg(test)]
mod tests;

pub use commands::write_commands;
pub use error::{LOADING_FAILED, LoadError};
pub use load::{load, load_from, read_value};
pub use older::older_payload;
pub use save::{value_type, write, write_value};
pub(crate) use save::{value_type_as, write_value_as};
pub(crate) use stream::UNCHECKED;

/// Keys between two calls of a progress callback.
pub(crate) const PROGRESS_KEYS: u64 = 1024;

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

/// Sources of function libraries, in the order of the snapshot. Shared, because every snapshot takes them along.
pub type FunctionLibraries = Arc<[Arc<[u8]>]>;

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

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// In the current version of the format.
    Current,
    /// In the version that Redis 7.0 reads: a set is never a listpack, and the times at which consumers of streams were last
    /// served are lost, for which that version has no place.
    Redis7,
}

impl Format {
    /// The version of the RDB format.
    #[must_use]
    pub fn version(self) -> u16 {
        match self {
            Format::Current => rdb::RDB_VERSION,
            Format::Redis7 => 10,
        }
    }
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
    /// The access clock, if the policy is one for which a snapshot keeps idle times or frequencies.
    pub access: Option<AccessClock>,
    /// Libraries that go along.
    pub functions: FunctionLibraries,
    /// What to write.
    pub filter: Filter,
    /// It becomes the base of an append-only file.
    pub aof_base: bool,
    /// How to write the values.
    pub format: Format,
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
    /// `key-load-delay`: microseconds per key, or one microsecond every -N keys. It may change while the load goes on.
    pub key_load_delay_us: Arc<AtomicI64>,
    /// Where the load says what it finds in the header, what it leaves out, what it corrects and how it ends.
    pub log: fn(Level, &str),
    /// `rdbchecksum`.
    pub checksum: bool,
    /// Bytes of the snapshot, where that is known.
    pub total_bytes: Option<u64>,
    /// What a key without idle time or frequency gets, and how those it has are kept.
    pub access: AccessClock,
    /// What happens to a key that is there already, when databases are loaded onto.
    pub conflict: Conflict,
}

impl LoadOptions {
    /// Options to load into `databases` databases at `now_ms`; the others as the defaults of the parameters are.
    #[must_use]
    pub fn new(databases: usize, now_ms: i64) -> Self {
        LoadOptions {
            databases,
            limits: Limits::default(),
            now_ms,
            keep_expired: false,
            key_load_delay_us: Arc::default(),
            log: |_, _| {},
            checksum: true,
            total_bytes: None,
            access: AccessClock::Lru(((now_ms / 1000) & 0xff_ffff) as u32),
            conflict: Conflict::Refuse,
        }
    }
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
    /// Those keys with their databases, where the snapshot carried an identity: who continues it has them still.
    pub expired: Vec<(usize, Box<[u8]>)>,
    /// Keys dropped because their value was empty.
    pub keys_empty: u64,
    /// Keys loaded with figures that were wrong and have been set right.
    pub keys_corrected: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
    /// Function libraries: their sources.
    pub functions: Vec<Arc<[u8]>>,
}

/// Waits as `rdb-key-save-delay` and `key-load-delay` say: `delay` microseconds after each key, or one microsecond after
/// every `-delay` keys.
fn delay_after_key(delay: i64, key: u64) {
    let microseconds = match u64::try_from(delay) {
        Ok(each) => each,
        Err(_) => u64::from(key.is_multiple_of(delay.unsigned_abs())),
    };
    if microseconds > 0 {
        std::thread::sleep(Duration::from_micros(microseconds));
    }
}
