//! Rules as they are written, read one word at a time. What they do to a user stands in [`crate::user`] and
//! [`crate::selector`].

use crate::commands::{CommandRule, Sign, Target};
use crate::error::RuleError;
use crate::limits::RULE_BYTES_MAX;
use crate::password::PasswordHash;
use crate::patterns::Access;
use crate::quoting::is_space;
use commandtable::{AclCategories, find};
use std::borrow::Cow;

/// A rule about a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum UserRule<'a> {
    /// The empty word.
    Nothing,
    On,
    Off,
    NoPass,
    ResetPass,
    AddPassword(PasswordHash),
    RemovePassword(PasswordHash),
    SanitizePayload,
    SkipSanitizePayload,
    /// What stands between the parentheses.
    Selector(&'a [u8]),
    ClearSelectors,
    Reset,
    /// A rule about the root selector.
    Root(SelectorRule<'a>),
}

/// A rule about a selector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SelectorRule<'a> {
    /// `+@all` or `-@all`.
    AllCommands(Sign),
    Command(CommandRule),
    AllKeys,
    ResetKeys,
    /// `~pattern`, `%R~pattern` and their like, as [`key_pattern`] reads them. That is left to who applies the rule, for a
    /// pattern after all keys is refused whatever it is.
    Key(&'a [u8]),
    AllChannels,
    ResetChannels,
    /// The pattern behind the `&`, as [`pattern_of`] checks it; when, as for keys.
    Channel(&'a [u8]),
}

impl<'a> UserRule<'a> {
    /// Reads a rule; a selector in one piece.
    pub(crate) fn parse(word: &'a [u8]) -> Result<Self, RuleError> {
        if let [b'(', inside @ .., b')'] = word {
            return Ok(Self::Selector(inside));
        }
        if word.len() > RULE_BYTES_MAX {
            return Err(RuleError::TooLong);
        }
        let hash = |digits| PasswordHash::parse(digits).ok_or(RuleError::BadHash);
        match word {
            [] => return Ok(Self::Nothing),
            [b'>', password @ ..] => return Ok(Self::AddPassword(PasswordHash::of(password))),
            [b'<', password @ ..] => return Ok(Self::RemovePassword(PasswordHash::of(password))),
            [b'#', digits @ ..] => return hash(digits).map(Self::AddPassword),
            [b'!', digits @ ..] => return hash(digits).map(Self::RemovePassword),
            _ => {}
        }
        const WORDS: [(&str, UserRule<'static>); 8] = [
            ("on", UserRule::On),
            ("off", UserRule::Off),
            ("nopass", UserRule::NoPass),
            ("resetpass", UserRule::ResetPass),
            ("sanitize-payload", UserRule::SanitizePayload),
            ("skip-sanitize-payload", UserRule::SkipSanitizePayload),
            ("clearselectors", UserRule::ClearSelectors),
            ("reset", UserRule::Reset),
        ];
        match WORDS.into_iter().find(|(name, _)| is(word, name)) {
            Some((_, rule)) => Ok(rule),
            None => SelectorRule::parse(word).map(Self::Root),
        }
    }
}

impl<'a> SelectorRule<'a> {
    /// Reads a rule.
    pub(crate) fn parse(word: &'a [u8]) -> Result<Self, RuleError> {
        if word.len() > RULE_BYTES_MAX {
            return Err(RuleError::TooLong);
        }
        match word {
            [b'+', target @ ..] => command(Sign::Allow, target),
            [b'-', target @ ..] => command(Sign::Deny, target),
            [b'~', b'*'] => Ok(Self::AllKeys),
            [b'~' | b'%', ..] => Ok(Self::Key(word)),
            [b'&', b'*'] => Ok(Self::AllChannels),
            [b'&', pattern @ ..] => Ok(Self::Channel(pattern)),
            _ if is(word, "allcommands") => Ok(Self::AllCommands(Sign::Allow)),
            _ if is(word, "nocommands") => Ok(Self::AllCommands(Sign::Deny)),
            _ if is(word, "allkeys") => Ok(Self::AllKeys),
            _ if is(word, "resetkeys") => Ok(Self::ResetKeys),
            _ if is(word, "allchannels") => Ok(Self::AllChannels),
            _ if is(word, "resetchannels") => Ok(Self::ResetChannels),
            _ => Err(RuleError::Syntax),
        }
    }
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// A channel pattern, or a key pattern without what it permits: no white space, no NUL.
pub(crate) fn pattern_of(pattern: &[u8]) -> Result<&[u8], RuleError> {
    if has_space_or_nul(pattern) {
        Err(RuleError::Syntax)
    } else {
        Ok(pattern)
    }
}

/// Whether something cannot be a name, a pattern or a first argument.
pub(crate) fn has_space_or_nul(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte == 0 || is_space(*byte))
}

/// A key pattern, and what it permits: behind `%` at least one letter and none twice, then `~` and the pattern.
///
/// The reference also takes `%` and `%R` alone, for patterns that it then cannot show.
pub(crate) fn key_pattern(word: &[u8]) -> Result<(&[u8], Access), RuleError> {
    if let [b'~', pattern @ ..] = word {
        return Ok((pattern_of(pattern)?, Access::READ_WRITE));
    }
    let mut access = Access::NONE;
    for (at, byte) in word.iter().enumerate().skip(1) {
        let letter = match byte {
            b'R' | b'r' => Access::READ,
            b'W' | b'w' => Access::WRITE,
            b'~' if access != Access::NONE => return Ok((pattern_of(&word[at + 1..])?, access)),
            _ => break,
        };
        if access.contains(letter) {
            break;
        }
        access = access.and(letter);
    }
    Err(RuleError::Syntax)
}

/// What follows `+` or `-`.
fn command(sign: Sign, target: &[u8]) -> Result<SelectorRule<'static>, RuleError> {
    if let [b'@', name @ ..] = target {
        if is(name, "all") {
            return Ok(SelectorRule::AllCommands(sign));
        }
        let category = AclCategories::by_name(name).ok_or(RuleError::Unknown)?;
        let target = Target::Category(category);
        return Ok(SelectorRule::Command(CommandRule { sign, target }));
    }
    let mut parts = target.splitn(3, |byte| *byte == b'|');
    let name = parts.next().unwrap_or_default();
    let command = find(name).ok_or(RuleError::Unknown)?;
    let target = match (parts.next(), parts.next()) {
        (None, _) => Target::Command(command.id),
        (Some(word), more) => match command.subcommand(word) {
            Some(sub) if more.is_none() => Target::Command(sub.id),
            Some(_) if sign == Sign::Allow => return Err(RuleError::FirstArgumentOfSubcommand),
            None if word.is_empty() && more.is_none() && sign == Sign::Allow => {
                return Err(RuleError::Syntax);
            }
            None if sign == Sign::Allow && more.is_none() && !command.is_container() => {
                // The reference takes any bytes, and cannot show or save some of them.
                if has_space_or_nul(word) {
                    return Err(RuleError::Syntax);
                }
                Target::FirstArgument(command.id, word.to_ascii_lowercase().into())
            }
            _ => return Err(RuleError::Unknown),
        },
    };
    Ok(SelectorRule::Command(CommandRule { sign, target }))
}

/// Puts the selectors among rules, which may be spread over several of them, into one piece each: from one that starts
/// with `(` to the next that ends with `)`, with a blank in every seam.
///
/// # Errors
/// The rule with the parenthesis that does not close.
pub(crate) fn merge_selectors<'a>(rules: &[&'a [u8]]) -> Result<Vec<Cow<'a, [u8]>>, &'a [u8]> {
    let mut merged = Vec::with_capacity(rules.len());
    let mut rest = rules;
    while let [first, after @ ..] = rest {
        if first.first() != Some(&b'(') || first.last() == Some(&b')') {
            merged.push(Cow::Borrowed(*first));
            rest = after;
            continue;
        }
        let end = after
            .iter()
            .position(|word| word.last() == Some(&b')'))
            .ok_or(*first)?;
        merged.push(Cow::Owned(rest[..end + 2].join(&b' ')));
        rest = &after[end + 1..];
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use commandtable::find_full;

    fn refused(word: &str) -> Option<RuleError> {
        match UserRule::parse(word.as_bytes()) {
            Ok(UserRule::Root(SelectorRule::Key(word))) => key_pattern(word).err(),
            Ok(UserRule::Root(SelectorRule::Channel(pattern))) => pattern_of(pattern).err(),
            parsed => parsed.err(),
        }
    }

    #[test]
    fn words_that_are_no_rules_are_refused_as_by_the_reference() {
        use RuleError::{BadHash, FirstArgumentOfSubcommand, Syntax, Unknown};
        for (word, wanted) in [
            ("+", Unknown),
            ("-", Unknown),
            ("+x", Unknown),
            ("-x", Unknown),
            ("+@", Unknown),
            ("+@@", Unknown),
            ("+@x", Unknown),
            ("-@x", Unknown),
            ("+@ read", Unknown),
            ("+@read ", Unknown),
            ("+@all|x", Unknown),
            ("-@all|x", Unknown),
            ("+@read|x", Unknown),
            ("+config|nope", Unknown),
            ("-config|nope", Unknown),
            ("+config|nope|x", Unknown),
            ("+config||", Unknown),
            ("-config|", Unknown),
            ("-config|get|x", Unknown),
            ("-select|", Unknown),
            ("-select|0", Unknown),
            ("+select|0|1", Unknown),
            ("+select|0|", Unknown),
            ("+select||", Unknown),
            ("+get|a|b", Unknown),
            ("+nosuch|x", Unknown),
            ("-nosuch|x", Unknown),
            ("+|get", Unknown),
            ("+get)", Unknown),
            ("+get ", Unknown),
            ("+ get", Unknown),
            ("+config|", Syntax),
            ("+select|", Syntax),
            ("+config|get|x", FirstArgumentOfSubcommand),
            ("+CONFIG|get|x", FirstArgumentOfSubcommand),
            ("+config|get|", FirstArgumentOfSubcommand),
            ("+config|get|x|y", FirstArgumentOfSubcommand),
            ("x", Syntax),
            ("@", Syntax),
            ("*", Syntax),
            (")", Syntax),
            ("(", Syntax),
            (" (+get)", Syntax),
            ("%~x", Syntax),
            ("%RR~x", Syntax),
            ("%RWR~x", Syntax),
            ("%X~x", Syntax),
            ("%Rx~x", Syntax),
            ("~a b", Syntax),
            ("~a\tb", Syntax),
            ("~a\x0bb", Syntax),
            ("~a\0b", Syntax),
            ("&a b", Syntax),
            ("&a\0", Syntax),
            ("#", BadHash),
            ("!", BadHash),
            ("#ABC", BadHash),
            // Where the reference is wrong: patterns without permissions, first arguments that it cannot show.
            ("%", Syntax),
            ("%R", Syntax),
            ("%RW", Syntax),
            ("+select|a b", Syntax),
            ("+select|a\0", Syntax),
            ("+get\0", Unknown),
        ] {
            assert_eq!(refused(word), Some(wanted), "{word:?}");
        }
    }

    #[test]
    fn names_and_keywords_may_be_written_in_any_case() {
        let rule = |word: &'static str| UserRule::parse(word.as_bytes()).unwrap();
        for (one, other) in [
            ("on", "ON"),
            ("nopass", "NoPass"),
            ("reset", "Reset"),
            ("skip-sanitize-payload", "SKIP-SANITIZE-PAYLOAD"),
            ("+@all", "ALLCOMMANDS"),
            ("-@all", "noCommands"),
            ("+@ALL", "allcommands"),
            ("~*", "ALLKEYS"),
            ("&*", "AllChannels"),
            ("+@ReAd", "+@read"),
            ("+CONFIG|GET", "+config|get"),
            ("+SELECT|AbC", "+select|abc"),
        ] {
            assert_eq!(rule(one), rule(other), "{one} {other}");
        }
        for (one, other) in [("%rw~a", "~a"), ("%WR~a", "~a"), ("%r~A", "%R~A")] {
            let read = |word: &'static str| key_pattern(word.as_bytes()).unwrap();
            assert_eq!(read(one), read(other), "{one} {other}");
        }
        assert_ne!(rule("~a"), rule("~A"));
        assert_ne!(rule("&a"), rule("&A"));
        assert_ne!(rule(">a"), rule(">A"));
        assert_ne!(rule("~*"), rule("%RW~*"));
        assert_ne!(rule("~*"), rule("%R~*"));
    }

    #[test]
    fn commands_are_found_by_their_names() {
        let target = |word: &'static str| match UserRule::parse(word.as_bytes()) {
            Ok(UserRule::Root(SelectorRule::Command(rule))) => rule.target,
            other => panic!("{word}: {other:?}"),
        };
        let id = |name: &str| find_full(name.as_bytes()).unwrap().id;
        assert_eq!(target("+get"), Target::Command(id("get")));
        assert_eq!(target("-config|get"), Target::Command(id("config|get")));
        assert_eq!(target("-@READ"), Target::Category(AclCategories::READ));
        let word = b"digest"[..].into();
        assert_eq!(
            target("+debug|DIGEST"),
            Target::FirstArgument(id("debug"), word)
        );
    }

    #[test]
    fn selectors_are_put_together() {
        fn merged<'a>(rules: &[&'a str]) -> Result<Vec<String>, &'a str> {
            let rules: Vec<&'a [u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            match merge_selectors(&rules) {
                Ok(merged) => Ok(merged.iter().map(|rule| text(rule)).collect()),
                Err(start) => Err(std::str::from_utf8(start).unwrap()),
            }
        }
        assert_eq!(
            merged(&["on", "(+get", "", "~a)", ")", "off"]).unwrap(),
            ["on", "(+get  ~a)", ")", "off"]
        );
        assert_eq!(merged(&["(", ")"]).unwrap(), ["( )"]);
        assert_eq!(merged(&["()", "(a)(b)"]).unwrap(), ["()", "(a)(b)"]);
        assert_eq!(merged(&["(+get", "(+set)"]).unwrap(), ["(+get (+set)"]);
        assert_eq!(merged(&[" (+get)", ">(a"]).unwrap(), [" (+get)", ">(a"]);
        assert_eq!(merged(&["x", "(a", "b"]), Err("(a"));
        assert_eq!(merged(&["("]), Err("("));
        assert_eq!(merged(&["(+get) "]), Err("(+get) "));
        assert_eq!(merged(&["(a)", "(b", "c)", "(d"]), Err("(d"));
    }
}
