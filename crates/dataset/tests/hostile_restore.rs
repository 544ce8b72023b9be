//! Payloads nobody should restore, with a checksum that is right: they are refused, or make a value that every command of
//! its type can use. No panic, no hang, no memory out of proportion.
//!
//! `HOSTILE_SEED` repeats a run, `HOSTILE_PAYLOADS` sets the number of mutations; `HOSTILE_EVERY=1` makes every bit flip and
//! every truncation of every seed, not only of the short ones.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "seeds and cases are printed, and a command that hangs takes real time"
)]

use dataset::Random;
use engine::testing::Driver;
use keyspace::Rng;
use rdb::dump;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Mutations in the short run.
const PAYLOADS: u64 = 6000;
/// Longest seed whose every bit is flipped in the short run, in bytes.
const SHORT_BYTES: usize = 120;
/// How long all commands on one value may take.
const USE_MAX: Duration = Duration::from_secs(1);
/// When a case is given up and the process with it.
const HANG: Duration = Duration::from_secs(20);
/// What the peak of memory may grow by: payloads are of a few kilobytes, but LZF expands up to 264 times, twice over.
const GROWTH_BYTES_MAX: u64 = 192 << 20;
/// Requests on one restored value, before it is restored again: they change it, or take it away.
const REQUESTS_PER_RESTORE: usize = 6;

/// The case at work and since when, for whoever looks whether it ends.
static AT_WORK: Mutex<Option<(Instant, Vec<u8>)>> = Mutex::new(None);

/// Requests on the value at `k`, by type as TYPE says it. Those of `any` are sent to all.
static USES: &[(&str, &str)] = &[
    (
        "string",
        "get k|strlen k|getrange k 0 -1|substr k 1 5|append k x|setrange k 3 xy|incr k|decr k|incrby k 7|decrby k 7|\
         incrbyfloat k 1.5|getset k v|getdel k|getex k persist|mget k k|lcs k k idx|set k v get|setnx k v|mset k v|\
         msetnx k v|setex k 10 v|psetex k 10000 v|setbit k 70 1|getbit k 5|bitcount k 1 -2 bit|bitpos k 1|bitop not d k|\
         bitop xor d k k|bitfield k get u8 0 incrby i5 100 1|bitfield_ro k get i64 3|pfadd k a b c|pfcount k|\
         pfcount k k|pfmerge d k|pfmerge k k|pfdebug getreg k|pfdebug decode k|pfdebug encoding k|pfdebug todense k",
    ),
    (
        "list",
        "llen k|lrange k 0 -1|lindex k -1|lpos k a rank -1 count 0|lpush k a|rpush k b|lpushx k a|rpushx k b|lpop k 2|\
         rpop k 2|lset k 0 x|linsert k before a x|lrem k 0 a|ltrim k 1 -2|rpoplpush k k|lmove k d left right|\
         lmpop 1 k left count 9|blpop k 0|brpop k 0|blmove k k left right 0|brpoplpush k d 0|blmpop 0 1 k right",
    ),
    (
        "set",
        "scard k|smembers k|sismember k a|smismember k a 1 70000|sadd k a 5 70000 123456789012|srem k a 1|\
         srandmember k -5|srandmember k 3|spop k 2|spop k|smove k d a|sscan k 0 count 100|sinter k k|sintercard 1 k|\
         sinterstore d k k|sunion k d|sunionstore d k|sdiff k d|sdiffstore d k",
    ),
    (
        "hash",
        "hlen k|hgetall k|hkeys k|hvals k|hget k a|hmget k a 1|hexists k a|hstrlen k a|hset k a 1 c 2|hmset k a 1|\
         hsetnx k z 1|hincrby k n 3|hincrbyfloat k n 1.5|hdel k a 1|hrandfield k -3 withvalues|hrandfield k 2|\
         hscan k 0 count 100",
    ),
    (
        "zset",
        "zcard k|zrange k 0 -1 withscores|zrevrange k 0 -1|zrangebyscore k -inf +inf|zrevrangebyscore k +inf -inf|\
         zrangebylex k - +|zrevrangebylex k + -|zlexcount k - +|zcount k -inf 5|zrank k a withscore|zrevrank k b|\
         zscore k a|zmscore k a b|zadd k 5 a 1 z|zincrby k 2 a|zrem k a|zpopmin k 2|zpopmax k|bzpopmin k 0|\
         bzpopmax k 0|zmpop 1 k min count 2|bzmpop 0 1 k max|zrandmember k -5 withscores|zrandmember k 2|\
         zremrangebyrank k 1 1|zremrangebyscore k 0 1|zremrangebylex k [a [b|zscan k 0|zunion 2 k k withscores|\
         zunionstore d 2 k k|zinter 2 k k|zinterstore d 1 k|zintercard 1 k|zdiff 2 k d|zdiffstore d 1 k|\
         zrangestore d k 0 -1|geoadd k 13.3 38.1 p|geodist k a b|geohash k a b|geopos k a b|\
         georadius k 15 37 9000 km|georadius_ro k 15 37 9000 km|georadiusbymember k a 9000 km|\
         georadiusbymember_ro k a 9000 km|geosearch k fromlonlat 15 37 byradius 9000 km|\
         geosearchstore d k fromlonlat 15 37 bybox 9000 9000 km",
    ),
    (
        "stream",
        "xlen k|xrange k - +|xrevrange k + - count 3|xread streams k 0|xadd k * f v|xadd k 9-* f v g w|xdel k 1-1 2-1|\
         xtrim k maxlen 1|xtrim k minid ~ 2|xsetid k 9999999999999-9|xinfo stream k full count 0|xinfo stream k|\
         xinfo groups k|xinfo consumers k g|xgroup create k h 0|xgroup setid k g 0|xgroup createconsumer k g new|\
         xgroup delconsumer k g alice|xgroup destroy k g|xreadgroup group g alice streams k >|\
         xreadgroup group g bob streams k 0|xreadgroup group g carol noack streams k >|xack k g 1-1 2-1|xpending k g|\
         xpending k g - + 100 alice|xpending k g idle 0 - + 100|xclaim k g bob 0 1-1 2-1 3-1 force|\
         xclaim k g alice 0 1-1 justid|xautoclaim k g bob 0 0 count 100",
    ),
    (
        "any",
        "type k|exists k|ttl k|pttl k|expiretime k|pexpiretime k|dump k|object encoding k|object refcount k|\
         object idletime k|object freq k|touch k|copy k d replace|rename k d|renamenx k e|move k 1|persist k|\
         expire k 100|pexpire k 100000|expireat k 99999999999|pexpireat k 99999999999999|sort k alpha|sort_ro k by nosort|\
         sort k by w_* get # alpha store d|keys *|scan 0|randomkey|memory usage k samples 0|debug digest-value k|\
         debug object k|debug listpack k|debug stringmatch-len 10 *|unlink d|del d",
    ),
];

/// Commands of those families that have nothing to do with the value of a key that exists.
static NO_USE: &[&str] = &["pfselftest", "restore", "restore-asking"];

struct Rig {
    driver: Driver,
    rng: Random,
    longest: Duration,
    accepted: u64,
    refused: u64,
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

impl Rig {
    fn new(seed: u64) -> Self {
        let mut rig = Rig {
            driver: Driver::new(),
            rng: Random::new(seed),
            longest: Duration::ZERO,
            accepted: 0,
            refused: 0,
        };
        // What is written to the stream would be kept: nobody reads it here.
        rig.driver.engine.keys.effects.recording = false;
        rig
    }

    fn ask(&mut self, request: &[&[u8]]) -> Vec<u8> {
        self.driver.send(0, request)
    }

    fn line(&mut self, line: &str) -> Vec<u8> {
        let request = words(line);
        // In a transaction nobody waits.
        let waits = line.starts_with('b') && !line.starts_with("bit");
        if waits {
            self.ask(&[b"MULTI"]);
        }
        let reply = self.ask(&request);
        if waits { self.ask(&[b"EXEC"]) } else { reply }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound.max(1) as u64) as usize
    }

    fn bulk(&mut self, line: &str) -> Vec<u8> {
        let reply = self.line(line);
        let start = reply.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
        reply[start..reply.len() - 2].to_vec()
    }

    /// The type and value of a payload of `k`, without its trailer.
    fn body(&mut self) -> Vec<u8> {
        let payload = self.bulk("dump k");
        payload[..payload.len() - 10].to_vec()
    }

    /// Restores a payload around `body`, and if that is accepted has every command use it.
    fn try_body(&mut self, body: &[u8]) -> bool {
        let payload = dump::seal(body.to_vec());
        let start = Instant::now();
        *AT_WORK.lock().unwrap() = Some((start, payload.clone()));
        let accepted = self.use_payload(&payload);
        *AT_WORK.lock().unwrap() = None;
        let took = start.elapsed();
        assert!(took < USE_MAX, "{took:?}: {}", payload.escape_ascii());
        self.longest = self.longest.max(took);
        *if accepted {
            &mut self.accepted
        } else {
            &mut self.refused
        } += 1;
        accepted
    }

    fn restore(&mut self, payload: &[u8]) -> bool {
        self.ask(&[b"RESTORE", b"k", b"0", payload, b"REPLACE"]) == b"+OK\r\n"
    }

    fn use_payload(&mut self, payload: &[u8]) -> bool {
        let sanitize = ["no", "clients"][self.below(2)];
        self.line(&format!("config set sanitize-dump-payload {sanitize}"));
        if !self.restore(payload) {
            return false;
        }
        let case = payload.escape_ascii();
        // What has been accepted is sound: it survives being written and read, with all checks.
        let digest = self.line("debug digest-value k");
        let written = self.bulk("dump k");
        self.line("config set sanitize-dump-payload yes");
        assert!(self.restore(&written), "{case}");
        assert_eq!(self.line("debug digest-value k"), digest, "{case}");
        self.line(&format!("config set sanitize-dump-payload {sanitize}"));
        let type_ = String::from_utf8(self.line("type k")).unwrap();
        let type_ = type_.trim_start_matches('+').trim_end();
        let mut lines: Vec<&str> = USES
            .iter()
            .filter(|(known, _)| *known == type_ || *known == "any")
            .flat_map(|(_, lines)| lines.split('|').map(str::trim))
            .collect();
        for at in (1..lines.len()).rev() {
            let other = self.below(at + 1);
            lines.swap(at, other);
        }
        for requests in lines.chunks(REQUESTS_PER_RESTORE) {
            assert!(self.restore(payload), "{case}");
            for line in requests {
                self.line(line);
            }
        }
        self.ask(&[b"FLUSHALL", b"SYNC"]);
        true
    }

    fn spoil(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut body = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(3) {
            let at = self.below(body.len());
            let rest = body.len() - at;
            match self.below(9) {
                0 => body[at] ^= 1 << self.below(8),
                1 => body[at] = self.below(256) as u8,
                2 => drop(body.remove(at)),
                3 => body.insert(at, self.below(256) as u8),
                4 if self.below(4) == 0 => body.truncate(at + 1),
                // Lengths that promise much.
                5 => {
                    let lengths: [&[u8]; 5] = [
                        b"\x80\x7f\xff\xff\xff",
                        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
                        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
                        b"\x7f\xff",
                        b"\x80\x00\x10\x00\x00",
                    ];
                    let length = lengths[self.below(lengths.len())];
                    let replaced = self.below(3).min(rest);
                    body.splice(at..at + replaced, length.iter().copied());
                }
                6 => {
                    let extremes = [0, 1, 0x7f, 0x80, 0xc0, 0xc3, 0xf0, 0xfe, 0xff];
                    body[at] = extremes[self.below(extremes.len())];
                }
                // A piece of its own, or of another one, in the place of what is there.
                7 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let length = self.below((other.len() - from).min(64)) + 1;
                    let piece = other[from..from + length].to_vec();
                    let replaced = self.below(length + 1).min(rest);
                    body.splice(at..at + replaced, piece);
                }
                // The same again.
                8 => {
                    let length = self.below(rest.min(48)) + 1;
                    let piece = body[at..at + length].to_vec();
                    body.splice(at..at, piece);
                }
                _ => {}
            }
            if body.is_empty() {
                body.push(0);
            }
        }
        body
    }
}

/// One value of every type and encoding, as the requests that make it.
static VALUES: &[&str] = &[
    "set k some-text-of-no-number",
    "set k 12",
    "set k 1234567",
    "set k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "pfadd k a b c d e",
    "config set hll-sparse-max-bytes 0|pfadd k a b c|config set hll-sparse-max-bytes 3000",
    "rpush k a 1 b 70000 c -5 123456789012345",
    "config set list-max-listpack-size 2|rpush k a b c d e 1 2 3|config set list-max-listpack-size 128",
    "config set list-max-listpack-size 1|rpush k a b|config set list-max-listpack-size 128",
    "sadd k 1 2 3",
    "sadd k 1 70000",
    "sadd k 1 123456789012",
    "sadd k a b 3 c",
    "config set set-max-listpack-entries 0|sadd k a b 3 c|config set set-max-listpack-entries 128",
    "hset k a 1 b 2 n 5",
    "config set hash-max-listpack-entries 0|hset k a 1 b 2 n 5|config set hash-max-listpack-entries 128",
    "zadd k 1 a 2.5 b inf c",
    "config set zset-max-listpack-entries 0|zadd k 1 a 2.5 b inf c|config set zset-max-listpack-entries 128",
    "geoadd k 13.361389 38.115556 a 15.087269 37.502669 b",
    "xadd k 1-1 f v|xadd k 2-1 f v|xadd k 3-1 f v g w",
    "xadd k 1-1 f v|xdel k 1-1",
    "xadd k 1-1 f v|xadd k 2-1 f v|xadd k 3-1 f v|xdel k 2-1|xgroup create k g 0|xgroup create k h $|\
     xreadgroup group g alice count 1 streams k >|xreadgroup group g bob streams k >",
    "config set stream-node-max-entries 2|xadd k 1-1 f v|xadd k 2-1 f v|xadd k 3-1 f v|xadd k 4-1 g v|xadd k 5-1 f v|\
     config set stream-node-max-entries 100",
];

/// A ziplist of short texts, as servers wrote them before 7.0.
fn ziplist(items: &[&[u8]]) -> Vec<u8> {
    let mut entries = Vec::new();
    let (mut previous, mut tail) = (0, 10);
    for item in items {
        tail = 10 + entries.len();
        entries.push(previous);
        entries.push(item.len() as u8);
        entries.extend_from_slice(item);
        previous = item.len() as u8 + 2;
    }
    let mut list = ((11 + entries.len()) as u32).to_le_bytes().to_vec();
    list.extend_from_slice(&(tail as u32).to_le_bytes());
    list.extend_from_slice(&(items.len() as u16).to_le_bytes());
    list.extend_from_slice(&entries);
    list.push(0xff);
    list
}

/// The forms that old servers wrote.
fn old_bodies() -> Vec<Vec<u8>> {
    let framed = |type_: u8, blob: &[u8]| {
        let mut body = vec![type_, blob.len() as u8];
        body.extend_from_slice(blob);
        body
    };
    let pairs = ziplist(&[b"a", b"1", b"b", b"2"]);
    let mut quicklist = framed(14, &ziplist(&[b"a", b"b"]));
    quicklist.insert(1, 1);
    vec![
        b"\x01\x02\x01a\xc0\x05".to_vec(),
        b"\x03\x02\x01a\x031.5\x01b\xfe".to_vec(),
        framed(9, b"\x02\x01a\x01\x001\x01b\x01\x002\xff"),
        framed(10, &ziplist(&[b"a", b"b", b"c"])),
        framed(12, &pairs),
        framed(13, &pairs),
        quicklist,
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let mut rig = Rig::new(0);
    let mut seeds = old_bodies();
    for lines in VALUES {
        rig.line("del k");
        for line in lines.split('|') {
            let reply = rig.line(line.trim());
            assert_ne!(reply[0], b'-', "{line}: {}", reply.escape_ascii());
        }
        seeds.push(rig.body());
    }
    // A stream of the second version is one of the third, but for the consumers.
    let mut second = seeds[seeds.len() - 1].clone();
    second[0] = 19;
    seeds.push(second);
    seeds
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The peak of this process's memory so far, in bytes.
fn peak_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Ends the process if a case does not end: nobody else can.
fn watch_for_hangs() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((since, payload)) = &*AT_WORK.lock().unwrap()
                && since.elapsed() > HANG
            {
                eprintln!("hangs: {}", payload.escape_ascii());
                std::process::abort();
            }
        }
    });
}

#[test]
fn every_data_command_is_among_the_uses() {
    let used: BTreeSet<String> = USES
        .iter()
        .flat_map(|(_, lines)| lines.split('|'))
        .flat_map(|line| {
            let mut words = line.trim().split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let sub = format!("{name}|{}", words.next().unwrap_or_default());
            [name, sub]
        })
        .collect();
    let missing: Vec<&str> = dataset::commands::FAMILIES
        .iter()
        .copied()
        .flatten()
        .map(|(name, _)| *name)
        .filter(|name| !used.contains(*name) && !NO_USE.contains(name) && !name.ends_with("|help"))
        .collect();
    assert!(missing.is_empty(), "add them to USES: {missing:?}");
}

#[test]
fn seeds_are_accepted() {
    let mut rig = Rig::new(1);
    for seed in seeds() {
        assert!(rig.try_body(&seed), "{}", seed.escape_ascii());
    }
}

#[test]
fn spoilt_payloads_are_refused_or_make_sound_values() {
    let seed = setting("HOSTILE_SEED", std::process::id().into());
    let payloads = setting("HOSTILE_PAYLOADS", PAYLOADS);
    println!("HOSTILE_SEED={seed} HOSTILE_PAYLOADS={payloads}");
    watch_for_hangs();
    let seeds = seeds();
    let mut rig = Rig::new(seed);
    let before = peak_bytes();
    for _ in 0..payloads {
        let body = rig.spoil(&seeds);
        rig.try_body(&body);
    }
    let grown = peak_bytes().saturating_sub(before);
    println!(
        "{} accepted, {} refused, longest {:?}, {grown} bytes more at the peak",
        rig.accepted, rig.refused, rig.longest
    );
    assert!(grown < GROWTH_BYTES_MAX);
}

#[test]
fn every_bit_flip_and_truncation_is_survived() {
    let every = setting("HOSTILE_EVERY", 0) > 0;
    watch_for_hangs();
    let mut rig = Rig::new(2);
    let before = peak_bytes();
    for seed in seeds() {
        if !every && seed.len() > SHORT_BYTES {
            continue;
        }
        for length in 1..seed.len() {
            rig.try_body(&seed[..length]);
        }
        for bit in 0..seed.len() * 8 {
            let mut body = seed.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            rig.try_body(&body);
        }
    }
    let grown = peak_bytes().saturating_sub(before);
    println!(
        "{} accepted, {} refused, longest {:?}, {grown} bytes more at the peak",
        rig.accepted, rig.refused, rig.longest
    );
    assert!(grown < GROWTH_BYTES_MAX);
}

#[test]
fn containers_of_nothing_are_refused() {
    let empty_listpack = b"\x07\x00\x00\x00\x00\x00\xff";
    let empty_intset = b"\x02\x00\x00\x00\x00\x00\x00\x00";
    let framed = |type_: u8, blob: &[u8]| [&[type_, blob.len() as u8], blob].concat();
    let mut rig = Rig::new(3);
    let mut bodies: Vec<Vec<u8>> = [1, 2, 3, 4, 5, 14, 18].map(|type_| vec![type_, 0]).to_vec();
    bodies.extend([16, 17, 20].map(|type_| framed(type_, empty_listpack)));
    bodies.extend([10, 12, 13].map(|type_| framed(type_, &ziplist(&[]))));
    bodies.push(framed(11, empty_intset));
    bodies.push(framed(9, b"\x00\xff"));
    // Lists of nodes of nothing.
    bodies.push([b"\x0e\x01\x0b", &ziplist(&[])[..]].concat());
    bodies.push([b"\x12\x01\x02\x07", &empty_listpack[..]].concat());
    bodies.push(
        [
            b"\x12\x02\x02\x07",
            &empty_listpack[..],
            b"\x02\x07",
            empty_listpack,
        ]
        .concat(),
    );
    for body in bodies {
        assert!(!rig.try_body(&body), "{}", body.escape_ascii());
    }
}

#[test]
fn counts_beyond_what_is_there_are_refused_and_reserve_nothing() {
    let mut rig = Rig::new(4);
    let before = peak_bytes();
    for type_ in [1, 2, 3, 4, 5, 14, 15, 18, 19, 21] {
        for count in [
            &b"\x80\x7f\xff\xff\xff"[..],
            b"\x81\x00\x00\x00\x7f\xff\xff\xff\xff",
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            for rest in [&b""[..], b"\x01a", b"\x01a\x01b\x01c\x01d"] {
                let body = [&[type_], count, rest].concat();
                assert!(!rig.try_body(&body), "{}", body.escape_ascii());
            }
        }
    }
    for type_ in [0, 9, 10, 11, 12, 13, 16, 17, 20] {
        for body in [
            // A string, and a compressed one, of more bytes than come.
            [&[type_], &b"\x80\x7f\xff\xff\xff"[..], b"abc"].concat(),
            [&[type_], &b"\xc3\x03\x80\x7f\xff\xff\xff\x01aa"[..]].concat(),
            [&[type_], &b"\xc3\x80\x7f\xff\xff\xff\x03\x01aa"[..]].concat(),
        ] {
            assert!(!rig.try_body(&body), "{}", body.escape_ascii());
        }
    }
    // The kernel counts in batches: what it tells may be a little less than before.
    assert!(peak_bytes().saturating_sub(before) < 64 << 20);
}

#[test]
fn a_pending_entry_has_one_owner() {
    let mut rig = Rig::new(5);
    for line in "xadd k 1-1 f v|xadd k 2-1 f v|xgroup create k g 0|xreadgroup group g alice count 1 streams k >|\
                 xreadgroup group g bob count 1 streams k >"
        .split('|')
    {
        rig.line(line.trim());
    }
    let body = rig.body();
    let id = |ms: u8| [&[0; 7][..], &[ms], &[0; 7], &[1]].concat();
    // The last id in it is that of the entry that bob has: now alice's.
    let at = body
        .windows(16)
        .rposition(|part| part == id(2))
        .expect("bob has an entry");
    let mut stolen = body.clone();
    stolen[at..at + 16].copy_from_slice(&id(1));
    assert!(rig.try_body(&body));
    for sanitize in ["yes", "no"] {
        rig.line(&format!("config set sanitize-dump-payload {sanitize}"));
        let payload = dump::seal(stolen.clone());
        if rig.restore(&payload) {
            let pending = rig.line("xpending k g - + 10");
            let owners = pending.windows(3).filter(|part| part == b"1-1").count();
            assert_eq!(owners, 1, "{}", pending.escape_ascii());
            rig.line("xgroup delconsumer k g alice");
            rig.line("xack k g 1-1 2-1");
            assert_eq!(rig.line("xpending k g - + 10"), b"*0\r\n");
        } else {
            assert!(!rig.try_body(&stolen));
        }
    }
}
