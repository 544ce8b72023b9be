//! What a script says of itself.

/// Flags of a script's first line or of a function's registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags(u8);

/// Names in the order in which they are shown.
static NAMES: &[(&str, ScriptFlags)] = &[
    ("no-writes", ScriptFlags::NO_WRITES),
    ("allow-oom", ScriptFlags::ALLOW_OOM),
    ("allow-stale", ScriptFlags::ALLOW_STALE),
    ("no-cluster", ScriptFlags::NO_CLUSTER),
    ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT_KEYS),
];

impl ScriptFlags {
    /// It does not write.
    pub const NO_WRITES: Self = Self(1);
    /// It may run while memory is above its limit.
    pub const ALLOW_OOM: Self = Self(2);
    /// It may run on a replica that has lost its primary.
    pub const ALLOW_STALE: Self = Self(4);
    /// It is not made for clusters.
    pub const NO_CLUSTER: Self = Self(8);
    /// It may use keys of several slots that it has not declared.
    pub const ALLOW_CROSS_SLOT_KEYS: Self = Self(16);
    /// It has no first line with flags: each command that it calls is judged for itself. Never shown.
    pub const COMPATIBLE: Self = Self(32);

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// The flag of that name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let mut names = NAMES.iter();
        names
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, flag)| *flag)
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        let set = NAMES.iter().filter(move |(_, flag)| self.contains(*flag));
        set.map(|(name, _)| *name)
    }
}
