//! All commands, by family. A family lists its handlers under the names of the command table.

use crate::exec::Handler;

pub mod client;
pub mod config;
pub mod connection;
pub mod debug;
pub mod introspect;
pub mod keyspace;
pub mod lists;
pub mod pubsub;
pub mod replication;
pub mod role;
pub mod server;
pub mod strings;
pub mod transactions;

/// The handlers of one family: full command name (`config|get` for a subcommand) and code.
pub type Family = &'static [(&'static str, Handler)];

/// Every family.
pub static FAMILIES: &[Family] = &[
    connection::COMMANDS,
    debug::COMMANDS,
    introspect::COMMANDS,
    keyspace::databases::COMMANDS,
    keyspace::expire::COMMANDS,
    keyspace::keys::COMMANDS,
    keyspace::memory::COMMANDS,
    keyspace::object::COMMANDS,
    keyspace::process::COMMANDS,
    keyspace::scan::COMMANDS,
    lists::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    role::COMMANDS,
    server::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];
