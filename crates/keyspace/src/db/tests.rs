//! Model tests of a database: strings of every size class, expiry, renaming allocations.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::testing::TestRng;
use crate::{Encoding, Set, Str, StrRef};

/// What the model knows of a key: its text (`None`: a set), whether it must be `raw`, its expiry time.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    text: Option<Vec<u8>>,
    encoding: Option<Encoding>,
    expire: Option<i64>,
}

fn text(entry: &Entry) -> Option<Vec<u8>> {
    match entry.value() {
        crate::ValueRef::Str(StrRef::Int(n)) => Some(n.to_string().into_bytes()),
        crate::ValueRef::Str(StrRef::Bytes(bytes)) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn encoding_of(bytes: &[u8], how: StrHow) -> Encoding {
    match how {
        StrHow::Detect if words::int::parse_i64(bytes).is_some() => Encoding::Int,
        StrHow::Raw => Encoding::Raw,
        _ if bytes.len() <= 44 => Encoding::Embstr,
        _ => Encoding::Raw,
    }
}

#[derive(Clone, Debug)]
enum Op {
    SetStr(Vec<u8>, Ttl, StrHow),
    SetRaw(Vec<u8>, Ttl),
    SetInt(i64),
    Append(Vec<u8>),
    TakeBuffer(usize),
    Insert(Option<Vec<u8>>, Option<i64>),
    Replace(Option<i64>),
    Expire(Option<i64>),
    Remove,
    GetOrInsert,
    Rehash,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 200..300),
        1 => (0..6000_usize).prop_map(|n| vec![b'x'; n]),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        1 => (-20..20_i64).prop_map(|n| n.to_string().into_bytes()),
    ]
}

fn ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![
        Just(Ttl::Keep),
        Just(Ttl::Clear),
        any::<i64>().prop_map(|at| Ttl::At(at.max(i64::MIN + 1)))
    ]
}

fn expire() -> impl Strategy<Value = Option<i64>> {
    prop::option::of((i64::MIN + 1)..i64::MAX)
}

fn op() -> impl Strategy<Value = Op> {
    let how = prop_oneof![Just(StrHow::Detect), Just(StrHow::Bytes), Just(StrHow::Raw)];
    prop_oneof![
        6 => (bytes(), ttl(), how).prop_map(|(b, t, h)| Op::SetStr(b, t, h)),
        1 => (bytes(), ttl()).prop_map(|(b, t)| Op::SetRaw(b, t)),
        2 => any::<i64>().prop_map(Op::SetInt),
        2 => bytes().prop_map(Op::Append),
        1 => (0..3000_usize).prop_map(Op::TakeBuffer),
        2 => (prop::option::of(bytes()), expire()).prop_map(|(b, e)| Op::Insert(b, e)),
        1 => prop::option::of(any::<i64>()).prop_map(Op::Replace),
        4 => expire().prop_map(Op::Expire),
        2 => Just(Op::Remove),
        1 => Just(Op::GetOrInsert),
        1 => Just(Op::Rehash),
    ]
}

fn key(n: u16) -> Vec<u8> {
    // Lengths from nothing over the short limit to several kilobytes.
    let mut key = n.to_string().into_bytes();
    match n % 8 {
        0 => key.resize(key.len() + 16, b'k'),
        1 => key.resize(255, b'k'),
        2 => key.resize(256, b'k'),
        3 => key.resize(5000 + n as usize % 50, b'k'),
        _ => {}
    }
    if n == 7 { Vec::new() } else { key }
}

fn check(db: &Db, model: &HashMap<Vec<u8>, Model>) {
    assert_eq!(db.len(), model.len());
    assert_eq!(
        db.expires_len(),
        model.values().filter(|m| m.expire.is_some()).count()
    );
    for entry in db.iter() {
        let expected = &model[entry.key()];
        assert_eq!(entry.expire_at_ms(), expected.expire);
        assert_eq!(text(&entry), expected.text);
        if let Some(encoding) = expected.encoding {
            assert_eq!(entry.encoding(), encoding);
        }
    }
    let mut expiring = 0;
    let mut cursor = 0;
    loop {
        cursor = db.scan_expires(cursor, &mut |entry| {
            assert!(std::ptr::eq(
                entry.key().as_ptr(),
                db.get(entry.key()).unwrap().key().as_ptr()
            ));
            assert!(entry.expire_at_ms().is_some());
            expiring += 1;
        });
        if cursor == 0 {
            break;
        }
    }
    assert!(expiring >= db.expires_len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn it_behaves_like_a_map(ops in prop::collection::vec((0..40_u16, op()), 1..250)) {
        let mut db = Db::new();
        let mut model: HashMap<Vec<u8>, Model> = HashMap::new();
        for (n, op) in ops {
            let k = key(n);
            let old = model.get(&k).cloned();
            let old_expire = old.as_ref().and_then(|m| m.expire);
            let after = |ttl: Ttl| match ttl { Ttl::Keep => old_expire, Ttl::Clear => None, Ttl::At(at) => Some(at) };
            match op {
                Op::SetStr(b, ttl, how) => {
                    let was = db.set_str(&k, &b, ttl, how);
                    prop_assert_eq!(was.is_some(), old.is_some());
                    // A long buffer that is reused stays `raw`, as it is for any long string.
                    model.insert(k, Model { encoding: Some(encoding_of(&b, how)), text: Some(b), expire: after(ttl) });
                }
                Op::SetRaw(b, ttl) => {
                    db.set_raw(&k, Counted::new(b.clone()), ttl, Stamp::default());
                    model.insert(k, Model { encoding: Some(Encoding::Raw), text: Some(b), expire: after(ttl) });
                }
                Op::SetInt(n) => if let Some(mut entry) = db.get_mut(&k) {
                    entry.set_int(n);
                    prop_assert_eq!(entry.as_int(), Some(n));
                    model.insert(k, Model { encoding: Some(Encoding::Int), text: Some(n.to_string().into_bytes()), expire: old_expire });
                },
                Op::Append(b) => if let Some(mut entry) = db.get_mut(&k) {
                    let old = old.unwrap();
                    match entry.string_make_raw() {
                        Some(vec) => {
                            let mut text = old.text.unwrap();
                            prop_assert_eq!(&text, &*vec);
                            text.extend_from_slice(&b);
                            vec.extend_from_slice(&b);
                            model.insert(k, Model { encoding: Some(Encoding::Raw), text: Some(text), expire: old_expire });
                        }
                        None => prop_assert_eq!(old.text, None),
                    }
                },
                Op::TakeBuffer(len) => if let Some(buffer) = db.get_mut(&k).and_then(|mut entry| entry.string_take_buffer(len)) {
                    prop_assert!(buffer.capacity() >= len && buffer.capacity() / 2 <= len);
                    prop_assert_eq!(Some(buffer), old.unwrap().text);
                    model.insert(k, Model { encoding: Some(Encoding::Int), text: Some(b"0".to_vec()), expire: old_expire });
                },
                Op::Insert(b, expire) => {
                    let value = b.clone().map_or_else(|| Value::Set(Box::<Set>::default()), |b| Value::Str(Str::Bytes(b)));
                    let encoding = b.as_deref().map(|b| encoding_of(b, StrHow::Bytes));
                    if old.is_none() { db.insert_new(&k, value, expire); } else { db.insert(&k, value, expire); }
                    model.insert(k, Model { encoding, text: b, expire });
                }
                Op::Replace(n) => if let Some(mut entry) = db.get_mut(&k) {
                    let value = n.map_or_else(|| Value::Set(Box::<Set>::default()), |n| Value::Str(Str::Int(n)));
                    let was = entry.replace_value(value);
                    prop_assert_eq!(was.type_() == Type::Str, old.unwrap().text.is_some());
                    model.insert(k, Model { encoding: n.map(|_| Encoding::Int), text: n.map(|n| n.to_string().into_bytes()), expire: old_expire });
                },
                Op::Expire(at) => {
                    prop_assert_eq!(db.set_expire(&k, at), old.is_some());
                    if let Some(m) = model.get_mut(&k) { m.expire = at; }
                }
                Op::Remove => {
                    let entry = db.remove(&k);
                    prop_assert_eq!(entry.as_ref().map(text), model.remove(&k).map(|m| m.text));
                    if let Some(entry) = entry {
                        let text = text(&entry);
                        prop_assert_eq!(entry.into_value().type_() == Type::Str, text.is_some());
                    }
                }
                Op::GetOrInsert => {
                    let (entry, created) = db.get_or_insert_with(&k, || Value::Set(Box::<Set>::default()));
                    prop_assert_eq!(created, old.is_none());
                    prop_assert_eq!(entry.entry().key(), &k[..]);
                    if created { model.insert(k, Model { encoding: None, text: None, expire: None }); }
                }
                Op::Rehash => { db.rehash_for(3); }
            }
        }
        check(&db, &model);
        let cleared = db.clear();
        check(&cleared, &model);
        prop_assert_eq!(db.len() + db.expires_len(), 0);
    }
}

#[test]
fn a_small_key_with_everything_takes_48_bytes() {
    let mut db = Db::new();
    db.set_str(
        b"key:000000000001",
        b"value:0000000001",
        Ttl::At(1),
        StrHow::Detect,
    );
    assert_eq!(db.get(b"key:000000000001").unwrap().memory_bytes(0), 48);
}

#[test]
fn overwriting_and_expiring_in_place_does_not_move_the_entry() {
    let mut db = Db::new();
    db.set_str(b"key", &[b'x'; 30], Ttl::Keep, StrHow::Detect);
    let at = db.get(b"key").unwrap().key().as_ptr() as usize & !15;
    db.set_str(b"key", &[b'y'; 20], Ttl::Keep, StrHow::Detect);
    db.set_expire(b"key", Some(5));
    db.set_str(b"key", b"12", Ttl::Keep, StrHow::Detect);
    let entry = db.get(b"key").unwrap();
    assert_eq!(
        (entry.encoding(), entry.expire_at_ms()),
        (Encoding::Int, Some(5))
    );
    assert!((entry.key().as_ptr() as usize).abs_diff(at) <= 16);
}

#[test]
fn the_clock_survives_a_move_and_is_set_through_a_shared_borrow() {
    let mut db = Db::new();
    db.set_str(b"key", b"1", Ttl::Keep, StrHow::Detect);
    db.get(b"key").unwrap().set_clock(0xab_cdef);
    db.set_str(b"key", &[b'x'; 200], Ttl::At(9), StrHow::Detect);
    assert_eq!(db.get(b"key").unwrap().clock(), 0xab_cdef);
}

#[test]
fn a_long_string_is_moved_in_and_out_without_copying() {
    let mut db = Db::new();
    let long = vec![b'x'; 4 << 20];
    let at = long.as_ptr();
    db.set_raw(b"key", Counted::new(long), Ttl::Clear, Stamp::default());
    let was = db
        .set_str(b"key", b"short", Ttl::Clear, StrHow::Detect)
        .unwrap();
    match was.heavy {
        Some(Value::Str(Str::Raw(long))) => assert_eq!(long.as_ptr(), at),
        other => panic!("not handed back: {other:?}"),
    }
}

#[test]
fn bytes_that_somebody_else_holds_are_copied_before_they_change() {
    let mut db = Db::new();
    let held = Counted::new(vec![b'x'; 1000]);
    db.set_raw(b"key", Counted::clone(&held), Ttl::Clear, Stamp::default());
    let mut entry = db.get_mut(b"key").unwrap();
    entry.string_make_raw().unwrap().push(b'y');
    assert_eq!((held.len(), Counted::strong_count(&held)), (1000, 1));
    let now = db.get(b"key").unwrap().counted().unwrap();
    assert_eq!(now.len(), 1001);
    db.set_str(b"key", &[b'z'; 1001], Ttl::Clear, StrHow::Detect);
    assert_eq!(now.last(), Some(&b'y'));
}

#[test]
fn a_copy_of_a_long_string_is_the_same_one_until_either_changes() {
    let mut db = Db::new();
    let long = vec![b'x'; crate::limits::SHARED_BYTES_MIN];
    let at = long.as_ptr();
    db.set_raw(b"key", Counted::new(long), Ttl::Clear, Stamp::default());
    let Value::Str(Str::Raw(copy)) = db.get(b"key").unwrap().to_value() else {
        panic!("not held the same way");
    };
    assert_eq!(copy.as_ptr(), at);
    db.set_raw(b"copy", copy, Ttl::Clear, Stamp::default());
    let mut entry = db.get_mut(b"copy").unwrap();
    entry.string_make_raw().unwrap().push(b'y');
    let source = db.get(b"key").unwrap().counted().unwrap();
    assert_eq!((source.len(), source.as_ptr()), (1 << 16, at));
    let copy = db.get(b"copy").unwrap().counted().unwrap();
    assert_eq!((copy.len(), copy.last()), ((1 << 16) + 1, Some(&b'y')));
}

#[test]
fn a_buffer_is_taken_only_where_nobody_else_holds_it_and_it_fits() {
    let mut db = Db::new();
    let held = Counted::new(vec![b'x'; 1000]);
    db.set_raw(b"key", Counted::clone(&held), Ttl::At(7), Stamp::default());
    let mut take = |len| db.get_mut(b"key").unwrap().string_take_buffer(len);
    assert_eq!(take(1000), None);
    let at = held.as_ptr();
    drop(held);
    assert_eq!((take(1001), take(499)), (None, None));
    let buffer = take(1000).unwrap();
    assert_eq!((buffer.as_ptr(), buffer.len()), (at, 1000));
    assert_eq!(take(1000), None);
    let entry = db.get(b"key").unwrap();
    assert_eq!((entry.as_int(), entry.expire_at_ms()), (Some(0), Some(7)));
}

#[test]
fn random_expiring_picks_only_keys_that_expire() {
    let mut db = Db::new();
    for n in 0..100_u32 {
        let ttl = if n % 2 == 0 { Ttl::At(1) } else { Ttl::Clear };
        db.set_str(&n.to_le_bytes(), b"v", ttl, StrHow::Detect);
    }
    let mut rng = TestRng(1);
    for _ in 0..200 {
        assert!(
            db.random_expiring(&mut rng)
                .unwrap()
                .expire_at_ms()
                .is_some()
        );
        assert!(db.random(&mut rng).is_some());
    }
}

#[test]
fn every_change_is_told_before_it_happens() {
    type Change = fn(&mut Db);
    let changes: &[(&str, Change)] = &[
        ("set_str", |db| {
            drop(db.set_str(b"k", b"v", Ttl::Clear, StrHow::Detect))
        }),
        ("set_raw", |db| {
            let value = crate::Counted::from(vec![b'v'; 100]);
            drop(db.set_raw(b"k", value, Ttl::Clear, Stamp::default()));
        }),
        ("insert", |db| {
            drop(db.insert(b"k", Value::Set(Box::default()), None))
        }),
        ("insert_new", |db| {
            db.insert_new(b"k", Value::Set(Box::default()), None);
        }),
        ("get_or_insert_with", |db| {
            db.get_or_insert_with(b"k", || Value::Set(Box::default()));
        }),
        ("get_mut", |db| assert!(db.get_mut(b"k").is_none())),
        ("set_expire", |db| assert!(!db.set_expire(b"k", Some(1)))),
        ("remove", |db| drop(db.remove(b"k"))),
        ("incoming", |db| {
            let mut incoming = Incoming::new(Conflict::Replace);
            incoming
                .push(db, b"k", Value::Set(Box::default()), None, 0)
                .unwrap();
            incoming.flush(db).unwrap();
        }),
    ];
    for (name, change) in changes {
        let mut db = Db::new();
        change(&mut db);
        assert_eq!(db.told, [Some(Box::from(&b"k"[..]))], "{name}");
    }
    let mut db = Db::new();
    assert_eq!(db.clear().told, [None]);
}
