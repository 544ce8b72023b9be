//! The same random requests to our binary and to the reference binary: replies and data must agree.
//!
//! `DIFF_SEED` repeats a run, `DIFF_COMMANDS` sets its length (0: ten seconds' worth), `DIFF_ONLY` takes only templates
//! that contain a text. Without `valkey-server` on the PATH there is nothing to compare with, and the test says so.
//!
//! A run is made of rounds. A round starts with an empty server, sends requests over three connections (one of them
//! RESP3), and ends with a comparison of all data. The first difference ends the round; differences are reported
//! together at the end, one per command, each with the requests that lead there.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped parts are printed, and waiting for another process takes the real clock"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "differential/grammar.rs"]
mod grammar;

use common::{Client, OURS, Reply, Server, encode, setting};
use grammar::{TEMPLATES, Words, Writer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The binary that is right.
const REFERENCE: &str = "valkey-server";
/// Requests of a round.
const ROUND: u64 = 400;
/// How long the run takes when no length is asked for.
const SMOKE: Duration = Duration::from_secs(10);
/// Databases that are used.
const DATABASES: u32 = 3;
/// Integers above are times, in milliseconds.
const SINCE_1970_MS: i64 = 1_000_000_000_000;
/// Seconds that may lie between the same request on the one side and on the other.
const TIME_SLACK: i64 = 5;
/// Differing commands after which there is enough to do.
const REPORTS_MAX: usize = 25;

/// One side: a server and three connections to it.
struct Side {
    server: Server,
    clients: Vec<Client>,
}

impl Side {
    fn start(binary: &str) -> Side {
        // Compressed payloads of DUMP differ: there are many ways to compress.
        let server = Server::start(
            binary,
            &[
                "--enable-debug-command",
                "yes",
                "--databases",
                "16",
                "--rdbcompression",
                "no",
            ],
        );
        let mut side = Side {
            server,
            clients: Vec::new(),
        };
        side.connect();
        side
    }

    fn connect(&mut self) {
        self.clients = (0..3).map(|_| self.server.client()).collect();
        let hello = self.clients[2].words("HELLO 3");
        assert!(matches!(hello, Reply::Many('%', _)), "{hello:?}");
    }

    fn call(&mut self, line: &str) -> Reply {
        self.clients[0].words(line)
    }
}

/// How replies of a command are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    /// Byte for byte.
    Same,
    /// Items in any order.
    Unordered,
    /// Only kinds and counts.
    Shape,
    /// Numbers of seconds or milliseconds that may differ by what the clock did.
    Time(i64),
    /// Byte for byte, but for times, and for a group's lag below zero, which is the reference's alone: see
    /// `docs/differences.md`.
    Lags,
    /// Byte for byte, but for the third item of each array, which is a time.
    Pending,
}

fn look(words: &Words) -> Look {
    let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
    match name.as_str() {
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "HKEYS" | "HVALS" | "HGETALL" | "KEYS"
        | "SCAN" | "SSCAN" | "HSCAN" | "ZSCAN" | "CONFIG" | "SPOP" | "SORT" => Look::Unordered,
        // DUMP: sets have an order of their own, and long texts are compressed as each side likes.
        "SRANDMEMBER" | "HRANDFIELD" | "ZRANDMEMBER" | "RANDOMKEY" | "DUMP" => Look::Shape,
        "TTL" | "EXPIRETIME" => Look::Time(TIME_SLACK),
        "PTTL" | "PEXPIRETIME" => Look::Time(TIME_SLACK * 1000),
        "XINFO" => Look::Lags,
        "XPENDING" => Look::Pending,
        _ => Look::Same,
    }
}

fn agree(look: Look, ours: &Reply, theirs: &Reply) -> bool {
    match (look, ours, theirs) {
        (_, Reply::Error(_), _) | (_, _, Reply::Error(_)) => ours == theirs,
        (Look::Same, Reply::Many(sign, items), Reply::Many(other, others)) => {
            sign == other
                && items.len() == others.len()
                && items.iter().zip(others).all(|(a, b)| agree(look, a, b))
        }
        (Look::Same, ..) => ours == theirs || both_hold_lists(ours, theirs),
        (Look::Lags, Reply::Many(sign, items), Reply::Many(other, others)) => {
            // A group that has read more entries than were ever added.
            let ahead = others
                .windows(2)
                .any(|two| *two[0].text() == *"lag" && matches!(two[1], Reply::Int(..0)));
            sign == other
                && items.len() == others.len()
                && (0..items.len()).all(|at| {
                    let name = others[at.max(1) - 1].text();
                    match (&items[at], &others[at]) {
                        (_, Reply::Int(..0)) if *name == *"lag" => true,
                        (Reply::Int(_), Reply::Int(_)) if *name == *"entries-read" && ahead => true,
                        (Reply::Int(ours), Reply::Int(theirs))
                            if matches!(&*name, "idle" | "inactive") =>
                        {
                            ours.abs_diff(*theirs) <= TIME_SLACK.unsigned_abs() * 1000
                        }
                        (ours, theirs) => agree(look, ours, theirs),
                    }
                })
        }
        (Look::Lags, Reply::Int(ours), Reply::Int(theirs)) if *theirs > SINCE_1970_MS => {
            ours.abs_diff(*theirs) <= TIME_SLACK.unsigned_abs() * 1000
        }
        (Look::Lags, ..) => ours == theirs,
        // An id, a consumer, the milliseconds since the delivery, and the number of deliveries.
        (Look::Pending, Reply::Many(sign, items), Reply::Many(other, others)) => {
            sign == other
                && items.len() == others.len()
                && (0..items.len()).all(|at| match (&items[at], &others[at]) {
                    (Reply::Int(ours), Reply::Int(theirs)) if at == 2 => {
                        ours.abs_diff(*theirs) <= TIME_SLACK.unsigned_abs() * 1000
                    }
                    (ours, theirs) => agree(look, ours, theirs),
                })
        }
        (Look::Pending, ..) => ours == theirs,
        (Look::Unordered, ..) => sorted(ours) == sorted(theirs),
        (Look::Shape, Reply::Many(sign, items), Reply::Many(other, others)) => {
            sign == other
                && items.len() == others.len()
                && items.iter().zip(others).all(|(a, b)| agree(look, a, b))
        }
        (Look::Shape, ..) => std::mem::discriminant(ours) == std::mem::discriminant(theirs),
        (Look::Time(slack), Reply::Int(a), Reply::Int(b)) => {
            a == b || (*a > 0 && *b > 0 && a.abs_diff(*b) <= slack.unsigned_abs())
        }
        (Look::Time(_), ..) => ours == theirs,
    }
}

/// When a list changes its encoding after LSET and LINSERT is deliberately another matter: see `docs/differences.md`.
fn both_hold_lists(ours: &Reply, theirs: &Reply) -> bool {
    [ours, theirs]
        .iter()
        .all(|reply| matches!(&*reply.text(), "listpack" | "quicklist"))
}

fn sorted(reply: &Reply) -> Reply {
    match reply {
        Reply::Many(sign, items) => {
            let mut items: Vec<Reply> = items.iter().map(sorted).collect();
            items.sort();
            Reply::Many(*sign, items)
        }
        other => other.clone(),
    }
}

/// A request that was answered differently.
struct Difference {
    command: String,
    text: String,
}

/// Runs one round; returns the first difference.
fn round(
    seed: u64,
    length: u64,
    templates: &[&str],
    ours: &mut Side,
    theirs: &mut Side,
) -> Option<Difference> {
    let mut rng = StdRng::seed_from_u64(seed);
    let small: bool = rng.random();
    for side in [&mut *ours, &mut *theirs] {
        side.connect();
        side.call("FLUSHALL");
        for what in [
            "hash-max-listpack-entries",
            "set-max-listpack-entries",
            "zset-max-listpack-entries",
        ] {
            let limit = if small { "6" } else { "128" };
            side.call(&format!("CONFIG SET {what} {limit}"));
        }
        let (intset, list) = if small { ("6", "4") } else { ("512", "-2") };
        side.call(&format!(
            "CONFIG SET set-max-intset-entries {intset} list-max-listpack-size {list}"
        ));
        let node = if small { "5" } else { "100" };
        side.call(&format!("CONFIG SET stream-node-max-entries {node}"));
    }
    let mut sent: Vec<(usize, Words)> = Vec::new();
    // What each connection has queued since MULTI.
    let mut queued: Vec<Vec<Look>> = vec![Vec::new(); 3];
    let mut left = length;
    while left > 0 {
        let client = rng.random_range(0..3);
        let batch = rng.random_range(1..=20u64.min(left));
        left -= batch;
        let mut requests: Vec<Words> = Vec::new();
        for _ in 0..batch {
            let template = templates[rng.random_range(0..templates.len())];
            let request = Writer { rng: &mut rng }.request(template);
            // What is left after a random choice is not the same on both sides.
            let gone = request[0].eq_ignore_ascii_case(b"SPOP");
            let key = request.get(1).cloned().unwrap_or_default();
            requests.push(request);
            if gone {
                requests.push(vec![b"DEL".to_vec(), key]);
            }
        }
        let mut bytes = Vec::new();
        for request in &requests {
            encode(&mut bytes, request);
        }
        for side in [&mut *ours, &mut *theirs] {
            side.clients[client].send(&bytes).expect("the server reads");
        }
        for request in requests {
            let reply = ours.clients[client].read();
            let expected = theirs.clients[client]
                .read()
                .expect("the reference answers");
            let name = String::from_utf8_lossy(&request[0]).to_ascii_uppercase();
            sent.push((client, request));
            let request = &sent[sent.len() - 1].1;
            let same = match (&reply, &expected) {
                (Err(_), _) => false,
                (Ok(reply), _) if name == "SPOP" => agree(Look::Shape, reply, &expected),
                (Ok(Reply::Many(_, items)), Reply::Many(_, others)) if name == "EXEC" => {
                    let looks = &queued[client];
                    items.len() == others.len()
                        && items.iter().zip(others).enumerate().all(|(at, (a, b))| {
                            agree(looks.get(at).copied().unwrap_or(Look::Same), a, b)
                        })
                }
                (Ok(reply), _) => agree(look(request), reply, &expected),
            };
            if expected == Reply::Simple(b"QUEUED".to_vec()) {
                let look = if name == "SPOP" {
                    Look::Shape
                } else {
                    look(request)
                };
                queued[client].push(look);
            } else if matches!(name.as_str(), "MULTI" | "EXEC" | "DISCARD") {
                queued[client].clear();
            }
            if !same {
                let text = format!("ours   {reply:?}\ntheirs {expected:?}\n");
                return Some(difference(seed, small, name, text, &sent));
            }
        }
    }
    for side in [&mut *ours, &mut *theirs] {
        side.connect();
    }
    compare_data(ours, theirs).map(|(command, text)| difference(seed, small, command, text, &sent))
}

fn difference(
    seed: u64,
    small: bool,
    command: String,
    mut text: String,
    sent: &[(usize, Words)],
) -> Difference {
    let last = &sent[sent.len() - 1].1;
    let state = command.contains("data");
    let _ = writeln!(
        text,
        "seed {seed}, small encodings {small}, after these (key names in common):"
    );
    let about = |words: &Words| {
        words.iter().skip(1).any(|word| {
            word.len() == 2
                && (state && command.ends_with(&*String::from_utf8_lossy(word))
                    || !state && last.contains(word))
        }) || matches!(
            &*words[0].to_ascii_uppercase(),
            b"MULTI" | b"EXEC" | b"DISCARD" | b"SELECT" | b"SWAPDB" | b"FLUSHDB"
        )
    };
    let mut lines: Vec<String> = Vec::new();
    for (client, words) in sent.iter().rev() {
        if lines.is_empty() || about(words) {
            let words: Vec<String> = words
                .iter()
                .map(|word| format!("\"{}\"", word.escape_ascii()))
                .collect();
            lines.push(format!("  {client}> {}", words.join(" ")));
        }
        if lines.len() == 30 {
            break;
        }
    }
    lines.reverse();
    text.push_str(&lines.join("\n"));
    Difference { command, text }
}

/// Keys, types, encodings, contents and expiry times of every database.
fn compare_data(ours: &mut Side, theirs: &mut Side) -> Option<(String, String)> {
    for database in 0..DATABASES {
        let select = format!("SELECT {database}");
        ours.call(&select);
        theirs.call(&select);
        let keys = sorted(&ours.call("KEYS *"));
        let expected = sorted(&theirs.call("KEYS *"));
        if keys != expected {
            return Some((
                "data: KEYS".into(),
                format!("db {database}\nours   {keys:?}\ntheirs {expected:?}\n"),
            ));
        }
        for key in expected.items().iter().map(Reply::text) {
            for (what, look) in [
                ("TYPE", Look::Same),
                ("DEBUG DIGEST-VALUE", Look::Same),
                ("OBJECT ENCODING", Look::Same),
                ("PEXPIRETIME", Look::Time(TIME_SLACK * 1000)),
            ] {
                let line = format!("{what} {key}");
                let (reply, expected) = (ours.call(&line), theirs.call(&line));
                if !agree(look, &reply, &expected) {
                    let text = format!("db {database}\nours   {reply:?}\ntheirs {expected:?}\n");
                    return Some((format!("data: {line}"), text));
                }
            }
        }
    }
    None
}

/// Templates of commands that our binary has, each as often as its weight says.
fn templates(ours: &mut Side) -> Vec<&'static str> {
    let only = std::env::var("DIFF_ONLY").unwrap_or_default();
    let mut missing = Vec::new();
    let mut all = Vec::new();
    for &(weight, template) in TEMPLATES {
        let name = template.split(' ').next().expect("a template has a name");
        let known = name == "NOPE" || !ours.call(name).text().starts_with("ERR unknown command");
        if !known {
            missing.push(name);
        } else if template.contains(&only) {
            all.extend(std::iter::repeat_n(template, weight as usize));
        }
    }
    missing.dedup();
    if !missing.is_empty() {
        println!("absent from this build, left out: {}", missing.join(" "));
    }
    // Whatever the probes did (MULTI, WATCH) ends with its connection.
    ours.connect();
    all
}

#[test]
fn replies_and_data_agree_with_the_reference() {
    if std::process::Command::new(REFERENCE)
        .arg("-v")
        .output()
        .is_err()
    {
        println!("{REFERENCE} is not on the PATH: nothing to compare with");
        return;
    }
    let seed = setting("DIFF_SEED", rand::random::<u32>().into());
    let commands = setting("DIFF_COMMANDS", 0);
    println!("DIFF_SEED={seed} DIFF_COMMANDS={commands}");
    let mut ours = Side::start(OURS);
    let mut theirs = Side::start(REFERENCE);
    let templates = templates(&mut ours);
    let start = Instant::now();
    let mut differences: BTreeMap<String, Difference> = BTreeMap::new();
    let mut done = 0;
    for number in 0.. {
        let left = if commands == 0 {
            ROUND
        } else {
            commands - done
        };
        let finished = commands == 0 && start.elapsed() > SMOKE;
        if finished || left == 0 || differences.len() >= REPORTS_MAX {
            break;
        }
        let length = left.min(ROUND);
        done += length;
        if let Some(found) = round(seed + number, length, &templates, &mut ours, &mut theirs) {
            differences
                .entry(found.command.split(' ').take(3).collect())
                .or_insert(found);
            if ours
                .server
                .child
                .try_wait()
                .expect("it is our child")
                .is_some()
            {
                println!("our server has ended:\n{}", ours.server.log());
                break;
            }
        }
    }
    println!("{done} requests in {:?}", start.elapsed());
    let mut report = String::new();
    for found in differences.values() {
        let _ = writeln!(report, "\n== {}\n{}", found.command, found.text);
    }
    assert!(
        report.is_empty(),
        "{} differences{report}",
        differences.len()
    );
    assert_eq!(ours.clients[0].info("stats", "panics_caught"), "0");
}
