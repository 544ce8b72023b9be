//! Sizes of allocations: the allocator's size classes, so that the room it gives away anyway is known and used.

/// The smallest allocation we ask for, in bytes.
const SMALLEST: usize = 16;
/// Up to here classes are 16 bytes apart; beyond, there are four per doubling.
const LINEAR_MAX: usize = 128;

/// The allocator's class for `size` bytes: 16, 32, .. 128, 160, 192, 224, 256, 320 and so on. Always a multiple of 16.
#[inline]
pub(crate) fn size_class(size: usize) -> usize {
    if size <= LINEAR_MAX {
        return size.max(1).next_multiple_of(SMALLEST);
    }
    // The largest power of two below `size`, in quarters: 129..=256 goes in steps of 32.
    let step = (1_usize << (usize::BITS - 1 - (size - 1).leading_zeros())) / 4;
    size.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_allocators() {
        for (size, class) in [
            (0, 16),
            (1, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (160, 160),
            (161, 192),
            (256, 256),
            (257, 320),
        ] {
            assert_eq!(size_class(size), class, "{size}");
        }
        for size in 1..100_000 {
            let class = size_class(size);
            assert!(
                class >= size && class.is_multiple_of(16) && class < size + size / 4 + 16,
                "{size} -> {class}"
            );
            assert_eq!(size_class(class), class);
        }
    }
}
