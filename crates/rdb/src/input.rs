//! The one cursor through which all bytes of a file are read: bounds, offset and checksum in one place.

use std::io::{self, Read};

use crate::crc64::Crc64;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BUFFER_BYTES, RESERVE_AHEAD_BYTES};

/// A buffered source. It never asks the source for more than one `read` beyond what it needs, so a live
/// connection that has delivered all of a file is not waited for.
#[derive(Debug)]
pub(crate) struct Input<R> {
    source: R,
    /// `0 <= summed <= read <= filled <= buffer.len()`; `read..filled` has not been consumed.
    buffer: Vec<u8>,
    read: usize,
    filled: usize,
    /// Bytes before this index are in `crc`. Summing is put off so that it runs over large pieces.
    summed: usize,
    /// Offset in the input of `buffer[0]`.
    base: u64,
    crc: Option<Crc64>,
    /// Bytes of the whole input, where that is known.
    total: Option<u64>,
    /// What is being read, for errors.
    pub(crate) what: &'static str,
}

impl<R: Read> Input<R> {
    /// An input whose first bytes have already been received.
    pub(crate) fn new(received: Vec<u8>, source: R, total: Option<u64>, checksum: bool) -> Self {
        let filled = received.len();
        let mut buffer = received;
        // Inputs that are complete need no more room than they have.
        let missing = total.is_none_or(|total| total > filled as u64);
        if missing && buffer.len() < BUFFER_BYTES {
            buffer.resize(BUFFER_BYTES, 0);
        }
        Self {
            source,
            buffer,
            read: 0,
            filled,
            summed: 0,
            base: 0,
            crc: checksum.then(Crc64::new),
            total,
            what: "header",
        }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.base.saturating_add(self.read as u64)
    }

    /// Bytes that can still come; `u64::MAX` where nobody knows.
    pub(crate) fn remaining(&self) -> u64 {
        self.total
            .map_or(u64::MAX, |total| total.saturating_sub(self.offset()))
    }

    /// Checksum of all bytes consumed; `None` when it is switched off.
    pub(crate) fn crc(&mut self) -> Option<u64> {
        self.sum();
        self.crc.as_ref().map(Crc64::value)
    }

    /// Bytes that were received but not consumed, and the source.
    pub(crate) fn into_parts(mut self) -> (Vec<u8>, R) {
        self.buffer.truncate(self.filled);
        self.buffer.drain(..self.read);
        (self.buffer, self.source)
    }

    #[cold]
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(self.offset(), self.what, kind)
    }

    #[cold]
    pub(crate) fn corrupt(&self, why: &'static str) -> Error {
        self.error(ErrorKind::Corrupt(why))
    }

    /// The largest `count` for [`Input::take`].
    pub(crate) fn take_max(&self) -> usize {
        self.buffer.len()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8> {
        if self.read >= self.filled {
            self.fill(1)?;
        }
        let Some(&byte) = self.buffer.get(self.read) else {
            return Err(self.error(ErrorKind::UnexpectedEof));
        };
        self.read = self.read.wrapping_add(1);
        Ok(byte)
    }

    /// The next `N` bytes.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.take(N)?.first_chunk::<N>() {
            Some(bytes) => Ok(*bytes),
            None => Err(self.error(ErrorKind::UnexpectedEof)),
        }
    }

    /// The next `count` bytes, at most [`Input::take_max`].
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&[u8]> {
        if self.filled.wrapping_sub(self.read) < count {
            self.fill(count)?;
        }
        let from = self.read;
        let to = from.wrapping_add(count);
        self.read = to;
        // Present: `fill` returned, so `to <= filled`.
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }

    /// Appends the next `count` bytes to `out`, which grows as they come.
    pub(crate) fn read_onto(&mut self, out: &mut Vec<u8>, count: usize) -> Result<()> {
        let ready = self.filled.wrapping_sub(self.read).min(count);
        if ready == count {
            out.reserve(count);
        }
        out.extend_from_slice(self.take(ready)?);
        let mut left = count.wrapping_sub(ready);
        if left == 0 {
            return Ok(());
        }
        // The buffer is empty from here on: the rest goes past it.
        self.sum();
        while left > 0 {
            let start = out.len();
            let piece = left.min(RESERVE_AHEAD_BYTES);
            if out.capacity().wrapping_sub(start) < piece {
                // Twice what has arrived, but never more than will be needed.
                out.reserve_exact(left.min(start.max(RESERVE_AHEAD_BYTES)));
            }
            out.resize(start.saturating_add(piece), 0);
            let mut target = out.get_mut(start..).unwrap_or_default();
            while !target.is_empty() {
                let got = self.read_source(|source| source.read(target))?;
                let (new, rest) = target.split_at_mut_checked(got).unwrap_or_default();
                if let Some(crc) = &mut self.crc {
                    crc.update(new);
                }
                self.base = self.base.saturating_add(got as u64);
                target = rest;
            }
            left = left.wrapping_sub(piece);
        }
        Ok(())
    }

    /// Consumes `count` bytes.
    pub(crate) fn skip(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let ready = self.filled.wrapping_sub(self.read) as u64;
            if ready == 0 {
                self.fill(1)?;
                continue;
            }
            let piece = ready.min(left);
            self.take(piece as usize)?;
            left = left.wrapping_sub(piece);
        }
        Ok(())
    }

    /// Adds what was consumed to the checksum.
    fn sum(&mut self) {
        if let Some(crc) = &mut self.crc
            && let Some(bytes) = self.buffer.get(self.summed..self.read)
            && !bytes.is_empty()
        {
            crc.update(bytes);
        }
        self.summed = self.read;
    }

    /// Makes at least `count` bytes available.
    #[cold]
    fn fill(&mut self, count: usize) -> Result<()> {
        if count as u64 > self.remaining() || count > self.buffer.len() {
            return Err(self.error(ErrorKind::UnexpectedEof));
        }
        self.sum();
        self.base = self.offset();
        self.buffer.copy_within(self.read..self.filled, 0);
        self.filled = self.filled.wrapping_sub(self.read);
        self.read = 0;
        self.summed = 0;
        while self.filled < count {
            // Taken out for the call, because errors want to look at the cursor.
            let mut buffer = std::mem::take(&mut self.buffer);
            let got = self.read_source_at(&mut buffer);
            self.buffer = buffer;
            self.filled = self.filled.saturating_add(got?).min(self.buffer.len());
        }
        Ok(())
    }

    fn read_source_at(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.get_mut(self.filled..).unwrap_or_default();
        self.read_source(|source| source.read(room))
    }

    /// One successful `read` of at least one byte.
    fn read_source(&mut self, mut read: impl FnMut(&mut R) -> io::Result<usize>) -> Result<usize> {
        loop {
            match read(&mut self.source) {
                Ok(0) => return Err(self.error(ErrorKind::UnexpectedEof)),
                Ok(got) => return Ok(got),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(ErrorKind::Io(error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes per call.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len());
            self.0.read(&mut out[..count])
        }
    }

    #[test]
    fn a_promise_reserves_little_ahead_of_what_arrives() {
        let mut input = Input::new(Vec::new(), &b"0123456789"[..], None, true);
        let mut out = Vec::new();
        assert!(input.read_onto(&mut out, 400 << 20).is_err());
        assert!(out.capacity() <= RESERVE_AHEAD_BYTES + BUFFER_BYTES);
    }

    #[test]
    fn any_way_to_read_sums_and_counts_every_byte_once() {
        let data: Vec<u8> = (0..3_000_000u32)
            .map(|i| (i.wrapping_mul(31) >> 3) as u8)
            .collect();
        for step in [1000, 65_536, usize::MAX] {
            let mut input = Input::new(Vec::new(), Drip(&data, step), None, true);
            let mut out = Vec::new();
            out.push(input.byte().unwrap());
            out.extend_from_slice(input.take(9).unwrap());
            input.read_onto(&mut out, 40_000).unwrap();
            input.read_onto(&mut out, 2_500_000).unwrap();
            assert_eq!(out.capacity(), out.len());
            out.extend_from_slice(&input.array::<8>().unwrap());
            assert!(out == data[..out.len()]);
            input.skip(100_000).unwrap();
            let end = out.len() + 100_000;
            assert_eq!(input.offset(), end as u64);
            assert_eq!(input.crc(), Some(crate::crc64(&data[..end])));
            let (mut rest, source) = input.into_parts();
            rest.extend_from_slice(source.0);
            assert!(rest == data[end..]);
        }
    }

    #[test]
    fn a_known_total_is_the_end() {
        let mut input = Input::new(b"abc".to_vec(), io::empty(), Some(3), false);
        assert_eq!(input.remaining(), 3);
        assert!(input.take(4).is_err());
        assert_eq!(input.take(3).unwrap(), b"abc");
        assert_eq!(input.remaining(), 0);
        assert!(input.byte().is_err());
        assert_eq!(input.crc(), None);
    }
}
