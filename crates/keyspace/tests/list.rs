//! The list type against a deque, across every limit.

use std::collections::VecDeque;

use keyspace::Encoding;
use keyspace::list::{Direction, End, List, ListLimits, NodeRef, OwnedNode, Side};
use packed::{Element, Listpack};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Push(End, Vec<Vec<u8>>),
    Pop(End, usize),
    Set(i64, Vec<u8>),
    Insert(Side, usize, Vec<u8>),
    Remove(usize, i64),
    Trim(i64, i64),
    Range(usize, usize, bool),
    Positions(usize, i64, usize),
    Reload,
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => (0u8..6).prop_map(|n| vec![b'a' + n]),
        3 => (-3i64..300).prop_map(|n| n.to_string().into_bytes()),
        2 => (0usize..600).prop_map(|len| vec![b'x'; len]),
        1 => (3000usize..9000).prop_map(|len| vec![b'y'; len]),
    ]
}

fn end() -> impl Strategy<Value = End> {
    any::<bool>().prop_map(|front| if front { End::Front } else { End::Back })
}

fn op() -> impl Strategy<Value = Op> {
    let side = any::<bool>().prop_map(|before| if before { Side::Before } else { Side::After });
    prop_oneof![
        6 => (end(), prop::collection::vec(value(), 1..12)).prop_map(|(end, v)| Op::Push(end, v)),
        2 => (end(), 1usize..8).prop_map(|(end, n)| Op::Pop(end, n)),
        3 => (-60i64..60, value()).prop_map(|(i, v)| Op::Set(i, v)),
        4 => (side, any::<usize>(), value()).prop_map(|(s, i, v)| Op::Insert(s, i, v)),
        1 => (any::<usize>(), -3i64..4).prop_map(|(i, n)| Op::Remove(i, n)),
        1 => (-60i64..30, -20i64..90).prop_map(|(a, b)| Op::Trim(a, b)),
        2 => (0usize..80, 0usize..80, any::<bool>()).prop_map(|(a, n, r)| Op::Range(a, n, r)),
        2 => (any::<usize>(), -3i64..4, 0usize..50).prop_map(|(i, r, m)| Op::Positions(i, r, m)),
        1 => Just(Op::Reload),
    ]
}

fn limits() -> impl Strategy<Value = ListLimits> {
    let size = prop_oneof![Just(-2), Just(-1), 0i32..10, Just(128)];
    let threshold = prop_oneof![3 => Just(0), 1 => 1usize..500];
    (size, threshold).prop_map(|(max_listpack_size, packed_threshold)| ListLimits {
        max_listpack_size,
        packed_threshold,
    })
}

fn index(model: &VecDeque<Vec<u8>>, index: i64) -> Option<usize> {
    let from_head = if index < 0 {
        index + model.len() as i64
    } else {
        index
    };
    usize::try_from(from_head).ok().filter(|&i| i < model.len())
}

fn pick(model: &VecDeque<Vec<u8>>, seed: usize) -> Vec<u8> {
    match model.len() {
        0 => b"none".to_vec(),
        len => model[seed % len].clone(),
    }
}

fn apply(list: &mut List, model: &mut VecDeque<Vec<u8>>, op: Op, limits: &ListLimits) {
    match op {
        Op::Push(end, values) => {
            list.push_all(end, values.iter().map(Vec::as_slice), limits);
            for value in values {
                match end {
                    End::Front => model.push_front(value),
                    End::Back => model.push_back(value),
                }
            }
        }
        Op::Pop(end, n) => {
            for _ in 0..n {
                let (got, expected) = match end {
                    End::Front => (list.pop_front(), model.pop_front()),
                    End::Back => (list.pop_back(), model.pop_back()),
                };
                assert_eq!(got, expected);
            }
            list.shrink(limits);
        }
        Op::Set(i, v) => {
            let at = index(model, i);
            assert_eq!(list.set(i, &v, limits), at.is_some());
            if let Some(at) = at {
                model[at] = v;
            }
        }
        Op::Insert(side, seed, v) => {
            let pivot = pick(model, seed);
            let at = model.iter().position(|x| *x == pivot);
            let got = list.insert(side, &pivot, &v, limits);
            if let Some(at) = at {
                model.insert(if side == Side::Before { at } else { at + 1 }, v);
            }
            assert_eq!(got, at.map(|_| model.len()));
        }
        Op::Remove(seed, count) => {
            let value = pick(model, seed);
            let max = if count == 0 {
                usize::MAX
            } else {
                count.unsigned_abs() as usize
            };
            let mut removed = 0;
            while removed < max {
                let at = if count < 0 {
                    model.iter().rposition(|x| *x == value)
                } else {
                    model.iter().position(|x| *x == value)
                };
                let Some(at) = at else { break };
                model.remove(at);
                removed += 1;
            }
            assert_eq!(list.remove(&value, count), removed);
            list.shrink(limits);
        }
        Op::Trim(start, stop) => {
            list.trim(start, stop);
            let len = model.len() as i64;
            let start = if start < 0 {
                (start + len).max(0)
            } else {
                start
            };
            let stop = if stop < 0 {
                stop + len
            } else {
                stop.min(len - 1)
            };
            *model = (0..len)
                .zip(model.drain(..))
                .filter(|(i, _)| (start..=stop).contains(i))
                .map(|(_, v)| v)
                .collect();
            list.shrink(limits);
        }
        Op::Range(start, count, reverse) => {
            let expected: Vec<Vec<u8>> = if reverse {
                let skip = model.len().saturating_sub(start + 1);
                let count = if start < model.len() { count } else { 0 };
                model.iter().rev().skip(skip).take(count).cloned().collect()
            } else {
                model.iter().skip(start).take(count).cloned().collect()
            };
            let direction = if reverse {
                Direction::Reverse
            } else {
                Direction::Forward
            };
            // One by one, all at once, and all that one by one has left.
            for first in [usize::MAX, 0, 1, 3] {
                let mut range = list.range(start, count, direction).map(Element::to_vec);
                let mut got: Vec<Vec<u8>> = Vec::new();
                while got.len() < first
                    && let Some(element) = range.next()
                {
                    got.push(element);
                }
                range.for_each(|element| got.push(element));
                assert_eq!(got, expected);
            }
        }
        Op::Positions(seed, rank, max) => {
            let value = pick(model, seed);
            let got: Vec<usize> = list.view().positions(&value, rank, max).collect();
            let max = if max == 0 { usize::MAX } else { max };
            let skip = rank.unsigned_abs().saturating_sub(1) as usize;
            let matches = |(i, x): (usize, &Vec<u8>)| (*x == value).then_some(i);
            let expected: Vec<usize> = if rank < 0 {
                model
                    .iter()
                    .enumerate()
                    .rev()
                    .take(max)
                    .filter_map(matches)
                    .skip(skip)
                    .collect()
            } else {
                model
                    .iter()
                    .enumerate()
                    .take(max)
                    .filter_map(matches)
                    .skip(skip)
                    .collect()
            };
            assert_eq!(got, expected);
        }
        Op::Reload => {
            let nodes: Vec<OwnedNode> = list
                .view()
                .nodes()
                .map(|node| match node {
                    NodeRef::Packed(pack) => {
                        OwnedNode::Packed(Listpack::from_bytes(pack.as_bytes().to_vec()).unwrap())
                    }
                    NodeRef::Plain(bytes) => OwnedNode::Plain(bytes.to_vec()),
                })
                .collect();
            *list = List::from_nodes(nodes, limits);
        }
    }
}

fn check(list: &List, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert!(list.iter().map(Element::to_vec).eq(model.iter().cloned()));
    let last = model.len().saturating_sub(1);
    let reverse = list
        .range(last, usize::MAX, Direction::Reverse)
        .map(Element::to_vec);
    assert!(reverse.eq(model.iter().rev().cloned()));
    for (i, value) in model.iter().enumerate() {
        assert!(list.get(i as i64).unwrap().eq_bytes(value));
        assert!(
            list.get(i as i64 - model.len() as i64)
                .unwrap()
                .eq_bytes(value)
        );
    }
    assert!(list.get(model.len() as i64).is_none());
    assert!(list.get(-1 - model.len() as i64).is_none());
    assert!(list.get(i64::MIN).is_none());
    let counted: usize = list
        .view()
        .nodes()
        .map(|node| match node {
            NodeRef::Packed(pack) => pack.len(),
            NodeRef::Plain(_) => 1,
        })
        .sum();
    assert_eq!(counted, model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_list_behaves_like_a_deque(limits in limits(), ops in prop::collection::vec(op(), 1..60)) {
        let (mut list, mut model) = (List::new(), VecDeque::new());
        for op in ops {
            apply(&mut list, &mut model, op, &limits);
            check(&list, &model);
        }
    }
}

#[test]
fn the_encoding_changes_where_the_references_does() {
    // Values of 8 bytes take 10; read from OBJECT ENCODING while pushing and popping.
    let limits = ListLimits::default();
    let mut list = List::new();
    for _ in 0..818 {
        list.push_back(b"xxxxxxxx", &limits);
    }
    assert_eq!(list.encoding(), Encoding::Listpack);
    list.push_back(b"xxxxxxxx", &limits);
    assert_eq!(list.encoding(), Encoding::Quicklist);
    while list.len() > 408 {
        assert_eq!(list.encoding(), Encoding::Quicklist);
        list.pop_back();
        list.shrink(&limits);
    }
    assert_eq!(list.encoding(), Encoding::Listpack);

    let counted = ListLimits {
        max_listpack_size: 4,
        packed_threshold: 0,
    };
    let mut list = List::new();
    list.push_all(End::Back, [b"x".as_slice(); 5], &counted);
    assert_eq!(list.encoding(), Encoding::Quicklist);
    list.trim(0, 2);
    list.shrink(&counted);
    assert_eq!(list.encoding(), Encoding::Quicklist);
    list.trim(0, 1);
    list.shrink(&counted);
    assert_eq!(list.encoding(), Encoding::Listpack);
}

#[test]
fn nodes_are_cut_where_the_references_are() {
    let sizes = |value: &[u8], count: usize| {
        let mut list = List::new();
        (0..count).for_each(|_| list.push_back(value, &ListLimits::default()));
        list.view()
            .nodes()
            .map(|node| match node {
                NodeRef::Packed(pack) => (pack.len(), pack.byte_len()),
                NodeRef::Plain(bytes) => (0, bytes.len()),
            })
            .collect::<Vec<_>>()
    };
    // Read from DUMP.
    assert_eq!(
        sizes(&[b'x'; 8], 2000),
        [(818, 8187), (817, 8177), (365, 3657)]
    );
    assert_eq!(
        sizes(&[b'y'; 100], 300),
        [(79, 8144), (79, 8144), (79, 8144), (63, 6496)]
    );
    assert_eq!(sizes(&[b'z'; 8192], 1), [(1, 8206)]);
    assert_eq!(sizes(&[b'z'; 8193], 1), [(0, 8193)]);
}

#[test]
fn replacing_by_large_values_does_not_pile_up_in_one_node() {
    let limits = ListLimits::default();
    let mut list = List::new();
    for i in 0..2000 {
        list.push_back(format!("{i}").as_bytes(), &limits);
    }
    for i in 0..2000 {
        assert!(list.set(i, &[b'v'; 8000], &limits));
    }
    for node in list.view().nodes() {
        assert!(matches!(node, NodeRef::Packed(pack) if pack.byte_len() < 4 * 8192));
    }
    assert_eq!(list.len(), 2000);
}
