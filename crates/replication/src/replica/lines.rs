//! Lines of the handshake: split anywhere by the network, bounded.

use crate::limits::LINE_BYTES_MAX;

/// What a run of bytes completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// No line end yet; everything was taken.
    Partial,
    /// A line, without its end. It may be empty.
    Whole(Vec<u8>),
    /// More bytes without a line end than any sane peer sends.
    TooLong,
}

/// Collects one line at a time.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    /// The start of a line. Invariant: no `\n` in it, at most `LINE_BYTES_MAX` bytes.
    start: Vec<u8>,
}

impl LineReader {
    /// Takes bytes up to and including the first line end; returns how many, and what they completed.
    pub(super) fn feed(&mut self, data: &[u8]) -> (usize, Line) {
        let end = data.iter().position(|b| *b == b'\n');
        let more = &data[..end.unwrap_or(data.len())];
        if self.start.len() + more.len() > LINE_BYTES_MAX {
            self.start.clear();
            return (data.len(), Line::TooLong);
        }
        self.start.extend_from_slice(more);
        if end.is_none() {
            return (data.len(), Line::Partial);
        }
        let mut line = std::mem::take(&mut self.start);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        (more.len() + 1, Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline_and_leaves_the_rest() {
        let mut reader = LineReader::default();
        assert_eq!(reader.feed(b"+O"), (2, Line::Partial));
        assert_eq!(reader.feed(b"K\r\nrest"), (3, Line::Whole(b"+OK".to_vec())));
        assert_eq!(reader.feed(b"\n"), (1, Line::Whole(Vec::new())));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut reader = LineReader::default();
        let (_, line) = reader.feed(&[b'x'; LINE_BYTES_MAX]);
        assert_eq!(line, Line::Partial);
        assert_eq!(reader.feed(b"x").1, Line::TooLong);
    }
}
