//! The generated table, and finding a command in it by name.
//!
//! Every request pays for [`find`], so it neither allocates nor walks: the name is folded to lower
//! case in two machine words, a multiplication sends the words to a slot that no other command
//! shares (`build.rs` searched for the factors), and one comparison of the words decides.

use super::fold::Folded;
use super::{
    AclCategories, Arg, ArgFlags, ArgKind, BeginSearch, CommandInfo, DocFlags, Docs, FindKeys,
    Flags, KeyFlags, KeyGrammar, KeySpec,
};

include!(concat!(env!("OUT_DIR"), "/commands.rs"));

/// All commands without their subcommands, sorted by name.
pub static COMMANDS: &[CommandInfo] = &TOP;

/// Number of commands and subcommands: ids are below it.
pub const COUNT: usize = BY_ID.len();

/// The command or subcommand of an id.
pub fn by_id(id: u16) -> Option<&'static CommandInfo> {
    BY_ID.get(usize::from(id)).copied()
}

/// The command of this name, in any case. Subcommands are found by [`CommandInfo::subcommand`].
pub fn find(name: &[u8]) -> Option<&'static CommandInfo> {
    let folded = Folded::new(name);
    let slot = SLOTS.get(folded.slot(SLOT_FACTORS, SLOT_BITS))?;
    let command = TOP.get(usize::from(*slot))?;
    command.is_named(folded, name).then_some(command)
}

/// The command or subcommand of a full name, `get` or `config|get`, in any case.
pub fn find_full(name: &[u8]) -> Option<&'static CommandInfo> {
    match name.iter().position(|byte| *byte == b'|') {
        None => find(name),
        Some(at) => find(&name[..at])?.subcommand(&name[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_command_in_any_case() {
        for command in COMMANDS {
            for name in [command.name.to_string(), command.name.to_uppercase()] {
                let found = find(name.as_bytes()).expect("a command of the table");
                assert_eq!(found.id, command.id, "{name}");
            }
            for sub in command.subcommands {
                let name = sub.full_name.to_uppercase();
                let found = find_full(name.as_bytes()).expect("a subcommand of the table");
                assert_eq!(found.id, sub.id, "{name}");
            }
        }
    }

    #[test]
    fn near_misses_find_nothing() {
        for name in [
            "",
            "g",
            "ge",
            "getx",
            "xget",
            "config|",
            "|get",
            "config|nope",
            "get|get",
        ] {
            assert!(find_full(name.as_bytes()).is_none(), "{name}");
        }
        // One bit away from a name, where folding by `| 0x20` alone would be fooled.
        assert!(find(b"eval\x7fro").is_none());
        assert!(find(b"restore\x0dasking").is_none());
        assert!(find(b"\x07et").is_none());
        // Longer than the two words: only the middle differs.
        assert!(find(b"georadiusXymember_ro").is_none());
        assert!(find(&[b'a'; 1000]).is_none());
    }

    #[test]
    fn ids_are_dense_and_lead_back() {
        for id in 0..COUNT {
            let id = u16::try_from(id).expect("fewer than 65536 commands");
            assert_eq!(by_id(id).expect("below COUNT").id, id);
        }
        assert!(by_id(u16::try_from(COUNT).expect("fits")).is_none());
    }

    #[test]
    fn the_table_is_sorted_and_consistent() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        for command in COMMANDS
            .iter()
            .flat_map(|m| std::iter::once(m).chain(m.subcommands))
        {
            let name = command.full_name;
            assert_eq!(name, name.to_lowercase());
            assert!(
                !command.flags.contains(Flags::WRITE.and(Flags::READONLY)),
                "{name}"
            );
            assert_ne!(command.arity, 0, "{name}");
            assert_eq!(
                command.acl.contains(AclCategories::FAST),
                command.flags.contains(Flags::FAST),
                "{name}"
            );
            assert_ne!(
                command.acl.contains(AclCategories::FAST),
                command.acl.contains(AclCategories::SLOW),
                "{name}"
            );
            if command.last_key > 0 {
                assert!(command.arity.abs() > command.last_key, "{name}");
            }
            assert!(
                command.docs.args.is_empty() || command.subcommands.is_empty(),
                "{name}"
            );
            for arg in command.docs.args {
                if let Some(index) = arg.key_spec_index {
                    assert!(
                        usize::from(index) < command.key_specs.len(),
                        "{name} {}",
                        arg.name
                    );
                }
            }
        }
    }

    #[test]
    fn every_command_is_described() {
        for command in COMMANDS
            .iter()
            .flat_map(|m| std::iter::once(m).chain(m.subcommands))
        {
            assert!(
                !command.docs.summary.is_empty(),
                "{} has no summary",
                command.full_name
            );
            for (version, change) in command.docs.history {
                assert!(
                    !change.is_empty(),
                    "{} {version}: no change named",
                    command.full_name
                );
            }
        }
    }
}
