//! LCS: the longest text that two strings share in order, though not in one piece.

use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::{Entry, StrRef, ValueRef};
use std::borrow::Cow;

/// Bytes of one field of the table.
const FIELD_BYTES: u64 = size_of::<u32>() as u64;

/// Two pieces that are equal: where they begin in either string, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]`.
///
/// Reply: the common text; with LEN its length; with IDX a map of the matches, last first, as ranges in either string, and of
/// the length. A missing key is an empty string.
/// Errors: syntax; LEN with IDX; a key of another type; strings for which the table would be larger than a string may be.
/// Propagates: nothing.
/// Source: Valkey command reference, LCS (since 7.0.0).
pub(super) fn lcs(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (a, b) = (string(x, args[1])?, string(x, args[2])?);
    let (mut only_len, mut indexes, mut with_len, mut min_len) = (false, false, false, 0);
    let mut words = args[3..].iter();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_slice() {
            b"len" => only_len = true,
            b"idx" => indexes = true,
            b"withmatchlen" => with_len = true,
            b"minmatchlen" => {
                let length = number::int(words.next().ok_or(Error::SYNTAX)?)?;
                min_len = usize::try_from(length).unwrap_or(0);
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    if only_len && indexes {
        return Err(Error::LCS_LEN_IDX);
    }
    let longest = u64::from(u32::MAX);
    if a.len() as u64 >= longest - 1 || b.len() as u64 >= longest - 1 {
        return Err(Error::LCS_TOO_LONG);
    }
    let fields = (a.len() as u64 + 1) * (b.len() as u64 + 1);
    let bytes = fields.saturating_mul(FIELD_BYTES);
    if bytes > x.keys.settings.string_bytes_max {
        return Err(Error::LCS_MEMORY);
    }
    let table = Table::new(&a, &b);
    let length = table.length();
    if only_len {
        x.out.uint(length);
        return Ok(());
    }
    let matches = table.matches(&a, &b);
    if !indexes {
        let pieces: Vec<&[u8]> = matches
            .iter()
            .rev()
            .map(|found| &a[found.a..found.a + found.len])
            .collect();
        x.out.bulk(&pieces.concat());
        return Ok(());
    }
    let shown = || matches.iter().filter(|found| found.len >= min_len);
    x.out.map(2);
    x.out.bulk(b"matches");
    x.out.array(shown().count());
    for found in shown() {
        x.out.array(2 + usize::from(with_len));
        for start in [found.a, found.b] {
            x.out.array(2);
            x.out.uint(start);
            x.out.uint(start + found.len - 1);
        }
        if with_len {
            x.out.uint(found.len);
        }
    }
    x.out.bulk(b"len");
    x.out.uint(length);
    Ok(())
}

/// The string at `key`, by itself: both are needed at once.
fn string(x: &mut Call<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    match x.keys.read(key).map(Entry::value) {
        None => Ok(Vec::new()),
        Some(ValueRef::Str(string)) => Ok(text(string).into_owned()),
        Some(_) => Err(Error::LCS_TYPE),
    }
}

fn text(string: StrRef<'_>) -> Cow<'_, [u8]> {
    match string {
        StrRef::Bytes(bytes) => Cow::Borrowed(bytes),
        StrRef::Int(number) => Cow::Owned(itoa::Buffer::new().format(number).as_bytes().to_vec()),
    }
}

/// For each pair of beginnings the length of what they share: row by row, one row for each byte of the first string and one
/// in front of them.
struct Table {
    lengths: Vec<u32>,
    columns: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let columns = b.len() + 1;
        let mut lengths = vec![0; (a.len() + 1) * columns];
        for (row, byte) in a.iter().enumerate() {
            let (above, here) = lengths.split_at_mut((row + 1) * columns);
            let above = &above[row * columns..];
            for (column, other) in b.iter().enumerate() {
                here[column + 1] = if byte == other {
                    above[column] + 1
                } else {
                    above[column + 1].max(here[column])
                };
            }
        }
        Table { lengths, columns }
    }

    fn at(&self, a: usize, b: usize) -> u32 {
        self.lengths[a * self.columns + b]
    }

    fn length(&self) -> usize {
        self.lengths.last().map_or(0, |length| *length as usize)
    }

    /// The pieces that make up the common text, last first. Of two ways back the one along the first string is left for the
    /// one along the second where both are as long.
    fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                match found.last_mut() {
                    Some(last) if last.a == i + 1 && last.b == j + 1 => {
                        *last = Match {
                            a: i,
                            b: j,
                            len: last.len + 1,
                        };
                    }
                    _ => found.push(Match { a: i, b: j, len: 1 }),
                }
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use engine::testing::check;

    #[test]
    fn the_common_text_its_length_and_its_places() {
        check(
            r#"
            > MSET a ohmytext b mynewtext
            < OK
            ~ MSET a ohmytext b mynewtext
            > LCS a b
            < "mytext"
            > LCS a b LEN
            < (integer) 6
            > LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
            < 1) "matches"
            < 2) 1) 1) 1) (integer) 4
            <          2) (integer) 7
            <       2) 1) (integer) 5
            <          2) (integer) 8
            <       3) (integer) 4
            < 3) "len"
            < 4) (integer) 6
            > LCS a missing
            < ""
            > LCS a b LEN IDX
            < (error) ERR If you want both the length and indexes, please just use IDX.
            "#,
        );
    }
}
