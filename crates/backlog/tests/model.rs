//! Model test: the block list against one plain vector, with cursors coming, reading and going.

use backlog::{BACKLOG_SIZE_MIN, Backlog, Cursor, Slice};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Open(u64),
    Read {
        cursor: usize,
        bytes_max: usize,
        hold: bool,
    },
    Release(usize),
    Duplicate(usize),
    Resize(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3000).prop_map(Step::Append),
        1 => (0usize..80_000).prop_map(Step::Append),
        2 => any::<u64>().prop_map(Step::Open),
        4 => (any::<usize>(), 1usize..50_000, any::<bool>())
            .prop_map(|(cursor, bytes_max, hold)| Step::Read { cursor, bytes_max, hold }),
        1 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Duplicate),
        1 => (0u64..200_000).prop_map(Step::Resize),
    ]
}

fn check(b: &Backlog, stream: &[u8], base: u64, cursors: &[Cursor]) {
    assert_eq!(b.first_offset() + b.histlen(), b.next_offset());
    assert_eq!(b.next_offset(), base + stream.len() as u64);
    assert!(b.memory_total() >= b.histlen());
    for c in cursors {
        assert!(b.covers(c.next_offset()), "a pinned offset was trimmed");
        assert!(b.memory_of(c) >= b.pending_bytes(c));
        assert!(b.memory_of(c) <= b.memory_total());
    }
    if cursors.is_empty() && b.histlen() > b.size() {
        // One block may stand out on either side; a block is at most a sixteenth or 16 KiB. Trimming after
        // a shrink is lazy, so only a bound that survives it is asserted.
        assert!(b.memory_backlog() <= b.size());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_cursor_reads_the_stream_in_order(
        base in 1u64..1_000_000,
        size in 0u64..300_000,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut b = Backlog::new(size, base);
        prop_assert!(b.size() >= BACKLOG_SIZE_MIN);
        let mut stream: Vec<u8> = Vec::new();
        let mut cursors: Vec<Cursor> = Vec::new();
        let mut held: Vec<(Slice, Vec<u8>)> = Vec::new();
        for s in steps {
            match s {
                Step::Append(n) => {
                    let from = stream.len();
                    stream.extend((from..from + n).map(|i| (i * 31 % 251) as u8));
                    b.append(&stream[from..]);
                }
                Step::Open(x) => {
                    let offset = b.first_offset() + x % (b.histlen() + 1);
                    cursors.push(b.cursor_at(offset).expect("inside the window"));
                }
                Step::Read { cursor, bytes_max, hold } if !cursors.is_empty() => {
                    let index = cursor % cursors.len();
                    let c = &mut cursors[index];
                    let mut out = Vec::new();
                    let n = b.read(c, bytes_max, 64, &mut out);
                    let at = (c.next_offset() - base) as usize;
                    let got: Vec<u8> = out.iter().flat_map(|s| s.iter().copied()).collect();
                    prop_assert_eq!(got.len(), n);
                    prop_assert!(n > 0 || b.pending_bytes(c) == 0);
                    prop_assert_eq!(&got[..], &stream[at..at + n]);
                    b.advance(c, n as u64);
                    if hold {
                        held.extend(out.into_iter().map(|s| { let v = s.to_vec(); (s, v) }));
                    } else {
                        held.clear();
                    }
                }
                Step::Release(i) if !cursors.is_empty() => {
                    let c = cursors.swap_remove(i % cursors.len());
                    b.release(c);
                }
                Step::Duplicate(i) if !cursors.is_empty() => {
                    let c = b.duplicate(&cursors[i % cursors.len()]);
                    cursors.push(c);
                }
                Step::Resize(n) => b.resize(n),
                _ => {}
            }
            check(&b, &stream, base, &cursors);
            for (slice, bytes) in &held {
                prop_assert_eq!(&slice[..], &bytes[..]);
            }
        }
    }
}
