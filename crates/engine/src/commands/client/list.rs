//! CLIENT LIST and INFO: connections as lines of text.

use crate::client::{Client, ClientFlags, ClientId};
use crate::exec::{Args, Exec};
use crate::state::ServerState;
use commandtable::{Error, Outcome};
use resp::Protocol;
use std::fmt::Write;

/// What a connection is for, as TYPE filters name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Normal,
    Replica,
    PubSub,
    Primary,
}

impl Type {
    /// The type of this name, old or new, in any case.
    pub(super) fn parse(name: &[u8]) -> Result<Self, Error> {
        Ok(match name.to_ascii_lowercase().as_slice() {
            b"normal" => Type::Normal,
            b"slave" | b"replica" => Type::Replica,
            b"pubsub" => Type::PubSub,
            b"master" | b"primary" => Type::Primary,
            _ => return Err(Error::client_type(name)),
        })
    }

    /// The type of a client.
    pub(super) fn of(client: &Client) -> Self {
        if client.flags.has(ClientFlags::PRIMARY) {
            Type::Primary
        } else if client.flags.has(ClientFlags::REPLICA) {
            Type::Replica
        } else if client.flags.has(ClientFlags::PUBSUB) {
            Type::PubSub
        } else {
            Type::Normal
        }
    }
}

/// True for clients that are gone but for their connection's task, which will soon learn of it. The snapshot channels
/// that are kept on purpose are not.
pub(super) fn is_going(client: &Client) -> bool {
    client.flags.has(ClientFlags::CLOSE_NOW) && !client.flags.has(ClientFlags::PROTECTED)
}

/// `CLIENT INFO`.
///
/// Reply: the line of this connection.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT INFO (since 6.2.0).
pub(super) fn info(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut line = row(x.state, x.client, Seen::own(x, args));
    line.push('\n');
    x.out.verbatim(*b"txt", line.as_bytes());
    Ok(())
}

/// `CLIENT LIST [TYPE type | ID id [id ...]]`.
///
/// Reply: one line per connection, in the order of their numbers; with ID in the order asked for.
/// Errors: syntax, an unknown type, an id that is none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT LIST (since 2.4.0, TYPE since 5.0.0, ID since 6.2.0).
pub(super) fn list(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let own = Seen::own(x, args);
    let ids: Vec<ClientId> = match args {
        [_, _] => all(x, |_| true),
        [_, _, option, name] if option.eq_ignore_ascii_case(b"type") => {
            let wanted = Type::parse(name)?;
            all(x, |client| Type::of(client) == wanted)
        }
        [_, _, option, ids @ ..] if option.eq_ignore_ascii_case(b"id") && !ids.is_empty() => ids
            .iter()
            .map(|id| words::int::parse_i64(id).map(|id| id as u64))
            .collect::<Option<_>>()
            .ok_or(Error::INVALID_CLIENT_ID)?,
        _ => return Err(Error::SYNTAX),
    };
    let mut text = String::with_capacity(ids.len() * 384);
    for id in ids {
        let line = if id == x.client.id {
            row(x.state, x.client, own)
        } else {
            let primary = x.state.repl.link.as_ref().and_then(|link| link.client());
            let found = x.state.clients.get(id);
            match found.or(primary.filter(|client| client.id == id)) {
                Some(client) if !is_going(client) => {
                    row(x.state, client, Seen::other(client, own.now_ms))
                }
                _ => continue,
            }
        };
        text.push_str(&line);
        text.push('\n');
    }
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

fn all(x: &Exec<'_>, wanted: impl Fn(&Client) -> bool) -> Vec<ClientId> {
    let primary = x.state.repl.link.as_ref().and_then(|link| link.client());
    let others = x
        .state
        .clients
        .iter()
        .filter(|client| !is_going(client))
        .chain(primary);
    let mut ids: Vec<ClientId> = others
        .chain(std::iter::once(&*x.client))
        .filter(|client| wanted(client))
        .map(|client| client.id)
        .collect();
    ids.sort_unstable();
    ids
}

/// A client with what only the rest of the engine knows about it.
fn row(state: &ServerState, client: &Client, seen: Seen) -> String {
    let pinned = state.repl.hub.memory_of(replication::ClientId(client.id));
    line(client, false, seen, pinned)
}

/// What the client itself does not hold.
#[derive(Clone, Copy)]
struct Seen {
    now_ms: i64,
    /// Bytes of the running command's arguments.
    arg_bytes: usize,
    protocol: Protocol,
}

impl Seen {
    /// Somebody else's line.
    fn other(client: &Client, now_ms: i64) -> Self {
        let waiting = client.blocked.iter();
        Seen {
            now_ms,
            arg_bytes: waiting.map(|blocked| blocked.args.text_bytes()).sum(),
            protocol: client.out.protocol,
        }
    }

    /// The asking client's own line: its protocol is with its reply just now.
    fn own(x: &Exec<'_>, args: Args<'_>) -> Self {
        Seen {
            now_ms: x.now_ms(),
            arg_bytes: args.iter().map(|arg| arg.len()).sum(),
            protocol: x.out.protocol,
        }
    }
}

/// The client as CLIENT LIST shows it, for the log: as of its last request.
#[must_use]
pub fn describe(client: &Client, hide_user_data: bool) -> String {
    let seen = Seen::other(client, client.last_interaction_ms);
    line(client, hide_user_data, seen, 0)
}

fn line(client: &Client, hide_user_data: bool, seen: Seen, pinned: u64) -> String {
    let Seen {
        now_ms,
        arg_bytes,
        protocol,
    } = seen;
    let (subs, psubs, ssubs) = client.subscriptions.as_deref().map_or((0, 0, 0), |subs| {
        (
            subs.channels.len(),
            subs.patterns.len(),
            subs.shard_channels.len(),
        )
    });
    let queued = match &client.transaction {
        _ if !client.flags.has(ClientFlags::MULTI) => -1,
        Some(transaction) => transaction.queue.len() as i64,
        None => 0,
    };
    let multi_bytes = client.transaction.as_ref().map_or(0, |t| t.arg_bytes);
    let pending = client.output_bytes();
    let memory = memory_of(client)
        + match client.blocked {
            Some(_) => 0, // It counts them itself.
            None => arg_bytes,
        };
    let shown = |secret: &[u8]| {
        if hide_user_data {
            "*redacted*".into()
        } else {
            String::from_utf8_lossy(secret).into_owned()
        }
    };
    let events = if client.flags.has(ClientFlags::PROTECTED) {
        "" // Its connection has gone.
    } else if pending > 0 {
        "rw"
    } else {
        "r"
    };
    let mut line = String::with_capacity(384);
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={subs} psub={psubs} ssub={ssubs} \
         multi={queued} watch={} qbuf={} qbuf-free=0 argv-mem={arg_bytes} multi-mem={multi_bytes} rbs={} rbp={} \
         obl={} oll=0 omem={} tot-mem={} events={} cmd={} user={} redir={} resp={} lib-name={} lib-ver={} \
         tot-net-in={} tot-net-out={} tot-cmds={}",
        client.id,
        client.peer.addr,
        client.peer.laddr,
        client.peer.fd,
        shown(&client.name),
        (now_ms - client.created_ms).max(0) / 1000,
        (now_ms - client.last_interaction_ms).max(0) / 1000,
        flags(client),
        client.db,
        client.watching.len(),
        client.query_bytes,
        client.out.capacity(),
        client.out.capacity(),
        client.out.len(),
        client.in_flight as u64 + pinned,
        memory as u64 + pinned,
        events,
        client
            .last_command
            .map_or("NULL", |command| command.full_name),
        if client.flags.has(ClientFlags::PRIMARY) {
            "(superuser)".into()
        } else {
            shown(client.user.name())
        },
        super::tracking::redirection(client.tracking.as_deref()),
        if protocol == Protocol::V3 { 3 } else { 2 },
        String::from_utf8_lossy(&client.lib_name),
        String::from_utf8_lossy(&client.lib_ver),
        client.net_in,
        client.net_out,
        client.commands,
    );
    line
}

/// Memory a client takes, in bytes.
pub(crate) fn memory_of(client: &Client) -> usize {
    std::mem::size_of::<Client>()
        + client.out.capacity()
        + client.in_flight
        + client.query_bytes
        + client.queued_bytes()
        + client.name.len()
        + client.peer.addr.len()
        + client.names_bytes
        + client
            .blocked
            .as_ref()
            .map_or(0, |blocked| blocked.memory())
}

/// One letter per fact, in the reference's order; `N` for none.
fn flags(client: &Client) -> String {
    let flag = |bits| client.flags.has(bits);
    let tracking = client.tracking.as_deref();
    let letters = [
        (flag(ClientFlags::MONITOR), 'O'),
        (flag(ClientFlags::REPLICA), 'S'),
        (flag(ClientFlags::PRIMARY), 'M'),
        (flag(ClientFlags::PUBSUB), 'P'),
        (flag(ClientFlags::MULTI), 'x'),
        (flag(ClientFlags::BLOCKED | ClientFlags::PAUSED), 'b'),
        (tracking.is_some(), 't'),
        (tracking.is_some_and(|t| t.broken_redirect), 'R'),
        (tracking.is_some_and(|t| t.broadcast), 'B'),
        (flag(ClientFlags::WATCH_BROKEN), 'd'),
        (flag(ClientFlags::CLOSE_AFTER_REPLY), 'c'),
        (flag(ClientFlags::CLOSE_NOW), 'A'),
        (flag(ClientFlags::UNIX), 'U'),
        (flag(ClientFlags::READONLY), 'r'),
        (flag(ClientFlags::NO_EVICT), 'e'),
        (flag(ClientFlags::NO_TOUCH), 'T'),
    ];
    let text: String = letters
        .iter()
        .filter_map(|(holds, letter)| holds.then_some(*letter))
        .collect();
    if text.is_empty() { "N".into() } else { text }
}
