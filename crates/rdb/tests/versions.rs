//! Files of versions 1 to 9, put together by hand from the documented format.

mod common;

use common::{Build, Dataset, Entry, Value, load};
use rdb::{Checksum, ErrorKind, Event, Reader, ReaderOptions, ValueType};

/// A short string.
fn string(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text].concat()
}

fn file(version: u32, items: &[&[u8]]) -> Vec<u8> {
    signed(&format!("REDIS{version:04}"), version, items)
}

/// A file that begins with this signature.
fn signed(signature: &str, version: u32, items: &[&[u8]]) -> Vec<u8> {
    let mut file = signature.as_bytes().to_vec();
    for item in items {
        file.extend_from_slice(item);
    }
    file.push(0xFF);
    if version >= 5 {
        let crc = rdb::crc64(&file);
        file.extend_from_slice(&crc.to_le_bytes());
    }
    file
}

fn key(type_: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[type_][..], &string(name.as_bytes()), value].concat()
}

fn read(file: &[u8]) -> rdb::Result<Dataset> {
    load(file, ReaderOptions::default())
}

fn value(file: &[u8]) -> Value {
    let dataset = read(file).unwrap();
    assert_eq!(dataset.keys.len(), 1);
    dataset.keys.into_values().next().unwrap().value
}

/// Why the file is refused.
fn corrupt(file: &[u8]) -> &'static str {
    match read(file).unwrap_err().into_kind() {
        ErrorKind::Corrupt(why) | ErrorKind::Refused(why) => why,
        other => panic!("{other}"),
    }
}

fn texts(items: &[&str]) -> Vec<Vec<u8>> {
    items.iter().map(|item| item.as_bytes().to_vec()).collect()
}

/// A ziplist of short texts, as a string.
fn ziplist(items: &[&str]) -> Vec<u8> {
    let (mut body, mut tail, mut last) = (Vec::new(), 10, 0);
    for item in items {
        tail = 10 + body.len();
        body.push(last);
        body.extend_from_slice(&string(item.as_bytes()));
        last = u8::try_from(item.len() + 2).unwrap();
    }
    let mut bytes = u32::try_from(body.len() + 11)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    bytes.extend_from_slice(&u32::try_from(tail).unwrap().to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(items.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes.push(0xFF);
    blob(&bytes)
}

/// A string with a 14-bit length.
fn blob(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap() | 0x4000;
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn a_version_1_file_has_no_checksum_and_plain_containers() {
    let file = file(
        1,
        &[
            &[0xFE, 3],
            &[0xFD, 0x80, 0x51, 0x01, 0x00],
            &key(0, "s", &string(b"v")),
            &key(1, "l", b"\x02\x01a\xC0\xFF"),
            &key(2, "e", b"\x01\x01m"),
            &key(3, "z", b"\x03\x01a\x031.5\x01b\xFE\x01c\xFF"),
            &key(4, "h", b"\x01\x01f\x01v"),
        ],
    );
    let dataset = read(&file).unwrap();
    assert_eq!(dataset.checksum, Some(Checksum::Absent));
    let get = |name: &str| dataset.keys[&(3, name.as_bytes().to_vec())].clone();
    let mut expiring = Entry::new(Value::String(b"v".to_vec()));
    expiring.expire_at_ms = Some(86_400_000);
    assert_eq!(get("s"), expiring);
    assert_eq!(get("l").value, Value::List(texts(&["a", "-1"])));
    assert_eq!(get("e").value, Value::Set([b"m".to_vec()].into()));
    let scores = [
        (b"a".to_vec(), 1.5),
        (b"b".to_vec(), f64::INFINITY),
        (b"c".to_vec(), f64::NEG_INFINITY),
    ];
    assert_eq!(get("z").value, Value::ZSet(scores.into()));
    let hash = [(b"f".to_vec(), b"v".to_vec())];
    assert_eq!(get("h").value, Value::Hash(hash.into()));
}

#[test]
fn ziplists_and_zipmaps_of_versions_2_to_9_are_read() {
    for version in 2..=9 {
        let list = file(version, &[&key(10, "l", &ziplist(&["a", "bc", "a"]))]);
        assert_eq!(value(&list), Value::List(texts(&["a", "bc", "a"])));
        let zset = file(version, &[&key(12, "z", &ziplist(&["a", "1.5", "b", "2"]))]);
        let scores = [(b"a".to_vec(), 1.5), (b"b".to_vec(), 2.0)];
        assert_eq!(value(&zset), Value::ZSet(scores.into()));
        let hash = Value::Hash([(b"f".to_vec(), b"v".to_vec())].into());
        let packed = file(version, &[&key(13, "h", &ziplist(&["f", "v"]))]);
        assert_eq!(value(&packed), hash);
        let zipmap = string(b"\x01\x01f\x01\x00v\xFF");
        assert_eq!(value(&file(version, &[&key(9, "h", &zipmap)])), hash);
        let intset = string(&[2, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 7, 0]);
        let set = Value::Set([b"-1".to_vec(), b"7".to_vec()].into());
        assert_eq!(value(&file(version, &[&key(11, "e", &intset)])), set);
    }
}

#[test]
fn a_quicklist_of_ziplists_is_one_list() {
    let nodes = [
        &[3][..],
        &ziplist(&["a", "b"]),
        &ziplist(&[]),
        &ziplist(&["c"]),
    ]
    .concat();
    let list = file(7, &[&key(14, "l", &nodes)]);
    assert_eq!(value(&list), Value::List(texts(&["a", "b", "c"])));
}

#[test]
fn empty_containers_are_reported_and_the_rest_is_read() {
    let empty_listpack = string(&[7, 0, 0, 0, 0, 0, 0xFF]);
    let file = file(
        11,
        &[
            &key(1, "list", &[0]),
            &key(2, "set", &[0]),
            &key(5, "zset", &[0]),
            &key(4, "hash", &[0]),
            &key(10, "ziplist", &ziplist(&[])),
            &key(14, "quicklist", &[&[1][..], &ziplist(&[])].concat()),
            &key(18, "quicklist2", &[&[1, 2][..], &empty_listpack].concat()),
            &key(16, "listpack", &empty_listpack),
            &key(11, "intset", &string(&[2, 0, 0, 0, 0, 0, 0, 0])),
            &key(9, "zipmap", &string(b"\x00\xFF")),
            &key(0, "last", &string(b"v")),
        ],
    );
    let dataset = read(&file).unwrap();
    assert_eq!(dataset.skipped.len(), 10);
    assert_eq!(dataset.keys.len(), 1);
}

#[test]
fn values_that_no_command_builds_are_refused() {
    let case = |type_, value: &[u8]| corrupt(&file(9, &[&key(type_, "k", value)]));
    let duplicate = "duplicate member or field";
    assert_eq!(case(13, &ziplist(&["f", "1", "f", "2"])), duplicate);
    assert_eq!(case(12, &ziplist(&["m", "1", "m", "2"])), duplicate);
    assert_eq!(case(4, b"\x02\x01f\x01v\x01f\x01v"), "duplicate");
    let odd = "the last pair has no second half";
    assert_eq!(case(13, &ziplist(&["f", "1", "g"])), odd);
    let nan = "score is not a number";
    assert_eq!(case(12, &ziplist(&["m", "nan"])), nan);
    assert_eq!(case(12, &ziplist(&["m", "x"])), nan);
    assert_eq!(case(3, b"\x01\x01m\xFD"), nan);
    assert_eq!(case(3, b"\x01\x01m\x03nan"), nan);
    assert_eq!(case(5, b"\x01\x01m\0\0\0\0\0\0\xF8\x7F"), nan);
    assert_eq!(case(16, &string(b"abc")), "malformed listpack");
    assert_eq!(case(11, &string(b"abc")), "malformed intset");
    assert_eq!(case(18, b"\x01\x03\x01a"), "unknown list node container");
    let unsorted = [2, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0xFF, 0xFF];
    assert_eq!(case(11, &string(&unsorted)), "malformed intset");
}

#[test]
fn a_sorted_set_out_of_order_is_put_in_order() {
    let zset = file(9, &[&key(12, "z", &ziplist(&["b", "2", "a", "1.5"]))]);
    let scores = [(b"a".to_vec(), 1.5), (b"b".to_vec(), 2.0)];
    assert_eq!(value(&zset), Value::ZSet(scores.into()));
}

#[test]
fn the_header_is_checked() {
    let kind = |bytes: &[u8]| read(bytes).unwrap_err().into_kind();
    assert!(matches!(kind(b"RIDES0011\xFF"), ErrorKind::BadMagic));
    assert!(matches!(kind(b"REDIS00x1\xFF"), ErrorKind::BadMagic));
    assert!(matches!(kind(b"REDIS0000\xFF"), ErrorKind::BadVersion(0)));
    assert!(matches!(kind(b"REDIS0013\xFF"), ErrorKind::BadVersion(13)));
    assert!(matches!(kind(b"REDIS001"), ErrorKind::UnexpectedEof));
    assert!(matches!(kind(b"VALKEY011"), ErrorKind::BadVersion(11)));
    assert!(matches!(kind(b"VALKEY081"), ErrorKind::BadVersion(81)));
    assert!(matches!(kind(b"VALKEYx80"), ErrorKind::BadMagic));
}

#[test]
fn a_number_of_a_type_means_what_the_signature_says() {
    let fields = |times: [i64; 2]| {
        let mut value = vec![2];
        for (field, at_ms) in ["f", "g"].iter().zip(times) {
            value.extend_from_slice(&string(field.as_bytes()));
            value.extend_from_slice(&string(b"v"));
            value.extend_from_slice(&at_ms.to_le_bytes());
        }
        key(22, "h", &value)
    };
    let valkey = |item: &[u8]| signed("VALKEY080", 80, &[item]);
    let pairs = ["f", "g"].map(|field| (field.as_bytes().to_vec(), b"v".to_vec()));
    assert_eq!(value(&valkey(&fields([-1, -1]))), Value::Hash(pairs.into()));
    let kind = |file: Vec<u8>| read(&file).unwrap_err().into_kind();
    let ErrorKind::FieldExpires { field, at_ms: 7 } = kind(valkey(&fields([-1, 7]))) else {
        panic!("it is refused")
    };
    assert_eq!(field, b"g");
    let corrupt = |kind| matches!(kind, ErrorKind::Corrupt("the time of a field is none"));
    assert!(corrupt(kind(valkey(&fields([-2, -1])))));
    // Elsewhere the number is another's, or nobody's.
    assert!(matches!(
        kind(file(12, &[&fields([-1, -1])])),
        ErrorKind::Unsupported(ValueType::HashMetadataPreGa)
    ));
    for (byte, file) in [
        (22, file(11, &[&[22]])),
        (0x96, file(12, &[&[0x96]])),
        (0x96, valkey(&[0x96])),
        (24, valkey(&[24])),
        (25, valkey(&[25])),
    ] {
        assert!(matches!(kind(file), ErrorKind::UnknownType(found) if found == byte));
    }
}

#[test]
fn unknown_and_unsupported_items_are_told_apart() {
    let kind = |item: &[u8]| read(&file(11, &[item])).unwrap_err().into_kind();
    assert!(matches!(kind(&[8]), ErrorKind::UnknownType(8)));
    assert!(matches!(kind(&[22]), ErrorKind::UnknownType(22)));
    assert!(matches!(kind(&[0xF3]), ErrorKind::UnknownType(0xF3)));
    for type_ in [15, 19, 21] {
        let kind = kind(&key(type_, "k", &[0]));
        assert!(matches!(kind, ErrorKind::Unsupported(t) if t as u8 == type_));
    }
    for item in [&key(6, "k", &[0])[..], &[0xF6]] {
        assert!(matches!(kind(item), ErrorKind::NotSupported(_)));
    }
    let module = b"\x81\x01\x23\x45\x67\x89\xab\xcd\x01\x00";
    assert!(matches!(kind(&key(7, "k", module)), ErrorKind::Module(name) if name == "ASNFZ4mrz"));
}

#[test]
fn types_of_version_12_are_known_from_there_on() {
    let kind = |version, type_| {
        let item = key(type_, "k", &[0; 16]);
        read(&file(version, &[&item])).unwrap_err().into_kind()
    };
    for type_ in 22..=25 {
        assert!(matches!(kind(11, type_), ErrorKind::UnknownType(t) if t == type_));
        assert!(!matches!(kind(12, type_), ErrorKind::UnknownType(_)));
    }
    for type_ in 22..=23 {
        assert!(matches!(kind(12, type_), ErrorKind::Unsupported(t) if t as u8 == type_));
    }
    assert!(matches!(kind(12, 26), ErrorKind::UnknownType(26)));
}

/// `hash-metadata` with these records of when, field and value.
fn metadata(records: &[&[u8]]) -> Vec<u8> {
    let count = [u8::try_from(records.len()).unwrap()];
    [&1000u64.to_le_bytes()[..], &count, &records.concat()].concat()
}

#[test]
fn an_unpacked_hash_without_field_expiry_is_a_hash() {
    let hash = |records: &[&[u8]]| file(12, &[&key(24, "h", &metadata(records))]);
    let pair = |field: &[u8], value: &[u8]| (field.to_vec(), value.to_vec());
    assert_eq!(
        value(&hash(&[b"\x00\x01f\x01v", b"\x00\x01g\xC0\x05"])),
        Value::Hash([pair(b"f", b"v"), pair(b"g", b"5")].into())
    );
    assert_eq!(read(&hash(&[])).unwrap().skipped, [b"h"]);
    let expiring = |when: u8| {
        let record = [&[when][..], b"\x01f\x01v"].concat();
        read(&hash(&[&record])).unwrap_err().into_kind()
    };
    for (when, at) in [(1, 1000), (8, 1007)] {
        assert!(
            matches!(expiring(when), ErrorKind::FieldExpires { field, at_ms } if field == b"f" && at_ms == at)
        );
    }
}

#[test]
fn a_packed_hash_with_field_expiry_is_made_of_triples() {
    let hash = |items: &[&str]| {
        let mut listpack = packed::Listpack::new();
        items
            .iter()
            .for_each(|item| listpack.push_back(item.as_bytes()));
        let body = [&[0; 8][..], &blob(listpack.as_bytes())].concat();
        file(12, &[&key(25, "h", &body)])
    };
    let pair = |field: &[u8], value: &[u8]| (field.to_vec(), value.to_vec());
    assert_eq!(
        value(&hash(&["f", "v", "0", "17", "5", "0"])),
        Value::Hash([pair(b"f", b"v"), pair(b"17", b"5")].into())
    );
    assert_eq!(read(&hash(&[])).unwrap().skipped, [b"h"]);
    let kind = |items: &[&str]| read(&hash(items)).unwrap_err().into_kind();
    assert!(
        matches!(kind(&["f", "v", "0", "17", "5", "9"]), ErrorKind::FieldExpires { field, at_ms: 9 } if field == b"17")
    );
    for wrong in [&["f", "v"][..], &["f"], &["f", "v", "x"], &["f", "v", "-1"]] {
        assert!(matches!(kind(wrong), ErrorKind::Corrupt(_)), "{wrong:?}");
    }
}

#[test]
fn what_is_said_of_a_key_survives_all_records_in_front_of_it() {
    let at = 4_102_444_800_123i64;
    let expiry = [&[0xFC][..], &at.to_le_bytes()].concat();
    let records: [&[u8]; 6] = [
        b"\xFA\x0Bmvcc-tstamp\x011",
        b"\xFB\x05\x05",
        b"\xFE\x00",
        b"\xF4\x01\x01\x01",
        b"\xF5\x04code",
        b"\xF7\x05\x02\x02\x00",
    ];
    let given = |item: &[u8], record: &[u8]| {
        let dataset = read(&file(
            11,
            &[
                item,
                record,
                record,
                &key(0, "k", b"\x01v"),
                &key(0, "l", b"\x01v"),
            ],
        ))
        .unwrap();
        let entries: Vec<_> = dataset.keys.into_values().collect();
        assert_eq!(
            (entries[1].expire_at_ms, entries[1].idle, entries[1].freq),
            (None, None, None)
        );
        entries[0].clone()
    };
    for record in records {
        assert_eq!(given(&expiry, record).expire_at_ms, Some(at));
        assert_eq!(
            given(b"\xFD\x01\x00\x00\x00", record).expire_at_ms,
            Some(1000)
        );
        assert_eq!(given(b"\xF8\x09", record).idle, Some(9));
        assert_eq!(given(b"\xF9\x07", record).freq, Some(7));
        let all = [&expiry[..], record, b"\xF8\x09", record, b"\xF9\x07"].concat();
        let entry = given(&all, record);
        assert_eq!(
            (entry.expire_at_ms, entry.idle, entry.freq),
            (Some(at), Some(9), Some(7))
        );
    }
    // -1 is no time; -2 is one, long past.
    let stays = [&[0xFC][..], &(-1i64).to_le_bytes()].concat();
    assert_eq!(given(&stays, b"\xFE\x00").expire_at_ms, None);
    let past = [&[0xFC][..], &(-2i64).to_le_bytes()].concat();
    assert_eq!(given(&past, b"\xFE\x00").expire_at_ms, Some(-2));
}

#[test]
fn wrong_figures_are_set_right_and_named() {
    let blob = |items: &[&str], stated: u16| {
        let mut pack = packed::Listpack::new();
        items
            .iter()
            .for_each(|item| pack.push_back(item.as_bytes()));
        let mut bytes = pack.into_bytes();
        bytes[4..6].copy_from_slice(&stated.to_le_bytes());
        string(&bytes)
    };
    let check = |type_, value: &[u8], named: &[&str]| {
        let file = file(11, &[&key(type_, "k", value)]);
        let mut reader = Reader::new(&file[..], ReaderOptions::default());
        reader.header().unwrap();
        let Event::Key(head) = reader.next(&mut Vec::new()).unwrap() else {
            panic!("no key");
        };
        let mut build = Build::default();
        let _loaded = reader.value(head.type_, &mut build).unwrap();
        assert_eq!(reader.corrections(), named);
        assert!(reader.corrections().is_empty());
        build.0
    };
    let count = "elements of a listpack";
    let hash = |items: &[(&str, &str)]| {
        let pairs = items
            .iter()
            .map(|(f, v)| (f.as_bytes().to_vec(), v.as_bytes().to_vec()));
        Some(Value::Hash(pairs.collect()))
    };
    for stated in [0, 1, 5] {
        assert_eq!(
            check(16, &blob(&["f", "1"], stated), &[count]),
            hash(&[("f", "1")])
        );
    }
    assert_eq!(check(16, &blob(&["f", "1"], 2), &[]), hash(&[("f", "1")]));
    assert_eq!(
        check(16, &blob(&["f", "1"], 65535), &[]),
        hash(&[("f", "1")])
    );
    assert_eq!(check(20, &blob(&[], 7), &[count]), None);
    // What comes twice is what it was first.
    let twice = "members that come twice";
    let both = blob(&["f", "1", "g", "2", "f", "3"], 6);
    assert_eq!(check(16, &both, &[twice]), hash(&[("f", "1"), ("g", "2")]));
    let scores = Value::ZSet([(b"f".to_vec(), 1.0), (b"g".to_vec(), 2.0)].into());
    assert_eq!(check(17, &both, &[twice]), Some(scores));
    let members = Value::Set([b"a".to_vec(), b"b".to_vec()].into());
    assert_eq!(
        check(20, &blob(&["a", "b", "a"], 9), &[count, twice]),
        Some(members)
    );
}

#[test]
fn module_data_is_skipped_by_its_own_opcodes() {
    let aux = [
        &[0xF7, 0x81, 1, 2, 3, 4, 5, 6, 7, 8, 2, 1][..],
        &[1, 5, 2, 0x40, 200, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        b"\x05\x03abc\x05\xC0\x01\0",
    ]
    .concat();
    let slot = [0xF4, 1, 2, 3];
    let dataset = read(&file(11, &[&aux, &slot, &key(0, "k", b"\x01v")])).unwrap();
    assert_eq!((dataset.modules, dataset.keys.len()), (1, 1));
    assert_eq!(dataset.slots, [(1, 2, 3)]);
    assert!(read(&file(11, &[&[0xF7, 1, 2, 1, 9]])).is_err());
}

#[test]
fn lengths_beyond_all_bounds_are_refused_at_once() {
    let huge = [0x81, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let all = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    for length in [huge, all] {
        let string = file(11, &[&key(0, "k", &length)]);
        let lzf = file(
            11,
            &[&key(0, "k", &[&[0xC3, 2][..], &length, b"\0a"].concat())],
        );
        for file in [&string, &lzf] {
            let kind = read(file).unwrap_err().into_kind();
            assert!(matches!(kind, ErrorKind::BadLength(_)), "{kind}");
        }
        for type_ in [1, 2, 3, 4, 5, 14, 18] {
            assert!(read(&file(11, &[&key(type_, "k", &length)])).is_err());
        }
        // With a known size the count alone is enough.
        let set = file(11, &[&key(2, "k", &length)]);
        let options = ReaderOptions {
            total_bytes: Some(set.len() as u64),
            ..ReaderOptions::default()
        };
        let kind = load(set.as_slice(), options).unwrap_err().into_kind();
        assert!(matches!(kind, ErrorKind::BadLength(_)), "{kind}");
    }
    // Expansion of more than 256 times plus 64 KiB.
    let bomb = [&[0xC3, 2, 0x80, 0, 2, 0, 0][..], b"\0a"].concat();
    let kind = read(&file(11, &[&key(0, "k", &bomb)]))
        .unwrap_err()
        .into_kind();
    assert!(matches!(kind, ErrorKind::BadLength(131_072)), "{kind}");
}
