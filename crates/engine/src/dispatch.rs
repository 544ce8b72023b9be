//! From a request to the handler's call. What follows from it is settled by whoever sent it: see [`crate::settle`].

use crate::accounting::{account, unix_seconds};
use crate::admission::{self, Admitted};
use crate::blocking;
use crate::client::{Client, ClientFlags};
use crate::commands::transactions;
use crate::exec::{Args, Exec};
use crate::registry::Handler;
use crate::settle::feed_each;
use crate::state::ServerState;
use commandtable::{CommandInfo, Error, Flags};
use dataset::effects::{Audience, Propagate};
use resp::Reply;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It was answered, or refused, or queued.
    Answered,
    /// The client now waits: no further request of it may run.
    Blocked,
    /// It was not touched and has to be offered again when the pause is over.
    Postponed,
}

/// Runs one request of `x.client`. `known` is its command, if that has been looked up already.
#[inline]
pub(crate) fn process(
    x: &mut Exec<'_>,
    args: Args<'_>,
    known: Option<&'static CommandInfo>,
) -> Served {
    let found = find(x.state, args, known);
    x.client.last_command = found
        .as_ref()
        .map_or_else(|(command, _)| *command, |(command, _)| Some(*command));
    let (command, handler) = match found {
        Ok(found) => found,
        Err(_) if is_http(args) => return abort_http(x),
        Err((command, error)) => return reject(x, command, args, &error),
    };
    if !command.accepts(args.len()) {
        return reject(x, Some(command), args, &Error::arity(command.full_name));
    }
    x.command = command;
    const CHECKED: Flags = Flags::PROTECTED.and(Flags::PUBSUB);
    const SLOW: u32 = ClientFlags::MULTI
        | ClientFlags::PUBSUB
        | ClientFlags::REPLICA
        | ClientFlags::MONITOR
        | ClientFlags::RESTRICTED;
    if x.state.gate
        || !x.client.authenticated
        || x.client.flags.has(SLOW)
        || command.flags.intersects(CHECKED)
    {
        match admission::admit(x, command, args) {
            Ok(Admitted::Run) => {}
            Ok(Admitted::Queued) => return Served::Answered,
            Ok(Admitted::Postponed) => return Served::Postponed,
            Err(error) => return reject(x, Some(command), args, &error),
        }
    }
    call(x, handler, args);
    if command.flags.intersects(Flags::TOUCHES_ARBITRARY_KEYS) {
        // Keys that it did not ask for: their ends have nothing to do with each other.
        feed_each(x.keys, x.state);
    }
    if x.waits {
        x.waits = false;
        blocking::register(x.keys, x.state, x.client);
        return Served::Blocked;
    }
    Served::Answered
}

/// The command of a request, or why there is none, with the container that was called without a subcommand.
pub(crate) fn find(
    state: &ServerState,
    args: Args<'_>,
    known: Option<&'static CommandInfo>,
) -> Result<(&'static CommandInfo, Handler), (Option<&'static CommandInfo>, Error)> {
    let unknown = || (None, Error::unknown_command(args));
    let command = known
        .or_else(|| state.names.find(args.first()?))
        .ok_or_else(unknown)?;
    if command.is_container()
        && let Some(name) = args.get(1)
    {
        let sub = command
            .subcommand(name)
            .and_then(|sub| Some((sub, state.registry.handler(sub)?)));
        return match sub {
            Some(found) => Ok(found),
            None if state.registry.knows(command) => Err((None, Error::unknown_subcommand(args))),
            None => Err(unknown()),
        };
    }
    match state.registry.handler(command) {
        Some(handler) => Ok((command, handler)),
        // A container called alone: the number of arguments is what is wrong with it.
        None if state.registry.knows(command) => Err((Some(command), Error::arity(command.name))),
        None => Err(unknown()),
    }
}

/// Seconds between two log lines about requests of HTTP.
const HTTP_LOGGED_EVERY: i64 = 60;

/// True for the words with which a browser that was sent here speaks.
#[cold]
fn is_http(args: Args<'_>) -> bool {
    let name = args.first().copied().unwrap_or_default();
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Somebody has a browser send commands: the connection ends at once, whatever it has asked before.
#[cold]
fn abort_http(x: &mut Exec<'_>) -> Served {
    let now = unix_seconds(x.state);
    if now - x.state.http_logged_at > HTTP_LOGGED_EVERY {
        x.state.http_logged_at = now;
        let line = format!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection from {} aborted.",
            x.client.peer.addr
        );
        x.state.log(crate::host::Level::Warning, &line);
    }
    x.out.truncate(0);
    x.client.flags.set(ClientFlags::CLOSE_NOW);
    Served::Answered
}

#[cold]
fn reject(
    x: &mut Exec<'_>,
    command: Option<&'static CommandInfo>,
    args: Args<'_>,
    error: &Error,
) -> Served {
    if x.client.flags.has(ClientFlags::MULTI) {
        x.client.flags.set(ClientFlags::EXEC_REFUSED);
        transactions::drop_queue(x.client);
    }
    if let Some(command) = command {
        x.state.stats.commands[command.id as usize].rejected += 1;
        if command.name == "exec" {
            // EXEC itself was refused: the transaction, if there is one, is over.
            transactions::discard(x);
            if error.code() == "REDIRECT" {
                // Who follows redirections looks for their code, not for EXECABORT.
                write_error(x.state, x.out, error);
            } else {
                write_error(x.state, x.out, &Error::exec_refused(error));
            }
            // MULTI was shown, so its end is.
            x.command = command;
            crate::commands::monitor::feed(x, args);
            return Served::Answered;
        }
    }
    write_error(x.state, x.out, error);
    Served::Answered
}

pub(crate) fn write_error(state: &mut ServerState, out: &mut Reply, error: &Error) {
    state.stats.count_error(error.code());
    out.error(error.as_bytes());
}

/// Runs a handler and does the bookkeeping. Nested for the commands of a transaction.
pub(crate) fn call(x: &mut Exec<'_>, handler: Handler, args: Args<'_>) {
    let command = x.command;
    let started_ns = x.state.now_ns;
    let out_mark = x.out.len();
    let dirty_before = x.keys.dirty;
    let outer_mode = std::mem::take(&mut x.keys.effects.mode);
    x.state.stats.charge_errors();
    let outcome = match handler {
        Handler::Data(handler) => x.run_data(handler, args),
        Handler::Engine(handler) => handler(x, args),
    };
    if let Err(error) = outcome {
        x.out.truncate(out_mark);
        write_error(x.state, x.out, &error);
    }
    let failed = x.state.stats.charge_errors();
    // A command that had to wait was shown when it was asked.
    if !x.state.monitors.is_empty() && !x.keys.origin.again {
        crate::commands::monitor::feed(x, args);
    }
    if !x.keys.effects.expired.is_empty() {
        x.keys.delete_found_expired();
    }
    if x.client.flags.has(ClientFlags::TRACKING) {
        crate::tracking::remember(x, command, args);
    }
    let mode = std::mem::replace(&mut x.keys.effects.mode, outer_mode);
    if x.keys.effects.recording {
        let audience = match mode {
            Propagate::Auto if x.keys.dirty == dirty_before => None,
            Propagate::Auto | Propagate::Always => Some(Audience::Everybody),
            Propagate::Stream => Some(Audience::Replicas),
            Propagate::Instead => None,
        };
        if let Some(audience) = audience {
            let db = x.keys.origin.db;
            x.keys.effects.push_op_for(audience, db, args);
        }
    }
    let ended_ns = match std::mem::take(&mut x.state.script_ended_ns) {
        0 => (x.state.clock.monotonic_ns)(),
        just_now => just_now,
    };
    x.state.now_ns = ended_ns;
    let mut nanos = ended_ns.saturating_sub(started_ns);
    if let Some(blocked) = x.client.blocked.as_deref_mut() {
        blocked.nanos += nanos;
        nanos = blocked.nanos;
        if x.waits {
            // It counts when it is answered.
            return;
        }
    }
    account(x.state, x.client, command, nanos, failed, args);
}

/// Takes back what was written behind `mark` for a client that wants no replies (CLIENT REPLY OFF and SKIP). What
/// (un)subscribing says is no reply to it, but a push, unless it is refused.
pub(crate) fn keep_quiet(client: &mut Client, out: &mut Reply, mark: usize) {
    if !client
        .flags
        .has(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP)
    {
        return;
    }
    let refused = out.output().start().get(mark) == Some(&b'-');
    let pushes = !refused
        && client
            .last_command
            .is_some_and(|command| command.name.ends_with("subscribe"));
    if !pushes {
        out.truncate(mark);
    }
    client.flags.clear(ClientFlags::REPLY_SKIP);
}
