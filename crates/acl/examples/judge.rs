//! What a judgement costs: `cargo run --release -p acl --example judge`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement prints and takes the clock"
)]

use acl::{NewChannels, User, Users};
use commandtable::find;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 5_000_000;

/// Nanoseconds for one judgement, the best of a few series.
fn measure(user: &User, args: &[&[u8]]) -> f64 {
    let command = find(args[0]).expect("a command of the table");
    let series = (0..5).map(|_| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let _ = black_box(black_box(user).check(black_box(command), black_box(args)));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    });
    series.fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut users = Users::default();
    let mut user = |name: &str, rules: &[&[u8]]| {
        let change = users.set_user(name.as_bytes(), rules, NewChannels::None);
        change.expect("these are rules").now
    };
    let cases = [
        ("may everything", user("default", &[])),
        ("~app:* +@read", user("read", &[b"~app:*", b"+@read"])),
        (
            "~app:* +@read +@write",
            user("write", &[b"~app:*", b"+@read", b"+@write"]),
        ),
        (
            "selectors (~a +get) (~b +get) (~app:* +@all)",
            user("more", &[b"(~a +get)", b"(~b +get)", b"(~app:* +@all)"]),
        ),
    ];
    let lines: [&[&[u8]]; 3] = [
        &[b"get", b"app:12345678"],
        &[b"set", b"app:12345678", b"value"],
        &[
            b"mget", b"app:1", b"app:2", b"app:3", b"app:4", b"app:5", b"app:6", b"app:7", b"app:8",
        ],
    ];
    for (name, user) in &cases {
        for args in lines {
            let command = String::from_utf8_lossy(args[0]).into_owned();
            let may = find(args[0]).is_some_and(|command| user.check(command, args).is_ok());
            let verdict = if may { "allowed" } else { "refused" };
            println!(
                "{name}: {command} {verdict} in {:.2} ns",
                measure(user, args)
            );
        }
    }
}
