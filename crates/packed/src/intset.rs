//! Intset: a sorted set of integers, all of the width that the widest of them needs.
//!
//! ```text
//! u32 LE: width of an element: 2, 4 or 8 bytes
//! u32 LE: elements
//! elements, ascending, two's complement LE
//! ```

use std::iter::FusedIterator;

use crate::error::Error;

const HEADER: usize = 8;

/// A sorted set of integers, always valid. See the module for the layout.
#[derive(Clone, PartialEq, Eq)]
pub struct Intset(
    /// `HEADER + width * len` bytes, elements strictly ascending.
    Vec<u8>,
);

impl Intset {
    /// An empty set; the narrowest width.
    pub fn new() -> Self {
        Self(vec![2, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Takes over bytes from outside after checking every one of them.
    ///
    /// An empty set is valid; whether a key may hold it is for the caller to say.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let header = bytes.first_chunk::<HEADER>().ok_or(Error::Size)?;
        let [w0, w1, w2, w3, l0, l1, l2, l3] = *header;
        let width = match u32::from_le_bytes([w0, w1, w2, w3]) {
            width @ (2 | 4 | 8) => u64::from(width),
            _ => return Err(Error::Width),
        };
        let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        if bytes.len() as u64 != HEADER as u64 + width * len {
            return Err(Error::Size);
        }
        let set = Self(bytes);
        let mut last = None;
        for (index, value) in set.iter().enumerate() {
            if last >= Some(value) {
                return Err(Error::Order(index));
            }
            last = Some(value);
        }
        Ok(set)
    }

    /// The set as it goes to disk.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The set as it goes to disk, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The set, to be read.
    #[inline]
    pub fn view(&self) -> IntsetRef<'_> {
        IntsetRef(&self.0)
    }

    /// Takes over bytes of which the caller knows that they are an intset; see [`IntsetRef::of_valid`].
    pub fn of_valid(bytes: Vec<u8>) -> Self {
        debug_assert!(Self::from_bytes(bytes.clone()).is_ok());
        Self(bytes)
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Are there no elements?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// Bytes of the set.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// Bytes allocated for it on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Is `value` in the set?
    pub fn contains(&self, value: i64) -> bool {
        self.view().contains(value)
    }

    /// The element at `index` in ascending order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        self.view().get(index)
    }

    /// Adds `value`; false when it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let width = width_of(value);
        if width > self.width() {
            self.widen(width, value);
            return true;
        }
        let Err(index) = self.view().search(value) else {
            return false;
        };
        let width = self.width();
        let at = HEADER + index * width;
        let end = self.0.len();
        self.reserve(width);
        self.0.resize(end + width, 0);
        self.0.copy_within(at..end, at + width);
        self.0[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.write_len(width);
        true
    }

    /// Removes `value`; false when it was not there. The width stays, as in the reference.
    pub fn remove(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            return false;
        }
        let Ok(index) = self.view().search(value) else {
            return false;
        };
        let width = self.width();
        let at = HEADER + index * width;
        self.0.copy_within(at + width.., at);
        self.0.truncate(self.0.len() - width);
        self.write_len(width);
        if self.0.capacity() > 4 * self.0.len() {
            self.0.shrink_to(2 * self.0.len());
        }
        true
    }

    /// The elements, ascending; double-ended.
    pub fn iter(&self) -> Iter<'_> {
        self.view().iter()
    }

    #[inline]
    fn width(&self) -> usize {
        self.view().width()
    }

    /// Adds a value that no element is as wide as: it comes before or after all of them.
    #[cold]
    fn widen(&mut self, width: usize, value: i64) {
        let mut bytes = Vec::with_capacity(HEADER + width * (self.len() + 1));
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let mut push = |value: i64| bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        if value < 0 {
            push(value);
        }
        self.iter().for_each(&mut push);
        if value >= 0 {
            push(value);
        }
        self.0 = bytes;
        self.write_len(width);
    }

    /// Grows by an eighth: sets this small are worth more in memory than in copies.
    fn reserve(&mut self, more: usize) {
        let len = self.0.len();
        if self.0.capacity() - len < more {
            self.0.reserve_exact(more.max(len / 8));
        }
    }

    fn write_len(&mut self, width: usize) {
        let len = u32::try_from((self.0.len() - HEADER) / width)
            .expect("an intset has fewer than 2^32 elements");
        self.0[4..HEADER].copy_from_slice(&len.to_le_bytes());
    }
}

/// An intset, borrowed: to be read.
#[derive(Clone, Copy)]
pub struct IntsetRef<'a>(&'a [u8]);

impl<'a> IntsetRef<'a> {
    /// The intset that these bytes are, of which the caller knows that they are one.
    ///
    /// Other bytes are a bug of the caller: reading them may panic or give wrong elements, never touch memory outside.
    #[inline]
    pub fn of_valid(bytes: &'a [u8]) -> Self {
        debug_assert!(Intset::from_bytes(bytes.to_vec()).is_ok());
        Self(bytes)
    }

    /// The set as it goes to disk.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// An intset of its own.
    pub fn to_intset(self) -> Intset {
        Intset(self.0.to_vec())
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        (self.0.len() - HEADER) / self.width()
    }

    /// Are there no elements?
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.len() == HEADER
    }

    /// Is `value` in the set?
    pub fn contains(self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// The element at `index` in ascending order.
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The elements, ascending; double-ended.
    pub fn iter(self) -> Iter<'a> {
        Iter {
            set: self,
            front: 0,
            back: self.len(),
        }
    }

    #[inline]
    fn width(self) -> usize {
        // One of 2, 4 and 8: the low byte says it all.
        usize::from(self.0[0])
    }

    #[inline]
    fn at(self, index: usize) -> i64 {
        match self.width() {
            2 => i64::from(i16::from_le_bytes(self.chunk(index))),
            4 => i64::from(i32::from_le_bytes(self.chunk(index))),
            _ => i64::from_le_bytes(self.chunk(index)),
        }
    }

    #[inline]
    fn chunk<const N: usize>(self, index: usize) -> [u8; N] {
        let at = HEADER + index * N;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    /// The index of `value`, or the one at which it would stand.
    fn search(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Ascending inserts are common enough to look at the end first.
        if high > 0 && self.at(high - 1) < value {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).cmp(&value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for IntsetRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Intset {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The elements of an [`Intset`].
#[derive(Clone)]
pub struct Iter<'a> {
    set: IntsetRef<'a>,
    front: usize,
    back: usize,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        (self.front < self.back).then(|| {
            self.front += 1;
            self.set.at(self.front - 1)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.back - self.front, Some(self.back - self.front))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<i64> {
        (self.front < self.back).then(|| {
            self.back -= 1;
            self.set.at(self.back)
        })
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// Bytes of the narrowest element that holds `value`.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_references() {
        // SADD s 1 2 3 70000 -5, then DUMP.
        let mut set = Intset::new();
        for value in [1, 2, 3, 70_000, -5] {
            assert!(set.insert(value));
        }
        let expected = "0400000005000000fbffffff01000000020000000300000070110100";
        let hex: String = set
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected);
        assert!(!set.insert(3));
    }

    #[test]
    fn broken_bytes_are_named() {
        let check = |bytes: &[u8]| Intset::from_bytes(bytes.to_vec()).unwrap_err();
        assert_eq!(check(&[2, 0, 0, 0]), Error::Size);
        assert_eq!(check(&[3, 0, 0, 0, 0, 0, 0, 0]), Error::Width);
        assert_eq!(check(&[2, 0, 0, 0, 255, 255, 255, 255]), Error::Size);
        assert_eq!(
            check(&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0]),
            Error::Order(1)
        );
    }
}
