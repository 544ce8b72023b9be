//! From registers to an estimate: the improved raw estimator, which needs no tables and no correction of its bias.
//!
//! Source: O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6, from which
//! the names of the functions are.

use super::{REGISTERS, RUN_BITS};

/// How many registers hold each value. Six bits hold more values than a hash can give; those have no part in the estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// So many registers for each value.
    pub(super) fn new(counts: [u32; 64]) -> Self {
        Histogram(counts)
    }

    pub(super) fn add(&mut self, value: u8, registers: u32) {
        self.0[usize::from(value % 64)] += registers;
    }
}

/// Two to the power of 63.
const OVERFLOW: f64 = 9_223_372_036_854_775_808.0;

pub(super) fn count(histogram: &Histogram) -> u64 {
    let m = REGISTERS as f64;
    let share = |registers: f64| registers / m;
    let largest = RUN_BITS as usize + 1;
    let mut z = m * tau(share(m - f64::from(histogram.0[largest])));
    for registers in histogram.0[1..largest].iter().rev() {
        z += f64::from(*registers);
        z *= 0.5;
    }
    z += m * sigma(share(f64::from(histogram.0[0])));
    // 1 / (2 ln 2), the limit of the constant for many registers.
    let alpha = std::f64::consts::LOG2_E / 2.0;
    let estimate = (alpha * m * m / z).round();
    if estimate < OVERFLOW {
        estimate as u64
    } else {
        // No elements give such registers. The reference's conversion overflows to this.
        1 << 63
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let mut y = 1.0;
    let mut z = x;
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let mut y = 1.0;
    let mut z = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
