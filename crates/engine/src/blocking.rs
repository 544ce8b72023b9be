//! Clients that wait: for a key, for replicas, for a time.
//!
//! A handler that finds nothing calls [`dataset::Call::wait_for_keys`] and returns. When a key it waits for changes, the
//! dispatcher runs the handler again with the same arguments; either it replies, and the client goes on, or it calls
//! `wait_for_keys` again and keeps its place in the queue.

use crate::accounting::account;
use crate::client::{Client, ClientFlags, ClientId};
use crate::dispatch;
use crate::exec::Exec;
use crate::recovery;
use crate::state::ServerState;
use crate::users;
use commandtable::CommandInfo;
use dataset::effects::DbKey;
use dataset::keys::Place;
use dataset::{Crowd, Keys, OnTimeout, Wake};
use resp::Reply;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use words::Words;

/// What a client waits for.
#[derive(Clone, Debug)]
pub enum WaitFor {
    /// One of these keys; the handler decides whether its type will do.
    Keys(Words),
    /// This many replicas at this offset, and for WAITAOF the local and the remote files.
    Replicas {
        /// Stream offset to reach.
        offset: u64,
        /// Replicas wanted.
        replicas: u64,
        /// For WAITAOF: local syncs wanted, and of which position of the log.
        aof_local: Option<(u64, u64)>,
    },
    /// The delivery of what MIGRATE has sent under this number.
    Migration(u64),
    /// The end of its script.
    Script,
    /// The end of the process, or the news that it will not come.
    Shutdown,
}

/// A waiting client's state.
#[derive(Debug)]
pub struct Blocked {
    /// What it waits for.
    pub wait: WaitFor,
    /// What is news to it, if it waits for keys.
    pub wake: Wake,
    /// The database it waits in.
    pub db: usize,
    /// Unix milliseconds when it gives up; 0 for never.
    pub deadline_ms: i64,
    /// The reply at that time.
    pub on_timeout: OnTimeout,
    /// The command to run again.
    pub command: &'static CommandInfo,
    /// Its arguments.
    pub args: Words,
    /// Its place in the lines it waits in.
    pub(crate) place: Place,
    /// Nanoseconds the command has taken so far.
    pub nanos: u64,
}

impl Blocked {
    /// Memory of what it waits for and of its command, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let keys = match &self.wait {
            WaitFor::Keys(keys) => keys.bytes(),
            WaitFor::Replicas { .. }
            | WaitFor::Migration(_)
            | WaitFor::Script
            | WaitFor::Shutdown => 0,
        };
        size_of::<Self>() + keys + self.args.bytes()
    }
}

/// Waiting clients, but for the lines at the keys, which are with the keys.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    /// (deadline, client), soonest first.
    pub(crate) deadlines: BTreeSet<(i64, ClientId)>,
    /// Clients waiting for replicas.
    pub(crate) waiting_replicas: Crowd<ClientId>,
    /// The acknowledgements that those have last been compared with.
    pub(crate) acks_seen: Vec<(u64, u64)>,
    /// And how far the log was on the disk by then.
    pub(crate) synced_seen: u64,
    /// Places given so far.
    pub(crate) places: Place,
    /// Number of blocked clients.
    pub(crate) count: usize,
}

impl Blocking {
    /// Whether anybody waits for replicas or for the log.
    pub(crate) fn waits_for_replicas(&self) -> bool {
        !self.waiting_replicas.is_empty()
    }
}

/// The client waits from now on for what its command has asked for.
pub(crate) fn register(keys: &mut Keys, state: &mut ServerState, client: &mut Client) {
    let id = client.id;
    let Some(blocked) = client.blocked.as_deref_mut() else {
        return;
    };
    state.blocking.places += 1;
    blocked.place = state.blocking.places;
    match &blocked.wait {
        WaitFor::Keys(wanted) => {
            let until_gone = blocked.wake == Wake::Always;
            for key in wanted.iter() {
                keys.wait_in_line(blocked.db, key, blocked.place, id, until_gone);
            }
        }
        WaitFor::Replicas { .. } => {
            state.blocking.waiting_replicas.insert(blocked.place, id);
        }
        WaitFor::Migration(_) | WaitFor::Script | WaitFor::Shutdown => {}
    }
    if blocked.deadline_ms > 0 {
        state.blocking.deadlines.insert((blocked.deadline_ms, id));
    }
    state.blocking.count += 1;
    client.flags.set(ClientFlags::BLOCKED);
}

/// Takes a client out of all queues; it no longer waits.
pub(crate) fn unregister(keys: &mut Keys, state: &mut ServerState, client: &mut Client) {
    let Some(blocked) = client.blocked.take() else {
        return;
    };
    if blocked.place == 0 {
        // It had not come that far.
        return;
    }
    let id = client.id;
    match blocked.wait {
        WaitFor::Keys(wanted) => {
            let until_gone = blocked.wake == Wake::Always;
            for key in wanted.iter() {
                keys.leave_line(blocked.db, key, blocked.place, until_gone);
            }
        }
        WaitFor::Replicas { .. } => {
            state.blocking.waiting_replicas.remove(blocked.place);
        }
        WaitFor::Migration(_) | WaitFor::Script | WaitFor::Shutdown => {}
    }
    state.blocking.deadlines.remove(&(blocked.deadline_ms, id));
    state.blocking.count -= 1;
    client.flags.clear(ClientFlags::BLOCKED);
    client.attention.raise();
}

/// Runs the commands of the clients that wait for `key` again, first come, first served.
pub(crate) fn serve(keys: &mut Keys, state: &mut ServerState, key: &DbKey) {
    let mut from = 0;
    // Whoever waits again keeps its place, and whoever comes to wait now has seen the key.
    let Some(last) = keys.last_in_line(key) else {
        return;
    };
    // What is pushed and expires within one transaction is there for nobody: who waits for it comes across it and goes on
    // waiting.
    keys.origin.now_ms = state.look_at_clock();
    while let Some((place, id)) = keys.next_in_line(key, from)
        && place <= last
    {
        from = place + 1;
        let holds = keys
            .dbs
            .get(key.0)
            .and_then(|db| db.get(&key.1))
            .map(|entry| entry.type_());
        if holds.is_none() && !keys.is_waited_for_until_gone(key) {
            // Those in front have taken everything: there may be thousands behind them.
            return;
        }
        let Some(slot) = state.clients.slot(id) else {
            continue;
        };
        let Some(mut client) = state.clients.take(slot) else {
            continue;
        };
        if client.blocked.as_deref().is_some_and(|b| b.wake.on(holds)) {
            run_again(keys, state, &mut client);
        }
        state.clients.put_back(slot, client);
    }
}

/// Runs a waiting client's command once more. One that fails an assertion costs its client alone.
pub(crate) fn run_again(keys: &mut Keys, state: &mut ServerState, client: &mut Client) {
    let (outer, dirty) = (keys.origin, keys.dirty);
    let ran = catch_unwind(AssertUnwindSafe(|| retry(keys, state, client)));
    if let Err(panic) = ran {
        keys.origin = outer;
        client.last_command = client.blocked.as_deref().map(|blocked| blocked.command);
        let (changed, what) = (keys.dirty != dirty, recovery::text_of(&*panic));
        // Or it would be tried again, and fail again.
        unregister(keys, state, client);
        recovery::give_up(keys, state, client, changed, &what);
    }
}

/// Runs a waiting client's command once more; unblocks it if that gave a reply.
fn retry(keys: &mut Keys, state: &mut ServerState, client: &mut Client) {
    let Some((command, args, db)) = client
        .blocked
        .as_deref()
        .map(|b| (b.command, b.args.clone(), b.db))
    else {
        return;
    };
    let Some(handler) = state.registry.handler(command) else {
        return;
    };
    let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
    let mut out = std::mem::take(&mut client.out);
    let mark = out.len();
    let origin = crate::origin::again(state, client, db, keys.origin.now_ms);
    let outer = std::mem::replace(&mut keys.origin, origin);
    let mut x = Exec {
        keys,
        state,
        client,
        out: &mut out,
        command,
        waits: false,
    };
    match users::check(&mut x, command, &args) {
        Ok(()) => dispatch::call(&mut x, handler, &args),
        Err(denied) => {
            let error = denied.reply(x.client.user.name(), command);
            x.state.stats.commands[command.id as usize].rejected += 1;
            dispatch::write_error(x.state, x.out, &error);
        }
    }
    let waits = x.waits;
    keys.origin = outer;
    if !waits {
        dispatch::keep_quiet(client, &mut out, mark);
    }
    client.out = out;
    if !waits {
        unregister(keys, state, client);
        crate::settle::feed_stream(keys, state);
        client.has_written(state);
    }
}

/// Unblocks a client with a reply of the caller's choice.
pub(crate) fn unblock_with(
    keys: &mut Keys,
    state: &mut ServerState,
    id: ClientId,
    reply: impl FnOnce(&mut ServerState, &Client, &mut Reply),
) {
    let Some(slot) = state.clients.slot(id) else {
        return;
    };
    let Some(mut client) = state.clients.take(slot) else {
        return;
    };
    if client.blocked.is_some() {
        let mut out = std::mem::take(&mut client.out);
        let errors = state.stats.error_replies;
        let mark = out.len();
        reply(state, &client, &mut out);
        dispatch::keep_quiet(&mut client, &mut out, mark);
        let failed = state.stats.error_replies > errors;
        client.out = out;
        if let Some(blocked) = client.blocked.as_deref() {
            let (command, nanos, args) = (blocked.command, blocked.nanos, blocked.args.clone());
            let args: SmallVec<[&[u8]; 8]> = args.iter().collect();
            account(state, &mut client, command, nanos, failed, &args);
        }
        unregister(keys, state, &mut client);
    }
    state.clients.put_back(slot, client);
}
