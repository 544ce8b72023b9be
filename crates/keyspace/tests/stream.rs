//! The log of a stream against an ordered map, across every limit, and nodes of any bytes.

use std::collections::BTreeMap;

use keyspace::Invalid;
use keyspace::stream::{Delivery, Group, Log, Precision, StreamEntry, Trim};
use keyspace::{StreamId, StreamLimits};
use packed::Listpack;
use proptest::prelude::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<StreamId, Fields>;

#[derive(Debug, Clone)]
enum Op {
    Append(u64, u64, Fields),
    Delete(usize),
    TrimLen(u64),
    TrimId(usize),
    TrimNodes(u64, u64),
    Range(usize, usize),
    Reload,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..4).prop_map(|n| vec![b'a' + n]),
        3 => any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        1 => (0usize..200).prop_map(|len| vec![b'x'; len]),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec((text(), text()), 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0u64..4, 0u64..1000, fields()).prop_map(|(ms, seq, f)| Op::Append(ms, seq, f)),
        4 => any::<usize>().prop_map(Op::Delete),
        1 => (0u64..60).prop_map(Op::TrimLen),
        1 => any::<usize>().prop_map(Op::TrimId),
        1 => (0u64..60, 0u64..40).prop_map(|(len, limit)| Op::TrimNodes(len, limit)),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Op::Range(a, b)),
        1 => Just(Op::Reload),
    ]
}

fn limits() -> impl Strategy<Value = StreamLimits> {
    let bytes = prop_oneof![Just(0usize), Just(4096), 1usize..300];
    let entries = prop_oneof![Just(0u64), Just(100), 1u64..8];
    (bytes, entries).prop_map(|(node_max_bytes, node_max_entries)| StreamLimits {
        node_max_bytes,
        node_max_entries,
    })
}

/// An id near one of those in the model.
fn pick(model: &Model, seed: usize) -> StreamId {
    match model.len() {
        0 => StreamId::new(1, 1),
        len => {
            let id = *model.keys().nth(seed % len).unwrap();
            match seed / len % 3 {
                0 => id,
                1 => id.next().unwrap(),
                _ => id.previous().unwrap(),
            }
        }
    }
}

fn owned(entry: &StreamEntry<'_>) -> (StreamId, Fields) {
    let fields = entry.fields().map(|(n, v)| (n.to_vec(), v.to_vec()));
    (entry.id, fields.collect())
}

fn append(log: &mut Log, id: StreamId, fields: &Fields, limits: &StreamLimits) {
    let pairs: Vec<[&[u8]; 2]> = fields.iter().map(|(n, v)| [&n[..], &v[..]]).collect();
    log.append(id, &pairs, limits);
}

fn reloaded(log: &Log) -> Log {
    let mut again = Log::default();
    for (id, pack) in log.nodes() {
        let pack = Listpack::from_bytes(pack.as_bytes().to_vec()).unwrap();
        again.insert_node(id, pack).unwrap();
    }
    again.set_history(log.last_id(), log.entries_added(), log.max_deleted_id());
    again
}

fn assert_same(log: &Log, model: &Model) {
    assert_eq!(log.len(), model.len() as u64);
    assert_eq!(log.is_empty(), model.is_empty());
    let whole = || StreamId::MIN..=StreamId::MAX;
    let expected: Vec<_> = model.iter().map(|(id, f)| (*id, f.clone())).collect();
    let forward: Vec<_> = log.range(whole()).map(|e| owned(&e)).collect();
    assert_eq!(forward, expected);
    let mut backward: Vec<_> = log.range_back(whole()).map(|e| owned(&e)).collect();
    backward.reverse();
    assert_eq!(backward, expected);
    assert_eq!(log.first().map(|e| e.id), model.keys().next().copied());
    assert_eq!(log.last().map(|e| e.id), model.keys().next_back().copied());
}

proptest! {
    #[test]
    fn a_log_is_an_ordered_map(ops in prop::collection::vec(op(), 1..120), limits in limits()) {
        let mut log = Log::default();
        let mut model = Model::new();
        let (mut added, mut deleted) = (0, StreamId::MIN);
        for op in ops {
            match op {
                Op::Append(ms, seq, fields) => {
                    let last = log.last_id();
                    let id = match ms {
                        0 => StreamId::new(last.ms, last.seq + 1 + seq),
                        ms => StreamId::new(last.ms + ms, seq),
                    };
                    append(&mut log, id, &fields, &limits);
                    model.insert(id, fields);
                    added += 1;
                    prop_assert_eq!(log.last_id(), id);
                }
                Op::Delete(seed) => {
                    let id = pick(&model, seed);
                    let was_there = model.remove(&id).is_some();
                    prop_assert_eq!(log.delete(id), was_there);
                    if was_there {
                        deleted = deleted.max(id);
                    }
                }
                Op::TrimLen(most) => {
                    let mut removed = 0;
                    while model.len() as u64 > most {
                        model.pop_first();
                        removed += 1;
                    }
                    prop_assert_eq!(log.trim(Trim::MaxLen(most), Precision::Exact), removed);
                }
                Op::TrimId(seed) => {
                    let first = pick(&model, seed);
                    let kept = model.split_off(&first);
                    let removed = std::mem::replace(&mut model, kept).len() as u64;
                    // One node after the other, of which the exact trimming finishes the last.
                    prop_assert_eq!(log.trim(Trim::MinId(first), Precision::Exact), removed);
                }
                Op::TrimNodes(most, limit) => {
                    let removed = log.trim(Trim::MaxLen(most), Precision::Nodes(limit));
                    prop_assert!(limit == 0 || removed <= limit);
                    prop_assert!(removed == 0 || model.len() as u64 - removed >= most);
                    for _ in 0..removed {
                        model.pop_first();
                    }
                }
                Op::Range(a, b) => {
                    let (a, b) = (pick(&model, a), pick(&model, b));
                    let ids: Vec<_> = log.range(a..=b).map(|e| e.id).collect();
                    let expected: Vec<_> = model.keys().copied().filter(|id| (a..=b).contains(id)).collect();
                    prop_assert_eq!(&ids, &expected);
                    let mut back: Vec<_> = log.range_back(a..=b).map(|e| e.id).collect();
                    back.reverse();
                    prop_assert_eq!(&back, &expected);
                    prop_assert_eq!(log.get(a).is_some(), model.contains_key(&a));
                }
                Op::Reload => log = reloaded(&log),
            }
            prop_assert_eq!(log.entries_added(), added);
            prop_assert_eq!(log.max_deleted_id(), deleted);
        }
        assert_same(&log, &model);
        assert_same(&reloaded(&log), &model);
        assert_same(&log.clone(), &model);
    }

    #[test]
    fn a_node_of_other_elements_is_refused_or_can_be_used(
        numbers in prop::collection::vec(prop_oneof![4 => 0i64..6, 1 => any::<i64>()], 0..40),
    ) {
        let mut pack = Listpack::new();
        numbers.iter().for_each(|n| pack.push_back_int(*n));
        use_node(pack);
    }

    #[test]
    fn a_node_with_changed_elements_is_refused_or_can_be_used(
        entries in prop::collection::vec(fields(), 1..6),
        at in any::<prop::sample::Index>(),
        value in prop_oneof![text(), (0i64..8).prop_map(|n| n.to_string().into_bytes())],
    ) {
        let mut log = Log::default();
        for (number, fields) in entries.iter().enumerate() {
            append(&mut log, StreamId::new(1, number as u64 + 1), fields, &StreamLimits::default());
        }
        let mut pack = log.nodes().next().unwrap().1.clone();
        let at = pack.seek(at.index(pack.len()) as isize).unwrap();
        pack.replace(at, &value);
        use_node(pack);
    }
}

/// Everything that can be done with a node that is not refused.
fn use_node(pack: Listpack) {
    let mut log = Log::default();
    if log.insert_node(StreamId::new(1, 1), pack).is_err() {
        return;
    }
    let ids: Vec<StreamId> = log
        .range(StreamId::MIN..=StreamId::MAX)
        .map(|entry| {
            assert_eq!(entry.fields().count(), entry.len());
            entry.id
        })
        .collect();
    assert_eq!(ids.len() as u64, log.len());
    let back = log.range_back(StreamId::MIN..=StreamId::MAX);
    assert!(back.map(|entry| entry.id).eq(ids.iter().rev().copied()));
    for id in ids {
        assert!(log.delete(id));
    }
    assert!(log.is_empty());
}

#[test]
fn nodes_must_not_overlap_and_must_have_the_layout() {
    let mut log = Log::default();
    let fields = vec![(b"a".to_vec(), b"1".to_vec())];
    append(
        &mut log,
        StreamId::new(5, 0),
        &fields,
        &StreamLimits::default(),
    );
    append(
        &mut log,
        StreamId::new(9, 0),
        &fields,
        &StreamLimits::default(),
    );
    let pack = log.nodes().next().unwrap().1.clone();
    let mut again = Log::default();
    again
        .insert_node(StreamId::new(5, 0), pack.clone())
        .unwrap();
    for ms in [4, 5, 9] {
        let result = again.insert_node(StreamId::new(ms, 0), pack.clone());
        assert_eq!(result, Err(Invalid::Unsorted), "{ms}");
    }
    assert_eq!(
        again.insert_node(StreamId::new(20, 0), Listpack::new()),
        Err(Invalid::Node)
    );
    // The order in which they come does not matter.
    again
        .insert_node(StreamId::new(20, 0), pack.clone())
        .unwrap();
    again.insert_node(StreamId::new(10, 0), pack).unwrap();
    assert_eq!(again.len(), 6);
    let ids = again
        .range(StreamId::MIN..=StreamId::MAX)
        .map(|entry| entry.id.ms);
    assert!(ids.eq([5, 9, 10, 14, 20, 24]));
}

#[test]
fn the_counters_of_a_node_are_set_right() {
    let mut log = Log::default();
    let fields = vec![(b"a".to_vec(), b"1".to_vec())];
    for seq in 1..4 {
        append(
            &mut log,
            StreamId::new(5, seq),
            &fields,
            &StreamLimits::default(),
        );
    }
    log.delete(StreamId::new(5, 2));
    let (id, right) = log
        .nodes()
        .next()
        .map(|(id, pack)| (id, pack.clone()))
        .unwrap();
    for (index, number) in [(0, 3), (0, -1), (1, 0), (1, 9)] {
        let mut wrong = right.clone();
        let at = wrong.seek(index).unwrap();
        wrong.replace_int(at, number);
        let mut again = Log::default();
        assert_eq!(again.insert_node(id, wrong), Ok(true));
        assert_eq!(again.nodes().next().unwrap().1.as_bytes(), right.as_bytes());
        assert_eq!(again.len(), 2);
    }
    assert_eq!(Log::default().insert_node(id, right), Ok(false));
}

#[test]
fn a_pending_entry_has_one_consumer_at_a_time() {
    let mut group = Group::new(StreamId::MIN, None);
    assert!(group.add_consumer(b"a", 1, None));
    assert!(group.add_consumer(b"b", 1, None));
    assert!(!group.add_consumer(b"b", 1, None));
    let id = StreamId::new(1, 1);
    for name in [&b"a"[..], b"b", b"b"] {
        let consumer = group.consumer_name(name).unwrap();
        let delivery = Delivery {
            consumer,
            at_ms: 5,
            count: 1,
        };
        group.deliver(id, delivery);
        let holders = group
            .consumers()
            .values()
            .filter(|c| c.pending().contains(&id));
        assert_eq!(holders.count(), 1);
        assert!(group.consumer_mut(name).unwrap().pending().contains(&id));
    }
    assert_eq!(group.remove_consumer(b"a"), Some(0));
    assert_eq!(group.remove_consumer(b"b"), Some(1));
    assert!(group.pending().is_empty());
    assert!(!group.acknowledge(id));
}
