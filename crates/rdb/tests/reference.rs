//! The reference server accepts what we write: `valkey-check-rdb` passes it, and `valkey-server` loads it
//! and saves the same data again. Without these programs on the path the tests pass without a word.

#![allow(clippy::disallowed_methods, reason = "tests and tools measure time")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Dataset, Form, contents, load, save};
use rdb::{ReaderOptions, WriterOptions};

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn variants() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for form in [Form::Plain, Form::Packed] {
        for (compress, checksum) in [(true, true), (false, true), (true, false)] {
            let options = WriterOptions { compress, checksum };
            let name = format!("{form:?}-{compress}-{checksum}");
            files.push((name, save(&sample(), form, options)));
        }
    }
    files
}

fn sample() -> Dataset {
    let mut dataset = contents();
    dataset.aux = vec![(b"valkey-ver".to_vec(), b"8.0.1".to_vec())];
    dataset.functions =
        vec![b"#!lua name=lib\nserver.register_function('f', function() return 1 end)".to_vec()];
    dataset
}

#[test]
fn the_checker_passes_every_variant() {
    if !installed("valkey-check-rdb") {
        return;
    }
    let folder = folder("check");
    for (name, file) in variants() {
        let path = folder.join(&name);
        fs::write(&path, file).unwrap();
        let output = Command::new("valkey-check-rdb")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
        assert!(said.contains("RDB looks OK"), "{name}: {said}");
    }
}

/// A server on a socket file, gone when dropped.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("s");
        let child = Command::new("valkey-server")
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(folder)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    /// Sends an inline request until the reply is `wanted`.
    fn expect(&self, request: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut reply = String::new();
        while reply.trim_end() != wanted {
            assert!(Instant::now() < deadline, "{request} still gives {reply:?}");
            reply.clear();
            if let Ok(mut stream) = UnixStream::connect(&self.socket) {
                stream.write_all(request.as_bytes()).unwrap();
                stream.write_all(b"\r\n").unwrap();
                BufReader::new(stream).read_line(&mut reply).unwrap();
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_server_loads_every_variant_and_saves_the_same_data() {
    if !installed("valkey-server") {
        return;
    }
    for (name, file) in variants() {
        let folder = folder(&format!("serve-{name}"));
        let path = folder.join("dump.rdb");
        fs::write(&path, &file).unwrap();
        let server = Server::start(&folder);
        server.expect("PING", "+PONG");
        server.expect("FCALL f 0", ":1");
        server.expect("SAVE", "+OK");
        drop(server);
        let saved = fs::read(&path).unwrap();
        assert!(saved != file, "{name} was saved again");
        let again = load(saved.as_slice(), ReaderOptions::default()).unwrap();
        assert_eq!(again.keys, sample().keys, "{name}");
        assert_eq!(again.functions, sample().functions, "{name}");
    }
}
