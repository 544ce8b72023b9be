//! A file of users: its text in, the users or all that is wrong with it out.
//!
//! Lines are trimmed of blanks, tabs and line ends; empty ones are skipped; there are no comments. Words are separated by
//! single blanks, so that two in a row have an empty word between them, which says nothing. The first word is `user`, the
//! second the name, the others rules, from which tabs and line ends at both sides are taken; quotes mean something only
//! inside of selectors.

use crate::error::{RuleError, join, until_nul};
use crate::rule::{has_space_or_nul, merge_selectors};
use crate::selector::NewChannels;
use crate::user::User;
use crate::users::Users;

/// What every list of errors ends with.
const NOTHING_CHANGED: &[u8] =
    b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

/// The users of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The users, with a permissive `default` where the file has none.
    pub users: Users,
    /// Rules of which the log warns: see [`crate::deprecation`].
    pub deprecated: Vec<Vec<u8>>,
}

impl Users {
    /// Reads a file of users. `path` is what errors call it.
    ///
    /// # Errors
    /// Everything that is wrong, in one line, as the reference words it; in a reply `ERR ` stands before it.
    pub fn load(path: &[u8], text: &[u8], channels: NewChannels) -> Result<Loaded, Vec<u8>> {
        let mut loaded = Loaded {
            users: Self::default(),
            deprecated: Vec::new(),
        };
        let mut default_seen = false;
        let mut errors = Vec::new();
        for (number, line) in (1_usize..).zip(text.split(|byte| *byte == b'\n')) {
            let line = trim(line, b" \t\r\n");
            if line.is_empty() {
                continue;
            }
            let mut words = line.split(|byte| *byte == b' ');
            let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
                errors.push(at_line(
                    path,
                    number,
                    b" should start with user keyword followed by the username. ",
                ));
                continue;
            };
            if has_space_or_nul(name) {
                let place = at_line(path, number, b": username '");
                let end = b"' contains invalid characters. ";
                errors.push(join(&[b"'", &place, until_nul(name), end]));
                continue;
            }
            let is_default = name == crate::DEFAULT;
            if if is_default {
                default_seen
            } else {
                loaded.users.get(name).is_some()
            } {
                let place = format!("' found on line {number}. ");
                let start = b"WARNING: Duplicate user '";
                errors.push(join(&[start, name, place.as_bytes()]));
                continue;
            }
            default_seen |= is_default;
            let mut user = User::new(name, channels);
            let rules: Vec<&[u8]> = words.collect();
            apply(
                &mut user,
                &rules,
                channels,
                &mut loaded.deprecated,
                |error| {
                    errors.push(at_line(path, number, &error));
                },
            );
            loaded.users.put(user);
        }
        if errors.is_empty() {
            return Ok(loaded);
        }
        errors.push(NOTHING_CHANGED.to_vec());
        Err(errors.concat())
    }
}

/// Applies the rules of a line; tells `report` of every unknown command and of the first of all other errors.
fn apply(
    user: &mut User,
    rules: &[&[u8]],
    channels: NewChannels,
    deprecated: &mut Vec<Vec<u8>>,
    mut report: impl FnMut(Vec<u8>),
) {
    let Ok(rules) = merge_selectors(rules) else {
        report(b": Unmatched parenthesis in selector definition.".to_vec());
        return;
    };
    let mut others = 0;
    for rule in &rules {
        let rule = trim(rule, b"\t\r\n");
        match user.apply(rule, channels, deprecated) {
            Ok(()) => {}
            Err(error @ RuleError::Unknown) => report(join(&[
                b": Error in applying operation '",
                until_nul(rule),
                b"': ",
                error.to_string().as_bytes(),
                b". ",
            ])),
            Err(error) => {
                others += 1;
                if others == 1 {
                    report(format!(": {error}. ").into_bytes());
                }
            }
        }
    }
}

fn at_line(path: &[u8], number: usize, what: &[u8]) -> Vec<u8> {
    join(&[path, format!(":{number}").as_bytes(), what])
}

/// Without these bytes at its ends.
fn trim<'a>(mut text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    while let [byte, rest @ ..] = text
        && bytes.contains(byte)
    {
        text = rest;
    }
    while let [rest @ .., byte] = text
        && bytes.contains(byte)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Vec<String>, String> {
        match Users::load(b"f.acl", text.as_bytes(), NewChannels::None) {
            Ok(loaded) => {
                let text = String::from_utf8(loaded.users.file_text()).unwrap();
                Ok(text.lines().map(str::to_owned).collect())
            }
            Err(text) => Err(String::from_utf8(text).unwrap()),
        }
    }

    const DEFAULT: &str = "user default on nopass sanitize-payload ~* &* +@all";

    #[test]
    fn files_are_read_as_by_the_reference() {
        assert_eq!(load("").unwrap(), [DEFAULT]);
        assert_eq!(load("\n\n  \n\r\n\t").unwrap(), [DEFAULT]);
        assert_eq!(
            load("  user a on  \r\n\tuser b off\t\n").unwrap(),
            [
                "user a on sanitize-payload resetchannels -@all",
                "user b off sanitize-payload resetchannels -@all",
                DEFAULT
            ]
        );
        assert_eq!(
            load("user  on").unwrap(),
            ["user  on sanitize-payload resetchannels -@all", DEFAULT]
        );
        assert_eq!(
            load("user a  (+get  ~b)  on\nuser default +get").unwrap(),
            [
                "user a on sanitize-payload resetchannels -@all (~b resetchannels -@all +get)",
                "user default off sanitize-payload resetchannels -@all +get"
            ]
        );
        assert_eq!(
            load("user a +get\r \t\ton (\t+set\t ~b\t )").unwrap()[0],
            "user a on sanitize-payload resetchannels -@all +get (~b resetchannels -@all +set)"
        );
        assert_eq!(
            load("user a ~\"x\"").unwrap()[0],
            "user a off sanitize-payload ~\"x\" resetchannels -@all"
        );
    }

    #[test]
    fn all_errors_are_told_as_by_the_reference() {
        let end = String::from_utf8(NOTHING_CHANGED.to_vec()).unwrap();
        let syntax = "Syntax error. ";
        let unknown = "Unknown command or category name in ACL. ";
        let should = "should start with user keyword followed by the username. ";
        for (text, wanted) in [
            (
                "use a on\nuser\nuser  on\nuser \n# c\nUser a on\nuseruser a\nuser\ta on",
                [1, 2, 4, 5, 6, 7, 8]
                    .map(|line| format!("f.acl:{line} {should}"))
                    .concat(),
            ),
            (
                "user a +get +nosuch +nosuch2 ~a foo +x bar\nuser a on\nuser a (+get\nfoo",
                format!(
                    "f.acl:1: Error in applying operation '+nosuch': {unknown}\
                     f.acl:1: Error in applying operation '+nosuch2': {unknown}\
                     f.acl:1: {syntax}\
                     f.acl:1: Error in applying operation '+x': {unknown}\
                     WARNING: Duplicate user 'a' found on line 2. \
                     WARNING: Duplicate user 'a' found on line 3. \
                     f.acl:4 {should}"
                ),
            ),
            (
                "user a (+get\nuser b on",
                "f.acl:1: Unmatched parenthesis in selector definition.".to_owned(),
            ),
            // The reference crashes.
            (
                "user x on ~* (+get",
                "f.acl:1: Unmatched parenthesis in selector definition.".to_owned(),
            ),
            (
                "user a\ton on",
                "'f.acl:1: username 'a\ton' contains invalid characters. ".to_owned(),
            ),
            (
                "user a ~* ~b ~c +x",
                format!(
                    "f.acl:1: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
                     have any effect. Try 'resetkeys' to start with an empty list of patterns. \
                     f.acl:1: Error in applying operation '+x': {unknown}"
                ),
            ),
            (
                "user a (foo) (bar) (+x ~y)",
                format!(
                    "f.acl:1: {syntax}f.acl:1: Error in applying operation '(+x ~y)': {unknown}"
                ),
            ),
            (
                "user a +select|0 +config|get|x +config|nope",
                format!(
                    "f.acl:1: Allowing first-arg of a subcommand is not supported. \
                     f.acl:1: Error in applying operation '+config|nope': {unknown}"
                ),
            ),
            (
                "user x zz\nuser (a) on\nuser x on",
                format!("f.acl:1: {syntax}WARNING: Duplicate user 'x' found on line 3. "),
            ),
            (
                "user default on\nuser default off",
                "WARNING: Duplicate user 'default' found on line 2. ".to_owned(),
            ),
            ("user a on\ruser b on", format!("f.acl:1: {syntax}")),
            (
                "user a >pw <pw <pw",
                "f.acl:1: The password you are trying to remove from the user does not exist. "
                    .into(),
            ),
            (
                "user a (+get)\t on",
                "f.acl:1: Unmatched parenthesis in selector definition.".to_owned(),
            ),
            ("user a \t(+get on\t~x)", format!("f.acl:1: {syntax}")),
            // What the reference takes, and should not.
            ("user a %", format!("f.acl:1: {syntax}")),
            ("user a on\0 foo", format!("f.acl:1: {syntax}")),
        ] {
            assert_eq!(load(text), Err(wanted + &end), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = "user a on >x (+get \"~b\\\")\" ~c)) (+@all ~*)\nuser b +select|0\nuser default off %R~*\n";
        let loaded = Users::load(b"f", text.as_bytes(), NewChannels::None).unwrap();
        assert_eq!(loaded.deprecated, [b"+select|0"]);
        let again = Users::load(b"f", &loaded.users.file_text(), NewChannels::All).unwrap();
        // Channels of new selectors are written down, so that the parameter makes no difference.
        assert_eq!(again.users, loaded.users);
    }
}
