//! A log that begins with the snapshot that the primary has sent, where that lies in a file: the old log goes at the moment in
//! which the old data do, and not when a child has written the new ones.
//!
//! The file gets a second name, so this takes no time. It keeps the first one, the dump file's, and whoever overwrites that in
//! place would overwrite the base: a rewrite follows soon.

use super::AppendFile;
use crate::logging;
use aof::names::BaseForm;
use aof::rewrite::Log;
use config::Config;
use engine::host::Level;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A snapshot that has been received and synced.
pub(super) struct Received {
    path: PathBuf,
    /// To tell it from another file that takes its name.
    file: File,
}

impl Received {
    /// Gives the file a second name.
    fn link(&self, to: &Path) -> io::Result<()> {
        match std::fs::remove_file(to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::hard_link(&self.path, to)?,
        }
        let (linked, ours) = (std::fs::metadata(to)?, self.file.metadata()?);
        if (linked.dev(), linked.ino()) != (ours.dev(), ours.ino()) {
            // Nobody has seen it.
            let _ = std::fs::remove_file(to);
            return Err(io::Error::other("it has been replaced"));
        }
        Ok(())
    }
}

impl AppendFile {
    /// The snapshot of the primary that is being loaded lies, complete and synced, in this file.
    pub(crate) fn note_received(&self, path: &Path, file: &File) {
        let received = file.try_clone().map(|file| Received {
            path: path.to_owned(),
            file,
        });
        *self.received.lock() = received.ok();
    }

    /// It is of no use any more, or there is none.
    pub(crate) fn forget_received(&self) {
        *self.received.lock() = None;
    }

    /// Begins a log with that snapshot, which holds everything up to `position`. The engine's lock is held.
    ///
    /// # Errors
    /// There is no such file, or it cannot be had: nothing has changed. What is worth telling has been logged.
    pub(crate) fn begin_with_received(
        &self,
        config: &Config,
        position: u64,
        offset: u64,
    ) -> Result<(), String> {
        let received = self.received.lock().take();
        let received = received.ok_or("no snapshot lies in a file")?;
        self.begin_rewrite(config, Log::Starting, BaseForm::Rdb, position, offset)?;
        let pid = std::process::id();
        let base = self.for_child().map(|(names, _)| names.finished_base(pid));
        let linked = match base {
            Some(base) => received.link(&base).map_err(|error| {
                let why = aof::files::reason(&error);
                logging::log(
                    Level::Notice,
                    &format!("The snapshot received cannot become the base of the append-only file: {why}"),
                );
                why
            }),
            None => Err("no log is known".to_owned()),
        };
        linked
            .and_then(|()| self.commit_rewrite(pid))
            .inspect_err(|_| self.give_up_rewrite(Some(pid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_itself_gets_the_name() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let [dump, other, base] = ["dump", "other", "base"].map(|name| dir.path().join(name));
        std::fs::write(&dump, "received").expect("it can be written");
        // What a process of the same number has left is in nobody's way.
        std::fs::write(&base, "left").expect("it can be written");
        let received = Received {
            path: dump.clone(),
            file: File::open(&dump).expect("it is there"),
        };
        received.link(&base).expect("it is the same file");
        assert_eq!(std::fs::read(&base).expect("it is there"), b"received");
        std::fs::write(&other, "another").expect("it can be written");
        std::fs::rename(&other, &dump).expect("it can be replaced");
        assert!(received.link(&base).is_err());
        assert!(!base.exists());
    }
}
