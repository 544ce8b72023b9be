//! See `aof::aof_manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::aof::aof_manifest(data));
