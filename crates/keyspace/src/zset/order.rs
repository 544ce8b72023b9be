//! The order of a large sorted set (stand-in until the B+ tree arrives): a sorted vector with the tree's interface.

use crate::thin::ZHandle;

#[derive(Debug, Default)]
pub(super) struct Order(Vec<(f64, ZHandle)>);

impl Order {
    pub(super) fn insert(&mut self, score: f64, item: ZHandle) {
        let at = self.rank_of(score, item.member());
        self.0.insert(at, (score, item));
    }

    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> Option<ZHandle> {
        let at = self.rank_of(score, member);
        (at < self.0.len()).then(|| self.0.remove(at).1)
    }

    pub(super) fn rank_of(&self, score: f64, member: &[u8]) -> usize {
        self.partition_point(|s, h| s < score || s == score && h.member() < member)
    }

    pub(super) fn partition_point(&self, below: impl Fn(f64, ZHandle) -> bool) -> usize {
        self.0.partition_point(|&(s, h)| below(s, h))
    }

    pub(super) fn build(sorted: impl IntoIterator<Item = (f64, ZHandle)>) -> Self {
        Order(sorted.into_iter().collect())
    }

    pub(super) fn remove_range(
        &mut self,
        start: usize,
        count: usize,
        f: &mut dyn FnMut(f64, ZHandle),
    ) {
        self.0
            .drain(start..start + count)
            .for_each(|(s, h)| f(s, h));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.capacity() * 16
    }

    pub(super) fn iter_from(&self, rank: usize) -> OrderIter<'_> {
        self.0[rank.min(self.0.len())..].iter()
    }

    /// Backwards from the item before `rank` on.
    pub(super) fn iter_back_from(&self, rank: usize) -> OrderBack<'_> {
        self.0[..rank.min(self.0.len())].iter().rev()
    }
}

pub(super) type OrderIter<'a> = std::slice::Iter<'a, (f64, ZHandle)>;
pub(super) type OrderBack<'a> = std::iter::Rev<std::slice::Iter<'a, (f64, ZHandle)>>;
