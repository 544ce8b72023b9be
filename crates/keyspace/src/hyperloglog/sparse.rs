//! Registers as runs of the same value: of no more than a few elements most registers are zero.
//!
//! ```text
//! 00llllll             a run of up to 64 zeros, its length minus one
//! 01llllll llllllll    a run of up to 16,384 zeros, its length minus one
//! 1vvvvvll             up to 4 times a value from 1 to 32, both minus one
//! ```
//!
//! The second byte of a long run that the end cuts off counts as zero, but such a run is never split.

use super::estimate::Histogram;
use super::{Corrupt, REGISTERS};

/// All registers zero.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

const ZEROS_MAX: usize = 64;
const VALUE_MAX: u8 = 32;
const REPEATS_MAX: usize = 4;

/// A run of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they hold.
    pub value: u8,
    /// How many they are.
    pub registers: usize,
    /// How many bytes say so.
    width: usize,
}

impl Run {
    /// Whether it is one of zeros in two bytes.
    #[must_use]
    pub fn is_long(self) -> bool {
        self.width == 2
    }
}

fn run_at(ops: &[u8], at: usize) -> Option<Run> {
    let first = *ops.get(at)?;
    let low = usize::from(first & 0x3f);
    Some(match first >> 6 {
        0 => Run {
            value: 0,
            registers: low + 1,
            width: 1,
        },
        1 => Run {
            value: 0,
            registers: (low << 8) + usize::from(ops.get(at + 1).copied().unwrap_or(0)) + 1,
            width: 2,
        },
        _ => Run {
            value: ((first >> 2) & 0x1f) + 1,
            registers: usize::from(first & 3) + 1,
            width: 1,
        },
    })
}

/// The runs in order.
pub fn runs(ops: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = run_at(ops, at)?;
        at += run.width;
        Some(run)
    })
}

pub(super) fn histogram(ops: &[u8]) -> Result<Histogram, Corrupt> {
    let mut histogram = Histogram::default();
    let mut total = 0;
    for run in runs(ops) {
        total += run.registers;
        if total > REGISTERS {
            return Err(Corrupt);
        }
        histogram.add(run.value, run.registers as u32);
    }
    if total == REGISTERS {
        Ok(histogram)
    } else {
        Err(Corrupt)
    }
}

/// Takes the runs' values into maxima. Values behind the last register are not looked at, as in the reference.
pub(super) fn merge(ops: &[u8], maxima: &mut [u8; REGISTERS]) -> Result<(), Corrupt> {
    let mut at = 0;
    for run in runs(ops) {
        let end = at + run.registers;
        if run.value == 0 {
            at = end;
            continue;
        }
        let Some(part) = maxima.get_mut(at..end) else {
            break;
        };
        for register in part {
            *register = run.value.max(*register);
        }
        at = end;
    }
    if at == REGISTERS {
        Ok(())
    } else {
        Err(Corrupt)
    }
}

/// What became of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It held as much before.
    Already,
    /// It holds the value now.
    Now,
    /// The value is too large, or the runs would be too long. Nothing has changed.
    NoRoom,
}

/// At most three runs that take the place of one.
#[derive(Default)]
struct Pieces {
    bytes: [u8; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// A run of `value` that may be empty.
    fn push_run(&mut self, value: u8, registers: usize) {
        let Some(less_one) = registers.checked_sub(1) else {
            return;
        };
        match value {
            0 if registers <= ZEROS_MAX => self.push(less_one as u8),
            0 => {
                self.push(0x40 | (less_one >> 8) as u8);
                self.push(less_one as u8);
            }
            _ => self.push(value_byte(value, registers)),
        }
    }
}

/// A run of 1 to 4 registers that hold 1 to 32.
fn value_byte(value: u8, registers: usize) -> u8 {
    0x80 | ((value - 1) << 2) | (registers - 1) as u8
}

/// Makes a register at least `value`; the runs are those behind `start`, and grow to no more than `ops_max` bytes.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    index: usize,
    value: u8,
    ops_max: usize,
) -> Result<Raised, Corrupt> {
    if value > VALUE_MAX {
        return Ok(Raised::NoRoom);
    }
    let ops = &bytes[start..];
    let (mut at, mut first, mut before) = (0, 0, None);
    let run = loop {
        let run = run_at(ops, at).ok_or(Corrupt)?;
        if index < first + run.registers {
            break run;
        }
        before = Some(at);
        at += run.width;
        first += run.registers;
    };
    if at + run.width > ops.len() {
        return Err(Corrupt);
    }
    if run.value >= value {
        return Ok(Raised::Already);
    }
    let mut pieces = Pieces::default();
    pieces.push_run(run.value, index - first);
    pieces.push_run(value, 1);
    pieces.push_run(run.value, first + run.registers - 1 - index);
    let pieces = &pieces.bytes[..pieces.len];
    if pieces.len() > run.width && ops.len() + pieces.len() - run.width > ops_max {
        return Ok(Raised::NoRoom);
    }
    let from = start + at;
    bytes.splice(from..from + run.width, pieces.iter().copied());
    join(bytes, start + before.unwrap_or(at));
    Ok(Raised::Now)
}

/// Joins neighbours of one value where a change may have made them so: in the five steps from the run before it on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(run) = run_at(bytes, at) else {
            return;
        };
        if run.value != 0
            && let Some(next) = run_at(bytes, at + 1)
            && next.value == run.value
            && run.registers + next.registers <= REPEATS_MAX
        {
            bytes[at + 1] = value_byte(run.value, run.registers + next.registers);
            bytes.remove(at);
        } else {
            at += run.width;
        }
    }
}
