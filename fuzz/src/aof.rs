//! Targets of the crate `aof`. `crates/aof/tests/fuzz_smoke.rs` runs them on the stable toolchain.

use aof::decoder::Decoder;
use aof::manifest::Manifest;
use aof::reader::{LogReader, Next};

/// Any bytes as a manifest: what is accepted comes back from its print.
pub fn aof_manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        let printed = manifest.print();
        match Manifest::parse(&printed) {
            Ok(again) => assert_eq!(again, manifest),
            Err(_) => assert!(manifest.is_empty()),
        }
        assert!(manifest.next_base_seq() > 0 && manifest.next_incr_seq() > 0);
    }
}

/// Any bytes as a log: read whole and byte by byte the same comes out, and what is left after a cut is sound.
pub fn aof_log(data: &[u8]) {
    if data.len() > 1 << 16 {
        return;
    }
    let mut reader = LogReader::new(data, data.len() as u64);
    let (mut records, mut bytes) = (0usize, 0u64);
    let ending = loop {
        match reader.next_record().expect("a slice does not fail") {
            Next::Record(record) => {
                assert_eq!(record.offset, bytes);
                records += 1;
                bytes += record.args.encoded().len() as u64;
            }
            Next::End(ending) => break ending,
        }
    };
    assert!(ending.valid_to <= bytes && bytes <= ending.size);
    let mut decoder = Decoder::default();
    let (mut buffer, mut found) = (Vec::new(), 0);
    'bytes: for byte in data.iter().take(2048) {
        buffer.push(*byte);
        loop {
            match decoder.decode(&buffer) {
                Ok(Some(record)) => {
                    buffer.drain(..record.used);
                    found += 1;
                }
                Ok(None) => break,
                Err(_) => break 'bytes,
            }
        }
    }
    assert!(found == records || data.len() > 2048);
    let valid = &data[..ending.valid_to as usize];
    let mut reader = LogReader::new(valid, valid.len() as u64);
    loop {
        match reader.next_record().expect("a slice does not fail") {
            Next::Record(_) => {}
            Next::End(ending) => {
                assert_eq!(ending.damage, None);
                return;
            }
        }
    }
}
