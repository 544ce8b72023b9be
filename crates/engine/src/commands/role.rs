//! REPLICAOF and FAILOVER: who follows whom.

use super::Family;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::host::Level;
use commandtable::{Error, Outcome};
use config::{Param, Phase};
use replication::replica::Purpose;

pub(super) static COMMANDS: Family = &[
    ("replicaof", replicaof),
    ("slaveof", replicaof),
    ("failover", failover),
];

/// `REPLICAOF host port`, `REPLICAOF NO ONE`.
///
/// Reply: OK, also when nothing changes.
/// Errors: a port out of range; during a failover; on the connection of a replica.
/// Propagates: nothing.
/// Source: Valkey command reference, REPLICAOF (since 5.0.0).
fn replicaof(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if x.core.repl.hub.failover_state() != replication::primary::FailoverState::None {
        return Err(Error::REPLICAOF_FAILING_OVER);
    }
    if args[1].eq_ignore_ascii_case(b"no") && args[2].eq_ignore_ascii_case(b"one") {
        if x.core.repl.is_replica() {
            set_primary(x, &[b"no", b"one"]);
            crate::link::promote(x.keys, x.core, x.client.id);
        }
        x.out.ok();
        return Ok(());
    }
    if x.client.flags.has(ClientFlags::REPLICA) {
        return Err(Error::NOT_FOR_REPLICAS);
    }
    let port = words::int::parse_i64(args[2])
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(Error::INVALID_PRIMARY_PORT)?;
    let host = String::from_utf8_lossy(args[1]).into_owned();
    let same = x
        .core
        .repl
        .link
        .as_ref()
        .and_then(|side| side.link.target())
        == Some((host.as_str(), port));
    if same {
        x.core.log(
            Level::Notice,
            "REPLICAOF would result into synchronization with the primary we are already connected with. No operation performed.",
        );
        x.out.simple(b"OK Already connected to specified master");
        return Ok(());
    }
    set_primary(x, &[args[1], args[2]]);
    let line = format!("REPLICAOF {host}:{port} enabled ({})", requested_by(x));
    crate::link::follow(x.keys, x.core, &host, port, Purpose::Follow);
    x.core.log(Level::Notice, &line);
    x.out.ok();
    Ok(())
}

/// Keeps the parameter in step: CONFIG GET and REWRITE show the primary in force.
fn set_primary(x: &mut Exec<'_>, words: &[&[u8]]) {
    let mut config = x.core.config.clone();
    if config.set(Param::Replicaof, words, Phase::Startup).is_ok() {
        x.core.config = config;
    }
}

fn requested_by(x: &Exec<'_>) -> String {
    let client = super::client::describe(x.client, x.core.config.hide_user_data_from_log);
    format!("user request from '{client}'")
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`: hands the role over to a replica.
///
/// Reply: OK; the failover itself goes on in the background.
/// Errors: syntax; no replica, or not this one; a failover under way, or none to abort; on a replica.
/// Propagates: nothing.
/// Source: Valkey command reference, FAILOVER (since 6.2.0).
fn failover(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let reply = x
        .core
        .repl
        .with_hub(|hub, env| hub.failover(env, &args[1..]));
    crate::repl::write_reply(x.out, reply)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    /// It was lost: no replica had it, while the new replica said that it was in step.
    #[test]
    fn what_a_transaction_writes_before_it_follows_somebody_is_propagated() {
        check(
            r#"
            > MULTI
            < OK
            > SET k v
            < QUEUED
            > REPLICAOF 127.0.0.1 1
            < QUEUED
            > EXEC
            < 1) OK
            < 2) OK
            ~ SET k v
            "#,
        );
    }
}
