//! `client-output-buffer-limit`: when a client whose output piles up is closed, per class of client.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::{Setting, lenient_integer, memory_bytes};

/// Limits of one class; 0 means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which the client is closed at once.
    pub hard_bytes: u64,
    /// Bytes above which it is closed after a while.
    pub soft_bytes: u64,
    /// That while, in seconds.
    pub soft_seconds: i32,
}

/// Limits of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients with subscriptions.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            normal: OutputLimit::default(),
            replica: OutputLimit {
                hard_bytes: 256 << 20,
                soft_bytes: 64 << 20,
                soft_seconds: 60,
            },
            pubsub: OutputLimit {
                hard_bytes: 32 << 20,
                soft_bytes: 8 << 20,
                soft_seconds: 60,
            },
        }
    }
}

impl OutputLimits {
    /// Names and limits, with the name that CONFIG GET uses for replicas.
    pub fn classes(&self) -> [(&'static str, OutputLimit); 3] {
        [
            ("normal", self.normal),
            ("slave", self.replica),
            ("pubsub", self.pubsub),
        ]
    }

    fn class_mut(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(&mut self.normal),
            b"slave" | b"replica" => Some(&mut self.replica),
            b"pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }
}

impl Setting for OutputLimits {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        let (groups, rest) = args.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Problem::BufferLimitArguments);
        }
        // Classes that are not named keep their limits.
        let mut limits = *self;
        for [class, hard, soft, seconds] in groups {
            let limit = limits.class_mut(class).ok_or(Problem::BufferLimitClass)?;
            *limit = OutputLimit {
                hard_bytes: memory_bytes(hard).ok_or(Problem::BufferLimitNumber)?,
                soft_bytes: memory_bytes(soft).ok_or(Problem::BufferLimitNumber)?,
                soft_seconds: lenient_integer(seconds)
                    .and_then(|seconds| i32::try_from(seconds).ok())
                    .filter(|seconds| *seconds >= 0)
                    .ok_or(Problem::BufferLimitNumber)?,
            };
        }
        Ok(limits)
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        let classes = self.classes().map(|(name, limit)| {
            format!(
                "{name} {} {} {}",
                limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
            )
        });
        classes.join(" ").into_bytes()
    }
}
