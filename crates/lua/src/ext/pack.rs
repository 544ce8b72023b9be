//! `struct`: values from and to bytes, by a format. Native means little endian, without alignment.

use crate::stdlib::to_integer;
use crate::value::{StringId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] =
    &[("pack", pack), ("unpack", unpack), ("size", size)];

/// Bytes of the largest integer.
const INTEGER_BYTES_MAX: usize = 32;

/// The alignment of `!` without a number.
const NATIVE_ALIGNMENT: usize = 8;

/// A format being read.
struct Format {
    id: StringId,
    at: usize,
    little: bool,
    alignment: usize,
}

/// An option of a format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Integer {
        size: usize,
        signed: bool,
    },
    Float,
    Double,
    Pad,
    /// Ends with a zero byte.
    Zero,
    /// So many bytes; `c0` takes what there is.
    Bytes(usize),
    /// `!`, whose number is still to be read.
    Align,
    /// Changes the byte order, or is passed over.
    Nothing,
    Unknown(u8),
}

impl Format {
    fn new(id: StringId) -> Self {
        Self {
            id,
            at: 0,
            little: true,
            alignment: 1,
        }
    }

    fn byte(&self, call: &Call<'_>) -> Option<u8> {
        // A format is a C string.
        crate::number::until_nul(call.bytes(self.id))
            .get(self.at)
            .copied()
    }

    /// The number behind an option.
    fn number(&mut self, call: &mut Call<'_>, default: usize) -> Result<usize> {
        let mut value: Option<usize> = None;
        while let Some(digit) = self.byte(call).filter(u8::is_ascii_digit) {
            let digit = usize::from(digit - b'0');
            let before = value.unwrap_or(0);
            if before > (i32::MAX as usize - digit) / 10 {
                return Err(call.error("integral size overflow"));
            }
            value = Some(before * 10 + digit);
            self.at += 1;
        }
        Ok(value.unwrap_or(default))
    }

    fn next(&mut self, call: &mut Call<'_>) -> Result<Option<Item>> {
        let Some(option) = self.byte(call) else {
            return Ok(None);
        };
        self.at += 1;
        let integer = |size, signed| Item::Integer { size, signed };
        Ok(Some(match option {
            b'b' => integer(1, true),
            b'B' => integer(1, false),
            b'h' => integer(2, true),
            b'H' => integer(2, false),
            b'l' => integer(8, true),
            b'L' | b'T' => integer(8, false),
            b'i' | b'I' => {
                let size = self.number(call, 4)?;
                if size > INTEGER_BYTES_MAX {
                    let text =
                        format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                    return Err(call.error(&text));
                }
                integer(size, option == b'i')
            }
            b'f' => Item::Float,
            b'd' => Item::Double,
            b'x' => Item::Pad,
            b's' => Item::Zero,
            b'c' => Item::Bytes(self.number(call, 1)?),
            b'<' => {
                self.little = true;
                Item::Nothing
            }
            b'>' => {
                self.little = false;
                Item::Nothing
            }
            b'!' => Item::Align,
            b' ' => Item::Nothing,
            other => Item::Unknown(other),
        }))
    }

    /// Reads the number behind `!`.
    fn align(&mut self, call: &mut Call<'_>) -> Result<()> {
        let alignment = self.number(call, NATIVE_ALIGNMENT)?;
        if !alignment.is_power_of_two() {
            return Err(call.error(&format!("alignment {alignment} is not a power of 2")));
        }
        self.alignment = alignment;
        Ok(())
    }

    /// Bytes of padding before an item at a place.
    fn padding(&self, item: Item, at: usize) -> usize {
        let size = match item {
            Item::Integer { size, .. } => size,
            Item::Float => 4,
            Item::Double => 8,
            _ => return 0,
        };
        let align = size.min(self.alignment);
        if align <= 1 {
            return 0;
        }
        (align - (at & (align - 1))) & (align - 1)
    }
}

fn unknown(call: &mut Call<'_>, option: u8) -> Error {
    let text = [b"invalid format option '", &[option][..], b"'"].concat();
    call.numbered_argument_error(1, &text)
}

fn ordered(mut bytes: Vec<u8>, little: bool) -> Vec<u8> {
    if !little {
        bytes.reverse();
    }
    bytes
}

fn pack(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut format = Format::new(call.check_string(0)?);
    let mut out = Vec::new();
    let mut argument = 1;
    while let Some(item) = format.next(call)? {
        let padding = format.padding(item, out.len());
        out.resize(out.len() + padding, 0);
        match item {
            Item::Nothing => continue,
            Item::Align => {
                format.align(call)?;
                continue;
            }
            Item::Unknown(option) => return Err(unknown(call, option)),
            Item::Pad => {
                out.push(0);
                continue;
            }
            _ if !call.has(argument) => {
                // Behind the arguments stands a nil that marks their end.
                let wanted = match item {
                    Item::Zero | Item::Bytes(_) => "string",
                    _ => "number",
                };
                return Err(call.argument_error(argument, &format!("{wanted} expected, got nil")));
            }
            Item::Integer { size, .. } => {
                let number = call.check_number(argument)?;
                let bits = if number < 0.0 {
                    to_integer(number) as u64
                } else {
                    crate::stdlib::to_unsigned(number)
                };
                let mut bytes = bits.to_le_bytes().to_vec();
                bytes.resize(size, 0);
                out.append(&mut ordered(bytes, format.little));
            }
            Item::Float => {
                let bytes = (call.check_number(argument)? as f32).to_le_bytes().to_vec();
                out.append(&mut ordered(bytes, format.little));
            }
            Item::Double => {
                let bytes = call.check_number(argument)?.to_le_bytes().to_vec();
                out.append(&mut ordered(bytes, format.little));
            }
            Item::Zero | Item::Bytes(_) => {
                let text = call.check_string(argument)?;
                let length = call.bytes(text).len();
                let taken = match item {
                    Item::Bytes(0) | Item::Zero => length,
                    Item::Bytes(size) => size,
                    _ => 0,
                };
                if taken > length {
                    return Err(call.argument_error(argument + 1, "string too short"));
                }
                call.state.heap.check(out.len() + taken + 1)?;
                out.extend_from_slice(&call.bytes(text)[..taken]);
                if item == Item::Zero {
                    out.push(0);
                }
            }
        }
        argument += 1;
    }
    call.charge_bytes(out.len());
    let text = call.state.heap.string_from(out)?;
    call.ret(Value::String(text))
}

/// The number that bytes stand for.
fn integer(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let bytes = ordered(bytes.to_vec(), little);
    let size = bytes.len().min(8);
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(&bytes[..size]);
    let value = u64::from_le_bytes(raw);
    if !signed {
        return value as f64;
    }
    let unused = 64 - 8 * size as u32;
    if size == 0 {
        return 0.0;
    }
    ((value << unused) as i64 >> unused) as f64
}

fn unpack(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut format = Format::new(call.check_string(0)?);
    let data = call.check_string(1)?;
    let length = call.bytes(data).len();
    let place = call.opt_integer(2, 1)?;
    if place == 0 {
        return Err(call.argument_error(2, "offset must be 1 or greater"));
    }
    // A place before the beginning is one far behind the end, as for C's unsigned numbers.
    let mut at = (place - 1) as u64 as usize;
    let mut count = 0;
    // The number read last, which `c0` takes as its length.
    let mut last = None;
    while let Some(item) = format.next(call)? {
        at = at.saturating_add(format.padding(item, at));
        let size = match item {
            Item::Integer { size, .. } => size,
            Item::Float => 4,
            Item::Double => 8,
            Item::Pad => 1,
            Item::Bytes(size) => size,
            Item::Zero | Item::Nothing | Item::Align | Item::Unknown(_) => 0,
        };
        if at > length || size > length - at {
            return Err(call.argument_error(1, "data string too short"));
        }
        match item {
            Item::Align => format.align(call)?,
            Item::Unknown(option) => return Err(unknown(call, option)),
            _ => {}
        }
        let bytes = &call.bytes(data)[at..];
        at += size;
        let value = match item {
            Item::Nothing | Item::Pad | Item::Align | Item::Unknown(_) => continue,
            Item::Integer { signed, .. } => {
                Value::Number(integer(&bytes[..size], format.little, signed))
            }
            Item::Float => {
                let bytes = ordered(bytes[..4].to_vec(), format.little);
                let raw = bytes.try_into().unwrap_or_default();
                Value::Number(f64::from(f32::from_le_bytes(raw)))
            }
            Item::Double => {
                let bytes = ordered(bytes[..8].to_vec(), format.little);
                Value::Number(f64::from_le_bytes(bytes.try_into().unwrap_or_default()))
            }
            Item::Zero => {
                let Some(end) = memchr::memchr(0, bytes) else {
                    return Err(call.error("unfinished string in data"));
                };
                let text = bytes[..end].to_vec();
                at += end + 1;
                Value::String(call.state.heap.string_from(text)?)
            }
            Item::Bytes(0) => {
                let Some(Value::Number(number)) = last else {
                    return Err(call.error("format 'c0' needs a previous size"));
                };
                // It replaces the number.
                let taken = usize::try_from(to_integer(number)).unwrap_or(usize::MAX);
                if taken > bytes.len() {
                    return Err(call.argument_error(1, "data string too short"));
                }
                let text = bytes[..taken].to_vec();
                at += taken;
                count -= 1;
                call.pushed -= 1;
                Value::String(call.state.heap.string_from(text)?)
            }
            Item::Bytes(_) => {
                let text = bytes[..size].to_vec();
                Value::String(call.state.heap.string_from(text)?)
            }
        };
        if count + call.count >= crate::limits::NATIVE_VALUES_MAX {
            return Err(call.error("stack overflow (too many results)"));
        }
        call.push(value)?;
        last = Some(value);
        count += 1;
    }
    call.push(Value::Number((at + 1) as f64))?;
    Ok(NativeResult::Return(count + 1))
}

fn size(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut format = Format::new(call.check_string(0)?);
    let mut at = 0_usize;
    while let Some(item) = format.next(call)? {
        at += format.padding(item, at);
        at = at.saturating_add(match item {
            Item::Integer { size, .. } => size,
            Item::Float => 4,
            Item::Double => 8,
            Item::Pad => 1,
            Item::Bytes(0) => return Err(call.argument_error(0, "option 'c0' has no fixed size")),
            Item::Zero => return Err(call.argument_error(0, "option 's' has no fixed size")),
            Item::Bytes(size) => size,
            Item::Align => {
                format.align(call)?;
                0
            }
            // Unknown letters are passed over here, other signs are not.
            Item::Unknown(option) if !option.is_ascii_alphanumeric() => {
                return Err(unknown(call, option));
            }
            Item::Nothing | Item::Unknown(_) => 0,
        });
    }
    call.ret_number(at as f64)
}
