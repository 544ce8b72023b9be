//! `oom-score-adj-values`: three scores for the kernel's out-of-memory killer.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::{Setting, lenient_integer};

const SCORE_MIN: i64 = -2000;
const SCORE_MAX: i64 = 2000;

/// Scores of a primary, a replica and a child process, each from -2000 to 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomScores {
    /// Of a primary.
    pub primary: i32,
    /// Of a replica.
    pub replica: i32,
    /// Of a snapshot or rewrite process.
    pub child: i32,
}

impl Default for OomScores {
    fn default() -> Self {
        Self {
            primary: 0,
            replica: 200,
            child: 800,
        }
    }
}

impl Setting for OomScores {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        let &[primary, replica, child] = args else {
            return Err(Problem::WrongArguments);
        };
        Ok(Self {
            primary: score(primary)?,
            replica: score(replica)?,
            child: score(child)?,
        })
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        format!("{} {} {}", self.primary, self.replica, self.child).into_bytes()
    }
}

fn score(word: &[u8]) -> Result<i32, Problem> {
    lenient_integer(word)
        .filter(|score| (SCORE_MIN..=SCORE_MAX).contains(score))
        .and_then(|score| i32::try_from(score).ok())
        .ok_or(Problem::OomScore)
}
