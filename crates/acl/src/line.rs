//! A command line to judge, and the keys in it.

use crate::patterns::Access;
use commandtable::{BeginSearch, CommandInfo, FindKeys, KeyFlags, KeyRefs, KeySpec};
use std::cell::OnceCell;

/// A command line. Its keys are looked for when first needed, and once.
pub(crate) struct Line<'a, A> {
    pub(crate) command: &'a CommandInfo,
    pub(crate) args: &'a [A],
    found: OnceCell<KeyRefs>,
}

impl<'a, A: AsRef<[u8]>> Line<'a, A> {
    pub(crate) fn new(command: &'a CommandInfo, args: &'a [A]) -> Self {
        Self {
            command,
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
        if self.command.key_specs.iter().all(is_fixed) {
            return self.command.key_specs.iter().find_map(|spec| {
                fixed_keys(spec, self.args.len()).find(|index| is_wanted(*index, spec.flags))
            });
        }
        let mut found = self.keys().iter();
        let key = found.find(|key| is_wanted(key.index, key.flags))?;
        Some(key.index)
    }

    /// Keys that depend on more than how many arguments there are; none when the arguments contradict themselves, for
    /// then the command fails before it touches any.
    fn keys(&self) -> &KeyRefs {
        self.found
            .get_or_init(|| commandtable::keys(self.command, self.args).unwrap_or_default())
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
    use commandtable::{COMMANDS, find};
    use proptest::prelude::*;

    /// Index of each key and what is needed on it.
    fn seen<A: AsRef<[u8]>>(command: &CommandInfo, line: &[A]) -> Vec<(usize, Access)> {
        let mut seen = Vec::new();
        Line::new(command, line).first_key(|index, key, needed| {
            assert_eq!(key, line[index].as_ref());
            seen.push((index, needed));
            false
        });
        seen
    }

    fn keys(line: &str) -> Vec<&str> {
        let args: Vec<&str> = line.split(' ').collect();
        let command = find(args[0].as_bytes()).unwrap();
        seen(command, &args)
            .into_iter()
            .map(|(index, _)| args[index])
            .collect()
    }

    #[test]
    fn streams_are_those_that_are_read() {
        for (line, wanted) in [
            ("xreadgroup GROUP g c STREAMS a >", &["a"][..]),
            (
                "xreadgroup GROUP g c COUNT 1 BLOCK 0 NOACK streams a b > >",
                &["a", "b"],
            ),
            ("xreadgroup NOACK GROUP g streams streams a >", &["a"]),
            (
                "xreadgroup COUNT 1 GROUP streams streams streams a >",
                &["a"],
            ),
            (
                "xreadgroup GROUP streams streams streams streams 0",
                &["streams"],
            ),
            ("xreadgroup GROUP g c STREAMS a b >", &["a"]),
            ("xreadgroup GROUP g c STREAMS", &[]),
            ("xreadgroup GROUP g c x STREAMS a >", &["a"]),
            ("xreadgroup GROUP", &[]),
        ] {
            assert_eq!(keys(line), wanted, "{line}");
        }
    }

    #[test]
    fn every_destination_is_a_key() {
        for (line, wanted) in [
            ("georadius k 0 0 1 m", &["k"][..]),
            ("georadius k 0 0 1 m STORE a store b", &["k", "a", "b"]),
            (
                "georadius k 0 0 1 m STOREDIST a store b storedist c",
                &["k", "b", "a", "c"],
            ),
            (
                "georadius k 0 0 1 m store store store b",
                &["k", "store", "store", "b"],
            ),
            ("georadius k 0 0 1 m store", &["k"]),
            (
                "georadiusbymember k m 1 m store a store b",
                &["k", "a", "b"],
            ),
            ("georadiusbymember k store store store", &["k"]),
        ] {
            assert_eq!(keys(line), wanted, "{line}");
        }
    }

    proptest! {
        /// Keys at fixed places are found without a list: the same as with one.
        #[test]
        fn keys_are_those_of_the_table(
            command in 0..COMMANDS.len(),
            args in prop::collection::vec("keys|store|get|by|limit|auth2|[0-9]{1,2}|[ab]?", 0..12),
        ) {
            let command = &COMMANDS[command];
            let line: Vec<&[u8]> = std::iter::once(command.name.as_bytes())
                .chain(args.iter().map(|arg| arg.as_bytes()))
                .collect();
            for command in std::iter::once(command).chain(command.subcommands) {
                if !command.accepts(line.len()) || command.name.starts_with("georadius") {
                    continue;
                }
                let wanted: Vec<_> = commandtable::keys(command, &line)
                    .unwrap_or_default()
                    .iter()
                    .map(|key| (key.index, Access::needed(key.flags)))
                    .collect();
                prop_assert_eq!(seen(command, &line), wanted, "{}", command.full_name);
            }
        }
    }
}
