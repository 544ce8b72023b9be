//! The log being loaded: its records are run as they stand, by nobody in particular.
//!
//! A transaction is run when its EXEC is read, so that one that lacks its end leaves nothing behind. Replies go nowhere;
//! an error is worth a line in the log. Nothing expires meanwhile, nobody waits, and nothing is appended or propagated.

use crate::client::Client;
use crate::dispatch;
use crate::engine::Engine;
use crate::exec::Exec;
use crate::host::{Crash, Level};
use crate::registry::Handler;
use crate::scripting::{libraries, parked};
use crate::state::{LoadProgress, Loading, ServerState};
use ::aof::decoder::Kind;
use ::aof::identity::Identity;
use ::aof::reader::{Ending, LogReader, Next, begins_as_rdb};
use commandtable::CommandInfo;
use config::PropagationErrorBehavior;
use dataset::Keys;
use dataset::snapshot::{LoadError, LoadOptions, Loaded, load_from};
use resp::{Protocol, Reply};
use scripting::Policy;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::{self, Chain, Cursor, Read};
use words::Words;

/// Bytes by which a snapshot is told from commands.
const SIGNATURE_BYTES: u64 = 5;
/// Records between two looks at the clock.
const RECORDS_PER_LOOK: usize = 64;

/// One file of the log on its way in.
pub struct LogLoad {
    client: Box<Client>,
    out: Reply,
    /// The commands of the transaction under way.
    queued: Option<Vec<Words>>,
    /// Those of one that is being run.
    running: VecDeque<Words>,
    /// The command of the script that is not at its end, if what was run last is one.
    script: Option<&'static CommandInfo>,
    /// Where in the history of replication the file ends, if it says so; `None` as long as it says nothing of data at all.
    identity: Option<Option<Identity>>,
}

/// How far a file has got.
#[derive(Debug)]
pub enum Step {
    /// There is more.
    More,
    /// It is read to its end.
    End(Ending),
    /// There is a command that nobody knows.
    Unknown(String),
}

/// A file behind its snapshot, with what that held, if it begins with one.
pub type Opened<R> = (Option<Loaded>, LogReader<Chain<Cursor<Vec<u8>>, R>>);

/// Begins to read a file of `size` bytes: its snapshot at once, if it has one.
///
/// # Errors
/// What is wrong with the snapshot, or with the disk.
pub fn open<R: Read>(
    mut source: R,
    size: u64,
    options: impl FnOnce() -> LoadOptions,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Opened<R>, OpenError> {
    let mut first = Vec::new();
    source
        .by_ref()
        .take(SIGNATURE_BYTES)
        .read_to_end(&mut first)
        .map_err(OpenError::Disk)?;
    if !begins_as_rdb(&first) {
        let reader = LogReader::new(Cursor::new(first).chain(source), size);
        return Ok((None, reader));
    }
    let options = options();
    let mut reader = rdb::Reader::with_received(first, source, options.reader());
    let loaded =
        load_from(&mut reader, Vec::new(), &options, progress).map_err(OpenError::Snapshot)?;
    let offset = reader.offset();
    let (received, source) = reader.into_parts();
    let reader = LogReader::behind(
        offset,
        Vec::new(),
        Cursor::new(received).chain(source),
        size,
    );
    Ok((Some(loaded), reader))
}

/// Why a file cannot be read.
#[derive(Debug)]
pub enum OpenError {
    /// The disk says so.
    Disk(io::Error),
    /// Its snapshot is none.
    Snapshot(LoadError),
}

impl LogLoad {
    /// Where in the history of replication the file ends: `None` when it has no data, `Some(None)` when it does not say.
    #[must_use]
    pub fn identity(self) -> Option<Option<Identity>> {
        self.identity
    }

    fn new(now_ms: i64) -> Self {
        let client = Client::without_connection(now_ms);
        LogLoad {
            client,
            out: Reply::new(Protocol::V2),
            queued: None,
            running: VecDeque::new(),
            script: None,
            identity: None,
        }
    }
}

impl Engine {
    /// Refuses most commands until [`Self::end_log_load`]: a log of so many bytes is going to be loaded.
    pub fn begin_log_load(&mut self, total_bytes: u64) {
        self.set_time();
        self.state.loading = Loading::Blocking;
        self.state.load_progress = LoadProgress {
            started_at: self.keys.origin.now_ms / 1000,
            total_bytes,
            ..LoadProgress::default()
        };
        self.keys.effects.recording = false;
        self.state.refresh_gate();
    }

    /// A new file begins, in database 0.
    #[must_use]
    pub fn begin_log_file(&self) -> LogLoad {
        LogLoad::new(self.keys.origin.now_ms)
    }

    /// Puts what a snapshot of the log held in place of the data there are.
    ///
    /// # Errors
    /// A library cannot be loaded, with a line for the log. Then nothing has been put in place.
    pub fn take_log_base(&mut self, loaded: Loaded) -> Result<(), String> {
        libraries::install(&mut self.state, &loaded.functions, Policy::Flush)?;
        self.state.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
        let old = self.keys.replace_all(loaded.dbs);
        self.state.host.free_databases(old, false);
        Ok(())
    }

    /// Runs records for `budget_ns` at most.
    ///
    /// # Errors
    /// Those of the source.
    pub fn load_records<R: Read>(
        &mut self,
        load: &mut LogLoad,
        reader: &mut LogReader<R>,
        budget_ns: u64,
    ) -> io::Result<Step> {
        self.set_time();
        let until_ns = (self.state.clock.monotonic_ns)() + budget_ns;
        let step = run_records(&mut self.keys, &mut self.state, load, reader, until_ns);
        self.settle();
        step
    }

    /// Takes up the configured role, in the history that the log has ended with.
    pub fn start_role_of_log(&mut self, identity: Option<Identity>) {
        let restored = identity.and_then(|identity| {
            let replid = replication::ReplId::parse(identity.replid.as_bytes())?;
            Some((replid, identity.offset, identity.stream_db))
        });
        self.start_role(restored);
    }

    /// The log is loaded, and the process appends to it from now on: everybody is served.
    pub fn end_log_load(&mut self) {
        self.set_time();
        self.state.aof.state = super::State::On;
        self.state.aof.begin_file();
        self.state.loading = Loading::No;
        self.state.saving.dirty_at_save = self.keys.dirty;
        crate::saving::set_resize_policy(&mut self.keys, &self.state);
        self.keys.effects.recording = self.state.records();
        self.state.refresh_gate();
    }
}

fn run_records<R: Read>(
    keys: &mut Keys,
    state: &mut ServerState,
    load: &mut LogLoad,
    reader: &mut LogReader<R>,
    until_ns: u64,
) -> io::Result<Step> {
    loop {
        for _ in 0..RECORDS_PER_LOOK {
            if load.script.is_some() {
                go_on_with_script(keys, state, load, until_ns);
                if load.script.is_some() {
                    return Ok(Step::More);
                }
            }
            if let Some(words) = load.running.pop_front() {
                let args: SmallVec<[&[u8]; 8]> = words.iter().collect();
                if let Err(name) = run(keys, state, load, &args) {
                    return Ok(Step::Unknown(name));
                }
                continue;
            }
            let record = match reader.next_record()? {
                Next::Record(record) => record,
                Next::End(ending) => return Ok(Step::End(ending)),
            };
            let ran = match (record.kind, &mut load.queued) {
                (Kind::Annotation, _) => {
                    let text = record.args.get(0).unwrap_or_default();
                    if let Some(identity) = Identity::parse(text) {
                        load.identity = Some(Some(identity));
                    }
                    continue;
                }
                (Kind::Multi, queued) => {
                    *queued = Some(Vec::new());
                    Ok(())
                }
                (Kind::Exec, queued) => {
                    load.running = queued.take().unwrap_or_default().into();
                    Ok(())
                }
                (Kind::Command, Some(queued)) => {
                    let args: SmallVec<[&[u8]; 8]> = record.args.iter().collect();
                    queued.push(Words::new(&args));
                    Ok(())
                }
                (Kind::Command, None) => {
                    let args: SmallVec<[&[u8]; 8]> = record.args.iter().collect();
                    run(keys, state, load, &args)
                }
            };
            // The history has moved on.
            load.identity = Some(None);
            if let Err(name) = ran {
                return Ok(Step::Unknown(name));
            }
        }
        if (state.clock.monotonic_ns)() >= until_ns {
            return Ok(Step::More);
        }
    }
}

/// Runs one command.
///
/// # Errors
/// The name of a command that is none, or is not called so.
fn run(
    keys: &mut Keys,
    state: &mut ServerState,
    load: &mut LogLoad,
    args: &[&[u8]],
) -> Result<(), String> {
    let unknown =
        || String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
    let (command, handler) = dispatch::find(state, args, None).map_err(|_| unknown())?;
    if !command.accepts(args.len()) {
        return Err(unknown());
    }
    keys.origin = crate::origin::log(state, load.client.db, keys.origin.now_ms);
    load.out.truncate(0);
    let mut x = Exec {
        keys,
        state,
        client: &mut load.client,
        out: &mut load.out,
        command,
        waits: false,
    };
    let outcome = match handler {
        Handler::Data(handler) => x.run_data(handler, args),
        Handler::Engine(handler) => handler(&mut x, args),
    };
    load.client.blocked = None;
    if state.parked.is_some() {
        load.script = Some(command);
        return Ok(());
    }
    if let Err(error) = outcome {
        complain(state, &error.text(), command.full_name);
    } else {
        complain_of_reply(state, &load.out, command.full_name);
    }
    Ok(())
}

/// Goes on with the script that was left, for a while.
fn go_on_with_script(keys: &mut Keys, state: &mut ServerState, load: &mut LogLoad, until_ns: u64) {
    let Some(command) = load.script else {
        return;
    };
    let mut x = Exec {
        keys,
        state,
        client: &mut load.client,
        out: &mut load.out,
        command,
        waits: false,
    };
    parked::go_on(&mut x, until_ns);
    if state.parked.is_none() {
        load.script = None;
        complain_of_reply(state, &load.out, command.full_name);
    }
}

/// Looks at a reply: an error is complained of.
fn complain_of_reply(state: &mut ServerState, out: &Reply, name: &str) {
    if let Some(line) = out.output().start().strip_prefix(b"-") {
        let error = String::from_utf8_lossy(line).trim_end().to_owned();
        complain(state, &error, name);
    }
}

/// Loads the files of the log in place of the data there are, while everybody waits.
///
/// # Errors
/// Why not, as a log line. There are no data then.
pub(crate) fn reload(keys: &mut Keys, state: &mut ServerState) -> Result<(), String> {
    super::push(state);
    state.host.sync_log()?;
    let sources = state.host.open_log()?;
    let databases = keys.dbs.len();
    let mut empty = Vec::new();
    empty.resize_with(databases, keyspace::Db::new);
    let old = keys.replace_all(empty);
    libraries::forget(state);
    state.host.free_databases(old, false);
    state.loading = Loading::Blocking;
    keys.effects.recording = false;
    let outer = keys.origin;
    let loaded = sources
        .into_iter()
        .try_for_each(|source| reload_file(keys, state, source));
    keys.origin = outer;
    state.loading = Loading::No;
    keys.effects.recording = state.records();
    crate::saving::set_resize_policy(keys, state);
    keys.break_own_watches();
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    state.refresh_gate();
    loaded
}

fn reload_file(
    keys: &mut Keys,
    state: &mut ServerState,
    source: crate::host::LogSource,
) -> Result<(), String> {
    let name = source.name;
    let options = || LoadOptions {
        keep_expired: true,
        ..crate::saving::load_options(keys, state)
    };
    let opened = open(source.source, source.size, options, &mut |_| true);
    let (loaded, mut reader) = opened.map_err(|error| match error {
        OpenError::Disk(error) => format!("{name}: {error}"),
        OpenError::Snapshot(error) => error.to_string(),
    })?;
    if let Some(loaded) = loaded {
        libraries::install(state, &loaded.functions, Policy::Flush)?;
        let old = keys.replace_all(loaded.dbs);
        state.host.free_databases(old, false);
    }
    let mut load = LogLoad::new(keys.origin.now_ms);
    match run_records(keys, state, &mut load, &mut reader, u64::MAX) {
        Ok(Step::End(ending)) => match ending.damage {
            None => Ok(()),
            Some(damage) => Err(format!("{name}: {damage}")),
        },
        Ok(Step::Unknown(command)) => Err(format!(
            "Unknown command '{command}' reading the append only file {name}"
        )),
        Ok(Step::More) => Err(format!("{name}: not read to its end")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// What a log asks for is refused: the data may differ from what they were.
#[cold]
fn complain(state: &mut ServerState, error: &str, name: &str) {
    state.stats.unexpected_error_replies += 1;
    let line = format!(
        "== CRITICAL == This server is sending an error to its AOF-loading-client: '{error}' after processing the command '{name}'"
    );
    state.log(Level::Warning, &line);
    if state.config.propagation_error_behavior == PropagationErrorBehavior::Panic {
        state.host.crash(Crash::Panic(format!(
            "This server panicked sending an error to its AOF-loading-client after processing the command '{name}'"
        )));
    }
}
