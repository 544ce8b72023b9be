//! Sorted sets: a listpack of members and scores, or a member index plus an order-statistic tree.
//!
//! Every range, by rank, by score or by member, is first turned into a span of ranks; walking, counting and removing
//! are then the same for all.

mod index;
mod lex;
mod pack;
mod range;
pub mod tree;
mod view;

use self::tree::Order;
use std::fmt;
use std::mem::size_of;
use std::ops::Range;

use packed::{Listpack, Pos};

pub use range::{LexBound, LexRange, ScoreRange};
pub use view::ZSetRef;

use crate::embedded::{Container, Packed, PackedRef};
use crate::limits::PACKED_BYTES_MAX;
use crate::{Element, Encoding, Invalid, Limits, Type, Value};
use index::{Growing, Index};
use pack::{Pack, PackRef};
use view::View;
use words::print::TEXT_MAX;

/// A member with its score.
type Scored<'a> = (&'a [u8], f64);

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

#[derive(Debug)]
enum Repr {
    Pack(Pack),
    Index(Box<Index>),
}

/// A sorted set: members ordered by (score, member bytes). Scores are never NaN, and zero has no sign: a listpack could
/// not keep it, and a score must not change with the encoding.
#[derive(Debug)]
pub struct ZSet {
    repr: Repr,
}

impl Clone for ZSet {
    /// The same members and scores, held the same way.
    fn clone(&self) -> Self {
        self.view().to_zset()
    }
}

impl ZSet {
    /// An empty sorted set, held as a listpack.
    pub fn new() -> Self {
        ZSet {
            repr: Repr::Pack(Pack::new()),
        }
    }

    /// An empty one, held as suits the number of members to come and the first one's length, as ZADD does.
    pub fn with_hint(size_hint: usize, member_len: usize, limits: &Limits) -> Self {
        if size_hint <= limits.zset_max_listpack_entries
            && member_len <= limits.zset_max_listpack_value
        {
            ZSet::new()
        } else {
            ZSet {
                repr: Repr::Index(Box::new(Index::with_capacity(size_hint))),
            }
        }
    }

    /// The sorted set of a listpack read from a file.
    ///
    /// # Errors
    /// If it could not have been built by commands: a member twice or without a score, or out of order.
    pub fn from_listpack(listpack: Listpack, limits: &Limits) -> Result<Self, Invalid> {
        Ok(ZSet::of_pack(Pack::from_listpack(listpack)?, limits))
    }

    /// As [`ZSet::from_listpack`], for a listpack that is known to hold pairs in order, and no member twice.
    ///
    /// # Errors
    /// If a score is no number.
    pub fn from_ordered(listpack: Listpack, limits: &Limits) -> Result<Self, Invalid> {
        Ok(ZSet::of_pack(Pack::from_ordered(listpack)?, limits))
    }

    fn of_pack(pack: Pack, limits: &Limits) -> Self {
        let convert = pack.len() > limits.zset_max_listpack_entries
            || pack
                .as_listpack()
                .iter()
                .step_by(2)
                .any(|member| member.len() > limits.zset_max_listpack_value);
        let mut zset = ZSet {
            repr: Repr::Pack(pack),
        };
        if convert {
            zset.make_index(0);
        }
        zset
    }

    /// Gives up the listpack: members come that it is not meant for, or too many, about `more` of them.
    pub fn prepare_for(&mut self, more: usize) {
        self.make_index(more);
    }

    /// Adds a member or changes its score, which is not NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Inserted {
        debug_assert!(!score.is_nan());
        let score = without_sign(score);
        match &mut self.repr {
            Repr::Index(index) => index.insert(member, score),
            Repr::Pack(pack) => {
                let has_room = pack.len() < limits.zset_max_listpack_entries
                    && member.len() <= limits.zset_max_listpack_value
                    && pack.as_listpack().byte_len() + member.len() + TEXT_MAX <= PACKED_BYTES_MAX;
                if has_room || pack.find(member).is_some() {
                    return pack.insert(member, score);
                }
                self.make_index(1).insert(member, score)
            }
        }
    }

    /// Removes a member, returning its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.repr {
            Repr::Index(index) => index.remove(member),
            Repr::Pack(pack) => pack.remove(member),
        }
    }

    /// Removes the lowest (or highest) member, showing it to `f` first.
    pub fn pop_with<R>(
        &mut self,
        highest: bool,
        f: impl FnOnce(Element<'_>, f64) -> R,
    ) -> Option<R> {
        let (member, score) = self.by_rank(0, 1, highest).next()?;
        let result = f(member, score);
        let rank = if highest { self.len() - 1 } else { 0 };
        self.remove_span(rank..rank + 1);
        Some(result)
    }

    /// Removes the lowest member.
    pub fn pop_min(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop_with(false, |member, score| (member.to_vec(), score))
    }

    /// Removes the highest member.
    pub fn pop_max(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop_with(true, |member, score| (member.to_vec(), score))
    }

    /// Removes the member at one end. Others are expected to be removed there next.
    pub fn remove_end(&mut self, highest: bool) {
        if let Repr::Index(index) = &self.repr {
            index.prepare_pops(if highest {
                Order::Descending
            } else {
                Order::Ascending
            });
        }
        let rank = if highest {
            self.len().saturating_sub(1)
        } else {
            0
        };
        self.remove_range_by_rank(rank, 1);
    }

    /// Removes up to `count` members from rank `start` on; returns how many.
    pub fn remove_range_by_rank(&mut self, start: usize, count: usize) -> usize {
        let start = start.min(self.len());
        self.remove_span(start..start.saturating_add(count).min(self.len()))
    }

    /// Removes a score range; returns how many.
    pub fn remove_range_by_score(&mut self, range: &ScoreRange) -> usize {
        self.remove_span(self.view().score_span(range))
    }

    /// Removes a lex range; returns how many.
    pub fn remove_range_by_lex(&mut self, range: &LexRange<'_>) -> usize {
        let span = if self.view().has_one_score() {
            self.view().lex_span(range)
        } else {
            self.view().mixed_lex_removal(range)
        };
        self.remove_span(span)
    }

    /// Goes back to a listpack if everything fits one, as the reference does for results of ZUNIONSTORE and its like.
    pub fn compact(&mut self, limits: &Limits) {
        let Repr::Index(index) = &self.repr else {
            return;
        };
        if index.len() > limits.zset_max_listpack_entries {
            return;
        }
        let mut bytes = 0;
        for (member, _) in index.ascending(0) {
            bytes += member.len() + 2 * TEXT_MAX;
            if member.len() > limits.zset_max_listpack_value || bytes > PACKED_BYTES_MAX {
                return;
            }
        }
        let mut pack = Pack::new();
        for (member, score) in index.ascending(0) {
            pack.insert(member, score);
        }
        self.repr = Repr::Pack(pack);
    }

    fn remove_span(&mut self, span: Range<usize>) -> usize {
        let count = span.len();
        if count > 0 {
            match &mut self.repr {
                Repr::Index(index) => index.remove_range(span.start, count),
                Repr::Pack(pack) => pack.remove_range(span.start, count),
            }
        }
        count
    }

    /// Turns any encoding into an index; one made here has room for `more` members.
    fn make_index(&mut self, more: usize) -> &mut Index {
        if let Repr::Pack(pack) = &self.repr {
            let mut index = Growing::new(pack.len(), more);
            for (member, score) in self.iter() {
                member.with_bytes(|member| index.push(member, score));
            }
            let index = index.finish().expect("the members of a set differ");
            self.repr = Repr::Index(Box::new(index));
        }
        match &mut self.repr {
            Repr::Index(index) => index,
            Repr::Pack(_) => unreachable!("made an index above"),
        }
    }

    /// The sorted set, to be read.
    #[inline]
    pub fn view(&self) -> ZSetRef<'_> {
        ZSetRef(match &self.repr {
            Repr::Pack(pack) => View::Pack(pack.view()),
            Repr::Index(index) => View::Index(index),
        })
    }

    /// See [`ZSetRef::score`].
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.view().score(member)
    }

    /// See [`ZSetRef::rank`].
    pub fn rank(&self, member: &[u8], reverse: bool) -> Option<(usize, f64)> {
        self.view().rank(member, reverse)
    }

    /// See [`ZSetRef::by_rank`].
    pub fn by_rank(&self, start: usize, count: usize, reverse: bool) -> ZIter<'_> {
        self.view().by_rank(start, count, reverse)
    }

    /// See [`ZSetRef::iter`].
    pub fn iter(&self) -> ZIter<'_> {
        self.view().iter()
    }

    /// See [`ZSetRef::len`].
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// See [`ZSetRef::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// See [`ZSetRef::encoding`].
    pub fn encoding(&self) -> Encoding {
        self.view().encoding()
    }

    /// Estimated bytes, sampling at most `samples` members (0: all).
    pub fn memory_bytes(&self, samples: usize) -> usize {
        size_of::<ZSet>()
            + match &self.repr {
                Repr::Index(index) => size_of::<Index>() + index.memory_bytes(samples),
                Repr::Pack(pack) => pack.as_listpack().heap_bytes(),
            }
    }
}

impl Container for ZSet {
    const TYPE: Type = Type::ZSet;
    type Ref<'a> = ZSetRef<'a>;

    fn view(&self) -> ZSetRef<'_> {
        ZSet::view(self)
    }

    fn of_packed(packed: PackedRef<'_>) -> ZSetRef<'_> {
        ZSetRef(View::Pack(PackRef::of_ordered(packed.listpack())))
    }

    fn unpack(packed: Packed) -> ZSet {
        ZSet {
            repr: Repr::Pack(Pack::of_ordered(packed.into_listpack())),
        }
    }

    fn packed(&self) -> Option<PackedRef<'_>> {
        match &self.repr {
            Repr::Index(_) => None,
            Repr::Pack(pack) => Some(PackedRef::Listpack(pack.as_listpack().view())),
        }
    }

    fn into_packed(self) -> Option<Packed> {
        match self.repr {
            Repr::Index(_) => None,
            Repr::Pack(pack) => Some(Packed::Listpack(pack.into_listpack())),
        }
    }

    fn into_value(self) -> Value {
        Value::ZSet(Box::new(self))
    }
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet::new()
    }
}

/// Builds a sorted set from members in any order: sorts at most once, at the end, instead of placing each.
#[derive(Debug)]
pub struct Builder {
    index: Growing,
}

impl Builder {
    /// A builder with room for `members`, a number that the caller has checked.
    pub fn new(members: usize) -> Self {
        Builder {
            index: Growing::new(members, 0),
        }
    }

    /// Adds a member.
    ///
    /// # Errors
    /// If its score is NaN, or a member is known to have come twice: of the last ones that may come out later.
    pub fn push(&mut self, member: &[u8], score: f64) -> Result<(), Invalid> {
        if score.is_nan() {
            return Err(Invalid::Score);
        }
        if self.index.push(member, without_sign(score)) {
            Ok(())
        } else {
            Err(Invalid::Duplicate)
        }
    }

    /// The sorted set, as a listpack if it is small enough.
    ///
    /// # Errors
    /// If a member came twice.
    pub fn finish(self, limits: &Limits) -> Result<ZSet, Invalid> {
        let index = self.index.finish().ok_or(Invalid::Duplicate)?;
        let mut zset = ZSet {
            repr: Repr::Index(Box::new(index)),
        };
        zset.compact(limits);
        Ok(zset)
    }
}

/// The score, and 0 for -0.
#[inline]
pub fn without_sign(score: f64) -> f64 {
    // The sum of zeros with different signs is 0.
    score + 0.0
}

/// Members with scores, in order (ascending, or descending when asked for).
pub struct ZIter<'a> {
    walk: Walk<'a>,
    left: usize,
}

enum Walk<'a> {
    Done,
    Index(index::Walk<'a>),
    Pack {
        pack: PackRef<'a>,
        at: Option<Pos>,
        reverse: bool,
    },
}

impl fmt::Debug for ZIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZIter {{ left: {} }}", self.left)
    }
}

impl<'a> Iterator for ZIter<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.walk {
            Walk::Done => None,
            Walk::Index(walk) => walk
                .next()
                .map(|(member, score)| (Element::Bytes(member), score)),
            Walk::Pack { pack, at, reverse } => {
                let pos = (*at)?;
                *at = if *reverse {
                    pack.before(pos)
                } else {
                    pack.after(pos)
                };
                pack.pair(pos)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ZIter<'_> {}

#[cfg(test)]
mod tests;
