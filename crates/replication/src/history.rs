//! Replication identity: which stream this dataset belongs to, and how far along it is.

use std::fmt;

/// A replication id: forty lower-case hexadecimal characters that name one history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplId([u8; ReplId::LEN]);

impl ReplId {
    /// Characters in an id.
    pub const LEN: usize = 40;
    /// No id: forty zeros.
    pub const NONE: ReplId = ReplId([b'0'; Self::LEN]);

    /// The id spelled by twenty random bytes.
    pub fn from_entropy(bytes: [u8; 20]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; Self::LEN];
        for (pair, byte) in id.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        ReplId(id)
    }

    /// The id in `text`: forty printable characters other than blanks; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let id: [u8; Self::LEN] = text.try_into().ok()?;
        id.iter().all(u8::is_ascii_graphic).then_some(ReplId(id))
    }

    /// Whether a peer means this id; case does not matter.
    pub fn matches(&self, asked: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(asked)
    }

    /// The id's characters.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("every constructor checks for ASCII")
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of the dataset: changes of it are the methods below and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The history this dataset belongs to (INFO `master_replid`).
    pub replid: ReplId,
    /// The history before it, or [`ReplId::NONE`] (INFO `master_replid2`).
    pub replid2: ReplId,
    /// First offset NOT shared with `replid2`; `None` prints as -1 (INFO `second_repl_offset`).
    pub second_offset: Option<u64>,
    /// Last byte of the stream produced (primary) or applied (replica) (INFO `master_repl_offset`).
    pub offset: u64,
}

impl History {
    /// A history of its own that starts from nothing.
    pub fn new(replid: ReplId) -> Self {
        History {
            replid,
            replid2: ReplId::NONE,
            second_offset: None,
            offset: 0,
        }
    }

    /// A new id while the old one stays answerable up to here: promotion, or an upstream that was promoted.
    pub fn branch(&mut self, replid: ReplId) {
        self.replid2 = self.replid;
        self.second_offset = Some(self.offset + 1);
        self.replid = replid;
    }

    /// A new id that shares nothing with what was before.
    pub fn break_off(&mut self, replid: ReplId) {
        self.replid = replid;
        self.replid2 = ReplId::NONE;
        self.second_offset = None;
    }

    /// Identity of a dataset received whole.
    pub fn adopt(&mut self, replid: ReplId, offset: u64) {
        self.break_off(replid);
        self.offset = offset;
    }
}
