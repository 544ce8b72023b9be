//! From a request to its effects: checks, the call itself, bookkeeping, and what follows from it.

use crate::client::{Client, ClientFlags, ClientId, Queued};
use crate::commands::transactions;
use crate::core::{Core, Loading, PauseKind};
use crate::eviction::{self, Room};
use crate::exec::{Args, Exec};
use crate::host::{Crash, Level};
use crate::registry::Handler;
use commandtable::Error;
use commandtable::{Flags, Meta};
use dataset::Keys;
use dataset::effects::{DbKey, Propagate};
use keyspace::Entry;
use replication::primary::FailoverState;
use resp::{Protocol, Reply};
use smallvec::SmallVec;
use words::Words;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It was answered, or refused, or queued.
    Done,
    /// The client now waits: no further request of it may run.
    Waits,
    /// It was not touched and has to be offered again when the pause is over.
    Postponed,
}

/// Rounds of serving blocked clients after one command; each round is caused by the one before it.
const READY_ROUNDS_MAX: usize = 10_000;
/// Milliseconds between two warnings of a replica that follows though it cannot save.
const DISK_WARNING_EVERY_MS: u64 = 10_000;

/// Runs one request of `x.client`. `known` is its command, if that has been looked up already.
#[inline]
pub(crate) fn process(x: &mut Exec<'_>, args: Args<'_>, known: Option<&'static Meta>) -> Flow {
    let found = find(x.core, args, known);
    x.client.last_command = found
        .as_ref()
        .map_or_else(|(meta, _)| *meta, |(meta, _)| Some(*meta));
    let (meta, handler) = match found {
        Ok(found) => found,
        Err(_) if is_http(args) => return abort_http(x),
        Err((meta, error)) => return reject(x, meta, args, &error),
    };
    if !meta.accepts(args.len()) {
        return reject(x, Some(meta), args, &Error::arity(meta.full_name));
    }
    x.meta = meta;
    const CHECKED: Flags = Flags::PROTECTED.and(Flags::PUBSUB);
    const SLOW: u32 =
        ClientFlags::MULTI | ClientFlags::PUBSUB | ClientFlags::REPLICA | ClientFlags::MONITOR;
    if x.core.gate
        || !x.client.authenticated
        || x.client.flags.has(SLOW)
        || meta.flags.intersects(CHECKED)
    {
        match admit(x, meta, args) {
            Ok(Admitted::Run) => {}
            Ok(Admitted::Queued) => return Flow::Done,
            Ok(Admitted::Postponed) => return Flow::Postponed,
            Err(error) => return reject(x, Some(meta), args, &error),
        }
    }
    call(x, handler, args);
    if x.keys.effects.pending {
        settle(x);
    }
    if x.waits {
        x.waits = false;
        register_blocked(x.keys, x.core, x.client);
        return Flow::Waits;
    }
    Flow::Done
}

/// The command of a request, or why there is none, with the container that was called without a subcommand.
fn find(
    core: &Core,
    args: Args<'_>,
    known: Option<&'static Meta>,
) -> Result<(&'static Meta, Handler), (Option<&'static Meta>, Error)> {
    let unknown = || (None, Error::unknown_command(args));
    let command = known
        .or_else(|| core.names.find(args.first()?))
        .ok_or_else(unknown)?;
    if command.is_container()
        && let Some(name) = args.get(1)
    {
        let sub = command
            .subcommand(name)
            .and_then(|sub| Some((sub, core.registry.handler(sub)?)));
        return match sub {
            Some(found) => Ok(found),
            None if core.registry.knows(command) => Err((None, Error::unknown_subcommand(args))),
            None => Err(unknown()),
        };
    }
    match core.registry.handler(command) {
        Some(handler) => Ok((command, handler)),
        // A container called alone: the number of arguments is what is wrong with it.
        None if core.registry.knows(command) => Err((Some(command), Error::arity(command.name))),
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
fn abort_http(x: &mut Exec<'_>) -> Flow {
    let now = unix_seconds(x.core);
    if now - x.core.http_logged_at > HTTP_LOGGED_EVERY {
        x.core.http_logged_at = now;
        let line = format!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection from {} aborted.",
            x.client.peer.addr
        );
        x.core.log(crate::host::Level::Warning, &line);
    }
    x.out.truncate(0);
    x.client.flags.set(ClientFlags::CLOSE_NOW);
    Flow::Done
}

#[cold]
fn reject(x: &mut Exec<'_>, meta: Option<&'static Meta>, args: Args<'_>, error: &Error) -> Flow {
    if x.client.flags.has(ClientFlags::MULTI) {
        x.client.flags.set(ClientFlags::EXEC_REFUSED);
        transactions::drop_queue(x.client);
    }
    if let Some(meta) = meta {
        x.core.stats.commands[meta.id as usize].rejected += 1;
        if meta.name == "exec" {
            // EXEC itself was refused: the transaction, if there is one, is over.
            transactions::discard(x);
            if error.code() == "REDIRECT" {
                // Who follows redirections looks for their code, not for EXECABORT.
                write_error(x.core, x.out, error);
            } else {
                write_error(x.core, x.out, &Error::exec_refused(error));
            }
            // MULTI was shown, so its end is.
            x.meta = meta;
            crate::commands::monitor::feed(x, args);
            return Flow::Done;
        }
    }
    write_error(x.core, x.out, error);
    Flow::Done
}

pub(crate) fn write_error(core: &mut Core, out: &mut Reply, error: &Error) {
    core.stats.count_error(error.code());
    out.error(error.as_bytes());
}

enum Admitted {
    Run,
    Queued,
    Postponed,
}

/// The checks that most requests do not need, in the reference's order.
#[cold]
#[inline(never)]
fn admit(x: &mut Exec<'_>, meta: &'static Meta, args: Args<'_>) -> Result<Admitted, Error> {
    let flags = meta.flags;
    let from_primary = x.client.flags.has(ClientFlags::PRIMARY);
    if flags.intersects(Flags::PROTECTED) {
        protected(x, meta)?;
    }
    if !x.client.authenticated && !flags.intersects(Flags::NO_AUTH) {
        return Err(Error::NO_AUTH);
    }
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
        if x.keys.effects.pending {
            settle(x);
        }
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
    if x.client.flags.has(ClientFlags::MULTI) && flags.intersects(Flags::NO_MULTI) {
        return Err(Error::NOT_IN_MULTI);
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

/// Runs a handler and does the bookkeeping. Nested for the commands of a transaction.
pub(crate) fn call(x: &mut Exec<'_>, handler: Handler, args: Args<'_>) {
    let meta = x.meta;
    let started_ns = x.core.now_ns;
    let out_mark = x.out.len();
    let dirty_before = x.keys.dirty;
    let outer_mode = std::mem::take(&mut x.keys.effects.mode);
    x.core.stats.charge_errors();
    let outcome = match handler {
        Handler::Data(handler) => x.run_data(handler, args),
        Handler::Engine(handler) => handler(x, args),
    };
    if let Err(error) = outcome {
        x.out.truncate(out_mark);
        write_error(x.core, x.out, &error);
    }
    let failed = x.core.stats.charge_errors();
    // A command that had to wait was shown when it was asked.
    if !x.core.monitors.is_empty() && !x.keys.origin.again {
        crate::commands::monitor::feed(x, args);
    }
    if !x.keys.effects.expired.is_empty() {
        x.keys.delete_found_expired();
    }
    if x.client.flags.has(ClientFlags::TRACKING) {
        crate::tracking::remember(x, meta, args);
    }
    let mode = std::mem::replace(&mut x.keys.effects.mode, outer_mode);
    if x.keys.effects.recording
        && (mode == Propagate::Always || (mode == Propagate::Auto && x.keys.dirty != dirty_before))
    {
        x.keys.effects.push_op(x.keys.origin.db, args);
    }
    let ended_ns = (x.core.clock.monotonic_ns)();
    x.core.now_ns = ended_ns;
    let mut nanos = ended_ns.saturating_sub(started_ns);
    if let Some(blocked) = x.client.blocked.as_deref_mut() {
        blocked.nanos += nanos;
        nanos = blocked.nanos;
        if x.waits {
            // It counts when it is answered.
            return;
        }
    }
    account(x.core, x.client, meta, nanos, failed, args);
}

/// Counts a command that has been answered.
#[inline]
fn account(
    core: &mut Core,
    client: &mut Client,
    meta: &'static Meta,
    nanos: u64,
    failed: bool,
    args: Args<'_>,
) {
    let stats = &mut core.stats;
    let counters = &mut stats.commands[meta.id as usize];
    counters.calls += 1;
    counters.nanos += nanos;
    counters.failed += u64::from(failed);
    stats.processed += 1;
    if core.config.latency_tracking {
        stats.latency[meta.id as usize]
            .get_or_insert_default()
            .record(nanos);
    }
    client.commands += 1;
    let usec = (nanos / 1000) as i64;
    let threshold = core.config.slowlog_log_slower_than;
    if threshold >= 0 && usec >= threshold {
        slow(core, client, meta, usec, args);
    }
    let threshold_ms = core.config.latency_monitor_threshold;
    if threshold_ms > 0 && usec / 1000 >= threshold_ms {
        let event = if meta.flags.intersects(Flags::FAST) {
            "fast-command"
        } else {
            "command"
        };
        let now = unix_seconds(core);
        core.latency.add(event, now, usec / 1000);
    }
}

fn unix_seconds(core: &Core) -> i64 {
    ((core.clock.unix_us)() / 1_000_000) as i64
}

#[cold]
fn slow(core: &mut Core, client: &Client, meta: &Meta, usec: i64, args: Args<'_>) {
    if meta.flags.intersects(Flags::SKIP_SLOWLOG) || core.config.slowlog_max_len == 0 {
        return;
    }
    let redacted = redact(meta, args);
    let max = usize::try_from(core.config.slowlog_max_len).unwrap_or(usize::MAX);
    let now = unix_seconds(core);
    core.slowlog
        .push(now, usec, &redacted, &client.peer.addr, &client.name, max);
}

/// The arguments as logs may show them: secrets replaced.
pub(crate) fn redact<'a>(meta: &Meta, args: Args<'a>) -> SmallVec<[&'a [u8]; 8]> {
    const HIDDEN: &[u8] = b"(redacted)";
    let mut shown: SmallVec<[&[u8]; 8]> = args.into();
    let secret_from = match meta.full_name {
        "auth" => Some(1),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => Some(2),
        "hello" => shown
            .iter()
            .position(|arg| arg.eq_ignore_ascii_case(b"auth"))
            .map(|at| at + 1),
        _ => None,
    };
    if let Some(from) = secret_from {
        let until = if meta.full_name == "hello" {
            from + 2
        } else {
            shown.len()
        };
        for arg in shown.iter_mut().take(until).skip(from) {
            *arg = HIDDEN;
        }
    }
    if meta.full_name == "migrate" {
        for at in crate::commands::migrate::secrets(args) {
            shown[at] = HIDDEN;
        }
    }
    if meta.full_name == "config|set" {
        for at in (2..shown.len().saturating_sub(1)).step_by(2) {
            let sensitive = config::Param::find(shown[at])
                .is_some_and(|param| param.row().flags.contains(config::Flags::SENSITIVE));
            if sensitive {
                shown[at + 1] = HIDDEN;
            }
        }
    }
    shown
}

/// Carries out everything that commands have left pending. Nothing is pending afterwards.
pub(crate) fn settle(x: &mut Exec<'_>) {
    // Inside EXEC the whole transaction settles at once, at its end.
    if x.keys.origin.nested {
        return;
    }
    if x.meta.flags.intersects(Flags::TOUCHES_ARBITRARY_KEYS) {
        // Keys that it did not ask for: their ends have nothing to do with each other.
        feed_each(x.keys, x.core);
    }
    settle_engine(x.keys, x.core);
    crate::repl::pump_running(x);
    x.client.write_offset = x.core.repl.offset();
    if std::mem::take(&mut x.keys.effects.broken_running).contains(&x.client.id) {
        transactions::break_watches(x.keys, x.client);
    }
    let id = x.client.id;
    let mut kept = Vec::new();
    for (to, message) in std::mem::take(&mut x.core.pubsub.deferred) {
        if to == id {
            message.write(x.out);
        } else if x.core.clients.get(to).is_some() {
            x.core.clients.deliver(to, |out| message.write(out));
        } else {
            kept.push((to, message));
        }
    }
    x.core.pubsub.deferred = kept;
    crate::tracking::tell(x.core, Vec::new(), Some((&mut *x.client, &mut *x.out)));
}

/// As [`settle`], when no client is running: after timers and loads.
pub(crate) fn settle_engine(keys: &mut Keys, core: &mut Core) {
    for _ in 0..READY_ROUNDS_MAX {
        if !keys.effects.expired.is_empty() {
            keys.delete_found_expired();
        }
        feed_stream(keys, core);
        for (event, (db, key)) in std::mem::take(&mut keys.effects.events) {
            publish_event(keys, core, event, db, &key);
        }
        let mut unknown = Vec::new();
        for id in std::mem::take(&mut keys.effects.broken_watches) {
            match core.clients.get_mut(id) {
                Some(client) => transactions::break_watches(keys, client),
                None => unknown.push(id),
            }
        }
        keys.effects.broken_running.append(&mut unknown);
        if !keys.effects.garbage.is_empty() {
            let garbage = std::mem::take(&mut keys.effects.garbage);
            keys.stats.lazy_freed += garbage.len() as u64;
            core.host.free(garbage);
        }
        if !keys.effects.stale.is_empty() {
            let stale = std::mem::take(&mut keys.effects.stale);
            crate::tracking::tell(core, stale, None);
        }
        if !keys.effects.own.is_empty() {
            let own = std::mem::take(&mut keys.effects.own);
            if core.repl.is_replica() {
                core.expire.own.extend(own);
            }
        }
        let ready = keys.take_ready();
        if ready.is_empty() {
            break;
        }
        for key in ready {
            serve_blocked(keys, core, &key);
        }
    }
    keys.effects.pending = false;
}

/// Hands the recorded commands to the stream: several of them as one transaction.
pub(crate) fn feed_stream(keys: &mut Keys, core: &mut Core) {
    let recorded = &keys.effects.recorded;
    let transaction = recorded.len() > 1 || !keys.effects.recorded_before.is_empty();
    if transaction {
        // MULTI comes before the SELECT, which belongs to the first command.
        core.repl.feed(None, b"*1\r\n$5\r\nMULTI\r\n");
    }
    feed_each(keys, core);
    if transaction {
        core.repl.feed(None, b"*1\r\n$4\r\nEXEC\r\n");
    }
}

/// Hands the recorded commands to the stream, one by one.
pub(crate) fn feed_each(keys: &mut Keys, core: &mut Core) {
    let effects = &mut keys.effects;
    if effects.recorded.is_empty() {
        return;
    }
    for piece in std::mem::take(&mut effects.recorded_before) {
        for (db, command) in piece.commands() {
            core.repl.feed(Some(db), command);
        }
    }
    for (db, command) in effects.recorded.commands() {
        core.repl.feed(Some(db), command);
    }
    effects.recorded.clear();
}

fn publish_event(
    keys: &Keys,
    core: &mut Core,
    event: dataset::notify::Event,
    db: usize,
    key: &[u8],
) {
    use dataset::notify::Classes;
    let classes = keys.events_on();
    if core.pubsub.is_idle() {
        return;
    }
    if classes.contains(Classes::KEYSPACE) {
        let mut channel = format!("__keyspace@{db}__:").into_bytes();
        channel.extend_from_slice(key);
        core.pubsub
            .publish(&mut core.clients, &channel, event.name.as_bytes());
    }
    if classes.contains(Classes::KEYEVENT) {
        let channel = format!("__keyevent@{db}__:{}", event.name);
        core.pubsub
            .publish(&mut core.clients, channel.as_bytes(), key);
    }
}

// ---- blocked clients --------------------------------------------------------------------------------------------------

fn register_blocked(keys: &mut Keys, core: &mut Core, client: &mut Client) {
    use crate::blocking::WaitFor;
    use dataset::Wake;
    let id = client.id;
    let Some(blocked) = client.blocked.as_deref_mut() else {
        return;
    };
    core.blocking.places += 1;
    blocked.place = core.blocking.places;
    match &blocked.wait {
        WaitFor::Keys(wanted) => {
            let until_gone = blocked.wake == Wake::Always;
            for key in wanted.iter() {
                keys.wait_in_line(blocked.db, key, blocked.place, id, until_gone);
            }
        }
        WaitFor::Replicas { .. } => {
            core.blocking.waiting_replicas.insert(blocked.place, id);
        }
        WaitFor::Migration(_) | WaitFor::Shutdown => {}
    }
    if blocked.deadline_ms > 0 {
        core.blocking.deadlines.insert((blocked.deadline_ms, id));
    }
    core.blocking.count += 1;
    client.flags.set(ClientFlags::BLOCKED);
}

/// Takes a client out of all queues; it no longer waits.
pub(crate) fn unregister_blocked(keys: &mut Keys, core: &mut Core, client: &mut Client) {
    use crate::blocking::WaitFor;
    use dataset::Wake;
    let Some(blocked) = client.blocked.take() else {
        return;
    };
    let id = client.id;
    match blocked.wait {
        WaitFor::Keys(wanted) => {
            let until_gone = blocked.wake == Wake::Always;
            for key in wanted.iter() {
                keys.leave_line(blocked.db, key, blocked.place, until_gone);
            }
        }
        WaitFor::Replicas { .. } => {
            core.blocking.waiting_replicas.remove(blocked.place);
        }
        WaitFor::Migration(_) | WaitFor::Shutdown => {}
    }
    core.blocking.deadlines.remove(&(blocked.deadline_ms, id));
    core.blocking.count -= 1;
    client.flags.clear(ClientFlags::BLOCKED);
    client.attention.raise();
}

/// Runs the commands of the clients that wait for `key` again, first come, first served.
fn serve_blocked(keys: &mut Keys, core: &mut Core, key: &DbKey) {
    let mut from = 0;
    // Whoever waits again keeps its place, and whoever comes to wait now has seen the key.
    let Some(last) = keys.last_in_line(key) else {
        return;
    };
    // What is pushed and expires within one transaction is there for nobody: who waits for it comes across it and goes on
    // waiting.
    keys.origin.now_ms = ((core.clock.unix_us)() / 1000) as i64;
    while let Some((place, id)) = keys.next_in_line(key, from)
        && place <= last
    {
        from = place + 1;
        let holds = keys
            .dbs
            .get(key.0)
            .and_then(|db| db.get(&key.1))
            .map(Entry::type_);
        if holds.is_none() && !keys.is_waited_for_until_gone(key) {
            // Those in front have taken everything: there may be thousands behind them.
            return;
        }
        let Some(slot) = core.clients.slot(id) else {
            continue;
        };
        let Some(mut client) = core.clients.take(slot) else {
            continue;
        };
        if client.blocked.as_deref().is_some_and(|b| b.wake.on(holds)) {
            retry(keys, core, &mut client);
        }
        core.clients.put_back(slot, client);
    }
}

/// Runs a waiting client's command once more; unblocks it if that gave a reply.
pub(crate) fn retry(keys: &mut Keys, core: &mut Core, client: &mut Client) {
    let Some((meta, args, db)) = client
        .blocked
        .as_deref()
        .map(|b| (b.meta, b.args.clone(), b.db))
    else {
        return;
    };
    let Some(handler) = core.registry.handler(meta) else {
        return;
    };
    let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
    let mut out = std::mem::take(&mut client.out);
    let mark = out.len();
    let origin = crate::origin::again(core, client, db, keys.origin.now_ms);
    let outer = std::mem::replace(&mut keys.origin, origin);
    let mut x = Exec {
        keys,
        core,
        client,
        out: &mut out,
        meta,
        waits: false,
    };
    call(&mut x, handler, &args);
    let waits = x.waits;
    keys.origin = outer;
    if !waits {
        keep_quiet(client, &mut out, mark);
    }
    client.out = out;
    if !waits {
        unregister_blocked(keys, core, client);
        feed_stream(keys, core);
        client.write_offset = core.repl.offset();
    }
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
            .is_some_and(|meta| meta.name.ends_with("subscribe"));
    if !pushes {
        out.truncate(mark);
    }
    client.flags.clear(ClientFlags::REPLY_SKIP);
}

/// Unblocks a client with a reply of the caller's choice.
pub(crate) fn unblock_with(
    keys: &mut Keys,
    core: &mut Core,
    id: ClientId,
    reply: impl FnOnce(&mut Core, &Client, &mut Reply),
) {
    let Some(slot) = core.clients.slot(id) else {
        return;
    };
    let Some(mut client) = core.clients.take(slot) else {
        return;
    };
    if client.blocked.is_some() {
        let mut out = std::mem::take(&mut client.out);
        let errors = core.stats.error_replies;
        let mark = out.len();
        reply(core, &client, &mut out);
        keep_quiet(&mut client, &mut out, mark);
        let failed = core.stats.error_replies > errors;
        client.out = out;
        if let Some(blocked) = client.blocked.as_deref() {
            let (meta, nanos, args) = (blocked.meta, blocked.nanos, blocked.args.clone());
            let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
            account(core, &mut client, meta, nanos, failed, &args);
        }
        unregister_blocked(keys, core, &mut client);
    }
    core.clients.put_back(slot, client);
}
