//! Walking a listpack from both ends.

use std::iter::FusedIterator;

use super::encoding::{back_len_bytes, decode, short_string};
use super::entry_before;
use crate::element::Element;

/// The elements of a listpack. Takes one decoding per element and no memory.
#[derive(Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// Both are starts of entries or the end of the last: `front <= back`.
    front: usize,
    back: usize,
}

impl<'a> Iter<'a> {
    pub(super) fn new(bytes: &'a [u8], front: usize, back: usize) -> Self {
        Self { bytes, front, back }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.front == self.back {
            return None;
        }
        // The usual entry of all, here so that it takes no call.
        if let Some(bytes) = short_string(self.bytes, self.front) {
            self.front += bytes.len() + 2;
            return Some(Element::Bytes(bytes));
        }
        let (element, payload) = decode(self.bytes, self.front);
        self.front += payload + back_len_bytes(payload);
        Some(element)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Element<'a>> {
        if self.front == self.back {
            return None;
        }
        self.back = entry_before(self.bytes, self.back);
        Some(decode(self.bytes, self.back).0)
    }
}

impl FusedIterator for Iter<'_> {}
