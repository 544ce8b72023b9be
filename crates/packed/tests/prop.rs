//! Listpack and intset against the obvious models, and against bytes nobody vouches for.

use std::collections::BTreeSet;

use packed::{Element, Error, Intset, Listpack, Pos};
use proptest::prelude::*;

/// Values around every encoding's edges.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i64>().prop_flat_map(|x| (0u32..64).prop_map(move |shift| (x >> shift).to_string().into_bytes())),
        6 => prop::collection::vec(any::<u8>(), 0..20),
        2 => (55usize..140).prop_map(|len| vec![b'm'; len]),
        1 => prop_oneof![Just(4090), Just(4095), Just(4096), Just(16_377), Just(16_378), Just(20_000)]
            .prop_map(|len: usize| vec![b'l'; len]),
        1 => prop_oneof![Just("-0"), Just("007"), Just("+1"), Just("9223372036854775808")].prop_map(|s| s.into()),
    ]
}

#[derive(Debug, Clone)]
enum Op {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Insert(usize, Vec<u8>, bool),
    Replace(usize, Vec<u8>),
    Remove(usize),
    RemoveRange(usize, usize),
    Split(usize),
    Find(usize, usize, usize),
    PopFront(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => value().prop_map(Op::PushBack),
        4 => value().prop_map(Op::PushFront),
        3 => (any::<usize>(), value(), any::<bool>()).prop_map(|(i, v, b)| Op::Insert(i, v, b)),
        3 => (any::<usize>(), value()).prop_map(|(i, v)| Op::Replace(i, v)),
        2 => any::<usize>().prop_map(Op::Remove),
        1 => (any::<usize>(), 0usize..9).prop_map(|(i, n)| Op::RemoveRange(i, n)),
        1 => any::<usize>().prop_map(Op::Split),
        2 => (any::<usize>(), any::<usize>(), 0usize..3).prop_map(|(i, from, skip)| Op::Find(i, from, skip)),
        1 => (0usize..6).prop_map(Op::PopFront),
    ]
}

fn pos(pack: &Listpack, index: usize) -> Pos {
    pack.seek(index as isize).unwrap()
}

fn apply(pack: &mut Listpack, model: &mut Vec<Vec<u8>>, op: Op) {
    let len = model.len();
    match op {
        Op::PushBack(v) => {
            assert_eq!(Listpack::encoded_size(&v), {
                let before = pack.byte_len();
                pack.push_back(&v);
                pack.byte_len() - before
            });
            model.push(v);
        }
        Op::PushFront(v) => {
            pack.push_front(&v);
            model.insert(0, v);
        }
        Op::Insert(i, v, before) if len > 0 => {
            let i = i % len;
            let at = pos(pack, i);
            let new = if before {
                pack.insert_before(at, &v)
            } else {
                pack.insert_after(at, &v)
            };
            assert!(pack.get(new).eq_bytes(&v));
            model.insert(if before { i } else { i + 1 }, v);
        }
        Op::Replace(i, v) if len > 0 => {
            let at = pack.replace(pos(pack, i % len), &v);
            assert!(pack.get(at).eq_bytes(&v));
            model[i % len] = v;
        }
        Op::Remove(i) if len > 0 => {
            let i = i % len;
            let next = pack.remove(pos(pack, i));
            model.remove(i);
            assert_eq!(next.map(|at| pack.get(at).to_vec()), model.get(i).cloned());
        }
        Op::RemoveRange(i, n) if len > 0 => {
            let i = i % len;
            pack.remove_range(i as isize - if n % 2 == 0 { len as isize } else { 0 }, n);
            model.drain(i..(i + n).min(len));
        }
        Op::Split(i) => {
            let i = i % (len + 1);
            let back = pack.split_at(i);
            check(&back, &model[i..]);
            check(pack, &model[..i]);
            pack.append_all(&back);
        }
        Op::Find(i, from, skip) if len > 0 => {
            let needle = model[i % len].clone();
            let from = from % len;
            let found = pack.find(&needle, Some(pos(pack, from)), skip);
            let expected = (from..len).step_by(skip + 1).find(|&j| model[j] == needle);
            assert_eq!(found, expected.map(|j| pos(pack, j)));
            let last = model[..=from].iter().rposition(|v| *v == needle);
            assert_eq!(
                pack.rfind(&needle, Some(pos(pack, from))),
                last.map(|j| pos(pack, j))
            );
            let through = pack
                .iter_through(pos(pack, from))
                .rev()
                .map(Element::to_vec);
            assert!(through.eq(model[..=from].iter().rev().cloned()));
            let onward = pack.iter_from(pos(pack, from)).map(Element::to_vec);
            assert!(onward.eq(model[from..].iter().cloned()));
            assert_eq!(pack.find(b"nowhere to be found", None, skip), None);
        }
        Op::PopFront(n) => {
            for _ in 0..n.min(len) {
                pack.remove(pack.first().unwrap());
                model.remove(0);
            }
        }
        _ => {}
    }
}

fn check(pack: &Listpack, model: &[Vec<u8>]) {
    assert_eq!(pack.len(), model.len());
    assert_eq!(pack.is_empty(), model.is_empty());
    assert!(pack.iter().map(Element::to_vec).eq(model.iter().cloned()));
    assert!(
        pack.iter()
            .rev()
            .map(Element::to_vec)
            .eq(model.iter().rev().cloned())
    );
    for (i, expected) in model.iter().enumerate() {
        let at = pos(pack, i);
        assert_eq!(pack.seek(i as isize - model.len() as isize), Some(at));
        assert!(pack.get(at).eq_bytes(expected));
        assert_eq!(pack.get(at).len(), expected.len());
    }
    assert_eq!(pack.seek(model.len() as isize), None);
    assert_eq!(pack.seek(-1 - model.len() as isize), None);
    // Edits leave the bytes that building it at once would give.
    let built: Listpack = model.iter().map(Vec::as_slice).collect();
    assert_eq!(built.as_bytes(), pack.as_bytes());
    assert_eq!(
        &Listpack::from_bytes(pack.as_bytes().to_vec()).unwrap(),
        pack
    );
}

/// Everything one can do with a listpack that passed validation.
fn exercise(mut pack: Listpack) {
    let elements: Vec<Vec<u8>> = pack.iter().map(Element::to_vec).collect();
    assert_eq!(pack.len(), elements.len());
    assert_eq!(pack.iter().rev().count(), elements.len());
    let mut at = pack.last();
    let mut seen = 0;
    while let Some(pos) = at {
        seen += 1;
        assert!(pack.find(&pack.get(pos).to_vec(), None, 0).is_some());
        at = pack.prev(pos);
    }
    assert_eq!(seen, elements.len());
    if let Some(first) = pack.first() {
        pack.replace(first, b"replaced");
        pack.insert_after(first, b"1234");
        pack.remove_range(-1, 2);
    }
    let back = pack.split_at(elements.len() / 2);
    pack.append_all(&back);
    pack.push_front(b"front");
    pack.push_back(b"back");
    assert!(Listpack::from_bytes(pack.into_bytes()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_listpack_behaves_like_a_vec(ops in prop::collection::vec(op(), 1..60)) {
        let (mut pack, mut model) = (Listpack::new(), Vec::new());
        for op in ops {
            apply(&mut pack, &mut model, op);
            check(&pack, &model);
        }
    }

    #[test]
    fn damaged_listpacks_are_refused_or_work(
        values in prop::collection::vec(value(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        fix_size in any::<bool>(),
    ) {
        let pack: Listpack = values.iter().map(Vec::as_slice).collect();
        let mut bytes = pack.into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if fix_size && bytes.len() >= 4 {
            let len = bytes.len() as u32;
            bytes[..4].copy_from_slice(&len.to_le_bytes());
        }
        if let Ok(pack) = Listpack::from_bytes(bytes) {
            exercise(pack);
        }
    }

    #[test]
    fn noise_between_a_sound_header_and_terminator_never_panics(
        noise in prop::collection::vec(any::<u8>(), 0..40),
        count in prop_oneof![Just(u16::MAX), 0u16..6],
    ) {
        let mut bytes = (noise.len() as u32 + 7).to_le_bytes().to_vec();
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&noise);
        bytes.push(0xFF);
        if let Ok(pack) = Listpack::from_bytes(bytes) {
            exercise(pack);
        }
    }

    #[test]
    fn an_intset_behaves_like_a_sorted_set(
        ops in prop::collection::vec((any::<bool>(), any::<i64>(), 0u32..64), 1..200),
    ) {
        let (mut set, mut model) = (Intset::new(), BTreeSet::new());
        for (add, value, shift) in ops {
            let value = value >> shift;
            if add {
                assert_eq!(set.insert(value), model.insert(value));
            } else {
                assert_eq!(set.remove(value), model.remove(&value));
            }
            assert_eq!(set.contains(value), model.contains(&value));
            assert_eq!(set.len(), model.len());
        }
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.iter().rev().eq(model.iter().rev().copied()));
        for (i, value) in model.iter().enumerate() {
            assert_eq!(set.get(i), Some(*value));
        }
        assert_eq!(set.get(model.len()), None);
        assert_eq!(&Intset::from_bytes(set.as_bytes().to_vec()).unwrap(), &set);
    }

    #[test]
    fn damaged_intsets_are_refused_or_work(
        values in prop::collection::vec(any::<i32>(), 0..10),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut set = Intset::new();
        values.iter().for_each(|&value| { set.insert(value.into()); });
        let mut bytes = set.into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut set) = Intset::from_bytes(bytes) {
            let values: Vec<i64> = set.iter().collect();
            set.insert(i64::MAX);
            set.insert(-70_000);
            assert!(values.iter().all(|&value| set.remove(value)));
        }
    }
}

#[test]
fn the_bytes_are_the_references() {
    // RPUSH l with these values, then the listpack inside of DUMP l.
    let values = "0 127 128 -1 -4096 4095 4096 -4097 32767 32768 -32768 -32769 8388607 8388608 -8388608 -8388609 \
        2147483647 2147483648 -2147483648 -2147483649 9223372036854775807 -9223372036854775808 9223372036854775808 \
        a 007 -0 +1";
    let mut pack: Listpack = values.split_ascii_whitespace().map(str::as_bytes).collect();
    pack.push_back(b"");
    let hex: String = pack
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "a20000001c0000017f01c08002dfff02d00002cfff02f1001003f1ffef03f1ff7f03f200800004f1008003f2ff7fff04f2ffff7f04\
         f30000800005f200008004f3ffff7fff05f3ffffff7f05f4000000800000000009f30000008005f4ffffff7fffffffff09f4ffffff\
         ffffffff7f09f40000000000000080099339323233333732303336383534373735383038148161028330303704822d3003822b3103\
         8001ff"
    );
}

#[test]
fn long_strings_are_the_references() {
    let mut pack = Listpack::new();
    pack.push_back(&[b'x'; 63]);
    pack.push_back(&[b'y'; 64]);
    let bytes = pack.as_bytes();
    assert_eq!(bytes[..7], [0x8b, 0, 0, 0, 2, 0, 0xbf]);
    assert_eq!(bytes[70..74], [0x40, 0xe0, 0x40, b'y']);
    assert_eq!(bytes[137..], [0x42, 0xff]);
}

#[test]
fn a_count_too_large_for_the_header_is_counted() {
    let mut pack = Listpack::new();
    for i in 0..65_534 {
        pack.push_back_int(i % 100);
    }
    assert_eq!(pack.len(), 65_534);
    pack.push_back(b"x");
    pack.push_back(b"y");
    assert_eq!(pack.len(), 65_536);
    assert!(pack.seek(-65_536).is_some());
    assert!(pack.seek(65_535).is_some());
    assert!(pack.seek(65_536).is_none());
    let mut pack = Listpack::from_bytes(pack.into_bytes()).unwrap();
    pack.remove_range(0, 10);
    assert_eq!(pack.len(), 65_526);
    let back = pack.split_at(65_500);
    assert_eq!((pack.len(), back.len()), (65_500, 26));
}

#[test]
fn elements_that_a_file_stores_wider_than_needed_are_found() {
    // "5" once as a string and once as an integer of 8 bytes.
    let mut bytes = vec![
        20, 0, 0, 0, 2, 0, 0x81, b'5', 2, 0xF4, 5, 0, 0, 0, 0, 0, 0, 0, 9,
    ];
    bytes.push(0xFF);
    let pack = Listpack::from_bytes(bytes).unwrap();
    assert_eq!(pack.find(b"5", None, 0), pack.first());
    assert_eq!(
        pack.find(b"5", pack.next(pack.first().unwrap()), 0),
        pack.last()
    );
}

#[test]
fn broken_bytes_are_named() {
    let check = |bytes: &[u8]| Listpack::from_bytes(bytes.to_vec()).unwrap_err();
    assert_eq!(check(&[]), Error::Size);
    assert_eq!(check(&[8, 0, 0, 0, 0, 0, 0xFF]), Error::Size);
    assert_eq!(check(&[7, 0, 0, 0, 0, 0, 0]), Error::Terminator);
    assert_eq!(check(&[8, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Error::Terminator);
    assert_eq!(check(&[9, 0, 0, 0, 1, 0, 5, 2, 0xFF]), Error::BackLength(6));
    assert_eq!(check(&[9, 0, 0, 0, 2, 0, 5, 1, 0xFF]), Error::Count);
    assert_eq!(check(&[9, 0, 0, 0, 1, 0, 0x85, 1, 0xFF]), Error::Entry(6));
    assert_eq!(check(&[9, 0, 0, 0, 1, 0, 0xF5, 1, 0xFF]), Error::Entry(6));
}
