//! The command line.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::record::Scenario;

/// Clients of the published experiment; more would measure the load generator.
const CLIENTS_MAX: u32 = 50;

/// Two servers of one program, synchronising in one way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pairing {
    /// As in the tables: `ours-dual`.
    pub(crate) name: String,
    /// The program of both.
    pub(crate) binary: PathBuf,
    /// On two channels.
    pub(crate) dual: bool,
    /// Of this repository.
    pub(crate) ours: bool,
}

/// What to measure, and where to write it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Bytes of the snapshot, about.
    pub(crate) size_bytes: u64,
    /// Bytes of a value of the dataset.
    pub(crate) value_bytes: u32,
    /// Rounds of each pairing and scenario.
    pub(crate) rounds: u32,
    /// What the load does.
    pub(crate) scenarios: Vec<Scenario>,
    /// Who is measured.
    pub(crate) pairings: Vec<Pairing>,
    /// Connections of the load.
    pub(crate) clients: u32,
    /// How many of them read, in the scenario with reads.
    pub(crate) readers: u32,
    /// Members of each of the sets that are read.
    pub(crate) set_members: u32,
    /// The load ends after so many writes.
    pub(crate) requests_max: u64,
    /// How long the load goes on before the replica comes.
    pub(crate) before_s: u32,
    /// How long a synchronisation may take.
    pub(crate) sync_s_max: u32,
    /// `client-output-buffer-limit replica` of both.
    pub(crate) output_limit: String,
    /// Where results go.
    pub(crate) out: PathBuf,
    /// Ports from here on; 0: any free ones.
    pub(crate) base_port: u16,
    /// Measure nothing, draw and write the page anew.
    pub(crate) page_only: bool,
    /// What was asked for, without the places of programs.
    pub(crate) command: String,
}

impl Options {
    /// Reads the command line of this process; ends it with a message where that is wrong.
    pub(crate) fn from_arguments() -> Options {
        Self::from_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn from_matches(matches: &ArgMatches) -> Result<Options, clap::Error> {
        let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default");
        let text = |name: &str| matches.get_one::<String>(name).expect("it has a default");
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let built =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let mut programs = vec![
            (
                "ours".to_owned(),
                matches
                    .get_one::<PathBuf>("server")
                    .cloned()
                    .unwrap_or_else(|| built.join("release/valkey-server")),
            ),
            (
                "reference".to_owned(),
                matches
                    .get_one::<PathBuf>("reference")
                    .expect("it has a default")
                    .clone(),
            ),
        ];
        programs.extend(
            matches
                .get_many::<(String, PathBuf)>("peer")
                .into_iter()
                .flatten()
                .cloned(),
        );
        let mut pairings = pairings(programs);
        if let Some(wanted) = matches.get_many::<String>("pairing") {
            let wanted: Vec<&String> = wanted.collect();
            if let Some(unknown) = wanted
                .iter()
                .find(|name| !pairings.iter().any(|pairing| pairing.name == ***name))
            {
                return Err(command().error(
                    clap::error::ErrorKind::InvalidValue,
                    format!("no pairing is called {unknown}"),
                ));
            }
            pairings.retain(|pairing| wanted.contains(&&pairing.name));
        }
        let scenarios: Vec<Scenario> = matches
            .get_many::<Scenario>("scenario")
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let clients = number("clients");
        let readers = number("readers");
        if readers >= clients {
            return Err(command().error(
                clap::error::ErrorKind::InvalidValue,
                "some clients must write: --readers is less than --clients",
            ));
        }
        Ok(Options {
            size_bytes: *matches.get_one::<u64>("size").expect("it has a default"),
            value_bytes: number("value-bytes"),
            rounds: number("rounds"),
            scenarios: if scenarios.is_empty() {
                vec![Scenario::Writes, Scenario::Reads]
            } else {
                scenarios
            },
            pairings,
            clients,
            readers,
            set_members: number("set-members"),
            requests_max: *matches
                .get_one::<u64>("requests")
                .expect("it has a default"),
            before_s: number("before-seconds"),
            sync_s_max: number("sync-seconds-max"),
            output_limit: text("output-limit").clone(),
            out: matches
                .get_one::<PathBuf>("out")
                .cloned()
                .unwrap_or_else(|| root.join("docs/full-sync")),
            base_port: *matches
                .get_one::<u16>("base-port")
                .expect("it has a default"),
            page_only: matches.get_flag("page-only"),
            command: as_typed(std::env::args().skip(1)),
        })
    }
}

/// Each program on two channels and on one; of further peers the two channels alone, which are what there is to beat.
fn pairings(programs: Vec<(String, PathBuf)>) -> Vec<Pairing> {
    let mut pairings = Vec::new();
    for (name, binary) in programs {
        let ours = name == "ours";
        let both = ours || name == "reference";
        for (dual, suffix) in [(true, "dual"), (false, "classic")] {
            if dual || both {
                pairings.push(Pairing {
                    name: format!("{name}-{suffix}"),
                    binary: binary.clone(),
                    dual,
                    ours,
                });
            }
        }
    }
    pairings
}

/// The command as a reader may type it: where programs and results are is a matter of the machine.
fn as_typed(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["utils/bench/full-sync".to_owned()];
    let mut skip = false;
    for argument in arguments {
        let name = argument.split('=').next().unwrap_or_default();
        if skip {
            skip = false;
        } else if ["--out", "--base-port"].contains(&name) {
            skip = name == argument;
        } else {
            let plain = match argument.rsplit_once('/') {
                Some((place, file)) => {
                    let before = place.find('=').map_or("", |at| &place[..=at]);
                    format!("{before}{file}")
                }
                None => argument,
            };
            words.push(if plain.contains(' ') {
                format!("'{plain}'")
            } else {
                plain
            });
        }
    }
    words.join(" ")
}

fn command() -> Command {
    let number = |name: &'static str, value: &'static str, default: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .default_value(default)
            .value_parser(value_parser!(u32).range(1..))
    };
    Command::new("full-sync")
        .about("What a full synchronisation costs, on two channels and on one")
        .args([
            Arg::new("size")
                .long("size")
                .value_name("BYTES")
                .default_value("1g")
                .value_parser(parse_size)
                .help("Size of the snapshot, as in 50m, 1g or 3.7g"),
            number("rounds", "N", "5").help("Rounds of each pairing and scenario"),
            Arg::new("scenario")
                .long("scenario")
                .value_name("NAME")
                .action(ArgAction::Append)
                .value_parser(parse_scenario)
                .help("writes or reads; may be repeated [default: both]"),
            Arg::new("pairing")
                .long("pairing")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("One of the pairings, as ours-dual; may be repeated [default: all]"),
            Arg::new("server")
                .long("server")
                .value_name("BINARY")
                .value_parser(value_parser!(PathBuf))
                .help("Our server [default: target/release/valkey-server]"),
            Arg::new("reference")
                .long("reference")
                .value_name("BINARY")
                .default_value("valkey-server")
                .value_parser(value_parser!(PathBuf))
                .help("The reference"),
            Arg::new("peer")
                .long("peer")
                .value_name("NAME=BINARY")
                .action(ArgAction::Append)
                .value_parser(parse_peer)
                .help("Another server that knows two channels; may be repeated"),
            number("clients", "N", "50")
                .value_parser(value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))
                .help("Connections of the load"),
            number("readers", "N", "10").help("How many of them read, in the scenario with reads"),
            number("set-members", "N", "10000").help("Members of each set that is read"),
            number("value-bytes", "N", "200").help("Size of the values of the dataset"),
            Arg::new("requests")
                .long("requests")
                .value_name("N")
                .default_value("6000000")
                .value_parser(value_parser!(u64).range(1..))
                .help("Writes at most; then the load ends"),
            number("before-seconds", "S", "5")
                .help("How long the load goes on before the replica comes"),
            number("sync-seconds-max", "S", "900").help("When to give a synchronisation up"),
            Arg::new("output-limit")
                .long("output-limit")
                .value_name("LIMIT")
                .default_value("0 0 0")
                .help("client-output-buffer-limit for replicas, on both sides"),
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where results go [default: docs/full-sync]"),
            Arg::new("base-port")
                .long("base-port")
                .value_name("PORT")
                .default_value("0")
                .value_parser(value_parser!(u16))
                .help("Two ports from here on; 0: any free ones"),
            Arg::new("page-only")
                .long("page-only")
                .action(ArgAction::SetTrue)
                .help("Measure nothing: draw and write the page from the results that are there"),
        ])
}

/// Bytes of `50m`, `1g` or `3.7g`, in powers of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(number) => (number, &lower[number.len()..]),
        None => (lower.as_str(), ""),
    };
    let factor = match unit {
        "k" => f64::from(1 << 10),
        "m" => f64::from(1 << 20),
        "g" => f64::from(1 << 30),
        _ => 1.0,
    };
    let bytes = number
        .parse::<f64>()
        .map_err(|_| format!("{text} is no size: 50m, 1g, 3.7g"))?
        * factor;
    if !(1.0..=1e12).contains(&bytes) {
        return Err(format!("{text} is no size of a dataset"));
    }
    Ok(bytes as u64)
}

fn parse_scenario(text: &str) -> Result<Scenario, String> {
    Scenario::ALL
        .into_iter()
        .find(|scenario| scenario.name() == text)
        .ok_or_else(|| format!("{text} is neither writes nor reads"))
}

fn parse_peer(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, binary)) if !name.is_empty() && !binary.is_empty() => {
            if ["ours", "reference"].contains(&name) {
                return Err(format!("{name} is measured already"));
            }
            Ok((name.to_owned(), PathBuf::from(binary)))
        }
        _ => Err(format!("{text} is not NAME=BINARY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options, clap::Error> {
        let words = std::iter::once("full-sync").chain(words.iter().copied());
        Options::from_matches(&command().try_get_matches_from(words)?)
    }

    #[test]
    fn sizes_have_units_and_fractions() {
        assert_eq!(parse_size("50m"), Ok(50 << 20));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("0.5k"), Ok(512));
        assert_eq!(parse_size("77"), Ok(77));
        for wrong in ["", "g", "-1m", "1t", "nan", "1e30", "0"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairings_are_four_and_one_for_each_peer() {
        let options = parsed(&["--peer", "newer=/opt/newer/valkey-server"]).expect("valid");
        let names: Vec<&str> = options
            .pairings
            .iter()
            .map(|pairing| pairing.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "ours-dual",
                "ours-classic",
                "reference-dual",
                "reference-classic",
                "newer-dual"
            ]
        );
        let one = parsed(&["--pairing", "ours-classic"]).expect("valid");
        assert_eq!(one.pairings.len(), 1);
        assert!(one.pairings[0].ours && !one.pairings[0].dual);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for wrong in [
            &["--clients", "51"][..],
            &["--clients", "0"],
            &["--clients", "10", "--readers", "10"],
            &["--rounds", "0"],
            &["--pairing", "theirs-dual"],
            &["--peer", "ours=x"],
            &["--peer", "x"],
            &["--scenario", "both"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_command_is_told_without_places_of_the_machine() {
        let words = [
            "--out",
            "/somewhere/else",
            "--peer",
            "newer=/opt/newer/valkey-server",
            "--size",
            "1g",
            "--server",
            "target/fast/valkey-server",
            "--output-limit",
            "0 0 0",
        ];
        assert_eq!(
            as_typed(words.iter().map(|word| (*word).to_owned())),
            "utils/bench/full-sync --peer newer=valkey-server --size 1g --server valkey-server \
             --output-limit '0 0 0'"
        );
    }
}
