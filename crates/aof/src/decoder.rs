//! Bytes of a log in, records out; no I/O, and nothing is looked at twice.
//!
//! ```text
//! log        = (annotation | record)*
//! annotation = "#" byte* LF                         no zero bytes
//! record     = "*" count CRLF argument{count}          count >= 1
//! argument   = "$" length CRLF byte{length} CRLF
//! unit       = record | MULTI record* EXEC             all of it counts, or none
//! ```
//!
//! Source: the records that Valkey 8.0.1 writes. What it reads besides (a line end that is none, a transaction in a
//! transaction) is refused here.

use crate::defect::{Cause, Defect};
use crate::limits::{ANNOTATION_BYTES_MAX, ARGS_AHEAD_MAX, HEADER_BYTES_MAX, STRING_BYTES_MAX};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command to be carried out, now or with its transaction.
    Command,
    /// MULTI: what follows, up to EXEC, is one unit.
    Multi,
    /// EXEC: the unit is complete.
    Exec,
    /// A line for whoever cares; its text without `#` and line end is the only argument.
    Annotation,
}

/// One record as it lies in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its bytes: the buffer of the next call begins behind them.
    pub used: usize,
    /// Where it begins in the file.
    pub offset: u64,
}

/// The arguments of a record.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    places: &'a [(usize, usize)],
}

impl<'a> Args<'a> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none, which is so for no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The argument with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.places.get(index)?;
        self.bytes.get(start..end)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, places) = (self.bytes, self.places);
        places
            .iter()
            .map(|&(start, end)| bytes.get(start..end).unwrap_or_default())
    }

    /// The bytes of the whole record, line ends and all.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A number that a line begins with.
enum Header {
    Number { number: i64, end: usize },
    Partial,
}

/// Finds records. The buffer given to [`decode`](Self::decode) begins where the last record ended, and has grown at its
/// end since the last call.
#[derive(Debug)]
pub struct Decoder {
    string_bytes_max: u64,
    /// Where the buffer begins in the file.
    start: u64,
    /// Bytes of the record under way that have been understood.
    parsed: usize,
    /// Arguments that it still lacks; `None` before its first line.
    missing: Option<u64>,
    /// Length of the argument whose line has been read.
    length: Option<usize>,
    /// Where its arguments lie in the buffer.
    places: Vec<(usize, usize)>,
    /// Whether the record in `places` has been handed out.
    done: bool,
    /// Where the line or argument that was looked at last begins in the file.
    last: u64,
    /// Where the transaction under way begins in the file.
    open: Option<u64>,
    /// Where the last complete unit ends in the file.
    valid_to: u64,
    /// Line ends of records passed, plus one.
    line: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(0, STRING_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder whose first byte has this offset in the file, and which takes arguments of so many bytes.
    #[must_use]
    pub fn new(offset: u64, string_bytes_max: u64) -> Self {
        Self {
            // So that the sums with line ends need no checks.
            string_bytes_max: string_bytes_max.min(i64::MAX as u64 >> 1),
            start: offset,
            parsed: 0,
            missing: None,
            length: None,
            places: Vec::new(),
            done: false,
            last: offset,
            open: None,
            valid_to: offset,
            line: 1,
        }
    }

    /// Where the last complete unit ends: what a file is cut back to.
    #[must_use]
    pub fn valid_to(&self) -> u64 {
        self.valid_to
    }

    /// Where the transaction under way begins.
    #[must_use]
    pub fn open_transaction(&self) -> Option<u64> {
        self.open
    }

    /// Lines of records that were read, plus one.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Bytes that the buffer must have at least before more can be understood.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        let data = self
            .length
            .map_or(1, |length| (length as u64).saturating_add(2));
        (self.parsed as u64).saturating_add(data)
    }

    /// The arguments of the record that [`decode`](Self::decode) has just found in this buffer.
    #[must_use]
    pub fn args<'a>(&'a self, buffer: &'a [u8], found: &Found) -> Args<'a> {
        Args {
            bytes: buffer.get(..found.used).unwrap_or_default(),
            places: &self.places,
        }
    }

    /// The next record; `None` when `buffer` ends before it does.
    ///
    /// # Errors
    /// What is wrong with the record under way. The decoder is of no further use.
    pub fn decode(&mut self, buffer: &[u8]) -> Result<Option<Found>, Defect> {
        if self.done {
            self.done = false;
            self.start = self.start.saturating_add(self.parsed as u64);
            self.parsed = 0;
            self.missing = None;
            self.places.clear();
        }
        let mut missing = match self.missing {
            Some(missing) => missing,
            None => match buffer.first() {
                None => return Ok(None),
                Some(b'*') => match self.count(buffer)? {
                    None => return Ok(None),
                    Some(count) => count,
                },
                Some(b'#') => return self.annotation(buffer),
                Some(&other) => return Err(self.defect(0, 0, Cause::NoRecord(other))),
            },
        };
        while missing > 0 {
            if !self.argument(buffer)? {
                self.missing = Some(missing);
                return Ok(None);
            }
            missing = missing.saturating_sub(1);
        }
        self.record(buffer).map(Some)
    }

    /// What the end of the file means when `rest` is what [`decode`](Self::decode) could not use, and the file has
    /// `beyond` more bytes that were not worth reading. `None` when the file is complete.
    #[must_use]
    pub fn end(&self, rest: &[u8], beyond: u64) -> Option<Defect> {
        let parsed = if self.done { 0 } else { self.parsed };
        let base = if self.done {
            self.start.saturating_add(self.parsed as u64)
        } else {
            self.start
        };
        let at = base.saturating_add(parsed as u64);
        // What `done` leaves behind has been consumed by the caller.
        let left = rest.get(parsed..).unwrap_or_default();
        let mut byte_at = at.saturating_add(left.len() as u64).saturating_add(beyond);
        let (at, cause) = if let (Some(length), false) = (self.length, self.done) {
            let wanted = (length as u64).saturating_add(2);
            let got = (left.len() as u64).saturating_add(beyond);
            (at, Cause::EndsInArgument { wanted, got })
        } else if left.first() == Some(&b'#') && parsed == 0 {
            (at, Cause::EndsInAnnotation)
        } else if !left.is_empty() {
            let digits = left
                .iter()
                .skip(1)
                .take_while(|byte| is_number_byte(**byte));
            let end = digits.count().saturating_add(1);
            let found = two(left, end);
            match left.get(end) {
                None | Some(b'\r') => (at, Cause::EndsInLine(found)),
                Some(_) => {
                    byte_at = at.saturating_add(end as u64);
                    (at, Cause::LineEnd(found))
                }
            }
        } else if parsed > 0 {
            (at, Cause::Ends)
        } else if self.open.is_some() {
            (self.last, Cause::EndsInTransaction)
        } else {
            return None;
        };
        Some(Defect { at, byte_at, cause })
    }

    #[cold]
    fn defect(&self, at: usize, byte_at: usize, cause: Cause) -> Defect {
        let offset = |index: usize| self.start.saturating_add(index as u64);
        Defect {
            at: offset(at),
            byte_at: offset(byte_at),
            cause,
        }
    }

    fn look_at(&mut self, index: usize) {
        self.last = self.start.saturating_add(index as u64);
    }

    /// The line with the number of arguments.
    fn count(&mut self, buffer: &[u8]) -> Result<Option<u64>, Defect> {
        self.look_at(0);
        let Header::Number { number, end } = self.header(buffer, 0)? else {
            return Ok(None);
        };
        let Some(count) = u64::try_from(number)
            .ok()
            .filter(|count| (1..=i32::MAX as u64).contains(count))
        else {
            return Err(self.defect(0, 1, Cause::Count(number)));
        };
        self.parsed = end;
        self.missing = Some(count);
        self.places.reserve(count.min(ARGS_AHEAD_MAX) as usize);
        Ok(Some(count))
    }

    /// The next argument; `false` when it has not come yet.
    #[inline]
    fn argument(&mut self, buffer: &[u8]) -> Result<bool, Defect> {
        let length = match self.length {
            Some(length) => length,
            None => match self.length_line(buffer)? {
                Some(length) => length,
                None => return Ok(false),
            },
        };
        let start = self.parsed;
        let end = start.saturating_add(length);
        match (buffer.get(end), buffer.get(end.saturating_add(1))) {
            (Some(b'\r'), Some(b'\n')) => {}
            (Some(_), Some(_)) => {
                let off = usize::from(buffer.get(end) == Some(&b'\r'));
                let cause = Cause::LineEnd(two(buffer, end));
                return Err(self.defect(start, end.saturating_add(off), cause));
            }
            _ => return Ok(false),
        }
        self.places.push((start, end));
        self.line = self.line.saturating_add(1);
        self.length = None;
        self.parsed = end.saturating_add(2);
        Ok(true)
    }

    /// The line with the length of an argument.
    #[inline]
    fn length_line(&mut self, buffer: &[u8]) -> Result<Option<usize>, Defect> {
        let start = self.parsed;
        match buffer.get(start) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(self.defect(start, start, Cause::Prefix(other))),
        }
        self.look_at(start);
        let Header::Number { number, end } = self.header(buffer, start)? else {
            return Ok(None);
        };
        let fits = u64::try_from(number).is_ok_and(|length| length <= self.string_bytes_max);
        let (true, Ok(length)) = (fits, usize::try_from(number)) else {
            return Err(self.defect(start, start.saturating_add(1), Cause::Length(number)));
        };
        self.length = Some(length);
        self.parsed = end;
        self.look_at(end);
        Ok(Some(length))
    }

    /// The number behind the prefix at `start`, and where its line ends.
    #[inline]
    fn header(&mut self, buffer: &[u8], start: usize) -> Result<Header, Defect> {
        let digits_at = start.saturating_add(1);
        let mut at = digits_at;
        let negative = buffer.get(at) == Some(&b'-');
        at = at.saturating_add(usize::from(negative));
        let mut number = 0i64;
        loop {
            match buffer.get(at) {
                Some(digit @ b'0'..=b'9') => {
                    let digit = i64::from(digit.wrapping_sub(b'0'));
                    number = number.saturating_mul(10).saturating_add(digit);
                    at = at.saturating_add(1);
                    if at.saturating_sub(start) >= HEADER_BYTES_MAX {
                        return Err(self.defect(start, at, Cause::LineEnd([0, 0])));
                    }
                }
                Some(_) => break,
                None => return Ok(Header::Partial),
            }
        }
        match (buffer.get(at), buffer.get(at.saturating_add(1))) {
            (Some(b'\r'), Some(b'\n')) if at > digits_at.saturating_add(usize::from(negative)) => {
                self.line = self.line.saturating_add(1);
                Ok(Header::Number {
                    number: if negative {
                        number.saturating_neg()
                    } else {
                        number
                    },
                    end: at.saturating_add(2),
                })
            }
            // The second byte is waited for, so that what is said does not depend on the pieces.
            (_, None) => Ok(Header::Partial),
            (first, Some(_)) => {
                let off = usize::from(first == Some(&b'\r'));
                let cause = Cause::LineEnd(two(buffer, at));
                Err(self.defect(start, at.saturating_add(off), cause))
            }
        }
    }

    /// A line that begins with `#`.
    fn annotation(&mut self, buffer: &[u8]) -> Result<Option<Found>, Defect> {
        let shown = buffer.get(..ANNOTATION_BYTES_MAX).unwrap_or(buffer);
        let from = self.parsed.max(1);
        let unseen = shown.get(from..).unwrap_or_default();
        let stop = unseen.iter().position(|byte| matches!(byte, b'\n' | 0));
        let Some(end) = stop else {
            if shown.len() == ANNOTATION_BYTES_MAX {
                return Err(self.defect(0, ANNOTATION_BYTES_MAX, Cause::LongAnnotation));
            }
            return Ok(None);
        };
        let end = from.saturating_add(end);
        if shown.get(end) == Some(&0) {
            return Err(self.defect(0, end, Cause::ZeroInAnnotation));
        }
        let text = shown.get(..end).unwrap_or_default();
        let text_end = end.saturating_sub(usize::from(text.last() == Some(&b'\r')));
        self.places.push((1, text_end.max(1)));
        Ok(Some(self.found(Kind::Annotation, end.saturating_add(1))))
    }

    fn record(&mut self, buffer: &[u8]) -> Result<Found, Defect> {
        let name = self
            .places
            .first()
            .and_then(|&(start, end)| buffer.get(start..end));
        let kind = match name {
            Some(name) if name.len() == 5 && name.eq_ignore_ascii_case(b"multi") => Kind::Multi,
            Some(name) if name.len() == 4 && name.eq_ignore_ascii_case(b"exec") => Kind::Exec,
            _ => Kind::Command,
        };
        let last = self.last.saturating_sub(self.start) as usize;
        match (kind, self.open) {
            (Kind::Multi, Some(_)) => return Err(self.defect(last, last, Cause::NestedMulti)),
            (Kind::Exec, None) => return Err(self.defect(last, last, Cause::LoneExec)),
            (Kind::Multi, None) => self.open = Some(self.start),
            (Kind::Exec, Some(_)) => self.open = None,
            _ => {}
        }
        Ok(self.found(kind, self.parsed))
    }

    fn found(&mut self, kind: Kind, used: usize) -> Found {
        self.done = true;
        self.parsed = used;
        if self.open.is_none() {
            self.valid_to = self.start.saturating_add(used as u64);
        }
        Found {
            kind,
            used,
            offset: self.start,
        }
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// The two bytes at `at`, zero where there are none.
fn two(bytes: &[u8], at: usize) -> [u8; 2] {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    [byte(at), byte(at.saturating_add(1))]
}

/// The time in an annotation's text, in seconds since the epoch, when it is one of those that the log is marked with.
///
/// # Errors
/// `Err(())` when it begins like one and holds no time.
#[allow(clippy::result_unit_err, reason = "there is nothing to say about it")]
pub fn timestamp(text: &[u8]) -> Option<Result<i64, ()>> {
    let digits = text.strip_prefix(b"TS:")?;
    Some(
        words::int::parse_i64(digits)
            .filter(|time| *time >= 0)
            .ok_or(()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Kind, Vec<Vec<u8>>, u64);

    /// Kinds and arguments of all records, and how it ended.
    fn all(bytes: &[u8], chunk: usize) -> (Vec<Seen>, Option<Defect>, u64) {
        let mut decoder = Decoder::default();
        let mut records = Vec::new();
        let mut buffer = Vec::new();
        for piece in bytes.chunks(chunk.max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&buffer) {
                    Ok(Some(found)) => {
                        let args = decoder.args(&buffer, &found);
                        let args = args.iter().map(<[u8]>::to_vec).collect();
                        records.push((found.kind, args, found.offset));
                        buffer.drain(..found.used);
                    }
                    Ok(None) => break,
                    Err(defect) => return (records, Some(defect), decoder.valid_to()),
                }
            }
        }
        (records, decoder.end(&buffer, 0), decoder.valid_to())
    }

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
    const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
    const EXEC: &[u8] = b"*1\r\n$4\r\nexec\r\n";

    #[test]
    fn records_come_out_whatever_the_pieces() {
        let log = [b"#TS:12\r\n", SET, MULTI, SET, EXEC, b"# x\n"].concat();
        for chunk in [1, 2, 3, 7, 1000] {
            let (records, defect, valid_to) = all(&log, chunk);
            let kinds: Vec<Kind> = records.iter().map(|record| record.0).collect();
            assert_eq!(
                kinds,
                [
                    Kind::Annotation,
                    Kind::Command,
                    Kind::Multi,
                    Kind::Command,
                    Kind::Exec,
                    Kind::Annotation
                ]
            );
            assert_eq!(records[0].1, [b"TS:12"]);
            assert_eq!(records[1].1, [b"SET".as_slice(), b"a", b"b"]);
            assert_eq!(records[1].2, 8);
            assert_eq!(records[5].1, [b" x"]);
            assert_eq!((defect, valid_to), (None, log.len() as u64));
        }
    }

    #[test]
    fn a_cut_leaves_whole_units() {
        let log = [SET, MULTI, SET, EXEC, SET].concat();
        let ends = [0, 27, 27 + 15 + 27 + 14, log.len()];
        for cut in 0..=log.len() {
            let (_, defect, valid_to) = all(&log[..cut], 1000);
            let expected = ends.iter().rev().find(|end| **end <= cut).unwrap();
            assert_eq!(valid_to, *expected as u64, "{cut}");
            assert_eq!(defect.is_none(), ends.contains(&cut), "{cut}");
            assert!(defect.is_none_or(|defect| defect.cause.is_end()), "{cut}");
            assert_eq!(all(&log[..cut], 1), all(&log[..cut], 1000));
        }
    }

    #[test]
    fn every_defect_is_named_with_its_place() {
        let cases: &[(&[u8], u64, Cause)] = &[
            (b"\0", 0, Cause::NoRecord(0)),
            (b"PING\r\n", 0, Cause::NoRecord(b'P')),
            (b"*x\r\n", 0, Cause::LineEnd(*b"x\r")),
            (b"*1\n$4\r\n", 0, Cause::LineEnd(*b"\n$")),
            (b"*0\r\n", 0, Cause::Count(0)),
            (b"*-1\r\n", 0, Cause::Count(-1)),
            (b"*99999999999999999999\r\n", 0, Cause::Count(i64::MAX)),
            (b"*1\r\n#", 4, Cause::Prefix(b'#')),
            (b"*1\r\n$-1\r\n", 4, Cause::Length(-1)),
            (b"*1\r\n$99999999999\r\n", 4, Cause::Length(99_999_999_999)),
            (b"*1\r\n$4\r\nPINGxx", 8, Cause::LineEnd(*b"xx")),
            (b"*1\r\n$4\r\nEXEC\r\n", 8, Cause::LoneExec),
            (b"*", 0, Cause::EndsInLine([0, 0])),
            (b"*1\r", 0, Cause::EndsInLine([b'\r', 0])),
            (b"*1\r\n", 4, Cause::Ends),
            (
                b"*1\r\n$4\r\nPI",
                8,
                Cause::EndsInArgument { wanted: 6, got: 2 },
            ),
            (b"#TS:1", 0, Cause::EndsInAnnotation),
            (b"#TS:\0\n", 0, Cause::ZeroInAnnotation),
            (b"*1\r\n$5\r\nMULTI\r\n", 8, Cause::EndsInTransaction),
        ];
        for (bytes, at, cause) in cases {
            for chunk in [1, 1000] {
                let defect = all(bytes, chunk).1.unwrap();
                assert_eq!(
                    (defect.at, defect.cause),
                    (*at, *cause),
                    "{}",
                    bytes.escape_ascii()
                );
            }
        }
        let nested = [MULTI, SET, MULTI].concat();
        let defect = all(&nested, 1000).1.unwrap();
        assert_eq!((defect.at, defect.cause), (15 + 27 + 8, Cause::NestedMulti));
        let digits = [b"*".as_slice(), &[b'1'; 200]].concat();
        assert_eq!(all(&digits, 1).1.unwrap().cause, Cause::LineEnd([0, 0]));
    }

    #[test]
    fn annotations_end_within_their_bound() {
        for (text, fits) in [(1020, true), (1021, false)] {
            let log = [b"#".as_slice(), &vec![b'a'; text], b"\r\n"].concat();
            for chunk in [1, 100, 5000] {
                assert_eq!(all(&log, chunk).1.is_none(), fits, "{text}");
            }
        }
    }

    #[test]
    fn times_stand_behind_their_mark() {
        assert_eq!(timestamp(b"TS:1600"), Some(Ok(1600)));
        assert_eq!(timestamp(b"TS:x"), Some(Err(())));
        assert_eq!(timestamp(b"TS:-5"), Some(Err(())));
        assert_eq!(timestamp(b"ts:1"), None);
    }

    #[test]
    fn a_promise_reserves_little() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"*2147483647\r\n$1\r\n"), Ok(None));
        assert!(decoder.places.capacity() <= 2 * ARGS_AHEAD_MAX as usize);
    }
}
