//! Snippets of Lua with the answers of a Lua 5.1 in a server's sandbox: `tests/snippets`.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests and an example"
)]
mod support;

use std::path::Path;

use support::{Reply, Sandbox};

/// Work that a snippet may do.
const UNITS_MAX: u64 = 1_000_000_000;

/// The bytes of an answer as the file writes them: Lua's escapes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (kind, tail) = rest
            .split_first()
            .expect("a backslash has something behind it");
        rest = tail;
        if *kind == b'x' {
            let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = &rest[2..];
        } else {
            bytes.push(*kind);
        }
    }
    bytes
}

/// An error text without the name of the script and the place that a server adds.
fn without_place(text: &[u8]) -> &[u8] {
    let end = text.windows(9).position(|window| window == b" script: ");
    end.map_or(text, |end| &text[..end])
}

/// What an answer of the reference means.
fn reply(answer: &str) -> Reply {
    let answer = unescape(answer);
    match answer[0] {
        b'$' => Reply::Bulk(answer[1..].to_vec()),
        b'_' => Reply::Nil,
        b':' => Reply::Integer(
            String::from_utf8_lossy(&answer[1..])
                .parse()
                .expect("a number"),
        ),
        _ => Reply::Error(without_place(&answer[1..]).to_vec()),
    }
}

#[test]
fn snippets_answer_as_the_reference_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snippets");
    let expected =
        std::fs::read_to_string(folder.join("expected.tsv")).expect("the answers are there");
    let mut seen = 0;
    for line in expected.lines() {
        let (name, answer) = line.split_once('\t').expect("name, tab, answer");
        let source =
            std::fs::read(folder.join(format!("{name}.lua"))).expect("the snippet is there");
        let got = Sandbox::new().eval(&source, UNITS_MAX);
        assert_eq!(got, reply(answer), "{name}");
        seen += 1;
    }
    assert!(seen > 25, "{seen} snippets");
}

/// Lines of a script, a tab and an answer.
fn check_lines(file: &str, lines_min: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snippets")
        .join(file);
    let expected = std::fs::read_to_string(path).expect("the answers are there");
    let mut problems = Vec::new();
    for line in expected.lines() {
        let (source, answer) = line.split_once('\t').expect("source, tab, answer");
        let got = Sandbox::new().eval(source.as_bytes(), UNITS_MAX);
        if got != reply(answer) {
            problems.push(format!("{source}\n    {answer}\n    {got:?}"));
        }
    }
    let seen = expected.lines().count();
    assert!(seen >= lines_min, "{seen} lines in {file}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn modules_answer_as_the_reference_does() {
    check_lines("modules.tsv", 60);
}

#[test]
fn the_language_answers_as_the_reference_does() {
    check_lines("language.tsv", 150);
}
