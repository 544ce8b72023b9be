//! May a user call a command with these arguments?
//!
//! Selectors are asked in turn, and one that allows the command, all its keys and all its channels is enough; they do not
//! add up. Nothing is allocated for a user that may, unless the command counts its keys (as EVAL does) and has more of
//! them than [`commandtable::Keys`] holds in place.

use crate::channels::channels_of;
use crate::denied::{Denied, Reason};
use crate::patterns::Access;
use crate::selector::Selector;
use crate::user::User;
use commandtable::{BeginSearch, FindKeys, KeyFlags, KeySpec, Keys, Meta};
use std::cell::OnceCell;

impl User {
    /// Whether the user may call the command. `args` start with the command's name, a subcommand's being the second; they
    /// have passed the check of their number.
    ///
    /// # Errors
    /// No selector allows it. Told is what came nearest: the reason is the strongest that any of them had, the argument
    /// the furthest right.
    #[inline]
    pub fn check<A: AsRef<[u8]>>(&self, meta: &Meta, args: &[A]) -> Result<(), Denied> {
        if self.may_everything() {
            return Ok(());
        }
        self.judge(meta, args)
    }

    fn judge<A: AsRef<[u8]>>(&self, meta: &Meta, args: &[A]) -> Result<(), Denied> {
        let line = Line::new(meta, args);
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
        if !self.allows_command(line.meta, line.first_argument()) {
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
            && let Some((mut arguments, kind)) = channels_of(line.meta, line.args.len())
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

/// A command line to judge. Its keys are looked for when first needed, and once.
pub(crate) struct Line<'a, A> {
    pub(crate) meta: &'a Meta,
    pub(crate) args: &'a [A],
    found: OnceCell<Keys>,
}

impl<'a, A: AsRef<[u8]>> Line<'a, A> {
    pub(crate) fn new(meta: &'a Meta, args: &'a [A]) -> Self {
        Self {
            meta,
            args,
            found: OnceCell::new(),
        }
    }

    /// What a first-argument rule looks at.
    pub(crate) fn first_argument(&self) -> Option<&'a [u8]> {
        self.args.get(1).map(AsRef::as_ref)
    }

    /// The first argument, in the order of the key specs, that is a key for which `wanted` holds, given its index, the key
    /// and what the command needs on it.
    #[inline]
    pub(crate) fn first_key(
        &self,
        mut wanted: impl FnMut(usize, &'a [u8], Access) -> bool,
    ) -> Option<usize> {
        let mut is_wanted = |index: usize, flags: KeyFlags| {
            self.args
                .get(index)
                .is_some_and(|key| wanted(index, key.as_ref(), Access::needed(flags)))
        };
        if self.meta.key_specs.iter().all(is_fixed) {
            return self.meta.key_specs.iter().find_map(|spec| {
                fixed_keys(spec, self.args.len()).find(|index| is_wanted(*index, spec.flags))
            });
        }
        let mut found = self.keys().iter();
        let key = found.find(|key| is_wanted(key.index, key.flags))?;
        Some(key.index)
    }

    /// Keys that depend on more than how many arguments there are; none when the arguments contradict themselves, for
    /// then the command fails before it touches any.
    fn keys(&self) -> &Keys {
        self.found
            .get_or_init(|| commandtable::keys(self.meta, self.args).unwrap_or_default())
    }
}

/// Whether the keys of a spec stand at places that only the number of arguments decides, or are none.
///
/// Most commands have such specs only, and need no list of keys then.
#[inline]
fn is_fixed(spec: &KeySpec) -> bool {
    const DEPENDENT: KeyFlags = KeyFlags::INCOMPLETE.and(KeyFlags::VARIABLE_FLAGS);
    if spec.flags.contains(KeyFlags::NOT_KEY) {
        return true;
    }
    !spec.flags.intersects(DEPENDENT)
        && matches!(
            (spec.begin, spec.find),
            (BeginSearch::Index(_), FindKeys::Range { limit: ..2, .. })
        )
}

/// The arguments, of which there are `count`, that a fixed spec finds.
#[inline]
fn fixed_keys(spec: &KeySpec, count: usize) -> impl Iterator<Item = usize> {
    let (start, end, step) = match (spec.begin, spec.find) {
        (BeginSearch::Index(start), FindKeys::Range { last_key, step, .. })
            if !spec.flags.contains(KeyFlags::NOT_KEY) =>
        {
            let start = start.unsigned_abs() as usize;
            let distance = last_key.unsigned_abs() as usize;
            let end = if last_key < 0 {
                (count + 1).saturating_sub(distance)
            } else {
                count.min(start + distance + 1)
            };
            (start, end, (step.unsigned_abs() as usize).max(1))
        }
        _ => (0, 0, 1),
    };
    (start..end).step_by(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NewChannels;
    use commandtable::{COMMANDS, find};
    use proptest::prelude::*;

    fn user(rules: &[&str]) -> User {
        let mut user = User::new(b"u", NewChannels::None);
        for rule in rules {
            user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
                .unwrap();
        }
        user
    }

    fn find_command(args: &[&[u8]]) -> &'static Meta {
        let meta = find(args[0]).unwrap();
        args.get(1)
            .and_then(|sub| meta.subcommand(sub))
            .unwrap_or(meta)
    }

    /// `ok`, or the reason and the argument.
    fn judged(user: &User, line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let meta = find_command(&args);
        match user.check(meta, &args) {
            Ok(()) => "ok".to_owned(),
            Err(denied) => {
                let object = String::from_utf8_lossy(denied.object(meta, &args)).into_owned();
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

    proptest! {
        /// Keys at fixed places are found without a list: the same as with one.
        #[test]
        fn keys_are_those_of_the_table(
            command in 0..COMMANDS.len(),
            args in prop::collection::vec("keys|store|streams|get|by|limit|auth2|[0-9]{1,2}|[ab]?", 0..12),
        ) {
            let meta = &COMMANDS[command];
            let line: Vec<&[u8]> = std::iter::once(meta.name.as_bytes())
                .chain(args.iter().map(|arg| arg.as_bytes()))
                .collect();
            for meta in std::iter::once(meta).chain(meta.subcommands) {
                if !meta.accepts(line.len()) {
                    continue;
                }
                let mut seen = Vec::new();
                Line::new(meta, &line).first_key(|index, key, needed| {
                    assert_eq!(key, line[index]);
                    seen.push((index, needed));
                    false
                });
                let wanted: Vec<_> = commandtable::keys(meta, &line)
                    .unwrap_or_default()
                    .iter()
                    .map(|key| (key.index, Access::needed(key.flags)))
                    .collect();
                prop_assert_eq!(seen, wanted, "{}", meta.full_name);
            }
        }
    }
}
