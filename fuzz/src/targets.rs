//! What the fuzz targets do with their bytes. Used by cargo-fuzz and, on the stable toolchain, by the smoke runner in
//! `crates/server/tests/fuzz_smoke.rs`.
//!
//! A target returns quietly or panics: whatever bytes come, a panic is a bug. Where a value is accepted, it must hold
//! together: it is walked, and where there is a writer, written and read again.

use config::{Config, Startup, Surroundings};
use dataset::digest::Digest;
use dataset::snapshot::{self, Filter, LoadOptions, SaveInfo};
use engine::Engine;
use engine::host::{Attention, Clock};
use engine::testing::FakeHost;
use packed::{Intset, Listpack};
use replication::replica;
use resp::{Batch, Decoder};
use std::sync::Arc;
use words::glob::Case;

/// A target: its name, its code, and inputs to start from.
pub struct Target {
    /// Name, as cargo-fuzz knows it.
    pub name: &'static str,
    /// Code.
    pub run: fn(&[u8]),
    /// Inputs that get deep.
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub static TARGETS: &[Target] = &[
    Target {
        name: "resp",
        run: resp,
        seeds: &[
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n",
            b"PING\r\nSET \"a\\x00\" 'b c'\r\n\r\n*0\r\n*-1\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n",
        ],
    },
    Target {
        name: "rdb",
        run: rdb,
        seeds: &[
            b"REDIS0011\xfa\x09valkey-ver\x058.0.1\xfe\x00\xfb\x01\x00\x00\x01a\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00",
            b"REDIS0011\xfe\x00\xfc\x00\x01\x02\x03\x04\x05\x06\x07\x02\x01s\x02\x01a\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00",
            b"REDIS0009\x05\x01z\x01\x01m\x00\x00\x00\x00\x00\x00\xf0\x3f\x04\x01h\x01\x01f\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00",
            b"REDIS0011\x10\x01h\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00",
            b"REDIS0011\x00\x01k\xc3\x0b\x1e\x01aa\xe0\x13\x00\x01aa\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        ],
    },
    Target {
        name: "snapshot",
        run: snapshot,
        seeds: &[
            include_bytes!("../../crates/rdb/tests/fixtures/streams-valkey-server.rdb"),
            include_bytes!("../../crates/rdb/tests/fixtures/streams-redis-server.rdb"),
            include_bytes!("../../crates/rdb/tests/fixtures/stream.rdb"),
        ],
    },
    Target {
        name: "listpack",
        run: listpack,
        seeds: &[
            b"\x07\x00\x00\x00\x00\x00\xff",
            b"\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff",
            b"\x0a\x00\x00\x00\x01\x00\x05\x01\xff\xff",
        ],
    },
    Target {
        name: "intset",
        run: intset,
        seeds: &[
            b"\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00",
            b"\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\x02\x00",
            b"\x08\x00\x00\x00\x01\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00\x01",
        ],
    },
    Target {
        name: "lzf",
        run: lzf,
        seeds: &[b"\x01aa\xe0\x13\x00\x01aa", b"\x00a\x20\x00", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    },
    Target {
        name: "config",
        run: config,
        seeds: &[
            b"port 7777\nsave 3600 1 60 1000\nbind 127.0.0.1 -::1\n# comment\nmaxmemory 1gb\n",
            b"client-output-buffer-limit normal 0 0 0\nuser default on nopass ~* &* +@all\nrename-command a b\n",
            b"include other.conf\ndir ./\nnotify-keyspace-events KEA\noom-score-adj-values 0 200 800\n\"\\x41\" 'b'\n",
        ],
    },
    Target {
        name: "glob",
        run: glob,
        seeds: &[b"a*[b-d]?\\*\x00aXXc*", b"[^a]*\x00bcd", b"*a*a*a*a*b\x00aaaaaaaaaaaaaaaa"],
    },
    Target {
        name: "replication",
        run: replication,
        seeds: &[
            b"+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC 0123456789012345678901234567890123456789 1\r\n$5\r\nREDIS",
            b"+PONG\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n+OK\r\n$ENDOFF:1 0123456789012345678901234567890123456789 0 7\r\n",
            b"-NOAUTH\r\n+CONTINUE 0123456789012345678901234567890123456789\r\n*1\r\n$4\r\nPING\r\n",
            b"+PONG\r\n-ERR no\r\n+OK\r\n+FULLRESYNC 0123456789012345678901234567890123456789 1\r\n$EOF:0123456789012345678901234567890123456789\r\n",
        ],
    },
    Target {
        name: "commands",
        run: commands,
        seeds: &[
            b"SET a b\nINCR a\nGETRANGE a 0 -1\nSETRANGE a 5 x\nEXPIRE a 100\n",
            b"RPUSH l 1 2 3\nLPOS l 2 RANK -1\nLINSERT l BEFORE 2 x\nMULTI\nLPOP l 9\nEXEC\n",
            b"ZADD z 1 a 2 b\nZRANGE z (1 inf BYSCORE LIMIT 0 5\nZUNIONSTORE y 2 z z WEIGHTS 2 3\nOBJECT ENCODING z\n",
            b"SADD s 1 2 x\nSINTERCARD 1 s LIMIT 1\nHSET h f v\nHINCRBYFLOAT h n 1e3\nSSCAN s 0\nHRANDFIELD h -2\n",
            b"HELLO 3\nCLIENT LIST\nCONFIG GET *\nCOMMAND DOCS get\nDEBUG DIGEST\nSUBSCRIBE a\nPSYNC ? -1\n",
        ],
    },
];

/// Bytes of one client: decoding in one go and byte by byte must give the same requests.
pub fn resp(data: &[u8]) {
    if data.len() > 4096 {
        return;
    }
    let requests = |chunk: usize| {
        let mut decoder = Decoder::new(1 << 20);
        let (mut batch, mut buffer, mut all, mut failed) =
            (Batch::default(), Vec::new(), Vec::new(), false);
        for piece in data.chunks(chunk.max(1)) {
            buffer.extend_from_slice(piece);
            match decoder.decode(&mut buffer, &mut batch, usize::MAX) {
                Ok(used) => {
                    collect(&batch, &buffer, &mut all);
                    buffer.drain(..used);
                    batch.clear();
                }
                Err(_) => {
                    collect(&batch, &buffer, &mut all);
                    failed = true;
                    break;
                }
            }
        }
        (all, failed)
    };
    assert_eq!(requests(data.len()), requests(1));
}

fn collect(batch: &Batch, buffer: &[u8], all: &mut Vec<Vec<Vec<u8>>>) {
    for index in 0..batch.len() {
        let words = batch.request(index).iter();
        all.push(
            words
                .map(|arg| batch.bytes(buffer, *arg).to_vec())
                .collect(),
        );
    }
}

/// A whole RDB file.
pub fn rdb(data: &[u8]) {
    let options = ::rdb::ReaderOptions {
        checksum: false,
        total_bytes: Some(data.len() as u64),
        string_bytes_max: 1 << 20,
    };
    let mut reader = ::rdb::Reader::new(data, options);
    if reader.header().is_err() {
        return;
    }
    let mut key = Vec::new();
    while let Ok(event) = reader.next(&mut key) {
        let more = match event {
            ::rdb::Event::Key(head) => reader.value(head.type_, &mut ::rdb::Discard).is_ok(),
            ::rdb::Event::Eof { .. } => false,
            _ => true,
        };
        if !more {
            return;
        }
    }
}

/// A dataset: what is accepted can be looked through, written, and read again.
pub fn snapshot(data: &[u8]) {
    let load = |data: &[u8]| {
        let options = LoadOptions {
            checksum: false,
            total_bytes: Some(data.len() as u64),
            keep_expired: true,
            ..LoadOptions::new(2, 0)
        };
        snapshot::load(data, &options, &mut |_| true)
    };
    let Ok(loaded) = load(data) else { return };
    let info = SaveInfo {
        used_memory: 0,
        unix_seconds: 0,
        compress: true,
        checksum: false,
        key_save_delay_us: 0,
        replication: None,
        access: None,
        functions: loaded.functions.clone().into(),
        filter: Filter::ALL,
    };
    let mut bytes = Vec::new();
    snapshot::write(&loaded.dbs, &info, &mut bytes, &mut |_| ()).expect("memory takes all bytes");
    let again = load(&bytes).expect("what we write we read");
    assert_eq!(again.functions, loaded.functions);
    assert_eq!(
        Digest::of_dataset(&again.dbs),
        Digest::of_dataset(&loaded.dbs)
    );
}

/// A listpack: what is accepted can be walked both ways.
pub fn listpack(data: &[u8]) {
    let Ok(mut list) = Listpack::from_bytes(data.to_vec()) else {
        return;
    };
    let count = list.iter().count();
    assert_eq!(count, list.len());
    assert_eq!(list.iter().rev().count(), count);
    list.push_back(b"tail");
    list.push_front_int(-1);
    assert_eq!(list.len(), count + 2);
}

/// An intset: what is accepted is sorted and finds its own members.
pub fn intset(data: &[u8]) {
    let Ok(set) = Intset::from_bytes(data.to_vec()) else {
        return;
    };
    let members: Vec<i64> = set.iter().collect();
    assert!(members.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(members.iter().all(|member| set.contains(*member)));
}

/// LZF: expanding anything is safe, and what we compress comes back.
pub fn lzf(data: &[u8]) {
    let mut out = Vec::new();
    for size in [0, 1, data.len(), 30, 1000] {
        out.clear();
        // Damaged input is refused; what counts is that nothing else happens.
        let _ = ::rdb::lzf::decompress(data, size, &mut out);
        assert!(out.len() <= size);
    }
    let mut compressor = ::rdb::lzf::Compressor::new();
    if let Some(packed) = compressor.compress(data) {
        out.clear();
        ::rdb::lzf::decompress(packed, data.len(), &mut out).expect("our own output expands");
        assert_eq!(out, data);
    }
}

/// Surroundings without files.
struct Nowhere;

impl Surroundings for Nowhere {
    fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        // A file that includes itself: depth has a limit.
        Ok(vec![[b"include ", pattern].concat()])
    }
    fn change_dir(&mut self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// A configuration file.
pub fn config(data: &[u8]) {
    if let Err(error) = Startup::load(data, &mut Nowhere) {
        assert!(!error.to_string().is_empty());
    }
}

/// A pattern and a text, with a NUL between them.
pub fn glob(data: &[u8]) {
    let cut = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    let (pattern, text) = data.split_at(cut);
    for case in [Case::Sensitive, Case::Insensitive] {
        words::glob::matches(pattern, text, case);
        if !pattern.contains(&b'\\') && !words::glob::is_pattern(pattern) {
            assert!(words::glob::matches(pattern, pattern, case));
        }
    }
}

/// What a primary sends, in pieces, to a replica's link on both of its connections.
pub fn replication(data: &[u8]) {
    let (head, data) = data.split_at(data.len().min(2));
    let config = replica::Config {
        dual_channel: head.first().is_some_and(|byte| byte & 1 != 0),
        buffer_bytes_max: 1 << 20,
        backlog_bytes: 1 << 16,
        ..replica::Config::default()
    };
    let step = usize::from(head.get(1).copied().unwrap_or(0)).max(1);
    let env = replica::Env {
        config: &config,
        now_ms: 1000,
        keyspace_empty: true,
        aof_offset: None,
    };
    let mut link = replica::Link::new();
    link.start(&env, "h", 1, None, replica::Purpose::Follow);
    let mut open = Vec::new();
    let act = |link: &mut replica::Link, open: &mut Vec<replica::Conn>| {
        // Bounded: an action may lead to another, but bytes have to come for more.
        for _ in 0..64 {
            match link.next_action() {
                Some(replica::Action::Connect { conn, .. }) => {
                    open.push(conn);
                    link.connected(&env, conn);
                }
                Some(replica::Action::Close(conn)) => open.retain(|known| *known != conn),
                Some(_) => {}
                None => break,
            }
        }
    };
    act(&mut link, &mut open);
    for (at, piece) in data.chunks(step).enumerate() {
        let Some(conn) = open.get(at % open.len().max(1)).copied() else {
            break;
        };
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = link.bytes(&env, conn, rest);
            assert!(taken.used <= rest.len());
            rest = &rest[taken.used..];
            if taken.used == 0 {
                break;
            }
        }
        act(&mut link, &mut open);
    }
    link.tick(&env);
    link.stop();
}

/// Lines of words, each a request of one client or, when they start with `1`, of another.
pub fn commands(data: &[u8]) {
    let clock = Clock {
        monotonic_ns: || 1_000_000_000,
        unix_us: || 1_000_000_000_000_000,
    };
    let config = Config {
        enable_debug_command: config::ProtectedAction::Yes,
        // What a request of a few bytes may make of itself.
        proto_max_bulk_len: 1 << 20,
        ..Config::default()
    };
    let mut engine = Engine::new(config, clock, Box::<FakeHost>::default());
    let slots = [connect(&mut engine), connect(&mut engine)];
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(words) = ::resp::split_args(line) else {
            continue;
        };
        if words.is_empty() || is_greedy(&words) {
            continue;
        }
        let mut buffer = format!("*{}\r\n", words.len()).into_bytes();
        for word in &words {
            buffer.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            buffer.extend_from_slice(word);
            buffer.extend_from_slice(b"\r\n");
        }
        let mut decoder = Decoder::new(1 << 20);
        decoder.authenticated = true;
        let mut batch = Batch::default();
        if decoder.decode(&mut buffer, &mut batch, usize::MAX).is_err() {
            continue;
        }
        let slot = slots[usize::from(line.starts_with(b"1"))];
        let mut out = resp::Output::default();
        engine.run(
            slot,
            &batch,
            0,
            &buffer,
            engine::Traffic::default(),
            &mut out,
        );
    }
    engine.tick();
}

fn connect(engine: &mut Engine) -> u32 {
    let peer = engine::client::Peer {
        addr: "127.0.0.1:1".into(),
        laddr: "127.0.0.1:2".into(),
        fd: 3,
        unix: false,
        loopback: true,
    };
    let (slot, _) = engine
        .connect(peer, Arc::new(Attention::default()))
        .expect("there is room");
    slot
}

/// Requests that make as much as they are told to: replies of random choices, and DEBUG's many keys.
fn is_greedy(words: &[Vec<u8>]) -> bool {
    let name = words[0].to_ascii_lowercase();
    name == b"debug" || (name.starts_with(b"client") && words.len() > 2) || {
        let random = name.ends_with(b"randmember") || name == b"hrandfield";
        random
            && words
                .get(2)
                .and_then(|count| resp_number(count))
                .is_some_and(|count| count < -1000)
    }
}

fn resp_number(text: &[u8]) -> Option<i64> {
    ::words::int::parse_i64(text)
}
