//! Sections about what has happened: counters, commands, errors, durations.

use super::Rows;
use crate::exec::Exec;
use config::Percentiles;

pub(super) fn stats(x: &mut Exec<'_>, rows: &mut Rows) {
    let state = &*x.state;
    let stats = &state.stats;
    let rates = &stats.rates;
    let hub = state.repl.hub.stats();
    let keys = &x.keys.stats;
    let kilobytes = |rate: &crate::stats::Rate| format!("{:.2}", rate.per_second() / 1024.0);
    rows.row("total_connections_received", stats.connections);
    rows.row("total_commands_processed", stats.processed);
    rows.row(
        "instantaneous_ops_per_sec",
        rates.commands.per_second() as u64,
    );
    rows.row("total_net_input_bytes", stats.net_in + stats.net_repl_in);
    rows.row("total_net_output_bytes", stats.net_out + stats.net_repl_out);
    rows.row("total_net_repl_input_bytes", stats.net_repl_in);
    rows.row("total_net_repl_output_bytes", stats.net_repl_out);
    rows.row("instantaneous_input_kbps", kilobytes(&rates.net_in));
    rows.row("instantaneous_output_kbps", kilobytes(&rates.net_out));
    rows.row("instantaneous_input_repl_kbps", kilobytes(&rates.repl_in));
    rows.row("instantaneous_output_repl_kbps", kilobytes(&rates.repl_out));
    rows.row("rejected_connections", stats.rejected_connections);
    rows.row("sync_full", hub.full);
    rows.row("sync_partial_ok", hub.partial_ok);
    rows.row("sync_partial_err", hub.partial_err);
    rows.row("expired_keys", keys.expired);
    rows.row(
        "expired_stale_perc",
        format_args!("{:.2}", stats.expired_stale_percent),
    );
    rows.row("expired_time_cap_reached_count", stats.expire_cap_reached);
    rows.row(
        "expire_cycle_cpu_milliseconds",
        stats.expire_cycle_ns / 1_000_000,
    );
    rows.row("evicted_keys", keys.evicted);
    rows.row("evicted_clients", stats.evicted_clients);
    rows.row("evicted_scripts", state.scripting.evicted_scripts());
    let now_ns = (state.clock.monotonic_ns)();
    let since = stats.over_limit_since_ns;
    let current_ns = since.map_or(0, |since| now_ns.saturating_sub(since));
    let total_ns = stats.over_limit_ns + current_ns;
    rows.row("total_eviction_exceeded_time", total_ns / 1_000_000);
    rows.row("current_eviction_exceeded_time", current_ns / 1_000_000);
    rows.row("keyspace_hits", keys.hits);
    rows.row("keyspace_misses", keys.misses);
    let (channels, patterns, shards) = state.pubsub.counts();
    rows.row("pubsub_channels", channels);
    rows.row("pubsub_patterns", patterns);
    rows.row("pubsubshard_channels", shards);
    rows.row("latest_fork_usec", stats.last_fork_us);
    rows.row("total_forks", stats.forks);
    rows.row("migrate_cached_sockets", state.host.cached_targets());
    rows.row("slave_expires_tracked_keys", state.expire.own.len());
    for name in [
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ] {
        rows.row(name, 0);
    }
    rows.row("tracking_total_keys", state.tracking.keys());
    rows.row("tracking_total_items", state.tracking.items());
    rows.row("tracking_total_prefixes", state.tracking.prefixes());
    rows.row("unexpected_error_replies", stats.unexpected_error_replies);
    rows.row("total_error_replies", stats.error_replies);
    rows.row("dump_payload_sanitizations", 0);
    rows.row("total_reads_processed", stats.reads);
    rows.row("total_writes_processed", stats.writes);
    for name in [
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "io_threaded_freed_objects",
        "io_threaded_poll_processed",
        "io_threaded_total_prefetch_batches",
        "io_threaded_total_prefetch_entries",
    ] {
        rows.row(name, 0);
    }
    rows.row(
        "client_query_buffer_limit_disconnections",
        stats.query_buffer_disconnections,
    );
    rows.row(
        "client_output_buffer_limit_disconnections",
        stats.output_buffer_disconnections,
    );
    rows.row("reply_buffer_shrinks", 0);
    rows.row("reply_buffer_expands", 0);
    let command_us = stats.commands.iter().map(|c| c.nanos).sum::<u64>() / 1000;
    rows.row("eventloop_cycles", stats.loop_cycles);
    rows.row("eventloop_duration_sum", stats.loop_us);
    rows.row("eventloop_duration_cmd_sum", command_us);
    rows.row(
        "instantaneous_eventloop_cycles_per_sec",
        rates.loops.per_second() as u64,
    );
    rows.row(
        "instantaneous_eventloop_duration_usec",
        stats.loop_us.checked_div(stats.loop_cycles).unwrap_or(0),
    );
    let denied = state.acl_log.counts();
    rows.row("acl_access_denied_auth", denied.auth);
    rows.row("acl_access_denied_cmd", denied.command);
    rows.row("acl_access_denied_key", denied.key);
    rows.row("acl_access_denied_channel", denied.channel);
    rows.row("panics_caught", stats.panics_caught);
}

pub(super) fn commands(x: &mut Exec<'_>, rows: &mut Rows) {
    for (id, counters) in x.state.stats.commands.iter().enumerate() {
        let Some(command) = u16::try_from(id).ok().and_then(commandtable::by_id) else {
            continue;
        };
        if counters.calls + counters.rejected + counters.failed == 0 {
            continue;
        }
        let usec = counters.nanos / 1000;
        let per_call = counters.nanos as f64 / 1000.0 / counters.calls.max(1) as f64;
        rows.row(
            &format!("cmdstat_{}", command.full_name),
            format_args!(
                "calls={},usec={usec},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
                counters.calls, counters.rejected, counters.failed
            ),
        );
    }
}

pub(super) fn errors(x: &mut Exec<'_>, rows: &mut Rows) {
    for (code, count) in &x.state.stats.errors {
        rows.row(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latencies(x: &mut Exec<'_>, rows: &mut Rows) {
    if !x.state.config.latency_tracking {
        return;
    }
    let percentiles = &x.state.config.latency_tracking_info_percentiles.0;
    for (id, histogram) in x.state.stats.latency.iter().enumerate() {
        let (Some(command), Some(histogram)) = (
            u16::try_from(id).ok().and_then(commandtable::by_id),
            histogram,
        ) else {
            continue;
        };
        let shown: Vec<String> = percentiles
            .iter()
            .map(|percent| {
                let usec = histogram.percentile(*percent) as f64 / 1000.0;
                format!("p{}={usec:.3}", Percentiles::label(*percent))
            })
            .collect();
        rows.row(
            &format!("latency_percentiles_usec_{}", command.full_name),
            shown.join(","),
        );
    }
}

pub(super) fn debug(x: &mut Exec<'_>, rows: &mut Rows) {
    let stats = &x.state.stats;
    let log_us = x.state.host.log_figures().loop_us;
    rows.row(
        "eventloop_duration_aof_sum",
        log_us.saturating_sub(stats.log_us_before),
    );
    rows.row("eventloop_duration_cron_sum", stats.cron_us);
    rows.row("eventloop_duration_max", stats.loop_us_max);
    rows.row("eventloop_cmd_per_cycle_max", stats.loop_commands_max);
}
