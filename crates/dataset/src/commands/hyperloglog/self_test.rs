//! PFSELFTEST: whether registers and estimates are what they must be on this machine.

use crate::call::{Args, Call};
use commandtable::{Error, Outcome};
use keyspace::Rng;
use keyspace::hyperloglog::{Corrupt, Form, HyperLogLogMut, REGISTERS};

/// Elements that are counted. Everybody waits meanwhile.
const ELEMENTS: u64 = 500_000;

/// Bytes of a sparse one.
const SPARSE_MAX: usize = 3000;

/// Standard errors that an estimate may be off.
const ERRORS_MAX: f64 = 6.0;

/// `PFSELFTEST`.
///
/// Reply: OK.
/// Errors: what does not work.
/// Propagates: nothing.
/// Source: Valkey command reference, PFSELFTEST (since 2.8.9).
pub(super) fn pfselftest(x: &mut Call<'_>, _args: Args<'_>) -> Outcome {
    let right = estimates_are_right(x.keys.rng.next_u64());
    if !right.map_err(|Corrupt| Error::HLL_CORRUPT)? {
        return Err(Error::PFSELFTEST);
    }
    x.out.ok();
    Ok(())
}

/// Whether one that begins sparse and one that is dense from the start estimate the same, and nearly what there is.
fn estimates_are_right(seed: u64) -> Result<bool, Corrupt> {
    let (mut small, mut full) = (Vec::new(), Vec::new());
    let mut sparse = HyperLogLogMut::start(&mut small);
    let mut dense = HyperLogLogMut::start(&mut full);
    dense.make_dense()?;
    let mut checkpoint = 1;
    for n in 1..=ELEMENTS {
        let element = seed.wrapping_add(n).to_le_bytes();
        let changed = sparse.add(&[&element], SPARSE_MAX)?;
        if dense.add(&[&element], SPARSE_MAX)? != changed {
            return Ok(false);
        }
        if n == checkpoint || n == ELEMENTS {
            let (one, other) = (sparse.view().count()?, dense.view().count()?);
            let error = 1.04 / (REGISTERS as f64).sqrt() * n as f64;
            if one != other || one.abs_diff(n) as f64 > (ERRORS_MAX * error).ceil() {
                return Ok(false);
            }
            checkpoint *= 3;
        }
    }
    sparse.make_dense()?;
    Ok(sparse.form() == Form::Dense && sparse.view().body() == dense.view().body())
}
