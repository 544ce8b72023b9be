//! Sizes of allocations: the allocator's size classes, so that the room it gives away anyway is known and used.

/// The smallest class, in bytes, and the distance between classes up to [`LINEAR_MAX`].
pub const SMALLEST: usize = 8;
/// Up to here classes are [`SMALLEST`] apart; beyond, there are four per doubling.
const LINEAR_MAX: usize = 64;

/// The allocator's class for `size` bytes: 8, 16, 24, .. 64, 80, 96, 112, 128, 160, 192 and so on. Always a multiple of 8.
#[inline]
#[must_use]
pub const fn size_class(size: usize) -> usize {
    if size <= LINEAR_MAX {
        return if size <= SMALLEST {
            SMALLEST
        } else {
            size.next_multiple_of(SMALLEST)
        };
    }
    // The largest power of two below `size`, in quarters: 129..=256 goes in steps of 32.
    let step = (1_usize << (usize::BITS - 1 - (size - 1).leading_zeros())) / 4;
    size.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_are_few_and_close() {
        for (size, class) in [
            (0, 8),
            (1, 8),
            (8, 8),
            (9, 16),
            (40, 40),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (161, 192),
            (257, 320),
            (8193, 10_240),
        ] {
            assert_eq!(size_class(size), class, "{size}");
        }
        for size in 1..100_000 {
            let class = size_class(size);
            assert!(
                class >= size && class.is_multiple_of(8) && class < size + size / 4 + 8,
                "{size} -> {class}"
            );
            assert_eq!(size_class(class), class);
        }
    }
}
