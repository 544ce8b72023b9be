//! XRANGE and XREVRANGE.

use super::{count, id, reply_entries};
use crate::call::{Args, Call};
use commandtable::{Error, Outcome};
use keyspace::StreamId;

/// What a range asks for.
struct Request {
    first: StreamId,
    last: StreamId,
    count: Option<usize>,
}

fn parse(first: &[u8], last: &[u8], options: Args<'_>) -> Result<Request, Error> {
    let mut request = Request {
        first: id::parse_start(first)?,
        last: id::parse_end(last)?,
        count: None,
    };
    let (pairs, odd) = options.as_chunks::<2>();
    for [option, value] in pairs {
        if !option.eq_ignore_ascii_case(b"count") {
            return Err(Error::SYNTAX);
        }
        request.count = Some(count(value)?);
    }
    if odd.is_empty() {
        Ok(request)
    } else {
        Err(Error::SYNTAX)
    }
}

/// `XRANGE key start end [COUNT count]`.
///
/// Reply: an array of entries; a null array when none are wanted.
/// Errors: WRONGTYPE, syntax, a bad id, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, XRANGE (since 5.0.0).
pub(super) fn xrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = parse(args[2], args[3], &args[4..])?;
    match (x.keys.stream(args[1])?, request.count) {
        (None, _) => x.out.array(0),
        (Some(_), Some(0)) => x.out.null_array(),
        (Some(stream), count) => {
            let entries = stream.log.range(request.first..=request.last);
            reply_entries(x.out, entries, count);
        }
    }
    Ok(())
}

/// `XREVRANGE key end start [COUNT count]`.
///
/// Reply: an array of entries, the last one first; a null array when none are wanted.
/// Errors: WRONGTYPE, syntax, a bad id, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, XREVRANGE (since 5.0.0).
pub(super) fn xrevrange(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let request = parse(args[3], args[2], &args[4..])?;
    match (x.keys.stream(args[1])?, request.count) {
        (None, _) => x.out.array(0),
        (Some(_), Some(0)) => x.out.null_array(),
        (Some(stream), count) => {
            let entries = stream.log.range_back(request.first..=request.last);
            reply_entries(x.out, entries, count);
        }
    }
    Ok(())
}
