//! Files written by the reference servers are read completely; see `fixtures/README.md`.

mod common;

use std::fs;
use std::path::Path;

use common::{Dataset, Form, Value, contents, load, save};
use rdb::{Checksum, ErrorKind, Event, Reader, ReaderOptions, ValueType, WriterOptions};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(format!("{name}.rdb"))).unwrap()
}

fn load_fixture(name: &str) -> Dataset {
    load(fixture(name).as_slice(), ReaderOptions::default()).unwrap()
}

#[test]
fn a_file_of_each_reference_gives_all_its_keys() {
    for name in [
        "valkey-8.0.1",
        "redis-7.0",
        "redis-8.0",
        "valkey-9.1",
        "uncompressed",
    ] {
        let dataset = load_fixture(name);
        assert_eq!(dataset.keys, contents().keys, "{name}");
        assert_eq!(dataset.sizes, [(20, 1), (1, 0)]);
        assert!(matches!(dataset.checksum, Some(Checksum::Verified(_))));
        assert!(dataset.aux.iter().any(|(key, _)| key.ends_with(b"-ver")));
        for type_ in [
            ValueType::String,
            ValueType::Set,
            ValueType::ZSet2,
            ValueType::Hash,
            ValueType::SetIntset,
            ValueType::HashListpack,
            ValueType::ZSetListpack,
            ValueType::ListQuicklist2,
        ] {
            assert!(dataset.types.contains(&type_), "{name} has {type_:?}");
        }
    }
    for name in ["valkey-8.0.1", "redis-8.0", "valkey-9.1"] {
        let types = load_fixture(name).types;
        assert!(types.contains(&ValueType::SetListpack), "{name}");
    }
}

#[test]
fn what_was_read_and_written_again_is_the_same() {
    let dataset = load_fixture("valkey-8.0.1");
    for form in [Form::Plain, Form::Packed] {
        for (compress, checksum) in [(true, true), (false, true), (true, false)] {
            let options = WriterOptions { compress, checksum };
            let file = save(&dataset, form, options);
            let again = load(file.as_slice(), ReaderOptions::default()).unwrap();
            assert_eq!(again.keys, dataset.keys);
            assert_eq!(again.aux, dataset.aux);
            let verified = matches!(again.checksum, Some(Checksum::Verified(_)));
            assert_eq!(verified, checksum);
        }
    }
}

#[test]
fn a_zero_checksum_is_not_compared() {
    let dataset = load_fixture("no-checksum");
    assert_eq!(dataset.checksum, Some(Checksum::Unchecked));
    let options = ReaderOptions {
        checksum: false,
        ..ReaderOptions::default()
    };
    let dataset = load(fixture("valkey-8.0.1").as_slice(), options).unwrap();
    assert_eq!(dataset.checksum, Some(Checksum::Unchecked));
}

#[test]
fn a_wrong_checksum_is_an_error_with_both_sums() {
    let mut file = fixture("valkey-8.0.1");
    let last = file.len() - 1;
    file[last] ^= 1;
    let error = load(file.as_slice(), ReaderOptions::default()).unwrap_err();
    let &ErrorKind::Crc { expected, found } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(expected ^ found, 1 << 56);
}

#[test]
fn access_data_comes_with_the_key() {
    let lru = load_fixture("lru");
    assert!(lru.keys.values().all(|entry| entry.idle == Some(0)));
    let lfu = load_fixture("lfu");
    assert_eq!(lfu.keys.len(), 2);
    assert!(lfu.keys.values().all(|entry| entry.freq == Some(5)));
    let expiring = &lfu.keys[&(0, b"t".to_vec())];
    assert_eq!(expiring.expire_at_ms, Some(4_102_444_800_123));
}

#[test]
fn functions_and_slots_are_events() {
    let functions = load_fixture("function").functions;
    assert_eq!(functions.len(), 1);
    assert!(functions[0].starts_with(b"#!lua name=lib\n"));
    let cluster = load_fixture("cluster");
    assert_eq!(cluster.slots, [(15495, 2, 1)]);
    assert_eq!(cluster.keys.len(), 2);
}

#[test]
fn a_stream_is_named_with_its_place() {
    let error = load(fixture("stream").as_slice(), ReaderOptions::default()).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Unsupported(ValueType::StreamListpacks3)
    ));
    assert!(error.offset() > 80);
    assert!(error.to_string().contains("stream-3"), "{error}");
}

#[test]
fn a_hash_is_read_when_none_of_its_fields_expires_and_refused_when_one_does() {
    let dataset = load_fixture("no-field-expires");
    assert_eq!(dataset.types, [ValueType::HashListpackEx]);
    let pair = |field: &str, value: &str| (field.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(
        dataset.keys[&(0, b"h".to_vec())].value,
        Value::Hash([pair("f1", "v1"), pair("f2", "22")].into())
    );
    for (name, offset, first) in [
        ("fields-expire", 140, ("f3", 4_102_444_800_123)),
        ("fields-expire-unpacked", 101, ("f3", 4_102_444_800_456)),
        ("fields-expire-valkey", 103, ("f1", 4_102_444_800_123)),
    ] {
        let error = load(fixture(name).as_slice(), ReaderOptions::default()).unwrap_err();
        let ErrorKind::FieldExpires { field, at_ms } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(
            (&field[..], *at_ms),
            (first.0.as_bytes(), first.1),
            "{name}"
        );
        assert_eq!(error.offset(), offset, "{name}");
    }
}

#[test]
fn fields_that_expire_are_counted_by_those_who_only_look() {
    for (name, version, count) in [
        ("no-field-expires", 12, 0),
        ("fields-expire", 12, 2),
        ("fields-expire-unpacked", 12, 2),
        ("fields-expire-valkey", 80, 2),
    ] {
        let file = fixture(name);
        let mut reader = Reader::new(file.as_slice(), ReaderOptions::default());
        assert_eq!(reader.header().unwrap(), version, "{name}");
        let (mut key, mut counted) = (Vec::new(), None);
        loop {
            match reader.next(&mut key).unwrap() {
                Event::Key(head) => {
                    counted = Some(reader.skip_expiring_hash(head.type_).unwrap());
                }
                Event::Eof(checksum) => {
                    assert!(matches!(checksum, Checksum::Verified(_)));
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(counted, Some(Some(count)), "{name}");
    }
}

#[test]
fn a_vector_set_is_a_value_of_a_module() {
    let error = load(fixture("vector-set").as_slice(), ReaderOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Module(name) if name == "vectorset"));
}

#[test]
fn a_fixture_cut_anywhere_is_an_error() {
    for (name, step) in [
        ("lru", 1),
        ("lfu", 1),
        ("function", 1),
        ("cluster", 1),
        ("no-checksum", 1),
        ("no-field-expires", 1),
        ("fields-expire", 1),
        ("fields-expire-unpacked", 1),
        ("redis-8.0", 23),
        ("valkey-8.0.1", 23),
        ("redis-7.0", 23),
    ] {
        let file = fixture(name);
        for end in (0..file.len()).step_by(step) {
            let result = load(&file[..end], ReaderOptions::default());
            let error = result.expect_err("a cut file is no file");
            assert!(error.offset() <= end as u64, "{name} cut at {end}");
        }
    }
}
