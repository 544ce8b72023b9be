//! Random rules and command lines.

use commandtable::{AclCategories, BeginSearch, COMMANDS, CommandInfo, FindKeys};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

pub(crate) type Words = Vec<Vec<u8>>;

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).expect("not empty")
}

/// The commands that the reference has too, with the same number of arguments.
pub(crate) fn commands() -> impl Iterator<Item = &'static CommandInfo> {
    let all = COMMANDS.iter();
    all.filter(|command| !command.docs.own && command.docs.arity == command.arity)
}

/// The subcommands that the reference has, too.
pub(crate) fn subcommands(command: &CommandInfo) -> Vec<&'static CommandInfo> {
    let all = command.subcommands.iter();
    all.filter(|sub| !sub.docs.own).collect()
}

/// A command or subcommand; every other time one of a few, so that rules meet.
fn command(rng: &mut StdRng) -> &'static CommandInfo {
    const FEW: &[&str] = &[
        "get",
        "set",
        "mget",
        "config",
        "client",
        "select",
        "command",
        "debug",
        "sort",
        "publish",
        "object",
        "eval",
        "psubscribe",
    ];
    let command = if rng.random() {
        commandtable::find(pick(rng, FEW).as_bytes()).expect("a command")
    } else {
        commands()
            .nth(rng.random_range(0..commands().count()))
            .expect("commands")
    };
    match subcommands(command).choose(rng) {
        Some(sub) if rng.random() => sub,
        _ => command,
    }
}

fn any_case(rng: &mut StdRng, text: &str) -> String {
    match rng.random_range(0..8) {
        0 => text.to_uppercase(),
        1 => text[..1].to_uppercase() + &text[1..],
        _ => text.to_owned(),
    }
}

fn pattern(rng: &mut StdRng) -> &'static str {
    pick(
        rng,
        &[
            "a", "b", "aa", "ab", "a*", "b*", "*", "?", "[ab]", "", "*a", "x", "A", "\\*", "[^a]*",
            "a**", "\u{e9}", "(", "|", "%R~a",
        ],
    )
}

fn selector_rule(rng: &mut StdRng) -> String {
    let sign = pick(rng, &["+", "+", "+", "-", "-"]);
    let rule = match rng.random_range(0..20) {
        0..6 => format!("{sign}{}", command(rng).full_name),
        6..9 => {
            let (_, name) = AclCategories::ALL.choose(rng).expect("categories");
            format!("{sign}@{name}")
        }
        9 => format!("{sign}@all"),
        10 => {
            let argument = pick(rng, &["0", "1", "a", "get", "ABC", "x)", "(", ""]);
            format!("{sign}{}|{argument}", command(rng).name)
        }
        11 => pick(
            rng,
            &[
                "allkeys",
                "resetkeys",
                "allchannels",
                "resetchannels",
                "allcommands",
                "nocommands",
                "~*",
                "&*",
            ],
        )
        .to_owned(),
        12..15 => format!("~{}", pattern(rng)),
        15..17 => {
            let access = pick(rng, &["R", "W", "RW", "WR", "r", "w", "RR", "X", ""]);
            format!("%{access}~{}", pattern(rng))
        }
        _ => format!("&{}", pattern(rng)),
    };
    if rule.starts_with(['+', '-']) || rule.starts_with(|byte: char| byte.is_ascii_alphabetic()) {
        any_case(rng, &rule)
    } else {
        rule
    }
}

fn user_rule(rng: &mut StdRng) -> String {
    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let rule = match rng.random_range(0..16) {
        0..8 => pick(
            rng,
            &[
                "on",
                "off",
                "nopass",
                "resetpass",
                "sanitize-payload",
                "skip-sanitize-payload",
                "clearselectors",
                "reset",
                "",
            ],
        )
        .to_owned(),
        8..11 => format!(">{}", pick(rng, &["", "a", "b", "A", "a b", "(", "\u{e9}"])),
        11..13 => format!("<{}", pick(rng, &["", "a", "b"])),
        13 => format!("#{HASH}"),
        14 => format!("!{HASH}"),
        _ => format!(
            "{}{}",
            pick(rng, &["#", "!"]),
            pick(rng, &["", "a", &HASH.to_uppercase()])
        ),
    };
    if rule.starts_with(|byte: char| byte.is_ascii_alphabetic()) {
        any_case(rng, &rule)
    } else {
        rule
    }
}

/// A word that is seldom a rule.
fn junk(rng: &mut StdRng) -> String {
    let mut word: Vec<char> = match rng.random() {
        true => selector_rule(rng),
        false => user_rule(rng),
    }
    .chars()
    .collect();
    for _ in 0..rng.random_range(0..3) {
        let at = rng.random_range(0..=word.len());
        let letters: Vec<char> = "ab+-@|~&%()<>!#*RW \t\u{b}0".chars().collect();
        let letter = *letters.choose(rng).expect("letters");
        match rng.random_range(0..3) {
            0 => word.insert(at, letter),
            1 if at < word.len() => word[at] = letter,
            _ if at < word.len() => drop(word.remove(at)),
            _ => {}
        }
    }
    word.into_iter().collect()
}

/// A selector in one word or several.
fn selector(rng: &mut StdRng) -> Vec<String> {
    let mut inside: Vec<String> = (0..rng.random_range(0..5))
        .map(|_| match rng.random_range(0..40) {
            0 => user_rule(rng),
            1 => junk(rng).replace(['\t', '\u{b}'], ""),
            2 => format!("\"{}\"", selector_rule(rng).replace('\\', "\\\\")),
            3 => format!("'{}'", selector_rule(rng)),
            _ => selector_rule(rng),
        })
        .collect();
    match inside.first_mut() {
        Some(first) => first.insert(0, '('),
        None => inside.push("(".into()),
    }
    let last = inside.len() - 1;
    match rng.random_range(0..30) {
        0 => {}
        1 => inside.push(")".into()),
        _ => inside[last].push(')'),
    }
    if rng.random() {
        inside
    } else {
        let blank = pick(rng, &[" ", "  ", "\t", " \n"]);
        vec![inside.join(blank)]
    }
}

/// Rules of one ACL SETUSER.
pub(crate) fn rules(rng: &mut StdRng) -> Words {
    loop {
        let mut words = Vec::new();
        for _ in 0..rng.random_range(0..8) {
            match rng.random_range(0..60) {
                0..38 => words.push(selector_rule(rng)),
                38..50 => words.push(user_rule(rng)),
                50 => words.push(junk(rng)),
                _ => words.extend(selector(rng)),
            }
        }
        if !words.iter().any(|word| breaks_the_reference(word)) {
            return words.into_iter().map(String::into_bytes).collect();
        }
    }
}

/// Whether the reference takes a word that it cannot show again, which ends it: a pattern without permissions, or a
/// first argument with white space in it.
fn breaks_the_reference(word: &str) -> bool {
    let no_pattern = word
        .split([' ', '(', ')', '\t', '\n', '"', '\''])
        .any(|part| {
            part.strip_prefix('%')
                .is_some_and(|letters| letters.chars().all(|letter| "RWrw".contains(letter)))
        });
    let space = word.split_once('|').is_some_and(|(name, argument)| {
        name.starts_with(['+', '-']) && argument.contains(char::is_whitespace)
    });
    // A quoted word inside of a selector that another opens or closes with more than its quotes.
    let quotes = word.contains(['"', '\'']) && word.contains("|");
    no_pattern || space || quotes
}

/// A command line, of any command.
pub(crate) fn line(rng: &mut StdRng) -> Words {
    let command = command(rng);
    line_of(command, rng)
}

/// A command line: mostly of as many arguments as the command takes, mostly with as many keys as it says.
pub(crate) fn line_of(command: &CommandInfo, rng: &mut StdRng) -> Words {
    const WORDS: &[&str] = &[
        "a",
        "b",
        "aa",
        "ab",
        "ba",
        "x",
        "",
        "A",
        "*",
        "a*",
        "0",
        "1",
        "2",
        "3",
        "-1",
        "99",
        "010",
        "18446744073709551615",
        "18446744073709551617",
        "2147483648",
        "get",
        "GET",
        "store",
        "STOREDIST",
        "keys",
        "KEYS",
        "auth",
        "auth2",
        "streams",
        "STREAMS",
        "by",
        "limit",
        "count",
        "left",
        "min",
        "weights",
        "#",
        "set",
        "incrby",
        "overflow",
        "wrap",
        "u8",
        "i5",
        "ex",
        "replace",
        "block",
        "group",
        "noack",
    ];
    let least = command.arity.unsigned_abs() as usize;
    let names: Vec<&str> = command.full_name.split('|').collect();
    let more = if command.arity < 0 && rng.random_range(0..20) != 0 {
        rng.random_range(0..7)
    } else {
        usize::from(rng.random_range(0..20) == 0)
    };
    let count = (least + more)
        .saturating_sub(names.len())
        .saturating_sub(usize::from(rng.random_range(0..50) == 0));
    let mut words: Words = names
        .iter()
        .map(|name| any_case(rng, name).into_bytes())
        .collect();
    for _ in 0..count {
        words.push(pick(rng, WORDS).as_bytes().to_vec());
    }
    for spec in command.key_specs {
        if rng.random_range(0..4) == 0 {
            continue;
        }
        match (spec.begin, spec.find) {
            (BeginSearch::Index(start), FindKeys::KeyNum { keynum_index, .. }) => {
                let place = start.unsigned_abs() as usize + keynum_index.unsigned_abs() as usize;
                if place + 1 < words.len() {
                    let left = words.len() - place;
                    words[place] = rng.random_range(0..=left).to_string().into_bytes();
                }
            }
            (BeginSearch::Keyword { word, .. }, _) if words.len() > 3 => {
                let place = rng.random_range(2..words.len());
                words[place] = word.as_bytes().to_vec();
            }
            _ => {}
        }
    }
    words
}
