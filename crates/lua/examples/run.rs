//! Runs a Lua script in the sandbox of the tests: `run FILE` or `run -e SOURCE`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for people, which measures time"
)]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use support::{Reply, Sandbox};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let source = match &arguments[..] {
        [flag, source] if flag == "-e" => source.clone().into_bytes(),
        [file] => match std::fs::read(file) {
            Ok(source) => source,
            Err(error) => {
                println!("{file}: {error}");
                return;
            }
        },
        _ => {
            println!("usage: run FILE | run -e SOURCE");
            return;
        }
    };
    let mut sandbox = Sandbox::new();
    let start = Instant::now();
    let reply = sandbox.eval(&source, u64::MAX);
    let elapsed = start.elapsed();
    match reply {
        Reply::Bulk(text) => println!("\"{}\"", text.escape_ascii()),
        Reply::Error(text) => println!("-{}", text.escape_ascii()),
        other => println!("{other:?}"),
    }
    println!(
        "{:.3} ms, {} bytes",
        elapsed.as_secs_f64() * 1e3,
        sandbox.state.memory_used()
    );
}
