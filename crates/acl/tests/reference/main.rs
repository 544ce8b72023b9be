//! Ours and the reference are given the same rules and asked the same questions.
//!
//! `ACL_LISTS` is how many lists of rules are sent, four dry runs with each, and files and the like in proportion;
//! `ACL_SEED` repeats a run. Without `valkey-server` on the path the tests pass without a word.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests measure time and print their seeds"
)]

mod log;
mod random;
mod rules;
mod server;
mod subscriptions;
