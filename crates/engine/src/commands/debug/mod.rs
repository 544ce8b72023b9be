//! DEBUG: what tests and developers do to a server. One command of the table; its first argument says what.

use super::Family;
use crate::exec::{Args, Exec};
use crate::host::{Crash, Level};
use commandtable::{Error, Outcome};
use dataset::number;
use words::glob::Case;

mod data;
mod help;
mod inspect;
mod protocol;

pub(super) static COMMANDS: Family = &[("debug", debug)];

/// Texts matched against patterns by STRINGMATCH-TEST.
const STRINGMATCH_ROUNDS: usize = 10_000;
/// Longest of them, and of the patterns, in bytes.
const STRINGMATCH_BYTES_MAX: u64 = 64;
/// QUICKLIST-PACKED-THRESHOLD stays below this, in bytes.
const PACKED_THRESHOLD_END: u64 = u32::MAX as u64;

/// `DEBUG subcommand [argument ...]`.
///
/// Reply: as each subcommand has it; mostly OK.
/// Errors: unknown subcommand or wrong number of arguments, and those of the subcommands.
/// Propagates: nothing, but for REPLICATE.
/// Source: DEBUG HELP of Valkey 8.0.1.
fn debug(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let name = args[1].to_ascii_lowercase();
    match (&*name, &args[2..]) {
        (b"help", []) => x.reply_help("DEBUG", help::LINES),

        (b"digest", []) => data::digest(x),
        (b"digest-value", keys) => data::digest_value(x, keys),
        (b"populate", [count, rest @ ..]) if rest.len() <= 2 => {
            return data::populate(x, count, rest);
        }
        (b"reload", options) => return data::reload(x, options),
        (b"loadaof", []) => return Err(Error::DEBUG_LOADAOF),

        (b"object", [key]) => return inspect::object(x, key, inspect::Detail::Full),
        (b"object", [key, option]) => {
            let detail = if option.eq_ignore_ascii_case(b"fast") {
                inspect::Detail::Fast
            } else {
                inspect::Detail::Full
            };
            return inspect::object(x, key, detail);
        }
        (b"sdslen", [key]) => return inspect::sdslen(x, key),
        (b"listpack", [key]) => return inspect::listpack(x, key),
        (b"quicklist", [key] | [key, _]) => return inspect::quicklist(x, key),
        (b"htstats", [db, ..]) => return inspect::htstats(x, db, is_full(args)),
        (b"htstats-key", [key, ..]) => {
            return inspect::htstats_key(x, key, is_full(args));
        }
        (b"structsize", []) => x.out.bulk(inspect::STRUCT_SIZES.as_bytes()),

        (b"protocol", [kind]) => return protocol::reply(x, kind),
        // What the statistics see is no error.
        (b"error", [text]) => x.out.error(text),
        (b"leak", [text]) => {
            Box::leak(Box::<[u8]>::from(*text));
            x.out.ok();
        }

        (b"sleep", [seconds]) => {
            let seconds = words::parse::parse_f64(seconds).unwrap_or(0.0).max(0.0);
            // The cast saturates.
            x.state.host.sleep_us((seconds * 1e6) as u64);
            x.out.ok();
        }
        (b"log", [text]) => {
            let line = format!("DEBUG LOG: {}", String::from_utf8_lossy(text));
            x.state.log(Level::Warning, &line);
            x.out.ok();
        }
        (b"replicate", command @ [_, ..]) => {
            x.propagate_as(command);
            x.out.ok();
        }
        (b"stringmatch-test", [] | [_]) => stringmatch(x),
        (b"mallctl", [name, value @ ..]) if value.len() <= 1 => {
            let value = value.first().map(|value| number::int(value)).transpose()?;
            let number = x.state.host.allocator_number(name, value);
            x.out.int(number.map_err(|why| Error::allocator(&why))?);
        }
        (b"mallctl-str", [name, value @ ..]) if value.len() <= 1 => {
            let text = x.state.host.allocator_text(name, value.first().copied());
            x.out.bulk(&text.map_err(|why| Error::allocator(&why))?);
        }

        (b"change-repl-id", []) => {
            x.state.log(
                Level::Notice,
                "Changing replication IDs after receiving change-repl-id",
            );
            x.state.repl.hub.change_id();
            x.out.ok();
        }
        (b"config-rewrite-force-all", []) => return Err(Error::DEBUG_REWRITE),
        (b"clusterlink", [_, _, _]) => return Err(Error::DEBUG_CLUSTER_ONLY),
        (b"client-eviction", []) => client_eviction(x)?,

        (b"panic" | b"oom", _) => x
            .state
            .host
            .crash(Crash::Panic("DEBUG PANIC called".into())),
        (b"assert", _) => x.state.host.crash(Crash::Assertion),
        (b"segfault", _) => x.state.host.crash(Crash::Segfault),
        (b"restart", delay @ ([] | [_])) => return restart(x, delay, Saving::First),
        (b"crash-and-recover", delay @ ([] | [_])) => return restart(x, delay, Saving::Never),

        (_, [value]) if set_knob(x, &name, value)? => x.out.ok(),
        (b"replybuffer", [which, value]) => return reply_buffer(x, args, which, value),
        _ => return Err(Error::subcommand_syntax(args)),
    }
    Ok(())
}

fn is_full(args: Args<'_>) -> bool {
    args.get(3)
        .is_some_and(|option| option.eq_ignore_ascii_case(b"full"))
}

/// As the reference reads its switches: a number at the start, 0 where there is none.
fn lenient_int(text: &[u8]) -> i64 {
    let digits = text
        .iter()
        .skip(usize::from(text.first() == Some(&b'-')))
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = digits + usize::from(text.first() == Some(&b'-'));
    number::int(&text[..end]).unwrap_or(0)
}

/// Switches and settings of one argument. False when the name is none of them.
fn set_knob(x: &mut Exec<'_>, name: &[u8], value: &[u8]) -> Result<bool, Error> {
    let on = lenient_int(value) != 0;
    let knobs = &mut x.state.debug;
    match name {
        b"set-active-expire" => knobs.active_expire = on,
        b"pause-cron" => knobs.pause_cron = on,
        b"pause-after-fork" => knobs.pause_after_fork = on,
        b"set-disable-deny-scripts" => knobs.disable_deny_scripts = on,
        b"set-skip-checksum-validation" => {
            knobs.skip_checksums = on;
            x.keys.settings.skip_checksums = on;
        }
        b"dict-resizing" => {
            knobs.avoid_resizing = !on;
            crate::saving::set_resize_policy(x.keys, x.state);
        }
        b"delay-rdb-client-free-seconds" => {
            let seconds = u64::try_from(lenient_int(value)).unwrap_or(0);
            x.state.repl.hub_config.rdb_client_grace_ms = seconds.saturating_mul(1000);
        }
        b"quicklist-packed-threshold" => {
            let bytes = config::memory_bytes(value)
                .filter(|bytes| *bytes < PACKED_THRESHOLD_END)
                .ok_or(Error::DEBUG_PACKED_THRESHOLD)?;
            // Zero is the default in either world.
            x.keys.limits.list.packed_threshold = bytes as usize;
        }
        // They concern what we do not have: an AOF buffer, a cluster bus.
        b"aof-flush-sleep" | b"close-cluster-link-on-packet-drop" => {}
        b"drop-cluster-packet-filter" => {
            number::int(value)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reply buffers grow and shrink with their use here, so there is nothing to switch; only mistakes are told.
fn reply_buffer(x: &mut Exec<'_>, args: Args<'_>, which: &[u8], value: &[u8]) -> Outcome {
    if which.eq_ignore_ascii_case(b"peak-reset-time") {
        if !value.eq_ignore_ascii_case(b"never") && !value.eq_ignore_ascii_case(b"reset") {
            number::int(value)?;
        }
    } else if !which.eq_ignore_ascii_case(b"resizing") {
        return Err(Error::subcommand_syntax(args));
    }
    x.out.ok();
    Ok(())
}

/// Whether the dataset is saved before the process starts anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saving {
    First,
    Never,
}

fn restart(x: &mut Exec<'_>, delay: &[&[u8]], saving: Saving) -> Outcome {
    let delay_ms = match delay.first() {
        Some(text) => u64::try_from(number::int(text)?).unwrap_or(0),
        None => 0,
    };
    let save = saving == Saving::First && !x.state.config.save.rules().is_empty();
    if save && crate::saving::save_now(x.keys, x.state).is_err() {
        return Err(Error::DEBUG_RESTART);
    }
    x.state.host.restart(delay_ms);
    // Whoever is still here has not been restarted.
    Err(Error::DEBUG_RESTART)
}

/// Matches random texts against random patterns: nothing may go wrong.
fn stringmatch(x: &mut Exec<'_>) {
    let alphabet = b"ab*?[]^-\\\xff";
    let random = |rng: &mut dataset::Random| -> Vec<u8> {
        let length = keyspace::Rng::below(rng, STRINGMATCH_BYTES_MAX);
        (0..length)
            .map(|_| alphabet[keyspace::Rng::below(rng, alphabet.len() as u64) as usize])
            .collect()
    };
    for _ in 0..STRINGMATCH_ROUNDS {
        let pattern = random(&mut x.keys.rng);
        let text = random(&mut x.keys.rng);
        std::hint::black_box(words::glob::matches(&pattern, &text, Case::Sensitive));
    }
    x.out
        .simple(b"Apparently the server did not crash: test passed");
}

/// How much memory clients take, by classes of size: each twice as wide as the one before.
fn client_eviction(x: &mut Exec<'_>) -> Outcome {
    const FIRST: usize = 1 << 15;
    const LAST: usize = 1 << 32;
    if x.state.config.maxmemory_clients == 0 {
        return Err(Error::DEBUG_CLIENT_EVICTION);
    }
    x.state.weigh(x.client);
    let others = x.state.clients.iter().map(crate::Client::weight);
    let weights: Vec<usize> = others
        .chain(std::iter::once(x.client.weight()))
        .filter(|weight| *weight > 0)
        .collect();
    let mut text = String::new();
    let mut from = 0;
    while from <= LAST {
        let until = if from == 0 { FIRST } else { from * 2 };
        let is_last = from == LAST;
        let inside = weights
            .iter()
            .filter(|weight| **weight >= from && (is_last || **weight < until));
        let name = if is_last {
            format!("{:<23}", format!("{from}+"))
        } else {
            format!("{from:>10} - {:>10}", until - 1)
        };
        text.push_str(&format!(
            "bucket {name}: tot-mem: {:>10}, clients: {}\n",
            inside.clone().sum::<usize>(),
            inside.count()
        ));
        from = until;
    }
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
