//! `bit`: operations on 32 bits. Arguments are reduced modulo 2^32, results are signed.

use crate::value::Value;
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult};

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("tobit", |call| unary(call, |x| x)),
    ("bnot", |call| unary(call, |x| !x)),
    ("bswap", |call| unary(call, u32::swap_bytes)),
    ("band", |call| fold(call, |a, b| a & b)),
    ("bor", |call| fold(call, |a, b| a | b)),
    ("bxor", |call| fold(call, |a, b| a ^ b)),
    ("lshift", |call| shift(call, |x, n| x << n)),
    ("rshift", |call| shift(call, |x, n| x >> n)),
    ("arshift", |call| shift(call, |x, n| (x as i32 >> n) as u32)),
    ("rol", |call| shift(call, u32::rotate_left)),
    ("ror", |call| shift(call, u32::rotate_right)),
    ("tohex", tohex),
];

/// Added to a double, it leaves the number rounded to even in the low bits: 2^52 + 2^51.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The bits of an argument.
fn bits(call: &mut Call<'_>, index: usize) -> Result<u32> {
    let number = call.check_number(index)?;
    Ok((number + ROUND).to_bits() as u32)
}

fn ret(call: &mut Call<'_>, bits: u32) -> Result<NativeResult> {
    call.ret(Value::Number(f64::from(bits as i32)))
}

fn unary(call: &mut Call<'_>, operation: fn(u32) -> u32) -> Result<NativeResult> {
    let x = bits(call, 0)?;
    ret(call, operation(x))
}

fn fold(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> Result<NativeResult> {
    let mut x = bits(call, 0)?;
    // The last argument is looked at first, the first one before all.
    for index in (1..call.count).rev() {
        x = operation(x, bits(call, index)?);
    }
    ret(call, x)
}

fn shift(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> Result<NativeResult> {
    let (x, count) = (bits(call, 0)?, bits(call, 1)? & 31);
    ret(call, operation(x, count))
}

fn tohex(call: &mut Call<'_>) -> Result<NativeResult> {
    let x = bits(call, 0)?;
    let digits = if call.has(1) {
        bits(call, 1)? as i32
    } else {
        8
    };
    let text = format!("{x:08x}");
    let shown = (digits.unsigned_abs() as usize).min(8);
    let text = &text[8 - shown..];
    if digits < 0 {
        return call.ret_bytes(text.to_ascii_uppercase().as_bytes());
    }
    call.ret_bytes(text.as_bytes())
}
