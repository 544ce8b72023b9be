//! The first lines of the log.

use super::system_check;
use crate::logging;
use config::Config;
use engine::host::Level;

/// Says who starts, and whether a configuration was `given`.
pub(super) fn announce(given: bool) {
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

/// Says how it serves: with a picture where people look, else in a line.
pub(super) fn banner(config: &Config) {
    let port = crate::listener::shown_port(config);
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
