//! A selector: commands, keys and channels that are allowed together.

use crate::commands::{CommandRule, CommandSet, Sign, Target, members, with_subcommands};
use crate::error::RuleError;
use crate::limits::{COMMAND_RULES_MAX, SELECTOR_BYTES_MAX};
use crate::patterns::{Form, KeyPattern, Pattern, Patterns};
use crate::quoting;
use crate::rule::{SelectorRule, key_pattern, pattern_of};
use commandtable::{CommandInfo, Flags, by_id};

/// Which channels a new user or selector may use, and one after `reset`: the parameter `acl-pubsub-default`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NewChannels {
    /// `resetchannels`
    #[default]
    None,
    /// `allchannels`
    All,
}

/// A set of rights. A command needs one selector that allows the command, its keys and its channels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// What the rules come to, first arguments aside.
    pub(crate) commands: CommandSet,
    /// Commands without subcommands that are allowed with one first argument, in lower case. No pair stands twice.
    first_arguments: Vec<(u16, Box<[u8]>)>,
    /// What was said about commands, in order, but for what a later rule makes idle. They start from all commands or
    /// none, as [`CommandSet::has_future`] tells.
    rules: Vec<CommandRule>,
    pub(crate) keys: Patterns<KeyPattern>,
    pub(crate) channels: Patterns<Pattern>,
}

impl Selector {
    /// No commands, no keys.
    pub(crate) fn new(channels: NewChannels) -> Self {
        let mut selector = Self {
            commands: CommandSet::NONE,
            first_arguments: Vec::new(),
            rules: Vec::new(),
            keys: Patterns::NONE,
            channels: Patterns::NONE,
        };
        if channels == NewChannels::All {
            selector.channels.allow_all();
        }
        selector
    }

    /// Reads what stands between parentheses. Rules that allow a first argument are added to `deprecated`.
    pub(crate) fn parse(
        inside: &[u8],
        channels: NewChannels,
        deprecated: &mut Vec<Vec<u8>>,
    ) -> Result<Self, RuleError> {
        if inside.len() > SELECTOR_BYTES_MAX {
            return Err(RuleError::TooLong);
        }
        // The reference makes an empty selector where a quote is open.
        let words = quoting::split(inside).ok_or(RuleError::Syntax)?;
        let mut selector = Self::new(channels);
        for word in words {
            let rule = SelectorRule::parse(&word)?;
            if rule.is_deprecated() {
                deprecated.push(word.clone());
            }
            selector.apply(rule)?;
        }
        if selector.line(Form::Inside).len() > SELECTOR_BYTES_MAX {
            return Err(RuleError::TooLong);
        }
        Ok(selector)
    }

    /// Does what a rule says.
    pub(crate) fn apply(&mut self, rule: SelectorRule<'_>) -> Result<(), RuleError> {
        match rule {
            SelectorRule::AllCommands(sign) => {
                self.rules.clear();
                self.first_arguments.clear();
                self.commands = match sign {
                    Sign::Allow => CommandSet::ALL,
                    Sign::Deny => CommandSet::NONE,
                };
            }
            SelectorRule::Command(rule) => self.apply_to_commands(rule)?,
            SelectorRule::AllKeys => self.keys.allow_all(),
            SelectorRule::ResetKeys => self.keys = Patterns::NONE,
            SelectorRule::Key(..) if self.keys.are_all() => {
                return Err(RuleError::KeyAfterAllKeys);
            }
            SelectorRule::Key(word) => {
                let (pattern, access) = key_pattern(word)?;
                self.keys.add(pattern, access);
            }
            SelectorRule::AllChannels => self.channels.allow_all(),
            SelectorRule::ResetChannels => self.channels = Patterns::NONE,
            SelectorRule::Channel(_) if self.channels.are_all() => {
                return Err(RuleError::ChannelAfterAllChannels);
            }
            SelectorRule::Channel(pattern) => self.channels.add(pattern_of(pattern)?),
        }
        Ok(())
    }

    fn apply_to_commands(&mut self, rule: CommandRule) -> Result<(), RuleError> {
        self.rules.retain(|known| !is_idle(known, &rule));
        if self.rules.len() >= COMMAND_RULES_MAX {
            return Err(RuleError::TooManyCommandRules);
        }
        // An exception ends when its command is ruled on, or when it is made again.
        self.first_arguments.retain(|(id, word)| {
            by_id(*id).is_none_or(|command| !rule.target.covers(command, Some(word)))
        });
        match &rule.target {
            Target::Category(category) => {
                for command in members(*category) {
                    self.commands.put(command.id, rule.sign);
                }
            }
            Target::Command(id) => {
                for command in by_id(*id).into_iter().flat_map(with_subcommands) {
                    self.commands.put(command.id, rule.sign);
                }
            }
            Target::FirstArgument(id, word) => self.first_arguments.push((*id, word.clone())),
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Whether the command may be called, the first argument being this.
    #[inline]
    pub(crate) fn allows_command(
        &self,
        command: &CommandInfo,
        first_argument: Option<&[u8]>,
    ) -> bool {
        self.commands.has(command.id)
            || command.flags.contains(Flags::NO_AUTH)
            || (!self.first_arguments.is_empty()
                && self.allows_first_argument(command, first_argument))
    }

    #[cold]
    fn allows_first_argument(&self, command: &CommandInfo, argument: Option<&[u8]>) -> bool {
        argument.is_some_and(|argument| {
            self.first_arguments
                .iter()
                .any(|(id, word)| *id == command.id && argument.eq_ignore_ascii_case(word))
        })
    }

    /// Whether everything is allowed.
    pub(crate) fn allows_everything(&self) -> bool {
        self.keys.are_all() && self.channels.are_all() && self.commands == CommandSet::ALL
    }

    /// What was said about commands, in order, starting from all commands or none.
    pub fn rules(&self) -> &[CommandRule] {
        &self.rules
    }

    /// Whether the rules start from all commands, those included that nobody knows yet.
    pub fn starts_from_all(&self) -> bool {
        self.commands.has_future()
    }

    /// The rules about commands in one line: `-@all +get`.
    pub fn commands_text(&self) -> Vec<u8> {
        self.commands_in(Form::Plain)
    }

    /// The rules about keys in one line: `~a %R~b`, `~*`, or nothing.
    pub fn keys_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.keys.write(Form::Plain, &mut text);
        text.pop();
        text
    }

    /// The rules about channels in one line: `&a &b`, `&*`, or nothing.
    pub fn channels_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.channels.write(Form::Plain, &mut text);
        text.pop();
        text
    }

    /// All rules in one line, which read again give the same selector.
    pub(crate) fn line(&self, form: Form) -> Vec<u8> {
        let mut line = Vec::new();
        self.keys.write(form, &mut line);
        if !self.channels.are_all() {
            line.extend_from_slice(b"resetchannels ");
        }
        self.channels.write(form, &mut line);
        line.extend_from_slice(&self.commands_in(form));
        line
    }

    fn commands_in(&self, form: Form) -> Vec<u8> {
        let start = if self.starts_from_all() { b'+' } else { b'-' };
        let mut text = vec![start];
        text.extend_from_slice(b"@all");
        for rule in &self.rules {
            text.push(b' ');
            form.write(&rule.text(), &mut text);
        }
        text
    }
}

/// Whether a rule says nothing any more once a later one has been given: both name the same, or the later one names the
/// whole of a command of which the earlier one names a part.
fn is_idle(earlier: &CommandRule, later: &CommandRule) -> bool {
    if earlier.target == later.target {
        return true;
    }
    let Target::Command(whole) = later.target else {
        return false;
    };
    match &earlier.target {
        Target::Category(_) => false,
        Target::Command(id) => {
            by_id(whole).is_some_and(|command| command.subcommands.iter().any(|sub| sub.id == *id))
        }
        Target::FirstArgument(id, _) => *id == whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commandtable::find_full;

    /// A selector of rules with blanks between them.
    fn selector(rules: &str) -> Selector {
        Selector::parse(rules.as_bytes(), NewChannels::None, &mut Vec::new()).unwrap()
    }

    fn shown(rules: &str) -> String {
        String::from_utf8(selector(rules).commands_text()).unwrap()
    }

    fn allows(selector: &Selector, line: &str) -> bool {
        let (name, argument) = match line.split_once(' ') {
            Some((name, argument)) => (name, Some(argument.as_bytes())),
            None => (line, None),
        };
        selector.allows_command(find_full(name.as_bytes()).unwrap(), argument)
    }

    #[test]
    fn rules_are_shown_as_by_the_reference() {
        for (given, wanted) in [
            ("", "-@all"),
            ("+get -get", "-@all -get"),
            ("-get +get", "-@all +get"),
            ("+config|get +config", "-@all +config"),
            ("+config|get -config", "-@all -config"),
            ("+config -config|set", "-@all +config -config|set"),
            (
                "+client -client|kill -client|list +client|kill",
                "-@all +client -client|list +client|kill",
            ),
            (
                "+client|id +client -client|id +client|ID",
                "-@all +client +client|id",
            ),
            ("+@all -get -@read +get", "+@all -@read +get"),
            ("+select|0 +select|1", "-@all +select|0 +select|1"),
            ("+select|0 +select|1 +select", "-@all +select"),
            ("+select|0 -select", "-@all -select"),
            ("+select +select|0", "-@all +select +select|0"),
            ("+GET|ABC +get|abc +get|x", "-@all +get|abc +get|x"),
            ("+get|a -@read", "-@all +get|a -@read"),
            (
                "+select|0 -@connection +select|0",
                "-@all -@connection +select|0",
            ),
            ("+@all +select|0", "+@all +select|0"),
            ("+@all -config|set +@all", "+@all"),
            ("+@all -get -@all", "-@all"),
            ("+@read -@READ", "-@all -@read"),
            ("ALLCOMMANDS +get", "+@all +get"),
        ] {
            assert_eq!(shown(given), wanted, "{given}");
        }
    }

    #[test]
    fn rules_allow_what_they_say() {
        let all = selector("+@all");
        assert!(all.commands == CommandSet::ALL);
        assert!(selector("+@all -get +get").commands == CommandSet::ALL);
        assert!(selector("+@all -@all").commands == CommandSet::NONE);
        let config = selector("+config -config|set");
        assert!(allows(&config, "config|get") && !allows(&config, "config|set"));
        let read = selector("+@read -get");
        assert!(allows(&read, "mget") && !allows(&read, "get") && !allows(&read, "set"));
        let none = selector("");
        for name in ["auth", "hello", "quit", "reset"] {
            assert!(allows(&none, name), "{name}");
        }
        assert!(!allows(&none, "ping"));
        let sub = selector("+command|count");
        assert!(allows(&sub, "command|count") && !allows(&sub, "command"));
        let but = selector("+command -command|count");
        assert!(!allows(&but, "command|count") && allows(&but, "command"));
    }

    #[test]
    fn first_arguments_are_exceptions_until_the_command_is_named() {
        let zero = selector("+select|0");
        assert!(allows(&zero, "select 0"));
        for refused in ["select", "select 00", "select 1", "select "] {
            assert!(!allows(&zero, refused), "{refused}");
        }
        assert!(allows(&selector("+select|ABC"), "select aBc"));
        assert!(allows(&selector("+@all -select +select|0"), "select 0"));
        assert!(!allows(&selector("+@all -select +select|0"), "select 1"));
        for gone in [
            "+select|0 -select",
            "+select|0 -@connection",
            "+select|0 +@connection -select",
            "+select|0 +@all -@all",
            "+select|0 nocommands",
            "+select|0 -@connection +select|1",
        ] {
            assert!(!allows(&selector(gone), "select 0"), "{gone}");
        }
        assert!(!allows(&zero, "get 0"));
    }

    #[test]
    fn patterns_come_after_all_only_when_they_are_reset() {
        let refused = |rules: &str| {
            Selector::parse(rules.as_bytes(), NewChannels::None, &mut Vec::new()).err()
        };
        for rules in [
            "~* ~a",
            "allkeys %R~a",
            "~* %R~*",
            "~* %RW~*",
            "~* %X",
            "~* %",
        ] {
            assert_eq!(refused(rules), Some(RuleError::KeyAfterAllKeys), "{rules}");
        }
        assert_eq!(refused("&* &a"), Some(RuleError::ChannelAfterAllChannels));
        for rules in [
            "~* ~*",
            "~* resetkeys ~a",
            "&* resetchannels &a",
            "%R~* ~a",
            "%RW~* ~a",
        ] {
            assert_eq!(refused(rules), None, "{rules}");
        }
    }

    #[test]
    fn inside_there_are_rules_of_selectors_only() {
        for rules in [
            "on",
            "reset",
            ">pw",
            "nopass",
            "clearselectors",
            "(+get)",
            "\"+get",
            "+get \0",
        ] {
            let parsed = Selector::parse(rules.as_bytes(), NewChannels::None, &mut Vec::new());
            assert!(parsed.is_err(), "{rules}");
        }
        assert_eq!(selector("\"~\\x61\" '+get'"), selector("~a +get"));
    }

    #[test]
    fn what_needs_quotes_gets_them() {
        let odd = selector(r#"'~a"b' "&c)" '+select|d)' ~("#);
        let line = odd.line(Form::Inside);
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            r#""~a\"b" ~( resetchannels "&c)" -@all "+select|d)""#
        );
        assert_eq!(selector(std::str::from_utf8(&line).unwrap()), odd);
        assert_eq!(odd.keys_text(), br#"~a"b ~("#);
    }

    #[test]
    fn long_selectors_are_refused() {
        let long = [b"~".as_slice(), &[b'x'; crate::limits::RULE_BYTES_MAX]].concat();
        let parse = |inside: &[u8]| Selector::parse(inside, NewChannels::None, &mut Vec::new());
        assert_eq!(parse(&long), Err(RuleError::TooLong));
        assert!(parse(&long[..long.len() - 1]).is_ok());
        let blanks = vec![b' '; SELECTOR_BYTES_MAX + 1];
        assert_eq!(parse(&blanks), Err(RuleError::TooLong));
        // Short as given, and too long with quotes.
        let mut quotes = Vec::new();
        for letter in b'a'..=b'l' {
            quotes.extend_from_slice(b"'~");
            quotes.push(letter);
            quotes.extend_from_slice(&[b'"'; 60_000]);
            quotes.extend_from_slice(b"' ");
        }
        assert_eq!(parse(&quotes), Err(RuleError::TooLong));
    }
}
