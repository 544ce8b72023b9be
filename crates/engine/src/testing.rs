//! Drives the engine in unit tests: no sockets, a clock that stands still, a host that writes nothing.
//!
//! Time is 1 000 000 000 000 ms after the epoch unless a test moves it.

use crate::client::Peer;
use crate::engine::{Engine, NextStep, Traffic};
use crate::host::{
    AppendLog, Attention, Clock, Connections, Couriers, CpuFigures, Crash, Files, HostError, Level,
    LinkCommand, Log, LogFigures, LogSource, Memory, MemoryFigures, PrimaryLink, Process,
    ProcessFacts, SnapshotJob, SnapshotResult, Snapshots, Target, WriteSnapshot,
};
use crate::migration::{Delivery, Shipment};
use config::{Config, Param};
use resp::{Batch, Decoder, Output};
use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use words::request;

thread_local! {
    static NOW_US: Cell<u64> = const { Cell::new(1_000_000_000_000_000) };
    /// Connections of this test whose small writes are gathered.
    pub static COALESCED: Cell<u32> = const { Cell::new(0) };
    /// Freeing in another thread fails an assertion.
    pub static FREES_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// The snapshot child that a [`FakeHost`] plays.
#[derive(Debug)]
pub struct FakeChild {
    /// What it was started for.
    pub job: SnapshotJob,
    /// The snapshot it has written, as the data were when it was forked.
    pub snapshot: Vec<u8>,
    /// It was killed.
    pub killed: bool,
}

/// What a [`FakeHost`] has been asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The child that is at work, or has been killed.
    pub child: Option<FakeChild>,
    /// A fork fails with this.
    pub fork_fails: Option<HostError>,
    /// The dump file.
    pub dump: Option<Vec<u8>>,
    /// Headers of dump files that were sent to replicas, by client.
    pub dumps_sent: Vec<(u64, Vec<u8>)>,
    /// What was appended to the log since it was opened or rewritten.
    pub log_bytes: Vec<u8>,
    /// The base of the log.
    pub log_base: Vec<u8>,
    /// Position and stream offset behind that, and behind what is on the disk.
    pub log_pushed: (u64, u64),
    /// See `log_pushed`.
    pub log_synced: (u64, u64),
    /// What INFO is told.
    pub log_figures: LogFigures,
    /// Rewrites that were begun.
    pub rewrites: Vec<::aof::rewrite::Log>,
    /// A rewrite cannot begin, because of this.
    pub rewrite_fails: Option<HostError>,
    /// What MIGRATE has sent and a test has not looked at yet.
    pub shipped: Vec<Shipment>,
    /// The log.
    pub log: Vec<String>,
}

/// A host for tests: it has no process, no files and no sockets, and plays the snapshot child.
#[derive(Debug, Default)]
pub struct FakeHost(Arc<Mutex<Asked>>);

impl FakeHost {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for FakeHost {
    fn log(&self, _: Level, text: &str) {
        self.asked().log.push(text.to_owned());
    }
}

impl Process for FakeHost {
    fn cpu(&self) -> CpuFigures {
        CpuFigures::default()
    }

    fn facts(&self) -> ProcessFacts {
        ProcessFacts::default()
    }

    fn apply(&mut self, _: &Config, _: Param) -> Result<(), String> {
        Ok(())
    }

    fn set_role(&mut self, _: bool) {}

    fn exit(&mut self, _: i32) {}

    fn stop_self(&mut self) {}

    fn sleep_us(&mut self, _: u64) {}

    fn crash(&mut self, _: Crash) {}

    fn restart(&mut self, _: u64) {}

    fn random_bytes(&mut self) -> [u8; 32] {
        [7; 32]
    }
}

impl Memory for FakeHost {
    fn memory(&self) -> MemoryFigures {
        MemoryFigures::default()
    }

    fn used_memory(&self) -> usize {
        0
    }

    fn free(&mut self, _: Vec<keyspace::Value>) {
        assert!(!FREES_FAIL.get(), "frees fail");
    }

    fn free_databases(&mut self, _: Vec<keyspace::Db>, _: bool) {}

    fn free_other(&mut self, _: Box<dyn Send>) {}

    fn pending_frees(&self) -> usize {
        0
    }

    fn allocator_number(&mut self, _: &[u8], _: Option<i64>) -> Result<i64, HostError> {
        Err("no allocator to ask".into())
    }

    fn allocator_text(&mut self, _: &[u8], _: Option<&[u8]>) -> Result<Vec<u8>, HostError> {
        Err("no allocator to ask".into())
    }
}

impl Files for FakeHost {
    fn folder(&self) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, write: WriteSnapshot<'_>) -> Result<(), HostError> {
        let mut dump = Vec::new();
        write(&mut dump, &mut |_| ()).map_err(|error| error.to_string())?;
        self.asked().dump = Some(dump);
        Ok(())
    }

    fn open_dump(&mut self) -> Result<Option<Box<dyn std::io::Read + Send>>, HostError> {
        let dump = self.asked().dump.clone().map(std::io::Cursor::new);
        Ok(dump.map(|dump| Box::new(dump) as Box<dyn std::io::Read + Send>))
    }

    fn read_config_file(&mut self) -> Result<Vec<u8>, HostError> {
        Err("no file".into())
    }

    fn write_config_file(&mut self, _: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn read_user_file(&mut self, _: &[u8]) -> Result<Vec<u8>, HostError> {
        Err("no file".into())
    }

    fn write_user_file(&mut self, _: &[u8], _: &[u8]) -> Result<(), HostError> {
        Ok(())
    }
}

impl AppendLog for FakeHost {
    fn push_log(&mut self, bytes: &mut Vec<u8>, position: u64, offset: u64) {
        let mut asked = self.asked();
        asked.log_bytes.append(bytes);
        asked.log_pushed = (position, offset);
    }

    fn sync_log(&mut self) -> Result<(), HostError> {
        let mut asked = self.asked();
        asked.log_synced = asked.log_pushed;
        Ok(())
    }

    fn begin_rewrite(
        &mut self,
        _: &Config,
        log: ::aof::rewrite::Log,
        _: ::aof::names::BaseForm,
        position: u64,
        offset: u64,
    ) -> Result<(), HostError> {
        let mut asked = self.asked();
        if let Some(error) = asked.rewrite_fails.clone() {
            return Err(error);
        }
        asked.log_bytes.clear();
        asked.log_pushed = (position, offset);
        asked.rewrites.push(log);
        Ok(())
    }

    fn begin_log_with_received(&mut self, _: &Config, _: u64, _: u64) -> Result<(), HostError> {
        Err("it has no files".into())
    }

    fn give_up_rewrite(&mut self) {}

    fn stop_log(&mut self) {
        let mut asked = self.asked();
        asked.log_synced = asked.log_pushed;
    }

    fn child_lives(&mut self, _: bool) {}

    fn synced_log(&self) -> (u64, u64) {
        self.asked().log_synced
    }

    fn log_memory(&self) -> usize {
        0
    }

    fn log_figures(&self) -> LogFigures {
        self.asked().log_figures
    }

    fn open_log(&mut self) -> Result<Vec<LogSource>, HostError> {
        let asked = self.asked();
        let files = [
            ("base", asked.log_base.clone()),
            ("incr", asked.log_bytes.clone()),
        ];
        let sources = files.into_iter().map(|(name, bytes)| LogSource {
            name: name.into(),
            size: bytes.len() as u64,
            source: Box::new(std::io::Cursor::new(bytes)),
        });
        Ok(sources.collect())
    }
}

impl Snapshots for FakeHost {
    fn start_snapshot(
        &mut self,
        job: &SnapshotJob,
        write: WriteSnapshot<'_>,
    ) -> Result<u32, HostError> {
        if let Some(error) = self.asked().fork_fails.clone() {
            return Err(error);
        }
        let mut snapshot = Vec::new();
        write(&mut snapshot, &mut |_| ()).map_err(|error| error.to_string())?;
        self.asked().child = Some(FakeChild {
            job: job.clone(),
            snapshot,
            killed: false,
        });
        Ok(4711)
    }

    fn kill_snapshot(&mut self) {
        if let Some(child) = &mut self.asked().child {
            child.killed = true;
        }
    }

    fn send_dump(&mut self, client: u64, header: Vec<u8>) -> Result<(), HostError> {
        self.asked().dumps_sent.push((client, header));
        Ok(())
    }

    fn remove_dump(&mut self) {}
}

impl Connections for FakeHost {
    fn write_now(&mut self, _: u64, _: &[u8]) {}

    fn coalesce(&mut self, _: u64) {
        COALESCED.set(COALESCED.get() + 1);
    }

    fn hang_up(&mut self, _: u64) {}
}

impl Couriers for FakeHost {
    fn ship(&mut self, shipment: Shipment) -> Result<(), HostError> {
        self.asked().shipped.push(shipment);
        Ok(())
    }

    fn ship_now(&mut self, shipment: &Shipment) -> Delivery {
        Delivery {
            taken: vec![true; shipment.keys],
            error: None,
            failure: None,
        }
    }
}

impl PrimaryLink for FakeHost {
    fn link(&mut self, _: LinkCommand) {}
}

/// An engine with any number of clients.
pub struct Driver {
    /// The engine, to look into.
    pub engine: Engine,
    asked: Arc<Mutex<Asked>>,
    slots: Vec<u32>,
    /// The clients' numbers, by slot.
    ids: Vec<u64>,
}

impl Default for Driver {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver {
    /// An engine with default parameters and one client, recording what it propagates.
    pub fn new() -> Self {
        NOW_US.set(1_000_000_000_000_000);
        let clock = Clock {
            monotonic_ns: || NOW_US.get() * 1000,
            unix_us: || NOW_US.get(),
        };
        let config = Config {
            enable_debug_command: config::ProtectedAction::Yes,
            ..Config::default()
        };
        let host = FakeHost::default();
        let asked = Arc::clone(&host.0);
        let engine = Engine::new(config, clock, Box::new(host));
        let mut driver = Driver {
            engine,
            asked,
            slots: Vec::new(),
            ids: Vec::new(),
        };
        driver
            .engine
            .state
            .repl
            .with_hub(|hub, env| hub.ensure_backlog(env));
        driver.engine.keys.effects.recording = true;
        driver.client(0);
        driver
    }

    /// The slot of client number `index`, connected at its first use.
    fn client(&mut self, index: usize) -> u32 {
        while self.slots.len() <= index {
            let peer = Peer {
                addr: "127.0.0.1:1".into(),
                laddr: "127.0.0.1:2".into(),
                fd: 3,
                unix: false,
                loopback: true,
            };
            let (slot, id) = self
                .engine
                .connect(peer, Arc::new(Attention::default()))
                .expect("there is room");
            self.slots.push(slot);
            self.ids.resize(self.ids.len().max(slot as usize + 1), 0);
            self.ids[slot as usize] = id;
        }
        self.slots[index]
    }

    /// What the host has been asked for.
    pub fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of client `index`.
    pub fn id(&mut self, index: usize) -> u64 {
        let slot = self.client(index);
        self.ids[slot as usize]
    }

    /// The snapshot child ends well: a file has been put in place, or all its connections have everything.
    pub fn child_succeeds(&mut self) -> FakeChild {
        let child = self.asked().child.take().expect("a child is at work");
        let result = match &child.job.target {
            Target::Log { .. } => {
                self.asked().log_base = child.snapshot.clone();
                SnapshotResult::Disk {
                    bytes: child.snapshot.len() as u64,
                }
            }
            Target::Disk => {
                self.asked().dump = Some(child.snapshot.clone());
                SnapshotResult::Disk {
                    bytes: child.snapshot.len() as u64,
                }
            }
            Target::Sockets { targets, .. } => SnapshotResult::Sockets {
                complete: targets.iter().map(|target| target.client).collect(),
            },
        };
        self.engine.snapshot_finished(child.job.id, &result);
        child
    }

    /// The snapshot child fails, by `signal` if it was one.
    pub fn child_fails(&mut self, signal: Option<i32>) -> FakeChild {
        let child = self.asked().child.take().expect("a child is at work");
        self.engine
            .snapshot_finished(child.job.id, &SnapshotResult::Failed { signal });
        child
    }

    /// The connection of client `index` ends.
    pub fn hang_up(&mut self, index: usize) {
        let slot = self.client(index);
        self.engine.disconnect(slot);
        self.slots[index] = u32::MAX;
    }

    /// What client `index` is to do.
    pub fn next_step(&mut self, index: usize) -> NextStep {
        let slot = self.client(index);
        let mut out = Output::default();
        self.engine.take_output(slot, Traffic::default(), &mut out)
    }

    /// Moves the clock.
    pub fn advance_ms(&mut self, ms: u64) {
        NOW_US.set(NOW_US.get() + ms * 1000);
    }

    /// Runs one request of client `index`; returns the bytes of its reply.
    pub fn send(&mut self, index: usize, args: &[&[u8]]) -> Vec<u8> {
        let slot = self.client(index);
        let mut buffer = Vec::new();
        request::encode(&mut buffer, args);
        let mut decoder = Decoder::new(u64::MAX);
        decoder.authenticated = true;
        let mut batch = Batch::default();
        decoder
            .decode(&mut buffer, &mut batch, usize::MAX)
            .expect("the request is well formed");
        let mut out = Output::default();
        self.engine
            .run(slot, &batch, 0, &buffer, Traffic::default(), &mut out);
        out.to_vec()
    }

    /// What has been sent to client `index` since it was last asked.
    pub fn pushed(&mut self, index: usize) -> Vec<u8> {
        let slot = self.client(index);
        let mut out = Output::default();
        self.engine.take_output(slot, Traffic::default(), &mut out);
        out.to_vec()
    }

    /// The commands propagated since stream offset `from`, SELECT left out.
    fn propagated(&mut self, from: u64) -> Vec<String> {
        let hub = &mut self.engine.state.repl.hub;
        let bytes = hub.stream_since(from);
        let mut buffer = bytes;
        let mut decoder = Decoder::new(u64::MAX);
        decoder.authenticated = true;
        let mut batch = Batch::default();
        decoder
            .decode(&mut buffer, &mut batch, usize::MAX)
            .expect("the stream is well formed");
        let request = |index| {
            let args = batch
                .request(index)
                .iter()
                .map(|arg| shown_word(batch.bytes(&buffer, *arg)));
            args.collect::<Vec<_>>().join(" ")
        };
        (0..batch.len())
            .map(request)
            .filter(|line| !line.starts_with("SELECT "))
            .collect()
    }
}

/// Runs a script: `> request` of client 0, or `1> request` of client 1 and so on; `< reply` as valkey-cli prints it, one
/// line per line; `1< text` for what client 1 has been sent meanwhile; `~ command` for what was propagated (all of it:
/// no `~` line asserts that nothing was); `+ ms` moves the clock.
pub fn check(script: &str) {
    check_on(&mut Driver::new(), script);
}

/// As [`check`], on an engine prepared by the caller.
pub fn check_on(driver: &mut Driver, script: &str) {
    let lines: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let mut expected = Vec::new();
        let mut expected_stream = Vec::new();
        let mut expected_pushes: Vec<(usize, Vec<&str>)> = Vec::new();
        while at < lines.len() {
            let next = lines[at];
            if let Some(reply) = next.strip_prefix("<") {
                expected.push(reply.strip_prefix(' ').unwrap_or(reply));
            } else if let Some(command) = next.strip_prefix("~ ") {
                expected_stream.push(command.to_owned());
            } else if let Some((client, text)) = next.split_once('<')
                && let Ok(client) = client.parse::<usize>()
            {
                let text = text.strip_prefix(' ').unwrap_or(text);
                match expected_pushes
                    .iter_mut()
                    .find(|(known, _)| *known == client)
                {
                    Some((_, texts)) => texts.push(text),
                    None => expected_pushes.push((client, vec![text])),
                }
            } else {
                break;
            }
            at += 1;
        }
        if let Some(ms) = line.strip_prefix("+ ") {
            driver.advance_ms(ms.parse().expect("a number of milliseconds"));
            driver.engine.tick();
        } else {
            let (client, request) = line.split_once("> ").expect("a request");
            let client = client.parse().unwrap_or(0);
            let offset = driver.engine.state.repl.offset();
            let words = resp::split_args(request.as_bytes()).expect("balanced quotes");
            let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let reply = driver.send(client, &args);
            assert_eq!(shown(&reply), expected.join("\n"), "reply to: {request}");
            assert_eq!(
                driver.propagated(offset),
                expected_stream,
                "propagated by: {request}"
            );
        }
        for (client, texts) in expected_pushes {
            let pushed = driver.pushed(client);
            assert_eq!(
                shown(&pushed),
                texts.join("\n"),
                "sent to client {client} after: {line}"
            );
        }
    }
}

/// Replies the way valkey-cli prints them.
fn shown(mut bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let mut text = String::new();
        bytes = show_one(bytes, 0, &mut text);
        lines.push(text);
    }
    lines.join("\n")
}

fn show_one<'a>(bytes: &'a [u8], indent: usize, text: &mut String) -> &'a [u8] {
    let end = bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .expect("a line");
    let (line, rest) = (&bytes[1..end], &bytes[end + 2..]);
    let word = String::from_utf8_lossy(line).into_owned();
    match bytes[0] {
        b'+' => text.push_str(&word),
        b'-' => text.push_str(&format!("(error) {word}")),
        b':' => text.push_str(&format!("(integer) {word}")),
        b',' => text.push_str(&format!("(double) {word}")),
        b'#' => text.push_str(if word == "t" { "(true)" } else { "(false)" }),
        b'_' => text.push_str("(nil)"),
        b'$' | b'=' => {
            let Ok(len) = word.parse::<usize>() else {
                text.push_str("(nil)");
                return rest;
            };
            text.push_str(&quoted(&rest[..len]));
            return &rest[len + 2..];
        }
        kind @ (b'*' | b'~' | b'>' | b'%') => {
            let Ok(count) = word.parse::<usize>() else {
                text.push_str("(nil)");
                return rest;
            };
            let count = if kind == b'%' { count * 2 } else { count };
            if count == 0 {
                text.push_str("(empty array)");
            }
            let mut rest = rest;
            for index in 1..=count {
                if index > 1 {
                    text.push('\n');
                    text.push_str(&" ".repeat(indent));
                }
                let number = format!("{index}) ");
                text.push_str(&number);
                rest = show_one(rest, indent + number.len(), text);
            }
            return rest;
        }
        other => panic!("unknown reply kind {other}"),
    }
    rest
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

fn shown_word(bytes: &[u8]) -> String {
    let plain = !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'"');
    if plain {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        quoted(bytes)
    }
}
