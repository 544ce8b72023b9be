//! Which subscribers lose their connection when rights shrink.

use crate::server::{self, Reply, Server, seeded, setting};
use acl::{ChannelKind, NewChannels, User, Users};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Rules about channels, with another selector every other time.
fn channel_rules(rng: &mut StdRng) -> Vec<String> {
    const RULES: &[&str] = &["&a", "&b", "&a*", "&*b", "&?", "&[ab]", "&ab", "&a", "&b"];
    let mut rules = vec!["resetchannels".to_owned(), "clearselectors".to_owned()];
    let some = |rng: &mut StdRng| -> Vec<String> {
        let count = rng.random_range(0..4);
        let some = (0..count).map(|_| RULES.choose(rng).expect("rules").to_string());
        some.collect()
    };
    match rng.random_range(0..8) {
        0 => rules.push("allchannels".into()),
        _ => rules.extend(some(rng)),
    }
    match rng.random_range(0..12) {
        0 => rules.push("(+@all &*)".into()),
        1..6 => rules.push(format!("(+@all {})", some(rng).join(" "))),
        _ => {}
    }
    rules
}

/// Sets the same rules here and there.
fn set(server: &mut Server, users: &mut Users, rules: &[String]) -> acl::Change {
    let start = ["ACL", "SETUSER", "u"].map(str::to_owned);
    server.ask(&[&start, rules].concat());
    assert_eq!(server.replies(), Some(vec![Reply::ok()]), "{rules:?}");
    let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
    users
        .set_user(b"u", &rules, NewChannels::None)
        .expect("the reference took it")
}

/// What a subscriber asks for, as far as it may.
fn subscriptions(rng: &mut StdRng, user: &User) -> Vec<(&'static str, &'static str, ChannelKind)> {
    const COMMANDS: &[(&str, ChannelKind)] = &[
        ("SUBSCRIBE", ChannelKind::Name),
        ("SSUBSCRIBE", ChannelKind::Name),
        ("PSUBSCRIBE", ChannelKind::Pattern),
    ];
    const NAMES: &[&str] = &["a", "b", "ab", "ba", "a*", "*b", "?", "[ab]", "*", "c"];
    let wanted = (0..rng.random_range(1..4)).map(|_| {
        let (command, kind) = *COMMANDS.choose(rng).expect("commands");
        (command, *NAMES.choose(rng).expect("names"), kind)
    });
    wanted
        .filter(|(_, name, kind)| user.may_receive(name.as_bytes(), *kind))
        .collect()
}

#[test]
fn subscribers_are_closed_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    let mut rng = seeded("subscriptions");
    let folder = server::folder("subscriptions");
    let mut server = Server::start(&folder, &[]);
    let mut users = Users::default();
    let start = ["on", "nopass", "+@all", "~*"].map(str::to_owned);
    set(&mut server, &mut users, &start);
    let (mut closed, rounds) = (0, setting("ACL_LISTS", 2000) / 5);
    for _ in 0..rounds {
        let rules = channel_rules(&mut rng);
        let user = set(&mut server, &mut users, &rules).now;
        let held = subscriptions(&mut rng, &user);
        let mut subscriber = server.connect();
        subscriber.ask(&["AUTH", "u", ""]);
        for (command, name, _) in &held {
            subscriber.ask(&[command, name]);
        }
        let replies = subscriber.replies().expect("it is not closed yet");
        // It may do what ours says it may.
        for reply in &replies[1..] {
            assert!(
                matches!(reply, Reply::Array(_)),
                "{rules:?} {held:?} {reply:?}"
            );
        }
        let less = channel_rules(&mut rng);
        let change = set(&mut server, &mut users, &less);
        let ours = !change.now.keeps_channels_of(&user)
            && held
                .iter()
                .any(|(_, name, kind)| !change.now.may_receive(name.as_bytes(), *kind));
        subscriber.ask(&["PING"]);
        let theirs = subscriber.replies().is_none();
        assert_eq!(ours, theirs, "{rules:?} {less:?} {held:?}");
        closed += u64::from(ours);
    }
    assert!((1..rounds).contains(&closed));
}
