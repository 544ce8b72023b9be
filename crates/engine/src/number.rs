//! Numbers as commands take and print them.

use crate::error::Error;

/// Parses a float the way the reference does: decimal with an optional exponent, `inf`, `infinity`, a leading `+`;
/// not `nan`, no spaces, nothing behind it.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let value: f64 = fast_float2::parse(text).ok()?;
    // The parser gives infinity for numbers that are too large; the reference refuses those.
    let spelled_out = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    (!value.is_nan() && (value.is_finite() || spelled_out)).then_some(value)
}

/// An integer argument.
///
/// # Errors
/// [`Error::NOT_AN_INTEGER`].
pub fn int(text: &[u8]) -> Result<i64, Error> {
    resp::parse_i64(text).ok_or(Error::NOT_AN_INTEGER)
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
/// [`Error::OUT_OF_RANGE_POSITIVE`] for negative ones, [`Error::NOT_AN_INTEGER`] for anything else.
pub fn positive(text: &[u8]) -> Result<u64, Error> {
    u64::try_from(int(text)?).map_err(|_| Error::OUT_OF_RANGE_POSITIVE)
}
