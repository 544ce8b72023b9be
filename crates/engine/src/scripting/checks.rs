//! Whether a script may run, and whether a command that it calls may: in the reference's order.
//!
//! What a script says of itself takes the place of its command's flags, see [`effective_flags`]; so the usual admission
//! judges it. [`before_start`] asks again, as something may have changed while a transaction was queued. [`of_command`] is
//! the admission of what it calls.

use super::run::Active;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use crate::state::ServerState;
use crate::users;
use commandtable::{CommandInfo, Error, Flags};
use scripting::{Digest, ScriptFlags, Scripting};

/// The flags that an admission goes by: the command's own, or for a script with flags those that follow from these.
pub(crate) fn effective_flags(state: &ServerState, command: &CommandInfo, args: Args<'_>) -> Flags {
    let word = args.get(1).copied().unwrap_or_default();
    let script = match command.name {
        "eval" | "eval_ro" => Scripting::flags_of_body(word).ok(),
        "evalsha" | "evalsha_ro" => {
            Digest::parse(word).and_then(|digest| state.scripting.script_flags(&digest))
        }
        "fcall" | "fcall_ro" => state
            .scripting
            .function(word)
            .map(|function| function.flags),
        _ => None,
    };
    let Some(script) = script else {
        return command.flags;
    };
    if script.contains(ScriptFlags::COMPATIBLE) {
        return command.flags;
    }
    const FOLLOWING: Flags = Flags::WRITE
        .and(Flags::DENYOOM)
        .and(Flags::STALE)
        .and(Flags::MAY_REPLICATE);
    let mut flags = command.flags.without(FOLLOWING);
    if !script.contains(ScriptFlags::NO_WRITES) {
        flags = flags.and(Flags::WRITE);
        if !script.contains(ScriptFlags::ALLOW_OOM) {
            flags = flags.and(Flags::DENYOOM);
        }
    }
    if script.contains(ScriptFlags::ALLOW_STALE) {
        flags = flags.and(Flags::STALE);
    }
    flags
}

/// Whether a replica's data are out of date and must not be served.
fn is_stale(state: &ServerState) -> bool {
    state.repl.is_replica() && !state.repl.link_is_up() && !state.config.replica_serve_stale_data
}

/// Whether memory is used up, as it was when the outermost command began.
fn lacks_room(state: &ServerState) -> bool {
    state.config.maxmemory > 0 && state.lacks_room
}

/// Whether the script of these flags may start. `read_only` is set for the commands whose name ends in `_RO`.
///
/// # Errors
/// Why it may not.
pub(crate) fn before_start(
    x: &Exec<'_>,
    script: ScriptFlags,
    read_only: bool,
) -> Result<(), Error> {
    let writes = !script.contains(ScriptFlags::NO_WRITES);
    if script.contains(ScriptFlags::COMPATIBLE) {
        return if x.state.gate && is_stale(x.state) {
            Err(Error::PRIMARY_DOWN)
        } else {
            Ok(())
        };
    }
    if x.state.gate {
        let from_primary = x.client.flags.has(ClientFlags::PRIMARY);
        if is_stale(x.state) && !script.contains(ScriptFlags::ALLOW_STALE) {
            return Err(Error::STALE_SCRIPT);
        }
        if writes && !from_primary {
            if x.state.repl.is_replica() && x.state.config.replica_read_only {
                return Err(Error::READ_ONLY_SCRIPT);
            }
            if let Some(refusal) = x.state.script_refusal() {
                return Err(refusal);
            }
        }
    }
    if writes && read_only {
        return Err(Error::WRITES_IN_READ_ONLY);
    }
    if x.state.gate {
        if writes && lacks_replicas(x) {
            return Err(Error::NO_REPLICAS);
        }
        if writes && lacks_room(x.state) && !script.contains(ScriptFlags::ALLOW_OOM) {
            return Err(Error::OOM_SCRIPT);
        }
    }
    Ok(())
}

fn lacks_replicas(x: &Exec<'_>) -> bool {
    !x.client.flags.has(ClientFlags::PRIMARY)
        && !x.state.repl.is_replica()
        && !x.state.repl.has_enough_replicas()
}

/// Whether the running script may call a command, whose name and number of arguments are right.
///
/// # Errors
/// Why it may not.
#[inline]
pub(crate) fn of_command(
    x: &mut Exec<'_>,
    active: &Active,
    command: &'static CommandInfo,
    args: Args<'_>,
) -> Result<(), Error> {
    let flags = command.flags;
    if flags.intersects(Flags::NOSCRIPT) && !x.state.debug.disable_deny_scripts {
        return Err(Error::NOT_FROM_SCRIPT);
    }
    if x.state.gate && is_stale(x.state) && !flags.intersects(Flags::STALE) {
        return Err(Error::STALE_IN_SCRIPT);
    }
    users::check(x, command, args)
        .map_err(|denied| denied.reply_to_script(x.client.user.name(), command))?;
    if active.read_only && flags.intersects(Flags::WRITE.and(Flags::MAY_REPLICATE)) {
        return Err(Error::WRITE_IN_READ_ONLY);
    }
    if x.state.gate && !active.wrote {
        before_first_write(x, active, flags)?;
    }
    Ok(())
}

/// What a script that has begun to write is not asked any more: it is not stopped half-way.
#[cold]
fn before_first_write(x: &Exec<'_>, active: &Active, flags: Flags) -> Result<(), Error> {
    let from_primary = x.client.flags.has(ClientFlags::PRIMARY);
    if flags.intersects(Flags::WRITE) {
        if !from_primary {
            if x.state.repl.is_replica() && x.state.config.replica_read_only {
                return Err(Error::READ_ONLY);
            }
            if let Some(refusal) = x.state.write_refusal() {
                return Err(refusal);
            }
        }
        if lacks_replicas(x) {
            return Err(Error::NO_REPLICAS);
        }
    }
    if flags.intersects(Flags::DENYOOM)
        && !from_primary
        && lacks_room(x.state)
        && !active.flags.contains(ScriptFlags::ALLOW_OOM)
    {
        return Err(Error::OOM);
    }
    Ok(())
}
