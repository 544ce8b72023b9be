//! Replies out: one buffer, encoded for the protocol version of its client.

use crate::output::Output;
use std::sync::Arc;

/// Protocol version a client has chosen with HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// A place in a reply, taken before its element count is known. See [`Reply::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

/// A buffer of encoded replies.
///
/// Only this type writes framing; texts from outside are stripped of line breaks where a line is written.
#[derive(Default, Debug)]
pub struct Reply {
    output: Output,
    /// The protocol in which the following replies are encoded.
    pub protocol: Protocol,
}

impl Reply {
    /// An empty reply buffer.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self::with_output(Output::default(), protocol)
    }

    /// An empty reply that re-uses an allocation.
    #[must_use]
    pub fn with_output(mut output: Output, protocol: Protocol) -> Self {
        output.clear();
        Self { output, protocol }
    }

    /// What has been encoded.
    #[must_use]
    pub fn into_output(self) -> Output {
        self.output
    }

    /// What has been encoded so far.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The same, to be taken or exchanged for another.
    pub fn output_mut(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Encoded bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.output.len()
    }

    /// Bytes the buffer has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.output.capacity()
    }

    /// True when nothing has been encoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// Drops everything behind `len` bytes: takes a reply back.
    pub fn truncate(&mut self, len: usize) {
        self.output.truncate(len);
    }

    /// Drops everything, and the memory with it.
    pub fn take_back_all(&mut self) {
        self.output = Output::default();
    }

    #[inline]
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.output.bytes_mut()
    }

    /// True when the client speaks RESP3.
    #[must_use]
    pub fn is_v3(&self) -> bool {
        self.protocol == Protocol::V3
    }

    /// Bytes that are already encoded.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer().extend_from_slice(bytes);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.buffer().extend_from_slice(b"+OK\r\n");
    }

    /// `+text`; line breaks in `text` become spaces.
    pub fn simple(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    /// `-text`, where `text` starts with its error code; line breaks in `text` become spaces.
    pub fn error(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.buffer().reserve(text.len().saturating_add(3));
        self.buffer().push(kind);
        self.buffer().extend(text.iter().map(|byte| match byte {
            b'\r' | b'\n' | 0 => b' ',
            other => *other,
        }));
        self.buffer().extend_from_slice(b"\r\n");
    }

    /// `:n`.
    #[inline]
    pub fn int(&mut self, value: i64) {
        if (0..10).contains(&value) {
            self.buffer()
                .extend_from_slice(&[b':', b'0'.wrapping_add(value as u8), b'\r', b'\n']);
        } else {
            self.header(b':', value);
        }
    }

    /// A count or a length as an integer.
    #[inline]
    pub fn uint(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        match u32::try_from(value) {
            // The line is made in a register: no call to format the number, and none to copy it.
            Ok(value @ ..100_000_000) => {
                let (digits, count) = eight_digits(value);
                let end = u128::from(u16::from_le_bytes(*b"\r\n"))
                    .wrapping_shl(count.wrapping_add(1).wrapping_mul(8));
                let line = u128::from(kind) | (u128::from(digits) << 8) | end;
                let len = self
                    .buffer()
                    .len()
                    .saturating_add(count.wrapping_add(3) as usize);
                self.buffer().extend_from_slice(&line.to_le_bytes());
                self.buffer().truncate(len);
            }
            _ => self.long_header(kind, value),
        }
    }

    #[cold]
    fn long_header(&mut self, kind: u8, value: i64) {
        let mut digits = itoa::Buffer::new();
        self.line(kind, digits.format(value).as_bytes());
    }

    #[inline]
    fn count(&mut self, kind: u8, count: usize) {
        if count < 10 {
            self.buffer()
                .extend_from_slice(&[kind, b'0'.wrapping_add(count as u8), b'\r', b'\n']);
        } else {
            self.header(kind, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.buffer().reserve(bytes.len().saturating_add(24));
        if bytes.len() < 100 {
            self.short_length(bytes.len() as u8);
        } else {
            self.count(b'$', bytes.len());
        }
        self.copy(bytes);
        self.buffer().extend_from_slice(b"\r\n");
    }

    /// `$n` for a length of two digits at most: made in a register and written at once.
    #[inline]
    fn short_length(&mut self, length: u8) {
        let (tens, ones) = (length / 10, length % 10);
        let ones =
            u64::from(b'0'.wrapping_add(ones)) | (u64::from(u16::from_le_bytes(*b"\r\n")) << 8);
        let (digits, bytes) = match tens {
            0 => (ones, 4),
            tens => (u64::from(b'0'.wrapping_add(tens)) | (ones << 8), 5),
        };
        let line = u64::from(b'$') | (digits << 8);
        let len = self.buffer().len().saturating_add(bytes);
        self.buffer().extend_from_slice(&line.to_le_bytes());
        self.buffer().truncate(len);
    }

    /// Bytes as they are. Few of them are copied without a call: a fixed number from either end, which overlap.
    #[inline]
    fn copy(&mut self, bytes: &[u8]) {
        if bytes.len() <= 32
            && let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk())
        {
            self.copy_ends::<16>(bytes.len(), first, last);
        } else if bytes.len() < 16
            && let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk())
        {
            self.copy_ends::<8>(bytes.len(), first, last);
        } else {
            self.buffer().extend_from_slice(bytes);
        }
    }

    /// `len` bytes, at least `N` and at most twice as many, of which these are the first and the last ones.
    #[inline]
    fn copy_ends<const N: usize>(&mut self, len: usize, first: &[u8; N], last: &[u8; N]) {
        let buffer = self.buffer();
        let behind = buffer.len().saturating_add(len.saturating_sub(N));
        buffer.extend_from_slice(first);
        buffer.truncate(behind);
        buffer.extend_from_slice(last);
    }

    /// A bulk string holding a decimal integer.
    pub fn bulk_int(&mut self, value: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(value).as_bytes());
    }

    /// The null of the protocol: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.is_v3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null in place of an array: `*-1` or `_`.
    pub fn null_array(&mut self) {
        self.raw(if self.is_v3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// A bulk string, or null.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Header of an array of `count` elements.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.count(b'*', count);
    }

    /// Header of a map of `pairs` pairs; in RESP2 a flat array.
    pub fn map(&mut self, pairs: usize) {
        if self.is_v3() {
            self.count(b'%', pairs);
        } else {
            self.count(b'*', pairs.saturating_mul(2));
        }
    }

    /// Header of a set; in RESP2 an array.
    pub fn set(&mut self, count: usize) {
        self.count(if self.is_v3() { b'~' } else { b'*' }, count);
    }

    /// Header of an out-of-band push; in RESP2 an array.
    pub fn push(&mut self, count: usize) {
        self.count(if self.is_v3() { b'>' } else { b'*' }, count);
    }

    /// Header of attributes: only in RESP3.
    pub fn attribute(&mut self, pairs: usize) {
        if self.is_v3() {
            self.count(b'|', pairs);
        }
    }

    /// `#t`/`#f`, in RESP2 `:1`/`:0`.
    pub fn boolean(&mut self, value: bool) {
        self.raw(match (self.is_v3(), value) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// A double whose decimal text the caller has formatted; in RESP2 a bulk string.
    pub fn double(&mut self, text: &[u8]) {
        if self.is_v3() {
            self.line(b',', text);
        } else {
            self.bulk(text);
        }
    }

    /// A big number given as decimal text; in RESP2 a bulk string.
    pub fn big_number(&mut self, text: &[u8]) {
        if self.is_v3() {
            self.line(b'(', text);
        } else {
            self.bulk(text);
        }
    }

    /// Text with a three-letter format such as `txt`; in RESP2 a bulk string.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        if self.is_v3() {
            self.count(b'=', text.len().saturating_add(4));
            self.buffer().extend_from_slice(&format);
            self.buffer().push(b':');
            self.buffer().extend_from_slice(text);
            self.buffer().extend_from_slice(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// A bulk string of counted bytes, which are not copied.
    pub fn bulk_counted(&mut self, bytes: Arc<Vec<u8>>) {
        self.count(b'$', bytes.len());
        self.output.splice(bytes);
        self.buffer().extend_from_slice(b"\r\n");
    }

    /// Remembers a place where an aggregate header goes once its element count is known.
    ///
    /// Costs a move of what follows when the header is written: count first where that is cheap.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.output.bytes_len())
    }

    /// Writes the header that `write` encodes at `mark`, in front of everything encoded since.
    pub fn insert_at(&mut self, mark: Mark, write: impl FnOnce(&mut Self)) {
        let end = self.buffer().len();
        write(self);
        self.output.rotate(mark.0, end);
    }
}

/// The decimal digits of a number below 100 000 000, the first one in the lowest byte, and how many there are.
///
/// Example: 1234567 is split into 0123 and 4567, these into 01, 23, 45 and 67, and these into 0, 1, 2, 3, 4, 5, 6 and 7,
/// each time all parts at once; then the zeroes in front go. 10486 / 2^20 is 1/100 as far as four digits go, and
/// 103 / 2^10 is 1/10 as far as two do.
#[inline]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "every part has fewer digits than its bits can hold, so that nothing overflows"
)]
fn eight_digits(value: u32) -> (u64, u32) {
    let value = u64::from(value);
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let upper = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = upper | ((fours - 100 * upper) << 16);
    let upper = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = upper | ((twos - 10 * upper) << 8);
    // The last digit stays, be it a zero.
    let zeroes = (ones | (1 << 56)).trailing_zeros() / 8;
    ((ones | 0x3030_3030_3030_3030) >> (8 * zeroes), 8 - zeroes)
}

#[cfg(test)]
mod tests {
    use super::{Protocol, Reply};

    fn both(write: impl Fn(&mut Reply)) -> (String, String) {
        let encode = |protocol| {
            let mut reply = Reply::new(protocol);
            write(&mut reply);
            String::from_utf8(reply.output().contiguous().unwrap().to_vec()).unwrap()
        };
        (encode(Protocol::V2), encode(Protocol::V3))
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.into(), b.into())
    }

    #[test]
    fn each_kind_has_its_shape_in_both_protocols() {
        assert_eq!(both(|r| r.null()), pair("$-1\r\n", "_\r\n"));
        assert_eq!(both(|r| r.null_array()), pair("*-1\r\n", "_\r\n"));
        assert_eq!(both(|r| r.map(2)), pair("*4\r\n", "%2\r\n"));
        assert_eq!(both(|r| r.set(12)), pair("*12\r\n", "~12\r\n"));
        assert_eq!(both(|r| r.push(3)), pair("*3\r\n", ">3\r\n"));
        assert_eq!(both(|r| r.boolean(true)), pair(":1\r\n", "#t\r\n"));
        assert_eq!(
            both(|r| r.double(b"1.5")),
            pair("$3\r\n1.5\r\n", ",1.5\r\n")
        );
        assert_eq!(
            both(|r| r.verbatim(*b"txt", b"hi")),
            pair("$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n")
        );
        assert_eq!(both(|r| r.int(-12)), pair(":-12\r\n", ":-12\r\n"));
        assert_eq!(both(|r| r.bulk(&[b'x'; 101])).0.len(), 101 + 2 + 6);
    }

    #[test]
    fn bulk_strings_of_any_length_are_framed_alike() {
        let text: Vec<u8> = (0..1100).map(|n| b'a' + (n % 23) as u8).collect();
        let mut reply = Reply::default();
        let mut expected = Vec::new();
        for len in (0..=130).chain([999, 1000, 1100]) {
            reply.bulk(&text[..len]);
            expected.extend_from_slice(format!("${len}\r\n").as_bytes());
            expected.extend_from_slice(&text[..len]);
            expected.extend_from_slice(b"\r\n");
        }
        assert_eq!(reply.output().contiguous(), Some(&expected[..]));
    }

    #[test]
    fn numbers_are_printed_as_usual() {
        let steps = (0..=19).flat_map(|power| {
            let round = 10u64.pow(power).cast_signed();
            [
                round - 1,
                round,
                round.wrapping_add(1),
                round / 3,
                round / 7,
            ]
        });
        let many = (0..200_000).chain((0..1 << 31).step_by(9973)).chain(steps);
        let mut reply = Reply::default();
        for number in many {
            for number in [number, number.wrapping_neg()] {
                reply.truncate(0);
                reply.int(number);
                let line = format!(":{number}\r\n");
                assert_eq!(reply.output().contiguous(), Some(line.as_bytes()));
            }
        }
    }

    #[test]
    fn line_breaks_cannot_forge_a_reply() {
        assert_eq!(both(|r| r.error(b"ERR a\r\n+OK")).0, "-ERR a  +OK\r\n");
    }

    #[test]
    fn a_header_can_follow_its_elements() {
        let (reply, _) = both(|r| {
            r.int(7);
            let mark = r.mark();
            r.int(1);
            r.int(2);
            r.insert_at(mark, |r| r.array(2));
        });
        assert_eq!(reply, ":7\r\n*2\r\n:1\r\n:2\r\n");
    }
}
