//! Commands of cluster mode, which this build does not have: tools ask for them to find that out.

use super::Family;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("readonly", readonly),
    ("readwrite", readwrite),
    ("asking", disabled),
    ("cluster|addslots", disabled),
    ("cluster|addslotsrange", disabled),
    ("cluster|bumpepoch", disabled),
    ("cluster|count-failure-reports", disabled),
    ("cluster|countkeysinslot", disabled),
    ("cluster|delslots", disabled),
    ("cluster|delslotsrange", disabled),
    ("cluster|failover", disabled),
    ("cluster|flushslots", disabled),
    ("cluster|forget", disabled),
    ("cluster|getkeysinslot", disabled),
    ("cluster|help", disabled),
    ("cluster|info", disabled),
    ("cluster|keyslot", disabled),
    ("cluster|links", disabled),
    ("cluster|meet", disabled),
    ("cluster|myid", disabled),
    ("cluster|myshardid", disabled),
    ("cluster|nodes", disabled),
    ("cluster|replicas", disabled),
    ("cluster|replicate", disabled),
    ("cluster|reset", disabled),
    ("cluster|saveconfig", disabled),
    ("cluster|set-config-epoch", disabled),
    ("cluster|setslot", disabled),
    ("cluster|shards", disabled),
    ("cluster|slaves", disabled),
    ("cluster|slot-stats", disabled),
    ("cluster|slots", disabled),
];

/// `READONLY`: this connection may read from a replica.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, READONLY (since 3.0.0).
fn readonly(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.client.flags.set(ClientFlags::READONLY);
    x.out.ok();
    Ok(())
}

/// `READWRITE`: takes READONLY back.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, READWRITE (since 3.0.0).
fn readwrite(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.client.flags.clear(ClientFlags::READONLY);
    x.out.ok();
    Ok(())
}

/// `ASKING`, `CLUSTER ...`: outside of cluster mode refused.
///
/// Reply: none.
/// Errors: always: cluster support is disabled.
/// Propagates: nothing.
/// Source: Valkey command reference, ASKING, CLUSTER INFO (since 3.0.0).
fn disabled(_x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    Err(Error::CLUSTER_DISABLED)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn tools_learn_that_there_is_no_cluster() {
        check(
            "
            > READONLY
            < OK
            > READWRITE
            < OK
            > CLUSTER SLOTS
            < (error) ERR This instance has cluster support disabled
            > CLUSTER GETKEYSINSLOT 1
            < (error) ERR wrong number of arguments for 'cluster|getkeysinslot' command
            ",
        );
    }
}
