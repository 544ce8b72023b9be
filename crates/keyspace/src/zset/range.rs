//! Ranges over sorted sets, as predicates on one item.

/// A range of scores (ZRANGEBYSCORE, ZCOUNT). Bounds may be infinite, never NaN.
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

impl ScoreRange {
    /// Is the score before the range?
    pub fn is_below(&self, score: f64) -> bool {
        if self.min_exclusive {
            score <= self.min
        } else {
            score < self.min
        }
    }

    /// Is the score behind the range?
    pub fn is_above(&self, score: f64) -> bool {
        if self.max_exclusive {
            score >= self.max
        } else {
            score > self.max
        }
    }

    /// Is the score in the range?
    pub fn contains(&self, score: f64) -> bool {
        !self.is_below(score) && !self.is_above(score)
    }
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

impl LexRange<'_> {
    /// Can no member be in it?
    pub fn is_empty(&self) -> bool {
        match (self.min, self.max) {
            (LexBound::Max, _) | (_, LexBound::Min) => true,
            (LexBound::Min, _) | (_, LexBound::Max) => false,
            (LexBound::Incl(min), LexBound::Incl(max)) => min > max,
            (
                LexBound::Incl(min) | LexBound::Excl(min),
                LexBound::Incl(max) | LexBound::Excl(max),
            ) => min >= max,
        }
    }

    /// Is the member before the range?
    pub fn is_below(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Min => false,
            LexBound::Max => true,
            LexBound::Incl(bound) => member < bound,
            LexBound::Excl(bound) => member <= bound,
        }
    }

    /// Is the member behind the range?
    pub fn is_above(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Min => true,
            LexBound::Max => false,
            LexBound::Incl(bound) => member > bound,
            LexBound::Excl(bound) => member >= bound,
        }
    }

    /// Is the member in the range?
    pub fn contains(&self, member: &[u8]) -> bool {
        !self.is_below(member) && !self.is_above(member)
    }
}
