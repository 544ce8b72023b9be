//! All users by name.

use crate::error::{DefaultCannotBeRemoved, SetUserError};
use crate::password::PasswordHash;
use crate::rule::{has_space_or_nul, merge_selectors};
use crate::selector::NewChannels;
use crate::user::{DEFAULT, User};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The users. `default` is always one of them.
///
/// A user never changes: a rule puts another one in its place. Whoever holds one sees it as it was, and asks
/// [`Self::get`] for what it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Users {
    by_name: BTreeMap<Box<[u8]>, Arc<User>>,
}

/// What ACL SETUSER has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The user as it was, if it was there.
    pub before: Option<Arc<User>>,
    /// The user as it is.
    pub now: Arc<User>,
    /// Rules of which the log warns: see [`crate::deprecation`].
    pub deprecated: Vec<Vec<u8>>,
}

impl Default for Users {
    fn default() -> Self {
        let mut users = Self {
            by_name: BTreeMap::new(),
        };
        users.put(User::permissive_default());
        users
    }
}

impl Users {
    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The user that new connections are bound to.
    pub fn default_user(&self) -> &Arc<User> {
        self.by_name
            .get(DEFAULT)
            .expect("the default user is made with the set and never removed")
    }

    /// All users, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// Puts a user in the place of the one of its name, or adds it.
    pub(crate) fn put(&mut self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        self.by_name.insert(user.name().into(), Arc::clone(&user));
        user
    }

    /// `ACL SETUSER name rule ...`: all rules or none.
    ///
    /// # Errors
    /// The name or a rule is refused. Nothing has changed.
    pub fn set_user(
        &mut self,
        name: &[u8],
        rules: &[&[u8]],
        channels: NewChannels,
    ) -> Result<Change, SetUserError> {
        if has_space_or_nul(name) {
            return Err(SetUserError::BadName);
        }
        let rules =
            merge_selectors(rules).map_err(|start| SetUserError::Unmatched(start.to_vec()))?;
        let before = self.get(name).cloned();
        let mut user = match &before {
            Some(user) => User::clone(user),
            None => User::new(name, channels),
        };
        let mut deprecated = Vec::new();
        for rule in rules {
            user.apply(&rule, channels, &mut deprecated)
                .map_err(|error| SetUserError::Rule(rule.into_owned(), error))?;
        }
        let now = self.put(user);
        Ok(Change {
            before,
            now,
            deprecated,
        })
    }

    /// `ACL DELUSER name ...`: gives the users that were there and are no more.
    ///
    /// # Errors
    /// One of them is `default`. Nothing has changed.
    pub fn delete(&mut self, names: &[&[u8]]) -> Result<Vec<Arc<User>>, DefaultCannotBeRemoved> {
        if names.contains(&DEFAULT) {
            return Err(DefaultCannotBeRemoved);
        }
        let removed = names.iter().filter_map(|name| self.by_name.remove(*name));
        Ok(removed.collect())
    }

    /// The parameter `requirepass`: the one password of the default user, or, when empty, none.
    pub fn require_password(&mut self, password: &[u8]) {
        let mut user = User::clone(self.default_user());
        user.require_password(password);
        self.put(user);
    }

    /// The user who may log in by this name and password.
    ///
    /// A digest is made, and compared, whether or not there is such a user, so that time does not tell.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        let password = PasswordHash::of(password);
        let user = self.get(name);
        let nobody = User::new(b"", NewChannels::None);
        let accepted = user.map_or(&nobody, Arc::as_ref).accepts(&password);
        user.filter(|_| accepted)
    }

    /// The users as a file of users has them, a line each.
    pub fn file_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for user in self.iter() {
            text.extend_from_slice(&user.line());
            text.push(b'\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RuleError;
    use crate::limits::{RULE_BYTES_MAX, SELECTORS_MAX};

    fn set(users: &mut Users, name: &str, rules: &[&str]) -> Result<Change, String> {
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        users
            .set_user(name.as_bytes(), &rules, NewChannels::None)
            .map_err(|error| String::from_utf8(error.text()).unwrap())
    }

    /// The line of a new user with these rules, without what every line starts with.
    fn line(rules: &[&str]) -> String {
        let mut users = Users::default();
        let change = set(&mut users, "u", rules).unwrap();
        let line = String::from_utf8(change.now.line()).unwrap();
        line.strip_prefix("user u ").unwrap().to_owned()
    }

    fn hash(password: &str) -> String {
        format!("#{}", PasswordHash::of(password.as_bytes()).hex())
    }

    #[test]
    fn users_are_shown_as_by_the_reference() {
        for (rules, wanted) in [
            (&[][..], "off sanitize-payload resetchannels -@all"),
            (
                &["on", "nopass"],
                "on nopass sanitize-payload resetchannels -@all",
            ),
            (
                &["skip-sanitize-payload", "~a", "&b", "+get"],
                "off skip-sanitize-payload ~a resetchannels &b -@all +get",
            ),
            (
                &["%R~a", "~b", "%W~a"],
                "off sanitize-payload ~a ~b resetchannels -@all",
            ),
            (
                &["~a", "~*", "&a", "&*"],
                "off sanitize-payload ~* &* -@all",
            ),
            (
                &["&a", "&a", "&b"],
                "off sanitize-payload resetchannels &a &b -@all",
            ),
            (
                &["(+get", "~a)", "(%R~b &* +@all)"],
                "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) (%R~b &* +@all)",
            ),
            (
                &["(+get)", "clearselectors", "()"],
                "off sanitize-payload resetchannels -@all (resetchannels -@all)",
            ),
            (
                &["~", "&", ""],
                "off sanitize-payload ~ resetchannels & -@all",
            ),
            (
                &[
                    "on",
                    "nopass",
                    "~*",
                    "&*",
                    "+@all",
                    "(+get)",
                    "skip-sanitize-payload",
                    "reset",
                ],
                "off sanitize-payload resetchannels -@all",
            ),
        ] {
            assert_eq!(line(rules), wanted, "{rules:?}");
        }
    }

    #[test]
    fn passwords_come_and_go() {
        let (a, b) = (hash("a"), hash("b"));
        for (rules, wanted) in [
            (&[">a", ">b", ">a"][..], format!("{a} {b} ")),
            (&[&*b, &*a], format!("{b} {a} ")),
            (&[">a", ">b", "<a"], format!("{b} ")),
            (&[">a", &*a.replace('#', "!")], String::new()),
            (&[">a", "resetpass"], String::new()),
            (&["nopass", ">a"], format!("{a} ")),
            (&["nopass", "resetpass"], String::new()),
            (&[">"], format!("{} ", hash(""))),
        ] {
            let wanted = format!("off sanitize-payload {wanted}resetchannels -@all");
            assert_eq!(line(rules), wanted, "{rules:?}");
        }
        assert_eq!(
            line(&[">a", "nopass"]),
            "off nopass sanitize-payload resetchannels -@all"
        );
    }

    #[test]
    fn a_refused_rule_changes_nothing() {
        let mut users = Users::default();
        set(&mut users, "u", &["on", "+get"]).unwrap();
        let before = users.clone();
        let modifier = "ERR Error in ACL SETUSER modifier";
        for (name, rules, wanted) in [
            (
                "a b",
                &["x"][..],
                "ERR Usernames can't contain spaces or null characters".to_owned(),
            ),
            (
                "a\0b",
                &[],
                "ERR Usernames can't contain spaces or null characters".to_owned(),
            ),
            (
                "a\tb",
                &["(a"],
                "ERR Usernames can't contain spaces or null characters".to_owned(),
            ),
            (
                "v",
                &["bad", "(+get"],
                "ERR Unmatched parenthesis in acl selector starting at '(+get'.".to_owned(),
            ),
            (
                "u",
                &["off", "-get", "foo"],
                format!("{modifier} 'foo': Syntax error"),
            ),
            (
                "u",
                &["off", "(~a", "+x", "&b)"],
                format!("{modifier} '(~a +x &b)': Unknown command or category name in ACL"),
            ),
            (
                "u",
                &["~*", "~b"],
                format!(
                    "{modifier} '~b': Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                     does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
                ),
            ),
            (
                "u",
                &["&*", "&b"],
                format!(
                    "{modifier} '&b': Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid \
                     and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
                ),
            ),
            (
                "u",
                &["<a"],
                format!(
                    "{modifier} '<a': The password you are trying to remove from the user does not exist"
                ),
            ),
            (
                "u",
                &["#a"],
                format!(
                    "{modifier} '#a': The password hash must be exactly 64 characters and contain only lowercase \
                     hexadecimal characters"
                ),
            ),
            (
                "u",
                &["+config|get|x"],
                format!(
                    "{modifier} '+config|get|x': Allowing first-arg of a subcommand is not supported"
                ),
            ),
            // What the reference takes, and should not.
            ("u", &["%"], format!("{modifier} '%': Syntax error")),
            ("u", &["%R"], format!("{modifier} '%R': Syntax error")),
            (
                "u",
                &["(\"abc)"],
                format!("{modifier} '(\"abc)': Syntax error"),
            ),
            ("u", &["~a\0b"], format!("{modifier} '~a': Syntax error")),
        ] {
            assert_eq!(set(&mut users, name, rules), Err(wanted));
            assert_eq!(users, before);
        }
        assert!(set(&mut users, "", &["on"]).is_ok());
    }

    #[test]
    fn there_are_bounds() {
        let mut users = Users::default();
        let many = vec!["(+get)"; SELECTORS_MAX];
        set(&mut users, "u", &many).unwrap();
        let error = set(&mut users, "u", &["(+get)"]).unwrap_err();
        assert!(error.ends_with(&RuleError::TooManySelectors.to_string()));
        let many = vec!["()"; 10_000];
        assert!(set(&mut users, "v", &many).is_err());
        let mut long = "~".repeat(RULE_BYTES_MAX);
        set(&mut users, "v", &[&long]).unwrap();
        long.push('~');
        assert!(set(&mut users, "v", &[&long]).is_err());
    }

    #[test]
    fn channels_of_new_users_and_selectors_are_a_parameter() {
        let mut users = Users::default();
        let all = |users: &mut Users, rules: &[&[u8]]| {
            let change = users.set_user(b"u", rules, NewChannels::All).unwrap();
            String::from_utf8(change.now.rules_line()).unwrap()
        };
        assert_eq!(
            all(&mut users, &[b"(+get)"]),
            "off sanitize-payload &* -@all (&* -@all +get)"
        );
        assert_eq!(
            all(&mut users, &[b"resetchannels", b"&a", b"clearselectors"]),
            "off sanitize-payload resetchannels &a -@all"
        );
        assert_eq!(
            all(&mut users, &[b"reset"]),
            "off sanitize-payload &* -@all"
        );
    }

    #[test]
    fn the_default_user_stays() {
        let mut users = Users::default();
        let shown = users.default_user().line();
        assert_eq!(
            shown,
            b"user default on nopass sanitize-payload ~* &* +@all"
        );
        assert!(users.default_user().may_everything() && users.default_user().is_open());
        set(&mut users, "u", &[]).unwrap();
        assert_eq!(
            users.delete(&[b"u", b"default"]),
            Err(DefaultCannotBeRemoved)
        );
        assert_eq!(users.iter().len(), 2);
        assert_eq!(users.delete(&[b"u", b"nobody", b"u"]).unwrap().len(), 1);
        assert_eq!(users.iter().len(), 1);
    }

    #[test]
    fn users_are_sorted_by_bytes() {
        let mut users = Users::default();
        for name in ["b", "B", "", "\u{e9}", "a", "zz"] {
            set(&mut users, name, &[]).unwrap();
        }
        let names: Vec<&[u8]> = users.iter().map(|user| user.name()).collect();
        assert_eq!(
            names,
            [
                &b""[..],
                b"B",
                b"a",
                b"b",
                b"default",
                b"zz",
                "\u{e9}".as_bytes()
            ]
        );
    }

    #[test]
    fn logging_in_takes_a_user_that_is_on_and_one_of_its_passwords() {
        let mut users = Users::default();
        set(&mut users, "u", &["on", ">a", ">b"]).unwrap();
        set(&mut users, "off", &[">a"]).unwrap();
        set(&mut users, "any", &["on", "nopass"]).unwrap();
        set(&mut users, "none", &["on"]).unwrap();
        let may = |name: &str, password: &str| {
            let user = users.authenticate(name.as_bytes(), password.as_bytes());
            user.is_some_and(|user| user.name() == name.as_bytes())
        };
        assert!(may("u", "a") && may("u", "b") && may("any", "") && may("any", "x"));
        assert!(may("default", "x"));
        for (name, password) in [
            ("u", "c"),
            ("u", ""),
            ("U", "a"),
            ("off", "a"),
            ("none", ""),
            ("nobody", "a"),
        ] {
            assert!(!may(name, password), "{name} {password}");
        }
    }

    #[test]
    fn the_password_of_the_default_user_is_a_parameter() {
        let mut users = Users::default();
        users.require_password(b"p");
        assert!(!users.default_user().is_open());
        assert!(users.authenticate(DEFAULT, b"p").is_some());
        assert!(users.authenticate(DEFAULT, b"x").is_none());
        users.require_password(b"q");
        assert!(users.authenticate(DEFAULT, b"p").is_none());
        users.require_password(b"");
        assert!(users.default_user().is_open());
        assert!(users.default_user().may_everything());
    }

    #[test]
    fn rules_of_first_arguments_are_told() {
        let mut users = Users::default();
        let change = set(&mut users, "u", &["+SELECT|0", "(+get", "+get|x)"]).unwrap();
        assert_eq!(change.deprecated, [&b"+SELECT|0"[..], b"+get|x"]);
        assert_eq!(
            crate::deprecation(b"+SELECT|0"),
            b"Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get \
              disabled in the future (offender: +SELECT|0)"
        );
    }
}
