//! What is measured, as it stands in the file of results.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::options::Options;
use crate::stats::{Latencies, median};

/// What the load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// All clients write.
    Writes,
    /// Some of them read large sets.
    Reads,
}

impl Scenario {
    /// In the order in which they are told.
    pub(crate) const ALL: [Scenario; 2] = [Scenario::Writes, Scenario::Reads];

    /// As on the command line and in file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Writes => "writes",
            Scenario::Reads => "reads",
        }
    }
}

/// Everything that was measured, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Where.
    pub(crate) machine: Machine,
    /// By which command.
    pub(crate) command: String,
    /// With which load.
    pub(crate) settings: Settings,
    /// Who took part.
    pub(crate) pairings: Vec<PairingRow>,
    /// In the order in which they ran.
    pub(crate) rounds: Vec<Round>,
}

/// Two servers of one program that synchronise in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairingRow {
    /// As in `ours-dual`.
    pub(crate) name: String,
    /// What the program says of itself.
    pub(crate) version: String,
    /// On two channels.
    pub(crate) dual: bool,
    /// Of this repository.
    pub(crate) ours: bool,
}

/// The load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Bytes of the snapshot, about.
    pub(crate) size_bytes: u64,
    /// Bytes of each value.
    pub(crate) value_bytes: u32,
    /// Connections of the load.
    pub(crate) clients: u32,
    /// Those that read, in the scenario with reads.
    pub(crate) readers: u32,
    /// Members of each of the two sets, half of them in both.
    pub(crate) set_members: u32,
    /// Writes at most.
    pub(crate) requests_max: u64,
    /// How long the load went on before the replica came.
    pub(crate) before_s: u32,
    /// `client-output-buffer-limit replica`.
    pub(crate) output_limit: String,
    /// Rounds of each pairing and scenario.
    pub(crate) rounds: u32,
}

/// One synchronisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// What the load did.
    pub(crate) scenario: Scenario,
    /// Who.
    pub(crate) pairing: String,
    /// Counted from 1.
    pub(crate) round: u32,
    /// Why there is nothing to be told, or what was wrong in the end.
    pub(crate) failure: Option<String>,
    /// The figures; there may be some of a round that failed later.
    pub(crate) measured: Option<Measured>,
    /// How it went, for the plots; kept of one round of each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<Point>,
}

/// The figures of a synchronisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From REPLICAOF until the replica had all that the primary had when it was online.
    pub(crate) sync_s: f64,
    /// Writes before the replica came.
    pub(crate) writes_before: Latencies,
    /// Writes until the replica had caught up.
    pub(crate) writes_during: Latencies,
    /// Reads before the replica came.
    pub(crate) reads_before: Latencies,
    /// Reads until the replica had caught up.
    pub(crate) reads_during: Latencies,
    /// Processor time of the primary without its child.
    pub(crate) primary_cpu_s: f64,
    /// Of the snapshot's process.
    pub(crate) child_cpu_s: f64,
    /// Of the replica.
    pub(crate) replica_cpu_s: f64,
    /// Peak of what the primary holds for replicas, backlog included.
    pub(crate) primary_buffers_bytes: u64,
    /// Peak of what the replica holds back until the snapshot is loaded.
    pub(crate) replica_buffers_bytes: u64,
    /// Peak of the primary's resident memory.
    pub(crate) primary_rss_bytes: u64,
    /// Peak of the replica's resident memory.
    pub(crate) replica_rss_bytes: u64,
    /// How long the fork held the primary up.
    pub(crate) fork_ms: f64,
    /// Full synchronisations that the primary has begun: more than 1 where one had to be repeated.
    pub(crate) attempts: u64,
}

/// A tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Its begin; REPLICAOF came at 0.
    pub(crate) at_s: f64,
    /// Writes that were answered.
    pub(crate) writes: u64,
    /// Half of them took at most this; none where there were none.
    pub(crate) p50_ms: Option<f64>,
    /// 99 of 100.
    pub(crate) p99_ms: Option<f64>,
    /// What the primary held for replicas; none where nobody looked.
    pub(crate) primary_buffers_bytes: Option<u64>,
    /// What the replica held back.
    pub(crate) replica_buffers_bytes: Option<u64>,
}

/// How a figure is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Bytes, told in MB.
    Bytes,
    /// In a second.
    PerSecond,
    /// Just a number.
    Count,
}

/// A figure with its name.
pub(crate) struct Metric {
    /// In the tables.
    pub(crate) name: &'static str,
    /// How it is told.
    pub(crate) unit: Unit,
    /// Only where clients read.
    pub(crate) of_reads: bool,
    /// From a round's figures.
    pub(crate) of: fn(&Measured) -> f64,
}

macro_rules! metrics {
    ($($name:literal $unit:ident $of_reads:literal $of:expr;)*) => {
        &[$(Metric { name: $name, unit: Unit::$unit, of_reads: $of_reads, of: $of }),*]
    };
}

/// All figures. Less is better, but for rates.
pub(crate) static METRICS: &[Metric] = metrics! {
    "synchronisation" Seconds false |m| m.sync_s;
    "writes during, p50" Millis false |m| m.writes_during.p50_ms;
    "writes during, p99" Millis false |m| m.writes_during.p99_ms;
    "writes during, p99.9" Millis false |m| m.writes_during.p999_ms;
    "writes during, max" Millis false |m| m.writes_during.max_ms;
    "writes during" PerSecond false |m| m.writes_during.per_second;
    "writes before, p50" Millis false |m| m.writes_before.p50_ms;
    "writes before, p99" Millis false |m| m.writes_before.p99_ms;
    "writes before, p99.9" Millis false |m| m.writes_before.p999_ms;
    "writes before" PerSecond false |m| m.writes_before.per_second;
    "reads during, p50" Millis true |m| m.reads_during.p50_ms;
    "reads during, p99" Millis true |m| m.reads_during.p99_ms;
    "reads during, p99.9" Millis true |m| m.reads_during.p999_ms;
    "reads during" PerSecond true |m| m.reads_during.per_second;
    "reads before, p99" Millis true |m| m.reads_before.p99_ms;
    "reads before" PerSecond true |m| m.reads_before.per_second;
    "CPU of the primary" Seconds false |m| m.primary_cpu_s;
    "CPU of its snapshot child" Seconds false |m| m.child_cpu_s;
    "CPU of the replica" Seconds false |m| m.replica_cpu_s;
    "buffers of the primary, peak" Bytes false |m| m.primary_buffers_bytes as f64;
    "buffers of the replica, peak" Bytes false |m| m.replica_buffers_bytes as f64;
    "memory of the primary, peak" Bytes false |m| m.primary_rss_bytes as f64;
    "memory of the replica, peak" Bytes false |m| m.replica_rss_bytes as f64;
    "fork" Millis false |m| m.fork_ms;
    "full synchronisations begun" Count false |m| m.attempts as f64;
};

impl Report {
    /// Before the first round.
    pub(crate) fn new(options: &Options) -> Report {
        Report {
            machine: Machine::here(),
            command: options.command.clone(),
            settings: Settings {
                size_bytes: options.size_bytes,
                value_bytes: options.value_bytes,
                clients: options.clients,
                readers: options.readers,
                set_members: options.set_members,
                requests_max: options.requests_max,
                before_s: options.before_s,
                output_limit: options.output_limit.clone(),
                rounds: options.rounds,
            },
            pairings: options
                .pairings
                .iter()
                .map(|pairing| PairingRow {
                    name: pairing.name.clone(),
                    version: crate::node::version(&pairing.binary),
                    dual: pairing.dual,
                    ours: pairing.ours,
                })
                .collect(),
            rounds: Vec::new(),
        }
    }

    /// Scenarios of which there are rounds.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        Scenario::ALL
            .into_iter()
            .filter(|scenario| self.rounds.iter().any(|round| round.scenario == *scenario))
    }

    /// The rounds of a pairing.
    pub(crate) fn rounds_of(
        &self,
        scenario: Scenario,
        pairing: &str,
    ) -> impl Iterator<Item = &Round> {
        self.rounds
            .iter()
            .filter(move |round| round.scenario == scenario && round.pairing == pairing)
    }

    /// The median of a figure over the rounds that have it.
    pub(crate) fn median(&self, scenario: Scenario, pairing: &str, metric: &Metric) -> Option<f64> {
        median(
            self.rounds_of(scenario, pairing)
                .filter_map(|round| round.measured.as_ref())
                .map(metric.of),
        )
    }

    /// The median of our two channels, against the best of the peers' two channels.
    pub(crate) fn ratio(&self, scenario: Scenario, metric: &Metric) -> Option<f64> {
        let medians = |ours: bool| {
            self.pairings
                .iter()
                .filter(move |pairing| pairing.dual && pairing.ours == ours)
                .filter_map(move |pairing| self.median(scenario, &pairing.name, metric))
        };
        let theirs = if metric.unit == Unit::PerSecond {
            medians(false).reduce(f64::max)
        } else {
            medians(false).reduce(f64::min)
        }?;
        let ours = medians(true).next()?;
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// Rounds in which something went wrong.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(|round| round.failure.is_some())
    }

    /// Forgets how rounds went, but for that of each kind whose time is in the middle.
    pub(crate) fn keep_typical_series(&mut self) {
        let mut kept = Vec::new();
        for scenario in Scenario::ALL {
            for pairing in &self.pairings {
                let mut rounds: Vec<(f64, u32)> = self
                    .rounds_of(scenario, &pairing.name)
                    .filter_map(|round| Some((round.measured?.sync_s, round.round)))
                    .collect();
                rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
                if let Some((_, round)) = rounds.get(rounds.len().saturating_sub(1) / 2) {
                    kept.push((scenario, pairing.name.clone(), *round));
                }
            }
        }
        for round in &mut self.rounds {
            let typical = kept.iter().any(|(scenario, pairing, number)| {
                (*scenario, pairing.as_str(), *number)
                    == (round.scenario, round.pairing.as_str(), round.round)
            });
            if !typical {
                round.series.clear();
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three rounds of two pairings of ours and two of peers; the figures are told by name and round.
    pub(crate) fn sample() -> Report {
        let pairings = [
            ("ours-dual", true, true, 1.0),
            ("ours-classic", false, true, 4.0),
            ("reference-dual", true, false, 2.0),
            ("newer-dual", true, false, 3.0),
        ];
        let mut rounds = Vec::new();
        for round in 1..=3 {
            for (name, _, _, factor) in pairings {
                rounds.push(Round {
                    scenario: Scenario::Writes,
                    pairing: name.to_owned(),
                    round,
                    failure: None,
                    measured: Some(Measured {
                        sync_s: factor * f64::from(round),
                        writes_during: Latencies {
                            requests: 10,
                            per_second: 1000.0 / factor,
                            p50_ms: factor,
                            p99_ms: factor * 10.0,
                            p999_ms: factor * 20.0,
                            max_ms: factor * 30.0,
                        },
                        attempts: 1,
                        ..Measured::default()
                    }),
                    series: vec![
                        Point {
                            at_s: -0.1,
                            writes: 1,
                            p50_ms: Some(0.4),
                            p99_ms: Some(0.5),
                            primary_buffers_bytes: Some(1000),
                            replica_buffers_bytes: None,
                        },
                        Point {
                            at_s: 0.0,
                            writes: 0,
                            ..Point::default()
                        },
                    ],
                });
            }
        }
        Report {
            machine: Machine {
                processor: "A processor".to_owned(),
                cores: 2,
                memory_bytes: 8 << 30,
                kernel: "Linux 6".to_owned(),
                date: "2026-01-02".to_owned(),
            },
            command: "utils/bench/full-sync --size 50m".to_owned(),
            settings: Settings {
                size_bytes: 50 << 20,
                value_bytes: 200,
                clients: 50,
                readers: 10,
                set_members: 10_000,
                requests_max: 6_000_000,
                before_s: 5,
                output_limit: "0 0 0".to_owned(),
                rounds: 3,
            },
            pairings: pairings
                .map(|(name, dual, ours, _)| PairingRow {
                    name: name.to_owned(),
                    version: "1.2.3".to_owned(),
                    dual,
                    ours,
                })
                .to_vec(),
            rounds,
        }
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let report = sample();
        let text = serde_json::to_string(&report).expect("it is JSON");
        let again: Report = serde_json::from_str(&text).expect("it is ours");
        assert_eq!(again, report);
    }

    #[test]
    fn ratios_are_against_the_better_peer() {
        let report = sample();
        // Of times the least, of rates the most.
        assert_eq!(report.ratio(Scenario::Writes, &METRICS[0]), Some(0.5));
        let rate = METRICS
            .iter()
            .find(|metric| metric.unit == Unit::PerSecond)
            .expect("there are rates");
        assert_eq!(report.ratio(Scenario::Writes, rate), Some(2.0));
        assert_eq!(report.ratio(Scenario::Reads, &METRICS[0]), None);
    }

    #[test]
    fn the_series_of_the_round_in_the_middle_stays() {
        let mut report = sample();
        report.keep_typical_series();
        let with: Vec<u32> = report
            .rounds
            .iter()
            .filter(|round| !round.series.is_empty())
            .map(|round| round.round)
            .collect();
        assert_eq!(with, [2, 2, 2, 2]);
    }
}
