//! Where a reply ends, however its bytes are cut.

/// Follows one reply at a time without keeping it.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// Values that are still to come.
    left: u64,
    /// Bytes of a bulk string, with its end of line, that are still to come.
    skip: u64,
    /// A line that has not ended yet.
    line: Vec<u8>,
    /// The text of the first error reply that was seen.
    error: Option<String>,
}

impl Scanner {
    /// At the beginning of a reply.
    pub(crate) fn new() -> Scanner {
        Scanner {
            left: 1,
            skip: 0,
            line: Vec::new(),
            error: None,
        }
    }

    /// Takes what has arrived; whether the reply is complete, after which another may begin.
    ///
    /// One request is under way at a time, so bytes behind a reply would be the peer's fault: they are an error.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.left == 0 {
                self.error
                    .get_or_insert_with(|| "bytes behind a reply".to_owned());
                break;
            }
            if self.skip > 0 {
                let taken = bytes
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= taken as u64;
                bytes = &bytes[taken..];
                if self.skip == 0 {
                    self.left -= 1;
                }
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(bytes.len(), |at| at + 1);
            self.line.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if end.is_some() {
                self.end_line();
            }
        }
        let complete = self.left == 0;
        if complete {
            self.left = 1;
        }
        complete
    }

    /// The text of an error reply, if there was one.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        let number = || text.get(1..).and_then(|rest| rest.parse::<i64>().ok());
        match text.as_bytes().first() {
            Some(b'$') => match number() {
                Some(length) if length >= 0 => self.skip = length.unsigned_abs() + 2,
                _ => self.left -= 1,
            },
            Some(b'*' | b'~') => {
                self.left -= 1;
                self.left += number().unwrap_or(0).max(0).unsigned_abs();
            }
            Some(b'-') => {
                self.left -= 1;
                self.error.get_or_insert(text);
            }
            _ => self.left -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_end_where_they_do_however_they_are_cut() {
        let replies: &[&[u8]] = &[
            b":12\r\n",
            b"+OK\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$3\r\n*1\r\r\n",
        ];
        for reply in replies {
            for first in 1..=reply.len() {
                let mut scanner = Scanner::new();
                for _ in 0..2 {
                    if first < reply.len() {
                        assert!(!scanner.feed(&reply[..first]), "{}", reply.escape_ascii());
                        assert!(scanner.feed(&reply[first..]), "{}", reply.escape_ascii());
                    } else {
                        assert!(scanner.feed(reply), "{}", reply.escape_ascii());
                    }
                }
                assert_eq!(scanner.take_error(), None);
            }
        }
    }

    #[test]
    fn errors_are_remembered() {
        let mut scanner = Scanner::new();
        assert!(scanner.feed(b"*2\r\n-ERR no\r\n:1\r\n"));
        assert_eq!(scanner.take_error().as_deref(), Some("-ERR no"));
        assert!(scanner.feed(b":1\r\n:2\r\n"));
        assert!(scanner.take_error().is_some());
    }
}
