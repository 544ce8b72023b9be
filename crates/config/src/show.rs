//! CONFIG GET.

use std::collections::HashSet;

use super::row::Flags;
use super::table::{Config, Param, TABLE};
use words::glob::{self, Case};

impl Config {
    /// Names and values for the names and patterns that CONFIG GET was asked for, each name once.
    ///
    /// A plain name answers for hidden parameters too and comes back as it was written; a pattern matches names and
    /// aliases alike, so a parameter may come twice. The order is that of the question, then that of the table; the
    /// reference has none.
    pub fn show<A: AsRef<[u8]>>(&self, asked: &[A]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut shown = Vec::new();
        let mut seen = HashSet::new();
        let mut add = |name: &[u8], param: Param| {
            if seen.insert(name.to_ascii_lowercase()) {
                shown.push((name.to_vec(), self.print(param)));
            }
        };
        for asked in asked.iter().map(AsRef::as_ref) {
            if !glob::is_pattern(asked) {
                if let Some(param) = Param::find(asked) {
                    add(asked, param);
                }
                continue;
            }
            for row in TABLE
                .iter()
                .filter(|row| !row.flags.contains(Flags::HIDDEN))
            {
                for name in [Some(row.name), row.alias].into_iter().flatten() {
                    if glob::matches(asked, name.as_bytes(), Case::Insensitive) {
                        add(name.as_bytes(), row.param);
                    }
                }
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(asked: &[&str]) -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Config::default()
            .show(asked)
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn names_come_back_as_they_were_asked_for() {
        assert_eq!(show(&["TIMEOUT", "timeout"]), [pair("TIMEOUT", "0")]);
        assert_eq!(
            show(&[
                "hash-max-Ziplist-entries",
                "hash-max-listpack-entries",
                "hash-max-*entries"
            ]),
            [
                pair("hash-max-Ziplist-entries", "512"),
                pair("hash-max-listpack-entries", "512")
            ]
        );
        assert_eq!(show(&["nosuch"]), []);
    }

    #[test]
    fn patterns_match_names_and_aliases_but_nothing_hidden() {
        assert_eq!(
            show(&["SLAVEO?", "replicao?"]),
            [pair("slaveof", ""), pair("replicaof", "")]
        );
        assert_eq!(show(&["key-load-d*"]), []);
        assert_eq!(show(&["key-load-delay"]), [pair("key-load-delay", "0")]);
        // 189 visible parameters and 25 aliases, as the reference answers, and nine of ours.
        assert_eq!(show(&["*"]).len(), 223);
    }
}
