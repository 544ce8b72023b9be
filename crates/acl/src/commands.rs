//! Sets of commands, and what a rule about commands names.

use commandtable::{AclCategories, COMMANDS, COUNT, CommandInfo, by_id};

const WORDS: usize = COUNT.div_ceil(u64::BITS as usize);

/// One bit for each command and subcommand, by its id, and one for commands that nobody knows yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CommandSet {
    bits: [u64; WORDS],
    future: bool,
}

impl CommandSet {
    /// No command.
    pub(crate) const NONE: Self = Self {
        bits: [0; WORDS],
        future: false,
    };

    /// Every command, now and later.
    pub(crate) const ALL: Self = Self {
        bits: {
            let mut bits = [u64::MAX; WORDS];
            bits[WORDS - 1] = u64::MAX >> (WORDS * u64::BITS as usize - COUNT);
            bits
        },
        future: true,
    };

    /// Whether the command or subcommand of this id is a member.
    #[inline]
    pub(crate) fn has(&self, id: u16) -> bool {
        let (word, bit) = place(id);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Whether commands that nobody knows yet are members.
    pub(crate) const fn has_future(&self) -> bool {
        self.future
    }

    /// Adds or removes one command or subcommand.
    pub(crate) fn put(&mut self, id: u16, sign: Sign) {
        let (word, bit) = place(id);
        match (self.bits.get_mut(word), sign) {
            (None, _) => {}
            (Some(bits), Sign::Allow) => *bits |= bit,
            (Some(bits), Sign::Deny) => *bits &= !bit,
        }
    }
}

const fn place(id: u16) -> (usize, u64) {
    let id = id as usize;
    (id / u64::BITS as usize, 1 << (id % u64::BITS as usize))
}

/// Whether a rule gives or takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// `+`
    Allow,
    /// `-`
    Deny,
}

impl Sign {
    /// How the sign is written.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Allow => b'+',
            Self::Deny => b'-',
        }
    }
}

/// What a rule about commands names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `@category`, one of the table's.
    Category(AclCategories),
    /// A command with all its subcommands, or one subcommand, by its id.
    Command(u16),
    /// A command that has no subcommands, with this first argument, which is in lower case and neither empty nor broken
    /// by white space.
    FirstArgument(u16, Box<[u8]>),
}

impl Target {
    /// Whether the rule is about the command or subcommand, called with this first argument.
    pub(crate) fn covers(&self, command: &CommandInfo, argument: Option<&[u8]>) -> bool {
        match self {
            Self::Category(category) => command.acl.contains(*category),
            Self::Command(id) => {
                *id == command.id || container(command).is_some_and(|container| container.id == *id)
            }
            Self::FirstArgument(id, word) => {
                *id == command.id && argument.is_some_and(|found| found.eq_ignore_ascii_case(word))
            }
        }
    }

    /// Appends how the target is written.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Category(category) => {
                into.push(b'@');
                for name in category.names() {
                    into.extend_from_slice(name.as_bytes());
                }
            }
            Self::Command(id) => into.extend_from_slice(full_name(*id)),
            Self::FirstArgument(id, word) => {
                into.extend_from_slice(full_name(*id));
                into.push(b'|');
                into.extend_from_slice(word);
            }
        }
    }
}

/// A rule about commands, as it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandRule {
    /// Whether it gives or takes.
    pub sign: Sign,
    /// What it gives or takes.
    pub target: Target,
}

impl CommandRule {
    /// The rule as it is shown: lower case, without quotes.
    pub fn text(&self) -> Vec<u8> {
        let mut text = vec![self.sign.byte()];
        self.target.write(&mut text);
        text
    }
}

fn full_name(id: u16) -> &'static [u8] {
    by_id(id).map_or(b"", |command| command.full_name.as_bytes())
}

/// The command that a subcommand belongs to.
fn container(command: &CommandInfo) -> Option<&'static CommandInfo> {
    let (name, _) = command.full_name.split_once('|')?;
    commandtable::find(name.as_bytes())
}

/// A command and its subcommands.
pub(crate) fn with_subcommands(
    command: &'static CommandInfo,
) -> impl Iterator<Item = &'static CommandInfo> {
    std::iter::once(command).chain(command.subcommands)
}

/// Every command and subcommand of a category, in the order of the table: what `ACL CAT category` lists, and what a rule
/// about the category changes. Where a container is a member, so are its subcommands.
pub fn members(category: AclCategories) -> impl Iterator<Item = &'static CommandInfo> {
    COMMANDS
        .iter()
        .flat_map(with_subcommands)
        .filter(move |command| command.acl.contains(category))
}

#[cfg(test)]
mod tests {
    use super::*;
    use commandtable::{find, find_full};

    #[test]
    fn a_set_holds_what_was_put() {
        let mut set = CommandSet::NONE;
        for id in 0..u16::try_from(COUNT).unwrap() {
            assert!(!set.has(id));
            set.put(id, Sign::Allow);
            assert!(set.has(id));
        }
        assert!(set != CommandSet::ALL && !set.has_future());
        assert!(!CommandSet::ALL.has(u16::try_from(COUNT).unwrap()));
        assert!(!CommandSet::ALL.has(u16::MAX));
        let mut all = CommandSet::ALL;
        all.put(7, Sign::Deny);
        assert!(!all.has(7) && all.has(6) && all.has(8) && all != CommandSet::ALL);
        all.put(7, Sign::Allow);
        assert_eq!(all, CommandSet::ALL);
    }

    #[test]
    fn rules_cover_what_they_name() {
        let get = find(b"get").unwrap();
        let select = find(b"select").unwrap();
        let config = find(b"config").unwrap();
        let config_get = find_full(b"config|get").unwrap();
        assert!(Target::Command(get.id).covers(get, None));
        assert!(!Target::Command(get.id).covers(select, None));
        assert!(Target::Command(config.id).covers(config_get, None));
        assert!(!Target::Command(config_get.id).covers(config, None));
        assert!(Target::Category(AclCategories::DANGEROUS).covers(config_get, None));
        assert!(!Target::Category(AclCategories::DANGEROUS).covers(get, None));
        let zero = Target::FirstArgument(select.id, b"a"[..].into());
        assert!(zero.covers(select, Some(b"A")));
        assert!(!zero.covers(select, Some(b"aa")) && !zero.covers(select, None));
        assert!(!zero.covers(get, Some(b"a")));
    }

    #[test]
    fn a_category_has_containers_whole() {
        for (category, name) in AclCategories::ALL {
            assert!(members(*category).count() > 0, "{name}");
            for command in members(*category) {
                assert!(Target::Category(*category).covers(command, None));
                for sub in command.subcommands {
                    assert!(sub.acl.contains(*category), "{name} {}", sub.full_name);
                }
            }
        }
    }
}
