//! What can be wrong with a file, where, and while reading what.

use std::fmt;
use std::io;

use crate::format::ValueType;

/// Result of every reading call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why reading stopped. One pointer wide, so that results stay small on the hot path.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    offset: u64,
    what: &'static str,
    kind: ErrorKind,
    /// The type of the key under way, when its name could not be read.
    type_: Option<ValueType>,
}

/// The cause of an [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input ended inside an item.
    UnexpectedEof,
    /// The file does not begin with `REDIS` and four digits.
    BadMagic,
    /// A version that we do not read.
    BadVersion(u32),
    /// A byte that is neither a value type nor an opcode.
    UnknownType(u8),
    /// A length that overruns the input or a limit.
    BadLength(u64),
    /// The checksum at the end differs.
    Crc {
        /// What the bytes that were read sum up to.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// The bytes cannot be a value of their type; the text says why.
    Corrupt(&'static str),
    /// A valid type that this crate does not decode.
    Unsupported(ValueType),
    /// A value of a module, by the name of its type.
    Module(String),
    /// A hash with a field that expires: what reads it has no place for that.
    FieldExpires {
        /// The field.
        field: Vec<u8>,
        /// When, in milliseconds since the epoch.
        at_ms: u64,
    },
    /// A format that only pre-releases wrote; the text is the reference's.
    NotSupported(&'static str),
    /// The sink did not accept the value; the text is the sink's.
    Refused(&'static str),
    /// The source failed.
    Io(io::Error),
}

impl Error {
    #[cold]
    pub(crate) fn new(offset: u64, what: &'static str, kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            offset,
            what,
            kind,
            type_: None,
        }))
    }

    /// The same, in front of a value of this type.
    #[cold]
    pub(crate) fn before(mut self, type_: ValueType) -> Self {
        self.0.type_ = Some(type_);
        self
    }

    /// Position in the input, in bytes, where the item under way was given up.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// What was being read, for a log line.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// The type of the key whose name was being read.
    #[must_use]
    pub fn key_type(&self) -> Option<ValueType> {
        self.0.type_
    }

    /// The cause.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The cause, owned.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at offset {} (reading {})",
            self.0.kind, self.0.offset, self.0.what
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEof => f.write_str("unexpected end of input"),
            Self::BadMagic => f.write_str("wrong signature"),
            Self::BadVersion(version) => write!(f, "can't handle RDB format version {version}"),
            Self::UnknownType(byte) => write!(f, "unknown type or opcode {byte}"),
            Self::BadLength(length) => write!(f, "length {length} is out of bounds"),
            Self::Crc { expected, found } => {
                write!(
                    f,
                    "wrong checksum: expected {expected:016x}, found {found:016x}"
                )
            }
            Self::Corrupt(why) => write!(f, "corrupt data: {why}"),
            Self::Unsupported(type_) => write!(
                f,
                "unsupported value type {} ({})",
                type_.number(),
                type_.name()
            ),
            Self::Module(name) => write!(
                f,
                "The RDB file contains module data I can't load: no matching module type '{name}'"
            ),
            Self::FieldExpires { field, at_ms } => write!(
                f,
                "field '{}' expires (at {at_ms} ms), and fields that expire are not supported",
                field.escape_ascii()
            ),
            Self::NotSupported(what) => f.write_str(what),
            Self::Refused(why) => write!(f, "value refused: {why}"),
            Self::Io(error) => write!(f, "read failed: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}
