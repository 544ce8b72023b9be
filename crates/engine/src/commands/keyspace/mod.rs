//! Commands on keys whatever they hold, on whole databases, and on the process that keeps them.

pub(super) mod databases;
pub(super) mod expire;
pub(super) mod keys;
pub(super) mod memory;
pub(super) mod object;
pub(super) mod process;
pub(super) mod scan;
