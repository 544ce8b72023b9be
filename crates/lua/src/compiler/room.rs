//! Sizes in one byte: three bits of mantissa and five of exponent, rounded up.

/// The byte for a size.
pub(crate) fn encode(size: u32) -> u8 {
    let mut mantissa = size;
    let mut exponent = 0;
    while mantissa >= 16 {
        mantissa = mantissa.div_ceil(2);
        exponent += 1;
    }
    if mantissa < 8 {
        mantissa as u8
    } else {
        ((exponent + 1) << 3) | (mantissa as u8 - 8)
    }
}

/// The size that a byte stands for.
pub(crate) fn decode(byte: u8) -> usize {
    match byte >> 3 {
        0 => usize::from(byte),
        exponent => (usize::from(byte & 7) + 8) << (exponent - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_less_than_an_eighth() {
        for size in (0..2000).chain([100_000, 1 << 30]) {
            let decoded = decode(encode(size));
            assert!(decoded >= size as usize && decoded - size as usize <= size as usize / 8);
        }
    }
}
