//! What is counted and logged of a command that has been answered.

use crate::client::Client;
use crate::exec::Args;
use crate::scripting;
use crate::state::ServerState;
use commandtable::{CommandInfo, Flags};
use smallvec::SmallVec;

/// Counts a command that has been answered.
#[inline]
pub(crate) fn account(
    state: &mut ServerState,
    client: &mut Client,
    command: &'static CommandInfo,
    nanos: u64,
    failed: bool,
    args: Args<'_>,
) {
    let stats = &mut state.stats;
    let counters = &mut stats.commands[command.id as usize];
    counters.calls += 1;
    counters.nanos += nanos;
    counters.failed += u64::from(failed);
    stats.processed += 1;
    if state.config.latency_tracking {
        stats.latency[command.id as usize]
            .get_or_insert_default()
            .record(nanos);
    }
    client.commands += 1;
    let usec = (nanos / 1000) as i64;
    let threshold = state.config.slowlog_log_slower_than;
    if threshold >= 0 && usec >= threshold {
        slow(state, client, command, usec, args);
    }
    let threshold_ms = state.config.latency_monitor_threshold;
    if threshold_ms > 0 && usec / 1000 >= threshold_ms {
        let event = if command.flags.intersects(Flags::FAST) {
            "fast-command"
        } else {
            "command"
        };
        let now = unix_seconds(state);
        state.latency.add(event, now, usec / 1000);
    }
}

/// Unix seconds by the clock of now.
pub(crate) fn unix_seconds(state: &ServerState) -> i64 {
    ((state.clock.unix_us)() / 1_000_000) as i64
}

#[cold]
fn slow(
    state: &mut ServerState,
    client: &Client,
    command: &CommandInfo,
    usec: i64,
    args: Args<'_>,
) {
    if command.flags.intersects(Flags::SKIP_SLOWLOG) || state.config.slowlog_max_len == 0 {
        return;
    }
    let redacted = redact(command, args);
    let max = usize::try_from(state.config.slowlog_max_len).unwrap_or(usize::MAX);
    let now = unix_seconds(state);
    let script = match scripting::run::is_script(command) {
        true => state.last_run.take(),
        false => None,
    };
    let who = (&*client.peer.addr, &*client.name);
    state.slowlog.push((now, usec), &redacted, who, script, max);
}

/// The arguments as logs may show them: secrets replaced.
pub(crate) fn redact<'a>(command: &CommandInfo, args: Args<'a>) -> SmallVec<[&'a [u8]; 8]> {
    const HIDDEN: &[u8] = b"(redacted)";
    let mut shown: SmallVec<[&[u8]; 8]> = args.into();
    let mut hide = |range: std::ops::Range<usize>| {
        for arg in shown.iter_mut().take(range.end).skip(range.start) {
            *arg = HIDDEN;
        }
    };
    match command.full_name {
        "auth" => hide(1..args.len()),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => hide(2..args.len()),
        "hello" => {
            // Every login is hidden, also one that is no use because something else is wrong.
            let mut at = 2;
            while let Some(option) = args.get(at) {
                if option.eq_ignore_ascii_case(b"auth") {
                    hide(at + 1..at + 3);
                    at += 2;
                } else if option.eq_ignore_ascii_case(b"setname") {
                    at += 1;
                }
                at += 1;
            }
        }
        _ => {}
    }
    if command.full_name == "migrate" {
        for at in crate::commands::migrate::secrets(args) {
            shown[at] = HIDDEN;
        }
    }
    if command.full_name == "config|set" {
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
