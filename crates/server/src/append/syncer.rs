//! The thread that syncs: once a second with `everysec`, never with `no`; with `always` at once, where that takes so long
//! that others should be served meanwhile.
//!
//! While a sync runs more is written; all of that is the next one's.

use super::AppendFile;
use crate::shared::Shared;
use crate::{clock, logging};
use config::AppendFsync;
use engine::host::Level;
use parking_lot::MutexGuard;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Nanoseconds between the beginnings of two syncs with `everysec`.
const EVERY_NS: u64 = 1_000_000_000;

/// Nanoseconds between those with `always` of what no reply waits for.
const UNWANTED_EVERY_NS: u64 = 10_000_000;

impl AppendFile {
    /// Starts the thread.
    pub(crate) fn start_syncer(self: &Arc<Self>, shared: Weak<Shared>) {
        let file = Arc::clone(self);
        let thread = std::thread::Builder::new().name("aof-sync".into());
        if thread.spawn(move || file.keep_syncing(&shared)).is_err() {
            logging::log(
                Level::Warning,
                "Can't create a thread to sync the append-only file",
            );
        }
    }

    fn keep_syncing(&self, shared: &Weak<Shared>) {
        let mut mouth = self.mouth.lock();
        loop {
            match self.due_in_ns(&mouth) {
                None => {
                    mouth.syncer_is_idle = true;
                    self.woken.wait(&mut mouth);
                    mouth.syncer_is_idle = false;
                }
                Some(0) => {
                    self.sync(&mut mouth);
                    let news = mouth.news();
                    MutexGuard::unlocked(&mut mouth, || {
                        if let Some(shared) = shared.upgrade() {
                            let mut engine = shared.engine.lock();
                            if let Some(news) = news {
                                engine.hear_of_log(news);
                            }
                            engine.log_synced();
                        }
                    });
                }
                Some(ns) => {
                    self.woken.wait_for(&mut mouth, Duration::from_nanos(ns));
                }
            }
        }
    }

    /// Nanoseconds until the next sync; `None` while there is nothing to be synced, or nobody wants it.
    fn due_in_ns(&self, mouth: &super::Mouth) -> Option<u64> {
        if !mouth.unsynced || mouth.sync_since_ns.is_some() || self.is_paused() {
            return None;
        }
        if self.settings.fsync.is(AppendFsync::No) {
            return None;
        }
        let every_ns = match self.settings.fsync.is(AppendFsync::Always) {
            // Who tries again after a failure does not do so without a pause.
            true if mouth.sync_error.is_some() => EVERY_NS,
            true if mouth.sync_wanted => return Some(0),
            true => UNWANTED_EVERY_NS,
            false => EVERY_NS,
        };
        let next_ns = mouth.sync_begun_ns + every_ns;
        Some(next_ns.saturating_sub(clock::monotonic_ns()))
    }

    /// `no-appendfsync-on-rewrite`: no sync competes with a child for the disk.
    pub(super) fn is_paused(&self) -> bool {
        self.settings.not_beside_child.load(Ordering::Relaxed)
            && self.settings.child_lives.load(Ordering::Relaxed)
    }
}
