//! LATENCY: spikes that were noted, and the distribution of every command's duration.

use super::Family;
use crate::exec::{Args, Exec};
use crate::latency::{Sample, Series};
use commandtable::CommandInfo;
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("latency|latest", latest),
    ("latency|history", history),
    ("latency|reset", reset),
    ("latency|graph", graph),
    ("latency|doctor", doctor),
    ("latency|histogram", histogram),
    ("latency|help", help),
];

/// `LATENCY LATEST`.
///
/// Reply: per event its name, the Unix time and milliseconds of its last spike, and its worst one ever.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY LATEST (since 2.8.13).
fn latest(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let events = &x.state.latency.events;
    x.out.array(events.len());
    for (name, series) in events {
        let last = series.samples.back().copied();
        x.out.array(4);
        x.out.bulk(name.as_bytes());
        x.out.int(last.map_or(0, |sample| sample.at));
        x.out.int(last.map_or(0, |sample| sample.ms));
        x.out.int(series.max_ms);
    }
    Ok(())
}

/// `LATENCY HISTORY event`.
///
/// Reply: pairs of Unix time and milliseconds, oldest first.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY HISTORY (since 2.8.13).
fn history(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let Some((_, series)) = x.state.latency.find(args[2]) else {
        x.out.array(0);
        return Ok(());
    };
    x.out.array(series.samples.len());
    for sample in &series.samples {
        x.out.array(2);
        x.out.int(sample.at);
        x.out.int(sample.ms);
    }
    Ok(())
}

/// `LATENCY RESET [event ...]`.
///
/// Reply: the number of events forgotten.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY RESET (since 2.8.13).
fn reset(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let events = &mut x.state.latency.events;
    let before = events.len();
    match args.get(2..) {
        None | Some([]) => events.clear(),
        Some(names) => events.retain(|event, _| {
            !names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(event.as_bytes()))
        }),
    }
    let gone = before - events.len();
    x.out.uint(gone);
    Ok(())
}

/// Columns of a graph.
const GRAPH_COLUMNS: usize = 80;
/// Rows of a graph.
const GRAPH_ROWS: i64 = 4;

/// `LATENCY GRAPH event`.
///
/// Reply: a drawing of the last spikes.
/// Errors: no such event.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY GRAPH (since 2.8.13).
fn graph(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let now = x.now_ms() / 1000;
    let (name, series) = x
        .state
        .latency
        .find(args[2])
        .ok_or_else(|| Error::no_samples(args[2]))?;
    let text = draw(name, series, now);
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// Bars that end in `_`, `o` or `#` and stand on `|`, the age of each below it from top to bottom.
fn draw(name: &str, series: &Series, now: i64) -> String {
    let samples: Vec<Sample> = series.samples.iter().copied().collect();
    let high = samples.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let low = samples.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    // Three steps per row: `_`, `o`, `#`.
    let steps = GRAPH_ROWS * 3;
    let span = (high - low).max(1);
    for (number, shown) in samples.chunks(GRAPH_COLUMNS).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for row in (0..GRAPH_ROWS).rev() {
            text.extend(shown.iter().map(|sample| {
                let height = ((sample.ms - low) * steps / span).min(steps - 1);
                match height - row * 3 {
                    i64::MIN..0 => ' ',
                    0 => '_',
                    1 => 'o',
                    2 => '#',
                    3.. => '|',
                }
            }));
            text.push('\n');
        }
        text.push_str(&" ".repeat(shown.len()));
        text.push('\n');
        let ages: Vec<String> = shown.iter().map(|sample| age(now - sample.at)).collect();
        let longest = ages.iter().map(String::len).max().unwrap_or(0);
        for at in 0..longest {
            text.extend(
                ages.iter()
                    .map(|age| age.as_bytes().get(at).map_or(' ', |byte| char::from(*byte))),
            );
            text.push('\n');
        }
    }
    text
}

/// A number of seconds in its largest unit.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// `LATENCY DOCTOR`.
///
/// Reply: what the spikes look like and what may help, in prose.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY DOCTOR (since 2.8.13).
fn doctor(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let config = &x.state.config;
    let events = &x.state.latency.events;
    let text = if events.is_empty() && config.latency_monitor_threshold == 0 {
        "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Valkey instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it.\n".to_owned()
    } else if events.is_empty() {
        "No latency spike was observed during the lifetime of this Valkey instance, not in the slightest bit.\n".to_owned()
    } else {
        let mut text = String::from("Latency spikes are observed in this Valkey instance.\n\n");
        for (index, (name, series)) in events.iter().enumerate() {
            text.push_str(&format!("{}. {}\n", index + 1, findings(name, series)));
        }
        text.push_str("\nHere is some advice for you:\n\n");
        let threshold_us = config.latency_monitor_threshold.saturating_mul(1000);
        if config.slowlog_log_slower_than < 0 {
            text.push_str(&format!("- The slow log is off: use 'CONFIG SET slowlog-log-slower-than {threshold_us}' to see which commands are slow.\n"));
        } else if config.slowlog_log_slower_than > threshold_us {
            text.push_str(&format!("- Your current Slow Log configuration only logs events that are slower than your configured latency monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than {threshold_us}'.\n"));
        }
        text.push_str("- SLOWLOG GET tells which commands were too slow.\n- Commands on large values take long, deleting them included: spread such values over several keys.\n");
        text
    };
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

fn findings(name: &str, series: &Series) -> String {
    let samples = &series.samples;
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX).max(1);
    let average = samples.iter().map(|sample| sample.ms).sum::<i64>() / count;
    let deviation = samples
        .iter()
        .map(|sample| (sample.ms - average).abs())
        .sum::<i64>()
        / count;
    let first = samples.front().map_or(0, |sample| sample.at);
    let last = samples.back().map_or(0, |sample| sample.at);
    let period = (last - first).max(1) as f64 / count as f64;
    format!(
        "{name}: {count} latency spikes (average {average}ms, mean deviation {deviation}ms, period {period:.2} sec). Worst all time event {}ms.",
        series.max_ms
    )
}

/// `LATENCY HISTOGRAM [command ...]`: of commands that have run; a container stands for its subcommands.
///
/// Reply: a map from command to a map of `calls` and `histogram_usec`, the latter from microseconds to how many calls
/// took at most so long.
/// Errors: none; unknown names are left out.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY HISTOGRAM (since 7.0.0).
fn histogram(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut wanted: Vec<&'static CommandInfo> = Vec::new();
    let all: Vec<&'static CommandInfo>;
    let named: Vec<&'static CommandInfo> = match args.get(2..) {
        None | Some([]) => {
            all = commandtable::COMMANDS.iter().collect();
            all
        }
        Some(names) => names
            .iter()
            .filter_map(|name| commandtable::find_full(name))
            .collect(),
    };
    for command in named {
        for command in std::iter::once(command).chain(command.subcommands) {
            if x.state.stats.latency[command.id as usize].is_some()
                && !wanted.iter().any(|known| known.id == command.id)
            {
                wanted.push(command);
            }
        }
    }
    x.out.map(wanted.len());
    for command in wanted {
        let Some(histogram) = &x.state.stats.latency[command.id as usize] else {
            continue;
        };
        x.out.bulk(command.full_name.as_bytes());
        x.out.map(2);
        x.out.bulk(b"calls");
        x.out.int(histogram.total() as i64);
        x.out.bulk(b"histogram_usec");
        let rows = histogram.cumulative_by_power_of_two_us();
        x.out.map(rows.len());
        for (bound_us, count) in rows {
            x.out.int(bound_us as i64);
            x.out.int(count as i64);
        }
    }
    Ok(())
}

/// `LATENCY HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, LATENCY HELP (since 2.8.13).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "LATENCY",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::latency::LatencyLog;
    use crate::testing::check;

    #[test]
    fn histograms_are_of_commands_that_ran() {
        check(
            r#"
            > PING
            < PONG
            > LATENCY HISTOGRAM ping set nosuch
            < 1) "ping"
            < 2) 1) "calls"
            <    2) (integer) 1
            <    3) "histogram_usec"
            <    4) 1) (integer) 1
            <       2) (integer) 1
            > LATENCY GRAPH command
            < (error) ERR No samples available for event 'command'
            > LATENCY HISTORY command
            < (empty array)
            > LATENCY RESET
            < (integer) 0
            "#,
        );
    }

    #[test]
    fn a_graph_has_a_bar_per_spike() {
        // As the reference has drawn them.
        let mut log = LatencyLog::default();
        for (at, ms) in [48, 16, 8, 36, 20, 59, 34, 51, 6, 14, 27, 28]
            .into_iter()
            .enumerate()
        {
            log.add("command", 100 + at as i64, ms);
        }
        let text = draw("command", &log.events["command"], 112);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows[0],
            "command - high 59 ms, low 6 ms (all time high 59 ms)"
        );
        assert_eq!(
            rows[2..],
            [
                "_    # o    ",
                "|  _ |_|    ",
                "|  |_|||  oo",
                "|#_|||||_o||",
                "            ",
                "111987654321",
                "210sssssssss",
                "sss         ",
            ]
        );
        let mut log = LatencyLog::default();
        for at in 0..82 {
            log.add("command", 100 + at, 5);
        }
        let text = draw("command", &log.events["command"], 181);
        let second = text.split_once("\n\n").unwrap().1;
        assert_eq!(second, "  \n  \n  \n__\n  \n10\nss\n");
    }
}
