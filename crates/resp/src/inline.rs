//! Inline requests: a line of words, with the quoting rules of valkey-cli and of the configuration file.

/// Splits a line into words.
///
/// Words are separated by white space. `"..."` understands `\n \r \t \b \a \xHH` and `\<char>`; `'...'` understands `\'` only.
/// A closing quote must be followed by white space or the end of the line. Returns `None` when quotes do not balance.
#[must_use]
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let Some((first, tail)) = rest.split_first()
            && is_space(*first)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let (word, tail) = one_word(rest)?;
        words.push(word);
        rest = tail;
    }
}

/// White space as C's `isspace` has it, plus NUL, which ends a line for the reference.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

/// Of the white space, what ends a word that is not quoted: the rare kinds are part of it.
fn ends_word(byte: u8) -> bool {
    is_space(byte) && !matches!(byte, 0x0b | 0x0c)
}

fn one_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'"' => rest = closed(double_quoted(rest, &mut word)?)?,
            b'\'' => rest = closed(single_quoted(rest, &mut word)?)?,
            _ if ends_word(byte) => return Some((word, rest)),
            _ => {
                word.push(byte);
                continue;
            }
        }
        // A quoted part ends its word.
        return Some((word, rest));
    }
    Some((word, rest))
}

/// What follows a closing quote must be white space or nothing.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => None,
        _ => Some(rest),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push((hex(*high) << 4) | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit.wrapping_sub(b'0'),
        b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::split_args;

    fn words(line: &str) -> Option<Vec<String>> {
        Some(
            split_args(line.as_bytes())?
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect(),
        )
    }

    #[test]
    fn splits_words_and_quotes() {
        assert_eq!(words("  set  a b ").unwrap(), ["set", "a", "b"]);
        assert_eq!(
            words(r#"set "a b" 'c\'d' "\x41\n""#).unwrap(),
            ["set", "a b", "c'd", "A\n"]
        );
        assert_eq!(words(r#"a """#).unwrap(), ["a", ""]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        for line in [r#""abc"#, "'abc", r#""a"b"#, "'a'b", r#""a\"#] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
