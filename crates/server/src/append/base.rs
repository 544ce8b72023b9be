//! The base of the log: written by a child, read again by DEBUG LOADAOF.

use super::AppendFile;
use aof::files::{Disk, Files, LogFile, reason};
use aof::names::Names;
use aof::steps::{Step, perform};
use engine::host::LogSource;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::Ordering;

/// Bytes between two syncs of a base that is being written. Same as the reference.
const SYNC_BYTES: u64 = 4 << 20;
/// What the writer of a snapshot is given as its buffer at least, so that a system call pays.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes a base under a temporary name, and gives it another one when it is complete and synced. Returns its size.
///
/// # Errors
/// What went wrong, as the log tells it. Whoever waits for the base removes what there is of it.
pub(crate) fn write_base(
    names: &Names,
    sync_often: bool,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u64, String> {
    let pid = std::process::id();
    let (temporary, finished) = (names.temp_base(pid), names.finished_base(pid));
    let failed = |error: io::Error| {
        format!(
            "Write error writing append only file on disk: {}",
            reason(&error)
        )
    };
    let file = Disk.create(&temporary).map_err(|error| {
        let reason = reason(&error);
        format!("Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): {reason}")
    })?;
    let syncing = Syncing {
        file,
        unsynced: 0,
        sync_often,
    };
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, syncing);
    fill(&mut buffered).map_err(failed)?;
    let mut syncing = buffered
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .map_err(failed)?;
    syncing.file.sync().map_err(failed)?;
    let size = syncing.file.size().map_err(failed)?;
    let line = format!(
        "Successfully created the temporary AOF base file {}",
        temporary.file_name().unwrap_or_default().display()
    );
    crate::logging::log(engine::host::Level::Notice, &line);
    let rename = Step::Rename {
        from: temporary,
        to: finished,
    };
    perform(&Disk, &[rename]).map_err(|error| error.to_string())?;
    Ok(size)
}

/// A file that is synced as it grows, so that its end need not wait for all of it.
struct Syncing {
    file: File,
    unsynced: u64,
    sync_often: bool,
}

impl Write for Syncing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.unsynced += count as u64;
        if self.sync_often && self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            LogFile::sync(&mut self.file)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl AppendFile {
    /// What a child has to know that writes the base.
    pub(crate) fn for_child(&self) -> Option<(Names, bool)> {
        let layout = self.layout.lock();
        let known = layout.known.as_ref()?;
        let often = self.settings.syncs_base_often.load(Ordering::Relaxed);
        Some((known.names.clone(), often))
    }

    /// Opens all files of the log, in order.
    ///
    /// # Errors
    /// Which one cannot be, and why.
    pub(crate) fn open_files(&self) -> Result<Vec<LogSource>, String> {
        let layout = self.layout.lock();
        let Some(known) = layout.known.as_ref() else {
            return Err("There is no append-only file".to_owned());
        };
        let open = |name: &[u8]| {
            let path = known.names.path(name);
            let opened = Disk.read(&path, 0).and_then(|file| {
                let size = file.metadata()?.len();
                Ok(LogSource {
                    name: String::from_utf8_lossy(name).into_owned(),
                    size,
                    source: Box::new(file),
                })
            });
            opened.map_err(|error| {
                format!(
                    "Fatal error: can't open the append log file {} for reading: {}",
                    String::from_utf8_lossy(name),
                    reason(&error)
                )
            })
        };
        known
            .manifest
            .data()
            .map(|entry| open(&entry.name))
            .collect()
    }
}
