//! A sequence that grows without moving what it holds, but for its beginning.
//!
//! The beginning is one allocation, which moves as it grows: to find an element there costs no more than in a `Vec`. What is
//! behind it stands in pieces of a fixed size, which stay where they are, so that one more element never takes long.

/// Elements of the beginning at most.
const BEGINNING: usize = 16 << 10;

/// Elements of a piece, a power of two.
const PIECE: usize = 4 << 10;

pub(crate) struct Pieces<T> {
    beginning: Vec<T>,
    /// All are full but the last one with elements, behind which one without may stand.
    rest: Vec<Vec<T>>,
    len: usize,
}

impl<T> Pieces<T> {
    pub(crate) const fn new() -> Self {
        Self {
            beginning: Vec::new(),
            rest: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn push(&mut self, element: T) {
        if self.len < BEGINNING {
            self.beginning.push(element);
        } else {
            self.push_behind(element);
        }
        self.len += 1;
    }

    #[cold]
    #[inline(never)]
    fn push_behind(&mut self, element: T) {
        let piece = (self.len - BEGINNING) / PIECE;
        if piece == self.rest.len() {
            self.rest.push(Vec::with_capacity(PIECE));
        }
        self.rest[piece].push(element);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        if self.len < BEGINNING {
            self.beginning.pop()
        } else {
            self.pop_behind()
        }
    }

    #[cold]
    #[inline(never)]
    fn pop_behind(&mut self) -> Option<T> {
        let piece = (self.len - BEGINNING) / PIECE;
        // One empty piece stays, for who pushes and pops by turns.
        self.rest.truncate(piece + 2);
        self.rest[piece].pop()
    }

    // Cold, so that no register is saved for this call on the way to the beginning.

    #[cold]
    #[inline(never)]
    fn behind(&self, index: usize) -> &T {
        let index = index - BEGINNING;
        &self.rest[index / PIECE][index % PIECE]
    }

    #[cold]
    #[inline(never)]
    fn behind_mut(&mut self, index: usize) -> &mut T {
        let index = index - BEGINNING;
        &mut self.rest[index / PIECE][index % PIECE]
    }
}

impl<T> std::ops::Index<usize> for Pieces<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        match self.beginning.get(index) {
            Some(element) => element,
            None => self.behind(index),
        }
    }
}

impl<T> std::ops::IndexMut<usize> for Pieces<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        if index < self.beginning.len() {
            &mut self.beginning[index]
        } else {
            self.behind_mut(index)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_the_beginning_and_behind_it() {
        let mut pieces = Pieces::new();
        let count = BEGINNING + 3 * PIECE + 1;
        for index in 0..count {
            pieces.push(index);
        }
        pieces[count - 1] += 1;
        assert_eq!(pieces.len(), count);
        for index in 0..count - 1 {
            assert_eq!(pieces[index], index);
        }
        assert_eq!(pieces[count - 1], count);
    }

    #[test]
    fn what_is_behind_the_beginning_stays_in_its_place() {
        let mut pieces = Pieces::new();
        for index in 0..=BEGINNING {
            pieces.push(index);
        }
        let place = std::ptr::from_ref(&pieces[BEGINNING]);
        for index in 0..10 * PIECE {
            pieces.push(index);
        }
        assert!(std::ptr::eq(place, &raw const pieces[BEGINNING]));
    }

    #[test]
    fn pushes_and_pops_agree_with_those_of_a_vec() {
        let (mut pieces, mut plain) = (Pieces::new(), Vec::new());
        for round in 0..200_usize {
            let count = round * 7919 % (2 * PIECE);
            for index in 0..count {
                if round % 3 == 2 {
                    assert_eq!(pieces.pop(), plain.pop());
                } else {
                    pieces.push(round + index);
                    plain.push(round + index);
                }
            }
        }
        assert!(plain.len() > BEGINNING + 2 * PIECE);
        while let Some(element) = plain.pop() {
            assert_eq!(pieces.pop(), Some(element));
        }
        assert_eq!(pieces.pop(), None);
    }
}
