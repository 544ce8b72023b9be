//! When and how snapshots are taken: SAVE, BGSAVE, save points, and the snapshots replication asks for.

use crate::core::{Child, Core};
use crate::host::{ChildReport, HostError, Level, SnapshotEnd, SnapshotJob, SnapshotTarget};
use commandtable::Error;
use config::MaxmemoryPolicy;
use dataset::Keys;
use dataset::snapshot::{self, Conflict, Filter, LoadOptions, ReplicationAux, SaveInfo};
use keyspace::Resize;
use replication::primary::{JobId, OtherChild, SnapshotResult};

/// Seconds after a failed save before a save point tries again.
const RETRY_SECONDS: i64 = 5;

fn info(keys: &Keys, core: &Core, replication: Option<ReplicationAux>, filter: Filter) -> SaveInfo {
    SaveInfo {
        used_memory: core.host.used_memory() as u64,
        unix_seconds: keys.origin.now_ms / 1000,
        compress: core.config.rdbcompression,
        checksum: core.config.rdbchecksum,
        key_save_delay_us: i64::from(core.config.rdb_key_save_delay),
        replication: replication.or_else(|| identity(core)),
        access: tracks_access(core.config.maxmemory_policy).then_some(keys.access),
        functions: std::sync::Arc::clone(&keys.functions),
        filter,
    }
}

/// True for the policies under which snapshots keep idle times or access frequencies.
fn tracks_access(policy: MaxmemoryPolicy) -> bool {
    use MaxmemoryPolicy as P;
    matches!(
        policy,
        P::AllkeysLru | P::VolatileLru | P::AllkeysLfu | P::VolatileLfu
    )
}

/// The replication identity a dump file carries, so that a restart can resume.
fn identity(core: &Core) -> Option<ReplicationAux> {
    let history = core.repl.hub.history();
    let stream_db = match &core.repl.link {
        Some(link) => i64::from(link.stream_db),
        None if core.repl.hub.backlog().is_some() => {
            core.repl.hub.stream_db().map_or(-1, i64::from)
        }
        None => return None,
    };
    Some(ReplicationAux {
        replid: history.replid.to_string(),
        offset: history.offset,
        stream_db,
    })
}

/// Writes the dump file in the foreground.
///
/// # Errors
/// What went wrong.
pub fn save_now(keys: &mut Keys, core: &mut Core) -> Result<(), HostError> {
    let info = info(keys, core, None, Filter::ALL);
    let dbs = &keys.dbs;
    core.saving.saves += 1;
    core.saving.for_replicas = false;
    let result = core
        .host
        .save(&|sink, progress| snapshot::write(dbs, &info, sink, progress));
    match &result {
        Ok(()) => {
            core.saving.dirty_at_save = keys.dirty;
            core.saving.last_save_at = keys.origin.now_ms / 1000;
            core.saving.last_ok = true;
            core.log(Level::Notice, "DB saved on disk");
        }
        // Whoever asked learns of it; `rdb_last_bgsave_status` is about the background.
        Err(error) => core.log(Level::Warning, error),
    }
    core.refresh_gate();
    result
}

/// Starts a child that writes a snapshot.
///
/// # Errors
/// The fork failed.
pub(crate) fn fork(
    keys: &mut Keys,
    core: &mut Core,
    job: &SnapshotJob,
    replication: Option<ReplicationAux>,
    filter: Filter,
    asked_by: Option<u64>,
) -> Result<u32, HostError> {
    let info = info(keys, core, replication, filter);
    let started = (core.clock.monotonic_ns)();
    let dbs = &keys.dbs;
    let result = core.host.start_snapshot(job, &|sink, progress| {
        snapshot::write(dbs, &info, sink, progress)
    });
    let now = keys.origin.now_ms / 1000;
    let to_file = matches!(job.target, SnapshotTarget::File);
    if to_file {
        core.saving.last_try_at = now;
        core.saving.saves += 1;
        core.saving.for_replicas = asked_by.is_some();
    }
    let pid = match result {
        Ok(pid) => pid,
        Err(error) => {
            if to_file {
                core.saving.last_ok = false;
                core.refresh_gate();
            }
            return Err(error);
        }
    };
    core.stats.forks += 1;
    core.stats.last_fork_us = ((core.clock.monotonic_ns)() - started) / 1000;
    core.saving.dirty_at_start = keys.dirty;
    core.saving.child = Some(Child {
        pid,
        job: job.id,
        replication: asked_by,
        to_file,
        started_at: now,
        keys_total: keys.dbs.iter().map(|db| db.len() as u64).sum(),
        ..Child::default()
    });
    if asked_by.is_none() {
        core.repl.other_child = OtherChild::DiskSnapshot;
    }
    set_resize_policy(keys, core);
    Ok(pid)
}

/// `rdb-del-sync-files`: a server that keeps nothing on disk does not keep what it has sent to its replicas either.
pub(crate) fn remove_sync_file(core: &mut Core) {
    let config = &core.config;
    let wanted = !config.rdb_del_sync_files || config.appendonly || !config.save.rules().is_empty();
    if wanted || !core.saving.for_replicas || core.has_child() || core.repl.hub.sends_dump() {
        return;
    }
    core.saving.for_replicas = false;
    core.log(
        Level::Notice,
        "Removing the RDB file used to feed replicas in a persistence-less instance",
    );
    core.host.remove_dump();
}

/// Tables are left in peace while a child shares their memory, and as DEBUG DICT-RESIZING wishes.
pub(crate) fn set_resize_policy(keys: &mut Keys, core: &Core) {
    let policy = if core.has_child() || core.debug.avoid_resizing {
        Resize::Avoid
    } else {
        Resize::Normal
    };
    for db in &mut keys.dbs {
        db.set_resize_policy(policy);
    }
}

/// How a dataset of ours is loaded.
pub(crate) fn load_options(keys: &Keys, core: &Core) -> LoadOptions {
    LoadOptions {
        limits: keys.limits.clone(),
        keep_expired: core.repl.is_replica(),
        key_load_delay_us: std::sync::Arc::clone(&core.repl.key_load_delay_us),
        checksum: core.config.rdbchecksum && !core.debug.skip_checksums,
        access: keys.access,
        log: core.host.logger(),
        ..LoadOptions::new(keys.dbs.len(), keys.origin.now_ms)
    }
}

/// Loads the dump file in the foreground: in place of the data there are, or onto them when `flush` is false.
///
/// # Errors
/// Why it could not be loaded, as a log line. What was there before is back then, unless it was loaded onto.
pub(crate) fn reload(
    keys: &mut Keys,
    core: &mut Core,
    flush: bool,
    conflict: Conflict,
) -> Result<(), String> {
    let options = LoadOptions {
        conflict,
        ..load_options(keys, core)
    };
    let source = core
        .host
        .open_dump()?
        .ok_or("Fatal error: can't open the RDB file for reading: No such file or directory")?;
    let old = std::mem::take(&mut keys.dbs);
    let databases = old.len();
    let functions = std::mem::take(&mut keys.functions);
    let (onto, kept) = if flush {
        (Vec::new(), old)
    } else {
        (old, Vec::new())
    };
    let mut reader = rdb::Reader::new(source, options.reader());
    let loaded = match snapshot::load_from(&mut reader, onto, &options, &mut |_| true) {
        Ok(loaded) => loaded,
        Err(error) => {
            keys.dbs = kept;
            keys.dbs.resize_with(databases, keyspace::Db::new);
            keys.functions = functions;
            return Err(error.to_string());
        }
    };
    keys.dbs = loaded.dbs;
    keys.break_own_watches();
    keys.functions = if flush {
        loaded.functions.into()
    } else {
        // Onto what there is: those that are there already have just been saved, or are saved again.
        let mut both = functions.to_vec();
        both.retain(|source| !loaded.functions.contains(source));
        both.extend(loaded.functions);
        both.into()
    };
    core.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
    if !kept.is_empty() {
        core.host.free_databases(kept, false);
    }
    set_resize_policy(keys, core);
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    Ok(())
}

/// BGSAVE.
///
/// # Errors
/// A child is at work already, or the fork failed.
pub fn background_save(keys: &mut Keys, core: &mut Core) -> Result<(), Error> {
    if core.has_child() {
        return Err(Error::BGSAVE_IN_PROGRESS);
    }
    let job = SnapshotJob {
        id: core.next_job(),
        target: SnapshotTarget::File,
    };
    match fork(keys, core, &job, None, Filter::ALL, None) {
        Ok(pid) => {
            core.log(
                Level::Notice,
                &format!("Background saving started by pid {pid}"),
            );
            Ok(())
        }
        Err(error) => {
            core.log(
                Level::Warning,
                &format!("Can't save in background: fork: {error}"),
            );
            Err(Error::built(format!(
                "ERR Can't save in background: fork: {error}"
            )))
        }
    }
}

/// Starts the saves that are due.
pub(crate) fn tick(keys: &mut Keys, core: &mut Core) {
    if core.has_child() || core.loading != crate::core::Loading::No {
        return;
    }
    let now = keys.origin.now_ms / 1000;
    let changes = keys.dirty - core.saving.dirty_at_save;
    let due = core.config.save.rules().iter().copied().find(|rule| {
        changes >= u64::from(rule.changes.unsigned_abs())
            && changes > 0
            && now - core.saving.last_save_at > rule.seconds
            && (core.saving.last_ok || now - core.saving.last_try_at > RETRY_SECONDS)
    });
    if let Some(rule) = due {
        let line = format!(
            "{} changes in {} seconds. Saving...",
            rule.changes, rule.seconds
        );
        core.log(Level::Notice, &line);
        // A failure is logged and remembered; the next turn tries again.
        let _ = background_save(keys, core);
    } else if core.saving.scheduled {
        core.saving.scheduled = background_save(keys, core).is_err();
    }
}

/// The child tells how far it is.
pub fn progress(keys: &Keys, core: &mut Core, report: ChildReport) {
    if let Some(child) = &mut core.saving.child {
        child.keys_done = report.keys_done;
        if let Some(bytes) = report.cow_bytes {
            child.cow_bytes = bytes;
            child.cow_peak = child.cow_peak.max(bytes);
            child.cow_at_ms = keys.origin.now_ms;
        }
    }
}

/// The child has ended.
pub fn finished(keys: &mut Keys, core: &mut Core, end: SnapshotEnd) {
    let Some(child) = core.saving.child.take() else {
        return;
    };
    core.count_sent();
    set_resize_policy(keys, core);
    core.repl.other_child = OtherChild::None;
    core.saving.last_cow_bytes = child.cow_peak;
    if child.to_file {
        let now = keys.origin.now_ms / 1000;
        core.saving.last_seconds = now - child.started_at;
        match (&end.failed, end.signal) {
            (None, _) => {
                core.log(Level::Notice, "Background saving terminated with success");
                core.saving.dirty_at_save = core.saving.dirty_at_start;
                core.saving.last_save_at = now;
                core.saving.last_ok = true;
            }
            (Some(_), Some(signal)) => {
                core.log(
                    Level::Warning,
                    &format!("Background saving terminated by signal {signal}"),
                );
                // A child we have killed ourselves says nothing about the disk.
                core.saving.last_ok &= child.killed;
            }
            (Some(_), None) => {
                core.log(Level::Warning, "Background saving error");
                core.saving.last_ok = false;
            }
        }
        core.refresh_gate();
    }
    let result = match end.failed {
        Some(_) => SnapshotResult::Failed { signal: end.signal },
        None if child.to_file => SnapshotResult::Disk { bytes: end.bytes },
        None => SnapshotResult::Sockets {
            complete: end
                .complete
                .iter()
                .copied()
                .map(replication::ClientId)
                .collect(),
        },
    };
    match child.replication {
        Some(job) => core
            .repl
            .with_hub(|hub, env| hub.snapshot_finished(env, JobId(job), &result)),
        None => core.repl.with_hub(|hub, env| hub.schedule_snapshot(env)),
    }
    crate::repl::pump(keys, core);
}
