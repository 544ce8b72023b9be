//! Rules about the sources that a machine can check: crate edges, module headers, contract lines, places of texts.
//!
//! A failure names the file and says what to do.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped parts are printed, and waiting for another process takes the real clock"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Which crate may use which of ours. A new edge is a decision of its own.
static EDGES: &[(&str, &[&str])] = &[
    ("words", &[]),
    ("allocator", &[]),
    ("commandtable", &[]),
    ("acl", &["commandtable", "words"]),
    ("config", &["commandtable", "words"]),
    ("resp", &["words"]),
    ("packed", &["words"]),
    ("aof", &["resp", "words"]),
    ("backlog", &[]),
    ("lua", &[]),
    ("tls", &[]),
    ("keyspace", &["packed", "words"]),
    ("rdb", &["packed"]),
    ("replication", &["backlog", "resp", "words"]),
    ("scripting", &["lua", "resp", "words"]),
    (
        "dataset",
        &["commandtable", "keyspace", "packed", "rdb", "resp", "words"],
    ),
    ("tools", &["aof", "dataset", "rdb", "words"]),
    ("full-sync", &[]),
    (
        "engine",
        &[
            "acl",
            "words",
            "commandtable",
            "config",
            "dataset",
            "resp",
            "packed",
            "keyspace",
            "rdb",
            "backlog",
            "replication",
            "scripting",
            "aof",
        ],
    ),
    (
        "server",
        &[
            "acl",
            "allocator",
            "aof",
            "words",
            "commandtable",
            "config",
            "dataset",
            "resp",
            "packed",
            "keyspace",
            "rdb",
            "backlog",
            "replication",
            "scripting",
            "engine",
            "tls",
            "tools",
        ],
    ),
];

/// What every handler's comment says.
static CONTRACT: &[&str] = &["Reply:", "Errors:", "Propagates:", "Source:"];

/// Files with code that the compiler cannot vouch for: little else belongs into them.
static UNSAFE: &[&str] = &[
    "allocator/src/lib.rs",
    "keyspace/src/db.rs",
    "keyspace/src/entry.rs",
    "keyspace/src/entry/alias.rs",
    "keyspace/src/entry/boxed.rs",
    "keyspace/src/entry/layout.rs",
    "keyspace/src/entry_ref.rs",
    "keyspace/src/table.rs",
    "keyspace/src/table/array.rs",
    "keyspace/src/table/pool.rs",
    "keyspace/src/thin.rs",
    "keyspace/src/hyperloglog/dense/avx512.rs",
    "keyspace/src/vector.rs",
    "keyspace/src/zset/index.rs",
    "server/src/child.rs",
    "server/src/clock.rs",
    "server/src/crash.rs",
    "server/src/fanout.rs",
    "server/src/figures.rs",
    "server/src/limits.rs",
    "server/src/logging.rs",
    "server/src/memory.rs",
    "server/src/memory/control.rs",
    "server/src/process.rs",
    "server/src/relay.rs",
    "server/src/socket.rs",
    "server/src/stand_back.rs",
    "server/src/startup/daemon.rs",
    "server/src/startup/facts.rs",
    "server/src/supervise.rs",
    "server/src/tally.rs",
    "server/src/title.rs",
];

/// Calls that stand in few files, with those files; the parts of their names are joined so that this file has none of them.
static PLACES: &[(&[&str], &[&str])] = &[
    // A snapshot's child, and the daemon before there are threads.
    (
        &[concat!("libc::fo", "rk(")],
        &["server/src/child.rs", "server/src/startup/daemon.rs"],
    ),
    // What lasts is synced and renamed in one place; a socket's name needs no sync.
    (
        &[concat!("fs::ren", "ame(")],
        &[
            "server/src/replace.rs",
            "server/src/listener.rs",
            "aof/src/files.rs",
        ],
    ),
    (
        &[concat!("sync", "_all(")],
        &["server/src/replace.rs", "aof/src/files.rs"],
    ),
    // Who sleeps: under the engine's lock eviction for the thread that frees, DEBUG SLEEP, and the delays of tests between
    // two keys of a snapshot; elsewhere those before a write to the log, and a measurement between two looks at a server.
    (
        &[concat!("sleep", "_us("), concat!("thread::sl", "eep(")],
        &[
            "engine/src/commands/debug/mod.rs",
            "engine/src/eviction.rs",
            "engine/src/host.rs",
            "dataset/src/snapshot/mod.rs",
            "engine/src/testing.rs",
            "full-sync/src/node.rs",
            "server/src/append/mouth.rs",
            "server/src/process.rs",
        ],
    ),
];

/// Who but `server` touches the world outside: programs of their own, and the disk below a log.
static OUTSIDE_PLACES: &[&str] = &["server/", "tools/", "full-sync/", "aof/src/files.rs"];

/// What of the world outside only those touch.
static OUTSIDE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os::unix::net",
    "Instant::now",
    "SystemTime::now",
    "thread::spawn",
    "thread::Builder",
    "tokio",
];

/// Commands that no Tcl test sends, and why that is right.
static NEVER_SENT: &[(&str, &str)] = &[];

/// Error texts outside `error.rs`: a number that only goes down.
const TEXTS_ELSEWHERE_MAX: usize = 9;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file with this extension below `folder`.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut paths = files(&root().join("crates"), "rs");
    paths.extend(files(&root().join("fuzz"), "rs"));
    paths
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

/// The part of a source before its unit tests.
fn code(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {")
        .map_or(text, |end| &text[..end])
}

fn report(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn crates_use_only_what_they_may() {
    let mut problems = Vec::new();
    let names: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    for path in files(&root().join("crates"), "toml") {
        let text = read(&path);
        let name = path
            .parent()
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            problems.push(format!(
                "{}: add the crate and its edges to EDGES",
                path.display()
            ));
            continue;
        };
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let used = line.split([' ', '.', '=']).next().unwrap_or_default();
            if section == "[dependencies]" && names.contains(&used) && !allowed.contains(&used) {
                problems.push(format!("{}: {name} must not use {used}", path.display()));
            }
        }
    }
    report(&problems);
}

/// The sources of the crates themselves, without their tests: path below `crates`, and text.
fn own_sources() -> Vec<(String, String)> {
    let crates = root().join("crates");
    let own = |(path, text): (PathBuf, String)| {
        let name = path.strip_prefix(&crates).ok()?.to_string_lossy();
        let inside = name.contains("/src/") && !name.ends_with("tests.rs");
        inside.then(|| (name.into_owned(), code(&text).to_owned()))
    };
    sources().into_iter().filter_map(own).collect()
}

/// Lines of code with their numbers, comments left out.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn code_without_guarantees_stands_in_the_files_that_are_listed() {
    let mut problems = Vec::new();
    let word = concat!("unsa", "fe");
    let openings = ["{", "fn", "impl", "trait", "extern"].map(|next| format!("{word} {next}"));
    let mut used = BTreeSet::new();
    for (name, text) in own_sources() {
        let found = code_lines(&text).find(|(_, line)| openings.iter().any(|o| line.contains(o)));
        if let Some((number, _)) = found {
            if !UNSAFE.contains(&name.as_str()) {
                problems.push(format!("{name}:{number}: not listed in UNSAFE of tidy.rs"));
            }
            used.insert(name);
        }
    }
    for name in UNSAFE.iter().filter(|name| !used.contains(**name)) {
        problems.push(format!("{name}: strike it from UNSAFE of tidy.rs"));
    }
    for (name, _) in EDGES {
        let library = root().join("crates").join(name).join("src/lib.rs");
        let listed = UNSAFE
            .iter()
            .any(|file| file.starts_with(&format!("{name}/")));
        if library.exists() && !listed && !read(&library).contains("#![forbid(unsafe_code)]") {
            problems.push(format!("{}: forbid it", library.display()));
        }
    }
    report(&problems);
}

#[test]
fn some_calls_stand_in_few_files() {
    let mut problems = Vec::new();
    let sources = own_sources();
    for (calls, places) in PLACES {
        let mut used = BTreeSet::new();
        for (name, text) in &sources {
            for (number, line) in code_lines(text) {
                if let Some(call) = calls.iter().find(|call| line.contains(**call)) {
                    if !places.contains(&name.as_str()) {
                        problems.push(format!("{name}:{number}: {call} belongs into {places:?}"));
                    }
                    used.insert(name.as_str());
                }
            }
        }
        for place in places.iter().filter(|place| !used.contains(**place)) {
            problems.push(format!(
                "{place}: strike it from PLACES of tidy.rs ({calls:?})"
            ));
        }
    }
    report(&problems);
}

#[test]
fn only_the_server_touches_the_world_outside() {
    let mut problems = Vec::new();
    for (name, text) in own_sources() {
        if OUTSIDE_PLACES.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if let Some(word) = OUTSIDE.iter().find(|word| line.contains(**word)) {
                problems.push(format!("{name}:{number}: {word} is for `server` alone"));
            }
        }
    }
    report(&problems);
}

#[test]
fn every_file_says_what_it_is_for() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| format!("{}: open with a `//!` comment", path.display()))
        .collect();
    report(&problems);
}

#[test]
fn no_leftovers_of_work() {
    // Spelled in two parts, so that this file does not match itself.
    let words = [
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let todo = concat!("TO", "DO");
    let mut problems = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                problems.push(format!("{place}: remove {word}"));
            }
            if let Some((_, rest)) = line.split_once(todo)
                && !["when ", "once ", "until ", "after "]
                    .iter()
                    .any(|word| rest.contains(word))
            {
                problems.push(format!(
                    "{place}: say when it can be done (when, once, until, after)"
                ));
            }
        }
    }
    report(&problems);
}

/// The full names of all commands that have a handler.
fn names_of_commands() -> impl Iterator<Item = &'static str> {
    let data = dataset::commands::FAMILIES.iter().copied().flatten();
    let engine = engine::commands::FAMILIES.iter().copied().flatten();
    data.map(|(name, _)| *name)
        .chain(engine.map(|(name, _)| *name))
}

#[test]
fn commands_have_their_contract_lines() {
    let mut problems = BTreeSet::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let name = path.to_string_lossy();
        if !["dataset", "engine"]
            .iter()
            .any(|owner| name.contains(&format!("{owner}/src/commands")))
        {
            continue;
        }
        let lines: Vec<&str> = code(&text).lines().collect();
        for handler in handlers(&text) {
            let head = format!("fn {handler}(");
            let Some(at) = lines.iter().position(|line| line.contains(&head)) else {
                continue;
            };
            seen += 1;
            let comment: Vec<&str> = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("///") || line.starts_with("#["))
                .copied()
                .collect();
            for wanted in CONTRACT {
                if !comment
                    .iter()
                    .any(|line| line.starts_with(&format!("/// {wanted}")))
                {
                    problems.insert(format!(
                        "{}: {handler} has no line `/// {wanted} ...`",
                        path.display()
                    ));
                }
            }
        }
    }
    // Rows that this test cannot read must not make it look as if all were well.
    let commands = names_of_commands().count();
    assert!(
        seen > commands / 2,
        "{seen} handlers found for {commands} commands"
    );
    report(&problems.into_iter().collect::<Vec<_>>());
}

/// Names of the functions that rows like `("get", get),` of a family name.
fn handlers(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.contains(": Family = &[") {
            inside = true;
        } else if line.starts_with("];") {
            inside = false;
        } else if inside && let Some((_, handler)) = line.trim().split_once("\", ") {
            let call = handler.rsplit("| ").next().unwrap_or(handler);
            let name = call.split(['(', ')', ',']).next().unwrap_or_default();
            if name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            {
                names.push(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn error_texts_stand_in_one_file() {
    let codes = [
        "\"ERR ",
        "\"WRONGTYPE ",
        "\"NOAUTH ",
        "\"EXECABORT ",
        "\"NOSCRIPT ",
        "\"BUSY ",
    ];
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let name = path.to_string_lossy().into_owned();
        let has_commands =
            name.contains("crates/engine/src") || name.contains("crates/dataset/src");
        if !has_commands
            || name.ends_with("error.rs")
            || name.ends_with("tests.rs")
            || name.ends_with("testing.rs")
        {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && codes.iter().any(|code| line.contains(code)) {
                problems.push(format!("{name}:{}: move the text to error.rs", number + 1));
            }
        }
    }
    assert!(
        problems.len() <= TEXTS_ELSEWHERE_MAX,
        "{} texts, more than before:\n{}",
        problems.len(),
        problems.join("\n")
    );
    println!(
        "{} error texts elsewhere\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// The words that Tcl tests sent with a command: in the place of a subcommand, and all of them.
#[derive(Default)]
struct Sent {
    first: BTreeSet<String>,
    all: BTreeSet<String>,
}

/// Checked where `SENT_EVENTS` names what `./runtest --events` wrote on a run of all units, as the gate does: named in
/// a test is not sent by it.
#[test]
fn every_command_was_sent_by_a_tcl_test() {
    let Ok(path) = std::env::var("SENT_EVENTS") else {
        println!("SENT_EVENTS names no file: not checked");
        return;
    };
    let mut sent: BTreeMap<String, Sent> = BTreeMap::new();
    for line in read(&root().join(path)).lines() {
        let event: Value = serde_json::from_str(line).expect("a line of events is JSON");
        if event["event"] != "sent" {
            continue;
        }
        let words = |key: &str| {
            event[key]
                .as_str()
                .unwrap_or_default()
                .split(' ')
                .map(str::to_owned)
        };
        let command = sent
            .entry(event["command"].as_str().unwrap_or_default().to_owned())
            .or_default();
        command.first.extend(words("first"));
        command.all.extend(words("first").chain(words("more")));
    }
    let was_sent = |name: &str| match name.split_once('|') {
        None => sent.contains_key(name),
        Some((container, subcommand)) => sent
            .get(container)
            .is_some_and(|sent| sent.first.contains(subcommand)),
    };
    let excused = |name: &str| NEVER_SENT.iter().any(|(excused, _)| *excused == name);
    let table: Value = serde_json::from_str(&read(
        &root().join("crates/commandtable/data/commands.json"),
    ))
    .expect("the command table is JSON");
    for name in names_of_commands() {
        let (container, subcommand) = name.split_once('|').unwrap_or((name, ""));
        let row = match subcommand {
            "" => &table[container],
            _ => &table[container]["subcommands"][subcommand],
        };
        let mut tokens = BTreeSet::new();
        collect_tokens(&row["args"], &mut tokens);
        let missing: Vec<String> = tokens
            .into_iter()
            .filter(|token| {
                !sent
                    .get(container)
                    .is_some_and(|sent| sent.all.contains(token))
            })
            .collect();
        if !missing.is_empty() && was_sent(name) {
            println!("options of {name} never sent: {}", missing.join(" "));
        }
    }
    let mut problems: Vec<String> = names_of_commands()
        .filter(|name| !was_sent(name) && !excused(name))
        .map(|name| format!("{name}: no Tcl test sends it"))
        .collect();
    let needless = NEVER_SENT.iter().filter(|(name, _)| was_sent(name));
    problems.extend(needless.map(|(name, _)| format!("{name}: take it off NEVER_SENT")));
    report(&problems);
}

/// The option words of a command's arguments, in lower case.
fn collect_tokens(args: &Value, tokens: &mut BTreeSet<String>) {
    for arg in args.as_array().into_iter().flatten() {
        if let Some(token) = arg["token"].as_str() {
            tokens.insert(token.to_ascii_lowercase());
        }
        collect_tokens(&arg["args"], tokens);
    }
}

/// What the walks name is to be found: the last part of each path between backticks is a word of the sources.
#[test]
fn the_walks_name_what_exists() {
    let text = read(&root().join("docs/walks.md"));
    let sources: String = sources().into_iter().map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = sources
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let is_path = |name: &&str| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.'))
    };
    let problems: Vec<String> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(is_path)
        .filter(|name| {
            let last = name.rsplit([':', '.']).next().unwrap_or(name);
            !words.contains(last)
        })
        .map(|name| format!("docs/walks.md: nothing is called {name}"))
        .collect();
    report(&problems);
}
