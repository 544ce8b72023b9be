//! From the command line to a configuration and a process ready to serve.
#![allow(unsafe_code, reason = "daemons are made with system calls")]

mod memory_test;
mod system_check;
mod users;

use crate::{limits, logging, process};
use commandtable::Names;
use config::{
    Config, Invocation, LoadError, ShutdownOptions, Startup, Supervised, Surroundings, Text,
};
use engine::host::{Level, ProcessFacts};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};

/// A process ready to serve.
pub(crate) struct Start {
    /// The parameters.
    pub(crate) config: Config,
    /// Who may log in.
    pub(crate) users: acl::Users,
    /// The names of commands.
    pub(crate) names: Names,
    /// Facts for INFO.
    pub(crate) facts: ProcessFacts,
}

/// Files to remove at the end, with what the log calls them.
static LEFTOVERS: Mutex<Vec<(&'static str, String)>> = Mutex::new(Vec::new());

/// The configuration file, if there is one.
static CONFIG_FILE: OnceLock<String> = OnceLock::new();

/// The configuration file as the process title shows it.
pub(crate) fn config_file() -> String {
    CONFIG_FILE.get().map_or("-", String::as_str).to_owned()
}

/// Has the file of that name in the log and at that path removed at the end.
pub(crate) fn leave_behind(name: &'static str, path: String) {
    if let Ok(mut leftovers) = LEFTOVERS.lock() {
        leftovers.push((name, path));
    }
}

/// Removes the process's own files: pid file and unix socket.
pub(crate) fn clean_up() {
    if let Ok(mut leftovers) = LEFTOVERS.lock() {
        for (name, path) in leftovers.drain(..) {
            logging::log(Level::Notice, &format!("Removing the {name} file."));
            // It may have been removed by somebody else.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Reads command line and files, applies what concerns the process itself.
///
/// # Errors
/// The exit code when there is nothing to serve: an error has been printed, or what was asked for.
pub(crate) fn read() -> Result<Start, ExitCode> {
    logging::set_pid();
    crate::title::set_up();
    let called = crate::title::arguments().first();
    if let Some(program) = called.and_then(|called| tools::by_name(&called.to_string_lossy())) {
        return Err(program(crate::title::arguments().to_vec()));
    }
    if let Some(refusal) = refuse_role(crate::title::arguments()) {
        complain(&format!("{refusal}\n"));
        return Err(ExitCode::FAILURE);
    }
    let arguments: Vec<Vec<u8>> = crate::title::arguments()
        .iter()
        .skip(1)
        .map(|arg| arg.as_bytes().to_vec())
        .collect();
    let command_line = match Invocation::parse(&arguments) {
        Ok(Invocation::Run(command_line)) => command_line,
        Ok(Invocation::Version) => {
            print(&version_line());
            return Err(ExitCode::SUCCESS);
        }
        Ok(Invocation::Help) => {
            complain(USAGE);
            return Err(ExitCode::FAILURE);
        }
        Ok(Invocation::TestMemory(megabytes)) => return Err(test_memory(megabytes.as_ref())),
        Ok(Invocation::CheckSystem) => {
            let (report, fine) = system_check::run();
            print(&report);
            return Err(if fine {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            return Err(ExitCode::FAILURE);
        }
    };
    let given =
        command_line.file.is_some() || command_line.stdin || !command_line.options.is_empty();
    let mut path = String::new();
    let mut file = Vec::new();
    if let Some(name) = &command_line.file {
        let name = name.lossy().into_owned();
        path = absolute(&name);
        file = std::fs::read(&path).map_err(|error| {
            logging::log(Level::Warning, &unreadable(path.as_ref(), &error));
            ExitCode::FAILURE
        })?;
        let _ = CONFIG_FILE.set(path.clone());
    }
    let mut stdin = Vec::new();
    if command_line.stdin {
        logging::log(Level::Notice, "Reading config from stdin");
    }
    if command_line.stdin && std::io::stdin().read_to_end(&mut stdin).is_err() {
        complain("Can't read the configuration from standard input\n");
        return Err(ExitCode::FAILURE);
    }
    let startup =
        Startup::load(&command_line.text(&file, &stdin), &mut Files).map_err(|error| {
            match error {
                LoadError::File(message) => logging::log(Level::Warning, &message),
                error => complain(&format!("{}\n", error.to_string().trim_end())),
            }
            ExitCode::FAILURE
        })?;
    let user_lines = refuse_unsupported(&startup)
        .and_then(|()| users::read_lines(&startup.users))
        .map_err(|error| {
            complain(&format!("{}\n", error.to_string().trim_end()));
            ExitCode::FAILURE
        })?;
    let mut config = startup.config;
    if let Ok(folder) = std::env::current_dir() {
        config.dir = Text::from(folder.as_os_str().as_bytes());
    }
    let log_file = config.logfile.lossy().into_owned();
    if !log_file.is_empty()
        && let Err(error) = OpenOptions::new().append(true).create(true).open(&log_file)
    {
        complain(&format!(
            "\n*** FATAL CONFIG FILE ERROR (Version {}) ***\nCan't open the log file: {}\n",
            words::version::VALKEY,
            crate::errno_text(&error)
        ));
        return Err(ExitCode::FAILURE);
    }
    logging::configure(&log_file, process::threshold(config.loglevel));
    let supervised = crate::supervise::begin(config.supervised);
    // Who is supervised stays the process that was started.
    if config.daemonize && supervised == Supervised::No {
        become_daemon().map_err(|error| {
            complain(&format!("Can't become a daemon: {error}\n"));
            ExitCode::FAILURE
        })?;
        logging::set_pid();
    }
    use_syslog(&config);
    crate::crash::log_panics();
    crate::crash::set_up(&log_file, config.crash_log_enabled);
    announce(given);
    if process::check_locale(&config.locale_collate.lossy()).is_err() {
        logging::log(
            Level::Warning,
            "Failed to configure LOCALE for invalid locale name.",
        );
        return Err(ExitCode::FAILURE);
    }
    logging::set_role(if config.replicaof.is_some() {
        b'S'
    } else {
        b'M'
    });
    raise_open_files(&mut config)?;
    logging::log(Level::Notice, "monotonic clock: POSIX clock_gettime");
    write_pid_file(&config);
    banner(&config);
    crate::title::show(&config);
    let Some(users) = users::at_start(&config, &user_lines) else {
        clean_up();
        return Err(ExitCode::FAILURE);
    };
    let facts = facts(&config, path);
    Ok(Start {
        config,
        users,
        names: startup.names,
        facts,
    })
}

/// Why the program cannot be what its name, or `--sentinel`, asks for. A server instead would be a surprise.
fn refuse_role(arguments: &[OsString]) -> Option<String> {
    let called = std::path::Path::new(arguments.first()?).file_name()?;
    let called = called.to_string_lossy();
    let is = |role: &str| {
        ["valkey", "redis"]
            .iter()
            .any(|product| called.contains(&format!("{product}-{role}")))
    };
    let missing = if is("sentinel") || arguments.iter().any(|argument| argument == "--sentinel") {
        "has no Sentinel mode"
    } else {
        return None;
    };
    Some(format!("{called}: this build {missing}"))
}

/// `--test-memory`.
fn test_memory(megabytes: Option<&Text>) -> ExitCode {
    let Some(megabytes) = megabytes else {
        complain(
            "Please specify the amount of memory to test in megabytes.\nExample: ./valkey-server --test-memory 4096\n\n",
        );
        return ExitCode::FAILURE;
    };
    let Some(megabytes) = megabytes.lossy().parse().ok() else {
        complain("The amount of memory to test must be a number of megabytes.\n");
        return ExitCode::FAILURE;
    };
    match memory_test::run(megabytes, &mut std::io::stdout()) {
        Ok(()) => {
            print(
                "\nYour memory passed this test.\nPlease if you are still in doubt use the following two tools:\n1) memtest86: http://www.memtest86.com/\n2) memtester: http://pyropus.ca/software/memtester/\n",
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The system's log gets the lines too, if it is wanted.
fn use_syslog(config: &Config) {
    if !config.syslog_enabled {
        return;
    }
    let ident = config.syslog_ident.lossy();
    match logging::syslog::Syslog::new(logging::syslog::SOCKET, &ident, config.syslog_facility) {
        Ok(syslog) => logging::add_syslog(syslog),
        Err(error) => logging::log(
            Level::Warning,
            &format!("Can't write to syslog: {}", crate::errno_text(&error)),
        ),
    }
}

/// Directives of features that this build does not have stop the start: silence would be worse.
fn refuse_unsupported(startup: &Startup) -> Result<(), LoadError> {
    match startup.modules.first() {
        Some(module) => Err(module.error("This build loads no modules".into())),
        None => Ok(()),
    }
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> String {
    format!(
        "Fatal error, can't open config file '{}': {}",
        path.display(),
        crate::errno_text(error)
    )
}

/// Reads included files and changes the folder while the configuration is read.
struct Files;

impl Surroundings for Files {
    fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let pattern = &*String::from_utf8_lossy(pattern);
        let read =
            |path: &std::path::Path| std::fs::read(path).map_err(|error| unreadable(path, &error));
        if !pattern.contains(['*', '?', '[']) {
            return Ok(vec![read(std::path::Path::new(pattern))?]);
        }
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        // The crate sorts by name.
        paths
            .filter_map(Result::ok)
            .map(|path| read(&path))
            .collect()
    }

    fn change_dir(&mut self, path: &[u8]) -> Result<(), String> {
        std::env::set_current_dir(std::ffi::OsStr::from_bytes(path))
            .map_err(|error| crate::errno_text(&error))
    }
}

/// `-v`.
fn version_line() -> String {
    format!(
        "Valkey server v={} sha=00000000:0 malloc={} bits=64 build={BUILD_ID}\n",
        words::version::VALKEY,
        crate::memory::allocator(),
    )
}

/// A digest of the sources, 16 hexadecimal digits: made by `build.rs`.
pub(crate) const BUILD_ID: &str = env!("BUILD_ID");

const USAGE: &str = "Usage: ./valkey-server [/path/to/valkey.conf] [options] [-]
       ./valkey-server - (read config from stdin)
       ./valkey-server -v or --version
       ./valkey-server -h or --help
       ./valkey-server --test-memory <megabytes>
       ./valkey-server --check-system

Examples:
       ./valkey-server (run the server with default conf)
       echo 'maxmemory 128mb' | ./valkey-server -
       ./valkey-server /etc/valkey/6379.conf
       ./valkey-server --port 7777
       ./valkey-server --port 7777 --replicaof 127.0.0.1 8888
       ./valkey-server /etc/myvalkey.conf --loglevel verbose -
       ./valkey-server /etc/myvalkey.conf --loglevel verbose

Sentinel mode is not part of this program.
";

fn print(text: &str) {
    // Nobody to tell when standard output is gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    // Nobody to tell when standard error is gone.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

fn announce(given: bool) {
    if let Some(warning) = system_check::overcommit_warning() {
        logging::log(Level::Warning, &format!("WARNING {warning}"));
    }
    logging::log(
        Level::Notice,
        "oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo",
    );
    logging::log(
        Level::Notice,
        &format!(
            "Valkey version={}, bits=64, commit=00000000, modified=0, pid={}, just started",
            words::version::VALKEY,
            std::process::id()
        ),
    );
    if given {
        logging::log(Level::Notice, "Configuration loaded");
    } else {
        logging::log(
            Level::Warning,
            "Warning: no config file specified, using the default config. In order to specify a config file use valkey-server /path/to/valkey.conf",
        );
    }
}

fn banner(config: &Config) {
    let port = config.port;
    let terminal = config.logfile.as_bytes().is_empty()
        && std::io::IsTerminal::is_terminal(&std::io::stdout());
    if config.always_show_logo || terminal {
        let version = words::version::VALKEY;
        let pid = std::process::id();
        logging::raw(
            format!(
                "
        .+.
      .'   '.
    .'  .-.  '.        Valkey {version} (00000000/0) 64 bit
   |   ( o )   |
   |    '+'    |       Running in standalone mode
    '.   |   .'        Port: {port}
      '. | .'          PID: {pid}
        '+'
                       https://valkey.io

"
            )
            .as_bytes(),
        );
    } else {
        logging::log(
            Level::Notice,
            &format!("Running mode=standalone, port={port}."),
        );
    }
}

/// Tells of a queue of new connections that the system makes shorter than asked for.
pub(crate) fn warn_of_backlog(wanted: i32) {
    const PATH: &str = "/proc/sys/net/core/somaxconn";
    let most = std::fs::read_to_string(PATH)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(most) = most.filter(|most| *most > 0 && *most < wanted) {
        logging::log(
            Level::Warning,
            &format!(
                "WARNING: The TCP backlog setting of {wanted} cannot be enforced because {PATH} is set to the lower value of {most}."
            ),
        );
    }
}

fn write_pid_file(config: &Config) {
    let path = match config.pidfile.lossy().into_owned() {
        path if !path.is_empty() => path,
        _ if config.daemonize => "/var/run/valkey.pid".to_owned(),
        _ => return,
    };
    match std::fs::write(&path, format!("{}\n", std::process::id())) {
        Ok(()) => {
            leave_behind("pid", absolute(&path));
        }
        Err(error) => {
            logging::log(
                Level::Warning,
                &format!("Failed to write PID file: {}", crate::errno_text(&error)),
            );
        }
    }
}

/// Makes room for the clients, or has fewer of them.
///
/// # Errors
/// There is not even room for the process's own files.
fn raise_open_files(config: &mut Config) -> Result<(), ExitCode> {
    let before = limits::open_files();
    match limits::raise_open_files(config.maxclients) {
        Ok(()) => {
            let now = limits::open_files();
            if now != before {
                logging::log(
                    Level::Notice,
                    &format!(
                        "Increased maximum number of open files to {now} (it was originally set to {before})."
                    ),
                );
            }
        }
        Err(few) => {
            let asked = config.maxclients;
            let wanted = u64::from(asked) + limits::RESERVED_DESCRIPTORS;
            let now = limits::open_files();
            if few.clients == 0 {
                logging::log(
                    Level::Warning,
                    &format!(
                        "Your current 'ulimit -n' of {now} is not enough for the server to start. Please increase your open file limit to at least {wanted}. Exiting."
                    ),
                );
                return Err(ExitCode::FAILURE);
            }
            config.maxclients = u32::try_from(few.clients).unwrap_or(asked);
            for line in [
                format!(
                    "You requested maxclients of {asked} requiring at least {wanted} max file descriptors."
                ),
                format!(
                    "Server can't set maximum open files to {wanted} because of OS error: {}.",
                    crate::errno_text(&few.reason)
                ),
                format!(
                    "Current maximum open files is {now}. maxclients has been reduced to {} to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.",
                    config.maxclients
                ),
            ] {
                logging::log(Level::Warning, &line);
            }
        }
    }
    Ok(())
}

fn facts(config: &Config, config_file: String) -> ProcessFacts {
    let random = process::random_bytes();
    let run_id = random
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ProcessFacts {
        pid: std::process::id(),
        os: system_name(),
        build_id: BUILD_ID,
        allocator: crate::memory::allocator(),
        executable: std::env::current_exe()
            .map_or_else(|_| String::new(), |path| path.display().to_string()),
        config_file,
        supervised: crate::supervise::in_force().name().to_owned(),
        listeners: Vec::new(),
        port: u16::try_from(config.port).unwrap_or(0),
        run_id,
        started_at: (crate::clock::unix_us() / 1_000_000) as i64,
    }
}

/// System, release and machine, as `uname` tells them.
fn system_name() -> String {
    // SAFETY: all-zero is a valid `utsname`, and `uname` writes only to it.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        name
    };
    let text = |field: &[libc::c_char]| -> String {
        field
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte as u8))
            .collect()
    };
    format!(
        "{} {} {}",
        text(&name.sysname),
        text(&name.release),
        text(&name.machine)
    )
}

/// Goes on in a child of its own session, with standard streams going nowhere.
fn become_daemon() -> std::io::Result<()> {
    // SAFETY: the process has one thread yet, so the child is as complete as its parent.
    unsafe {
        match libc::fork() {
            -1 => return Err(std::io::Error::last_os_error()),
            0 => {}
            _ => libc::_exit(0),
        }
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            for stream in 0..3 {
                libc::dup2(null, stream);
            }
            if null > 2 {
                libc::close(null);
            }
        }
    }
    Ok(())
}

/// What a signal asks for.
pub(crate) fn shutdown_options(wanted: ShutdownOptions) -> engine::shutdown::Options {
    let save = if wanted.contains(ShutdownOptions::SAVE) {
        Some(true)
    } else if wanted.contains(ShutdownOptions::NOSAVE) {
        Some(false)
    } else {
        None
    };
    engine::shutdown::Options {
        save,
        now: wanted.contains(ShutdownOptions::NOW),
        force: wanted.contains(ShutdownOptions::FORCE),
    }
}
