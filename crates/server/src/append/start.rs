//! The log at the start: what lies there is loaded, or a log is begun.

use super::layout::{self, Known};
use super::{AppendFile, MARKS};
use crate::shared::Shared;
use crate::{clock, logging};
use aof::files::{Disk, Files, LogFile};
use aof::identity::Identity;
use aof::names::{BaseForm, Names};
use aof::reader::{Ending, LogReader, Truncated, Verdict};
use aof::start::{self, Begin, Load, Plan, Ready, ToLoad};
use aof::steps::{Step as FileStep, perform};
use aof::writer;
use engine::aof::load::{OpenError, Step, open};
use engine::host::Level;
use parking_lot::MutexGuard;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// Nanoseconds for which records are run before others have their turn.
const SLICE_NS: u64 = 5_000_000;

/// Lines for the log that say why the server does not start.
type Refused = Vec<String>;

fn why(error: impl ToString) -> Refused {
    error.to_string().lines().map(str::to_owned).collect()
}

fn notice(line: &str) {
    logging::log(Level::Notice, line);
}

fn seconds_since(started_ns: u64) -> f64 {
    (clock::monotonic_ns() - started_ns) as f64 / 1e9
}

/// Parameters that a start depends on.
struct Wanted {
    names: Names,
    dump: String,
    truncated: Truncated,
    form: BaseForm,
}

/// Loads the log, or begins one, and opens it to be written. Others are told that the dataset is being loaded.
///
/// # Errors
/// Why the server does not start.
pub(crate) fn load_at_start(shared: &Arc<Shared>) -> Result<(), Refused> {
    let wanted = {
        let engine = shared.engine.lock();
        let config = &engine.state.config;
        Wanted {
            names: layout::names(config),
            dump: config.dbfilename.lossy().into_owned(),
            truncated: if config.aof_load_truncated {
                Truncated::Load
            } else {
                Truncated::Refuse
            },
            form: if config.aof_use_rdb_preamble {
                BaseForm::Rdb
            } else {
                BaseForm::Commands
            },
        }
    };
    let names = &wanted.names;
    let seen = start::look(&Disk, names, wanted.dump.as_ref()).map_err(why)?;
    let (ready, read) = match start::plan(&seen, names).map_err(why)? {
        Plan::Begin(begin) => (begin_log(shared, &wanted, &begin)?, Read::default()),
        Plan::Load(load) => load_log(shared, &wanted, &load)?,
    };
    let ready = if shared.append.keeps_history() {
        ready
    } else {
        ready.without_history(names)
    };
    perform(&Disk, &ready.steps).map_err(why)?;
    ready.lines.iter().for_each(|line| notice(line));
    // What cannot be removed is in nobody's way.
    for path in start::leftovers(&Disk, names).unwrap_or_default() {
        if let Err(error) = perform(&Disk, &[FileStep::Remove(path)]) {
            logging::log(Level::Warning, &error.to_string());
        }
    }
    let (file, size) =
        writer::begin(&Disk, &ready.file, read.synced_to, MARKS).map_err(|error| {
            let reason = aof::files::reason(&error);
            vec![format!(
                "Can't open the append-only file {}: {reason}",
                ready.file.display()
            )]
        })?;
    let known = Known::new(wanted.names, ready.manifest);
    shared
        .append
        .open_at_start(known, file, size)
        .map_err(why)?;
    // At once: nothing may be written before it is logged.
    let mut engine = shared.engine.lock();
    engine.end_log_load();
    engine.start_role_of_log(read.identity);
    Ok(())
}

/// There is no log: one is begun, with what the dump file holds, if there is one.
fn begin_log(shared: &Arc<Shared>, wanted: &Wanted, begin: &Begin) -> Result<Ready, Refused> {
    perform(&Disk, &begin.before).map_err(why)?;
    let base = wanted.names.temp_base(std::process::id());
    let mut form = wanted.form;
    if begin.load_dump {
        let line = format!(
            "There is no append-only file: the data of {} are loaded, and a log begins with them.",
            wanted.dump
        );
        logging::log(Level::Warning, &line);
        load_dump(shared, wanted)?;
        // The dump file as it is.
        form = BaseForm::Rdb;
        let copy = || -> io::Result<()> {
            let mut from = File::open(&wanted.dump)?;
            let mut to = Disk.create(&base)?;
            io::copy(&mut from, &mut to)?;
            to.sync()
        };
        copy().map_err(|error| {
            let reason = aof::files::reason(&error);
            vec![format!(
                "Can't copy {} to the base of the append-only file: {reason}",
                wanted.dump
            )]
        })?;
    } else {
        let bytes = shared.engine.lock().empty_base(form == BaseForm::Commands);
        let write = || -> io::Result<()> {
            let mut to = Disk.create(&base)?;
            to.write_all(&bytes)?;
            to.sync()
        };
        write().map_err(|error| {
            let reason = aof::files::reason(&error);
            vec![format!(
                "Can't write the base of the append-only file: {reason}"
            )]
        })?;
    }
    Ok(begin.after(&wanted.names, &base, form, MARKS))
}

/// Loads the dump file.
fn load_dump(shared: &Arc<Shared>, wanted: &Wanted) -> Result<(), Refused> {
    let started_ns = clock::monotonic_ns();
    let unreadable = |error: io::Error| {
        let (name, reason) = (&wanted.dump, aof::files::reason(&error));
        vec![format!(
            "Fatal error: can't open the RDB file {name} for reading: {reason}"
        )]
    };
    let source = File::open(&wanted.dump).map_err(unreadable)?;
    let size = source.size().map_err(unreadable)?;
    let options = {
        let mut engine = shared.engine.lock();
        engine.begin_log_load(size);
        let is_replica = engine.state.config.replicaof.is_some();
        engine.load_options(is_replica)
    };
    let mut progress = |bytes| {
        shared.engine.lock().state.load_progress.loaded_bytes = bytes;
        true
    };
    let loaded = dataset::snapshot::load(source, &options, &mut progress);
    let loaded = loaded.map_err(|error| error.last_words().to_vec())?;
    let taken = shared.engine.lock().take_log_base(loaded);
    taken.map_err(|line| vec![line])?;
    let seconds = seconds_since(started_ns);
    notice(&format!("DB loaded from disk: {seconds:.3} seconds"));
    Ok(())
}

/// What has been read besides data.
#[derive(Default)]
struct Read {
    /// How far the marks of the last file say that it was synced.
    synced_to: Option<u64>,
    /// Where in the history of replication the log ends.
    identity: Option<Identity>,
}

/// Loads what there is.
fn load_log(shared: &Arc<Shared>, wanted: &Wanted, load: &Load) -> Result<(Ready, Read), Refused> {
    perform(&Disk, &load.before).map_err(why)?;
    load.lines.iter().for_each(|line| notice(line));
    let ready = load.after(&wanted.names, MARKS);
    let started_ns = clock::monotonic_ns();
    let total = load.files.iter().map(|file| file.size).sum();
    shared.engine.lock().begin_log_load(total);
    let (mut before, mut read) = (0, Read::default());
    for file in &load.files {
        let file_started_ns = clock::monotonic_ns();
        let (marks, identity) = load_file(shared, wanted, file, before)?;
        read.identity = identity.unwrap_or(read.identity);
        before += file.size;
        let path = wanted.names.path(&file.name);
        if path == ready.file {
            read.synced_to = marks;
        } else if !file.is_base {
            writer::settle(&Disk, &path, marks).map_err(|error| unreadable(file, &error))?;
        }
        let kind = if file.is_base { "base" } else { "incr" };
        let name = String::from_utf8_lossy(&file.name);
        let seconds = seconds_since(file_started_ns);
        notice(&format!(
            "DB loaded from {kind} file {name}: {seconds:.3} seconds"
        ));
    }
    let seconds = seconds_since(started_ns);
    notice(&format!(
        "DB loaded from append only file: {seconds:.3} seconds"
    ));
    Ok((ready, read))
}

fn unreadable(file: &ToLoad, error: &io::Error) -> Refused {
    let (name, reason) = (
        String::from_utf8_lossy(&file.name),
        aof::files::reason(error),
    );
    vec![format!(
        "Unrecoverable error reading the append only file {name}: {reason}"
    )]
}

/// Loads one file; how far its marks say that it was synced, and what it says of its place in the history.
fn load_file(
    shared: &Arc<Shared>,
    wanted: &Wanted,
    file: &ToLoad,
    before: u64,
) -> Result<(Option<u64>, Option<Option<Identity>>), Refused> {
    let name = String::from_utf8_lossy(&file.name);
    let path = wanted.names.path(&file.name);
    let source = Disk.read(&path, 0).map_err(|error| {
        let reason = aof::files::reason(&error);
        vec![format!(
            "Fatal error: can't open the append log file {name} for reading: {reason}"
        )]
    })?;
    let is_old = file.name == wanted.names.old();
    let options = || {
        notice(match (file.is_base, is_old) {
            (true, false) => "Reading RDB base file on AOF loading...",
            _ => "Reading RDB preamble from AOF file...",
        });
        let mut options = shared.engine.lock().load_options(true);
        options.total_bytes = None;
        options
    };
    let mut progress = |bytes| {
        shared.engine.lock().state.load_progress.loaded_bytes = before + bytes;
        true
    };
    let (loaded, mut reader) =
        open(source, file.size, options, &mut progress).map_err(|error| match error {
            OpenError::Disk(error) => unreadable(file, &error),
            OpenError::Snapshot(error) => error.last_words().to_vec(),
        })?;
    if let Some(loaded) = loaded {
        if !file.is_base {
            // What was loaded before would be gone.
            return Err(vec![format!(
                "Fatal error: the AOF file {name} is no base, and begins with a snapshot"
            )]);
        }
        let taken = shared.engine.lock().take_log_base(loaded);
        taken.map_err(|line| vec![line])?;
        if is_old {
            notice("Reading the remaining AOF tail...");
        }
    }
    let (ending, mut identity) = run(shared, file, &mut reader, before)?;
    let marks = reader.synced_to();
    match ending.verdict(&name, file.place, wanted.truncated) {
        Verdict::Whole => {}
        Verdict::Refuse { lines } => return Err(lines),
        Verdict::Cut { at, lines } => {
            // Who knows what has been there.
            identity = Some(None);
            let (last, others) = lines
                .split_last()
                .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            others
                .iter()
                .for_each(|line| logging::log(Level::Warning, line));
            let cut = Disk.open(&path).and_then(|mut file| {
                file.truncate(at)?;
                file.sync()
            });
            cut.map_err(|error| {
                vec![format!(
                    "Error truncating the AOF file {name}: {}",
                    aof::files::reason(&error)
                )]
            })?;
            logging::log(Level::Warning, last);
        }
    }
    Ok((marks, identity))
}

/// Runs the records of a file. Others have their turn in between.
fn run<R: io::Read>(
    shared: &Arc<Shared>,
    file: &ToLoad,
    reader: &mut LogReader<R>,
    before: u64,
) -> Result<(Ending, Option<Option<Identity>>), Refused> {
    let mut load = shared.engine.lock().begin_log_file();
    loop {
        let mut engine = shared.engine.lock();
        let step = engine.load_records(&mut load, reader, SLICE_NS);
        engine.state.load_progress.loaded_bytes = before + reader.received();
        MutexGuard::unlock_fair(engine);
        match step.map_err(|error| unreadable(file, &error))? {
            Step::More => {}
            Step::End(ending) => return Ok((ending, load.identity())),
            Step::Unknown(command) => {
                let (name, offset) = (String::from_utf8_lossy(&file.name), reader.valid_to());
                return Err(vec![
                    format!("Unknown command '{command}' reading the append only file {name}"),
                    format!("AOF {name}: valid up to offset {offset}"),
                ]);
            }
        }
    }
}

impl AppendFile {
    /// The log that has been loaded, or begun, is written from now on: `file`, of which `size` bytes are there.
    fn open_at_start(&self, known: Known, file: File, size: u64) -> io::Result<()> {
        self.publish_sizes(&known);
        self.layout.lock().known = Some(known);
        let mut mouth = self.mouth.lock();
        mouth.open(file, size, self.gate.written())?;
        self.keep_for_sync(&mut mouth);
        Ok(())
    }
}
