//! Sorted sets: a listpack of members and scores, or a member index plus an order-statistic tree.

pub mod tree;

use crate::{Element, Encoding, Limits, Rng};

/// A range of scores (ZRANGEBYSCORE, ZCOUNT). `min` and `max` may be infinite, never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// Lower bound.
    pub min: f64,
    /// Upper bound.
    pub max: f64,
    /// Whether `min` itself is out.
    pub min_exclusive: bool,
    /// Whether `max` itself is out.
    pub max_exclusive: bool,
}

/// One end of a lexicographical range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// `-`: before everything.
    Min,
    /// `+`: after everything.
    Max,
    /// `[x`
    Incl(&'a [u8]),
    /// `(x`
    Excl(&'a [u8]),
}

/// A range of members of equal score (ZRANGEBYLEX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// Lower bound.
    pub min: LexBound<'a>,
    /// Upper bound.
    pub max: LexBound<'a>,
}

/// What [`ZSet::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The member is new.
    Added,
    /// Its score changed.
    Updated,
    /// It already had that score.
    Unchanged,
}

/// A sorted set: members ordered by (score, member bytes).
#[derive(Debug)]
pub struct ZSet(());

#[expect(unused_variables, reason = "signatures first")]
impl ZSet {
    /// An empty sorted set, listpack-encoded.
    pub fn new() -> Self {
        ZSet(())
    }
    /// An empty one, encoded for an expected size and first member length as ZADD does.
    pub fn with_hint(size_hint: usize, member_len: usize, limits: &Limits) -> Self {
        unimplemented!()
    }
    /// Number of members.
    pub fn len(&self) -> usize {
        0
    }
    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `listpack` or `skiplist`.
    pub fn encoding(&self) -> Encoding {
        unimplemented!()
    }
    /// A member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        unimplemented!()
    }
    /// Adds a member or changes its score. `score` is not NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Inserted {
        unimplemented!()
    }
    /// Removes a member, returning its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        unimplemented!()
    }
    /// A member's rank from the low end (or the high end) and its score.
    pub fn rank(&self, member: &[u8], reverse: bool) -> Option<(usize, f64)> {
        unimplemented!()
    }
    /// Up to `count` members from rank `start` on; with `reverse`, ranks count from the high end.
    pub fn by_rank(&self, start: usize, count: usize, reverse: bool) -> ZIter<'_> {
        unimplemented!()
    }
    /// The members of a score range, skipping `offset` and yielding at most `count`.
    pub fn by_score(
        &self,
        range: &ScoreRange,
        offset: usize,
        count: usize,
        reverse: bool,
    ) -> ZIter<'_> {
        unimplemented!()
    }
    /// The members of a lex range, skipping `offset` and yielding at most `count`.
    pub fn by_lex(
        &self,
        range: &LexRange<'_>,
        offset: usize,
        count: usize,
        reverse: bool,
    ) -> ZIter<'_> {
        unimplemented!()
    }
    /// ZCOUNT.
    pub fn count_in_score_range(&self, range: &ScoreRange) -> usize {
        unimplemented!()
    }
    /// ZLEXCOUNT.
    pub fn count_in_lex_range(&self, range: &LexRange<'_>) -> usize {
        unimplemented!()
    }
    /// Removes `count` members from rank `start` on; returns how many.
    pub fn remove_range_by_rank(&mut self, start: usize, count: usize) -> usize {
        unimplemented!()
    }
    /// Removes a score range; returns how many.
    pub fn remove_range_by_score(&mut self, range: &ScoreRange) -> usize {
        unimplemented!()
    }
    /// Removes a lex range; returns how many.
    pub fn remove_range_by_lex(&mut self, range: &LexRange<'_>) -> usize {
        unimplemented!()
    }
    /// Removes the lowest (or highest) member, showing it to `f` first.
    pub fn pop_with<R>(
        &mut self,
        highest: bool,
        f: impl FnOnce(Element<'_>, f64) -> R,
    ) -> Option<R> {
        unimplemented!()
    }
    /// A random member, each with the same probability.
    pub fn random(&self, rng: &mut dyn Rng) -> Option<(Element<'_>, f64)> {
        unimplemented!()
    }
    /// All members in order.
    pub fn iter(&self) -> ZIter<'_> {
        unimplemented!()
    }
    /// ZSCAN step: the packed encoding emits everything and returns 0.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Element<'_>, f64)) -> u64 {
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

impl Default for ZSet {
    fn default() -> Self {
        ZSet::new()
    }
}

/// Members with scores, in order (ascending, or descending when asked for).
#[derive(Debug)]
pub struct ZIter<'a>(std::marker::PhantomData<&'a ZSet>);

impl<'a> Iterator for ZIter<'a> {
    type Item = (Element<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
