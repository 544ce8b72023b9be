//! ACL LOG after the same refusals.

use crate::server::{self, Reply, Server, seeded};
use acl::{Log, LogContext, LogEvent, LogReason, Reason};
use rand::Rng;

const STEPS: usize = 3000;

/// What a client of the user `u`, who may `+get ~a +publish &a`, is refused: its request, why, and the object.
const REFUSED: &[(&[&str], LogReason, &str)] = &[
    (&["get", "b"], LogReason::Denied(Reason::Key), "b"),
    (&["GET", "c"], LogReason::Denied(Reason::Key), "c"),
    (&["get", "C"], LogReason::Denied(Reason::Key), "C"),
    (
        &["set", "a", "x"],
        LogReason::Denied(Reason::Command),
        "set",
    ),
    (
        &["SET", "b", "x"],
        LogReason::Denied(Reason::Command),
        "set",
    ),
    (&["mget", "a"], LogReason::Denied(Reason::Command), "mget"),
    (
        &["config", "GET", "x"],
        LogReason::Denied(Reason::Command),
        "config|get",
    ),
    (&["ping"], LogReason::Denied(Reason::Command), "ping"),
    (&["echo", "get"], LogReason::Denied(Reason::Command), "echo"),
    (
        &["publish", "b", "x"],
        LogReason::Denied(Reason::Channel),
        "b",
    ),
    (
        &["publish", "c", "x"],
        LogReason::Denied(Reason::Channel),
        "c",
    ),
    (&["AUTH", "u", "wrong"], LogReason::Auth, "AUTH"),
    (&["auth", "u", "wrong"], LogReason::Auth, "auth"),
    (&["auth", "nobody", "x"], LogReason::Auth, "auth"),
    (
        &["HELLO", "2", "AUTH", "u", "wrong"],
        LogReason::Auth,
        "HELLO",
    ),
];

/// The fields that do not depend on the time or the client.
fn ours(log: &Log) -> Reply {
    let entries = log.entries().map(|entry| {
        let number = |number: u64| Reply::Integer(i64::try_from(number).unwrap());
        Reply::Array(vec![
            number(entry.count),
            Reply::bulk(entry.reason.name()),
            Reply::bulk(entry.context.name()),
            Reply::bulk(&entry.object),
            Reply::bulk(&entry.user),
            number(entry.id),
        ])
    });
    Reply::Array(entries.collect())
}

fn theirs(reply: Reply) -> Reply {
    let Reply::Array(entries) = reply else {
        panic!("{reply:?}");
    };
    let entries = entries.into_iter().map(|entry| {
        let Reply::Array(fields) = entry else {
            panic!("{entry:?}");
        };
        Reply::Array(
            [1, 3, 5, 7, 9, 15]
                .map(|at: usize| fields[at].clone())
                .into(),
        )
    });
    Reply::Array(entries.collect())
}

#[test]
fn refusals_are_remembered_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    let mut rng = seeded("log");
    let folder = server::folder("log");
    let mut server = Server::start(&folder, &[]);
    let mut tell = |request: &[&str]| {
        server.ask(request);
        server.replies().expect("it lives").remove(0)
    };
    let rules = [
        "ACL", "SETUSER", "u", "on", ">x", "+get", "~a", "+publish", "&a",
    ];
    assert_eq!(tell(&rules), Reply::ok());
    let mut log = Log::default();
    let mut entries_max = 128;
    for step in 0..STEPS {
        match rng.random_range(0..50) {
            0 => {
                assert_eq!(tell(&["ACL", "LOG", "RESET"]), Reply::ok());
                log.reset();
            }
            1 => {
                entries_max = rng.random_range(0..16);
                let text = entries_max.to_string();
                assert_eq!(
                    tell(&["CONFIG", "SET", "acllog-max-len", &text]),
                    Reply::ok()
                );
            }
            _ => {}
        }
        assert_eq!(tell(&["AUTH", "u", "x"]), Reply::ok());
        for _ in 0..rng.random_range(1..5) {
            let (request, reason, object) = REFUSED[rng.random_range(0..REFUSED.len())];
            assert!(matches!(tell(request), Reply::Error(_)), "{request:?}");
            let user = match request {
                [_, "nobody", _] => "nobody",
                _ => "u",
            };
            let event = LogEvent {
                reason,
                context: LogContext::TopLevel,
                object: object.as_bytes(),
                user: user.as_bytes(),
                client: b"",
            };
            // All within the minute that equal refusals join in.
            log.record(&event, 0, entries_max);
        }
        assert_eq!(tell(&["AUTH", "default", ""]), Reply::ok());
        if step % 10 == 0 {
            assert_eq!(ours(&log), theirs(tell(&["ACL", "LOG", "1000"])));
        }
    }
    let info = tell(&["INFO", "stats"]);
    let Reply::Bulk(info) = info else {
        panic!("{info:?}");
    };
    let info = String::from_utf8(info).unwrap();
    let counts = log.counts();
    for (field, count) in [
        ("auth", counts.auth),
        ("cmd", counts.command),
        ("key", counts.key),
        ("channel", counts.channel),
    ] {
        let line = format!("acl_access_denied_{field}:{count}\r\n");
        assert!(info.contains(&line), "{line}");
    }
}
