//! Number arguments of commands, with the errors they give.

use commandtable::Error;
use words::int::parse_i64;
use words::longdouble::LongDouble;
use words::parse::parse_f64;

/// An integer argument.
///
/// # Errors
/// [`Error::NOT_AN_INTEGER`].
pub fn int(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NOT_AN_INTEGER)
}

/// An integer argument of 32 bits.
///
/// # Errors
/// [`Error::NOT_AN_INTEGER`], or [`Error::OUT_OF_I32`] for larger ones.
pub fn int32(text: &[u8]) -> Result<i32, Error> {
    i32::try_from(int(text)?).map_err(|_| Error::OUT_OF_I32)
}

/// A float argument.
///
/// # Errors
/// [`Error::NOT_A_FLOAT`].
pub fn float(text: &[u8]) -> Result<f64, Error> {
    parse_f64(text).ok_or(Error::NOT_A_FLOAT)
}

/// An integer argument that must not be negative.
///
/// # Errors
/// [`Error::OUT_OF_RANGE_POSITIVE`] for negative ones and for what is no integer at all.
pub fn positive(text: &[u8]) -> Result<u64, Error> {
    let value = int(text).map_err(|_| Error::OUT_OF_RANGE_POSITIVE)?;
    u64::try_from(value).map_err(|_| Error::OUT_OF_RANGE_POSITIVE)
}

/// Parses a timeout given in seconds with fractions, as BLPOP takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_seconds(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    // Just below zero is zero when rounded up to milliseconds, and zero is never.
    let ms = LongDouble::parse(text)
        .ok_or(Error::TIMEOUT_NOT_A_FLOAT)?
        .thousandfold_ceil();
    deadline_after(ms, now_ms)
}

/// Parses a timeout given in milliseconds, as WAIT takes it; returns the deadline, 0 for never.
///
/// # Errors
/// Not a number, negative, or too far away.
pub fn deadline_from_ms(text: &[u8], now_ms: i64) -> Result<i64, Error> {
    let ms = parse_i64(text).ok_or(Error::TIMEOUT_NOT_AN_INTEGER)?;
    deadline_after(ms, now_ms)
}

fn deadline_after(ms: i64, now_ms: i64) -> Result<i64, Error> {
    if ms < 0 {
        return Err(Error::TIMEOUT_NEGATIVE);
    }
    if ms == 0 {
        return Ok(0);
    }
    now_ms.checked_add(ms).ok_or(Error::TIMEOUT_OUT_OF_RANGE)
}

#[cfg(test)]
mod tests {
    use super::positive;
    use commandtable::Error;

    #[test]
    fn whatever_is_not_positive_has_one_error() {
        assert_eq!(positive(b"7"), Ok(7));
        for bad in ["-1", "x", "99999999999999999999", ""] {
            assert_eq!(
                positive(bad.as_bytes()),
                Err(Error::OUT_OF_RANGE_POSITIVE),
                "{bad}"
            );
        }
    }
}
