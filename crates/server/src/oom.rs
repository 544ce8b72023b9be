//! `oom-score-adj`: how much the kernel likes to end which of our processes when memory is short.

use crate::logging;
use config::{Config, OomScoreAdj, OomScores};
use engine::host::Level;

/// Where the kernel keeps the score of the process that reads or writes it.
const PATH: &str = "/proc/self/oom_score_adj";
/// Bounds of a score.
const SCORE_MIN: i32 = -1000;
const SCORE_MAX: i32 = 1000;

/// The scores in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oom {
    mode: OomScoreAdj,
    scores: OomScores,
    replica: bool,
    /// The score that was there before we changed it; `None` while it is not ours to change.
    base: Option<i32>,
}

impl Oom {
    /// The scores that `config` asks for, put in force; a failure is logged.
    pub(crate) fn new(config: &Config) -> Self {
        let mut oom = Oom {
            mode: OomScoreAdj::No,
            scores: OomScores::default(),
            replica: config.replicaof.is_some(),
            base: None,
        };
        // Logged: a server without its score is better than none.
        let _ = oom.configure(config);
        oom
    }

    /// Puts the configured scores in force.
    ///
    /// # Errors
    /// The kernel refuses; the log tells why.
    pub(crate) fn configure(&mut self, config: &Config) -> Result<(), String> {
        let before = *self;
        self.mode = config.oom_score_adj;
        let scores = config.oom_score_adj_values;
        if scores != self.scores
            && (scores.primary > scores.replica || scores.replica > scores.child)
        {
            logging::log(
                Level::Warning,
                "The oom-score-adj-values configuration may not work for non-privileged processes! Please consult the documentation.",
            );
        }
        self.scores = scores;
        if self.put_in_force() {
            Ok(())
        } else {
            *self = before;
            Err("Failed to set current oom_score_adj. Check server logs.".to_owned())
        }
    }

    /// The role has changed.
    pub(crate) fn set_role(&mut self, replica: bool) {
        self.replica = replica;
        self.put_in_force();
    }

    fn put_in_force(&mut self) -> bool {
        let score = if self.replica {
            self.scores.replica
        } else {
            self.scores.primary
        };
        self.write(score)
    }

    /// In a snapshot child: takes the child's score.
    pub(crate) fn enter_child(mut self) {
        if self.mode != OomScoreAdj::No {
            self.write(self.scores.child);
        }
    }

    /// Writes `score` as the mode understands it, or the score of before where nothing is to be changed any more.
    fn write(&mut self, score: i32) -> bool {
        let base = match (self.base, self.mode) {
            (None, OomScoreAdj::No) => return true,
            // From here on others may change it: what they set is what a later change starts from.
            (Some(base), OomScoreAdj::No) => {
                self.base = None;
                base
            }
            (Some(base), _) => base,
            (None, _) => {
                let text = std::fs::read_to_string(PATH).unwrap_or_default();
                *self.base.insert(text.trim().parse().unwrap_or(0))
            }
        };
        let score = match self.mode {
            OomScoreAdj::No => base,
            OomScoreAdj::Absolute => score,
            OomScoreAdj::Yes | OomScoreAdj::Relative => base + score,
        };
        let score = score.clamp(SCORE_MIN, SCORE_MAX);
        if let Err(error) = std::fs::write(PATH, score.to_string()) {
            let reason = crate::errno_text(&error);
            logging::log(
                Level::Warning,
                &format!("Unable to write oom_score_adj: {reason}"),
            );
            return false;
        }
        true
    }
}
