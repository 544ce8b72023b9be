//! Slowing writers down, so that a replica that synchronises is not closed for what they write meanwhile.
//!
//! Above half of a replica's output limit every few kilobytes of stream are followed by a pause. What may still be written
//! is what the replica takes, and, spread over the time the snapshot still needs, what is left of the limit. As soon as
//! nothing moves any more, nobody waits: then the limit decides.

use super::hub::Hub;
use super::session::{Session, State};
use super::types::*;
use crate::ClientId;

/// Most bytes of stream between two pauses; fewer if they are paid with a longer pause than is wanted.
const STEP_BYTES_MAX: u64 = 16 * 1024;
/// And the fewest.
const STEP_BYTES_MIN: u64 = 512;
/// A pause that writers hardly notice, in milliseconds.
const PAUSE_MS: u64 = 10;
/// What a replica takes is measured over at least so many milliseconds.
const SAMPLE_MS: u64 = 50;
/// Longest pause at once, in milliseconds: the usual one is a few milliseconds long.
const PAUSE_MS_MAX: u64 = 1000;
/// Share of the limit from which on writers are paced, in percent.
const PACED_PERCENT: u64 = 50;
/// Share of the limit that is not to be passed, in percent.
const FULL_PERCENT: u64 = 95;
/// A synchronisation that moves nothing for so long is not waited for, in milliseconds.
const PROGRESS_MS: u64 = 2000;
/// How long the rest of a snapshot takes as long as that is not known, in milliseconds.
const UNKNOWN_LEFT_MS: u64 = 10_000;
/// And at least.
const LEFT_MS_MIN: u64 = 1000;
/// A replica that has so little in front of it has caught up, as a share of the limit.
const CAUGHT_UP_SHARE: u64 = 8;

/// How writers are paced.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// Bytes of stream per second that may be written; `None` = any number.
    rate: Option<u64>,
    /// Bytes written since the last pause.
    unpaid: u64,
    /// Bytes that synchronising replicas had taken, of snapshots and of the stream, when it was looked at last.
    moved: u64,
    moved_ms: u64,
    /// The same for the one that is furthest behind: who, bytes of stream, when.
    looked_at: Option<(ClientId, u64, u64)>,
    /// What that one takes, in bytes per second.
    drain: u64,
}

impl Hub {
    /// Whether writers are paced, and to how many bytes of stream per second.
    pub fn paced_to(&self) -> Option<u64> {
        self.pacing.rate
    }

    /// Whether replicas that synchronise are to be spared, as far as pacing can do it.
    pub(super) fn spares_syncing(&self, env: &Env<'_>) -> bool {
        env.config.sync_pacing
            && env.role == Role::Primary
            && env.now_ms.saturating_sub(self.pacing.moved_ms) <= PROGRESS_MS
    }

    /// Looks at how far replicas are behind, and decides how much may be written. Called on every tick.
    pub(super) fn look_at_pace(&mut self, env: &Env<'_>) {
        let limit = self.hard_limit(env);
        self.settle_caught_up(limit);
        let moved: u64 = self
            .sessions
            .values()
            .filter(|s| is_syncing(s))
            .map(|s| s.report.stream_sent + s.report.snapshot_sent())
            .sum();
        let pacing = &mut self.pacing;
        if moved != pacing.moved {
            (pacing.moved, pacing.moved_ms) = (moved, env.now_ms);
        }
        let Some((client, pinned, sent)) = self.furthest_behind() else {
            self.pacing.rate = None;
            self.pacing.looked_at = None;
            return;
        };
        let pacing = &mut self.pacing;
        let mut sent_before = None;
        match pacing.looked_at {
            Some((who, before, at_ms)) if who == client => {
                let elapsed_ms = env.now_ms.saturating_sub(at_ms);
                if elapsed_ms < SAMPLE_MS {
                    sent_before = Some((before, at_ms));
                } else {
                    let newest = sent.saturating_sub(before).saturating_mul(1000) / elapsed_ms;
                    pacing.drain = (pacing.drain * 3 + newest) / 4;
                }
            }
            _ => pacing.drain = 0,
        }
        let (sent, at_ms) = sent_before.unwrap_or((sent, env.now_ms));
        pacing.looked_at = Some((client, sent, at_ms));
        let is_near = limit > 0 && pinned > limit / 100 * PACED_PERCENT;
        let drain = pacing.drain;
        self.pacing.rate = (is_near && self.spares_syncing(env)).then(|| {
            let room = (limit / 100 * FULL_PERCENT).saturating_sub(pinned);
            drain + room.saturating_mul(1000) / self.left_ms()
        });
    }

    /// So much has been appended to the stream: from time to time it has to be waited for.
    pub(super) fn pace(&mut self, bytes: u64) {
        let Some(rate) = self.pacing.rate else { return };
        self.pacing.unpaid += bytes;
        let step = rate / (1000 / PAUSE_MS);
        if self.pacing.unpaid < step.clamp(STEP_BYTES_MIN, STEP_BYTES_MAX) {
            return;
        }
        let unpaid = std::mem::take(&mut self.pacing.unpaid);
        let ms = unpaid
            .saturating_mul(1000)
            .checked_div(rate)
            .map_or(PAUSE_MS_MAX, |ms| ms.clamp(1, PAUSE_MS_MAX));
        self.actions.push_back(Action::Pace { ms });
    }

    /// Replicas that have been online long enough to have nearly everything are on their own.
    fn settle_caught_up(&mut self, limit: u64) {
        let Some(backlog) = &self.backlog else { return };
        for session in self.sessions.values_mut() {
            if let State::Online { cursor } = &session.state
                && backlog.pending_bytes(cursor) <= limit / CAUGHT_UP_SHARE
            {
                session.report.has_caught_up = true;
            }
        }
    }

    /// The one that pins the most of the stream while it synchronises: who, how much, and what it has taken.
    fn furthest_behind(&self) -> Option<(ClientId, u64, u64)> {
        let sessions = self
            .sessions
            .iter()
            .filter(|(_, s)| is_syncing(s))
            .map(|(client, s)| (*client, self.memory_of(*client), s.report.stream_sent));
        let waiting = self.waiting.keys().map(|c| (*c, self.memory_of(*c), 0));
        sessions.chain(waiting).max_by_key(|(_, pinned, _)| *pinned)
    }

    /// How long the snapshots under way will take, in milliseconds.
    fn left_ms(&self) -> u64 {
        let receiving = self
            .sessions
            .values()
            .filter(|s| matches!(s.state, State::WaitEnd { .. } | State::SendBulk { .. }));
        let longest = receiving
            .map(|s| s.report.snapshot_left_ms().unwrap_or(UNKNOWN_LEFT_MS))
            .max();
        longest.unwrap_or(LEFT_MS_MIN).max(LEFT_MS_MIN)
    }
}

/// Whether a replica is being synchronised, or has not caught up since.
fn is_syncing(session: &Session) -> bool {
    match session.state {
        State::Normal | State::Parked | State::WaitStart { .. } | State::Done => false,
        State::Online { .. } => !session.report.has_caught_up,
        State::WaitEnd { .. }
        | State::SendBulk { .. }
        | State::AwaitAck { .. }
        | State::BgTransfer { .. } => true,
    }
}
