//! Commands about the server as a whole.

use super::Family;
use crate::exec::{Args, Exec};

/// The Redis OSS version whose behaviour clients may expect.
pub const REDIS_VERSION: &str = "7.2.4";

/// Our version.
pub const VALKEY_VERSION: &str = "8.0.1";

pub(super) static COMMANDS: Family = &[];

/// Shows a command to all MONITOR clients.
pub(crate) fn feed_monitors(_x: &mut Exec<'_>, _args: Args<'_>) {}
