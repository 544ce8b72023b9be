//! All commands, by family. A family lists its handlers under the names of the command table.

use crate::exec::Handler;

pub(crate) mod acl;
pub mod client;
pub mod config;
pub mod connection;
pub mod debug;
mod info;
pub mod introspect;
mod latency;
pub mod lists;
pub(crate) mod monitor;
pub mod pubsub;
pub mod replication;
pub mod server;
mod slowlog;
pub mod strings;
pub mod transactions;

/// The handlers of one family: full command name (`config|get` for a subcommand) and code.
pub type Family = &'static [(&'static str, Handler)];

/// Every family.
pub static FAMILIES: &[Family] = &[
    acl::COMMANDS,
    client::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    info::COMMANDS,
    introspect::COMMANDS,
    latency::COMMANDS,
    monitor::COMMANDS,
    lists::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    slowlog::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];
