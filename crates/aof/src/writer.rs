//! Bytes on their way to the disk: what waits, what was written, what is synced.
//!
//! ```text
//!        synced          written            appended
//!  --------|----------------|-------------------|
//!  on disk |  with the kernel; kept here too    |  waits here
//! ```
//!
//! Positions count the bytes of all units since the log was opened, through all its files, without marks. A reply may
//! leave when what it reveals is written (or synced, as the policy says).
//!
//! A sync that failed says nothing about its bytes, and neither does one that succeeds afterwards: the kernel may have
//! dropped them. They are therefore kept until a sync has succeeded, and written again in their place after one that has
//! not.

use std::io::{self, Read};
use std::path::Path;

use crate::encoder::mark;
use crate::files::{Files, LogFile, reason, write_all_at};
use crate::limits::{PENDING_BYTES_KEPT, PENDING_BYTES_MAX, READ_BYTES, UNSYNCED_BYTES_KEPT_MAX};

/// Whether marks are written (see [`crate::encoder`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// In front of the first write behind each sync.
    On,
    /// No bytes but those of the reference.
    Off,
}

/// Why bytes were not written. They wait, and the next attempt begins with them.
#[derive(Debug)]
pub enum WriteError {
    /// The disk took none of them.
    Failed(io::Error),
    /// It took some, which have been cut off again.
    Short {
        /// How many.
        written: usize,
        /// How many there were.
        wanted: usize,
    },
    /// It took some, which could not be cut off: they stay, and the next attempt goes on behind them.
    NotCut(io::Error),
}

impl WriteError {
    /// Why, in the words of the system. A disk that takes only a part is full.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Failed(error) | Self::NotCut(error) => reason(error),
            Self::Short { .. } => "No space left on device".to_owned(),
        }
    }
}

impl std::fmt::Display for WriteError {
    /// The lines that the reference logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "Error writing to the AOF file: {}", reason(error))
            }
            Self::Short { written, wanted } => write!(
                f,
                "Short write while writing to the AOF file: (nwritten={written}, expected={wanted})"
            ),
            Self::NotCut(error) => write!(
                f,
                "Could not remove short write from the append-only file. The server may refuse to load the AOF the next \
                 time it starts.  ftruncate: {}",
                reason(error)
            ),
        }
    }
}

impl std::error::Error for WriteError {}

/// A sync that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SyncTicket {
    /// What it covers if it succeeds.
    position: u64,
    /// Bytes of the file that it covers.
    size: u64,
    /// When it was begun.
    at_ms: u64,
    /// The file that it is about.
    file: u64,
}

/// Writes one log.
#[derive(Debug)]
pub struct Writer<F> {
    file: F,
    marks: Marks,
    /// Changes with each file.
    file_number: u64,
    /// Bytes of the file, and those of them that are synced.
    size: u64,
    synced_size: u64,
    /// Whether the next write begins with a mark.
    mark_due: bool,
    /// Bytes of the file since the last sync, then (from `waits_from`) those that wait. Without the former when they have
    /// become too many to be kept.
    buffer: Vec<u8>,
    waits_from: usize,
    /// Whether the buffer has all bytes since the last sync.
    kept: bool,
    /// How many of those it may have.
    kept_max: usize,
    /// A sync has failed, and its bytes could not be written again: only a new base helps.
    in_doubt: bool,
    appended: u64,
    written: u64,
    synced: u64,
    /// When the oldest byte that is not synced was written.
    unsynced_since_ms: Option<u64>,
}

/// Makes sure that all of an increment that was loaded is on the disk, and opens it. What follows may be written, here or
/// to another file, once this has been done for all of them.
///
/// `synced_to` is what its marks say ([`crate::reader::LogReader::synced_to`]). What stands behind that is written again,
/// since whoever was here before may have ended when a sync had failed, and then the kernel shows bytes that it will never
/// bring to the disk.
///
/// # Errors
/// Those of the disk.
pub fn settle<D: Files>(files: &D, path: &Path, synced_to: Option<u64>) -> io::Result<D::File> {
    let mut file = files.open(path)?;
    if let Some(synced_to) = synced_to {
        write_again(&mut file, files.read(path, synced_to)?, synced_to)?;
    }
    file.sync()?;
    Ok(file)
}

/// Opens the last increment to be written on: [`settle`], and a mark. The file with the bytes that it has then.
///
/// # Errors
/// Those of the disk.
pub fn begin<D: Files>(
    files: &D,
    path: &Path,
    synced_to: Option<u64>,
    marks: Marks,
) -> io::Result<(D::File, u64)> {
    let mut file = settle(files, path, synced_to)?;
    let mut size = file.size()?;
    if marks == Marks::On {
        let mark = mark(size);
        write_all_at(&mut file, size, &mark)?;
        file.sync()?;
        size = size.saturating_add(mark.len() as u64);
    }
    Ok((file, size))
}

fn write_again(file: &mut impl LogFile, mut input: impl Read, mut offset: u64) -> io::Result<()> {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let count = input
            .by_ref()
            .take(READ_BYTES as u64)
            .read_to_end(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        write_all_at(file, offset, &piece)?;
        offset = offset.saturating_add(count as u64);
    }
}

impl<F: LogFile> Writer<F> {
    /// Goes on behind the `size` bytes of `file`, which are synced. With marks, the last of them must be one: call
    /// [`begin`] first.
    pub fn new(file: F, size: u64, marks: Marks) -> Self {
        Self {
            file,
            marks,
            file_number: 0,
            size,
            synced_size: size,
            mark_due: false,
            buffer: Vec::new(),
            waits_from: 0,
            kept: true,
            kept_max: UNSYNCED_BYTES_KEPT_MAX,
            in_doubt: false,
            appended: 0,
            written: 0,
            synced: 0,
            unsynced_since_ms: None,
        }
    }

    /// The same, with positions that begin at `position`: where those of another file have ended, for whoever counts through
    /// all of them.
    #[must_use]
    pub fn at(mut self, position: u64) -> Self {
        (self.appended, self.written, self.synced) = (position, position, position);
        self
    }

    /// Position behind all that was appended.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Position up to which everything is with the kernel: it survives the end of the process. It goes back when a sync
    /// has failed, though the bytes are still there.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Position up to which everything is on the disk: it survives a loss of power.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// Bytes of the file, for `aof_current_size`.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that wait, for `aof_buffer_length`.
    pub fn waiting(&self) -> usize {
        self.buffer.len().saturating_sub(self.waits_from)
    }

    /// Whether so many bytes wait that nobody should append.
    pub fn is_full(&self) -> bool {
        self.waiting() >= PENDING_BYTES_MAX
    }

    /// Memory of the buffer in bytes, for `mem_aof_buffer`.
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// Bytes written but not synced.
    pub fn unsynced(&self) -> u64 {
        self.written.saturating_sub(self.synced)
    }

    /// When the oldest of them was written; never later than that.
    pub fn unsynced_since_ms(&self) -> Option<u64> {
        self.unsynced_since_ms
    }

    /// Whether only a new base can make what was written durable.
    pub fn needs_base(&self) -> bool {
        self.in_doubt
    }

    /// How many bytes since the last sync are kept in case that it fails; zero for who never syncs (`appendfsync no`). When
    /// there are more, only a new base makes a failed sync good.
    pub fn set_kept_max(&mut self, bytes: usize) {
        self.kept_max = bytes;
        self.trim();
    }

    /// The file.
    pub fn file(&mut self) -> &mut F {
        &mut self.file
    }

    /// Appends what `encode` puts into the buffer, which is whole units; the position behind it.
    pub fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
        if self.buffer.len() == self.waits_from && self.mark_due {
            // Not counted: marks are no part of any unit.
            self.mark_due = false;
            self.buffer.extend_from_slice(&mark(self.synced_size));
        }
        let had = self.buffer.len();
        encode(&mut self.buffer);
        let added = self.buffer.len().saturating_sub(had);
        self.appended = self.appended.saturating_add(added as u64);
        self.appended
    }

    /// Writes all that waits, in one call to the system.
    ///
    /// # Errors
    /// Why not; what waits goes on waiting.
    pub fn flush(&mut self, now_ms: u64) -> Result<u64, WriteError> {
        let bytes = self.buffer.get(self.waits_from..).unwrap_or_default();
        let wanted = bytes.len();
        if wanted == 0 {
            return Ok(self.written);
        }
        let result = loop {
            match self.file.write_at(self.size, bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let written = result.map_err(WriteError::Failed)?.min(wanted);
        if written < wanted {
            // Written again as a whole: a loss of power must not find the first part gone and the second one there.
            return match self.file.truncate(self.size) {
                Ok(()) => Err(WriteError::Short { written, wanted }),
                Err(error) => {
                    self.count_written(written, now_ms);
                    Err(WriteError::NotCut(error))
                }
            };
        }
        self.count_written(wanted, now_ms);
        self.written = self.appended;
        self.trim();
        Ok(self.written)
    }

    fn count_written(&mut self, bytes: usize, now_ms: u64) {
        self.size = self.size.saturating_add(bytes as u64);
        self.waits_from = self.waits_from.saturating_add(bytes);
        self.unsynced_since_ms.get_or_insert(now_ms);
    }

    /// Lets go of what need not or cannot be kept.
    fn trim(&mut self) {
        if self.waits_from > self.kept_max {
            self.kept = false;
        }
        if !self.kept {
            self.forget(self.waits_from);
        }
    }

    /// Removes so many bytes from the front of the buffer.
    fn forget(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        self.waits_from = self.waits_from.saturating_sub(bytes);
        if self.buffer.len() < PENDING_BYTES_KEPT {
            self.buffer.shrink_to(PENDING_BYTES_KEPT);
        }
    }

    /// Begins a sync of all that was written; whoever does it (here or elsewhere) tells [`end_sync`](Self::end_sync).
    pub fn begin_sync(&self, now_ms: u64) -> SyncTicket {
        SyncTicket {
            position: self.written,
            size: self.size,
            at_ms: now_ms,
            file: self.file_number,
        }
    }

    /// A sync has ended. The position up to which everything is synced.
    ///
    /// After one that failed, what it was about waits to be written again, in its old place.
    pub fn end_sync(&mut self, ticket: SyncTicket, succeeded: bool) -> u64 {
        if ticket.file != self.file_number || ticket.size <= self.synced_size {
            // About a file that was synced and left since, or about nothing.
            return self.synced;
        }
        if !succeeded {
            self.write_again();
        } else if !self.in_doubt && ticket.size <= self.size {
            let covered = ticket.size.saturating_sub(self.synced_size) as usize;
            self.synced_size = ticket.size;
            self.synced = self.synced.max(ticket.position);
            if self.kept {
                self.forget(covered);
            }
            let clean = self.synced_size == self.size;
            self.kept = self.kept || clean;
            self.unsynced_since_ms = (!clean).then_some(ticket.at_ms);
            self.mark_due = self.marks == Marks::On;
        }
        self.synced
    }

    fn write_again(&mut self) {
        if !self.kept {
            self.in_doubt = true;
            return;
        }
        self.size = self.synced_size;
        self.waits_from = 0;
        self.written = self.synced;
    }

    /// Syncs here and now. The position up to which everything is synced.
    ///
    /// # Errors
    /// Those of the disk; what was to be synced waits to be written again.
    pub fn sync(&mut self, now_ms: u64) -> io::Result<u64> {
        let ticket = self.begin_sync(now_ms);
        let result = self.file.sync();
        let synced = self.end_sync(ticket, result.is_ok());
        result.map(|()| synced)
    }

    /// Whether everything appended is on the disk: only then another file may follow this one.
    pub fn is_clean(&self) -> bool {
        self.synced == self.appended && !self.in_doubt
    }

    /// Goes on with `file`, an empty one of which `size` bytes (its first mark) are on the disk; the former one is
    /// returned.
    ///
    /// # Errors
    /// `file` itself, when not everything is on the disk: what follows would survive what it follows.
    pub fn switch(&mut self, file: F, size: u64) -> Result<F, F> {
        let settled = self.is_clean() || self.in_doubt;
        if self.waiting() > 0 || !settled {
            return Err(file);
        }
        self.file_number = self.file_number.wrapping_add(1);
        self.forget(self.waits_from);
        self.kept = true;
        self.size = size;
        self.synced_size = size;
        self.unsynced_since_ms = None;
        self.mark_due = false;
        Ok(std::mem::replace(&mut self.file, file))
    }

    /// A base that covers everything up to `position` is on the disk, and everything behind that is in this file.
    pub fn covered(&mut self, position: u64) {
        self.synced = self.synced.max(position.min(self.written));
        self.in_doubt = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeDisk, Fault};
    use std::collections::VecDeque;

    /// A file in memory that does next what it is told.
    #[derive(Default)]
    struct Scripted {
        bytes: Vec<u8>,
        writes: VecDeque<io::Result<usize>>,
        cuts: VecDeque<io::Result<()>>,
        syncs: VecDeque<io::Result<()>>,
    }

    impl LogFile for Scripted {
        fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            let count = self.writes.pop_front().unwrap_or(Ok(bytes.len()))?;
            let end = offset as usize + count;
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[offset as usize..end].copy_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.syncs.pop_front().unwrap_or(Ok(()))
        }

        fn truncate(&mut self, bytes: u64) -> io::Result<()> {
            self.cuts.pop_front().unwrap_or(Ok(()))?;
            self.bytes.truncate(bytes as usize);
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    fn writer(marks: Marks) -> Writer<Scripted> {
        Writer::new(Scripted::default(), 0, marks)
    }

    fn put(writer: &mut Writer<Scripted>, text: &str) -> u64 {
        writer.append(|buffer| buffer.extend_from_slice(text.as_bytes()))
    }

    #[test]
    fn positions_move_as_bytes_do() {
        let mut writer = writer(Marks::Off);
        assert_eq!(put(&mut writer, "hello"), 5);
        assert_eq!((writer.written(), writer.waiting()), (0, 5));
        assert_eq!(writer.flush(10).unwrap(), 5);
        assert_eq!(
            (writer.unsynced(), writer.unsynced_since_ms()),
            (5, Some(10))
        );
        let ticket = writer.begin_sync(20);
        put(&mut writer, "abc");
        writer.flush(30).unwrap();
        assert_eq!(writer.end_sync(ticket, true), 5);
        assert_eq!(
            (writer.unsynced(), writer.unsynced_since_ms()),
            (3, Some(20))
        );
        assert_eq!(writer.sync(40).unwrap(), 8);
        assert_eq!((writer.unsynced(), writer.unsynced_since_ms()), (0, None));
        assert_eq!(writer.file().bytes, b"helloabc");
    }

    #[test]
    fn what_a_full_disk_takes_not_waits() {
        let mut writer = writer(Marks::Off);
        writer.file.writes = [Err(full()), Ok(2), Ok(2)].into();
        writer.file.cuts = [Ok(()), Err(full())].into();
        put(&mut writer, "hello");
        assert!(matches!(writer.flush(0), Err(WriteError::Failed(_))));
        let error = writer.flush(0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Short write while writing to the AOF file: (nwritten=2, expected=5)"
        );
        assert_eq!((writer.file().bytes.len(), writer.waiting()), (0, 5));
        assert!(matches!(writer.flush(0), Err(WriteError::NotCut(_))));
        assert_eq!(
            (writer.size(), writer.waiting(), writer.written()),
            (2, 3, 0)
        );
        // What is on the disk now is no whole unit.
        assert_eq!(writer.sync(0).unwrap(), 0);
        put(&mut writer, "!");
        assert_eq!(writer.flush(0).unwrap(), 6);
        assert_eq!(writer.file().bytes, b"hello!");
        assert_eq!(writer.sync(0).unwrap(), 6);
    }

    #[test]
    fn a_sync_that_failed_is_not_made_good_by_another() {
        let mut writer = writer(Marks::Off);
        put(&mut writer, "one");
        writer.flush(0).unwrap();
        writer.sync(0).unwrap();
        put(&mut writer, "two");
        writer.flush(0).unwrap();
        writer.file.syncs = [Err(full())].into();
        assert!(writer.sync(0).is_err());
        // The kernel has dropped them.
        writer.file.bytes[3..].fill(0);
        assert_eq!(writer.sync(0).unwrap(), 3);
        put(&mut writer, "three");
        assert_eq!(writer.flush(0).unwrap(), 11);
        assert_eq!(writer.sync(0).unwrap(), 11);
        assert_eq!(writer.file().bytes, b"onetwothree");
        assert!(writer.is_clean() && !writer.needs_base());
    }

    #[test]
    fn too_much_to_be_kept_needs_a_base_after_a_failed_sync() {
        let mut writer = writer(Marks::Off);
        let position = writer.append(|buffer| buffer.resize(UNSYNCED_BYTES_KEPT_MAX + 1, b'x'));
        assert!(writer.is_full());
        writer.flush(0).unwrap();
        assert!(writer.memory() <= PENDING_BYTES_KEPT);
        writer.file.syncs = [Err(full())].into();
        assert!(writer.sync(0).is_err());
        assert!(writer.needs_base());
        assert_eq!(writer.sync(0).unwrap(), 0);
        assert!(writer.switch(Scripted::default(), 0).is_ok());
        writer.covered(position);
        assert_eq!(writer.synced(), position);
        put(&mut writer, "y");
        writer.flush(0).unwrap();
        assert_eq!(writer.sync(0).unwrap(), position + 1);
    }

    #[test]
    fn who_never_syncs_keeps_nothing() {
        let mut writer = writer(Marks::Off);
        writer.set_kept_max(0);
        for _ in 0..100 {
            writer.append(|buffer| buffer.resize(buffer.len() + (1 << 20), b'x'));
            writer.flush(0).unwrap();
            assert_eq!(writer.waiting(), 0);
            assert!(writer.memory() <= PENDING_BYTES_KEPT);
        }
        // On the way out everything is synced all the same.
        assert_eq!(writer.sync(0).unwrap(), 100 << 20);
        assert!(writer.is_clean());
    }

    #[test]
    fn what_no_mark_claims_is_written_again_at_a_start() {
        let (disk, path) = (FakeDisk::with_folder(Path::new("/d")), Path::new("/d/a"));
        let mut file = disk.create(path).unwrap();
        write_all_at(&mut file, 0, b"synced").unwrap();
        file.sync().unwrap();
        disk.sync_folder(Path::new("/d")).unwrap();
        write_all_at(&mut file, 6, b"doubtful").unwrap();
        let operations = disk.operations();
        disk.set_fault(operations, Fault::Fail, 4);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        let content = |disk: &FakeDisk| {
            let mut bytes = Vec::new();
            disk.read(path, 0).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(content(&disk.after_power_loss(0)), b"synced");
        let disk = disk.after_kill();
        let (_, size) = begin(&disk, path, Some(6), Marks::On).unwrap();
        assert_eq!(
            content(&disk.after_power_loss(0)),
            b"synceddoubtful#SYNC:14\r\n"
        );
        assert_eq!(size, 24);
    }

    #[test]
    fn another_file_follows_only_what_is_on_the_disk() {
        let mut writer = writer(Marks::On);
        put(&mut writer, "a");
        assert!(writer.switch(Scripted::default(), 0).is_err());
        writer.flush(0).unwrap();
        assert!(writer.switch(Scripted::default(), 0).is_err());
        let late = writer.begin_sync(0);
        writer.sync(0).unwrap();
        let next = Scripted {
            bytes: mark(0),
            ..Scripted::default()
        };
        let Ok(former) = writer.switch(next, 9) else {
            panic!("refused")
        };
        assert_eq!(former.bytes, b"a");
        put(&mut writer, "b");
        writer.flush(0).unwrap();
        // A sync of the former file says nothing about this one.
        assert_eq!(writer.end_sync(late, true), 1);
        assert_eq!(writer.sync(0).unwrap(), 2);
        put(&mut writer, "c");
        put(&mut writer, "d");
        writer.flush(0).unwrap();
        assert_eq!(writer.file().bytes, b"#SYNC:0\r\nb#SYNC:10\r\ncd");
        assert_eq!(writer.written(), 4);
    }
}
