//! The engine as a script that runs sees it.

use super::checks;
use super::run::Active;
use crate::dispatch::{self, find, write_error};
use crate::exec::Exec;
use crate::host::Level;
use commandtable::{CommandInfo, Error, Flags};
use dataset::effects::Audience;
use resp::Reply;
use scripting::{Host, LogLevel, Targets};

/// The engine behind a script.
pub(super) struct Caller<'a, 'e> {
    /// The script's own command: its client is who has everything run.
    pub(super) x: &'a mut Exec<'e>,
    pub(super) active: &'a mut Active,
}

impl Host for Caller<'_, '_> {
    fn call(&mut self, args: &[&[u8]], targets: Targets, reply: &mut Reply) {
        let x = &mut *self.x;
        let (command, handler) = match find(x.state, args, None) {
            Ok(found) => found,
            Err((None, _)) => return refuse(x, reply, None, &Error::UNKNOWN_IN_SCRIPT),
            Err((command, _)) => return refuse(x, reply, command, &Error::ARITY_IN_SCRIPT),
        };
        if !command.accepts(args.len()) {
            return refuse(x, reply, Some(command), &Error::ARITY_IN_SCRIPT);
        }
        x.keys.origin.db = x.client.db;
        if let Err(error) = checks::of_command(x, self.active, command, args) {
            return refuse(x, reply, Some(command), &error);
        }
        self.active.wrote |= command.flags.intersects(Flags::WRITE);
        // What `set_repl` keeps from everybody is as if nobody listened.
        let (recording, reach) = (x.keys.effects.recording, x.keys.effects.reach);
        x.keys.effects.recording &= targets != Targets::NONE;
        x.keys.effects.reach = match targets {
            Targets::AOF => Audience::Log,
            Targets::REPLICAS => Audience::Replicas,
            _ => reach,
        };
        let mut inner = Exec {
            keys: x.keys,
            state: x.state,
            client: x.client,
            out: reply,
            command,
            waits: false,
        };
        dispatch::call(&mut inner, handler, args);
        x.keys.effects.recording = recording;
        x.keys.effects.reach = reach;
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Option<bool> {
        let command = match find(self.x.state, args, None) {
            Ok((command, _)) => command,
            Err((command, _)) => command?,
        };
        Some(self.x.client.user.check(command, args).is_ok())
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        let (level, line) = log_line(level, text);
        self.x.state.log(level, &line);
    }
}

/// A command that a script may not call. It counts as one of the script's, whether or not that goes on.
#[cold]
fn refuse(
    x: &mut Exec<'_>,
    reply: &mut Reply,
    command: Option<&'static CommandInfo>,
    error: &Error,
) {
    if let Some(command) = command {
        x.state.stats.commands[command.id as usize].rejected += 1;
    }
    write_error(x.state, reply, error);
    x.state.stats.charge_errors();
}

/// What a script says, as a line of the log. Its line ends do not end ours.
pub(super) fn log_line(level: LogLevel, text: &[u8]) -> (Level, String) {
    let level = match level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Verbose => Level::Verbose,
        LogLevel::Notice => Level::Notice,
        LogLevel::Warning => Level::Warning,
    };
    let text = String::from_utf8_lossy(text);
    (level, text.replace('\r', "\\r").replace('\n', "\\n"))
}
