//! Why a rule, a user or a file of users is refused, in the words of the reference.

use crate::limits::{
    COMMAND_RULES_MAX, PASSWORDS_MAX, RULE_BYTES_MAX, SELECTOR_BYTES_MAX, SELECTORS_MAX,
};
use std::fmt;

/// What is wrong with one rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleError {
    /// No such command, subcommand or category; or a first argument that is taken away, which cannot be.
    Unknown,
    /// No such rule, or one that is broken.
    Syntax,
    /// `+config|get|x`
    FirstArgumentOfSubcommand,
    /// A key pattern after `~*`.
    KeyAfterAllKeys,
    /// A channel pattern after `&*`.
    ChannelAfterAllChannels,
    /// A password to remove that is not there.
    NoSuchPassword,
    /// A digest that is none.
    BadHash,
    /// More than [`SELECTORS_MAX`].
    TooManySelectors,
    /// More than [`COMMAND_RULES_MAX`] in a selector.
    TooManyCommandRules,
    /// More than [`PASSWORDS_MAX`].
    TooManyPasswords,
    /// More than [`RULE_BYTES_MAX`] or [`SELECTOR_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown command or category name in ACL",
            Self::Syntax => "Syntax error",
            Self::FirstArgumentOfSubcommand => {
                "Allowing first-arg of a subcommand is not supported"
            }
            Self::KeyAfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::ChannelAfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Self::TooManySelectors => {
                return write!(f, "A user can have at most {SELECTORS_MAX} selectors");
            }
            Self::TooManyCommandRules => {
                return write!(
                    f,
                    "A selector can have at most {COMMAND_RULES_MAX} rules about commands"
                );
            }
            Self::TooManyPasswords => {
                return write!(f, "A user can have at most {PASSWORDS_MAX} passwords");
            }
            Self::TooLong => {
                return write!(
                    f,
                    "A rule can have at most {RULE_BYTES_MAX} bytes, a selector {SELECTOR_BYTES_MAX}"
                );
            }
        })
    }
}

/// Why ACL SETUSER is refused. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetUserError {
    /// White space or NUL in the name.
    BadName,
    /// A selector that starts with this argument and does not end.
    Unmatched(Vec<u8>),
    /// This rule, a selector in one piece.
    Rule(Vec<u8>, RuleError),
}

impl SetUserError {
    /// The text of the error reply, `ERR` included.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::BadName => b"ERR Usernames can't contain spaces or null characters".to_vec(),
            Self::Unmatched(start) => join(&[
                b"ERR Unmatched parenthesis in acl selector starting at '",
                until_nul(start),
                b"'.",
            ]),
            Self::Rule(rule, error) => join(&[
                b"ERR Error in ACL SETUSER modifier '",
                until_nul(rule),
                b"': ",
                error.to_string().as_bytes(),
            ]),
        }
    }
}

/// Why ACL DELUSER is refused. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DefaultCannotBeRemoved;

impl fmt::Display for DefaultCannotBeRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR The 'default' user cannot be removed")
    }
}

/// What is wrong with a `user` line of the configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigLineError {
    /// The user has a line already.
    Duplicate(Vec<u8>),
    /// A selector that starts with this word and does not end.
    WrongFormat(Vec<u8>),
    /// This rule, a selector in one piece.
    Rule(Vec<u8>, RuleError),
}

impl ConfigLineError {
    /// The line that explains a fatal error of the configuration file.
    pub fn text(&self) -> Vec<u8> {
        let (word, why) = match self {
            Self::Duplicate(name) => (
                name,
                "Duplicate user found. A user can only be defined once in config files".to_owned(),
            ),
            Self::WrongFormat(word) => (word, "Wrong format".to_owned()),
            Self::Rule(word, error) => (word, error.to_string()),
        };
        join(&[
            b"Error in user declaration '",
            until_nul(word),
            b"': ",
            why.as_bytes(),
        ])
    }
}

/// Why the users of the configuration file cannot be had: found when they are made, after the lines were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigLoadError {
    /// White space or NUL in a name.
    BadName,
    /// This rule of this user.
    Rule {
        /// The user's name.
        user: Vec<u8>,
        /// The rule, a selector in one piece.
        rule: Vec<u8>,
        /// What is wrong with it.
        error: RuleError,
    },
}

impl ConfigLoadError {
    /// The line of the log.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::BadName => b"Spaces not allowed in ACL usernames".to_vec(),
            Self::Rule { user, rule, error } => join(&[
                b"Error loading ACL rule '",
                until_nul(rule),
                b"' for the user named '",
                until_nul(user),
                b"': ",
                error.to_string().as_bytes(),
            ]),
        }
    }
}

/// What the log says of a rule that allows a command with one first argument.
pub fn deprecation(rule: &[u8]) -> Vec<u8> {
    join(&[
        b"Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get \
          disabled in the future (offender: ",
        until_nul(rule),
        b")",
    ])
}

/// What the log says of a user of the configuration file that is off.
pub fn disabled(user: &[u8]) -> Vec<u8> {
    join(&[
        b"The user '",
        until_nul(user),
        b"' is disabled (there is no 'on' modifier in the user description). Make sure this is not a configuration error.",
    ])
}

/// Bytes as the reference prints them, which ends at a NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
