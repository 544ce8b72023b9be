//! Model, scan-guarantee and fairness tests of the table.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::Rng;
use crate::limits::RESERVE_MAX;
use crate::testing::TestRng;

/// A boxed key, as thin as the real handles.
#[derive(Debug)]
struct Key(Box<[u8; 8]>);

impl Key {
    fn new(n: u64) -> Self {
        Key(Box::new(n.to_le_bytes()))
    }
}

fn n(key: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*key)
}

// SAFETY: the handle is its pointer, and what is borrowed is what that points to.
unsafe impl Item for Key {
    type Ref<'a> = &'a [u8; 8];

    fn into_raw(self) -> NonNull<u8> {
        NonNull::from(Box::leak(self.0)).cast()
    }

    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        // SAFETY: by contract from `into_raw`.
        Key(unsafe { Box::from_raw(raw.cast().as_ptr()) })
    }

    unsafe fn borrow<'a>(raw: NonNull<u8>) -> &'a [u8; 8] {
        // SAFETY: by contract from `into_raw`.
        unsafe { raw.cast().as_ref() }
    }

    fn key<'a>(item: Self::Ref<'a>) -> &'a [u8] {
        item
    }
}

fn h(n: u64) -> u64 {
    hash(&n.to_le_bytes())
}

fn insert(table: &mut Table<Key>, n: u64) -> bool {
    table
        .find_or_insert_with(h(n), &n.to_le_bytes(), || Key::new(n))
        .1
}

fn remove(table: &mut Table<Key>, n: u64) -> bool {
    table.remove(h(n), &n.to_le_bytes()).is_some()
}

fn keys(table: &Table<Key>) -> HashSet<u64> {
    let all: Vec<u64> = table.iter().map(n).collect();
    let set: HashSet<u64> = all.iter().copied().collect();
    assert_eq!(set.len(), all.len(), "an item came twice");
    set
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u64),
    Remove(u64),
    RemoveMany(u64),
    InsertMany(u64, u64),
    Rehash(usize),
    Policy(bool),
    Reserve(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(
        prop_oneof![
            8 => (0..500_u64).prop_map(Op::Insert),
            8 => (0..500_u64).prop_map(Op::Remove),
            1 => (1..400_u64).prop_map(Op::RemoveMany),
            1 => (0..500_u64, 0..400_u64).prop_map(|(a, n)| Op::InsertMany(a, n)),
            1 => (0..20_usize).prop_map(Op::Rehash),
            1 => any::<bool>().prop_map(Op::Policy),
            1 => (0..600_usize).prop_map(Op::Reserve),
        ],
        1..200,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_behaves_like_a_hash_set(ops in ops(), dense in any::<bool>()) {
        let mut table = if dense { Table::dense() } else { Table::new() };
        let mut model: HashSet<u64> = HashSet::new();
        for op in ops {
            match op {
                Op::Insert(n) => prop_assert_eq!(insert(&mut table, n), model.insert(n)),
                Op::Remove(n) => prop_assert_eq!(remove(&mut table, n), model.remove(&n)),
                Op::RemoveMany(to) => for n in 0..to { prop_assert_eq!(remove(&mut table, n), model.remove(&n)); },
                Op::InsertMany(from, count) => for n in from..from + count { prop_assert_eq!(insert(&mut table, n), model.insert(n)); },
                Op::Rehash(n) => { table.rehash_for(n); }
                Op::Policy(avoid) => table.set_resize(if avoid { Resize::Avoid } else { Resize::Normal }),
                Op::Reserve(n) => table.reserve(n),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        prop_assert_eq!(&keys(&table), &model);
        for n in 0..1000 {
            prop_assert_eq!(table.find(h(n), &n.to_le_bytes()).map(super::tests::n), model.get(&n).copied());
        }
        let stats = table.stats();
        prop_assert_eq!(stats.items, model.len());
        let mut drained = HashSet::new();
        table.drain(|key| assert!(drained.insert(n(&key.0))));
        prop_assert_eq!(drained, model);
        prop_assert_eq!(table.memory_bytes(), 0);
    }

    /// What stays in the table during a whole scan is seen, whatever comes, goes and resizes meanwhile.
    #[test]
    fn a_scan_sees_everything_that_stays(
        stay in 0..300_u64, churn in prop::collection::vec((any::<bool>(), 0..1500_u64, 0..12_usize), 0..120), start in 0..2000_u64,
    ) {
        let mut table = Table::new();
        for n in 0..stay { insert(&mut table, n); }
        for n in 10_000..10_000 + start { insert(&mut table, n); }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut churn = churn.into_iter();
        loop {
            cursor = table.scan(cursor, &mut |key| { seen.insert(n(key)); });
            if cursor == 0 { break; }
            if let Some((grow, n, rehash)) = churn.next() {
                for k in 10_000..10_000 + n {
                    if grow { insert(&mut table, k); } else { remove(&mut table, k); }
                }
                table.rehash_for(rehash);
            }
        }
        for n in 0..stay { prop_assert!(seen.contains(&n), "{} was missed", n); }
    }
}

#[test]
fn a_scan_of_a_quiet_table_emits_each_item_once() {
    let mut table = Table::new();
    for n in 0..10_000 {
        insert(&mut table, n);
    }
    while table.rehash_for(1) {}
    let mut seen = HashMap::new();
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, &mut |key| *seen.entry(n(key)).or_insert(0) += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 10_000);
    assert!(seen.values().all(|&times| times == 1));
}

#[test]
fn any_cursor_is_harmless() {
    let mut table = Table::new();
    assert_eq!(table.scan(u64::MAX, &mut |_: &[u8; 8]| ()), 0);
    for n in 0..100 {
        insert(&mut table, n);
        for cursor in [u64::MAX, 1 << 63, 12345, 7] {
            table.scan(cursor, &mut |_| ());
        }
    }
}

/// Chi-square against the uniform distribution; the bound is about 6 standard deviations out.
fn assert_fair(table: &Table<Key>) {
    let len = table.len();
    let draws = 60 * len;
    let mut counts = HashMap::new();
    let mut rng = TestRng(42);
    for _ in 0..draws {
        *counts
            .entry(n(table.random(&mut rng).unwrap()))
            .or_insert(0_u32) += 1;
    }
    let expected = draws as f64 / len as f64;
    let chi: f64 = table
        .iter()
        .map(|k| (f64::from(counts.get(&n(k)).copied().unwrap_or(0)) - expected).powi(2) / expected)
        .sum();
    let degrees = len as f64 - 1.0;
    assert!(
        (chi - degrees).abs() < 6.0 * (2.0 * degrees).sqrt() + 10.0,
        "chi-square {chi} for {degrees} degrees of freedom"
    );
}

#[test]
fn random_is_fair() {
    for n in [1_u64, 5, 8, 60, 390, 1000] {
        let mut table = Table::new();
        (0..n).for_each(|k| assert!(insert(&mut table, k)));
        assert_fair(&table);
    }
    let mut dense = Table::dense();
    for n in 0..120 {
        insert(&mut dense, n);
    }
    assert_fair(&dense);
    let mut crowded = Table::new();
    insert(&mut crowded, 0);
    crowded.set_resize(Resize::Avoid);
    (1..500).for_each(|k| assert!(insert(&mut crowded, k)));
    assert!(crowded.stats().children > 10);
    assert_fair(&crowded);
    crowded.set_resize(Resize::Normal);
    crowded.rehash_for(5);
    assert_fair(&crowded);
}

#[test]
fn a_dense_table_grows_later() {
    let mut buckets = [Table::new(), Table::dense()].map(|mut table| {
        for n in 0..9000 {
            insert(&mut table, n);
        }
        table.rehash_for(usize::MAX);
        table.stats().buckets
    });
    buckets.sort_unstable();
    assert_eq!(buckets, [1024, 2048]);
}

#[test]
fn it_shrinks_when_nearly_empty() {
    let mut table = Table::new();
    (0..100_000).for_each(|k| assert!(insert(&mut table, k)));
    let full = table.memory_bytes();
    (10..100_000).for_each(|k| assert!(remove(&mut table, k)));
    while table.rehash_for(100) {}
    assert!(
        table.memory_bytes() * 1000 < full,
        "{} of {full}",
        table.memory_bytes()
    );
    assert_eq!(keys(&table), (0..10).collect());
}

#[test]
fn an_old_array_goes_back_while_it_is_emptied() {
    let mut table = Table::new();
    let mut items = 0;
    while !table.is_rehashing() || table.stats().buckets < 256 {
        insert(&mut table, items);
        items += 1;
    }
    let mut held = Vec::new();
    while let Some(bytes) = table.rehashing_bytes() {
        held.push(bytes);
        assert_eq!(keys(&table).len() as u64, items);
        let mut seen = HashSet::new();
        let mut cursor = table.scan(0, &mut |item| _ = seen.insert(n(item)));
        while cursor != 0 {
            cursor = table.scan(cursor, &mut |item| _ = seen.insert(n(item)));
        }
        assert_eq!(seen.len() as u64, items);
        table.rehash_for(8);
    }
    assert_eq!(held.first(), Some(&(256 * 64)));
    assert!(
        held.is_sorted_by(|before, after| before > after),
        "{held:?}"
    );
    assert_eq!(keys(&table).len() as u64, items);
}

#[test]
fn avoiding_moves_nothing() {
    let mut table = Table::new();
    (0..1000).for_each(|k| assert!(insert(&mut table, k)));
    while table.rehash_for(1) {}
    table.set_resize(Resize::Avoid);
    let before = table.stats().buckets;
    (1000..4000).for_each(|k| assert!(insert(&mut table, k)));
    assert_eq!(
        (table.stats().buckets, table.is_rehashing()),
        (before, false)
    );
}

#[test]
fn avoiding_ends_where_chains_would_grow_without_end() {
    let mut table = Table::new();
    insert(&mut table, 0);
    table.set_resize(Resize::Avoid);
    for k in 1..60_000 {
        insert(&mut table, k);
    }
    let stats = table.stats();
    assert!(
        stats.chain_lengths[7] * 10 < stats.buckets.max(stats.next_buckets),
        "{stats:?}"
    );
    assert_eq!(keys(&table).len(), 60_000);
}

#[test]
fn a_promise_of_endless_items_reserves_a_bounded_table() {
    for fill in [Fill::Quick, Fill::Dense] {
        let buckets = fill.buckets_for(RESERVE_MAX);
        assert!(fill.capacity(buckets) >= RESERVE_MAX && buckets * 64 <= 1 << 30);
    }
}

#[test]
fn a_sample_has_the_size_asked_for() {
    let mut table = Table::new();
    (0..100).for_each(|k| assert!(insert(&mut table, k)));
    for n in [0, 1, 5, 100, 200] {
        let mut seen = HashSet::new();
        table.sample(&mut TestRng(n as u64), n, &mut |k| {
            assert!(seen.insert(self::n(k)))
        });
        assert_eq!(seen.len(), n.min(100));
    }
}

#[test]
fn a_table_is_small() {
    assert_eq!(size_of::<Table<Key>>(), 48);
    assert!(size_of::<crate::Set>() <= 48);
}

#[test]
fn keys_are_the_same_when_every_byte_is() {
    for len in 0..=70 {
        let a: Vec<u8> = (0..len).collect();
        assert!(same(&a, &a.clone()));
        assert!(!same(&a, &[&a[..], b"x"].concat()));
        for at in 0..a.len() {
            let mut b = a.clone();
            b[at] ^= 0x40;
            assert!(!same(&a, &b), "byte {at} of {len}");
        }
    }
}

/// Twin test: whatever the tags are, the vector instructions see what the loop sees.
#[test]
fn tags_are_compared_the_same_way_by_both_means() {
    let mut rng = TestRng(7);
    let mut array = Array::<Key>::alloc(1);
    let dangling = NonNull::<u64>::dangling().cast();
    for _ in 0..2000 {
        // SAFETY: the one bucket of the array, ours alone.
        let bucket = unsafe { &mut *array.bucket(0) };
        let mut tags = [0; SLOTS];
        for (slot, own) in tags.iter_mut().enumerate() {
            *own = rng.below(5) as u8;
            if *own != 0 {
                bucket.put(slot, *own, dangling);
            }
        }
        for tag in 0..6 {
            assert_eq!(bucket.with_tag(tag), bucket.with_tag_plain(tag), "{tags:?}");
        }
        array.empty_chain(0, |_, _| ());
    }
    // SAFETY: its only bucket is empty and not used again.
    unsafe { array.shrink(1, 0) };
}

#[test]
fn pointers_of_neighbouring_slots_leave_each_other_alone() {
    let mut array = Array::<Key>::alloc(1);
    // SAFETY: the one bucket of the array, ours alone.
    let bucket = unsafe { &mut *array.bucket(0) };
    let address = |n: usize| NonNull::new(ptr::without_provenance_mut(n)).unwrap();
    for slot in 0..SLOTS {
        bucket.put(slot, 0xff, address(0xffff_ffff_ffff));
    }
    for slot in 0..SLOTS {
        bucket.set_pointer(slot, address(0x1000 + slot));
        for other in 0..SLOTS {
            let expected = if other <= slot {
                0x1000 + other
            } else {
                0xffff_ffff_ffff
            };
            assert_eq!(bucket.pointer(other).as_ptr().addr(), expected);
        }
        assert_eq!(bucket.with_tag(0xff).count_ones(), 9);
        assert_eq!(bucket.child(), None);
    }
    array.empty_chain(0, |_, _| ());
    // SAFETY: its only bucket is empty and not used again.
    unsafe { array.shrink(1, 0) };
}
