//! Small words that many crates share, each said once: integers and floats as text, the floats of 80 bits, patterns, and
//! the encoding of a request.
//!
//! Nothing here knows of commands, connections or keys.
#![forbid(unsafe_code)]

pub mod events;
pub mod glob;
mod grisu;
pub mod int;
mod kept;
mod level;
pub mod longdouble;
pub mod parse;
pub mod print;
pub mod request;
pub mod version;

pub use kept::Words;
pub use level::Level;
