//! Latency spikes: what took longer than `latency-monitor-threshold`, by event, for the LATENCY command.

use std::collections::{BTreeMap, VecDeque};

/// Samples kept per event.
pub const SAMPLES_MAX: usize = 160;

/// One spike; the worst of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Unix seconds.
    pub at: i64,
    /// Milliseconds it took.
    pub ms: i64,
}

/// The spikes of one event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// The worst ever, in milliseconds.
    pub max_ms: i64,
}

/// All events. Their names are fixed words of this crate, so their number needs no bound.
#[derive(Clone, Debug, Default)]
pub struct LatencyLog {
    /// By name of the event.
    pub events: BTreeMap<&'static str, Series>,
}

impl LatencyLog {
    /// Notes a spike.
    #[cold]
    pub fn add(&mut self, event: &'static str, at: i64, ms: i64) {
        let series = self.events.entry(event).or_default();
        series.max_ms = series.max_ms.max(ms);
        match series.samples.back_mut() {
            Some(last) if last.at == at => last.ms = last.ms.max(ms),
            _ => {
                if series.samples.len() == SAMPLES_MAX {
                    series.samples.pop_front();
                }
                series.samples.push_back(Sample { at, ms });
            }
        }
    }

    /// The spikes of an event, named in any case.
    #[must_use]
    pub fn find(&self, event: &[u8]) -> Option<(&'static str, &Series)> {
        let (name, series) = self
            .events
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event))?;
        Some((name, series))
    }
}

#[cfg(test)]
mod tests {
    use super::{LatencyLog, SAMPLES_MAX, Sample};

    #[test]
    fn a_second_keeps_its_worst_spike_and_old_ones_go() {
        let mut log = LatencyLog::default();
        log.add("command", 1, 5);
        log.add("command", 1, 9);
        log.add("command", 1, 7);
        let series = log.find(b"COMMAND").expect("there is one").1;
        assert_eq!(series.samples, [Sample { at: 1, ms: 9 }]);
        for at in 2..1000 {
            log.add("command", at, 1);
        }
        let series = &log.events["command"];
        assert_eq!((series.samples.len(), series.max_ms), (SAMPLES_MAX, 9));
    }
}
