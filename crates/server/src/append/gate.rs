//! How far the append-only file has come, and who waits for it: a reply leaves when what it reveals is written, or synced
//! with `appendfsync always`.
//!
//! Positions count the bytes that the engine has appended since the process started. They never go back.

use crate::event_loop::Inbox;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The positions, for all threads to see.
#[derive(Default)]
pub(crate) struct Gate {
    /// Everything in front of it is with the kernel.
    written: AtomicU64,
    /// Everything in front of it is on the disk.
    synced: AtomicU64,
    /// The offset of the replication stream there.
    synced_offset: AtomicU64,
    /// What the disk has refused so far: nobody waits for it, since nobody knows when it will be taken.
    refused: AtomicU64,
    /// Replies wait for the sync.
    waits_for_sync: AtomicBool,
    /// The loops to be woken when the gate opens further.
    waiting: Mutex<Vec<Arc<Inbox>>>,
}

/// Why a reply that waited may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// What it reveals is as safe as it is to be.
    Safe,
    /// The disk has refused it.
    Refused,
}

impl Gate {
    /// Whether what reveals everything up to `position` may leave, and how; `None` while it has to wait.
    #[inline]
    pub(crate) fn passage(&self, position: u64) -> Option<Passage> {
        if self.is_safe(position) {
            Some(Passage::Safe)
        } else if position <= self.refused.load(Ordering::Acquire) {
            Some(Passage::Refused)
        } else {
            None
        }
    }

    #[inline]
    fn is_safe(&self, position: u64) -> bool {
        let reached = if self.waits_for_sync.load(Ordering::Relaxed) {
            &self.synced
        } else {
            &self.written
        };
        position <= reached.load(Ordering::Acquire)
    }

    /// Whether everything up to `position` is with the kernel.
    pub(crate) fn is_written(&self, position: u64) -> bool {
        position <= self.written.load(Ordering::Acquire)
    }

    /// Position up to which everything is on the disk, and the offset of the replication stream there.
    pub(crate) fn synced_with_offset(&self) -> (u64, u64) {
        // The offset may be an older one, which claims less.
        let offset = self.synced_offset.load(Ordering::Acquire);
        (self.synced.load(Ordering::Acquire), offset)
    }

    /// The offset of the replication stream up to which everything is on the disk. Offsets of another history may be
    /// smaller.
    pub(crate) fn set_synced_offset(&self, offset: u64) {
        self.synced_offset.store(offset, Ordering::Release);
    }

    /// Position up to which everything is with the kernel.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Everything up to `position` is with the kernel.
    pub(crate) fn set_written(&self, position: u64) {
        self.written.fetch_max(position, Ordering::AcqRel);
    }

    /// Everything up to `position` is on the disk.
    pub(crate) fn set_synced(&self, position: u64) {
        self.set_written(position);
        self.synced.fetch_max(position, Ordering::AcqRel);
        self.open();
    }

    /// The disk has refused what was appended up to `position`.
    pub(crate) fn refuse(&self, position: u64) {
        self.refused.fetch_max(position, Ordering::AcqRel);
        self.open();
    }

    /// Whether replies wait for the sync.
    pub(crate) fn waits_for_sync(&self) -> bool {
        self.waits_for_sync.load(Ordering::Relaxed)
    }

    /// Says whether replies wait for the sync.
    pub(crate) fn wait_for_sync(&self, wait: bool) {
        self.waits_for_sync.store(wait, Ordering::Relaxed);
        self.open();
    }

    /// Has a loop woken when there is news. False when `position` has been reached meanwhile: then look again.
    pub(crate) fn wake_at(&self, position: u64, inbox: &Arc<Inbox>) -> bool {
        let mut waiting = self.waiting.lock();
        if self.passage(position).is_some() {
            return false;
        }
        if !waiting.iter().any(|other| Arc::ptr_eq(other, inbox)) {
            waiting.push(Arc::clone(inbox));
        }
        true
    }

    /// Wakes the loops: they look for themselves whether it is far enough.
    fn open(&self) {
        for inbox in self.waiting.lock().drain(..) {
            inbox.wake_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_passes_when_what_it_shows_is_safe_or_refused() {
        let gate = Gate::default();
        assert_eq!(gate.passage(0), Some(Passage::Safe));
        assert_eq!(gate.passage(1), None);
        gate.set_written(5);
        assert_eq!(
            (gate.passage(5), gate.passage(6)),
            (Some(Passage::Safe), None)
        );
        gate.wait_for_sync(true);
        assert_eq!(gate.passage(5), None);
        gate.set_synced(4);
        assert_eq!(
            (gate.passage(4), gate.passage(5)),
            (Some(Passage::Safe), None)
        );
        gate.refuse(9);
        assert_eq!(gate.passage(9), Some(Passage::Refused));
        assert_eq!(gate.passage(10), None);
        // Positions never go back.
        gate.set_written(3);
        assert!(gate.is_written(5) && gate.written() == 5);
        assert_eq!(gate.synced_with_offset(), (4, 0));
    }
}
