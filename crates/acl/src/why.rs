//! Which rule of which selector allows a command, or refuses it: ACL WHY.

use crate::channels::channels_of;
use crate::commands::Sign;
use crate::denied::{Denied, Reason};
use crate::line::Line;
use crate::patterns::{Access, Pattern};
use crate::selector::Selector;
use crate::user::User;
use commandtable::{CommandInfo, Flags};

/// A judgement with its reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// The index of the selector that allows the command, 0 being the root; or what is missing.
    pub verdict: Result<usize, Denied>,
    /// What each selector says, as far as they were asked.
    pub selectors: Vec<SelectorWhy>,
}

/// What one selector says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectorWhy {
    /// What is missing, if anything.
    pub denied: Option<Denied>,
    /// What decided, in the order in which it was looked at: the command, keys, channels; up to what is missing.
    pub grounds: Vec<Ground>,
}

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ground {
    /// What was decided on.
    pub subject: Subject,
    /// The full name of the command, the key, or the channel.
    pub object: Vec<u8>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The rules that decided. On a refusal of a key they are those that match and do not permit enough; empty where no
    /// rule has anything to say. Empty also for a command that everybody may call.
    pub rules: Vec<Vec<u8>>,
}

/// Kinds of things that are decided on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The command.
    Command,
    /// An argument that is a key, and what the command needs on it.
    Key(usize, Access),
    /// An argument that is a channel.
    Channel(usize),
}

impl User {
    /// As [`Self::check`], with reasons.
    pub fn why<A: AsRef<[u8]>>(&self, command: &CommandInfo, args: &[A]) -> Why {
        let line = Line::new(command, args);
        let mut selectors = Vec::new();
        let mut nearest = Denied::COMMAND;
        for (index, selector) in self.selectors().iter().enumerate() {
            let why = selector.why(&line);
            let denied = why.denied;
            selectors.push(why);
            match denied {
                None => {
                    return Why {
                        verdict: Ok(index),
                        selectors,
                    };
                }
                Some(denied) => nearest = nearest.max(denied),
            }
        }
        Why {
            verdict: Err(nearest),
            selectors,
        }
    }
}

impl Selector {
    fn why<A: AsRef<[u8]>>(&self, line: &Line<'_, A>) -> SelectorWhy {
        let mut grounds = vec![self.command_ground(line)];
        if grounds.iter().all(|ground| ground.allowed) {
            line.first_key(|index, key, needed| {
                grounds.push(self.key_ground(index, key, needed));
                grounds.last().is_some_and(|ground| !ground.allowed)
            });
        }
        if grounds.iter().all(|ground| ground.allowed)
            && let Some((arguments, kind)) = channels_of(line.command, line.args.len())
        {
            for index in arguments {
                let channel = line.args[index].as_ref();
                let allowed = self.allows_channel(channel, kind);
                grounds.push(Ground {
                    subject: Subject::Channel(index),
                    object: channel.to_vec(),
                    allowed,
                    rules: self.channel_rules(|pattern| {
                        allowed
                            && (pattern.bytes() == channel
                                || (kind == crate::ChannelKind::Name && pattern.matches(channel)))
                    }),
                });
                if !allowed {
                    break;
                }
            }
        }
        let denied = grounds
            .last()
            .filter(|ground| !ground.allowed)
            .map(|ground| match ground.subject {
                Subject::Command => Denied::COMMAND,
                Subject::Key(argument, _) => Denied {
                    reason: Reason::Key,
                    argument,
                },
                Subject::Channel(argument) => Denied {
                    reason: Reason::Channel,
                    argument,
                },
            });
        SelectorWhy { denied, grounds }
    }

    fn command_ground<A: AsRef<[u8]>>(&self, line: &Line<'_, A>) -> Ground {
        let (command, argument) = (line.command, line.first_argument());
        let allowed = self.allows_command(command, argument);
        // What was said last about the command holds, but a first argument that is not allowed says nothing.
        let rule = self
            .rules()
            .iter()
            .rev()
            .find(|rule| rule.target.covers(command, argument));
        let rules = match rule {
            _ if command.flags.contains(Flags::NO_AUTH) => Vec::new(),
            Some(rule) if allowed == (rule.sign == Sign::Allow) => vec![rule.text()],
            _ if self.starts_from_all() => vec![b"+@all".to_vec()],
            _ => vec![b"-@all".to_vec()],
        };
        Ground {
            subject: Subject::Command,
            object: command.full_name.as_bytes().to_vec(),
            allowed,
            rules,
        }
    }

    fn key_ground(&self, index: usize, key: &[u8], needed: Access) -> Ground {
        let allowed = self.allows_key(key, needed);
        let mut rules = Vec::new();
        if self.keys.are_all() {
            rules.push(b"~*".to_vec());
        }
        let matching = self.keys.listed().iter();
        let matching = matching.filter(|pattern| pattern.permits(key, Access::NONE));
        rules.extend(
            matching
                .filter(|pattern| pattern.access.contains(needed) == allowed)
                .map(|pattern| pattern.text()),
        );
        Ground {
            subject: Subject::Key(index, needed),
            object: key.to_vec(),
            allowed,
            rules,
        }
    }

    fn channel_rules(&self, wanted: impl Fn(&Pattern) -> bool) -> Vec<Vec<u8>> {
        if self.channels.are_all() {
            return vec![b"&*".to_vec()];
        }
        let listed = self.channels.listed().iter();
        listed
            .filter(|pattern| wanted(pattern))
            .map(|pattern| [b"&", pattern.bytes()].concat())
            .collect()
    }
}

impl Why {
    /// The judgement in lines: first the verdict, then a line for every selector.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        let verdict = match self.verdict {
            Ok(index) => [b"allowed by ".as_slice(), &selector_name(index)].concat(),
            Err(_) if self.selectors.len() == 1 => b"refused".to_vec(),
            Err(_) => b"refused by every selector".to_vec(),
        };
        let selectors = self.selectors.iter().enumerate();
        let lines = selectors.map(|(index, why)| {
            let grounds: Vec<Vec<u8>> = why.grounds.iter().map(Ground::text).collect();
            [selector_name(index), grounds.join(b"; ".as_slice())].join(b": ".as_slice())
        });
        std::iter::once(verdict).chain(lines).collect()
    }
}

fn selector_name(index: usize) -> Vec<u8> {
    match index {
        0 => b"the root selector".to_vec(),
        _ => format!("selector {index}").into_bytes(),
    }
}

impl Ground {
    /// `refuses to write the key 'k', for ~a permits reading only`, for instance.
    fn text(&self) -> Vec<u8> {
        let (kind, needed) = match self.subject {
            Subject::Command => ("the command", ""),
            Subject::Channel(_) => ("the channel", ""),
            Subject::Key(_, needed) => (
                "the key",
                match needed {
                    Access::READ => "reading ",
                    Access::WRITE => "writing ",
                    Access::READ_WRITE => "reading and writing ",
                    _ => "looking for ",
                },
            ),
        };
        let verb = if self.allowed { "allows" } else { "refuses" };
        let mut text = format!("{verb} {needed}{kind} '").into_bytes();
        text.extend_from_slice(&self.object);
        text.push(b'\'');
        let rules = self.rules.join(b", ".as_slice());
        let why: &[u8] = match (self.subject, rules.is_empty()) {
            (Subject::Command, true) => b" to everybody",
            (_, true) => b": no pattern matches",
            (Subject::Key(..), false) if !self.allowed => b": not enough is permitted by ",
            _ => b" by ",
        };
        text.extend_from_slice(why);
        text.extend_from_slice(&rules);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NewChannels;
    use commandtable::find;

    fn why(rules: &[&str], line: &str) -> String {
        let mut user = User::new(b"u", NewChannels::None);
        for rule in rules {
            user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
                .unwrap();
        }
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = find(args[0]).unwrap();
        let command = args
            .get(1)
            .and_then(|sub| command.subcommand(sub))
            .unwrap_or(command);
        let why = user.why(command, &args);
        assert_eq!(
            why.verdict.err(),
            user.check(command, &args).err(),
            "{rules:?} {line}"
        );
        String::from_utf8(why.lines().join(b"\n".as_slice())).unwrap()
    }

    #[test]
    fn the_deciding_rule_is_named() {
        for (rules, command, wanted) in [
            (
                &["+@all", "~*"][..],
                "get k",
                "allowed by the root selector\n\
                 the root selector: allows the command 'get' by +@all; allows reading the key 'k' by ~*",
            ),
            (
                &["+@read", "-@string", "~a*"],
                "get k",
                "refused\nthe root selector: refuses the command 'get' by -@string",
            ),
            (
                &[],
                "get k",
                "refused\nthe root selector: refuses the command 'get' by -@all",
            ),
            (
                &["+config", "-config|set"],
                "config SET a b",
                "refused\nthe root selector: refuses the command 'config|set' by -config|set",
            ),
            (
                &["+config", "-config|set"],
                "config GET a",
                "allowed by the root selector\nthe root selector: allows the command 'config|get' by +config",
            ),
            (
                &["+select|1", "+select|0"],
                "select 0",
                "allowed by the root selector\nthe root selector: allows the command 'select' by +select|0",
            ),
            (
                &["+select|1"],
                "select 0",
                "refused\nthe root selector: refuses the command 'select' by -@all",
            ),
            (
                &["+select|1", "-@connection"],
                "select 1",
                "refused\nthe root selector: refuses the command 'select' by -@connection",
            ),
            (
                &["+select", "+select|1"],
                "select 2",
                "allowed by the root selector\nthe root selector: allows the command 'select' by +select",
            ),
            (
                &[],
                "auth x",
                "allowed by the root selector\nthe root selector: allows the command 'auth' to everybody",
            ),
            (
                &["+set", "%R~k*", "%R~*", "%W~x", "(+@all %W~k* %RW~q)"],
                "set k v",
                "allowed by selector 1\n\
                 the root selector: allows the command 'set' by +set; refuses writing the key 'k': not enough is \
                 permitted by %R~k*, %R~*\n\
                 selector 1: allows the command 'set' by +@all; allows writing the key 'k' by %W~k*",
            ),
            (
                &["+mget", "~a", "(+get)"],
                "mget a b c",
                "refused by every selector\n\
                 the root selector: allows the command 'mget' by +mget; allows reading the key 'a' by ~a; refuses \
                 reading the key 'b': no pattern matches\n\
                 selector 1: refuses the command 'mget' by -@all",
            ),
            (
                &["+@pubsub", "&a*", "&ab*"],
                "psubscribe a* b*",
                "refused\n\
                 the root selector: allows the command 'psubscribe' by +@pubsub; allows the channel 'a*' by &a*; \
                 refuses the channel 'b*': no pattern matches",
            ),
            (
                &["+@pubsub", "&*"],
                "publish a b",
                "allowed by the root selector\n\
                 the root selector: allows the command 'publish' by +@pubsub; allows the channel 'a' by &*",
            ),
            (
                &["+exists", "%W~k"],
                "exists k",
                "allowed by the root selector\n\
                 the root selector: allows the command 'exists' by +exists; allows looking for the key 'k' by %W~k",
            ),
        ] {
            assert_eq!(why(rules, command), wanted, "{rules:?} {command}");
        }
    }
}
