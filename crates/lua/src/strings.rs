//! All strings of a state: short ones once each, long ones as they come.
//!
//! Short strings are found through chains of their hashes. The hash is that of Lua 5.1, every byte read, so that tables
//! are traversed in its order.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::arena::Arena;
use crate::job::COMPARED_AT_ONCE;
use crate::limits::SHORT_STRING_BYTES_MAX;
use crate::pieces::Pieces;
use crate::value::StringId;

/// The end of a chain.
const END: u32 = u32::MAX;

/// Chains at the beginning, a power of two.
const CHAINS_MIN: usize = 128;

/// Bytes that a string takes beside its own.
pub(crate) const STRING_BYTES: usize = size_of::<Text>() + 1;

#[derive(Default)]
pub(crate) struct Text {
    pub(crate) bytes: Box<[u8]>,
    hash: u32,
    /// The next short string of the same chain.
    next: u32,
}

/// Two long strings that have been compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) a: StringId,
    pub(crate) b: StringId,
    pub(crate) ordering: Ordering,
}

pub(crate) struct Strings {
    texts: Arena<Text>,
    chains: Pieces<u32>,
    shorts: usize,
    seed: u32,
    /// How a long string compares with others, by their places, as jobs have found out; until a collection begins, as places may
    /// become others' then.
    settled: (Option<StringId>, HashMap<u32, Ordering>),
}

/// Bytes of a string that its hash reads at most: every byte of a string that is not longer, evenly spread ones of others.
const HASHED_BYTES_MAX: usize = 4096;

/// The hash of Lua 5.1 over all bytes.
fn hash(seed: u32, bytes: &[u8]) -> u32 {
    let start = seed ^ bytes.len() as u32;
    let step = bytes.len() / HASHED_BYTES_MAX + 1;
    bytes.iter().rev().step_by(step).fold(start, |hash, byte| {
        let mixed = (hash << 5)
            .wrapping_add(hash >> 2)
            .wrapping_add(u32::from(*byte));
        hash ^ mixed
    })
}

impl Strings {
    pub(crate) fn new(seed: u32) -> Self {
        let mut chains = Pieces::new();
        for _ in 0..CHAINS_MIN {
            chains.push(END);
        }
        Self {
            texts: Arena::new(),
            chains,
            shorts: 0,
            seed,
            settled: (None, HashMap::new()),
        }
    }

    pub(crate) fn bytes(&self, id: StringId) -> &[u8] {
        &self.texts[id.index()].bytes
    }

    /// The hash of any string.
    pub(crate) fn hash(&self, id: StringId) -> u32 {
        if id.is_long() {
            self.texts[id.index()].hash
        } else {
            id.hash
        }
    }

    pub(crate) fn equal(&self, a: StringId, b: StringId) -> bool {
        if a.place == b.place || !a.is_long() || !b.is_long() {
            return a.place == b.place;
        }
        let (x, y) = (self.bytes(a), self.bytes(b));
        if x.len() != y.len() {
            return false;
        }
        if x.len() > COMPARED_AT_ONCE
            && let Some(ordering) = self.settled(a, b)
        {
            return ordering == Ordering::Equal;
        }
        x == y
    }

    /// Whether two strings may be equal, as far as their hashes tell; both are keys.
    pub(crate) fn may_equal(&self, a: StringId, b: StringId) -> bool {
        a.is_long() && b.is_long() && self.hash(a) == self.hash(b)
    }

    /// How two long strings compare, if that has been found out.
    pub(crate) fn settled(&self, a: StringId, b: StringId) -> Option<Ordering> {
        let (of, known) = &self.settled;
        if *of != Some(a) {
            return None;
        }
        known.get(&b.place).copied()
    }

    /// Remembers how two long strings compare.
    pub(crate) fn settle(&mut self, settled: Settled) {
        // An instruction compares one string with others; what another one has asked for is no longer wanted.
        if self.settled.0 != Some(settled.a) {
            self.settled = (Some(settled.a), HashMap::new());
        }
        self.settled.1.insert(settled.b.place, settled.ordering);
    }

    /// Forgets comparisons: strings are about to go.
    pub(crate) fn forget_settled(&mut self) {
        self.settled = (None, HashMap::new());
    }

    /// The short string with these bytes, if there is one; it is painted, since it is about to be used again.
    pub(crate) fn find(&mut self, bytes: &[u8], mark: u8) -> Result<StringId, u32> {
        let hash = hash(self.seed, bytes);
        let mut place = self.chains[self.chain_of(hash)];
        while place != END {
            let text = &self.texts[place as usize];
            if text.hash == hash && *text.bytes == *bytes {
                self.texts.paint(place as usize, mark);
                return Ok(StringId::short(place, hash));
            }
            place = text.next;
        }
        Err(hash)
    }

    /// Adds a string whose hash [`Strings::find`] gave and which is not there yet.
    pub(crate) fn add_short(&mut self, bytes: &[u8], hash: u32, mark: u8) -> StringId {
        debug_assert!(bytes.len() <= SHORT_STRING_BYTES_MAX);
        if self.shorts >= self.chains.len() {
            self.split_chain();
        }
        let chain = self.chain_of(hash);
        let text = Text {
            bytes: bytes.into(),
            hash,
            next: self.chains[chain],
        };
        let place = self.texts.insert(text, mark);
        self.chains[chain] = place;
        self.shorts += 1;
        StringId::short(place, hash)
    }

    pub(crate) fn add_long(&mut self, bytes: Box<[u8]>, mark: u8) -> StringId {
        // The hash of a long string is wanted only where it is a table's key, see `prepare`.
        let text = Text {
            bytes,
            hash: 0,
            next: END,
        };
        StringId::long(self.texts.insert(text, mark))
    }

    /// Computes the hash of a long string that is about to be a key; the bytes read.
    pub(crate) fn prepare(&mut self, id: StringId) -> usize {
        let seed = self.seed;
        let text = &mut self.texts[id.index()];
        if text.hash != 0 {
            return 0;
        }
        text.hash = hash(seed, &text.bytes).max(1);
        text.bytes.len().min(HASHED_BYTES_MAX)
    }

    /// The chain of a hash. Chains beyond a power of two are those that have been split off by one more bit of the hash.
    #[inline]
    fn chain_of(&self, hash: u32) -> usize {
        let whole = self.chains.len().next_power_of_two();
        let chain = hash as usize & (whole - 1);
        if chain < self.chains.len() {
            chain
        } else {
            chain - whole / 2
        }
    }

    /// Adds a chain: one by one, as moving all strings at once takes long.
    fn split_chain(&mut self) {
        let fresh = self.chains.len();
        let bit = 1_usize << fresh.ilog2();
        let old = fresh - bit;
        let mut place = std::mem::replace(&mut self.chains[old], END);
        self.chains.push(END);
        while place != END {
            let text = &mut self.texts[place as usize];
            let next = text.next;
            let chain = if text.hash as usize & bit == 0 {
                old
            } else {
                fresh
            };
            text.next = self.chains[chain];
            self.chains[chain] = place;
            place = next;
        }
    }

    pub(crate) fn paint(&mut self, id: StringId, mark: u8) -> bool {
        self.texts.paint(id.index(), mark)
    }

    pub(crate) fn paint_all(&mut self, mark: u8) {
        for place in 0..self.texts.len() {
            self.texts.paint(place, mark);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Takes the string out of a place unless it carries this mark.
    pub(crate) fn sweep(&mut self, place: usize, mark: u8) -> Option<Box<[u8]>> {
        if self.texts.is_free(place) || self.texts.mark(place) == mark {
            return None;
        }
        let text = self.texts.remove(place);
        if text.bytes.len() <= SHORT_STRING_BYTES_MAX {
            self.unlink(place, &text);
        }
        Some(text.bytes)
    }

    fn unlink(&mut self, place: usize, text: &Text) {
        let chain = self.chain_of(text.hash);
        self.shorts -= 1;
        if self.chains[chain] as usize == place {
            self.chains[chain] = text.next;
            return;
        }
        let mut before = self.chains[chain];
        while before != END {
            let next = self.texts[before as usize].next;
            if next as usize == place {
                self.texts[before as usize].next = text.next;
                return;
            }
            before = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_short_strings_are_one() {
        let mut strings = Strings::new(0);
        let hash = strings.find(b"name", 0).unwrap_err();
        let name = strings.add_short(b"name", hash, 0);
        assert_eq!(strings.find(b"name", 0), Ok(name));
        assert_eq!(strings.bytes(name), b"name");
    }

    #[test]
    fn chains_survive_growth_and_sweeping() {
        let mut strings = Strings::new(0);
        let mut ids = Vec::new();
        for number in 0..1000_u32 {
            let text = number.to_le_bytes();
            let hash = strings.find(&text, 0).unwrap_err();
            ids.push(strings.add_short(&text, hash, (number % 2) as u8));
        }
        for place in 0..strings.len() {
            strings.sweep(place, 1);
        }
        for number in 0..1000_u32 {
            let found = strings.find(&number.to_le_bytes(), 1).ok();
            assert_eq!(found, (number % 2 == 1).then_some(ids[number as usize]));
        }
    }

    #[test]
    fn long_strings_are_equal_by_their_bytes() {
        let mut strings = Strings::new(0);
        let a = strings.add_long(vec![b'x'; 100].into(), 0);
        let b = strings.add_long(vec![b'x'; 100].into(), 0);
        assert!(a != b && strings.equal(a, b));
    }
}
