//! What the primary sends once both agree: whole commands are run as its client's, count, and are passed on.

use super::{LinkSide, with_link};
use crate::client::{Client, ClientFlags};
use crate::dispatch;
use crate::exec::Exec;
use crate::host::{Crash, Level};
use crate::state::ServerState;
use config::{PropagationErrorBehavior, quote_into};
use dataset::Keys;
use resp::{Batch, Decoder, Protocol, Reply, Violation};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Room that is kept for the next piece of the stream, whatever the last command has taken.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Applies a piece of the stream: whole commands are run as the primary's, and passed on verbatim.
pub(super) fn apply(keys: &mut Keys, state: &mut ServerState, bytes: &[u8]) {
    let Some(mut side) = state.repl.link.take() else {
        return;
    };
    side.buffer.extend_from_slice(bytes);
    if state.busy.is_some() {
        // It waits until the script has ended.
        state.repl.link = Some(side);
        return;
    }
    side.decoder.bulk_bytes_max = None;
    let mut batch = Batch::default();
    let mut buffer = std::mem::take(&mut side.buffer);
    // Big arguments leave the buffer while they are collected; the stream must stay whole to be passed on.
    let decoded = side.decoder.decode_in_place(&mut buffer, &mut batch);
    let outer = keys.origin;
    let mut start = 0;
    let mut out = Reply::new(Protocol::V2);
    let mut applied = 0u64;
    let mut getack = false;
    let mut failed = None;
    side.client.last_interaction_ms = keys.origin.now_ms;
    for index in 0..batch.len() {
        let args: SmallVec<[&[u8]; 8]> = batch
            .request(index)
            .iter()
            .map(|arg| batch.bytes(&buffer, *arg))
            .collect();
        let end = batch.end_of(index);
        if !args.is_empty() {
            if args[0].eq_ignore_ascii_case(b"replconf") {
                getack |= args
                    .get(1)
                    .is_some_and(|word| word.eq_ignore_ascii_case(b"getack"));
            } else if let Err(what) = run(keys, state, &mut side, &mut out, &args) {
                failed = Some(what);
                break;
            }
        }
        if state.busy.is_some() {
            park(state, &mut side, end - start);
            break;
        }
        let command = &buffer[start..end];
        start = end;
        let Some((back, bytes)) = pass_on(state, side, command) else {
            return;
        };
        side = back;
        applied += bytes;
    }
    buffer.drain(..start);
    if buffer.len() < KEPT_BYTES_MAX {
        buffer.shrink_to(KEPT_BYTES_MAX);
    }
    side.buffer = buffer;
    side.stream_db = side.client.db as u32;
    side.link.applied(applied);
    let parked = side.parked_bytes > 0;
    state.repl.link = Some(side);
    keys.origin = outer;
    crate::tracking::turn_done(state);
    if getack {
        with_link(keys, state, |link, env| link.getack(env));
    }
    if let Some(what) = failed {
        stream_failed(keys, state, &what);
    } else if parked {
        // What is left is read again when the script has ended.
    } else if let Err(error) = decoded {
        let hide = state.config.hide_user_data_from_log;
        let (client, name) = state
            .repl
            .link
            .as_ref()
            .map_or_else(Default::default, |side| {
                let client = crate::commands::client::describe(&side.client, hide);
                (client, last_command(&side.client))
            });
        if error.violation == Violation::InlineFromPrimary {
            state.log(Level::Warning, "WARNING: Receiving inline protocol from primary, primary stream corruption? Closing the primary connection and discarding the cached primary.");
        } else {
            error_to_primary(state, &error.to_string(), name);
        }
        state.log(Level::Warning, &error.log_line(&client));
        // The same bytes would come again from where we are.
        with_link(keys, state, |link, env| {
            link.stream_unusable(env, &error.to_string())
        });
    }
}

/// A command has been carried out: it counts, and goes to our own replicas, unless it is in the midst of a transaction. How many
/// bytes count now.
fn pass_on(state: &mut ServerState, mut side: LinkSide, command: &[u8]) -> Option<(LinkSide, u64)> {
    let in_transaction = side.client.flags.has(ClientFlags::MULTI);
    if in_transaction || !side.unapplied.is_empty() {
        side.unapplied.extend_from_slice(command);
    }
    if in_transaction {
        return Some((side, 0));
    }
    let whole = std::mem::take(&mut side.unapplied);
    let raw = if whole.is_empty() { command } else { &whole };
    let bytes = raw.len() as u64;
    state.repl.link = Some(side);
    state.repl.with_hub(|hub, env| hub.feed_raw(env, raw));
    let mut side = state.repl.link.take()?;
    side.unapplied = whole;
    side.unapplied.clear();
    side.unapplied.shrink_to(KEPT_BYTES_MAX);
    Some((side, bytes))
}

/// The script of a command of so many bytes is busy. It keeps the primary's client; the command, and what is behind it, wait in
/// the buffer.
#[cold]
fn park(state: &mut ServerState, side: &mut LinkSide, bytes: usize) {
    let mut stand_in = Client::without_connection(side.client.last_interaction_ms);
    stand_in.flags.set(ClientFlags::PRIMARY);
    stand_in.peer = side.client.peer.clone();
    stand_in.created_ms = side.client.created_ms;
    stand_in.last_command = side.client.last_command;
    stand_in.db = side.client.db;
    let client = std::mem::replace(&mut side.client, stand_in);
    crate::scripting::busy::adopt(state, client);
    side.parked_bytes = bytes;
    side.decoder = Decoder::default();
    side.decoder.authenticated = true;
}

/// The busy script of the stream has ended, or with it the transaction around it: its command counts, and the stream goes on.
#[cold]
pub(crate) fn script_ended(state: &mut ServerState, mut client: Box<Client>) {
    let out = std::mem::replace(&mut client.out, Reply::new(Protocol::V2));
    check_reply(state, &out, last_command(&client));
    let Some(mut side) = state.repl.link.take() else {
        return;
    };
    side.client = client;
    let parked = std::mem::take(&mut side.parked_bytes);
    let mut buffer = std::mem::take(&mut side.buffer);
    let command: Vec<u8> = buffer.drain(..parked.min(buffer.len())).collect();
    side.buffer = buffer;
    let Some((mut side, bytes)) = pass_on(state, side, &command) else {
        return;
    };
    side.link.applied(bytes);
    state.repl.link = Some(side);
}

/// Applies what is left of the stream from the time of a script that was busy.
pub(crate) fn go_on_applying(keys: &mut Keys, state: &mut ServerState) {
    let side = state.repl.link.as_ref();
    if side.is_some_and(|side| (side.is_up() || side.draining) && !side.buffer.is_empty()) {
        apply(keys, state, &[]);
    }
}

/// A command of the stream has failed an assertion: who knows what it has done to the data.
#[cold]
pub(crate) fn stream_failed(keys: &mut Keys, state: &mut ServerState, what: &str) {
    state.stats.panics_caught += 1;
    keys.ahead.forget();
    crate::scripting::libraries::recover(state);
    let text = format!("A command of the stream failed an assertion: {what}");
    state.log(Level::Warning, &text);
    crate::recovery::forsake_history(keys, state, &text);
}

/// Runs one command of the stream; its reply goes nowhere.
///
/// # Errors
/// The handler failed an assertion, with this text: who knows what it has done to the data.
fn run(
    keys: &mut Keys,
    state: &mut ServerState,
    side: &mut LinkSide,
    out: &mut Reply,
    args: &[&[u8]],
) -> Result<(), String> {
    keys.origin = crate::origin::primary(state, side.client.db, keys.origin.now_ms);
    state.repl.applying = true;
    state.now_ns = (state.clock.monotonic_ns)();
    out.truncate(0);
    let command = &commandtable::COMMANDS[0];
    let mut x = Exec {
        keys,
        state,
        client: &mut side.client,
        out,
        command,
        waits: false,
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        dispatch::process(&mut x, args, None);
        if crate::settle::is_due(x.keys, x.state) {
            crate::settle::settle(x.keys, x.state);
        }
    }));
    state.repl.applying = false;
    if let Err(panic) = ran {
        return Err(format!(
            "{}, in '{}'",
            crate::recovery::text_of(&*panic),
            last_command(&side.client)
        ));
    }
    check_reply(state, out, last_command(&side.client));
    Ok(())
}

/// An error where the primary had none is something to be told.
fn check_reply(state: &mut ServerState, out: &Reply, name: &str) {
    if out.output().start().first() == Some(&b'-') {
        state.stats.unexpected_error_replies += 1;
        let text = String::from_utf8_lossy(out.output().start());
        let text = text.strip_suffix("\r\n").unwrap_or(&text);
        error_to_primary(state, text.strip_prefix("-ERR ").unwrap_or(text), name);
    }
}

/// The name of the last command of the stream, for the log.
fn last_command(primary: &Client) -> &'static str {
    primary
        .last_command
        .map_or("<unknown>", |command| command.full_name)
}

/// Something in the stream is refused with this text: the data may differ from the primary's.
fn error_to_primary(state: &mut ServerState, text: &str, name: &str) {
    let line = format!(
        "== CRITICAL == This replica is sending an error to its primary: '{text}' after processing the command '{name}'"
    );
    state.log(Level::Warning, &line);
    log_latest(state);
    if state.config.propagation_error_behavior != PropagationErrorBehavior::Ignore {
        state.host.crash(Crash::Panic(format!(
            "This replica panicked sending an error to its primary after processing the command '{name}'"
        )));
    }
}

/// Bytes of the stream that are shown after an error.
const LATEST_BYTES: u64 = 256;

/// Shows what came in front of an error, if the log may hold users' data.
fn log_latest(state: &mut ServerState) {
    let hub = &mut state.repl.hub;
    let Some(backlog) = hub.backlog().filter(|backlog| backlog.histlen() > 0) else {
        return;
    };
    if state.config.hide_user_data_from_log {
        state.log(
            Level::Notice,
            "hide-user-data-from-log is on, skip logging backlog content to avoid spilling user data.",
        );
        return;
    }
    let last = backlog.next_offset() - 1;
    let latest = hub.stream_since(last - backlog.histlen().min(LATEST_BYTES));
    let mut line = b"Latest backlog is: '".to_vec();
    quote_into(&mut line, &latest);
    line.push(b'\'');
    state.log(Level::Notice, &String::from_utf8_lossy(&line));
}
