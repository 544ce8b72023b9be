//! Numbers and their texts: what `tostring`, `tonumber` and the lexer take and give.
//!
//! The rules are those of C's `strtod` and `printf("%.14g")` in the C locale, which Lua 5.1 rests on.

/// Digits of a number that `tostring` shows.
const DIGITS: usize = 14;

/// Whole numbers below this bound show all their digits.
const WHOLE_MAX: f64 = 1e14;

/// The text of a number, as `tostring` gives it (`%.14g`).
pub(crate) fn write_number(number: f64, out: &mut Vec<u8>) {
    if number.fract() == 0.0
        && number.abs() < WHOLE_MAX
        && (number != 0.0 || number.is_sign_positive())
    {
        let whole = number as i64;
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    write_general(number, DIGITS, Alternate::No, Case::Lower, out);
}

/// Whether `%g` keeps zeros at the end, and the others a point (`#`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alternate {
    Yes,
    No,
}

/// The letters of `e`, `inf` and `nan`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
}

/// `inf` and `nan`, with a sign: written for every conversion alike. False if the number is neither.
pub(crate) fn write_special(number: f64, case: Case, out: &mut Vec<u8>) -> bool {
    if number.is_finite() {
        return false;
    }
    if number.is_sign_negative() {
        out.push(b'-');
    }
    out.extend_from_slice(match (number.is_nan(), case) {
        (true, Case::Lower) => b"nan",
        (true, Case::Upper) => b"NAN",
        (false, Case::Lower) => b"inf",
        (false, Case::Upper) => b"INF",
    });
    true
}

/// `%.{precision}e`.
pub(crate) fn write_exponent(
    number: f64,
    precision: usize,
    alternate: Alternate,
    case: Case,
    out: &mut Vec<u8>,
) {
    if write_special(number, case, out) {
        return;
    }
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.extend_from_slice(mantissa.as_bytes());
    if alternate == Alternate::Yes && precision == 0 {
        out.push(b'.');
    }
    write_power(exponent.parse().unwrap_or(0), case, out);
}

fn write_power(power: i32, case: Case, out: &mut Vec<u8>) {
    out.push(if case == Case::Upper { b'E' } else { b'e' });
    out.push(if power < 0 { b'-' } else { b'+' });
    if power.abs() < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(power.unsigned_abs()).as_bytes());
}

/// `%.{precision}f`.
pub(crate) fn write_fixed(
    number: f64,
    precision: usize,
    alternate: Alternate,
    case: Case,
    out: &mut Vec<u8>,
) {
    if write_special(number, case, out) {
        return;
    }
    out.extend_from_slice(format!("{number:.precision$}").as_bytes());
    if alternate == Alternate::Yes && precision == 0 {
        out.push(b'.');
    }
}

/// `%.{precision}g`.
pub(crate) fn write_general(
    number: f64,
    precision: usize,
    alternate: Alternate,
    case: Case,
    out: &mut Vec<u8>,
) {
    if write_special(number, case, out) {
        return;
    }
    if alternate == Alternate::No && write_shortest(number, precision, case, out) {
        return;
    }
    write_rounded(number, precision, alternate, case, out);
}

/// Digits that every double tells apart: a decimal of so many is the nearest one to the double that is nearest to it.
const DIGITS_EXACT: usize = 15;

/// A text on the stack.
struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// `%.{precision}g` by the shortest digits that give the number back, where those are not more than are wanted: then no others
/// come out, and they are found sooner. False, and nothing written, where they are more.
fn write_shortest(number: f64, precision: usize, case: Case, out: &mut Vec<u8>) -> bool {
    use std::fmt::Write;
    if precision > DIGITS_EXACT || !number.is_normal() {
        return false;
    }
    let mut short = Short {
        bytes: [0; 32],
        length: 0,
    };
    if write!(short, "{:e}", number.abs()).is_err() {
        return false;
    }
    let text = &short.bytes[..short.length];
    let Some(mark) = text.iter().position(|byte| *byte == b'e') else {
        return false;
    };
    let power = std::str::from_utf8(&text[mark + 1..]).ok();
    let Some(power) = power.and_then(|power| power.parse::<i32>().ok()) else {
        return false;
    };
    let (first, rest) = (text[0], text.get(2..mark).unwrap_or_default());
    if rest.len() + 1 > precision.max(1) {
        return false;
    }
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let zeros = |out: &mut Vec<u8>, count: usize| out.resize(out.len() + count, b'0');
    let size = usize::try_from(power.unsigned_abs()).unwrap_or(usize::MAX);
    if power < -4 || (power > 0 && size >= precision.max(1)) {
        out.push(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        write_power(power, case, out);
    } else if power < 0 {
        out.extend_from_slice(b"0.");
        zeros(out, size - 1);
        out.push(first);
        out.extend_from_slice(rest);
    } else {
        out.push(first);
        if size >= rest.len() {
            out.extend_from_slice(rest);
            zeros(out, size - rest.len());
        } else {
            out.extend_from_slice(&rest[..size]);
            out.push(b'.');
            out.extend_from_slice(&rest[size..]);
        }
    }
    true
}

/// `%.{precision}g` by rounding the exact value.
fn write_rounded(
    number: f64,
    precision: usize,
    alternate: Alternate,
    case: Case,
    out: &mut Vec<u8>,
) {
    let digits = precision.max(1);
    let text = format!("{number:.*e}", digits - 1);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let start = out.len();
    let whole = i32::try_from(digits).unwrap_or(i32::MAX);
    if power < -4 || power >= whole {
        out.extend_from_slice(mantissa.as_bytes());
        trim(out, start, alternate);
        write_power(power, case, out);
    } else {
        let decimals = usize::try_from(whole - 1 - power).unwrap_or(0);
        out.extend_from_slice(format!("{number:.decimals$}").as_bytes());
        trim(out, start, alternate);
    }
}

/// Takes zeros off the end of a fraction, and the point if nothing is left of it.
fn trim(out: &mut Vec<u8>, start: usize, alternate: Alternate) {
    let has_point = out[start..].contains(&b'.');
    if alternate == Alternate::Yes {
        if !has_point {
            out.push(b'.');
        }
        return;
    }
    if has_point {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// The bytes before the first NUL: what C takes a string for.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |end| &text[..end])
}

/// What C's `isspace` takes for a blank.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A number from the whole of a text, blanks around it allowed: what arithmetic makes of a string. The text ends at a NUL.
pub(crate) fn parse_number(text: &[u8]) -> Option<f64> {
    let text = until_nul(text);
    let (number, used) = scan_number(text)?;
    text[used..]
        .iter()
        .all(|byte| is_space(*byte))
        .then_some(number)
}

/// A number from the beginning of a text, and how many bytes it took: C's `strtod`.
pub(crate) fn scan_number(text: &[u8]) -> Option<(f64, usize)> {
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let mut at = blanks;
    let negative = match text.get(at) {
        Some(b'-') => {
            at += 1;
            true
        }
        Some(b'+') => {
            at += 1;
            false
        }
        _ => false,
    };
    let rest = &text[at..];
    let (magnitude, used) = scan_word(rest)
        .or_else(|| scan_hex(rest))
        .or_else(|| scan_decimal(rest))?;
    Some((if negative { -magnitude } else { magnitude }, at + used))
}

fn starts_with_word(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn scan_word(text: &[u8]) -> Option<(f64, usize)> {
    if starts_with_word(text, b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts_with_word(text, b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !starts_with_word(text, b"nan") {
        return None;
    }
    // `nan(letters)` names one of the many; they are all the same to us.
    let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let named = match text.get(3) {
        Some(b'(') => {
            let letters = text[4..].iter().take_while(inside).count();
            (text.get(4 + letters) == Some(&b')')).then_some(5 + letters)
        }
        _ => None,
    };
    Some((f64::NAN, named.unwrap_or(3)))
}

fn scan_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let whole = digits(0);
    let mut end = whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let power = if end + 1 + sign <= text.len() {
            digits(end + 1 + sign)
        } else {
            0
        };
        if power > 0 {
            end += 1 + sign + power;
        }
    }
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, end))
}

fn hex_digit(byte: Option<&u8>) -> Option<u32> {
    char::from(*byte?).to_digit(16)
}

/// `0x` with a whole part, a fraction and a power of two, each optional.
fn scan_hex(text: &[u8]) -> Option<(f64, usize)> {
    if text.first() != Some(&b'0') || !matches!(text.get(1), Some(b'x' | b'X')) {
        return None;
    }
    let mut at = 2;
    let mut mantissa: u64 = 0;
    let mut power: i64 = 0;
    let mut digits = 0_usize;
    // Bits past the sixty-fourth only decide rounding: one that is set marks the lowest kept bit.
    let mut take = |digit: u32, mantissa: &mut u64| {
        let kept = *mantissa >> 60 == 0;
        if kept {
            *mantissa = (*mantissa << 4) | u64::from(digit);
        } else if digit != 0 {
            *mantissa |= 1;
        }
        digits += 1;
        kept
    };
    while let Some(digit) = hex_digit(text.get(at)) {
        if !take(digit, &mut mantissa) {
            power += 4;
        }
        at += 1;
    }
    if text.get(at) == Some(&b'.') {
        let mut end = at + 1;
        while let Some(digit) = hex_digit(text.get(end)) {
            if take(digit, &mut mantissa) {
                power -= 4;
            }
            end += 1;
        }
        if digits > 0 {
            at = end;
        }
    }
    if digits == 0 {
        // A zero, and the `x` is left over.
        return Some((0.0, 1));
    }
    if matches!(text.get(at), Some(b'p' | b'P')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let start = at + 1 + sign;
        let length = text.get(start..).map_or(0, |rest| {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        });
        if length > 0 {
            let value = text[start..start + length]
                .iter()
                .fold(0_i64, |sum, digit| {
                    (sum * 10 + i64::from(digit - b'0')).min(100_000)
                });
            power += if text[at + 1] == b'-' { -value } else { value };
            at = start + length;
        }
    }
    Some((scale(mantissa, power), at))
}

/// `mantissa * 2^power`, rounded once.
fn scale(mantissa: u64, power: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let mantissa = mantissa << shift;
    let power = power - i64::from(shift);
    // The value is `mantissa * 2^power` with the top bit of 64 set: its exponent is `power + 63`.
    let exponent = power + 63;
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // Bits to drop so that 53 stay, or fewer where the number is too small for all of them.
    let mut drop = 11;
    if exponent < -1022 {
        drop += -1022 - exponent;
    }
    if drop > 64 {
        return 0.0;
    }
    let (kept, lost, half) = if drop == 64 {
        (0, mantissa, 1_u64 << 63)
    } else {
        (
            mantissa >> drop,
            mantissa & ((1 << drop) - 1),
            1_u64 << (drop - 1),
        )
    };
    let up = lost > half || (lost == half && kept & 1 == 1);
    let kept = kept + u64::from(up);
    let whole = kept as f64;
    multiply_by_power(whole, power + drop)
}

/// `number * 2^power` without rounding on the way to a small result.
fn multiply_by_power(mut number: f64, mut power: i64) -> f64 {
    while power > 1000 {
        number *= 2_f64.powi(1000);
        power -= 1000;
    }
    while power < -1000 {
        number *= 2_f64.powi(-1000);
        power += 1000;
    }
    number * 2_f64.powi(i32::try_from(power).unwrap_or(0))
}

/// `tonumber(text, base)` for a base other than ten: C's `strtoul`, the whole text used.
pub(crate) fn parse_base(text: &[u8], base: u32) -> Option<f64> {
    let text = until_nul(text);
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let mut at = blanks;
    let negative = text.get(at) == Some(&b'-');
    if matches!(text.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    if base == 16
        && text.get(at) == Some(&b'0')
        && matches!(text.get(at + 1), Some(b'x' | b'X'))
        && hex_digit(text.get(at + 2)).is_some()
    {
        at += 2;
    }
    let mut value: u64 = 0;
    let mut overflow = false;
    let start = at;
    while let Some(digit) = text
        .get(at)
        .and_then(|byte| char::from(*byte).to_digit(base))
    {
        let next = value
            .checked_mul(u64::from(base))
            .and_then(|value| value.checked_add(u64::from(digit)));
        overflow |= next.is_none();
        value = next.unwrap_or(u64::MAX);
        at += 1;
    }
    if at == start || !text[at..].iter().all(|byte| is_space(*byte)) {
        return None;
    }
    if overflow {
        value = u64::MAX;
    } else if negative {
        value = value.wrapping_neg();
    }
    let number = value as f64;
    Some(number)
}

/// `a % b`: the sign is that of `b`.
#[inline]
pub(crate) fn modulo(a: f64, b: f64) -> f64 {
    a - (a / b).floor() * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_digits_are_those_of_rounding() {
        let mut random = 1_u64;
        for round in 0..200_000_u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let precision = (random >> 59) as usize % 18;
            let number = match round % 4 {
                0 => f64::from_bits(random ^ (random >> 13)),
                1 => f64::from(random as i32) / 1000.0,
                2 => f64::from(random as u16) * 10_f64.powi((random >> 20) as i32 % 30 - 15),
                _ => f64::from(random as i32) * 0.5,
            };
            let (mut written, mut rounded) = (Vec::new(), Vec::new());
            write_general(number, precision, Alternate::No, Case::Lower, &mut written);
            if !write_special(number, Case::Lower, &mut rounded) {
                write_rounded(number, precision, Alternate::No, Case::Lower, &mut rounded);
            }
            assert_eq!(
                String::from_utf8_lossy(&written),
                String::from_utf8_lossy(&rounded),
                "{number:e} {precision}"
            );
        }
    }

    fn shown(number: f64) -> String {
        let mut out = Vec::new();
        write_number(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_show_fourteen_digits() {
        for (number, text) in [
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (1e15, "1e+15"),
            (1e14, "1e+14"),
            (123_456_789_012_345_678.0, "1.2345678901235e+17"),
            (9_007_199_254_740_992.0, "9.007199254741e+15"),
            (-0.0, "-0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (3.0, "3"),
        ] {
            assert_eq!(shown(number), text);
        }
    }

    #[test]
    fn texts_become_numbers_by_the_rules_of_strtod() {
        for (text, number) in [
            ("10", Some(10.0)),
            ("  0x10 ", Some(16.0)),
            ("0x1p4", Some(16.0)),
            ("0x.8", Some(0.5)),
            ("-0x1.8p-1", Some(-0.75)),
            ("1e1", Some(10.0)),
            ("1e", None),
            ("0x", None),
            ("", None),
            (".", None),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("1 2", None),
            ("1e5000", Some(f64::INFINITY)),
        ] {
            assert_eq!(parse_number(text.as_bytes()), number, "{text}");
        }
        assert!(parse_number(b"nan").unwrap().is_nan());
    }

    #[test]
    fn hexadecimal_rounds_to_even_once() {
        assert_eq!(
            parse_number(b"0x20000000000001"),
            Some(9_007_199_254_740_992.0)
        );
        assert_eq!(
            parse_number(b"0x20000000000003"),
            Some(9_007_199_254_740_996.0)
        );
        assert_eq!(parse_number(b"0x1p-1074"), Some(5e-324));
        assert_eq!(parse_number(b"0x1p-1076"), Some(0.0));
        assert_eq!(parse_number(b"0x1p1023"), Some(2_f64.powi(1023)));
    }

    #[test]
    fn other_bases_wrap_as_strtoul_does() {
        assert_eq!(parse_base(b"z", 36), Some(35.0));
        assert_eq!(
            parse_base(b"7fffffffffffffff", 16),
            Some(9_223_372_036_854_775_807.0)
        );
        assert_eq!(parse_base(b"-1", 16), Some(18_446_744_073_709_551_615.0));
        assert_eq!(parse_base(b"12", 2), None);
    }
}
