//! Properties of rules and judgements, whatever the rules.

use acl::{NewChannels, User, Users};
use commandtable::{COMMANDS, CommandInfo, Flags};
use proptest::prelude::*;

type Rules = Vec<String>;

fn name() -> impl Strategy<Value = String> {
    let few = prop::sample::select(vec![
        "get",
        "set",
        "mget",
        "config",
        "config|get",
        "config|set",
        "client",
        "client|kill",
        "select",
        "sort",
        "publish",
        "subscribe",
        "psubscribe",
        "object",
        "object|freq",
        "eval",
        "select|0",
        "select|1",
        "debug|x",
        "get|A",
        "@all",
        "@read",
        "@write",
        "@slow",
        "@fast",
        "@connection",
        "@dangerous",
        "@pubsub",
    ]);
    let any = (0..COMMANDS.len()).prop_map(|index| COMMANDS[index].name);
    prop_oneof![3 => few, 1 => any].prop_map(str::to_owned)
}

fn selector_rule() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => ("[+-]", name()).prop_map(|(sign, name)| format!("{sign}{name}")),
        2 => "(~|%R~|%W~|%RW~|&)[ab*?()\"'\\\\]{0,3}",
        1 => "(allkeys|resetkeys|allchannels|resetchannels|~\\*|&\\*)",
    ]
}

fn quoted(rule: &str) -> String {
    format!("\"{}\"", rule.replace('\\', "\\\\").replace('"', "\\\""))
}

fn selector() -> impl Strategy<Value = String> {
    prop::collection::vec(selector_rule(), 0..5).prop_map(|rules| {
        let rules: Rules = rules.iter().map(|rule| quoted(rule)).collect();
        format!("({})", rules.join(" "))
    })
}

fn rule() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => selector_rule(),
        2 => selector(),
        2 => "(on|off|nopass|resetpass|sanitize-payload|skip-sanitize-payload|reset|clearselectors|)",
        1 => "[<>][ab]",
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    prop::collection::vec(rule(), 0..12)
}

/// Applies what is not refused.
fn apply(user: &mut User, rules: &[String]) {
    for rule in rules {
        // A refused rule leaves the user as it is.
        let _ = user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new());
    }
}

fn user(rules: &[String]) -> User {
    let mut user = User::new(b"u", NewChannels::None);
    apply(&mut user, rules);
    user
}

fn commands() -> impl Iterator<Item = &'static CommandInfo> {
    COMMANDS
        .iter()
        .flat_map(|command| std::iter::once(command).chain(command.subcommands))
}

/// What the user may do: every command, with a few arguments each.
fn verdicts(user: &User) -> Vec<bool> {
    commands()
        .flat_map(|command| {
            let lines: [&[&[u8]]; 3] = [
                &[b"x", b"a", b"b", b"a", b"b"],
                &[b"x", b"0", b"1", b"1", b"ab"],
                &[b"x", b"", b"2", b"b", b"a", b"get", b"store"],
            ];
            lines.map(|args| user.check(command, args).is_ok())
        })
        .collect()
}

/// As [`verdicts`], of commands alone.
fn may_call(user: &User, command: &CommandInfo) -> bool {
    let args: [&[u8]; 2] = [b"x", b"-"];
    match user.check(command, &args) {
        Ok(()) => true,
        Err(denied) => denied.reason != acl::Reason::Command,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_user_that_is_shown_and_read_is_the_same(rules in rules(), all in any::<bool>()) {
        let user = user(&rules);
        let line = user.rules_line();
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let channels = if all { NewChannels::All } else { NewChannels::None };
        let mut users = Users::default();
        // Channels are written down, but for a new user's; so `resetchannels` stands in every line that has not all.
        let change = users.set_user(b"u", &words, channels);
        prop_assert!(change.is_ok(), "{:?}: {:?}", line.escape_ascii().to_string(), change);
        let again = change.unwrap().now;
        prop_assert_eq!(again.as_ref(), &user);
        prop_assert_eq!(verdicts(&again), verdicts(&user));
        // A file has the same lines.
        let text = users.file_text();
        let loaded = Users::load(b"f", &text, channels).map(|loaded| loaded.users);
        prop_assert_eq!(loaded, Ok(users));
    }

    #[test]
    fn a_command_given_and_taken_away_changes_no_verdict(rules in rules(), index in 0..COMMANDS.len()) {
        let mut user = user(&rules);
        let command = &COMMANDS[index];
        let with_subs = || std::iter::once(command).chain(command.subcommands);
        let plain = !rules.iter().any(|rule| rule.contains('|'));
        prop_assume!(plain && !command.flags.contains(Flags::NO_AUTH));
        let before = verdicts(&user);
        // Another selector may allow what the root does not.
        let root = |user: &User, command| {
            let mut root = user.clone();
            apply(&mut root, &["clearselectors".to_owned()]);
            may_call(&root, command)
        };
        if with_subs().all(|command| !root(&user, command)) {
            apply(&mut user, &[format!("+{}", command.name), format!("-{}", command.name)]);
            prop_assert_eq!(verdicts(&user), before);
        } else if with_subs().all(|command| root(&user, command)) {
            apply(&mut user, &[format!("-{}", command.name), format!("+{}", command.name)]);
            prop_assert_eq!(verdicts(&user), before);
        }
    }

    #[test]
    fn what_is_added_and_taken_away_is_gone(rules in rules(), selector in selector()) {
        let mut before = user(&rules);
        apply(&mut before, &["clearselectors".into(), "off".into(), "resetpass".into()]);
        let mut after = before.clone();
        let there_and_back = [
            &*selector, "clearselectors", ">new", "<new", "on", "off", "skip-sanitize-payload",
        ];
        apply(&mut after, &there_and_back.map(str::to_owned));
        apply(&mut before, &["skip-sanitize-payload".into()]);
        prop_assert_eq!(after, before);
    }

    #[test]
    fn a_selector_more_takes_no_right_away(rules in rules(), selector in selector()) {
        let before = user(&rules);
        let mut after = before.clone();
        apply(&mut after, &[selector]);
        for (before, after) in verdicts(&before).into_iter().zip(verdicts(&after)) {
            prop_assert!(after || !before);
        }
    }

    #[test]
    fn orders_of_patterns_make_no_difference(
        patterns in prop::collection::vec("(~|%R~|%W~|&)[ab*?]{0,2}", 0..6),
        seed in any::<usize>(),
    ) {
        prop_assume!(!patterns.iter().any(|rule| rule == "~*" || rule == "&*"));
        let mut turned = patterns.clone();
        turned.rotate_left(seed % patterns.len().max(1));
        turned.reverse();
        let all = |rules: &[String]| {
            let mut user = User::new(b"u", NewChannels::None);
            apply(&mut user, &["+@all".to_owned()]);
            apply(&mut user, rules);
            verdicts(&user)
        };
        prop_assert_eq!(all(&patterns), all(&turned));
    }

    #[test]
    fn rules_in_one_request_or_several_make_the_same_user(rules in rules(), at in any::<prop::sample::Index>()) {
        let split: Vec<Vec<u8>> = rules
            .iter()
            // A selector in as many arguments as it has words.
            .flat_map(|rule| rule.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
            .collect();
        let whole: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        let split: Vec<&[u8]> = split.iter().map(Vec::as_slice).collect();
        let one = |parts: &[&[&[u8]]]| {
            let mut users = Users::default();
            for part in parts {
                users.set_user(b"u", part, NewChannels::None).map_err(|error| error.text())?;
            }
            Ok::<_, Vec<u8>>(users)
        };
        let wanted = one(&[&whole]);
        prop_assert_eq!(&one(&[&split]), &wanted);
        let (first, second) = whole.split_at(at.index(whole.len() + 1));
        prop_assert_eq!(&one(&[first, second]), &wanted);
    }

    #[test]
    fn nothing_is_too_odd(
        rules in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8),
        text in prop::collection::vec("[ -~\t\r\n]{0,20}|user [ab] .{0,20}", 0..6),
    ) {
        let rules: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        let mut users = Users::default();
        let before = users.clone();
        if users.set_user(b"u", &rules, NewChannels::None).is_err() {
            prop_assert_eq!(&users, &before);
        }
        if let Ok(loaded) = Users::load(b"f", text.join("\n").as_bytes(), NewChannels::None) {
            let again = Users::load(b"f", &loaded.users.file_text(), NewChannels::None);
            prop_assert_eq!(again.map(|again| again.users), Ok(loaded.users));
        }
    }

    #[test]
    fn reasons_agree_with_verdicts(rules in rules(), index in 0..COMMANDS.len(), args in prop::collection::vec("[ab*012]{0,2}|get|store|keys", 0..7)) {
        let user = user(&rules);
        let line: Vec<&[u8]> = std::iter::once(&b"x"[..]).chain(args.iter().map(|arg| arg.as_bytes())).collect();
        let command = &COMMANDS[index];
        for command in std::iter::once(command).chain(command.subcommands) {
            let why = user.why(command, &line);
            let verdict = user.check(command, &line);
            prop_assert_eq!(why.verdict.err(), verdict.err());
            prop_assert_eq!(why.lines().len(), why.selectors.len() + 1);
            let last = why.selectors.last().expect("the root at least");
            prop_assert_eq!(last.denied.is_none(), verdict.is_ok());
        }
    }
}
