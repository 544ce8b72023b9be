//! Bounds of the layouts, in one place.

/// Bytes a listpack should not grow beyond: callers ask [`crate::Listpack::fits`] before they add to one
/// and move to another encoding when it says no. The layout itself could address 4 GiB.
pub const LISTPACK_BYTES_MAX: usize = 1 << 30;

/// Elements the 16-bit count of a listpack header can state; from here on it says "unknown".
pub const LISTPACK_COUNT_UNKNOWN: usize = 65_535;

/// A buffer smaller than this many bytes is not worth shrinking.
pub(crate) const SHRINK_BYTES_MIN: usize = 128;

/// A buffer gives memory back when it is more than this many times larger than its contents.
pub(crate) const SHRINK_FACTOR: usize = 4;
