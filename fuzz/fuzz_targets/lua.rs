//! Any bytes as a Lua source: it neither panics nor passes its limits, and another run works afterwards.
#![no_main]

use lua::{Options, Outcome, State};

/// Memory and work of one source.
const MEMORY: usize = 4 << 20;
const UNITS: u64 = 100_000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let options = Options {
        memory_bytes_max: MEMORY,
        ..Options::default()
    };
    let Ok(mut state) = State::new(options) else {
        return;
    };
    if state.install_ext().is_err() {
        return;
    }
    if let Ok(function) = state.load(data, b"=fuzz")
        && state.start(function, &[]).is_ok()
    {
        for _ in 0..10 {
            if !matches!(state.resume(UNITS / 10), Outcome::OutOfBudget) {
                break;
            }
        }
    }
    assert!(state.memory_used() <= MEMORY);
    state.abort();
    state.collect();
    let function = state.load(b"return 1", b"=next").expect("there is room again");
    state.start(function, &[]).expect("there is room again");
    assert!(matches!(state.resume(UNITS), Outcome::Done));
});
