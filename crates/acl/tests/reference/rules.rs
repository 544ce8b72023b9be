//! Rules as they are taken and shown, verdicts, patterns of SORT, files.

use crate::random::{self, Words};
use crate::server::{self, Reply, Server, seeded, setting};
use acl::{NewChannels, Selector, User, Users};
use commandtable::{CommandInfo, Error, find};
use rand::Rng;
use std::fs;

const DRY_RUNS: usize = 4;
/// How many lists are sent before their replies are read.
const BATCH: usize = 25;

fn slices(words: &Words) -> Vec<&[u8]> {
    words.iter().map(Vec::as_slice).collect()
}

fn shown(words: &Words) -> String {
    words
        .iter()
        .map(|word| format!("{:?}", String::from_utf8_lossy(word)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// An error as it travels: the reference writes blanks for line ends.
fn error(text: Vec<u8>) -> Reply {
    let one_line = text.into_iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    });
    Reply::Error(one_line.collect())
}

/// A line of ours as the reference has it: without quotes, which only ours writes where they are needed, and with `~*` for
/// `%RW~*`, which it does not read again.
fn as_there(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let text = text
        .replace("\\\\", "\\")
        .replace('"', "")
        .replace("%RW~*", "~*");
    // A longer pattern that starts with a star was right.
    text.into_bytes()
}

fn selector_parts(selector: &Selector) -> Vec<Reply> {
    vec![
        Reply::bulk("commands"),
        Reply::bulk(selector.commands_text()),
        Reply::bulk("keys"),
        Reply::bulk(as_there(&selector.keys_text())),
        Reply::bulk("channels"),
        Reply::bulk(selector.channels_text()),
    ]
}

/// ACL GETUSER.
fn get_user(user: &User) -> Reply {
    let hashes = user.passwords().iter().map(|hash| Reply::bulk(hash.hex()));
    let mut parts = vec![
        Reply::bulk("flags"),
        Reply::Array(user.flags().map(Reply::bulk).collect()),
        Reply::bulk("passwords"),
        Reply::Array(hashes.collect()),
    ];
    parts.extend(selector_parts(user.root()));
    parts.push(Reply::bulk("selectors"));
    let further = user.further_selectors().iter();
    let further = further.map(|selector| Reply::Array(selector_parts(selector)));
    parts.push(Reply::Array(further.collect()));
    Reply::Array(parts)
}

/// The command of a line, as the dispatcher finds it.
fn lookup(args: &[&[u8]]) -> Option<&'static CommandInfo> {
    let command = find(args[0])?;
    match args.get(1) {
        Some(sub) if command.is_container() => command.subcommand(sub),
        _ => Some(command),
    }
}

/// ACL DRYRUN.
fn dry_run(user: &User, args: &[&[u8]]) -> Reply {
    let Some(command) = lookup(args) else {
        return Reply::Error(Error::command_not_found(args[0]).text().as_bytes().to_vec());
    };
    if !command.accepts(args.len()) {
        return Reply::Error(Error::arity(command.full_name).text().as_bytes().to_vec());
    }
    let verdict = user.check(command, args);
    assert_eq!(user.why(command, args).verdict.err(), verdict.err());
    match verdict {
        Ok(()) => Reply::ok(),
        Err(denied) => Reply::Bulk(denied.dry_run(user.name(), command, args)),
    }
}

/// Whether the reference is known to see other keys than the command has: it misses the one of `PFMERGE destination`, and
/// that of MIGRATE with `KEYS` in a place where it is no keyword, or twice, those of XREADGROUP when `STREAMS` is also a name, and the
/// last of several destinations of GEORADIUS; and behind `STORE STORE` of SORT it takes the next word for the destination.
fn sees_other_keys(args: &Words) -> bool {
    let is = |at: usize, word: &str| {
        args.get(at)
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    let twice = |word: &str| (1..args.len()).filter(|at| is(*at, word)).count() > 1;
    (is(0, "pfmerge") && args.len() == 2)
        || (is(0, "xreadgroup") && twice("streams"))
        || ((is(0, "georadius") || is(0, "georadiusbymember"))
            && (twice("store") || twice("storedist")))
        || (is(0, "migrate") && ((1..6).any(|at| is(at, "keys")) || twice("keys")))
        || (is(0, "sort") && (2..args.len()).any(|at| is(at, "store") && is(at + 1, "store")))
}

/// One list with its questions.
struct Case {
    fresh: bool,
    rules: Words,
    lines: Vec<Words>,
}

#[test]
fn rules_and_verdicts_are_those_of_the_reference() {
    if !server::is_installed() {
        return;
    }
    let mut rng = seeded("rules");
    let folder = server::folder("rules");
    let mut server = Server::start(&folder, &[]);
    let mut channels = NewChannels::None;
    let mut users = Users::default();
    let lists = setting("ACL_LISTS", 2000);
    let (mut sent, mut refused, mut denied) = (0, 0, 0);
    while sent < lists {
        let cases: Vec<Case> = (0..BATCH)
            .map(|_| Case {
                fresh: rng.random_range(0..3) != 0,
                rules: random::rules(&mut rng),
                lines: (0..DRY_RUNS).map(|_| random::line(&mut rng)).collect(),
            })
            .collect();
        if rng.random_range(0..4) == 0 {
            let (name, now) = match channels {
                NewChannels::None => ("allchannels", NewChannels::All),
                NewChannels::All => ("resetchannels", NewChannels::None),
            };
            channels = now;
            server.ask(&["CONFIG", "SET", "acl-pubsub-default", name]);
            assert_eq!(server.replies(), Some(vec![Reply::ok()]));
        }
        for case in &cases {
            if case.fresh {
                server.ask(&["ACL", "DELUSER", "u"]);
            }
            let set: [&[u8]; 3] = [b"ACL", b"SETUSER", b"u"];
            server.ask(&[set.to_vec(), slices(&case.rules)].concat());
            server.ask(&["ACL", "LIST"]);
            server.ask(&["ACL", "GETUSER", "u"]);
            for line in &case.lines {
                let run: [&[u8]; 3] = [b"ACL", b"DRYRUN", b"u"];
                server.ask(&[run.to_vec(), slices(line)].concat());
            }
        }
        let Some(replies) = server.replies() else {
            for case in &cases {
                println!("{}", shown(&case.rules));
            }
            panic!("the reference died of one of these");
        };
        let mut replies = replies.into_iter();
        let mut theirs = || replies.next().expect("a reply for each request");
        for case in &cases {
            let rules = shown(&case.rules);
            if case.fresh {
                let there = users.delete(&[b"u"]).expect("u is not default").len();
                assert_eq!(theirs(), Reply::Integer(i64::try_from(there).unwrap()));
            }
            let ours = match users.set_user(b"u", &slices(&case.rules), channels) {
                Ok(_) => Reply::ok(),
                Err(why) => {
                    refused += 1;
                    error(why.text())
                }
            };
            assert_eq!(ours, theirs(), "{rules}");
            let lines = users.iter().map(|user| Reply::Bulk(as_there(&user.line())));
            assert_eq!(Reply::Array(lines.collect()), theirs(), "{rules}");
            let user = users.get(b"u").cloned();
            let ours = user.as_deref().map_or(Reply::Null, get_user);
            assert_eq!(ours, theirs(), "{rules}");
            for line in &case.lines {
                let theirs = theirs();
                let ours = match &user {
                    None => Reply::Error(b"ERR User 'u' not found".to_vec()),
                    Some(user) => dry_run(user, &slices(line)),
                };
                denied += usize::from(matches!(ours, Reply::Bulk(_)));
                if sees_other_keys(line) {
                    continue;
                }
                let now = user.as_ref().map(|user| user.line()).unwrap_or_default();
                let now = String::from_utf8_lossy(&now);
                assert_eq!(ours, theirs, "{rules}\n{now}\n{}", shown(line));
            }
            sent += 1;
        }
    }
    println!(
        "{sent} lists, {refused} refused; {denied} of {} dry runs denied",
        sent * DRY_RUNS as u64
    );
    // Else the random rules are not worth much.
    assert!(refused > 0 && denied > 0);
}

#[test]
fn every_command_is_judged_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    // No rights, the command alone, then with each right on all keys, on a few, and on channels.
    const RIGHTS: &[&[&str]] = &[
        &[],
        &["+@all"],
        &["+@all", "%R~*"],
        &["+@all", "%W~*"],
        &["+@all", "%RW~*"],
        &["+@all", "~a*", "%R~b", "&a", "&a*"],
        &["+@all", "~*", "&a", "&a*"],
        &["+@all", "~*", "&*"],
    ];
    let mut rng = seeded("commands");
    let folder = server::folder("commands");
    let mut server = Server::start(&folder, &[]);
    let mut users = Users::default();
    for (number, rules) in RIGHTS.iter().enumerate() {
        let name = format!("u{number}");
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        let set: [&[u8]; 3] = [b"ACL", b"SETUSER", name.as_bytes()];
        server.ask(&[set.to_vec(), rules.clone()].concat());
        let ours = users.set_user(name.as_bytes(), &rules, NewChannels::None);
        assert!(ours.is_ok());
    }
    assert_eq!(server.replies(), Some(vec![Reply::ok(); RIGHTS.len()]));
    let lines_each = setting("ACL_LISTS", 2000).div_ceil(250);
    let all = random::commands();
    for command in
        all.flat_map(|command| std::iter::once(command).chain(random::subcommands(command)))
    {
        let lines: Vec<Words> = (0..lines_each)
            .map(|_| random::line_of(command, &mut rng))
            .filter(|line| !sees_other_keys(line))
            .collect();
        for user in users.iter() {
            for line in &lines {
                let run: [&[u8]; 3] = [b"ACL", b"DRYRUN", user.name()];
                server.ask(&[run.to_vec(), slices(line)].concat());
            }
        }
        let mut replies = server.replies().expect("it lives").into_iter();
        for user in users.iter() {
            for line in &lines {
                let ours = dry_run(user, &slices(line));
                let rules = String::from_utf8(user.line()).unwrap();
                assert_eq!(Some(ours), replies.next(), "{rules}\n{}", shown(line));
            }
        }
    }
}

#[test]
fn refusals_are_worded_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    let mut rng = seeded("refusals");
    let folder = server::folder("refusals");
    // What these protect is refused before rights are looked at.
    let arguments = [
        "--enable-debug-command",
        "yes",
        "--enable-module-command",
        "yes",
    ];
    let mut server = Server::start(&folder, &arguments);
    let mut users = Users::default();
    for rules in [&["reset"][..], &["reset", "+@all", "~nothing", "&nothing"]] {
        let rules = [rules, &["on", "nopass"]].concat();
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        let set: [&[u8]; 3] = [b"ACL", b"SETUSER", b"u"];
        server.ask(&["AUTH", "default", ""]);
        server.ask(&[set.to_vec(), rules.clone()].concat());
        server.ask(&["AUTH", "u", ""]);
        assert_eq!(server.replies(), Some(vec![Reply::ok(); 3]));
        let user = users.set_user(b"u", &rules, NewChannels::None);
        let user = user.expect("these are rules").now;
        let all = random::commands();
        for command in
            all.flat_map(|command| std::iter::once(command).chain(random::subcommands(command)))
        {
            for _ in 0..3 {
                let line = random::line_of(command, &mut rng);
                let args = slices(&line);
                // Only what is refused is sent: it changes nothing.
                if lookup(&args).is_some_and(|found| found.id == command.id)
                    && command.accepts(args.len())
                    && !sees_other_keys(&line)
                    && let Err(denied) = user.check(command, &args)
                {
                    let mut ours = denied.reply(b"u", command).text().into_owned();
                    if command.name == "exec" {
                        ours.insert_str(0, "EXECABORT Transaction discarded because of: ");
                    }
                    server.ask(&args);
                    let theirs = server.replies();
                    let ours = Some(vec![error(ours.into_bytes())]);
                    assert_eq!(ours, theirs, "{}", shown(&line));
                }
            }
        }
    }
}

#[test]
fn patterns_of_sort_are_denied_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    const RIGHTS: &[&[&str]] = &[
        &["+@all", "~*"],
        &["+@all", "%R~*"],
        &["+@all", "%RW~*"],
        &["+@all", "%W~*", "~a"],
        &["+@all", "~a"],
        &["+@all", "~a", "(+sort %R~*)"],
        &["+@all", "%R~*", "(+sort ~a)"],
        &["+@all", "~a", "(+get ~*)"],
    ];
    const WORDS: &[&str] = &[
        "by", "get", "GET", "store", "limit", "asc", "desc", "alpha", "w*", "w", "#", "a", "0", "1",
    ];
    let mut rng = seeded("sort");
    let folder = server::folder("sort");
    let mut server = Server::start(&folder, &[]);
    let mut users = Users::default();
    let (mut ours_denied, lines) = (0, setting("ACL_LISTS", 2000));
    for rules in RIGHTS {
        let rules = [&["reset", "on", "nopass"], *rules].concat();
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        let set: [&[u8]; 3] = [b"ACL", b"SETUSER", b"u"];
        server.ask(&["AUTH", "default", ""]);
        server.ask(&[set.to_vec(), rules.clone()].concat());
        server.ask(&["AUTH", "u", ""]);
        assert_eq!(server.replies(), Some(vec![Reply::ok(); 3]));
        let user = users.set_user(b"u", &rules, NewChannels::None);
        let user = user.expect("these are rules").now;
        for _ in 0..lines / 8 {
            let name = if rng.random() { "sort" } else { "sort_ro" };
            let options =
                (0..rng.random_range(0..7)).map(|_| WORDS[rng.random_range(0..WORDS.len())]);
            let line: Words = [name, "a"]
                .into_iter()
                .chain(options)
                .map(|word| word.into())
                .collect();
            let args = slices(&line);
            server.ask(&args);
            let theirs = server.replies().expect("it lives").remove(0);
            let command = find(args[0]).expect("a command");
            if sees_other_keys(&line) || user.check(command, &args).is_err() {
                continue;
            }
            let ours = user.check_sort(command, &args);
            ours_denied += usize::from(ours.is_err());
            let denied = matches!(&theirs, Reply::Error(text) if text.ends_with(b"insufficient ACL permissions."));
            match ours {
                Ok(()) => assert!(!denied, "{rules:?} {}: {theirs:?}", shown(&line)),
                Err(why) => assert_eq!(
                    error(why.text().as_bytes().to_vec()),
                    theirs,
                    "{}",
                    shown(&line)
                ),
            }
        }
    }
    assert!(ours_denied > 0);
}

#[test]
fn files_are_loaded_as_by_the_reference() {
    if !server::is_installed() {
        return;
    }
    const DEFAULT: &[u8] = b"user default on nopass ~* &* +@all";
    let mut rng = seeded("files");
    let folder = server::folder("files");
    let path = folder.join("f");
    fs::write(&path, DEFAULT).unwrap();
    let mut server = Server::start(&folder, &["--aclfile", "f"]);
    let mut users = Users::default();
    for _ in 0..setting("ACL_LISTS", 2000) / 5 {
        let mut lines = vec![DEFAULT.to_vec()];
        for _ in 0..rng.random_range(0..4) {
            let rules: Words = random::rules(&mut rng)
                .into_iter()
                .map(|rule| rule.into_iter().filter(|byte| *byte != b'\n').collect())
                .collect();
            let starts: [&[u8]; 8] = [
                b"user a",
                b"user b",
                b"user c",
                b"user ",
                b"user a",
                b"user d\t",
                b" user e",
                b"use",
            ];
            let start = starts[rng.random_range(0..starts.len())].to_vec();
            let line = [vec![start], rules].concat().join(&b' ');
            // A parenthesis that does not close ends the reference.
            let opens = line
                .split(|byte| *byte == b' ')
                .filter(|word| word.starts_with(b"("));
            if opens.count() == 0 || !refuses_to_merge(&line) {
                lines.insert(rng.random_range(0..=lines.len()), line);
            }
        }
        let end: &[u8] = if rng.random() { b"\n" } else { b"\r\n" };
        let text = lines.join(end);
        fs::write(&path, &text).unwrap();
        server.ask(&["ACL", "LOAD"]);
        server.ask(&["ACL", "LIST"]);
        let readable = String::from_utf8_lossy(&text).into_owned();
        let replies = server.replies();
        let replies = replies.unwrap_or_else(|| panic!("the reference died of\n{readable}"));
        let ours = match Users::load(b"f", &text, NewChannels::None) {
            Ok(loaded) => {
                users = loaded.users;
                Reply::ok()
            }
            Err(errors) => error([b"ERR ", &*errors].concat()),
        };
        assert_eq!(ours, replies[0], "{readable}");
        let list = users.iter().map(|user| Reply::Bulk(as_there(&user.line())));
        let list = Reply::Array(list.collect());
        assert_eq!(list, replies[1], "{readable}");

        // What we save it loads, and shows the same.
        fs::write(&path, users.file_text()).unwrap();
        server.ask(&["ACL", "LOAD"]);
        server.ask(&["ACL", "LIST"]);
        let replies = server.replies().expect("the reference is alive");
        assert_eq!(replies, [Reply::ok(), list], "{readable}");
    }
}

/// Whether a selector of the line has no end.
fn refuses_to_merge(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let result = Users::default().set_user(b"u", &words[2.min(words.len())..], NewChannels::None);
    matches!(result, Err(acl::SetUserError::Unmatched(_)))
}
