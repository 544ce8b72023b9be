//! Small words that many crates share, each said once: integers and floats as text, the floats of 80 bits, patterns, the
//! encoding of a request, and the allocator's sizes.
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
pub mod sizes;
pub mod version;

pub use kept::Words;
pub use level::Level;
