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
    ("resp", &[]),
    ("packed", &[]),
    ("backlog", &[]),
    ("keyspace", &["packed"]),
    ("rdb", &["packed"]),
    ("replication", &["backlog", "resp"]),
    ("scripting", &["resp"]),
    (
        "engine",
        &[
            "resp",
            "packed",
            "keyspace",
            "rdb",
            "backlog",
            "replication",
            "scripting",
        ],
    ),
    (
        "server",
        &[
            "resp",
            "packed",
            "keyspace",
            "rdb",
            "backlog",
            "replication",
            "scripting",
            "engine",
        ],
    ),
];

/// What every handler's comment says.
static CONTRACT: &[&str] = &["Reply:", "Errors:", "Propagates:", "Source:"];

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
    text.find("#[cfg(test)]\nmod tests")
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

#[test]
fn commands_have_their_contract_lines() {
    let mut problems = BTreeSet::new();
    let mut seen = 0;
    for (path, text) in sources() {
        if !path.to_string_lossy().contains("engine/src/commands") {
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
    let commands = engine::commands::FAMILIES.iter().copied().flatten().count();
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
        let in_engine = name.contains("crates/engine/src");
        if !in_engine
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
    let names = || {
        let rows = engine::commands::FAMILIES.iter().copied().flatten();
        rows.map(|(name, _)| *name)
    };
    let excused = |name: &str| NEVER_SENT.iter().any(|(excused, _)| *excused == name);
    let table: Value =
        serde_json::from_str(&read(&root().join("crates/engine/data/commands.json")))
            .expect("the command table is JSON");
    for name in names() {
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
    let mut problems: Vec<String> = names()
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
