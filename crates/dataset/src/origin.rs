//! Where a command comes from, and what follows from that for the way it sees the data.

/// A party that changes or watches keys, by a number that the caller chooses: here it means nothing.
pub type PartyId = u64;

/// What an expired key means to the running command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// On a primary: missing, and deleted on the spot.
    Delete,
    /// On a replica: missing, but kept. Only the primary's DEL may remove it, or two clocks that disagree would make
    /// two datasets that disagree. A writable replica's client removes it by writing there: its dataset is another anyway.
    Hide,
    /// For commands from the primary and while loading: still there.
    Ignore,
}

/// Who has a command run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client.
    Client,
    /// The stream of our primary: what it did is done here too, word by word.
    Primary,
    /// The append-only file that is being loaded: likewise.
    Log,
    /// Nobody: it happens by itself, when its time has come.
    Timer,
}

impl Source {
    /// Whether it has been done before, by somebody who was free to refuse it.
    #[must_use]
    pub fn repeats(self) -> bool {
        matches!(self, Source::Primary | Source::Log)
    }
}

/// Where the running command comes from: made in one place for each kind of source, and passed as one value.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Who has it run.
    pub source: Source,
    /// It is part of a transaction or a script: it must not wait, and settles with the whole.
    pub nested: bool,
    /// A script runs it: an order that is left open elsewhere is settled, so that what the script does with it is the same
    /// on every server.
    pub in_script: bool,
    /// It runs again after waiting.
    pub again: bool,
    /// Its database.
    pub db: usize,
    /// Whose command makes the changes, by a number that the caller chooses; 0 when they happen by themselves.
    pub author: PartyId,
    /// What an expired key means to it.
    pub expiry: Expiry,
    /// Its reads do not refresh the access clock (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// What it restores is not looked through (`skip-sanitize-payload`).
    pub trusted: bool,
    /// A snapshot child lives: memory that need not be written is left alone, access clocks above all.
    pub child_lives: bool,
    /// Unix time in milliseconds; stands still while a command or a transaction runs.
    pub now_ms: i64,
}

impl Origin {
    /// What happens by itself, in database 0.
    #[must_use]
    pub fn timer(expiry: Expiry, now_ms: i64) -> Self {
        Origin {
            source: Source::Timer,
            nested: false,
            in_script: false,
            again: false,
            db: 0,
            author: 0,
            expiry,
            no_touch: false,
            trusted: false,
            child_lives: false,
            now_ms,
        }
    }

    /// Whether its reads refresh the access clock.
    #[inline]
    #[must_use]
    pub fn touches(&self) -> bool {
        !(self.no_touch || self.child_lives)
    }

    /// The same, as seen by a command inside of a transaction.
    #[must_use]
    pub fn inside(self) -> Self {
        Origin {
            nested: true,
            ..self
        }
    }
}
