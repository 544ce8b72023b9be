//! MONITOR: a connection that is shown every command.

use super::Family;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use commandtable::Flags;
use commandtable::{Error, Outcome};
use dataset::effects::News;

pub(super) static COMMANDS: Family = &[("monitor", monitor)];

/// `MONITOR`: from now on the connection gets a line for each command that runs.
///
/// Reply: OK, then the lines.
/// Errors: inside a transaction.
/// Propagates: nothing.
/// Source: Valkey command reference, MONITOR (since 1.0.0).
fn monitor(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if x.must_not_block() {
        return Err(Error::MONITOR_DENIED);
    }
    // A replica's connection has no room for anything but the stream.
    if !x
        .client
        .flags
        .has(ClientFlags::REPLICA | ClientFlags::MONITOR)
    {
        x.client.flags.set(ClientFlags::MONITOR);
        x.state.monitors.push(x.client.id);
        x.out.ok();
    }
    Ok(())
}

/// Shows a command that has run to all MONITOR clients, unless it is one they must not see.
#[cold]
pub(crate) fn feed(x: &mut Exec<'_>, args: Args<'_>) {
    // Scripts are shown by the script engine, in front of their commands.
    let hidden = x
        .command
        .flags
        .intersects(Flags::ADMIN.and(Flags::SKIP_MONITOR));
    if hidden {
        return;
    }
    let line = line(x, args);
    x.keys.effects.tell(News::Shown(line));
}

/// `+<unix time> [<db> <address>] "word" "word"...`
fn line(x: &Exec<'_>, args: Args<'_>) -> Vec<u8> {
    let now_us = (x.state.clock.unix_us)();
    let peer = &x.client.peer;
    let from = if x.client.flags.has(ClientFlags::UNIX) {
        format!("unix:{}", peer.addr.trim_end_matches(":0"))
    } else {
        peer.addr.clone()
    };
    let mut line = format!(
        "+{}.{:06} [{} {from}]",
        now_us / 1_000_000,
        now_us % 1_000_000,
        x.client.db
    )
    .into_bytes();
    for arg in crate::accounting::redact(x.command, args) {
        line.extend_from_slice(b" \"");
        escape(&mut line, arg);
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// Appends bytes with everything escaped that would not print.
fn escape(into: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', *byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            0x07 => into.extend_from_slice(b"\\a"),
            0x08 => into.extend_from_slice(b"\\b"),
            b' '..=b'~' => into.push(*byte),
            other => into.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_monitor_sees_commands_and_no_secrets() {
        check(
            r#"
            1> MONITOR
            < OK
            > SET a "x\n\xff"
            < OK
            ~ SET a "x\n\xff"
            1< 1000000000.000000 [0 127.0.0.1:1] "SET" "a" "x\n\xff"
            > CONFIG GET nothing
            < (empty array)
            1<
            > AUTH default secret
            < OK
            1< 1000000000.000000 [0 127.0.0.1:1] "AUTH" "(redacted)" "(redacted)"
            > MULTI
            < OK
            > PING
            < QUEUED
            > EXEC
            < 1) PONG
            1< 1000000000.000000 [0 127.0.0.1:1] "MULTI"
            1< 1000000000.000000 [0 127.0.0.1:1] "PING"
            1< 1000000000.000000 [0 127.0.0.1:1] "EXEC"
            1> GET a
            < (error) ERR Replica can't interact with the keyspace
            1> RESET
            < RESET
            > PING
            < PONG
            1<
            "#,
        );
    }
}
