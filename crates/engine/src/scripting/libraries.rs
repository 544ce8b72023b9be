//! Libraries that come with a dataset, and what their bodies find while they are loaded.

use super::host::log_line;
use crate::host::Level;
use crate::state::ServerState;
use scripting::{LoadHost, LogLevel, Policy};
use std::sync::Arc;

/// Milliseconds that the bodies of libraries may run which have run before, here or elsewhere: those of a snapshot and of
/// the primary. The reference has no limit; ours is there so that no file holds up the server forever.
const TRUSTED_MS_MAX: u64 = 20_000;

/// Whose libraries are loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A client's.
    Client,
    /// The primary's, or a snapshot's.
    Trusted,
}

/// Gives a library's body what it needs of the server.
pub(crate) struct Loading {
    clock: fn() -> u64,
    until_ns: u64,
    logger: fn(Level, &str),
}

impl Loading {
    pub(crate) fn new(state: &ServerState, from: From) -> Self {
        let ms_max = match from {
            From::Client => state.config.lua_function_load_timeout,
            From::Trusted => TRUSTED_MS_MAX,
        };
        let clock = state.clock.monotonic_ns;
        Loading {
            clock,
            until_ns: clock() + ms_max * 1_000_000,
            logger: state.host.logger(),
        }
    }
}

impl LoadHost for Loading {
    fn log(&mut self, level: LogLevel, text: &[u8]) {
        let (level, line) = log_line(level, text);
        (self.logger)(level, &line);
    }

    fn is_over(&mut self) -> bool {
        (self.clock)() > self.until_ns
    }
}

/// The line for the log about libraries of a snapshot that cannot be loaded.
fn failed(error: &scripting::Error) -> String {
    let text = String::from_utf8_lossy(error.text());
    format!("Failed loading library, {text}")
}

/// Puts the libraries of a snapshot in place.
///
/// # Errors
/// One of them cannot be loaded, as a log line; nothing is changed.
pub(crate) fn install(
    state: &mut ServerState,
    codes: &[Arc<[u8]>],
    policy: Policy,
) -> Result<(), String> {
    if codes.is_empty() && state.scripting.counts().0 == 0 {
        return Ok(());
    }
    let mut host = Loading::new(state, From::Trusted);
    let restored = state.scripting.restore_libraries(codes, policy, &mut host);
    restored.map_err(|error| failed(&error))
}

/// Tries whether the libraries of a snapshot can be loaded.
///
/// # Errors
/// One of them cannot be, as a log line.
pub(crate) fn check(state: &mut ServerState, codes: &[Arc<[u8]>]) -> Result<(), String> {
    if codes.is_empty() {
        return Ok(());
    }
    let mut host = Loading::new(state, From::Trusted);
    let checked = state.scripting.check_libraries(codes, &mut host);
    checked.map_err(|error| failed(&error))
}

/// A command has failed an assertion. If a script had called it, its interpreter is lost with it: there will be another
/// one.
#[cold]
pub(crate) fn recover(state: &mut ServerState) {
    if state.scripting.is_running() && state.busy.is_none() {
        let mut host = Loading::new(state, From::Trusted);
        state.scripting.recover(&mut host);
    }
}

/// Forgets all libraries, as a dataset does that is about to be replaced.
pub(crate) fn forget(state: &mut ServerState) {
    // Nothing runs: what did has been given up.
    if let Ok(Some(interpreter)) = state.scripting.flush_libraries() {
        state.host.free_other(Box::new(interpreter));
    }
}
