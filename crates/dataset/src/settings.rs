//! What parameters say about the dataset, without their names.

/// What parameters say about values.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest string, in bytes (`proto-max-bulk-len`).
    pub string_bytes_max: u64,
    /// Longest sparse HyperLogLog, in bytes with its header (`hll-sparse-max-bytes`).
    pub hll_sparse_bytes_max: usize,
    /// Memory has no limit (`maxmemory 0`).
    pub memory_unlimited: bool,
    /// What keys are evicted by.
    pub eviction: Eviction,
    /// DUMP compresses what gets smaller by it (`rdbcompression`).
    pub compress: bool,
    /// RESTORE does not compare checksums (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skip_checksums: bool,
    /// `sanitize-dump-payload`.
    pub sanitize: Sanitize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            string_bytes_max: 512 << 20,
            hll_sparse_bytes_max: 3000,
            memory_unlimited: true,
            eviction: Eviction::default(),
            compress: true,
            skip_checksums: false,
            sanitize: Sanitize::default(),
        }
    }
}

/// Whose payloads RESTORE refuses for wrong counters of what is packed, or for members that come twice, which it would set
/// right otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sanitize {
    /// Nobody's.
    #[default]
    No,
    /// Those of clients, the primary not among them.
    Clients,
    /// Everybody's.
    Yes,
}

/// `maxmemory-policy`, as far as it concerns what is kept beside each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// By nothing that is kept: at random, by time to live, or not at all.
    #[default]
    Unclocked,
    /// The least recently used.
    Lru,
    /// The least frequently used.
    Lfu,
}

/// `lazyfree-lazy-*`.
#[derive(Clone, Copy, Debug)]
pub struct LazyFree {
    /// DEL behaves as UNLINK.
    pub user_del: bool,
    /// Overwritten and moved values.
    pub server_del: bool,
    /// Expired keys.
    pub expire: bool,
}
