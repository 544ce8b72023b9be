//! Whatever is written is read again, whatever the pieces; whatever is read never panics, hangs or allocates by promise.

use std::io::{self, Read};

use aof::decoder::Kind;
use aof::encoder::{Effect, Encoder, mark};
use aof::manifest::{Entry, Manifest};
use aof::reader::{Damage, Ending, LogReader, Next};
use proptest::prelude::*;

type Command = Vec<Vec<u8>>;

/// Gives at most so many bytes per call.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(out.len());
        self.0.read(&mut out[..count])
    }
}

/// Whole units with their database, and how it ended.
fn read(bytes: &[u8], step: usize) -> (Vec<Vec<(u32, Command)>>, Ending) {
    let mut reader = LogReader::new(Drip(bytes, step), bytes.len() as u64);
    let (mut units, mut open, mut db) = (Vec::new(), None, 0);
    loop {
        match reader.next_record().unwrap() {
            Next::End(ending) => return (units, ending),
            Next::Record(record) => {
                let args: Command = record.args.iter().map(<[u8]>::to_vec).collect();
                match record.kind {
                    Kind::Annotation => {}
                    Kind::Multi => open = Some(Vec::new()),
                    Kind::Exec => units.push(open.take().unwrap()),
                    Kind::Command if args[0] == b"SELECT" => {
                        // Flips make anything of it.
                        let text = args.get(1).and_then(|text| std::str::from_utf8(text).ok());
                        db = text.and_then(|text| text.parse().ok()).unwrap_or(99);
                    }
                    Kind::Command => match &mut open {
                        Some(unit) => unit.push((db, args)),
                        None => units.push(vec![(db, args)]),
                    },
                }
            }
        }
    }
}

fn commands() -> impl Strategy<Value = Vec<Vec<(u32, Command)>>> {
    let argument = prop::collection::vec(any::<u8>(), 0..12);
    let command = prop::collection::vec(argument, 0..4).prop_map(|mut args| {
        // A name that is none of those with a meaning.
        args.insert(0, b"CMD".to_vec());
        args
    });
    prop::collection::vec(prop::collection::vec((0u32..3, command), 1..4), 0..8)
}

fn encode(units: &[Vec<(u32, Command)>], stamps: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(stamps);
    let mut out = Vec::new();
    for (now, unit) in units.iter().enumerate() {
        let args: Vec<Vec<&[u8]>> = unit
            .iter()
            .map(|(_, args)| args.iter().map(Vec::as_slice).collect())
            .collect();
        let effects: Vec<Effect<'_>> = unit
            .iter()
            .zip(&args)
            .map(|((db, _), args)| Effect { db: *db, args })
            .collect();
        encoder.unit(&mut out, &effects, now as i64 >> 1);
    }
    out
}

proptest! {
    #[test]
    fn units_come_back(units in commands(), stamps: bool, step in 1usize..40) {
        let bytes = encode(&units, stamps);
        let (found, ending) = read(&bytes, step);
        prop_assert_eq!(found, units);
        prop_assert_eq!((ending.damage, ending.valid_to), (None, bytes.len() as u64));
    }

    #[test]
    fn a_cut_log_holds_a_prefix_of_its_units(units in commands(), cut in 0usize..600) {
        let bytes = encode(&units, false);
        let bytes = &bytes[..cut.min(bytes.len())];
        let (found, ending) = read(bytes, 7);
        prop_assert_eq!(&found[..], &units[..found.len()]);
        prop_assert!(matches!(ending.damage, None | Some(Damage::Cut(_))));
        // What is left after the cut is sound, and the same.
        let (again, ending) = read(&bytes[..ending.valid_to as usize], 1000);
        prop_assert_eq!(again, found);
        prop_assert_eq!(ending.damage, None);
    }

    #[test]
    fn any_bytes_end_in_the_same_way_whatever_the_pieces(
        mut bytes in prop::collection::vec(
            prop_oneof![Just(b"*1\r\n".to_vec()), Just(b"$3\r\n".to_vec()), Just(b"\r\n".to_vec()),
                Just(b"MULTI".to_vec()), Just(b"$5\r\nMULTI\r\n".to_vec()), Just(b"#TS:1".to_vec()), Just(mark(0)),
                Just(vec![0; 9]), prop::collection::vec(any::<u8>(), 0..5)],
            0..20,
        ).prop_map(|parts| parts.concat()),
        step in 1usize..20,
    ) {
        let (_, ending) = read(&bytes, step);
        let (_, whole) = read(&bytes, usize::MAX);
        prop_assert_eq!(ending, whole);
        prop_assert!(ending.valid_to <= ending.size);
        bytes.truncate(ending.valid_to as usize);
        prop_assert_eq!(read(&bytes, 1000).1.damage, None);
    }

    #[test]
    fn manifests_come_back(
        names in prop::collection::vec("[^/\\\\]{1,20}", 1..8),
        history in prop::collection::vec("[a-z' \"\t\u{e9}]{1,9}", 0..3),
    ) {
        let entry = |(index, name): (usize, &String)| Entry { name: name.clone().into_bytes(), seq: index as u64 * 3 + 1 };
        let manifest = Manifest {
            base: names.first().map(|name| entry((0, name))),
            history: history.iter().enumerate().map(entry).collect(),
            incr: names.iter().enumerate().skip(1).map(entry).collect(),
        };
        prop_assert_eq!(Manifest::parse(&manifest.print()), Ok(manifest));
    }

    #[test]
    fn no_bytes_upset_the_manifest(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(Manifest::parse(&manifest.print()).ok(), (!manifest.is_empty()).then_some(manifest));
        }
    }
}

/// Every bit of a small log is flipped, every byte of it is its last: what is read before the damage is what was written.
#[test]
fn every_flip_and_every_cut_of_a_small_log() {
    let command = |name: &str| {
        vec![(
            0u32,
            vec![name.as_bytes().to_vec(), b"k".to_vec(), vec![0, 1, 255]],
        )]
    };
    let mut units = vec![command("a"), command("b")];
    units.push([command("c"), command("d")].concat());
    units.push(command("e"));
    let bytes = [mark(0), encode(&units, true)].concat();
    let ends: Vec<usize> = (1..=units.len())
        .map(|count| mark(0).len() + encode(&units[..count], true).len())
        .collect();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (found, ending) = read(&flipped, 1000);
            assert!(ending.valid_to <= bytes.len() as u64);
            // What ends before the flip is as it was.
            let before = ends.iter().filter(|end| **end <= at).count();
            assert_eq!(found[..before], units[..before], "{at} {bit}");
            let rest = &flipped[..ending.valid_to as usize];
            assert_eq!(read(rest, 3).1.damage, None, "{at} {bit}");
        }
        let (found, _) = read(&bytes[..at], 1000);
        assert_eq!(found, units[..found.len()], "{at}");
    }
}

/// Tails of zero bytes as long as a disk block or two.
#[test]
fn zeros_behind_any_cut_are_cut_off() {
    let units = vec![vec![(0u32, vec![b"set".to_vec(), b"k".to_vec(), b"vvvv".to_vec()])]; 3];
    let bytes = encode(&units, false);
    for cut in 0..=bytes.len() {
        for zeros in [1usize, 2, 3, 511, 4096, 8192] {
            let log = [&bytes[..cut], &vec![0; zeros]].concat();
            let (found, ending) = read(&log, 5000);
            assert_eq!(found, units[..found.len()], "{cut} {zeros}");
            let damage = ending.damage.unwrap();
            assert!(
                !matches!(damage, Damage::Format(_) | Damage::Unsynced(_)),
                "{cut} {zeros} {damage}"
            );
            assert!(ending.valid_to <= cut as u64);
        }
    }
}

/// Large figures cost nothing.
#[test]
fn promises_allocate_nothing() {
    for promise in [
        "*2147483647\r\n",
        "*1\r\n$536870912\r\n",
        "*1\r\n$9223372036854775807\r\n",
        "*2000000\r\n$1\r\na\r\n",
    ] {
        let mut reader = LogReader::new(promise.as_bytes(), 1 << 40);
        let Next::End(ending) = reader.next_record().unwrap() else {
            panic!("a record in {promise}")
        };
        assert_eq!(ending.valid_to, 0);
    }
}
