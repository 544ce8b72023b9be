//! The names that commands answer to: those of the table, except where `rename-command` says otherwise.

use crate::{CommandInfo, by_id, find};
use std::collections::HashMap;

/// Why `rename-command` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// The old name means nothing.
    NoSuchCommand,
    /// The new name means something.
    Exists,
}

/// What `rename-command` has changed. Only lookups by name know of it: statistics, rules and documentation go on using
/// the names of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What a name in lower case means now; `None` where it means nothing any more.
    changed: HashMap<Vec<u8>, Option<u16>>,
    /// Commands without a name.
    nameless: Vec<u16>,
}

impl Names {
    /// The command of this name, in any case.
    #[inline]
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&'static CommandInfo> {
        if self.changed.is_empty() {
            return find(name);
        }
        match self.changed.get(&name.to_ascii_lowercase()) {
            Some(id) => id.and_then(by_id),
            None => find(name),
        }
    }

    /// The command or subcommand of a full name, `get` or `config|get`, in any case.
    #[must_use]
    pub fn find_full(&self, name: &[u8]) -> Option<&'static CommandInfo> {
        match name.iter().position(|byte| *byte == b'|') {
            None => self.find(name),
            Some(at) => self.find(&name[..at])?.subcommand(&name[at + 1..]),
        }
    }

    /// False for a command that no name leads to.
    #[must_use]
    pub fn reach(&self, command: &CommandInfo) -> bool {
        !self.nameless.contains(&command.id)
    }

    /// The name, in lower case, that leads to the command called `name` in the table.
    #[must_use]
    pub fn current<'a>(&'a self, name: &'a str) -> &'a [u8] {
        let renamed = find(name.as_bytes()).and_then(|command| {
            self.changed
                .iter()
                .find(|(_, now)| **now == Some(command.id))
        });
        renamed.map_or(name.as_bytes(), |(new, _)| new)
    }

    /// `rename-command old new`: `old` means nothing any more, and `new`, unless empty, what `old` meant.
    ///
    /// # Errors
    /// `old` means nothing, or `new` means something.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let command = self.find(old).ok_or(RenameError::NoSuchCommand)?;
        self.changed.insert(old.to_ascii_lowercase(), None);
        if new.is_empty() {
            self.nameless.push(command.id);
            return Ok(());
        }
        if self.find(new).is_some() {
            return Err(RenameError::Exists);
        }
        self.changed
            .insert(new.to_ascii_lowercase(), Some(command.id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &Names, name: &str) -> Option<&'static str> {
        names
            .find_full(name.as_bytes())
            .map(|command| command.full_name)
    }

    #[test]
    fn a_renamed_command_answers_to_its_new_name_alone() {
        let mut names = Names::default();
        names.rename(b"GET", b"MyGet").unwrap();
        names.rename(b"config", b"cfg").unwrap();
        assert_eq!(found(&names, "get"), None);
        assert_eq!(found(&names, "MYGET"), Some("get"));
        assert_eq!(found(&names, "set"), Some("set"));
        assert_eq!(found(&names, "cfg|get"), Some("config|get"));
        assert_eq!(found(&names, "config|get"), None);
        assert_eq!(names.current("config"), b"cfg");
        assert_eq!(names.current("set"), b"set");
        assert!(names.reach(find(b"get").unwrap()));
    }

    #[test]
    fn a_command_without_a_name_is_gone_and_its_name_free() {
        let mut names = Names::default();
        names.rename(b"get", b"").unwrap();
        assert!(!names.reach(find(b"get").unwrap()));
        assert_eq!(names.current("get"), b"get");
        names.rename(b"set", b"get").unwrap();
        assert_eq!(found(&names, "get"), Some("set"));
    }

    #[test]
    fn names_are_taken_once() {
        let mut names = Names::default();
        assert_eq!(
            names.rename(b"nosuch", b"x"),
            Err(RenameError::NoSuchCommand)
        );
        assert_eq!(names.rename(b"", b"x"), Err(RenameError::NoSuchCommand));
        assert_eq!(
            names.rename(b"config|get", b"x"),
            Err(RenameError::NoSuchCommand)
        );
        assert_eq!(names.rename(b"get", b"SET"), Err(RenameError::Exists));
        names.rename(b"del", b"DEL").unwrap();
        assert_eq!(found(&names, "del"), Some("del"));
        names.rename(b"del", b"a").unwrap();
        names.rename(b"a", b"b").unwrap();
        assert_eq!(names.rename(b"a", b"c"), Err(RenameError::NoSuchCommand));
    }
}
