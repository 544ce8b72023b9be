//! Commands on keys whatever they hold.

pub(super) mod dump;
pub(super) mod expire;
pub(super) mod keys;
pub(super) mod object;
pub(super) mod scan;
