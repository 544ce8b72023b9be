//! Finds the keys among a command's arguments.
//!
//! The key specs of the table answer for almost every command. A few are left whose keys, or what
//! happens to them, depend on their own grammar: SET, BITFIELD, SORT and MIGRATE, and XREADGROUP and
//! GEORADIUS, of which the specs may find other keys than the command.
//!
//! Callers have checked the arity, so that keys at fixed places are there. Nothing else is taken on
//! trust. Source: key specifications and COMMAND GETKEYSANDFLAGS in the Valkey documentation; the
//! cases in `data/getkeys.txt` are the reference's replies.

use smallvec::SmallVec;

use super::{BeginSearch, CommandInfo, FindKeys, Flags, KeyFlags, KeyGrammar, KeySpec};

/// A key among the arguments of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRef {
    /// Which argument; the command's name is argument 0.
    pub index: usize,
    /// What the command does to the key.
    pub flags: KeyFlags,
}

/// The keys of a command line. Most have no more than fit without allocating.
pub type KeyRefs = SmallVec<[KeyRef; 4]>;

/// Why the keys cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeysError {
    /// The number of keys is not a number, is zero where it may not be, or is larger than what
    /// follows it.
    BadNumber,
    /// MIGRATE names a key and a list of keys.
    TwoKeyLists,
}

/// The keys of a command line in the order of the key specs; none when the command takes none, or
/// when the word they stand behind is missing.
///
/// # Errors
///
/// When the arguments contradict themselves, in which case the command itself fails as well.
pub fn keys<A: AsRef<[u8]>>(command: &CommandInfo, args: &[A]) -> Result<KeyRefs, KeysError> {
    match command.key_grammar {
        None => by_specs(command, args),
        Some(KeyGrammar::Set) => Ok(set(args)),
        Some(KeyGrammar::Bitfield) => Ok(bitfield(args)),
        Some(KeyGrammar::Sort) => Ok(sort(args)),
        Some(KeyGrammar::Migrate) => migrate(args),
        Some(KeyGrammar::XReadGroup) => streams(command, args),
        Some(KeyGrammar::GeoRadius) => destinations(command, args),
    }
}

impl CommandInfo {
    /// True when the command may name keys, so that [`keys`] is worth asking.
    pub fn takes_keys(&self) -> bool {
        self.key_specs
            .iter()
            .any(|spec| !spec.flags.contains(KeyFlags::NOT_KEY))
    }
}

fn by_specs<A: AsRef<[u8]>>(command: &CommandInfo, args: &[A]) -> Result<KeyRefs, KeysError> {
    let mut found = KeyRefs::new();
    for spec in command.key_specs {
        if spec.flags.contains(KeyFlags::NOT_KEY) {
            continue;
        }
        let Some(start) = begin(spec, args) else {
            continue;
        };
        match spec.find {
            FindKeys::Unknown => {}
            FindKeys::Range {
                last_key,
                step,
                limit,
            } => {
                let last = match usize::try_from(last_key) {
                    Ok(last_key) => start.saturating_add(last_key),
                    Err(_) => {
                        let from_end = last_key.unsigned_abs() as usize;
                        let end = match limit {
                            ..2 => args.len(),
                            // Keys come first, and as many other arguments for each of them.
                            _ => start + args.len().saturating_sub(start) / limit as usize,
                        };
                        let Some(last) = end.checked_sub(from_end) else {
                            continue;
                        };
                        last
                    }
                };
                push_range(&mut found, start, last, step, spec.flags, args.len());
            }
            FindKeys::KeyNum {
                keynum_index,
                first_key,
                step,
            } => {
                let count = args
                    .get(start + keynum_index as usize)
                    .and_then(|arg| number(arg.as_ref()))
                    .ok_or(KeysError::BadNumber)?;
                let Some(distance) = count.checked_sub(1) else {
                    if command.flags.contains(Flags::NO_MANDATORY_KEYS) {
                        continue;
                    }
                    return Err(KeysError::BadNumber);
                };
                let first = start + first_key as usize;
                let last = distance
                    .checked_mul(step as usize)
                    .and_then(|distance| first.checked_add(distance))
                    .filter(|last| *last < args.len())
                    .ok_or(KeysError::BadNumber)?;
                push_range(&mut found, first, last, step, spec.flags, args.len());
            }
        }
    }
    Ok(found)
}

/// The argument at which the keys of a spec begin.
fn begin<A: AsRef<[u8]>>(spec: &KeySpec, args: &[A]) -> Option<usize> {
    match spec.begin {
        BeginSearch::Unknown => None,
        BeginSearch::Index(index) => usize::try_from(index).ok(),
        BeginSearch::Keyword { word, start_from } => {
            let is_word = |index: &usize| args.get(*index).is_some_and(|arg| is(arg, word));
            let at = match usize::try_from(start_from) {
                // The last argument is no keyword: nothing would follow it.
                Ok(start) => (start..args.len().saturating_sub(1)).find(is_word)?,
                Err(_) => {
                    let start = args.len().checked_sub(start_from.unsigned_abs() as usize)?;
                    (1..=start).rev().find(is_word)?
                }
            };
            Some(at + 1)
        }
    }
}

fn push_range(
    found: &mut KeyRefs,
    first: usize,
    last: usize,
    step: i32,
    flags: KeyFlags,
    count: usize,
) {
    let step = usize::try_from(step).unwrap_or(1).max(1);
    let end = last.saturating_add(1).min(count);
    found.extend(
        (first..end)
            .step_by(step)
            .map(|index| KeyRef { index, flags }),
    );
}

/// `SET key value [option ...]`: reads the old value only with GET.
fn set<A: AsRef<[u8]>>(args: &[A]) -> KeyRefs {
    let reads = args.iter().skip(3).any(|arg| is(arg, "get"));
    let flags = if reads { UPDATE_AND_RETURN } else { OVERWRITE };
    SmallVec::from_slice(&[KeyRef { index: 1, flags }])
}

/// `BITFIELD key [GET type offset | OVERFLOW mode | ...] ...`: reads only, if all it does is GET.
fn bitfield<A: AsRef<[u8]>>(args: &[A]) -> KeyRefs {
    let mut index = 2;
    let mut flags = READ;
    while let Some(arg) = args.get(index) {
        let arguments = if is(arg, "get") {
            2
        } else if is(arg, "overflow") {
            1
        } else {
            flags = UPDATE_AND_RETURN;
            break;
        };
        if index + arguments >= args.len() {
            flags = UPDATE_AND_RETURN;
            break;
        }
        index += 1 + arguments;
    }
    SmallVec::from_slice(&[KeyRef { index: 1, flags }])
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [STORE destination] ...`. The keys
/// that the patterns name depend on what is stored.
fn sort<A: AsRef<[u8]>>(args: &[A]) -> KeyRefs {
    let mut found: KeyRefs = SmallVec::from_slice(&[KeyRef {
        index: 1,
        flags: READ,
    }]);
    let mut destination = None;
    let mut index = 2;
    while let Some(arg) = args.get(index) {
        if is(arg, "limit") {
            index += 2;
        } else if is(arg, "get") || is(arg, "by") {
            index += 1;
        } else if is(arg, "store") && index + 1 < args.len() {
            index += 1;
            destination = Some(index);
        }
        index += 1;
    }
    found.extend(destination.map(|index| KeyRef {
        index,
        flags: OVERWRITE,
    }));
    found
}

/// `MIGRATE host port key|"" db timeout [option ...] [KEYS key ...]`.
fn migrate<A: AsRef<[u8]>>(args: &[A]) -> Result<KeyRefs, KeysError> {
    const KEY: usize = 3;
    const OPTIONS: usize = 6;
    let mut index = OPTIONS;
    let mut range = KEY..KEY + 1;
    while let Some(arg) = args.get(index) {
        // The last argument is no keyword: nothing would follow it.
        if is(arg, "keys") && index + 1 < args.len() {
            if args.get(KEY).is_some_and(|key| !key.as_ref().is_empty()) {
                return Err(KeysError::TwoKeyLists);
            }
            range = index + 1..args.len();
            break;
        }
        if is(arg, "auth") {
            index += 1;
        } else if is(arg, "auth2") {
            index += 2;
        }
        index += 1;
    }
    Ok(range
        .map(|index| KeyRef {
            index,
            flags: MOVE_AWAY,
        })
        .collect())
}

/// The keys of XREADGROUP, found as the command finds them; by the specs where the command fails.
///
/// The spec takes the first `STREAMS` behind the place of the consumer, which an option before `GROUP` moves: in
/// `NOACK GROUP g streams STREAMS key >` that is the consumer's name. The reference goes by the spec and so lets who may
/// read a key called `streams` read any.
fn streams<A: AsRef<[u8]>>(command: &CommandInfo, args: &[A]) -> Result<KeyRefs, KeysError> {
    let (mut index, mut in_group) = (1, false);
    while let Some(arg) = args.get(index) {
        index += match () {
            () if is(arg, "group") => {
                in_group = true;
                3
            }
            () if is(arg, "count") || is(arg, "block") => 2,
            () if is(arg, "noack") => 1,
            () if is(arg, "streams") && in_group => {
                let first = index + 1;
                let keys = first..first + (args.len() - first) / 2;
                let flags = READ;
                return Ok(keys.map(|index| KeyRef { index, flags }).collect());
            }
            () => break,
        };
    }
    by_specs(command, args)
}

/// The keys of GEORADIUS and GEORADIUSBYMEMBER, with every destination.
///
/// The specs find the first word behind `STORE` and behind `STOREDIST`, but the last one counts: the reference, which goes
/// by the specs, lets `STORE mine STORE other` write to a key that the user may not.
fn destinations<A: AsRef<[u8]>>(command: &CommandInfo, args: &[A]) -> Result<KeyRefs, KeysError> {
    let mut found = by_specs(command, args)?;
    for spec in command.key_specs {
        let BeginSearch::Keyword { word, start_from } = spec.begin else {
            continue;
        };
        let start = start_from.unsigned_abs() as usize;
        let options = args.iter().enumerate().skip(start);
        for (at, _) in options.filter(|(_, arg)| is(*arg, word)) {
            let index = at + 1;
            if index < args.len() && !found.iter().any(|key| key.index == index) {
                let flags = spec.flags;
                found.push(KeyRef { index, flags });
            }
        }
    }
    Ok(found)
}

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const OVERWRITE: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);
const UPDATE_AND_RETURN: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);
const MOVE_AWAY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);

fn is<A: AsRef<[u8]>>(arg: &A, word: &str) -> bool {
    arg.as_ref().eq_ignore_ascii_case(word.as_bytes())
}

/// A count as commands spell it: decimal digits without sign, space or leading zero.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{COMMANDS, find};

    /// One case a line, fields between tabs: the arguments, `=>`, then key and flags in turn.
    const CASES: &str = include_str!("../data/getkeys.txt");

    fn find_command(args: &[&[u8]]) -> &'static CommandInfo {
        let command = find(args[0]).expect("a command of the table");
        args.get(1)
            .and_then(|sub| command.subcommand(sub))
            .unwrap_or(command)
    }

    #[test]
    fn keys_and_flags_are_those_of_the_reference() {
        let lines = CASES.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let fields: Vec<&str> = line.split('\t').collect();
            let at = fields
                .iter()
                .position(|field| *field == "=>")
                .expect("an arrow");
            let args: Vec<&[u8]> = fields[..at].iter().map(|arg| arg.as_bytes()).collect();
            let command = find_command(&args);
            let found = keys(command, &args).unwrap_or_default();
            let told: Vec<String> = found
                .iter()
                .flat_map(|key| {
                    let name = String::from_utf8_lossy(args[key.index]).into_owned();
                    [name, key.flags.names().collect::<Vec<_>>().join(" ")]
                })
                .collect();
            let wanted = &fields[at + 1..];
            let told_there = match command.key_grammar {
                // Further destinations come behind what the reference finds.
                Some(KeyGrammar::GeoRadius) => &told[..wanted.len().min(told.len())],
                _ => &told,
            };
            assert_eq!(told_there, wanted, "{line}");
        }
    }

    #[test]
    fn a_lone_destination_of_pfmerge_is_a_key() {
        // The reference finds no key here, and so lets the command past its ACL key rules.
        let args: [&[u8]; 2] = [b"pfmerge", b"d"];
        let found = keys(find_command(&args), &args).expect("well formed");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].index, 1);
    }

    #[test]
    fn a_number_is_spelled_one_way() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"12"), Some(12));
        for bad in [
            "",
            "+1",
            "-1",
            "01",
            " 1",
            "1 ",
            "1.0",
            "99999999999999999999999",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_is_one_of_the_arguments(
            command in 0..COMMANDS.len(),
            args in prop::collection::vec("keys|store|streams|get|by|limit|auth2|[0-9]{1,2}|[ab]?", 0..12),
        ) {
            let command = &COMMANDS[command];
            let line: Vec<&[u8]> = std::iter::once(command.name.as_bytes())
                .chain(args.iter().map(|arg| arg.as_bytes()))
                .collect();
            for command in std::iter::once(command).chain(command.subcommands) {
                if !command.accepts(line.len()) {
                    continue;
                }
                for key in keys(command, &line).unwrap_or_default() {
                    prop_assert!(key.index > 0 && key.index < line.len());
                    prop_assert!(!key.flags.is_empty());
                }
            }
        }
    }
}
