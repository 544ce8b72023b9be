//! A user: a name, passwords, and selectors.

use crate::error::RuleError;
use crate::limits::{PASSWORDS_MAX, SELECTORS_MAX};
use crate::password::PasswordHash;
use crate::patterns::Form;
use crate::rule::{SelectorRule, UserRule};
use crate::selector::{NewChannels, Selector};

/// The name of the user that always exists, to which new connections are bound.
pub const DEFAULT: &[u8] = b"default";

/// A user and its rights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    name: Box<[u8]>,
    on: bool,
    any_password: bool,
    /// In the order in which they were added, none twice. Empty with `any_password`.
    passwords: Vec<PasswordHash>,
    sanitize_payload: bool,
    /// The first one is the root, and always there.
    selectors: Vec<Selector>,
    /// Some selector allows everything.
    may_everything: bool,
}

impl User {
    /// A user that is off and may do nothing, but for the channels.
    pub fn new(name: &[u8], channels: NewChannels) -> Self {
        Self {
            name: name.into(),
            on: false,
            any_password: false,
            passwords: Vec::new(),
            sanitize_payload: true,
            selectors: vec![Selector::new(channels)],
            may_everything: false,
        }
    }

    /// The `default` user as it is when nobody has said anything about it: on, without a password, with all rights.
    pub fn permissive_default() -> Self {
        let mut user = Self::new(DEFAULT, NewChannels::All);
        for rule in ["on", "nopass", "allkeys", "allcommands"] {
            user.apply(rule.as_bytes(), NewChannels::All, &mut Vec::new())
                .expect("these are rules");
        }
        user
    }

    /// The name: any bytes but white space and NUL.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether one may log in.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Whether any password will do.
    pub fn takes_any_password(&self) -> bool {
        self.any_password
    }

    /// Whether a new connection counts as logged in, when this is the default user.
    pub fn is_open(&self) -> bool {
        self.on && self.any_password
    }

    /// Whether what RESTORE brings is looked through.
    pub fn sanitizes_payload(&self) -> bool {
        self.sanitize_payload
    }

    /// The passwords' digests in the order in which they were added.
    pub fn passwords(&self) -> &[PasswordHash] {
        &self.passwords
    }

    /// The selector outside of parentheses.
    pub fn root(&self) -> &Selector {
        // The field's invariant.
        &self.selectors[0]
    }

    /// The selectors in parentheses.
    pub fn further_selectors(&self) -> &[Selector] {
        &self.selectors[1..]
    }

    /// All selectors, the root first.
    #[inline]
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether the user may do whatever it likes, so that nothing needs to be judged.
    #[inline]
    pub fn may_everything(&self) -> bool {
        self.may_everything
    }

    /// Does what a rule says, a selector being in one piece. Rules that allow a first argument are added to `deprecated`.
    ///
    /// # Errors
    /// The rule is none, or says nothing after those before it. The user is as it was.
    pub fn apply(
        &mut self,
        rule: &[u8],
        channels: NewChannels,
        deprecated: &mut Vec<Vec<u8>>,
    ) -> Result<(), RuleError> {
        match UserRule::parse(rule)? {
            UserRule::Nothing => {}
            UserRule::On => self.on = true,
            UserRule::Off => self.on = false,
            UserRule::NoPass => {
                self.any_password = true;
                self.passwords.clear();
            }
            UserRule::ResetPass => {
                self.any_password = false;
                self.passwords.clear();
            }
            UserRule::AddPassword(hash) => {
                if !self.passwords.contains(&hash) {
                    if self.passwords.len() >= PASSWORDS_MAX {
                        return Err(RuleError::TooManyPasswords);
                    }
                    self.passwords.push(hash);
                }
                self.any_password = false;
            }
            UserRule::RemovePassword(hash) => {
                let known = self.passwords.iter().position(|known| *known == hash);
                self.passwords
                    .remove(known.ok_or(RuleError::NoSuchPassword)?);
            }
            UserRule::SanitizePayload => self.sanitize_payload = true,
            UserRule::SkipSanitizePayload => self.sanitize_payload = false,
            UserRule::Selector(inside) => {
                if self.further_selectors().len() >= SELECTORS_MAX {
                    return Err(RuleError::TooManySelectors);
                }
                self.selectors
                    .push(Selector::parse(inside, channels, deprecated)?);
            }
            UserRule::ClearSelectors => self.selectors.truncate(1),
            UserRule::Reset => {
                let name = std::mem::take(&mut self.name);
                *self = Self::new(&name, channels);
            }
            UserRule::Root(selector_rule) => {
                if selector_rule.is_deprecated() {
                    deprecated.push(rule.to_vec());
                }
                self.selectors[0].apply(selector_rule)?;
            }
        }
        self.may_everything = self.selectors.iter().any(Selector::allows_everything);
        Ok(())
    }

    /// Makes this the one password, or, when it is empty, does without.
    pub(crate) fn require_password(&mut self, password: &[u8]) {
        self.any_password = password.is_empty();
        self.passwords.clear();
        if !password.is_empty() {
            self.passwords.push(PasswordHash::of(password));
        }
    }

    /// The words that ACL GETUSER shows as flags.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let words = [
            Some(if self.on { "on" } else { "off" }),
            self.any_password.then_some("nopass"),
            Some(if self.sanitize_payload {
                "sanitize-payload"
            } else {
                "skip-sanitize-payload"
            }),
        ];
        words.into_iter().flatten()
    }

    /// The user in one line of ACL LIST and of files: `user name on nopass ~* &* +@all`. Read again it gives the same user.
    pub fn line(&self) -> Vec<u8> {
        [b"user ", self.name(), b" ", &self.rules_line()].concat()
    }

    /// The line without `user` and the name: words with single blanks between them. None of them is empty or has white space
    /// in it, so who writes a file that knows quotes can quote them one by one; a selector is several words.
    pub fn rules_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        for flag in self.flags() {
            line.extend_from_slice(flag.as_bytes());
            line.push(b' ');
        }
        for hash in &self.passwords {
            line.push(b'#');
            line.extend_from_slice(hash.hex().as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(&self.root().line(Form::Plain));
        for selector in self.further_selectors() {
            line.extend_from_slice(b" (");
            line.extend_from_slice(&selector.line(Form::Inside));
            line.push(b')');
        }
        line
    }

    /// Whether the password lets one in. All digests are compared.
    pub(crate) fn accepts(&self, password: &PasswordHash) -> bool {
        let known = self
            .passwords
            .iter()
            .fold(false, |known, hash| known | hash.matches(password));
        self.on & (self.any_password | known)
    }
}

impl SelectorRule<'_> {
    /// Whether the log warns of the rule.
    pub(crate) fn is_deprecated(&self) -> bool {
        use crate::commands::Target;
        matches!(self, Self::Command(rule) if matches!(rule.target, Target::FirstArgument(..)))
    }
}
