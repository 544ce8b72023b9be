//! What replicas send: REPLCONF, PSYNC, SYNC.

use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::repl;
use commandtable::Outcome;
use replication::ClientId;
use replication::primary::{Env, Hub, Peer, Reply};

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
    let reply = x.state.repl.with_hub(|hub, env| input(hub, env, id, peer));
    let answered = repl::write_reply(x.out, reply);
    let is_replica = x.state.repl.hub.is_replica(id);
    if is_replica && !x.client.flags.has(ClientFlags::REPLICA) {
        // What others cause would come in the midst of its stream, or of the snapshot that a child writes to it.
        crate::commands::pubsub::forget(x.state, x.client);
        crate::tracking::disable(x.keys, &mut x.state.tracking, x.client);
        if x.state.config.repl_disable_tcp_nodelay {
            x.state.host.coalesce(x.client.id);
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
pub(super) fn replconf(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, _| hub.replconf(env, id, &args[1..]))
}

/// `PSYNC replid offset [FAILOVER]`: makes the client a replica that goes on from `offset` if that is possible.
///
/// Reply: `+CONTINUE`, then the stream; or `+FULLRESYNC`, then a snapshot and the stream.
/// Errors: NOMASTERLINK, pending output, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, PSYNC (since 2.8.0).
pub(super) fn psync(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, peer| hub.psync(env, id, peer, &args[1..]))
}

/// `SYNC`: makes the client a replica that gets everything.
///
/// Reply: a snapshot, then the stream.
/// Errors: NOMASTERLINK, pending output.
/// Propagates: nothing.
/// Source: Valkey command reference, SYNC (since 1.0.0).
pub(super) fn sync(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    ask_hub(x, |hub, env, id, peer| hub.sync(env, id, peer))
}

#[cfg(test)]
mod tests {
    use crate::testing::{COALESCED, Driver, check};

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
        let replid = driver.engine.state.repl.hub.history().replid.to_string();
        driver.send(1, &[b"REPLCONF", b"capa", b"psync2"]);
        let reply = driver.send(1, &[b"PSYNC", replid.as_bytes(), b"1"]);
        assert_eq!(reply, format!("+CONTINUE {replid}\r\n").into_bytes());
        driver.send(0, &[b"SET", b"k", b"v"]);
        assert_eq!(driver.send(0, &[b"WAIT", b"1", b"0"]), b"");
        let offset = driver.engine.state.repl.offset().to_string();
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
        let replid = driver.engine.state.repl.hub.history().replid.to_string();
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
