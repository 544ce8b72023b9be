//! Replication as clients see it: ROLE, the commands replicas send, and WAIT.

use super::Family;
use crate::blocking::WaitFor;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::repl;
use commandtable::{Error, Outcome};
use dataset::OnTimeout;
use dataset::number;
use dataset::number::deadline_from_ms;
use replication::ClientId;
use replication::primary::{Env, Hub, Peer, Reply};
use replication::replica::LinkState;

pub(super) static COMMANDS: Family = &[
    ("role", role),
    ("replconf", replconf),
    ("psync", psync),
    ("sync", sync),
    ("wait", wait),
    ("waitaof", waitaof),
];

/// `ROLE`: what this server is in its replication group.
///
/// Reply: `master`, the stream's offset and the online replicas as `[ip, port, acknowledged offset]`; or `slave`, the
/// primary's host and port, the state of the link and the offset.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ROLE (since 2.8.12).
fn role(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let out = &mut *x.out;
    let repl = &x.core.repl;
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

/// Lets the hub handle an input of the running client.
fn ask_hub(
    x: &mut Exec<'_>,
    input: impl FnOnce(&mut Hub, &Env<'_>, ClientId, Peer<'_>) -> Reply,
) -> Outcome {
    let id = ClientId(x.client.id);
    let peer = Peer {
        ip: x
            .client
            .peer
            .addr
            .rsplit_once(':')
            .map_or("", |(ip, _)| ip.trim_matches(['[', ']'])),
        pending_output: !x.out.is_empty() || x.client.in_flight > 0,
        monitor: x.client.flags.has(ClientFlags::MONITOR),
    };
    let reply = x.core.repl.with_hub(|hub, env| input(hub, env, id, peer));
    let answered = repl::write_reply(x.out, reply);
    let is_replica = x.core.repl.hub.is_replica(id);
    if is_replica && !x.client.flags.has(ClientFlags::REPLICA) {
        // What others cause would come in the midst of its stream, or of the snapshot that a child writes to it.
        super::pubsub::forget(x.core, x.client);
        crate::tracking::disable(x.keys, &mut x.core.tracking, x.client);
        if x.core.config.repl_disable_tcp_nodelay {
            x.core.host.coalesce(x.client.id);
        }
    }
    x.client.flags.put(ClientFlags::REPLICA, is_replica);
    answered
}

/// `REPLCONF option value [option value ...]`: what a replica tells about itself, and its acknowledgements.
///
/// Reply: OK; nothing at all to ACK and GETACK.
/// Errors: syntax, options and values nobody knows. Options before a wrong one stay in force.
/// Propagates: nothing.
/// Source: Valkey command reference, REPLCONF (since 3.0.0).
fn replconf(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, _| hub.replconf(env, id, &args[1..]))
}

/// `PSYNC replid offset [FAILOVER]`: makes the client a replica that goes on from `offset` if that is possible.
///
/// Reply: `+CONTINUE`, then the stream; or `+FULLRESYNC`, then a snapshot and the stream.
/// Errors: NOMASTERLINK, pending output, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, PSYNC (since 2.8.0).
fn psync(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, peer| hub.psync(env, id, peer, &args[1..]))
}

/// `SYNC`: makes the client a replica that gets everything.
///
/// Reply: a snapshot, then the stream.
/// Errors: NOMASTERLINK, pending output.
/// Propagates: nothing.
/// Source: Valkey command reference, SYNC (since 1.0.0).
fn sync(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, peer| hub.sync(env, id, peer))
}

/// `WAIT numreplicas timeout`: waits until that many replicas have the client's last write.
///
/// Reply: the number of replicas that have it, by then or when the time is up.
/// Errors: on a replica; not an integer; a timeout that is none.
/// Propagates: nothing; asks the replicas to acknowledge.
/// Source: Valkey command reference, WAIT (since 3.0.0).
fn wait(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if x.core.repl.is_replica() {
        return Err(Error::WAIT_ON_REPLICA);
    }
    let wanted = number::int(args[1])?;
    let deadline_ms = deadline_from_ms(args[2], x.now_ms())?;
    let offset = x.client.write_offset;
    let acked = x.core.repl.hub.acked(offset);
    let enough = u64::try_from(wanted).map_or(true, |wanted| acked as u64 >= wanted);
    if enough || x.must_not_block() {
        x.out.uint(acked);
        return Ok(());
    }
    wait_for(x, args, deadline_ms, wanted.unsigned_abs(), None);
    Ok(())
}

/// `WAITAOF numlocal numreplicas timeout`: as WAIT, for writes that have reached the append-only files.
///
/// Reply: the number of local files, 0 or 1, and of replicas that have them.
/// Errors: on a replica; numbers that are none or out of range; a local file is wanted but `appendonly` is off.
/// Propagates: nothing; asks the replicas to acknowledge.
/// Source: Valkey command reference, WAITAOF (since 7.2.0).
fn waitaof(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let local = number::int(args[1])?;
    if !(0..=1).contains(&local) {
        return Err(Error::NOT_ZERO_OR_ONE);
    }
    let wanted = number::positive(args[2])?;
    let deadline_ms = deadline_from_ms(args[3], x.now_ms())?;
    if x.core.repl.is_replica() {
        return Err(Error::WAITAOF_ON_REPLICA);
    }
    if local > 0 && !x.core.config.appendonly {
        return Err(Error::WAITAOF_NO_AOF);
    }
    let acked = x.core.repl.hub.acked_aof(x.client.write_offset);
    if (local == 0 && acked as u64 >= wanted) || x.must_not_block() {
        x.out.array(2);
        x.out.int(0);
        x.out.uint(acked);
        return Ok(());
    }
    wait_for(x, args, deadline_ms, wanted, Some(local.unsigned_abs()));
    Ok(())
}

/// Blocks the client until enough replicas have acknowledged its last write, and asks them to.
fn wait_for(
    x: &mut Exec<'_>,
    args: Args<'_>,
    deadline_ms: i64,
    replicas: u64,
    aof_local: Option<u64>,
) {
    let wait = WaitFor::Replicas {
        offset: x.client.write_offset,
        replicas,
        aof_local,
    };
    x.block(wait, args, deadline_ms, OnTimeout::Acknowledged);
    x.core.repl.with_hub(|hub, env| hub.request_acks(env));
}

#[cfg(test)]
mod tests {
    use crate::testing::{COALESCED, Driver, check};

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

    #[test]
    fn wait_answers_at_once_when_it_can_and_later_otherwise() {
        check(
            "
            > WAIT 0 0
            < (integer) 0
            > WAIT -1 0
            < (integer) 0
            > WAIT a 0
            < (error) ERR value is not an integer or out of range
            > WAIT 0 -1
            < (error) ERR timeout is negative
            > WAIT 1 x
            < (error) ERR timeout is not an integer or out of range
            > WAITAOF 2 0 0
            < (error) ERR value is out of range, value must between 0 and 1
            > WAITAOF 1 0 0
            < (error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.
            > WAITAOF 0 -1 0
            < (error) ERR value is out of range, must be positive
            > WAITAOF 0 0 0
            < 1) (integer) 0
            < 2) (integer) 0
            > MULTI
            < OK
            > WAIT 3 0
            < QUEUED
            > EXEC
            < 1) (integer) 0
            1> WAIT 1 500
            + 501
            1< (integer) 0
            ",
        );
    }

    #[test]
    fn replconf_refuses_what_it_does_not_know() {
        check(
            "
            > REPLCONF
            < OK
            > REPLCONF a
            < (error) ERR syntax error
            > REPLCONF foo bar
            < (error) ERR Unrecognized REPLCONF option: foo
            > REPLCONF listening-port 7000 capa psync2
            < OK
            > REPLCONF ACK 10
            ",
        );
    }

    #[test]
    fn a_replica_that_missed_nothing_continues_and_acknowledges() {
        let mut driver = Driver::new();
        let replid = driver.engine.core.repl.hub.history().replid.to_string();
        driver.send(1, &[b"REPLCONF", b"capa", b"psync2"]);
        let reply = driver.send(1, &[b"PSYNC", replid.as_bytes(), b"1"]);
        assert_eq!(reply, format!("+CONTINUE {replid}\r\n").into_bytes());
        driver.send(0, &[b"SET", b"k", b"v"]);
        assert_eq!(driver.send(0, &[b"WAIT", b"1", b"0"]), b"");
        let offset = driver.engine.core.repl.offset().to_string();
        assert_eq!(
            driver.send(1, &[b"REPLCONF", b"ACK", offset.as_bytes()]),
            b""
        );
        assert_eq!(driver.pushed(0), b":1\r\n");
        // A reply in the midst of the stream would corrupt it: there is none.
        assert_eq!(driver.send(1, &[b"GET", b"k"]), b"");
    }

    #[test]
    fn packets_to_a_replica_are_gathered_where_that_is_wanted() {
        let mut driver = Driver::new();
        let replid = driver.engine.core.repl.hub.history().replid.to_string();
        driver.send(1, &[b"PSYNC", replid.as_bytes(), b"1"]);
        assert_eq!(COALESCED.get(), 0);
        driver.send(0, &[b"CONFIG", b"SET", b"repl-disable-tcp-nodelay", b"yes"]);
        driver.send(2, &[b"PSYNC", replid.as_bytes(), b"1"]);
        driver.send(2, &[b"REPLCONF", b"ACK", b"0"]);
        assert_eq!(COALESCED.get(), 1);
    }

    #[test]
    fn a_subscriber_that_becomes_a_replica_gets_no_messages_amid_its_stream() {
        let mut driver = Driver::new();
        driver.send(1, &[b"HELLO", b"3"]);
        driver.send(1, &[b"CLIENT", b"TRACKING", b"ON", b"BCAST"]);
        driver.send(1, &[b"SUBSCRIBE", b"channel"]);
        driver.send(1, &[b"PSYNC", b"?", b"-1"]);
        driver.pushed(1);
        assert_eq!(
            driver.send(0, &[b"PUBLISH", b"channel", b"message"]),
            b":0\r\n"
        );
        driver.send(0, &[b"SET", b"k", b"v"]);
        assert_eq!(driver.pushed(1), b"");
    }
}
