//! Channels: which commands name them, and who may use them.

use crate::selector::Selector;
use crate::user::User;
use commandtable::{AclCategories, CommandInfo};
use std::ops::Range;

/// How a channel is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelKind {
    /// By its name: it must match a pattern.
    Name,
    /// By a pattern, as PSUBSCRIBE does: it must be one of the user's patterns, letter by letter, for what else it
    /// matches cannot be told.
    Pattern,
}

/// The arguments of a command, of which there are `count`, that name channels.
#[inline]
pub(crate) fn channels_of(
    command: &CommandInfo,
    count: usize,
) -> Option<(Range<usize>, ChannelKind)> {
    if !command.acl.contains(AclCategories::PUBSUB) {
        return None;
    }
    match command.full_name {
        "publish" | "spublish" => Some((1..count.min(2), ChannelKind::Name)),
        "subscribe" | "ssubscribe" => Some((1..count, ChannelKind::Name)),
        "psubscribe" => Some((1..count, ChannelKind::Pattern)),
        _ => None,
    }
}

impl Selector {
    /// Whether the channel may be used.
    pub(crate) fn allows_channel(&self, channel: &[u8], kind: ChannelKind) -> bool {
        self.channels.are_all()
            || self.channels.listed().iter().any(|pattern| match kind {
                ChannelKind::Name => pattern.matches(channel),
                ChannelKind::Pattern => pattern.bytes() == channel,
            })
    }
}

impl User {
    /// Whether the user may still receive what it subscribed to, by whichever selector.
    pub fn may_receive(&self, channel: &[u8], kind: ChannelKind) -> bool {
        self.selectors()
            .iter()
            .any(|selector| selector.allows_channel(channel, kind))
    }

    /// Whether all channels of the user as it was are, at first sight, still those of the user: then no subscription
    /// needs to be looked at.
    pub fn keeps_channels_of(&self, before: &User) -> bool {
        let all = |user: &User| user.selectors().iter().any(|s| s.channels.are_all());
        all(self)
            || (!all(before)
                && before
                    .selectors()
                    .iter()
                    .flat_map(|selector| selector.channels.listed())
                    .all(|pattern| self.may_receive(pattern.bytes(), ChannelKind::Pattern)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NewChannels;
    use commandtable::{COMMANDS, find};

    fn user(rules: &[&str]) -> User {
        let mut user = User::new(b"u", NewChannels::None);
        for rule in rules {
            user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
                .unwrap();
        }
        user
    }

    #[test]
    fn five_commands_name_channels() {
        let found: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|command| std::iter::once(command).chain(command.subcommands))
            .filter(|command| channels_of(command, 3).is_some())
            .map(|command| command.full_name)
            .collect();
        assert_eq!(
            found,
            [
                "psubscribe",
                "publish",
                "spublish",
                "ssubscribe",
                "subscribe"
            ]
        );
        let publish = find(b"publish").unwrap();
        assert_eq!(channels_of(publish, 3), Some((1..2, ChannelKind::Name)));
        assert_eq!(channels_of(publish, 1), Some((1..1, ChannelKind::Name)));
    }

    #[test]
    fn subscriptions_are_kept_by_the_selectors_together() {
        let one = user(&["&a*", "(&b)"]);
        assert!(one.may_receive(b"abc", ChannelKind::Name));
        assert!(one.may_receive(b"b", ChannelKind::Name));
        assert!(one.may_receive(b"a*", ChannelKind::Pattern));
        assert!(!one.may_receive(b"ab*", ChannelKind::Pattern));
        assert!(!one.may_receive(b"a", ChannelKind::Pattern));
        assert!(!one.may_receive(b"c", ChannelKind::Name));
        let all = user(&["(&*)"]);
        assert!(all.may_receive(b"x", ChannelKind::Pattern));
        for (now, before, kept) in [
            (&one, &one, true),
            (&user(&["&a*", "&b", "&c"]), &one, true),
            (&user(&["&a*"]), &one, false),
            (&user(&["&*"]), &one, true),
            (&one, &all, false),
            (&user(&[]), &user(&[]), true),
            (&user(&["&ab*"]), &user(&["&a*"]), false),
        ] {
            assert_eq!(now.keeps_channels_of(before), kept);
        }
    }
}
