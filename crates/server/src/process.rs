//! The process as the engine sees it: files, memory figures, the snapshot child, the end.
#![allow(unsafe_code, reason = "system calls that std does not offer")]

use crate::append::AppendFile;
use crate::child::{self, DumpFile};
use crate::control::Control;
use crate::courier::{Courier, Couriers as CourierThreads};
use crate::descriptors::{Descriptor, Descriptors};
use crate::dump_transfer::{Transfer, Transfers};
use crate::link_io;
use crate::listener::{Listeners, Speaks};
use crate::shared::{Parts, Shared};
use crate::spool::{SpoolFile, SpoolWriter};
use crate::tally::Tally;
use crate::tls_config::{self, TlsConfig};
use crate::{crash, logging, memory, user_file};
use config::{Config, LogLevel, Param};
use engine::client::ClientId;
use engine::host::{
    AppendLog, Connections, Couriers, CpuFigures, Crash, Files, HostError, Level, LinkCommand, Log,
    LogFigures, LogSource, Memory, MemoryFigures, PrimaryLink, Process, ProcessFacts, SnapshotJob,
    Snapshots, WriteSnapshot,
};
use engine::migration::{Delivery, Shipment};
use keyspace::copying::{Copying, Plan};
use socket2::SockRef;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};

/// Things to free in the background.
enum Garbage {
    Values(Vec<keyspace::Value>),
    Databases(Vec<keyspace::Db>),
    Other(Box<dyn Send>),
}

/// The process.
pub(crate) struct ServerProcess {
    shared: Weak<Shared>,
    control: Arc<Control>,
    transfers: Arc<Transfers>,
    descriptors: Arc<Descriptors>,
    append: Arc<AppendFile>,
    tls: Arc<TlsConfig>,
    facts: ProcessFacts,
    dump: DumpFile,
    oom: crate::oom::Oom,
    listening_pause: crate::listener::ListeningPause,
    /// What connections have taken of the snapshot under way, or of the last one, and the engine has not been told of.
    child_sent: Option<Arc<Tally>>,
    /// The file that is kept of the last snapshot that went to connections.
    spool: Option<Arc<SpoolFile>>,
    /// It was wanted and could not be made.
    spool_failed: bool,
    /// Who gets the child's snapshot, in the order of the tally.
    child_targets: Vec<ClientId>,
    /// The snapshot child that was started last, unless it has been killed.
    child: Option<child::Child>,
    /// What the snapshot child writes, when it writes a file.
    child_file: std::path::PathBuf,
    /// What that becomes once it is complete, whatever the dump file is called by then.
    child_dump: std::path::PathBuf,
    garbage: mpsc::Sender<Garbage>,
    pending_frees: Arc<AtomicUsize>,
    couriers: CourierThreads,
    /// Made when there is a primary for the first time.
    link: Option<link_io::Commands>,
}

impl ServerProcess {
    pub(crate) fn new(
        config: &Config,
        facts: ProcessFacts,
        parts: Parts,
        shared: Weak<Shared>,
    ) -> Self {
        let Parts {
            transfers,
            descriptors,
            append,
            tls,
            control,
        } = parts;
        control.limit_bulk(config);
        let couriers = CourierThreads::new(shared.clone(), Arc::clone(&tls));
        let (garbage, work) = mpsc::channel();
        let pending_frees = Arc::new(AtomicUsize::new(0));
        let pending = Arc::clone(&pending_frees);
        let free = move || {
            while let Ok(garbage) = work.recv() {
                // Each arm frees what it has taken.
                let count = match garbage {
                    Garbage::Values(values) => values.len(),
                    Garbage::Databases(databases) => databases.iter().map(keyspace::Db::len).sum(),
                    Garbage::Other(other) => {
                        drop(other);
                        0
                    }
                };
                pending.fetch_sub(count, Ordering::Relaxed);
            }
        };
        if std::thread::Builder::new()
            .name("free".into())
            .spawn(free)
            .is_err()
        {
            logging::log(
                Level::Warning,
                "Can't create a thread to free memory in the background",
            );
        }
        ServerProcess {
            shared,
            control,
            transfers,
            descriptors,
            append,
            tls,
            facts,
            dump: dump_file(config),
            oom: crate::oom::Oom::new(config),
            listening_pause: crate::listener::ListeningPause::new(config),
            child_sent: None,
            child_targets: Vec::new(),
            spool: None,
            spool_failed: false,
            child: None,
            child_file: std::path::PathBuf::new(),
            child_dump: std::path::PathBuf::new(),
            garbage,
            pending_frees,
            couriers,
            link: None,
        }
    }

    /// Ports or addresses have changed.
    fn listen(&mut self, config: &Config, parameter: Param) -> Result<(), String> {
        let mut listening = self.control.listening.lock();
        let changed = |speaks| match parameter {
            Param::Port => speaks == Speaks::Plain,
            Param::TlsPort => speaks == Speaks::Tls,
            _ => true,
        };
        let listeners =
            Listeners::rebind(config, &listening, changed).map_err(|text| match parameter {
                Param::Bind => "Failed to bind to specified addresses.".to_owned(),
                _ => text,
            })?;
        *listening = listeners.handles();
        self.facts.listeners = listeners.describe(config);
        self.facts.port = crate::listener::shown_port(config);
        crate::title::show(config);
        *self.control.listeners.lock() = Some(listeners);
        self.control.raise_changed();
        Ok(())
    }

    fn discard(&self, count: usize, garbage: Garbage) {
        self.pending_frees.fetch_add(count, Ordering::Relaxed);
        if let Err(mpsc::SendError(garbage)) = self.garbage.send(garbage) {
            drop(garbage);
            self.pending_frees.fetch_sub(count, Ordering::Relaxed);
        }
    }
}

fn dump_file(config: &Config) -> DumpFile {
    DumpFile {
        name: config.dbfilename.lossy().into_owned(),
    }
}

/// The least level that is logged; `None` for nothing at all.
pub(crate) fn threshold(level: LogLevel) -> Option<Level> {
    match level {
        LogLevel::Debug => Some(Level::Debug),
        LogLevel::Verbose => Some(Level::Verbose),
        LogLevel::Notice => Some(Level::Notice),
        LogLevel::Warning => Some(Level::Warning),
        LogLevel::Nothing => None,
    }
}

impl Log for ServerProcess {
    fn log(&self, level: Level, text: &str) {
        logging::log(level, text);
    }

    fn logger(&self) -> fn(Level, &str) {
        logging::log
    }
}

impl Process for ServerProcess {
    fn cpu(&self) -> CpuFigures {
        let process = crate::figures::usage(libc::RUSAGE_SELF);
        let children = crate::figures::usage(libc::RUSAGE_CHILDREN);
        let thread = crate::figures::usage(libc::RUSAGE_THREAD);
        CpuFigures {
            system_us: process.0,
            user_us: process.1,
            children_system_us: children.0,
            children_user_us: children.1,
            thread_system_us: thread.0,
            thread_user_us: thread.1,
        }
    }

    fn facts(&self) -> ProcessFacts {
        self.facts.clone()
    }

    fn apply(&mut self, config: &Config, parameter: Param) -> Result<(), String> {
        if tls_config::concerns(parameter) {
            self.tls.apply(config, parameter)?;
        }
        match parameter {
            Param::Loglevel => logging::configure(&config.logfile.lossy(), threshold(config.loglevel)),
            Param::Dir => std::env::set_current_dir(std::ffi::OsStr::from_bytes(config.dir.as_bytes()))
                .map_err(|error| crate::errno_text(&error))?,
            Param::JemallocBgThread => crate::memory::purge_in_background(config.jemalloc_bg_thread),
            Param::Dbfilename => self.dump = dump_file(config),
            Param::Port | Param::TlsPort | Param::Bind => self.listen(config, parameter)?,
            Param::Appendfsync
            | Param::NoAppendfsyncOnRewrite
            | Param::LatencyMonitorThreshold
            | Param::AofDisableAutoGc
            | Param::AofRewriteIncrementalFsync => self.append.reconfigure(config, parameter)?,
            Param::ProtoMaxBulkLen => self.control.limit_bulk(config),
            Param::ProcTitleTemplate => crate::title::show(config),
            Param::OomScoreAdj | Param::OomScoreAdjValues => self.oom.configure(config)?,
            Param::CrashLogEnabled => crate::crash::report_crashes(config.crash_log_enabled),
            Param::LocaleCollate => check_locale(&config.locale_collate.lossy())?,
            Param::Maxclients => crate::limits::raise_open_files(config.maxclients).map_err(|few| {
                format!(
                    "The operating system is not able to handle the specified number of clients, try with {}",
                    few.clients
                )
            })?,
            _ => {}
        }
        Ok(())
    }

    fn set_role(&mut self, replica: bool) {
        logging::set_role(if replica { b'S' } else { b'M' });
        self.oom.set_role(replica);
    }

    fn tell_supervisor(&mut self, message: &str) {
        crate::supervise::tell(message);
    }

    fn remove_files(&mut self) {
        crate::startup::clean_up();
        self.listening_pause.remove();
    }

    fn exit(&mut self, code: i32) {
        self.control.exit(code);
    }

    fn stop_self(&mut self) {
        // SAFETY: stops this process until somebody continues it.
        unsafe { libc::raise(libc::SIGSTOP) };
    }

    fn sleep_us(&mut self, microseconds: u64) {
        std::thread::sleep(std::time::Duration::from_micros(microseconds));
    }

    fn crash(&mut self, how: Crash) {
        const RULE: &str = "------------------------------------------------";
        match how {
            Crash::Panic(what) => crash::fail(&[
                RULE,
                "!!! Software Failure. Press left mouse button to continue",
                &format!("Guru Meditation: {what}"),
                RULE,
            ]),
            Crash::Assertion => crash::fail(&[
                "=== ASSERTION FAILED ===",
                "==> DEBUG ASSERT '1 == 2' is not true",
            ]),
            // SAFETY: ends this process by the signal a wild pointer would cause, as asked for.
            Crash::Segfault => unsafe {
                libc::raise(libc::SIGSEGV);
            },
        }
    }

    fn restart(&mut self, delay_ms: u64) {
        use std::os::unix::process::CommandExt;
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        let Some((_, arguments)) = crate::title::arguments().split_first() else {
            return;
        };
        close_all_descriptors();
        let error = std::process::Command::new(&self.facts.executable)
            .args(arguments)
            .exec();
        logging::log(Level::Warning, &format!("Can't restart: {error}"));
    }

    fn random_bytes(&mut self) -> [u8; 32] {
        random_bytes()
    }
}

impl Memory for ServerProcess {
    fn memory(&self) -> MemoryFigures {
        use tikv_jemalloc_ctl::{epoch, stats};
        // Statistics are as of the last epoch; a failing read leaves a zero, which INFO shows as such.
        let _ = epoch::advance();
        MemoryFigures {
            used: memory::used(),
            rss: crate::figures::resident_bytes(),
            allocated: stats::allocated::read().unwrap_or(0),
            active: stats::active::read().unwrap_or(0),
            resident: stats::resident::read().unwrap_or(0),
            system: crate::figures::system_bytes(),
        }
    }

    fn used_memory(&self) -> usize {
        memory::used()
    }

    fn free(&mut self, garbage: Vec<keyspace::Value>) {
        self.discard(garbage.len(), Garbage::Values(garbage));
    }

    fn free_databases(&mut self, databases: Vec<keyspace::Db>, wait: bool) {
        if wait {
            drop(databases);
        } else {
            self.discard(
                databases.iter().map(keyspace::Db::len).sum(),
                Garbage::Databases(databases),
            );
        }
    }

    fn free_other(&mut self, garbage: Box<dyn Send>) {
        // It is no key's value: it does not count among those that are pending.
        self.discard(0, Garbage::Other(garbage));
    }

    fn prepare_copy(&mut self, number: u64, plan: Plan) -> Option<Copying> {
        let shared = self.shared.clone();
        let prepare = move || {
            let room = plan.prepare();
            if let Some(shared) = shared.upgrade() {
                let unwanted = shared.engine.lock().copy_prepared(number, room);
                // Freed here, not under the lock.
                drop(unwanted);
                shared.control.raise_changed();
            }
        };
        let thread = std::thread::Builder::new().name("copy".into());
        // Without a thread it is made here.
        thread.spawn(prepare).is_err().then(|| plan.prepare())
    }

    fn pending_frees(&self) -> usize {
        self.pending_frees.load(Ordering::Relaxed)
    }

    fn allocator_report(&self) -> String {
        memory::control::report()
    }

    fn purge_allocator(&mut self) {
        memory::control::purge();
    }

    fn allocator_number(&mut self, name: &[u8], value: Option<i64>) -> Result<i64, HostError> {
        memory::control::number(name, value)
    }

    fn allocator_text(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>, HostError> {
        memory::control::text(name, value)
    }
}

impl Files for ServerProcess {
    fn folder(&self) -> Option<Vec<u8>> {
        let folder = std::env::current_dir().ok()?;
        Some(folder.into_os_string().into_vec())
    }

    fn save(&mut self, write: WriteSnapshot<'_>) -> Result<(), HostError> {
        self.dump.replace(|sink| write(sink, &mut |_| {})).map(drop)
    }

    fn open_dump(&mut self) -> Result<Option<Box<dyn Read + Send>>, HostError> {
        match File::open(&self.dump.name) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!(
                "Fatal error: can't open the RDB file {} for reading: {}",
                self.dump.name,
                crate::errno_text(&error)
            )),
        }
    }

    fn read_config_file(&mut self) -> Result<Vec<u8>, HostError> {
        if self.facts.config_file.is_empty() {
            return Err("The server is running without a config file".into());
        }
        match std::fs::read(&self.facts.config_file) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(crate::errno_text(&error)),
        }
    }

    fn write_config_file(&mut self, text: &[u8]) -> Result<(), HostError> {
        replace_file(&self.facts.config_file, text).map_err(|error| crate::errno_text(&error))
    }

    fn read_user_file(&mut self, name: &[u8]) -> Result<Vec<u8>, HostError> {
        std::fs::read(OsStr::from_bytes(name)).map_err(|error| crate::errno_text(&error))
    }

    fn write_user_file(&mut self, name: &[u8], text: &[u8]) -> Result<(), HostError> {
        user_file::replace(OsStr::from_bytes(name).as_ref(), text)
    }
}

impl ServerProcess {
    /// Makes the file that is to be kept of a snapshot, if one is wanted; returns the child's end of it.
    fn begin_spool(&mut self, job: &SnapshotJob, sent: &Arc<Tally>) -> Option<SpoolWriter> {
        let engine::host::Target::Sockets { spool_bytes, .. } = job.target else {
            return None;
        };
        if spool_bytes == 0 {
            return None;
        }
        let made = SpoolFile::new(Arc::clone(sent));
        let made = made.and_then(|spool| Ok((spool.writer(spool_bytes)?, spool)));
        match made {
            Ok((writer, spool)) => {
                self.spool = Some(Arc::new(spool));
                Some(writer)
            }
            Err(error) => {
                let text = format!("Can't keep a file of the snapshot: {error}");
                logging::log(Level::Warning, &text);
                self.spool = None;
                self.spool_failed = true;
                None
            }
        }
    }
}

impl Snapshots for ServerProcess {
    fn start_snapshot(
        &mut self,
        job: &SnapshotJob,
        write: WriteSnapshot<'_>,
    ) -> Result<u32, HostError> {
        let sent = Tally::new().map_err(|error| crate::errno_text(&error))?;
        let sent = Arc::new(sent);
        let spool = self.begin_spool(job, &sent);
        let log = self.append.for_child();
        let output = child::Output::of(job, &self.descriptors, log, spool);
        let shared = self.shared.clone();
        let child = child::start(shared, job.id, output, &self.dump, self.oom, &sent, write)
            .map_err(|error| error.to_string())?;
        let pid = child.pid;
        self.child = Some(child);
        self.child_sent = Some(sent);
        self.child_targets = match &job.target {
            replication::primary::Target::Sockets { targets, .. } => {
                targets.iter().map(|t| t.client.0).collect()
            }
            _ => Vec::new(),
        };
        self.child_file = child::temporary_of(pid);
        self.child_dump = child::absolute(self.dump.name.as_ref());
        Ok(pid)
    }

    fn take_sent(&mut self) -> u64 {
        self.child_sent
            .as_ref()
            .map_or(0, |sent| sent.all().swap(0, Ordering::Relaxed))
    }

    fn sent_to(&self) -> Vec<(ClientId, u64)> {
        let Some(sent) = &self.child_sent else {
            return Vec::new();
        };
        let targets = self.child_targets.iter().enumerate();
        targets
            .filter_map(|(number, client)| {
                Some((*client, sent.of(number)?.load(Ordering::Relaxed)))
            })
            .collect()
    }

    fn kill_snapshot(&mut self) {
        if let Some(child) = self.child.take() {
            child.kill();
            // There is none when the child was writing to sockets.
            let _ = std::fs::remove_file(&self.child_file);
        }
    }

    fn send_dump(&mut self, client: ClientId, header: Vec<u8>) -> Result<(), HostError> {
        let file = File::open(&self.child_dump).map_err(|error| crate::errno_text(&error))?;
        self.transfers.put(client, Transfer::new(header, file));
        Ok(())
    }

    fn send_spool(
        &mut self,
        client: ClientId,
        prelude: Vec<u8>,
        from: u64,
    ) -> Result<(), HostError> {
        let spool = self.spool.as_ref().ok_or("no snapshot is kept")?;
        let transfer = Transfer::of_spool(prelude, Arc::clone(spool), from);
        self.transfers.put(client, transfer);
        Ok(())
    }

    fn drop_spool(&mut self) {
        self.spool = None;
        self.spool_failed = false;
    }

    fn has_lost_spool(&self) -> bool {
        self.spool_failed || self.spool.as_ref().is_some_and(|spool| spool.is_lost())
    }

    fn remove_dump(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.child_dump)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            logging::log(
                Level::Warning,
                &format!("Can't remove the RDB file: {error}"),
            );
        }
    }
}

impl AppendLog for ServerProcess {
    fn push_log(&mut self, bytes: &mut Vec<u8>, position: u64, offset: u64) {
        self.append.push(bytes, position, offset);
    }

    fn sync_log(&mut self) -> Result<(), HostError> {
        self.append.sync_now()
    }

    fn begin_rewrite(
        &mut self,
        config: &Config,
        log: aof::rewrite::Log,
        form: aof::names::BaseForm,
        position: u64,
        offset: u64,
    ) -> Result<(), HostError> {
        self.append
            .begin_rewrite(config, log, form, position, offset)
    }

    fn begin_log_with_received(
        &mut self,
        config: &Config,
        position: u64,
        offset: u64,
    ) -> Result<(), HostError> {
        self.append.begin_with_received(config, position, offset)
    }

    fn give_up_rewrite(&mut self) {
        self.append.give_up_rewrite(None);
    }

    fn stop_log(&mut self) {
        self.append.stop();
    }

    fn child_lives(&mut self, lives: bool) {
        self.append.child_lives(lives);
    }

    fn synced_log(&self) -> (u64, u64) {
        self.append.gate.synced_with_offset()
    }

    fn log_memory(&self) -> usize {
        self.append.memory()
    }

    fn log_figures(&self) -> LogFigures {
        self.append.figures()
    }

    fn open_log(&mut self) -> Result<Vec<LogSource>, HostError> {
        self.append.open_files()
    }

    fn sleep_before_writes(&mut self, microseconds: u64) {
        self.append.sleep_before_writes(microseconds);
    }
}

impl Connections for ServerProcess {
    fn write_now(&mut self, client: ClientId, bytes: &[u8]) {
        if let Some(descriptor) = self.descriptors.get(client) {
            descriptor.write_now(bytes);
        }
    }

    fn coalesce(&mut self, client: ClientId) {
        if let Some(Descriptor { fd, .. }) = self.descriptors.get(client) {
            // SAFETY: the engine's lock is held, so the descriptor stays open: see `Descriptors`.
            let socket = unsafe { BorrowedFd::borrow_raw(fd) };
            // A Unix socket has no such option, and nothing to gain from it.
            let _ = SockRef::from(&socket).set_tcp_nodelay(false);
        }
    }

    fn hang_up(&mut self, client: ClientId) {
        if let Some(Descriptor { fd, .. }) = self.descriptors.get(client) {
            // SAFETY: a system call on a descriptor that stays open, as above. Failing means that the peer has closed the
            // connection already.
            unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }

    fn stop_listening(&mut self) {
        self.listening_pause.close(&self.control.listening.lock());
    }

    fn listen_again(&mut self) {
        self.listening_pause.open(&self.control.listening.lock());
    }
}

impl Couriers for ServerProcess {
    fn ship(&mut self, shipment: Shipment) -> Result<(), HostError> {
        self.couriers.send(shipment)
    }

    fn ship_now(&mut self, shipment: &Shipment) -> Delivery {
        Courier::new(Arc::clone(&self.tls)).deliver(shipment)
    }

    fn cached_targets(&self) -> usize {
        self.couriers.connections()
    }
}

impl PrimaryLink for ServerProcess {
    fn link(&mut self, command: LinkCommand) {
        let link = self
            .link
            .get_or_insert_with(|| link_io::start(self.shared.clone()));
        // Nobody listens any more only when the process is ending.
        let _ = link.send(command);
    }
}

/// Unpredictable bytes from the kernel.
pub(crate) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    // SAFETY: writes to a buffer of that length.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert!(
        count == bytes.len() as isize,
        "the kernel gives 32 random bytes at once"
    );
    bytes
}

/// Refuses the name of a locale that this machine does not have.
pub(crate) fn check_locale(name: &str) -> Result<(), String> {
    let invalid = || "Invalid locale name".to_owned();
    let name = std::ffi::CString::new(name).map_err(|_| invalid())?;
    // SAFETY: makes a locale by a terminated name and frees it; no thread uses it.
    unsafe {
        let locale = libc::newlocale(libc::LC_COLLATE_MASK, name.as_ptr(), std::ptr::null_mut());
        if locale.is_null() {
            return Err(invalid());
        }
        libc::freelocale(locale);
    }
    Ok(())
}

/// Marks everything but standard input and output to be closed by the next program.
fn close_all_descriptors() {
    for fd in 3..1024 {
        // SAFETY: sets a flag; descriptors that are not open are left alone.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Replaces a file: temporary file beside it, sync, rename, sync of the folder.
fn replace_file(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = format!("{path}-{}.tmp", std::process::id());
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        crate::replace::put_in_place(&file, temporary.as_ref(), path.as_ref())
            .map_err(|(_, error)| error)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}
