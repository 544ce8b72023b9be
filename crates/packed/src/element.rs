//! One element read out of a packed value.

use std::fmt;

use words::int::{decimal_len, parse_i64};

/// Space for the decimal text of an integer element, on the caller's stack.
#[derive(Clone, Default)]
pub struct IntBuf(itoa::Buffer);

impl IntBuf {
    /// An empty buffer; costs nothing, as nothing is initialised.
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }

    /// The decimal text of `value`.
    pub fn format(&mut self, value: i64) -> &[u8] {
        self.0.format(value).as_bytes()
    }
}

/// An element as it is stored: a number, or bytes borrowed from the packed value.
///
/// Which of the two is a matter of storage: `Int(5)` and `Bytes(b"5")` are the same element, and compare equal.
#[derive(Clone, Copy)]
pub enum Element<'a> {
    /// Stands for its canonical decimal text.
    Int(i64),
    /// The bytes themselves.
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// Bytes of the element as a client sees it.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Element::Int(value) => decimal_len(value),
            Element::Bytes(bytes) => bytes.len(),
        }
    }

    /// Is it the empty string?
    pub fn is_empty(self) -> bool {
        matches!(self, Element::Bytes([]))
    }

    /// The element's bytes; a number is written into `buf`.
    #[inline]
    pub fn bytes<'b>(self, buf: &'b mut IntBuf) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Element::Int(value) => buf.format(value),
            Element::Bytes(bytes) => bytes,
        }
    }

    /// Calls `f` with the element's bytes.
    #[inline]
    pub fn with_bytes<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Int(value) => f(IntBuf::new().format(value)),
            Element::Bytes(bytes) => f(bytes),
        }
    }

    /// The element's bytes, owned.
    pub fn to_vec(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// Are these the element's bytes?
    #[inline]
    pub fn eq_bytes(self, other: &[u8]) -> bool {
        match self {
            Element::Int(value) => parse_i64(other) == Some(value),
            Element::Bytes(bytes) => bytes == other,
        }
    }

    /// The element as a number, if its bytes are a canonical integer.
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Element::Int(value) => Some(value),
            Element::Bytes(bytes) => parse_i64(bytes),
        }
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Element::Int(a), Element::Int(b)) => a == b,
            (a, Element::Bytes(b)) | (Element::Bytes(b), a) => a.eq_bytes(b),
        }
    }
}

impl Eq for Element<'_> {}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Int(value) => write!(f, "{value}"),
            Element::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_text_are_the_same_element() {
        assert_eq!(Element::Int(-12), Element::Bytes(b"-12"));
        assert_ne!(Element::Int(12), Element::Bytes(b"012"));
        assert_eq!(Element::Int(-12).len(), 3);
        assert_eq!(Element::Int(-12).to_vec(), b"-12");
        assert_eq!(Element::Bytes(b"7").as_i64(), Some(7));
        assert_eq!(size_of::<Element<'_>>(), 16);
    }
}
