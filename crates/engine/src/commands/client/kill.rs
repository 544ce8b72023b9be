//! CLIENT KILL: connections are closed by address, number, type, user or age.

use super::list::{Type, is_going};
use crate::client::{Client, ClientFlags, ClientId};
use crate::exec::{Args, Exec};
use crate::host::Host;
use crate::state::ServerState;
use commandtable::{Error, Outcome};

/// Which clients to close: all conditions that are given must hold.
#[derive(Default)]
struct Filter<'a> {
    id: Option<ClientId>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<Type>,
    max_age_ms: Option<i64>,
    user: Option<&'a [u8]>,
}

impl Filter<'_> {
    fn takes(&self, client: &Client, now_ms: i64) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self
                .addr
                .is_none_or(|addr| addr == client.peer.addr.as_bytes())
            && self
                .laddr
                .is_none_or(|laddr| laddr == client.peer.laddr.as_bytes())
            && self.kind.is_none_or(|kind| kind == Type::of(client))
            && self
                .max_age_ms
                .is_none_or(|age| now_ms - client.created_ms >= age)
            && self.user.is_none_or(|user| is_user(client, user))
            && !is_going(client)
    }
}

/// `CLIENT KILL addr`, or `CLIENT KILL filter value [filter value ...]` with ID, ADDR, LADDR, TYPE, USER, MAXAGE, SKIPME.
///
/// Reply: OK, or the number of connections closed.
/// Errors: nobody has the address; syntax; a value that is none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT KILL (since 2.4.0).
pub(super) fn kill(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if let [_, _, addr] = args {
        let filter = Filter {
            addr: Some(addr),
            ..Filter::default()
        };
        if close(x, &filter, false) == 0 {
            return Err(Error::NO_SUCH_CLIENT);
        }
        x.out.ok();
        return Ok(());
    }
    let (pairs, rest) = args[2..].as_chunks::<2>();
    let mut filter = Filter::default();
    let mut skip_me = true;
    for [option, value] in pairs {
        match option.to_ascii_lowercase().as_slice() {
            b"id" => {
                let id = words::int::parse_i64(value).filter(|id| *id > 0);
                filter.id = Some(id.ok_or(Error::CLIENT_ID)? as u64);
            }
            b"maxage" => {
                let age = words::int::parse_i64(value).ok_or(Error::MAXAGE_NOT_AN_INTEGER)?;
                if age <= 0 {
                    return Err(Error::MAXAGE);
                }
                filter.max_age_ms = Some(age.saturating_mul(1000));
            }
            b"type" => filter.kind = Some(Type::parse(value)?),
            b"addr" => filter.addr = Some(value),
            b"laddr" => filter.laddr = Some(value),
            b"user" if x.state.users.get(value).is_some() => filter.user = Some(value),
            b"user" => return Err(Error::no_such_user(value)),
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => skip_me = true,
            b"skipme" if value.eq_ignore_ascii_case(b"no") => skip_me = false,
            _ => return Err(Error::SYNTAX),
        }
    }
    if !rest.is_empty() {
        return Err(Error::SYNTAX);
    }
    let closed = close(x, &filter, skip_me);
    x.out.uint(closed);
    Ok(())
}

/// Whether the client is of that name. The link to a primary is nobody's.
fn is_user(client: &Client, name: &[u8]) -> bool {
    !client.flags.has(ClientFlags::PRIMARY) && client.user.name() == name
}

/// Closes a connection before the reply is written: whoever reads that may rely on the other one being cut off. A snapshot
/// channel in its grace period has no connection any more.
pub(crate) fn cut_off(host: &mut dyn Host, client: &mut Client) {
    if !client.flags.has(ClientFlags::PROTECTED) {
        host.hang_up(client.id);
    }
    client.close_now();
}

/// Closes; the asking client itself once it has its reply.
fn close(x: &mut Exec<'_>, filter: &Filter<'_>, skip_me: bool) -> usize {
    let now_ms = x.now_ms();
    let mut closed = 0;
    let ServerState { clients, host, .. } = &mut *x.state;
    for client in clients.iter_mut() {
        if filter.takes(client, now_ms) {
            cut_off(&mut **host, client);
            closed += 1;
        }
    }
    let primary = x.state.repl.link.as_ref().and_then(|link| link.client());
    if primary.is_some_and(|client| filter.takes(client, now_ms)) {
        crate::primary_link::cut(x.keys, x.state);
        closed += 1;
    }
    if !skip_me && filter.takes(x.client, now_ms) {
        x.client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
        closed += 1;
    }
    closed
}
