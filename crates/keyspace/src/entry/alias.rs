//! Another handle to an entry.
#![allow(unsafe_code, reason = "a handle that does not own what it is to")]

use std::ptr::NonNull;

use super::Entry;
use crate::table::Item;

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

    /// The entry.
    #[inline]
    pub(crate) fn entry(&self) -> &Entry {
        // SAFETY: an entry is nothing but its pointer, so a pointer to the one can be read as the other; by the contract
        // of `new` the entry is alive and not being changed.
        unsafe { &*(&raw const self.0).cast::<Entry>() }
    }

    /// Whether it stands for the entry at this address.
    #[inline]
    pub(crate) fn is(&self, address: NonNull<u8>) -> bool {
        self.0 == address
    }
}

impl Item for Alias {
    #[inline]
    fn key(&self) -> &[u8] {
        self.entry().key()
    }
}
