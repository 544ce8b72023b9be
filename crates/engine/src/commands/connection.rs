//! PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET.

use super::Family;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::users::log_in;
use commandtable::{Error, Outcome};
use resp::Protocol;
use words::version;

pub(super) static COMMANDS: Family = &[
    ("ping", ping),
    ("echo", echo),
    ("select", select),
    ("auth", auth),
    ("hello", hello),
    ("quit", quit),
    ("reset", reset),
];

/// `PING [message]`: tells that the server lives.
///
/// Reply: `PONG` or the message; a subscribed RESP2 client gets `["pong", message]`.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, PING (since 1.0.0).
fn ping(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 2 {
        return Err(Error::arity("ping"));
    }
    let message = args.get(1).copied();
    if x.client.flags.has(ClientFlags::PUBSUB) && !x.out.is_v3() {
        x.out.array(2);
        x.out.bulk(b"pong");
        x.out.bulk(message.unwrap_or(b""));
    } else if let Some(message) = message {
        x.out.bulk(message);
    } else {
        x.out.simple(b"PONG");
    }
    Ok(())
}

/// `ECHO message`.
///
/// Reply: the message.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, ECHO (since 1.0.0).
fn echo(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    x.out.bulk(args[1]);
    Ok(())
}

/// `SELECT index`: chooses the database of this connection.
///
/// Reply: OK.
/// Errors: not an integer, or no such database.
/// Propagates: nothing; the stream selects for itself.
/// Source: Valkey command reference, SELECT (since 1.0.0).
fn select(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let index = dataset::number::int32(args[1])?;
    let index = usize::try_from(index)
        .ok()
        .filter(|index| *index < x.keys.dbs.len())
        .ok_or(Error::DB_OUT_OF_RANGE)?;
    x.client.db = index;
    x.keys.origin.db = index;
    x.out.ok();
    Ok(())
}

/// `AUTH [username] password`.
///
/// Reply: OK.
/// Errors: WRONGPASS; without a username also when no password is set.
/// Propagates: nothing.
/// Source: Valkey command reference, AUTH (since 1.0.0, with a username since 6.0.0).
fn auth(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (user, password): (&[u8], &[u8]) = match args {
        [_, _] if x.state.users.default_user().takes_any_password() => {
            return Err(Error::AUTH_WITHOUT_PASSWORD);
        }
        [_, password] => (acl::DEFAULT, password),
        [_, user, password] => (user, password),
        _ => return Err(Error::SYNTAX),
    };
    log_in(x, args[0], user, password)?;
    x.out.ok();
    Ok(())
}

/// `HELLO [protover [AUTH username password] [SETNAME name]]`: chooses the protocol and tells about the server.
///
/// Reply: a map of facts.
/// Errors: NOPROTO, NOAUTH, WRONGPASS, bad name, syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, HELLO (since 6.0.0).
fn hello(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut version = None;
    if let Some(text) = args.get(1) {
        version = Some(match words::int::parse_i64(text) {
            Some(2) => Protocol::V2,
            Some(3) => Protocol::V3,
            Some(_) => return Err(Error::NO_PROTO),
            None => return Err(Error::HELLO_NOT_AN_INTEGER),
        });
    }
    let mut credentials = None;
    let mut name = None;
    let mut rest = args.get(2..).unwrap_or(&[]);
    while let Some((option, tail)) = rest.split_first() {
        rest = match tail {
            [user, password, tail @ ..] if option.eq_ignore_ascii_case(b"auth") => {
                credentials = Some((*user, *password));
                tail
            }
            [wanted, tail @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                super::client::check_name(wanted)?;
                name = Some(*wanted);
                tail
            }
            _ => {
                return Err(Error::built(format!(
                    "ERR Syntax error in HELLO option '{}'",
                    String::from_utf8_lossy(option)
                )));
            }
        };
    }
    if let Some((user, password)) = credentials {
        log_in(x, args[0], user, password)?;
    }
    if x.state.needs_login(x.client) {
        return Err(Error::HELLO_NO_AUTH);
    }
    if let Some(name) = name {
        x.client.name = name.to_vec();
    }
    if let Some(version) = version {
        x.out.protocol = version;
    }
    let role: &[u8] = if x.state.repl.is_replica() {
        b"replica"
    } else {
        b"master"
    };
    let mode: &[u8] = b"standalone";
    let out = &mut *x.out;
    let redis = x.state.config.extended_redis_compatibility;
    out.map(7);
    out.bulk(b"server");
    out.bulk(if redis { b"redis" } else { b"valkey" });
    out.bulk(b"version");
    out.bulk(
        if redis {
            version::REDIS
        } else {
            version::VALKEY
        }
        .as_bytes(),
    );
    out.bulk(b"proto");
    out.int(if out.is_v3() { 3 } else { 2 });
    out.bulk(b"id");
    out.int(x.client.id as i64);
    out.bulk(b"mode");
    out.bulk(mode);
    out.bulk(b"role");
    out.bulk(role);
    out.bulk(b"modules");
    out.array(0);
    Ok(())
}

/// `QUIT`: closes the connection once everything before has been answered.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, QUIT (since 1.0.0).
fn quit(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.ok();
    x.client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
    Ok(())
}

/// `RESET`: the connection as if it had just been opened.
///
/// Reply: `RESET`.
/// Errors: for a connection that is a replica's.
/// Propagates: nothing.
/// Source: Valkey command reference, RESET (since 6.2.0).
fn reset(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if x.client
        .flags
        .has(ClientFlags::REPLICA | ClientFlags::PRIMARY)
    {
        return Err(Error::built("ERR can only reset normal client connections"));
    }
    let id = x.client.id;
    x.state.monitors.retain(|monitor| *monitor != id);
    super::transactions::discard(x);
    super::pubsub::forget(x.state, x.client);
    crate::tracking::disable(x.keys, &mut x.state.tracking, x.client);
    x.client.flags.clear(
        ClientFlags::MONITOR
            | ClientFlags::READONLY
            | ClientFlags::REPLY_OFF
            | ClientFlags::REPLY_SKIP
            | ClientFlags::REPLY_SKIP_NEXT
            | ClientFlags::NO_TOUCH
            | ClientFlags::NO_EVICT,
    );
    x.client.db = 0;
    x.keys.origin.db = 0;
    x.client.name.clear();
    let user = x.state.users.default_user();
    x.client.authenticated = user.is_open();
    x.client.bind(user);
    x.out.protocol = Protocol::V2;
    x.out.simple(b"RESET");
    Ok(())
}
