//! Another handle to an entry.
#![allow(unsafe_code, reason = "a handle that does not own what it is to")]

use std::ptr::NonNull;

use super::Entry;

/// A second, non-owning handle to an entry: what the expiry index holds.
#[derive(Debug)]
pub(crate) struct Alias(NonNull<u8>);

// SAFETY: an alias is used together with the table that owns the entry; see `Alias::new`.
unsafe impl Send for Alias {}
// SAFETY: as above; `&Alias` gives `&Entry`, and entries are `Sync`.
unsafe impl Sync for Alias {}

impl Alias {
    /// # Safety
    /// The alias must be dropped or replaced before the entry is dropped or its allocation moves, and must not be
    /// looked through while the entry is borrowed mutably. (Comparing addresses is always fine.)
    pub(crate) unsafe fn new(entry: &Entry) -> Alias {
        Alias(entry.address())
    }

    /// Where the entry is.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// As [`Alias::new`], for the entry at this address.
    #[inline]
    pub(crate) unsafe fn from_address(address: NonNull<u8>) -> Alias {
        Alias(address)
    }
}
