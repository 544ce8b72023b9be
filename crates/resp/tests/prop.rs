//! Any split of the input gives the same requests; no input panics.

use proptest::prelude::*;
use resp::limits::{RESERVE_AHEAD_BYTES, RESERVE_FIRST_BYTES};
use resp::{Batch, Decoder, ProtocolError, Violation};

type Requests = Vec<Vec<Vec<u8>>>;

/// Feeds `chunks` the way a connection does and collects the requests.
fn feed<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Requests, Option<ProtocolError>) {
    feed_batches(chunks, usize::MAX)
}

/// As [`feed`], with at most `batch_max` requests taken at once.
fn feed_batches<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    batch_max: usize,
) -> (Requests, Option<ProtocolError>) {
    let mut decoder = Decoder::new(512 << 20);
    decoder.authenticated = true;
    let (mut buffer, mut batch, mut requests) = (Vec::new(), Batch::default(), Vec::new());
    for mut chunk in chunks {
        while !chunk.is_empty() {
            if let Some((big, missing)) = decoder.big_arg() {
                let take = missing.min(chunk.len());
                big.extend_from_slice(&chunk[..take]);
                chunk = &chunk[take..];
            } else {
                buffer.extend_from_slice(chunk);
                chunk = &[];
            }
            let mut start = 0;
            loop {
                batch.clear();
                let result = decoder.decode_from(&mut buffer, start, &mut batch, batch_max);
                for index in 0..batch.len() {
                    let args = batch.request(index).iter();
                    requests.push(
                        args.map(|arg| batch.bytes(&buffer, *arg).to_vec())
                            .collect(),
                    );
                }
                match result {
                    Ok(used) => start = used,
                    Err(error) => return (requests, Some(error)),
                }
                if batch.len() < batch_max {
                    break;
                }
            }
            buffer.drain(..start);
        }
    }
    (requests, None)
}

fn encode(requests: &Requests) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        bytes.extend(format!("*{}\r\n", request.len()).into_bytes());
        for arg in request {
            bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

fn arg() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (32_000usize..70_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn splits(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut start = 0;
    for cut in cuts {
        parts.push(bytes[start..cut].to_vec());
        start = cut;
    }
    parts.push(bytes[start..].to_vec());
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn splits_do_not_matter(
        requests in prop::collection::vec(prop::collection::vec(arg(), 0..6), 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = encode(&requests);
        prop_assert_eq!(feed(std::iter::once(&bytes[..])), (requests.clone(), None));
        let parts = splits(&bytes, &cuts);
        prop_assert_eq!(feed(parts.iter().map(Vec::as_slice)), (requests.clone(), None));
        for batch_max in 1..3 {
            let chunks = parts.iter().map(Vec::as_slice);
            prop_assert_eq!(feed_batches(chunks, batch_max), (requests.clone(), None));
        }
        if bytes.len() < 4_000 {
            prop_assert_eq!(feed(bytes.chunks(1)), (requests, None));
        }
    }

    #[test]
    fn any_bytes_give_the_same_result_whole_and_in_pieces(
        bytes in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'0'), Just(b'"'), any::<u8>()], 0..80),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        // How much of a bad request has arrived depends on the pieces.
        let verdict = |(requests, error): (Requests, Option<ProtocolError>)| {
            (requests, error.map(|error| error.violation))
        };
        let whole = verdict(feed(std::iter::once(&bytes[..])));
        let parts = splits(&bytes, &cuts);
        prop_assert_eq!(&verdict(feed(parts.iter().map(Vec::as_slice))), &whole);
        prop_assert_eq!(&verdict(feed(bytes.chunks(1))), &whole);
    }
}

#[test]
fn bounds_before_login() {
    let decode = |text: &str| {
        let mut buffer = text.as_bytes().to_vec();
        Decoder::new(1 << 20)
            .decode(&mut buffer, &mut Batch::default(), 10)
            .map_err(|error| error.violation)
    };
    assert_eq!(
        decode("*11\r\n"),
        Err(Violation::UnauthenticatedMultibulkLength)
    );
    assert!(decode("*10\r\n").is_ok());
    assert_eq!(
        decode("*1\r\n$16385\r\n"),
        Err(Violation::UnauthenticatedBulkLength)
    );
    assert!(decode("*1\r\n$16384\r\n").is_ok());
}

#[test]
fn violations_have_the_texts_of_the_reference() {
    let long_line = format!("*{}", "1".repeat(70_000));
    let long_bulk = format!("*1\r\n${}", "1".repeat(70_000));
    let long_inline = "x".repeat(70_000);
    for (input, text) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*1\r\nx", ""),
        ("*1\r\nx\r\n", "expected '$', got 'x'"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("set \"a\r\n", "unbalanced quotes in request"),
        (&long_line, "too big mbulk count string"),
        (&long_bulk, "too big bulk count string"),
        (&long_inline, "too big inline request"),
    ] {
        let (requests, error) = feed(std::iter::once(input.as_bytes()));
        assert!(requests.is_empty());
        let got = error.map_or(String::new(), |e| e.to_string());
        let want = if text.is_empty() {
            String::new()
        } else {
            format!("Protocol error: {text}")
        };
        assert_eq!(got, want, "{input:.20}");
    }
}

#[test]
fn a_promise_costs_little_before_it_is_kept() {
    let mut decoder = Decoder::new(512 << 20);
    decoder.authenticated = true;
    let mut buffer = b"*2\r\n$3\r\nGET\r\n$536870912\r\nxx".to_vec();
    let mut batch = Batch::default();
    let decoded = decoder.decode(&mut buffer, &mut batch, usize::MAX);
    assert!(decoded.is_ok() && batch.is_empty());
    assert!(decoder.held_bytes() <= 2 * RESERVE_FIRST_BYTES);
    // What is reserved follows what has come, and stays within a megabyte of it or twice as much.
    let mut arrived = 2;
    while arrived < 8 << 20 {
        let (big, missing) = decoder.big_arg().expect("it is under way");
        let room = big.capacity() - big.len();
        assert!(room > 0 && room <= missing);
        assert!(
            room <= (3 * arrived)
                .clamp(RESERVE_FIRST_BYTES, RESERVE_AHEAD_BYTES)
                .max(arrived)
        );
        big.resize(big.len() + room, b'x');
        arrived += room;
    }
}

#[test]
fn the_reply_quotes_an_unexpected_byte_as_it_came() {
    for byte in [1, b'\t', b'x', 0x80, 0xff] {
        let input = [b"*1\r\n", [byte].as_slice(), b"4\r\n"].concat();
        let (_, error) = feed(std::iter::once(input.as_slice()));
        let want = [
            b"Protocol error: expected '$', got '",
            [byte].as_slice(),
            b"'",
        ]
        .concat();
        assert_eq!(error.expect("the input is no request").reply(), want);
    }
}

#[test]
fn a_primary_sends_no_inline_requests_but_newlines() {
    let decode = |bytes: &[u8]| {
        let mut decoder = Decoder::default();
        decoder.authenticated = true;
        assert_eq!(decoder.bulk_bytes_max, None);
        let (mut buffer, mut batch) = (bytes.to_vec(), Batch::default());
        let decoded = decoder.decode_in_place(&mut buffer, &mut batch);
        (batch.len(), decoded.map_err(|error| error.violation))
    };
    let (requests, decoded) = decode(b"\n\r\n*1\r\n$4\r\nPING\r\n");
    assert!(decoded.is_ok() && requests == 3);
    let (requests, decoded) = decode(b"*1\r\n$4\r\nPING\r\nFLUSHALL\r\n");
    assert_eq!(
        (requests, decoded.err()),
        (1, Some(Violation::InlineFromPrimary))
    );
    let (_, decoded) = decode(b"SET \"a\r\n");
    assert_eq!(decoded.err(), Some(Violation::UnbalancedQuotes));
}

#[test]
fn the_log_tells_violation_and_bytes_as_the_reference_does() {
    let line = |input: &[u8]| {
        let (_, error) = feed(std::iter::once(input));
        error.expect("the input is no request").log_line("id=1")
    };
    assert_eq!(
        line(b"PING\r\n*2\r\n$4\r\nECHO\r\nfoo\0\r\nbar"),
        "Protocol error (expected $ but got something else) from client: id=1. \
         Query buffer during protocol error: 'foo...bar'"
    );
    let of_length = |len: usize| format!("*1\r\n!{}\r\n", "a".repeat(len - 3)).into_bytes();
    let quoted = |len: usize| {
        let line = line(&of_length(len));
        line[line.find('\'').expect("the bytes are quoted")..].to_owned()
    };
    let (first, last) = (
        format!("!{}", "a".repeat(63)),
        format!("{}..", "a".repeat(62)),
    );
    assert_eq!(quoted(127), format!("'!{}..'", "a".repeat(124)));
    assert_eq!(
        quoted(128),
        format!("'{first}' (... more 0 bytes ...) '{last}'")
    );
    assert_eq!(
        quoted(130),
        format!("'{first}' (... more 2 bytes ...) '{last}'")
    );
}
