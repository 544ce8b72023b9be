//! Scripts and functions: EVAL and its kin, SCRIPT, FCALL, FUNCTION.

mod eval;
mod functions;
mod help;
mod payload;
mod scripts;
mod stats;

pub(super) use eval::COMMANDS as EVAL;
pub(super) use functions::COMMANDS as FUNCTIONS;
pub(super) use scripts::COMMANDS as SCRIPTS;

use super::Family;
use crate::exec::{Args, Exec};
use scripting::Discarded;

/// Whether words say where to free what is flushed. Nothing else may stand there.
fn is_flush_mode(words: Args<'_>) -> bool {
    match words {
        [] => true,
        [mode] => is_sync(words) || mode.eq_ignore_ascii_case(b"async"),
        _ => false,
    }
}

/// Whether the words behind FLUSH ask for everything to be freed at once.
fn is_sync(words: Args<'_>) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(b"sync"))
}

/// Frees an interpreter with all its objects: here and now, or in another thread.
fn discard(x: &mut Exec<'_>, interpreter: Option<Discarded>, words: Args<'_>) {
    match interpreter {
        Some(interpreter) if !is_sync(words) => x.state.host.free_other(Box::new(interpreter)),
        other => drop(other),
    }
}

#[cfg(test)]
mod tests;
