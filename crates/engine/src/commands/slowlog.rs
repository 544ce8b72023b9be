//! SLOWLOG: the commands that took long.

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("slowlog|get", get),
    ("slowlog|len", len),
    ("slowlog|reset", reset),
    ("slowlog|scripts", scripts),
    ("slowlog|help", help),
];

/// Entries shown when no number is given.
const COUNT_DEFAULT: usize = 10;

/// `SLOWLOG GET [count]`: the newest entries; -1 means all.
///
/// Reply: per entry its number, Unix time, microseconds, arguments, the client's address and name.
/// Errors: a count that is none.
/// Propagates: nothing.
/// Source: Valkey command reference, SLOWLOG GET (since 2.2.12).
fn get(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let count = count(args)?;
    let entries = &x.state.slowlog.entries;
    x.out.array(entries.len().min(count));
    for entry in entries.iter().take(count) {
        x.out.array(6);
        x.out.int(entry.id);
        x.out.int(entry.at);
        x.out.int(entry.usec);
        x.out.array(entry.args.len());
        for arg in &entry.args {
            x.out.bulk(arg);
        }
        x.out.bulk(entry.peer.as_bytes());
        x.out.bulk(&entry.name);
    }
    Ok(())
}

/// How many entries are wanted.
fn count(args: Args<'_>) -> Result<usize, Error> {
    match args {
        [_, _] => Ok(COUNT_DEFAULT),
        [_, _, text] => match words::int::parse_i64(text) {
            Some(-1) => Ok(usize::MAX),
            Some(count) => usize::try_from(count).map_err(|_| Error::SLOWLOG_COUNT),
            None => Err(Error::SLOWLOG_COUNT),
        },
        _ => Err(Error::subcommand_syntax(args)),
    }
}

/// `SLOWLOG SCRIPTS [count]`: what the scripts and functions among the entries have taken, the newest first; -1 means all.
///
/// Reply: per entry a map: the number by which SLOWLOG GET shows it, Unix time, microseconds, the instructions and the bytes of
/// memory that the script has taken, arguments.
/// Errors: a count that is none.
/// Propagates: nothing.
/// Source: our own. The entries of SLOWLOG GET stay as clients know them.
fn scripts(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let count = count(args)?;
    let entries = x.state.slowlog.entries.iter();
    let scripts = entries.filter_map(|entry| Some((entry, entry.script?)));
    let scripts: Vec<_> = scripts.take(count).collect();
    x.out.array(scripts.len());
    for (entry, taken) in scripts {
        let figures = [
            ("id", entry.id),
            ("time", entry.at),
            ("us", entry.usec),
            ("instructions", clamp(taken.instructions)),
            ("memory_peak_bytes", clamp(taken.memory_bytes as u64)),
        ];
        x.out.map(figures.len() + 1);
        for (name, figure) in figures {
            x.out.bulk(name.as_bytes());
            x.out.int(figure);
        }
        x.out.bulk(b"arguments");
        x.out.array(entry.args.len());
        for arg in &entry.args {
            x.out.bulk(arg);
        }
    }
    Ok(())
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `SLOWLOG LEN`.
///
/// Reply: the number of entries.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SLOWLOG LEN (since 2.2.12).
fn len(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.uint(x.state.slowlog.entries.len());
    Ok(())
}

/// `SLOWLOG RESET`.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SLOWLOG RESET (since 2.2.12).
fn reset(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.state.slowlog.entries.clear();
    x.out.ok();
    Ok(())
}

/// `SLOWLOG HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SLOWLOG HELP (since 6.2.0).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
            "SCRIPTS [<count>]",
            "    Return what the scripts and functions among the top entries have taken",
            "    (default: 10, -1 mean all).",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn slow_commands_are_kept_newest_first() {
        check(
            r#"
            > CONFIG SET slowlog-log-slower-than 0
            < OK
            > PING
            < PONG
            > SLOWLOG GET 1
            < 1) 1) (integer) 1
            <    2) (integer) 1000000000
            <    3) (integer) 0
            <    4) 1) "PING"
            <    5) "127.0.0.1:1"
            <    6) ""
            > SLOWLOG LEN
            < (integer) 3
            > CONFIG SET slowlog-max-len 1
            < OK
            > SLOWLOG LEN
            < (integer) 1
            > SLOWLOG GET -2
            < (error) ERR count should be greater than or equal to -1
            > CONFIG SET slowlog-log-slower-than -1
            < OK
            > SLOWLOG RESET
            < OK
            > SLOWLOG GET
            < (empty array)
            "#,
        );
    }
}
