//! What the link can tell of its synchronisation: for INFO, REPLICATION STATUS and the log.

use super::link::{Link, Main, RdbState};
use super::types::{Channel, Phase, SyncReport};
use crate::Level;
use crate::sync::{Amount, Meter, SyncMode, Traffic, WhyClassic, WhyFull, in_brackets};
use std::fmt::Write;

/// Bytes at the start of a snapshot in which its auxiliary fields are looked for.
const HEAD_BYTES: usize = 512;

/// What is known beside the link's state. What concerns one attempt is forgotten when the next one begins to synchronise.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) mode: Option<SyncMode>,
    pub(super) why_full: Option<WhyFull>,
    pub(super) why_classic: Option<WhyClassic>,
    pub(super) main: Traffic,
    pub(super) rdb: Traffic,
    pub(super) meter: Meter,
    /// Bytes of the snapshot that have come, also once it is loaded.
    pub(super) received: u64,
    pub(super) size: Option<u64>,
    /// The first bytes of the snapshot, until the estimate is found in them.
    head: Vec<u8>,
    /// About what the snapshot takes: the memory that the primary says it uses.
    estimate: Option<u64>,
    /// Full synchronisations that have failed since one succeeded.
    pub(super) failures: u32,
    /// Those of them that used two channels, since it was given up for one attempt.
    pub(super) dual_failures: u32,
    /// All that have failed since the start.
    pub(super) failures_total: u64,
    /// The last warning of an attempt: why it will have failed.
    pub(super) warning: Option<String>,
    /// Why the last attempt has failed.
    pub(super) cause: String,
    /// The last phase that the log was told.
    told: Option<Phase>,
}

impl Report {
    /// An attempt begins.
    pub(super) fn restart(&mut self) {
        self.main = Traffic::default();
        self.rdb = Traffic::default();
        self.warning = None;
        self.told = None;
    }

    /// How this attempt goes on is known.
    pub(super) fn begin(&mut self, mode: SyncMode, why_full: Option<WhyFull>) {
        self.mode = Some(mode);
        self.why_full = why_full;
        self.received = 0;
        self.size = None;
        self.estimate = None;
        self.head.clear();
    }

    /// A snapshot begins to arrive.
    pub(super) fn snapshot(&mut self, now_ms: u64, size: Option<u64>) {
        self.size = size;
        self.meter = Meter::start(now_ms);
    }

    /// The rest of one begins to arrive.
    pub(super) fn resume(&mut self, now_ms: u64, bytes: u64) {
        self.received = bytes;
        self.meter = Meter::resume(now_ms, bytes);
    }

    /// More of it has come.
    pub(super) fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        if self.received < HEAD_BYTES as u64 && self.estimate.is_none() && self.size.is_none() {
            let room = HEAD_BYTES - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.estimate = used_memory(&self.head);
        }
        self.received += bytes.len() as u64;
        self.meter.sample(now_ms, self.received);
    }

    pub(super) fn traffic(&mut self, channel: Channel) -> &mut Traffic {
        match channel {
            Channel::Main => &mut self.main,
            Channel::Rdb => &mut self.rdb,
        }
    }

    fn amount(&self, is_complete: bool) -> Amount {
        let estimate = self.estimate.map(|bytes| bytes.max(self.received));
        let known = self.size.or(is_complete.then_some(self.received));
        Amount {
            done_bytes: self.received,
            total_bytes: known.or(estimate),
            is_estimate: known.is_none() && estimate.is_some(),
            rate: self.meter.rate(),
        }
    }
}

/// The auxiliary field `used-mem` in the first bytes of a snapshot.
fn used_memory(head: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = b"\x08used-mem";
    let at = head.windows(FIELD.len()).position(|w| w == FIELD)?;
    let value = &head[at + FIELD.len()..];
    let bytes = |range: std::ops::Range<usize>| value.get(range);
    match *value.first()? {
        0xc0 => Some(u64::from(*value.get(1)?)),
        0xc1 => Some(u16::from_le_bytes(bytes(1..3)?.try_into().ok()?).into()),
        0xc2 => Some(u32::from_le_bytes(bytes(1..5)?.try_into().ok()?).into()),
        // A number too big for those is written as text.
        length @ 1..=20 => crate::text::parse_u64(bytes(1..1 + usize::from(length))?),
        _ => None,
    }
}

impl Link {
    /// What this link does at the moment.
    pub fn phase(&self) -> Phase {
        let rdb = self.rdb.as_ref().map(|rdb| rdb.state);
        match (self.state, rdb) {
            (Main::Off, _) => Phase::None,
            (Main::Waiting, _) => Phase::Waiting,
            (Main::Connecting, _) => Phase::Connecting,
            (Main::Draining, _) => Phase::Draining,
            (Main::Connected, _) => Phase::Online,
            (Main::Payload, _) | (_, Some(RdbState::Payload)) => Phase::Receiving,
            (Main::Loading, _) | (_, Some(RdbState::Loading)) => Phase::Loading,
            (_, Some(RdbState::Loaded)) => Phase::AwaitingStream,
            (Main::AwaitHeader, _)
            | (_, Some(RdbState::AwaitEndoff))
            | (_, Some(RdbState::AwaitHeader)) => Phase::AwaitingSnapshot,
            _ => Phase::Handshake,
        }
    }

    /// How the synchronisation under way, or the last one, has gone.
    pub fn report(&self, now_ms: u64, buffer_bytes_max: u64, spill_bytes_max: u64) -> SyncReport {
        let report = &self.report;
        let phase = self.phase();
        let is_complete = matches!(
            phase,
            Phase::Loading | Phase::AwaitingStream | Phase::Draining | Phase::Online
        );
        SyncReport {
            mode: report.mode,
            why_full: report.why_full,
            why_classic: report.why_classic,
            phase,
            compressed: self.compressed || self.rdb.as_ref().is_some_and(|rdb| rdb.compressed),
            snapshot: report.amount(is_complete),
            buffer_bytes: self.buffer.bytes(),
            buffer_bytes_max,
            buffer_bytes_peak: self.buffer.peak(),
            spilled_bytes: self.buffer.spilled(),
            spilled_bytes_peak: self.buffer.spilled_peak(),
            spill_bytes_max,
            main: report.main,
            rdb: report.rdb,
            failures: report.failures,
            failures_total: report.failures_total,
            cause: report.cause.clone(),
            next_attempt_ms: (self.state == Main::Waiting)
                .then(|| self.next_attempt_ms.saturating_sub(now_ms)),
        }
    }

    /// Tells the log of a phase that has begun.
    pub(super) fn tell_phase(&mut self) {
        let phase = self.phase();
        if self.report.told == Some(phase) {
            return;
        }
        self.report.told = Some(phase);
        let report = &self.report;
        let mut text = format!("Synchronization with PRIMARY {}:{}: ", self.host, self.port);
        match phase {
            Phase::AwaitingSnapshot => text.push_str("waiting for the snapshot"),
            Phase::Receiving => text.push_str("receiving the snapshot"),
            Phase::Loading => {
                let _ = write!(text, "loading the snapshot of {} bytes", report.received);
            }
            Phase::AwaitingStream => text.push_str("waiting for the stream"),
            Phase::Draining => {
                let bytes = self.buffer.bytes() + self.buffer.spilled();
                let _ = write!(text, "applying {bytes} bytes of buffered stream");
            }
            Phase::Online => text.push_str("online"),
            Phase::None | Phase::Waiting | Phase::Connecting | Phase::Handshake => return,
        }
        if let Some(mode) = report.mode {
            let _ = write!(text, ", {mode}");
        }
        text.push_str(&in_brackets(report.why_full, report.why_classic));
        self.log(Level::Notice, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_found_in_the_fields_of_a_snapshot() {
        let head = |value: &[u8]| [b"REDIS0011\xfa\x08used-mem", value].concat();
        assert_eq!(used_memory(&head(b"\xc0\x7f")), Some(127));
        assert_eq!(used_memory(&head(b"\xc1\x00\x01")), Some(256));
        assert_eq!(used_memory(&head(b"\xc2\x00\x00\x00\x80")), Some(1 << 31));
        assert_eq!(used_memory(&head(b"\x0a4294967296")), Some(1 << 32));
        for cut in [&b""[..], b"\xc2\x00", b"\x0a42", b"\xc3\x01", b"\x02x1"] {
            assert_eq!(used_memory(&head(cut)), None, "{cut:?}");
        }
    }
}
