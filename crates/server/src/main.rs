//! `valkey-server`: the process around the engine.

fn main() {}
