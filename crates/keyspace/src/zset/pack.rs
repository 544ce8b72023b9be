//! A small sorted set: a listpack of member, score, member, score and so on, in order.

use std::collections::HashSet;

use packed::{Listpack, ListpackRef, Pos};

use super::{Inserted, without_sign};
use crate::{Element, Invalid};
use words::print::{NumberBuf, parse_score};

/// The score element after a member, as a number.
fn read_score(element: Element<'_>) -> Option<f64> {
    match element {
        // Exact where the reference's text is: it stores integers that a double holds.
        Element::Int(n) => Some(n as f64),
        Element::Bytes(text) => parse_score(text).map(without_sign),
    }
}

/// An ordered listpack. Invariant: pairs of distinct members and scores that are numbers, ordered by (score, member).
#[derive(Clone, Debug, Default)]
pub(super) struct Pack(Listpack);

impl Pack {
    pub(super) fn new() -> Self {
        Pack(Listpack::new())
    }

    pub(super) fn from_listpack(listpack: Listpack) -> Result<Self, Invalid> {
        if !listpack.len().is_multiple_of(2) {
            return Err(Invalid::Unpaired);
        }
        let pack = Pack::from_ordered(listpack)?;
        let listpack = &pack.0;
        let mut seen = HashSet::new();
        let mut last: Option<(f64, Vec<u8>)> = None;
        let mut elements = listpack.iter();
        while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
            let now = (read_score(score).ok_or(Invalid::Score)?, member.to_vec());
            if !seen.insert(now.1.clone()) {
                return Err(Invalid::Duplicate);
            }
            if last.is_some_and(|last| last > now) {
                return Err(Invalid::Unsorted);
            }
            last = Some(now);
        }
        Ok(pack)
    }

    /// Looks at the scores alone: the caller knows of pairs, order and distinct members.
    pub(super) fn from_ordered(listpack: Listpack) -> Result<Self, Invalid> {
        let mut scores = listpack.iter().skip(1).step_by(2);
        if scores.all(|score| read_score(score).is_some()) {
            Ok(Pack(listpack))
        } else {
            Err(Invalid::Score)
        }
    }

    /// As [`Pack::from_ordered`], with scores that are known to be numbers.
    pub(super) fn of_ordered(listpack: Listpack) -> Self {
        Pack(listpack)
    }

    pub(super) fn as_listpack(&self) -> &Listpack {
        &self.0
    }

    pub(super) fn into_listpack(self) -> Listpack {
        self.0
    }

    #[inline]
    pub(super) fn view(&self) -> PackRef<'_> {
        PackRef(self.0.view())
    }

    pub(super) fn find(&self, member: &[u8]) -> Option<(Pos, f64)> {
        self.view().find(member)
    }

    pub(super) fn len(&self) -> usize {
        self.view().len()
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        let found = self.find(member);
        if let Some((at, old)) = found {
            if old == score {
                return Inserted::Unchanged;
            }
            self.0.remove_run(at, 2);
        }
        let mut buf = NumberBuf::new();
        let text = buf.format_f64(score);
        match self
            .view()
            .seek_first(|s, m| s > score || s == score && m.with_bytes(|m| m > member))
        {
            Some(at) => {
                let at = self.0.insert_before(at, member);
                self.0.insert_after(at, text);
            }
            None => {
                self.0.push_back(member);
                self.0.push_back(text);
            }
        }
        if found.is_some() {
            Inserted::Updated
        } else {
            Inserted::Added
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (at, score) = self.find(member)?;
        self.0.remove_run(at, 2);
        Some(score)
    }

    pub(super) fn remove_range(&mut self, start: usize, count: usize) {
        self.0.remove_range(2 * start as isize, 2 * count);
    }
}

/// An ordered listpack, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackRef<'a>(ListpackRef<'a>);

impl<'a> PackRef<'a> {
    /// Of what [`Pack::as_listpack`] has given.
    #[inline]
    pub(super) fn of_ordered(listpack: ListpackRef<'a>) -> Self {
        PackRef(listpack)
    }

    pub(super) fn as_listpack(self) -> ListpackRef<'a> {
        self.0
    }

    pub(super) fn to_pack(self) -> Pack {
        Pack(self.0.to_listpack())
    }

    /// Where a member is, and its score.
    pub(super) fn find(self, member: &[u8]) -> Option<(Pos, f64)> {
        let at = self.0.find(member, None, 1)?;
        Some((at, self.pair(at)?.1))
    }

    pub(super) fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let mut rank = 0;
        let mut at = self.0.first();
        while let Some(pos) = at {
            let (element, score) = self.pair(pos)?;
            if element.eq_bytes(member) {
                return Some((rank, score));
            }
            rank += 1;
            at = self.after(pos);
        }
        None
    }

    pub(super) fn partition_point(self, below: impl Fn(f64, Element<'_>) -> bool) -> usize {
        let mut rank = 0;
        let mut at = self.0.first();
        while let Some((member, score)) = at.and_then(|at| self.pair(at)) {
            if !below(score, member) {
                break;
            }
            rank += 1;
            at = at.and_then(|at| self.after(at));
        }
        rank
    }

    /// The first pair that satisfies `is`.
    fn seek_first(self, is: impl Fn(f64, Element<'_>) -> bool) -> Option<Pos> {
        let mut at = self.0.first()?;
        loop {
            let (member, score) = self.pair(at)?;
            if is(score, member) {
                return Some(at);
            }
            at = self.after(at)?;
        }
    }

    pub(super) fn len(self) -> usize {
        self.0.len() / 2
    }

    /// The position of the pair at `rank`.
    pub(super) fn seek(self, rank: usize) -> Option<Pos> {
        self.0.seek(isize::try_from(rank).ok()?.checked_mul(2)?)
    }

    /// The member and score at a pair's position.
    pub(super) fn pair(self, at: Pos) -> Option<(Element<'a>, f64)> {
        let (member, score) = self.0.get_next(at);
        Some((member, read_score(self.0.get(score?))?))
    }

    /// The next pair.
    pub(super) fn after(self, at: Pos) -> Option<Pos> {
        self.0.next(self.0.next(at)?)
    }

    /// The pair before.
    pub(super) fn before(self, at: Pos) -> Option<Pos> {
        self.0.prev(self.0.prev(at)?)
    }
}
