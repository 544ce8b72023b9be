//! From the command line to a configuration and a process ready to serve.

mod command_line;
mod daemon;
mod facts;
mod files;
mod greeting;
mod memory_test;
mod open_files;
mod system_check;
mod users;

use crate::{logging, process};
use commandtable::Names;
use config::{Config, LoadError, ShutdownOptions, Startup, Supervised, Text};
use engine::host::{Level, ProcessFacts};
use std::fs::OpenOptions;
use std::io::Read;
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
    let command_line = command_line::read(crate::title::arguments())?;
    let given =
        command_line.file.is_some() || command_line.stdin || !command_line.options.is_empty();
    let mut path = String::new();
    let mut file = Vec::new();
    if let Some(name) = &command_line.file {
        let name = name.lossy().into_owned();
        path = absolute(&name);
        file = std::fs::read(&path).map_err(|error| {
            logging::log(Level::Warning, &files::unreadable(path.as_ref(), &error));
            ExitCode::FAILURE
        })?;
        let _ = CONFIG_FILE.set(path.clone());
    }
    let mut stdin = Vec::new();
    if command_line.stdin {
        logging::log(Level::Notice, "Reading config from stdin");
    }
    if command_line.stdin && std::io::stdin().read_to_end(&mut stdin).is_err() {
        command_line::complain("Can't read the configuration from standard input\n");
        return Err(ExitCode::FAILURE);
    }
    let startup =
        Startup::load(&command_line.text(&file, &stdin), &mut files::Files).map_err(|error| {
            match error {
                LoadError::File(message) => logging::log(Level::Warning, &message),
                error => command_line::complain(&format!("{}\n", error.to_string().trim_end())),
            }
            ExitCode::FAILURE
        })?;
    let user_lines = refuse_unsupported(&startup)
        .and_then(|()| users::read_lines(&startup.users))
        .map_err(|error| {
            command_line::complain(&format!("{}\n", error.to_string().trim_end()));
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
        command_line::complain(&format!(
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
        daemon::become_daemon().map_err(|error| {
            command_line::complain(&format!("Can't become a daemon: {error}\n"));
            ExitCode::FAILURE
        })?;
        logging::set_pid();
    }
    use_syslog(&config);
    crate::crash::log_panics();
    crate::crash::set_up(&log_file, config.crash_log_enabled);
    greeting::announce(given);
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
    open_files::make_room(&mut config)?;
    logging::log(Level::Notice, "monotonic clock: POSIX clock_gettime");
    write_pid_file(&config);
    greeting::banner(&config);
    for sentence in config::contradictions(&config) {
        logging::log(Level::Warning, &sentence);
    }
    crate::title::show(&config);
    let Some(users) = users::at_start(&config, &user_lines) else {
        clean_up();
        return Err(ExitCode::FAILURE);
    };
    let facts = facts::gather(&config, path);
    Ok(Start {
        config,
        users,
        names: startup.names,
        facts,
    })
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

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
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
