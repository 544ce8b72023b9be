//! See `fuzz::lua_parts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::lua_parts::feed_named("lua_pattern", data));
