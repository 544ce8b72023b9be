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
use keyspace::hyperloglog::{HyperLogLog, HyperLogLogMut, Maxima};
use keyspace::stream::{Log, Precision, Trim};
use keyspace::{StreamId, StreamLimits};
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
            b"+PONG\r\n+OK\r\n+OK\r\n-ERR no\r\n+OK\r\n+RDBCHANNELSYNC 7\r\n+OK\r\n+FULLRESYNC 0123456789012345678901234567890123456789 1\r\n",
            b"-NOAUTH\r\n+CONTINUE 0123456789012345678901234567890123456789\r\n*1\r\n$4\r\nPING\r\n",
            b"+PONG\r\n-ERR no\r\n+OK\r\n+FULLRESYNC 0123456789012345678901234567890123456789 1\r\n$EOF:0123456789012345678901234567890123456789\r\n",
        ],
    },
    Target {
        name: "hyperloglog",
        run: hyperloglog,
        seeds: &[
            b"HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff",
            b"HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x6e\x4b\x80\x50\x83\x88\x4a\xc4\x84",
            b"HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80",
        ],
    },
    Target {
        name: "dump",
        run: dump,
        seeds: &[
            b"\x00\x05hello",
            b"\x00\xc3\x0b\x1e\x01aa\xe0\x13\x00\x01aa",
            b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00",
            b"\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff",
            b"\x11\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff",
            b"\x12\x01\x02\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff",
            b"\x05\x02\x01a\x00\x00\x00\x00\x00\x00\xf0\x3f\x01b\x00\x00\x00\x00\x00\x00\x00\x40",
            b"\x15\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff\x01\x01\x01\x01\x01\x00\x00\x01\x00",
        ],
    },
    Target {
        name: "stream",
        run: stream,
        seeds: &[
            b"\x1d\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff",
            b"\x2b\x00\x00\x00\x14\x00\x02\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\x00\x01\x01\x01\x00\x01\x01\x01\x81g\x02\x81v\x02\x06\x01\xff",
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
        aof_base: false,
        format: snapshot::Format::Current,
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

/// The bytes of a string as a HyperLogLog: what is damaged is refused, and what is counted can be added to and merged.
pub fn hyperloglog(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Some(hll) = HyperLogLog::of(data) {
        let counted = hll.count();
        let mut maxima = Maxima::default();
        if maxima.merge(hll).is_ok() {
            std::hint::black_box(maxima.count());
        }
        if let Some(mut hll) = HyperLogLogMut::of(&mut bytes)
            && hll.make_dense().is_ok()
            && counted.is_ok()
        {
            // Both forms hold the same registers. Where there are runs too many, the reference merges what it does not count.
            assert_eq!(hll.view().count(), counted);
        }
    }
    let mut bytes = data.to_vec();
    if let Some(mut hll) = HyperLogLogMut::of(&mut bytes) {
        for sparse_bytes_max in [0, 40, 3000] {
            // Damaged registers are refused; what counts is that nothing else happens.
            let _ = hll.add(&[b"a", b"b", data], sparse_bytes_max);
            let _ = hll.raise_all(&Maxima::default(), sparse_bytes_max);
        }
        let _ = hll.view().count();
    }
}

/// The type and value of a payload of RESTORE, sealed: what is accepted is used, and comes back from DUMP.
pub fn dump(data: &[u8]) {
    let mut engine = engine();
    let slot = connect(&mut engine);
    let payload = ::rdb::dump::seal(data.to_vec());
    let restore: &[&[u8]] = &[b"RESTORE", b"k", b"0", &payload, b"REPLACE"];
    if ask(&mut engine, slot, restore) != b"+OK\r\n" {
        return;
    }
    let digest: &[&[u8]] = &[b"DEBUG", b"DIGEST-VALUE", b"k"];
    let before = ask(&mut engine, slot, digest);
    let reply = ask(&mut engine, slot, &[b"DUMP", b"k"]);
    let start = reply
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let written = &reply[start..reply.len() - 2];
    ask(
        &mut engine,
        slot,
        &[b"CONFIG", b"SET", b"sanitize-dump-payload", b"yes"],
    );
    let again: &[&[u8]] = &[b"RESTORE", b"k", b"0", written, b"REPLACE"];
    assert_eq!(ask(&mut engine, slot, again), b"+OK\r\n");
    assert_eq!(ask(&mut engine, slot, digest), before);
    const USES: &[&str] = &[
        "append k x|setbit k 7 1|pfcount k|pfadd k a|incr k|lrange k 0 -1|linsert k before a b|lrem k 0 a|ltrim k 1 -2",
        "smembers k|sadd k 1 a 70000|srem k a|spop k 2|hgetall k|hset k a 1 b 2|hdel k a|hincrby k n 1|zrange k 0 -1",
        "zadd k 5 a 1 z|zrem k a|zpopmin k|zrangebylex k - +|xrange k - +|xinfo stream k full|xdel k 1-1",
        "xreadgroup group g c streams k >|xautoclaim k g c 0 0|xgroup delconsumer k g c|xack k g 1-1|xtrim k maxlen 1",
        "xadd k * f v|sort k alpha|copy k d|memory usage k|rename k d|del d",
    ];
    for line in USES.iter().flat_map(|lines| lines.split('|')) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        ask(&mut engine, slot, &words);
    }
}

/// A listpack as a node of a stream: what is accepted is walked both ways, thinned out and trimmed.
pub fn stream(data: &[u8]) {
    let Ok(pack) = Listpack::from_bytes(data.to_vec()) else {
        return;
    };
    let mut log = Log::default();
    let id = |ms| StreamId { ms, seq: 1 };
    if log.insert_node(id(1), pack).is_err() {
        return;
    }
    let all = || StreamId::MIN..=StreamId::MAX;
    let ids: Vec<StreamId> = log.range(all()).map(|entry| entry.id).collect();
    assert_eq!(ids.len() as u64, log.len());
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let mut back: Vec<StreamId> = log.range_back(all()).map(|entry| entry.id).collect();
    back.reverse();
    assert_eq!(back, ids);
    for id in ids.iter().step_by(2) {
        let entry = log.get(*id).expect("it was there");
        entry.fields().for_each(|(field, value)| {
            std::hint::black_box((field.len(), value.len()));
        });
        assert!(log.delete(*id));
        assert!(log.get(*id).is_none());
    }
    let left = ids.len() / 2;
    assert_eq!(log.len(), left as u64);
    if let Some(next) = ids.last().and_then(|last| last.next()) {
        log.set_history(*ids.last().expect("there is one"), log.len(), StreamId::MIN);
        log.append(next, &[[b"f", b"v"]], &StreamLimits::default());
        assert_eq!(log.len(), left as u64 + 1);
    }
    log.trim(Trim::MaxLen(1), Precision::Exact);
    assert_eq!(log.range(all()).count() as u64, log.len());
    assert!(log.len() <= 1);
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
    let mut engine = engine();
    let slots = [connect(&mut engine), connect(&mut engine)];
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(words) = ::resp::split_args(line) else {
            continue;
        };
        if words.is_empty() || is_greedy(&words) {
            continue;
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let slot = slots[usize::from(line.starts_with(b"1"))];
        ask(&mut engine, slot, &words);
    }
    engine.tick();
}

fn engine() -> Engine {
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
    Engine::new(config, clock, Box::<FakeHost>::default())
}

/// The reply to one request; nothing to one that is too long.
fn ask(engine: &mut Engine, slot: u32, words: &[&[u8]]) -> Vec<u8> {
    let mut buffer = Vec::new();
    ::words::request::encode(&mut buffer, words);
    let mut decoder = Decoder::new(1 << 20);
    decoder.authenticated = true;
    let (mut batch, mut out) = (Batch::default(), resp::Output::default());
    if decoder.decode(&mut buffer, &mut batch, usize::MAX).is_ok() {
        let traffic = engine::Traffic::default();
        engine.run(slot, &batch, 0, &buffer, traffic, &mut out);
    }
    out.to_vec()
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
