//! LCS: the longest text that two strings share in order, though not in one piece.

use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::{StrRef, ValueRef};
use std::borrow::Cow;

/// Bytes for a pair of bytes by which it is judged whether two strings are too long, as in the reference. A bit is kept.
const PAIR_BYTES: u64 = size_of::<u32>() as u64;

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
    let pairs = (a.len() as u64 + 1) * (b.len() as u64 + 1);
    let bytes = pairs.saturating_mul(PAIR_BYTES);
    if bytes > x.keys.settings.string_bytes_max {
        return Err(Error::LCS_MEMORY);
    }
    let table = Table::new(&a, &b);
    let length = table.length;
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
    match x.keys.read(key).map(|entry| entry.value()) {
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

/// Which steps along the second string make what two beginnings share longer: a bit for each pair of a byte of the first
/// string (the row) and a byte of the second one.
///
/// The rows follow from one another by arithmetic on whole words (Hyyrö, "Bit-parallel LCS-length computation
/// revisited", 2004).
struct Table {
    grows: Vec<u64>,
    words_per_row: usize,
    length: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let words_per_row = b.len().div_ceil(64);
        let mut places = vec![0; 256 * words_per_row];
        for (column, byte) in b.iter().enumerate() {
            places[usize::from(*byte) * words_per_row + column / 64] |= 1 << (column % 64);
        }
        // In a row of the method a zero says that the length grows there.
        let mut grows = vec![0; a.len() * words_per_row];
        let mut row = vec![u64::MAX; words_per_row];
        for (byte, kept) in a.iter().zip(grows.chunks_exact_mut(words_per_row.max(1))) {
            let start = usize::from(*byte) * words_per_row;
            let equal = &places[start..start + words_per_row];
            let mut carry = false;
            for ((word, equal), kept) in row.iter_mut().zip(equal).zip(kept) {
                let both = *word & equal;
                let (sum, over) = word.overflowing_add(both);
                let (sum, over_again) = sum.overflowing_add(u64::from(carry));
                carry = over | over_again;
                *word = sum | (*word & !equal);
                *kept = !*word;
            }
        }
        let length = row
            .iter()
            .enumerate()
            .map(|(at, word)| {
                let beyond = ((at + 1) * 64).saturating_sub(b.len());
                (!word & (u64::MAX >> beyond)).count_ones() as usize
            })
            .sum();
        Table {
            grows,
            words_per_row,
            length,
        }
    }

    /// Whether the first `i` bytes share more with the first `j` bytes of the second string than with one fewer of them.
    fn grows_at(&self, i: usize, j: usize) -> bool {
        let word = self.grows[(i - 1) * self.words_per_row + (j - 1) / 64];
        word >> ((j - 1) % 64) & 1 == 1
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
            } else if self.grows_at(i, j) {
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
    use super::{Match, Table};
    use engine::testing::check;
    use proptest::prelude::*;

    /// The plain twin: the length for each pair of beginnings, one number each.
    fn plain(a: &[u8], b: &[u8]) -> (usize, Vec<Match>) {
        let mut lengths = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                lengths[i][j] = if a[i - 1] == b[j - 1] {
                    lengths[i - 1][j - 1] + 1
                } else {
                    usize::max(lengths[i - 1][j], lengths[i][j - 1])
                };
            }
        }
        let mut pairs = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if lengths[i - 1][j] > lengths[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        let pieces = pairs.chunk_by(|last, next| (next.0 + 1, next.1 + 1) == *last);
        let matches = pieces.map(|piece| {
            let (a, b) = piece[piece.len() - 1];
            Match {
                a,
                b,
                len: piece.len(),
            }
        });
        (lengths[a.len()][b.len()], matches.collect())
    }

    proptest! {
        #[test]
        fn whole_words_find_what_one_pair_at_a_time_finds(
            a in proptest::collection::vec(0u8..4, 0..200),
            b in proptest::collection::vec(0u8..4, 0..200),
        ) {
            let table = Table::new(&a, &b);
            let (length, matches) = plain(&a, &b);
            prop_assert_eq!(table.length, length);
            prop_assert_eq!(table.matches(&a, &b), matches);
        }
    }

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
