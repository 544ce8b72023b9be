//! Room for the clients' descriptors.

use crate::{limits, logging};
use config::Config;
use engine::host::Level;
use std::process::ExitCode;

/// Makes room for the clients, or has fewer of them.
///
/// # Errors
/// There is not even room for the process's own files.
pub(super) fn make_room(config: &mut Config) -> Result<(), ExitCode> {
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
