//! Replication as clients and replicas see it.

mod role;
pub(super) mod status;
mod sync;
mod wait;

use super::Family;

pub(super) static COMMANDS: Family = &[
    ("replication|help", status::help),
    ("replication|status", status::status),
    ("role", role::role),
    ("replicaof", role::replicaof),
    ("slaveof", role::replicaof),
    ("failover", role::failover),
    ("replconf", sync::replconf),
    ("psync", sync::psync),
    ("sync", sync::sync),
    ("wait", wait::wait),
    ("waitaof", wait::waitaof),
];
