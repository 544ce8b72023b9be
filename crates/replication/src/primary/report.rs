//! What the hub can tell of its replicas' synchronisations: for INFO, REPLICATION STATUS and the log.

use super::hub::Hub;
use super::session::{Session, State};
use super::types::*;
use crate::sync::{Amount, Meter, SyncMode, WhyClassic, WhyFull, in_brackets};
use crate::{ClientId, Level};

/// What is known of one replica's synchronisation beside its state.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) mode: Option<SyncMode>,
    pub(super) why_full: Option<WhyFull>,
    pub(super) why_classic: Option<WhyClassic>,
    /// Bytes of the snapshot that its connection has taken.
    snapshot_sent: u64,
    /// Bytes of the snapshot in all, once they are known.
    snapshot_size: Option<u64>,
    /// What they are thought to be before.
    estimate: Option<u64>,
    meter: Meter,
    /// Bytes of the stream that its connection has taken.
    pub(super) stream_sent: u64,
    /// The most of the stream it has pinned.
    pinned_peak: u64,
    /// It has had nearly all of the stream since it was synchronised.
    pub(super) has_caught_up: bool,
}

impl Report {
    /// Its snapshot begins to be sent.
    pub(super) fn snapshot(&mut self, now_ms: u64, mode: SyncMode, estimate: Option<u64>) {
        self.mode = Some(mode);
        self.estimate = estimate;
        self.meter = Meter::start(now_ms);
        (self.snapshot_sent, self.snapshot_size) = (0, None);
        self.has_caught_up = false;
    }

    /// Bytes of the snapshot that its connection has taken.
    pub(super) fn snapshot_sent(&self) -> u64 {
        self.snapshot_sent
    }

    /// How much of it is done.
    fn amount(&self) -> Amount {
        let sent = self.snapshot_sent;
        let total = self
            .snapshot_size
            .or(self.estimate.map(|bytes| bytes.max(sent)));
        Amount {
            done_bytes: sent,
            total_bytes: total,
            is_estimate: total.is_some() && self.snapshot_size.is_none(),
            rate: self.meter.rate(),
        }
    }

    /// How long the rest will take, in milliseconds.
    pub(super) fn snapshot_left_ms(&self) -> Option<u64> {
        self.amount().left_ms()
    }

    /// The size of its snapshot is known.
    pub(super) fn snapshot_size(&mut self, bytes: u64) {
        self.snapshot_size = Some(bytes);
    }
}

impl Hub {
    /// A snapshot that starts now will have about so many bytes.
    pub fn expect_snapshot(&mut self, bytes: u64) {
        self.snapshot_estimate = Some(bytes);
    }

    /// A connection has taken so many bytes of its snapshot.
    pub fn snapshot_progress(&mut self, now_ms: u64, client: ClientId, bytes: u64) {
        if let Some(session) = self.sessions.get_mut(&client)
            && bytes > session.report.snapshot_sent
        {
            session.report.snapshot_sent = bytes;
            session.report.meter.sample(now_ms, bytes);
        }
    }

    /// A connection has taken so many bytes more of a file.
    pub fn snapshot_taken(&mut self, now_ms: u64, client: ClientId, bytes: u64) {
        if let Some(session) = self.sessions.get(&client) {
            let sent = session.report.snapshot_sent + bytes;
            self.snapshot_progress(now_ms, client, sent);
        }
    }

    /// One report for each client that takes part, in the order in which they came.
    pub fn reports(&self, env: &Env<'_>) -> Vec<ReplicaReport> {
        let mut sessions: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| !matches!(s.state, State::Normal))
            .collect();
        sessions.sort_by_key(|(_, s)| s.joined);
        let grace_ms = env.config.rdb_client_grace_ms;
        let mut reports: Vec<ReplicaReport> = sessions
            .into_iter()
            .map(|(client, session)| self.report_of(*client, session, env))
            .collect();
        // Snapshot channels that have closed, kept until their main channel comes.
        for (client, waiting) in &self.waiting {
            let Some(closed_ms) = waiting.closed_ms else {
                continue;
            };
            reports.push(ReplicaReport {
                client: *client,
                name: waiting.name.clone(),
                mode: Some(SyncMode::DualChannel),
                why_full: None,
                why_classic: None,
                phase: "waiting-for-main-channel",
                is_rdb_channel: true,
                snapshot: Amount::default(),
                pinned_bytes: self.memory_of(*client),
                pinned_bytes_peak: self.memory_of(*client),
                pinned_bytes_max: self.hard_limit(env),
                stream_sent: 0,
                grace_left_ms: Some(grace_ms.saturating_sub(env.now_ms.saturating_sub(closed_ms))),
            });
        }
        reports
    }

    fn report_of(&self, client: ClientId, session: &Session, env: &Env<'_>) -> ReplicaReport {
        let report = &session.report;
        let phase = match &session.state {
            State::Normal | State::Done => "done",
            State::Parked => "waiting-for-snapshot-channel",
            State::WaitStart { .. } => "waiting-for-snapshot",
            State::WaitEnd { disk: true, .. } => "saving-snapshot",
            State::WaitEnd { .. } | State::SendBulk { .. } => "sending-snapshot",
            State::AwaitAck { .. } => "waiting-for-ack",
            State::BgTransfer { .. } => "buffering-at-replica",
            State::Online { .. } => "online",
        };
        let pinned_bytes = self.memory_of(client);
        ReplicaReport {
            client,
            name: session.name(),
            mode: report.mode,
            why_full: report.why_full,
            why_classic: report.why_classic,
            phase,
            is_rdb_channel: session.requirements.rdb_channel,
            snapshot: report.amount(),
            pinned_bytes,
            pinned_bytes_peak: report.pinned_peak.max(pinned_bytes),
            pinned_bytes_max: self.hard_limit(env),
            stream_sent: report.stream_sent,
            grace_left_ms: None,
        }
    }

    /// The most of the stream that one replica may pin, in bytes; 0 = no bound.
    pub(super) fn hard_limit(&self, env: &Env<'_>) -> u64 {
        match (env.config.output_limit.hard_bytes, &self.backlog) {
            (0, _) | (_, None) => env.config.output_limit.hard_bytes,
            (hard, Some(backlog)) => hard.max(backlog.size()),
        }
    }

    /// Notes what replicas pin now.
    pub(super) fn note_pinned(&mut self) {
        let Some(backlog) = &self.backlog else { return };
        for session in self.sessions.values_mut() {
            if let Some(cursor) = session.state.cursor() {
                let bytes = backlog.memory_of(cursor);
                session.report.pinned_peak = session.report.pinned_peak.max(bytes);
            }
        }
    }

    /// A synchronisation has failed.
    pub(super) fn count_failure(&mut self, client: ClientId, cause: &str) {
        let session = self.sessions.get(&client).map(Session::name);
        let name = session.or_else(|| Some(self.waiting.get(&client)?.name.clone()));
        self.failed_syncs += 1;
        self.last_failure = format!("{}: {cause}", name.unwrap_or_default());
    }

    /// Synchronisations that have failed since the start, and what became of the last of them.
    pub fn failures(&self) -> (u64, &str) {
        (self.failed_syncs, &self.last_failure)
    }

    /// Why a replica that wants all of our data gets them on one channel.
    pub(super) fn note_classic(&mut self, env: &Env<'_>, client: ClientId) {
        let session = self.session(client);
        if session.requirements.rdb_channel || session.rdb_only {
            return;
        }
        session.report.why_classic = Some(if !session.offered_dual {
            WhyClassic::NotOffered
        } else if !env.config.diskless_sync {
            WhyClassic::DisklessOff
        } else {
            WhyClassic::SwitchedOff
        });
    }

    /// Tells the log how a replica is going to be synchronised.
    pub(super) fn tell_way(&mut self, client: ClientId) {
        let session = self.session(client);
        let report = &session.report;
        let Some(mode) = report.mode else { return };
        let mut text = format!("Synchronization of replica {}: {mode}", session.name());
        text.push_str(&in_brackets(report.why_full, report.why_classic));
        self.log(Level::Notice, text);
    }
}
