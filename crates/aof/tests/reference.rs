//! The reference loads what we write, whatever our names and marks. Without it on the path the tests pass without a word.
#![allow(clippy::disallowed_methods, reason = "tests wait for another process")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aof::encoder::{Effect, Encoder, stamp};
use aof::files::Disk;
use aof::manifest::Manifest;
use aof::names::{BaseForm, Names};
use aof::reader::{LogReader, Next};
use aof::rewrite::{Log, Rewrite};
use aof::start::{self, Plan};
use aof::steps::{perform, remove_history};
use aof::writer::{self, Marks, Writer};

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn unit(encoder: &mut Encoder, out: &mut Vec<u8>, commands: &[(u32, &str)], now_s: i64) {
    let words: Vec<Vec<&[u8]>> = commands
        .iter()
        .map(|(_, text)| text.split(' ').map(str::as_bytes).collect())
        .collect();
    let effects: Vec<Effect<'_>> = commands
        .iter()
        .zip(&words)
        .map(|((db, _), args)| Effect { db: *db, args })
        .collect();
    encoder.unit(out, &effects, now_s);
}

/// Begins a log in `dir`, appends, rewrites, appends.
fn write_log(dir: &Path, file: &[u8], marks: Marks, stamps: bool) -> Manifest {
    let names = Names::new(dir, b"appendonlydir", file);
    let seen = start::look(&Disk, &names, &dir.join("dump.rdb")).unwrap();
    let Plan::Begin(begin) = start::plan(&seen, &names).unwrap() else {
        panic!("there is a log")
    };
    perform(&Disk, &begin.before).unwrap();
    let temp = names.temp_base(1);
    fs::write(&temp, stamp(1_700_000_000)).unwrap();
    let ready = begin.after(&names, &temp, BaseForm::Commands, marks);
    perform(&Disk, &ready.steps).unwrap();
    let (log, size) = writer::begin(&Disk, &ready.file, None, marks).unwrap();
    let mut writer = Writer::new(log, size, marks);
    let mut encoder = Encoder::new(stamps);
    let append = |writer: &mut Writer<_>, encoder: &mut Encoder, commands: &[(u32, &str)], now| {
        writer.append(|out| unit(encoder, out, commands, now));
        writer.flush(0).unwrap();
        writer.sync(0).unwrap();
    };
    append(&mut writer, &mut encoder, &[(0, "SET a 1")], 1_700_000_001);
    append(
        &mut writer,
        &mut encoder,
        &[(0, "SET gone 1"), (3, "RPUSH l x y")],
        1_700_000_001,
    );
    let (rewrite, begun) =
        Rewrite::begin(&names, &ready.manifest, Log::On, BaseForm::Commands, marks);
    perform(&Disk, &begun.steps).unwrap();
    let (next, size) = writer::begin(&Disk, &begun.file.unwrap(), None, Marks::Off).unwrap();
    assert!(writer.switch(next, size).is_ok());
    encoder.begin_file();
    append(
        &mut writer,
        &mut encoder,
        &[(3, "RPUSH l z")],
        1_700_000_002,
    );
    let written = names.finished_base(1);
    let mut base = Vec::new();
    let dataset = [(0, "SET a 1"), (3, "RPUSH l x y")];
    for command in dataset {
        unit(&mut Encoder::new(false), &mut base, &[command], 0);
    }
    fs::write(&written, base).unwrap();
    let committed = rewrite.commit(&names, &written);
    perform(&Disk, &committed.steps).unwrap();
    let (steps, manifest) = remove_history(&names, &committed.manifest);
    perform(&Disk, &steps).unwrap();
    append(
        &mut writer,
        &mut encoder,
        &[(3, "RPUSH l q"), (0, "INCR a"), (0, "INCR a")],
        1_700_000_003,
    );
    manifest
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server of the reference answers, started on this folder.
fn asked(dir: &Path, file: &str, commands: &str) -> String {
    let quoted = file.replace('"', "\\\"");
    let config =
        format!("port 0\nunixsocket s\nsave \"\"\nappendonly yes\nappendfilename \"{quoted}\"\n");
    fs::write(dir.join("conf"), config).unwrap();
    let server = Command::new("valkey-server")
        .arg("conf")
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn();
    let _server = Server(server.unwrap());
    let began = Instant::now();
    loop {
        if let Ok(mut stream) = UnixStream::connect(dir.join("s")) {
            stream.write_all(commands.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            if !answer.starts_with("-LOADING") {
                return answer;
            }
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no server came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_reference_loads_our_log_and_goes_on_with_it() {
    if !installed("valkey-server") {
        return;
    }
    for (file, marks, stamps) in [
        ("appendonly.aof", Marks::Off, false),
        ("appendonly.aof", Marks::On, true),
        ("a b\"c \u{e9}", Marks::On, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let manifest = write_log(dir.path(), file.as_bytes(), marks, stamps);
        assert_eq!((manifest.next_base_seq(), manifest.next_incr_seq()), (3, 3));
        let answer = asked(
            dir.path(),
            file,
            "GET a\r\nEXISTS gone\r\nSELECT 3\r\nLRANGE l 0 -1\r\nSET more 1\r\nQUIT\r\n",
        );
        assert_eq!(
            answer,
            "$1\r\n3\r\n:0\r\n+OK\r\n*4\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n$1\r\nq\r\n+OK\r\n+OK\r\n",
            "{file}"
        );
        // What it has appended is read with ours.
        let last = dir
            .path()
            .join("appendonlydir")
            .join(format!("{file}.2.incr.aof"));
        let bytes = fs::read(last).unwrap();
        let mut reader = LogReader::new(bytes.as_slice(), bytes.len() as u64);
        let mut names = Vec::new();
        let ending = loop {
            match reader.next_record().unwrap() {
                Next::End(ending) => break ending,
                Next::Record(record) => names.push(record.args.get(0).unwrap_or_default().to_vec()),
            }
        };
        assert_eq!(
            (ending.damage, names.last().unwrap().as_slice()),
            (None, b"SET".as_slice())
        );
    }
}

#[test]
fn the_checker_of_the_reference_accepts_our_log() {
    if !installed("valkey-check-aof") {
        return;
    }
    for marks in [Marks::On, Marks::Off] {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), b"appendonly.aof", marks, true);
        let output = Command::new("valkey-check-aof")
            .arg(dir.path().join("appendonlydir/appendonly.aof.manifest"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(
            text.ends_with("All AOF files and manifest are valid\n"),
            "{text}"
        );
    }
}

/// The same effects in the same units make the same bytes, and a fresh log has the same names.
#[test]
fn we_write_what_the_reference_writes() {
    if !installed("valkey-server") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    asked(
        dir.path(),
        "appendonly.aof",
        "GET x\r\nset a 1\r\nSELECT 3\r\nRPUSH l x\r\nMULTI\r\nSADD s x\r\nGET a\r\nSELECT 0\r\nHSET h f v\r\nEXEC\r\nMULTI\r\n\
         SET q 1\r\nEXEC\r\nMULTI\r\nGET q\r\nEXEC\r\nSELECT 3\r\nDEL l\r\nQUIT\r\n",
    );
    let folder = dir.path().join("appendonlydir");
    let mut encoder = Encoder::new(false);
    let mut out = Vec::new();
    let units: [&[(u32, &str)]; 5] = [
        &[(0, "set a 1")],
        &[(3, "RPUSH l x")],
        &[(3, "SADD s x"), (0, "HSET h f v")],
        &[(0, "SET q 1")],
        &[(3, "DEL l")],
    ];
    for commands in units {
        unit(&mut encoder, &mut out, commands, 0);
    }
    let theirs = fs::read(folder.join("appendonly.aof.1.incr.aof")).unwrap();
    assert_eq!(
        out.escape_ascii().to_string(),
        theirs.escape_ascii().to_string()
    );
    let names = Names::new(dir.path(), b"appendonlydir", b"appendonly.aof");
    let begin = start::Begin {
        before: Vec::new(),
        load_dump: false,
    };
    let ready = begin.after(&names, &names.temp_base(1), BaseForm::Rdb, Marks::Off);
    let theirs = fs::read(folder.join("appendonly.aof.manifest")).unwrap();
    assert_eq!(ready.manifest.print(), theirs);
    // And what they have left is a log that we would load.
    let seen = start::look(&Disk, &names, &dir.path().join("dump.rdb")).unwrap();
    let Plan::Load(load) = start::plan(&seen, &names).unwrap() else {
        panic!("no log")
    };
    assert_eq!((load.files.len(), load.files[0].is_base), (2, true));
}
