//! Every bound of this crate, with its unit and its reason.

/// The bounds that an operator may choose. The default ones are those of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the objects of one interpreter may take, cached scripts and libraries included: by default enough for any
    /// script that should run inside a server. A script that wants more gets an error instead of the machine.
    pub memory_bytes: usize,
    /// Scripts that are kept only because EVAL has seen them. Who loads scripts with SCRIPT LOAD wants them to stay, who
    /// builds a new text for each call does not. The default is the reference's number.
    pub eval_scripts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 64 << 20,
            eval_scripts: 500,
        }
    }
}

/// Levels of tables in a reply, counted as slots of a stack: each array takes one, each map or set three or four. What
/// lies deeper is replaced by an error. The number is the reference's.
pub(crate) const REPLY_SLOTS_MAX: usize = 7_995;

/// Bytes of the reply that a script's tables are turned into. Tables may hold each other, so that a few of them would
/// make more bytes than there are; and as long as a string may be, so long may a reply.
pub(crate) const REPLY_BYTES_MAX: usize = 512 << 20;

/// Bytes of a reply that get an allocation of their own, so that a long one is never moved as a whole.
pub(crate) const REPLY_PIECE_BYTES: usize = 256 << 10;

/// Bytes of a string that are written to a reply at once, in a step that may be the last one of a slice.
pub(crate) const REPLY_BYTES_AT_ONCE: usize = 64 << 10;

/// Bytes of a reply that are copied for one unit of work.
pub(crate) const BYTES_PER_UNIT: usize = 32;

/// Bytes of a text whose SHA-1 is made at once for `redis.sha1hex`. That of a longer one is made in slices.
pub(crate) const DIGESTED_AT_ONCE: usize = 64 << 10;

/// Bytes of a text that are read for its SHA-1 for one unit of work.
pub(crate) const DIGESTED_PER_UNIT: usize = 4;

/// Bytes of the buffer for replies of commands that stays from one call to the next.
pub(crate) const REPLY_BYTES_KEPT: usize = 64 << 10;

/// Units of work that a call of a command counts as, beside what the interpreter does for it: about as long as a short
/// command takes.
pub(crate) const CALL_UNITS: u64 = 500;

/// Units of work in which a reply of a command becomes a value at once. A longer one is converted in slices.
pub(crate) const CONVERSION_UNITS: u64 = 20_000;

/// Bytes that may be taken beyond the limit for what a run begins with or a call answers, rather than to collect all garbage
/// at once.
pub(crate) const HEADROOM_BYTES: usize = 1 << 20;

/// Complete collections, in slices, before what lacks memory is done once more: garbage of earlier times may be found by the
/// second one only.
pub(crate) const COLLECTIONS: u32 = 2;

/// Bytes of a line that a script writes to the log: its words may be one long string, eight thousand times.
pub(crate) const LOG_BYTES_MAX: usize = 1 << 20;

/// Bytes of a script that are compiled at once. A longer one is compiled in slices, as a part of its first run.
pub(crate) const SOURCE_BYTES_AT_ONCE: usize = 16 << 10;

/// Units of work between two looks at the clock while a library is loaded.
pub(crate) const LOAD_SLICE_UNITS: u64 = 50_000;

/// Bytes of the last error's text that are kept with a script or function: its first line, and where it was.
pub(crate) const ERROR_BYTES_KEPT: usize = 256;

/// Bytes of an error's text that are shown when an error could not be handled.
pub(crate) const BROKEN_ERROR_BYTES_MAX: usize = 100;
