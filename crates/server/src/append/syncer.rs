//! The thread that syncs: once a second with `everysec`, never with `no`; with `always` as soon as somebody waits for it, one
//! sync behind the other.
//!
//! While a sync runs more is written; all of that is the next one's.

use super::{AppendFile, Mouth};
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
            if self.due_in_ns(&mouth) == Some(0) {
                self.write_and_sync_for_all(&mut mouth, shared);
                continue;
            }
            self.syncer_waits.store(true, Ordering::SeqCst);
            // Once more: nobody was woken by who has asked before that.
            match self.due_in_ns(&mouth) {
                None => {
                    mouth.syncer_is_idle = true;
                    self.woken.wait(&mut mouth);
                    mouth.syncer_is_idle = false;
                }
                Some(0) => {}
                Some(ns) => {
                    self.woken.wait_for(&mut mouth, Duration::from_nanos(ns));
                }
            }
            self.syncer_waits.store(false, Ordering::SeqCst);
        }
    }

    /// Writes what is appended by now, syncs all that is written, and tells the engine.
    fn write_and_sync_for_all(&self, mouth: &mut MutexGuard<'_, Mouth>, shared: &Weak<Shared>) {
        // What is appended from here on may be asked for anew.
        if self.sync_wanted.swap(false, Ordering::SeqCst) {
            MutexGuard::unlocked(mouth, || {
                if let Some(shared) = shared.upgrade() {
                    shared.engine.lock().push_log();
                }
            });
            self.write(mouth);
        }
        if mouth.sync_since_ns.is_some() {
            // Somebody else has begun one meanwhile, perhaps before that was written. Who ends it wakes this thread.
            self.sync_wanted.store(true, Ordering::SeqCst);
            return;
        }
        if !mouth.unsynced {
            return;
        }
        self.sync(mouth);
        let news = mouth.news();
        MutexGuard::unlocked(mouth, || {
            if let Some(shared) = shared.upgrade() {
                let mut engine = shared.engine.lock();
                if let Some(news) = news {
                    engine.hear_of_log(news);
                }
                engine.log_synced();
            }
        });
    }

    /// Nanoseconds until the next sync; `None` while there is nothing to be synced, or nobody wants it.
    fn due_in_ns(&self, mouth: &Mouth) -> Option<u64> {
        if mouth.sync_since_ns.is_some() || mouth.own_syncs_wait > 0 || self.is_paused() {
            return None;
        }
        let always = self.settings.fsync.is(AppendFsync::Always);
        let wanted = always && self.sync_wanted.load(Ordering::SeqCst);
        if !mouth.unsynced && !wanted || self.settings.fsync.is(AppendFsync::No) {
            return None;
        }
        let every_ns = match always {
            // Who tries again after a failure does not do so without a pause.
            true if mouth.sync_error.is_some() => EVERY_NS,
            true if wanted => return Some(0),
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
