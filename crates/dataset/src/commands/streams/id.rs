//! Ids as commands take them.

use commandtable::Error;
use keyspace::StreamId;

/// Longest text of an id, in bytes.
const TEXT_BYTES_MAX: usize = 127;

/// What stands in for a number within the millisecond that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The first of the millisecond.
    First,
    /// The last of the millisecond.
    Last,
}

/// The id that XADD is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: the present time.
    Auto,
    /// `ms-*`: the next number in this millisecond.
    In(u64),
    /// As it stands.
    Given(StreamId),
}

/// The text up to a NUL: the reference's ids are C strings.
fn text(arg: &[u8]) -> Result<&[u8], Error> {
    if arg.len() > TEXT_BYTES_MAX {
        return Err(Error::STREAM_ID);
    }
    let end = arg.iter().position(|byte| *byte == 0);
    Ok(&arg[..end.unwrap_or(arg.len())])
}

/// Both parts of `ms-seq`, the second still as text.
fn split(text: &[u8]) -> Result<(u64, Option<&[u8]>), Error> {
    let dash = text.iter().position(|byte| *byte == b'-');
    let (ms, seq) = match dash {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let ms = words::parse::unsigned(ms).ok_or(Error::STREAM_ID)?;
    Ok((ms, seq))
}

/// `ms-seq`, or `ms` alone.
pub(super) fn parse(arg: &[u8], missing: Missing) -> Result<StreamId, Error> {
    let (ms, seq) = split(text(arg)?)?;
    let seq = match (seq, missing) {
        (Some(seq), _) => words::parse::unsigned(seq).ok_or(Error::STREAM_ID)?,
        (None, Missing::First) => 0,
        (None, Missing::Last) => u64::MAX,
    };
    Ok(StreamId::new(ms, seq))
}

/// `ms-seq`, `ms`, or `-` and `+` for the ends.
pub(super) fn parse_or_end(arg: &[u8], missing: Missing) -> Result<StreamId, Error> {
    match text(arg)? {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse(arg, missing),
    }
}

/// The first id of a range: as [`parse_or_end`], behind it with a `(` in front.
pub(super) fn parse_start(arg: &[u8]) -> Result<StreamId, Error> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let id = parse(rest, Missing::First)?;
            id.next().ok_or(Error::STREAM_START)
        }
        _ => parse_or_end(arg, Missing::First),
    }
}

/// The last id of a range: as [`parse_or_end`], before it with a `(` in front.
pub(super) fn parse_end(arg: &[u8]) -> Result<StreamId, Error> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let id = parse(rest, Missing::Last)?;
            id.previous().ok_or(Error::STREAM_END)
        }
        _ => parse_or_end(arg, Missing::Last),
    }
}

/// The id of an entry to be added.
pub(super) fn parse_new(arg: &[u8]) -> Result<NewId, Error> {
    if arg == b"*" {
        return Ok(NewId::Auto);
    }
    match split(text(arg)?)? {
        (ms, Some(b"*")) => Ok(NewId::In(ms)),
        _ => Ok(NewId::Given(parse(arg, Missing::First)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_reference_reads_them() {
        let id = |text: &str| parse(text.as_bytes(), Missing::First).ok();
        assert_eq!(id("5-3"), Some(StreamId::new(5, 3)));
        assert_eq!(id("5"), Some(StreamId::new(5, 0)));
        assert_eq!(id("06-+1"), Some(StreamId::new(6, 1)));
        assert_eq!(id("5--01"), Some(StreamId::new(5, u64::MAX)));
        assert_eq!(id("5\x006-7"), Some(StreamId::new(5, 0)));
        let long = "0".repeat(128);
        for wrong in ["", "-", "+", "-1", "1-", "1-x", "x-1", "5-*", "*", &long] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
        assert_eq!(id("18446744073709551616-1"), None);
    }

    #[test]
    fn ranges_may_leave_out_their_ends() {
        assert_eq!(parse_start(b"(5"), Ok(StreamId::new(5, 1)));
        assert_eq!(parse_end(b"(5"), Ok(StreamId::new(5, u64::MAX - 1)));
        assert_eq!(parse_end(b"5"), Ok(StreamId::new(5, u64::MAX)));
        assert_eq!(parse_start(b"-"), Ok(StreamId::MIN));
        assert_eq!(parse_start(b"+"), Ok(StreamId::MAX));
        assert_eq!(parse_start(b"(-"), Err(Error::STREAM_ID));
        assert_eq!(parse_end(b"(0-0"), Err(Error::STREAM_END));
    }
}
