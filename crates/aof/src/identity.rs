//! Where in which replication history a log ends: a line behind the last record of a server that has ended well.
//!
//! ```text
//! identity = "#REPL:" replid " " offset " " db CRLF
//! ```
//!
//! It holds as long as nothing follows it but other lines: what comes behind it has moved the history on, by how much
//! nobody knows. The reference skips it as it skips all annotations.

/// What the text of the line begins with.
const PREFIX: &str = "REPL:";
/// Digits of a history's name.
const REPLID_LEN: usize = 40;

/// A place in a replication history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The history, 40 hexadecimal digits.
    pub replid: String,
    /// The last byte of the stream that the log includes.
    pub offset: u64,
    /// The database selected in the stream there; -1 for none.
    pub stream_db: i64,
}

impl Identity {
    /// The line.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let Self {
            replid,
            offset,
            stream_db,
        } = self;
        format!("#{PREFIX}{replid} {offset} {stream_db}\r\n").into_bytes()
    }

    /// What the text of an annotation says, when it is such a line.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?;
        let mut words = text.split(' ');
        let replid = words.next().filter(|replid| {
            replid.len() == REPLID_LEN && replid.bytes().all(|byte| byte.is_ascii_hexdigit())
        })?;
        let offset = words.next()?.parse().ok()?;
        let stream_db = words.next()?.parse().ok()?;
        words.next().is_none().then(|| Self {
            replid: replid.to_owned(),
            offset,
            stream_db,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_line_is_read_back_and_others_are_not() {
        let identity = Identity {
            replid: "0123456789abcdef0123456789abcdef01234567".into(),
            offset: 12,
            stream_db: -1,
        };
        let line = identity.line();
        let text = line.strip_prefix(b"#").unwrap();
        let text = text.strip_suffix(b"\r\n").unwrap();
        assert_eq!(Identity::parse(text), Some(identity));
        for text in [
            "REPL:".to_owned(),
            "REPL:abc 1 0".to_owned(),
            format!("REPL:{} 1", "a".repeat(40)),
            format!("REPL:{} -1 0", "a".repeat(40)),
            format!("REPL:{} 1 0 x", "a".repeat(40)),
            format!("REPL:{} 1 0", "x".repeat(40)),
            "SYNC:12".to_owned(),
        ] {
            assert_eq!(Identity::parse(text.as_bytes()), None, "{text}");
        }
    }
}
