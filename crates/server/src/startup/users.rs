//! Users at the start: from `user` lines of the configuration, or from the file of users.

use crate::logging::log;
use acl::{ConfigLines, DEFAULT, Users};
use config::{Config, Directive, LoadError, Text};
use engine::host::Level;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

const BOTH: &str = "Configuring Valkey with users defined in valkey.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your valkey.conf, but not both.";

/// Looks into the `user` lines.
///
/// # Errors
/// The first one that is wrong.
pub(super) fn read_lines(directives: &[Directive]) -> Result<ConfigLines, LoadError> {
    let mut lines = ConfigLines::default();
    for directive in directives {
        let words: Vec<&[u8]> = directive.words.iter().map(Text::as_bytes).collect();
        if let [name, rules @ ..] = &*words {
            lines
                .add(name, rules)
                .map_err(|error| directive.error(lossy(&error.text())))?;
        }
    }
    Ok(lines)
}

/// The users to begin with. `None` when there is no start with them; the log says why.
pub(super) fn at_start(config: &Config, lines: &ConfigLines) -> Option<Users> {
    let file = config.aclfile.as_bytes();
    if !file.is_empty() && !lines.is_empty() {
        log(Level::Warning, BOTH);
        return None;
    }
    let users = if file.is_empty() {
        from_lines(config, lines)
    } else {
        from_file(config, file)
    };
    users
        .inspect_err(|problem| log(Level::Warning, problem))
        .ok()
}

/// Whom the lines describe; the default user they say nothing of has the password `requirepass`.
fn from_lines(config: &Config, lines: &ConfigLines) -> Result<Users, String> {
    let channels = engine::users::new_channels(config);
    let mut made = lines.users(channels).map_err(|error| {
        log(Level::Warning, &lossy(&error.text()));
        "Critical error while loading ACLs. Exiting.".to_owned()
    })?;
    for name in &made.disabled {
        log(Level::Notice, &lossy(&acl::disabled(name)));
    }
    warn_of_deprecated(&made.deprecated);
    if !lines.describe(DEFAULT) {
        made.users.require_password(config.requirepass.as_bytes());
    }
    Ok(made.users)
}

/// Whom the file describes; `requirepass` says nothing then.
fn from_file(config: &Config, name: &[u8]) -> Result<Users, String> {
    let aborting =
        |problem: &str| format!("Aborting Valkey startup because of ACL errors: {problem}");
    let text = std::fs::read(OsStr::from_bytes(name)).map_err(|error| {
        let reason = crate::errno_text(&error);
        aborting(&engine::users::unreadable(name, &reason))
    })?;
    let channels = engine::users::new_channels(config);
    let loaded =
        Users::load(name, &text, channels).map_err(|problems| aborting(&lossy(&problems)))?;
    warn_of_deprecated(&loaded.deprecated);
    Ok(loaded.users)
}

fn warn_of_deprecated(rules: &[Vec<u8>]) {
    for rule in rules {
        log(Level::Warning, &lossy(&acl::deprecation(rule)));
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
