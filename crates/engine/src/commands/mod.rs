//! The commands that are not about data: clients, transactions, the server. A family lists its handlers under the names of the command table.

use crate::exec::Handler;

mod info;
mod latency;
mod slowlog;

mod acl;
pub mod client;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod databases;
pub mod debug;
pub mod introspect;
mod lolwut;
pub mod memory;
pub(crate) mod migrate;
mod modules;
pub(crate) mod monitor;
pub mod pubsub;
pub mod replication;
pub mod saving;
mod scripting;
mod sort;
pub mod transactions;

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
    info::COMMANDS,
    introspect::COMMANDS,
    databases::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    saving::COMMANDS,
    latency::COMMANDS,
    lolwut::COMMANDS,
    modules::COMMANDS,
    monitor::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    scripting::EVAL,
    scripting::FUNCTIONS,
    scripting::SCRIPTS,
    slowlog::COMMANDS,
    sort::COMMANDS,
    transactions::COMMANDS,
];
