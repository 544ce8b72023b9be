//! What someone might try to get past the rules, or to keep the server busy with them.

use acl::{NewChannels, Reason, RuleError, SELECTORS_MAX, SetUserError, User, Users};
use commandtable::{COMMANDS, CommandInfo, find};

fn user(rules: &[&str]) -> User {
    let mut user = User::new(b"u", NewChannels::None);
    for rule in rules {
        user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
            .unwrap();
    }
    user
}

fn meta_of(args: &[&[u8]]) -> &'static CommandInfo {
    let command = find(args[0]).unwrap();
    args.get(1)
        .and_then(|sub| command.subcommand(sub))
        .unwrap_or(command)
}

fn denied_key<'a>(user: &User, line: &'a str) -> Option<&'a str> {
    let words: Vec<&str> = line.split(' ').collect();
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let denied = user.check(meta_of(&args), &args).err()?;
    assert_eq!(denied.reason, Reason::Key, "{line}");
    Some(words[denied.argument])
}

#[test]
fn malformed_selectors_are_refused_and_change_nothing() {
    let mut users = Users::default();
    let before = users.clone();
    for rules in [
        &["("][..],
        &["(+get"],
        &["(+get", "+set"],
        &["on", "(", "(", "("],
        &["(+get)", "(+set"],
        &["((+get))"],
        &["(+get))"],
        &["(+get)(+set)"],
        &["()()"],
        &["(+get) "],
        &["(on)"],
        &["(>secret)"],
        &["(nopass)"],
        &["(reset)"],
        &["(\"abc)"],
        &["('+get)"],
        &["(\"+get\"x)"],
        &["(%)"],
        &["(%R)"],
        &["(%RW)"],
        &["(~a\0)"],
        &["(+get\0)"],
        &["(\0)"],
        &["(\"~a b\")"],
        &["(\"~a\\x00\")"],
        &["(\"~a\\n\")"],
        &["(+select|0 +select|\"a b\")"],
        &["%"],
        &["%R"],
        &["%~a"],
        &["+select|0 1"],
        &["~a\nuser x on nopass ~* +@all"],
        &["+get\nuser"],
    ] {
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        let refused = users.set_user(b"u", &rules, NewChannels::None);
        assert!(refused.is_err(), "{rules:?}");
        assert_eq!(users, before);
    }
}

#[test]
fn no_name_or_pattern_writes_a_line_of_its_own() {
    for byte in 0..=u8::MAX {
        let mut users = Users::default();
        let name = [b'u', byte];
        for rule in [b"~".as_slice(), b"&", b"(~", b"+select|", b"%R~"] {
            let mut rule = [rule, &[byte, b'x']].concat();
            if rule[0] == b'(' {
                rule.push(b')');
            }
            // Refused or not, what is written is as many lines as there are users.
            let _ = users.set_user(&name, &[&rule], NewChannels::None);
        }
        let text = users.file_text();
        let lines = text.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(lines, users.iter().len(), "byte {byte}");
        let again = Users::load(b"f", &text, NewChannels::None);
        assert_eq!(again.map(|loaded| loaded.users), Ok(users), "byte {byte}");
    }
}

#[test]
fn work_is_bounded() {
    let many = vec![b"(+get)".as_slice(); 10_000];
    let mut users = Users::default();
    match users.set_user(b"u", &many, NewChannels::None) {
        Err(SetUserError::Rule(_, error)) => assert_eq!(error, RuleError::TooManySelectors),
        other => panic!("{other:?}"),
    }
    let long = [b"~".as_slice(), &vec![b'*'; 1 << 20]].concat();
    for rule in [long.as_slice(), &[b"(".as_slice(), &long, b")"].concat()] {
        match users.set_user(b"u", &[rule], NewChannels::None) {
            Err(SetUserError::Rule(_, error)) => assert_eq!(error, RuleError::TooLong),
            other => panic!("{other:?}"),
        }
    }
    // Many of everything else: as fast as few, or refused.
    let many: Vec<String> = (0..200_000).map(|n| format!("~{n}")).collect();
    let many: Vec<&[u8]> = many.iter().map(|rule| rule.as_bytes()).collect();
    let user_of_many = users.set_user(b"many", &many, NewChannels::None);
    assert!(user_of_many.is_ok());
    for (start, wanted) in [
        ("+select|", RuleError::TooManyCommandRules),
        (">", RuleError::TooManyPasswords),
    ] {
        let many: Vec<String> = (0..10_000).map(|n| format!("{start}{n}")).collect();
        let many: Vec<&[u8]> = many.iter().map(|rule| rule.as_bytes()).collect();
        match users.set_user(b"u", &many, NewChannels::None) {
            Err(SetUserError::Rule(_, error)) => assert_eq!(error, wanted),
            other => panic!("{other:?}"),
        }
    }
    // A file of nothing but openings, and one of nothing but errors.
    let open = [b"user u ".as_slice(), &b"( ".repeat(100_000)].concat();
    assert!(Users::load(b"f", &open, NewChannels::None).is_err());
    let errors = b"user\n".repeat(10_000);
    assert!(Users::load(b"f", &errors, NewChannels::None).is_err());
    // Stars that a naive matcher tries in every combination.
    let stars = format!("~{}b", "a*".repeat(500));
    let slow = user(&["+get", &stars]);
    let key = "a".repeat(10_000);
    assert!(denied_key(&slow, &format!("get {key}")).is_some());
}

#[test]
fn a_user_of_many_selectors_is_judged_by_all() {
    let mut users = Users::default();
    let mut rules: Vec<&[u8]> = vec![b"(+get ~a)"; SELECTORS_MAX - 1];
    rules.push(b"(+get ~b)");
    let user = users.set_user(b"u", &rules, NewChannels::None).unwrap().now;
    assert_eq!(denied_key(&user, "get b"), None);
    assert_eq!(denied_key(&user, "get c"), Some("c"));
}

#[test]
fn keys_hide_nowhere() {
    let user = user(&["+@all", "~mine"]);
    for (line, wanted) in [
        // Words that are options elsewhere.
        ("set other v", Some("other")),
        ("set get v", Some("get")),
        ("set mine v get", None),
        ("sort mine store other", Some("other")),
        ("sort mine store mine store other", Some("other")),
        ("sort mine by store store other", Some("other")),
        ("sort mine limit store store store other", Some("other")),
        ("sort mine get store store other", Some("other")),
        ("georadius mine 0 0 1 m store other", Some("other")),
        ("georadius mine 0 0 1 m storedist other", Some("other")),
        ("georadiusbymember mine m 1 m STORE other", Some("other")),
        ("xread streams mine other 0 0", Some("other")),
        ("xread count streams streams other 0", Some("streams")),
        ("xreadgroup group streams c streams other 0", Some("other")),
        ("zunionstore mine 2 mine other", Some("other")),
        ("zunionstore other 1 mine", Some("other")),
        ("eval s 2 mine other", Some("other")),
        ("fcall f 1 other mine", Some("other")),
        ("lmpop 2 mine other left", Some("other")),
        ("blmpop 0 2 mine other left", Some("other")),
        ("object encoding other", Some("other")),
        ("memory usage other", Some("other")),
        ("pfmerge other", Some("other")),
        ("lcs mine other", Some("other")),
        ("copy mine other", Some("other")),
        ("rename mine other", Some("other")),
        ("bitop and mine other", Some("other")),
        // Where the reference reads and writes keys that the user may not.
        (
            "xreadgroup noack group g mine streams other >",
            Some("other"),
        ),
        (
            "xreadgroup noack group g streams streams other >",
            Some("other"),
        ),
        (
            "georadius mine 0 0 1 m store mine store other",
            Some("other"),
        ),
        (
            "georadiusbymember mine m 1 m storedist mine storedist other",
            Some("other"),
        ),
        // A password that looks like the word before keys.
        ("migrate h 1  0 1 auth keys keys other", Some("other")),
        ("migrate h 1  0 1 auth2 keys keys keys other", Some("other")),
        ("migrate h 1  0 1 auth2 keys other keys mine", None),
        ("migrate h 1 other 0 1 auth keys", Some("other")),
        ("migrate h 1 mine 0 1 copy auth keys", None),
        ("migrate h 1  0 1 keys mine keys other", Some("keys")),
    ] {
        assert_eq!(denied_key(&user, line), wanted, "{line}");
    }
}

#[test]
fn numbers_of_keys_that_cannot_be_lead_nowhere() {
    let user = user(&["+@all", "~mine"]);
    for count in [
        "-1",
        "0x1",
        "+1",
        "01",
        "1 ",
        "1.0",
        "",
        "9",
        "2147483647",
        "2147483648",
        "4294967297",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551617",
        "99999999999999999999999999",
    ] {
        for start in [
            &["eval", "s"][..],
            &["fcall", "f"],
            &["lmpop"],
            &["zunion"],
            &["sintercard"],
        ] {
            let mut args: Vec<&[u8]> = start.iter().map(|word| word.as_bytes()).collect();
            args.extend_from_slice(&[count.as_bytes(), b"other", b"left"]);
            // Nothing is judged, for the command fails; what counts is that no argument beyond the last is looked at.
            assert_eq!(
                user.check(meta_of(&args), &args),
                Ok(()),
                "{start:?} {count}"
            );
        }
    }
}

#[test]
fn no_number_of_arguments_is_too_small() {
    let judge = user(&["+@all", "~mine", "&mine", "+select|0"]);
    let nobody = user(&[]);
    for command in COMMANDS
        .iter()
        .flat_map(|command| std::iter::once(command).chain(command.subcommands))
    {
        for count in 0..4 {
            let args = vec![b"x"; count];
            for user in [&judge, &nobody] {
                // Fewer than the command takes: no verdict that counts, and no panic.
                let _ = user.check(command, &args);
                let _ = user.why(command, &args).lines();
            }
        }
    }
}

#[test]
fn a_subcommand_is_not_its_container() {
    let user = user(&["+config|get", "+acl|whoami", "+debug|sleep", "+client|id"]);
    let may = |line: &str| {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        user.check(meta_of(&args), &args).is_ok()
    };
    assert!(
        may("config get x") && may("CONFIG GET x") && may("acl whoami") && may("debug SLEEP 0")
    );
    for line in [
        "config set x y",
        "config rewrite",
        "acl setuser u on",
        "client list",
        "debug segfault",
        "debug sleepy",
    ] {
        assert!(!may(line), "{line}");
    }
}
