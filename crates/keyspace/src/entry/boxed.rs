//! Values behind a pointer: the payload is the pointer of a box or of a counted vector, owned by the entry.
#![allow(
    unsafe_code,
    reason = "the payload is a pointer whose type the kind says"
)]

use super::Entry;
use super::layout::{Kind, WORD};
use crate::Counted;

impl Entry {
    pub(super) fn new_boxed<T>(
        key: &[u8],
        expire: Option<i64>,
        kind: Kind,
        value: Box<T>,
    ) -> Entry {
        Entry::new_pointer(key, expire, kind, Box::into_raw(value))
    }

    pub(super) fn new_raw(key: &[u8], expire: Option<i64>, value: Counted) -> Entry {
        Entry::new_pointer(key, expire, Kind::Raw, Counted::into_raw(value).cast_mut())
    }

    pub(super) fn new_pointer<T>(
        key: &[u8],
        expire: Option<i64>,
        kind: Kind,
        value: *mut T,
    ) -> Entry {
        let entry = Entry::alloc(key, expire, kind, WORD);
        // SAFETY: the payload is one word, now initialised as the kind says.
        unsafe {
            entry
                .at(entry.payload())
                .cast::<*mut T>()
                .write_unaligned(value)
        };
        entry
    }

    /// Replaces the payload, dropping the old one, by a box. The kind must be the one of `T`.
    pub(super) fn set_boxed<T>(&mut self, kind: Kind, value: Box<T>) {
        self.set_pointer(kind, Box::into_raw(value));
    }

    /// As [`Entry::set_boxed`], with what came of `into_raw`.
    pub(super) fn set_pointer<T>(&mut self, kind: Kind, value: *mut T) {
        self.drop_boxed();
        self.fit(kind, WORD);
        // SAFETY: the payload is one word, now initialised as the kind says.
        unsafe {
            self.at(self.payload())
                .cast::<*mut T>()
                .write_unaligned(value)
        };
    }

    /// Drops a boxed payload and leaves the integer 0. Other payloads stay.
    pub(super) fn drop_boxed(&mut self) {
        if self.kind().is_boxed() {
            drop(self.take_value());
        }
    }

    /// # Safety
    /// The kind must be the one whose payload is a `Box<T>`, or a [`Counted`] with `T` its vector.
    #[inline]
    pub(super) unsafe fn pointer<T>(&self) -> *mut T {
        // SAFETY: by contract the payload is a pointer from `into_raw`.
        unsafe { self.at(self.payload()).cast::<*mut T>().read_unaligned() }
    }

    /// # Safety
    /// As [`Entry::pointer`].
    pub(super) unsafe fn boxed_ref<T>(&self) -> &T {
        // SAFETY: by contract; the box lives as long as the entry is borrowed.
        unsafe { &*self.pointer::<T>() }
    }

    /// # Safety
    /// As [`Entry::pointer`]; what is counted must be ours alone.
    pub(super) unsafe fn boxed_mut<T>(&mut self) -> &mut T {
        // SAFETY: by contract; the value is ours alone, and we are borrowed exclusively.
        unsafe { &mut *self.pointer::<T>() }
    }

    /// # Safety
    /// As [`Entry::pointer`], of a box; the payload must be overwritten before it is looked at again.
    pub(super) unsafe fn boxed<T>(&mut self) -> Box<T> {
        // SAFETY: by contract from `Box::into_raw`, and taken once.
        unsafe { Box::from_raw(self.pointer::<T>()) }
    }
}
