//! The section about loading and saving.

use super::Rows;
use crate::exec::Exec;
use crate::state::Loading;

pub(super) fn persistence(x: &mut Exec<'_>, rows: &mut Rows) {
    let state = &*x.state;
    let saving = &state.saving;
    let now_ms = x.keys.origin.now_ms;
    let child = saving.child.as_ref();
    let status = |ok: bool| if ok { "ok" } else { "err" };
    rows.row("loading", u8::from(state.loading == Loading::Blocking));
    rows.row("async_loading", u8::from(state.loading == Loading::Serving));
    rows.row("current_cow_peak", child.map_or(0, |child| child.cow_peak));
    rows.row("current_cow_size", child.map_or(0, |child| child.cow_bytes));
    rows.row(
        "current_cow_size_age",
        child
            .filter(|child| child.cow_at_ms > 0)
            .map_or(0, |child| (now_ms - child.cow_at_ms).max(0) / 1000),
    );
    let share = child.map_or(0.0, |child| {
        child.keys_done as f64 * 100.0 / child.keys_total.max(1) as f64
    });
    rows.row("current_fork_perc", format_args!("{share:.2}"));
    rows.row(
        "current_save_keys_processed",
        child.map_or(0, |child| child.keys_done),
    );
    rows.row(
        "current_save_keys_total",
        child.map_or(0, |child| child.keys_total),
    );
    rows.row(
        "rdb_changes_since_last_save",
        x.keys.dirty.saturating_sub(saving.dirty_at_save),
    );
    let saves = state.saves();
    rows.row("rdb_bgsave_in_progress", u8::from(saves));
    rows.row("rdb_last_save_time", saving.last_save_at);
    rows.row("rdb_last_bgsave_status", status(saving.last_ok));
    rows.row("rdb_last_bgsave_time_sec", saving.last_seconds);
    rows.row(
        "rdb_current_bgsave_time_sec",
        child
            .filter(|_| saves)
            .map_or(-1, |child| (now_ms / 1000 - child.started_at).max(0)),
    );
    rows.row("rdb_saves", saving.saves);
    rows.row("rdb_last_cow_size", saving.last_cow_bytes);
    rows.row("rdb_last_load_keys_expired", saving.last_load_keys.1);
    rows.row("rdb_last_load_keys_loaded", saving.last_load_keys.0);
    append_only(x, rows);
    rows.row("module_fork_in_progress", 0);
    rows.row("module_fork_last_cow_size", 0);
    append_only_file(x, rows);
    if x.state.loading != Loading::No {
        loading(x, rows);
    }
}

/// Rows about the append-only file.
fn append_only(x: &Exec<'_>, rows: &mut Rows) {
    let state = &*x.state;
    let (log, rewrites) = (&state.aof, &state.aof.rewrites);
    let child = state.saving.child.as_ref().filter(|_| state.rewrites());
    let now_s = x.keys.origin.now_ms / 1000;
    let status = |ok: bool| if ok { "ok" } else { "err" };
    let is_enabled = log.is_enabled() && state.loading != Loading::Blocking;
    rows.row("aof_enabled", u8::from(is_enabled));
    rows.row("aof_rewrite_in_progress", u8::from(child.is_some()));
    rows.row("aof_rewrite_scheduled", u8::from(rewrites.scheduled));
    rows.row("aof_last_rewrite_time_sec", rewrites.last_seconds);
    rows.row(
        "aof_current_rewrite_time_sec",
        child.map_or(-1, |child| (now_s - child.started_at).max(0)),
    );
    rows.row("aof_last_bgrewrite_status", status(rewrites.last_ok));
    rows.row("aof_rewrites", rewrites.count);
    rows.row(
        "aof_rewrites_consecutive_failures",
        rewrites.failures.consecutive(),
    );
    rows.row("aof_last_write_status", status(log.error.is_none()));
    rows.row("aof_last_cow_size", rewrites.last_cow_bytes);
}

/// Rows that are there only while a log is wanted.
fn append_only_file(x: &Exec<'_>, rows: &mut Rows) {
    if !x.state.config.appendonly {
        return;
    }
    let figures = x.state.host.log_figures();
    let waiting = figures.waiting + x.state.aof.buffered();
    let age_ms = figures
        .unsynced_since_ms
        .map_or(0, |since| x.state.monotonic_ms().saturating_sub(since));
    rows.row("aof_current_size", figures.size);
    rows.row("aof_base_size", figures.base_size);
    rows.row("aof_base_pending", u8::from(x.state.aof.waits_for_base()));
    rows.row("aof_pending_rewrite", 0);
    rows.row("aof_buffer_length", waiting);
    rows.row("aof_pending_bio_fsync", u8::from(figures.syncs));
    rows.row("aof_delayed_fsync", figures.delayed_syncs);
    rows.row("aof_unsynced_bytes", figures.unsynced);
    rows.row("aof_unsynced_age_ms", age_ms);
}

/// Rows that are there only while a dataset is being loaded.
fn loading(x: &Exec<'_>, rows: &mut Rows) {
    let progress = &x.state.load_progress;
    let loaded = progress.loaded_bytes;
    // Of a snapshot without a known size nobody knows what is left.
    let total = if progress.total_bytes == 0 {
        loaded
    } else {
        progress.total_bytes
    };
    let elapsed = (x.keys.origin.now_ms / 1000 - progress.started_at).max(0);
    let left = if loaded == 0 || elapsed == 0 {
        1
    } else {
        let per_second = (loaded / elapsed.unsigned_abs()).max(1);
        total.saturating_sub(loaded) / per_second
    };
    rows.row("loading_start_time", progress.started_at);
    rows.row("loading_total_bytes", total);
    rows.row("loading_rdb_used_mem", progress.used_memory);
    rows.row("loading_loaded_bytes", loaded);
    rows.row(
        "loading_loaded_perc",
        format_args!("{:.2}", loaded as f64 * 100.0 / total.max(1) as f64),
    );
    rows.row("loading_eta_seconds", left);
}
