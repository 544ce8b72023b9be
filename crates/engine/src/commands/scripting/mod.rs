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
use crate::exec::Args;

/// Whether words say where to free what is flushed. Nothing else may stand there.
fn is_flush_mode(words: Args<'_>) -> bool {
    match words {
        [] => true,
        [mode] => mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
