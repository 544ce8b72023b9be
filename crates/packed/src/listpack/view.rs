//! The reading half of a listpack: bytes that are one, wherever they lie.

use super::encoding::{back_len_bytes, decode};
use super::{EMPTY, HEADER, Iter, Listpack, Pos, TERMINATOR, entry_before, entry_len};
use crate::element::Element;
use crate::limits::LISTPACK_COUNT_UNKNOWN;
use words::int::parse_i64;

/// A listpack, borrowed: to be read.
#[derive(Clone, Copy)]
pub struct ListpackRef<'a>(pub(super) &'a [u8]);

impl<'a> ListpackRef<'a> {
    /// The listpack that these bytes are, of which the caller knows that they are one.
    ///
    /// Other bytes are a bug of the caller: reading them may panic or give wrong elements, never touch memory outside.
    #[inline]
    pub fn of_valid(bytes: &'a [u8]) -> Self {
        debug_assert!(super::validate(bytes).is_ok());
        Self(bytes)
    }

    /// The listpack as it goes to disk.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// A listpack of its own.
    pub fn to_listpack(self) -> Listpack {
        Listpack {
            buf: self.0.to_vec(),
            start: 0,
        }
    }

    /// Number of elements. O(1) below 65535, else it counts.
    #[inline]
    pub fn len(self) -> usize {
        match self.stated_count() {
            LISTPACK_COUNT_UNKNOWN => self.iter().count(),
            count => count,
        }
    }

    /// Are there no elements?
    #[inline]
    pub fn is_empty(self) -> bool {
        self.byte_len() == EMPTY
    }

    /// Bytes of the listpack.
    #[inline]
    pub fn byte_len(self) -> usize {
        self.0.len()
    }

    /// The first element's position.
    #[inline]
    pub fn first(self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos(HEADER))
    }

    /// The last element's position.
    #[inline]
    pub fn last(self) -> Option<Pos> {
        (!self.is_empty()).then(|| Pos(entry_before(self.0, self.byte_len() - 1)))
    }

    /// The position after `at`.
    #[inline]
    pub fn next(self, at: Pos) -> Option<Pos> {
        let bytes = self.0;
        let next = at.0 + entry_len(bytes, at.0);
        (bytes[next] != TERMINATOR).then_some(Pos(next))
    }

    /// The position before `at`.
    #[inline]
    pub fn prev(self, at: Pos) -> Option<Pos> {
        (at.0 > HEADER).then(|| Pos(entry_before(self.0, at.0)))
    }

    /// The position of element `index`, counted from 0 at the front or from -1 at the back; walks from the
    /// nearer end.
    pub fn seek(self, index: isize) -> Option<Pos> {
        let mut index = index;
        let count = self.stated_count();
        if count != LISTPACK_COUNT_UNKNOWN {
            let count = count as isize;
            if index >= count || index < -count {
                return None;
            }
            if index >= 0 && index > count / 2 {
                index -= count;
            } else if index < 0 && -index > count / 2 + 1 {
                index += count;
            }
        }
        if index >= 0 {
            let mut at = self.first()?;
            for _ in 0..index {
                at = self.next(at)?;
            }
            Some(at)
        } else {
            let mut at = self.last()?;
            for _ in 1..index.unsigned_abs() {
                at = self.prev(at)?;
            }
            Some(at)
        }
    }

    /// The element at `at`.
    #[inline]
    pub fn get(self, at: Pos) -> Element<'a> {
        decode(self.0, at.0).0
    }

    /// The element at `at`, and the position after it: one decoding for a walk.
    #[inline]
    pub fn get_next(self, at: Pos) -> (Element<'a>, Option<Pos>) {
        let bytes = self.0;
        let (element, payload) = decode(bytes, at.0);
        let next = at.0 + payload + back_len_bytes(payload);
        (element, (bytes[next] != TERMINATOR).then_some(Pos(next)))
    }

    /// The first element equal to `needle`, from `from` (or the front) on, comparing one element and then
    /// passing over `skip` of them: 0 looks at all, 1 at the fields of field-value pairs.
    pub fn find(self, needle: &[u8], from: Option<Pos>, skip: usize) -> Option<Pos> {
        let bytes = self.0;
        let mut at = from.map_or(HEADER, |pos| pos.0);
        let int = parse_i64(needle);
        loop {
            let tag = bytes[at];
            let payload = match tag {
                TERMINATOR => return None,
                // The usual entry of all: a short string, compared without building an `Element`.
                0x80..=0xBF => {
                    let len = usize::from(tag & 0x3F);
                    if len == needle.len() && &bytes[at + 1..at + 1 + len] == needle {
                        return Some(Pos(at));
                    }
                    1 + len
                }
                _ => {
                    let (element, payload) = decode(bytes, at);
                    let found = match element {
                        Element::Int(value) => int == Some(value),
                        Element::Bytes(value) => value == needle,
                    };
                    if found {
                        return Some(Pos(at));
                    }
                    payload
                }
            };
            at += payload + back_len_bytes(payload);
            for _ in 0..skip {
                if bytes[at] == TERMINATOR {
                    return None;
                }
                at += entry_len(bytes, at);
            }
        }
    }

    /// The last element equal to `needle`, from `from` (or the back) on towards the front.
    pub fn rfind(self, needle: &[u8], from: Option<Pos>) -> Option<Pos> {
        let bytes = self.0;
        let int = parse_i64(needle);
        let mut at = from.or_else(|| self.last())?;
        loop {
            let found = match decode(bytes, at.0).0 {
                Element::Int(value) => int == Some(value),
                Element::Bytes(value) => value == needle,
            };
            if found {
                return Some(at);
            }
            at = self.prev(at)?;
        }
    }

    /// The elements, front to back; double-ended.
    pub fn iter(self) -> Iter<'a> {
        Iter::new(self.0, HEADER, self.byte_len() - 1)
    }

    /// The elements from `from` to the last; double-ended.
    pub fn iter_from(self, from: Pos) -> Iter<'a> {
        Iter::new(self.0, from.0, self.byte_len() - 1)
    }

    /// The elements from the first to the one at `to`, which is among them; double-ended.
    pub fn iter_through(self, to: Pos) -> Iter<'a> {
        let bytes = self.0;
        Iter::new(bytes, HEADER, to.0 + entry_len(bytes, to.0))
    }

    #[inline]
    pub(super) fn stated_count(self) -> usize {
        usize::from(u16::from_le_bytes([self.0[4], self.0[5]]))
    }
}

impl std::fmt::Debug for ListpackRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
