//! SCRIPT STATS: what scripts and functions take.

use crate::exec::{Args, Exec};
use commandtable::Outcome;
use resp::Reply;
use scripting::Usage;

/// `SCRIPT STATS`: what the runs of scripts and functions have taken, since they were loaded or since CONFIG RESETSTAT.
///
/// Reply: a map: `scripts`, a map by digest, and `functions`, a map by library and name with a dot between. Those that have run
/// are there, in the order of the time that they have taken, each with a map of figures.
/// Errors: none.
/// Propagates: nothing.
/// Source: our own.
pub(super) fn stats(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let scripting = &x.state.scripting;
    let scripts = scripting.script_usages();
    let scripts = scripts.map(|(digest, usage)| (digest.hex().to_vec(), usage));
    let functions = scripting.function_usages();
    let functions = functions.map(|(library, function, usage)| {
        ([&library.name, &b"."[..], &function.name].concat(), usage)
    });
    x.out.map(2);
    x.out.bulk(b"scripts");
    write_all(x.out, scripts.collect());
    x.out.bulk(b"functions");
    write_all(x.out, functions.collect());
    Ok(())
}

fn write_all(out: &mut Reply, mut usages: Vec<(Vec<u8>, &Usage)>) {
    usages.sort_by(|(name, usage), (other_name, other)| {
        let by_time = other.total_ns.cmp(&usage.total_ns);
        by_time.then_with(|| name.cmp(other_name))
    });
    out.map(usages.len());
    for (name, usage) in usages {
        out.bulk(&name);
        write(out, usage);
    }
}

fn write(out: &mut Reply, usage: &Usage) {
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let figures = [
        ("calls", int(usage.calls)),
        ("failed_calls", int(usage.failures)),
        ("total_us", int(usage.total_ns / 1000)),
        ("instructions", int(usage.instructions)),
        ("memory_peak_bytes", int(usage.memory_peak as u64)),
        ("slowest_us", int(usage.slowest.elapsed_ns / 1000)),
        ("slowest_instructions", int(usage.slowest.instructions)),
    ];
    out.map(figures.len() + 2);
    for (name, figure) in figures {
        out.bulk(name.as_bytes());
        out.int(figure);
    }
    // Empty, and -1, if there was none.
    let last = usage.last_error.as_ref();
    out.bulk(b"last_error");
    out.bulk(last.map_or(b"", |error| &error.text));
    out.bulk(b"last_error_time");
    out.int(last.map_or(-1, |error| error.at_ms / 1000));
}
