//! Members, fields and sorted set items: one allocation each, one pointer to it.
//!
//! ```text
//!  Member   length, bytes
//!  Field    field length, value length, field bytes, value bytes
//!  ZItem    score (8 bytes), length, bytes
//!
//!  length   one byte below 255; else 255 and 8 bytes
//! ```
#![allow(
    unsafe_code,
    reason = "variable-length allocations behind thin pointers, for half the memory of boxed slices"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use words::sizes::size_class;

use crate::table::Item;
use crate::zset::tree;

/// The first byte of a length that takes [`WIDE_LEN`] bytes.
const WIDE: u8 = u8::MAX;
/// Bytes of a long length.
const WIDE_LEN: usize = 9;
/// Bytes of a score.
const SCORE: usize = 8;

/// Bytes that a length takes.
#[inline]
fn len_size(len: usize) -> usize {
    if len < WIDE as usize { 1 } else { WIDE_LEN }
}

/// Writes a length, returning where the bytes after it start.
///
/// # Safety
/// There must be room for `len_size(len)` bytes at `at`.
#[inline]
unsafe fn write_len(at: *mut u8, len: usize) -> *mut u8 {
    // SAFETY: by contract.
    unsafe {
        if len < WIDE as usize {
            at.write(len as u8);
            at.add(1)
        } else {
            at.write(WIDE);
            at.add(1).cast::<u64>().write_unaligned(len as u64);
            at.add(WIDE_LEN)
        }
    }
}

/// Reads a length, returning also where the bytes after it start.
///
/// # Safety
/// `at` must be where `write_len` wrote, and still hold that.
#[inline]
unsafe fn read_len(at: *mut u8) -> (usize, *mut u8) {
    // SAFETY: by contract.
    unsafe {
        match at.read() {
            WIDE => (
                at.add(1).cast::<u64>().read_unaligned() as usize,
                at.add(WIDE_LEN),
            ),
            len => (len as usize, at.add(1)),
        }
    }
}

/// An allocation of the class for `size` bytes.
fn allocate(size: usize, align: usize) -> NonNull<u8> {
    let layout = layout(size, align);
    // SAFETY: the layout is not empty: classes start at 8 bytes.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size_class(size), align)
        .expect("no larger than the bytes it copies, which are in memory")
}

/// A set member. Invariant: points to a length and that many bytes, allocated with [`Member::size`].
pub(crate) struct Member(NonNull<u8>);

// SAFETY: owns its allocation; nothing in it can be changed through `&`.
unsafe impl Send for Member {}
// SAFETY: as above.
unsafe impl Sync for Member {}

impl Member {
    pub(crate) fn new(bytes: &[u8]) -> Member {
        let base = allocate(Member::size(bytes.len()), 1);
        // SAFETY: `size` is the length's and the bytes' room.
        unsafe {
            let at = write_len(base.as_ptr(), bytes.len());
            ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
        }
        Member(base)
    }

    fn size(len: usize) -> usize {
        len_size(len) + len
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: owned, and borrowed for as long.
        unsafe { Member::borrow(self.0) }
    }

    /// Bytes that a member of this length takes.
    pub(crate) fn memory_bytes(len: usize) -> usize {
        size_class(Member::size(len))
    }
}

// SAFETY: the handle is its pointer, and what is borrowed is what that points to.
unsafe impl Item for Member {
    type Ref<'a> = &'a [u8];

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Member {
        Member(raw)
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the invariant of the type.
        unsafe {
            let (len, at) = read_len(raw.as_ptr());
            std::slice::from_raw_parts(at, len)
        }
    }

    #[inline]
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let layout = layout(Member::memory_bytes(self.bytes().len()), 1);
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), layout) };
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

/// A hash field with its value. Invariant: points to two lengths and that many bytes, allocated with [`Field::size`].
pub(crate) struct Field(NonNull<u8>);

// SAFETY: owns its allocation; nothing in it can be changed through `&`.
unsafe impl Send for Field {}
// SAFETY: as above.
unsafe impl Sync for Field {}

impl Field {
    pub(crate) fn new(field: &[u8], value: &[u8]) -> Field {
        let base = allocate(Field::size(field.len(), value.len()), 1);
        // SAFETY: `size` is the room of both lengths and both byte strings.
        unsafe {
            let at = write_len(base.as_ptr(), field.len());
            let at = write_len(at, value.len());
            ptr::copy_nonoverlapping(field.as_ptr(), at, field.len());
            ptr::copy_nonoverlapping(value.as_ptr(), at.add(field.len()), value.len());
        }
        Field(base)
    }

    fn size(field: usize, value: usize) -> usize {
        len_size(field) + len_size(value) + field + value
    }

    /// Replaces the value; in place where the allocation's class stays.
    pub(crate) fn set_value(&mut self, value: &[u8]) {
        let (field, old) = (self.view().field().len(), self.view().value().len());
        if len_size(old) != len_size(value.len())
            || size_class(Field::size(field, old)) != size_class(Field::size(field, value.len()))
        {
            *self = Field::new(self.view().field(), value);
            return;
        }
        // SAFETY: the class, and so the allocation, has room for the new value, and both lengths keep their width.
        // `value` is not inside the allocation, which we hold exclusively.
        unsafe {
            let (_, at) = read_len(self.0.as_ptr());
            let at = write_len(at, value.len());
            ptr::copy_nonoverlapping(value.as_ptr(), at.add(field), value.len());
        }
    }

    /// The field, to be read.
    #[inline]
    pub(crate) fn view(&self) -> FieldRef<'_> {
        FieldRef(self.0, PhantomData)
    }
}

/// A [`Field`], borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRef<'a>(NonNull<u8>, PhantomData<&'a Field>);

impl<'a> FieldRef<'a> {
    #[inline]
    pub(crate) fn field(self) -> &'a [u8] {
        // SAFETY: the invariant of the field.
        unsafe {
            let (len, at) = read_len(self.0.as_ptr());
            std::slice::from_raw_parts(read_len(at).1, len)
        }
    }

    #[inline]
    pub(crate) fn value(self) -> &'a [u8] {
        // SAFETY: the invariant of the field.
        unsafe {
            let (field, at) = read_len(self.0.as_ptr());
            let (len, at) = read_len(at);
            std::slice::from_raw_parts(at.add(field), len)
        }
    }

    pub(crate) fn memory_bytes(self) -> usize {
        size_class(Field::size(self.field().len(), self.value().len()))
    }
}

// SAFETY: the handle is its pointer, and what is borrowed is what that points to.
unsafe impl Item for Field {
    type Ref<'a> = FieldRef<'a>;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Field {
        Field(raw)
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> FieldRef<'a> {
        FieldRef(raw, PhantomData)
    }

    #[inline]
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item.field()
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        let layout = layout(self.view().memory_bytes(), 1);
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), layout) };
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\": \"{}\"",
            self.view().field().escape_ascii(),
            self.view().value().escape_ascii()
        )
    }
}

/// A sorted set member with its score. Invariant: points to a score, a length and that many bytes, allocated with
/// [`ZItem::size`].
pub(crate) struct ZItem(NonNull<u8>);

// SAFETY: owns its allocation; nothing in it can be changed through `&`.
unsafe impl Send for ZItem {}
// SAFETY: as above.
unsafe impl Sync for ZItem {}

impl ZItem {
    pub(crate) fn new(member: &[u8], score: f64) -> ZItem {
        let base = allocate(ZItem::size(member.len()), SCORE);
        // SAFETY: `size` is the room of score, length and bytes; the allocation is aligned for the score.
        unsafe {
            base.as_ptr().cast::<f64>().write(score);
            let at = write_len(base.as_ptr().add(SCORE), member.len());
            ptr::copy_nonoverlapping(member.as_ptr(), at, member.len());
        }
        ZItem(base)
    }

    fn size(len: usize) -> usize {
        SCORE + len_size(len) + len
    }

    pub(crate) fn set_score(&mut self, score: f64) {
        // SAFETY: the invariant of the type; nobody holds a reference to the score.
        unsafe { self.0.as_ptr().cast::<f64>().write(score) };
    }

    /// The item, to be read.
    #[inline]
    pub(crate) fn view(&self) -> ZItemRef<'_> {
        ZItemRef(self.0, PhantomData)
    }
}

/// A [`ZItem`], borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZItemRef<'a>(NonNull<u8>, PhantomData<&'a ZItem>);

impl<'a> ZItemRef<'a> {
    #[inline]
    pub(crate) fn member(self) -> &'a [u8] {
        // SAFETY: the invariant of the item.
        unsafe {
            let (len, at) = read_len(self.0.as_ptr().add(SCORE));
            std::slice::from_raw_parts(at, len)
        }
    }

    #[inline]
    pub(crate) fn score(self) -> f64 {
        // SAFETY: the invariant of the item.
        unsafe { self.0.as_ptr().cast::<f64>().read() }
    }

    pub(crate) fn memory_bytes(self) -> usize {
        size_class(ZItem::size(self.member().len()))
    }

    /// A handle to the member that outlives the borrow, for the order.
    ///
    /// # Safety
    /// It must not be looked through once the item is dropped.
    pub(crate) unsafe fn handle(self) -> ZHandle {
        ZHandle(self.0)
    }
}

// SAFETY: the handle is its pointer, and what is borrowed is what that points to.
unsafe impl Item for ZItem {
    type Ref<'a> = ZItemRef<'a>;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> ZItem {
        ZItem(raw)
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> ZItemRef<'a> {
        ZItemRef(raw, PhantomData)
    }

    #[inline]
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item.member()
    }
}

impl Drop for ZItem {
    fn drop(&mut self) {
        let layout = layout(self.view().memory_bytes(), SCORE);
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), layout) };
    }
}

impl fmt::Debug for ZItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" {}",
            self.view().member().escape_ascii(),
            self.view().score()
        )
    }
}

/// A non-owning handle to a [`ZItem`], which the tree orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZHandle(NonNull<u8>);

// SAFETY: used together with the item's owner; see `ZItemRef::handle`.
unsafe impl Send for ZHandle {}
// SAFETY: as above.
unsafe impl Sync for ZHandle {}

impl ZHandle {
    /// Starts loading it.
    #[inline]
    pub(crate) fn prefetch(self) {
        crate::table::prefetch_address(self.0.as_ptr());
    }

    /// The member, for as long as the caller borrows the sorted set (it picks the lifetime and keeps to that).
    #[inline]
    pub(crate) fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: by the contract of `ZItemRef::handle` the item is alive; its member never changes.
        unsafe {
            let (len, at) = read_len(self.0.as_ptr().add(SCORE));
            std::slice::from_raw_parts(at, len)
        }
    }
}

impl tree::Item for ZHandle {
    #[inline]
    fn member(&self) -> &[u8] {
        self.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_on_both_sides_of_the_wide_limit_round_trip() {
        for len in [0_usize, 1, 14, 15, 254, 255, 256, 5000] {
            let bytes = vec![b'm'; len];
            assert_eq!(Member::new(&bytes).bytes(), bytes);
            let mut item = ZItem::new(&bytes, 1.5);
            item.set_score(-2.0);
            assert_eq!(
                (item.view().member(), item.view().score()),
                (&bytes[..], -2.0)
            );
            let mut field = Field::new(&bytes, b"");
            for value_len in [0_usize, 1, 3, 20, 254, 255, 254, 3000, 3001, 5] {
                let value = vec![b'v'; value_len];
                field.set_value(&value);
                assert_eq!(
                    (field.view().field(), field.view().value()),
                    (&bytes[..], &value[..])
                );
            }
        }
    }

    #[test]
    fn a_14_byte_member_takes_16_bytes() {
        assert_eq!(Member::memory_bytes(14), 16);
        assert_eq!(ZItem::new(&[b'm'; 20], 0.0).view().memory_bytes(), 32);
    }
}
