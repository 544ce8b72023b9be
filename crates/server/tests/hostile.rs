//! Bytes nobody should send, to a live server: it answers others within a second, panics at nothing, gives memory back.
//!
//! `HOSTILE_SEED` repeats a run, `HOSTILE_CONNECTIONS` and `HOSTILE_SNAPSHOTS` set its length.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped parts are printed, and waiting for another process takes the real clock"
)]

#[path = "common/mod.rs"]
mod common;

use common::{Client, OURS, Reply, Server, encode, setting, wait_for};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long PING may take while bytes fly; the second of the promise, and as much again for a machine that runs other
/// tests at the same time.
const PING_MAX: Duration = Duration::from_secs(2);
/// What may stay of memory.
const LEFT_BYTES_MAX: u64 = 64 << 20;
/// Connections in the smoke run.
const CONNECTIONS: u64 = 1000;
/// Descriptors of the thread that serves the link to a primary, which stays once there was one.
const LINK_DESCRIPTORS: usize = 5;
/// Spoilt snapshots in the smoke run.
const SNAPSHOTS: u64 = 80;
/// Connections before login, at once.
const STRANGERS: usize = 2000;

/// Valid traffic, to be spoilt.
static TRAFFIC: &[&[&[u8]]] = &[
    &[b"SET", b"key", b"value"],
    &[b"GET", b"key"],
    &[b"MGET", b"a", b"b", b"c"],
    &[b"LPUSH", b"l", b"1", b"2", b"3"],
    &[b"MULTI"],
    &[b"EXEC"],
    &[b"WATCH", b"key"],
    &[b"HELLO", b"3"],
    &[b"SUBSCRIBE", b"ch"],
    &[b"CLIENT", b"LIST"],
    &[b"BLPOP", b"nokey", b"0"],
    &[b"PSYNC", b"?", b"-1"],
    &[b"REPLCONF", b"listening-port", b"1"],
    &[b"SETRANGE", b"key", b"1000", b"x"],
    &[b"ZADD", b"z", b"1", b"m"],
    &[
        b"RESTORE",
        b"r",
        b"0",
        b"\x00\x03abc\x0b\x00\x01\x02\x03\x04\x05\x06\x07\x08",
    ],
    &[b"COMMAND", b"DOCS", b"get"],
    &[b"INFO"],
    &[b"MONITOR"],
    &[b"QUIT"],
    &[b"RESET"],
];

/// Beginnings and pieces that parsers stumble over.
static PIECES: &[&[u8]] = &[
    b"*",
    b"$",
    b"\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"$-1\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"$536870912\r\n",
    b"$536870913\r\n",
    b"*3\r\n$9223372036854775807\r\n",
    b"*1\r\n$00\r\n",
    b"PING\r\n",
    b"\r",
    b"\n",
    b"\"",
    b"'",
    b"SET \"a b\" 'c'\r\n",
    b"\"unbalanced\r\n",
    b"\x00",
    b"\xff\xfe",
    b"GET / HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n",
    b"*1\r\n$4\r\nQUIT\r\n",
    b"*1000000\r\n$1\r\na\r\n",
    b":1\r\n",
    b"+OK\r\n",
    b"%1\r\n",
    b"~1\r\n",
    b"|1\r\n",
];

/// What fills a snapshot with every kind of value, a request a line. Nothing expires: a spoilt time may be over, and what
/// has expired is in the one digest and not in the next.
static CONTENT: &str = "\
    SET int 12345\n\
    SET text some-words-of-more-than-forty-four-bytes-which-are-held-apart\n\
    RPUSH list a 1 b 2\n\
    SADD intset 1 2 70000\n\
    SADD set a b 3\n\
    HSET hash field value other 7\n\
    ZADD zset 1 a 2.5 b\n\
    XADD stream 1-1 field value\n\
    XADD stream 2-1 field value other 7\n\
    XADD stream 3-1 field value\n\
    XDEL stream 2-1\n\
    XGROUP CREATE stream group 0\n\
    XREADGROUP GROUP group consumer STREAMS stream >\n\
    CONFIG SET hash-max-listpack-entries 1 set-max-listpack-entries 1 zset-max-listpack-entries 1\n\
    SADD table a b 3\n\
    HSET big-hash field value other 7\n\
    ZADD big-zset 1 a 2.5 b\n\
    SAVE";

/// A snapshot without a checksum.
fn snapshot() -> Vec<u8> {
    let server = Server::start(OURS, &["--rdbchecksum", "no"]);
    let mut client = server.client();
    for line in CONTENT.lines() {
        let reply = client.words(line.trim());
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
    }
    std::fs::read(server.dir.path().join("dump.rdb")).expect("it has been saved")
}

/// Changes some bytes behind the version.
fn spoil(snapshot: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = snapshot.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(9..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, rng.random()),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

/// Plays the primary of a replica up to the snapshot.
fn shake_hands(stream: TcpStream, snapshot_bytes: usize) -> std::io::Result<Client> {
    let mut replica = Client::over(stream)?;
    loop {
        let request = replica.read()?;
        match request.items()[0].text().as_str() {
            "PING" => replica.send(b"+PONG\r\n")?,
            "PSYNC" => break,
            _ => replica.send(b"+OK\r\n")?,
        }
    }
    let reply = format!("+FULLRESYNC {} 0\r\n${snapshot_bytes}\r\n", "a".repeat(40));
    replica.send(reply.as_bytes())?;
    Ok(replica)
}

/// Gives the next replica that connects a snapshot. True when it was taken.
fn synchronise(listener: &TcpListener, snapshot: &[u8]) -> bool {
    // Some hang up at once: they were told to be no replica.
    let mut replica = loop {
        let (stream, _) = listener.accept().expect("a replica connects");
        if let Ok(replica) = shake_hands(stream, snapshot.len()) {
            break replica;
        }
    };
    // It tells of its offset once it has loaded, and hangs up when it cannot.
    replica.send(snapshot).is_ok() && replica.read().is_ok()
}

fn bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.random_range(1..12) {
        match rng.random_range(0..8) {
            0 => out.extend_from_slice(PIECES.choose(rng).expect("there is one")),
            1 => out.extend((0..rng.random_range(0..64)).map(|_| rng.random::<u8>())),
            _ => encode(&mut out, TRAFFIC.choose(rng).expect("there is one")),
        }
    }
    for _ in 0..rng.random_range(0..3) {
        let at = rng.random_range(0..out.len().max(1));
        match rng.random_range(0..4) {
            0 if at < out.len() => out[at] ^= 1 << rng.random_range(0..8),
            1 if at < out.len() => drop(out.remove(at)),
            2 => out.insert(at.min(out.len()), rng.random()),
            _ => out.truncate(at),
        }
    }
    out
}

/// One strange connection: its bytes in pieces, then half a goodbye, a whole one, or none.
fn visit(port: u16, rng: &mut StdRng) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    // The server may have had enough at any point: errors are part of the game.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(2)));
    let mut rest = &bytes(rng)[..];
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rng.random_range(1..=rest.len()));
        if stream.write_all(head).is_err() {
            return;
        }
        rest = tail;
    }
    if rng.random() {
        let _ = stream.shutdown(if rng.random() {
            Shutdown::Write
        } else {
            Shutdown::Read
        });
    }
    if rng.random_ratio(1, 4) {
        let _ = stream.read(&mut [0; 1 << 12]);
    }
}

/// Asks PING again and again on a connection until `done`; returns the longest wait, less what the machine
/// itself made this thread wait for a millisecond.
fn watch(mut client: Client, done: &AtomicBool) -> Duration {
    let (mut longest, mut stalled) = (Duration::ZERO, Duration::ZERO);
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        assert_eq!(client.words("PING").text(), "PONG");
        longest = longest.max(start.elapsed());
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        stalled = stalled.max(start.elapsed());
    }
    longest.saturating_sub(stalled)
}

fn check_afterwards(server: &Server, client: &mut Client, before: (u64, usize)) {
    wait_for("the guests' leaving", || {
        client.info("clients", "connected_clients") == "1"
    });
    assert_eq!(
        client.info("stats", "panics_caught"),
        "0",
        "{}",
        server.log()
    );
    let (resident, descriptors) = before;
    wait_for("memory and descriptors coming back", || {
        client.words("MEMORY PURGE");
        server.resident_bytes() <= resident + LEFT_BYTES_MAX && server.descriptors() <= descriptors
    });
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn strange_bytes_hurt_nobody_else() {
    let seed = setting("HOSTILE_SEED", rand::random::<u32>().into());
    let connections = setting("HOSTILE_CONNECTIONS", CONNECTIONS);
    println!("HOSTILE_SEED={seed} HOSTILE_CONNECTIONS={connections}");
    let server = Server::start(OURS, &["--maxmemory", "512mb"]);
    let mut client = server.client();
    wait_for("a quiet start", || {
        client.info("clients", "connected_clients") == "1"
    });
    let before = (server.resident_bytes(), server.descriptors());
    let done = AtomicBool::new(false);
    let looker_on = server.client();
    let longest = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(looker_on, &done));
        let visitors: Vec<_> = (0..4)
            .map(|number| {
                let port = server.port;
                scope.spawn(move || {
                    let mut rng = StdRng::seed_from_u64(seed + number);
                    (0..connections / 4).for_each(|_| visit(port, &mut rng));
                })
            })
            .collect();
        for visitor in visitors {
            visitor.join().expect("visitors do not panic");
        }
        done.store(true, Ordering::Relaxed);
        watcher.join().expect("PING is answered")
    });
    println!("longest PING: {longest:?}");
    assert!(longest < PING_MAX);
    check_afterwards(&server, &mut client, before);
}

#[test]
fn strangers_without_a_password_get_nowhere() {
    let server = Server::start(OURS, &["--requirepass", "secret"]);
    let mut client = server.client();
    client.words("AUTH secret");
    wait_for("a quiet start", || {
        client.info("clients", "connected_clients") == "1"
    });
    let before = (server.resident_bytes(), server.descriptors());
    let done = AtomicBool::new(false);
    // Connected ahead of the crowd: a queue of connections that is full makes the kernel try again in seconds.
    let mut looker_on = server.client();
    looker_on.words("AUTH secret");
    let longest = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(looker_on, &done));
        let mut strangers = Vec::new();
        for number in 0..STRANGERS {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", server.port)) else {
                break;
            };
            // Promises of much, to be kept by nobody; and errors that pile up unread.
            let bytes: Vec<u8> = match number % 4 {
                0 => b"*1000000\r\n$1000000\r\n".to_vec(),
                1 => b"*2\r\n$3\r\nGET\r\n$16384\r\nxxxxxxx".to_vec(),
                2 => b"GET a\r\n".repeat(200),
                _ => vec![b'x'; 60_000],
            };
            // The server may close at once.
            let _ = stream.write_all(&bytes);
            strangers.push(stream);
        }
        println!(
            "{} strangers, {} bytes more",
            strangers.len(),
            server.resident_bytes().saturating_sub(before.0)
        );
        assert!(strangers.len() > STRANGERS / 2, "most could connect");
        assert!(
            server.resident_bytes() < before.0 + (256 << 20),
            "strangers cost little"
        );
        drop(strangers);
        done.store(true, Ordering::Relaxed);
        watcher.join().expect("PING is answered")
    });
    println!("longest PING: {longest:?}");
    assert!(longest < PING_MAX);
    check_afterwards(&server, &mut client, before);
}

#[test]
fn a_spoilt_snapshot_is_refused_or_makes_sound_data() {
    let seed = setting("HOSTILE_SEED", rand::random::<u32>().into());
    let snapshots = setting("HOSTILE_SNAPSHOTS", SNAPSHOTS);
    println!("HOSTILE_SEED={seed} HOSTILE_SNAPSHOTS={snapshots}");
    let mut rng = StdRng::seed_from_u64(seed);
    let snapshot = snapshot();
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let replica = Server::start(OURS, &["--enable-debug-command", "yes"]);
    let mut client = replica.client();
    let before = (replica.resident_bytes(), replica.descriptors());
    let mut taken = 0;
    for number in 0..snapshots {
        let sink = ["disabled", "swapdb"][rng.random_range(0..2)];
        client.words(&format!("CONFIG SET repl-diskless-load {sink}"));
        // The first one is as it should be.
        let payload = if number == 0 {
            snapshot.clone()
        } else {
            spoil(&snapshot, &mut rng)
        };
        client.words(&format!("REPLICAOF 127.0.0.1 {port}"));
        let sound = synchronise(&listener, &payload);
        assert!(sound || number > 0, "{}", replica.log());
        client.words("REPLICAOF NO ONE");
        if sound {
            taken += 1;
            let digest = client.words("DEBUG DIGEST");
            let case = payload.escape_ascii();
            assert_eq!(client.words("DEBUG RELOAD").text(), "OK", "{case}");
            assert_eq!(client.words("DEBUG DIGEST"), digest, "{case}");
        }
    }
    println!("{taken} of {snapshots} were taken");
    client.words("FLUSHALL");
    check_afterwards(
        &replica,
        &mut client,
        (before.0, before.1 + LINK_DESCRIPTORS),
    );
}
