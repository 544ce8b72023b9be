//! An order-statistic B+ tree: the order of a large sorted set.
//!
//! ```text
//! inner   [first item, items below, child] [..] ..     at most INNER_MAX
//!               |
//! leaf    [score, item] [score, item] ..               at most LEAF_MAX, in one allocation
//! ```
//!
//! The order is by score, then by member bytes. A node lies in its parent's array, and only its own array is
//! an allocation: searching a node reads one array, and asks for member bytes only where scores are equal.
//! Arrays grow in the allocator's steps rather than to their maximum, so that a leaf that is half full
//! takes half the memory.
//!
//! There are no links between leaves: a walk finds the next leaf by its rank, which costs a descent per
//! leaf and keeps every change local to one path.
//!
//! The tree holds copies of handles; what they point to must stay alive and unchanged while they are in it.

/// Items of a leaf at most. Against 32 as fast within the noise, and 1.4 bytes less an item (19.1 of 1 M random scores).
const LEAF_MAX: usize = 64;
/// Children of an inner node at most.
const INNER_MAX: usize = 32;
/// A node with less than this part of its maximum is joined with a neighbour or filled from it.
const MIN_PART: usize = 4;

/// What a tree orders: a handle, usually a thin pointer to a member and its score.
pub trait Item: Copy {
    /// The member, which decides between equal scores.
    fn member(&self) -> &[u8];
}

/// Which way to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Towards larger scores.
    Ascending,
    /// Towards smaller scores.
    Descending,
}

/// Items in the order of (score, member), with ranks. Scores are never NaN.
#[derive(Debug, Clone)]
pub struct Tree<H> {
    root: Node<H>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot<H> {
    score: f64,
    item: H,
}

#[derive(Debug, Clone)]
enum Node<H> {
    Leaf(Vec<Slot<H>>),
    Inner(Vec<Branch<H>>),
}

/// A child and what its parent knows of it. Invariant: the child is not empty, `first` is a copy of its
/// first slot and `count` the number of items below it.
#[derive(Debug, Clone)]
struct Branch<H> {
    first: Slot<H>,
    count: usize,
    node: Node<H>,
}

impl<H: Item> Tree<H> {
    /// An empty tree.
    pub fn new() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
            len: 0,
        }
    }

    /// A tree of items that are in order already; O(n).
    pub fn from_sorted(items: impl ExactSizeIterator<Item = (f64, H)>) -> Self {
        let len = items.len();
        let slots = items.map(|(score, item)| Slot { score, item });
        let mut level: Vec<Branch<H>> = even_parts(slots, len, LEAF_MAX)
            .map(|part| Branch::of(Node::Leaf(part)))
            .collect();
        while level.len() > 1 {
            let count = level.len();
            level = even_parts(level.into_iter(), count, INNER_MAX)
                .map(|part| Branch::of(Node::Inner(part)))
                .collect();
        }
        let tree = match level.pop() {
            Some(branch) => Self {
                len: branch.count,
                root: branch.node,
            },
            None => Self::new(),
        };
        debug_assert!(tree.is_sorted(), "the items are in order");
        tree
    }

    /// Number of items.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Are there no items?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item, which is not in the tree yet.
    pub fn insert(&mut self, score: f64, item: H) {
        debug_assert!(!score.is_nan(), "scores are ordered");
        self.len += 1;
        if let Some(right) = self.root.insert(Slot { score, item }, true) {
            let left = Branch::of(std::mem::replace(&mut self.root, Node::Leaf(Vec::new())));
            self.root = Node::Inner(vec![left, right]);
        }
    }

    /// Removes the item of this score and member.
    pub fn remove(&mut self, score: f64, member: &[u8]) -> Option<H> {
        let rank = self.rank_of(score, member);
        let slot = *self.root.slot(rank)?;
        if slot.score != score || slot.item.member() != member {
            return None;
        }
        self.remove_range(rank, 1, |_, _| ());
        Some(slot.item)
    }

    /// Gives the item of this old score and member a new one; false when there is none. Costs one descent
    /// when the item can stay in its place.
    pub fn update(&mut self, score: f64, member: &[u8], new_score: f64) -> bool {
        debug_assert!(!new_score.is_nan(), "scores are ordered");
        match self.root.update(score, member, new_score) {
            Update::Done => true,
            Update::Missing => false,
            Update::Moves => match self.remove(score, member) {
                Some(item) => {
                    self.insert(new_score, item);
                    true
                }
                None => false,
            },
        }
    }

    /// Removes up to `count` items from rank `start` on, showing each to `f`; gives how many.
    pub fn remove_range(&mut self, start: usize, count: usize, mut f: impl FnMut(f64, H)) -> usize {
        let count = count.min(self.len.saturating_sub(start));
        let mut left = count;
        while left > 0 {
            left -= self.root.remove_run(start, left, &mut f);
        }
        self.len -= count;
        if count > 0 {
            self.lower_root();
        }
        count
    }

    /// The item at a rank, counted from 0.
    pub fn get_by_rank(&self, rank: usize) -> Option<(f64, H)> {
        self.root.slot(rank).map(|slot| (slot.score, slot.item))
    }

    /// How many items come before (score, member): its rank, when it is in the tree.
    pub fn rank_of(&self, score: f64, member: &[u8]) -> usize {
        self.rank_where(|slot_score, item| before(slot_score, item, score, member))
    }

    /// How many items have a score less than `score`: the rank of the first that has it or more.
    pub fn rank_of_score(&self, score: f64) -> usize {
        self.rank_where(|slot_score, _| slot_score < score)
    }

    /// How many items have at most this score: the rank of the first that has more.
    pub fn rank_after_score(&self, score: f64) -> usize {
        self.rank_where(|slot_score, _| slot_score <= score)
    }

    /// How many items come before the first for which `is_before` is false. It must be true for some first
    /// part of the order and false from there on: every kind of bound is such a question, and the items
    /// between two bounds are the difference of their ranks.
    pub fn rank_where(&self, mut is_before: impl FnMut(f64, &H) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(slots) => {
                    return rank + slots.partition_point(|slot| is_before(slot.score, &slot.item));
                }
                Node::Inner(branches) => {
                    let index = branches.partition_point(|branch| {
                        is_before(branch.first.score, &branch.first.item)
                    });
                    let Some(index) = index.checked_sub(1) else {
                        return rank;
                    };
                    rank += count_of(&branches[..index]);
                    node = &branches[index].node;
                }
            }
        }
    }

    /// The items from a rank on, in either direction; none when there is no such rank.
    pub fn iter_from(&self, rank: usize, order: Order) -> Iter<'_, H> {
        let left = match order {
            Order::Ascending => self.len.saturating_sub(rank),
            Order::Descending if rank < self.len => rank + 1,
            Order::Descending => 0,
        };
        Iter {
            root: &self.root,
            leaf: &[],
            rank,
            left,
            order,
        }
    }

    /// All items, ascending.
    pub fn iter(&self) -> Iter<'_, H> {
        self.iter_from(0, Order::Ascending)
    }

    /// Bytes allocated for the tree, without what the handles point to. O(inner nodes).
    pub fn memory_bytes(&self) -> usize {
        self.root.heap_bytes()
    }

    /// Number of nodes. O(inner nodes).
    pub fn node_count(&self) -> usize {
        self.root.node_count()
    }

    fn lower_root(&mut self) {
        while let Node::Inner(branches) = &mut self.root
            && branches.len() <= 1
        {
            self.root = branches
                .pop()
                .map_or(Node::Leaf(Vec::new()), |only| only.node);
        }
    }

    fn is_sorted(&self) -> bool {
        self.iter()
            .is_sorted_by(|a, b| before(a.0, &a.1, b.0, b.1.member()))
    }
}

impl<H: Item> Default for Tree<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of [`Node::update`].
enum Update {
    Done,
    Missing,
    Moves,
}

impl<H: Item> Node<H> {
    /// Number of slots or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(slots) => slots.len(),
            Node::Inner(branches) => branches.len(),
        }
    }

    fn width_max(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => INNER_MAX,
        }
    }

    /// Adds a slot; when the node had to be split, gives what is now to its right. `last` says that the node
    /// is the last of its level.
    fn insert(&mut self, slot: Slot<H>, last: bool) -> Option<Branch<H>> {
        match self {
            Node::Leaf(slots) => {
                let at = slots.partition_point(|other| {
                    before(other.score, &other.item, slot.score, slot.item.member())
                });
                if slots.len() < LEAF_MAX {
                    insert_tight(slots, at, slot);
                    return None;
                }
                // Ascending inserts, as of timestamps, should leave full leaves behind.
                let cut = if last && at == LEAF_MAX {
                    LEAF_MAX
                } else {
                    LEAF_MAX / 2
                };
                let mut right = split_tight(slots, cut);
                if at <= cut && cut < LEAF_MAX {
                    insert_tight(slots, at, slot);
                } else {
                    insert_tight(&mut right, at - cut, slot);
                }
                Some(Branch::of(Node::Leaf(right)))
            }
            Node::Inner(branches) => {
                let at = child_for(branches, slot.score, slot.item.member());
                let last = last && at + 1 == branches.len();
                let branch = &mut branches[at];
                let right = branch.node.insert(slot, last);
                branch.refresh(branch.count + 1);
                let right = right?;
                branch.count -= right.count;
                if branches.len() < INNER_MAX {
                    insert_tight(branches, at + 1, right);
                    return None;
                }
                let at = at + 1;
                let cut = if last && at == INNER_MAX {
                    INNER_MAX
                } else {
                    INNER_MAX / 2
                };
                let mut split = split_tight(branches, cut);
                if at <= cut && cut < INNER_MAX {
                    insert_tight(branches, at, right);
                } else {
                    insert_tight(&mut split, at - cut, right);
                }
                Some(Branch::of(Node::Inner(split)))
            }
        }
    }

    /// Removes up to `max` items from a rank on, all from one leaf; gives how many. The node may be left
    /// empty or narrow, which its parent mends.
    fn remove_run(&mut self, rank: usize, max: usize, f: &mut impl FnMut(f64, H)) -> usize {
        match self {
            Node::Leaf(slots) => {
                let run = rank..slots.len().min(rank + max);
                let count = run.len();
                slots.drain(run).for_each(|slot| f(slot.score, slot.item));
                if slots.capacity() > 2 * slots.len() {
                    slots.shrink_to(capacity_for(slots.len()));
                }
                count
            }
            Node::Inner(branches) => {
                let (at, rank) = child_at(branches, rank);
                let branch = &mut branches[at];
                let removed = branch.node.remove_run(rank, max, f);
                if branch.node.width() == 0 {
                    branches.remove(at);
                    return removed;
                }
                branch.refresh(branch.count - removed);
                if branch.node.width() < branch.node.width_max() / MIN_PART && branches.len() > 1 {
                    mend(branches, at.saturating_sub(1));
                }
                removed
            }
        }
    }

    fn update(&mut self, score: f64, member: &[u8], new_score: f64) -> Update {
        match self {
            Node::Leaf(slots) => {
                let at =
                    slots.partition_point(|slot| before(slot.score, &slot.item, score, member));
                let Some(slot) = slots
                    .get(at)
                    .filter(|slot| slot.score == score && slot.item.member() == member)
                else {
                    return Update::Missing;
                };
                // At the leaf's edges what lies beyond is unknown, but moving inwards is safe.
                let above_left = match at.checked_sub(1).map(|left| &slots[left]) {
                    Some(left) => before(left.score, &left.item, new_score, slot.item.member()),
                    None => new_score >= score,
                };
                let below_right = match slots.get(at + 1) {
                    Some(right) => before(new_score, &slot.item, right.score, right.item.member()),
                    None => new_score <= score,
                };
                if above_left && below_right {
                    slots[at].score = new_score;
                    Update::Done
                } else {
                    Update::Moves
                }
            }
            Node::Inner(branches) => {
                let at = child_for(branches, score, member);
                let branch = &mut branches[at];
                let outcome = branch.node.update(score, member, new_score);
                branch.refresh(branch.count);
                outcome
            }
        }
    }

    fn slot(&self, rank: usize) -> Option<&Slot<H>> {
        let (leaf, rank) = self.leaf_at(rank)?;
        leaf.get(rank)
    }

    /// The leaf that holds a rank, and the rank within it.
    fn leaf_at(&self, rank: usize) -> Option<(&[Slot<H>], usize)> {
        let mut node = self;
        let mut rank = rank;
        loop {
            match node {
                Node::Leaf(slots) => return Some((slots, rank)),
                Node::Inner(branches) => {
                    let (at, below) = child_at(branches, rank);
                    node = &branches.get(at)?.node;
                    rank = below;
                }
            }
        }
    }

    fn first(&self) -> Slot<H> {
        match self {
            Node::Leaf(slots) => slots[0],
            Node::Inner(branches) => branches[0].first,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Node::Leaf(slots) => slots.capacity() * size_of::<Slot<H>>(),
            Node::Inner(branches) => {
                let below: usize = branches.iter().map(|branch| branch.node.heap_bytes()).sum();
                below + branches.capacity() * size_of::<Branch<H>>()
            }
        }
    }

    fn node_count(&self) -> usize {
        match self {
            Node::Leaf(_) => 1,
            Node::Inner(branches) => {
                1 + branches
                    .iter()
                    .map(|branch| branch.node.node_count())
                    .sum::<usize>()
            }
        }
    }
}

impl<H: Item> Branch<H> {
    /// The branch to a node that is not empty.
    fn of(node: Node<H>) -> Self {
        let count = match &node {
            Node::Leaf(slots) => slots.len(),
            Node::Inner(branches) => count_of(branches),
        };
        Self {
            first: node.first(),
            count,
            node,
        }
    }

    /// Restores the invariant after a change below.
    #[inline]
    fn refresh(&mut self, count: usize) {
        self.first = self.node.first();
        self.count = count;
    }
}

/// Items from a rank on; see [`Tree::iter_from`].
#[derive(Debug, Clone)]
pub struct Iter<'a, H> {
    root: &'a Node<H>,
    /// What is still to come of the current leaf.
    leaf: &'a [Slot<H>],
    /// The rank of the next item.
    rank: usize,
    left: usize,
    order: Order,
}

impl<H: Item> Iter<'_, H> {
    /// The item that comes after `n` others, if the leaf at hand has it.
    pub fn ahead(&self, n: usize) -> Option<H> {
        let slot = match self.order {
            Order::Ascending => self.leaf.get(n),
            Order::Descending => self.leaf.len().checked_sub(n + 1).map(|at| &self.leaf[at]),
        };
        slot.map(|slot| slot.item)
    }

    #[cold]
    fn next_leaf(&mut self) {
        let Some((leaf, at)) = self.root.leaf_at(self.rank) else {
            return;
        };
        self.leaf = match self.order {
            Order::Ascending => &leaf[at..],
            Order::Descending => &leaf[..=at],
        };
    }
}

impl<H: Item> Iterator for Iter<'_, H> {
    type Item = (f64, H);

    #[inline]
    fn next(&mut self) -> Option<(f64, H)> {
        if self.left == 0 {
            return None;
        }
        if self.leaf.is_empty() {
            self.next_leaf();
        }
        self.left -= 1;
        let slot = match self.order {
            Order::Ascending => {
                self.rank += 1;
                self.leaf.split_off_first()?
            }
            Order::Descending => {
                // Below rank 0 nothing is left, and the rank is not asked for again.
                self.rank = self.rank.wrapping_sub(1);
                self.leaf.split_off_last()?
            }
        };
        Some((slot.score, slot.item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<H: Item> ExactSizeIterator for Iter<'_, H> {}
impl<H: Item> std::iter::FusedIterator for Iter<'_, H> {}

/// Does an item come before (score, member)?
#[inline]
fn before<H: Item>(item_score: f64, item: &H, score: f64, member: &[u8]) -> bool {
    item_score < score || (item_score == score && item.member() < member)
}

/// The child that (score, member) is in, or would be.
#[inline]
fn child_for<H: Item>(branches: &[Branch<H>], score: f64, member: &[u8]) -> usize {
    let after = branches.partition_point(|branch| {
        let first = &branch.first;
        first.score < score || (first.score == score && first.item.member() <= member)
    });
    after.saturating_sub(1)
}

/// The child that holds a rank, and the rank within it.
#[inline]
fn child_at<H>(branches: &[Branch<H>], rank: usize) -> (usize, usize) {
    let mut rank = rank;
    for (at, branch) in branches.iter().enumerate() {
        if rank < branch.count {
            return (at, rank);
        }
        rank -= branch.count;
    }
    (branches.len(), rank)
}

fn count_of<H>(branches: &[Branch<H>]) -> usize {
    branches.iter().map(|branch| branch.count).sum()
}

/// Joins two neighbouring children when they fit well into one, else shares their contents evenly.
fn mend<H: Item>(branches: &mut Vec<Branch<H>>, left: usize) {
    let [a, b] = &mut branches[left..left + 2] else {
        unreachable!("a narrow child has a neighbour");
    };
    let count = a.count + b.count;
    let emptied = match (&mut a.node, &mut b.node) {
        (Node::Leaf(a), Node::Leaf(b)) => share(a, b, LEAF_MAX),
        (Node::Inner(a), Node::Inner(b)) => share(a, b, INNER_MAX),
        _ => unreachable!("all leaves are on one level"),
    };
    if emptied {
        a.count = count;
        branches.remove(left + 1);
    } else {
        let right = match &b.node {
            Node::Leaf(slots) => slots.len(),
            Node::Inner(branches) => count_of(branches),
        };
        a.count = count - right;
        b.refresh(right);
    }
}

/// Moves all of `b` to `a` when a quarter of the room stays free, else as much as makes them equal; true
/// when `b` is empty now.
fn share<T>(a: &mut Vec<T>, b: &mut Vec<T>, max: usize) -> bool {
    let total = a.len() + b.len();
    if total <= max - max / MIN_PART {
        a.reserve_exact(capacity_for(total) - a.len());
        a.append(b);
        return true;
    }
    let half = total / 2;
    if a.len() < half {
        let more = half - a.len();
        a.reserve_exact(capacity_for(half) - a.len());
        a.extend(b.drain(..more));
    } else {
        let mut tail = split_tight(a, half);
        tail.reserve_exact(capacity_for(total - half) - tail.len());
        tail.append(b);
        *b = tail;
    }
    false
}

/// Inserts, growing by the allocator's steps instead of doubling.
#[inline]
fn insert_tight<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(capacity_for(items.len() + 1) - items.len());
    }
    items.insert(at, item);
}

/// Cuts the items from `at` on off, leaving no slack in either part.
fn split_tight<T>(items: &mut Vec<T>, at: usize) -> Vec<T> {
    let mut right = Vec::with_capacity(capacity_for(items.len() - at + 1));
    right.extend(items.drain(at..));
    items.shrink_to(capacity_for(at + 1));
    right
}

/// The number of items an array should have room for: an eighth more, in steps of four.
fn capacity_for(items: usize) -> usize {
    (items + items / 8).next_multiple_of(4)
}

/// Divides `len` items into as few parts of at most `max` as possible, all about equally long.
fn even_parts<T>(
    mut items: impl Iterator<Item = T>,
    len: usize,
    max: usize,
) -> impl Iterator<Item = Vec<T>> {
    let parts = len.div_ceil(max);
    (0..parts).map(move |part| {
        let size = len / parts + usize::from(part < len % parts);
        let mut items_of_part = Vec::with_capacity(size);
        items_of_part.extend(items.by_ref().take(size));
        items_of_part
    })
}

#[cfg(test)]
mod tests;
