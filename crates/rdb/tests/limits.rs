//! Both sides of the named limits.

use packed::{Intset, Listpack};
use rdb::limits::{
    BUFFER_BYTES, LZF_INPUT_MIN, RESERVE_AHEAD_BYTES, SIZE_HINT_MAX, STRING_BYTES_MAX,
};
use rdb::lzf::expansion_allowed;
use rdb::{
    Accept, ErrorKind, Kind, Reader, ReaderOptions, Text, ValueSink, ValueType, Writer,
    WriterOptions,
};

fn plain(
    write: impl FnOnce(&mut Writer<Vec<u8>>) -> std::io::Result<()>,
    compress: bool,
) -> Vec<u8> {
    let options = WriterOptions {
        compress,
        checksum: false,
    };
    let mut writer = Writer::new(Vec::new(), options);
    write(&mut writer).unwrap();
    writer.into_sink().unwrap()
}

#[test]
fn a_string_of_the_limit_is_read_and_one_byte_more_is_not() {
    let options = ReaderOptions {
        string_bytes_max: 1000,
        ..ReaderOptions::default()
    };
    for compress in [false, true] {
        let fits = plain(|w| w.string(&[b'a'; 1000]), compress);
        let text = Reader::over(&fits, options).string().unwrap().into_vec();
        assert_eq!(text.len(), 1000);
        let longer = plain(|w| w.string(&[b'a'; 1001]), compress);
        let error = Reader::over(&longer, options).string().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadLength(1001)));
    }
    assert_eq!(ReaderOptions::default().string_bytes_max, STRING_BYTES_MAX);
}

#[test]
fn a_compressed_string_may_expand_so_far() {
    assert!(expansion_allowed(2, 2 * 256 + 65_536));
    assert!(!expansion_allowed(2, 2 * 256 + 65_537));
    assert!(expansion_allowed(u64::MAX, u64::MAX));
}

#[test]
fn compression_begins_with_the_shortest_worthwhile_string() {
    let size = |length| plain(|w| w.string(&vec![b'a'; length]), true).len();
    assert_eq!(size(LZF_INPUT_MIN - 1), LZF_INPUT_MIN);
    assert!(size(LZF_INPUT_MIN) < 12);
}

#[test]
fn a_body_beyond_the_buffer_is_read_like_a_small_one() {
    for size in [
        BUFFER_BYTES - 6,
        BUFFER_BYTES - 5,
        BUFFER_BYTES,
        2 * RESERVE_AHEAD_BYTES + 1,
    ] {
        let body = plain(|w| w.string(&vec![b'x'; size]), false);
        let mut reader = Reader::over(&body, ReaderOptions::default());
        assert_eq!(reader.string().unwrap().into_vec(), vec![b'x'; size]);
        assert!(reader.is_at_end());
    }
}

/// Remembers the hint.
struct Hint(usize);

impl ValueSink for Hint {
    fn begin(&mut self, _: Kind, size_hint: usize) -> Accept {
        self.0 = size_hint;
        Err("seen")
    }
    fn string(&mut self, _: Text<'_>) -> Accept {
        Err("not expected")
    }
    fn element(&mut self, _: Text<'_>) -> Accept {
        Err("not expected")
    }
    fn field(&mut self, _: &[u8], _: Text<'_>) -> Accept {
        Err("not expected")
    }
    fn member(&mut self, _: &[u8], _: f64) -> Accept {
        Err("not expected")
    }
    fn listpack(&mut self, _: Kind, _: Listpack) -> Accept {
        Err("not expected")
    }
    fn plain_node(&mut self, _: Vec<u8>) -> Accept {
        Err("not expected")
    }
    fn intset(&mut self, _: Intset) -> Accept {
        Err("not expected")
    }
}

#[test]
fn a_size_hint_is_bounded_whatever_the_count() {
    for (count, hint) in [
        (5, 5),
        (SIZE_HINT_MAX as u64, SIZE_HINT_MAX),
        (SIZE_HINT_MAX as u64 + 1, SIZE_HINT_MAX),
        (u64::MAX, SIZE_HINT_MAX),
    ] {
        let body = plain(|w| w.length(count), false);
        let mut reader = Reader::new(body.as_slice(), ReaderOptions::default());
        let mut sink = Hint(0);
        let error = reader.value(ValueType::Set, &mut sink).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused("seen")));
        assert_eq!(sink.0, hint);
    }
}

#[test]
fn an_error_in_a_name_knows_the_type_that_stood_before_it() {
    let mut reader = rdb::Reader::new(&b"REDIS0011\x02\x05ab"[..], rdb::ReaderOptions::default());
    reader.header().unwrap();
    let error = reader.next(&mut Vec::new()).unwrap_err();
    assert_eq!(error.key_type(), Some(rdb::ValueType::Set));
    assert_eq!(error.what(), "key");
}

#[test]
fn a_modules_value_is_skipped_without_the_module() {
    let bytes = b"REDIS0011\x07\x01k\x81\x00\x01\x02\x03\x04\x05\x06\x07\x05\x01a\x03aaaa\x00\x00\x01s\x01v";
    let mut reader = rdb::Reader::new(&bytes[..], rdb::ReaderOptions::default());
    reader.header().unwrap();
    let mut key = Vec::new();
    assert!(matches!(reader.next(&mut key).unwrap(), rdb::Event::Key(_)));
    let id = reader.skip_module().unwrap();
    assert_eq!(rdb::module_name(id), "AAECAwQFB");
    assert!(matches!(reader.next(&mut key).unwrap(), rdb::Event::Key(_)));
    assert_eq!(key, b"s");
}
