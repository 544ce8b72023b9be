//! How large a list, and a node of one, may grow before it is cut.

/// The bytes that `list-max-listpack-size` -1 stands for; each step down to -5 doubles them.
const NODE_BYTES_MIN: usize = 4096;
/// The lowest step.
const STEP_MIN: i32 = -5;
/// Bytes of a node when the option counts elements: even few of them should not make a huge node.
const NODE_BYTES_WHEN_COUNTED: usize = 8192;
/// What the reference adds to an element's length when it asks if a node has room for it.
const ENTRY_OVERHEAD: usize = 8;

/// The options that shape lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLimits {
    /// `list-max-listpack-size`: elements per node, or -1..-5 for 4, 8, 16, 32, 64 KiB per node.
    pub max_listpack_size: i32,
    /// `DEBUG QUICKLIST-PACKED-THRESHOLD`: elements of so many bytes and more get a node of their own;
    /// 0 = only those larger than a node.
    pub packed_threshold: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            max_listpack_size: -2,
            packed_threshold: 0,
        }
    }
}

/// [`ListLimits`], worked out.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeLimits {
    bytes: usize,
    count: usize,
    counted: bool,
    plain_from: usize,
}

impl NodeLimits {
    #[inline]
    pub(super) fn new(limits: &ListLimits) -> Self {
        let size = limits.max_listpack_size;
        let (bytes, count) = if size < 0 {
            (NODE_BYTES_MIN << (-1 - size.max(STEP_MIN)), usize::MAX)
        } else {
            (NODE_BYTES_WHEN_COUNTED, (size as usize).max(1))
        };
        let plain_from = match limits.packed_threshold {
            0 => bytes + 1,
            threshold => threshold.min(bytes + 1),
        };
        Self {
            bytes,
            count,
            counted: size >= 0,
            plain_from,
        }
    }

    /// Is a listpack of this size too large for a node, or for a list that is to be one listpack?
    #[inline]
    pub(super) fn exceeded(&self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes || count > self.count
    }

    /// Does a node of this size have room for an element of `len` bytes?
    #[inline]
    pub(super) fn admits(&self, bytes: usize, count: usize, len: usize) -> bool {
        !self.exceeded(bytes + len + ENTRY_OVERHEAD, count + 1)
    }

    /// Does an element of `len` bytes get a node of its own?
    #[inline]
    pub(super) fn is_plain(&self, len: usize) -> bool {
        len >= self.plain_from
    }

    /// Has a node become so large by replacing its elements that it should be cut?
    pub(super) fn overgrown(&self, bytes: usize) -> bool {
        bytes > 2 * self.bytes
    }

    /// May the only node of a list become the whole list? A list that shrinks has to get to half the limits,
    /// or one at the limit would change to and fro.
    pub(super) fn fits_listpack(&self, bytes: usize, count: usize, part: Part) -> bool {
        let divisor = match part {
            Part::Whole => 1,
            Part::Half => 2,
        };
        if self.counted {
            count <= self.count / divisor
        } else {
            bytes <= self.bytes / divisor
        }
    }
}

/// How much of the limits a node may use to become a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Half,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_sizes_are_bytes_and_positive_ones_elements() {
        let of = |max_listpack_size| {
            NodeLimits::new(&ListLimits {
                max_listpack_size,
                packed_threshold: 0,
            })
        };
        for (size, bytes) in [
            (-1, 4096),
            (-2, 8192),
            (-3, 16_384),
            (-4, 32_768),
            (-5, 65_536),
            (i32::MIN, 65_536),
        ] {
            assert!(!of(size).exceeded(bytes, usize::MAX));
            assert!(of(size).exceeded(bytes + 1, 1));
            assert!(of(size).is_plain(bytes + 1) && !of(size).is_plain(bytes));
        }
        assert!(!of(4).exceeded(8192, 4));
        assert!(of(4).exceeded(100, 5));
        assert!(of(4).exceeded(8193, 1));
        assert!(!of(0).exceeded(8192, 1));
    }
}
