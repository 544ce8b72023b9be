//! The data commands, by family. A family lists its handlers under the names of the command table.

use crate::call::Handler;

pub mod bitmaps;
pub mod geo;
pub mod hashes;
pub mod hyperloglog;
pub mod keyspace;
pub mod lists;
mod sampling;
pub mod sets;
pub mod sort;
pub mod streams;
pub mod strings;
pub mod zsets;

pub use keyspace::dump::payload;

/// The handlers of one family: full command name (`object|freq` for a subcommand) and code.
pub type Family = &'static [(&'static str, Handler)];

/// Every family.
pub static FAMILIES: &[Family] = &[
    bitmaps::COMMANDS,
    geo::COMMANDS,
    hashes::COMMANDS,
    hyperloglog::COMMANDS,
    keyspace::dump::COMMANDS,
    keyspace::expire::COMMANDS,
    keyspace::keys::COMMANDS,
    keyspace::object::COMMANDS,
    keyspace::scan::COMMANDS,
    lists::COMMANDS,
    sets::COMMANDS,
    sort::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    zsets::COMMANDS,
];
