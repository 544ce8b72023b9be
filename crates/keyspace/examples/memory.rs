//! Prints bytes per element under jemalloc for the cases whose targets we track, and rough operation costs.
//!
//! `cargo run --profile fast -p keyspace --example memory`
#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::hint::black_box;
use std::time::Instant;

use keyspace::{Db, Limits, Resize, Set, StrHow, Ttl, ZSet};

#[global_allocator]
static ALLOCATOR: allocator::Jemalloc = allocator::Jemalloc;

const N: u64 = 1_000_000;

fn allocated() -> usize {
    tikv_jemalloc_ctl::epoch::advance().expect("jemalloc answers");
    tikv_jemalloc_ctl::stats::allocated::read().expect("jemalloc answers")
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn measure<T>(name: &str, target: f64, make: impl FnOnce() -> T) -> T {
    let before = allocated();
    let start = Instant::now();
    let value = make();
    let elapsed = start.elapsed();
    let per = (allocated() - before) as f64 / N as f64;
    println!(
        "{name:<42} {per:6.1} bytes (target {target:5.1})  {:6.0} ns each to build",
        elapsed.as_nanos() as f64 / N as f64
    );
    value
}

fn time(name: &str, mut f: impl FnMut(u64)) {
    let mut state = 0x1234_5678_9abc_def1;
    let start = Instant::now();
    for _ in 0..N {
        f(random(&mut state) % N);
    }
    println!(
        "  {name:<40} {:6.0} ns",
        start.elapsed().as_nanos() as f64 / N as f64
    );
}

fn key(buf: &mut [u8; 16], n: u64) -> &[u8] {
    let mut n = n;
    buf[..4].copy_from_slice(b"key:");
    for digit in buf[4..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    buf
}

fn main() {
    let limits = Limits::default();
    let mut buf = [0; 16];
    let value = b"value-of-16bytes";
    let mut db = measure("1 M keys of 16+16 bytes", 75.0, || {
        let mut db = Db::new();
        for n in 0..N {
            db.set_str(key(&mut buf, n), value, Ttl::Clear, StrHow::Detect);
        }
        while db.rehash_for(1000) {}
        db
    });
    time("random get", |n| {
        black_box(db.get(key(&mut buf, n)).map(|entry| entry.clock()));
    });
    time("random overwrite", |n| {
        black_box(
            db.set_str(
                key(&mut buf, n),
                b"another-16-bytes",
                Ttl::Clear,
                StrHow::Detect,
            )
            .is_some(),
        );
    });
    time("hash alone", |n| {
        black_box(Db::hash(key(&mut buf, n)));
    });
    time("random miss", |n| {
        black_box(db.contains(key(&mut buf, n + N)));
    });
    db.set_resize_policy(Resize::Avoid);
    drop(db);

    let db = measure("1 M keys of 16+16 bytes with expiry", 105.0, || {
        let mut db = Db::new();
        for n in 0..N {
            db.set_str(key(&mut buf, n), value, Ttl::At(1 << 40), StrHow::Detect);
        }
        while db.rehash_for(1000) {}
        db
    });
    drop(db);

    let set = measure("set of 1 M members of 14 bytes", 36.0, || {
        let mut set = Set::new();
        for n in 0..N {
            set.add(&key(&mut buf, n)[2..], &limits);
        }
        set
    });
    time("random contains", |n| {
        black_box(set.contains(&key(&mut buf, n)[2..]));
    });
    drop(set);

    let mut state = 42;
    let mut name = [b'm'; 20];
    let zset = measure("zset of 1 M members of 20 bytes", 85.0, || {
        let mut zset = ZSet::new();
        for n in 0..N {
            name[4..].copy_from_slice(key(&mut buf, n));
            zset.insert(&name, (random(&mut state) >> 11) as f64, &limits);
        }
        zset
    });
    time("random rank", |n| {
        name[4..].copy_from_slice(key(&mut buf, n));
        black_box(zset.rank(&name, false));
    });
    drop(zset);
}
