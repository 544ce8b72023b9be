//! The words between a selector's parentheses: separated by white space, with quotes where a word needs them.
//!
//! A word, or its end, may stand in double quotes, where `\xHH` is a byte, `\n` `\r` `\t` `\a` `\b` are what they are in C,
//! and `\` before any other byte is that byte; or in single quotes, where only `\'` is special. A word ends with its
//! quotes. Source: what Valkey 8.0.1 makes of such selectors.

/// White space as C's `isspace` has it: what names and patterns must not contain.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Cuts a selector's inside into words; `None` when a quote does not close, or closes in the middle of a word.
pub(crate) fn split(inside: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = inside;
    loop {
        let start = rest.iter().position(|byte| !is_space(*byte));
        let Some(start) = start else {
            return Some(words);
        };
        let (word, after) = first_word(&rest[start..])?;
        words.push(word);
        rest = after;
    }
}

/// The word that starts here, and what follows it.
fn first_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = text
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\''));
    let (plain, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut word = plain.to_vec();
    let after = match rest {
        [b'"', quoted @ ..] => double_quoted(quoted, &mut word)?,
        [b'\'', quoted @ ..] => single_quoted(quoted, &mut word)?,
        _ => return Some((word, rest)),
    };
    after
        .first()
        .is_none_or(|byte| is_space(*byte))
        .then_some((word, after))
}

/// Appends what stands before the closing quote; gives what follows it.
fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (digit(*high) << 4 | digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        word.push(byte);
        rest = after;
    }
}

/// As [`double_quoted`].
fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return Some(after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        word.push(byte);
        rest = after;
    }
}

const fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

const fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

/// Appends a word, in quotes if it would not come back from [`split`] without, or would look like a selector's end to
/// who looks at arguments one by one. The word has no white space.
pub(crate) fn write(word: &[u8], into: &mut Vec<u8>) {
    let ends = word.last() == Some(&b')');
    if !ends && !word.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        into.extend_from_slice(word);
        return;
    }
    into.push(b'"');
    for byte in word {
        if matches!(byte, b'"' | b'\\') {
            into.push(b'\\');
        }
        into.push(*byte);
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Option<Vec<String>> {
        let words = split(text.as_bytes())?;
        Some(
            words
                .into_iter()
                .map(|word| String::from_utf8(word).unwrap())
                .collect(),
        )
    }

    #[test]
    fn words_are_cut_as_in_the_reference() {
        for (text, wanted) in [
            ("", Some(vec![])),
            (" \t\r\n\x0b\x0c", Some(vec![])),
            ("  a  b\tc\n", Some(vec!["a", "b", "c"])),
            (r#""a b" 'c d'"#, Some(vec!["a b", "c d"])),
            (r#"~"a""#, Some(vec!["~a"])),
            (r#""\x7ea\"\\" '\'\x'"#, Some(vec!["~a\"\\", "'\\x"])),
            (r#""\n\r\t\a\b\q""#, Some(vec!["\n\r\t\x07\x08q"])),
            (r#""\xg1" "\x1""#, Some(vec!["xg1", "x1"])),
            (r#""" ''"#, Some(vec!["", ""])),
            ("a\x0bb", Some(vec!["a\x0bb"])),
            (r#""a"#, None),
            (r#"'a"#, None),
            (r#""a\""#, None),
            (r#""a"b"#, None),
            (r#"'a'b"#, None),
            (r"a\", Some(vec![r"a\"])),
        ] {
            let wanted = wanted.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_word_comes_back(word in prop::collection::vec(any::<u8>(), 1..20)) {
            prop_assume!(!word.iter().any(|byte| is_space(*byte)));
            let mut text = Vec::new();
            write(&word, &mut text);
            prop_assert!(text.last() != Some(&b')'));
            prop_assert_eq!(split(&text), Some(vec![word]));
        }

        #[test]
        fn any_bytes_are_split_or_refused(text in prop::collection::vec(any::<u8>(), 0..60)) {
            split(&text);
        }
    }
}
