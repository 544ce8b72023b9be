//! The digits of a double, by the Grisu2 algorithm (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
//! Accurately with Integers", 2010).
//!
//! Grisu2 finds digits that read back equal, and in 99.7 % of cases the fewest. We use it rather than a printer that is
//! always shortest because the reference does, and its digits are seen by clients and stored in listpacks: 1.25e22
//! prints as `12499999999999999000000` there, and so here.

/// Most digits that a double needs.
pub(crate) const DIGITS_MAX: usize = 17;
/// Bits of a double's stored significand.
const SIGNIFICAND_BITS: u32 = 52;
/// The significand's implicit bit.
const HIDDEN: u64 = 1 << SIGNIFICAND_BITS;
/// What the exponent field of a double is offset by, seen from the significand's last bit.
const BIAS: i32 = 1075;
/// The scaled value's exponent lies in this range, so that its whole part fits 32 bits.
const EXPONENT_MIN: i32 = -60;
/// See [`EXPONENT_MIN`].
const EXPONENT_MAX: i32 = -32;
/// The decimal exponent of the first cached power.
const POWER_FIRST: i32 = -348;
/// The distance between cached powers.
const POWER_STEP: i32 = 8;
/// Decimal digits of the largest whole part.
const WHOLE_DIGITS: i32 = 10;

/// The powers of ten from 10^-348 to 10^340 in steps of 10^8: their first 64 bits, rounded.
#[rustfmt::skip]
const POWERS: [u64; 87] = [
    0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea,
    0x9a6bb0aa55653b2d, 0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c, 0x8dd01fad907ffc3c, 0xd3515c2831559a83, 0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57, 0xc21094364dfb5637,
    0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
    0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996,
    0xdbac6c247d62a584, 0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b, 0xc9bcff6034c13053, 0x964e858c91ba2655, 0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf, 0x8a08f0f8bf0f156b,
    0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
    0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c,
    0x9c40000000000000, 0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984,
    0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70, 0xd5d238a4abe98068, 0x9f4f2726179a2245,
    0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db, 0xc45d1df942711d9a,
    0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
    0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3, 0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece,
    0x88fcf317f22241e2, 0xcc20ce9bd35c78a5, 0x98165af37b2153df, 0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410, 0x8bab8eefb6409c1a,
    0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
    0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841,
    0x9e19db92b4e31ba9, 0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
];

/// `significand * 2^exponent`.
#[derive(Clone, Copy)]
struct Float {
    significand: u64,
    exponent: i32,
}

impl Float {
    /// The same value with the top bit set.
    fn normalised(self) -> Float {
        let shift = self.significand.leading_zeros();
        Float {
            significand: self.significand << shift,
            exponent: self.exponent - shift as i32,
        }
    }

    /// The product, rounded to 64 bits.
    fn times(self, other: Float) -> Float {
        let product = u128::from(self.significand) * u128::from(other.significand) + (1 << 63);
        Float {
            significand: (product >> 64) as u64,
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// The cached power with this index.
fn power(index: usize) -> (Float, i32) {
    let decimal = POWER_FIRST + POWER_STEP * index as i32;
    // floor(decimal * log2(10)) - 63, in integers: 217706 / 2^16 is log2(10) closely enough for 4 digits.
    let exponent = ((i64::from(decimal) * 217_706) >> 16) as i32 - 63;
    (
        Float {
            significand: POWERS[index],
            exponent,
        },
        decimal,
    )
}

/// The digits of a positive finite number, as ASCII: `value = digits * 10^exponent`. Returns how many, and the exponent.
pub(crate) fn digits(value: f64, out: &mut [u8; DIGITS_MAX + 1]) -> (usize, i32) {
    debug_assert!(value > 0.0 && value.is_finite());
    let bits = value.to_bits();
    let (fraction, field) = (bits & (HIDDEN - 1), (bits >> SIGNIFICAND_BITS) as i32);
    let exact = match field {
        0 => Float {
            significand: fraction,
            exponent: 1 - BIAS,
        },
        _ => Float {
            significand: fraction | HIDDEN,
            exponent: field - BIAS,
        },
    };
    // Everything strictly between the neighbours' midpoints reads back as `value`. The neighbour below a power of two
    // is half as far.
    let upper = Float {
        significand: (exact.significand << 1) + 1,
        exponent: exact.exponent - 1,
    }
    .normalised();
    let half = if exact.significand == HIDDEN { 2 } else { 1 };
    let lower = Float {
        significand: (exact.significand << half) - 1,
        exponent: exact.exponent - half,
    };
    let lower = Float {
        significand: lower.significand << (lower.exponent - upper.exponent),
        exponent: upper.exponent,
    };

    let mut index = ((f64::from(-(upper.exponent + POWERS.len() as i32))
        * std::f64::consts::LOG10_2) as i32
        - POWER_FIRST)
        / POWER_STEP;
    let (scale, decimal) = loop {
        let (scale, decimal) = power(index as usize);
        match upper.exponent + scale.exponent + 64 {
            ..EXPONENT_MIN => index += 1,
            EXPONENT_MIN..=EXPONENT_MAX => break (scale, decimal),
            _ => index -= 1,
        }
    };
    let middle = exact.normalised().times(scale);
    // One unit inwards on each side covers the error of the product.
    let mut upper = upper.times(scale);
    upper.significand -= 1;
    let lower = lower.times(scale).significand + 1;
    generate(
        upper,
        upper.significand - middle.significand,
        upper.significand - lower,
        -decimal,
        out,
    )
}

/// Takes digits off `upper` until the rest is within `delta`, then steps down towards the value, which is `distance`
/// below `upper`.
fn generate(
    upper: Float,
    distance: u64,
    delta: u64,
    exponent: i32,
    out: &mut [u8; DIGITS_MAX + 1],
) -> (usize, i32) {
    let shift = -upper.exponent as u32;
    let one = 1_u64 << shift;
    let mut whole = upper.significand >> shift;
    let mut fraction = upper.significand & (one - 1);
    let mut count = 0;
    let mut push = |digit: u64, count: &mut usize| {
        if digit != 0 || *count > 0 {
            out[*count] = b'0' + digit as u8;
            *count += 1;
        }
    };

    let mut left = WHOLE_DIGITS;
    let mut unit = 10_u64.pow(WHOLE_DIGITS as u32 - 1);
    while left > 0 {
        push(whole / unit, &mut count);
        whole %= unit;
        left -= 1;
        let rest = (whole << shift) + fraction;
        if rest <= delta {
            round(&mut out[..count], delta, rest, unit << shift, distance);
            return (count, exponent + left);
        }
        unit /= 10;
    }
    let (mut delta, mut scale) = (delta, 1_u64);
    loop {
        fraction *= 10;
        delta *= 10;
        scale = scale.wrapping_mul(10);
        push(fraction >> shift, &mut count);
        fraction &= one - 1;
        left -= 1;
        if fraction < delta {
            round(
                &mut out[..count],
                delta,
                fraction,
                one,
                distance.wrapping_mul(scale),
            );
            return (count, exponent + left);
        }
    }
}

/// Lowers the last digit while that brings the digits closer to the value and keeps them within `delta`.
fn round(digits: &mut [u8], delta: u64, mut rest: u64, unit: u64, distance: u64) {
    let Some(last) = digits.last_mut() else {
        return;
    };
    while rest < distance
        && delta - rest >= unit
        && (rest.wrapping_add(unit) < distance
            || distance - rest > rest.wrapping_add(unit).wrapping_sub(distance))
    {
        *last -= 1;
        rest += unit;
    }
}
