//! CONFIG SET: several parameters at once, all or none.

use std::fmt;

use super::problem::Problem;
use super::row::{Flags, Phase};
use super::table::{Config, Param};

/// Puts changed parameters into effect.
pub trait Apply {
    /// Makes the value that `param` has in `config` effective. Called once per changed parameter, in the order of
    /// the request, when all new values are in `config`; called again with the old ones to undo.
    ///
    /// # Errors
    /// The reason, as the client sees it. The effect of the old value must then still hold.
    fn apply(&mut self, config: &Config, param: Param) -> Result<(), String>;
}

/// What the caller of CONFIG SET may do right now.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Whether `enable-protected-configs` lets this client change protected parameters.
    pub protected: bool,
    /// Whether a dataset is being loaded.
    pub loading: bool,
}

/// Why CONFIG SET changed nothing. `Display` is the error reply, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// A name without a value.
    Syntax,
    /// No such parameter; the name as given.
    Unknown(Vec<u8>),
    /// The parameter cannot change while a dataset is being loaded.
    Loading,
    /// A parameter was refused: its name, as given, and why.
    Refused {
        /// The name.
        name: Vec<u8>,
        /// The reason.
        reason: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::Unknown(name) => write!(
                f,
                "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                String::from_utf8_lossy(name)
            ),
            Self::Loading => f.write_str("LOADING Valkey is loading the dataset in memory"),
            Self::Refused { name, reason } => write!(
                f,
                "ERR CONFIG SET failed (possibly related to argument '{}') - {reason}",
                String::from_utf8_lossy(name)
            ),
        }
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// Sets the parameters in `pairs`, name and value by turns, and applies those that changed.
    ///
    /// Gives the changed parameters, in the order of the request; volatile ones count as changed.
    ///
    /// # Errors
    /// A pair is wrong or cannot be applied: nothing has changed then, and what was applied has been undone.
    pub fn change<A: AsRef<[u8]>>(
        &mut self,
        pairs: &[A],
        access: Access,
        apply: &mut dyn Apply,
    ) -> Result<Vec<Param>, SetError> {
        let pairs = resolve(pairs, access)?;
        let mut candidate = self.clone();
        for pair in &pairs {
            candidate
                .set(pair.param, &pair.words(), Phase::Runtime)
                .map_err(|problem| pair.refused(problem))?;
        }
        let changed: Vec<&Pair<'_>> = pairs
            .iter()
            .filter(|pair| {
                pair.param.row().flags.contains(Flags::VOLATILE)
                    || !candidate.same(self, pair.param)
            })
            .collect();
        for (applied, pair) in changed.iter().enumerate() {
            if let Err(reason) = apply.apply(&candidate, pair.param) {
                for undone in changed[..applied].iter().rev() {
                    // Nothing better can be done when the old value no longer holds either.
                    let _ = apply.apply(self, undone.param);
                }
                // The reference names the parameter here, not the word the client used.
                return Err(SetError::Refused {
                    name: pair.param.name().into(),
                    reason,
                });
            }
        }
        let changed = changed.iter().map(|pair| pair.param).collect();
        *self = candidate;
        Ok(changed)
    }

    /// Takes a change back that [`Self::change`] has made: `former` is what was in force before, `changed` what it gave.
    pub fn go_back(&mut self, former: Config, changed: &[Param], apply: &mut dyn Apply) {
        for &param in changed.iter().rev() {
            // Nothing better can be done when the old value no longer holds either.
            let _ = apply.apply(&former, param);
        }
        *self = former;
    }
}

/// One parameter to set.
struct Pair<'a> {
    param: Param,
    /// The name the client used.
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Pair<'a> {
    /// The words of the value. A list is cut at each single space; quotes mean nothing here.
    fn words(&self) -> Vec<&'a [u8]> {
        match self.value {
            value if !self.param.row().flags.contains(Flags::MULTI_ARG) => vec![value],
            b"" => Vec::new(),
            value => value.split(|&byte| byte == b' ').collect(),
        }
    }

    fn refused(&self, problem: Problem) -> SetError {
        self.failed(&problem.to_string())
    }

    fn failed(&self, reason: &str) -> SetError {
        SetError::Refused {
            name: self.name.to_vec(),
            reason: reason.to_owned(),
        }
    }
}

/// Finds the parameters and checks that they may be set, before any value is looked at.
fn resolve<A: AsRef<[u8]>>(words: &[A], access: Access) -> Result<Vec<Pair<'_>>, SetError> {
    let (chunks, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(SetError::Syntax);
    }
    let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(chunks.len());
    let mut seen = std::collections::HashSet::new();
    for [name, value] in chunks {
        let (name, value) = (name.as_ref(), value.as_ref());
        let param = Param::find(name).ok_or_else(|| SetError::Unknown(name.to_vec()))?;
        let pair = Pair { param, name, value };
        let row = param.row();
        if row.flags.contains(Flags::IMMUTABLE) {
            return Err(pair.failed("can't set immutable config"));
        }
        if row.flags.contains(Flags::PROTECTED) && !access.protected {
            return Err(pair.failed("can't set protected config"));
        }
        if row.flags.contains(Flags::DENY_LOADING) && access.loading {
            return Err(SetError::Loading);
        }
        // A name and its alias do not clash, as in the reference: the later one wins.
        let alias = row
            .alias
            .is_some_and(|alias| alias.as_bytes().eq_ignore_ascii_case(name));
        if !seen.insert((param, alias)) {
            return Err(pair.failed("duplicate parameter"));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Records what was applied, and refuses one parameter.
    #[derive(Default)]
    struct Recorder {
        refuse: Option<Param>,
        log: Vec<(Param, String)>,
    }

    impl Apply for Recorder {
        fn apply(&mut self, config: &Config, param: Param) -> Result<(), String> {
            if self.refuse == Some(param) {
                return Err("Unable to listen on this port. Check server logs.".into());
            }
            self.log
                .push((param, String::from_utf8(config.print(param)).unwrap()));
            Ok(())
        }
    }

    const OPEN: Access = Access {
        protected: true,
        loading: false,
    };

    fn refused(pairs: &[&str], access: Access) -> String {
        let mut config = Config::default();
        let mut recorder = Recorder::default();
        let error = config
            .change(pairs, access, &mut recorder)
            .unwrap_err()
            .to_string();
        assert_eq!(config, Config::default());
        assert!(recorder.log.is_empty());
        match error.strip_prefix("ERR CONFIG SET failed (possibly related to argument ") {
            Some(rest) => rest.to_owned(),
            None => error,
        }
    }

    #[test]
    fn refusals_are_those_of_the_reference() {
        for (pairs, error) in [
            (
                ["foo", "bar"].as_slice(),
                "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (&["bar", "1", "foo"], "ERR syntax error"),
            (
                &["timeout", "1", "foo", "2"],
                "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (
                &["timeout", "abc", "foo", "2"],
                "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (
                &["timeout", "1", "timeout", "2"],
                "'timeout') - duplicate parameter",
            ),
            (
                &["Timeout", "1", "TIMEOUT", "2"],
                "'TIMEOUT') - duplicate parameter",
            ),
            (
                &["daemonize", "yes"],
                "'daemonize') - can't set immutable config",
            ),
            (
                &["timeout", "3", "daemonize", "yes", "timeout", "4"],
                "'daemonize') - can't set immutable config",
            ),
            (
                &["slaveof", "a 1"],
                "'slaveof') - can't set immutable config",
            ),
            (
                &["slave-priority", "abc"],
                "'slave-priority') - argument couldn't be parsed into an integer",
            ),
            (
                &[
                    "hash-max-listpack-entries",
                    "12",
                    "hash-max-listpack-value",
                    "1x",
                ],
                "'hash-max-listpack-value') - argument must be a memory value",
            ),
            (&["save", "60  1"], "'save') - Invalid save parameters"),
            (&["save", "\"\""], "'save') - Invalid save parameters"),
            (
                &["dbfilename", ""],
                "'dbfilename') - dbfilename can't be empty",
            ),
        ] {
            assert_eq!(refused(pairs, OPEN), error);
        }
        let closed = Access {
            protected: false,
            loading: true,
        };
        assert_eq!(
            refused(&["dir", "/"], closed),
            "'dir') - can't set protected config"
        );
        assert_eq!(
            refused(&["appendonly", "yes", "timeout", "abc"], closed),
            "LOADING Valkey is loading the dataset in memory"
        );
    }

    #[test]
    fn values_change_together_and_only_what_changed_is_applied() {
        let mut config = Config::default();
        let mut recorder = Recorder::default();
        let pairs = [
            "timeout",
            "5",
            "maxmemory",
            "0",
            "save",
            "60 1 30 2",
            "hz",
            "1000",
        ];
        let changed = config.change(&pairs, OPEN, &mut recorder).unwrap();
        assert_eq!(changed, [Param::Timeout, Param::Save, Param::Hz]);
        assert_eq!((config.timeout, config.hz), (5, 500));
        assert_eq!(recorder.log[1], (Param::Save, "60 1 30 2".into()));
        assert_eq!(
            config.change(&["save", ""], OPEN, &mut recorder),
            Ok(vec![Param::Save])
        );
        assert_eq!(
            config.change(&["tls-cert-file", ""], OPEN, &mut recorder),
            Ok(vec![Param::TlsCertFile])
        );
        let both = [
            "hash-max-ziplist-entries",
            "1",
            "hash-max-listpack-entries",
            "2",
        ];
        config.change(&both, OPEN, &mut recorder).unwrap();
        assert_eq!(config.hash_max_listpack_entries, 2);
    }

    #[test]
    fn a_failure_to_apply_undoes_everything() {
        let mut config = Config::default();
        let mut recorder = Recorder {
            refuse: Some(Param::Port),
            ..Recorder::default()
        };
        let pairs = ["timeout", "5", "PORT", "22", "tcp-keepalive", "33"];
        assert_eq!(
            config
                .change(&pairs, OPEN, &mut recorder)
                .unwrap_err()
                .to_string(),
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check \
             server logs."
        );
        assert_eq!(config, Config::default());
        assert_eq!(
            recorder.log,
            [(Param::Timeout, "5".into()), (Param::Timeout, "0".into())]
        );
    }

    #[test]
    fn a_change_can_be_taken_back() {
        let mut config = Config::default();
        let mut recorder = Recorder::default();
        let former = config.clone();
        let changed = config
            .change(&["timeout", "5", "port", "22"], OPEN, &mut recorder)
            .unwrap();
        recorder.log.clear();
        config.go_back(former, &changed, &mut recorder);
        assert_eq!(config, Config::default());
        assert_eq!(
            recorder.log,
            [(Param::Port, "6379".into()), (Param::Timeout, "0".into())]
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_set_again(row in 0..crate::TABLE.len(), value in "[a-z0-9 $%.-]{0,12}") {
            let row = &crate::TABLE[row];
            let mut config = Config::default();
            let mut recorder = Recorder::default();
            if row.flags.contains(Flags::IMMUTABLE) || config.change(&[row.name, &value], OPEN, &mut recorder).is_err() {
                return Ok(());
            }
            let shown = String::from_utf8(config.print(row.param)).unwrap();
            if !shown.is_empty() || row.flags.contains(Flags::MULTI_ARG) {
                prop_assert_eq!(config.change(&[row.name, &shown], OPEN, &mut recorder).err(), None);
                // Percentiles are shown rounded, so it is the text that stays.
                prop_assert_eq!(config.print(row.param), shown.into_bytes());
            }
        }
    }
}
