//! The handlers, one folder per family.

pub mod introspect;
