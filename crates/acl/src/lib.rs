//! Users and what they may do: rules are read and shown, command lines judged.
//!
//! There is no I/O here: the text of a file comes in, users or errors go out; time and random bytes are arguments. Nothing
//! is known of clients: whoever keeps a user for one asks [`Users`] for the user of now when it has changed.
//!
//! - [`Users`] is the set, changed by rules all or nothing, and read from the text of a file ([`Users::load`]) or from the
//!   lines of the configuration ([`ConfigLines`]).
//! - [`User::check`] judges, [`User::why`] explains, [`Denied`] words the refusal, [`Log`] remembers it.
//! - [`User::line`] and the texts of [`Selector`] show the rules.
//!
//! Source: the ACL pages of the Valkey documentation, and what Valkey 8.0.1 answers; `tests/reference` compares.

#![forbid(unsafe_code)]

mod channels;
mod commands;
mod config_lines;
mod denied;
mod error;
mod file;
mod judge;
mod limits;
mod line;
mod log;
mod password;
mod patterns;
mod quoting;
mod rule;
mod selector;
mod sort;
mod user;
mod users;
mod why;

pub use channels::ChannelKind;
pub use commands::{CommandRule, Sign, Target, members};
pub use config_lines::{ConfigLines, Configured};
pub use denied::{Denied, Reason};
pub use error::{
    ConfigLineError, ConfigLoadError, DefaultCannotBeRemoved, RuleError, SetUserError, deprecation,
    disabled,
};
pub use file::Loaded;
pub use limits::*;
pub use log::{DenialCounts, Log, LogContext, LogEntry, LogEvent, LogReason};
pub use password::{PasswordHash, password_bits, password_from};
pub use patterns::Access;
pub use selector::{NewChannels, Selector};
pub use sort::{SORT_BY_DENIED, SORT_GET_DENIED};
pub use user::{DEFAULT, User};
pub use users::{Change, Users};
pub use why::{Ground, SelectorWhy, Subject, Why};
