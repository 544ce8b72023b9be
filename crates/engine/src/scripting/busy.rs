//! Scripts that run for longer than `busy-reply-threshold`.
//!
//! Such a script is set aside between two slices, with what it has done so far: its client waits, its effects are kept apart
//! from everybody else's, its time stands still but for TIME. Others are served meanwhile, most of them with an error: see
//! [`refuse`]. Nothing that happens by itself changes the data, and nothing is appended to the stream.

use super::host::Caller;
use super::run::{self, Active, ReplyErrors};
use crate::accounting::account;
use crate::blocking::{self, Blocked, WaitFor};
use crate::client::{Client, ClientFlags, ClientId};
use crate::commands::transactions::{self, Rest};
use crate::dispatch;
use crate::exec::{Args, Exec};
use crate::host::{Level, LinkCommand};
use crate::migration::Delivery;
use crate::recovery;
use crate::state::ServerState;
use commandtable::{CommandInfo, Error, Flags, Outcome};
use dataset::effects::{Effects, Propagate};
use dataset::{Keys, OnTimeout, Origin, Wake};
use replication::replica::Conn;
use resp::Reply;
use scripting::{Progress, Run};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use words::Words;

/// How long a slice may take, in nanoseconds: what others wait for it at most, beside one command of the script.
const SLICE_NS: u64 = 1_000_000;
/// Units of work between two looks at the clock: what is counted too low must not make much of a difference.
const LOOK_UNITS: u64 = 4_000;

/// A script between two slices.
pub(crate) struct Busy {
    run: Run,
    active: Active,
    /// Its reply, if it has come to its end but for that.
    answer: Option<Answer>,
    /// Where its commands come from, and when.
    origin: Origin,
    /// Who waits for it.
    client: ClientId,
    /// It has come by the primary's stream.
    from_primary: bool,
    /// The client, if it is none of those that are connected: the primary's, or one whose connection has ended. The script ends
    /// all the same.
    orphan: Option<Box<Client>>,
    /// The database that its client is in again when it ends.
    caller_db: usize,
    command: &'static CommandInfo,
    args: Words,
    /// What it has done so far.
    effects: Effects,
    started_ns: u64,
    /// KILL has been said.
    killed: bool,
    /// SIGTERM has come.
    shutdown: Option<crate::shutdown::Options>,
    /// Connections to the primary that are not read from.
    held: Vec<Conn>,
    /// Those that have ended since, and why.
    closed: Vec<(Conn, String)>,
    /// What has become of keys on their way to other servers.
    deliveries: Vec<(u64, Delivery)>,
    /// The transaction that it is a part of.
    rest: Option<Rest>,
}

/// The reply of a script, which is being written.
pub(super) struct Answer {
    pub(super) out: Reply,
    pub(super) errors: ReplyErrors,
}

impl Answer {
    fn to(client: &Client) -> Self {
        Answer {
            out: Reply::new(client.out.protocol),
            errors: ReplyErrors::default(),
        }
    }
}

/// Sets a script aside that has run since `started_ns`: its client waits from now on.
#[cold]
pub(super) fn set_aside(
    x: &mut Exec<'_>,
    args: Args<'_>,
    run: Run,
    active: Active,
    caller_db: usize,
    started_ns: u64,
) {
    // Its commands have recorded themselves, apart from everybody else's.
    x.propagate_nothing();
    let effects = take_effects(x.keys);
    x.state.busy = Some(Box::new(Busy {
        run,
        active,
        answer: None,
        origin: x.keys.origin,
        client: x.client.id,
        from_primary: x.client.flags.has(ClientFlags::PRIMARY),
        orphan: None,
        caller_db,
        command: x.command,
        args: Words::new(args),
        effects,
        started_ns,
        killed: false,
        shutdown: None,
        held: Vec::new(),
        closed: Vec::new(),
        deliveries: Vec::new(),
        rest: None,
    }));
    x.state.refresh_gate();
    x.client.blocked = Some(Box::new(Blocked {
        wait: WaitFor::Script,
        wake: Wake::Existing,
        db: caller_db,
        deadline_ms: 0,
        on_timeout: OnTimeout::Null,
        command: x.command,
        args: Words::new(args),
        place: 0,
        nanos: 0,
    }));
    x.waits = true;
}

/// The script that has been set aside has come to its end, and has replied with so much.
#[cold]
pub(super) fn keep_answer(state: &mut ServerState, answer: Answer) {
    if let Some(busy) = state.busy.as_deref_mut() {
        busy.answer = Some(answer);
    }
}

/// Takes away everything that is pending, for later.
fn take_effects(keys: &mut Keys) -> Effects {
    let recording = keys.effects.recording;
    std::mem::replace(
        &mut keys.effects,
        Effects {
            recording,
            mode: Propagate::Instead,
            ..Effects::default()
        },
    )
}

/// Tells the log of a script that has run for too long.
#[cold]
pub(super) fn warn(state: &ServerState, run: &Run, elapsed_ms: u64) {
    let kind = if run.is_function() {
        "FUNCTION"
    } else {
        "SCRIPT"
    };
    let line = format!(
        "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using the {kind} KILL command. Script name is: {}.",
        String::from_utf8_lossy(&run.name())
    );
    state.log(Level::Warning, &line);
}

/// What is said to whoever comes while a script is busy.
fn busy_error(state: &ServerState, busy: &Busy) -> Error {
    let server = if state.config.extended_redis_compatibility {
        "Redis"
    } else {
        "Valkey"
    };
    let kind = if busy.run.is_function() {
        "FUNCTION"
    } else {
        "SCRIPT"
    };
    Error::busy(server, kind)
}

/// Whether a command may run while a script is busy: of those that are allowed SHUTDOWN has to say that it does not save.
///
/// # Errors
/// It may not.
pub(crate) fn refuse(
    state: &ServerState,
    command: &CommandInfo,
    flags: Flags,
    args: Args<'_>,
) -> Outcome {
    let Some(busy) = state.busy.as_deref() else {
        return Ok(());
    };
    let saves =
        command.name == "shutdown" && !args.iter().any(|word| word.eq_ignore_ascii_case(b"nosave"));
    if saves || !flags.intersects(Flags::ALLOW_BUSY) {
        return Err(busy_error(state, busy));
    }
    Ok(())
}

/// SCRIPT KILL, or FUNCTION KILL: the script ends when this command is settled.
///
/// # Errors
/// There is none, it is of the other kind, or it has written.
pub(crate) fn kill(x: &mut Exec<'_>, function: bool) -> Outcome {
    let Some(busy) = x.state.busy.as_deref() else {
        return Err(Error::NO_SCRIPT_RUNS);
    };
    if busy.from_primary {
        return Err(Error::UNKILLABLE_PRIMARY);
    }
    if busy.active.wrote {
        return Err(Error::UNKILLABLE);
    }
    if busy.run.is_function() != function {
        return Err(busy_error(x.state, busy));
    }
    x.state
        .log(Level::Notice, "Lua script killed by user with SCRIPT KILL.");
    if let Some(busy) = x.state.busy.as_deref_mut() {
        busy.killed = true;
        x.keys.effects.pending = true;
    }
    x.out.ok();
    Ok(())
}

/// The function that is busy, for FUNCTION STATS: its name, its request, and for how many milliseconds it has run.
///
/// # Errors
/// It is a script.
pub(crate) fn running_function(x: &Exec<'_>) -> Result<Option<(Vec<u8>, Words, u64)>, Error> {
    let Some(busy) = x.state.busy.as_deref() else {
        return Ok(None);
    };
    if !busy.run.is_function() {
        return Err(busy_error(x.state, busy));
    }
    let now_ns = (x.state.clock.monotonic_ns)();
    let elapsed_ms = now_ns.saturating_sub(busy.started_ns) / 1_000_000;
    Ok(Some((busy.run.name(), busy.args.clone(), elapsed_ms)))
}

/// The connection of a client has ended. True if its script is busy, which goes on with the client.
pub(crate) fn is_waited_for_by(state: &ServerState, id: ClientId) -> bool {
    state.busy.as_deref().is_some_and(|busy| busy.client == id)
}

/// See [`is_waited_for_by`].
pub(crate) fn adopt(state: &mut ServerState, client: Box<Client>) {
    if let Some(busy) = state.busy.as_deref_mut() {
        busy.orphan = Some(client);
    }
}

/// The script is a part of a transaction, of which this is left.
pub(crate) fn keep_rest(state: &mut ServerState, rest: Rest) {
    if let Some(busy) = state.busy.as_deref_mut() {
        busy.rest = Some(rest);
    }
}

/// Ends the script that has been killed, if one has.
pub(crate) fn end_killed(keys: &mut Keys, state: &mut ServerState) {
    if state.busy.as_deref().is_some_and(|busy| busy.killed) {
        go_on(keys, state);
    }
}

/// SIGTERM waits for the script's end. True if there is one.
pub(crate) fn postpones(state: &mut ServerState, options: crate::shutdown::Options) -> bool {
    match state.busy.as_deref_mut() {
        Some(busy) => {
            busy.shutdown = Some(options);
            true
        }
        None => false,
    }
}

/// Nothing is read from a connection to the primary until the script has ended. True if there is one.
pub(crate) fn holds(state: &mut ServerState, conn: Conn) -> bool {
    match state.busy.as_deref_mut() {
        Some(busy) => {
            busy.held.push(conn);
            true
        }
        None => false,
    }
}

/// That a connection to the primary has ended is heard of when its script has: what has come by it still counts. True if there
/// is one.
pub(crate) fn keeps_closed(state: &mut ServerState, conn: Conn, error: &str) -> bool {
    match state.busy.as_deref_mut() {
        Some(busy) if busy.from_primary => {
            busy.closed.push((conn, error.to_owned()));
            true
        }
        _ => false,
    }
}

/// What has become of keys on their way to another server waits for the script's end. Gives it back if there is none.
pub(crate) fn keeps_delivery(
    state: &mut ServerState,
    id: u64,
    delivery: Delivery,
) -> Option<Delivery> {
    match state.busy.as_deref_mut() {
        Some(busy) => {
            busy.deliveries.push((id, delivery));
            None
        }
        None => Some(delivery),
    }
}

/// Goes on with the script that is busy, for a while.
pub(crate) fn slice(keys: &mut Keys, state: &mut ServerState) {
    if state.busy.is_none() {
        return;
    }
    if keys.effects.pending {
        crate::settle::settle(keys, state);
    }
    go_on(keys, state);
}

/// The dataset is about to be replaced: the script ends here, whatever it was doing.
pub(crate) fn give_up(keys: &mut Keys, state: &mut ServerState) {
    if let Some(busy) = state.busy.as_deref_mut() {
        busy.killed = true;
        state.log(
            Level::Warning,
            "The dataset is about to be replaced: the script that runs ends.",
        );
        go_on(keys, state);
        crate::settle::feed_stream(keys, state);
    }
}

/// Runs one slice, unless the script has been killed.
fn go_on(keys: &mut Keys, state: &mut ServerState) {
    let Some(mut busy) = state.busy.take() else {
        return;
    };
    let (slot, mut client) = match busy.orphan.take() {
        Some(client) => (None, client),
        None => {
            let slot = state.clients.slot(busy.client);
            match slot.and_then(|slot| state.clients.take(slot)) {
                Some(client) => (slot, client),
                None => {
                    // It is about to be adopted.
                    state.busy = Some(busy);
                    return;
                }
            }
        }
    };
    let outer = std::mem::replace(&mut keys.origin, busy.origin);
    let others = take_effects(keys);
    let recording = others.recording;
    keys.effects = std::mem::take(&mut busy.effects);
    keys.effects.recording = recording;
    let dirty = keys.dirty;
    let (mut answered, mut failed) = (None, None);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        run_slice(keys, state, &mut client, &mut busy)
    }));
    state.repl.applying = false;
    match ran {
        Ok(Progress::OutOfBudget) => {
            busy.effects = std::mem::replace(&mut keys.effects, others);
            keys.origin = outer;
            match slot {
                Some(slot) => state.clients.put_back(slot, client),
                None => busy.orphan = Some(client),
            }
            state.busy = Some(busy);
            return;
        }
        Ok(Progress::Ended) => answered = Some(reply(keys, state, &mut client, &mut busy)),
        Err(panic) if busy.from_primary => {
            busy.run.kill();
            keys.forget_effects();
            busy.rest = None;
            failed = Some(recovery::text_of(&*panic));
        }
        Err(panic) => {
            busy.run.kill();
            client.last_command = Some(busy.command);
            let (changed, what) = (keys.dirty != dirty, recovery::text_of(&*panic));
            recovery::give_up(keys, state, &mut client, changed, &what);
            busy.rest = None;
        }
    }
    client.db = busy.caller_db;
    blocking::unregister(keys, state, &mut client);
    let Busy {
        run,
        from_primary,
        held,
        closed,
        deliveries,
        shutdown,
        rest,
        command,
        args,
        started_ns,
        ..
    } = *busy;
    let elapsed_ns = (state.clock.monotonic_ns)().saturating_sub(started_ns);
    run::ended(state, run, elapsed_ns, keys.origin.now_ms);
    if let Some(failed) = answered {
        let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
        account(state, &mut client, command, elapsed_ns, failed, &args);
    }
    if let Some(rest) = rest {
        go_on_with(keys, state, &mut client, rest);
    }
    keys.origin = outer;
    if let Some(next) = state.busy.as_deref_mut() {
        // Another script of the same transaction is busy now.
        next.held = held;
        next.closed = closed;
        next.deliveries = deliveries;
        next.shutdown = shutdown;
        match slot {
            Some(slot) => state.clients.put_back(slot, client),
            None => next.orphan = Some(client),
        }
        return;
    }
    keys.effects.mode = Propagate::default();
    crate::settle::feed_stream(keys, state);
    client.has_written(state);
    match slot {
        Some(slot) => state.clients.put_back(slot, client),
        None if from_primary => match failed {
            Some(what) => crate::primary_link::stream_failed(keys, state, &what),
            None => crate::primary_link::script_ended(state, client),
        },
        None => {}
    }
    crate::primary_link::go_on_applying(keys, state);
    if let Some(next) = state.busy.as_deref_mut() {
        // Another script of the stream is busy now.
        next.held = held;
        next.closed = closed;
        next.deliveries = deliveries;
        next.shutdown = shutdown;
        return;
    }
    for (conn, error) in closed {
        crate::primary_link::closed(keys, state, conn, &error);
    }
    resume_others(keys, state, held, deliveries, shutdown);
}

/// Goes on with the transaction that a script was a part of. Either its reply is complete then, or another of its scripts is
/// busy.
fn go_on_with(keys: &mut Keys, state: &mut ServerState, client: &mut Client, mut rest: Rest) {
    let (exec, started_ns) = (rest.exec, rest.started_ns);
    let mut out = Reply::new(client.out.protocol);
    out.output_mut().append(&mut rest.reply);
    let mut x = Exec {
        keys,
        state,
        client,
        out: &mut out,
        command: exec,
        waits: false,
    };
    if let Some(mut rest) = transactions::run_queue(&mut x, rest) {
        rest.reply = out.into_output();
        keep_rest(state, rest);
        blocking::register(keys, state, client);
        return;
    }
    dispatch::keep_quiet(client, &mut out, 0);
    client.out.protocol = out.protocol;
    client.out.output_mut().append(out.output_mut());
    let nanos = (state.clock.monotonic_ns)().saturating_sub(started_ns);
    account(state, client, exec, nanos, false, &[exec.name.as_bytes()]);
}

fn run_slice(
    keys: &mut Keys,
    state: &mut ServerState,
    client: &mut Client,
    busy: &mut Busy,
) -> Progress {
    if busy.killed {
        busy.run.kill();
        busy.answer = None;
    }
    let clock = state.clock.monotonic_ns;
    state.now_ns = clock();
    state.look_at_clock();
    let until_ns = state.now_ns + SLICE_NS;
    while busy.answer.is_none() && !busy.killed {
        let mut out = Reply::new(client.out.protocol);
        let mut x = Exec {
            keys,
            state,
            client,
            out: &mut out,
            command: busy.command,
            waits: false,
        };
        // A stream that has been accepted is applied, whatever has become of the link meanwhile.
        x.state.repl.applying = busy.from_primary;
        let mut caller = Caller {
            x: &mut x,
            active: &mut busy.active,
        };
        let progress = busy.run.resume(&mut caller, LOOK_UNITS);
        if progress == Progress::Ended {
            break;
        }
        if clock() >= until_ns {
            return progress;
        }
    }
    let mut answer = busy.answer.take().unwrap_or_else(|| Answer::to(client));
    let mut x = Exec {
        keys,
        state,
        client,
        out: &mut answer.out,
        command: busy.command,
        waits: false,
    };
    loop {
        let progress = run::write_reply(&mut x, &mut busy.run, LOOK_UNITS, &mut answer.errors);
        if progress == Progress::Ended || clock() >= until_ns {
            busy.answer = Some(answer);
            return progress;
        }
    }
}

/// Hands out the reply of a script that has ended; whether there is an error in it. That of a transaction is kept with what is
/// left of it.
fn reply(keys: &mut Keys, state: &mut ServerState, client: &mut Client, busy: &mut Busy) -> bool {
    let mut answer = busy.answer.take().unwrap_or_else(|| Answer::to(client));
    let failed = answer.errors.count(state, busy.command);
    state.stats.charge_errors();
    // Its commands have recorded themselves.
    keys.effects.mode = Propagate::Instead;
    match &mut busy.rest {
        None => {
            let mut out = std::mem::take(&mut client.out);
            let mark = out.len();
            out.output_mut().append(answer.out.output_mut());
            dispatch::keep_quiet(client, &mut out, mark);
            client.out = out;
        }
        Some(rest) => rest.reply.append(answer.out.output_mut()),
    }
    failed
}

/// Lets everything go on that has stood still.
fn resume_others(
    keys: &mut Keys,
    state: &mut ServerState,
    held: Vec<Conn>,
    deliveries: Vec<(u64, Delivery)>,
    shutdown: Option<crate::shutdown::Options>,
) {
    state.refresh_gate();
    for conn in held {
        state.host.link(LinkCommand::Resume(conn));
    }
    crate::primary_link::go_on_draining(state);
    for (id, delivery) in deliveries {
        crate::migration::delivered(keys, state, id, delivery);
    }
    if let Some(options) = shutdown {
        crate::shutdown::begin(keys, state, options, None);
    }
}
