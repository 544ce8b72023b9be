//! Bounds on what rules may make of a user. The reference has none.

/// Most selectors of a user beside its root: each is tried when a command is judged.
pub const SELECTORS_MAX: usize = 1024;

/// Most rules about commands that a selector keeps. All commands and categories together are far fewer; only first arguments
/// can be as many, and each rule is compared with those before it.
pub const COMMAND_RULES_MAX: usize = 1024;

/// Most passwords of a user: each is compared with at a login.
pub const PASSWORDS_MAX: usize = 1024;

/// Bytes of a rule, alone or inside a selector: a pattern as long as this is an attack rather than a pattern.
pub const RULE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a whole selector, as it was given and as it is shown, so that what is shown can be given again.
pub const SELECTOR_BYTES_MAX: usize = 1024 * 1024;

/// Bits of a password that ACL GENPASS makes: what is usual, and the most.
pub const PASSWORD_BITS: u32 = 256;
/// See [`PASSWORD_BITS`].
pub const PASSWORD_BITS_MAX: u32 = 4096;

/// Longest age, in milliseconds, of an entry of the log that another denial joins.
pub const LOG_GROUPING_MS_MAX: i64 = 60_000;

/// How many of the newest entries of the log a denial may join.
pub const LOG_GROUPING_ENTRIES: usize = 10;
