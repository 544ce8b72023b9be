//! The one who writes: takes what is queued, writes it in one piece, and minds what the disk says.

use super::AppendFile;
use crate::shared::Shared;
use crate::{clock, logging};
use aof::writer::{SyncTicket, WriteError, Writer};
use config::AppendFsync;
use engine::aof::News;
use engine::host::Level;
use parking_lot::MutexGuard;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A sync that runs longer is worth a line in the log when more is written behind it.
const SLOW_SYNC_NS: u64 = 2_000_000_000;
/// A sync for a single client that takes no longer is left to no other thread: that would take as long to get its turn.
const SHORT_SYNC_NS: u64 = 4_000_000;
/// Nanoseconds between two lines about writes that fail.
const ERROR_LOGGED_EVERY_NS: u64 = 30_000_000_000;
/// Room for queued bytes that is kept from one turn to the next.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// What is known of the file that is being written.
#[derive(Default)]
pub(super) struct Mouth {
    /// `None` while no log is kept.
    pub(super) writer: Option<Writer<File>>,
    /// The same file, for the thread that syncs.
    pub(super) handle: Option<Arc<File>>,
    /// Bytes on their way from the queue.
    spare: Vec<u8>,
    /// Offset of the replication stream behind what is written.
    pub(super) offset: u64,
    /// There is something to be synced.
    pub(super) unsynced: bool,
    /// So many want to sync themselves when the sync that runs has ended: the thread must not begin another one first.
    pub(super) own_syncs_wait: usize,
    /// The thread that syncs waits for something to do, and not for its time.
    pub(super) syncer_is_idle: bool,
    /// When the sync that runs was begun, and when the last one was.
    pub(super) sync_since_ns: Option<u64>,
    pub(super) sync_begun_ns: u64,
    /// What the last one took.
    sync_took_ns: u64,
    /// The sync that runs has been called slow.
    called_slow: bool,
    pub(super) delayed_syncs: u64,
    /// What the disk says about writes and about syncs, if it refuses.
    pub(super) write_error: Option<String>,
    pub(super) sync_error: Option<String>,
    error_logged_ns: Option<u64>,
    /// The engine has been told of an error.
    told_error: bool,
    /// What took long, for the latency monitor: event and milliseconds.
    slow: Vec<(&'static str, u64)>,
}

fn now_ms() -> u64 {
    clock::monotonic_ns() / 1_000_000
}

impl Mouth {
    /// Writes to `file` from now on, of which `size` bytes are there and synced; positions go on from `position`.
    pub(super) fn open(&mut self, file: File, size: u64, position: u64) -> io::Result<()> {
        self.handle = Some(Arc::new(file.try_clone()?));
        self.writer = Some(Writer::new(file, size, super::MARKS).at(position));
        self.forget_errors();
        Ok(())
    }

    /// Nothing is written from now on.
    pub(super) fn close(&mut self) {
        self.writer = None;
        self.handle = None;
        self.unsynced = false;
        self.forget_errors();
    }

    fn forget_errors(&mut self) {
        self.write_error = None;
        self.sync_error = None;
        self.error_logged_ns = None;
    }

    /// Why writes are refused, if they are.
    pub(super) fn error(&self) -> Option<&String> {
        self.write_error.as_ref().or(self.sync_error.as_ref())
    }

    /// Whether there is something to tell the latency monitor.
    pub(super) fn was_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    /// What the engine has to hear of.
    pub(super) fn news(&mut self) -> Option<News> {
        let error = self.error().cloned();
        let slow = std::mem::take(&mut self.slow);
        let needs_base = self.writer.as_ref().is_some_and(Writer::needs_base);
        if !self.told_error && error.is_none() && slow.is_empty() && !needs_base {
            return None;
        }
        self.told_error = error.is_some();
        Some(News {
            error,
            slow,
            needs_base,
        })
    }
}

impl AppendFile {
    /// Takes over what the engine has appended: `bytes`, behind which the position is `position` and the offset of the
    /// stream `offset`. The engine's lock is held, so that they come in order. `bytes` is empty afterwards.
    pub(crate) fn push(&self, bytes: &mut Vec<u8>, position: u64, offset: u64) {
        let mut queue = self.queue.lock();
        if queue.bytes.is_empty() {
            std::mem::swap(&mut queue.bytes, bytes);
        } else {
            queue.bytes.append(bytes);
        }
        queue.position = position;
        queue.offset = offset;
    }

    /// Writes everything up to `position`, unless somebody has done so. Nobody holds a lock.
    pub(crate) fn flush(&self, shared: &Shared, position: u64) {
        if self.gate.is_written(position) {
            return;
        }
        shared.engine.lock().push_log();
        let mut mouth = self.mouth.lock();
        if self.gate.is_written(position) {
            return;
        }
        let took_ns = self.write(&mut mouth);
        self.loop_ns.fetch_add(took_ns, Ordering::Relaxed);
        self.wake_syncer(&mouth);
        let news = mouth.news();
        drop(mouth);
        if let Some(news) = news {
            shared.engine.lock().hear_of_log(news);
        }
    }

    /// Has everything that has been appended written and synced, since somebody waits for `position` to be: by the thread that
    /// does nothing else, at once, or when the sync that runs has ended.
    ///
    /// Meanwhile the others are served. While one half of the clients waits for the disk the other half has its replies and asks
    /// again, so that neither the disk nor the processor waits for the other. Nobody but the thread touches the file then: a
    /// write beside a sync may have to wait for it.
    pub(crate) fn ask_for_sync(&self, position: u64) {
        if self.gate.passage(position).is_some() {
            return;
        }
        self.sync_wanted.store(true, Ordering::SeqCst);
        if self.syncer_waits.load(Ordering::SeqCst) {
            // It holds the lock from when it says so until it waits.
            drop(self.mouth.lock());
            self.woken.notify_one();
        }
    }

    /// The same for one client that is alone, and what it waits for is written: here and now, where that takes no time.
    pub(crate) fn sync_for_one(&self, shared: &Shared, position: u64) {
        if self.gate.passage(position).is_some() {
            return;
        }
        let mut mouth = self.mouth.lock();
        if !self.syncs_here(&mouth) {
            drop(mouth);
            return self.ask_for_sync(position);
        }
        self.sync(&mut mouth);
        self.loop_ns
            .fetch_add(mouth.sync_took_ns, Ordering::Relaxed);
        self.wake_syncer(&mouth);
        let news = mouth.news();
        drop(mouth);
        let mut engine = shared.engine.lock();
        if let Some(news) = news {
            engine.hear_of_log(news);
        }
        engine.log_synced();
    }

    /// Whether who has written syncs as well: where that is so short that waking another thread, and being woken by it, would
    /// not pay.
    fn syncs_here(&self, mouth: &Mouth) -> bool {
        mouth.unsynced
            && mouth.sync_since_ns.is_none()
            && mouth.sync_error.is_none()
            && mouth.sync_took_ns <= SHORT_SYNC_NS
            && self.settings.fsync.is(AppendFsync::Always)
            && !self.is_paused()
    }

    /// Wakes the thread that syncs if it waits for something to do, and there is.
    pub(super) fn wake_syncer(&self, mouth: &Mouth) {
        let has_work = mouth.unsynced || self.sync_wanted.load(Ordering::SeqCst);
        if mouth.syncer_is_idle && has_work && mouth.sync_since_ns.is_none() {
            self.woken.notify_one();
        }
    }

    /// Syncs what is written. Others write meanwhile.
    pub(super) fn sync(&self, mouth: &mut MutexGuard<'_, Mouth>) {
        let Some((ticket, file, offset)) = self.begin_sync(mouth) else {
            mouth.unsynced = false;
            return;
        };
        let result = MutexGuard::unlocked(mouth, || file.sync_data());
        self.end_sync(mouth, ticket, offset, &result);
    }

    /// Writes all that is queued; nanoseconds that it took. With `always` a disk that refuses is the end of the process.
    pub(super) fn write(&self, mouth: &mut Mouth) -> u64 {
        let mut queue = self.queue.lock();
        std::mem::swap(&mut queue.bytes, &mut mouth.spare);
        let (position, offset) = (queue.position, queue.offset);
        drop(queue);
        let Some(writer) = &mut mouth.writer else {
            mouth.spare.clear();
            self.gate.set_synced(position);
            return 0;
        };
        if !mouth.spare.is_empty() {
            let spare = &mouth.spare;
            writer.append(|buffer| buffer.extend_from_slice(spare));
            mouth.spare.clear();
            mouth.spare.shrink_to(SPARE_BYTES_MAX);
        }
        if writer.waiting() == 0 {
            return 0;
        }
        let began_ns = clock::monotonic_ns();
        let mut started_ns = began_ns;
        let sleep_us = self.settings.flush_sleep_us.load(Ordering::Relaxed);
        if sleep_us > 0 {
            pause(sleep_us);
            // It is part of the loop's time, but nothing that the disk would be blamed for.
            started_ns = clock::monotonic_ns();
        }
        let result = writer.flush(started_ns / 1_000_000);
        let ended_ns = clock::monotonic_ns();
        self.note_time(mouth, started_ns, ended_ns);
        match result {
            Ok(_) => {
                self.note_memory(mouth);
                mouth.offset = offset;
                mouth.unsynced = true;
                if mouth.write_error.take().is_some() {
                    mouth.error_logged_ns = None;
                    let line = "AOF write error looks solved. The server can write again.";
                    logging::log(Level::Warning, line);
                }
                self.gate.set_written(position);
            }
            Err(error) => self.refused(mouth, position, &error),
        }
        ended_ns - began_ns
    }

    /// The disk has not taken what was appended up to `position`.
    #[cold]
    fn refused(&self, mouth: &mut Mouth, position: u64, error: &WriteError) {
        let now_ns = clock::monotonic_ns();
        let is_due = mouth
            .error_logged_ns
            .is_none_or(|last| now_ns - last >= ERROR_LOGGED_EVERY_NS);
        if is_due {
            mouth.error_logged_ns = Some(now_ns);
            logging::log(Level::Warning, &error.to_string());
        }
        if self.settings.fsync.is(AppendFsync::Always) {
            give_up(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
            );
        }
        mouth.write_error = Some(error.reason());
        self.gate.refuse(position);
    }

    /// Whether something that took so long is to be told to the latency monitor.
    fn is_slow(&self, ms: u64) -> bool {
        let threshold = self.settings.latency_ms.load(Ordering::Relaxed);
        threshold > 0 && ms >= threshold
    }

    /// Tells the latency monitor of something, with the next news, if it took long.
    pub(super) fn note_slow(&self, event: &'static str, took_ns: u64) {
        let ms = took_ns / 1_000_000;
        if self.is_slow(ms) {
            self.mouth.lock().slow.push((event, ms));
        }
    }

    /// What is kept takes memory that is no client's.
    fn note_memory(&self, mouth: &Mouth) {
        let memory = mouth.writer.as_ref().map_or(0, Writer::memory);
        self.memory.store(memory, Ordering::Relaxed);
    }

    /// Measures a write for the latency monitor, and minds a sync that it had to be put behind.
    fn note_time(&self, mouth: &mut Mouth, started_ns: u64, ended_ns: u64) {
        let ms = (ended_ns - started_ns) / 1_000_000;
        if self.is_slow(ms) {
            let beside = if mouth.sync_since_ns.is_some() {
                "aof-write-pending-fsync"
            } else if self.settings.child_lives.load(Ordering::Relaxed) {
                "aof-write-active-child"
            } else {
                "aof-write-alone"
            };
            mouth.slow.push((beside, ms));
            mouth.slow.push(("aof-write", ms));
        }
        let slow = mouth
            .sync_since_ns
            .is_some_and(|since| ended_ns.saturating_sub(since) > SLOW_SYNC_NS);
        if slow && !mouth.called_slow {
            mouth.called_slow = true;
            mouth.delayed_syncs += 1;
            logging::log(
                Level::Notice,
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down the server.",
            );
        }
    }

    /// A sync begins, of all that is written by now: what it is about, and the offset of the stream there.
    pub(super) fn begin_sync(&self, mouth: &mut Mouth) -> Option<(SyncTicket, Arc<File>, u64)> {
        let now_ns = clock::monotonic_ns();
        let ticket = mouth.writer.as_ref()?.begin_sync(now_ns / 1_000_000);
        let handle = Arc::clone(mouth.handle.as_ref()?);
        mouth.unsynced = false;
        mouth.called_slow = false;
        mouth.sync_begun_ns = now_ns;
        mouth.sync_since_ns = Some(now_ns);
        Some((ticket, handle, mouth.offset))
    }

    /// A sync has ended.
    pub(super) fn end_sync(
        &self,
        mouth: &mut Mouth,
        ticket: SyncTicket,
        offset: u64,
        result: &io::Result<()>,
    ) {
        let began_ns = mouth.sync_since_ns.take();
        let took_ns = began_ns.map_or(0, |began| clock::monotonic_ns().saturating_sub(began));
        mouth.sync_took_ns = took_ns;
        self.sync_ended.notify_all();
        let Some(writer) = &mut mouth.writer else {
            return;
        };
        let before = writer.synced();
        let synced = writer.end_sync(ticket, result.is_ok());
        self.memory.store(writer.memory(), Ordering::Relaxed);
        if synced > before {
            self.gate.set_synced_offset(offset);
        }
        match result {
            Ok(()) => {
                mouth.sync_error = None;
                self.gate.set_synced(synced);
                let always = self.settings.fsync.is(AppendFsync::Always);
                let ms = took_ns / 1_000_000;
                if always && self.is_slow(ms) {
                    mouth.slow.push(("aof-fsync-always", ms));
                }
            }
            Err(error) => self.not_synced(mouth, error),
        }
    }

    /// What was to be synced may never reach the disk: it is written again in its place.
    #[cold]
    fn not_synced(&self, mouth: &mut Mouth, error: &io::Error) {
        let reason = aof::files::reason(error);
        if self.settings.fsync.is(AppendFsync::Always) {
            give_up(&format!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {reason}. Exiting..."
            ));
        }
        let line = format!("Fail to fsync the AOF file: {reason}");
        logging::log(Level::Warning, &line);
        mouth.sync_error = Some(reason);
        mouth.unsynced = true;
        self.write(mouth);
        self.wake_syncer(mouth);
    }

    /// Writes and syncs everything that the engine has appended and pushed, here and now.
    ///
    /// # Errors
    /// Why not all of it is on the disk.
    pub(super) fn write_and_sync(&self, mouth: &mut MutexGuard<'_, Mouth>) -> Result<(), String> {
        // Of two syncs at once only one may be told of an error.
        while mouth.sync_since_ns.is_some() {
            mouth.own_syncs_wait += 1;
            self.sync_ended.wait(mouth);
            mouth.own_syncs_wait -= 1;
            self.wake_syncer(mouth);
        }
        self.write(mouth);
        if let Some(error) = &mouth.write_error {
            return Err(error.clone());
        }
        let offset = mouth.offset;
        let Some(writer) = &mut mouth.writer else {
            return Ok(());
        };
        match writer.sync(now_ms()) {
            Ok(synced) => {
                self.gate.set_synced_offset(offset);
                mouth.sync_error = None;
                mouth.unsynced = false;
                self.gate.set_synced(synced);
                Ok(())
            }
            Err(error) => {
                self.not_synced(mouth, &error);
                Err(aof::files::reason(&error))
            }
        }
    }
}

/// DEBUG AOF-FLUSH-SLEEP.
#[cold]
fn pause(microseconds: u64) {
    std::thread::sleep(std::time::Duration::from_micros(microseconds));
}

/// The promise of `always` cannot be kept: nobody is answered any more.
#[cold]
fn give_up(line: &str) -> ! {
    logging::log(Level::Warning, line);
    crate::startup::clean_up();
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    #[test]
    fn what_takes_long_is_told_with_the_next_news() {
        let config = Config {
            latency_monitor_threshold: 1,
            ..Config::default()
        };
        let file = AppendFile::new(&config);
        file.note_slow("aof-rename", 999_999);
        assert!(!file.mouth.lock().was_slow());
        file.note_slow("aof-rename", 5_000_000);
        let news = file.mouth.lock().news().expect("something was slow");
        assert_eq!(news.slow, [("aof-rename", 5)]);
        assert_eq!(file.mouth.lock().news(), None);
    }
}
