//! Model tests of sorted sets against a sorted vector, in both encodings and across the conversion.

use proptest::prelude::*;

use super::*;
use crate::testing::{TestRng, small_limits};

/// Pairs sorted by (score, member).
#[derive(Debug, Default)]
struct Model(Vec<(f64, Vec<u8>)>);

impl Model {
    fn score(&self, member: &[u8]) -> Option<f64> {
        self.0.iter().find(|(_, m)| m == member).map(|(s, _)| *s)
    }

    fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        let old = self.score(member);
        if old == Some(score) {
            return Inserted::Unchanged;
        }
        self.remove(member);
        let at = self
            .0
            .partition_point(|(s, m)| *s < score || *s == score && m[..] < *member);
        self.0.insert(at, (score, member.to_vec()));
        if old.is_some() {
            Inserted::Updated
        } else {
            Inserted::Added
        }
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.0.iter().position(|(_, m)| m == member)?;
        Some(self.0.remove(at).0)
    }
}

/// Limits that no listpack keeps to.
fn index_only() -> Limits {
    Limits {
        zset_max_listpack_entries: 0,
        ..Limits::default()
    }
}

fn collect(iter: ZIter<'_>) -> Vec<(f64, Vec<u8>)> {
    iter.map(|(member, score)| (score, member.to_vec()))
        .collect()
}

fn page(
    items: impl Iterator<Item = (f64, Vec<u8>)>,
    offset: usize,
    count: usize,
    reverse: bool,
) -> Vec<(f64, Vec<u8>)> {
    let mut items: Vec<_> = items.collect();
    if reverse {
        items.reverse();
    }
    items.into_iter().skip(offset).take(count).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<u8>, f64),
    Remove(Vec<u8>),
    Pop(bool),
    RemoveRank(usize, usize),
    RemoveScore(ScoreRange),
    RemoveLex(Vec<u8>, Vec<u8>),
    Compact,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => "[a-f]{0,2}".prop_map(String::into_bytes),
        2 => (-20..20_i64).prop_map(|n| n.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-4..5_i32).prop_map(f64::from),
        2 => (-40..50_i32).prop_map(|n| f64::from(n) / 8.0),
        1 => any::<f64>().prop_filter("scores are numbers", |s| !s.is_nan()),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e20), Just(4.5e18)],
    ]
}

fn score_range() -> impl Strategy<Value = ScoreRange> {
    (score(), score(), any::<bool>(), any::<bool>()).prop_map(
        |(min, max, min_exclusive, max_exclusive)| ScoreRange {
            min,
            max,
            min_exclusive,
            max_exclusive,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (member(), score()).prop_map(|(m, s)| Op::Insert(m, s)),
        6 => member().prop_map(Op::Remove),
        2 => any::<bool>().prop_map(Op::Pop),
        1 => (0..30_usize, 0..4_usize).prop_map(|(a, n)| Op::RemoveRank(a, n)),
        1 => score_range().prop_map(Op::RemoveScore),
        1 => (member(), member()).prop_map(|(a, b)| Op::RemoveLex(a, b)),
        1 => Just(Op::Compact),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_behaves_like_a_sorted_vector(
        ops in prop::collection::vec(op(), 1..150),
        ranges in prop::collection::vec((score_range(), 0..5_usize, 0..9_usize, any::<bool>()), 4),
        seed in any::<u64>(),
    ) {
        let limits = small_limits();
        let mut zset = ZSet::new();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Insert(m, s) => {
                    prop_assert_eq!(zset.insert(&m, s, &limits), model.insert(&m, s));
                    prop_assert_eq!(zset.score(&m), Some(s));
                }
                Op::Remove(m) => prop_assert_eq!(zset.remove(&m), model.remove(&m)),
                Op::Pop(highest) => {
                    let expected = if highest { model.0.pop() } else if model.0.is_empty() { None } else { Some(model.0.remove(0)) };
                    let popped = if highest { zset.pop_max() } else { zset.pop_min() };
                    prop_assert_eq!(popped.map(|(m, s)| (s, m)), expected);
                }
                Op::RemoveRank(start, count) => {
                    let span = start.min(model.0.len())..(start + count).min(model.0.len());
                    prop_assert_eq!(zset.remove_range_by_rank(start, count), model.0.drain(span).count());
                }
                Op::RemoveScore(range) => {
                    let before = model.0.len();
                    model.0.retain(|(s, _)| !range.contains(*s));
                    prop_assert_eq!(zset.remove_range_by_score(&range), before - model.0.len());
                }
                Op::RemoveLex(a, b) => if model.0.iter().all(|(s, _)| *s == model.0[0].0) {
                    let range = LexRange { min: LexBound::Incl(&a), max: LexBound::Excl(&b) };
                    let before = model.0.len();
                    model.0.retain(|(_, m)| !range.contains(m));
                    prop_assert_eq!(zset.remove_range_by_lex(&range), before - model.0.len());
                },
                Op::Compact => zset.compact(&limits),
            }
            prop_assert_eq!(zset.len(), model.0.len());
            if zset.encoding() == Encoding::Listpack {
                prop_assert!(zset.len() <= limits.zset_max_listpack_entries);
            }
        }
        prop_assert_eq!(&collect(zset.iter()), &model.0);
        for (rank, (score, member)) in model.0.iter().enumerate() {
            prop_assert_eq!(zset.rank(member, false), Some((rank, *score)));
            prop_assert_eq!(zset.rank(member, true), Some((model.0.len() - 1 - rank, *score)));
        }
        for (range, offset, count, reverse) in ranges {
            let inside = || model.0.iter().filter(|(s, _)| range.contains(*s)).cloned();
            prop_assert_eq!(zset.view().count_in_score_range(&range), inside().count());
            prop_assert_eq!(collect(zset.view().by_score(&range, offset as i64, count, reverse)), page(inside(), offset, count, reverse));
            prop_assert_eq!(collect(zset.by_rank(offset, count, reverse)), page(model.0.iter().cloned(), offset, count, reverse));
        }
        let mut scanned = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = zset.view().scan(cursor, &mut |m, s| scanned.push((s, m.to_vec())));
            if cursor == 0 { break; }
        }
        scanned.sort_by(|a, b| a.partial_cmp(b).unwrap());
        scanned.dedup();
        let mut expected = model.0.clone();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        prop_assert_eq!(scanned, expected);
        match zset.view().random(&mut TestRng(seed)) {
            Some((m, s)) => prop_assert_eq!(model.score(&m.to_vec()), Some(s)),
            None => prop_assert!(model.0.is_empty()),
        }
        if let Some(listpack) = zset.view().as_listpack() {
            let again = ZSet::from_listpack(listpack.to_listpack(), &limits).unwrap();
            prop_assert_eq!(collect(again.iter()), collect(zset.iter()));
        }
        let up: Vec<_> = model.0.iter().collect();
        let down: Vec<_> = model.0.iter().rev().collect();
        // Every other one, and then the ones between.
        let mixed: Vec<_> = up.iter().step_by(2).chain(up.iter().skip(1).step_by(2)).copied().collect();
        for order in [up, down, mixed] {
            let mut builder = Builder::new(0);
            for (score, member) in order { builder.push(member, *score).unwrap(); }
            prop_assert_eq!(collect(builder.finish(&limits).unwrap().iter()), model.0.clone());
        }
    }

    #[test]
    fn lex_ranges_are_filters(
        members in prop::collection::btree_set(member(), 0..30), a in member(), b in member(),
        kinds in (0..4_u8, 0..4_u8), offset in 0..4_usize, count in 0..40_usize, reverse in any::<bool>(),
    ) {
        let limits = small_limits();
        let mut zset = ZSet::new();
        for m in &members { zset.insert(m, 0.0, &limits); }
        let bound = |kind, x| match kind { 0 => LexBound::Min, 1 => LexBound::Max, 2 => LexBound::Incl(x), _ => LexBound::Excl(x) };
        let range = LexRange { min: bound(kinds.0, &a[..]), max: bound(kinds.1, &b[..]) };
        let inside = || members.iter().filter(|m| range.contains(m)).map(|m| (0.0, m.clone()));
        prop_assert_eq!(zset.view().count_in_lex_range(&range), inside().count());
        prop_assert_eq!(collect(zset.view().by_lex(&range, offset as i64, count, reverse)), page(inside(), offset, count, reverse));
    }

    #[test]
    fn lex_ranges_over_mixed_scores_walk_from_edge_to_edge(
        members in prop::collection::btree_map("[abc]{0,3}", 0..4_i32, 1..25), a in "[abc]{0,3}", b in "[abc]{0,3}",
        kinds in (0..5_u8, 0..5_u8), offset in -4..6_i64, count in 0..9_usize, reverse in any::<bool>(), packed in any::<bool>(),
    ) {
        let limits = if packed { Limits::default() } else { index_only() };
        let mut zset = ZSet::new();
        for (m, score) in &members { zset.insert(m.as_bytes(), f64::from(*score), &limits); }
        let bound = |kind, x| match kind { 0 => LexBound::Min, 1 => LexBound::Max, 2 => LexBound::Excl(x), _ => LexBound::Incl(x) };
        let range = LexRange { min: bound(kinds.0, a.as_bytes()), max: bound(kinds.1, b.as_bytes()) };
        let order: Vec<_> = collect(zset.iter()).into_iter().map(|(_, m)| m).collect();
        let walk = |start: Option<usize>| -> Vec<Vec<u8>> {
            let Some(start) = start else { return Vec::new() };
            if reverse {
                order[..=start].iter().rev().take_while(|m| !range.is_below(m)).take(count).cloned().collect()
            } else {
                order[start.min(order.len())..].iter().take_while(|m| !range.is_above(m)).take(count).cloned().collect()
            }
        };
        let found: Vec<_> = collect(zset.view().by_lex(&range, offset, count, reverse)).into_iter().map(|(_, m)| m).collect();
        let possible = !range.is_empty() && !range.is_below(&order[order.len() - 1]) && !range.is_above(&order[0]);
        if !possible {
            prop_assert!(found.is_empty());
            prop_assert_eq!(zset.view().count_in_lex_range(&range), 0);
        } else if packed {
            let edge = if reverse {
                order.iter().rposition(|m| !range.is_above(m))
            } else {
                order.iter().position(|m| !range.is_below(m))
            };
            let start = edge.filter(|at| range.contains(&order[*at])).and_then(|at| {
                let offset = usize::try_from(offset).ok()?;
                if reverse { at.checked_sub(offset) } else { Some(at + offset) }
            });
            prop_assert_eq!(found, walk(start));
        } else if offset == 0 && count > 0 && !found.is_empty() {
            // Some edge of the range, and from there on as far as it goes.
            let at = order.iter().position(|m| *m == found[0]);
            let before = at.and_then(|at| if reverse { order.get(at + 1) } else { order.get(at.checked_sub(1)?) });
            let at_edge = before.is_none_or(|m| if reverse { range.is_above(m) } else { range.is_below(m) });
            prop_assert!(at_edge);
            prop_assert_eq!(found, walk(at));
        }
        // However the tree has grown, the same members go.
        let mut other = ZSet::new();
        for (m, score) in members.iter().rev() { other.insert(m.as_bytes(), f64::from(*score), &limits); }
        let left = order.len() - zset.remove_range_by_lex(&range);
        other.remove_range_by_lex(&range);
        prop_assert_eq!(zset.len(), left);
        prop_assert_eq!(collect(zset.iter()), collect(other.iter()));
    }
}

#[test]
fn encodings_change_where_the_reference_changes_them() {
    let limits = Limits {
        zset_max_listpack_entries: 2,
        zset_max_listpack_value: 3,
        ..Limits::default()
    };
    let build = |members: &[&str]| {
        let mut zset = ZSet::new();
        for m in members {
            zset.insert(m.as_bytes(), 1.0, &limits);
        }
        zset.encoding()
    };
    assert_eq!(build(&["a", "abc", "a"]), Encoding::Listpack);
    assert_eq!(build(&["a", "b", "c"]), Encoding::Skiplist);
    assert_eq!(build(&["abcd"]), Encoding::Skiplist);
    assert_eq!(
        ZSet::with_hint(3, 1, &limits).encoding(),
        Encoding::Skiplist
    );
    assert_eq!(
        ZSet::with_hint(2, 3, &limits).encoding(),
        Encoding::Listpack
    );
}

#[test]
fn zero_has_no_sign_in_any_encoding() {
    let score = |zset: &ZSet| zset.score(b"m").unwrap().to_bits();
    let mut listpack = Listpack::new();
    listpack.push_back(b"m");
    listpack.push_back(b"-0");
    for limits in [Limits::default(), index_only()] {
        let mut zset = ZSet::new();
        zset.insert(b"m", -0.0, &limits);
        assert_eq!(score(&zset), 0);
        let mut builder = Builder::new(1);
        builder.push(b"m", -0.0).unwrap();
        assert_eq!(score(&builder.finish(&limits).unwrap()), 0);
        let zset = ZSet::from_listpack(listpack.clone(), &limits).unwrap();
        assert_eq!(score(&zset), 0);
    }
}

#[test]
fn a_builder_refuses_members_that_come_twice_however_far_apart() {
    for (members, again) in [(1_u32, 0), (16, 15), (17, 0), (100, 3), (100, 99)] {
        let mut builder = Builder::new(10);
        let mut pushed = (0..members).try_for_each(|n| builder.push(&n.to_le_bytes(), 1.0));
        assert_eq!(pushed, Ok(()));
        pushed = builder.push(&u32::to_le_bytes(again), 2.0);
        for n in 200..220_u32 {
            pushed = pushed.and(builder.push(&n.to_le_bytes(), 3.0));
        }
        let built = pushed.and_then(|()| builder.finish(&Limits::default()).map(drop));
        assert_eq!(built, Err(Invalid::Duplicate));
    }
}

#[test]
fn a_broken_listpack_is_refused() {
    let pack = |elements: &[&str]| {
        let mut listpack = Listpack::new();
        elements
            .iter()
            .for_each(|e| listpack.push_back(e.as_bytes()));
        ZSet::from_listpack(listpack, &Limits::default()).err()
    };
    assert_eq!(pack(&["a", "1", "b", "1"]), None);
    assert_eq!(pack(&["a", "1", "b"]), Some(Invalid::Unpaired));
    assert_eq!(pack(&["a", "1", "a", "2"]), Some(Invalid::Duplicate));
    assert_eq!(pack(&["a", "nan"]), Some(Invalid::Score));
    assert_eq!(pack(&["a", "x"]), Some(Invalid::Score));
    assert_eq!(pack(&["a", "2", "b", "1"]), Some(Invalid::Unsorted));
    assert_eq!(pack(&["b", "1", "a", "1"]), Some(Invalid::Unsorted));
}

/// Large enough for a tree of three levels.
#[test]
fn a_large_sorted_set_behaves_like_a_btree() {
    use crate::Rng;
    use std::collections::{BTreeSet, HashMap};

    let limits = Limits::default();
    let mut rng = TestRng(7);
    let mut zset = ZSet::new();
    let mut scores: HashMap<u64, u64> = HashMap::new();
    let mut order = BTreeSet::new();
    for step in 0..40_000 {
        let (n, score) = (rng.below(9_000), rng.below(500));
        let member = n.to_be_bytes();
        if step % 5 == 4 {
            let old = scores.remove(&n);
            assert_eq!(zset.remove(&member), old.map(|s| s as f64));
            order.remove(&(old.unwrap_or(0), n));
        } else {
            let old = scores.insert(n, score);
            zset.insert(&member, score as f64, &limits);
            if let Some(old) = old {
                order.remove(&(old, n));
            }
            order.insert((score, n));
        }
    }
    let all: Vec<(f64, Vec<u8>)> = order
        .iter()
        .map(|(s, n)| (*s as f64, n.to_be_bytes().to_vec()))
        .collect();
    assert_eq!(collect(zset.iter()), all);
    for start in (0..all.len()).step_by(997) {
        assert_eq!(zset.rank(&all[start].1, false), Some((start, all[start].0)));
        assert_eq!(
            collect(zset.by_rank(start, 100, true)),
            page(all.iter().cloned(), start, 100, true)
        );
    }
    let range = ScoreRange {
        min: 100.0,
        max: 300.0,
        min_exclusive: true,
        max_exclusive: false,
    };
    let inside = all.iter().filter(|(s, _)| range.contains(*s)).count();
    assert_eq!(zset.remove_range_by_score(&range), inside);
    let left: Vec<_> = all
        .into_iter()
        .filter(|(s, _)| !range.contains(*s))
        .collect();
    assert_eq!(collect(zset.iter()), left);
    assert!(left.iter().all(|(s, m)| zset.score(m) == Some(*s)));
}

#[test]
fn a_copy_of_a_large_sorted_set_is_its_own() {
    let limits = Limits::default();
    let mut zset = ZSet::new();
    for n in 0..5_000_u64 {
        zset.insert(&(n * 7919 % 5_000).to_be_bytes(), (n % 50) as f64, &limits);
    }
    let all = collect(zset.iter());
    let mut copy = zset.clone();
    assert_eq!(copy.encoding(), zset.encoding());
    assert_eq!(collect(copy.iter()), all);
    for (rank, (score, member)) in all.iter().enumerate().step_by(3) {
        assert_eq!(copy.rank(member, false), Some((rank - rank / 3, *score)));
        assert_eq!(copy.remove(member), Some(*score));
    }
    assert_eq!(collect(zset.iter()), all);
    drop(zset);
    let left = all.into_iter().enumerate().filter(|(n, _)| n % 3 > 0);
    let left: Vec<_> = left.map(|(_, item)| item).collect();
    assert_eq!(collect(copy.iter()), left);
}
