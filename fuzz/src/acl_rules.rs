//! What the target `acl_rules` does with its bytes. Used by cargo-fuzz and, on the stable toolchain, by
//! `crates/acl/tests/fuzz_smoke.rs`.

use acl::{NewChannels, Users};
use commandtable::COMMANDS;

/// Inputs that get deep.
pub const SEEDS: &[&[u8]] = &[
    b"on\n>pw\n~a*\n%R~b\n&c\n+@all\n-@dangerous\n+config|get",
    b"(+get\n~a)\n(\"~b\" '&c' +@read)\nclearselectors\nreset",
    b"+select|0\n-select\n+client\n-client|kill\nnopass\nskip-sanitize-payload",
    b"user a on nopass ~* &* +@all\nuser b (+get ~a) #e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
    b"user default on\r\n\r\nuser a %RW~x resetchannels -@all +debug|sleep (%W~y &z -@all +@write)\n",
];

/// Rules, one a line, for one user; and the same bytes as a file of users. What is accepted is shown, read again, and
/// judged.
pub fn acl_rules(data: &[u8]) {
    let rules: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let mut users = Users::default();
    let before = users.clone();
    match users.set_user(b"u", &rules, NewChannels::None) {
        Err(error) => {
            assert!(error.text().starts_with(b"ERR "));
            assert_eq!(users, before);
        }
        Ok(_) => read_again(&users),
    }
    // One at a time, those that are refused left out.
    for rule in &rules {
        let _ = users.set_user(b"v", &[rule], NewChannels::All);
    }
    read_again(&users);
    judge(&users, &rules);
    match Users::load(b"f", data, NewChannels::None) {
        Err(errors) => assert!(errors.ends_with(b"was performed")),
        Ok(loaded) => {
            read_again(&loaded.users);
            judge(&loaded.users, &rules);
        }
    }
}

fn read_again(users: &Users) {
    let again = Users::load(b"f", &users.file_text(), NewChannels::None);
    let again = again.map_err(|errors| String::from_utf8_lossy(&errors).into_owned());
    let again = again.expect("what is shown can be read").users;
    assert_eq!(again, *users);
}

/// Verdicts come with reasons that agree, whatever the arguments.
fn judge(users: &Users, args: &[&[u8]]) {
    let line: Vec<&[u8]> = std::iter::once(&b"x"[..])
        .chain(args.iter().copied())
        .collect();
    let first = args.first().and_then(|arg| arg.first()).copied();
    let start = usize::from(first.unwrap_or(0)) % COMMANDS.len();
    for command in COMMANDS.iter().cycle().skip(start).take(8) {
        for command in std::iter::once(command).chain(command.subcommands) {
            for user in users.iter() {
                let verdict = user.check(command, &line);
                assert_eq!(user.why(command, &line).verdict.err(), verdict.err());
                assert!(verdict.is_ok() || !user.may_everything());
                if let Err(denied) = verdict {
                    assert!(denied.argument < line.len());
                }
            }
        }
    }
}
