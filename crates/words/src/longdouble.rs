//! Floats of 80 bits, as INCRBYFLOAT and HINCRBYFLOAT compute with them: exact parsing, addition and printing.
//!
//! The reference uses its machine's `long double`: 64 bits of mantissa, round to nearest even. Here the same results come
//! from integers alone, whatever the machine. Source of the rules: IEEE 754 double extended precision, and what
//! INCRBYFLOAT of Valkey 8.0.1 replies.

mod big;

use big::Big;
use std::io::Write;

/// Longest text that is read as a number, in bytes; longer ones are refused, as in the reference.
const TEXT_MAX: usize = 5 * 1024 - 1;
/// Exponent of the lowest mantissa bit of the smallest numbers.
const EXPONENT_MIN: i64 = -16445;
/// Exponent of the lowest mantissa bit of the largest numbers.
const EXPONENT_MAX: i64 = 16320;
/// Decimal exponents beyond this size, either way, are far outside of what the format holds.
const DECIMAL_EXPONENT_MAX: i64 = 20_000;
/// Digits behind the point that are printed.
const FRACTION_DIGITS: usize = 17;
/// 10 to the power of [`FRACTION_DIGITS`]; less than 2^57.
const FRACTION_SCALE: u128 = 100_000_000_000_000_000;

/// A number: `±mantissa * 2^exponent`, or an infinity.
///
/// Invariant of finite ones: the mantissa's top bit is set, or `exponent == EXPONENT_MIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    infinite: bool,
    mantissa: u64,
    exponent: i64,
}

/// A magnitude before rounding: `bits * 2^exponent`, and a bit more if `sticky`.
///
/// `sticky` demands that `bits` holds at least 66 significant bits.
#[derive(Clone, Copy)]
struct Exact {
    bits: u128,
    exponent: i64,
    sticky: bool,
}

impl LongDouble {
    /// Reads a number as C's `strtold` does, all of `text`: decimal or hexadecimal, or an infinity; no leading space, no NaN,
    /// and nothing too large or too small to be held.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > TEXT_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::infinity(negative));
        }
        let (exact, is_zero) = match rest {
            [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
            digits => decimal(digits)?,
        };
        let value = Self::round(negative, exact);
        let vanished = value.mantissa == 0 && !is_zero;
        (!value.infinite && !vanished).then_some(value)
    }

    /// An integer; always exact.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        let exact = Exact {
            bits: u128::from(value.unsigned_abs()),
            exponent: 0,
            sticky: false,
        };
        Self::round(value < 0, exact)
    }

    /// True for both infinities.
    #[must_use]
    pub fn is_infinite(self) -> bool {
        self.infinite
    }

    /// The sum, rounded to nearest even; `None` where it is infinite or no number.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.infinite || other.infinite {
            return None;
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        // The higher one keeps 62 bits behind its mantissa, and the sum has a bit of room in front.
        const GUARD: u32 = 62;
        let distance = high.exponent - low.exponent;
        let top = u128::from(high.mantissa) << GUARD;
        let full = u128::from(low.mantissa) << GUARD;
        let shift = u32::try_from(distance.min(127)).unwrap_or(127);
        let moved = full >> shift;
        // What was shifted out shows as the lowest bit, far behind where rounding looks.
        let moved = moved | u128::from(moved << shift != full);
        let (negative, bits) = if high.negative == low.negative {
            (high.negative, top + moved)
        } else if top >= moved {
            (high.negative && top != moved, top - moved)
        } else {
            (low.negative, moved - top)
        };
        let exact = Exact {
            bits,
            exponent: high.exponent - i64::from(GUARD),
            sticky: false,
        };
        let sum = Self::round(negative, exact);
        (!sum.infinite).then_some(sum)
    }

    /// A thousand times the number, rounded to nearest even, and that rounded up to a whole number; beyond the range of
    /// whole numbers the last of them.
    #[must_use]
    pub fn thousandfold_ceil(self) -> i64 {
        let exact = Exact {
            bits: u128::from(self.mantissa) * 1000,
            exponent: self.exponent,
            sticky: false,
        };
        let product = Self::round(self.negative, exact);
        let shift = u32::try_from(product.exponent.unsigned_abs().min(64)).unwrap_or(64);
        if self.infinite || product.infinite || product.exponent >= 0 {
            return if self.negative { i64::MIN } else { i64::MAX };
        }
        let whole = product.mantissa.checked_shr(shift).unwrap_or(0);
        let has_rest = whole.checked_shl(shift).unwrap_or(0) != product.mantissa;
        if self.negative {
            i64::try_from(whole).map_or(i64::MIN, |whole| -whole)
        } else {
            i64::try_from(whole + u64::from(has_rest)).unwrap_or(i64::MAX)
        }
    }

    /// Appends the decimal text: 17 digits behind the point, trailing zeros removed, never `-0`.
    ///
    /// An infinity is `inf` or `-inf`.
    pub fn print(self, into: &mut Vec<u8>) {
        let start = into.len();
        if self.negative {
            into.push(b'-');
        }
        if self.infinite {
            into.extend_from_slice(b"inf");
            return;
        }
        if self.exponent >= 0 {
            let shift = self.exponent.unsigned_abs() as usize;
            Big::from_u64(self.mantissa).shifted_left(shift).print(into);
            return;
        }
        // Below 2^121: the mantissa has 64 bits, the scale 57.
        let scaled = u128::from(self.mantissa) * FRACTION_SCALE;
        let digits = shift_right_rounding(scaled, self.exponent.unsigned_abs(), false);
        let written = write!(
            into,
            "{}.{:0width$}",
            digits / FRACTION_SCALE,
            digits % FRACTION_SCALE,
            width = FRACTION_DIGITS
        );
        debug_assert!(written.is_ok(), "a vector takes any text");
        while into.last() == Some(&b'0') {
            into.pop();
        }
        if into.last() == Some(&b'.') {
            into.pop();
        }
        if into.get(start..) == Some(b"-0".as_slice()) {
            into.remove(start);
        }
    }

    fn infinity(negative: bool) -> Self {
        LongDouble {
            negative,
            infinite: true,
            mantissa: 0,
            exponent: 0,
        }
    }

    fn round(negative: bool, exact: Exact) -> Self {
        let zero = LongDouble {
            negative,
            infinite: false,
            mantissa: 0,
            exponent: EXPONENT_MIN,
        };
        if exact.bits == 0 {
            return zero;
        }
        let length = 128 - i64::from(exact.bits.leading_zeros());
        let drop = (length - 64).max(EXPONENT_MIN - exact.exponent);
        let mut exponent = exact.exponent + drop;
        let mantissa = if drop <= 0 {
            debug_assert!(!exact.sticky, "a shift to the left would lose the rest");
            exact.bits << drop.unsigned_abs()
        } else {
            shift_right_rounding(exact.bits, drop.unsigned_abs(), exact.sticky)
        };
        let mantissa = u64::try_from(mantissa).unwrap_or_else(|_| {
            // Rounded up to 2^64.
            exponent += 1;
            1 << 63
        });
        if exponent > EXPONENT_MAX {
            return Self::infinity(negative);
        }
        LongDouble {
            mantissa,
            exponent,
            ..zero
        }
    }
}

/// A hexadecimal number, the part behind `0x`, as a double rounded to nearest even; infinite when too large.
#[must_use]
pub(crate) fn hexadecimal_f64(text: &[u8]) -> Option<f64> {
    /// Exponents of the lowest mantissa bit of the smallest and the largest doubles.
    const MIN: i64 = -1074;
    const MAX: i64 = 971;
    let (
        Exact {
            bits,
            exponent,
            sticky,
        },
        is_zero,
    ) = hexadecimal(text)?;
    if is_zero {
        return Some(0.0);
    }
    let length = 128 - i64::from(bits.leading_zeros());
    let drop = (length - 53).max(MIN - exponent).max(0);
    let mantissa = shift_right_rounding(bits, drop.unsigned_abs(), sticky);
    // At most 53 bits, and so exact.
    let mut value = mantissa as f64;
    let mut exponent = exponent + drop;
    while exponent > MAX && value.is_finite() {
        value *= 2.0;
        exponent -= 1;
    }
    let scale = if exponent >= -1022 {
        f64::from_bits(((exponent.min(MAX) + 1023) as u64) << 52)
    } else {
        f64::from_bits(1 << (exponent - MIN))
    };
    Some(value * scale)
}

/// `bits >> by` rounded to nearest, ties to even; `sticky` tells of bits further down.
fn shift_right_rounding(bits: u128, by: u64, sticky: bool) -> u128 {
    if by > 128 {
        return 0;
    }
    let (kept, half, rest) = if by == 128 {
        (0, bits >> 127 == 1, bits << 1 != 0)
    } else if by == 0 {
        (bits, false, false)
    } else {
        let rest = bits & ((1 << (by - 1)) - 1);
        (bits >> by, (bits >> (by - 1)) & 1 == 1, rest != 0)
    };
    kept + u128::from(half && (rest || sticky || kept & 1 == 1))
}

/// An exponent behind `e` or `p`: sign and at least one digit. Sizes beyond any use are clamped.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(digit - b'0')).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// Splits digits from the exponent that may follow behind `mark`; reads the latter.
fn split_exponent(text: &[u8], mark: u8) -> Option<(&[u8], i64)> {
    match text
        .iter()
        .position(|byte| byte.to_ascii_lowercase() == mark)
    {
        None => Some((text, 0)),
        Some(at) => Some((&text[..at], exponent(&text[at + 1..])?)),
    }
}

/// Digits with at most one point among them, the value of each by `digit`; calls `each` for them, and returns how many
/// stood behind the point.
fn digits(text: &[u8], radix: u32, mut each: impl FnMut(u8)) -> Option<i64> {
    let mut point = None;
    let mut count = 0_i64;
    for byte in text {
        if *byte == b'.' && point.is_none() {
            point = Some(count);
            continue;
        }
        let digit = char::from(*byte).to_digit(radix)?;
        each(digit as u8);
        count += 1;
    }
    (count > 0).then(|| point.map_or(0, |at| count - at))
}

/// The magnitude of decimal digits, and whether all of them are zero.
fn decimal(text: &[u8]) -> Option<(Exact, bool)> {
    let (mantissa, power) = split_exponent(text, b'e')?;
    let mut small = 0_u64;
    let mut significant = 0;
    let behind = digits(mantissa, 10, |digit| {
        if significant < 19 {
            small = small * 10 + u64::from(digit);
        }
        significant += usize::from(significant > 0 || digit > 0);
    })?;
    if significant == 0 {
        return Some((
            Exact {
                bits: 0,
                exponent: 0,
                sticky: false,
            },
            true,
        ));
    }
    let power = power - behind;
    if !(-DECIMAL_EXPONENT_MAX..=DECIMAL_EXPONENT_MAX).contains(&power) {
        // Far too large, or far too small: what rounding makes of it is refused.
        let exponent = if power > 0 { 1 << 20 } else { -(1 << 20) };
        return Some((
            Exact {
                bits: 1,
                exponent,
                sticky: false,
            },
            false,
        ));
    }
    if significant <= 19 && (-18..=0).contains(&power) {
        return Some((divide_small(small, power.unsigned_abs() as u32), false));
    }
    let mut number = Big::default();
    digits(mantissa, 10, |digit| number.multiply_add(10, digit.into()))?;
    let fives = Big::power_of_five(power.unsigned_abs() as usize);
    let (bits, exponent, sticky) = if power >= 0 {
        number.times(&fives).top()
    } else {
        number.divided_by(&fives)
    };
    // 10^n = 5^n * 2^n
    Some((
        Exact {
            bits,
            exponent: exponent + power,
            sticky,
        },
        false,
    ))
}

/// `number / 10^power`, for `power <= 18`.
fn divide_small(number: u64, power: u32) -> Exact {
    if power == 0 {
        return Exact {
            bits: number.into(),
            exponent: 0,
            sticky: false,
        };
    }
    let shift = u128::from(number).leading_zeros();
    let dividend = u128::from(number) << shift;
    let divisor = 10_u128.pow(power);
    // At least 2^127 / 2^60: more than the 66 bits that rounding wants to see.
    Exact {
        bits: dividend / divisor,
        exponent: -i64::from(shift),
        sticky: !dividend.is_multiple_of(divisor),
    }
}

/// The magnitude of hexadecimal digits, and whether all of them are zero.
fn hexadecimal(text: &[u8]) -> Option<(Exact, bool)> {
    let (mantissa, power) = split_exponent(text, b'p')?;
    let mut bits = 0_u128;
    let mut dropped = 0_i64;
    let mut sticky = false;
    let behind = digits(mantissa, 16, |digit| {
        if bits >> 124 == 0 {
            bits = bits << 4 | u128::from(digit);
        } else {
            dropped += 1;
            sticky |= digit > 0;
        }
    })?;
    let exponent = power + 4 * (dropped - behind);
    Some((
        Exact {
            bits,
            exponent,
            sticky,
        },
        bits == 0,
    ))
}

#[cfg(test)]
mod tests {
    use super::LongDouble;

    fn sum(a: &str, b: &str) -> Option<String> {
        let a = LongDouble::parse(a.as_bytes())?;
        let b = LongDouble::parse(b.as_bytes())?;
        let mut text = Vec::new();
        a.checked_add(b)?.print(&mut text);
        Some(String::from_utf8(text).expect("digits are ASCII"))
    }

    #[test]
    fn sums_are_the_references() {
        // Made by SET and INCRBYFLOAT of Valkey 8.0.1: two operands and the reply, or `error`.
        let mut lines = 0;
        for line in include_str!("../tests/data/longdouble-8.0.1.tsv").lines() {
            let mut words = line.split('\t');
            let (Some(a), Some(b), Some(expected)) = (words.next(), words.next(), words.next())
            else {
                panic!("three words: {line}");
            };
            let expected = (expected != "error").then(|| expected.to_owned());
            assert_eq!(sum(a, b), expected, "{a} + {b}");
            lines += 1;
        }
        assert!(lines > 3000, "the file has {lines} lines");
    }

    #[test]
    fn a_thousandfold_is_rounded_up() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0.001", 1),
            ("0.0010001", 2),
            ("1e-9", 1),
            ("1e-4900", 1),
            ("-0.0009", 0),
            ("-0.001", 0),
            ("-0.0011", -1),
            ("-1", -1000),
            ("1.5", 1500),
            ("9223372036854775.807", i64::MAX),
            ("1e400", i64::MAX),
            ("-1e400", i64::MIN),
            ("inf", i64::MAX),
            ("-inf", i64::MIN),
        ] {
            let number = LongDouble::parse(text.as_bytes()).expect("a number");
            assert_eq!(number.thousandfold_ceil(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", " 1", "1 ", "nan", "x", "1e", "1e+", ".", "0x", "--1", "1.2.3", "1e5000",
            "1e-5000", "e5",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; 6000]), None);
    }

    #[test]
    fn infinities_are_read_but_not_summed() {
        let infinity = LongDouble::parse(b"-Infinity").expect("a number");
        assert!(infinity.is_infinite());
        assert_eq!(infinity.checked_add(LongDouble::from_i64(1)), None);
    }
}
