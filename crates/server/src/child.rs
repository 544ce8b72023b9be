//! The snapshot child, a fork of the running server.
//!
//! The child has one thread and a frozen copy of the dataset. It uses the allocator and blocking system calls only: no
//! runtime, no lock another thread might have held. It writes to the dump file or straight to replicas' connections, tells
//! its parent through a pipe how far it is, and ends with `_exit`. It goes on while the parent is stopped.
#![allow(unsafe_code, reason = "fork and system calls on raw descriptors")]

use crate::descriptors::Descriptors;
use crate::errno_text;
use crate::fanout::{self, Fanout, GivenUp};
use crate::logging;
use crate::relay::{self, Relays};
use crate::replace::{self, Step};
use crate::shared::Shared;
use crate::spool::SpoolWriter;
use crate::stand_back::StandBack;
use crate::tally::Tally;
use aof::names::Names;
use engine::host::{ChildReport, JobId, Level, SnapshotJob, SnapshotResult, WriteSnapshot};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Nanoseconds between two reports of the child.
const REPORT_EVERY_NS: u64 = 250_000_000;
/// What the RDB writer is given as its buffer at least, so that a system call pays.
const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// A message from child to parent: fixed size, so that a pipe write is one piece.
const REPORT_BYTES: usize = 17;
/// Keys written so far in the first word, copy-on-write bytes in the second if they were measured.
const KIND_PROGRESS: u8 = 0;
const NOT_MEASURED: u64 = u64::MAX;
/// A connection has taken everything: its client number in the first word.
const KIND_COMPLETE: u8 = 1;
/// The child is done: size in the first word, copy-on-write bytes in the second.
const KIND_DONE: u8 = 2;
/// A connection was given up: its client number in the first word, 1 in the second if it took nothing for too long.
const KIND_FAILED: u8 = 3;

fn message(kind: u8, first: u64, second: u64) -> [u8; REPORT_BYTES] {
    let mut bytes = [kind; REPORT_BYTES];
    bytes[1..9].copy_from_slice(&first.to_le_bytes());
    bytes[9..17].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// A child that has been started.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// Its process id. It is nobody else's as long as nobody has waited for the child.
    pub(crate) pid: u32,
    /// Held by whoever kills the child or waits for it: true once it has been waited for.
    ///
    /// A descriptor of the process would do as well, but not every kernel has such, and it would have to be kept.
    is_gone: Arc<Mutex<bool>>,
}

impl Child {
    /// The child that has just been forked.
    fn new(pid: u32) -> Self {
        Child {
            pid,
            is_gone: Arc::default(),
        }
    }

    /// Ends the child, if it has not ended.
    pub(crate) fn kill(&self) {
        let is_gone = self.is_gone.lock();
        if !*is_gone {
            // SAFETY: sends a signal to our child, whose number cannot have been given away.
            unsafe { libc::kill(self.pid.cast_signed(), libc::SIGKILL) };
        }
    }

    /// Waits for the child's end; returns its status.
    fn wait(&self) -> libc::c_int {
        if let Some(pid) = Pid::from_raw(self.pid.cast_signed()) {
            // Only looks: the child keeps its number, and may be killed meanwhile.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), look) {}
        }
        let mut is_gone = self.is_gone.lock();
        *is_gone = true;
        let mut status = 0;
        // SAFETY: waits for our own child, which has ended; `status` is ours.
        while unsafe { libc::waitpid(self.pid.cast_signed(), &raw mut status, 0) } == -1
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        status
    }
}

/// Where a child writes to.
pub(crate) enum Output {
    /// The dump file.
    File,
    /// The base of the append-only file, in this folder.
    Log {
        /// The names of its files.
        names: Names,
        /// `aof-rewrite-incremental-fsync`.
        sync_often: bool,
    },
    /// Straight to connections.
    Connections {
        /// Those there are still.
        targets: Vec<fanout::Target>,
        /// Written to each behind the snapshot.
        eof_mark: [u8; 40],
        /// One that takes nothing for this long is given up, in milliseconds.
        timeout_ms: u64,
        /// Between the child and some of them.
        relays: Relays,
        /// A file for others.
        spool: Option<SpoolWriter>,
    },
}

impl Output {
    /// Where the snapshot of `job` goes. `log` has the names of the append-only file, and whether its base is synced while
    /// it is being written. A TLS session goes with the snapshot where nothing comes behind it; where the stream does, the
    /// session stays here, and there is a relay.
    pub(crate) fn of(
        job: &SnapshotJob,
        descriptors: &Descriptors,
        log: Option<(Names, bool)>,
        spool: Option<SpoolWriter>,
    ) -> Self {
        match (&job.target, log) {
            (engine::host::Target::Log { .. }, Some((names, sync_often))) => {
                Output::Log { names, sync_often }
            }
            (engine::host::Target::Disk | engine::host::Target::Log { .. }, _) => Output::File,
            (
                engine::host::Target::Sockets {
                    targets, eof_mark, ..
                },
                _,
            ) => {
                let timeout_ms = job.send_timeout_ms;
                let mut relays = Relays::default();
                let with_socket = targets.iter().filter_map(|target| {
                    let client = target.client.0;
                    let descriptor = descriptors.get(client)?;
                    let (fd, channel) = match descriptor.channel {
                        None => (descriptor.fd, None),
                        Some(own) if target.is_last => {
                            (descriptor.fd, Some(own.lock().give_away()?))
                        }
                        Some(own) => (relays.add(client, descriptor.fd, own, timeout_ms)?, None),
                    };
                    let prelude = target.prelude.clone();
                    Some(fanout::Target {
                        client,
                        fd,
                        channel,
                        prelude,
                        compressed: target.compressed,
                    })
                });
                Output::Connections {
                    targets: with_socket.collect(),
                    eof_mark: *eof_mark,
                    timeout_ms,
                    relays,
                    spool,
                }
            }
        }
    }
}

/// Forks a child that writes a snapshot. Its end is reported to the engine, and what connections take of it is added to
/// `sent`.
///
/// # Errors
/// No pipe or no process to be had.
pub(crate) fn start(
    shared: Weak<Shared>,
    job: JobId,
    output: Output,
    files: &DumpFile,
    oom: crate::oom::Oom,
    sent: &Tally,
    write: WriteSnapshot<'_>,
) -> io::Result<Child> {
    let (reader, writer) = io::pipe()?;
    // SAFETY: the child calls only `run_child`, which keeps to what the module comment says, and never returns.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(reader);
            oom.enter_child();
            crate::title::show_child(match output {
                Output::Log { .. } => "valkey-aof-rewrite",
                _ => "valkey-rdb-bgsave",
            });
            let code = run_child(output, files, sent, write, &writer.into());
            // SAFETY: ends the process without running destructors or handlers of the parent's.
            unsafe { libc::_exit(code) }
        }
        pid => {
            drop(writer);
            let child = Child::new(pid as u32);
            let (kind, relays) = match output {
                Output::File => (Kind::Dump, None),
                Output::Log { .. } => (Kind::Log, None),
                Output::Connections { relays, .. } => (Kind::Connections, Some(relays.start())),
            };
            watch(shared, job, kind, relays, child.clone(), reader);
            Ok(child)
        }
    }
}

/// The file a child of this number writes.
pub(crate) fn temporary_of(pid: u32) -> PathBuf {
    absolute(&DumpFile::temporary(pid))
}

/// A path to a file of a child that holds also after the parent has gone to another folder.
pub(crate) fn absolute(relative: &Path) -> PathBuf {
    std::path::absolute(relative).unwrap_or_else(|_| relative.to_owned())
}

/// What a child writes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dump,
    Log,
    Connections,
}

/// Follows a child's reports in a thread of its own, then reaps it.
fn watch(
    shared: Weak<Shared>,
    job: JobId,
    kind: Kind,
    relays: Option<relay::Running>,
    child: Child,
    mut reader: io::PipeReader,
) {
    let temporary = temporary_of(child.pid);
    let follow = move || {
        let mut complete = Vec::new();
        let mut done = None;
        let mut bytes = [0; REPORT_BYTES];
        while reader.read_exact(&mut bytes).is_ok() {
            let word = |at: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[at..at + 8]);
                u64::from_le_bytes(word)
            };
            match bytes[0] {
                KIND_COMPLETE => complete.push(replication::ClientId(word(1))),
                KIND_FAILED => {
                    let stuck = relays.as_ref().is_some_and(|r| r.is_stuck(word(1)));
                    receiver_failed(&shared, word(1), stuck || word(9) == 1);
                }
                KIND_DONE => {
                    done = Some(word(1));
                    report(
                        &shared,
                        ChildReport {
                            keys_done: u64::MAX,
                            cow_bytes: Some(word(9)),
                        },
                    );
                }
                _ => report(
                    &shared,
                    ChildReport {
                        keys_done: word(1),
                        cow_bytes: Some(word(9)).filter(|bytes| *bytes != NOT_MEASURED),
                    },
                ),
            }
        }
        let status = child.wait();
        // What the child has written is not yet on its way to everybody.
        let broken = relays.map(relay::Running::join).unwrap_or_default();
        for relay::Broken { client, stuck } in broken {
            complete.retain(|complete: &replication::ClientId| complete.0 != client);
            if stuck {
                receiver_failed(&shared, client, stuck);
            }
        }
        let result = match done {
            Some(bytes) if status == 0 && kind == Kind::Dump => SnapshotResult::Disk { bytes },
            Some(bytes) if status == 0 && kind == Kind::Log => {
                commit_rewrite(&shared, child.pid, bytes)
            }
            Some(_) if status == 0 => SnapshotResult::Sockets { complete },
            _ => SnapshotResult::Failed {
                signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            },
        };
        if matches!(result, SnapshotResult::Failed { .. }) {
            // What a killed child leaves behind; there is nothing when it wrote to sockets or cleaned up itself.
            let _ = std::fs::remove_file(&temporary);
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if kind == Kind::Log && matches!(result, SnapshotResult::Failed { .. }) {
            shared.append.give_up_rewrite(Some(child.pid));
        }
        shared.engine.lock().snapshot_finished(job, &result);
        if kind == Kind::Log {
            shared.append.remove_history();
        }
    };
    if std::thread::Builder::new()
        .name("snapshot-watch".into())
        .spawn(follow)
        .is_err()
    {
        logging::log(
            Level::Warning,
            "Can't create a thread to follow the snapshot process",
        );
    }
}

/// A receiver of a snapshot has been given up, perhaps because it was stuck; the others go on.
fn receiver_failed(shared: &Weak<Shared>, client: u64, stuck: bool) {
    if let Some(shared) = shared.upgrade() {
        shared.engine.lock().snapshot_receiver_failed(client, stuck);
    }
}

/// The base is written: it takes its place.
fn commit_rewrite(shared: &Weak<Shared>, pid: u32, bytes: u64) -> SnapshotResult {
    let line = "Background AOF rewrite terminated with success";
    logging::log(Level::Notice, line);
    let committed = shared
        .upgrade()
        .is_some_and(|shared| shared.append.commit_rewrite(pid).is_ok());
    if committed {
        SnapshotResult::Disk { bytes }
    } else {
        SnapshotResult::Failed { signal: None }
    }
}

fn report(shared: &Weak<Shared>, report: ChildReport) {
    if let Some(shared) = shared.upgrade() {
        shared.engine.lock().snapshot_progress(report);
    }
}

/// The dump file. It is in the folder the process is in, whatever that folder is called by now.
#[derive(Clone, Debug)]
pub(crate) struct DumpFile {
    /// `dbfilename`.
    pub(crate) name: String,
}

impl DumpFile {
    /// Where the process of this number writes before it renames.
    pub(crate) fn temporary(pid: u32) -> PathBuf {
        PathBuf::from(format!("temp-{pid}.rdb"))
    }

    /// Replaces the file: temporary file, sync, rename, sync of the folder. Returns its size.
    ///
    /// # Errors
    /// What went wrong, as the log tells it; the old file is then untouched and the temporary one removed.
    pub(crate) fn replace(
        &self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, String> {
        let temporary = Self::temporary(std::process::id());
        // A leftover of a process that had our number is of no use to anybody.
        let _ = std::fs::remove_file(&temporary);
        let result = self.fill_and_rename(&temporary, fill);
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }

    fn fill_and_rename(
        &self,
        temporary: &Path,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, String> {
        let name = &self.name;
        let shown = temporary.display();
        let dir = std::env::current_dir().map_or("unknown".into(), |dir| dir.display().to_string());
        let failed = |step| {
            move |error: io::Error| {
                let cause = errno_text(&error);
                format!("Write error while saving DB to the disk({step}): {cause}")
            }
        };
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(temporary)
            .map_err(|error| {
                let cause = errno_text(&error);
                format!("Failed opening the temp RDB file {shown} (in server root dir {dir}) for saving: {cause}")
            })?;
        let mut buffered = io::BufWriter::with_capacity(FILE_BUFFER_BYTES, file);
        fill(&mut buffered).map_err(failed("write"))?;
        let file = buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(failed("write"))?;
        let size = file.metadata().map_err(failed("stat"))?.len();
        replace::put_in_place(&file, temporary, name.as_ref()).map_err(|(step, error)| match step {
            Step::SyncFile => failed("fsync")(error),
            Step::Rename => {
                let cause = errno_text(&error);
                format!("Error moving temp DB file {shown} on the final destination {name} (in server root dir {dir}): {cause}")
            }
            Step::SyncFolder => failed("fsync of the folder")(error),
        })?;
        Ok(size)
    }
}

/// The child's whole life; returns its exit code.
fn run_child(
    output: Output,
    files: &DumpFile,
    sent: &Tally,
    write: WriteSnapshot<'_>,
    pipe: &OwnedFd,
) -> i32 {
    quiet_signals();
    close_others(&output, pipe.as_raw_fd());
    logging::set_pid();
    logging::set_role(b'C');
    let mut reporter = Reporter {
        pipe: pipe.as_raw_fd(),
        last_ns: crate::clock::monotonic_ns(),
        measuring: Duty::default(),
    };
    let mut progress = |keys| reporter.progress(keys);
    let to_file = matches!(output, Output::File);
    let what = match output {
        Output::Log { .. } => "AOF rewrite",
        _ => "RDB",
    };
    let result = match output {
        Output::File => files.replace(|sink| write(&mut StandBack::begin(sink), &mut progress)),
        Output::Log { names, sync_often } => {
            crate::append::write_base(&names, sync_often, |sink| {
                write(&mut StandBack::begin(sink), &mut progress)
            })
        }
        Output::Connections {
            targets,
            eof_mark,
            timeout_ms,
            relays,
            spool,
        } => {
            // The parent's: their descriptors are closed here.
            std::mem::forget(relays);
            let report = |client, why| {
                let timed_out = u64::from(why == GivenUp::Stuck);
                send(pipe.as_raw_fd(), &message(KIND_FAILED, client, timed_out));
            };
            let mut sink = Fanout::new(targets, timeout_ms, sent, Box::new(report));
            sink.spool_to(spool);
            sink.start()
                .and_then(|()| write(&mut StandBack::begin(&mut sink), &mut progress))
                .and_then(|()| sink.write_all(&eof_mark))
                .and_then(|()| sink.finish())
                .map(|complete| {
                    for client in complete {
                        send(pipe.as_raw_fd(), &message(KIND_COMPLETE, client, 0));
                    }
                    sink.bytes()
                })
                .map_err(|error| {
                    let cause = errno_text(&error);
                    format!("Write error while saving DB to the disk or to replicas: {cause}")
                })
        }
    };
    match result {
        Ok(bytes) => {
            let cow = private_dirty_bytes();
            if to_file {
                logging::log(Level::Notice, "DB saved on disk");
            }
            let megabytes = cow >> 20;
            logging::log(
                Level::Notice,
                &format!(
                    "Fork CoW for {what}: current {megabytes} MB, peak {megabytes} MB, average {megabytes} MB"
                ),
            );
            send(pipe.as_raw_fd(), &message(KIND_DONE, bytes, cow));
            0
        }
        Err(error) => {
            logging::log(Level::Warning, &error);
            1
        }
    }
}

/// Closes what the child does not need: the listening sockets above all, or a parent that dies could not be started anew on
/// its port while the child goes on, and the connections of clients, which would not notice the death.
fn close_others(output: &Output, pipe: RawFd) {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<RawFd> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let needed = |fd: RawFd| match output {
        Output::File | Output::Log { .. } => false,
        Output::Connections { targets, spool, .. } => {
            targets.iter().any(|target| target.fd == fd)
                || spool.as_ref().is_some_and(|spool| spool.fd() == fd)
        }
    };
    for fd in open {
        if fd > 2 && fd != pipe && !needed(fd) {
            // SAFETY: the owners of these descriptors are the parent's objects; in this process nothing uses them again,
            // and their destructors never run.
            unsafe { libc::close(fd) };
        }
    }
}

/// Signals act on the child as on any process: handlers are the parent's business. A terminal that closes (SIGHUP) ends
/// neither: the parent ignores it, and so does its child.
fn quiet_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
        // SAFETY: restores the default action of a signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a broken connection is an error of its write, not the end of the process.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Tells the parent; it may have gone, which is no reason to stop.
fn send(pipe: RawFd, bytes: &[u8; REPORT_BYTES]) {
    // SAFETY: writes from a buffer of that length.
    unsafe { libc::write(pipe, bytes.as_ptr().cast(), bytes.len()) };
}

struct Reporter {
    pipe: RawFd,
    last_ns: u64,
    measuring: Duty,
}

impl Reporter {
    fn progress(&mut self, keys: u64) {
        let now_ns = crate::clock::monotonic_ns();
        if now_ns - self.last_ns >= REPORT_EVERY_NS {
            self.last_ns = now_ns;
            let cow = if self.measuring.is_due(now_ns) {
                let bytes = private_dirty_bytes();
                self.measuring.done(now_ns, crate::clock::monotonic_ns());
                bytes
            } else {
                NOT_MEASURED
            };
            send(self.pipe, &message(KIND_PROGRESS, keys, cow));
        }
    }
}

/// When to measure again: the kernel looks at each page of the process, which takes seconds if there are very many. So it
/// is to take one part of the time in [`DUTY_PARTS`] at most.
#[derive(Default)]
struct Duty {
    next_ns: u64,
}

const DUTY_PARTS: u64 = 100;

impl Duty {
    fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns
    }

    fn done(&mut self, started_ns: u64, ended_ns: u64) {
        self.next_ns = ended_ns + (ended_ns - started_ns) * DUTY_PARTS;
    }
}

/// Memory that this process no longer shares, in bytes; 0 when the kernel does not tell.
fn private_dirty_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/smaps_rollup") else {
        return 0;
    };
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        });
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::{Child, Duty};
    use std::process::{Command, Stdio};

    #[test]
    fn what_is_dear_is_measured_rarely() {
        let mut duty = Duty::default();
        assert!(duty.is_due(0));
        duty.done(1000, 1002);
        assert!(!duty.is_due(1003) && !duty.is_due(1201) && duty.is_due(1202));
        duty.done(2000, 3000);
        assert!(!duty.is_due(102_999) && duty.is_due(103_000));
    }

    #[test]
    fn a_child_that_has_been_waited_for_is_not_there_to_be_killed() {
        let mut process = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat");
        let child = Child::new(process.id());
        let waiting = std::thread::spawn({
            let child = child.clone();
            move || child.wait()
        });
        child.kill();
        let status = waiting.join().expect("it has ended");
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL);
        assert!(process.wait().is_err(), "nothing is left to wait for");
        // The number may be another's by now: that one is not meant.
        let reused = Child {
            pid: std::process::id(),
            ..child
        };
        reused.kill();
    }
}
