//! `latency-tracking-info-percentiles`: which percentiles INFO shows.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::Setting;

/// Percentiles, each from 0 to 100, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Default for Percentiles {
    fn default() -> Self {
        Self(vec![50.0, 99.0, 99.9])
    }
}

impl Percentiles {
    /// How a percentile is written: up to six decimals, none that are zero at the end.
    pub fn label(percentile: f64) -> String {
        let fixed = format!("{percentile:.6}");
        fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Setting for Percentiles {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        args.iter()
            .map(|word| percentile(word))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        let labels: Vec<String> = self.0.iter().copied().map(Self::label).collect();
        labels.join(" ").into_bytes()
    }
}

fn percentile(word: &[u8]) -> Result<f64, Problem> {
    let value = std::str::from_utf8(word)
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    match value {
        Some(value) if (0.0..=100.0).contains(&value) => Ok(value),
        Some(value) if !value.is_nan() => Err(Problem::PercentileRange),
        _ => Err(Problem::Percentile),
    }
}
