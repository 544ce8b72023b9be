//! `kill -9` under write load: what was acknowledged is there after the restart, what was never sent is not, and nothing is
//! half done.
//!
//! Each writer has keys of its own and knows what it has sent and what it was told. A round starts the server on what the
//! former rounds have left, lets the writers write, kills the process at some moment, starts it again and compares. The
//! reference can be asked to read what is left as well.
//!
//! `DURABILITY_ROUNDS` is the number of kills of each kind (default 2), `DURABILITY_SERVER` another binary to be killed,
//! `DURABILITY_SEED` decides about the moments.

#![allow(
    clippy::disallowed_methods,
    reason = "the moment of a kill is a matter of the real clock"
)]

mod common;

use common::{Client, OURS, PATIENCE, Reply, Server, setting};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Writers of a round.
const WRITERS: usize = 6;
/// Requests that a writer sends ahead of the replies.
const PIPELINE: u64 = 8;
/// The last kill comes at most so many milliseconds after the first write.
const LIFE_MS_MAX: u64 = 400;

/// How often, and for how long, a start is waited for.
const START_TRIES: usize = 3;
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// What a writer knows of its keys.
#[derive(Clone, Copy, Debug, Default)]
struct Knowledge {
    sent: u64,
    acknowledged: u64,
}

/// What goes on beside the writers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    Rewrites,
    Snapshots,
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// One step of writer `number`: its counter, list and pair go from `n - 1` to `n`.
///
/// The counter and the list in one command each, the pair in a transaction.
fn step(number: usize, n: u64) -> Vec<u8> {
    let n = n.to_string();
    let mut bytes = Vec::new();
    let mut add = |args: &[&str]| {
        bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            bytes.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
        }
    };
    add(&["INCR", &format!("counter:{number}")]);
    add(&["RPUSH", &format!("list:{number}"), &n]);
    add(&["MULTI"]);
    add(&["SET", &format!("first:{number}"), &n]);
    add(&["SELECT", "1"]);
    add(&["SET", &format!("second:{number}"), &n]);
    add(&["SELECT", "0"]);
    add(&["EXEC"]);
    bytes
}

/// Replies of one step.
const REPLIES: usize = 8;

/// Writes until the connection breaks; what it knows then.
fn write(port: u16, number: usize, from: u64) -> Knowledge {
    let mut known = Knowledge {
        sent: from,
        acknowledged: from,
    };
    let Ok(mut client) = Client::connect(port) else {
        return known;
    };
    let pipeline = if number.is_multiple_of(2) {
        PIPELINE
    } else {
        1
    };
    loop {
        let mut bytes = Vec::new();
        for _ in 0..pipeline {
            known.sent += 1;
            bytes.extend_from_slice(&step(number, known.sent));
        }
        if client.send(&bytes).is_err() {
            return known;
        }
        for _ in 0..pipeline {
            for reply in 0..REPLIES {
                match client.read() {
                    Ok(Reply::Error(text)) => {
                        panic!("writer {number}: {}", String::from_utf8_lossy(&text))
                    }
                    Ok(Reply::Int(n)) if reply < 2 => {
                        assert_eq!(n.unsigned_abs(), known.acknowledged + 1);
                    }
                    Ok(_) => {}
                    Err(_) => return known,
                }
            }
            known.acknowledged += 1;
        }
    }
}

fn number(reply: &Reply) -> u64 {
    match reply {
        Reply::Null(_) => 0,
        reply => reply.text().parse().expect("a number"),
    }
}

/// Compares what is there with what a writer knows; where it goes on.
fn check(client: &mut Client, writer: usize, known: Knowledge, what: &str) -> u64 {
    let counter = number(&client.words(&format!("GET counter:{writer}")));
    let list = client.words(&format!("LRANGE list:{writer} 0 -1"));
    let list: Vec<u64> = list.items().iter().map(number).collect();
    let first = number(&client.words(&format!("GET first:{writer}")));
    client.words("SELECT 1");
    let second = number(&client.words(&format!("GET second:{writer}")));
    client.words("SELECT 0");
    let found = format!(
        "{what}, writer {writer}: {known:?}, found {counter} {} {first} {second}",
        list.len()
    );
    let range = known.acknowledged..=known.sent;
    for there in [counter, list.len() as u64, first] {
        assert!(range.contains(&there), "{found}");
    }
    assert_eq!(first, second, "torn: {found}");
    assert!(list.iter().copied().eq(1..=list.len() as u64), "{found}");
    // In order: the counter comes first, the pair last, one step at a time.
    assert!(
        counter >= list.len() as u64 && list.len() as u64 >= first,
        "{found}"
    );
    assert!(counter - first <= 1, "{found}");
    // Whatever was half way is completed, so that all are the same again.
    if first < counter {
        if (list.len() as u64) < counter {
            client.words(&format!("RPUSH list:{writer} {counter}"));
        }
        client.words(&format!("SET first:{writer} {counter}"));
        client.words("SELECT 1");
        client.words(&format!("SET second:{writer} {counter}"));
        client.words("SELECT 0");
    }
    counter
}

fn binary() -> String {
    std::env::var("DURABILITY_SERVER").unwrap_or_else(|_| OURS.to_owned())
}

fn start(dir: &Path, policy: &str, more: &[&str]) -> Server {
    let dir = dir.to_string_lossy().into_owned();
    let mut options = vec![
        "--dir",
        &dir,
        "--appendonly",
        "yes",
        "--appendfsync",
        policy,
    ];
    options.extend_from_slice(more);
    // Somebody else may have taken the port in the meantime; a log that is refused is refused again.
    for _ in 0..START_TRIES {
        let empty = TempDir::new().expect("a folder can be made");
        let mut server = Server::spawn(&binary(), empty, &options);
        let started = Instant::now();
        while started.elapsed() < START_TIME_MAX {
            let answer =
                Client::connect(server.port).and_then(|mut client| client.call(&[b"PING"]));
            if matches!(answer, Ok(Reply::Simple(_))) {
                return server;
            }
            if server.child.try_wait().expect("it is our child").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let log = std::fs::read_to_string(Path::new(&dir).join("log")).unwrap_or_default();
    panic!("the server does not start:\n{log}");
}

/// Has children write the dataset, again and again, until told to stop or the server is gone.
fn disturb(port: u16, command: &'static [u8], stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let Ok(mut client) = Client::connect(port) else {
            return 0;
        };
        let mut begun = 0;
        while !stop.load(Ordering::Relaxed) {
            match client.call(&[command]) {
                Ok(Reply::Simple(_)) => begun += 1,
                Ok(_) => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => break,
            }
        }
        begun
    })
}

fn rounds(policy: &str, beside: Beside, more: &[&str]) {
    let dir = TempDir::new().expect("a folder can be made");
    let mut seed = setting("DURABILITY_SEED", 1) | 1;
    let mut from = [0; WRITERS];
    for round in 0..setting("DURABILITY_ROUNDS", 2) {
        let what = format!("{policy}, beside {beside:?}, round {round}");
        let mut server = start(dir.path(), policy, more);
        let port = server.port;
        let stop = Arc::new(AtomicBool::new(false));
        let disturbing = match beside {
            Beside::Nothing => None,
            Beside::Rewrites => Some(disturb(port, b"BGREWRITEAOF", &stop)),
            Beside::Snapshots => Some(disturb(port, b"BGSAVE", &stop)),
        };
        let writers: Vec<JoinHandle<Knowledge>> = (0..WRITERS)
            .map(|writer| {
                let from = from[writer];
                std::thread::spawn(move || write(port, writer, from))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(5 + random(&mut seed) % LIFE_MS_MAX));
        server.child.kill().expect("it is our child");
        server.wait_exit();
        stop.store(true, Ordering::Relaxed);
        let known: Vec<Knowledge> = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect();
        disturbing.map(|thread| thread.join().expect("it ends"));
        drop(server);
        let again = start(dir.path(), policy, more);
        let mut client = again.client();
        for (writer, known) in known.into_iter().enumerate() {
            from[writer] = check(&mut client, writer, known, &what);
        }
        assert_eq!(client.info("stats", "panics_caught"), "0", "{what}");
    }
    assert!(
        from.iter().sum::<u64>() > 0,
        "somebody has written something"
    );
    assert!(PATIENCE > Duration::from_millis(LIFE_MS_MAX));
}

#[test]
fn nothing_is_lost_with_everysec() {
    rounds("everysec", Beside::Nothing, &[]);
}

#[test]
fn nothing_is_lost_with_always() {
    rounds("always", Beside::Nothing, &[]);
}

#[test]
fn nothing_is_lost_without_syncs_and_with_more_threads() {
    rounds("no", Beside::Nothing, &["--io-threads", "3"]);
}

#[test]
fn nothing_is_lost_beside_rewrites() {
    rounds("everysec", Beside::Rewrites, &[]);
}

#[test]
fn nothing_is_lost_beside_rewrites_as_commands() {
    rounds(
        "always",
        Beside::Rewrites,
        &["--aof-use-rdb-preamble", "no", "--io-threads", "2"],
    );
}

#[test]
fn nothing_is_lost_beside_snapshots() {
    rounds("everysec", Beside::Snapshots, &[]);
}
