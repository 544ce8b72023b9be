//! Sections about the process: server, clients, memory, processor, databases.

use super::Rows;
use crate::client::{Client, ClientFlags};
use crate::exec::Exec;
use crate::state::ServerState;
use dataset::AccessClock;
use words::version;

/// Expiring keys looked at to tell the average time to live of a database.
const TTL_SAMPLES: usize = 32;

pub(super) fn server(x: &mut Exec<'_>, rows: &mut Rows) {
    let facts = x.state.host.facts();
    let config = &x.state.config;
    let now_us = (x.state.clock.unix_us)();
    let now = (now_us / 1_000_000) as i64;
    let uptime = (now - facts.started_at).max(0);
    rows.row("redis_version", version::REDIS);
    rows.row("server_name", "valkey");
    rows.row("valkey_version", version::VALKEY);
    rows.row("redis_git_sha1", "00000000");
    rows.row("redis_git_dirty", 0);
    rows.row("redis_build_id", facts.build_id);
    let mode = if config.cluster_enabled {
        "cluster"
    } else {
        "standalone"
    };
    let title = if config.extended_redis_compatibility {
        "redis_mode"
    } else {
        "server_mode"
    };
    rows.row(title, mode);
    rows.row("os", &facts.os);
    rows.row("arch_bits", usize::BITS);
    rows.row("monotonic_clock", "POSIX clock_gettime");
    rows.row("multiplexing_api", "epoll");
    // What a server says that was made by another compiler.
    rows.row("gcc_version", "0.0.0");
    rows.row("process_id", facts.pid);
    rows.row("process_supervised", &facts.supervised);
    rows.row("run_id", &facts.run_id);
    rows.row("tcp_port", facts.port);
    rows.row("server_time_usec", now_us);
    rows.row("uptime_in_seconds", uptime);
    rows.row("uptime_in_days", uptime / 86_400);
    rows.row("hz", config.hz);
    rows.row("configured_hz", config.hz);
    // That of the entries, which the timer sets: a count of uses has none.
    let clock = match x.keys.access {
        AccessClock::Lru(seconds) => i64::from(seconds),
        AccessClock::Lfu { .. } => now & 0xff_ffff,
    };
    rows.row("lru_clock", clock);
    rows.row("executable", &facts.executable);
    rows.row("config_file", &facts.config_file);
    rows.row("io_threads_active", u8::from(config.io_threads > 1));
    rows.row("availability_zone", config.availability_zone.lossy());
    if let Some(pending) = &x.state.shutdown {
        let left_ms = (pending.deadline_ms - (now_us / 1000) as i64).max(0);
        rows.row("shutdown_in_milliseconds", left_ms);
    }
    for (name, listener) in &facts.listeners {
        rows.row(name, listener);
    }
}

/// All clients, the running one included.
fn all<'a>(x: &'a Exec<'_>) -> impl Iterator<Item = &'a Client> {
    x.state.clients.iter().chain(std::iter::once(&*x.client))
}

pub(super) fn clients(x: &mut Exec<'_>, rows: &mut Rows) {
    let (mut input, mut output, mut pubsub, mut watching) = (0, 0, 0, 0);
    for client in all(x) {
        input = input.max(client.query_bytes);
        output = output.max(client.output_bytes());
        pubsub += usize::from(client.flags.has(ClientFlags::PUBSUB));
        watching += usize::from(!client.watching.is_empty());
    }
    let state = &*x.state;
    let replicas = state.repl.hub.listed_replicas();
    rows.row(
        "connected_clients",
        state.clients.len().saturating_sub(replicas),
    );
    rows.row("cluster_connections", 0);
    rows.row("maxclients", state.config.maxclients);
    rows.row("client_recent_max_input_buffer", input);
    rows.row("client_recent_max_output_buffer", output);
    rows.row(
        "blocked_clients",
        state.blocking.count + state.paused_clients.len(),
    );
    rows.row("tracking_clients", state.tracking.clients());
    rows.row("pubsub_clients", pubsub);
    rows.row("watching_clients", watching);
    rows.row("clients_in_timeout_table", state.blocking.deadlines.len());
    rows.row("total_watched_keys", x.keys.watched_len());
    rows.row("total_blocking_keys", x.keys.blocked_keys_len());
    rows.row(
        "total_blocking_keys_on_nokey",
        x.keys.blocked_keys_until_gone_len(),
    );
}

/// A share, in percent.
fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// How many times `b` is `a`, and what lies between them.
fn excess(rows: &mut Rows, name: &str, a: u64, b: u64) {
    let ratio = if b == 0 { 0.0 } else { a as f64 / b as f64 };
    rows.row(&format!("{name}_ratio"), format_args!("{ratio:.2}"));
    rows.row(&format!("{name}_bytes"), a as i64 - b as i64);
}

pub(super) fn memory(x: &mut Exec<'_>, rows: &mut Rows) {
    let figures = x.state.host.memory();
    let used = figures.used as u64;
    x.state.stats.peak_memory = x.state.stats.peak_memory.max(figures.used);
    let peak = x.state.stats.peak_memory as u64;
    let normal: u64 = all(x)
        .filter(|client| !client.flags.has(ClientFlags::REPLICA))
        .map(|client| crate::commands::client::memory_of(client) as u64)
        .sum();
    let state = &*x.state;
    let streams = state.repl.hub.memory();
    let tables: u64 = x
        .keys
        .dbs
        .iter()
        .map(|db| (db.table_bytes() + db.expires_bytes()) as u64)
        .sum();
    let startup = state.startup_memory as u64;
    let caches = state.scripting.cache_bytes();
    let caches = (caches.0 + caches.1) as u64;
    let overhead = startup + streams.total + normal + tables + caches;
    let dataset = used.saturating_sub(overhead);
    rows.bytes("used_memory", used);
    rows.bytes("used_memory_rss", figures.rss as u64);
    rows.bytes("used_memory_peak", peak);
    rows.row("used_memory_peak_perc", percent(used, peak));
    rows.row("used_memory_overhead", overhead);
    rows.row("used_memory_startup", startup);
    rows.row("used_memory_dataset", dataset);
    rows.row(
        "used_memory_dataset_perc",
        percent(dataset, used.saturating_sub(startup)),
    );
    rows.row("allocator_allocated", figures.allocated);
    rows.row("allocator_active", figures.active);
    rows.row("allocator_resident", figures.resident);
    rows.row("allocator_muzzy", 0);
    rows.bytes("total_system_memory", figures.system);
    scripts(state, rows);
    rows.bytes("maxmemory", state.config.maxmemory);
    rows.row(
        "maxmemory_policy",
        String::from_utf8_lossy(&state.config.print(config::Param::MaxmemoryPolicy)),
    );
    let (allocated, active) = (figures.allocated as u64, figures.active as u64);
    let (resident, rss) = (figures.resident as u64, figures.rss as u64);
    excess(rows, "allocator_frag", active, allocated);
    excess(rows, "allocator_rss", resident, active);
    excess(rows, "rss_overhead", rss, resident);
    excess(rows, "mem_fragmentation", rss, used);
    rows.row(
        "mem_not_counted_for_evict",
        streams.replicas.min(streams.total) + x.state.host.log_memory() as u64,
    );
    rows.row("mem_replication_backlog", streams.backlog);
    rows.row("mem_total_replication_buffers", streams.total);
    rows.row("mem_clients_slaves", streams.replicas);
    rows.row("mem_clients_normal", normal);
    rows.row("mem_cluster_links", 0);
    let log = x.state.host.log_figures();
    rows.row("mem_aof_buffer", log.memory + x.state.aof.buffered());
    rows.row("mem_allocator", x.state.host.facts().allocator);
    let rehashing: usize = x
        .keys
        .dbs
        .iter()
        .flat_map(keyspace::Db::rehashing_bytes)
        .sum();
    rows.row("mem_overhead_db_hashtable_rehashing", rehashing);
    rows.row("active_defrag_running", 0);
    rows.row("lazyfree_pending_objects", state.host.pending_frees());
    rows.row("lazyfreed_objects", x.keys.stats.lazy_freed);
}

/// Rows about scripts and libraries.
fn scripts(state: &ServerState, rows: &mut Rows) {
    let scripting = &state.scripting;
    let (eval, functions) = scripting.interpreter_bytes();
    let (scripts, libraries) = scripting.cache_bytes();
    let (libraries_count, functions_count) = scripting.counts();
    rows.row("used_memory_lua", eval);
    rows.row("used_memory_vm_eval", eval);
    rows.human("used_memory_lua", eval as u64);
    rows.row("used_memory_scripts_eval", scripts);
    rows.row("number_of_cached_scripts", scripting.scripts());
    rows.row("number_of_functions", functions_count);
    rows.row("number_of_libraries", libraries_count);
    rows.row("used_memory_vm_functions", functions);
    rows.bytes("used_memory_vm_total", (eval + functions) as u64);
    rows.row("used_memory_functions", libraries);
    rows.bytes("used_memory_scripts", (scripts + libraries) as u64);
}

pub(super) fn cpu(x: &mut Exec<'_>, rows: &mut Rows) {
    let cpu = x.state.host.cpu();
    let mut row = |name: &str, us: u64| {
        rows.row(
            name,
            format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000),
        );
    };
    row("used_cpu_sys", cpu.system_us);
    row("used_cpu_user", cpu.user_us);
    row("used_cpu_sys_children", cpu.children_system_us);
    row("used_cpu_user_children", cpu.children_user_us);
    row("used_cpu_sys_main_thread", cpu.thread_system_us);
    row("used_cpu_user_main_thread", cpu.thread_user_us);
}

pub(super) fn keyspace(x: &mut Exec<'_>, rows: &mut Rows) {
    let keys = &mut *x.keys;
    let now_ms = keys.origin.now_ms;
    for (number, db) in keys.dbs.iter().enumerate() {
        if db.is_empty() {
            continue;
        }
        let (mut ttls, mut sampled) = (0i64, 0i64);
        if db.expires_len() > 0 {
            db.sample_expiring(&mut keys.rng, TTL_SAMPLES, &mut |entry| {
                if let Some(left) = entry.expire_at_ms().map(|at| at.saturating_sub(now_ms))
                    && left > 0
                {
                    ttls = ttls.saturating_add(left);
                    sampled += 1;
                }
            });
        }
        let average = ttls.checked_div(sampled).unwrap_or(0);
        rows.row(
            &format!("db{number}"),
            format_args!(
                "keys={},expires={},avg_ttl={average}",
                db.len(),
                db.expires_len()
            ),
        );
    }
}
