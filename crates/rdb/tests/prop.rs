//! Round trips, splits, truncations and mutations.

mod common;

use std::io::{self, Read};

use common::{Dataset, Entry, Form, Value, contents, load, load_from, save};
use proptest::prelude::*;
use rdb::{Discard, Event, Reader, ReaderOptions, ValueType, Writer, WriterOptions, dump};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..30),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        1 => (prop::collection::vec(any::<u8>(), 1..20), 1usize..60).prop_map(|(t, n)| t.repeat(n)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let score = any::<f64>().prop_filter("scores are numbers", |s| !s.is_nan());
    prop_oneof![
        text().prop_map(Value::String),
        prop::collection::vec(text(), 1..20).prop_map(Value::List),
        prop::collection::btree_set(text(), 1..20).prop_map(Value::Set),
        prop::collection::btree_map(text(), score, 1..20).prop_map(Value::ZSet),
        prop::collection::btree_map(text(), text(), 1..20).prop_map(Value::Hash),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let access = prop_oneof![
        3 => Just((None, None)),
        1 => any::<u64>().prop_map(|idle| (Some(idle), None)),
        1 => any::<u8>().prop_map(|freq| (None, Some(freq))),
    ];
    (value(), any::<Option<i64>>(), access).prop_map(|(value, expire_at_ms, (idle, freq))| Entry {
        value,
        expire_at_ms,
        idle,
        freq,
    })
}

fn dataset() -> impl Strategy<Value = Dataset> {
    let keys = prop::collection::btree_map((0u64..3, text()), entry(), 0..12);
    keys.prop_map(|keys| Dataset {
        keys,
        aux: vec![(b"valkey-ver".to_vec(), b"8.0.1".to_vec())],
        functions: vec![b"#!lua name=x".to_vec()],
        ..Dataset::default()
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Plain), Just(Form::Packed)]
}

fn options() -> impl Strategy<Value = WriterOptions> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(compress, checksum)| WriterOptions { compress, checksum })
}

/// Gives pieces of the given sizes, over and over; then the end.
struct Pieces<'a> {
    data: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = *self.sizes.next().expect("endless");
        let size = size.min(out.len());
        self.data.read(&mut out[..size])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read_however_it_arrives(
        dataset in dataset(),
        form in form(),
        options in options(),
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let file = save(&dataset, form, options);
        let whole = load(file.as_slice(), ReaderOptions::default()).unwrap();
        prop_assert_eq!(&whole.keys, &dataset.keys);
        prop_assert_eq!(&whole.aux, &dataset.aux);
        prop_assert_eq!(&whole.functions, &dataset.functions);
        let pieces = Pieces { data: &file, sizes: sizes.iter().cycle() };
        prop_assert_eq!(&load(pieces, ReaderOptions::default()).unwrap(), &whole);
        let bytewise = Pieces { data: &file, sizes: [1].iter().cycle() };
        let known = ReaderOptions {
            total_bytes: Some(file.len() as u64),
            ..ReaderOptions::default()
        };
        prop_assert_eq!(&load(bytewise, known).unwrap(), &whole);
    }

    #[test]
    fn every_truncation_is_an_error(dataset in dataset(), form in form(), options in options()) {
        let file = save(&dataset, form, options);
        let step = file.len() / 300 + 1;
        for end in (0..file.len()).step_by(step) {
            prop_assert!(load(&file[..end], ReaderOptions::default()).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn any_single_change_is_noticed_by_the_checksum(
        dataset in dataset(),
        form in form(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut file = save(&dataset, form, WriterOptions::default());
        let at = at.index(file.len());
        file[at] ^= flip;
        // A header of an older version may hide the checksum altogether.
        if at >= 9 {
            prop_assert!(load(file.as_slice(), ReaderOptions::default()).is_err());
        }
    }

    #[test]
    fn changed_files_without_checksum_do_no_harm(
        dataset in dataset(),
        form in form(),
        options in options(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = save(&dataset, form, options);
        for (at, byte) in &changes {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        harmless(&file);
    }

    #[test]
    fn changed_fixtures_do_no_harm(
        which in 0usize..2,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let fixtures: [&[u8]; 2] = [
            include_bytes!("fixtures/valkey-8.0.1.rdb"),
            include_bytes!("fixtures/lfu.rdb"),
        ];
        let mut file = fixtures[which].to_vec();
        for (at, byte) in &changes {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        harmless(&file);
    }

    #[test]
    fn noise_behind_a_header_does_no_harm(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let file = [&b"REDIS0011"[..], &noise].concat();
        harmless(&file);
    }

    #[test]
    fn noise_as_a_value_does_no_harm(
        type_ in prop::sample::select(ValueType::ALL),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut reader = Reader::over(&noise, ReaderOptions::default());
        let mut build = common::Build::default();
        if let Ok(rdb::Loaded::Value) = reader.value(type_, &mut build) {
            prop_assert!(build.0.is_some());
        }
    }

    #[test]
    fn a_dump_payload_comes_back(value in text()) {
        let plain = WriterOptions { checksum: false, compress: true };
        let mut writer = Writer::new(Vec::new(), plain);
        writer.value_type(ValueType::String).unwrap();
        writer.string(&value).unwrap();
        let payload = dump::seal(writer.into_sink().unwrap());
        let body = dump::verify(&payload).unwrap();
        let mut reader = Reader::over(body, ReaderOptions::default());
        prop_assert_eq!(reader.value_type().unwrap(), ValueType::String);
        prop_assert_eq!(reader.string().unwrap().into_vec(), value);
        prop_assert!(reader.is_at_end());
    }
}

/// Reads whatever it is, with and without a known size; both agree on success.
fn harmless(file: &[u8]) {
    let unchecked = ReaderOptions {
        checksum: false,
        ..ReaderOptions::default()
    };
    let known = ReaderOptions {
        total_bytes: Some(file.len() as u64),
        ..unchecked
    };
    let open = load(file, unchecked);
    let bounded = load(file, known);
    assert_eq!(open.is_ok(), bounded.is_ok());
    // What commands could not have built is never accepted: the model holds only what it could hold,
    // so writing it again and reading that must work.
    if let Ok(dataset) = open {
        let again = save(&dataset, Form::Packed, WriterOptions::default());
        let again = load(again.as_slice(), ReaderOptions::default()).unwrap();
        assert_eq!(again.keys, dataset.keys);
    }
}

/// A live connection: panics when asked for more after everything was delivered.
struct Live<'a>(&'a [u8]);

impl Read for Live<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "would block for ever");
        let size = out.len().min(100);
        self.0.read(&mut out[..size])
    }
}

#[test]
fn what_follows_the_file_stays_unread() {
    let mut file = save(&contents(), Form::Packed, WriterOptions::default());
    // Nothing behind the file: no read beyond its last byte.
    let mut reader = Reader::new(Live(&file), ReaderOptions::default());
    load_from(&mut reader).unwrap();
    assert_eq!(reader.offset(), file.len() as u64);
    let end = file.len();
    file.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    file.extend_from_slice(&[b'x'; 1000]);
    let mut reader = Reader::new(Live(&file), ReaderOptions::default());
    load_from(&mut reader).unwrap();
    let (mut rest, source) = reader.into_parts();
    rest.extend_from_slice(source.0);
    assert!(rest == file[end..]);
    // The same with the first bytes already received.
    let (received, coming) = file.split_at(50);
    let options = ReaderOptions::default();
    let mut reader = Reader::with_received(received.to_vec(), Live(coming), options);
    assert_eq!(load_from(&mut reader).unwrap().keys, contents().keys);
}

#[test]
fn large_strings_pass_whole_and_in_pieces() {
    let plain = WriterOptions {
        compress: false,
        checksum: true,
    };
    for size in [65_535, 65_536, 65_537, 1 << 20, (3 << 20) + 7] {
        for (options, unit) in [(plain, 251), (WriterOptions::default(), 7)] {
            let value: Vec<u8> = (0..size).map(|i| (i % unit) as u8).collect();
            let mut dataset = Dataset::default();
            let entry = Entry::new(Value::String(value.clone()));
            dataset
                .keys
                .insert((0, value[..70_000.min(size)].to_vec()), entry);
            dataset
                .keys
                .insert((0, b"z".to_vec()), Entry::new(Value::String(b"v".to_vec())));
            let file = save(&dataset, Form::Plain, options);
            let again = load(file.as_slice(), ReaderOptions::default()).unwrap();
            assert!(again.keys == dataset.keys);
        }
    }
}

#[test]
fn values_can_be_skipped() {
    let file = save(&contents(), Form::Plain, WriterOptions::default());
    let mut reader = Reader::new(file.as_slice(), ReaderOptions::default());
    reader.header().unwrap();
    let (mut key, mut keys) = (Vec::new(), 0);
    loop {
        match reader.next(&mut key).unwrap() {
            Event::Key(head) => {
                keys += 1;
                assert_eq!(
                    reader.value(head.type_, &mut Discard).unwrap(),
                    rdb::Loaded::Value
                );
            }
            Event::Eof(_) => break,
            _ => {}
        }
    }
    assert_eq!(keys, contents().keys.len());
}
