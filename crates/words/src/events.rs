//! Classes of keyspace events, one letter each, as `notify-keyspace-events` names them.

/// A set of event classes and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u32);

impl Classes {
    /// No events.
    pub const NONE: Self = Self(0);
    /// `K`: publish to `__keyspace@<db>__` channels.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: publish to `__keyevent@<db>__` channels.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands of no particular type, such as DEL and EXPIRE.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: strings.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: lists.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: sets.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hashes.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted sets.
    pub const ZSET: Self = Self(1 << 7);
    /// `x`: expired keys.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: evicted keys.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: streams.
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: lookups of missing keys.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: types of modules.
    pub const MODULE: Self = Self(1 << 12);
    /// `n`: new keys.
    pub const NEW: Self = Self(1 << 13);
    /// `A`: everything but `m`, `n` and the two channels.
    pub const ALL: Self = Self(0b1_0111_1111_1100);

    /// Letters and their classes, in the order they are printed.
    const LETTERS: [(u8, Self); 15] = [
        (b'A', Self::ALL),
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
    ];

    /// Both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every class of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads letters; `None` when one of them is unknown.
    pub fn from_letters(letters: &[u8]) -> Option<Self> {
        letters.iter().try_fold(Self::NONE, |events, letter| {
            let (_, class) = Self::LETTERS.iter().find(|(known, _)| known == letter)?;
            Some(events.and(*class))
        })
    }

    /// The letters, the way CONFIG GET shows them.
    pub fn letters(self) -> Vec<u8> {
        let all = self.contains(Self::ALL);
        let shown = |&(letter, class): &(u8, Self)| {
            // The reference leaves out `n` when it prints `A`, although it is not part of it.
            let covered = all && (Self::ALL.contains(class) || class == Self::NEW);
            let wanted = self.contains(class) && (letter == b'A' || !covered);
            wanted.then_some(letter)
        };
        Self::LETTERS.iter().filter_map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_out_in_the_order_of_the_reference() {
        for (given, printed) in [
            ("KEA", "AKE"),
            ("g$lshzxetdKE", "AKE"),
            ("Am", "Am"),
            ("Kd", "dK"),
            ("AEn", "AE"),
            ("n", "n"),
            ("", ""),
        ] {
            let events = Classes::from_letters(given.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(events.letters()).unwrap(), printed);
        }
        assert_eq!(Classes::from_letters(b"Kb"), None);
    }
}
