//! May a user call a command with these arguments?
//!
//! Selectors are asked in turn, and one that allows the command, all its keys and all its channels is enough; they do not
//! add up. Nothing is allocated for a user that may, unless the command counts its keys (as EVAL does) and has more of
//! them than [`commandtable::KeyRefs`] holds in place.

use crate::channels::channels_of;
use crate::denied::{Denied, Reason};
use crate::line::Line;
use crate::patterns::Access;
use crate::selector::Selector;
use crate::user::User;
use commandtable::CommandInfo;

impl User {
    /// Whether the user may call the command. `args` start with the command's name, a subcommand's being the second; they
    /// have passed the check of their number.
    ///
    /// # Errors
    /// No selector allows it. Told is what came nearest: the reason is the strongest that any of them had, the argument
    /// the furthest right.
    #[inline]
    pub fn check<A: AsRef<[u8]>>(&self, command: &CommandInfo, args: &[A]) -> Result<(), Denied> {
        if self.may_everything() {
            return Ok(());
        }
        self.judge(command, args)
    }

    fn judge<A: AsRef<[u8]>>(&self, command: &CommandInfo, args: &[A]) -> Result<(), Denied> {
        let line = Line::new(command, args);
        let mut nearest = Denied::COMMAND;
        for selector in self.selectors() {
            match selector.judge(&line) {
                Ok(()) => return Ok(()),
                Err(denied) => nearest = nearest.max(denied),
            }
        }
        Err(nearest)
    }
}

impl Selector {
    /// Whether the selector allows the command line.
    pub(crate) fn judge<A: AsRef<[u8]>>(&self, line: &Line<'_, A>) -> Result<(), Denied> {
        if !self.allows_command(line.command, line.first_argument()) {
            return Err(Denied::COMMAND);
        }
        if !self.keys.are_all()
            && let Some(argument) = line.first_key(|_, key, needed| !self.allows_key(key, needed))
        {
            return Err(Denied {
                reason: Reason::Key,
                argument,
            });
        }
        if !self.channels.are_all()
            && let Some((mut arguments, kind)) = channels_of(line.command, line.args.len())
            && let Some(argument) =
                arguments.find(|index| !self.allows_channel(line.args[*index].as_ref(), kind))
        {
            return Err(Denied {
                reason: Reason::Channel,
                argument,
            });
        }
        Ok(())
    }

    /// Whether a key may be used so.
    #[inline]
    pub(crate) fn allows_key(&self, key: &[u8], needed: Access) -> bool {
        self.keys.are_all()
            || self
                .keys
                .listed()
                .iter()
                .any(|pattern| pattern.permits(key, needed))
    }

    /// Whether any key may be read: allkeys, `%R~*` or `%RW~*`.
    pub(crate) fn reads_all_keys(&self) -> bool {
        self.keys.are_all()
            || self
                .keys
                .listed()
                .iter()
                .any(|pattern| pattern.permits_all(Access::READ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NewChannels;
    use commandtable::find;

    fn user(rules: &[&str]) -> User {
        let mut user = User::new(b"u", NewChannels::None);
        for rule in rules {
            user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
                .unwrap();
        }
        user
    }

    fn find_command(args: &[&[u8]]) -> &'static CommandInfo {
        let command = find(args[0]).unwrap();
        args.get(1)
            .and_then(|sub| command.subcommand(sub))
            .unwrap_or(command)
    }

    /// `ok`, or the reason and the argument.
    fn judged(user: &User, line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = find_command(&args);
        match user.check(command, &args) {
            Ok(()) => "ok".to_owned(),
            Err(denied) => {
                let object = String::from_utf8_lossy(denied.object(command, &args)).into_owned();
                format!("{:?} {object}", denied.reason)
            }
        }
    }

    /// The verdicts are those of the reference's ACL DRYRUN.
    #[test]
    fn verdicts_are_those_of_the_reference() {
        for (rules, cases) in [
            (
                &["+@all", "%R~a", "%W~b"][..],
                &[
                    ("get a", "ok"),
                    ("get b", "Key b"),
                    ("set a x", "Key a"),
                    ("set b x", "ok"),
                    ("set b x get", "Key b"),
                    ("set b x EX get", "Key b"),
                    ("set get v", "Key get"),
                    ("exists a", "ok"),
                    ("exists b", "ok"),
                    ("exists a c", "Key c"),
                    ("object encoding b", "ok"),
                    ("memory usage b", "ok"),
                    ("copy a b", "ok"),
                    ("copy b a", "Key b"),
                    ("sort a store b", "ok"),
                    ("sort b store a", "Key b"),
                    ("sort a by c get d", "ok"),
                    ("bitfield a get u8 0", "ok"),
                    ("bitfield a set u8 0 1", "Key a"),
                    ("bitfield a get u8 0 incrby u8 0 1", "Key a"),
                    ("lmpop 1 a left", "Key a"),
                    ("georadius a 0 0 1 m store b", "ok"),
                    ("georadius b 0 0 1 m store b", "Key b"),
                    ("georadius a 0 0 1 m storedist a", "Key a"),
                    ("eval s 1 a", "Key a"),
                    ("eval_ro s 1 a", "ok"),
                    ("eval_ro s 1 b", "Key b"),
                    ("xread count 1 streams a b 0 0", "Key b"),
                ][..],
            ),
            (
                &["+@all", "~a"],
                &[
                    // Keys that cannot be told are not judged: the command fails.
                    ("eval x 99 b", "ok"),
                    ("eval x -1 b", "ok"),
                    ("eval x abc b", "ok"),
                    ("eval x 0 b", "ok"),
                    ("lmpop 99999999999999999999 b left", "ok"),
                    ("lmpop 18446744073709551617 b left", "ok"),
                    ("lmpop 2147483649 b left", "ok"),
                    ("zunionstore b 18446744073709551615 b", "ok"),
                    ("migrate h 1 b 0 1", "Key b"),
                    ("migrate h 1 a 0 1 keys b", "ok"),
                    ("migrate h 1  0 1 keys b", "Key b"),
                    ("migrate h 1  0 1 keys a a c", "Key c"),
                    ("migrate h 1  0 1 auth keys keys b", "Key b"),
                    ("migrate h 1  0 1 auth2 keys keys keys b", "Key b"),
                    ("migrate h 1 b 0 1 auth keys", "Key b"),
                    ("sort a by b* get # store c", "Key c"),
                    ("sort a store a store c", "Key c"),
                    // The reference does not see this key.
                    ("pfmerge b", "Key b"),
                ],
            ),
            (
                &["+@all", "&a*"],
                &[
                    ("subscribe abc", "ok"),
                    ("subscribe abc b c", "Channel b"),
                    ("ssubscribe b", "Channel b"),
                    ("psubscribe a*", "ok"),
                    ("psubscribe ab*", "Channel ab*"),
                    ("psubscribe a", "Channel a"),
                    ("publish abc b", "ok"),
                    ("publish b abc", "Channel b"),
                    ("spublish b x", "Channel b"),
                    ("unsubscribe b", "ok"),
                    ("punsubscribe b", "ok"),
                    ("sunsubscribe b", "ok"),
                    ("pubsub numsub b", "ok"),
                    ("pubsub channels b", "ok"),
                ],
            ),
            (
                // Selectors do not add up.
                &["+get", "(+set ~a)", "(+set ~b ~c)"],
                &[
                    ("get a", "Key a"),
                    ("set a x", "ok"),
                    ("set b x", "ok"),
                    ("set x v", "Key x"),
                    ("mget a", "Command mget"),
                ],
            ),
            (
                &["(+mget ~b)", "(+mget ~c ~d)"],
                &[("mget c x y", "Key x"), ("mget b x y", "Key x")],
            ),
            (
                &["(+mget ~b)", "(+publish)", "(+publish ~a)"],
                &[("publish b a", "Channel b"), ("mget x y", "Key x")],
            ),
            (
                &[],
                &[
                    ("auth x", "ok"),
                    ("hello", "ok"),
                    ("quit", "ok"),
                    ("reset", "ok"),
                    ("ping", "Command ping"),
                    ("config get x", "Command config|get"),
                ],
            ),
        ] {
            let user = user(rules);
            for (line, wanted) in cases {
                assert_eq!(judged(&user, line), *wanted, "{rules:?} {line}");
            }
        }
    }

    #[test]
    fn a_user_that_may_everything_is_known_to() {
        for (rules, wanted) in [
            (&["+@all", "~*", "&*"][..], true),
            (&["+@all", "~*", "&*", "-get", "+get"], true),
            (&["(+@all ~* &*)"], true),
            (&["+@all", "~*"], false),
            (&["+@all", "&*", "%RW~*"], false),
            (&["+@all", "~*", "&*", "-get"], false),
            (&["+@all", "~*", "&*", "resetkeys"], false),
            (&["(+@all ~* &*)", "clearselectors"], false),
        ] {
            assert_eq!(user(rules).may_everything(), wanted, "{rules:?}");
        }
    }
}
