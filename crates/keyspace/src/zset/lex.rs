//! Lexical ranges over members of different scores, where the members are in no order.
//!
//! What they give is an accident of the reference that its users can see. A walk begins at one edge of the range and
//! ends at the first member beyond the other edge; LIMIT skips without looking. A listpack is searched for the edge
//! one by one. In a large set the reference's search may end at any place where a member below the range is followed
//! by one that is not, as chance has built its skip list; here it halves the ranks, so that the answer depends on the
//! members alone, and a replica removes what its primary has removed.

use std::ops::Range;

use super::view::View;
use super::{LexRange, ZIter, ZSetRef};

impl<'a> ZSetRef<'a> {
    /// Whether the members are in order, as all their scores are equal.
    pub(super) fn has_one_score(self) -> bool {
        let mut ends = [false, true].map(|reverse| self.by_rank(0, 1, reverse).next());
        let [first, last] = ends
            .each_mut()
            .map(|end| end.take().map(|(_, score)| score));
        first == last
    }

    pub(super) fn mixed_by_lex(
        self,
        range: &LexRange<'_>,
        offset: i64,
        count: usize,
        reverse: bool,
    ) -> ZIter<'a> {
        let Some(start) = self.mixed_start(range, offset, reverse) else {
            return self.by_rank(0, 0, false);
        };
        let start = if reverse {
            self.len() - 1 - start
        } else {
            start
        };
        let inside = self
            .by_rank(start, count, reverse)
            .take_while(|(member, _)| {
                member.with_bytes(|member| {
                    if reverse {
                        !range.is_below(member)
                    } else {
                        !range.is_above(member)
                    }
                })
            })
            .count();
        self.by_rank(start, inside, reverse)
    }

    pub(super) fn mixed_lex_count(self, range: &LexRange<'_>) -> usize {
        let walked = || self.mixed_by_lex(range, 0, usize::MAX, false).len();
        let View::Index(_) = self.0 else {
            return walked();
        };
        // Both edges are searched for, and what is between them is not looked at.
        match [
            self.mixed_start(range, 0, false),
            self.mixed_start(range, 0, true),
        ] {
            [None, _] => 0,
            [Some(first), Some(last)] => (last + 1).saturating_sub(first),
            [Some(first), None] => self.len() - first,
        }
    }

    /// The ranks that ZREMRANGEBYLEX removes.
    pub(super) fn mixed_lex_removal(self, range: &LexRange<'_>) -> Range<usize> {
        let first = match self.0 {
            View::Pack(_) => self.mixed_start(range, 0, false),
            // Unlike all others, this one does not ask whether the last member is in the range.
            View::Index(_) => Some(self.lower_edge(range)),
        };
        let Some(first) = first else { return 0..0 };
        let count = self
            .by_rank(first, usize::MAX, false)
            .take_while(|(member, _)| member.with_bytes(|member| !range.is_above(member)))
            .count();
        first..first + count
    }

    /// The rank where a walk begins, if there is one.
    fn mixed_start(self, range: &LexRange<'_>, offset: i64, reverse: bool) -> Option<usize> {
        let is = |rank: usize, is: &dyn Fn(&[u8]) -> bool| {
            let (member, _) = self.by_rank(rank, 1, false).next()?;
            member.with_bytes(is).then_some(rank)
        };
        let not_below = |member: &[u8]| !range.is_below(member);
        let not_above = |member: &[u8]| !range.is_above(member);
        if range.is_empty() {
            return None;
        }
        is(self.len().checked_sub(1)?, &not_below)?;
        is(0, &not_above)?;
        if matches!(self.0, View::Pack(_)) {
            let offset = usize::try_from(offset).ok()?;
            return if reverse {
                is(self.upper_edge(range).checked_sub(1)?, &not_below)?.checked_sub(offset)
            } else {
                is(self.lower_edge(range), &not_above)?.checked_add(offset)
            };
        }
        // Backwards, the offset 0 is the last one. Negative ones count from there, in either direction.
        let nth = if reverse { !offset } else { offset };
        let by = usize::try_from(nth.unsigned_abs()).ok()?;
        if nth < 0 {
            is(self.upper_edge(range).checked_sub(by)?, &not_below)
        } else {
            is(self.lower_edge(range).checked_add(by)?, &not_above)
        }
    }

    /// The rank behind a member below the range and before one that is not.
    fn lower_edge(self, range: &LexRange<'_>) -> usize {
        match self.0 {
            View::Pack(pack) => {
                pack.partition_point(|_, member| member.with_bytes(|member| range.is_below(member)))
            }
            View::Index(index) => index.bisect(|member| range.is_below(member)),
        }
    }

    /// The rank behind a member that is not above the range and before one that is; a listpack's last one.
    fn upper_edge(self, range: &LexRange<'_>) -> usize {
        match self.0 {
            View::Pack(pack) => {
                let above = self
                    .by_rank(0, usize::MAX, true)
                    .take_while(|(member, _)| member.with_bytes(|member| range.is_above(member)));
                pack.len() - above.count()
            }
            View::Index(index) => index.bisect(|member| !range.is_above(member)),
        }
    }
}
