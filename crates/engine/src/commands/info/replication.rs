//! The section about both roles of replication.

use super::Rows;
use crate::commands::replication::status;
use crate::exec::Exec;

pub(super) fn replication(x: &mut Exec<'_>, rows: &mut Rows) {
    let is_replica = x.state.repl.is_replica();
    rows.row("role", if is_replica { "slave" } else { "master" });
    if is_replica {
        link_rows(x, rows);
    }
    let config = &x.state.config;
    let (to_write, max_lag) = (config.min_replicas_to_write, config.min_replicas_max_lag);
    let repl = &mut x.state.repl;
    rows.row("connected_slaves", repl.hub.listed_replicas());
    if to_write > 0 && max_lag > 0 {
        let good = repl.with_hub(|hub, env| hub.good_replicas(env));
        rows.row("min_slaves_good_slaves", good);
    }
    for (number, replica) in repl.hub.info_rows(repl.now_ms).iter().enumerate() {
        rows.row(&format!("slave{number}"), replica);
    }
    rows.row("replicas_waiting_psync", repl.hub.replicas_waiting_psync());
    rows.row("master_failover_state", repl.hub.failover_state().as_str());
    let history = repl.hub.history();
    rows.row("master_replid", history.replid);
    rows.row("master_replid2", history.replid2);
    rows.row("master_repl_offset", history.offset);
    match history.second_offset {
        Some(offset) => rows.row("second_repl_offset", offset),
        None => rows.row("second_repl_offset", -1),
    }
    let backlog = repl.hub.backlog();
    rows.row("repl_backlog_active", u8::from(backlog.is_some()));
    rows.row("repl_backlog_size", x.state.config.repl_backlog_size);
    rows.row(
        "repl_backlog_first_byte_offset",
        backlog.map_or(0, |backlog| backlog.first_offset()),
    );
    rows.row(
        "repl_backlog_histlen",
        backlog.map_or(0, |backlog| backlog.histlen()),
    );
    sync_rows(x, rows);
}

/// What is ours alone: how synchronisations go, and why so.
fn sync_rows(x: &mut Exec<'_>, rows: &mut Rows) {
    for (name, value) in status::link_figures(x.state).unwrap_or_default() {
        rows.row(&format!("repl_sync_{name}"), value);
    }
    for (number, report) in status::reports(x.state).iter().enumerate() {
        let figures = status::replica_figures(x.state, report);
        let fields: Vec<String> = figures
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        rows.row(&format!("repl_sync_replica{number}"), fields.join(","));
    }
    for (name, value) in status::primary_figures(x.state) {
        rows.row(&format!("repl_sync_replicas_{name}"), value);
    }
    let contradictions = config::contradictions(&x.state.config);
    rows.row("repl_settings_contradict", contradictions.len());
    for (number, sentence) in contradictions.iter().enumerate() {
        rows.row(&format!("repl_settings_contradiction{number}"), sentence);
    }
}

/// Rows about our primary.
fn link_rows(x: &mut Exec<'_>, rows: &mut Rows) {
    let repl = &x.state.repl;
    let Some(side) = &repl.link else {
        return;
    };
    let info = side.link.info(repl.now_ms);
    let or_minus_one = |seconds: Option<u64>| seconds.map_or(-1, |seconds| seconds as i64);
    rows.row("master_host", &info.host);
    rows.row("master_port", info.port);
    rows.row("master_link_status", if info.up { "up" } else { "down" });
    rows.row(
        "master_last_io_seconds_ago",
        or_minus_one(info.last_io_seconds),
    );
    rows.row("master_sync_in_progress", u8::from(info.sync_in_progress));
    rows.row("slave_read_repl_offset", info.read_offset);
    rows.row("slave_repl_offset", info.applied_offset);
    rows.row("replicas_repl_buffer_size", info.buffer_bytes);
    rows.row("replicas_repl_buffer_peak", info.buffer_bytes_peak);
    if let Some(sync) = info.sync {
        let share = if sync.total_bytes > 0 {
            sync.read_bytes as f64 * 100.0 / sync.total_bytes as f64
        } else {
            0.0
        };
        rows.row("master_sync_total_bytes", sync.total_bytes);
        rows.row("master_sync_read_bytes", sync.read_bytes);
        rows.row("master_sync_left_bytes", sync.left_bytes);
        rows.row("master_sync_perc", format_args!("{share:.2}"));
        rows.row("master_sync_last_io_seconds_ago", sync.last_io_seconds);
    }
    if !info.up {
        rows.row(
            "master_link_down_since_seconds",
            or_minus_one(info.down_seconds),
        );
    }
    let config = &x.state.config;
    rows.row("slave_priority", config.replica_priority);
    rows.row("slave_read_only", u8::from(config.replica_read_only));
    rows.row("replica_announced", u8::from(config.replica_announced));
}
