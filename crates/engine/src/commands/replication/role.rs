//! Who follows whom: ROLE, REPLICAOF, FAILOVER.

use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::host::Level;
use commandtable::{Error, Outcome};
use config::{Param, Phase};
use replication::replica::{LinkState, Purpose};

/// `ROLE`: what this server is in its replication group.
///
/// Reply: `master`, the stream's offset and the online replicas as `[ip, port, acknowledged offset]`; or `slave`, the
/// primary's host and port, the state of the link and the offset.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ROLE (since 2.8.12).
pub(super) fn role(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let out = &mut *x.out;
    let repl = &x.state.repl;
    if repl.is_replica() {
        let link = repl.link.as_ref().map(|side| &side.link);
        let (host, port) = link.and_then(|link| link.target()).unwrap_or(("", 0));
        let state = link.map_or("none", |link| link.state().as_str());
        out.array(5);
        out.bulk(b"slave");
        out.bulk(host.as_bytes());
        out.int(i64::from(port));
        out.bulk(state.as_bytes());
        let applied = link
            .filter(|link| link.state() == LinkState::Connected)
            .and_then(|link| link.position());
        out.int(applied.map_or(-1, |(_, applied)| applied as i64));
        return Ok(());
    }
    let rows = repl.hub.role_rows();
    out.array(3);
    out.bulk(b"master");
    out.int(repl.offset() as i64);
    out.array(rows.len());
    for row in rows {
        out.array(3);
        out.bulk(row.ip.as_bytes());
        out.bulk_int(i64::from(row.port));
        out.bulk_int(row.ack as i64);
    }
    Ok(())
}

/// `REPLICAOF host port [FORCE]`, `REPLICAOF NO ONE`. FORCE, which is ours, takes over the data of a primary that has none.
///
/// Reply: OK, also when nothing changes.
/// Errors: a port out of range; during a failover; on the connection of a replica.
/// Propagates: nothing.
/// Source: Valkey command reference, REPLICAOF (since 5.0.0).
pub(super) fn replicaof(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let forced = match args {
        [_, _, _] => false,
        [_, _, _, word] if word.eq_ignore_ascii_case(b"force") => true,
        _ => return Err(Error::arity(x.command.full_name)),
    };
    if x.state.repl.hub.failover_state() != replication::primary::FailoverState::None {
        return Err(Error::REPLICAOF_FAILING_OVER);
    }
    if !forced && args[1].eq_ignore_ascii_case(b"no") && args[2].eq_ignore_ascii_case(b"one") {
        if x.state.repl.is_replica() {
            set_primary(x, &[b"no", b"one"]);
            crate::primary_link::promote(x.keys, x.state, x.client.id);
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
        .state
        .repl
        .link
        .as_ref()
        .and_then(|side| side.link.target())
        == Some((host.as_str(), port));
    if same && !forced {
        x.state.log(
            Level::Notice,
            "REPLICAOF would result into synchronization with the primary we are already connected with. No operation performed.",
        );
        x.out.simple(b"OK Already connected to specified master");
        return Ok(());
    }
    set_primary(x, &[args[1], args[2]]);
    let line = format!("REPLICAOF {host}:{port} enabled ({})", requested_by(x));
    let purpose = if forced {
        Purpose::FollowAnyway
    } else {
        Purpose::Follow
    };
    crate::primary_link::follow(x.keys, x.state, &host, port, purpose);
    x.state.log(Level::Notice, &line);
    x.out.ok();
    Ok(())
}

/// Keeps the parameter in step: CONFIG GET and REWRITE show the primary in force.
fn set_primary(x: &mut Exec<'_>, words: &[&[u8]]) {
    let mut config = x.state.config.clone();
    if config.set(Param::Replicaof, words, Phase::Startup).is_ok() {
        x.state.config = config;
    }
}

fn requested_by(x: &Exec<'_>) -> String {
    let client =
        crate::commands::client::describe(x.client, x.state.config.hide_user_data_from_log);
    format!("user request from '{client}'")
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`: hands the role over to a replica.
///
/// Reply: OK; the failover itself goes on in the background.
/// Errors: syntax; no replica, or not this one; a failover under way, or none to abort; on a replica.
/// Propagates: nothing.
/// Source: Valkey command reference, FAILOVER (since 6.2.0).
pub(super) fn failover(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let reply = x
        .state
        .repl
        .with_hub(|hub, env| hub.failover(env, &args[1..]));
    crate::repl::write_reply(x.out, reply)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn role_of_a_lonely_primary() {
        check(
            "
            > ROLE
            < 1) \"master\"
            < 2) (integer) 0
            < 3) (empty array)
            ",
        );
    }

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
