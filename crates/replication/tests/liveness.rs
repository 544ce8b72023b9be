//! Signs of life and new attempts: what may be written while a snapshot is about to start, and how soon a replica comes
//! back.

use replication::primary::{self, Action, Hub, OtherChild, Peer, Role, Target};
use replication::replica::{self, Conn, Link, Purpose};
use replication::{ClientId, ReplId};

const REPLICA: ClientId = ClientId(7);
const PEER: Peer<'static> = Peer {
    ip: "10.0.0.1",
    pending_output: false,
    monitor: false,
};

fn hub() -> Hub {
    let mut n = 0;
    Hub::new(Box::new(move || {
        n += 1;
        [n; 20]
    }))
}

fn env(config: &primary::Config, now_ms: u64) -> primary::Env<'_> {
    primary::Env {
        config,
        now_ms,
        role: Role::Primary,
        other_child: OtherChild::None,
        failing_over: false,
    }
}

fn actions(hub: &mut Hub) -> Vec<Action> {
    std::iter::from_fn(|| hub.next_action()).collect()
}

/// Whatever is queued for a connection could land in what the snapshot's process writes to it.
#[test]
fn nothing_is_queued_for_a_replica_that_waits_for_a_streamed_snapshot() {
    let config = primary::Config {
        diskless_delay_seconds: 3,
        ..primary::Config::default()
    };
    let mut hub = hub();
    hub.replconf(&env(&config, 1000), REPLICA, &[b"capa", b"eof"]);
    hub.psync(&env(&config, 1000), REPLICA, PEER, &[b"?", b"-1"]);
    let (mut alive, mut started) = (0, false);
    for now_ms in (1000..8000).step_by(100) {
        hub.tick(&env(&config, now_ms));
        for action in actions(&mut hub) {
            match action {
                Action::Keepalive(client) => {
                    assert!(client == REPLICA && !started);
                    alive += 1;
                }
                Action::Send { bytes, .. } => panic!("{bytes:?} is queued"),
                Action::StartSnapshot(job) => {
                    assert!(matches!(job.target, Target::Sockets { .. }));
                    started = true;
                }
                _ => {}
            }
        }
    }
    assert!(started && (2..=4).contains(&alive), "{alive}");
}

/// A snapshot to disk writes to nobody, and the line that announces it comes first.
#[test]
fn newlines_follow_the_announcement_of_a_snapshot_to_disk() {
    let config = primary::Config {
        diskless_sync: false,
        ..primary::Config::default()
    };
    let mut hub = hub();
    hub.psync(&env(&config, 1000), REPLICA, PEER, &[b"?", b"-1"]);
    let mut sent = Vec::new();
    for now_ms in (1000..4000).step_by(100) {
        hub.tick(&env(&config, now_ms));
        for action in actions(&mut hub) {
            match action {
                Action::Keepalive(_) => panic!("past what is queued"),
                Action::Send { bytes, .. } => sent.extend(bytes),
                _ => {}
            }
        }
    }
    let end = sent.iter().position(|b| *b == b'\n').unwrap() + 1;
    assert!(sent.starts_with(b"+FULLRESYNC "));
    assert!(sent[end..].len() >= 2 && sent[end..].iter().all(|b| *b == b'\n'));
}

/// A link whose attempts are looked at one by one.
struct Attempts {
    link: Link,
    config: replica::Config,
    now_ms: u64,
}

impl Attempts {
    fn new() -> Self {
        let mut attempts = Attempts {
            link: Link::new(),
            config: replica::Config::default(),
            now_ms: 10_000,
        };
        let from = Some((ReplId::from_entropy([1; 20]), 10));
        attempts.with(|link, env| link.start(env, "host", 1, from, Purpose::Follow));
        attempts
    }

    fn with(&mut self, call: impl FnOnce(&mut Link, &replica::Env<'_>)) {
        let env = replica::Env {
            config: &self.config,
            now_ms: self.now_ms,
            keyspace_empty: true,
            aof_offset: None,
        };
        call(&mut self.link, &env);
    }

    /// The connection that is asked for now, if one is, and what is sent on it.
    fn next(&mut self) -> (Option<Conn>, Vec<u8>) {
        let (mut asked, mut sent) = (None, Vec::new());
        while let Some(action) = self.link.next_action() {
            match action {
                replica::Action::Connect { conn, .. } => asked = Some(conn),
                replica::Action::Send(_, bytes) => sent.extend(bytes),
                _ => {}
            }
        }
        (asked, sent)
    }

    fn bytes(&mut self, conn: Conn, mut data: &[u8]) {
        while !data.is_empty() {
            let mut used = 0;
            self.with(|link, env| used = link.bytes(env, conn, data).used);
            data = &data[used..];
        }
    }

    /// Agrees to everything up to PSYNC; returns what was sent.
    fn shake_hands(&mut self, conn: Conn) -> Vec<u8> {
        self.with(|link, env| link.connected(env, conn));
        self.bytes(conn, b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n");
        self.next().1
    }
}

#[test]
fn a_failed_transfer_is_repeated_at_once_but_not_for_ever() {
    let mut attempts = Attempts::new();
    let mut conn = attempts.next().0.unwrap();
    let mut at_once = 0;
    loop {
        attempts.shake_hands(conn);
        attempts.bytes(
            conn,
            b"+FULLRESYNC 0123456789012345678901234567890123456789 5\r\n",
        );
        attempts.with(|link, env| link.closed(env, conn, "gone"));
        match attempts.next().0 {
            Some(next) => conn = next,
            None => break,
        }
        at_once += 1;
        assert!(at_once < 100, "no end");
    }
    assert!(at_once > 0);
    attempts.now_ms += 900;
    attempts.with(|link, env| link.tick(env));
    assert_eq!(attempts.next().0, None);
    attempts.now_ms += 200;
    attempts.with(|link, env| link.tick(env));
    assert!(attempts.next().0.is_some());
}

#[test]
fn a_refusal_is_repeated_at_the_next_second() {
    let mut attempts = Attempts::new();
    let conn = attempts.next().0.unwrap();
    attempts.shake_hands(conn);
    attempts.bytes(conn, b"-LOADING not yet\r\n");
    attempts.with(|link, env| link.tick(env));
    assert_eq!(attempts.next().0, None);
    attempts.now_ms += 1100;
    attempts.with(|link, env| link.tick(env));
    assert!(attempts.next().0.is_some());
}

#[test]
fn a_lost_stream_is_continued_at_once_and_an_unusable_one_starts_over() {
    let mut attempts = Attempts::new();
    let conn = attempts.next().0.unwrap();
    attempts.shake_hands(conn);
    attempts.bytes(conn, b"+CONTINUE\r\n");
    assert!(attempts.link.is_up());
    attempts.with(|link, env| link.closed(env, conn, "gone"));
    let conn = attempts.next().0.unwrap();
    let sent = attempts.shake_hands(conn);
    assert!(sent.ends_with(b"$2\r\n11\r\n"), "the next byte");
    attempts.bytes(conn, b"+CONTINUE\r\n");
    attempts.with(|link, env| link.stream_unusable(env, "an assertion"));
    let conn = attempts.next().0.unwrap();
    let sent = attempts.shake_hands(conn);
    assert!(sent.ends_with(b"$1\r\n?\r\n$2\r\n-1\r\n"), "everything");
}

/// A report about the connection of the link before it was taken for one about its own, and the handshake began on a
/// connection that was being closed.
#[test]
fn a_successor_does_not_take_late_reports_for_its_own() {
    let mut attempts = Attempts::new();
    let (old, _) = attempts.next();
    let old = old.expect("a connection is asked for at the start");
    attempts.with(|link, _| link.stop());
    attempts.next();
    attempts.link = Link::succeeding(attempts.link.numbers());
    attempts.with(|link, env| link.start(env, "host", 2, None, Purpose::Follow));
    let (new, _) = attempts.next();
    let new = new.expect("a connection is asked for");
    attempts.with(|link, env| link.connected(env, old));
    assert_eq!(attempts.next(), (None, Vec::new()));
    attempts.with(|link, env| link.connected(env, new));
    let (_, sent) = attempts.next();
    assert!(sent.ends_with(b"PING\r\n"));
}
