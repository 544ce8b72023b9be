//! What can be wrong with a snapshot, in the words tools look for.

use rdb::ErrorKind;
use std::fmt;

/// Why a snapshot was not loaded. Prints as the log line of the reference.
#[derive(Debug)]
pub enum LoadError {
    /// Something is wrong with the bytes, or with what they come from.
    Read(rdb::Error),
    /// A key comes twice, or is there already.
    DuplicateKey {
        /// Where the second one ends, in bytes.
        offset: u64,
        /// The key.
        key: Vec<u8>,
        /// Its database.
        db: usize,
    },
    /// A sound value that we have no place for. It is refused rather than changed, and nothing is dropped.
    NotHeld {
        /// What it is, and where in the snapshot.
        error: rdb::Error,
        /// Its key.
        key: Vec<u8>,
        /// The key's database.
        db: usize,
    },
    /// A database that we do not have is selected; the number is that of the databases we have.
    TooManyDatabases(usize),
    /// Data of a module, by its name, that are not those of a key: we have no modules, and will not lose them.
    ModuleAux(String),
    /// The progress callback wanted no more.
    GivenUp,
}

impl From<rdb::Error> for LoadError {
    fn from(error: rdb::Error) -> Self {
        LoadError::Read(error)
    }
}

impl LoadError {
    /// What is wrong with the value of this key.
    #[cold]
    pub(super) fn of_key(error: rdb::Error, key: &[u8], db: usize) -> Self {
        match error.kind() {
            ErrorKind::FieldExpires { .. } | ErrorKind::Module(_) | ErrorKind::Unsupported(_) => {
                LoadError::NotHeld {
                    error,
                    key: key.to_vec(),
                    db,
                }
            }
            _ => LoadError::Read(error),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            LoadError::Read(error) => error,
            LoadError::DuplicateKey { offset, key, db } => {
                return write!(
                    f,
                    "Internal error in RDB reading offset {offset}, function at load -> RDB has duplicated key '{}' in DB {db}",
                    String::from_utf8_lossy(key)
                );
            }
            LoadError::NotHeld { error, key, db } => {
                return write!(
                    f,
                    "Internal error in RDB reading offset {}, function at {} -> {}. It is the first value that this server cannot hold: key '{}' in DB {db}",
                    error.offset(),
                    error.what(),
                    error.kind(),
                    String::from_utf8_lossy(key)
                );
            }
            LoadError::TooManyDatabases(have) => {
                return write!(
                    f,
                    "FATAL: Data file was created with a Valkey server configured to handle more than {have} databases. Exiting"
                );
            }
            LoadError::ModuleAux(name) => {
                return write!(
                    f,
                    "The RDB file contains AUX module data I can't load: no matching module '{name}'"
                );
            }
            LoadError::GivenUp => return f.write_str("Loading was given up"),
        };
        match error.kind() {
            ErrorKind::UnexpectedEof => write!(
                f,
                "Internal error in RDB reading offset {}, function at load -> Unexpected EOF reading RDB file",
                error.offset()
            ),
            ErrorKind::BadMagic => f.write_str("Wrong signature trying to load DB from file"),
            ErrorKind::BadVersion(version) => {
                write!(f, "Can't handle RDB format version {version}")
            }
            ErrorKind::Crc { expected, found } => write!(
                f,
                "Wrong RDB checksum expected: ({expected:x}) but got ({found:x}). Aborting now."
            ),
            other => write!(
                f,
                "Internal error in RDB reading offset {}, function at {} -> {other}",
                error.offset(),
                error.what()
            ),
        }
    }
}

/// The last line of a server that cannot load its dump file for a reason that is not among the bytes of the keys.
pub const LOADING_FAILED: &str = "Fatal error loading the DB, check server logs. Exiting.";

impl LoadError {
    /// What a server that cannot load its dump file logs before it ends, in the lines of the reference.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        let told = self.to_string();
        let LoadError::Read(error) = self else {
            return vec![told];
        };
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::Io(_) => vec![
                "Short read or OOM loading DB. Unrecoverable error, aborting now.".into(),
                told,
            ],
            ErrorKind::Crc { .. } => vec![
                told,
                format!(
                    "Internal error in RDB reading offset {}, function at {} -> RDB CRC error",
                    error.offset(),
                    error.what()
                ),
            ],
            ErrorKind::BadMagic | ErrorKind::BadVersion(_) => vec![told, LOADING_FAILED.into()],
            _ => vec![told],
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Read(error) | LoadError::NotHeld { error, .. } => Some(error),
            _ => None,
        }
    }
}
