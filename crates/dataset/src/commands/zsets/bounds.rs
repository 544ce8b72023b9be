//! The ends of ranges as clients write them.

use commandtable::Error;
use keyspace::{LexBound, LexRange, ScoreRange};

/// `5` or `(5`, twice.
pub(super) fn scores(min: &[u8], max: &[u8]) -> Result<ScoreRange, Error> {
    let bound = |text: &[u8]| {
        let (text, exclusive) = match text {
            [b'(', rest @ ..] => (rest, true),
            all => (all, false),
        };
        // An empty text is zero, which only this place of the reference believes.
        words::parse::parse_bound(text)
            .map(|value| (value, exclusive))
            .ok_or(Error::MIN_OR_MAX_NOT_A_FLOAT)
    };
    let ((min, min_exclusive), (max, max_exclusive)) = (bound(min)?, bound(max)?);
    Ok(ScoreRange {
        min,
        max,
        min_exclusive,
        max_exclusive,
    })
}

/// `[x`, `(x`, `-` or `+`, twice.
pub(super) fn members<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, Error> {
    let bound = |text: &'a [u8]| match text {
        b"-" => Ok(LexBound::Min),
        b"+" => Ok(LexBound::Max),
        [b'[', rest @ ..] => Ok(LexBound::Incl(rest)),
        [b'(', rest @ ..] => Ok(LexBound::Excl(rest)),
        _ => Err(Error::MIN_OR_MAX_NOT_A_STRING_RANGE),
    };
    Ok(LexRange {
        min: bound(min)?,
        max: bound(max)?,
    })
}

/// `start..=stop` with negative ranks from the end, as a first rank and a count.
pub(super) fn ranks(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let from_end = |rank: i64| {
        if rank < 0 {
            rank.saturating_add(len as i64)
        } else {
            rank
        }
    };
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    match usize::try_from(from_end(stop)) {
        Ok(stop) if start <= stop && start < len => (start, stop.min(len - 1) - start + 1),
        _ => (0, 0),
    }
}
