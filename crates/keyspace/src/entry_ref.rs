//! An entry, borrowed from the table that holds it.

#![allow(
    unsafe_code,
    reason = "a table's slots are no pointers of the machine, so entries are borrowed by what their handles point to"
)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::embedded::PackedRef;
use crate::entry::{Alias, Entry};
use crate::table::{Item, Prefetch, SlotMut};
use crate::{ValueMut, ValueRef};

/// An entry of a database, to be read: as good as `&Entry`, and what is borrowed from it by the methods here lives as long as
/// the database is borrowed.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct EntryRef<'a> {
    /// Invariant: what the handle of an entry is.
    raw: NonNull<u8>,
    entry: PhantomData<&'a Entry>,
}

// SAFETY: stands for a `&Entry`.
unsafe impl Send for EntryRef<'_> {}
// SAFETY: as above.
unsafe impl Sync for EntryRef<'_> {}

impl Deref for EntryRef<'_> {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        // SAFETY: an entry is nothing but its pointer, so a pointer to the one can be read as the other.
        unsafe { &*(&raw const self.raw).cast::<Entry>() }
    }
}

impl<'a> EntryRef<'a> {
    /// The handle, as if it were in a place that lives as long as the entry.
    ///
    /// # Safety
    /// What is got from it must not be part of the handle itself.
    #[inline]
    unsafe fn held(&self) -> &'a Entry {
        // SAFETY: an entry's methods follow its pointer, and what they find there lives as long as `'a`.
        unsafe { &*(&raw const self.raw).cast::<Entry>() }
    }

    /// See [`Entry::key`].
    #[inline]
    #[must_use]
    pub fn key(self) -> &'a [u8] {
        // SAFETY: the key lies behind the pointer.
        unsafe { self.held() }.key()
    }

    /// See [`Entry::value`].
    #[inline]
    #[must_use]
    pub fn value(self) -> ValueRef<'a> {
        // SAFETY: the value lies behind the pointer.
        unsafe { self.held() }.value()
    }

    /// See [`Entry::members`].
    #[must_use]
    pub fn members(self) -> Option<&'a dyn Prefetch> {
        // SAFETY: the value lies behind the pointer.
        unsafe { self.held() }.members()
    }

    /// See [`Entry::packed`].
    #[inline]
    pub(crate) fn packed(self) -> Option<PackedRef<'a>> {
        // SAFETY: the value lies behind the pointer.
        unsafe { self.held() }.packed()
    }

    /// Whether it is the entry with this address. Does not look through the pointer.
    #[inline]
    pub(crate) fn is(self, address: NonNull<u8>) -> bool {
        self.raw == address
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

/// Where the entry is.
impl fmt::Pointer for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.raw, f)
    }
}

impl<'a> SlotMut<'a, Entry> {
    /// The value, to be changed, for as long as the table is borrowed; see [`Entry::value_mut`].
    #[inline]
    pub(crate) fn into_value_mut(self) -> ValueMut<'a> {
        let mut handle = handle(self.raw());
        // SAFETY: the entry is in its table, borrowed exclusively for `'a`; who could reach it is gone, and a value is lent
        // without moving the entry.
        unsafe { lent(&mut handle) }.value_mut()
    }

    /// The buffer of a string that has it to itself.
    ///
    /// # Safety
    /// See [`Entry::own_buffer`].
    #[inline]
    pub(crate) unsafe fn own_buffer(&mut self) -> &mut Vec<u8> {
        let mut handle = handle(self.raw());
        // SAFETY: as above, for as long as `self` is borrowed. The entry does not move. The rest is the caller's.
        unsafe { lent(&mut handle).own_buffer() }
    }

    /// See [`Entry::embedded_mut`].
    #[inline]
    pub(crate) fn embedded_mut(&mut self, len: usize) -> Option<&mut [u8]> {
        let mut handle = handle(self.raw());
        // SAFETY: the bytes are behind the pointer and borrowed exclusively; the entry does not move.
        unsafe { lent(&mut handle) }.embedded_mut(len)
    }
}

/// A second handle to an entry, which is not to be replaced.
fn handle(raw: NonNull<u8>) -> ManuallyDrop<Entry> {
    // SAFETY: from the slot of an entry; it is neither dropped nor moved by those who call.
    ManuallyDrop::new(unsafe { Entry::from_raw(raw) })
}

/// The handle, as if it were in a place that lives as long as the entry.
///
/// # Safety
/// The entry is borrowed exclusively for `'a`; what is got from the handle must not be part of the handle itself, which is in a
/// place until then.
unsafe fn lent<'a>(handle: &mut Entry) -> &'a mut Entry {
    let handle: *mut Entry = handle;
    // SAFETY: by contract, an entry's methods follow its pointer and lend what they find there.
    unsafe { &mut *handle }
}

// SAFETY: an entry is its pointer, and what is borrowed is what that points to.
unsafe impl Item for Entry {
    type Ref<'a> = EntryRef<'a>;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).address()
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Entry {
        // SAFETY: by contract.
        unsafe { Entry::from_address(raw) }
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> EntryRef<'a> {
        EntryRef {
            raw,
            entry: PhantomData,
        }
    }

    #[inline]
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item.key()
    }
}

// SAFETY: an alias is the pointer of its entry, and owns nothing.
unsafe impl Item for Alias {
    type Ref<'a> = EntryRef<'a>;

    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        self.address()
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Alias {
        // SAFETY: by contract.
        unsafe { Alias::from_address(raw) }
    }

    #[inline]
    unsafe fn borrow<'a>(raw: NonNull<u8>) -> EntryRef<'a> {
        EntryRef {
            raw,
            entry: PhantomData,
        }
    }

    #[inline]
    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item.key()
    }
}
