//! `math`.

use super::args::to_integer;
use crate::value::Value;
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult};

type Result<T> = std::result::Result<T, Error>;

/// The generator's factor, increment and bits: C's `drand48` family.
const FACTOR: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;

/// What a seed is shifted up and completed with.
const SEED_LOW: u64 = 0x330E;

/// The largest number that the generator gives, as `RAND_MAX` of the C library.
const RANDOM_MAX: u64 = 0x7fff_ffff;

macro_rules! unary {
    ($($name:ident => $function:expr;)*) => {$(
        fn $name(call: &mut Call<'_>) -> Result<NativeResult> {
            let number = call.check_number(0)?;
            let function: fn(f64) -> f64 = $function;
            call.ret_number(function(number))
        }
    )*};
}

unary! {
    abs => f64::abs;
    acos => f64::acos;
    asin => f64::asin;
    atan => f64::atan;
    ceil => f64::ceil;
    cos => f64::cos;
    cosh => f64::cosh;
    deg => |x| x / (std::f64::consts::PI / 180.0);
    exp => f64::exp;
    floor => f64::floor;
    log => f64::ln;
    log10 => f64::log10;
    rad => |x| x * (std::f64::consts::PI / 180.0);
    sin => f64::sin;
    sinh => f64::sinh;
    sqrt => f64::sqrt;
    tan => f64::tan;
    tanh => f64::tanh;
}

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("abs", abs),
    ("acos", acos),
    ("asin", asin),
    ("atan", atan),
    ("atan2", atan2),
    ("ceil", ceil),
    ("cos", cos),
    ("cosh", cosh),
    ("deg", deg),
    ("exp", exp),
    ("floor", floor),
    ("fmod", fmod),
    ("frexp", frexp),
    ("ldexp", ldexp),
    ("log", log),
    ("log10", log10),
    ("max", max),
    ("min", min),
    ("mod", fmod),
    ("modf", modf),
    ("pow", pow),
    ("rad", rad),
    ("random", random),
    ("randomseed", randomseed),
    ("sin", sin),
    ("sinh", sinh),
    ("sqrt", sqrt),
    ("tan", tan),
    ("tanh", tanh),
];

// Where C takes two numbers at once, the second one is looked at first.

fn atan2(call: &mut Call<'_>) -> Result<NativeResult> {
    let (x, y) = (call.check_number(1)?, call.check_number(0)?);
    call.ret_number(y.atan2(x))
}

fn fmod(call: &mut Call<'_>) -> Result<NativeResult> {
    let (b, a) = (call.check_number(1)?, call.check_number(0)?);
    call.ret_number(a % b)
}

fn pow(call: &mut Call<'_>) -> Result<NativeResult> {
    let (b, a) = (call.check_number(1)?, call.check_number(0)?);
    call.ret_number(a.powf(b))
}

fn modf(call: &mut Call<'_>) -> Result<NativeResult> {
    let number = call.check_number(0)?;
    let fraction = if number.is_infinite() {
        0.0_f64.copysign(number)
    } else {
        number.fract()
    };
    // The fraction of a negative whole number is -0.
    let fraction = if fraction == 0.0 {
        fraction.copysign(number)
    } else {
        fraction
    };
    call.push(Value::Number(number.trunc()))?;
    call.push(Value::Number(fraction))?;
    Ok(NativeResult::Return(2))
}

/// Mantissa in [0.5, 1) and exponent of two.
fn split(number: f64) -> (f64, i32) {
    if number == 0.0 || !number.is_finite() {
        return (number, 0);
    }
    // What is too small for a full mantissa is made larger first.
    let (number, shift) = if number.is_normal() {
        (number, 0)
    } else {
        (number * 2_f64.powi(64), 64)
    };
    let bits = number.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let mantissa = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    (mantissa, exponent - 1022 - shift)
}

fn frexp(call: &mut Call<'_>) -> Result<NativeResult> {
    let (mantissa, exponent) = split(call.check_number(0)?);
    call.push(Value::Number(mantissa))?;
    call.push(Value::Number(f64::from(exponent)))?;
    Ok(NativeResult::Return(2))
}

fn ldexp(call: &mut Call<'_>) -> Result<NativeResult> {
    let exponent = call.check_int(1)?.clamp(-5000, 5000);
    let number = call.check_number(0)?;
    let (mantissa, own) = split(number);
    // Two factors, of which only the last one rounds.
    let exponent = exponent + own;
    let result = if exponent > 1000 {
        mantissa * 2_f64.powi(1000) * 2_f64.powi((exponent - 1000).min(1000))
    } else if exponent < -1000 {
        mantissa * 2_f64.powi(-1000) * 2_f64.powi((exponent + 1000).max(-1000))
    } else {
        mantissa * 2_f64.powi(exponent)
    };
    call.ret_number(result)
}

fn max(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut best = call.check_number(0)?;
    for index in 1..call.count {
        let number = call.check_number(index)?;
        if number > best {
            best = number;
        }
    }
    call.ret_number(best)
}

fn min(call: &mut Call<'_>) -> Result<NativeResult> {
    let mut best = call.check_number(0)?;
    for index in 1..call.count {
        let number = call.check_number(index)?;
        if number < best {
            best = number;
        }
    }
    call.ret_number(best)
}

fn random(call: &mut Call<'_>) -> Result<NativeResult> {
    let state = call
        .state
        .random
        .wrapping_mul(FACTOR)
        .wrapping_add(INCREMENT)
        & MASK;
    call.state.random = state;
    let drawn = (state >> 17) % RANDOM_MAX;
    let r = drawn as f64 / RANDOM_MAX as f64;
    match call.count {
        0 => call.ret_number(r),
        1 => {
            let upper = call.check_int(0)?;
            if upper < 1 {
                return Err(call.argument_error(0, "interval is empty"));
            }
            call.ret_number((r * f64::from(upper)).floor() + 1.0)
        }
        2 => {
            let (lower, upper) = (call.check_int(0)?, call.check_int(1)?);
            if lower > upper {
                return Err(call.argument_error(1, "interval is empty"));
            }
            let width = f64::from(upper.wrapping_sub(lower).wrapping_add(1));
            call.ret_number((r * width).floor() + f64::from(lower))
        }
        _ => Err(call.error("wrong number of arguments")),
    }
}

fn randomseed(call: &mut Call<'_>) -> Result<NativeResult> {
    let seed = to_integer(call.check_number(0)?);
    let seed = u64::from(seed as u32);
    call.state.random = ((seed << 16) | SEED_LOW) & MASK;
    Ok(NativeResult::Return(0))
}
