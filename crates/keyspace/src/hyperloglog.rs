//! HyperLogLogs: strings that estimate how many different elements they have been shown.
//!
//! ```text
//! "HYLL" | encoding: 0 dense, 1 sparse | 3 bytes unused | count, 8 bytes little-endian | registers
//! ```
//!
//! The count is that of the last estimate; its topmost bit says that it is out of date. An element's hash chooses one of
//! 16,384 registers by its lower 14 bits, and the register keeps the longest run of zeros, plus one, that has been seen at
//! the lower end of the other 50. [`dense`] and [`sparse`] say how registers are held.
//!
//! Whoever can write strings can write these, so every byte behind the header is checked on every use.
//! Source: Flajolet et al., "HyperLogLog" (2007); Heule et al., "HyperLogLog in practice" (2013).

pub mod dense;
mod estimate;
mod hash;
pub mod sparse;

use estimate::Histogram;

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of the hash that choose the register.
const INDEX_BITS: u32 = 14;

/// Bits of the hash that are left for the run of zeros.
const RUN_BITS: u32 = 64 - INDEX_BITS;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const COUNT_AT: usize = 8;
const HEADER_BYTES: usize = 16;
const OUT_OF_DATE: u64 = 1 << 63;

/// Registers that do not add up to what they must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// How the registers are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each in 6 bits.
    Dense,
    /// As runs.
    Sparse,
}

/// A string with a header that is right.
#[derive(Clone, Copy, Debug)]
pub struct HyperLogLog<'a> {
    bytes: &'a [u8],
    form: Form,
}

impl<'a> HyperLogLog<'a> {
    /// `None` for a string that is no HyperLogLog.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        let form = match bytes[ENCODING_AT] {
            0 if bytes.len() == HEADER_BYTES + dense::BYTES => Form::Dense,
            1 => Form::Sparse,
            _ => return None,
        };
        Some(HyperLogLog { bytes, form })
    }

    /// How its registers are held.
    #[must_use]
    pub fn form(self) -> Form {
        self.form
    }

    /// What stands behind the header.
    #[must_use]
    pub fn body(self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The last estimate, if nothing has changed since.
    #[must_use]
    pub fn cached_count(self) -> Option<u64> {
        let bytes = self.bytes[COUNT_AT..].first_chunk().copied();
        let count = bytes.map_or(OUT_OF_DATE, u64::from_le_bytes);
        (count & OUT_OF_DATE == 0).then_some(count)
    }

    /// Whether it is dense and none of the elements would make a difference. Sparse ones do not know it that fast.
    #[must_use]
    pub fn has_seen(self, elements: &[&[u8]]) -> bool {
        self.form == Form::Dense
            && elements.iter().all(|element| {
                let (index, run) = place(element);
                dense::register(self.body(), index) >= run
            })
    }

    /// Estimates how many different elements it has seen.
    ///
    /// # Errors
    /// [`Corrupt`] for sparse runs of more or fewer registers than there are.
    pub fn count(self) -> Result<u64, Corrupt> {
        let histogram = match self.form {
            Form::Dense => dense::histogram(self.body()),
            Form::Sparse => sparse::histogram(self.body())?,
        };
        Ok(estimate::count(&histogram))
    }
}

/// A HyperLogLog to change. A change that fails leaves it as it was.
#[derive(Debug)]
pub struct HyperLogLogMut<'a> {
    bytes: &'a mut Vec<u8>,
    form: Form,
}

impl<'a> HyperLogLogMut<'a> {
    /// `None` for a string that is no HyperLogLog.
    pub fn of(bytes: &'a mut Vec<u8>) -> Option<Self> {
        let form = HyperLogLog::of(bytes)?.form;
        Some(HyperLogLogMut { bytes, form })
    }

    /// Makes the string one that has seen nothing.
    pub fn start(bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend_from_slice(MAGIC);
        bytes.resize(HEADER_BYTES, 0);
        bytes[ENCODING_AT] = 1;
        bytes.extend_from_slice(&sparse::EMPTY);
        HyperLogLogMut {
            bytes,
            form: Form::Sparse,
        }
    }

    /// How its registers are held.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// It, to look at.
    #[must_use]
    pub fn view(&self) -> HyperLogLog<'_> {
        HyperLogLog {
            bytes: self.bytes,
            form: self.form,
        }
    }

    /// Keeps an estimate.
    pub fn cache_count(&mut self, count: u64) {
        self.bytes[COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
    }

    /// The estimate that is kept is out of date. It stays readable.
    pub fn outdate(&mut self) {
        self.bytes[HEADER_BYTES - 1] |= 0x80;
    }

    /// Shows it elements; how many of them made a difference. It is dense afterwards if a sparse one would have more than
    /// `sparse_bytes_max` bytes.
    ///
    /// # Errors
    /// [`Corrupt`] for an element whose register no run holds.
    pub fn add(&mut self, elements: &[&[u8]], sparse_bytes_max: usize) -> Result<u64, Corrupt> {
        // One step is done or not; of several the last may fail.
        let before = (self.form == Form::Sparse && elements.len() > 1).then(|| self.bytes.clone());
        let mut changes = 0;
        for element in elements {
            let (index, run) = place(element);
            match self.raise(index, run, sparse_bytes_max) {
                Ok(changed) => changes += u64::from(changed),
                Err(error) => {
                    self.restore(before);
                    return Err(error);
                }
            }
        }
        if changes > 0 {
            self.outdate();
        }
        Ok(changes)
    }

    fn restore(&mut self, before: Option<Vec<u8>>) {
        if let Some(before) = before {
            *self.bytes = before;
            self.form = Form::Sparse;
        }
    }

    /// Makes the register at least `value`. Whether it was less.
    fn raise(&mut self, index: usize, value: u8, sparse_bytes_max: usize) -> Result<bool, Corrupt> {
        if self.form == Form::Sparse {
            let ops_max = sparse_bytes_max.saturating_sub(HEADER_BYTES);
            match sparse::raise(self.bytes, HEADER_BYTES, index, value, ops_max)? {
                sparse::Raised::Already => return Ok(false),
                sparse::Raised::Now => return Ok(true),
                sparse::Raised::NoRoom => self.make_dense()?,
            }
        }
        Ok(dense::raise(&mut self.bytes[HEADER_BYTES..], index, value))
    }

    /// Makes it dense; the estimate that is kept stays.
    ///
    /// # Errors
    /// [`Corrupt`] for runs of more or fewer registers than there are.
    pub fn make_dense(&mut self) -> Result<(), Corrupt> {
        if self.form == Form::Sparse {
            let mut maxima = Maxima::default();
            sparse::merge(&self.bytes[HEADER_BYTES..], &mut maxima.0)?;
            self.write_dense(&maxima);
        }
        Ok(())
    }

    fn write_dense(&mut self, maxima: &Maxima) {
        self.bytes[ENCODING_AT] = 0;
        self.bytes.resize(HEADER_BYTES + dense::BYTES, 0);
        dense::pack(&maxima.0, &mut self.bytes[HEADER_BYTES..]);
        self.form = Form::Dense;
    }

    /// Takes over maxima that its own registers are part of.
    ///
    /// # Errors
    /// [`Corrupt`] for runs of more or fewer registers than there are.
    pub fn raise_all(&mut self, maxima: &Maxima, sparse_bytes_max: usize) -> Result<(), Corrupt> {
        if self.form == Form::Sparse {
            let mut own = Maxima::default();
            sparse::merge(&self.bytes[HEADER_BYTES..], &mut own.0)?;
            let before = self.bytes.clone();
            // Register by register, as if they had been added: the runs come out as the reference's.
            let pairs = maxima.0.iter().zip(own.0.iter()).enumerate();
            for (index, (value, _)) in pairs.filter(|(_, (value, own))| value > own) {
                if let Err(error) = self.raise(index, *value, sparse_bytes_max) {
                    self.restore(Some(before));
                    return Err(error);
                }
                if self.form == Form::Dense {
                    break;
                }
            }
        }
        if self.form == Form::Dense {
            self.write_dense(maxima);
        }
        self.outdate();
        Ok(())
    }
}

/// The register that an element belongs to, and the run of zeros it shows there.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash::murmur64a(element, hash::SEED);
    let index = (hash % REGISTERS as u64) as usize;
    // A one above the top ends the run.
    let rest = (hash >> INDEX_BITS) | (1 << RUN_BITS);
    (index, rest.trailing_zeros() as u8 + 1)
}

/// The maximum of each register over several HyperLogLogs.
#[derive(Debug)]
pub struct Maxima(Box<[u8; REGISTERS]>);

impl Default for Maxima {
    fn default() -> Self {
        Maxima(Box::new([0; REGISTERS]))
    }
}

impl Maxima {
    /// Takes in one more.
    ///
    /// # Errors
    /// [`Corrupt`] for sparse runs of more or fewer registers than there are.
    pub fn merge(&mut self, other: HyperLogLog<'_>) -> Result<(), Corrupt> {
        match other.form {
            Form::Dense => dense::merge(other.body(), &mut self.0),
            Form::Sparse => sparse::merge(other.body(), &mut self.0)?,
        }
        Ok(())
    }

    /// Estimates how many different elements all of them have seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        estimate::count(&Histogram::new(dense::counts(&self.0)))
    }
}

#[cfg(test)]
mod tests;
