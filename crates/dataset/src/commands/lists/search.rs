//! LPOS: where an element is.

use crate::call::{Args, Call};
use crate::number;
use commandtable::{Error, Outcome};

/// What LPOS was asked.
struct Options {
    rank: i64,
    /// 0 for all; `None` for the first as a number of its own.
    count: Option<usize>,
    /// Elements to compare, 0 for all.
    max_len: usize,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Options, Error> {
        let mut options = Options {
            rank: 1,
            count: None,
            max_len: 0,
        };
        let (pairs, rest) = words.as_chunks::<2>();
        for [name, value] in pairs {
            if name.eq_ignore_ascii_case(b"rank") {
                options.rank = number::int(value)?;
                if options.rank == 0 {
                    return Err(Error::LPOS_RANK_ZERO);
                }
                if options.rank == i64::MIN {
                    return Err(Error::OUT_OF_RANGE_NEGATABLE);
                }
            } else if name.eq_ignore_ascii_case(b"count") {
                let count = not_negative(value).ok_or(Error::COUNT_NEGATIVE)?;
                options.count = Some(count);
            } else if name.eq_ignore_ascii_case(b"maxlen") {
                options.max_len = not_negative(value).ok_or(Error::LPOS_MAXLEN_NEGATIVE)?;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        if !rest.is_empty() {
            return Err(Error::SYNTAX);
        }
        Ok(options)
    }
}

fn not_negative(text: &[u8]) -> Option<usize> {
    usize::try_from(words::int::parse_i64(text)?).ok()
}

/// `LPOS key element [RANK rank] [COUNT count] [MAXLEN len]`.
///
/// Reply: the index of the match, null when there is none; with COUNT an array of indexes.
/// Errors: WRONGTYPE, syntax, a rank of 0, negative counts.
/// Propagates: nothing.
/// Source: Valkey command reference, LPOS (since 6.0.6).
pub(super) fn lpos(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(&args[3..])?;
    let list = x.keys.list(args[1])?;
    let mut matches = list
        .into_iter()
        .flat_map(|list| list.positions(args[2], options.rank, options.max_len));
    match options.count {
        None => match matches.next() {
            Some(index) => x.out.uint(index),
            None => x.out.null(),
        },
        Some(count) => {
            let mark = x.out.mark();
            let mut found = 0;
            for index in matches.take(if count == 0 { usize::MAX } else { count }) {
                x.out.uint(index);
                found += 1;
            }
            x.out.insert_at(mark, |out| out.array(found));
        }
    }
    Ok(())
}
