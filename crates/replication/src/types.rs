//! Small types shared by both ends.

/// A client of this server, as `CLIENT LIST` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where random ids come from: twenty fresh bytes per call. Must be unpredictable in production.
pub type Entropy = Box<dyn FnMut() -> [u8; 20] + Send>;

/// One class of `client-output-buffer-limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Close at once above this many bytes; 0 = never.
    pub hard_bytes: u64,
    /// Close when above this many bytes for `soft_seconds`; 0 = never.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded, in seconds.
    pub soft_seconds: u64,
}

impl Default for OutputLimit {
    fn default() -> Self {
        OutputLimit {
            hard_bytes: 256 << 20,
            soft_bytes: 64 << 20,
            soft_seconds: 60,
        }
    }
}
