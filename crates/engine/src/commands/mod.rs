//! All commands, by family. A family lists its handlers under the names of the command table.

use crate::exec::Handler;

mod info;
mod latency;
mod sampling;
mod slowlog;

pub(crate) mod acl;
pub mod client;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod debug;
pub mod hashes;
pub mod introspect;
pub mod keyspace;
pub mod lists;
mod lolwut;
mod modules;
pub(crate) mod monitor;
pub mod pubsub;
pub mod replication;
pub mod role;
mod scripting;
pub mod server;
pub mod sets;
pub mod streams;
pub mod strings;
pub mod transactions;
pub mod zsets;

/// The handlers of one family: full command name (`config|get` for a subcommand) and code.
pub type Family = &'static [(&'static str, Handler)];

/// Every family.
pub static FAMILIES: &[Family] = &[
    acl::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    hashes::COMMANDS,
    info::COMMANDS,
    introspect::COMMANDS,
    keyspace::databases::COMMANDS,
    keyspace::expire::COMMANDS,
    keyspace::keys::COMMANDS,
    keyspace::memory::COMMANDS,
    keyspace::object::COMMANDS,
    keyspace::process::COMMANDS,
    keyspace::scan::COMMANDS,
    latency::COMMANDS,
    lists::COMMANDS,
    lolwut::COMMANDS,
    modules::COMMANDS,
    monitor::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    role::COMMANDS,
    scripting::COMMANDS,
    sets::COMMANDS,
    slowlog::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
    zsets::COMMANDS,
];
