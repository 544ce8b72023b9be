//! Natural numbers of any size: just what reading and printing of long doubles takes.

/// 10^19, the largest power of ten in a word.
const DECIMAL_CHUNK: u64 = 10_000_000_000_000_000_000;
/// Digits in such a chunk.
const DECIMAL_CHUNK_DIGITS: usize = 19;
/// 5^27, the largest power of five in a word.
const FIVES_CHUNK: u64 = 7_450_580_596_923_828_125;
/// The exponent in it.
const FIVES_CHUNK_POWER: usize = 27;
/// Bits of a quotient: what rounding to 64 wants to see, with a margin.
const QUOTIENT_BITS: usize = 70;

/// Words of 64 bits, lowest first, without leading zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Big(Vec<u64>);

impl Big {
    pub(super) fn from_u64(value: u64) -> Self {
        Big(if value == 0 { Vec::new() } else { vec![value] })
    }

    pub(super) fn power_of_five(power: usize) -> Self {
        let mut value = Big::from_u64(1);
        for _ in 0..power / FIVES_CHUNK_POWER {
            value.multiply_add(FIVES_CHUNK, 0);
        }
        for _ in 0..power % FIVES_CHUNK_POWER {
            value.multiply_add(5, 0);
        }
        value
    }

    /// `self * factor + addend`, in place.
    pub(super) fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for word in &mut self.0 {
            carry += u128::from(*word) * u128::from(factor);
            *word = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
    }

    pub(super) fn times(&self, other: &Big) -> Big {
        let mut product = vec![0; self.0.len() + other.0.len()];
        for (at, a) in self.0.iter().enumerate() {
            let mut carry = 0_u128;
            for (word, b) in product[at..].iter_mut().zip(other.0.iter().chain([&0])) {
                carry += u128::from(*a) * u128::from(*b) + u128::from(*word);
                *word = carry as u64;
                carry >>= 64;
            }
        }
        Big(product).trimmed()
    }

    pub(super) fn shifted_left(&self, by: usize) -> Big {
        let (words, bits) = (by / 64, by % 64);
        let mut shifted = vec![0; words];
        let mut carry = 0_u128;
        for word in &self.0 {
            carry |= u128::from(*word) << bits;
            shifted.push(carry as u64);
            carry >>= 64;
        }
        shifted.push(carry as u64);
        Big(shifted).trimmed()
    }

    /// The quotient as (bits, exponent, is there a rest?), with at least [`QUOTIENT_BITS`] - 1 significant bits.
    pub(super) fn divided_by(&self, divisor: &Big) -> (u128, i64, bool) {
        // Shift one of them so that the quotient gets as many bits as wanted, and no more.
        let wanted = divisor.bits() + QUOTIENT_BITS;
        let (mut rest, divisor, exponent) = if self.bits() <= wanted {
            let by = wanted - self.bits();
            (self.shifted_left(by), divisor.clone(), -(by as i64))
        } else {
            let by = self.bits() - wanted;
            (self.clone(), divisor.shifted_left(by), by as i64)
        };
        let mut quotient = 0_u128;
        let mut step = divisor.shifted_left(QUOTIENT_BITS);
        for _ in 0..=QUOTIENT_BITS {
            quotient <<= 1;
            if rest.subtract_if_not_less(&step) {
                quotient |= 1;
            }
            step.halve();
        }
        (quotient, exponent, !rest.0.is_empty())
    }

    /// The number as its top 128 bits, their exponent, and whether anything follows them.
    pub(super) fn top(&self) -> (u128, i64, bool) {
        let drop = self.bits().saturating_sub(128);
        let (words, bits) = (drop / 64, drop % 64);
        let word = |at: usize| u128::from(self.0.get(words + at).copied().unwrap_or(0));
        let mut top = (word(0) | word(1) << 64) >> bits;
        if bits > 0 {
            top |= word(2) << (128 - bits);
        }
        let sticky =
            self.0.iter().take(words).any(|word| *word != 0) || word(0) & ((1 << bits) - 1) != 0;
        (top, drop as i64, sticky)
    }

    /// Appends the decimal digits.
    pub(super) fn print(mut self, into: &mut Vec<u8>) {
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            let mut rest = 0_u128;
            for word in self.0.iter_mut().rev() {
                rest = rest << 64 | u128::from(*word);
                *word = (rest / u128::from(DECIMAL_CHUNK)) as u64;
                rest %= u128::from(DECIMAL_CHUNK);
            }
            self = self.trimmed();
            chunks.push(rest as u64);
        }
        let mut text = itoa::Buffer::new();
        into.extend_from_slice(text.format(chunks.pop().unwrap_or(0)).as_bytes());
        for chunk in chunks.into_iter().rev() {
            let digits = text.format(chunk).as_bytes();
            into.resize(into.len() + DECIMAL_CHUNK_DIGITS - digits.len(), b'0');
            into.extend_from_slice(digits);
        }
    }

    fn bits(&self) -> usize {
        match self.0.last() {
            None => 0,
            Some(top) => 64 * self.0.len() - top.leading_zeros() as usize,
        }
    }

    fn subtract_if_not_less(&mut self, other: &Big) -> bool {
        let less = self
            .0
            .len()
            .cmp(&other.0.len())
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
            .is_lt();
        if less {
            return false;
        }
        let mut borrow = false;
        for (at, word) in self.0.iter_mut().enumerate() {
            let (value, first) = word.overflowing_sub(other.0.get(at).copied().unwrap_or(0));
            let (value, second) = value.overflowing_sub(u64::from(borrow));
            *word = value;
            borrow = first || second;
        }
        *self = std::mem::take(self).trimmed();
        true
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for word in self.0.iter_mut().rev() {
            let low = *word << 63;
            *word = *word >> 1 | carry;
            carry = low;
        }
        *self = std::mem::take(self).trimmed();
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}
