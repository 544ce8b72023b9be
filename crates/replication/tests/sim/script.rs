//! Scenarios as text. One statement per line, `#` starts a comment; the runner is the grammar's documentation.

use super::world::World;
use replication::replica::{Channel, LoadMode, Purpose};
use replication::{ClientId, OutputLimit};
use std::rc::Rc;

/// Longest virtual wait for a condition, in milliseconds.
const WAIT_MS: u64 = 120_000;

/// Runs a scenario and panics, naming the line, where it does not hold.
pub(crate) fn run(name: &str, text: &str) -> World {
    let mut world = World::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = format!("{name}:{}: {line}", number + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        statement(&mut world, &at, &words);
    }
    world
}

fn statement(world: &mut World, at: &str, words: &[&str]) {
    let n = |world: &World| world.node(words[1]);
    let number = |i: usize| {
        words[i]
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{at}: a number"))
    };
    match words[0] {
        // node NAME...: servers, in the order of their ports.
        "node" => words[1..].iter().for_each(|name| {
            world.add(name);
        }),
        // config NAME key=value...
        "config" => {
            let n = n(world);
            words[2..].iter().for_each(|w| config(world, n, w, at));
        }
        // write NAME DB COUNT [BYTES]: COUNT values of BYTES bytes each.
        "write" => {
            let (n, db, count) = (n(world), number(2) as u32, number(3));
            let bytes = words.get(4).map_or(8, |_| number(4)) as usize;
            for i in 0..count {
                let value = format!("{i}:{:0bytes$}", world.now_ms);
                world.write(n, db, value.as_bytes());
            }
        }
        // replicaof NAME PRIMARY [force]
        "replicaof" => {
            let purpose = match words.get(3) {
                Some(_) => Purpose::FollowAnyway,
                None => Purpose::Follow,
            };
            world.follow(n(world), world.node(words[2]), purpose);
        }
        "promote" => world.promote(n(world)),
        // getack NAME: asks its replicas to acknowledge, as WAIT does.
        "getack" => {
            let n = n(world);
            world.hub(n, |hub, env| hub.request_acks(env));
        }
        // run MS
        "run" => world.run(number(1)),
        // cut NAME main|rdb: the replica's connection breaks.
        "cut" => world.cut(n(world), channel(words[2])),
        // close NAME main|rdb: the primary closes it, as CLIENT KILL does.
        "kill-client" => {
            let (n, channel) = (n(world), channel(words[2]));
            let wire = world
                .wires
                .iter()
                .find(|w| w.replica == n && w.conn.channel == channel);
            let (primary, client) = wire
                .map(|w| (w.primary, w.client))
                .unwrap_or_else(|| panic!("{at}: no wire"));
            for w in &mut world.wires {
                if w.client == client {
                    w.kill_by_primary();
                }
            }
            world.hub(primary, |hub, env| hub.client_closed(env, client));
        }
        "kill-child" => world.kill_child(n(world), None),
        // hold NAME load|drain|child, release likewise; fork-fails NAME yes|no; down NAME yes|no
        "hold" | "release" => {
            let (n, hold) = (n(world), words[0] == "hold");
            match words[2] {
                "load" => world.nodes[n].hold_load = hold,
                "drain" => world.nodes[n].hold_drain = hold,
                "child" => world.nodes[n].hold_child = hold,
                other => panic!("{at}: hold what? {other}"),
            }
        }
        "fork-fails" => {
            let n = n(world);
            world.nodes[n].fork_fails = words[2] == "yes";
        }
        "crash" => world.crash(n(world)),
        "start" => {
            let n = n(world);
            world.restart(n);
        }
        // pause NAME main|rdb: the network delivers nothing to this replica there, from its next connection on.
        "pause" | "unpause" => {
            let n = n(world);
            world.nodes[n].stalled = (words[0] == "pause").then(|| channel(words[2]));
        }
        // unpause-until-parked NAME: delivers to the stalled main channel until the snapshot channel is asked for.
        "unpause-until-parked" => {
            let n = n(world);
            let stalled = world.nodes[n].stalled.take();
            let parked = |world: &World| {
                world
                    .wires
                    .iter()
                    .any(|w| w.replica == n && w.conn.channel == Channel::Rdb)
            };
            while !parked(world) {
                assert!(world.step(), "{at}: it never asked");
            }
            world.nodes[n].stalled = stalled;
        }
        // mute NAME: nothing this replica sends arrives any more.
        "mute" => {
            let n = n(world);
            world.nodes[n].mute = true;
        }
        "close-client" => {
            let (n, client) = (n(world), ClientId(number(2)));
            world.hub(n, |hub, env| hub.client_closed(env, client));
        }
        // request NAME CLIENT words...: an ordinary client's request; expect-reply follows.
        "request" => {
            let n = n(world);
            let args: Vec<Vec<u8>> = words[3..]
                .iter()
                .map(|w| w.trim_matches('"').as_bytes().to_vec())
                .collect();
            let reply = world.execute(n, ClientId(number(2)), &args);
            world.nodes[n].replies.push(reply);
        }
        // reply NAME TEXT: the reply to the last request, without its line end; nothing = no reply.
        "reply" => {
            let n = n(world);
            let reply = world.nodes[n]
                .replies
                .pop()
                .unwrap_or_else(|| panic!("{at}: no request"));
            assert_eq!(
                String::from_utf8_lossy(&reply).trim_end(),
                words[2..].join(" "),
                "{at}"
            );
        }
        // wait NAME key=value...: until all hold, or too long; expect NAME key=value...: now.
        "wait" => {
            let n = n(world);
            let end = world.now_ms + WAIT_MS;
            while !words[2..].iter().all(|w| check(world, n, w, at).0) {
                if world.now_ms >= end {
                    for w in &words[2..] {
                        eprintln!("{w}: {:?}", check(world, n, w, at));
                    }
                    dump(world);
                    panic!("{at}: never came");
                }
                world.run(100);
            }
        }
        // until NAME key=value...: step by step, so that short-lived states are seen.
        "until" => {
            let n = n(world);
            while !words[2..].iter().all(|w| check(world, n, w, at).0) {
                assert!(world.step(), "{at}: never came");
            }
        }
        "expect" => {
            let n = n(world);
            for w in &words[2..] {
                let (fine, found) = check(world, n, w, at);
                if !fine {
                    dump(world);
                }
                assert!(fine, "{at}: {w}, but it is {found}");
            }
        }
        // log NAME TEXT: some line contains it; no-log likewise; forget-log NAME.
        "log" | "no-log" => {
            let (n, text) = (n(world), words[2..].join(" "));
            let found = world.nodes[n]
                .log
                .iter()
                .any(|(_, line)| line.contains(&text));
            if found != (words[0] == "log") {
                dump(world);
                panic!("{at}");
            }
        }
        "forget-log" => {
            let n = n(world);
            world.nodes[n].log.clear();
        }
        // same A B...: same data, same history, once everything that can move has moved.
        "same" => {
            world.settle();
            for other in &words[2..] {
                world.assert_same(world.node(words[1]), world.node(other));
            }
        }
        "clean" => {
            world.settle();
            world.assert_clean();
        }
        other => panic!("{at}: unknown statement {other}"),
    }
}

fn channel(word: &str) -> Channel {
    if word == "rdb" {
        Channel::Rdb
    } else {
        Channel::Main
    }
}

fn config(world: &mut World, n: usize, word: &str, at: &str) {
    let (key, value) = word
        .split_once('=')
        .unwrap_or_else(|| panic!("{at}: key=value"));
    let number = || {
        value
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{at}: a number"))
    };
    let node = &mut world.nodes[n];
    let (p, r) = (
        Rc::make_mut(&mut node.primary),
        Rc::make_mut(&mut node.replica),
    );
    match key {
        "dual" => (p.dual_channel, r.dual_channel) = (value == "yes", value == "yes"),
        "redis" => node.redis = value == "yes",
        "diskless" => p.diskless_sync = value == "yes",
        "delay" => p.diskless_delay_seconds = number(),
        "max-replicas" => p.diskless_max_replicas = number(),
        "backlog" => (p.backlog_bytes, r.backlog_bytes) = (number(), number()),
        "ttl" => p.backlog_ttl_seconds = number(),
        "grace" => p.rdb_client_grace_ms = number() * 1000,
        "save-points" => p.save_points = value == "yes",
        "min-replicas" => p.min_replicas_to_write = number(),
        "timeout" => (p.timeout_seconds, r.timeout_seconds) = (number(), number()),
        "limit" => {
            p.output_limit = OutputLimit {
                hard_bytes: number(),
                soft_bytes: 0,
                soft_seconds: 0,
            };
            r.buffer_bytes_max = number();
        }
        "compression" => (p.compression, r.compression) = (value == "lz4", value == "lz4"),
        "spool" => p.spool_bytes = number(),
        "spill" => r.spill_bytes_max = number(),
        "refuse-empty" => r.refuse_empty_primary = value == "yes",
        "soft" => (p.output_limit.soft_bytes, p.output_limit.soft_seconds) = (number(), 1),
        "announce-ip" => r.announced_ip = value.to_owned(),
        "load" => {
            r.load_mode = match value {
                "swapdb" => LoadMode::SwapDb,
                "on-empty-db" => LoadMode::OnEmptyDb,
                _ => LoadMode::Disabled,
            }
        }
        other => panic!("{at}: unknown option {other}"),
    }
}

/// Whether `key=value` holds, and the value found. `>` and `<` may stand for `=`.
fn check(world: &World, n: usize, word: &str, at: &str) -> (bool, String) {
    let i = word
        .find(['=', '>', '<'])
        .unwrap_or_else(|| panic!("{at}: key=value"));
    let (key, wanted) = (&word[..i], &word[i + 1..]);
    let node = &world.nodes[n];
    let (stats, info) = (node.hub.stats(), node.link.info(world.now_ms));
    let rows = node.hub.info_rows(world.now_ms);
    let found = match key {
        "state" => node.link.state().as_str().to_owned(),
        "failover" => node.hub.failover_state().as_str().to_owned(),
        "paused" => node.paused.to_string(),
        "full" => stats.full.to_string(),
        "partial-ok" => stats.partial_ok.to_string(),
        "partial-err" => stats.partial_err.to_string(),
        "limit-closed" => stats.output_limit_closed.to_string(),
        "replicas" => node.hub.connected_replicas().to_string(),
        "waiting" => node.hub.replicas_waiting_psync().to_string(),
        "snapshot" => node.hub.snapshot_running().to_string(),
        "forks" => node.forks.to_string(),
        "formats" => {
            let names: Vec<_> = node.formats.iter().map(|f| format!("{f:?}")).collect();
            names.join(",").to_lowercase()
        }
        "offset" => node.hub.history().offset.to_string(),
        "second-offset" => node
            .hub
            .history()
            .second_offset
            .map_or(-1, |o| o as i64)
            .to_string(),
        "histlen" => node.hub.backlog().map_or(0, |b| b.histlen()).to_string(),
        "backlog" => node.hub.backlog().is_some().to_string(),
        "keys" => node.data.len().to_string(),
        "acked" => node.hub.acked(node.hub.history().offset).to_string(),
        "role-rows" => node.hub.role_rows().len().to_string(),
        "buffer" => info.buffer_bytes.to_string(),
        "spilled" => node
            .link
            .report(world.now_ms, 0, 0)
            .spilled_bytes
            .to_string(),
        "buffer-peak" => info.buffer_bytes_peak.to_string(),
        "sync-in-progress" => info.sync_in_progress.to_string(),
        "wires" => world.wires.len().to_string(),
        "log-stopped" => node.log_stopped.to_string(),
        // row=a,b: some row contains both.
        "row" => {
            let fine = rows.iter().any(|row| {
                wanted
                    .split(',')
                    .all(|part| row.replace('=', ":").contains(part))
            });
            return (fine, rows.join(" "));
        }
        "no-row" => {
            let fine = !rows
                .iter()
                .any(|row| row.replace('=', ":").contains(wanted));
            return (fine, rows.join(" "));
        }
        other => panic!("{at}: unknown property {other}"),
    };
    let fine = match word.as_bytes()[i] {
        b'=' => found == wanted,
        sign => {
            let numbers = (found.parse::<i64>(), wanted.parse::<i64>());
            let (Ok(found), Ok(wanted)) = numbers else {
                panic!("{at}: numbers")
            };
            if sign == b'>' {
                found > wanted
            } else {
                found < wanted
            }
        }
    };
    (fine, found)
}

/// Everything there is to know, for a failing test.
pub(crate) fn dump(world: &World) {
    for node in &world.nodes {
        eprintln!(
            "--- {} keys={} {:?}",
            node.name,
            node.data.len(),
            node.hub.history()
        );
        eprintln!("    {:?}", node.link.info(world.now_ms));
        for (level, line) in &node.log[node.log.len().saturating_sub(60)..] {
            eprintln!("    {level:?}: {line}");
        }
    }
}
