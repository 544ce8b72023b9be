//! The RDB file format: a streaming reader (versions 1 to 12) and writer (version 11).
//!
//! This crate knows bytes: opcodes, lengths, string encodings, LZF, CRC-64 and the packed blobs that
//! stand inside a file. It does not know how values are held in memory, and it opens no file and no
//! socket: a [`Writer`] wraps anything that is [`std::io::Write`], a [`Reader`] anything that is
//! [`std::io::Read`], and the reader hands decoded values to a [`ValueSink`].
//!
//! ```text
//! file  = "REDIS" 4-digit version, item*, FF, crc64 LE (version >= 5)
//! item  = FA key value                          aux field
//!       | FE length                             select database
//!       | FB length length                      hint: keys, keys with expiry
//!       | F4 length length length               hint: slot, keys, keys with expiry (also an aux field)
//!       | F5 string                             function library
//!       | F7 module aux                         skipped
//!       | [FD i32 | FC i64] [F8 length] [F9 u8] type key value
//! ```
//!
//! Between the parts of the last kind may stand records of the others: the expiry, idle time or frequency is the next key's.
//!
//! Nothing that stands in a file can panic the reader or make it allocate far ahead of the bytes that
//! have arrived; the bounds are in [`limits`].
//!
//! Source: the RDB file as Valkey 8.0.1 writes and reads it (checked against the binary by the tests), and for version 12
//! as Redis 8.0 writes it (checked with files of it).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod check;
mod crc64;
pub mod dump;
mod error;
mod expiring;
mod format;
mod input;
pub mod limits;
pub mod lzf;
mod old;
mod reader;
mod text;
mod value;
mod writer;

pub use crc64::{Crc64, crc64};
pub use error::{Error, ErrorKind, Result};
pub use format::{RDB_VERSION, RDB_VERSION_READ_MAX, RDB_VERSION_VALKEY, ValueType};
pub use reader::{Checksum, Event, KeyHead, Reader, ReaderOptions};
pub use text::Text;
pub use value::{Accept, Discard, Kind, Loaded, ValueSink, module_name};
pub use writer::{Writer, WriterOptions};
