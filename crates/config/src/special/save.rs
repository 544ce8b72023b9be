//! `save`: when a snapshot is made by itself.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::{Setting, lenient_integer};

/// A snapshot is due when this many seconds have passed and this many keys have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveRule {
    /// At least 1.
    pub seconds: i64,
    /// At least 0.
    pub changes: i32,
}

/// All rules; none means that no snapshot is made by itself.
#[derive(Clone, Debug)]
pub struct SaveRules {
    rules: Vec<SaveRule>,
    /// True until a `save` line was read. Such a line adds a rule, but the first one replaces the defaults.
    untouched: bool,
}

impl PartialEq for SaveRules {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Default for SaveRules {
    fn default() -> Self {
        let rule = |seconds, changes| SaveRule { seconds, changes };
        Self {
            rules: vec![rule(3600, 1), rule(300, 100), rule(60, 10_000)],
            untouched: true,
        }
    }
}

impl SaveRules {
    /// The rules, in the order given.
    pub fn rules(&self) -> &[SaveRule] {
        &self.rules
    }
}

impl Setting for SaveRules {
    fn read(&self, args: &[&[u8]], _kind: &Kind, phase: Phase) -> Result<Self, Problem> {
        let (pairs, rest) = args.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Problem::Save);
        }
        let adds_up = phase == Phase::Startup && !self.untouched && !pairs.is_empty();
        let mut rules = if adds_up {
            self.rules.clone()
        } else {
            Vec::new()
        };
        for [seconds, changes] in pairs {
            let seconds = lenient_integer(seconds)
                .filter(|seconds| *seconds >= 1)
                .ok_or(Problem::Save)?;
            let changes = lenient_integer(changes)
                .and_then(|changes| i32::try_from(changes).ok())
                .filter(|changes| *changes >= 0)
                .ok_or(Problem::Save)?;
            rules.push(SaveRule { seconds, changes });
        }
        Ok(Self {
            rules,
            untouched: false,
        })
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        let rules: Vec<String> = self
            .rules
            .iter()
            .map(|rule| format!("{} {}", rule.seconds, rule.changes))
            .collect();
        rules.join(" ").into_bytes()
    }
}
