//! Whether a command may run now, whoever sends it: the checks that most requests do not need, in the reference's order.

use crate::client::{ClientFlags, Queued};
use crate::core::{Loading, PauseKind};
use crate::eviction::{self, Room};
use crate::exec::{Args, Exec};
use crate::host::{Crash, Level};
use crate::users;
use commandtable::{Error, Flags, Meta};
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
    meta: &'static Meta,
    args: Args<'_>,
) -> Result<Admitted, Error> {
    let flags = meta.flags;
    let from_primary = x.client.flags.has(ClientFlags::PRIMARY);
    if flags.intersects(Flags::PROTECTED) {
        protected(x, meta)?;
    }
    if !flags.intersects(Flags::NO_AUTH) && x.core.needs_login(x.client) {
        return Err(Error::NO_AUTH);
    }
    if x.client.flags.has(ClientFlags::MULTI) && flags.intersects(Flags::NO_MULTI) {
        return Err(Error::NOT_IN_MULTI);
    }
    users::check(x, meta, args).map_err(|denied| denied.reply(x.client.user.name(), meta))?;
    // EXEC is judged by what it would run: what was allowed when it was queued may no longer be.
    let (effective, allowed) = match &x.client.transaction {
        Some(queued) if meta.name == "exec" => {
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
            && let Some((host, port)) = x.core.repl.primary()
        {
            // Whether the target takes the role is open yet, and with it where to send the client.
            if x.core.repl.hub.failover_state() == FailoverState::InProgress {
                return Ok(Admitted::Postponed);
            }
            return Err(Error::redirect(host, port));
        }
    }
    if x.core.config.maxmemory > 0 && !from_primary && x.core.loading == Loading::No {
        let room = eviction::make_room(x.keys, x.core);
        if room == Room::None && effective.intersects(Flags::DENYOOM) {
            return Err(Error::OOM);
        }
    }
    if (writes || meta.name == "ping") && x.core.writes_stopped() {
        if !from_primary {
            return Err(Error::MISCONF);
        }
        follow_without_disk(x, writes);
    }
    if !from_primary && writes && !x.core.repl.is_replica() && !x.core.repl.has_enough_replicas() {
        return Err(Error::NO_REPLICAS);
    }
    if !from_primary && writes && x.core.repl.is_replica() && x.core.config.replica_read_only {
        return Err(Error::READ_ONLY);
    }
    if x.client.flags.has(ClientFlags::PUBSUB)
        && x.out.protocol == Protocol::V2
        && !matches!(
            meta.name,
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
            meta.full_name
        )));
    }
    if x.core.repl.is_replica()
        && !x.core.repl.link_is_up()
        && !x.core.config.replica_serve_stale_data
        && !allowed.contains(Flags::STALE)
        && !asks_for_stream(meta)
    {
        return Err(Error::PRIMARY_DOWN);
    }
    match x.core.loading {
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
    if let Some(pause) = x.core.pause
        && !x
            .client
            .flags
            .has(ClientFlags::REPLICA | ClientFlags::PRIMARY)
        && (pause.kind == PauseKind::All || may_replicate)
    {
        return Ok(Admitted::Postponed);
    }
    if gives_up_subscriptions(meta)
        && !x.client.flags.has(ClientFlags::PUBSUB)
        && !x.must_not_block()
    {
        return Err(Error::not_subscribed(meta.name));
    }
    if x.client.flags.has(ClientFlags::MULTI) && !is_immediate(meta) {
        queue(x, meta, args);
        return Ok(Admitted::Queued);
    }
    Ok(Admitted::Run)
}

/// A replica cannot refuse what its primary sends: it goes on, saying so, or ends, as the administrator has decided.
fn follow_without_disk(x: &mut Exec<'_>, writes: bool) {
    if writes && !x.core.config.replica_ignore_disk_write_errors {
        let what = "Replica was unable to write command to disk.";
        x.core.host.crash(Crash::Panic(what.into()));
        return;
    }
    let now_ms = x.core.repl.now_ms;
    let repl = &mut x.core.repl;
    if repl
        .disk_warning_ms
        .is_none_or(|last| now_ms.saturating_sub(last) > DISK_WARNING_EVERY_MS)
    {
        repl.disk_warning_ms = Some(now_ms);
        x.core.log(
            Level::Warning,
            "Replica is applying a command even though it is unable to write to disk.",
        );
    }
}

/// The commands of a replica, which have an answer of their own while there is no stream to hand on: to any other one their
/// sender tries again with an older protocol.
fn asks_for_stream(meta: &Meta) -> bool {
    matches!(meta.name, "psync" | "sync")
}

/// The commands that only a subscribed client may call.
fn gives_up_subscriptions(meta: &Meta) -> bool {
    matches!(meta.name, "unsubscribe" | "punsubscribe" | "sunsubscribe")
}

/// Commands that act at once between MULTI and EXEC.
fn is_immediate(meta: &Meta) -> bool {
    matches!(meta.name, "exec" | "discard" | "quit" | "reset")
}

fn protected(x: &Exec<'_>, meta: &Meta) -> Result<(), Error> {
    use config::ProtectedAction;
    let (action, refusal) = match meta.full_name {
        "debug" => (x.core.config.enable_debug_command, Error::DEBUG_DISABLED),
        _ => (x.core.config.enable_module_command, Error::MODULE_DISABLED),
    };
    match action {
        ProtectedAction::Yes => Ok(()),
        ProtectedAction::Local if x.client.peer.loopback || x.client.peer.unix => Ok(()),
        _ => Err(refusal),
    }
}

fn queue(x: &mut Exec<'_>, meta: &'static Meta, args: Args<'_>) {
    // A transaction that will be refused anyway keeps nothing.
    if !x
        .client
        .flags
        .has(ClientFlags::EXEC_REFUSED | ClientFlags::WATCH_BROKEN)
    {
        let transaction = x.client.transaction.get_or_insert_default();
        let args = Words::new(args);
        transaction.arg_bytes += args.bytes();
        transaction.flags = transaction.flags.and(meta.flags);
        let lacking = Flags::LOADING.and(Flags::STALE).without(meta.flags);
        transaction.lacking = transaction.lacking.and(lacking);
        transaction.queue.push(Queued { meta, args });
    }
    x.out.simple(b"QUEUED");
}
