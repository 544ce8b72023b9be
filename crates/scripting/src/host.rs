//! What scripts need of the server around them.

use resp::Reply;

/// Where the effects of a command go: `redis.set_repl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets(u8);

impl Targets {
    /// Nowhere.
    pub const NONE: Self = Self(0);
    /// The append-only file.
    pub const AOF: Self = Self(1);
    /// Replicas.
    pub const REPLICAS: Self = Self(2);
    /// Both.
    pub const ALL: Self = Self(3);

    /// Whether the effects reach all of `targets`.
    #[must_use]
    pub fn contains(self, targets: Self) -> bool {
        self.0 & targets.0 == targets.0
    }

    pub(crate) fn from_number(number: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number that fits no 32 bits is none of the four anyway"
        )]
        let mask = number as i64;
        u8::try_from(mask).ok().filter(|mask| *mask <= 3).map(Self)
    }

    pub(crate) fn number(self) -> f64 {
        f64::from(self.0)
    }
}

/// Levels of `redis.log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// For those who want to know.
    Verbose,
    /// For everybody.
    Notice,
    /// For administrators.
    Warning,
}

impl LogLevel {
    pub(crate) fn from_number(number: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number that fits no 64 bits is no level anyway"
        )]
        let number = number as i64;
        match number {
            0 => Some(Self::Debug),
            1 => Some(Self::Verbose),
            2 => Some(Self::Notice),
            3 => Some(Self::Warning),
            _ => None,
        }
    }
}

/// The server, as a script that runs sees it.
pub trait Host {
    /// Runs a command. `reply` is empty; afterwards it holds one reply, in the protocol that it was set to. A command that
    /// is refused replies with an error as well.
    fn call(&mut self, args: &[&[u8]], targets: Targets, reply: &mut Reply);

    /// Whether the user who has the script run might call this. `None` for what is no command.
    fn may_call(&mut self, args: &[&[u8]]) -> Option<bool>;

    /// Writes to the log, if its level lets it pass. `text` may be no text, and may have several lines.
    fn log(&mut self, level: LogLevel, text: &[u8]);
}
