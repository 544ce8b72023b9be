//! The tree against a sorted vector.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// A handle that carries its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u8; 8]);

impl Item for Key {
    fn member(&self) -> &[u8] {
        &self.0
    }
}

fn key(n: u64) -> Key {
    Key(n.to_be_bytes())
}

/// Sorted by (score, member); scores are whole numbers here.
type Model = Vec<(i64, [u8; 8])>;

fn as_model((score, item): (f64, Key)) -> (i64, [u8; 8]) {
    (score as i64, item.0)
}

#[derive(Debug, Clone)]
enum Op {
    Insert(i64, u64),
    InsertRun(i64, u64, u16),
    Remove(usize),
    Update(usize, i64),
    RemoveRange(usize, usize),
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (-50i64..50, any::<u64>()).prop_map(|(score, n)| Op::Insert(score, n)),
        3 => (-50i64..50, any::<u64>(), 1u16..500).prop_map(|(score, n, len)| Op::InsertRun(score, n, len)),
        4 => any::<usize>().prop_map(Op::Remove),
        4 => (any::<usize>(), -50i64..50).prop_map(|(i, score)| Op::Update(i, score)),
        2 => (any::<usize>(), 0usize..400).prop_map(|(i, n)| Op::RemoveRange(i, n)),
        1 => Just(Op::Rebuild),
    ]
}

fn insert(tree: &mut Tree<Key>, model: &mut Model, score: i64, n: u64) {
    let entry = (score, key(n).0);
    if let Err(at) = model.binary_search(&entry) {
        model.insert(at, entry);
        tree.insert(score as f64, key(n));
    }
}

fn apply(tree: &mut Tree<Key>, model: &mut Model, op: Op) {
    match op {
        Op::Insert(score, n) => insert(tree, model, score, n),
        Op::InsertRun(score, n, len) => {
            for i in 0..u64::from(len) {
                insert(tree, model, score, n.wrapping_add(i));
            }
        }
        Op::Remove(i) if !model.is_empty() => {
            let (score, member) = model.remove(i % model.len());
            assert_eq!(tree.remove(score as f64, &member), Some(Key(member)));
            assert_eq!(tree.remove(score as f64, &member), None);
        }
        Op::Update(i, new) if !model.is_empty() => {
            let (score, member) = model[i % model.len()];
            if let Err(at) = model.binary_search(&(new, member)) {
                model.insert(at, (new, member));
                model.retain(|entry| *entry != (score, member));
                assert!(tree.update(score as f64, &member, new as f64));
                assert!(!tree.update(score as f64, &member, new as f64));
            }
        }
        Op::RemoveRange(i, n) => {
            let start = i % (model.len() + 1);
            let expected: Model = model.drain(start..(start + n).min(model.len())).collect();
            let mut removed = Model::new();
            let count = tree.remove_range(start, n, |score, item| {
                removed.push(as_model((score, item)))
            });
            assert_eq!(count, expected.len());
            assert_eq!(removed, expected);
        }
        Op::Rebuild => {
            *tree = Tree::from_sorted(
                model
                    .iter()
                    .map(|&(score, member)| (score as f64, Key(member))),
            )
        }
        _ => {}
    }
}

fn check(tree: &Tree<Key>, model: &Model) {
    assert_eq!(tree.len(), model.len());
    assert_eq!(tree.is_empty(), model.is_empty());
    assert!(tree.iter().map(as_model).eq(model.iter().copied()));
    let step = model.len() / 20 + 1;
    for (rank, &(score, member)) in model.iter().enumerate().step_by(step) {
        assert_eq!(tree.rank_of(score as f64, &member), rank);
        assert_eq!(tree.get_by_rank(rank).map(as_model), Some((score, member)));
        assert_eq!(
            tree.rank_of_score(score as f64),
            model.partition_point(|entry| entry.0 < score)
        );
        assert_eq!(
            tree.rank_after_score(score as f64),
            model.partition_point(|entry| entry.0 <= score)
        );
        let up = tree.iter_from(rank, Order::Ascending);
        assert_eq!(up.len(), model.len() - rank);
        assert!(up.map(as_model).eq(model[rank..].iter().copied()));
        let down = tree.iter_from(rank, Order::Descending).map(as_model);
        assert!(down.eq(model[..=rank].iter().rev().copied()));
    }
    assert!(tree.get_by_rank(model.len()).is_none());
    assert_eq!(tree.iter_from(model.len(), Order::Ascending).count(), 0);
    assert_eq!(tree.iter_from(model.len(), Order::Descending).count(), 0);
    assert_eq!(tree.rank_after_score(f64::INFINITY), model.len());
    assert_eq!(tree.rank_of_score(f64::NEG_INFINITY), 0);
    check_node(&tree.root, true);
}

/// The invariants of a branch hold everywhere; gives the height.
fn check_node(node: &Node<Key>, root: bool) -> usize {
    assert!(root || node.width() > 0);
    assert!(node.width() <= node.width_max());
    match node {
        Node::Leaf(_) => 1,
        Node::Inner(branches) => {
            assert!(!root || branches.len() > 1);
            let heights: Vec<usize> = branches
                .iter()
                .map(|branch| {
                    let fresh = Branch::of(branch.node.clone());
                    assert_eq!(
                        (fresh.count, fresh.first.item),
                        (branch.count, branch.first.item)
                    );
                    assert_eq!(fresh.first.score, branch.first.score);
                    check_node(&branch.node, false)
                })
                .collect();
            assert!(heights.windows(2).all(|pair| pair[0] == pair[1]));
            1 + heights[0]
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_tree_behaves_like_a_sorted_vector(ops in prop::collection::vec(op(), 1..60)) {
        let (mut tree, mut model) = (Tree::new(), Model::new());
        for op in ops {
            apply(&mut tree, &mut model, op);
            check(&tree, &model);
        }
    }
}

/// Bytes per item, and the part of the leaves' slots in use.
fn density(tree: &Tree<Key>) -> (f64, f64) {
    let per_item = tree.memory_bytes() as f64 / tree.len() as f64;
    let leaves = leaves(&tree.root);
    (per_item, tree.len() as f64 / (leaves * LEAF_MAX) as f64)
}

fn leaves(node: &Node<Key>) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::Inner(branches) => branches.iter().map(|branch| leaves(&branch.node)).sum(),
    }
}

#[test]
fn random_and_sorted_inserts_leave_a_dense_tree() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut tree = Tree::new();
    (0..200_000).for_each(|n| tree.insert(rng.random::<f64>(), key(n)));
    let (bytes, fill) = density(&tree);
    assert!(
        bytes <= 25.0 && fill >= 0.65,
        "random: {bytes} bytes per item, {fill} full"
    );

    let mut tree = Tree::new();
    (0..200_000).for_each(|n| tree.insert(n as f64, key(n)));
    let (bytes, fill) = density(&tree);
    assert!(
        bytes <= 22.0 && fill >= 0.95,
        "ascending: {bytes} bytes per item, {fill} full"
    );

    let sorted = Tree::from_sorted(
        (0..200_000u64)
            .map(|n| (n as f64, key(n)))
            .collect::<Vec<_>>()
            .into_iter(),
    );
    let (bytes, fill) = density(&sorted);
    assert!(
        bytes <= 20.0 && fill >= 0.95,
        "bulk: {bytes} bytes per item, {fill} full"
    );
}

#[test]
fn removing_at_random_keeps_the_tree_dense_and_ends_empty() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut tree = Tree::new();
    (0..20_000u32).for_each(|n| tree.insert(f64::from(n % 100), key(n.into())));
    while tree.len() > 1000 {
        let rank = rng.random_range(0..tree.len());
        let (score, item) = tree.get_by_rank(rank).unwrap();
        assert_eq!(tree.remove(score, item.member()), Some(item));
    }
    check_node(&tree.root, true);
    let (bytes, _) = density(&tree);
    assert!(bytes <= 48.0, "{bytes} bytes per item");
    assert_eq!(tree.remove_range(0, usize::MAX, |_, _| ()), 1000);
    assert!(tree.is_empty());
    assert_eq!(tree.node_count(), 1);
    tree.insert(1.0, key(1));
    assert_eq!(tree.iter().count(), 1);
}

#[test]
fn infinities_and_both_zeros_have_their_place() {
    let mut tree = Tree::new();
    for (n, score) in [f64::INFINITY, 0.0, f64::NEG_INFINITY, -0.0]
        .into_iter()
        .enumerate()
    {
        tree.insert(score, key(n as u64));
    }
    let order: Vec<u8> = tree.iter().map(|(_, item)| item.0[7]).collect();
    assert_eq!(order, [2, 1, 3, 0]);
    assert_eq!(tree.remove(0.0, key(3).member()), Some(key(3)));
}
