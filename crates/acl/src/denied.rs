//! A refusal, and how it is told.

use commandtable::{CommandInfo, Error};

/// What a user lacks. The order is that of strength: who got as far as a channel had the command and its keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The command.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

impl Reason {
    /// What EXEC says of a command that was allowed when it was queued.
    const fn at_exec(self) -> &'static str {
        match self {
            Self::Command => "no permission to execute the command or subcommand",
            Self::Key => "no permission to touch the specified keys",
            Self::Channel => "no permission to access one of the channels used as arguments",
        }
    }
}

/// Why a user may not call a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Denied {
    /// What is missing.
    pub reason: Reason,
    /// The argument that is the key or channel; 0 for the command.
    pub argument: usize,
}

impl Denied {
    /// The command itself is not allowed.
    pub(crate) const COMMAND: Self = Self {
        reason: Reason::Command,
        argument: 0,
    };

    /// What is missing: the full name of the command, the key, or the channel.
    pub fn object<'a, A: AsRef<[u8]>>(&self, command: &'a CommandInfo, args: &'a [A]) -> &'a [u8] {
        match self.reason {
            Reason::Command => command.full_name.as_bytes(),
            Reason::Key | Reason::Channel => {
                args.get(self.argument).map_or(b"", |arg| arg.as_ref())
            }
        }
    }

    /// What a client is told, without the code.
    fn text(&self, user: &[u8], command: &CommandInfo) -> Vec<u8> {
        match self.reason {
            Reason::Command => no_command(user, command),
            Reason::Key => b"No permissions to access a key".to_vec(),
            Reason::Channel => b"No permissions to access a channel".to_vec(),
        }
    }

    /// The reply to a client.
    #[cold]
    pub fn reply(&self, user: &[u8], command: &CommandInfo) -> Error {
        Error::Raw([b"NOPERM ", &*self.text(user, command)].concat())
    }

    /// The reply in a transaction to a command that was allowed when it was queued.
    #[cold]
    pub fn reply_at_exec(&self) -> Error {
        Error::Built(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
             command is no longer allowed for the following reason: {}",
            self.reason.at_exec()
        ))
    }

    /// The error that a script gets.
    #[cold]
    pub fn reply_to_script(&self, user: &[u8], command: &CommandInfo) -> Error {
        Error::Raw([b"ERR ACL failure in script: ", &*self.text(user, command)].concat())
    }

    /// What ACL DRYRUN answers, which is no error.
    pub fn dry_run<A: AsRef<[u8]>>(
        &self,
        user: &[u8],
        command: &CommandInfo,
        args: &[A],
    ) -> Vec<u8> {
        let kind: &[u8] = match self.reason {
            Reason::Command => return no_command(user, command),
            Reason::Key => b"' key",
            Reason::Channel => b"' channel",
        };
        let object = self.object(command, args);
        let middle = b" has no permissions to access the '";
        [b"User ", user, middle, object, kind].concat()
    }
}

fn no_command(user: &[u8], command: &CommandInfo) -> Vec<u8> {
    [
        b"User ",
        user,
        b" has no permissions to run the '",
        command.full_name.as_bytes(),
        b"' command",
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use commandtable::find_full;

    #[test]
    fn refusals_are_worded_as_by_the_reference() {
        let command = find_full(b"config|get").unwrap();
        let args = ["config", "GET", "x"];
        let told = |denied: Denied| {
            [
                denied.reply(b"u", command).text().into_owned(),
                denied.reply_at_exec().text().into_owned(),
                denied.reply_to_script(b"u", command).text().into_owned(),
                String::from_utf8(denied.dry_run(b"u", command, &args)).unwrap(),
            ]
        };
        let exec = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                    This command is no longer allowed for the following reason: ";
        let command = "User u has no permissions to run the 'config|get' command";
        assert_eq!(
            told(Denied::COMMAND),
            [
                format!("NOPERM {command}"),
                format!("{exec}no permission to execute the command or subcommand"),
                format!("ERR ACL failure in script: {command}"),
                command.to_owned(),
            ]
        );
        let denied = |reason| Denied {
            reason,
            argument: 2,
        };
        assert_eq!(
            told(denied(Reason::Key)),
            [
                "NOPERM No permissions to access a key".to_owned(),
                format!("{exec}no permission to touch the specified keys"),
                "ERR ACL failure in script: No permissions to access a key".to_owned(),
                "User u has no permissions to access the 'x' key".to_owned(),
            ]
        );
        assert_eq!(
            told(denied(Reason::Channel)),
            [
                "NOPERM No permissions to access a channel".to_owned(),
                format!("{exec}no permission to access one of the channels used as arguments"),
                "ERR ACL failure in script: No permissions to access a channel".to_owned(),
                "User u has no permissions to access the 'x' channel".to_owned(),
            ]
        );
    }

    #[test]
    fn the_strongest_and_furthest_reason_is_the_greatest() {
        let denied = |reason, argument| Denied { reason, argument };
        let ordered = [
            Denied::COMMAND,
            denied(Reason::Key, 1),
            denied(Reason::Key, 3),
            denied(Reason::Channel, 1),
        ];
        assert!(ordered.is_sorted());
    }
}
