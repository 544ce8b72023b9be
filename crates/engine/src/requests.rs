//! The requests of one client, as they come: one after the other is run and settled.

use crate::client::{Client, ClientFlags};
use crate::dispatch::{self, Served};
use crate::engine::{Engine, NextStep, Traffic};
use crate::exec::Exec;
use crate::host::Level;
use crate::{recovery, settle};
use commandtable::CommandInfo;
use resp::{Batch, Output, Reply};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A batch ends early when so many bytes of output wait: they are to be on their way, or refused, before more are made.
const OUTPUT_BYTES_PER_BATCH: usize = 1024 * 1024;
/// Arguments that a batch has room for without a second allocation.
const ARGS_AT_FIRST: usize = 16;

/// How a batch went.
#[derive(Clone, Copy, Debug)]
pub struct BatchResult {
    /// Requests that have run; the others have to be offered again.
    pub done: usize,
    /// What next.
    pub next: NextStep,
    /// The client has logged in, or needs no login; with RESET it is logged out.
    pub authenticated: bool,
}

/// A client whose requests run.
struct Run {
    slot: u32,
    /// The client, which is not among the others while a command of it runs. `None` while what follows from that is
    /// settled.
    client: Option<Box<Client>>,
    /// Its replies.
    out: Reply,
    done: usize,
    next: NextStep,
    /// Changes before the command that runs.
    dirty: u64,
}

impl Engine {
    /// Runs the requests of one client, from number `from` on.
    ///
    /// `buffer` is what the requests point into. `scratch` is an empty buffer to reply into; afterwards it holds all
    /// output of the client that has not been taken yet. It counts as written: what the kernel does not take at once is
    /// told with the next call.
    pub fn run(
        &mut self,
        slot: u32,
        batch: &Batch,
        from: usize,
        buffer: &[u8],
        io: Traffic,
        scratch: &mut Output,
    ) -> BatchResult {
        let Some(mut client) = self.state.clients.take(slot) else {
            return BatchResult {
                done: batch.len(),
                next: NextStep::Close,
                authenticated: false,
            };
        };
        self.set_time();
        self.state.stats.reads += 1;
        self.state.stats.net_in += io.received as u64;
        client.net_in += io.received as u64;
        client.in_flight = io.unsent;
        client.last_interaction_ms = self.keys.origin.now_ms;
        client.query_bytes = io.held;
        let processed = self.state.stats.processed;
        let started_ns = self.state.now_ns;
        let mut out = Reply::with_output(std::mem::take(scratch), client.out.protocol);
        if !client.out.is_empty() {
            out.output_mut().append(client.out.output_mut());
        }
        let mut run = Run {
            slot,
            client: Some(client),
            out,
            done: from,
            next: NextStep::Continue,
            dirty: self.keys.dirty,
        };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.run_requests(&mut run, batch, buffer);
            if self.state.tracking.clients() > 0 {
                self.step_back(&mut run);
                crate::tracking::turn_done(&mut self.state);
                self.step_forward(&mut run);
            }
        }));
        self.keys.ahead.forget();
        if let Err(panic) = ran {
            let settling = run.client.is_none();
            self.step_forward(&mut run);
            if let Some(client) = &mut run.client {
                let changed = settling || self.keys.dirty != run.dirty;
                let what = recovery::text_of(&*panic);
                recovery::give_up(&mut self.keys, &mut self.state, client, changed, &what);
            }
            crate::scripting::libraries::recover(&mut self.state);
            settle::settle(&mut self.keys, &mut self.state);
        }
        let Some(mut client) = run.client else {
            return BatchResult {
                done: batch.len(),
                next: NextStep::Close,
                authenticated: false,
            };
        };
        let mut next = run.next;
        if client.flags.has(ClientFlags::MULTI) && self.asks_too_much(&client) {
            client.flags.set(ClientFlags::CLOSE_NOW);
        }
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            next = NextStep::Drop;
        } else if client.flags.has(ClientFlags::CLOSE_AFTER_REPLY) {
            next = NextStep::Close;
        }
        client.out.protocol = run.out.protocol;
        *scratch = run.out.into_output();
        self.hand_over(&mut client, scratch, &mut next);
        self.state.loop_turn(started_ns, processed);
        let authenticated = !self.state.needs_login(&client);
        self.put_back(slot, client);
        BatchResult {
            done: run.done,
            next,
            authenticated,
        }
    }

    fn run_requests(&mut self, run: &mut Run, batch: &Batch, buffer: &[u8]) {
        const WAITING: u32 = ClientFlags::BLOCKED | ClientFlags::PAUSED;
        const CLOSING: u32 = ClientFlags::CLOSE_NOW | ClientFlags::CLOSE_AFTER_REPLY;
        let (base_ns, base_us) = (self.state.now_ns, self.state.now_us);
        // Requests from `look_from` up to `looked` have been looked at.
        let from = run.done;
        let (mut look_from, mut looked) = (from, from);
        let mut args: Vec<&[u8]> = Vec::with_capacity(ARGS_AT_FIRST);
        while let Some(client) = run.client.as_deref_mut() {
            if client.flags.has(WAITING) {
                run.next = NextStep::Wait;
                return;
            }
            if client.flags.has(CLOSING)
                || run.done == batch.len()
                || (run.done > from && run.out.len() > OUTPUT_BYTES_PER_BATCH)
            {
                return;
            }
            if run.done == looked {
                look_from = run.done;
                looked = self.keys.ahead.look(
                    &self.keys.dbs[client.db],
                    &self.state.names,
                    batch,
                    buffer,
                    run.done,
                );
            }
            let known = self.keys.ahead.begin(run.done - look_from);
            let spans = batch.request(run.done);
            if spans.is_empty() {
                // An empty line: from a replica a sign of life, from anybody else nothing.
                if client.flags.has(ClientFlags::REPLICA) {
                    let client = replication::ClientId(client.id);
                    self.state
                        .repl
                        .with_hub(|hub, env| hub.newline(env, client));
                }
                run.done += 1;
                continue;
            }
            args.clear();
            args.extend(spans.iter().map(|span| batch.bytes(buffer, *span)));
            self.state.now_us = base_us + self.state.now_ns.saturating_sub(base_ns) / 1000;
            self.keys.origin.now_ms = (self.state.now_us / 1000) as i64;
            run.dirty = self.keys.dirty;
            match self.run_one(client, &mut run.out, &args, known) {
                Served::Answered | Served::Blocked => run.done += 1,
                Served::Postponed => {
                    client.flags.set(ClientFlags::PAUSED);
                    self.state.paused_clients.insert(client.id);
                }
            }
            if settle::is_due(&self.keys, &self.state) {
                let has_effects = self.keys.effects.pending;
                self.step_back(run);
                settle::settle(&mut self.keys, &mut self.state);
                self.step_forward(run);
                if has_effects && let Some(client) = &mut run.client {
                    client.has_written(&self.state);
                }
            }
        }
    }

    /// The running client is among the others again, so that what concerns it reaches it as it does everybody.
    fn step_back(&mut self, run: &mut Run) {
        if let Some(mut client) = run.client.take() {
            let protocol = run.out.protocol;
            client.out = std::mem::replace(&mut run.out, Reply::new(protocol));
            self.state.clients.put_back(run.slot, client);
        }
    }

    /// Takes [`Self::step_back`] back.
    fn step_forward(&mut self, run: &mut Run) {
        if run.client.is_none()
            && let Some(mut client) = self.state.clients.take(run.slot)
        {
            let protocol = client.out.protocol;
            run.out = std::mem::replace(&mut client.out, Reply::new(protocol));
            run.client = Some(client);
        }
    }

    /// Counts output as written and checks the client's limits.
    pub(crate) fn hand_over(
        &mut self,
        client: &mut Client,
        output: &mut Output,
        next: &mut NextStep,
    ) {
        let bytes = output.len();
        if bytes == 0 {
            return;
        }
        if self.check_output(client, bytes, next) {
            // Nothing of it goes out: half a reply would be no use.
            output.clear();
            return;
        }
        self.state.stats.writes += 1;
        self.state.stats.net_out += bytes as u64;
        client.net_out += bytes as u64;
    }

    #[inline]
    fn run_one(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        args: &[&[u8]],
        known: Option<&'static CommandInfo>,
    ) -> Served {
        self.keys.origin = crate::origin::client(&self.state, client, self.keys.origin.now_ms);
        let quiet = client
            .flags
            .has(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT);
        let mark = out.len();
        if quiet {
            let skip = client.flags.has(ClientFlags::REPLY_SKIP_NEXT);
            client.flags.put(ClientFlags::REPLY_SKIP, skip);
            client.flags.clear(ClientFlags::REPLY_SKIP_NEXT);
        }
        let command = &commandtable::COMMANDS[0];
        let mut x = Exec {
            keys: &mut self.keys,
            state: &mut self.state,
            client,
            out,
            command,
            waits: false,
        };
        let was_replica = x.client.flags.has(ClientFlags::REPLICA);
        let flow = dispatch::process(&mut x, args, known);
        if was_replica && out.len() > mark {
            self.drop_talking_replica(client, args);
            out.truncate(mark);
        }
        if quiet && flow != Served::Blocked {
            dispatch::keep_quiet(client, out, mark);
        }
        if client.flags.has(ClientFlags::TRACKING) {
            crate::tracking::command_done(client, args);
        }
        flow
    }

    /// A replica's connection carries the stream: a reply in its midst would end it badly, so the connection ends well.
    #[cold]
    fn drop_talking_replica(&mut self, client: &mut Client, args: &[&[u8]]) {
        let command = args
            .first()
            .map(|name| String::from_utf8_lossy(name))
            .unwrap_or_default();
        let who =
            crate::commands::client::describe(client, self.state.config.hide_user_data_from_log);
        let line =
            format!("Replica generated a reply to command '{command}', disconnecting it: {who}");
        self.state.log(Level::Warning, &line);
        client.flags.set(ClientFlags::CLOSE_NOW);
    }
}
