//! See `aof::aof_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::aof::aof_log(data));
