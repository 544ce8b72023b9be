//! Hashes: a listpack of fields and values, or a table.

use crate::{Element, Encoding, Limits, Rng};

/// A map from field to value.
#[derive(Debug)]
pub struct Hash(());

#[expect(unused_variables, reason = "signatures first")]
impl Hash {
    /// An empty hash.
    pub fn new() -> Self {
        Hash(())
    }
    /// Prepares for `fields` fields about to be set by one command, as HSET does: converts early if too many.
    pub fn reserve(&mut self, fields: usize, limits: &Limits) {}
    /// Number of fields.
    pub fn len(&self) -> usize {
        0
    }
    /// Whether it has no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `listpack` or `hashtable`.
    pub fn encoding(&self) -> Encoding {
        unimplemented!()
    }
    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        unimplemented!()
    }
    /// Whether the field exists.
    pub fn contains(&self, field: &[u8]) -> bool {
        unimplemented!()
    }
    /// Length in bytes of a field's value (HSTRLEN), 0 if absent.
    pub fn value_len(&self, field: &[u8]) -> usize {
        unimplemented!()
    }
    /// Sets a field; `true` if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        unimplemented!()
    }
    /// Removes a field; `true` if it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        unimplemented!()
    }
    /// All (field, value) pairs.
    pub fn iter(&self) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + '_ {
        std::iter::empty()
    }
    /// A random pair, each with the same probability.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<(Element<'_>, Element<'_>)> {
        unimplemented!()
    }
    /// HSCAN step: the packed encoding emits everything and returns 0.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Element<'_>, Element<'_>)) -> u64 {
        unimplemented!()
    }
    /// See [`crate::Value::memory_bytes`].
    pub fn memory_bytes(&self, samples: usize) -> usize {
        unimplemented!()
    }
    /// See [`crate::Value::free_effort`].
    pub fn free_effort(&self) -> usize {
        unimplemented!()
    }
}

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}
