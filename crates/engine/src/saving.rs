//! When and how snapshots are taken: SAVE, BGSAVE, save points, and the snapshots replication asks for.

use crate::host::{ChildReport, HostError, JobId, Level, SnapshotJob, SnapshotResult, Target};
use crate::state::{Child, ChildOutput, ServerState};
use commandtable::Error;
use config::MaxmemoryPolicy;
use dataset::Keys;
use dataset::snapshot::{self, Conflict, Filter, Format, LoadOptions, ReplicationAux, SaveInfo};
use keyspace::Resize;
use replication::primary::{OtherChild, SnapshotFormat};

/// Seconds after a failed save before a save point tries again.
const RETRY_SECONDS: i64 = 5;

fn info(
    keys: &Keys,
    state: &ServerState,
    replication: Option<ReplicationAux>,
    filter: Filter,
) -> SaveInfo {
    SaveInfo {
        used_memory: state.host.used_memory() as u64,
        unix_seconds: keys.origin.now_ms / 1000,
        compress: state.config.rdbcompression,
        checksum: state.config.rdbchecksum,
        key_save_delay_us: i64::from(state.config.rdb_key_save_delay),
        replication: replication.or_else(|| identity(state)),
        access: tracks_access(state.config.maxmemory_policy).then_some(keys.access),
        functions: state
            .scripting
            .libraries()
            .map(|library| std::sync::Arc::clone(&library.code))
            .collect(),
        filter,
        aof_base: false,
        format: Format::Current,
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
pub(crate) fn identity(state: &ServerState) -> Option<ReplicationAux> {
    let history = state.repl.hub.history();
    let stream_db = match &state.repl.link {
        Some(link) => i64::from(link.stream_db),
        None if state.repl.hub.backlog().is_some() => {
            state.repl.hub.stream_db().map_or(-1, i64::from)
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
pub fn save_now(keys: &mut Keys, state: &mut ServerState) -> Result<(), HostError> {
    let info = info(keys, state, None, Filter::ALL);
    let dbs = &keys.dbs;
    state.saving.saves += 1;
    state.saving.for_replicas = false;
    let result = state
        .host
        .save(&|sink, progress| snapshot::write(dbs, &info, sink, progress));
    match &result {
        Ok(()) => {
            state.saving.dirty_at_save = keys.dirty;
            state.saving.last_save_at = keys.origin.now_ms / 1000;
            state.saving.last_ok = true;
            state.log(Level::Notice, "DB saved on disk");
        }
        // Whoever asked learns of it; `rdb_last_bgsave_status` is about the background.
        Err(error) => state.log(Level::Warning, error),
    }
    state.refresh_gate();
    result
}

/// Starts a child that writes a snapshot.
///
/// # Errors
/// The fork failed.
pub(crate) fn fork(
    keys: &mut Keys,
    state: &mut ServerState,
    job: &SnapshotJob,
) -> Result<u32, HostError> {
    let identity = job.identity.map(|identity| ReplicationAux {
        replid: identity.replid.to_string(),
        offset: identity.offset,
        stream_db: i64::from(identity.stream_db),
    });
    let filter = Filter {
        data: !job.filter.exclude_data,
        functions: !job.filter.exclude_functions,
    };
    let mut info = info(keys, state, identity, filter);
    info.format = match job.format {
        SnapshotFormat::Current => Format::Current,
        SnapshotFormat::Redis7 => Format::Redis7,
    };
    if let Target::Log { .. } = job.target {
        // A log has no place in a history: it goes on where the base ends.
        info.replication = None;
        info.aof_base = true;
    }
    let started = (state.clock.monotonic_ns)();
    let dbs = &keys.dbs;
    let stamp = if state.config.aof_timestamp_enabled {
        ::aof::encoder::stamp(info.unix_seconds)
    } else {
        Vec::new()
    };
    let result = state
        .host
        .start_snapshot(job, &|sink, progress| match job.target {
            Target::Log { commands: true } => {
                snapshot::write_commands(dbs, &info, &stamp, sink, progress)
            }
            _ => snapshot::write(dbs, &info, sink, progress),
        });
    let now = keys.origin.now_ms / 1000;
    let output = match &job.target {
        Target::Disk => ChildOutput::Dump,
        Target::Sockets { .. } => ChildOutput::Sockets,
        Target::Log { .. } => ChildOutput::Log,
    };
    let to_file = output == ChildOutput::Dump;
    if to_file {
        state.saving.last_try_at = now;
        state.saving.saves += 1;
        state.saving.for_replicas = job.for_replicas;
    }
    let pid = match result {
        Ok(pid) => pid,
        Err(error) => {
            if to_file {
                state.saving.last_ok = false;
                state.refresh_gate();
            }
            return Err(error);
        }
    };
    state.stats.forks += 1;
    state.stats.last_fork_us = ((state.clock.monotonic_ns)() - started) / 1000;
    state.saving.dirty_at_start = keys.dirty;
    state.saving.child = Some(Child {
        pid,
        job: job.id,
        for_replicas: job.for_replicas,
        output,
        started_at: now,
        keys_total: keys.dbs.iter().map(|db| db.len() as u64).sum(),
        keys_done: 0,
        cow_bytes: 0,
        cow_peak: 0,
        cow_at_ms: 0,
        killed: false,
    });
    if !job.for_replicas {
        state.repl.other_child = match output {
            ChildOutput::Log => OtherChild::Other,
            _ => OtherChild::DiskSnapshot,
        };
    }
    state.host.child_lives(true);
    set_resize_policy(keys, state);
    Ok(pid)
}

/// What a child with [`Target::Log`] would write of no data at all.
pub(crate) fn empty_base(keys: &Keys, state: &ServerState, commands: bool) -> Vec<u8> {
    let mut info = info(keys, state, None, Filter::ALL);
    info.replication = None;
    info.aof_base = true;
    let mut bytes = Vec::new();
    if commands {
        if state.config.aof_timestamp_enabled {
            bytes = ::aof::encoder::stamp(info.unix_seconds);
        }
    } else {
        let written = snapshot::write(&[], &info, &mut bytes, &mut |_| ());
        debug_assert!(written.is_ok(), "memory takes everything");
    }
    bytes
}

/// `rdb-del-sync-files`: a server that keeps nothing on disk does not keep what it has sent to its replicas either.
pub(crate) fn remove_sync_file(state: &mut ServerState) {
    let config = &state.config;
    let wanted = !config.rdb_del_sync_files || config.appendonly || !config.save.rules().is_empty();
    if wanted || !state.saving.for_replicas || state.has_child() || state.repl.hub.sends_dump() {
        return;
    }
    state.saving.for_replicas = false;
    state.log(
        Level::Notice,
        "Removing the RDB file used to feed replicas in a persistence-less instance",
    );
    state.host.remove_dump();
}

/// Tables are left in peace while a child shares their memory, and as DEBUG DICT-RESIZING wishes.
pub(crate) fn set_resize_policy(keys: &mut Keys, state: &ServerState) {
    let policy = if state.has_child() || state.debug.avoid_resizing {
        Resize::Avoid
    } else {
        Resize::Normal
    };
    for db in &mut keys.dbs {
        db.set_resize_policy(policy);
    }
}

/// How a dataset of ours is loaded.
pub(crate) fn load_options(keys: &Keys, state: &ServerState) -> LoadOptions {
    LoadOptions {
        limits: keys.limits.clone(),
        keep_expired: state.repl.is_replica(),
        key_load_delay_us: std::sync::Arc::clone(&state.repl.key_load_delay_us),
        checksum: state.config.rdbchecksum && !state.debug.skip_checksums,
        access: keys.access,
        log: state.host.logger(),
        ..LoadOptions::new(keys.dbs.len(), keys.origin.now_ms)
    }
}

/// Loads the dump file in the foreground: in place of the data there are, or onto them when `flush` is false.
///
/// # Errors
/// Why it could not be loaded, as a log line. What was there before is back then, unless it was loaded onto.
pub(crate) fn reload(
    keys: &mut Keys,
    state: &mut ServerState,
    flush: bool,
    conflict: Conflict,
) -> Result<(), String> {
    let options = LoadOptions {
        conflict,
        ..load_options(keys, state)
    };
    let source = state
        .host
        .open_dump()?
        .ok_or("Fatal error: can't open the RDB file for reading: No such file or directory")?;
    let old = keys.replace_all(Vec::new());
    let databases = old.len();
    let (onto, kept) = if flush {
        (Vec::new(), old)
    } else {
        (old, Vec::new())
    };
    let mut reader = rdb::Reader::new(source, options.reader());
    let policy = if flush {
        scripting::Policy::Flush
    } else {
        // Onto what there is: those that are there already have just been saved, or are saved again.
        scripting::Policy::Replace
    };
    let loaded = snapshot::load_from(&mut reader, onto, &options, &mut |_| true);
    let loaded = loaded
        .map_err(|error| error.to_string())
        .and_then(|loaded| {
            crate::scripting::libraries::install(state, &loaded.functions, policy)?;
            Ok(loaded)
        });
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let mut back = kept;
            back.resize_with(databases, keyspace::Db::new);
            keys.replace_all(back);
            return Err(error);
        }
    };
    keys.replace_all(loaded.dbs);
    keys.break_own_watches();
    state.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
    if !kept.is_empty() {
        state.host.free_databases(kept, false);
    }
    set_resize_policy(keys, state);
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    Ok(())
}

/// BGSAVE.
///
/// # Errors
/// A child is at work already, or the fork failed.
pub fn background_save(keys: &mut Keys, state: &mut ServerState) -> Result<(), Error> {
    if state.saves() {
        return Err(Error::BGSAVE_IN_PROGRESS);
    }
    if state.has_child() {
        return Err(Error::CHILD_IN_PROGRESS);
    }
    let job = SnapshotJob {
        id: state.repl.hub.next_job(),
        target: Target::Disk,
        filter: Default::default(),
        format: Default::default(),
        for_replicas: false,
        dual: false,
        identity: None,
        send_timeout_ms: 0,
    };
    match fork(keys, state, &job) {
        Ok(pid) => {
            state.log(
                Level::Notice,
                &format!("Background saving started by pid {pid}"),
            );
            Ok(())
        }
        Err(error) => {
            state.log(
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
pub(crate) fn tick(keys: &mut Keys, state: &mut ServerState) {
    if state.has_child() || state.loading != crate::state::Loading::No {
        return;
    }
    let now = keys.origin.now_ms / 1000;
    let changes = keys.dirty - state.saving.dirty_at_save;
    let due = state.config.save.rules().iter().copied().find(|rule| {
        changes >= u64::from(rule.changes.unsigned_abs())
            && changes > 0
            && now - state.saving.last_save_at > rule.seconds
            && (state.saving.last_ok || now - state.saving.last_try_at > RETRY_SECONDS)
    });
    if let Some(rule) = due {
        let line = format!(
            "{} changes in {} seconds. Saving...",
            rule.changes, rule.seconds
        );
        state.log(Level::Notice, &line);
        // A failure is logged and remembered; the next turn tries again.
        let _ = background_save(keys, state);
    } else if state.saving.scheduled {
        state.saving.scheduled = background_save(keys, state).is_err();
    }
}

/// The child tells how far it is.
pub fn progress(keys: &Keys, state: &mut ServerState, report: ChildReport) {
    if let Some(child) = &mut state.saving.child {
        child.keys_done = report.keys_done;
        if let Some(bytes) = report.cow_bytes {
            child.cow_bytes = bytes;
            child.cow_peak = child.cow_peak.max(bytes);
            child.cow_at_ms = keys.origin.now_ms;
        }
    }
}

/// Notes how big a snapshot has become: the next one will be about as big, for the memory there is then.
fn note_size(state: &mut ServerState, child: &Child, result: &SnapshotResult) {
    let bytes = match result {
        SnapshotResult::Disk { bytes } => Some(*bytes),
        SnapshotResult::Sockets { .. } => {
            state.host.sent_to().iter().map(|(_, bytes)| *bytes).max()
        }
        SnapshotResult::Failed { .. } => None,
    };
    if let Some(bytes) = bytes
        && child.output != ChildOutput::Log
    {
        state.saving.last_size = Some((bytes, state.host.used_memory() as u64));
    }
}

/// The child has ended.
pub fn finished(keys: &mut Keys, state: &mut ServerState, job: JobId, result: &SnapshotResult) {
    let Some(child) = state.saving.child.take_if(|child| child.job == job) else {
        return;
    };
    state.count_sent();
    note_size(state, &child, result);
    set_resize_policy(keys, state);
    state.repl.other_child = OtherChild::None;
    state.host.child_lives(false);
    if child.output == ChildOutput::Log {
        crate::aof::ended(keys, state, &child, result);
    } else {
        state.saving.last_cow_bytes = child.cow_peak;
    }
    if child.output == ChildOutput::Dump {
        let now = keys.origin.now_ms / 1000;
        state.saving.last_seconds = now - child.started_at;
        match result {
            SnapshotResult::Disk { .. } | SnapshotResult::Sockets { .. } => {
                state.log(Level::Notice, "Background saving terminated with success");
                state.saving.dirty_at_save = state.saving.dirty_at_start;
                state.saving.last_save_at = now;
                state.saving.last_ok = true;
            }
            SnapshotResult::Failed {
                signal: Some(signal),
            } => {
                state.log(
                    Level::Warning,
                    &format!("Background saving terminated by signal {signal}"),
                );
                // A child we have killed ourselves says nothing about the disk.
                state.saving.last_ok &= child.killed;
            }
            SnapshotResult::Failed { signal: None } => {
                state.log(Level::Warning, "Background saving error");
                state.saving.last_ok = false;
            }
        }
        state.refresh_gate();
    }
    state.repl.with_hub(|hub, env| {
        if child.for_replicas {
            hub.snapshot_finished(env, job, result);
        } else {
            hub.schedule_snapshot(env);
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::engine::NextStep;
    use crate::host::Target;
    use crate::testing::Driver;

    fn rows(driver: &mut Driver) -> String {
        let info = driver.send(0, &[b"INFO", b"persistence"]);
        String::from_utf8_lossy(&info).into_owned()
    }

    /// A primary with data, that waits for no second replica.
    fn primary() -> Driver {
        let mut driver = Driver::new();
        driver.send(0, &[b"CONFIG", b"SET", b"repl-diskless-sync-delay", b"0"]);
        driver.send(0, &[b"SET", b"k", b"v"]);
        driver
    }

    /// Client `index` becomes a replica that takes its snapshot straight from the child.
    fn synchronise(driver: &mut Driver, index: usize) {
        driver.send(index, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        driver.send(index, &[b"PSYNC", b"?", b"-1"]);
    }

    #[test]
    fn a_background_save_is_told_from_start_to_end() {
        let mut driver = Driver::new();
        driver.send(0, &[b"SET", b"k", b"v"]);
        assert_eq!(
            driver.send(0, &[b"BGSAVE"]),
            b"+Background saving started\r\n"
        );
        assert!(rows(&mut driver).contains("rdb_bgsave_in_progress:1"));
        // What is written while the child works is in the next one.
        driver.send(0, &[b"SET", b"k", b"later"]);
        let child = driver.child_succeeds();
        assert!(
            child
                .snapshot
                .windows(2)
                .any(|bytes| bytes == b"kv" || bytes == b"\x01v")
        );
        let rows = rows(&mut driver);
        assert!(rows.contains("rdb_bgsave_in_progress:0"), "{rows}");
        assert!(rows.contains("rdb_changes_since_last_save:1"), "{rows}");
        assert!(rows.contains("rdb_last_bgsave_status:ok"), "{rows}");
    }

    #[test]
    fn a_child_that_fails_stops_writes_and_one_that_was_killed_on_purpose_does_not() {
        let mut driver = Driver::new();
        driver.send(0, &[b"BGSAVE"]);
        driver.child_fails(None);
        assert!(rows(&mut driver).contains("rdb_last_bgsave_status:err"));
        assert!(
            driver
                .send(0, &[b"SET", b"k", b"v"])
                .starts_with(b"-MISCONF")
        );
        driver.send(0, &[b"BGSAVE"]);
        driver.child_succeeds();
        assert_eq!(driver.send(0, &[b"SET", b"k", b"v"]), b"+OK\r\n");
        driver.send(0, &[b"BGSAVE"]);
        // The dataset goes, and with it the reason for the child.
        driver.send(0, &[b"FLUSHALL"]);
        assert!(
            driver
                .asked()
                .child
                .as_ref()
                .is_some_and(|child| child.killed)
        );
        driver.child_fails(Some(9));
        assert!(rows(&mut driver).contains("rdb_last_bgsave_status:ok"));
    }

    #[test]
    fn a_snapshot_goes_to_the_replica_that_asked_and_the_stream_behind_it() {
        let mut driver = primary();
        let offset = driver.engine.state.repl.offset();
        synchronise(&mut driver, 1);
        let replica = driver.id(1);
        let job = driver.asked().child.as_ref().map(|child| child.job.clone());
        let job = job.expect("the replica waits for it");
        let Target::Sockets { targets, .. } = &job.target else {
            panic!("a replica that knows `eof` gets it straight: {job:?}");
        };
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].client.0, replica);
        assert!(targets[0].prelude.starts_with(b"+FULLRESYNC "));
        assert_eq!(job.identity.map(|identity| identity.offset), Some(offset));
        driver.send(0, &[b"SET", b"k", b"later"]);
        driver.child_succeeds();
        driver.send(1, &[b"REPLCONF", b"ACK", b"0"]);
        let mut slices = Vec::new();
        let bytes = driver.engine.stream(replica, 0, &mut slices);
        let stream = driver.engine.state.repl.hub.stream_since(offset);
        assert_eq!(bytes, stream.len());
    }

    #[test]
    fn a_replica_whose_snapshot_fails_or_cannot_begin_is_closed() {
        let mut driver = primary();
        synchronise(&mut driver, 1);
        driver.child_fails(Some(11));
        assert_eq!(driver.next_step(1), NextStep::Close);
        driver.asked().fork_fails = Some("Cannot allocate memory".into());
        synchronise(&mut driver, 2);
        assert_eq!(driver.next_step(2), NextStep::Close);
        let line = "Can't save in background: fork: Cannot allocate memory";
        assert!(driver.asked().log.iter().any(|logged| logged == line));
    }

    #[test]
    fn there_is_one_child_at_a_time_and_whoever_comes_second_waits_or_is_refused() {
        let mut driver = primary();
        synchronise(&mut driver, 1);
        assert!(driver.send(0, &[b"BGSAVE"]).starts_with(b"-ERR "));
        driver.child_succeeds();
        driver.send(0, &[b"BGSAVE"]);
        synchronise(&mut driver, 2);
        let saved = driver.child_succeeds();
        assert!(saved.job.target == Target::Disk && !saved.job.for_replicas);
        driver.engine.tick();
        assert!(driver.child_succeeds().job.for_replicas);
    }
}
