//! MEMORY: what keys and the server take.

mod doctor;

use crate::client::ClientFlags;
use crate::commands::Family;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};
use dataset::number;
use resp::Reply;
use words::print::NumberBuf;

pub(super) static COMMANDS: Family = &[
    ("memory|doctor", examine),
    ("memory|help", |x, _| {
        x.reply_help("MEMORY", HELP);
        Ok(())
    }),
    ("memory|malloc-stats", malloc_stats),
    ("memory|purge", purge),
    ("memory|stats", stats),
    ("memory|usage", usage),
];

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];

/// Elements MEMORY USAGE looks at unless SAMPLES says otherwise.
const SAMPLES_DEFAULT: usize = 5;
/// Bytes a client takes besides its buffers, as an estimate.
const CLIENT_BYTES: usize = size_of::<crate::Client>();

/// `MEMORY USAGE key [SAMPLES count]`.
///
/// Reply: estimated bytes of the key and its value; null when `key` does not exist. An expired key is still measured.
/// Errors: syntax, not an integer.
/// Propagates: nothing.
/// Source: Valkey command reference, MEMORY USAGE (since 4.0.0).
fn usage(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut samples = SAMPLES_DEFAULT;
    let mut rest = &args[3..];
    while let [word, tail @ ..] = rest {
        let (true, [count, tail @ ..]) = (word.eq_ignore_ascii_case(b"samples"), tail) else {
            return Err(Error::SYNTAX);
        };
        samples = usize::try_from(number::int(count)?).map_err(|_| Error::SYNTAX)?;
        rest = tail;
    }
    match x.keys.current().get(args[2]) {
        Some(entry) => x.out.uint(entry.memory_bytes(samples)),
        None => x.out.null(),
    }
    Ok(())
}

/// `MEMORY MALLOC-STATS`.
///
/// Reply: the allocator's report.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MEMORY MALLOC-STATS (since 4.0.0).
fn malloc_stats(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out
        .verbatim(*b"txt", x.state.host.allocator_report().as_bytes());
    Ok(())
}

/// `MEMORY PURGE`: has the allocator give back what it holds in reserve.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MEMORY PURGE (since 4.0.0).
fn purge(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.state.host.purge_allocator();
    x.out.ok();
    Ok(())
}

/// What MEMORY STATS and MEMORY DOCTOR look at, in bytes.
struct Figures {
    peak: usize,
    total: usize,
    startup: usize,
    backlog: usize,
    replicas: usize,
    replicas_number: usize,
    clients: usize,
    clients_number: usize,
    /// Per database with keys: number, key table, expiry index.
    tables: Vec<(usize, usize, usize)>,
    /// Of scripts, and of libraries.
    caches: (usize, usize),
    /// Scripts that are cached.
    scripts: usize,
    keys: usize,
    memory: crate::host::MemoryFigures,
    /// Tables whose items are on the way to bigger or smaller ones, and the bytes that they will give back.
    rehashing: (usize, usize),
}

impl Figures {
    fn measure(x: &Exec<'_>) -> Self {
        let memory = x.state.host.memory();
        let replication = x.state.repl.hub.memory();
        let clients = x
            .state
            .clients
            .iter()
            .map(|client| CLIENT_BYTES + client.output_bytes() + client.query_bytes);
        let is_replica = |client: &&crate::Client| client.flags.has(ClientFlags::REPLICA);
        let replicas_number = x.state.clients.iter().filter(is_replica).count();
        let dbs = x.keys.dbs.iter().enumerate();
        Figures {
            peak: x.state.stats.peak_memory.max(memory.used),
            total: memory.used,
            startup: x.state.startup_memory,
            backlog: replication.backlog as usize,
            replicas: replication.replicas as usize,
            replicas_number,
            clients: clients.sum::<usize>() + CLIENT_BYTES,
            // With the one that asks.
            clients_number: x.state.clients.iter().count() + 1 - replicas_number,
            tables: dbs
                .filter(|(_, db)| !db.is_empty())
                .map(|(index, db)| (index, db.table_bytes(), db.expires_bytes()))
                .collect(),
            caches: x.state.scripting.cache_bytes(),
            scripts: x.state.scripting.scripts(),
            keys: x.keys.dbs.iter().map(keyspace::Db::len).sum(),
            memory,
            rehashing: x
                .keys
                .dbs
                .iter()
                .flat_map(keyspace::Db::rehashing_bytes)
                .fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes)),
        }
    }

    fn tables_bytes(&self) -> usize {
        self.tables
            .iter()
            .map(|(_, keys, expires)| keys + expires)
            .sum()
    }

    fn overhead(&self) -> usize {
        let caches = self.caches.0 + self.caches.1;
        let data = self.tables_bytes();
        self.startup + self.backlog + self.replicas + self.clients + caches + data
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// `MEMORY STATS`.
///
/// Reply: a map of figures, in bytes unless their name says otherwise.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MEMORY STATS (since 4.0.0).
fn stats(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let figures = Figures::measure(x);
    let (memory, overhead) = (figures.memory, figures.overhead());
    let dataset = figures.total.saturating_sub(overhead);
    let net = figures.total.saturating_sub(figures.startup);
    let out = &mut *x.out;
    let before = [
        ("peak.allocated", figures.peak),
        ("total.allocated", figures.total),
        ("startup.allocated", figures.startup),
        ("replication.backlog", figures.backlog),
        ("clients.slaves", figures.replicas),
        ("clients.normal", figures.clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", figures.caches.0),
        ("functions.caches", figures.caches.1),
    ];
    let after = [
        ("overhead.db.hashtable.lut", figures.tables_bytes()),
        ("overhead.db.hashtable.rehashing", figures.rehashing.1),
        ("overhead.total", overhead),
        ("db.dict.rehashing.count", figures.rehashing.0),
        ("keys.count", figures.keys),
        (
            "keys.bytes-per-key",
            dataset.checked_div(figures.keys).unwrap_or(0),
        ),
        ("dataset.bytes", dataset),
    ];
    // Figures after these come as float, size, size and so on.
    const REST: usize = 14;
    out.map(before.len() + figures.tables.len() + after.len() + REST);
    for (name, bytes) in before {
        size(out, name, bytes as i64);
    }
    for (db, keys, expires) in &figures.tables {
        out.bulk(format!("db.{db}").as_bytes());
        out.map(2);
        size(out, "overhead.hashtable.main", *keys as i64);
        size(out, "overhead.hashtable.expires", *expires as i64);
    }
    for (name, bytes) in after {
        size(out, name, bytes as i64);
    }
    let difference = |a: usize, b: usize| a as i64 - b as i64;
    float(out, "dataset.percentage", ratio(dataset, net) * 100.0);
    float(
        out,
        "peak.percentage",
        ratio(figures.total, figures.peak) * 100.0,
    );
    size(out, "allocator.allocated", memory.allocated as i64);
    size(out, "allocator.active", memory.active as i64);
    size(out, "allocator.resident", memory.resident as i64);
    size(out, "allocator.muzzy", 0);
    float(
        out,
        "allocator-fragmentation.ratio",
        ratio(memory.active, memory.allocated),
    );
    size(
        out,
        "allocator-fragmentation.bytes",
        difference(memory.active, memory.allocated),
    );
    float(
        out,
        "allocator-rss.ratio",
        ratio(memory.resident, memory.active),
    );
    size(
        out,
        "allocator-rss.bytes",
        difference(memory.resident, memory.active),
    );
    float(
        out,
        "rss-overhead.ratio",
        ratio(memory.rss, memory.resident),
    );
    size(
        out,
        "rss-overhead.bytes",
        difference(memory.rss, memory.resident),
    );
    float(out, "fragmentation", ratio(memory.rss, memory.used));
    size(
        out,
        "fragmentation.bytes",
        difference(memory.rss, memory.used),
    );
    Ok(())
}

fn size(out: &mut Reply, name: &str, value: i64) {
    out.bulk(name.as_bytes());
    out.int(value);
}

fn float(out: &mut Reply, name: &str, value: f64) {
    out.bulk(name.as_bytes());
    out.double(NumberBuf::new().format_f64(value));
}

/// `MEMORY DOCTOR`.
///
/// Reply: advice in plain words.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MEMORY DOCTOR (since 4.0.0).
fn examine(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let report = doctor::report(&Figures::measure(x));
    x.out.verbatim(*b"txt", report.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Driver, check};

    #[test]
    fn usage_measures_keys() {
        let mut driver = Driver::new();
        driver.send(0, &[b"SET", b"k", &[b'x'; 1000]]);
        let reply = driver.send(0, &[b"MEMORY", b"USAGE", b"k", b"SAMPLES", b"0"]);
        let bytes: usize = std::str::from_utf8(&reply[1..reply.len() - 2])
            .unwrap()
            .parse()
            .unwrap();
        assert!((1000..2000).contains(&bytes));
        check(
            "
            > MEMORY USAGE nokey
            < (nil)
            > MEMORY USAGE k SAMPLES
            < (error) ERR syntax error
            > MEMORY USAGE k SAMPLES -1
            < (error) ERR syntax error
            > MEMORY USAGE k SAMPLES a
            < (error) ERR value is not an integer or out of range
            > MEMORY PURGE
            < OK
            > MEMORY foo
            < (error) ERR unknown subcommand 'foo'. Try MEMORY HELP.
            ",
        );
    }

    #[test]
    fn stats_is_a_complete_map() {
        let mut driver = Driver::new();
        driver.send(0, &[b"SET", b"k", b"v"]);
        let reply = String::from_utf8(driver.send(0, &[b"MEMORY", b"STATS"])).unwrap();
        assert!(reply.starts_with("*64\r\n"), "{reply}");
        assert!(reply.contains("\r\ndb.0\r\n*4\r\n"));
        assert!(reply.contains("fragmentation.bytes"));
    }
}
