//! INFO: what the server knows about itself, in sections of `name:value` rows.
//!
//! Names and order are those of Valkey 8.0.1; a test compares them with `tests/data/info-fields-8.0.1.tsv`.

mod counters;
mod persistence;
mod process;
mod replication;

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::Outcome;
use std::fmt::{Display, Write};

pub(super) static COMMANDS: Family = &[("info", info)];

/// One section: its title, and what writes its rows.
struct Section {
    title: &'static str,
    /// Which of the words that stand for several sections name it.
    shown: Shown,
    write: fn(&mut Exec<'_>, &mut Rows),
}

/// When a section is shown that is not asked for by name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Part of plain INFO.
    Usually,
    /// Part of `all` and `everything`.
    WithAll,
    Never,
}

const fn section(
    title: &'static str,
    shown: Shown,
    write: fn(&mut Exec<'_>, &mut Rows),
) -> Section {
    Section {
        title,
        shown,
        write,
    }
}

/// All sections, in the order in which they are shown.
static SECTIONS: [Section; 14] = [
    section("Server", Shown::Usually, process::server),
    section("Clients", Shown::Usually, process::clients),
    section("Memory", Shown::Usually, process::memory),
    section("Persistence", Shown::Usually, persistence::persistence),
    section("Stats", Shown::Usually, counters::stats),
    section("Replication", Shown::Usually, replication::replication),
    section("CPU", Shown::Usually, process::cpu),
    section("Modules", Shown::Usually, |_, _| {}),
    section("Commandstats", Shown::WithAll, counters::commands),
    section("Errorstats", Shown::Usually, counters::errors),
    section("Latencystats", Shown::WithAll, counters::latencies),
    section("Cluster", Shown::Usually, |x, rows| {
        rows.row("cluster_enabled", u8::from(x.state.config.cluster_enabled));
    }),
    section("Keyspace", Shown::Usually, process::keyspace),
    section("Debug", Shown::Never, counters::debug),
];

/// The text being written.
#[derive(Default)]
struct Rows(String);

impl Rows {
    /// `name:value`. Writing to a String cannot fail.
    fn row(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// A number of bytes, plain and readable.
    fn bytes(&mut self, name: &str, value: u64) {
        self.row(name, value);
        self.human(name, value);
    }

    /// A number of bytes, readable.
    fn human(&mut self, name: &str, value: u64) {
        let _ = write!(self.0, "{name}_human:{}\r\n", human(value));
    }
}

/// `1023B`, `1.00K`, `11.32M`...
fn human(bytes: u64) -> String {
    const UNITS: [(&str, u64); 5] = [
        ("P", 1 << 50),
        ("T", 1 << 40),
        ("G", 1 << 30),
        ("M", 1 << 20),
        ("K", 1 << 10),
    ];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.2}{unit}", bytes as f64 / *size as f64),
        None => format!("{bytes}B"),
    }
}

/// `INFO [section ...]`: all sections that are named, each once; `default`, `all` and `everything` name several.
///
/// Reply: text.
/// Errors: none; unknown sections are empty.
/// Propagates: nothing.
/// Source: Valkey command reference, INFO (since 1.0.0, several sections since 7.0.0).
fn info(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let asked = &args[1..];
    let names = |word: &str| {
        asked
            .iter()
            .any(|name| name.eq_ignore_ascii_case(word.as_bytes()))
    };
    let every = names("all") || names("everything");
    let usual = asked.is_empty() || names("default");
    let mut rows = Rows(String::with_capacity(8192));
    for section in &SECTIONS {
        let wanted = match section.shown {
            Shown::Usually => every || usual || names(section.title),
            Shown::WithAll => every || names(section.title),
            Shown::Never => names(section.title),
        };
        if wanted {
            if !rows.0.is_empty() {
                rows.0.push_str("\r\n");
            }
            let _ = write!(rows.0, "# {}\r\n", section.title);
            (section.write)(x, &mut rows);
        }
    }
    x.out.verbatim(*b"txt", rows.0.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::human;
    use crate::testing::Driver;

    /// Fields that only we have, with the one they follow.
    const OURS: [&str; 1] = ["panics_caught"];
    /// How others of ours begin: they are explained together.
    const OURS_BEGIN: [&str; 2] = ["repl_sync_", "repl_settings_"];
    /// Sections whose rows depend on what has happened.
    const VARYING: [&str; 4] = ["Commandstats", "Errorstats", "Latencystats", "Keyspace"];

    fn ask(driver: &mut Driver, args: &[&[u8]]) -> String {
        let reply = driver.send(0, args);
        let text = String::from_utf8(reply).expect("text");
        let (_, text) = text.split_once("\r\n").expect("a bulk string");
        text.trim_end_matches("\r\n").to_owned()
    }

    /// (section, field) pairs of a reply.
    fn fields(text: &str) -> Vec<(String, String)> {
        let mut section = String::new();
        let mut found = Vec::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("# ") {
                title.clone_into(&mut section);
            } else if let Some((name, _)) = line.split_once(':') {
                found.push((section.clone(), name.to_owned()));
            }
        }
        found
    }

    #[test]
    fn fields_are_those_of_the_reference_in_its_order() {
        let expected: Vec<(String, String)> =
            include_str!("../../tests/data/info-fields-8.0.1.tsv")
                .lines()
                .skip(1)
                .filter_map(|line| {
                    let mut columns = line.split('\t');
                    Some((columns.next()?.to_owned(), columns.next()?.to_owned()))
                })
                .filter(|(section, _)| !VARYING.contains(&section.as_str()))
                // The test's process has no listeners.
                .filter(|(_, field)| field != "listener0")
                .collect();
        let text = ask(&mut Driver::new(), &[b"INFO", b"everything"]);
        let shown: Vec<(String, String)> = fields(&text)
            .into_iter()
            .filter(|(section, field)| {
                !VARYING.contains(&section.as_str())
                    && !OURS.contains(&field.as_str())
                    && !OURS_BEGIN.iter().any(|begin| field.starts_with(begin))
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn sections_are_chosen_by_name_in_any_case() {
        let mut driver = Driver::new();
        let titles = |text: &str| {
            let titles = text.lines().filter_map(|line| line.strip_prefix("# "));
            titles.collect::<Vec<_>>().join(" ")
        };
        let text = ask(&mut driver, &[b"INFO", b"cpu", b"SERVER", b"cpu"]);
        assert_eq!(titles(&text), "Server CPU");
        let text = ask(&mut driver, &[b"INFO"]);
        assert_eq!(
            titles(&text),
            "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace"
        );
        assert_eq!(ask(&mut driver, &[b"INFO", b"nothing"]), "");
        assert_eq!(
            titles(&ask(&mut driver, &[b"INFO", b"debug", b"cluster"])),
            "Cluster Debug"
        );
    }

    #[test]
    fn statistics_tell_what_happened() {
        let mut driver = Driver::new();
        driver.send(0, &[b"SET", b"a", b"b", b"PX", b"1000"]);
        driver.send(0, &[b"CONFIG", b"GET", b"x"]);
        driver.send(0, &[b"CONFIG", b"SET", b"x", b"y"]);
        driver.send(0, &[b"GET"]);
        let text = ask(&mut driver, &[b"INFO", b"all"]);
        for line in [
            "cmdstat_set:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
            "cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
            "cmdstat_config|set:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            "errorstat_ERR:count=2",
            "latency_percentiles_usec_config|get:p50=0.000,p99=0.000,p99.9=0.000",
            "db0:keys=1,expires=1,avg_ttl=1000",
            "total_error_replies:2",
            "rdb_changes_since_last_save:1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(1024), "1.00K");
        assert_eq!(human(11_866_288), "11.32M");
    }
}
