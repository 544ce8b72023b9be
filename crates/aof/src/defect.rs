//! What can be wrong with the bytes of a log, and where.

use std::fmt;

/// Where the bytes of a file stop being records, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Start of the line or the argument that is wrong: an offset in the file.
    pub at: u64,
    /// The first byte that is wrong; with what is cut short, the end of the file.
    pub byte_at: u64,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a record. Prints in the words of the reference's checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A byte with which no record begins.
    NoRecord(u8),
    /// Another byte where an argument must begin.
    Prefix(u8),
    /// No CRLF where a line must end; these two bytes, zero beyond the end of the file.
    LineEnd([u8; 2]),
    /// A record of so many arguments.
    Count(i64),
    /// An argument of so many bytes.
    Length(i64),
    /// An annotation longer than [`crate::limits::ANNOTATION_BYTES_MAX`].
    LongAnnotation,
    /// A zero byte in an annotation: a torn one that would hide the beginning of what follows.
    ZeroInAnnotation,
    /// MULTI inside a transaction.
    NestedMulti,
    /// EXEC outside of one.
    LoneExec,
    /// The file ends where another argument must begin.
    Ends,
    /// The file ends inside a line, whose next two bytes are these.
    EndsInLine([u8; 2]),
    /// The file ends inside an argument: bytes wanted, with their CRLF, and bytes there.
    EndsInArgument {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes there.
        got: u64,
    },
    /// The file ends inside an annotation.
    EndsInAnnotation,
    /// The file ends inside a transaction, but not inside a record.
    EndsInTransaction,
}

impl Cause {
    /// Whether the file only lacks its end.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Ends
                | Self::EndsInLine(_)
                | Self::EndsInArgument { .. }
                | Self::EndsInAnnotation
                | Self::EndsInTransaction
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoRecord(_) => f.write_str("no record begins here"),
            Self::Prefix(got) => write!(f, "Expected prefix '$', got: '{}'", char::from(got)),
            Self::LineEnd([a, b]) | Self::EndsInLine([a, b]) => {
                write!(f, "Expected \\r\\n, got: {a:02x}{b:02x}")
            }
            Self::Count(count) => write!(f, "a record of {count} arguments"),
            Self::Length(length) => write!(
                f,
                "Expected to read string of {length} bytes, which is not in the suitable range"
            ),
            Self::LongAnnotation => f.write_str("an annotation that is too long"),
            Self::ZeroInAnnotation => f.write_str("a zero byte in an annotation"),
            Self::NestedMulti => f.write_str("Unexpected MULTI"),
            Self::LoneExec => f.write_str("Unexpected EXEC"),
            Self::Ends => f.write_str("the file ends inside a record"),
            Self::EndsInArgument { wanted, got } => {
                write!(f, "Expected to read {wanted} bytes, got {got} bytes")
            }
            Self::EndsInAnnotation => f.write_str("the file ends inside an annotation"),
            Self::EndsInTransaction => f.write_str("Reached EOF before reading EXEC for MULTI"),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.cause, self.at)
    }
}

impl std::error::Error for Defect {}
