//! How a synchronisation is done, and why not in a better way: words for INFO, REPLICATION STATUS and the log.

use std::fmt;

/// The way of a synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// The snapshot on a connection of its own, straight from the snapshot process; the stream beside it.
    DualChannel,
    /// The snapshot through the dump file, on the connection of the stream.
    ClassicDisk,
    /// The snapshot straight from the snapshot process, on the connection of the stream.
    ClassicSockets,
    /// The stream alone, from where the replica is.
    Partial,
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SyncMode::DualChannel => "dual-channel",
            SyncMode::ClassicDisk => "classic-disk",
            SyncMode::ClassicSockets => "classic-sockets",
            SyncMode::Partial => "partial",
        })
    }
}

/// Why a synchronisation is not a partial one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyFull {
    /// The replica has nothing to continue from.
    NothingToContinue,
    /// What it has is of another history.
    OtherHistory,
    /// The primary does not hold the stream from there any more, for want of so many bytes of backlog.
    BacklogTooShort {
        /// Bytes.
        bytes: u64,
    },
    /// The same as the replica sees it: it is so many bytes behind the snapshot it is given.
    TooFarBehind {
        /// Bytes.
        bytes: u64,
    },
    /// The replica says that it is ahead of the primary.
    AheadOfPrimary,
    /// It asked with SYNC.
    Asked,
}

impl fmt::Display for WhyFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyFull::NothingToContinue => f.write_str("nothing to continue from"),
            WhyFull::OtherHistory => f.write_str("other history"),
            WhyFull::BacklogTooShort { bytes } => write!(f, "backlog too short by {bytes} bytes"),
            WhyFull::TooFarBehind { bytes } => {
                write!(f, "backlog too short for a replica {bytes} bytes behind")
            }
            WhyFull::AheadOfPrimary => f.write_str("replica is ahead of its primary"),
            WhyFull::Asked => f.write_str("asked for with SYNC"),
        }
    }
}

/// Why a full synchronisation does not use two channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyClassic {
    /// The peer did not offer it.
    NotOffered,
    /// `dual-channel-replication-enabled` is off here.
    SwitchedOff,
    /// `repl-diskless-sync` is off here.
    DisklessOff,
    /// The replica's user may not use the second channel.
    RightMissing,
    /// It has failed so often in a row with this peer.
    Fallback {
        /// Failures.
        failures: u32,
    },
}

impl fmt::Display for WhyClassic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyClassic::NotOffered => f.write_str("peer did not offer it"),
            WhyClassic::SwitchedOff => f.write_str("dual-channel-replication-enabled is off"),
            WhyClassic::DisklessOff => f.write_str("repl-diskless-sync is off"),
            WhyClassic::RightMissing => f.write_str("permission missing (+sync)"),
            WhyClassic::Fallback { failures } => write!(f, "fallback after {failures} failures"),
        }
    }
}

/// Both reasons as a log line ends with them; empty when there is none.
pub(crate) fn in_brackets(why_full: Option<WhyFull>, why_classic: Option<WhyClassic>) -> String {
    let reasons = [
        why_full.map(|why| format!("not partial: {why}")),
        why_classic.map(|why| format!("not dual-channel: {why}")),
    ];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join("; ")),
    }
}

/// Bytes of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Received.
    pub bytes_in: u64,
    /// Sent.
    pub bytes_out: u64,
}

/// How much of a transfer is done, as it can be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes transferred.
    pub done_bytes: u64,
    /// Bytes in all; `None` = unknown.
    pub total_bytes: Option<u64>,
    /// The total is an estimate.
    pub is_estimate: bool,
    /// Bytes per second, lately.
    pub rate: u64,
}

impl Amount {
    /// Milliseconds until it is done, if it goes on like this.
    #[must_use]
    pub fn left_ms(&self) -> Option<u64> {
        let left = self.total_bytes?.saturating_sub(self.done_bytes);
        left.saturating_mul(1000).checked_div(self.rate)
    }
}

/// Milliseconds between two samples of a rate.
const SAMPLE_MS: u64 = 500;

/// Measures a rate: the mean of the newest sample and of what was known before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    since_ms: u64,
    bytes: u64,
    rate: u64,
}

impl Meter {
    pub(crate) fn start(now_ms: u64) -> Self {
        Meter {
            since_ms: now_ms,
            ..Meter::default()
        }
    }

    /// One that begins with so many bytes.
    pub(crate) fn resume(now_ms: u64, bytes: u64) -> Self {
        Meter {
            since_ms: now_ms,
            bytes,
            rate: 0,
        }
    }

    /// So many bytes have been transferred in all.
    pub(crate) fn sample(&mut self, now_ms: u64, bytes: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.since_ms);
        if elapsed_ms < SAMPLE_MS {
            return;
        }
        let newest = bytes.saturating_sub(self.bytes).saturating_mul(1000) / elapsed_ms;
        self.rate = match self.rate {
            0 => newest,
            rate => rate.midpoint(newest),
        };
        (self.since_ms, self.bytes) = (now_ms, bytes);
    }

    /// Bytes per second.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_what_is_transferred_and_tells_the_time_left() {
        let mut meter = Meter::start(1000);
        meter.sample(1100, 500);
        assert_eq!(meter.rate(), 0, "too early to say");
        meter.sample(2000, 1000);
        assert_eq!(meter.rate(), 1000);
        meter.sample(3000, 4000);
        assert_eq!(meter.rate(), 2000);
        let amount = Amount {
            done_bytes: 4000,
            total_bytes: Some(10_000),
            is_estimate: false,
            rate: meter.rate(),
        };
        assert_eq!(amount.left_ms(), Some(3000));
        assert_eq!(Amount { rate: 0, ..amount }.left_ms(), None);
    }
}
