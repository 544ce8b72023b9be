//! A round: a primary with data and under load, and a replica that comes.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use crate::client::{Client, Info, encode};
use crate::load::{Answered, Load, Random, micros};
use crate::node::{Node, pause};
use crate::options::{Options, Pairing};
use crate::process;
use crate::progress::Progress;
use crate::record::{Measured, Point, Round, Scenario};
use crate::stats::{Latencies, percentile};

/// What a key and its value cost in a snapshot beyond the value: the key, its type and the two lengths.
const KEY_BYTES: u64 = 20;
/// Requests that are sent before their replies are read, while the dataset is made.
const FILL_BATCH: u64 = 500;
/// Random bytes that values are windows of.
const NOISE_BYTES: usize = 1 << 20;
/// Members of a set that are added at once.
const MEMBERS_AT_ONCE: u32 = 100;
/// Width of a point of the series.
const POINT: Duration = Duration::from_millis(100);
/// How long the servers may take to be quiet in the end.
const QUIET_TIME_MAX: Duration = Duration::from_secs(120);

/// A round to be run.
pub(crate) struct Step {
    scenario: Scenario,
    pairing: Pairing,
    round: u32,
}

impl Step {
    /// For the line of progress.
    pub(crate) fn title(&self) -> String {
        format!(
            "{}, round {}, {}",
            self.scenario.name(),
            self.round,
            self.pairing.name
        )
    }
}

/// All rounds: pairings take turns, another one first in each round.
pub(crate) fn plan(options: &Options) -> Vec<Step> {
    let mut steps = Vec::new();
    for &scenario in &options.scenarios {
        for round in 1..=options.rounds {
            let mut pairings = options.pairings.clone();
            let first = (round - 1) as usize % pairings.len().max(1);
            pairings.rotate_left(first);
            steps.extend(pairings.into_iter().map(|pairing| Step {
                scenario,
                pairing,
                round,
            }));
        }
    }
    steps
}

/// Runs a round; what went wrong is part of the result.
pub(crate) fn run(step: &Step, options: &Options, progress: &mut Progress) -> Round {
    let mut round = Round {
        scenario: step.scenario,
        pairing: step.pairing.name.clone(),
        round: step.round,
        failure: None,
        measured: None,
        series: Vec::new(),
    };
    round.failure = attempt(step, options, progress, &mut round)
        .err()
        .map(|error| error.to_string());
    round
}

fn attempt(
    step: &Step,
    options: &Options,
    progress: &mut Progress,
    round: &mut Round,
) -> Result<(), Box<dyn Error>> {
    let binary = &step.pairing.binary;
    let limit = format!("replica {}", options.output_limit);
    let channels = if step.pairing.dual { "yes" } else { "no" };
    let parameters = [
        ("repl-diskless-sync", "yes"),
        ("repl-diskless-sync-delay", "0"),
        // Both ways of synchronising feed the parser directly, so that they differ in the channels alone.
        ("repl-diskless-load", "swapdb"),
        ("dual-channel-replication-enabled", channels),
        ("client-output-buffer-limit", &limit),
    ];
    let second_port = match options.base_port {
        0 => 0,
        port => port + 1,
    };
    let primary = Node::start(binary, options.base_port, &parameters)?;
    let replica = Node::start(binary, second_port, &parameters)?;

    fill(&primary, options, step.scenario, progress)?;
    let readers = match step.scenario {
        Scenario::Writes => 0,
        Scenario::Reads => options.readers,
    };
    let load = Load::start(
        primary.port,
        options.clients - readers,
        readers,
        options.requests_max,
    )?;
    let mut watch = Watch::new(&primary, &replica, load.begin)?;
    let watched = watch.all(options, progress);
    let outcome = load.stop();
    let Watched { began, figures } = watched.map_err(|error| {
        format!(
            "{error}; primary: {}; replica: {}",
            primary.log(),
            replica.log()
        )
    })?;

    let ended = began + Duration::from_secs_f64(figures.sync_s);
    let cut = |answered: &[Answered], from: Duration, to: Duration| {
        let within = answered
            .iter()
            .filter(|one| (micros(from)..micros(to)).contains(&one.at_us));
        Latencies::of(
            within.map(|one| one.took_us).collect(),
            (to - from).as_secs_f64(),
        )
    };
    round.measured = Some(Measured {
        writes_before: cut(&outcome.writes, Duration::ZERO, began),
        writes_during: cut(&outcome.writes, began, ended),
        reads_before: cut(&outcome.reads, Duration::ZERO, began),
        reads_during: cut(&outcome.reads, began, ended),
        ..figures
    });
    round.series = series(&outcome.writes, &watch.samples, began, ended);
    if let Some(error) = outcome.error {
        return Err(error.into());
    }
    progress.tell("compares digests");
    compare(&mut watch.primary, &mut watch.replica)
}

/// Makes a dataset whose snapshot has about the size that was asked for: strings of noise, and two sets.
fn fill(
    primary: &Node,
    options: &Options,
    scenario: Scenario,
    progress: &mut Progress,
) -> Result<(), Box<dyn Error>> {
    let mut client = primary.client()?;
    let mut random = Random::new(2);
    let value_bytes = options.value_bytes as usize;
    let noise: Vec<u8> = std::iter::repeat_with(|| random.next().to_le_bytes())
        .take((NOISE_BYTES + value_bytes).div_ceil(8))
        .flatten()
        .collect();
    let keys = (options.size_bytes / (u64::from(options.value_bytes) + KEY_BYTES)).max(1);
    let mut batch = Vec::new();
    for begin in (0..keys).step_by(FILL_BATCH as usize) {
        let end = (begin + FILL_BATCH).min(keys);
        batch.clear();
        for key in begin..end {
            let at = (random.next() % NOISE_BYTES as u64) as usize;
            let key = format!("key:{key:012}");
            encode(
                &mut batch,
                &[b"SET", key.as_bytes(), &noise[at..at + value_bytes]],
            );
        }
        client.send(&batch)?;
        for _ in begin..end {
            client.reply()?;
        }
        if begin % (FILL_BATCH * 100) == 0 {
            progress.tell(&format!("fills, {} %", begin * 100 / keys));
        }
    }
    if scenario == Scenario::Reads {
        for (key, first) in [("set:a", 0), ("set:b", options.set_members / 2)] {
            for begin in (0..options.set_members).step_by(MEMBERS_AT_ONCE as usize) {
                let end = (begin + MEMBERS_AT_ONCE).min(options.set_members);
                let members: Vec<String> = (begin..end)
                    .map(|number| format!("member:{:08}", first + number))
                    .collect();
                let mut args = vec!["SADD", key];
                args.extend(members.iter().map(String::as_str));
                client.call(&args)?;
            }
        }
    }
    Ok(())
}

/// What is seen of both servers at one time.
struct Sample {
    /// Since the load began.
    at: Duration,
    primary_buffers_bytes: u64,
    replica_buffers_bytes: u64,
}

/// What came of watching.
struct Watched {
    /// When REPLICAOF was sent, since the load began.
    began: Duration,
    /// All figures but those of the load.
    figures: Measured,
}

/// Looks at both servers again and again.
struct Watch {
    primary: Client,
    replica: Client,
    primary_pid: u32,
    replica_pid: u32,
    primary_port: u16,
    /// When the load began.
    begin: Instant,
    samples: Vec<Sample>,
    /// The snapshot's process, as it was last seen.
    child: Option<u32>,
    /// Its processor time then.
    child_cpu_s: f64,
}

impl Watch {
    fn new(primary: &Node, replica: &Node, begin: Instant) -> Result<Watch, Box<dyn Error>> {
        Ok(Watch {
            primary: primary.client()?,
            replica: replica.client()?,
            primary_pid: primary.pid(),
            replica_pid: replica.pid(),
            primary_port: primary.port,
            begin,
            samples: Vec::new(),
            child: None,
            child_cpu_s: 0.0,
        })
    }

    /// Watches the load alone, then the synchronisation.
    fn all(
        &mut self,
        options: &Options,
        progress: &mut Progress,
    ) -> Result<Watched, Box<dyn Error>> {
        let before = Duration::from_secs(options.before_s.into());
        while self.begin.elapsed() < before {
            self.look()?;
            progress.tell("load alone");
            pause();
        }
        for pid in [self.primary_pid, self.replica_pid] {
            process::forget_peak(pid)?;
        }
        let gone = "a server has ended";
        let primary_before = process::times(self.primary_pid).ok_or(gone)?;
        let replica_before = process::times(self.replica_pid).ok_or(gone)?;
        let began = self.begin.elapsed();
        let port = self.primary_port.to_string();
        self.replica.call(&["REPLICAOF", "127.0.0.1", &port])?;
        let limit = began + Duration::from_secs(options.sync_s_max.into());
        self.wait_until_caught_up(limit, progress)?;
        let sync = self.begin.elapsed() - began;
        let primary_after = process::times(self.primary_pid).ok_or(gone)?;
        let replica_after = process::times(self.replica_pid).ok_or(gone)?;
        // What a child has used is known for certain once it has been waited for.
        let (mut above, mut below) = self.look()?;
        while above.number("rdb_bgsave_in_progress") == 1 && self.begin.elapsed() < limit {
            pause();
            (above, below) = self.look()?;
        }
        let children_s =
            process::times(self.primary_pid).ok_or(gone)?.children_s - primary_before.children_s;
        let peak = |of: fn(&Sample) -> u64| self.samples.iter().map(of).max().unwrap_or(0);
        let figures = Measured {
            sync_s: sync.as_secs_f64(),
            primary_cpu_s: primary_after.own_s - primary_before.own_s,
            child_cpu_s: children_s.max(self.child_cpu_s),
            replica_cpu_s: replica_after.own_s - replica_before.own_s,
            primary_buffers_bytes: peak(|sample| sample.primary_buffers_bytes),
            replica_buffers_bytes: peak(|sample| sample.replica_buffers_bytes)
                .max(below.number("replicas_repl_buffer_peak")),
            primary_rss_bytes: process::peak_bytes(self.primary_pid).ok_or(gone)?,
            replica_rss_bytes: process::peak_bytes(self.replica_pid).ok_or(gone)?,
            fork_ms: above.number("latest_fork_usec") as f64 / 1000.0,
            attempts: above.number("sync_full"),
            ..Measured::default()
        };
        Ok(Watched { began, figures })
    }

    /// Until the replica has what the primary had at the moment when it was online.
    fn wait_until_caught_up(
        &mut self,
        limit: Duration,
        progress: &mut Progress,
    ) -> Result<(), Box<dyn Error>> {
        let mut goal = None;
        loop {
            let (above, below) = self.look()?;
            let up = below.text("master_link_status") == "up";
            let online = above.text("slave0").contains("state=online");
            if goal.is_none() && up && online {
                goal = Some(above.number("master_repl_offset"));
            }
            if goal.is_some_and(|goal| below.number("slave_repl_offset") >= goal) {
                return Ok(());
            }
            if self.begin.elapsed() > limit {
                return Err("the synchronisation took too long".into());
            }
            let mb = |bytes: u64| bytes / 1_000_000;
            progress.tell(&format!(
                "synchronises, {} MB, buffers {} + {} MB",
                mb(below.number("master_sync_read_bytes")),
                mb(above.number("mem_total_replication_buffers")),
                mb(below.number("replicas_repl_buffer_size")),
            ));
            pause();
        }
    }

    fn look(&mut self) -> io::Result<(Info, Info)> {
        let above = self.primary.info()?;
        let below = self.replica.info()?;
        if above.number("rdb_bgsave_in_progress") == 1 {
            // One may follow another, when a synchronisation is repeated.
            let known = self.child.filter(|child| process::times(*child).is_some());
            self.child = known.or_else(|| process::children(self.primary_pid).pop());
            let times = self.child.and_then(process::times).unwrap_or_default();
            self.child_cpu_s = self.child_cpu_s.max(times.own_s);
        }
        self.samples.push(Sample {
            at: self.begin.elapsed(),
            primary_buffers_bytes: above.number("mem_total_replication_buffers"),
            replica_buffers_bytes: below.number("replicas_repl_buffer_size"),
        });
        Ok((above, below))
    }
}

/// The replica has all that the primary has, and it is the same.
fn compare(primary: &mut Client, replica: &mut Client) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    loop {
        let goal = primary.info()?.number("master_repl_offset");
        if replica.info()?.number("slave_repl_offset") == goal {
            break;
        }
        if begin.elapsed() > QUIET_TIME_MAX {
            return Err("the replica never had the whole stream".into());
        }
        pause();
    }
    let digests = [
        primary.call(&["DEBUG", "DIGEST"])?,
        replica.call(&["DEBUG", "DIGEST"])?,
    ];
    if digests[0] != digests[1] {
        return Err(format!("the digests differ: {digests:?}").into());
    }
    Ok(())
}

/// How it went, in tenths of seconds around the moment when REPLICAOF was sent.
fn series(writes: &[Answered], samples: &[Sample], began: Duration, ended: Duration) -> Vec<Point> {
    let width = micros(POINT);
    // Points are counted from the begin of the one that REPLICAOF opens.
    let offset = micros(began) % width;
    let number = |at_us: u64| (at_us + width - offset) / width;
    let count = number(micros(ended)) + 1;
    let mut took_us: Vec<Vec<u32>> = vec![Vec::new(); usize::try_from(count).unwrap_or(0)];
    let mut points = vec![Point::default(); took_us.len()];
    let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    for write in writes {
        if let Some(took_us) = took_us.get_mut(at(number(write.at_us))) {
            took_us.push(write.took_us);
        }
    }
    for sample in samples {
        if let Some(point) = points.get_mut(at(number(micros(sample.at)))) {
            let larger = |old: Option<u64>, new: u64| Some(old.map_or(new, |old| old.max(new)));
            point.primary_buffers_bytes =
                larger(point.primary_buffers_bytes, sample.primary_buffers_bytes);
            point.replica_buffers_bytes =
                larger(point.replica_buffers_bytes, sample.replica_buffers_bytes);
        }
    }
    let first = number(micros(began)) as f64;
    for (number, (point, mut took_us)) in points.iter_mut().zip(took_us).enumerate() {
        took_us.sort_unstable();
        let ms = |part| percentile(&took_us, part).map(|us| f64::from(us) / 1000.0);
        let tenths = number as f64 - first;
        point.at_s = tenths / 10.0;
        point.writes = took_us.len() as u64;
        point.p50_ms = ms(0.5);
        point.p99_ms = ms(0.99);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_cut_where_the_replica_came() {
        let write = |at_us, took_us| Answered { at_us, took_us };
        let writes = [
            write(10_000, 100),
            write(249_000, 200),
            write(251_000, 1000),
            write(252_000, 3000),
            write(700_000, 9000),
        ];
        let samples = [Sample {
            at: Duration::from_millis(260),
            primary_buffers_bytes: 7,
            replica_buffers_bytes: 8,
        }];
        let points = series(
            &writes,
            &samples,
            Duration::from_millis(250),
            Duration::from_millis(449),
        );
        let begins: Vec<f64> = points.iter().map(|point| point.at_s).collect();
        assert_eq!(begins, [-0.3, -0.2, -0.1, 0.0, 0.1]);
        let counts: Vec<u64> = points.iter().map(|point| point.writes).collect();
        assert_eq!(counts, [1, 0, 1, 2, 0]);
        assert_eq!(points[3].p50_ms, Some(1.0));
        assert_eq!(points[3].p99_ms, Some(3.0));
        assert_eq!(points[3].primary_buffers_bytes, Some(7));
        assert_eq!(points[4].p99_ms, None);
    }

    #[test]
    fn another_pairing_is_first_in_each_round() {
        let pairing = |name: &str| Pairing {
            name: name.to_owned(),
            binary: "x".into(),
            dual: true,
            ours: true,
        };
        let options = Options {
            size_bytes: 1,
            value_bytes: 1,
            rounds: 3,
            scenarios: vec![Scenario::Writes],
            pairings: vec![pairing("a"), pairing("b")],
            clients: 2,
            readers: 1,
            set_members: 1,
            requests_max: 1,
            before_s: 1,
            sync_s_max: 1,
            output_limit: String::new(),
            out: "x".into(),
            base_port: 0,
            page_only: false,
            command: String::new(),
        };
        let titles: Vec<String> = plan(&options).iter().map(Step::title).collect();
        assert_eq!(
            titles,
            [
                "writes, round 1, a",
                "writes, round 1, b",
                "writes, round 2, b",
                "writes, round 2, a",
                "writes, round 3, a",
                "writes, round 3, b",
            ]
        );
    }
}
