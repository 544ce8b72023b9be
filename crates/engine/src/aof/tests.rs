//! The glue between the engine and its append-only file.

use super::{News, State};
use crate::testing::Driver;
use aof::rewrite::Log;
use dataset::digest::Digest;

/// A server with a log; its disk takes everything and syncs nothing by itself.
fn driver() -> Driver {
    let mut driver = Driver::new();
    assert_eq!(
        driver.send(0, &[b"CONFIG", b"SET", b"appendonly", b"yes"]),
        b"+OK\r\n"
    );
    driver.child_succeeds();
    assert_eq!(driver.engine.state.aof.state, State::On);
    driver
}

/// The records appended since the log was opened or rewritten, one a line.
fn logged(driver: &mut Driver) -> Vec<String> {
    driver.engine.push_log();
    let bytes = driver.asked().log_bytes.clone();
    let mut reader = aof::reader::LogReader::new(&bytes[..], bytes.len() as u64);
    let mut lines = Vec::new();
    while let aof::reader::Next::Record(record) = reader.next_record().unwrap() {
        let words: Vec<_> = record.args.iter().map(String::from_utf8_lossy).collect();
        lines.push(words.join(" "));
    }
    lines
}

fn info(driver: &mut Driver, field: &str) -> String {
    let text = driver.send(0, &[b"INFO", b"persistence"]);
    let text = String::from_utf8_lossy(&text).into_owned();
    let row = format!("{field}:");
    let found = text.lines().find_map(|line| line.strip_prefix(&row));
    found.unwrap_or("none").to_owned()
}

fn digest(driver: &Driver) -> String {
    Digest::of_dataset(&driver.engine.keys.dbs).to_string()
}

#[test]
fn what_changes_data_is_appended_and_nothing_else() {
    let mut driver = driver();
    driver.send(0, &[b"SET", b"k", b"v"]);
    driver.send(0, &[b"GET", b"k"]);
    driver.send(0, &[b"PUBLISH", b"c", b"m"]);
    driver.send(0, &[b"MULTI"]);
    driver.send(0, &[b"INCR", b"n"]);
    driver.send(0, &[b"PUBLISH", b"c", b"m"]);
    driver.send(0, &[b"SELECT", b"2"]);
    driver.send(0, &[b"RPUSH", b"l", b"1"]);
    driver.send(0, &[b"EXEC"]);
    driver.send(0, &[b"MULTI"]);
    driver.send(0, &[b"PUBLISH", b"c", b"m"]);
    driver.send(0, &[b"PUBLISH", b"c", b"m"]);
    driver.send(0, &[b"EXEC"]);
    driver.send(0, &[b"FLUSHDB"]);
    assert_eq!(
        logged(&mut driver),
        [
            "SELECT 0",
            "SET k v",
            "MULTI",
            "INCR n",
            "SELECT 2",
            "RPUSH l 1",
            "EXEC",
            "FLUSHDB"
        ]
    );
}

#[test]
fn seconds_are_stamped_if_wanted() {
    let mut driver = driver();
    driver.send(0, &[b"CONFIG", b"SET", b"aof-timestamp-enabled", b"yes"]);
    driver.send(0, &[b"SET", b"k", b"v"]);
    driver.advance_ms(1000);
    driver.send(0, &[b"SET", b"k", b"w"]);
    assert_eq!(
        logged(&mut driver),
        [
            "TS:1000000000",
            "SELECT 0",
            "SET k v",
            "TS:1000000001",
            "SET k w"
        ]
    );
}

#[test]
fn a_rewrite_begins_a_file_and_ends_one_way_or_the_other() {
    let mut driver = driver();
    driver.send(0, &[b"SET", b"k", b"v"]);
    assert_eq!(
        driver.send(0, &[b"BGREWRITEAOF"]),
        b"+Background append only file rewriting started\r\n"
    );
    assert!(
        driver
            .send(0, &[b"BGREWRITEAOF"])
            .ends_with(b"already in progress\r\n")
    );
    assert!(
        driver
            .send(0, &[b"BGSAVE"])
            .starts_with(b"-ERR Another child process")
    );
    assert_eq!(driver.asked().rewrites, [Log::Starting, Log::On]);
    driver.send(0, &[b"SET", b"k", b"w"]);
    // Behind the base, in a file that knows of no database yet.
    assert_eq!(logged(&mut driver), ["SELECT 0", "SET k w"]);
    assert_eq!(info(&mut driver, "aof_rewrite_in_progress"), "1");
    assert_eq!(info(&mut driver, "rdb_bgsave_in_progress"), "0");
    driver.child_fails(None);
    assert_eq!(info(&mut driver, "aof_last_bgrewrite_status"), "err");
    assert_eq!(info(&mut driver, "aof_rewrites_consecutive_failures"), "1");
    assert_eq!(info(&mut driver, "aof_enabled"), "1");
    driver.send(0, &[b"BGREWRITEAOF"]);
    driver.child_succeeds();
    assert_eq!(info(&mut driver, "aof_last_bgrewrite_status"), "ok");
    assert_eq!(info(&mut driver, "aof_rewrites_consecutive_failures"), "0");
    assert_eq!(info(&mut driver, "aof_rewrites"), "3");
}

#[test]
fn a_rewrite_waits_for_another_child_and_for_the_end_of_a_transaction() {
    let mut driver = driver();
    driver.send(0, &[b"BGSAVE"]);
    assert_eq!(
        driver.send(0, &[b"BGREWRITEAOF"]),
        b"+Background append only file rewriting scheduled\r\n"
    );
    assert_eq!(info(&mut driver, "aof_rewrite_scheduled"), "1");
    driver.child_succeeds();
    driver.engine.tick();
    assert_eq!(info(&mut driver, "aof_rewrite_in_progress"), "1");
    driver.child_succeeds();
    driver.send(0, &[b"MULTI"]);
    driver.send(0, &[b"BGREWRITEAOF"]);
    assert!(
        driver
            .send(0, &[b"EXEC"])
            .ends_with(b"rewriting scheduled\r\n")
    );
}

#[test]
fn growth_begins_a_rewrite() {
    let mut driver = driver();
    driver.asked().log_figures.size = 200 << 20;
    driver.asked().log_figures.base_size = 100 << 20;
    driver.engine.tick();
    assert!(driver.asked().child.is_some());
    let line = "Starting automatic rewriting of AOF on 100% growth";
    assert!(driver.asked().log.iter().any(|logged| logged == line));
}

#[test]
fn a_log_that_cannot_begin_is_not_on() {
    let mut driver = Driver::new();
    driver.asked().rewrite_fails = Some("no room".into());
    assert!(
        driver
            .send(0, &[b"CONFIG", b"SET", b"appendonly", b"yes"])
            .ends_with(b"Unable to turn on AOF. Check server logs.\r\n")
    );
    assert_eq!(
        driver.send(0, &[b"CONFIG", b"GET", b"appendonly"]),
        b"*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"
    );
    assert_eq!(info(&mut driver, "aof_enabled"), "0");
}

#[test]
fn a_log_begins_when_its_base_is_there_and_tries_again_if_it_is_not() {
    let mut driver = Driver::new();
    driver.send(0, &[b"CONFIG", b"SET", b"appendonly", b"yes"]);
    driver.send(0, &[b"SET", b"k", b"v"]);
    assert_eq!(logged(&mut driver), ["SELECT 0", "SET k v"]);
    assert_eq!(driver.engine.state.aof.state, State::Starting);
    assert!(
        driver
            .send(0, &[b"SHUTDOWN"])
            .starts_with(b"-ERR Errors trying to SHUTDOWN")
    );
    driver.child_fails(None);
    assert_eq!(driver.engine.state.aof.state, State::Waiting);
    driver.engine.tick();
    assert_eq!(driver.engine.state.aof.state, State::Starting);
    driver.child_succeeds();
    assert_eq!(driver.engine.state.aof.state, State::On);
    // Switched off in the midst of a rewrite, whose child is then of no use.
    driver.send(0, &[b"BGREWRITEAOF"]);
    driver.send(0, &[b"CONFIG", b"SET", b"appendonly", b"no"]);
    assert!(
        driver
            .asked()
            .child
            .as_ref()
            .is_some_and(|child| child.killed)
    );
    driver.child_fails(Some(9));
    assert_eq!(info(&mut driver, "aof_last_bgrewrite_status"), "ok");
    assert_eq!(info(&mut driver, "aof_enabled"), "0");
    driver.send(0, &[b"SET", b"k", b"unseen"]);
    assert_eq!(driver.engine.state.aof.buffered(), 0);
}

#[test]
fn a_disk_that_refuses_is_told_to_those_who_write() {
    let mut driver = driver();
    let error = |text: Option<&str>| News {
        error: text.map(str::to_owned),
        ..News::default()
    };
    driver
        .engine
        .hear_of_log(error(Some("No space left on device")));
    let refusal = b"-MISCONF Errors writing to the AOF file: No space left on device\r\n";
    assert_eq!(driver.send(0, &[b"SET", b"k", b"v"]), refusal);
    assert_eq!(driver.send(0, &[b"PING"]), refusal);
    assert_eq!(driver.send(0, &[b"GET", b"k"]), b"$-1\r\n");
    assert_eq!(info(&mut driver, "aof_last_write_status"), "err");
    driver.engine.hear_of_log(error(None));
    assert_eq!(driver.send(0, &[b"SET", b"k", b"v"]), b"+OK\r\n");
}

#[test]
fn what_is_set_beside_a_log_that_cannot_begin_is_taken_back() {
    let mut driver = Driver::new();
    driver.send(0, &[b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"]);
    driver.send(0, &[b"SET", b"k", b"v"]);
    let slow = driver.send(0, &[b"SLOWLOG", b"LEN"]);
    driver.asked().rewrite_fails = Some("no".into());
    let get: [&[u8]; 5] = [b"CONFIG", b"GET", b"hz", b"requirepass", b"appendonly"];
    let before = driver.send(0, &get);
    let refused = driver.send(
        0,
        &[
            b"CONFIG",
            b"SET",
            b"hz",
            b"20",
            b"slowlog-max-len",
            b"0",
            b"appendonly",
            b"yes",
            b"requirepass",
            b"secret",
        ],
    );
    assert_eq!(
        refused,
        b"-ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.\r\n"
    );
    assert_eq!(driver.send(0, &get), before);
    assert_ne!(driver.send(0, &[b"SLOWLOG", b"LEN"]), b":0\r\n");
    assert_ne!(slow, b":0\r\n");
    assert_eq!(driver.send(1, &[b"PING"]), b"+PONG\r\n");
    let line = "Failed applying new configuration. Possibly related to new appendonly setting. Restoring previous settings.";
    assert!(driver.asked().log.iter().any(|logged| logged == line));
}

#[test]
fn waitaof_waits_for_the_sync() {
    let mut driver = driver();
    driver.send(1, &[b"SET", b"k", b"v"]);
    driver.send(1, &[b"WAITAOF", b"1", b"0", b"0"]);
    driver.engine.push_log();
    driver.engine.log_synced();
    assert_eq!(driver.pushed(1), b"");
    let pushed = driver.asked().log_pushed;
    driver.asked().log_synced = pushed;
    driver.engine.log_synced();
    assert_eq!(driver.pushed(1), b"*2\r\n:1\r\n:0\r\n");
    assert_eq!(
        driver.send(1, &[b"WAITAOF", b"1", b"0", b"0"]),
        b"*2\r\n:1\r\n:0\r\n"
    );
    driver.send(1, &[b"SET", b"k", b"w"]);
    driver.send(1, &[b"WAITAOF", b"1", b"0", b"0"]);
    driver.send(0, &[b"CONFIG", b"SET", b"appendonly", b"no"]);
    assert!(
        driver
            .pushed(1)
            .starts_with(b"-ERR WAITAOF cannot be used when numlocal is set")
    );
}

/// Something of every kind.
fn fill(driver: &mut Driver) {
    let big = vec![b'x'; 100];
    for n in 0..200u32 {
        let n = n.to_string();
        let n = n.as_bytes();
        driver.send(0, &[b"RPUSH", b"list", n, &big]);
        driver.send(0, &[b"SADD", b"set", n, &big]);
        driver.send(0, &[b"ZADD", b"zset", n, n, b"-0.1", &big]);
        driver.send(0, &[b"HSET", b"hash", n, &big]);
        driver.send(0, &[b"SADD", b"ints", n]);
        driver.send(0, &[b"XADD", b"stream", b"*", n, &big]);
    }
    driver.send(0, &[b"SET", b"number", b"12"]);
    driver.send(0, &[b"SET", b"\xff\r\n", b"\0\r\n"]);
    driver.send(
        0,
        &[
            b"ZADD", b"small", b"inf", b"a", b"1e300", b"b", b"0.1", b"c",
        ],
    );
    driver.send(0, &[b"XGROUP", b"CREATE", b"stream", b"g", b"0"]);
    driver.send(
        0,
        &[
            b"XREADGROUP",
            b"GROUP",
            b"g",
            b"c",
            b"COUNT",
            b"3",
            b"STREAMS",
            b"stream",
            b">",
        ],
    );
    driver.send(0, &[b"XGROUP", b"CREATECONSUMER", b"stream", b"g", b"idle"]);
    driver.send(
        0,
        &[b"XGROUP", b"CREATE", b"empty", b"g", b"$", b"MKSTREAM"],
    );
    driver.send(0, &[b"SELECT", b"3"]);
    driver.send(0, &[b"SET", b"short", b"v", b"PX", b"100000"]);
    driver.send(0, &[b"SELECT", b"0"]);
}

#[test]
fn what_is_loaded_is_what_was_there() {
    for form in [b"yes".as_slice(), b"no"] {
        let mut driver = driver();
        fill(&mut driver);
        let before = digest(&driver);
        assert_eq!(driver.send(0, &[b"DEBUG", b"LOADAOF"]), b"+OK\r\n");
        assert_eq!(digest(&driver), before, "from the log alone");
        driver.send(0, &[b"CONFIG", b"SET", b"aof-use-rdb-preamble", form]);
        driver.send(0, &[b"BGREWRITEAOF"]);
        driver.child_succeeds();
        driver.send(0, &[b"DEBUG", b"LOADAOF"]);
        assert_eq!(digest(&driver), before, "from the base");
        driver.send(0, &[b"INCR", b"number"]);
        let after = digest(&driver);
        driver.send(0, &[b"DEBUG", b"LOADAOF"]);
        assert_eq!(digest(&driver), after, "from both");
        let stats = &driver.engine.state.stats;
        assert_eq!(stats.unexpected_error_replies, 0);
    }
}

#[test]
fn a_transaction_without_an_end_and_unknown_commands_are_not_loaded() {
    let mut driver = driver();
    driver.send(0, &[b"SET", b"k", b"v"]);
    driver.engine.push_log();
    driver
        .asked()
        .log_bytes
        .extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
    assert!(
        driver
            .send(0, &[b"DEBUG", b"LOADAOF"])
            .starts_with(b"-ERR Error trying to load the AOF")
    );
    assert_eq!(driver.send(0, &[b"GET", b"k"]), b"$1\r\nv\r\n");
    driver.asked().log_bytes = b"*1\r\n$3\r\nFOO\r\n".to_vec();
    assert!(driver.send(0, &[b"DEBUG", b"LOADAOF"]).starts_with(b"-ERR"));
    let line = "Unknown command 'FOO' reading the append only file incr";
    assert!(driver.asked().log.iter().any(|logged| logged == line));
    // An error is logged, and the rest is loaded.
    driver.asked().log_bytes =
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*3\r\n$5\r\nBLPOP\r\n$1\r\nx\r\n$1\r\n0\r\n"
            .to_vec();
    assert_eq!(driver.send(0, &[b"DEBUG", b"LOADAOF"]), b"+OK\r\n");
    assert_eq!(driver.engine.state.stats.unexpected_error_replies, 1);
    assert_eq!(driver.send(0, &[b"GET", b"a"]), b"$1\r\nb\r\n");
}
