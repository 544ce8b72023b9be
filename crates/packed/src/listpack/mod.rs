//! Listpack: a sequence of small strings and integers in one run of bytes.
//!
//! ```text
//! u32 LE: bytes in all, header and terminator included
//! u16 LE: elements; 65535 = unknown, count them
//! entries (see `encoding`)
//! 0xFF
//! ```
//!
//! In memory the run may start inside its buffer: what removing from the front leaves free is used by the
//! next push to the front, so that both ends of a listpack are cheap (the header is what moves).

mod encoding;
mod iter;
mod room;
mod view;

use crate::element::Element;
use crate::error::Error;
use crate::limits::{LISTPACK_BYTES_MAX, LISTPACK_COUNT_UNKNOWN};

use encoding::{
    BackLen, Payload, TERMINATOR, back_len_bytes, payload_len, payload_len_checked, read_back_len,
};
pub use iter::Iter;
pub use view::ListpackRef;

/// Bytes before the first entry.
const HEADER: usize = 6;
/// Bytes of a listpack without elements.
const EMPTY: usize = HEADER + 1;

/// A sequence of elements, always valid. See the module for the layout.
///
/// Elements are bytes; the canonical text of an integer is stored as the integer.
#[derive(Clone)]
pub struct Listpack {
    /// `start + EMPTY <= buf.len()`; `buf[start..]` is the listpack, the bytes before it are free.
    buf: Vec<u8>,
    start: usize,
}

/// Whether a listpack from outside stated how many elements it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// It did, or left it open.
    Right,
    /// It stated another number; now it states the right one.
    Corrected,
}

/// Where an entry is: bytes from the start of the listpack.
///
/// An edit of the listpack invalidates every position but those it returns. Using a stale one is a bug of
/// the caller: it may panic or give a wrong element, never touch memory outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

impl Listpack {
    /// A listpack without elements.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A listpack without elements that can grow to `bytes` before it moves.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buf = Vec::with_capacity(bytes.max(16));
        buf.extend_from_slice(&[EMPTY as u8, 0, 0, 0, 0, 0, TERMINATOR]);
        Self { buf, start: 0 }
    }

    /// Takes over bytes from outside after checking every one of them.
    ///
    /// A listpack without elements is valid; whether a key may hold it is for the caller to say.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        validate(&bytes)?;
        Ok(Self {
            buf: bytes,
            start: 0,
        })
    }

    /// Takes over bytes of which the caller knows that they are a listpack; see [`ListpackRef::of_valid`].
    pub fn of_valid(bytes: Vec<u8>) -> Self {
        debug_assert!(validate(&bytes).is_ok());
        Self {
            buf: bytes,
            start: 0,
        }
    }

    /// As [`Self::from_bytes`], but a stated number of elements that is wrong is no error: they are counted.
    ///
    /// # Errors
    /// The first other thing found wrong.
    pub fn from_bytes_recounted(bytes: Vec<u8>) -> Result<(Self, Count), Error> {
        let checked = validate(&bytes);
        let mut listpack = Self {
            buf: bytes,
            start: 0,
        };
        match checked {
            Ok(()) => Ok((listpack, Count::Right)),
            // Found last: everything else is right.
            Err(Error::Count) => {
                let elements = listpack.iter().count();
                listpack.set_count(elements);
                Ok((listpack, Count::Corrected))
            }
            Err(error) => Err(error),
        }
    }

    /// The listpack as it goes to disk.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// The listpack as it goes to disk, owned.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.buf.drain(..self.start);
        self.buf
    }

    /// The listpack, to be read.
    #[inline]
    pub fn view(&self) -> ListpackRef<'_> {
        ListpackRef(self.as_bytes())
    }

    /// Bytes allocated for it on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buf.capacity()
    }

    /// Can it take `more` bytes of entries without growing beyond [`LISTPACK_BYTES_MAX`]?
    pub fn fits(&self, more: usize) -> bool {
        self.byte_len().saturating_add(more) <= LISTPACK_BYTES_MAX
    }

    /// Bytes that `value` takes in a listpack, back-length included.
    pub fn encoded_size(value: &[u8]) -> usize {
        Payload::new(value).entry_len()
    }

    // Reading: see [`ListpackRef`].

    /// Number of elements. O(1) below 65535, else it counts.
    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Are there no elements?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// Bytes of the listpack.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.view().byte_len()
    }

    /// The first element's position.
    #[inline]
    pub fn first(&self) -> Option<Pos> {
        self.view().first()
    }

    /// The last element's position.
    #[inline]
    pub fn last(&self) -> Option<Pos> {
        self.view().last()
    }

    /// The position after `at`.
    #[inline]
    pub fn next(&self, at: Pos) -> Option<Pos> {
        self.view().next(at)
    }

    /// The position before `at`.
    #[inline]
    pub fn prev(&self, at: Pos) -> Option<Pos> {
        self.view().prev(at)
    }

    /// The position of element `index`, counted from 0 at the front or from -1 at the back; walks from the
    /// nearer end.
    #[inline]
    pub fn seek(&self, index: isize) -> Option<Pos> {
        self.view().seek(index)
    }

    /// The element at `at`.
    #[inline]
    pub fn get(&self, at: Pos) -> Element<'_> {
        self.view().get(at)
    }

    /// The element at `at`, and the position after it: one decoding for a walk.
    #[inline]
    pub fn get_next(&self, at: Pos) -> (Element<'_>, Option<Pos>) {
        self.view().get_next(at)
    }

    /// The first element equal to `needle`, from `from` (or the front) on, comparing one element and then
    /// passing over `skip` of them: 0 looks at all, 1 at the fields of field-value pairs.
    #[inline]
    pub fn find(&self, needle: &[u8], from: Option<Pos>, skip: usize) -> Option<Pos> {
        self.view().find(needle, from, skip)
    }

    /// The last element equal to `needle`, from `from` (or the back) on towards the front.
    #[inline]
    pub fn rfind(&self, needle: &[u8], from: Option<Pos>) -> Option<Pos> {
        self.view().rfind(needle, from)
    }

    /// The elements, front to back; double-ended.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        self.view().iter()
    }

    /// The elements from `from` to the last; double-ended.
    #[inline]
    pub fn iter_from(&self, from: Pos) -> Iter<'_> {
        self.view().iter_from(from)
    }

    /// The elements from the first to the one at `to`, which is among them; double-ended.
    #[inline]
    pub fn iter_through(&self, to: Pos) -> Iter<'_> {
        self.view().iter_through(to)
    }

    // Edits.

    /// Adds `value` behind the last element.
    #[inline]
    pub fn push_back(&mut self, value: &[u8]) {
        self.append(&Payload::new(value));
    }

    /// Adds a number behind the last element.
    pub fn push_back_int(&mut self, value: i64) {
        self.append(&Payload::int(value));
    }

    /// Adds `value` before the first element.
    #[inline]
    pub fn push_front(&mut self, value: &[u8]) {
        self.prepend(&Payload::new(value));
    }

    /// Adds a number before the first element.
    pub fn push_front_int(&mut self, value: i64) {
        self.prepend(&Payload::int(value));
    }

    /// Adds `value` before the element at `at`; gives the new element's position.
    pub fn insert_before(&mut self, at: Pos, value: &[u8]) -> Pos {
        self.insert_at(at.0, &Payload::new(value))
    }

    /// Adds `value` behind the element at `at`; gives the new element's position.
    pub fn insert_after(&mut self, at: Pos, value: &[u8]) -> Pos {
        let behind = at.0 + entry_len(self.as_bytes(), at.0);
        self.insert_at(behind, &Payload::new(value))
    }

    /// Puts `value` in the place of the element at `at`; gives its position.
    pub fn replace(&mut self, at: Pos, value: &[u8]) -> Pos {
        self.replace_at(at, &Payload::new(value))
    }

    /// Puts a number in the place of the element at `at`; gives its position.
    pub fn replace_int(&mut self, at: Pos, value: i64) -> Pos {
        self.replace_at(at, &Payload::int(value))
    }

    /// Removes the element at `at`; gives the position of the one that followed it.
    #[inline]
    pub fn remove(&mut self, at: Pos) -> Option<Pos> {
        let old = entry_len(self.as_bytes(), at.0);
        if at.0 + old + 1 == self.byte_len() {
            // The last one: nothing moves.
            self.buf.truncate(self.start + at.0);
            self.buf.push(TERMINATOR);
            self.give_back();
            self.write_size();
        } else {
            self.resize_span(at.0, old, 0);
        }
        self.add_count(-1);
        (self.as_bytes()[at.0] != TERMINATOR).then_some(at)
    }

    /// Removes the element at `at` and the `count - 1` that follow it, as far as there are any; gives the
    /// position of the one behind them.
    pub fn remove_run(&mut self, at: Pos, count: usize) -> Option<Pos> {
        let bytes = self.as_bytes();
        let mut end = at.0;
        let mut removed = 0;
        while removed < count && bytes[end] != TERMINATOR {
            end += entry_len(bytes, end);
            removed += 1;
        }
        self.resize_span(at.0, end - at.0, 0);
        self.add_count(-(removed as isize));
        (self.as_bytes()[at.0] != TERMINATOR).then_some(at)
    }

    /// Removes `count` elements from `index` (see [`Listpack::seek`]) on, as far as there are any.
    pub fn remove_range(&mut self, index: isize, count: usize) {
        if let Some(at) = self.seek(index) {
            self.remove_run(at, count);
        }
    }

    /// Removes everything, and the memory with it.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Copies all elements of `other` behind its own.
    pub fn append_all(&mut self, other: &Listpack) {
        let entries = &other.as_bytes()[HEADER..other.byte_len() - 1];
        self.room_at_back(entries.len());
        self.buf.pop();
        self.buf.extend_from_slice(entries);
        self.buf.push(TERMINATOR);
        self.write_size();
        self.set_count(self.stated_count().saturating_add(other.stated_count()));
    }

    /// Keeps the first `index` elements, and gives the others as a listpack of their own.
    pub fn split_at(&mut self, index: usize) -> Listpack {
        let Some(at) = isize::try_from(index)
            .ok()
            .and_then(|index| self.seek(index))
        else {
            return Listpack::new();
        };
        let count = self.len();
        let tail = &self.as_bytes()[at.0..];
        let mut back = Listpack::with_capacity(HEADER + tail.len());
        back.buf.pop();
        back.buf.extend_from_slice(tail);
        back.write_size();
        back.set_count(count - index);

        self.buf.truncate(self.start + at.0);
        self.buf.push(TERMINATOR);
        self.write_size();
        self.set_count(index);
        back
    }

    /// Gives unused memory back to the allocator.
    pub fn shrink_to_fit(&mut self) {
        self.buf.drain(..self.start);
        self.start = 0;
        self.buf.shrink_to_fit();
    }

    #[inline]
    fn append(&mut self, payload: &Payload<'_>) {
        self.room_at_back(payload.entry_len());
        self.buf.pop();
        self.buf.extend_from_slice(payload.head());
        self.buf.extend_from_slice(payload.body());
        self.buf
            .extend_from_slice(BackLen::new(payload.len()).as_bytes());
        self.buf.push(TERMINATOR);
        self.write_size();
        self.add_count(1);
    }

    /// Adds an entry before the first. Where there is room, nothing moves: the header is written anew.
    #[inline]
    fn prepend(&mut self, payload: &Payload<'_>) {
        if self.is_empty() {
            return self.append(payload);
        }
        let len = payload.entry_len();
        self.room_at_front(len);
        let count = self.stated_count();
        self.start -= len;
        self.write_size();
        self.set_count(count.saturating_add(1));
        let entry = self.start + HEADER;
        payload.write(&mut self.buf[entry..entry + len]);
    }

    fn insert_at(&mut self, at: usize, payload: &Payload<'_>) -> Pos {
        if at == HEADER {
            self.prepend(payload);
            return Pos(at);
        }
        let len = payload.entry_len();
        self.resize_span(at, 0, len);
        let at_buf = self.start + at;
        payload.write(&mut self.buf[at_buf..at_buf + len]);
        self.add_count(1);
        Pos(at)
    }

    fn replace_at(&mut self, at: Pos, payload: &Payload<'_>) -> Pos {
        let len = payload.entry_len();
        let old = entry_len(self.as_bytes(), at.0);
        if old != len {
            self.resize_span(at.0, old, len);
        }
        let at_buf = self.start + at.0;
        payload.write(&mut self.buf[at_buf..at_buf + len]);
        at
    }

    #[inline]
    fn stated_count(&self) -> usize {
        self.view().stated_count()
    }

    fn set_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.buf[self.start + 4..self.start + HEADER].copy_from_slice(&count.to_le_bytes());
    }

    /// An unknown count stays unknown: only counting could tell when it fits again.
    #[inline]
    fn add_count(&mut self, delta: isize) {
        let count = self.stated_count();
        if count != LISTPACK_COUNT_UNKNOWN {
            self.set_count(count.saturating_add_signed(delta));
        }
    }

    #[inline]
    fn write_size(&mut self) {
        let len = u32::try_from(self.byte_len())
            .expect("a listpack stays below 4 GiB: callers ask `fits`");
        self.buf[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Listpack {}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> FromIterator<&'a [u8]> for Listpack {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut pack = Self::new();
        values.into_iter().for_each(|value| pack.push_back(value));
        pack
    }
}

/// Bytes of the entry at `at`.
#[inline]
fn entry_len(bytes: &[u8], at: usize) -> usize {
    let payload = payload_len(bytes, at);
    payload + back_len_bytes(payload)
}

/// Start of the entry that ends at `end`.
#[inline]
fn entry_before(bytes: &[u8], end: usize) -> usize {
    let payload = read_back_len(bytes, end);
    end - payload - back_len_bytes(payload)
}

fn validate(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() < EMPTY || encoding::read_u32(bytes, 0) as usize != bytes.len() {
        return Err(Error::Size);
    }
    let end = bytes.len() - 1;
    if bytes[end] != TERMINATOR {
        return Err(Error::Terminator);
    }
    let mut at = HEADER;
    let mut count = 0usize;
    while at < end {
        // The usual entry of all: a short string.
        if let tag @ 0x80..=0xBF = bytes[at] {
            let payload = 1 + usize::from(tag & 0x3F);
            if at + payload < end && usize::from(bytes[at + payload]) == payload {
                at += payload + 1;
                count += 1;
                continue;
            }
        }
        if bytes[at] == TERMINATOR {
            return Err(Error::Terminator);
        }
        let payload = payload_len_checked(bytes, at).ok_or(Error::Entry(at))?;
        let back = BackLen::new(payload);
        let back_at = at + payload;
        // The terminator is no part of an entry.
        if bytes[..end].get(back_at..back_at + back.as_bytes().len()) != Some(back.as_bytes()) {
            return Err(Error::BackLength(at));
        }
        at = back_at + back.as_bytes().len();
        count += 1;
    }
    match usize::from(u16::from_le_bytes([bytes[4], bytes[5]])) {
        LISTPACK_COUNT_UNKNOWN => Ok(()),
        stated if stated == count => Ok(()),
        _ => Err(Error::Count),
    }
}
