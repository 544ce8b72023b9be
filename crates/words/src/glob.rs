//! Valkey-style patterns, as in KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules.
//!
//! | in a pattern | matches |
//! | --- | --- |
//! | `*` | any bytes, also none where the text is not empty |
//! | `?` | any byte |
//! | `[abc]`, `[a-z]`, `[^a]` | a byte in the class, or not in it |
//! | `\x` | `x` itself, also inside a class |
//! | any other byte | itself |
//!
//! The corners are those of Valkey 8.0.1, captured in `tests/data/glob-8.0.1.txt`: a class without `]` ends with the
//! pattern, `[]` matches nothing, `[^]` anything, a range may be written backwards, `]` can end a range, and a `\`
//! at the end of the pattern is itself.
//!
//! Matching does not recurse. Only the last `*` is ever tried again, because whatever an earlier one could take, the
//! last one can take too; so the work is at most the length of the pattern times that of the text.

use memchr::memchr;

/// Most steps for one match, a step being a byte of the pattern looked at. Beyond that there is no match: patterns
/// and keys of megabytes that would take longer are an attack rather than a question.
const STEPS_MAX: usize = 1 << 24;

/// Most stars, or runs of them, with something of the pattern behind them: with more of them the reference finds no
/// match, for it goes a level deeper at each and stops there.
const STARS_MAX: usize = 1000;

/// Whether upper and lower case of ASCII letters are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ, as for keys and channels.
    Sensitive,
    /// They are the same, as for names of parameters and commands.
    Insensitive,
}

/// Whether `pattern` contains a byte that makes it more than a plain name.
pub fn is_pattern(pattern: &[u8]) -> bool {
    pattern
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether all of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    // The reference looks at no part of the pattern then, be it nothing but stars.
    if text.is_empty() {
        return pattern.is_empty();
    }
    if pattern == b"*" {
        return true;
    }
    let mut rest = pattern;
    let mut at = 0;
    // Pattern after the last star, and where in the text that star's run of bytes ends so far.
    let mut last_star: Option<(&[u8], usize)> = None;
    let mut stars = 0;
    let mut steps = 0;
    loop {
        if let [b'*', after @ ..] = rest {
            match after {
                [] => return true,
                // Of several in a row, only the last one counts.
                [b'*', ..] => {}
                _ if stars == STARS_MAX => return false,
                _ => stars += 1,
            }
            rest = after;
            last_star = Some((after, at));
            steps += 1;
            continue;
        }
        match (text.get(at), rest.is_empty()) {
            (None, true) => return true,
            (Some(&byte), false) => {
                let (hit, after) = match_one(rest, byte, case);
                steps += rest.len() - after.len();
                if hit {
                    rest = after;
                    at += 1;
                    continue;
                }
            }
            // The pattern needs more text than there is; giving a star more would leave it even less.
            (None, false) => return false,
            (Some(_), true) => {}
        }
        let Some((after_star, end)) = last_star else {
            return false;
        };
        if steps > STEPS_MAX {
            return false;
        }
        let Some(end) = next_start(after_star, text, end + 1, case) else {
            return false;
        };
        steps += 1;
        last_star = Some((after_star, end));
        rest = after_star;
        at = end;
    }
}

/// Where, from `from` on, the pattern after a star could begin to match.
fn next_start(after_star: &[u8], text: &[u8], from: usize, case: Case) -> Option<usize> {
    let remaining = text.get(from..)?;
    match after_star {
        // A plain byte is found faster than tried.
        [byte, ..] if case == Case::Sensitive && !matches!(byte, b'?' | b'[' | b'\\') => {
            memchr(*byte, remaining).map(|skipped| from + skipped)
        }
        _ => Some(from),
    }
}

/// Matches `byte` with the first item of `pattern`, which is not empty and does not start with a star. Gives the
/// answer and the pattern after the item.
fn match_one(pattern: &[u8], byte: u8, case: Case) -> (bool, &[u8]) {
    match pattern {
        [b'?', after @ ..] => (true, after),
        [b'[', after @ ..] => match_class(after, byte, case),
        [b'\\', literal, after @ ..] | [literal, after @ ..] => (same(*literal, byte, case), after),
        [] => (false, pattern),
    }
}

/// Matches `byte` with the class whose `[` has been taken off.
fn match_class(pattern: &[u8], byte: u8, case: Case) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', after @ ..] => (true, after),
        _ => (false, pattern),
    };
    let mut hit = false;
    loop {
        rest = match rest {
            [] => return (hit != negated, rest),
            [b'\\', literal, after @ ..] => {
                hit |= same(*literal, byte, case);
                after
            }
            [b']', after @ ..] => return (hit != negated, after),
            [first, b'-', last, after @ ..] => {
                hit |= in_range(*first, *last, byte, case);
                after
            }
            [literal, after @ ..] => {
                hit |= same(*literal, byte, case);
                after
            }
        };
    }
}

fn same(literal: u8, byte: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => literal == byte,
        Case::Insensitive => literal.eq_ignore_ascii_case(&byte),
    }
}

fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    let (low, high) = if first <= last {
        (first, last)
    } else {
        (last, first)
    };
    match case {
        Case::Sensitive => (low..=high).contains(&byte),
        Case::Insensitive => (low.to_ascii_lowercase()..=high.to_ascii_lowercase())
            .contains(&byte.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sensitive(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive)
    }

    /// The definition, tried in every way.
    fn model(pattern: &[u8], text: &[u8], case: Case) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', after @ ..], _) => {
                (0..=text.len()).any(|taken| model(after, &text[taken..], case))
            }
            (_, []) => false,
            (_, [byte, rest @ ..]) => {
                let (hit, after) = match_one(pattern, *byte, case);
                hit && model(after, rest, case)
            }
        }
    }

    #[test]
    fn corners_are_those_of_the_reference() {
        for line in include_str!("../tests/data/glob-8.0.1.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let [answer, pattern, text] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            assert_eq!(sensitive(pattern, text), answer == "1", "{line}");
        }
    }

    #[test]
    fn case_matters_unless_it_does_not() {
        assert!(!sensitive("MAX*", "maxmemory"));
        assert!(matches(b"MAX[L-N]e*", b"maxmemory", Case::Insensitive));
        assert!(matches(b"[^A]", b"b", Case::Insensitive));
        assert!(!matches(b"[^A]", b"a", Case::Insensitive));
    }

    #[test]
    fn empty_patterns_and_texts() {
        assert!(sensitive("", ""));
        assert!(!sensitive("", "a"));
        assert!(!sensitive("*", ""));
        assert!(!sensitive("***", ""));
        assert!(!sensitive("?", ""));
        assert!(!sensitive("[^a]", ""));
    }

    #[test]
    fn stars_beyond_a_thousand_match_nothing() {
        let text = b"a".repeat(3000);
        for item in [&b"*?"[..], b"*a", b"**a", b"***[a-z]"] {
            for last in [&b""[..], b"*", b"**"] {
                let pattern = |stars| [item.repeat(stars), last.to_vec()].concat();
                assert!(matches(&pattern(1000), &text, Case::Sensitive));
                assert!(!matches(&pattern(1001), &text, Case::Sensitive));
            }
        }
        // The last star has nothing behind it, and one in a class is none.
        assert!(matches(&b"a*".repeat(1001), &text, Case::Sensitive));
        assert!(!matches(&b"a*".repeat(1002), &text, Case::Sensitive));
        assert!(matches(&b"*".repeat(3000), &text, Case::Sensitive));
        assert!(matches(&b"[*a]".repeat(3000), &text, Case::Sensitive));
    }

    #[test]
    fn hostile_patterns_end_in_time() {
        let pattern = b"a*".repeat(50_000);
        let text = b"a".repeat(49_000);
        assert!(!matches(&pattern, &text, Case::Sensitive));
        let pattern = [b"*".as_slice(), &b"a".repeat(500_000), b"b"].concat();
        let text = b"a".repeat(1_000_000);
        assert!(!matches(&pattern, &text, Case::Sensitive));
        let pattern = [b"*[".as_slice(), &b"b".repeat(1_000_000)].concat();
        assert!(!matches(&pattern, &text, Case::Sensitive));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            pattern in "[ab*?\\[\\]^\\\\-]{0,10}",
            // The empty text is apart: `empty_patterns_and_texts`.
            text in "[abAB\\]^\\\\-]{1,10}",
            insensitive in any::<bool>(),
        ) {
            let case = if insensitive { Case::Insensitive } else { Case::Sensitive };
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, case), model(pattern, text, case));
        }
    }
}
