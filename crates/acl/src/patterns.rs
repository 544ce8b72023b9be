//! Key patterns with what they permit, and channel patterns.

use crate::quoting;
use commandtable::KeyFlags;
use std::collections::BTreeMap;
use words::glob::{self, Case};

/// What a pattern permits on the keys that match it, or what a command needs on a key: reading, writing, both, or, for a
/// command that only looks whether a key is there, nothing in particular.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access(u8);

impl Access {
    /// Neither.
    pub const NONE: Self = Self(0);
    /// Reading what the key holds.
    pub const READ: Self = Self(1);
    /// Changing what the key holds.
    pub const WRITE: Self = Self(2);
    /// Both.
    pub const READ_WRITE: Self = Self(3);

    /// Whether all of `other` is in this.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This and `other`.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a command needs that does this to a key.
    #[inline]
    pub const fn needed(flags: KeyFlags) -> Self {
        const WRITES: KeyFlags = KeyFlags::INSERT.and(KeyFlags::UPDATE).and(KeyFlags::DELETE);
        let mut needed = Self::NONE;
        if flags.intersects(KeyFlags::ACCESS) {
            needed = Self::READ;
        }
        if flags.intersects(WRITES) {
            needed = needed.and(Self::WRITE);
        }
        needed
    }

    /// The letters of a rule: `R`, `W`, `RW`, or none.
    pub const fn letters(self) -> &'static str {
        match self.0 {
            0 => "",
            1 => "R",
            2 => "W",
            _ => "RW",
        }
    }
}

/// A pattern as for KEYS; without white space and NUL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    bytes: Box<[u8]>,
    shape: Shape,
}

/// How much of a pattern there is to interpret: for most of them, nothing. `app:*` is matched in a tenth of the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// A plain name.
    Name,
    /// A plain beginning, then a star.
    Beginning,
    /// Anything else.
    Glob,
}

impl Pattern {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let plain = |bytes: &[u8]| {
            let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
            !bytes.iter().any(special)
        };
        let shape = match bytes {
            _ if plain(bytes) => Shape::Name,
            [start @ .., b'*'] if plain(start) => Shape::Beginning,
            _ => Shape::Glob,
        };
        Self {
            bytes: bytes.into(),
            shape,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether all of a text matches.
    #[inline]
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match (self.shape, &*self.bytes) {
            (Shape::Name, name) => text == name,
            // A star alone does not match the empty text.
            (Shape::Beginning, [start @ .., _]) => text.starts_with(start) && !text.is_empty(),
            (_, pattern) => glob::matches(pattern, text, Case::Sensitive),
        }
    }
}

/// A key pattern. It permits something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyPattern {
    pub(crate) pattern: Pattern,
    pub(crate) access: Access,
}

impl KeyPattern {
    /// Whether the pattern permits this on the key.
    #[inline]
    pub(crate) fn permits(&self, key: &[u8], needed: Access) -> bool {
        self.access.contains(needed) && self.pattern.matches(key)
    }

    /// Whether the pattern permits this on every key.
    pub(crate) fn permits_all(&self, needed: Access) -> bool {
        self.access.contains(needed) && self.pattern.bytes() == b"*"
    }

    /// The rule that makes the pattern.
    pub(crate) fn text(&self) -> Vec<u8> {
        // `~*` means more than this pattern: it forgets the others. The reference shows it so nevertheless, in lines that
        // it does not read again.
        let start: &[u8] = match self.access {
            Access::READ_WRITE if self.pattern.bytes() != b"*" => b"~",
            Access::READ_WRITE => b"%RW~",
            Access::READ => b"%R~",
            _ => b"%W~",
        };
        [start, self.pattern.bytes()].concat()
    }
}

/// The patterns of one kind, or all that there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Patterns<P> {
    /// Everything is permitted; then there is no pattern.
    all: bool,
    /// In the order in which they were added, none twice.
    patterns: Vec<P>,
    /// Where each stands, so that adding many takes no search for each.
    places: BTreeMap<Box<[u8]>, usize>,
}

impl<P> Patterns<P> {
    pub(crate) const NONE: Self = Self {
        all: false,
        patterns: Vec::new(),
        places: BTreeMap::new(),
    };

    pub(crate) fn allow_all(&mut self) {
        self.all = true;
        self.patterns.clear();
        self.places.clear();
    }

    /// The pattern of these bytes, if it is there.
    fn known(&mut self, pattern: &[u8]) -> Option<&mut P> {
        let place = *self.places.get(pattern)?;
        self.patterns.get_mut(place)
    }

    fn push(&mut self, bytes: &[u8], pattern: P) {
        self.places.insert(bytes.into(), self.patterns.len());
        self.patterns.push(pattern);
    }

    #[inline]
    pub(crate) const fn are_all(&self) -> bool {
        self.all
    }

    #[inline]
    pub(crate) fn listed(&self) -> &[P] {
        &self.patterns
    }
}

impl Patterns<KeyPattern> {
    /// Adds a pattern, or permits more with one that is there.
    pub(crate) fn add(&mut self, pattern: &[u8], access: Access) {
        match self.known(pattern) {
            Some(known) => known.access = known.access.and(access),
            None => self.push(
                pattern,
                KeyPattern {
                    pattern: Pattern::new(pattern),
                    access,
                },
            ),
        }
    }

    /// The rules, one after the other: `~* `, or each pattern with a blank behind it.
    pub(crate) fn write(&self, form: Form, into: &mut Vec<u8>) {
        if self.all {
            into.extend_from_slice(b"~* ");
        }
        for pattern in &self.patterns {
            form.write(&pattern.text(), into);
            into.push(b' ');
        }
    }
}

impl Patterns<Pattern> {
    /// Adds a pattern that is not there.
    pub(crate) fn add(&mut self, pattern: &[u8]) {
        if self.known(pattern).is_none() {
            self.push(pattern, Pattern::new(pattern));
        }
    }

    /// As for keys.
    pub(crate) fn write(&self, form: Form, into: &mut Vec<u8>) {
        if self.all {
            into.extend_from_slice(b"&* ");
        }
        for pattern in &self.patterns {
            form.write(&[b"&", pattern.bytes()].concat(), into);
            into.push(b' ');
        }
    }
}

/// Where a rule is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// As it is: in the root selector, where the words of a line are all there is to read, and in ACL GETUSER.
    Plain,
    /// Between parentheses, where quotes mean something.
    Inside,
}

impl Form {
    pub(crate) fn write(self, rule: &[u8], into: &mut Vec<u8>) {
        match self {
            Self::Plain => into.extend_from_slice(rule),
            Self::Inside => quoting::write(rule, into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn needs_follow_from_what_happens_to_a_key() {
        let ow = KeyFlags::OW.and(KeyFlags::UPDATE);
        assert_eq!(Access::needed(ow), Access::WRITE);
        assert_eq!(Access::needed(KeyFlags::INSERT), Access::WRITE);
        assert_eq!(
            Access::needed(KeyFlags::RM.and(KeyFlags::DELETE)),
            Access::WRITE
        );
        assert_eq!(Access::needed(ow.and(KeyFlags::ACCESS)), Access::READ_WRITE);
        assert_eq!(
            Access::needed(KeyFlags::RO.and(KeyFlags::ACCESS)),
            Access::READ
        );
        assert_eq!(Access::needed(KeyFlags::RO), Access::NONE);
    }

    proptest! {
        #[test]
        fn every_shape_matches_as_a_glob(pattern in "[ab*?\\[\\]\\\\]{0,4}", text in "[ab*\\\\]{0,4}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(
                Pattern::new(pattern).matches(text),
                glob::matches(pattern, text, Case::Sensitive)
            );
        }
    }

    #[test]
    fn the_same_pattern_again_permits_more_where_it_stands() {
        let mut keys = Patterns::<KeyPattern>::NONE;
        keys.add(b"a", Access::READ);
        keys.add(b"b", Access::READ);
        keys.add(b"a", Access::WRITE);
        let mut text = Vec::new();
        keys.write(Form::Plain, &mut text);
        assert_eq!(text, b"~a %R~b ");
        assert!(keys.listed()[0].permits(b"a", Access::READ_WRITE));
        assert!(!keys.listed()[1].permits(b"b", Access::READ_WRITE));
        assert!(keys.listed()[1].permits(b"b", Access::NONE));
    }
}
