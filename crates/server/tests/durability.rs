//! `kill -9` under write load: what was acknowledged is there after the restart, what was never sent is not, and nothing is
//! half done.
//!
//! Each writer has keys of its own and knows what it has sent and what it was told. A round starts the server on what the
//! former rounds have left, lets the writers write, kills the process at some moment, starts it again and compares. So it is
//! with one server alone, and with either of two amid a synchronisation, or behind a promotion.
//!
//! `DURABILITY_ROUNDS` is the number of kills of each kind (default 2), `DURABILITY_SERVER` another binary to be killed,
//! `DURABILITY_SEED` decides about the moments.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the moment of a kill is a matter of the real clock, and how many met a synchronisation is told"
)]

mod common;

use common::{Client, OURS, PATIENCE, Reply, Server, setting, wait_for};
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

/// How far a writer's keys have come.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    counter: u64,
    list: u64,
    first: u64,
}

impl Found {
    /// Each of the keys is somewhere in between.
    fn is_within(self, least: u64, most: u64) -> bool {
        let range = least..=most;
        [self.counter, self.list, self.first]
            .iter()
            .all(|there| range.contains(there))
    }
}

/// What is there of a writer's keys; nothing is torn, and everything came in order.
fn look(client: &mut Client, writer: usize, what: &str) -> Found {
    let counter = number(&client.words(&format!("GET counter:{writer}")));
    let list = client.words(&format!("LRANGE list:{writer} 0 -1"));
    let list: Vec<u64> = list.items().iter().map(number).collect();
    let first = number(&client.words(&format!("GET first:{writer}")));
    client.words("SELECT 1");
    let second = number(&client.words(&format!("GET second:{writer}")));
    client.words("SELECT 0");
    let found = Found {
        counter,
        list: list.len() as u64,
        first,
    };
    assert_eq!(
        first, second,
        "torn: {what}, writer {writer}: {found:?}, {second}"
    );
    assert!(
        list.iter().copied().eq(1..=found.list),
        "{what}, writer {writer}: {list:?}"
    );
    // The counter comes first, the pair last, one step at a time.
    assert!(
        counter >= found.list && found.list >= first && counter - first <= 1,
        "{what}, writer {writer}: {found:?}"
    );
    found
}

/// Compares what is there with what a writer knows; where it goes on.
fn check(client: &mut Client, writer: usize, known: Knowledge, what: &str) -> u64 {
    let found = look(client, writer, what);
    assert!(
        found.is_within(known.acknowledged, known.sent),
        "{what}, writer {writer}: {known:?}, {found:?}"
    );
    let counter = found.counter;
    // Whatever was half way is completed, so that all are the same again.
    if found.first < counter {
        if found.list < counter {
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

/// Starts writers with these numbers, each where it goes on.
fn begin_writing(
    port: u16,
    numbers: std::ops::Range<usize>,
    from: &[u64; WRITERS],
) -> Vec<JoinHandle<Knowledge>> {
    let begin = |number: usize| {
        let from = from[number];
        std::thread::spawn(move || write(port, number, from))
    };
    numbers.map(begin).collect()
}

/// What the writers know when their connections are gone.
fn end_writing(writers: Vec<JoinHandle<Knowledge>>) -> Vec<Knowledge> {
    let ended = writers.into_iter().map(JoinHandle::join);
    ended.map(|known| known.expect("a writer")).collect()
}

/// Lets some time pass, which nobody can foresee.
fn live(seed: &mut u64) {
    std::thread::sleep(Duration::from_millis(5 + random(seed) % LIFE_MS_MAX));
}

fn kill(server: &mut Server) {
    server.child.kill().expect("it is our child");
    server.wait_exit();
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
        let writers = begin_writing(port, 0..WRITERS, &from);
        live(&mut seed);
        kill(&mut server);
        stop.store(true, Ordering::Relaxed);
        let known = end_writing(writers);
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

/// Has snapshots and loads take long enough that many a kill meets them: microseconds for each key.
const SLOWLY: [&str; 6] = [
    "--repl-diskless-sync-delay",
    "0",
    "--rdb-key-save-delay",
    "4000",
    "--key-load-delay",
    "4000",
];

/// Two servers, each with a log.
struct Pair {
    dirs: [TempDir; 2],
    policy: &'static str,
}

impl Pair {
    fn new(policy: &'static str) -> Self {
        let dir = || TempDir::new().expect("a folder can be made");
        Pair {
            dirs: [dir(), dir()],
            policy,
        }
    }

    /// Starts the one or the other on what it has left, as a primary.
    fn start(&self, which: usize) -> Server {
        start(self.dirs[which].path(), self.policy, &SLOWLY)
    }
}

fn follow(replica: &Server, primary: &Server) {
    let port = primary.port;
    let reply = replica
        .client()
        .words(&format!("REPLICAOF 127.0.0.1 {port}"));
    assert_eq!(reply.text(), "OK");
}

/// Waits until the synchronisation is over and the log has begun anew.
fn wait_for_log_of(replica: &Server) {
    wait_for("a replica with a log", || {
        let mut client = replica.client();
        client.info("replication", "master_link_status") == "up"
            && client.info("persistence", "aof_enabled") == "1"
            && client.info("persistence", "aof_rewrite_in_progress") == "0"
            && client.info("persistence", "aof_rewrite_scheduled") == "0"
    });
}

fn is_syncing(replica: &Server) -> bool {
    let mut client = replica.client();
    client.info("replication", "master_sync_in_progress") == "1"
}

/// Waits until it has run everything.
fn wait_for_stream_of(replica: &Server, primary: &Server) {
    wait_for("the end of the stream", || {
        let sent = primary.client().info("replication", "master_repl_offset");
        replica.client().info("replication", "slave_repl_offset") == sent
    });
}

/// Ends the connections of all writers; what they know.
fn stop_writers(server: &Server, writers: Vec<JoinHandle<Knowledge>>) -> Vec<Knowledge> {
    let mut client = server.client();
    wait_for("the end of the writers", || {
        // Again for those that connect only now.
        client.words("CLIENT KILL TYPE normal");
        writers.iter().all(JoinHandle::is_finished)
    });
    end_writing(writers)
}

/// The primary is killed while a replica synchronises: it has everything acknowledged; the replica has something whole.
#[test]
fn nothing_is_lost_when_a_primary_dies_in_a_synchronisation() {
    let pair = Pair::new("everysec");
    let mut seed = setting("DURABILITY_SEED", 1) | 1;
    let (mut from, mut amid) = ([0; WRITERS], 0);
    let rounds = setting("DURABILITY_ROUNDS", 2);
    for round in 0..rounds {
        let what = format!("primary killed, round {round}");
        let (mut primary, mut replica) = (pair.start(0), pair.start(1));
        let writers = begin_writing(primary.port, 0..WRITERS, &from);
        follow(&replica, &primary);
        live(&mut seed);
        amid += u64::from(is_syncing(&replica));
        kill(&mut primary);
        kill(&mut replica);
        let known = end_writing(writers);
        let (primary, replica) = (pair.start(0), pair.start(1));
        for (writer, known) in known.into_iter().enumerate() {
            let found = look(&mut replica.client(), writer, &what);
            assert!(found.is_within(0, known.sent), "{what}: {found:?}");
            from[writer] = check(&mut primary.client(), writer, known, &what);
        }
    }
    println!("{amid} of {rounds} kills amid a synchronisation");
    assert!(from.iter().sum::<u64>() > 0, "somebody has written");
}

/// A replica is killed while it synchronises: started from its log it has what it had before or more, and what it has is
/// whole; synchronised again it has everything.
#[test]
fn nothing_is_lost_when_a_replica_dies_in_a_synchronisation() {
    let pair = Pair::new("everysec");
    let mut seed = setting("DURABILITY_SEED", 1) | 1;
    let (mut from, mut amid) = ([0; WRITERS], 0);
    let rounds = setting("DURABILITY_ROUNDS", 2);
    let primary = pair.start(0);
    for round in 0..rounds {
        let what = format!("replica killed, round {round}");
        let mut replica = pair.start(1);
        let writers = begin_writing(primary.port, 0..WRITERS, &from);
        follow(&replica, &primary);
        live(&mut seed);
        amid += u64::from(is_syncing(&replica));
        kill(&mut replica);
        let replica = pair.start(1);
        let known = stop_writers(&primary, writers);
        for (writer, known) in known.into_iter().enumerate() {
            let found = look(&mut replica.client(), writer, &what);
            let least = from[writer];
            assert!(
                found.is_within(least, known.sent),
                "{what}, writer {writer}: {least}, {known:?}, {found:?}"
            );
            from[writer] = check(&mut primary.client(), writer, known, &what);
        }
        follow(&replica, &primary);
        wait_for_log_of(&replica);
        wait_for_stream_of(&replica, &primary);
        for (writer, &from) in from.iter().enumerate() {
            let found = look(&mut replica.client(), writer, &what);
            assert!(found.is_within(from, from), "{what}: {from}, {found:?}");
        }
    }
    println!("{amid} of {rounds} kills amid a synchronisation");
    assert!(from.iter().sum::<u64>() > 0, "somebody has written");
}

/// A replica becomes a primary in the midst of its stream, is written to, and is killed: it has what it has acknowledged,
/// and what came from the former primary is whole.
#[test]
fn nothing_is_lost_when_a_promoted_replica_dies() {
    const STAY: usize = WRITERS / 2;
    let pair = Pair::new("everysec");
    let mut seed = setting("DURABILITY_SEED", 1) | 1;
    let (mut from, mut written) = ([0; WRITERS], 0);
    let rounds = setting("DURABILITY_ROUNDS", 2);
    let primary = pair.start(0);
    for round in 0..rounds {
        let what = format!("promoted and killed, round {round}");
        let mut replica = pair.start(1);
        follow(&replica, &primary);
        wait_for_log_of(&replica);
        let staying = begin_writing(primary.port, 0..STAY, &from);
        live(&mut seed);
        let mut client = replica.client();
        assert_eq!(client.words("REPLICAOF NO ONE").text(), "OK");
        // The primary knows nothing of their keys.
        let moving = begin_writing(replica.port, STAY..WRITERS, &[0; WRITERS]);
        live(&mut seed);
        kill(&mut replica);
        let moved = end_writing(moving);
        let stayed = stop_writers(&primary, staying);
        let restarted = pair.start(1);
        let mut again = restarted.client();
        for (writer, known) in stayed.into_iter().enumerate() {
            let found = look(&mut again, writer, &what);
            let least = from[writer];
            assert!(
                found.is_within(least, known.sent),
                "{what}, writer {writer}: {least}, {known:?}, {found:?}"
            );
            from[writer] = check(&mut primary.client(), writer, known, &what);
        }
        for (writer, known) in (STAY..WRITERS).zip(moved) {
            written += check(&mut again, writer, known, &what);
        }
    }
    assert!(written > 0, "somebody has written behind the promotion");
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

/// Bytes that a file may have while the disk is said to be full.
const FILE_BYTES_MAX: u64 = 50_000;
/// Bytes of a value, so that the limit is met amid one.
const VALUE_BYTES: usize = 997;

/// No file of the server grows beyond so many bytes; "unlimited" ends that.
fn limit_files(server: &Server, bytes: &str) {
    let status = std::process::Command::new("prlimit")
        .args(["--pid", &server.child.id().to_string()])
        .arg(format!("--fsize={bytes}:"))
        .status()
        .expect("prlimit exists");
    assert!(status.success());
}

fn set(client: &mut Client, n: u64) -> std::io::Result<Reply> {
    let value = n.to_string().repeat(VALUE_BYTES);
    let value = &value.as_bytes()[..VALUE_BYTES];
    client.call(&[b"SET", format!("key:{n}").as_bytes(), value])
}

/// Sets one key after the other until that does not go any more: how many were acknowledged, and the end.
fn fill(server: &Server) -> (u64, std::io::Result<Reply>) {
    limit_files(server, &FILE_BYTES_MAX.to_string());
    let mut client = server.client();
    for n in 0..FILE_BYTES_MAX {
        match set(&mut client, n) {
            Ok(Reply::Simple(_)) => {}
            other => return (n, other),
        }
    }
    panic!("the limit has no effect");
}

/// All of them are there, and nothing that was refused before the last start.
fn assert_there(dir: &Path, policy: &str, count: u64) {
    let server = start(dir, policy, &[]);
    let mut client = server.client();
    for n in 0..count {
        let value = client.words(&format!("GET key:{n}")).text();
        let wanted = n.to_string().repeat(VALUE_BYTES);
        assert!(value == wanted[..VALUE_BYTES], "key:{n} of {count}");
    }
    let there = client.words("DBSIZE");
    let possible = [count, count + 1].map(|keys| Reply::Int(keys.cast_signed()));
    assert!(possible.contains(&there), "{there:?} of {count}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Kill,
    Shutdown,
    Room,
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_and_loses_nothing() {
    for ending in [Ending::Kill, Ending::Shutdown, Ending::Room] {
        let dir = TempDir::new().expect("a folder can be made");
        let mut server = start(dir.path(), "everysec", &[]);
        let (mut count, end) = fill(&server);
        // So it is called when only a part has been taken.
        let refusal = "MISCONF Errors writing to the AOF file: No space left on device";
        let Ok(Reply::Error(text)) = end else {
            panic!("{ending:?}: {end:?}");
        };
        assert_eq!(String::from_utf8_lossy(&text), refusal);
        let mut client = server.client();
        for refused in ["SET other 1", "PING"] {
            assert_eq!(client.words(refused).text(), refusal, "{ending:?}");
        }
        assert_eq!(client.info("persistence", "aof_last_write_status"), "err");
        let value = client.words("GET key:0").text();
        assert_eq!(value.len(), VALUE_BYTES, "reads go on");
        match ending {
            Ending::Kill => kill(&mut server),
            Ending::Shutdown => {
                // What cannot be written was not acknowledged.
                client
                    .send(b"SHUTDOWN NOSAVE\r\n")
                    .expect("it is connected");
                assert!(server.wait_exit().success());
            }
            Ending::Room => {
                limit_files(&server, "unlimited");
                wait_for("a write", || {
                    let again = set(&mut client, count);
                    matches!(again, Ok(Reply::Simple(_)))
                });
                assert_eq!(client.info("persistence", "aof_last_write_status"), "ok");
                count += 1;
                kill(&mut server);
            }
        }
        drop(server);
        assert_there(dir.path(), "everysec", count);
    }
}

#[test]
fn with_always_a_full_disk_ends_the_process_and_loses_nothing() {
    let dir = TempDir::new().expect("a folder can be made");
    let mut server = start(dir.path(), "always", &[]);
    let (count, end) = fill(&server);
    assert!(end.is_err(), "answered: {end:?}");
    assert_eq!(server.wait_exit().code(), Some(1));
    drop(server);
    assert_there(dir.path(), "always", count);
}
