//! What the programs do otherwise than the reference, or besides.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

const SET: &str = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";

fn program(name: &str) -> Command {
    Command::new(assert_cmd::cargo::cargo_bin(name))
}

fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../rdb/tests/fixtures")
        .join(name)
}

fn document(command: &mut Command) -> Value {
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

#[test]
fn help_and_version_are_printed() {
    for name in ["valkey-check-rdb", "valkey-check-aof"] {
        program(name)
            .arg("--help")
            .assert()
            .success()
            .stdout(predicate::str::contains("--json"));
        for flag in ["-v", "--version"] {
            let line = predicate::str::starts_with(format!("{name} v=8.0.1 "));
            program(name).arg(flag).assert().success().stdout(line);
        }
    }
}

#[test]
fn misuse_is_told_with_the_name_of_the_program() {
    program("valkey-check-rdb")
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::is_match("^Usage: .*valkey-check-rdb <rdb-file-name>\n$").unwrap());
    program("valkey-check-aof")
        .args(["--fix", "--truncate-to-timestamp", "1", "f"])
        .assert()
        .code(1)
        .stdout(predicate::str::starts_with("Usage: "));
}

#[test]
fn files_of_redis_8_are_looked_through() {
    for (name, version, count, line) in [
        ("redis-8.0.rdb", 12, 0, "[info] 21 keys read\n"),
        ("no-field-expires.rdb", 12, 0, "[info] 1 keys read\n"),
        ("fields-expire.rdb", 12, 1, "[info] 1 subexpires\n"),
        ("fields-expire-unpacked.rdb", 12, 1, "[info] 1 subexpires\n"),
        ("valkey-9.1.rdb", 80, 0, "[info] 21 keys read\n"),
        ("fields-expire-valkey.rdb", 80, 1, "[info] 1 subexpires\n"),
        ("vector-set.rdb", 12, 0, "[info] 2 keys read\n"),
    ] {
        let mut command = program("valkey-check-rdb");
        let told = predicate::str::contains("RDB looks OK!").and(predicate::str::contains(line));
        command.arg(fixture(name)).assert().success().stdout(told);
        let document = document(program("valkey-check-rdb").arg("--json").arg(fixture(name)));
        assert_eq!(document["version"], version);
        assert_eq!(document["subexpires"], count, "{name}");
    }
    for (name, bytes, type_) in [
        (
            "fields-expire.rdb",
            130,
            "Reading type 25 (hash-listpack-md)",
        ),
        (
            "fields-expire-valkey.rdb",
            100,
            "Reading type 22 (hash-volatile-items)",
        ),
    ] {
        let content = fs::read(fixture(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cut = file(&folder, "cut", &content[..bytes]);
        program("valkey-check-rdb")
            .arg(cut)
            .assert()
            .code(1)
            .stdout(predicate::str::contains(type_));
    }
}

#[test]
fn a_snapshot_is_described_in_a_document() {
    let sound = document(
        program("valkey-check-rdb")
            .arg("--json")
            .arg(fixture("lfu.rdb")),
    );
    assert_eq!(sound["valid"], true);
    assert_eq!(sound["keys"], 2);
    assert_eq!(sound["version"], 11);
    assert_eq!(sound["checksum"], "verified");
    assert_eq!(sound["aux"]["valkey-ver"], "8.0.1");
    assert_eq!(sound["error"], Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let content = fs::read(fixture("lfu.rdb")).unwrap();
    let cut = file(&folder, "cut", &content[..100]);
    let cut = document(program("valkey-check-rdb").arg("--json").arg(cut));
    assert_eq!(cut["valid"], false);
    assert_eq!(cut["error"]["message"], "Unexpected EOF reading RDB file");
    let none = document(program("valkey-check-rdb").args(["--json", "/nowhere"]));
    assert_eq!(none["error"]["message"], "No such file or directory");
}

#[test]
fn a_log_is_described_in_a_document() {
    let folder = tempfile::tempdir().unwrap();
    file(&folder, "b", &fs::read(fixture("lfu.rdb")).unwrap());
    file(&folder, "i", format!("{SET}*3\r\n").as_bytes());
    let manifest = file(&folder, "m", b"file b seq 1 type b\nfile i seq 1 type i\n");
    let found = document(program("valkey-check-aof").arg("--json").arg(&manifest));
    assert_eq!(found["valid"], false);
    assert_eq!(found["files"][0]["kind"], "base");
    assert_eq!(found["files"][0]["rdb"]["keys"], 2);
    let incr = &found["files"][1];
    assert_eq!(
        (&incr["ok_up_to"], &incr["diff"]),
        (&Value::from(27), &Value::from(4))
    );
    assert_eq!(
        incr["error"]["message"],
        "the file ends inside a record at offset 31"
    );
    let fixed = document(
        program("valkey-check-aof")
            .args(["--json", "--fix"])
            .arg(&manifest)
            .write_stdin("y\n"),
    );
    assert_eq!(
        (&fixed["valid"], &fixed["files"][1]["truncated"]),
        (&Value::from(true), &Value::from(true))
    );
    assert_eq!(fs::read(folder.path().join("i")).unwrap(), SET.as_bytes());
}

/// The reference calls these sound, though its server refuses to load them, or will add to what is not complete.
#[test]
fn what_no_server_should_load_is_not_called_sound() {
    let folder = tempfile::tempdir().unwrap();
    let cases: &[(&str, &str)] = &[
        ("*0\r\n", "format error"),
        ("*-1\r\n", "format error"),
        ("* 1\r\n$4\r\nPING\r\n", "Expected \\r\\n, got: 2031"),
        ("#TS:16", "the file ends inside an annotation"),
        ("#TS:\u{0}16\r\n", "format error"),
    ];
    for (tail, text) in cases {
        let path = file(&folder, "f", format!("{SET}{tail}").as_bytes());
        program("valkey-check-aof")
            .arg(&path)
            .assert()
            .code(1)
            .stdout(predicate::str::contains(*text).and(predicate::str::contains("ok_up_to=27,")));
    }
}

/// The reference leaves a MULTI behind, and what is appended to that is lost at the next start.
#[test]
fn a_transaction_is_not_cut_in_two() {
    let folder = tempfile::tempdir().unwrap();
    let log = format!("{SET}*1\r\n$5\r\nMULTI\r\n{SET}#TS:200\r\n{SET}*1\r\n$4\r\nEXEC\r\n");
    let path = file(&folder, "f", log.as_bytes());
    program("valkey-check-aof")
        .args(["--truncate-to-timestamp", "150"])
        .arg(&path)
        .assert()
        .success();
    assert_eq!(fs::read(&path).unwrap(), SET.as_bytes());
}

#[test]
fn a_check_alone_needs_no_right_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "f", SET.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    program("valkey-check-aof").arg(&path).assert().success();
}
