//! A key with everything that belongs to it, in one allocation.

use crate::{Encoding, Type, Value, ValueRef};

/// A key, its expiry time, access clock and value. Owned: dropping it frees the value.
#[derive(Debug)]
pub struct Entry(());

impl Entry {
    /// The key.
    pub fn key(&self) -> &[u8] {
        unimplemented!()
    }
    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        unimplemented!()
    }
    /// The data type, without touching the value.
    pub fn type_(&self) -> Type {
        unimplemented!()
    }
    /// The encoding as `OBJECT ENCODING` reports it.
    pub fn encoding(&self) -> Encoding {
        unimplemented!()
    }
    /// The integer that the string is, or `None` (also for other types).
    pub fn as_int(&self) -> Option<i64> {
        unimplemented!()
    }
    /// When the key expires, in Unix milliseconds.
    pub fn expire_at_ms(&self) -> Option<i64> {
        unimplemented!()
    }
    /// The 24-bit access clock (LRU or LFU, the caller's business).
    pub fn clock(&self) -> u32 {
        unimplemented!()
    }
    /// Sets the access clock; a relaxed atomic store, so a shared borrow is enough.
    pub fn set_clock(&self, _clock: u32) {
        unimplemented!()
    }
    /// See [`Value::free_effort`].
    pub fn free_effort(&self) -> usize {
        unimplemented!()
    }
    /// Bytes of the entry and its value, sampling at most `samples` elements (0: all).
    pub fn memory_bytes(&self, _samples: usize) -> usize {
        unimplemented!()
    }
    /// Detaches the value from the key.
    pub fn into_value(self) -> Value {
        unimplemented!()
    }
}
