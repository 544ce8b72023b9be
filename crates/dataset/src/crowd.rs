//! Many clients at one place: who watches a key, who listens to a channel, who waits in line.

use smallvec::{SmallVec, smallvec};
use std::collections::BTreeMap;

/// Up to this many are found by looking through them.
const FEW_MAX: usize = 16;

/// What is kept for each of a number of clients, by a number of the caller's choice: it, or its place in line.
///
/// Thousands may come to one place, and one may come to thousands of places. So one alone needs no allocation, and joining
/// and leaving cost little however many there are.
#[derive(Debug)]
pub enum Crowd<T> {
    /// In order of the numbers.
    Few(SmallVec<[(u64, T); 1]>),
    /// By number.
    Many(BTreeMap<u64, T>),
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Crowd::Few(SmallVec::new())
    }
}

impl<T: Copy> Crowd<T> {
    /// Nobody but this one.
    pub fn of(number: u64, item: T) -> Self {
        Crowd::Few(smallvec![(number, item)])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Crowd::Few(few) => few.len(),
            Crowd::Many(many) => many.len(),
        }
    }

    /// True when there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is kept under a number.
    pub fn get(&self, number: u64) -> Option<T> {
        match self {
            Crowd::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number);
                at.ok().map(|at| few[at].1)
            }
            Crowd::Many(many) => many.get(&number).copied(),
        }
    }

    /// Adds one, or replaces what is kept of it. True when it is new.
    pub fn insert(&mut self, number: u64, item: T) -> bool {
        match self {
            Crowd::Few(few) => match few.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => {
                    few[at].1 = item;
                    false
                }
                Err(_) if few.len() == FEW_MAX => {
                    let mut many: BTreeMap<u64, T> = few.drain(..).collect();
                    many.insert(number, item);
                    *self = Crowd::Many(many);
                    true
                }
                Err(at) => {
                    few.insert(at, (number, item));
                    true
                }
            },
            Crowd::Many(many) => many.insert(number, item).is_none(),
        }
    }

    /// Takes one out. True when it was there.
    pub fn remove(&mut self, number: u64) -> bool {
        match self {
            Crowd::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number);
                at.is_ok_and(|at| {
                    few.remove(at);
                    true
                })
            }
            Crowd::Many(many) => many.remove(&number).is_some(),
        }
    }

    /// The first one whose number is at least `number`.
    pub fn first_from(&self, number: u64) -> Option<(u64, T)> {
        match self {
            Crowd::Few(few) => few.iter().find(|(other, _)| *other >= number).copied(),
            Crowd::Many(many) => many.range(number..).next().map(|(at, item)| (*at, *item)),
        }
    }

    /// The one with the largest number.
    pub fn last(&self) -> Option<(u64, T)> {
        match self {
            Crowd::Few(few) => few.last().copied(),
            Crowd::Many(many) => many.last_key_value().map(|(at, item)| (*at, *item)),
        }
    }

    /// All numbers, smallest first.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let (few, many) = match self {
            Crowd::Few(few) => (Some(few.iter()), None),
            Crowd::Many(many) => (None, Some(many.keys())),
        };
        let few = few.into_iter().flatten().map(|(number, _)| *number);
        few.chain(many.into_iter().flatten().copied())
    }

    /// Keeps those, perhaps changed, of whom `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(u64, &mut T) -> bool) {
        match self {
            Crowd::Few(few) => few.retain(|(number, item)| keep(*number, item)),
            Crowd::Many(many) => many.retain(|number, item| keep(*number, item)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowd, FEW_MAX};
    use std::collections::BTreeMap;

    #[test]
    fn a_crowd_is_a_map_however_many_there_are() {
        let mut crowd = Crowd::default();
        let mut model = BTreeMap::new();
        let mut state = 7u64;
        for round in 0..4000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let number = (state >> 33) % (3 * FEW_MAX as u64);
            // It grows and shrinks in turns.
            if (state >> 60) < if round / 500 % 2 == 0 { 12 } else { 4 } {
                let is_new = model.insert(number, round).is_none();
                assert_eq!(crowd.insert(number, round), is_new);
            } else {
                assert_eq!(crowd.remove(number), model.remove(&number).is_some());
            }
            assert_eq!(crowd.len(), model.len());
            assert_eq!(crowd.is_empty(), model.is_empty());
            assert!(crowd.numbers().eq(model.keys().copied()));
            assert_eq!(crowd.get(number), model.get(&number).copied());
            let next = model.range(number..).next().map(|(at, item)| (*at, *item));
            assert_eq!(crowd.first_from(number), next);
            let last = model.last_key_value().map(|(at, item)| (*at, *item));
            assert_eq!(crowd.last(), last);
        }
        crowd.retain(|number, item| {
            *item = 0;
            number % 2 == 0
        });
        model.retain(|number, _| number % 2 == 0);
        assert!(crowd.numbers().eq(model.keys().copied()));
        assert!(crowd.numbers().all(|number| crowd.get(number) == Some(0)));
    }
}
