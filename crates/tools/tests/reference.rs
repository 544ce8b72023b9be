//! The programs print what those of the reference print, with the same exit codes, and leave the same files.
//!
//! Both run on the same files in folders of their own. Three things are made alike before their lines are compared: the
//! prefix of log lines; the two bytes that the reference shows where a file ends inside of a line, which it has not read;
//! and what is wrong inside of a value, where the reference names a line of its source, and the offset of that.
//!
//! Without the reference on the path the tests that need it pass without a word.
#![allow(clippy::disallowed_methods, reason = "tests wait for another process")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const AOF: &str = "valkey-check-aof";
const RDB: &str = "valkey-check-rdb";

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
const SNAPSHOT: &[u8] = b"REDIS0011\xfe\x00\x00\x01a\x01b\xff\0\0\0\0\0\0\0\0";

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

type Files<'a> = &'a [(&'a str, &'a [u8])];

/// What a program did.
#[derive(Debug, PartialEq)]
struct Done {
    code: Option<i32>,
    lines: Vec<String>,
    errors: String,
    files: Vec<String>,
}

/// Runs a program in a folder of these files.
fn run(mut command: Command, name: &str, args: &[&str], files: Files<'_>, answer: &str) -> Done {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let mut child = command
        .arg0(name)
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not ask has ended by now, perhaps.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code(),
        lines: comparable(&output.stdout),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        files: files
            .iter()
            .map(|(name, _)| {
                fs::read(folder.path().join(name))
                    .unwrap()
                    .escape_ascii()
                    .to_string()
            })
            .collect(),
    }
}

fn comparable(output: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in output.split(|byte| *byte == b'\n') {
        let line = line.escape_ascii().to_string();
        let is_logged = line.split_once(':').is_some_and(|(pid, rest)| {
            !pid.is_empty()
                && pid.bytes().all(|byte| byte.is_ascii_digit())
                && rest.starts_with("C ")
        });
        let mut line = match line.split_once(" # ") {
            Some((_, logged)) if is_logged => logged.to_owned(),
            _ => line,
        };
        if line.is_empty() || line == "Terminating server after rdb file reading failure." {
            continue;
        }
        if let Some(at) = line.find("Expected \\\\r\\\\n, got: ") {
            line.truncate(at + "Expected \\\\r\\\\n, got: ".len());
        }
        if let Some(at) = line.find("Internal error in RDB") {
            line.replace_range(at.., "wrong");
        }
        if line.ends_with("While doing: read-object-value") {
            *lines.last_mut().unwrap() = "a value is wrong".to_owned();
        }
        lines.push(line);
    }
    lines
}

fn ours(program: &str) -> Command {
    Command::new(assert_cmd::cargo::cargo_bin(program))
}

/// Runs both programs; ours, with what it was asked, when they differ.
fn difference(program: &str, args: &[&str], files: Files<'_>, answer: &str) -> Option<String> {
    let theirs = run(Command::new(program), program, args, files, answer);
    let ours = run(ours(program), program, args, files, answer);
    (theirs != ours).then(|| {
        let sizes: Vec<_> = files
            .iter()
            .map(|(name, content)| (name, content.len()))
            .collect();
        format!("{program} {args:?} {sizes:?}\ntheirs: {theirs:#?}\nours: {ours:#?}\n")
    })
}

fn same(program: &str, args: &[&str], files: Files<'_>) {
    same_answer(program, args, files, "y\n");
}

fn same_answer(program: &str, args: &[&str], files: Files<'_>, answer: &str) {
    if installed(program)
        && let Some(difference) = difference(program, args, files, answer)
    {
        panic!("{difference}");
    }
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rdb/tests/fixtures");
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rdb"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        // The reference reads none of Redis 8 and Valkey 9.
        .filter(|(_, content)| {
            !content.starts_with(b"REDIS0012") && !content.starts_with(b"VALKEY")
        })
        .collect();
    found.sort();
    assert!(found.len() > 8);
    found
}

#[test]
fn snapshots_whole_and_cut() {
    for (_, content) in fixtures() {
        same(RDB, &["f"], &[("f", &content)]);
        let step = (content.len() / 25).max(1);
        for cut in (0..content.len()).step_by(step) {
            same(RDB, &["f"], &[("f", &content[..cut])]);
        }
    }
}

#[test]
fn snapshots_cut_at_every_byte() {
    for (name, content) in fixtures() {
        if name.ends_with("lfu.rdb") || name.ends_with("/stream.rdb") {
            for cut in 0..content.len() {
                same(RDB, &["f"], &[("f", &content[..cut])]);
            }
        }
    }
}

#[test]
fn snapshots_of_every_version_and_what_is_none() {
    for version in (0..=11).chain([13]) {
        let mut file = format!("REDIS{version:04}").into_bytes();
        // A string, one that has expired, one that has not, a set, a sorted set of texts.
        file.extend_from_slice(b"\xfe\x00\x00\x01a\x01b\xfd\x01\x00\x00\x00\x00\x01b\xc0\x05");
        file.extend_from_slice(b"\xfc\xff\xff\xff\xff\xff\x0f\x00\x00\x00\x01c\x01c\x02\x01s\x01\x01m\x03\x01z\x01\x01m\x011\xff");
        same(RDB, &["f"], &[("f", &file)]);
        file.extend_from_slice(&[0; 8]);
        same(RDB, &["f"], &[("f", &file)]);
        file.extend_from_slice(b"trailing");
        same(RDB, &["f"], &[("f", &file)]);
    }
    let parts: &[&[u8]] = &[
        b"",
        b"\xf8",
        b"\xf9",
        b"\xfb\x01",
        b"\xf5\x05ab",
        b"\xf5\x02ab\xff\0\0\0\0\0\0\0\0",
        b"\xf6\x01",
        b"\xf7\x02ab",
        b"\xfa\x03a'\xe9\x02\n\xc3\xff\0\0\0\0\0\0\0\0",
        b"\x07\x01a\x81\x00\x01\x02\x03\x04\x05\x06\x07\x05\x01a\x00\xff\0\0\0\0\0\0\0\0",
        b"\x06\x01a\x81\x00\x01\x02\x03\x04\x05\x06\x07\x05\x01a\x00\xff\0\0\0\0\0\0\0\0",
        b"\x02\x01s\x00\xff\0\0\0\0\0\0\0\0",
        b"\x02\x01s\x02\x01a\x01a\xff\0\0\0\0\0\0\0\0",
        b"\x00\x01s\x01a\x00\x01s\x01a\xff\0\0\0\0\0\0\0\0",
        b"\x00\x01s\xc4\x00",
        b"\x10\x01h\x02ab",
        b"\xff\x01\0\0\0\0\0\0\0",
    ];
    for part in parts {
        same(
            RDB,
            &["f"],
            &[("f", &[b"REDIS0011\xfe\x00", *part].concat())],
        );
    }
    for garbage in [
        b"".as_slice(),
        b"garbage",
        b"REDIS",
        b"*1\r\n$4\r\nPING\r\n",
        &[0; 100],
    ] {
        same(RDB, &["f"], &[("f", garbage)]);
    }
}

/// A flip is found by the checksum at least.
#[test]
fn snapshots_with_a_flipped_bit_are_refused_with_the_same_code() {
    let (_, content) = fixtures()
        .into_iter()
        .find(|(name, _)| name.ends_with("lfu.rdb"))
        .unwrap();
    for at in 10..content.len() - 8 {
        let mut flipped = content.clone();
        flipped[at] ^= 1 << (at % 8);
        let done = run(ours(RDB), RDB, &["f"], &[("f", &flipped)], "");
        assert_eq!(done.code, Some(1), "{at}");
        if installed(RDB) && at % 4 == 0 {
            let theirs = run(Command::new(RDB), RDB, &["f"], &[("f", &flipped)], "");
            assert_eq!(theirs.code, Some(1), "{at}");
        }
    }
}

#[test]
fn logs_with_every_defect() {
    let cases: Vec<Vec<u8>> = vec![
        vec![],
        SET.to_vec(),
        [SET, b"*x\r\n", SET].concat(),
        [SET, b"*3x\r\n", SET].concat(),
        [SET, b"*3\n", SET].concat(),
        [SET, b"*1\r\n$-1\r\n", SET].concat(),
        [SET, b"*1\r\n$x\r\nPING\r\n", SET].concat(),
        [SET, b"*1\r\n$99999999999\r\nab\r\n"].concat(),
        [SET, b"*1\r\n$536870911\r\nab\r\n"].concat(),
        [SET, b"*1\r\n$99999999999999999999999\r\nab\r\n"].concat(),
        [SET, b"*2000000000\r\n$1\r\na\r\n"].concat(),
        [SET, b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n"].concat(),
        [SET, b"*1\r\n#4\r\nPING\r\n"].concat(),
        [SET, b"*1\r\n\0\0\0", SET].concat(),
        [SET, b"*", &[b'1'; 200]].concat(),
        [SET, &[0; 20]].concat(),
        [SET, b"\0"].concat(),
        [SET, b"hello world\r\n", SET].concat(),
        [SET, b"\x01"].concat(),
        [SET, b"\r\n", SET].concat(),
        [SET, MULTI, SET, MULTI, SET, EXEC].concat(),
        [SET, EXEC, SET].concat(),
        [SET, MULTI, SET].concat(),
        [SET, MULTI, SET, &SET[..10]].concat(),
        [SET, MULTI, SET, EXEC].concat().to_ascii_lowercase(),
        [SET, b"*2\r\n$5\r\nMULTI\r\n$1\r\na\r\n", SET].concat(),
        [b"#TS:1600\r\n", SET].concat(),
        [b"#TS:x\r\n", SET].concat(),
        [b"#hello\n", SET].concat(),
        [MULTI, b"#TS:16\r\n", SET, EXEC].concat(),
        b"SET a b\r\n".to_vec(),
        b"*3\r\nfile".to_vec(),
        b"REDIS".to_vec(),
        b"REDIS001".to_vec(),
        SNAPSHOT.to_vec(),
        [SNAPSHOT, SET].concat(),
        [SNAPSHOT, SET, &SET[..9]].concat(),
        SNAPSHOT[..15].to_vec(),
    ];
    for case in &cases {
        same(AOF, &["f"], &[("f", case)]);
        same(AOF, &["--fix", "f"], &[("f", case)]);
    }
}

#[test]
fn logs_cut_at_every_byte() {
    let log = [SET, MULTI, SET, SET, EXEC, SET].concat();
    for cut in 0..log.len() {
        same(AOF, &["f"], &[("f", &log[..cut])]);
        if cut % 5 == 0 {
            same(AOF, &["--fix", "f"], &[("f", &log[..cut])]);
        }
    }
}

const PARTS: &[u8] = b"file b seq 1 type b\nfile i1 seq 1 type i\nfile i2 seq 2 type i\n";

#[test]
fn logs_of_several_files() {
    let cut = &SET[..25];
    let twice = [SET, cut].concat();
    let with_snapshot = [SNAPSHOT, SET].concat();
    let sets: &[Files<'_>] = &[
        &[("m", PARTS), ("b", SNAPSHOT), ("i1", SET), ("i2", b"")],
        &[("m", PARTS), ("b", SNAPSHOT), ("i1", SET), ("i2", SET)],
        &[("m", PARTS), ("b", SNAPSHOT), ("i1", SET), ("i2", cut)],
        &[("m", PARTS), ("b", SNAPSHOT), ("i1", cut), ("i2", SET)],
        &[("m", PARTS), ("b", SNAPSHOT), ("i1", SET), ("i2", &twice)],
        &[
            ("m", PARTS),
            ("b", &SNAPSHOT[..15]),
            ("i1", SET),
            ("i2", SET),
        ],
        &[
            ("m", PARTS),
            ("b", &with_snapshot),
            ("i1", SET),
            ("i2", SET),
        ],
        &[("m", PARTS), ("b", SET), ("i1", SET), ("i2", SET)],
        &[("m", PARTS), ("b", b""), ("i1", b""), ("i2", SET)],
        &[("m", PARTS), ("b", SET), ("i1", SET)],
        &[("m", PARTS), ("i1", SET)],
        &[("m", b"file i1 seq 1 type i\n"), ("i1", SET)],
        &[("m", b"file b seq 1 type b\n"), ("b", SET)],
        &[("m", b"file b seq 1 type h\n"), ("b", SET)],
        &[
            ("m", b"file b seq 1 type b\nfile h seq 1 type h\n"),
            ("b", SET),
        ],
        &[("m", b"# c\nfile b seq 1 type b\n"), ("b", SET)],
    ];
    for files in sets {
        same(AOF, &["m"], files);
        same(AOF, &["./m"], files);
        same(AOF, &["--fix", "m"], files);
    }
    for answer in ["y\n", "Yes\n", "n\n", "", "\n"] {
        same_answer(AOF, &["--fix", "m"], sets[4], answer);
    }
}

#[test]
fn manifests_with_every_defect() {
    let long = [b"file a".as_slice(), &[b' '; 1010], b"seq 1 type b\n"].concat();
    let fits = [b"file a".as_slice(), &[b' '; 1005], b"seq 1 type b\n"].concat();
    let cases: &[&[u8]] = &[
        b"file a.1.base.rdb seq 1 type b",
        b"file a seq 1 type b\n\n",
        b"file a seq 1 type b\n # x\n",
        b"file a seq 1 type b x\n",
        b"file a seq 1\n",
        b"file a seq 0 type b\n",
        b"file a seq 1x type b\n",
        b"file a/b seq 1 type b\n",
        b"file a\\b seq 1 type b\n",
        b"file \"a seq 1 type b\n",
        b"file a seq 1 type b\nfile a seq 1 type b\n",
        b"file a seq 1 type i\nfile b seq 1 type i\n",
        b"file a seq 1 type x\n",
        b"file a seq 1 type B\n",
        b"file a seq 1 type \"\"\n",
        b"file a\0 seq 1 type b\n",
        b"file a seq 1 type b # c\n",
        b"file a seq 1 type b startoffset 5\n",
        b"file \"a\\x20\\xc3\" SEQ 1 Type base\n",
        b"FILE a seq 1 type b\n",
        &long,
        &fits,
    ];
    for case in cases {
        same(AOF, &["m"], &[("m", case)]);
    }
}

#[test]
fn logs_cut_to_a_time() {
    let times = [
        b"#TS:100\r\n",
        SET,
        b"#TS:200\r\n",
        SET,
        b"#TS:300\r\n",
        SET,
    ]
    .concat();
    let torn = [&times, &SET[..26]].concat();
    let later = [SET, &times].concat();
    let behind_snapshot = [SNAPSHOT, &times].concat();
    for time in [
        "50",
        "100",
        "150",
        "200",
        "300",
        "400",
        "x",
        "-5",
        "12x",
        "",
        "0",
        "99999999999999999999",
    ] {
        for log in [&times, &torn, &later, &behind_snapshot] {
            same(AOF, &["--truncate-to-timestamp", time, "f"], &[("f", log)]);
        }
    }
    for log in [b"#TS:x\r\n".as_slice(), b"#hello\r\n", SET] {
        same(AOF, &["--truncate-to-timestamp", "150", "f"], &[("f", log)]);
    }
    for (first, second) in [(times.as_slice(), SET), (SET, &times)] {
        for time in ["50", "150", "400"] {
            let files: Files<'_> = &[("m", PARTS), ("b", SNAPSHOT), ("i1", first), ("i2", second)];
            same(AOF, &["--truncate-to-timestamp", time, "m"], files);
        }
    }
}

#[test]
fn programs_are_used_alike() {
    let cases: &[&[&str]] = &[
        &[],
        &["--foo", "f"],
        &["--fix", "f", "x"],
        &["--truncate-to-timestamp", "1"],
        &["a", "b"],
        &["--truncate-to-timestamp", "1", "f", "x"],
        &["nofile"],
        &["."],
        &["--version", "f"],
    ];
    for args in cases {
        same(AOF, args, &[("f", SET)]);
    }
    for args in [&[][..], &["a", "b"], &["nofile"], &["."]] {
        same(RDB, args, &[("f", SET)]);
    }
}

/// A server of the reference, driven over its socket.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{what} never came"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("valkey-server")
            .args([
                "--port",
                "0",
                "--unixsocket",
                "s",
                "--save",
                "",
                "--appendonly",
                "yes",
            ])
            .args(options)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, folder };
        wait_for("the server", || {
            UnixStream::connect(server.folder.path().join("s")).ok()
        });
        server
    }

    /// Sends inline commands, and waits until all are answered.
    fn send(&self, commands: &[&str]) {
        let mut stream = UnixStream::connect(self.folder.path().join("s")).unwrap();
        for command in commands {
            stream
                .write_all(format!("{command}\r\n").as_bytes())
                .unwrap();
        }
        stream.write_all(b"ECHO the-end\r\n").unwrap();
        for line in BufReader::new(stream).lines() {
            if line.unwrap() == "the-end" {
                return;
            }
        }
        panic!("the server has gone");
    }

    fn info(&self, field: &str) -> String {
        let mut stream = UnixStream::connect(self.folder.path().join("s")).unwrap();
        stream.write_all(b"INFO persistence\r\nQUIT\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.starts_with(field));
        line.unwrap_or_default().to_owned()
    }

    fn rewrite(&self) {
        self.send(&["BGREWRITEAOF"]);
        wait_for("the end of the rewrite", || {
            let done = self.info("aof_rewrite_in_progress") == "aof_rewrite_in_progress:0"
                && self.info("aof_rewrite_scheduled") == "aof_rewrite_scheduled:0";
            done.then_some(())
        });
    }

    /// Ends the server; the files of its log, the manifest first.
    fn stop(mut self) -> Vec<(String, Vec<u8>)> {
        let mut stream = UnixStream::connect(self.folder.path().join("s")).unwrap();
        stream.write_all(b"SHUTDOWN\r\n").unwrap();
        self.child.wait().unwrap();
        let folder: PathBuf = self.folder.path().join("appendonlydir");
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    fs::read(&path).unwrap(),
                )
            })
            .collect();
        files.sort_by_key(|(name, _)| !name.ends_with(".manifest"));
        assert!(files[0].0.ends_with(".manifest"));
        files
    }
}

const COMMANDS: &[&str] = &[
    "SET a 1",
    "SELECT 3",
    "RPUSH l a b c",
    "MULTI",
    "SADD s x y",
    "SELECT 0",
    "HSET h f v",
    "EXEC",
    "XADD x 1-1 f v",
    "ZADD z 1 m",
    "EXPIRE a 1000",
    "EVAL \"redis.call('set','k','v'); redis.call('del','k')\" 0",
];

#[test]
fn logs_that_the_reference_writes() {
    if !installed("valkey-server") || !installed(AOF) {
        return;
    }
    for options in [
        &[][..],
        &["--aof-timestamp-enabled", "yes"],
        &[
            "--aof-use-rdb-preamble",
            "no",
            "--aof-timestamp-enabled",
            "yes",
        ],
        &["--aof-disable-auto-gc", "yes"],
    ] {
        let server = Server::start(options);
        server.send(COMMANDS);
        server.rewrite();
        server.send(COMMANDS);
        let files = server.stop();
        let all: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_slice()))
            .collect();
        same(AOF, &[all[0].0], &all);
        let done = run(ours(AOF), AOF, &[all[0].0], &all, "");
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(
            done.lines.last().unwrap(),
            "All AOF files and manifest are valid"
        );
        // Our own reading agrees: the manifest comes back byte by byte.
        let manifest = aof::manifest::Manifest::parse(all[0].1).unwrap();
        assert_eq!(manifest.print(), all[0].1);
        let last = manifest.incr.last().unwrap();
        let at = all
            .iter()
            .position(|(name, _)| name.as_bytes() == last.name)
            .unwrap();
        let whole = all[at].1;
        for cut in (0..whole.len()).step_by(7) {
            // A stamp that is cut is sound for the reference alone.
            let line = whole[..cut].rsplit(|byte| *byte == b'\n').next();
            if line.is_some_and(|line| line.starts_with(b"#")) {
                continue;
            }
            let mut files = all.clone();
            files[at].1 = &whole[..cut];
            same(AOF, &[all[0].0], &files);
            if cut % 3 == 0 {
                same(AOF, &["--fix", all[0].0], &files);
            }
        }
        for (name, content) in &all[1..] {
            if name.ends_with(".base.rdb") {
                same(RDB, &["f"], &[("f", content)]);
            }
        }
    }
}
