//! Whether a command may run now, whoever sends it: the checks that most requests do not need, in the reference's order.

use crate::client::{ClientFlags, Queued};
use crate::eviction::{self, Room};
use crate::exec::{Args, Exec};
use crate::host::{Crash, Level};
use crate::state::{Loading, PauseKind};
use crate::users;
use commandtable::{CommandInfo, Error, Flags};
use replication::primary::FailoverState;
use resp::Protocol;
use words::Words;

/// Milliseconds between two warnings of a replica that follows though it cannot save.
const DISK_WARNING_EVERY_MS: u64 = 10_000;

/// What is to become of a request that is not refused.
pub(crate) enum Admitted {
    /// It may run.
    Run,
    /// It was queued for EXEC, and that has been answered.
    Queued,
    /// It has to be offered again when the pause is over.
    Postponed,
}

/// Checks a request.
///
/// # Errors
/// Why it is refused.
#[cold]
#[inline(never)]
pub(crate) fn admit(
    x: &mut Exec<'_>,
    command: &'static CommandInfo,
    args: Args<'_>,
) -> Result<Admitted, Error> {
    let flags = command.flags;
    let from_primary = x.client.flags.has(ClientFlags::PRIMARY);
    if flags.intersects(Flags::PROTECTED) {
        protected(x, command)?;
    }
    if !flags.intersects(Flags::NO_AUTH) && x.state.needs_login(x.client) {
        return Err(Error::NO_AUTH);
    }
    if x.client.flags.has(ClientFlags::MULTI) && flags.intersects(Flags::NO_MULTI) {
        return Err(Error::NOT_IN_MULTI);
    }
    users::check(x, command, args).map_err(|denied| denied.reply(x.client.user.name(), command))?;
    // EXEC is judged by what it would run: what was allowed when it was queued may no longer be.
    let (effective, allowed) = match &x.client.transaction {
        Some(queued) if command.name == "exec" => {
            (flags.and(queued.flags), flags.without(queued.lacking))
        }
        _ => (flags, flags),
    };
    let writes = effective.intersects(Flags::WRITE);
    let may_replicate = effective.intersects(Flags::WRITE.and(Flags::MAY_REPLICATE));
    if x.client.flags.has(ClientFlags::CAN_REDIRECT) && !from_primary {
        let reads =
            effective.intersects(Flags::READONLY) && !x.client.flags.has(ClientFlags::READONLY);
        if (writes || reads)
            && let Some((host, port)) = x.state.repl.primary()
        {
            // Whether the target takes the role is open yet, and with it where to send the client.
            if x.state.repl.hub.failover_state() == FailoverState::InProgress {
                return Ok(Admitted::Postponed);
            }
            return Err(Error::redirect(host, port));
        }
    }
    if x.state.config.maxmemory > 0 && !from_primary && x.state.loading == Loading::No {
        let room = eviction::make_room(x.keys, x.state);
        if room == Room::None && effective.intersects(Flags::DENYOOM) {
            return Err(Error::OOM);
        }
    }
    if (writes || command.name == "ping") && x.state.writes_stopped() {
        if !from_primary {
            return Err(Error::MISCONF);
        }
        follow_without_disk(x, writes);
    }
    if !from_primary && writes && !x.state.repl.is_replica() && !x.state.repl.has_enough_replicas()
    {
        return Err(Error::NO_REPLICAS);
    }
    if !from_primary && writes && x.state.repl.is_replica() && x.state.config.replica_read_only {
        return Err(Error::READ_ONLY);
    }
    if x.client.flags.has(ClientFlags::PUBSUB)
        && x.out.protocol == Protocol::V2
        && !matches!(
            command.name,
            "ping"
                | "subscribe"
                | "unsubscribe"
                | "psubscribe"
                | "punsubscribe"
                | "ssubscribe"
                | "sunsubscribe"
                | "quit"
                | "reset"
        )
    {
        return Err(Error::Built(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.full_name
        )));
    }
    if x.state.repl.is_replica()
        && !x.state.repl.link_is_up()
        && !x.state.config.replica_serve_stale_data
        && !allowed.contains(Flags::STALE)
        && !asks_for_stream(command)
    {
        return Err(Error::PRIMARY_DOWN);
    }
    match x.state.loading {
        Loading::No => {}
        Loading::Blocking if allowed.intersects(Flags::LOADING) => {}
        Loading::Serving if !effective.intersects(Flags::NO_ASYNC_LOADING) => {}
        Loading::Blocking | Loading::Serving => return Err(Error::LOADING),
    }
    if x.client
        .flags
        .has(ClientFlags::REPLICA | ClientFlags::MONITOR)
        && (may_replicate || effective.intersects(Flags::READONLY))
        && !from_primary
    {
        return Err(Error::REPLICA_KEYSPACE);
    }
    if let Some(pause) = x.state.pause
        && !x
            .client
            .flags
            .has(ClientFlags::REPLICA | ClientFlags::PRIMARY)
        && (pause.kind == PauseKind::All || may_replicate)
    {
        return Ok(Admitted::Postponed);
    }
    if gives_up_subscriptions(command)
        && !x.client.flags.has(ClientFlags::PUBSUB)
        && !x.must_not_block()
    {
        return Err(Error::not_subscribed(command.name));
    }
    if x.client.flags.has(ClientFlags::MULTI) && !is_immediate(command) {
        queue(x, command, args);
        return Ok(Admitted::Queued);
    }
    Ok(Admitted::Run)
}

/// A replica cannot refuse what its primary sends: it goes on, saying so, or ends, as the administrator has decided.
fn follow_without_disk(x: &mut Exec<'_>, writes: bool) {
    if writes && !x.state.config.replica_ignore_disk_write_errors {
        let what = "Replica was unable to write command to disk.";
        x.state.host.crash(Crash::Panic(what.into()));
        return;
    }
    let now_ms = x.state.repl.now_ms;
    let repl = &mut x.state.repl;
    if repl
        .disk_warning_ms
        .is_none_or(|last| now_ms.saturating_sub(last) > DISK_WARNING_EVERY_MS)
    {
        repl.disk_warning_ms = Some(now_ms);
        x.state.log(
            Level::Warning,
            "Replica is applying a command even though it is unable to write to disk.",
        );
    }
}

/// The commands of a replica, which have an answer of their own while there is no stream to hand on: to any other one their
/// sender tries again with an older protocol.
fn asks_for_stream(command: &CommandInfo) -> bool {
    matches!(command.name, "psync" | "sync")
}

/// The commands that only a subscribed client may call.
fn gives_up_subscriptions(command: &CommandInfo) -> bool {
    matches!(
        command.name,
        "unsubscribe" | "punsubscribe" | "sunsubscribe"
    )
}

/// Commands that act at once between MULTI and EXEC.
fn is_immediate(command: &CommandInfo) -> bool {
    matches!(command.name, "exec" | "discard" | "quit" | "reset")
}

fn protected(x: &Exec<'_>, command: &CommandInfo) -> Result<(), Error> {
    use config::ProtectedAction;
    let (action, refusal) = match command.full_name {
        "debug" => (x.state.config.enable_debug_command, Error::DEBUG_DISABLED),
        _ => (x.state.config.enable_module_command, Error::MODULE_DISABLED),
    };
    match action {
        ProtectedAction::Yes => Ok(()),
        ProtectedAction::Local if x.client.peer.loopback || x.client.peer.unix => Ok(()),
        _ => Err(refusal),
    }
}

fn queue(x: &mut Exec<'_>, command: &'static CommandInfo, args: Args<'_>) {
    // A transaction that will be refused anyway keeps nothing.
    if !x
        .client
        .flags
        .has(ClientFlags::EXEC_REFUSED | ClientFlags::WATCH_BROKEN)
    {
        let transaction = x.client.transaction.get_or_insert_default();
        let args = Words::new(args);
        transaction.arg_bytes += args.bytes();
        transaction.flags = transaction.flags.and(command.flags);
        let lacking = Flags::LOADING.and(Flags::STALE).without(command.flags);
        transaction.lacking = transaction.lacking.and(lacking);
        transaction.queue.push(Queued { command, args });
    }
    x.out.simple(b"QUEUED");
}
