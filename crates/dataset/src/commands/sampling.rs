//! What HRANDFIELD, ZRANDMEMBER and their like share: the count, and which of the elements to take.

use crate::call::ReplyLimit;
use crate::number;
use crate::rng::Random;
use commandtable::Error;
use hashbrown::HashSet;
use keyspace::Rng;
use resp::Reply;

/// Most bytes of a reply with repetitions, for clients whose output has no limit: they can ask for all the memory there is.
const REPETITIONS_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Fewer than one element in so many wanted: draw them one by one instead of walking over all.
const DRAW_RATIO: usize = 8;

/// How many random elements are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// So many different ones, or all.
    Distinct(usize),
    /// So many, each drawn anew.
    Repeated(u64),
}

/// Parses `count [word]`; true if the word, such as WITHSCORES, is there.
pub(super) fn parse(args: &[&[u8]], word: &[u8]) -> Result<(Count, bool), Error> {
    let (count, rest) = args.split_first().ok_or(Error::SYNTAX)?;
    let count = number::int(count)?;
    if count == i64::MIN {
        return Err(Error::COUNT_TOO_LOW);
    }
    let with = match rest {
        [] => false,
        [given] if given.eq_ignore_ascii_case(word) => true,
        _ => return Err(Error::SYNTAX),
    };
    if with && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(Error::OUT_OF_RANGE);
    }
    let size = count.unsigned_abs();
    let count = if count < 0 {
        Count::Repeated(size)
    } else {
        Count::Distinct(usize::try_from(size).unwrap_or(usize::MAX))
    };
    Ok((count, with))
}

/// Calls `one` so many times, each time for one more element of the reply, unless that gets too long for its client.
pub(super) fn repeat(
    out: &mut Reply,
    limit: &mut ReplyLimit,
    count: u64,
    mut one: impl FnMut(&mut Reply),
) {
    for _ in 0..count {
        if limit.is_exceeded(out, REPETITIONS_BYTES_MAX) {
            return;
        }
        one(out);
    }
}

/// Which of `len` elements to take when `wanted` (fewer than `len`) different ones are asked for.
pub(super) enum Choice {
    /// Walk over all and ask [`Walk::takes`] for each.
    Walk(Walk),
    /// Draw until there are enough; duplicates are to be left out.
    Draw,
}

/// Walking beats drawing unless few of many are wanted.
pub(super) fn choose(wanted: usize, len: usize) -> Choice {
    if wanted < len / DRAW_RATIO {
        Choice::Draw
    } else {
        Choice::Walk(Walk { wanted, left: len })
    }
}

/// Decides for each element in turn so that every subset is as likely.
pub(super) struct Walk {
    wanted: usize,
    left: usize,
}

impl Walk {
    /// Whether the next element is one of the chosen.
    pub(super) fn takes(&mut self, rng: &mut Random) -> bool {
        let takes = rng.below(self.left as u64) < self.wanted as u64;
        self.left = self.left.saturating_sub(1);
        self.wanted -= usize::from(takes);
        takes
    }
}

/// Elements drawn so far.
#[derive(Default)]
pub(super) struct Drawn(HashSet<Box<[u8]>>);

impl Drawn {
    /// False if the element was drawn before.
    pub(super) fn add(&mut self, element: keyspace::Element<'_>) -> bool {
        element.with_bytes(|bytes| !self.0.contains(bytes) && self.0.insert(bytes.into()))
    }
}
