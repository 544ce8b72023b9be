//! The file that is kept of a snapshot that goes to connections, for replicas that come late: written by the snapshot
//! child, read by connections of its parent while it grows and afterwards.

use crate::spill::unnamed_file;
use crate::tally::Tally;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// All of it is there; before that, zero says that it is still being written.
const COMPLETE: u64 = 1;
/// It has become too big, or could not be written.
const LOST: u64 = 2;

/// The file, and how far it is written.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    file: File,
    tally: Arc<Tally>,
}

impl SpoolFile {
    /// An empty one without a name, in the working directory. The child tells by `tally` how far it is.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(tally: Arc<Tally>) -> io::Result<SpoolFile> {
        let file = unnamed_file("spool")?;
        Ok(SpoolFile { file, tally })
    }

    /// Reads what there is at `at`, and moves that on. Nothing is the end; pending, that more is to come.
    ///
    /// # Errors
    /// It cannot be read, or is lost.
    pub(crate) fn read(&self, at: &mut u64, into: &mut [u8]) -> io::Result<Poll<usize>> {
        // In this order: what is complete does not grow.
        let state = self.tally.spool_state().load(Ordering::Acquire);
        let written = self.tally.spool_bytes().load(Ordering::Acquire);
        if state == LOST {
            return Err(io::Error::other("the snapshot that was kept is lost"));
        }
        let there = written.saturating_sub(*at);
        if there == 0 {
            return match state {
                COMPLETE if *at == written => Ok(Poll::Ready(0)),
                COMPLETE => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Poll::Pending),
            };
        }
        let wanted = usize::try_from(there).map_or(into.len(), |there| there.min(into.len()));
        let count = self.file.read_at(&mut into[..wanted], *at)?;
        *at += count as u64;
        match count {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(Poll::Ready(count)),
        }
    }

    /// Whether it is of no use.
    pub(crate) fn is_lost(&self) -> bool {
        self.tally.spool_state().load(Ordering::Acquire) == LOST
    }

    /// The child's end.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    pub(crate) fn writer(&self, bytes_max: u64) -> io::Result<SpoolWriter> {
        Ok(SpoolWriter {
            file: self.file.try_clone()?,
            tally: Arc::clone(&self.tally),
            buffer: Vec::new(),
            written: 0,
            bytes_max,
        })
    }
}

/// Writes the file.
pub(crate) struct SpoolWriter {
    file: File,
    tally: Arc<Tally>,
    buffer: Vec<u8>,
    written: u64,
    bytes_max: u64,
}

impl SpoolWriter {
    /// Its descriptor.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Adds bytes. When they are too many, or cannot be written, the file is given up, and takes no more room.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.is_lost() {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Everything has been added.
    pub(crate) fn finish(&mut self) {
        self.flush();
        if !self.is_lost() {
            self.tally.spool_state().store(COMPLETE, Ordering::Release);
        }
    }

    /// Whether it has been given up.
    pub(crate) fn is_lost(&self) -> bool {
        self.tally.spool_state().load(Ordering::Relaxed) == LOST
    }

    fn flush(&mut self) {
        let len = self.buffer.len() as u64;
        let fits = self.written + len <= self.bytes_max;
        if !fits || self.file.write_all_at(&self.buffer, self.written).is_err() {
            self.tally.spool_state().store(LOST, Ordering::Release);
            self.buffer = Vec::new();
            // It is gone as soon as nobody has it open.
            let _ = self.file.set_len(0);
            return;
        }
        self.written += len;
        self.buffer.clear();
        self.tally
            .spool_bytes()
            .store(self.written, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spool: &SpoolFile, at: &mut u64) -> io::Result<Poll<usize>> {
        spool.read(at, &mut [0; 1000])
    }

    #[test]
    fn it_is_read_while_it_grows_and_from_the_middle() {
        let tally = Arc::new(Tally::new().expect("a page"));
        let spool = SpoolFile::new(tally).expect("a file");
        let mut writer = spool.writer(1 << 20).expect("a descriptor");
        let mut at = 0;
        assert!(matches!(read(&spool, &mut at), Ok(Poll::Pending)));
        writer.write(&[7; BUFFER_BYTES]);
        writer.write(b"end");
        at = BUFFER_BYTES as u64 - 10;
        assert!(matches!(read(&spool, &mut at), Ok(Poll::Ready(10))));
        assert!(matches!(read(&spool, &mut at), Ok(Poll::Pending)));
        writer.finish();
        assert!(matches!(read(&spool, &mut at), Ok(Poll::Ready(3))));
        assert!(matches!(read(&spool, &mut at), Ok(Poll::Ready(0))));
        at += 1;
        assert!(read(&spool, &mut at).is_err(), "nobody can have more");
    }

    #[test]
    fn one_that_is_too_big_takes_no_room() {
        let tally = Arc::new(Tally::new().expect("a page"));
        let spool = SpoolFile::new(tally).expect("a file");
        let mut writer = spool.writer(100_000).expect("a descriptor");
        writer.write(&[7; BUFFER_BYTES]);
        assert!(!spool.is_lost());
        writer.write(&[7; BUFFER_BYTES]);
        assert!(spool.is_lost() && read(&spool, &mut 0).is_err());
        writer.finish();
        assert!(spool.is_lost());
        assert_eq!(spool.file.metadata().expect("its size").len(), 0);
    }
}
