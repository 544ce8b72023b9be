//! The reading half of a sorted set, wherever its members lie.

use std::ops::Range;

use packed::ListpackRef;

use super::index::{Growing, Index};
use super::pack::PackRef;
use super::{LexRange, Repr, ScoreRange, Walk, ZIter, ZSet};
use crate::table::{Prefetch, Stats};
use crate::{Element, Encoding, Rng};

/// A sorted set, borrowed: to be read.
#[derive(Clone, Copy, Debug)]
pub struct ZSetRef<'a>(pub(super) View<'a>);

#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Pack(PackRef<'a>),
    Index(&'a Index),
}

impl<'a> ZSetRef<'a> {
    /// A sorted set of its own with the same members and scores, held the same way.
    pub fn to_zset(self) -> ZSet {
        let repr = match self.0 {
            View::Pack(pack) => Repr::Pack(pack.to_pack()),
            View::Index(index) => {
                let mut copy = Growing::new(index.len(), 0);
                for (member, score) in index.ascending(0) {
                    copy.push(member, score);
                }
                let copy = copy.finish().expect("the members of a set differ");
                Repr::Index(Box::new(copy))
            }
        };
        ZSet { repr }
    }

    /// The table that finds members, if there is one.
    pub(crate) fn table(self) -> Option<&'a dyn Prefetch> {
        match self.0 {
            View::Index(index) => Some(index.items()),
            View::Pack(_) => None,
        }
    }

    /// A member's score.
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self.0 {
            View::Index(index) => index.score(member),
            View::Pack(pack) => pack.find(member).map(|(_, score)| score),
        }
    }

    /// A member's rank from the low end (or the high end) and its score.
    pub fn rank(self, member: &[u8], reverse: bool) -> Option<(usize, f64)> {
        let (rank, score) = match self.0 {
            View::Index(index) => index.rank(member),
            View::Pack(pack) => pack.rank(member),
        }?;
        Some((if reverse { self.len() - 1 - rank } else { rank }, score))
    }

    /// Up to `count` members from rank `start` on; with `reverse`, ranks count from the high end, downwards.
    pub fn by_rank(self, start: usize, count: usize, reverse: bool) -> ZIter<'a> {
        let len = self.len();
        let left = len.saturating_sub(start).min(count);
        let walk = match self.0 {
            _ if left == 0 => Walk::Done,
            View::Index(index) if reverse => Walk::Index(index.descending(len - 1 - start)),
            View::Index(index) => Walk::Index(index.ascending(start)),
            View::Pack(pack) => Walk::Pack {
                pack,
                at: pack.seek(if reverse { len - 1 - start } else { start }),
                reverse,
            },
        };
        ZIter { walk, left }
    }

    /// The members of a score range, skipping `offset` and yielding at most `count`. A negative offset skips all of a
    /// listpack, and in a large set counts from the end: an accident of the reference that its users can see.
    pub fn by_score(
        self,
        range: &ScoreRange,
        offset: i64,
        count: usize,
        reverse: bool,
    ) -> ZIter<'a> {
        self.by_span(self.score_span(range), offset, count, reverse)
    }

    /// The members of a lex range, with `offset` and `count` as for [`Self::by_score`].
    pub fn by_lex(
        self,
        range: &LexRange<'_>,
        offset: i64,
        count: usize,
        reverse: bool,
    ) -> ZIter<'a> {
        if self.has_one_score() {
            self.by_span(self.lex_span(range), offset, count, reverse)
        } else {
            self.mixed_by_lex(range, offset, count, reverse)
        }
    }

    /// ZCOUNT.
    pub fn count_in_score_range(self, range: &ScoreRange) -> usize {
        self.score_span(range).len()
    }

    /// ZLEXCOUNT.
    pub fn count_in_lex_range(self, range: &LexRange<'_>) -> usize {
        if self.has_one_score() {
            self.lex_span(range).len()
        } else {
            self.mixed_lex_count(range)
        }
    }

    /// The ranks of a score range.
    pub(super) fn score_span(self, range: &ScoreRange) -> Range<usize> {
        self.partition_point(|score, _| range.is_below(score))
            ..self.partition_point(|score, _| !range.is_above(score))
    }

    /// The ranks of a lex range, provided that all scores are equal.
    pub(super) fn lex_span(self, range: &LexRange<'_>) -> Range<usize> {
        self.partition_point(|_, member| range.is_below(member))
            ..self.partition_point(|_, member| !range.is_above(member))
    }

    /// All members, ascending.
    pub fn iter(self) -> ZIter<'a> {
        self.by_rank(0, usize::MAX, false)
    }

    /// A random member, each with the same probability.
    pub fn random(self, rng: &mut dyn Rng) -> Option<(Element<'a>, f64)> {
        match self.0 {
            View::Index(index) => index
                .random(rng)
                .map(|(member, score)| (Element::Bytes(member), score)),
            View::Pack(pack) => pack.pair(pack.seek(rng.below(pack.len() as u64) as usize)?),
        }
    }

    /// ZSCAN step: the packed encoding emits everything and returns 0.
    pub fn scan(self, cursor: u64, f: &mut dyn FnMut(Element<'_>, f64)) -> u64 {
        match self.0 {
            View::Index(index) => index.scan(cursor, &mut |member, score| {
                f(Element::Bytes(member), score)
            }),
            View::Pack(_) => {
                self.iter().for_each(|(member, score)| f(member, score));
                0
            }
        }
    }

    /// Number of members.
    pub fn len(self) -> usize {
        match self.0 {
            View::Index(index) => index.len(),
            View::Pack(pack) => pack.len(),
        }
    }

    /// Whether it has no member.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// `listpack` or `skiplist`.
    pub fn encoding(self) -> Encoding {
        match self.0 {
            View::Index(_) => Encoding::Skiplist,
            View::Pack(_) => Encoding::Listpack,
        }
    }

    /// The listpack, if it is held as one (to save it by copying).
    pub fn as_listpack(self) -> Option<ListpackRef<'a>> {
        if let View::Pack(pack) = self.0 {
            Some(pack.as_listpack())
        } else {
            None
        }
    }

    /// The member table's figures, if it has one (DEBUG HTSTATS-KEY).
    pub fn stats(self) -> Option<Stats> {
        if let View::Index(index) = self.0 {
            Some(index.stats())
        } else {
            None
        }
    }

    /// See [`crate::Value::free_effort`].
    pub fn free_effort(self) -> usize {
        if let View::Index(index) = self.0 {
            index.len()
        } else {
            1
        }
    }

    pub(super) fn by_span(
        self,
        span: Range<usize>,
        offset: i64,
        count: usize,
        reverse: bool,
    ) -> ZIter<'a> {
        let offset = match usize::try_from(offset) {
            Err(_) if self.encoding() == Encoding::Skiplist => span
                .len()
                .checked_add_signed(isize::try_from(offset).unwrap_or(isize::MIN))
                .unwrap_or(usize::MAX),
            offset => offset.unwrap_or(usize::MAX),
        };
        let left = span.len().saturating_sub(offset).min(count);
        if left == 0 {
            return ZIter {
                walk: Walk::Done,
                left: 0,
            };
        }
        let start = if reverse {
            self.len() - span.end + offset
        } else {
            span.start + offset
        };
        self.by_rank(start, left, reverse)
    }

    /// How many members at the low end satisfy `below`.
    pub(super) fn partition_point(self, below: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self.0 {
            View::Index(index) => index.partition_point(below),
            View::Pack(pack) => pack
                .partition_point(|score, member| member.with_bytes(|member| below(score, member))),
        }
    }
}
