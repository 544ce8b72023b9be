//! Objects of one kind, named by their places; what the collector sweeps.

use crate::pieces::Pieces;

/// The mark of a place without an object. Objects carry 0 or 1, whichever the current cycle paints with.
const FREE: u8 = 2;

/// Objects of one kind. A place that was freed is used again for the next object.
pub(crate) struct Arena<T> {
    slots: Pieces<T>,
    marks: Vec<u8>,
    free: Pieces<u32>,
}

impl<T: Default> Arena<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Pieces::new(),
            marks: Vec::new(),
            free: Pieces::new(),
        }
    }

    /// Puts an object down, painted with `mark`.
    pub(crate) fn insert(&mut self, object: T, mark: u8) -> u32 {
        if let Some(place) = self.free.pop() {
            self.slots[place as usize] = object;
            self.marks[place as usize] = mark;
            return place;
        }
        // A state's memory limit is reached long before places run out.
        let place = u32::try_from(self.slots.len()).expect("an arena has fewer than 2^32 places");
        self.slots.push(object);
        self.marks.push(mark);
        place
    }

    /// The mark of a place; that of a free one is no cycle's.
    pub(crate) fn mark(&self, place: usize) -> u8 {
        self.marks[place]
    }

    /// Paints an object; true if it had another colour. A free place stays free.
    pub(crate) fn paint(&mut self, place: usize, mark: u8) -> bool {
        let old = &mut self.marks[place];
        if *old == mark || *old == FREE {
            return false;
        }
        *old = mark;
        true
    }

    pub(crate) fn is_free(&self, place: usize) -> bool {
        self.marks[place] == FREE
    }

    /// Takes the object out of a place and frees it.
    pub(crate) fn remove(&mut self, place: usize) -> T {
        self.marks[place] = FREE;
        self.free
            .push(u32::try_from(place).expect("an arena has fewer than 2^32 places"));
        std::mem::take(&mut self.slots[place])
    }

    /// How many places there are, free ones too.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<T> std::ops::Index<usize> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.slots[place]
    }
}

impl<T> std::ops::IndexMut<usize> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.slots[place]
    }
}
