//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use super::Family;
use crate::client::{Client, ClientFlags, Transaction, name_bytes};
use crate::dispatch;
use crate::exec::{Args, Exec};
use crate::scripting::busy;
use crate::users;
use commandtable::{CommandInfo, Error, Outcome};
use dataset::keys::DbKeyRef;
use dataset::{Keys, Origin};
use resp::Output;
use smallvec::SmallVec;

pub(super) static COMMANDS: Family = &[
    ("multi", multi),
    ("exec", exec),
    ("discard", discard_command),
    ("watch", watch),
    ("unwatch", unwatch),
];

/// `MULTI`: from now on commands are queued.
///
/// Reply: OK.
/// Errors: MULTI inside MULTI, which the dispatcher refuses already.
/// Propagates: nothing by itself.
/// Source: Valkey command reference, MULTI (since 1.2.0).
fn multi(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.client.flags.set(ClientFlags::MULTI);
    x.client.transaction = Some(Box::new(Transaction::default()));
    x.out.ok();
    Ok(())
}

/// `EXEC`: runs what was queued, undisturbed by others.
///
/// Reply: an array with one reply per command; null when a watched key has changed.
/// Errors: EXEC without MULTI; EXECABORT when a command was refused while queueing, or would be by now.
/// Propagates: what the commands propagate; several of them between MULTI and EXEC.
/// Source: Valkey command reference, EXEC (since 1.2.0).
fn exec(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if !x.client.flags.has(ClientFlags::MULTI) {
        return Err(Error::EXEC_WITHOUT_MULTI);
    }
    let broken = x.client.flags.has(ClientFlags::WATCH_BROKEN)
        || x.client
            .watching
            .iter()
            .any(|key| x.keys.watched_key_expired(key, x.client.id));
    let refused = x.client.flags.has(ClientFlags::EXEC_REFUSED);
    let transaction = discard(x);
    if refused {
        return Err(Error::EXEC_ABORT);
    }
    if broken {
        x.out.null_array();
        return Ok(());
    }
    let Some(transaction) = transaction else {
        return Err(Error::EXEC_WITHOUT_MULTI);
    };
    let rest = Rest {
        transaction,
        next: 0,
        origin: x.keys.origin,
        exec: x.command,
        started_ns: x.state.now_ns,
        reply: Output::default(),
    };
    let mark = x.out.len();
    x.out.array(rest.transaction.queue.len());
    if let Some(mut rest) = run_queue(x, rest) {
        // Nothing may come between the parts of a reply.
        rest.reply = x.out.output_mut().split_off(mark);
        busy::keep_rest(x.state, rest);
    }
    // The commands have recorded themselves.
    x.propagate_nothing();
    Ok(())
}

/// What is left of a transaction while one of its scripts is busy.
pub(crate) struct Rest {
    transaction: Box<Transaction>,
    /// The command that comes next.
    next: usize,
    /// Where EXEC comes from.
    pub(crate) origin: Origin,
    /// EXEC as the table has it: it may have another name.
    pub(crate) exec: &'static CommandInfo,
    pub(crate) started_ns: u64,
    /// The reply so far.
    pub(crate) reply: Output,
}

/// Runs what is left of a transaction. Gives back what is left then, if one of its scripts is busy.
pub(crate) fn run_queue(x: &mut Exec<'_>, mut rest: Rest) -> Option<Rest> {
    let outer = rest.origin;
    x.keys.origin = outer.inside();
    // The dispatcher has asked again whether the server is in a state to run them. Rights may have been lost meanwhile, also
    // by a command of the transaction itself.
    while let Some(queued) = rest.transaction.queue.get(rest.next) {
        rest.next += 1;
        let Some(handler) = x.state.registry.handler(queued.command) else {
            continue;
        };
        let args: SmallVec<[&[u8]; 8]> = queued.args.iter().collect();
        x.command = queued.command;
        x.keys.origin.no_touch = x.client.flags.has(ClientFlags::NO_TOUCH);
        x.keys.origin.trusted = x.client.flags.has(ClientFlags::TRUSTED);
        let mark = x.out.len();
        match users::check(x, queued.command, &args) {
            Ok(()) => dispatch::call(x, handler, &args),
            Err(denied) => dispatch::write_error(x.state, x.out, &denied.reply_at_exec()),
        }
        drop(args);
        if x.waits {
            x.command = rest.exec;
            x.keys.origin = outer;
            return Some(rest);
        }
        if x.out.len() == mark {
            // A reply has been announced for each, also for CLIENT REPLY OFF and the like, which have none.
            x.out.ok();
        }
        // All commands run, but what nobody will read is not kept.
        x.state.refuses_reply(x.client, x.out, usize::MAX);
    }
    x.command = rest.exec;
    x.keys.origin = outer;
    None
}

/// `DISCARD`: forgets what was queued.
///
/// Reply: OK.
/// Errors: DISCARD without MULTI.
/// Propagates: nothing.
/// Source: Valkey command reference, DISCARD (since 2.0.0).
fn discard_command(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if !x.client.flags.has(ClientFlags::MULTI) {
        return Err(Error::DISCARD_WITHOUT_MULTI);
    }
    discard(x);
    x.out.ok();
    Ok(())
}

/// Ends the client's transaction and its watches.
pub(crate) fn discard(x: &mut Exec<'_>) -> Option<Box<Transaction>> {
    x.client
        .flags
        .clear(ClientFlags::MULTI | ClientFlags::EXEC_REFUSED | ClientFlags::WATCH_BROKEN);
    unwatch_all(x.keys, x.client);
    x.client.transaction.take()
}

/// `WATCH key [key ...]`: the next EXEC is refused if one of the keys changes before.
///
/// Reply: OK.
/// Errors: WATCH inside MULTI, which the dispatcher refuses already.
/// Propagates: nothing.
/// Source: Valkey command reference, WATCH (since 2.2.0).
fn watch(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    // Once broken, more watches change nothing.
    if !x.client.flags.has(ClientFlags::WATCH_BROKEN) {
        for key in &args[1..] {
            let name = &(x.keys.origin.db, *key) as &dyn DbKeyRef;
            if !x.client.watching.contains(name) {
                x.keys.watch(x.keys.origin.db, key, x.client.id);
                x.client.watching.insert((x.keys.origin.db, (*key).into()));
                x.client.names_bytes += name_bytes(key);
            }
        }
    }
    x.out.ok();
    Ok(())
}

/// `UNWATCH`: forgets all watches.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, UNWATCH (since 2.2.0).
fn unwatch(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    unwatch_all(x.keys, x.client);
    x.client.flags.clear(ClientFlags::WATCH_BROKEN);
    x.out.ok();
    Ok(())
}

/// A key the client watches has changed: EXEC will give null, and there is nothing left to watch for.
pub(crate) fn break_watches(keys: &mut Keys, client: &mut Client) {
    client.flags.set(ClientFlags::WATCH_BROKEN);
    drop_queue(client);
    unwatch_all(keys, client);
}

/// Frees what a transaction has queued that will not run any more.
pub(crate) fn drop_queue(client: &mut Client) {
    if let Some(transaction) = &mut client.transaction {
        transaction.queue = Vec::new();
        transaction.arg_bytes = 0;
    }
}

/// Takes the client's watches back.
pub(crate) fn unwatch_all(keys: &mut Keys, client: &mut Client) {
    for key in std::mem::take(&mut client.watching) {
        client.names_bytes -= name_bytes(&key.1);
        keys.unwatch(&key, client.id);
    }
}
