//! `user` lines of the configuration file: looked at while the file is read, made into users when all is known.

use crate::error::{ConfigLineError, ConfigLoadError, RuleError};
use crate::rule::{has_space_or_nul, merge_selectors};
use crate::selector::NewChannels;
use crate::user::User;
use crate::users::Users;
use std::borrow::Cow;

/// The lines read so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigLines {
    lines: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Users made from lines, and what the log says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configured {
    /// The users.
    pub users: Users,
    /// Names of those that are off: see [`crate::disabled`].
    pub disabled: Vec<Vec<u8>>,
    /// Rules of which the log warns: see [`crate::deprecation`].
    pub deprecated: Vec<Vec<u8>>,
}

impl ConfigLines {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether one of them is about the user.
    pub fn describe(&self, name: &[u8]) -> bool {
        self.lines.iter().any(|(known, _)| known == name)
    }

    /// Takes `user name rule ...`, without `user`. Commands that nobody knows yet may be a module's.
    ///
    /// # Errors
    /// The user has a line, or a rule is wrong.
    pub fn add(&mut self, name: &[u8], rules: &[&[u8]]) -> Result<(), ConfigLineError> {
        if self.describe(name) {
            return Err(ConfigLineError::Duplicate(name.to_vec()));
        }
        let rules =
            merge_selectors(rules).map_err(|start| ConfigLineError::WrongFormat(start.to_vec()))?;
        let mut user = User::new(name, NewChannels::None);
        for rule in &rules {
            match user.apply(rule, NewChannels::None, &mut Vec::new()) {
                Ok(()) | Err(RuleError::Unknown) => {}
                Err(error) => return Err(ConfigLineError::Rule(rule.to_vec(), error)),
            }
        }
        let rules = rules.into_iter().map(Cow::into_owned).collect();
        self.lines.push((name.to_vec(), rules));
        Ok(())
    }

    /// Makes the users.
    ///
    /// # Errors
    /// A name is none, or a command is still unknown.
    pub fn users(&self, channels: NewChannels) -> Result<Configured, ConfigLoadError> {
        let mut made = Configured {
            users: Users::default(),
            disabled: Vec::new(),
            deprecated: Vec::new(),
        };
        for (name, rules) in &self.lines {
            if has_space_or_nul(name) {
                return Err(ConfigLoadError::BadName);
            }
            // `default` too starts from nothing.
            let mut user = User::new(name, channels);
            for rule in rules {
                user.apply(rule, channels, &mut made.deprecated)
                    .map_err(|error| ConfigLoadError::Rule {
                        user: name.clone(),
                        rule: rule.clone(),
                        error,
                    })?;
            }
            if !user.is_on() {
                made.disabled.push(name.clone());
            }
            made.users.put(user);
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[(&str, &str)]) -> Result<ConfigLines, String> {
        let mut read = ConfigLines::default();
        for (name, rules) in lines {
            let rules: Vec<&[u8]> = rules.split_whitespace().map(str::as_bytes).collect();
            read.add(name.as_bytes(), &rules)
                .map_err(|error| String::from_utf8(error.text()).unwrap())?;
        }
        Ok(read)
    }

    #[test]
    fn lines_are_refused_while_they_are_read() {
        for (given, wanted) in [
            (&[("a", "on foo")][..], "'foo': Syntax error"),
            (&[("a", "on +nosuch (foo)")], "'(foo)': Syntax error"),
            (&[("a", "(+get")], "'(+get': Wrong format"),
            (
                &[("a", "(+get ~a) on"), ("a", "(foo")],
                "'a': Duplicate user found. A user can only be defined once in config files",
            ),
            (
                &[("a", "+config|get|x")],
                "'+config|get|x': Allowing first-arg of a subcommand is not supported",
            ),
        ] {
            let wanted = format!("Error in user declaration {wanted}");
            assert_eq!(lines(given), Err(wanted));
        }
    }

    #[test]
    fn unknown_commands_and_names_are_refused_later() {
        let error = |given: &[(&str, &str)]| {
            let made = lines(given).unwrap().users(NewChannels::None);
            String::from_utf8(made.unwrap_err().text()).unwrap()
        };
        let unknown = "Unknown command or category name in ACL";
        assert_eq!(
            error(&[("a", "on +nosuch +nosuch2")]),
            format!("Error loading ACL rule '+nosuch' for the user named 'a': {unknown}")
        );
        assert_eq!(
            error(&[("a", "(+nosuch)")]),
            format!("Error loading ACL rule '(+nosuch)' for the user named 'a': {unknown}")
        );
        assert_eq!(
            error(&[("a b", "on")]),
            "Spaces not allowed in ACL usernames"
        );
    }

    #[test]
    fn lines_make_users() {
        let read = lines(&[
            ("a", "on +select|0 (+get ~a)"),
            ("default", "+get"),
            ("", "on"),
        ]);
        let made = read.unwrap().users(NewChannels::None).unwrap();
        assert_eq!(
            String::from_utf8(made.users.file_text()).unwrap(),
            "user  on sanitize-payload resetchannels -@all\n\
             user a on sanitize-payload resetchannels -@all +select|0 (~a resetchannels -@all +get)\n\
             user default off sanitize-payload resetchannels -@all +get\n"
        );
        assert_eq!(made.disabled, [b"default"]);
        assert_eq!(made.deprecated, [b"+select|0"]);
        assert_eq!(
            String::from_utf8(crate::disabled(b"default")).unwrap(),
            "The user 'default' is disabled (there is no 'on' modifier in the user description). Make sure this is not \
             a configuration error."
        );
        assert!(ConfigLines::default().is_empty());
        assert_eq!(
            ConfigLines::default()
                .users(NewChannels::None)
                .unwrap()
                .users,
            Users::default()
        );
    }
}
