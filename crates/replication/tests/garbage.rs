//! What a broken or hostile peer sends: any split of good bytes means the same, bad bytes mean a logged abort and
//! another try, and nothing panics.

use proptest::prelude::*;
use replication::primary::{self, Hub, OtherChild, Peer, Role};
use replication::replica::{self, Action, Channel, Conn, Drain, Link, Loaded, Purpose, Routing};
use replication::{ClientId, Level, ReplId};

const CONFIG_PASSWORD: &[u8] = b"secret";

fn config(dual: bool) -> replica::Config {
    replica::Config {
        dual_channel: dual,
        announced_port: 7001,
        announced_ip: "192.0.2.1".into(),
        password: Some(CONFIG_PASSWORD.to_vec()),
        ..Default::default()
    }
}

/// A link whose outputs are collected.
struct Peered {
    link: Link,
    config: replica::Config,
    now_ms: u64,
    main: Option<Conn>,
    rdb: Option<Conn>,
    sent: [Vec<u8>; 2],
    payload: Vec<u8>,
    stream: Vec<u8>,
    log: Vec<String>,
    connects: usize,
}

impl Peered {
    fn new(dual: bool) -> Self {
        let mut p = Peered {
            link: Link::new(),
            config: config(dual),
            now_ms: 10_000,
            main: None,
            rdb: None,
            sent: [Vec::new(), Vec::new()],
            payload: Vec::new(),
            stream: Vec::new(),
            log: Vec::new(),
            connects: 0,
        };
        let from = ReplId::parse(&[b'e'; 40]).map(|id| (id, 10));
        p.with(|link, env| link.start(env, "host", 1, from, Purpose::Follow));
        p
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Link, &replica::Env<'_>) -> T) -> T {
        let env = replica::Env {
            config: &self.config,
            now_ms: self.now_ms,
            keyspace_empty: true,
            aof_offset: Some(3),
        };
        let result = f(&mut self.link, &env);
        self.handle();
        result
    }

    fn handle(&mut self) {
        while let Some(action) = self.link.next_action() {
            match action {
                Action::Connect { conn, .. } => {
                    self.connects += 1;
                    let place = if conn.channel == Channel::Main {
                        &mut self.main
                    } else {
                        &mut self.rdb
                    };
                    *place = Some(conn);
                    self.with(|link, env| link.connected(env, conn));
                }
                Action::Send(conn, bytes) => {
                    self.sent[usize::from(conn.channel == Channel::Rdb)].extend(bytes)
                }
                Action::Close(conn) => {
                    let place = if conn.channel == Channel::Main {
                        &mut self.main
                    } else {
                        &mut self.rdb
                    };
                    place.take_if(|c| *c == conn);
                }
                Action::Load { load, .. } => {
                    let whole = self.payload.starts_with(b"RDB");
                    let result = match whole {
                        true => Loaded::Ok {
                            stream_db: Some(4),
                            is_empty: false,
                        },
                        false => Loaded::Failed("no snapshot".into()),
                    };
                    self.with(|link, env| link.load_finished(env, load, result));
                }
                Action::Drain => while self.with(|link, env| link.drain(env)) != Drain::Done {},
                Action::Log(_, line) => self.log.push(line),
                _ => {}
            }
        }
    }

    /// Bytes arrive, cut as told; what the link does not take now is lost, as the test needs no more.
    fn arrive(&mut self, channel: Channel, bytes: &[u8], cuts: &[usize]) {
        let mut at = 0;
        let mut cuts = cuts.iter().cycle();
        while at < bytes.len() {
            let conn = if channel == Channel::Main {
                self.main
            } else {
                self.rdb
            };
            let Some(conn) = conn else { return };
            let step = (*cuts.next().unwrap_or(&usize::MAX)).clamp(1, bytes.len() - at);
            let piece = &bytes[at..at + step];
            let mut done = 0;
            while done < piece.len() {
                let taken = self.with(|link, env| link.bytes(env, conn, &piece[done..]));
                assert!(taken.used <= piece.len() - done);
                let now = &piece[done..done + taken.used];
                match taken.routing {
                    Routing::Payload => {
                        self.payload.extend_from_slice(now);
                        self.with(|link, env| link.payload_taken(env));
                    }
                    Routing::Stream => self.stream.extend_from_slice(now),
                    Routing::Hold => return,
                    Routing::Control
                    | Routing::Header
                    | Routing::Buffered
                    | Routing::Spill
                    | Routing::Stale => {}
                }
                assert!(taken.used > 0, "no progress without a hold");
                done += taken.used;
            }
            at += step;
        }
    }
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..40, 1..8)
}

/// Everything a classic primary says, up to some of the stream.
fn classic_sized() -> Vec<u8> {
    let mut bytes = b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR old\r\n\n\n".to_vec();
    bytes.extend(
        format!(
            "+FULLRESYNC {} 77\r\n\n$60\r\nRDB{}",
            "c".repeat(40),
            "z".repeat(57)
        )
        .bytes(),
    );
    bytes
}

fn classic_marked() -> Vec<u8> {
    let mut bytes = b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n".to_vec();
    let mark = "0123456789abcdef0123456789abcdef01234567";
    // Half a mark inside the snapshot must not end it.
    let id = "c".repeat(40);
    bytes.extend(
        format!(
            "+FULLRESYNC {id} 77\r\n$EOF:{mark}\r\nRDB{}zz{mark}",
            &mark[..39]
        )
        .bytes(),
    );
    bytes
}

#[test]
fn the_handshake_has_the_documented_bytes() {
    let mut p = Peered::new(true);
    p.arrive(
        Channel::Main,
        b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
        &[1000],
    );
    let text = String::from_utf8(p.sent[0].clone()).unwrap();
    let expected = "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
        *3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n7001\r\n\
        *3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$9\r\n192.0.2.1\r\n\
        *7\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n$4\r\ncapa\r\n$12\r\ndual-channel\r\n\
        *3\r\n$8\r\nREPLCONF\r\n$7\r\nversion\r\n$5\r\n8.0.1\r\n\
        *3\r\n$5\r\nPSYNC\r\n$40\r\neeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\n$2\r\n11\r\n";
    assert_eq!(text, expected);
}

/// What a primary of Redis 8 answers, up to where its connections are two: PING, AUTH, port, address, capabilities, version,
/// the word of Redis, PSYNC.
const REDIS_LINES: &[u8] = b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR Unrecognized REPLCONF option: version\r\n+OK\r\n+RDBCHANNELSYNC 77\r\n";

#[test]
fn redis_is_told_who_belongs_to_whom_byte_for_byte() {
    let mut p = Peered::new(true);
    p.arrive(Channel::Main, REDIS_LINES, &[1000]);
    p.arrive(Channel::Rdb, b"+OK\r\n+OK\r\n", &[1000]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let offered =
        "*3\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$16\r\nrdb-channel-repl\r\n*3\r\n$5\r\nPSYNC\r\n";
    assert!(text(&p.sent[0]).contains(offered), "{}", text(&p.sent[0]));
    assert_eq!(
        text(&p.sent[1]),
        "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
        *11\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$8\r\nrdb-only\r\n$1\r\n1\r\n$11\r\nrdb-channel\r\n$1\r\n1\r\n\
        $17\r\nmain-ch-client-id\r\n$2\r\n77\r\n$14\r\nlistening-port\r\n$4\r\n7001\r\n\
        *3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"
    );
}

#[test]
fn a_missing_permission_is_named_and_not_asked_for_each_second() {
    let mut p = Peered::new(true);
    p.arrive(
        Channel::Main,
        b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n",
        &[1000],
    );
    p.arrive(
        Channel::Rdb,
        b"+OK\r\n+OK\r\n-NOPERM User x has no permissions to run the 'sync' command\r\n",
        &[1000],
    );
    assert!(p.log.iter().any(|l| l.contains("+sync")), "{:?}", p.log);
    assert_eq!((p.main, p.rdb), (None, None));
    let before = p.connects;
    for _ in 0..50 {
        p.now_ms += 100;
        p.with(|link, env| link.tick(env));
    }
    assert_eq!(p.connects, before, "five seconds are too soon");
    p.now_ms += 6000;
    p.with(|link, env| link.tick(env));
    assert_eq!(p.connects, before + 1);
}

#[test]
fn a_full_synchronisation_that_fails_is_tried_again_after_growing_pauses() {
    let mut p = Peered::new(false);
    let sync = |p: &mut Peered, payload: &str| {
        let (id, mark) = ("c".repeat(40), "f".repeat(40));
        p.payload.clear();
        let lines = "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n";
        let lines = format!("{lines}+FULLRESYNC {id} 77\r\n$EOF:{mark}\r\n{payload}{mark}");
        p.arrive(Channel::Main, lines.as_bytes(), &[1000]);
    };
    let pause = |p: &mut Peered| {
        let (before, since) = (p.connects, p.now_ms);
        while p.connects == before {
            p.now_ms += 10;
            p.with(|link, env| link.tick(env));
        }
        p.now_ms - since
    };
    // The pause is up to a quarter shorter, so that replicas do not come back together.
    let about =
        |pause_ms: u64, seconds: u64| (750 * seconds..=1000 * seconds + 10).contains(&pause_ms);
    let before = p.connects;
    sync(&mut p, "damaged");
    // Once at once: the snapshot may have been damaged on its way.
    assert_eq!(p.connects, before + 1);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        p.log.clear();
        sync(&mut p, "damaged");
        let told = |line: &String| {
            line.contains("in a row have failed, the next one is tried in")
                && line.ends_with("Last cause: no snapshot")
        };
        assert!(p.log.iter().any(told), "{:?}", p.log);
        let pause_ms = pause(&mut p);
        assert!(about(pause_ms, seconds), "{pause_ms} {seconds}");
    }
    // A connection that breaks is another matter, and does not start the count anew.
    let before = p.connects;
    let main = p.main.unwrap();
    p.with(|link, env| link.closed(env, main, "gone"));
    pause(&mut p);
    assert_eq!(p.connects, before + 1);
    sync(&mut p, "damaged");
    assert!(about(pause(&mut p), 30));
    // One that breaks within a synchronisation is not.
    let lines = format!(
        "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+FULLRESYNC {} 77\r\n",
        "c".repeat(40)
    );
    p.arrive(Channel::Main, lines.as_bytes(), &[1000]);
    let main = p.main.unwrap();
    p.with(|link, env| link.closed(env, main, "gone"));
    assert!(about(pause(&mut p), 30));
    // Success does.
    sync(&mut p, "RDB good");
    assert_eq!(p.link.position().map(|(_, applied)| applied), Some(77));
    let main = p.main.unwrap();
    p.with(|link, env| link.closed(env, main, "gone"));
    pause(&mut p);
    let before = p.connects;
    sync(&mut p, "damaged");
    assert_eq!(p.connects, before + 1);
}

#[test]
fn a_refusal_on_either_channel_ends_both_and_is_tried_again() {
    for reply in [
        "-LOADING x",
        "-NOMASTERLINK x",
        "-BUSY x",
        "$100",
        "$ENDOFF:1 x 0 1",
        "$ENDOFF:-1",
        "+OK",
    ] {
        let mut p = Peered::new(true);
        p.arrive(
            Channel::Main,
            b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n",
            &[1000],
        );
        p.arrive(
            Channel::Rdb,
            format!("+OK\r\n+OK\r\n{reply}\r\n").as_bytes(),
            &[1000],
        );
        assert_eq!((p.main, p.rdb), (None, None), "{reply}");
        assert!(
            p.log
                .iter()
                .any(|l| l.contains("Received unexpected $ENDOFF response")),
            "{reply}: {:?}",
            p.log
        );
        p.now_ms += 1100;
        p.with(|link, env| link.tick(env));
        assert!(p.main.is_some(), "{reply}: no new attempt");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_of_a_sync_means_the_same(cuts in cuts(), marked in any::<bool>()) {
        let mut p = Peered::new(false);
        let bytes = if marked { classic_marked() } else { classic_sized() };
        p.arrive(Channel::Main, &bytes, &cuts);
        prop_assert!(p.link.is_up(), "{:?}", p.log);
        prop_assert_eq!(p.link.position(), Some((ReplId::parse(&[b'c'; 40]).unwrap(), 77)));
        p.arrive(Channel::Main, b"*1\r\n$4\r\nping\r\n", &cuts);
        prop_assert_eq!(&p.stream[..], b"*1\r\n$4\r\nping\r\n");
        prop_assert!(p.sent[0].ends_with(b"*5\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$2\r\n77\r\n$4\r\nFACK\r\n$1\r\n3\r\n"));
    }

    #[test]
    fn any_split_of_a_dual_channel_sync_means_the_same(a in cuts(), b in cuts(), main_first in any::<bool>()) {
        let mut p = Peered::new(true);
        let (id, mark) = ("d".repeat(40), "f".repeat(40));
        p.arrive(Channel::Main, b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n", &a);
        p.arrive(Channel::Rdb, format!("+OK\r\n+OK\r\n\n\n$ENDOFF:500 {id} 0 42\r\n").as_bytes(), &b);
        let payload = format!("\n$EOF:{mark}\r\nRDB some data{mark}");
        let main = b"+OK\r\n+CONTINUE\r\n*1\r\n$4\r\nping\r\n";
        if main_first {
            p.arrive(Channel::Main, main, &a);
            p.arrive(Channel::Rdb, payload.as_bytes(), &b);
        } else {
            p.arrive(Channel::Rdb, payload.as_bytes(), &b);
            p.arrive(Channel::Main, main, &a);
        }
        prop_assert!(p.link.is_up(), "{:?}", p.log);
        prop_assert!(p.link.info(p.now_ms).read_offset == 514, "{:?}", p.link.info(p.now_ms));
        prop_assert_eq!(p.rdb, None);
        prop_assert_eq!(p.link.buffer_bytes(), 0);
    }

    #[test]
    fn any_split_of_a_sync_on_two_connections_as_redis_has_it_means_the_same(
        a in cuts(),
        b in cuts(),
        main_first in any::<bool>(),
    ) {
        let mut p = Peered::new(true);
        let (id, mark) = ("d".repeat(40), "f".repeat(40));
        p.arrive(Channel::Main, REDIS_LINES, &a);
        let snapshot = format!("+OK\r\n+OK\r\n\n\n+FULLRESYNC {id} 500\r\n$EOF:{mark}\r\nRDB some data{mark}");
        let stream = b"*1\r\n$4\r\nping\r\n";
        if main_first {
            p.arrive(Channel::Main, stream, &a);
            p.arrive(Channel::Rdb, snapshot.as_bytes(), &b);
        } else {
            p.arrive(Channel::Rdb, snapshot.as_bytes(), &b);
            p.arrive(Channel::Main, stream, &a);
        }
        prop_assert!(p.link.is_up(), "{:?}", p.log);
        prop_assert_eq!(p.link.position().map(|(_, offset)| offset), Some(500));
        prop_assert!(p.link.info(p.now_ms).read_offset == 514, "{:?}", p.link.info(p.now_ms));
        prop_assert_eq!(p.rdb, None);
        prop_assert_eq!(p.link.buffer_bytes(), 0);
    }

    #[test]
    fn garbage_anywhere_in_a_handshake_is_survived_and_ends_in_a_log_line(
        keep in 0usize..12,
        garbage in prop::collection::vec(any::<u8>(), 0..3000),
        on_rdb in any::<bool>(),
        redis in any::<bool>(),
        cuts in cuts(),
    ) {
        let mut p = Peered::new(true);
        let lines = match redis {
            true => std::str::from_utf8(REDIS_LINES).unwrap(),
            false => "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n",
        };
        let kept: String = lines.split_inclusive('\n').take(keep).collect();
        p.arrive(Channel::Main, kept.as_bytes(), &cuts);
        if on_rdb {
            p.arrive(Channel::Rdb, b"+OK\r\n+OK\r\n", &cuts);
        }
        p.arrive(if on_rdb { Channel::Rdb } else { Channel::Main }, &garbage, &cuts);
        // Whatever it was, silence afterwards leads to another attempt.
        let before = p.connects;
        for _ in 0..140 {
            p.now_ms += 1000;
            p.with(|link, env| link.tick(env));
        }
        prop_assert!(p.connects > before);
        prop_assert!(p.log.iter().all(|l| l.len() < 1000 && !l.contains('\n')), "{:?}", p.log);
    }

    #[test]
    fn a_hub_survives_any_request(
        requests in prop::collection::vec((0u64..4, request()), 1..60),
    ) {
        let mut seed = 0u8;
        let mut hub = Hub::new(Box::new(move || { seed = seed.wrapping_add(1); [seed; 20] }));
        let config = primary::Config { dual_channel: true, diskless_delay_seconds: 1, ..Default::default() };
        let mut now_ms = 1000;
        for (client, args) in requests {
            now_ms += 300;
            let env = primary::Env {
                config: &config,
                now_ms,
                role: Role::Primary,
                other_child: OtherChild::None,
                failing_over: false,
            };
            let client = ClientId(client);
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let peer = Peer { ip: "10.0.0.1", pending_output: false, monitor: false };
            let reply = match args.split_first() {
                Some((name, rest)) if *name == b"replconf" => hub.replconf(&env, client, rest),
                Some((name, rest)) if *name == b"psync" => hub.psync(&env, client, peer, rest),
                Some((name, _)) if *name == b"sync" => hub.sync(&env, client, peer),
                Some((name, _)) if *name == b"close" => {
                    hub.client_closed(&env, client);
                    continue;
                }
                _ => {
                    hub.feed(&env, Some(1), b"*1\r\n$4\r\nwhat\r\n");
                    hub.tick(&env);
                    continue;
                }
            };
            let bytes = reply.into_bytes();
            prop_assert!(bytes.is_empty() || bytes.ends_with(b"\r\n"));
            prop_assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), usize::from(!bytes.is_empty()));
            while let Some(action) = hub.next_action() {
                if let primary::Action::Log(level, line) = action {
                    prop_assert!(level >= Level::Debug && !line.contains('\n'));
                }
            }
            if let Some(backlog) = hub.backlog() {
                prop_assert_eq!(backlog.next_offset(), hub.history().offset + 1);
            }
        }
    }
}

fn request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let word = prop_oneof![
        3 => prop::sample::select(vec![
            "listening-port", "ip-address", "capa", "eof", "psync2", "dual-channel", "version", "8.0.1", "rdb-only",
            "rdb-channel", "rdb-channel-repl", "main-ch-client-id", "0", "1", "2", "3", "rdb-filter-only", "functions", "set-rdb-client-id", "ack", "fack", "getack",
            "*", "-1", "18446744073709551615", "9223372036854775807", "?", "failover",
            "0101010101010101010101010101010101010101", "0202020202020202020202020202020202020202",
        ]).prop_map(|w| w.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let name = prop::sample::select(vec![
        "replconf", "replconf", "replconf", "psync", "sync", "close", "write",
    ]);
    (name, prop::collection::vec(word, 0..7)).prop_map(|(name, mut args)| {
        args.insert(0, name.as_bytes().to_vec());
        args
    })
}
