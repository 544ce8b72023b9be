//! Why bytes from outside are not a listpack or an intset.

use std::fmt;

/// What is wrong with the bytes; offsets are in bytes from their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Shorter than a header, or the header's size is not the number of bytes given.
    Size,
    /// A listpack that does not end with its terminator where its last entry ends.
    Terminator,
    /// The entry at this offset has an unknown encoding or runs past the end.
    Entry(usize),
    /// The back-length of the entry at this offset does not lead back to it.
    BackLength(usize),
    /// The header's element count is not the number of entries.
    Count,
    /// An intset's element width is none of 2, 4 and 8.
    Width,
    /// The intset's element at this index is not greater than the one before.
    Order(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Size => f.write_str("size in the header differs from the bytes given"),
            Error::Terminator => f.write_str("terminator missing or misplaced"),
            Error::Entry(at) => write!(f, "broken entry at byte {at}"),
            Error::BackLength(at) => write!(f, "wrong back-length of the entry at byte {at}"),
            Error::Count => f.write_str("element count in the header differs from the entries"),
            Error::Width => f.write_str("integer width is none of 2, 4 and 8"),
            Error::Order(index) => write!(f, "element {index} is not greater than its predecessor"),
        }
    }
}

impl std::error::Error for Error {}
