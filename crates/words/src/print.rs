//! Scores as text: the form in which listpacks keep them and replies show them.
//!
//! Integers up to 2^62 in size print as integers; everything else prints digits that read back equal
//! (the same ones as the reference, see `grisu`), plainly where that stays short and in scientific notation elsewhere. The places where the notation changes are
//! the reference's, as its ZSCORE shows them: `0.00012`, but `1.2345678e-4`; `12345.678`, but `1.234512345678901e+4`;
//! `12345678901234567000`, but `1e+20`.

use crate::grisu::{self, DIGITS_MAX};

/// Longest text of a number, in bytes: `-1.2345678901234567e-308`, or 17 digits and 6 zeros with a sign.
pub const TEXT_MAX: usize = 32;
/// Doubles up to this size that are whole print as integers.
const INTEGER_MAX: f64 = (1_i64 << 62) as f64;
/// A whole number with more trailing zeros than this prints in scientific notation.
const ZEROS_MAX: i32 = 7;
/// Fractions with at least this many digits behind the point print in scientific notation, unless ...
const FRACTION_MAX: i32 = 7;
/// ... their leading digit is within so many places of the point.
const LEADING_MAX: i32 = 4;

/// Room for the text of one number.
#[derive(Clone, Debug)]
pub struct NumberBuf {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl Default for NumberBuf {
    fn default() -> Self {
        NumberBuf::new()
    }
}

impl NumberBuf {
    /// An empty buffer.
    pub const fn new() -> Self {
        NumberBuf {
            bytes: [0; TEXT_MAX],
            len: 0,
        }
    }

    /// The text of `value` as replies and listpacks have it. NaN is `nan`, infinity `inf`.
    pub fn format_f64(&mut self, value: f64) -> &[u8] {
        if value != 0.0 && value.abs() <= INTEGER_MAX && value as i64 as f64 == value {
            self.len = 0;
            self.push(itoa::Buffer::new().format(value as i64).as_bytes());
            return &self.bytes[..self.len];
        }
        self.format_shortest(value)
    }

    /// As [`NumberBuf::format_f64`], but large whole numbers may take the scientific notation too: `4e+18`.
    pub fn format_shortest(&mut self, value: f64) -> &[u8] {
        self.len = 0;
        if value.is_nan() {
            self.push(b"nan");
        } else if value.is_infinite() {
            self.push(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            self.push(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else {
            self.format_digits(value);
        }
        &self.bytes[..self.len]
    }

    /// The text with 17 significant digits, the way C prints `%.17g`.
    pub fn format_17(&mut self, value: f64) -> &[u8] {
        if !value.is_finite() || value == 0.0 {
            return self.format_shortest(value);
        }
        let text = format!("{value:.16e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let text = if (-4..17).contains(&exponent) {
            let decimals = usize::try_from(16 - exponent).unwrap_or(0);
            trimmed(&format!("{value:.decimals$}")).to_owned()
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
        };
        self.len = 0;
        self.push(text.as_bytes());
        &self.bytes[..self.len]
    }

    /// Lays out the digits of a finite number other than zero.
    fn format_digits(&mut self, value: f64) {
        let mut digits = [0; DIGITS_MAX + 1];
        let (count, last) = grisu::digits(value.abs(), &mut digits);
        let digits = &digits[..count];
        // value = digits * 10^last = d.ddd * 10^exponent
        let exponent = last + count as i32 - 1;
        if value < 0.0 {
            self.push(b"-");
        }
        if last >= 0 && exponent < count as i32 + ZEROS_MAX {
            self.push(digits);
            self.push(&b"0000000"[..last as usize]);
        } else if last < 0 && (last > -FRACTION_MAX || exponent.abs() < LEADING_MAX) {
            if exponent < 0 {
                self.push(b"0.");
                self.push(&b"0000000"[..(-exponent - 1) as usize]);
                self.push(digits);
            } else {
                let (whole, fraction) = digits.split_at(exponent as usize + 1);
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            }
        } else {
            self.push(&digits[..1]);
            if count > 1 {
                self.push(b".");
                self.push(&digits[1..]);
            }
            self.push(if exponent < 0 { b"e-" } else { b"e+" });
            self.push(
                itoa::Buffer::new()
                    .format(exponent.unsigned_abs())
                    .as_bytes(),
            );
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Reads a score out of a listpack; `None` if it is no number, or NaN.
pub fn parse_score(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Without the zeros behind the point, or the point when there is nothing behind it.
fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_the_references() {
        for (value, text) in [
            (0.1, "0.1"),
            (3.25, "3.25"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (1e15, "1000000000000000"),
            (1e17, "100000000000000000"),
            (-1e18, "-1000000000000000000"),
            (1e19, "1e+19"),
            (1e20, "1e+20"),
            (9.3e18, "9.3e+18"),
            (4611686018427387904.0, "4611686018427387904"),
            (4611686018427388928.0, "4611686018427389000"),
            (9223372036854775807.0, "9223372036854776000"),
            (-9223372036854775808.0, "-9223372036854776000"),
            (12345678901234567890.0, "12345678901234567000"),
            (123456789012345678901.0, "123456789012345680000"),
            (1.5e300, "1.5e+300"),
            (-1e300, "-1e+300"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1.5e-6, "1.5e-6"),
            (1e-7, "1e-7"),
            (1.2345e-6, "1.2345e-6"),
            (-1.5e-9, "-1.5e-9"),
            (0.0001, "0.0001"),
            (0.00012345678, "1.2345678e-4"),
            (0.001234567890123, "0.001234567890123"),
            (0.30000000000000004, "0.30000000000000004"),
            (1.25e22, "12499999999999999000000"),
            (123e20, "12300000000000001000000"),
            (12345.678, "12345.678"),
            (1234.12345678901, "1234.12345678901"),
            (12345.12345678901, "1.234512345678901e+4"),
            (123456.123456789, "1.23456123456789e+5"),
            (1234567890123.25, "1234567890123.25"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(NumberBuf::new().format_f64(value)),
                text
            );
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if !value.is_nan() {
                prop_assert_eq!(parse_score(NumberBuf::new().format_f64(value)), Some(value));
            }
        }

        #[test]
        fn decimal_fractions_read_back(n in any::<i64>(), scale in 0..25_i32) {
            let value = n as f64 / 10_f64.powi(scale);
            prop_assert_eq!(parse_score(NumberBuf::new().format_f64(value)), Some(value));
        }
    }

    #[test]
    fn what_is_no_number_is_no_score() {
        for text in ["", "nan", "x", "1x", "0x10"] {
            assert_eq!(parse_score(text.as_bytes()), None, "{text}");
        }
    }
}
