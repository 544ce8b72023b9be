//! Counters that INFO shows.

use std::collections::BTreeMap;

/// Distinct error codes beyond which those that scripts make up are counted together.
const ERROR_CODES_MAX: usize = 128;
/// What those are called.
const TOO_MANY_CODES: &str = "ERRORSTATS_OVERFLOW";

/// One command's counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandStats {
    /// Times run.
    pub calls: u64,
    /// Time in all, in nanoseconds.
    pub nanos: u64,
    /// Refused before running.
    pub rejected: u64,
    /// Ran and replied with an error.
    pub failed: u64,
}

/// All counters.
#[derive(Debug)]
pub struct Stats {
    /// Per command, by [`commandtable::CommandInfo::id`].
    pub commands: Vec<CommandStats>,
    /// Durations per command, by the same index; made at the first call.
    pub latency: Vec<Option<Box<Histogram>>>,
    /// Error replies by code.
    pub errors: BTreeMap<String, u64>,
    /// Error replies.
    pub error_replies: u64,
    /// Those of them that have been charged to a command.
    pub charged_errors: u64,
    /// Error replies that a primary or replica should never have seen.
    pub unexpected_error_replies: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused for want of room.
    pub rejected_connections: u64,
    /// Commands processed.
    pub processed: u64,
    /// Bytes read from clients.
    pub net_in: u64,
    /// Bytes written to clients.
    pub net_out: u64,
    /// Bytes read from our primary.
    pub net_repl_in: u64,
    /// Bytes written to replicas, snapshots included.
    pub net_repl_out: u64,
    /// How long writers were held up for replicas that synchronise, in milliseconds.
    pub paced_ms: u64,
    /// Commands that were held up so.
    pub paced_commands: u64,
    /// Batches of requests read.
    pub reads: u64,
    /// Batches of replies written.
    pub writes: u64,
    /// Clients closed because their query buffer grew too large.
    pub query_buffer_disconnections: u64,
    /// Clients closed because their output buffer grew too large.
    pub output_buffer_disconnections: u64,
    /// Clients closed for `maxmemory-clients`.
    pub evicted_clients: u64,
    /// Children started.
    pub forks: u64,
    /// Microseconds the last fork took.
    pub last_fork_us: u64,
    /// Active expire cycles that ran out of time.
    pub expire_cap_reached: u64,
    /// Estimated share of keys that have expired but are still there, in percent.
    pub expired_stale_percent: f64,
    /// CPU nanoseconds spent in the active expire cycle.
    pub expire_cycle_ns: u64,
    /// Nanoseconds memory was above `maxmemory`, up to the last time it came below.
    pub over_limit_ns: u64,
    /// Since when it is above, in monotonic nanoseconds.
    pub over_limit_since_ns: Option<u64>,
    /// Largest memory use seen, in bytes.
    pub peak_memory: usize,
    /// Handlers that panicked: must stay 0.
    pub panics_caught: u64,
    /// Rates over the last seconds.
    pub rates: Rates,
    /// Turns of connection tasks, their duration and the part spent in commands, in microseconds.
    pub loop_cycles: u64,
    /// See `loop_cycles`.
    pub loop_us: u64,
    /// See `loop_cycles`.
    pub loop_command_us: u64,
    /// What [`LogFigures::loop_us`](crate::host::LogFigures::loop_us) was when counting began.
    pub log_us_before: u64,
    /// The longest turn.
    pub loop_us_max: u64,
    /// Most commands in one turn.
    pub loop_commands_max: u64,
    /// Time of the timer's turns, in microseconds.
    pub cron_us: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            commands: vec![CommandStats::default(); commandtable::COUNT],
            latency: (0..commandtable::COUNT).map(|_| None).collect(),
            errors: BTreeMap::new(),
            error_replies: 0,
            charged_errors: 0,
            unexpected_error_replies: 0,
            connections: 0,
            rejected_connections: 0,
            processed: 0,
            net_in: 0,
            net_out: 0,
            net_repl_in: 0,
            net_repl_out: 0,
            paced_ms: 0,
            paced_commands: 0,
            reads: 0,
            writes: 0,
            query_buffer_disconnections: 0,
            output_buffer_disconnections: 0,
            evicted_clients: 0,
            forks: 0,
            last_fork_us: 0,
            expire_cap_reached: 0,
            expired_stale_percent: 0.0,
            expire_cycle_ns: 0,
            over_limit_ns: 0,
            over_limit_since_ns: None,
            peak_memory: 0,
            panics_caught: 0,
            rates: Rates::default(),
            loop_cycles: 0,
            loop_us: 0,
            log_us_before: 0,
            loop_command_us: 0,
            loop_us_max: 0,
            loop_commands_max: 0,
            cron_us: 0,
        }
    }
}

impl Stats {
    /// Counts an error reply whose code is one of ours.
    #[cold]
    pub fn count_error(&mut self, code: &str) {
        self.error_replies += 1;
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else {
            self.errors.insert(code.to_owned(), 1);
        }
    }

    /// Counts an error reply whose code a script has made up.
    #[cold]
    pub fn count_made_up_error(&mut self, code: &str) {
        if self.errors.len() >= ERROR_CODES_MAX && !self.errors.contains_key(code) {
            self.count_error(TOO_MANY_CODES);
        } else {
            self.count_error(code);
        }
    }

    /// True when there were error replies since the last call.
    pub fn charge_errors(&mut self) -> bool {
        let charged = std::mem::replace(&mut self.charged_errors, self.error_replies);
        charged != self.error_replies
    }

    /// An error that a command inside of the running one has been charged with is one of the running command, too.
    pub fn charge_again(&mut self) {
        self.charged_errors = self.error_replies.wrapping_sub(1);
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        let peak_memory = self.peak_memory;
        *self = Stats {
            peak_memory,
            ..Stats::default()
        };
    }
}

/// Samples kept for an instantaneous rate.
const RATE_SAMPLES: usize = 16;

/// Events per second, averaged over the last samples of a timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    samples: [f64; RATE_SAMPLES],
    next: usize,
    last_total: u64,
    last_ms: i64,
}

impl Rate {
    /// Takes a sample of a counter that only grows.
    pub fn sample(&mut self, total: u64, now_ms: i64) {
        if self.last_ms != 0 {
            let elapsed = (now_ms - self.last_ms).max(1) as f64;
            let delta = total.saturating_sub(self.last_total) as f64;
            self.samples[self.next] = delta * 1000.0 / elapsed;
            self.next = (self.next + 1) % RATE_SAMPLES;
        }
        self.last_total = total;
        self.last_ms = now_ms;
    }

    /// The average.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.samples.iter().sum::<f64>() / RATE_SAMPLES as f64
    }
}

/// The rates that INFO shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Commands.
    pub commands: Rate,
    /// Bytes read.
    pub net_in: Rate,
    /// Bytes written.
    pub net_out: Rate,
    /// Bytes from our primary.
    pub repl_in: Rate,
    /// Bytes to replicas.
    pub repl_out: Rate,
    /// Turns of connection tasks.
    pub loops: Rate,
}

/// Durations below this many nanoseconds are counted exactly.
const EXACT: usize = 256;
/// Sub-buckets per power of two above: values are told apart to 1/128, two significant digits.
const SUB_BUCKETS: usize = EXACT / 2;
/// Durations above one second count as one second.
const DURATION_NS_MAX: u64 = 1_000_000_000;
/// Powers of two from `EXACT` up to the maximum.
const POWERS: usize = 22;

/// A histogram of durations with two significant digits, from 1 ns to 1 s.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// `EXACT` single values, then `SUB_BUCKETS` for each power of two.
    counts: [u32; EXACT + SUB_BUCKETS * POWERS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: [0; EXACT + SUB_BUCKETS * POWERS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        let nanos = nanos.min(DURATION_NS_MAX);
        let counter = &mut self.counts[Self::index(nanos)];
        *counter = counter.saturating_add(1);
        self.total += 1;
    }

    /// Example: 1000 = 0b11_1110_1000 has ten bits; shifted right by two it is 250, in 128..256. Its bucket is the
    /// 122nd of the second power: `SUB_BUCKETS * 2 + 250` = 506.
    #[inline]
    fn index(nanos: u64) -> usize {
        let bits = 64 - (nanos | (EXACT as u64 - 1)).leading_zeros() as usize;
        let shift = bits - EXACT.ilog2() as usize;
        SUB_BUCKETS * shift + (nanos >> shift) as usize
    }

    /// Upper end of a bucket, in nanoseconds.
    fn upper(index: usize) -> u64 {
        let Some(above) = index.checked_sub(EXACT) else {
            return index as u64;
        };
        let shift = above / SUB_BUCKETS + 1;
        let mantissa = (SUB_BUCKETS + above % SUB_BUCKETS) as u64;
        ((mantissa + 1) << shift) - 1
    }

    /// Number of durations counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration, in nanoseconds, that `percent` of all do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent.clamp(0.0, 100.0) / 100.0 * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Self::upper(index);
            }
        }
        0
    }

    /// Cumulative counts as LATENCY HISTOGRAM prints them: bounds in microseconds, about powers of two (a power of two
    /// in nanoseconds and the rest of its bucket), and only where the count has grown.
    #[must_use]
    pub fn cumulative_by_power_of_two_us(&self) -> Vec<(u64, u64)> {
        let mut rows: Vec<(u64, u64)> = Vec::new();
        let (mut bound_ns, mut seen, mut told) = (1024u64, 0u64, 0u64);
        let end = |bound_ns: u64| Self::upper(Self::index(bound_ns));
        let used = self.counts.iter().enumerate();
        for (index, count) in used.filter(|(_, count)| **count > 0) {
            while Self::upper(index) > end(bound_ns) {
                if seen > told {
                    rows.push((end(bound_ns) / 1000, seen));
                    told = seen;
                }
                bound_ns *= 2;
            }
            seen += u64::from(*count);
        }
        if seen > told {
            rows.push((end(bound_ns) / 1000, seen));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_histogram_keeps_two_digits() {
        for nanos in [
            1u64,
            63,
            64,
            65,
            127,
            128,
            1000,
            12_345,
            999_999,
            123_456_789,
            1_000_000_000,
        ] {
            let mut histogram = Histogram::default();
            histogram.record(nanos);
            let back = histogram.percentile(50.0);
            assert!(
                back >= nanos && back - nanos <= nanos / 128,
                "{nanos} gave {back}"
            );
        }
    }

    #[test]
    fn percentiles_split_the_counts() {
        let mut histogram = Histogram::default();
        histogram.record(33_000);
        histogram.record(900);
        assert_eq!(histogram.cumulative_by_power_of_two_us(), [(1, 1), (33, 2)]);
        let mut histogram = Histogram::default();
        for micro in 1..=100 {
            histogram.record(micro * 1000);
        }
        let median = histogram.percentile(50.0);
        assert!((49_000..53_000).contains(&median), "{median}");
        assert!(histogram.percentile(100.0) >= 100_000);
        assert_eq!(
            histogram
                .cumulative_by_power_of_two_us()
                .last()
                .map(|row| row.1),
            Some(100)
        );
    }
}
