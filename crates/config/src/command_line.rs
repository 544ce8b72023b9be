//! The arguments of the program.
//!
//! Options are turned into lines of a configuration file and read after it, so there is one reader, in `load`.

use super::limits::WORDS_MAX;
use super::problem::Problem;
use super::quoting::{quote_into, split_words};
use super::text::Text;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run the server.
    Run(CommandLine),
    /// Print the version.
    Version,
    /// Print how to call the server.
    Help,
    /// Test this many megabytes of memory; `None` when the number is missing, which is an error.
    TestMemory(Option<Text>),
    /// Check the system's settings.
    CheckSystem,
}

/// Arguments of a server that is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The configuration file.
    pub file: Option<Text>,
    /// Whether more configuration comes from standard input, after the file and before the options.
    pub stdin: bool,
    /// The options as lines of a configuration file.
    pub options: Vec<u8>,
}

impl Invocation {
    /// Understands the arguments after the program's name.
    ///
    /// # Errors
    /// More than [`WORDS_MAX`] arguments.
    pub fn parse<A: AsRef<[u8]>>(args: &[A]) -> Result<Self, Problem> {
        if args.len() > WORDS_MAX {
            return Err(Problem::TooManyWords);
        }
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        Ok(match args.as_slice() {
            [b"-v" | b"--version", ..] => Self::Version,
            [b"-h" | b"--help", ..] => Self::Help,
            [b"--test-memory", megabytes] => Self::TestMemory(Some(Text::from(*megabytes))),
            [b"--test-memory", ..] => Self::TestMemory(None),
            [b"--check-system", ..] => Self::CheckSystem,
            args => Self::Run(CommandLine::parse(args)),
        })
    }
}

impl CommandLine {
    fn parse(mut args: &[&[u8]]) -> Self {
        let mut line = Self::default();
        match args {
            [b"-", rest @ ..] => {
                line.stdin = true;
                args = rest;
            }
            [first, rest @ ..] if !first.starts_with(b"-") => {
                // An empty name means no file, as an unset variable in a script would give.
                line.file = (!first.is_empty()).then(|| Text::from(*first));
                args = rest;
            }
            _ => {}
        }
        if let [rest @ .., b"-"] = args {
            line.stdin = true;
            args = rest;
        }
        line.options = option_lines(args);
        line
    }

    /// The text to load: the file's, then standard input's, then the options.
    pub fn text(&self, file: &[u8], stdin: &[u8]) -> Vec<u8> {
        // The line break is there without options and after a last line that has one, as in the reference: line
        // numbers in error messages count it.
        [file, stdin, b"\n", &self.options].concat()
    }
}

/// `--name value value` as `name "value" "value"`, one line per option.
///
/// A word after an option's name is a value even if it looks like an option, so that values may start with `--`.
/// The exception is `--save`, which without values means `save ""`.
fn option_lines(args: &[&[u8]]) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut name_may_follow = true;
    for (at, arg) in args.iter().enumerate() {
        match arg.strip_prefix(b"--") {
            Some(name) if name_may_follow => {
                if !lines.is_empty() {
                    lines.push(b'\n');
                }
                lines.extend(name);
                lines.push(b' ');
                // `"--port 7000"` in one argument has its value already.
                let bare = split_words(arg).is_ok_and(|words| words.len() == 1);
                let next_is_option = args.get(at + 1).is_none_or(|next| next.starts_with(b"--"));
                if bare && next_is_option && name.eq_ignore_ascii_case(b"save") {
                    lines.extend(b"\"\"");
                } else {
                    name_may_follow = !bare;
                }
            }
            _ => {
                quote_into(&mut lines, arg);
                lines.push(b' ');
                name_may_follow = true;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> CommandLine {
        match Invocation::parse(args).unwrap() {
            Invocation::Run(line) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_lines() {
        let lines = |args: &[&str]| String::from_utf8(options(args).options).unwrap();
        assert_eq!(
            lines(&["--port", "7000", "--bind", "a", "b"]),
            "port \"7000\" \nbind \"a\" \"b\" "
        );
        assert_eq!(lines(&["--save", "--port", "1"]), "save \"\"\nport \"1\" ");
        assert_eq!(lines(&["--save"]), "save \"\"");
        assert_eq!(
            lines(&["--save", "3600", "1", "--save", "60", "10"]),
            "save \"3600\" \"1\" \nsave \"60\" \"10\" "
        );
        assert_eq!(
            lines(&["--save", "", "--port", "1"]),
            "save \"\" \nport \"1\" "
        );
        assert_eq!(
            lines(&["--timeout", "--port", "1"]),
            "timeout \"--port\" \"1\" "
        );
        assert_eq!(
            lines(&["--timeout 5", "--port", "1"]),
            "timeout 5 \nport \"1\" "
        );
        assert_eq!(lines(&["--port=1"]), "port=1 ");
        assert_eq!(lines(&["--", "port", "1"]), " \"port\" \"1\" ");
        assert_eq!(lines(&["-x"]), "\"-x\" ");
    }

    #[test]
    fn files_and_standard_input_come_before_options() {
        let line = options(&["a.conf", "--port", "1", "-"]);
        assert_eq!(
            (line.file.clone(), line.stdin),
            (Some("a.conf".into()), true)
        );
        assert_eq!(line.text(b"f\n", b"s"), b"f\ns\nport \"1\" ");
        assert_eq!(options(&["-", "--port", "1"]).file, None);
        assert!(options(&["-", "--port", "1"]).stdin);
        assert_eq!(options(&[]), CommandLine::default());
        assert_eq!(options(&[""]), CommandLine::default());
    }

    #[test]
    fn other_invocations_are_recognised() {
        assert_eq!(Invocation::parse(&["-v"]), Ok(Invocation::Version));
        assert_eq!(Invocation::parse(&["--help"]), Ok(Invocation::Help));
        assert_eq!(
            Invocation::parse(&["--test-memory", "5"]),
            Ok(Invocation::TestMemory(Some("5".into())))
        );
        assert_eq!(
            Invocation::parse(&["--test-memory"]),
            Ok(Invocation::TestMemory(None))
        );
        assert_eq!(
            Invocation::parse(&["--check-system"]),
            Ok(Invocation::CheckSystem)
        );
    }
}
