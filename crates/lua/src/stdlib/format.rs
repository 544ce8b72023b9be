//! `string.format`: C's `printf` conversions, and `%q`.

use super::args::to_integer;
use crate::number::{Alternate, Case, until_nul, write_exponent, write_fixed, write_general};
use crate::value::Value;
use crate::vm::error::Error;
use crate::vm::task::{Call, NativeResult};

type Result<T> = std::result::Result<T, Error>;

/// Strings from this length on are copied whole where no precision is asked for.
const LONG_STRING: usize = 100;

/// Flags that a conversion may have.
const FLAGS_MAX: usize = 5;

#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    /// Reads flags, width and precision; how many bytes they took.
    fn read(format: &[u8]) -> std::result::Result<(Self, usize), &'static str> {
        let mut spec = Self::default();
        let mut at = 0;
        while let Some(flag) = format.get(at) {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            at += 1;
        }
        if at > FLAGS_MAX {
            return Err("invalid format (repeated flags)");
        }
        let number = |at: &mut usize| {
            let mut value = 0;
            for _ in 0..2 {
                if let Some(digit) = format.get(*at).filter(|byte| byte.is_ascii_digit()) {
                    value = value * 10 + usize::from(digit - b'0');
                    *at += 1;
                }
            }
            value
        };
        spec.width = number(&mut at);
        if format.get(at) == Some(&b'.') {
            at += 1;
            spec.precision = Some(number(&mut at));
        }
        if format.get(at).is_some_and(u8::is_ascii_digit) {
            return Err("invalid format (width or precision too long)");
        }
        Ok((spec, at))
    }

    /// Writes a sign or prefix and a body in the width; zeros go between them.
    fn pad(&self, prefix: &[u8], body: &[u8], zeros: bool, out: &mut Vec<u8>) {
        let missing = self.width.saturating_sub(prefix.len() + body.len());
        if self.left {
            out.extend_from_slice(prefix);
            out.extend_from_slice(body);
            out.resize(out.len() + missing, b' ');
        } else if zeros {
            out.extend_from_slice(prefix);
            out.resize(out.len() + missing, b'0');
            out.extend_from_slice(body);
        } else {
            out.resize(out.len() + missing, b' ');
            out.extend_from_slice(prefix);
            out.extend_from_slice(body);
        }
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        match (negative, self.plus, self.space) {
            (true, ..) => b"-",
            (_, true, _) => b"+",
            (_, _, true) => b" ",
            _ => b"",
        }
    }

    /// Digits of a whole number, at least as many as the precision says.
    fn digits(&self, digits: String) -> Vec<u8> {
        let mut body = digits.into_bytes();
        match self.precision {
            Some(0) if body == b"0" => body.clear(),
            Some(precision) if body.len() < precision => {
                let mut padded = vec![b'0'; precision - body.len()];
                padded.append(&mut body);
                body = padded;
            }
            _ => {}
        }
        body
    }

    fn signed(&self, number: i64, out: &mut Vec<u8>) {
        let body = self.digits(number.unsigned_abs().to_string());
        self.pad(
            self.sign(number < 0),
            &body,
            self.zero && self.precision.is_none(),
            out,
        );
    }

    fn unsigned(&self, number: u64, conversion: u8, out: &mut Vec<u8>) {
        let mut body = self.digits(match conversion {
            b'o' => format!("{number:o}"),
            b'x' => format!("{number:x}"),
            b'X' => format!("{number:X}"),
            _ => number.to_string(),
        });
        let prefix: &[u8] = match (self.alternate, conversion) {
            (true, b'x') if number != 0 => b"0x",
            (true, b'X') if number != 0 => b"0X",
            (true, b'o') if body.first() != Some(&b'0') => {
                body.insert(0, b'0');
                b""
            }
            _ => b"",
        };
        self.pad(prefix, &body, self.zero && self.precision.is_none(), out);
    }

    fn float(&self, number: f64, conversion: u8, out: &mut Vec<u8>) {
        let precision = self.precision.unwrap_or(6);
        let alternate = if self.alternate {
            Alternate::Yes
        } else {
            Alternate::No
        };
        let case = if conversion.is_ascii_uppercase() {
            Case::Upper
        } else {
            Case::Lower
        };
        let mut text = Vec::new();
        match conversion.to_ascii_lowercase() {
            b'e' => write_exponent(number, precision, alternate, case, &mut text),
            b'f' => write_fixed(number, precision, alternate, case, &mut text),
            _ => write_general(number, precision, alternate, case, &mut text),
        }
        let negative = text.first() == Some(&b'-');
        let body = if negative { &text[1..] } else { &text[..] };
        self.pad(
            self.sign(negative),
            body,
            self.zero && number.is_finite(),
            out,
        );
    }
}

/// A double as C converts it to an unsigned integer.
pub(crate) fn to_unsigned(number: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    if number < TOP {
        to_integer(number) as u64
    } else {
        (to_integer(number - TOP) as u64) ^ (1 << 63)
    }
}

/// `%q`: a string that the lexer reads back.
fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', *byte]),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\000"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

pub(super) fn format(call: &mut Call<'_>) -> Result<NativeResult> {
    let format = call.check_string(0)?;
    let mut out = Vec::new();
    let mut at = 0;
    let mut argument = 0;
    loop {
        let text = call.bytes(format);
        let rest = &text[at..];
        let plain = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        super::table::grow(&mut out, plain, call)?;
        out.extend_from_slice(&call.bytes(format)[at..at + plain]);
        at += plain;
        let text = call.bytes(format);
        if at >= text.len() {
            break;
        }
        at += 1;
        if text.get(at) == Some(&b'%') {
            out.push(b'%');
            at += 1;
            continue;
        }
        argument += 1;
        if !call.has(argument) {
            return Err(call.argument_error(argument, "no value"));
        }
        let (spec, used) = match Spec::read(&call.bytes(format)[at..]) {
            Ok(read) => read,
            Err(message) => return Err(call.error(message)),
        };
        at += used;
        let conversion = call.bytes(format).get(at).copied().unwrap_or(0);
        at += 1;
        convert(call, spec, conversion, argument, &mut out)?;
    }
    let copied = out.len();
    call.charge_bytes(copied);
    call.state.heap.check(copied)?;
    let text = call.state.heap.string_from(out)?;
    call.ret(Value::String(text))
}

fn convert(
    call: &mut Call<'_>,
    spec: Spec,
    conversion: u8,
    argument: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    match conversion {
        b'c' => {
            let byte = to_integer(call.check_number(argument)?) as u8;
            let mut text = Vec::new();
            spec.pad(b"", &[byte], false, &mut text);
            // The library reads it back as a C string.
            out.extend_from_slice(until_nul(&text));
        }
        b'd' | b'i' => {
            let number = to_integer(call.check_number(argument)?);
            spec.signed(number, out);
        }
        b'o' | b'u' | b'x' | b'X' => {
            let number = to_unsigned(call.check_number(argument)?);
            spec.unsigned(number, conversion, out);
        }
        b'e' | b'E' | b'f' | b'g' | b'G' => {
            let number = call.check_number(argument)?;
            spec.float(number, conversion, out);
        }
        b'q' => {
            let text = call.check_string(argument)?;
            let room = call.bytes(text).len() * 4 + 2;
            super::table::grow(out, room, call)?;
            write_quoted(call.bytes(text), out);
        }
        b's' => {
            let text = call.check_string(argument)?;
            let length = call.bytes(text).len();
            super::table::grow(out, length, call)?;
            let bytes = call.bytes(text);
            if spec.precision.is_none() && length >= LONG_STRING {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            let shown = until_nul(bytes);
            let shown = &shown[..shown.len().min(spec.precision.unwrap_or(usize::MAX))];
            spec.pad(b"", shown, false, out);
        }
        0 => return Err(call.error("invalid option '%' to 'format'")),
        other => {
            let mut text = b"invalid option '%".to_vec();
            text.push(other);
            text.extend_from_slice(b"' to 'format'");
            return Err(call.error_bytes(&text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_follow_printf() {
        let shown = |format: &str, write: &dyn Fn(&Spec, &mut Vec<u8>)| {
            let (spec, _) = Spec::read(format.as_bytes()).unwrap();
            let mut out = Vec::new();
            write(&spec, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("05", &|spec, out| spec.signed(-42, out)), "-0042");
        assert_eq!(shown("+.3", &|spec, out| spec.signed(7, out)), "+007");
        assert_eq!(
            shown("#10", &|spec, out| spec.unsigned(255, b'x', out)),
            "      0xff"
        );
        assert_eq!(
            shown("-8.2", &|spec, out| spec.float(2.7451, b'f', out)),
            "2.75    "
        );
        assert_eq!(shown("", &|spec, out| spec.float(1e20, b'G', out)), "1E+20");
        assert_eq!(
            shown("08", &|spec, out| spec.float(f64::INFINITY, b'f', out)),
            "     inf"
        );
    }

    #[test]
    fn widths_of_three_digits_are_refused() {
        assert!(Spec::read(b"123d").is_err());
        assert!(Spec::read(b".123f").is_err());
        assert!(Spec::read(b"------d").is_err());
    }
}
