//! The example configuration file, printed from the table.

use super::quoting::quote_into;
use super::row::{Flags, Kind, Unit};
use super::table::{Config, TABLE};

const HEAD: &str = "\
# Example configuration file.
#
# Every parameter with what it does and its default, commented out. Start the server with this file as its first
# argument; options on the command line win over it.
#
# Sizes take units, in either case: 1k is 1000 bytes, 1kb 1024, and so on with m, mb, g and gb.
# A line may pull in others: include /path/to/*.conf
";

/// The text of an example `valkey.conf`: every visible parameter with its doc line, what it takes, and its default.
pub fn example_conf() -> String {
    let defaults = Config::default();
    let mut text = HEAD.to_owned();
    for row in TABLE
        .iter()
        .filter(|row| !row.flags.contains(Flags::HIDDEN))
    {
        text.push_str("\n#");
        text.push_str(row.doc);
        text.push('\n');
        if let Some(takes) = takes(&row.kind) {
            text.push_str(&format!("# {takes}\n"));
        }
        if let Some(alias) = row.alias {
            text.push_str(&format!("# Older name: {alias}.\n"));
        }
        if row.flags.contains(Flags::IMMUTABLE) {
            text.push_str("# Cannot change while the server runs.\n");
        }
        let value = defaults.print(row.param);
        // A list is one word per item; everything else that is not a plain word needs quotes.
        let plain =
            !value.is_empty() && (row.flags.contains(Flags::MULTI_ARG) || !value.contains(&b' '));
        let mut line = format!("# {} ", row.name).into_bytes();
        if plain {
            line.extend(value)
        } else {
            quote_into(&mut line, &value)
        }
        text.push_str(&String::from_utf8_lossy(&line));
        text.push('\n');
    }
    text
}

/// What a parameter takes, where that is more than a name or a list.
fn takes(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Choice(words) => Some(format!("One of: {}.", words.join(", "))),
        Kind::Number {
            unit: Unit::Plain,
            min,
            max,
            ..
        } if *max < i128::from(i32::MAX) => Some(format!("From {min} to {max}.")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Startup, Surroundings};

    struct Nothing;

    impl Surroundings for Nothing {
        fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
            panic!("include {pattern:?}")
        }

        fn change_dir(&mut self, path: &[u8]) -> Result<(), String> {
            panic!("dir {path:?}")
        }
    }

    #[test]
    fn the_example_with_its_lines_enabled_says_the_defaults() {
        let example = example_conf();
        for row in TABLE
            .iter()
            .filter(|row| !row.flags.contains(Flags::HIDDEN))
        {
            let prefix = format!("# {} ", row.name);
            let line = example
                .lines()
                .find(|line| line.starts_with(&prefix))
                .unwrap();
            // These two have no value that a line could give them.
            if matches!(row.name, "dir" | "replicaof") {
                continue;
            }
            let config = Startup::load(&line.as_bytes()[2..], &mut Nothing)
                .unwrap()
                .config;
            assert_eq!(
                config.print(row.param),
                Config::default().print(row.param),
                "{line}"
            );
        }
        assert_eq!(
            Startup::load(example.as_bytes(), &mut Nothing)
                .unwrap()
                .config,
            Config::default()
        );
    }
}
