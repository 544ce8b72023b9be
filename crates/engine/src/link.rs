//! The link to our primary, as the engine sees it.

use crate::config::Config;
use crate::core::Core;
use crate::host::Level;
use crate::keys::Keys;

/// What we do towards our primary.
pub struct LinkSide {
    /// The database selected in the stream.
    pub stream_db: u32,
}

impl LinkSide {
    /// True when the stream flows.
    #[must_use]
    pub fn is_up(&self) -> bool {
        false
    }

    /// Takes over parameters.
    pub fn configure(&mut self, _config: &Config) {}
}

/// Becomes a primary.
pub(crate) fn promote(_keys: &mut Keys, core: &mut Core, why: &str) {
    core.log(Level::Notice, why);
}

/// Periodic work.
pub(crate) fn tick(_keys: &mut Keys, _core: &mut Core) {}
