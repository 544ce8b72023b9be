//! Commands as data: what the server knows of a command before it runs it.

pub mod meta;
