//! The words of a configuration line, with their quotes, and how a value is quoted again.

use super::limits::WORDS_MAX;
use super::problem::Problem;

/// Splits `line` at blanks. `"..."` knows the escapes `\n \r \t \b \a \xHH` and `\` before anything else,
/// `'...'` only `\'`. A closing quote must end its word.
///
/// # Errors
/// Quotes that do not match, or more than [`WORDS_MAX`] words.
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start_c();
    while !rest.is_empty() {
        if words.len() == WORDS_MAX {
            return Err(Problem::TooManyWords);
        }
        let (word, after) = take_word(rest).ok_or(Problem::Unbalanced)?;
        words.push(word);
        rest = after.trim_ascii_start_c();
    }
    Ok(words)
}

/// The first word of `text`, which does not start with a blank, and what follows it.
fn take_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some((word, rest)),
            [blank, ..] if is_blank(*blank) => return Some((word, rest)),
            [b'"', after @ ..] => return closed(take_double_quoted(after, word)?),
            [b'\'', after @ ..] => return closed(take_single_quoted(after, word)?),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

/// A closing quote is the end of its word.
fn closed((word, rest): (Vec<u8>, &[u8])) -> Option<(Vec<u8>, &[u8])> {
    rest.first()
        .is_none_or(|byte| is_blank(*byte))
        .then_some((word, rest))
}

fn take_double_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        let (byte, after) = match rest {
            [] => return None,
            [b'"', after @ ..] => return Some((word, after)),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn take_single_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        let (byte, after) = match rest {
            [] => return None,
            [b'\'', after @ ..] => return Some((word, after)),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    }
}

/// What C's `isspace` says in the C locale.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

trait TrimBlanks {
    /// Without blanks at the start; `trim_ascii_start` would leave a vertical tab.
    fn trim_ascii_start_c(&self) -> &Self;
}

impl TrimBlanks for [u8] {
    fn trim_ascii_start_c(&self) -> &Self {
        let blanks = self.iter().take_while(|byte| is_blank(**byte)).count();
        &self[blanks..]
    }
}

/// Appends `value` in double quotes, so that [`split_words`] gives it back.
pub fn quote_into(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for &byte in value {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str) -> Result<Vec<String>, Problem> {
        let words = split_words(line.as_bytes())?;
        Ok(words
            .into_iter()
            .map(|word| String::from_utf8_lossy(&word).into_owned())
            .collect())
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(split("  a  b\tc\r ").unwrap(), ["a", "b", "c"]);
        assert_eq!(split(r#"a "" ''"#).unwrap(), ["a", "", ""]);
        assert_eq!(split(r#""x\x41\n\"\q" y"#).unwrap(), ["xA\n\"q", "y"]);
        assert_eq!(split(r#"'it\'s \n'"#).unwrap(), ["it's \\n"]);
        assert_eq!(split(r#"ab"c d""#).unwrap(), ["abc d"]);
        assert_eq!(split(r#""\xg1""#).unwrap(), ["xg1"]);
        for bad in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a""b""#, "\"a\\"] {
            assert_eq!(split(bad), Err(Problem::Unbalanced), "{bad}");
        }
    }

    #[test]
    fn words_are_counted() {
        assert_eq!(
            split_words(&b"a ".repeat(WORDS_MAX)).unwrap().len(),
            WORDS_MAX
        );
        assert_eq!(
            split_words(&b"a ".repeat(WORDS_MAX + 1)),
            Err(Problem::TooManyWords)
        );
    }

    proptest! {
        #[test]
        fn quoted_values_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let mut line = Vec::new();
            for value in &values {
                line.push(b' ');
                quote_into(&mut line, value);
            }
            prop_assert_eq!(split_words(&line).unwrap(), values);
        }

        #[test]
        fn any_line_splits_or_is_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = split_words(&line);
        }
    }
}
