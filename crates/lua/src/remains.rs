//! What is freed piece by piece: giving a large allocation back to the system at once takes long.

use crate::table::Table;

/// Bytes that go at once.
pub(crate) const RELEASED_BYTES: usize = 1 << 20;

/// What a piece costs, in units of work.
pub(crate) const UNITS_PER_PIECE: usize = 1000;

/// A large object that nobody can reach any more.
pub(crate) enum Remains {
    Table(Table),
    Text(Vec<u8>),
}

impl Remains {
    /// Frees a piece; whether nothing is left.
    pub(crate) fn release(&mut self) -> bool {
        match self {
            Self::Table(table) => table.release(),
            Self::Text(bytes) => release_end(bytes),
        }
    }
}

/// Gives back the end of an allocation; whether nothing is left.
pub(crate) fn release_end<T>(part: &mut Vec<T>) -> bool {
    part.truncate(part.len().saturating_sub(RELEASED_BYTES / size_of::<T>()));
    part.shrink_to_fit();
    part.is_empty()
}
