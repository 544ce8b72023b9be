//! Percentiles and medians.

use serde::{Deserialize, Serialize};

/// How long requests took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// How many there were.
    pub(crate) requests: u64,
    /// How many in a second.
    pub(crate) per_second: f64,
    /// Half of them took at most this.
    pub(crate) p50_ms: f64,
    /// 99 of 100.
    pub(crate) p99_ms: f64,
    /// 999 of 1000.
    pub(crate) p999_ms: f64,
    /// All of them.
    pub(crate) max_ms: f64,
}

impl Latencies {
    /// Of requests that ended within `seconds`, their times in microseconds in any order.
    pub(crate) fn of(mut took_us: Vec<u32>, seconds: f64) -> Latencies {
        took_us.sort_unstable();
        let ms = |part| f64::from(percentile(&took_us, part).unwrap_or(0)) / 1000.0;
        Latencies {
            requests: took_us.len() as u64,
            per_second: if seconds > 0.0 {
                took_us.len() as f64 / seconds
            } else {
                0.0
            },
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
        }
    }
}

/// The smallest of the values such that this part of all is not larger (the nearest rank); none of no values.
pub(crate) fn percentile(sorted: &[u32], part: f64) -> Option<u32> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .or_else(|| sorted.last())
        .copied()
}

/// The middle one, or the mean of the two in the middle; none of no values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=1000).collect();
        assert_eq!(percentile(&values, 0.5), Some(500));
        assert_eq!(percentile(&values, 0.99), Some(990));
        assert_eq!(percentile(&values, 0.999), Some(999));
        assert_eq!(percentile(&values, 1.0), Some(1000));
        assert_eq!(percentile(&values, 0.0), Some(1));
        assert_eq!(percentile(&[7], 0.999), Some(7));
        assert_eq!(percentile(&[1, 2], 0.5), Some(1));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median([5.0]), Some(5.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn latencies_are_told_in_milliseconds() {
        let latencies = Latencies::of(vec![3000, 1000, 2000, 100_000], 2.0);
        assert_eq!(
            latencies,
            Latencies {
                requests: 4,
                per_second: 2.0,
                p50_ms: 2.0,
                p99_ms: 100.0,
                p999_ms: 100.0,
                max_ms: 100.0,
            }
        );
        assert_eq!(Latencies::of(Vec::new(), 0.0), Latencies::default());
    }
}
