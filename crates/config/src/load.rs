//! Reads the lines of a configuration: those of files, of standard input and, as lines too, of the command line.

use std::collections::HashSet;
use std::fmt;

use super::limits::{INCLUDE_DEPTH_MAX, LINE_BYTES_MAX, LINES_MAX};
use super::problem::Problem;
use super::quoting::split_words;
use super::row::{Flags, Phase};
use super::table::{Config, Param};
use super::text::Text;
use commandtable::Names;

/// The version that error messages name.
const VERSION: &str = "8.0.1";
/// Directives of long ago that are read and ignored.
const IGNORED: [&[u8]; 2] = [b"list-max-ziplist-entries", b"list-max-ziplist-value"];

/// What the loader needs from outside.
pub trait Surroundings {
    /// The contents of the files that `pattern` names, which may hold wildcards, sorted by name. A pattern with
    /// wildcards may name no file at all.
    ///
    /// # Errors
    /// A file cannot be read: its name and why, as the message that ends the start.
    fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String>;

    /// Makes `path` the working directory, for what follows in the file too.
    ///
    /// # Errors
    /// The system's reason, such as `No such file or directory`.
    fn change_dir(&mut self, path: &[u8]) -> Result<(), String>;
}

/// Where a directive stood, for messages about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1 in its own file.
    pub line: usize,
    /// The line without blanks around it.
    pub text: Text,
}

/// A directive that is no parameter, for its owner to understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The words after the directive's name; at least as many as the directive needs.
    pub words: Vec<Text>,
    /// Where it stood.
    pub place: Place,
}

impl Directive {
    /// The error that ends the start because of this directive.
    pub fn error(&self, reason: String) -> LoadError {
        LoadError::Line {
            place: self.place.clone(),
            problem: Problem::Other(reason),
        }
    }
}

/// Everything that configuration files and options say.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    /// The parameters.
    pub config: Config,
    /// `user name rules...`, each name once.
    pub users: Vec<Directive>,
    /// `loadmodule path args...`.
    pub modules: Vec<Directive>,
    /// The names of commands, as `rename-command` lines leave them.
    pub names: Names,
}

/// Why a server does not start. `Display` is what the reference prints on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A line is wrong.
    Line {
        /// Which one.
        place: Place,
        /// What is wrong.
        problem: Problem,
    },
    /// A file cannot be read: the whole message.
    File(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::File(message) = self {
            return f.write_str(message);
        }
        write!(f, "\n*** FATAL CONFIG FILE ERROR (Version {VERSION}) ***\n")?;
        match self {
            Self::Line { place, problem } => write!(
                f,
                "Reading the configuration file, at line {}\n>>> '{}'\n{problem}\n",
                place.line, place.text
            ),
            Self::File(_) => Ok(()),
        }
    }
}

impl std::error::Error for LoadError {}

impl Startup {
    /// Reads the lines of `text` over the defaults.
    ///
    /// # Errors
    /// The first line that is wrong, or an included file that cannot be read.
    pub fn load(text: &[u8], surroundings: &mut dyn Surroundings) -> Result<Self, LoadError> {
        let mut loader = Loader {
            startup: Self::default(),
            surroundings,
            users: HashSet::new(),
            lines: 0,
        };
        loader.text(text, 0)?;
        Ok(loader.startup)
    }
}

struct Loader<'a> {
    startup: Startup,
    surroundings: &'a mut dyn Surroundings,
    users: HashSet<Vec<u8>>,
    /// Lines read in all, up to [`LINES_MAX`].
    lines: usize,
}

/// A directive's trouble, before it is known where it stood.
enum Trouble {
    Here(Problem),
    Elsewhere(LoadError),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

impl Loader<'_> {
    /// Reads one text; `depth` is how many includes led to it.
    fn text(&mut self, text: &[u8], depth: usize) -> Result<(), LoadError> {
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.line(index + 1, line, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, number: usize, line: &[u8], depth: usize) -> Result<(), LoadError> {
        let at = |shown: &[u8]| Place {
            line: number,
            text: Text::from(shown),
        };
        self.lines += 1;
        if line.len() > LINE_BYTES_MAX || self.lines > LINES_MAX {
            return Err(LoadError::Line {
                place: at(b"..."),
                problem: Problem::LineTooLong,
            });
        }
        let outcome = match split_words(line) {
            Ok(words) => self.directive(words, || at(line), depth),
            Err(problem) => Err(problem.into()),
        };
        outcome.map_err(|trouble| match trouble {
            Trouble::Here(problem) => LoadError::Line {
                place: at(line),
                problem,
            },
            Trouble::Elsewhere(error) => error,
        })
    }

    fn directive(
        &mut self,
        words: Vec<Vec<u8>>,
        place: impl Fn() -> Place,
        depth: usize,
    ) -> Result<(), Trouble> {
        let [name, args @ ..] = words.as_slice() else {
            return Ok(()); // A line of blanks that C's `isspace` knows and `trim` does not.
        };
        if let Some(param) = Param::find(name) {
            return self.parameter(param, args);
        }
        let directive = || Directive {
            words: args.iter().map(|word| Text::from(word.clone())).collect(),
            place: place(),
        };
        match (name.to_ascii_lowercase().as_slice(), args) {
            (b"include", [pattern]) => return self.include(pattern, depth),
            (b"user", [user, ..]) => {
                if !self.users.insert(user.clone()) {
                    return Err(
                        Problem::DuplicateUser(String::from_utf8_lossy(user).into_owned()).into(),
                    );
                }
                self.startup.users.push(directive());
            }
            (b"loadmodule", [_, ..]) => self.startup.modules.push(directive()),
            (b"rename-command", [old, new]) => {
                self.startup.names.rename(old, new).map_err(Problem::from)?
            }
            (b"sentinel", _) => return Err(Problem::Sentinel.into()),
            (ignored, [_]) if IGNORED.contains(&ignored) => {}
            (dotted, []) if dotted.contains(&b'.') => return Err(Problem::ModuleSetting.into()),
            _ => return Err(Problem::BadDirective.into()),
        }
        Ok(())
    }

    fn parameter(&mut self, param: Param, args: &[Vec<u8>]) -> Result<(), Trouble> {
        let split;
        let args = match args {
            // A whole list may stand in one word: save "3600 1 300 100", or "" for an empty list.
            [list] if param.row().flags.contains(Flags::MULTI_ARG) => {
                split = split_words(list)?;
                &split
            }
            args => args,
        };
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.startup.config.set(param, &args, Phase::Startup)?;
        if param == Param::Dir {
            let dir = &self.startup.config.dir;
            self.surroundings.change_dir(dir).map_err(Problem::Other)?;
        }
        Ok(())
    }

    fn include(&mut self, pattern: &[u8], depth: usize) -> Result<(), Trouble> {
        if depth == INCLUDE_DEPTH_MAX {
            return Err(Problem::IncludeDepth.into());
        }
        let texts = self
            .surroundings
            .include(pattern)
            .map_err(|message| Trouble::Elsewhere(LoadError::File(message)))?;
        texts
            .iter()
            .try_for_each(|text| self.text(text, depth + 1))
            .map_err(Trouble::Elsewhere)
    }
}

/// Without the blanks that are trimmed from lines before they are shown in messages.
pub(super) fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AppendFsync, Invocation, OutputLimit, Primary, SaveRule};

    /// Files by name; the working directory is the last one that was asked for.
    #[derive(Default)]
    struct Fake {
        files: Vec<(&'static str, String)>,
        dir: Option<Vec<u8>>,
    }

    impl Surroundings for Fake {
        fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
            let wild = pattern.strip_suffix(b"*");
            let named = |name: &str| match wild {
                Some(prefix) => name.as_bytes().starts_with(prefix),
                None => name.as_bytes() == pattern,
            };
            let texts: Vec<_> = self
                .files
                .iter()
                .filter(|(name, _)| named(name))
                .map(|(_, text)| text.clone().into_bytes())
                .collect();
            if texts.is_empty() && wild.is_none() {
                return Err(format!("can't open {}", String::from_utf8_lossy(pattern)));
            }
            Ok(texts)
        }

        fn change_dir(&mut self, path: &[u8]) -> Result<(), String> {
            if path == b"/nonexist" {
                return Err("No such file or directory".into());
            }
            self.dir = Some(path.to_vec());
            Ok(())
        }
    }

    fn load(text: &str) -> Result<Startup, LoadError> {
        Startup::load(text.as_bytes(), &mut Fake::default())
    }

    /// Line, shown text and reason of the error that `text` leads to.
    fn refused(text: &str) -> (usize, String, String) {
        match load(text) {
            Err(LoadError::Line { place, problem }) => {
                (place.line, place.text.to_string(), problem.to_string())
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_file_sets_typed_fields() {
        let startup = load(
            "# comment\n\n  port 7000 \r\nTIMEOUT 5\nappendfsync ALWAYS\nmaxmemory 100mb\nreplicaof \"a b\" 6380\n\
             slave-priority 7\nbind 127.0.0.1 -::1\nuser alice on >x\nrename-command GET \"\"\nloadmodule /m.so a\n\
             list-max-ziplist-entries 5\nclient-output-buffer-limit replica 1mb 2kb 5\nunixsocketperm 700\n\
             maxmemory-clients 5%",
        )
        .unwrap();
        let config = &startup.config;
        assert_eq!(
            (config.port, config.timeout, config.replica_priority),
            (7000, 5, 7)
        );
        assert_eq!(config.appendfsync, AppendFsync::Always);
        assert_eq!(config.maxmemory, 100 << 20);
        assert_eq!(
            config.replicaof,
            Some(Primary {
                host: "a b".into(),
                port: 6380
            })
        );
        assert_eq!(config.bind, [Text::from("127.0.0.1"), Text::from("-::1")]);
        assert_eq!(
            config.client_output_buffer_limit.replica,
            OutputLimit {
                hard_bytes: 1 << 20,
                soft_bytes: 2048,
                soft_seconds: 5
            }
        );
        assert_eq!(
            (config.unixsocketperm, config.maxmemory_clients),
            (0o700, -5)
        );
        assert_eq!(
            startup.users[0].words,
            [Text::from("alice"), Text::from("on"), Text::from(">x")]
        );
        assert!(startup.names.find(b"get").is_none());
        assert_eq!(
            startup.modules[0].place,
            Place {
                line: 12,
                text: "loadmodule /m.so a".into()
            }
        );
    }

    #[test]
    fn save_lines_add_up_after_the_first_replaced_the_defaults() {
        let rules = |text: &str| load(text).unwrap().config.save.rules().to_vec();
        let rule = |seconds, changes| SaveRule { seconds, changes };
        assert_eq!(rules("port 1").len(), 3);
        assert_eq!(rules("save \"\""), []);
        assert_eq!(rules("save 5 1"), [rule(5, 1)]);
        assert_eq!(
            rules("save 5 1\nsave 60 10 70 20"),
            [rule(5, 1), rule(60, 10), rule(70, 20)]
        );
        assert_eq!(rules("save 5 1\nsave \"\"\nsave 6 1"), [rule(6, 1)]);
        assert_eq!(rules("save \"5 1 6 2\""), [rule(5, 1), rule(6, 2)]);
    }

    #[test]
    fn reasons_are_those_of_the_reference() {
        for (text, reason) in [
            (
                "bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
                "Too many bind addresses specified.",
            ),
            (
                "appendfilename a/b",
                "appendfilename can't be a path, just a filename",
            ),
            ("appendfilename \"\"", "appendfilename can't be empty"),
            (
                "appenddirname a/b",
                "appenddirname can't be a path, just a dirname",
            ),
            (
                "dbfilename a/b",
                "dbfilename can't be a path, just a filename",
            ),
            ("replicaof a b", "Invalid primary port"),
            ("replicaof a 65536", "Invalid primary port"),
            ("replicaof NO ONE x", "wrong number of arguments"),
            ("foo", "Bad directive or wrong number of arguments"),
            ("include", "Bad directive or wrong number of arguments"),
            ("include a b", "Bad directive or wrong number of arguments"),
            (
                "rename-command nosuch x",
                "No such command in rename-command",
            ),
            (
                "rename-command get SET",
                "Target command name already exists",
            ),
            ("user", "Bad directive or wrong number of arguments"),
            ("loadmodule", "Bad directive or wrong number of arguments"),
            (
                "rename-command GET",
                "Bad directive or wrong number of arguments",
            ),
            (
                "list-max-ziplist-entries",
                "Bad directive or wrong number of arguments",
            ),
            ("foo.x", "Module config specified without value"),
            (
                "sentinel x",
                "sentinel directive while not in sentinel mode",
            ),
            ("port", "wrong number of arguments"),
            ("port 1 2", "wrong number of arguments"),
            ("notify-keyspace-events K E", "wrong number of arguments"),
            (
                "notify-keyspace-events b",
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
            ),
            ("acl-pubsub-default x y", "wrong number of arguments"),
            ("timeout 5 # comment", "wrong number of arguments"),
            ("port \"1", "Unbalanced quotes in configuration line"),
            (
                "port 70000",
                "argument must be between 0 and 65535 inclusive",
            ),
            (
                "maxclients 0",
                "argument must be between 1 and 4294967295 inclusive",
            ),
            ("hz abc", "argument couldn't be parsed into an integer"),
            ("maxmemory 1x", "argument must be a memory value"),
            (
                "maxmemory-clients 101%",
                "percentage argument must be less or equal to 100",
            ),
            (
                "maxmemory-clients -5%",
                "argument must be a memory or percent value",
            ),
            (
                "unixsocketperm 999",
                "argument couldn't be parsed as an octal number",
            ),
            (
                "unixsocketperm 1777",
                "argument must be between 0 and 777 inclusive",
            ),
            ("activedefrag maybe", "argument must be 'yes' or 'no'"),
            (
                "supervised x",
                "argument(s) must be one of the following: upstart, systemd, auto, no",
            ),
            (
                "shutdown-on-sigterm",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                "shutdown-on-sigterm save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
            ("save 1", "Invalid save parameters"),
            ("save 0 1", "Invalid save parameters"),
            (
                "client-output-buffer-limit normal 1 1",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit foo 1 1 1",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit normal 1 1 -1",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (
                "latency-tracking-info-percentiles a",
                "Invalid latency-tracking-info-percentiles parameters",
            ),
            (
                "latency-tracking-info-percentiles 101",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
            ("oom-score-adj-values 1 2", "wrong number of arguments"),
            (
                "oom-score-adj-values 1 2 2001",
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
            ),
            ("dir \"\"", "dir can't be empty"),
            ("dir /nonexist", "No such file or directory"),
            (
                "proc-title-template \"{x}\"",
                "template format is invalid or contains unknown variables",
            ),
            ("cluster-announce-client-ipv4 x", "Invalid IPv4 address"),
            ("cluster-announce-client-ipv6 x", "Invalid IPv6 address"),
            (
                "cluster-announce-hostname a_b",
                "Hostnames may only contain alphanumeric characters, hyphens or dots",
            ),
            (
                "cluster-announce-human-nodename a!",
                "Announced human node name contained invalid character",
            ),
        ] {
            assert_eq!(refused(text), (1, text.to_owned(), reason.to_owned()));
        }
        assert_eq!(
            refused("user foo on\nuser foo on").2,
            "Error in user declaration 'foo': Duplicate user found. A user can only be defined once in config files"
        );
    }

    #[test]
    fn messages_have_the_shape_of_the_reference() {
        assert_eq!(
            load("\n\n \ttimeout abc  \r\n").unwrap_err().to_string(),
            "\n*** FATAL CONFIG FILE ERROR (Version 8.0.1) ***\nReading the configuration file, at line 3\n\
             >>> 'timeout abc'\nargument couldn't be parsed into an integer\n"
        );
    }

    #[test]
    fn includes_are_read_where_they_stand() {
        let files = vec![
            ("d/a", "timeout 1\nport 1".into()),
            ("d/b", "timeout 2".into()),
            ("bad", "\nport x".into()),
            ("self", "include self".into()),
        ];
        let mut fake = Fake { files, dir: None };
        let startup = Startup::load(
            b"port 5\ndir /x\ninclude d/*\nhz 7\ninclude none*",
            &mut fake,
        )
        .unwrap();
        assert_eq!(
            (
                startup.config.timeout,
                startup.config.port,
                startup.config.hz
            ),
            (2, 1, 7)
        );
        assert_eq!(fake.dir, Some(b"/x".to_vec()));

        let error = Startup::load(b"include bad", &mut fake).unwrap_err();
        assert!(matches!(
            error,
            LoadError::Line {
                place: Place { line: 2, .. },
                ..
            }
        ));
        let error = Startup::load(b"include none", &mut fake).unwrap_err();
        assert_eq!(error, LoadError::File("can't open none".into()));
        let error = Startup::load(b"include self", &mut fake).unwrap_err();
        assert!(matches!(
            error,
            LoadError::Line {
                problem: Problem::IncludeDepth,
                ..
            }
        ));
    }

    #[test]
    fn lines_of_the_command_line_have_the_numbers_of_the_reference() {
        let Ok(Invocation::Run(line)) = Invocation::parse(&["--foo", "bar"]) else {
            panic!()
        };
        let error = Startup::load(&line.text(b"", b""), &mut Fake::default()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("at line 2\n>>> 'foo \"bar\"'\nBad directive")
        );
    }

    #[test]
    fn lines_are_bounded() {
        let (line, shown, reason) =
            refused(&format!("port 1\nlogfile {}", "x".repeat(LINE_BYTES_MAX)));
        assert_eq!(
            (line, shown.as_str(), reason.as_str()),
            (2, "...", "Line too long")
        );
    }

    proptest! {
        #[test]
        fn any_text_loads_or_is_refused(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Startup::load(&text, &mut Fake::default());
        }

        #[test]
        fn any_value_is_taken_or_refused(row in 0..crate::TABLE.len(), args in ".{0,20}") {
            let _ = load(&format!("{} {args}", crate::TABLE[row].name));
        }
    }
}
