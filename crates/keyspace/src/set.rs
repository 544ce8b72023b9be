//! Sets: an intset, a listpack, or a table of members.

use crate::{Element, Encoding, Limits, Rng};

/// A set of byte strings.
#[derive(Debug)]
pub struct Set(());

#[expect(unused_variables, reason = "signatures first")]
impl Set {
    /// An empty set, encoded for a first member and an expected size as SADD does.
    pub fn with_hint(first: &[u8], size_hint: usize, limits: &Limits) -> Self {
        unimplemented!()
    }
    /// An empty intset-encoded set.
    pub fn new() -> Self {
        Set(())
    }
    /// Number of members.
    pub fn len(&self) -> usize {
        0
    }
    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `intset`, `listpack` or `hashtable`.
    pub fn encoding(&self) -> Encoding {
        unimplemented!()
    }
    /// Whether `member` is in.
    pub fn contains(&self, member: &[u8]) -> bool {
        unimplemented!()
    }
    /// Adds; `true` if it is new.
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> bool {
        unimplemented!()
    }
    /// Removes; `true` if it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        unimplemented!()
    }
    /// All members: intset in order, listpack in order, table in no order.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> + '_ {
        std::iter::empty()
    }
    /// A random member, each with the same probability.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<Element<'_>> {
        unimplemented!()
    }
    /// Removes a random member, showing it to `f` first.
    pub fn pop_random_with<R>(
        &mut self,
        rng: &mut dyn Rng,
        f: impl FnOnce(Element<'_>) -> R,
    ) -> Option<R> {
        unimplemented!()
    }
    /// SSCAN step: packed encodings emit everything and return 0.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Element<'_>)) -> u64 {
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

impl Default for Set {
    fn default() -> Self {
        Set::new()
    }
}
