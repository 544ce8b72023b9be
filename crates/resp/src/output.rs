//! Encoded output on its way to a socket: bytes, and counted ones spliced in without being copied.

use std::collections::VecDeque;
use std::sync::Arc;

/// Encoded bytes, with counted ones between them.
#[derive(Default, Debug)]
pub struct Output {
    bytes: Vec<u8>,
    /// In order of `at`.
    spliced: Vec<Spliced>,
    /// Length of all of `spliced`: it is asked for with each command of a transaction.
    spliced_bytes: usize,
}

/// Counted bytes that go in front of what lies at `at` in [`Output::bytes`].
#[derive(Debug)]
struct Spliced {
    at: usize,
    counted: Arc<Vec<u8>>,
}

/// A part of an output that waits to be written.
#[derive(Debug)]
pub enum Piece {
    /// Bytes of its own.
    Bytes(Vec<u8>),
    /// Bytes that others hold too.
    Counted(Arc<Vec<u8>>),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Piece::Bytes(bytes) => bytes,
            Piece::Counted(counted) => counted,
        }
    }
}

impl Output {
    /// Bytes in all.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_add(self.spliced_bytes)
    }

    /// True when there is nothing to write.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.spliced.is_empty()
    }

    /// Bytes there is room for without allocating.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// All of it, when nothing is spliced in.
    #[must_use]
    #[inline]
    pub fn contiguous(&self) -> Option<&[u8]> {
        self.spliced.is_empty().then_some(self.bytes.as_slice())
    }

    /// The first bytes, up to the first that are spliced in.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        let end = self
            .spliced
            .first()
            .map_or(self.bytes.len(), |part| part.at);
        self.bytes.get(..end).unwrap_or(&[])
    }

    /// All of it, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = 0;
        for part in &self.spliced {
            all.extend_from_slice(self.bytes.get(from..part.at).unwrap_or(&[]));
            all.extend_from_slice(&part.counted);
            from = part.at;
        }
        all.extend_from_slice(self.bytes.get(from..).unwrap_or(&[]));
        all
    }

    /// All of it, without a copy when nothing is spliced in.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if self.spliced.is_empty() {
            self.bytes
        } else {
            self.to_vec()
        }
    }

    /// Forgets everything, keeps the allocation.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spliced.clear();
        self.spliced_bytes = 0;
    }

    /// Drops everything behind the first `len` bytes; spliced bytes go as a whole.
    pub fn truncate(&mut self, len: usize) {
        while self.len() > len {
            let last = self.spliced.last();
            let (at, bytes) = last.map_or((0, 0), |part| (part.at, part.counted.len()));
            let before = self.spliced_bytes.saturating_sub(bytes).saturating_add(at);
            if last.is_none() || before < len {
                self.bytes.truncate(len.saturating_sub(self.spliced_bytes));
                return;
            }
            self.spliced.pop();
            self.spliced_bytes = self.spliced_bytes.saturating_sub(bytes);
            self.bytes.truncate(at);
        }
    }

    /// Takes away everything behind the first `len` bytes. Spliced bytes stay or go as a whole.
    #[must_use]
    pub fn split_off(&mut self, len: usize) -> Output {
        let mut spliced_bytes = 0_usize;
        let mut stays = |part: &Spliced| {
            let stays = spliced_bytes.saturating_add(part.at) < len;
            if stays {
                spliced_bytes = spliced_bytes.saturating_add(part.counted.len());
            }
            stays
        };
        let parts = self.spliced.iter().take_while(|part| stays(part)).count();
        let at = len.saturating_sub(spliced_bytes).min(self.bytes.len());
        let mut rest = Output {
            bytes: self.bytes.split_off(at),
            spliced: self.spliced.split_off(parts),
            spliced_bytes: self.spliced_bytes.saturating_sub(spliced_bytes),
        };
        for part in &mut rest.spliced {
            part.at = part.at.saturating_sub(at);
        }
        self.spliced_bytes = spliced_bytes;
        rest
    }

    /// Puts counted bytes at the end.
    pub fn splice(&mut self, counted: Arc<Vec<u8>>) {
        let at = self.bytes.len();
        self.spliced_bytes = self.spliced_bytes.saturating_add(counted.len());
        self.spliced.push(Spliced { at, counted });
    }

    /// Takes over all of `other`, which is left empty.
    pub fn append(&mut self, other: &mut Output) {
        let offset = self.bytes.len();
        self.spliced_bytes = self.spliced_bytes.saturating_add(other.spliced_bytes);
        other.spliced_bytes = 0;
        self.bytes.append(&mut other.bytes);
        self.spliced
            .extend(other.spliced.drain(..).map(|part| Spliced {
                at: part.at.saturating_add(offset),
                ..part
            }));
    }

    /// Moves everything to the end of a queue of pieces.
    pub fn drain_into(&mut self, pieces: &mut VecDeque<Piece>) {
        let mut from = 0;
        self.spliced_bytes = 0;
        for part in self.spliced.drain(..) {
            let before = self.bytes.get(from..part.at).unwrap_or(&[]);
            pieces.push_back(Piece::Bytes(before.to_vec()));
            pieces.push_back(Piece::Counted(part.counted));
            from = part.at;
        }
        let rest = self.bytes.get(from..).unwrap_or(&[]);
        if !rest.is_empty() {
            pieces.push_back(Piece::Bytes(rest.to_vec()));
        }
        self.bytes.clear();
    }

    /// Puts the last bytes into an allocation of their own, if there are `bytes_min` of them: a long output that is written bit by
    /// bit is not moved as a whole when there is no room for more. They are none but the last `written` ones of the output.
    pub fn seal(&mut self, written: usize, bytes_min: usize) {
        let sealed = self.spliced.last().map_or(0, |part| part.at);
        let from = self.bytes.len().saturating_sub(written).max(sealed);
        if self.bytes.len().saturating_sub(from) >= bytes_min {
            let tail = self.bytes.split_off(from);
            self.splice(Arc::new(tail));
        }
    }

    /// The bytes that are not spliced in, to be added to.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How many those are.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Moves the bytes from `end` on to `at`, in front of everything encoded since then.
    pub(crate) fn rotate(&mut self, at: usize, end: usize) {
        let moved = self.bytes.len().saturating_sub(end);
        if let Some(tail) = self.bytes.get_mut(at..) {
            tail.rotate_right(moved);
        }
        for part in self.spliced.iter_mut().rev() {
            if part.at <= at {
                break;
            }
            part.at = part.at.saturating_add(moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, Piece};
    use std::collections::VecDeque;
    use std::sync::Arc;

    fn add(output: &mut Output, bytes: &[u8]) {
        output.bytes_mut().extend_from_slice(bytes);
    }

    fn written(output: &mut Output) -> Vec<u8> {
        let mut pieces = VecDeque::new();
        output.drain_into(&mut pieces);
        assert!(output.is_empty());
        pieces
            .iter()
            .flat_map(|piece| piece.as_ref().to_vec())
            .collect()
    }

    fn sample() -> Output {
        let mut output = Output::default();
        add(&mut output, b"ab");
        output.splice(Arc::new(b"CDE".to_vec()));
        add(&mut output, b"f");
        output.splice(Arc::new(b"GH".to_vec()));
        output
    }

    #[test]
    fn pieces_come_out_in_order_and_uncopied() {
        let mut output = sample();
        assert_eq!((output.len(), output.start()), (8, &b"ab"[..]));
        assert_eq!(output.to_vec(), b"abCDEfGH");
        assert!(output.contiguous().is_none());
        let counted = Arc::new(vec![b'x'; 10]);
        output.splice(Arc::clone(&counted));
        let mut pieces = VecDeque::new();
        output.drain_into(&mut pieces);
        assert!(matches!(pieces.back(), Some(Piece::Counted(same)) if Arc::ptr_eq(same, &counted)));
        assert_eq!(written(&mut sample()), b"abCDEfGH");
    }

    #[test]
    fn a_reply_is_taken_back_at_any_boundary() {
        for (len, left) in [
            (8, &b"abCDEfGH"[..]),
            (6, b"abCDEf"),
            (5, b"abCDE"),
            (2, b"ab"),
            (1, b"a"),
            (0, b""),
        ] {
            let mut output = sample();
            output.truncate(len);
            assert_eq!(output.len(), left.len());
            assert_eq!(written(&mut output), left);
        }
    }

    #[test]
    fn the_end_is_taken_away_at_any_boundary() {
        for len in [8, 6, 5, 2, 1, 0] {
            let mut output = sample();
            let mut rest = output.split_off(len);
            let all = b"abCDEfGH";
            assert_eq!((output.len(), rest.len()), (len, all.len() - len));
            assert_eq!(written(&mut output), all[..len]);
            assert_eq!(written(&mut rest), all[len..]);
        }
    }

    #[test]
    fn what_has_been_sealed_is_as_it_was_and_may_be_taken_back() {
        let mut output = sample();
        let start = output.len();
        for round in 0..10 {
            add(&mut output, b"0123456789");
            output.seal(output.len() - start, 25);
            assert_eq!(output.len(), start + 10 * (round + 1));
        }
        assert_eq!(output.spliced.len(), 2 + 3);
        assert_eq!(output.to_vec()[start..], b"0123456789".repeat(10));
        output.truncate(start);
        assert_eq!(written(&mut output), b"abCDEfGH");
    }

    #[test]
    fn a_header_may_go_in_front_of_spliced_bytes() {
        let mut output = sample();
        add(&mut output, b"*2");
        output.rotate(1, 3);
        assert_eq!(written(&mut output), b"a*2bCDEfGH");
    }

    #[test]
    fn one_is_taken_over_by_another() {
        let (mut all, mut other) = (sample(), sample());
        all.append(&mut other);
        assert!(other.is_empty());
        assert_eq!(written(&mut all), b"abCDEfGHabCDEfGH");
    }
}
