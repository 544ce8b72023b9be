//! Encoding thresholds and the fixed bounds of this crate.

use crate::{ListLimits, StreamLimits};

/// When compact encodings give way to tables; the configuration options of the same names.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `hash-max-listpack-entries`.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, in bytes.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`, in bytes.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, in bytes.
    pub zset_max_listpack_value: usize,
    /// Of lists.
    pub list: ListLimits,
    /// Of streams.
    pub stream: StreamLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list: ListLimits::default(),
            stream: StreamLimits::default(),
        }
    }
}

/// Longest string that `OBJECT ENCODING` calls `embstr`, in bytes.
pub const EMBSTR_MAX: usize = 44;

/// Longest string value kept inside its entry's allocation, in bytes: its length has one byte in the header.
pub const EMBED_MAX: usize = 255;

/// Longest listpack or intset kept inside its entry's allocation, in bytes. What changes is copied there and back, and beyond
/// this the copies would show beside the change itself, while the allocations saved no longer count for much.
pub const PACKED_EMBED_MAX: usize = 512;

/// Largest buffer kept for changing packed values in, in bytes.
pub const SCRATCH_MAX: usize = 16 * PACKED_EMBED_MAX;

/// Longest key whose length fits the header's one byte.
pub const SHORT_KEY_MAX: usize = 255;

/// A packed container never grows past this many bytes, whatever the configured limits say.
pub const PACKED_BYTES_MAX: usize = 1 << 30;

/// An intset never has more members than this, whatever the configured limit says.
pub const INTSET_ENTRIES_MAX: usize = 1 << 30;

/// From this free effort on, a container is worth freeing in the background.
pub const HEAVY_EFFORT: usize = 64;

/// From this many bytes on, a string is worth freeing in the background: about where the allocator unmaps pages.
pub const HEAVY_BYTES: usize = 1 << 20;

/// A string of so many bytes is not copied by COPY, but held by both keys: where one of them changes it copies then.
pub(crate) const SHARED_BYTES_MIN: usize = 64 << 10;

/// No table is presized for more items than this, whatever a file promises.
pub const RESERVE_MAX: usize = 1 << 26;
