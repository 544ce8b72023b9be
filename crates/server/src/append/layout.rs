//! Which files make up the log, and how a rewrite and a switch change that.

use super::{AppendFile, MARKS};
use crate::{clock, logging};
use aof::files::{Disk, Files, Found, LogFile};
use aof::manifest::Manifest;
use aof::names::{BaseForm, Names};
use aof::rewrite::{Log, Rewrite};
use aof::start::{self, ManifestSeen, Refusal};
use aof::steps::{StepError, perform, remove_history};
use config::Config;
use engine::host::Level;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The files of the log, by their names.
#[derive(Default)]
pub(super) struct Layout {
    /// `None` as long as nobody has looked what lies there.
    pub(super) known: Option<Known>,
}

/// What is known of them.
pub(super) struct Known {
    pub(super) names: Names,
    pub(super) manifest: Manifest,
    /// The rewrite under way.
    pub(super) rewrite: Option<UnderWay>,
    /// Bytes of the base, and of all files but the one that is being written.
    pub(super) base_bytes: u64,
    pub(super) earlier_bytes: u64,
}

/// A rewrite under way.
pub(super) struct UnderWay {
    rewrite: Rewrite,
    log: Log,
    /// The base holds everything up to this position.
    position: u64,
    /// The offset of the replication stream there.
    offset: u64,
}

/// The names that the parameters give, in the folder the process is in.
pub(super) fn names(config: &Config) -> Names {
    let dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    Names::new(
        &dir,
        config.appenddirname.as_bytes(),
        config.appendfilename.as_bytes(),
    )
}

fn failed(error: &StepError) -> String {
    logging::log(Level::Warning, &error.to_string());
    error.to_string()
}

fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn size_of(path: &Path) -> u64 {
    match Disk.find(path) {
        Ok(Found::File(size)) => size,
        _ => 0,
    }
}

impl Known {
    /// The log whose manifest is `manifest`.
    pub(super) fn new(names: Names, manifest: Manifest) -> Self {
        let mut known = Known {
            names,
            manifest,
            rewrite: None,
            base_bytes: 0,
            earlier_bytes: 0,
        };
        known.measure();
        known
    }

    /// Looks how large the files are. The last increment is not counted: that is being written.
    fn measure(&mut self) {
        let size = |name: &[u8]| size_of(&self.names.path(name));
        let base = self.manifest.base.as_ref();
        self.base_bytes = base.map_or(0, |base| size(&base.name));
        let former = self.manifest.incr.len().saturating_sub(1);
        let former = self.manifest.incr[..former].iter();
        self.earlier_bytes = self.base_bytes + former.map(|entry| size(&entry.name)).sum::<u64>();
    }
}

impl Layout {
    /// What is known; looks at what lies there if nobody has done so, or when the log that begins is to lie elsewhere.
    fn get(&mut self, config: &Config, log: Log) -> Result<&mut Known, String> {
        let names = names(config);
        if log != Log::On {
            self.known.take_if(|known| known.names != names);
        }
        if self.known.is_none() {
            let seen = start::look(&Disk, &names, Path::new(""));
            let seen = seen.map_err(|error| error.to_string())?;
            // Whether everything is there matters to who loads it. What no manifest names must not be written over, though.
            if let Err(error @ Refusal::Unlisted(_)) = start::plan(&seen, &names) {
                return Err(error.to_string());
            }
            let manifest = match seen.manifest {
                ManifestSeen::Read(manifest) => manifest,
                ManifestSeen::Absent | ManifestSeen::Beginning => Manifest::default(),
            };
            self.known = Some(Known::new(names, manifest));
        }
        self.known
            .as_mut()
            .ok_or_else(|| "no log is known".to_owned())
    }
}

impl AppendFile {
    /// Prepares a rewrite: everything that has been appended, up to `position`, is written and synced; what is appended from
    /// now on goes to another file. The engine's lock is held: the base is to hold exactly what comes before.
    ///
    /// # Errors
    /// Why nothing has changed. It has been logged.
    pub(crate) fn begin_rewrite(
        &self,
        config: &Config,
        log: Log,
        form: BaseForm,
        position: u64,
        offset: u64,
    ) -> Result<(), String> {
        let warn = |error: String| {
            logging::log(Level::Warning, &error);
            error
        };
        let mut layout = self.layout.lock();
        let known = layout.get(config, log).map_err(warn)?;
        let mut mouth = self.mouth.lock();
        if log == Log::On {
            let written = self.write_and_sync(&mut mouth);
            let needs_base = mouth
                .writer
                .as_ref()
                .is_some_and(|writer| writer.needs_base() && writer.waiting() == 0);
            if !needs_base {
                written?;
            }
        }
        let (rewrite, begun) = Rewrite::begin(&known.names, &known.manifest, log, form, MARKS);
        perform(&Disk, &begun.steps).map_err(|error| failed(&error))?;
        let mut former_bytes = 0;
        if let Some(path) = &begun.file {
            let opened = Disk.open(path).and_then(|file| {
                let size = file.size()?;
                Ok((file, size))
            });
            let (file, size) = opened.map_err(|error| {
                warn(format!(
                    "Can't open the append-only file {}: {error}",
                    shown(path)
                ))
            })?;
            if log == Log::On {
                let handle = file.try_clone().map_err(|error| warn(error.to_string()))?;
                if let Some(writer) = &mut mouth.writer {
                    former_bytes = writer.size();
                    if writer.switch(file, size).is_err() {
                        return Err(warn("The append-only file is not on the disk.".to_owned()));
                    }
                }
                mouth.handle = Some(handle.into());
            } else {
                mouth
                    .open(file, size, position)
                    .map_err(|error| warn(error.to_string()))?;
                mouth.offset = offset;
                self.keep_for_sync(&mut mouth);
                self.gate.set_synced(position);
            }
            let name = shown(path);
            logging::log(
                Level::Notice,
                &format!("Creating AOF incr file {name} on background rewrite"),
            );
        }
        known.manifest = begun.manifest;
        known.earlier_bytes += former_bytes;
        self.publish_sizes(known);
        known.rewrite = Some(UnderWay {
            rewrite,
            log,
            position,
            offset,
        });
        Ok(())
    }

    /// The child of this number has written the base: it takes its place. The engine's lock is not held.
    ///
    /// # Errors
    /// The rewrite has failed. Why has been logged.
    pub(crate) fn commit_rewrite(&self, pid: u32) -> Result<(), String> {
        let mut layout = self.layout.lock();
        let Some(known) = layout.known.as_mut() else {
            return Err("no log is known".to_owned());
        };
        let Some(under_way) = known.rewrite.take() else {
            return Err("no rewrite is under way".to_owned());
        };
        let written = known.names.finished_base(pid);
        if under_way.log == Log::Starting
            && let Err(error) = self.write_and_sync(&mut self.mouth.lock())
        {
            known.rewrite = Some(under_way);
            return Err(error);
        }
        let committed = under_way.rewrite.commit(&known.names, &written);
        let started_ns = clock::monotonic_ns();
        if let Err(error) = perform(&Disk, &committed.steps) {
            known.rewrite = Some(under_way);
            return Err(failed(&error));
        }
        let line = format!(
            "Successfully renamed the temporary AOF base file {} into {}",
            shown(&written),
            shown(&committed.base)
        );
        logging::log(Level::Notice, &line);
        if let Some(incr) = &committed.incr {
            let line = format!(
                "Successfully renamed the temporary AOF incr file {} into {}",
                String::from_utf8_lossy(&known.names.temp_incr()),
                shown(incr)
            );
            logging::log(Level::Notice, &line);
        }
        self.note_slow("aof-rename", clock::monotonic_ns() - started_ns);
        known.manifest = committed.manifest;
        known.measure();
        self.publish_sizes(known);
        let mut mouth = self.mouth.lock();
        if let Some(writer) = &mut mouth.writer {
            writer.covered(under_way.position);
            let synced = writer.synced();
            let (_, offset) = self.gate.synced_with_offset();
            self.gate.set_synced_offset(offset.max(under_way.offset));
            self.gate.set_synced(synced);
        }
        Ok(())
    }

    /// The rewrite under way, for which the child of this number was to write the base, has come to nothing.
    pub(crate) fn give_up_rewrite(&self, pid: Option<u32>) {
        let mut layout = self.layout.lock();
        let Some(known) = layout.known.as_mut() else {
            return;
        };
        let bases = pid.map_or_else(Vec::new, |pid| {
            vec![known.names.temp_base(pid), known.names.finished_base(pid)]
        });
        let Some(under_way) = known.rewrite.take() else {
            return;
        };
        if under_way.log == Log::Starting {
            self.close_mouth();
            let line = format!(
                "Removing the temp incr aof file {} in the background",
                String::from_utf8_lossy(&known.names.temp_incr())
            );
            logging::log(Level::Notice, &line);
        }
        if let Err(error) = perform(&Disk, &under_way.rewrite.fail(&known.names, &bases)) {
            failed(&error);
        }
    }

    /// Tells how large the files are that are not written any more.
    pub(super) fn publish_sizes(&self, known: &Known) {
        self.base_bytes.store(known.base_bytes, Ordering::Relaxed);
        self.earlier_bytes
            .store(known.earlier_bytes, Ordering::Relaxed);
    }

    /// Removes what former rewrites have left, unless it is to be kept.
    pub(crate) fn remove_history(&self) {
        if self.settings.keeps_history.load(Ordering::Relaxed) {
            return;
        }
        let mut layout = self.layout.lock();
        let Some(known) = layout.known.as_mut() else {
            return;
        };
        if known.manifest.history.is_empty() {
            return;
        }
        for entry in &known.manifest.history {
            let name = String::from_utf8_lossy(&entry.name);
            logging::log(
                Level::Notice,
                &format!("Removing the history file {name} in the background"),
            );
        }
        let (steps, after) = remove_history(&known.names, &known.manifest);
        match perform(&Disk, &steps) {
            Ok(()) => known.manifest = after,
            Err(error) => drop(failed(&error)),
        }
    }

    /// Writes and syncs what there is; nothing is written from then on.
    pub(crate) fn stop(&self) {
        let mut mouth = self.mouth.lock();
        if let Err(error) = self.write_and_sync(&mut mouth) {
            logging::log(
                Level::Warning,
                &format!("The append-only file lacks its end: {error}"),
            );
        }
        drop(mouth);
        self.close_mouth();
    }

    /// Nothing is written from now on, and nobody waits for it.
    fn close_mouth(&self) {
        let mut mouth = self.mouth.lock();
        mouth.close();
        // What is queued goes nowhere.
        self.write(&mut mouth);
        let written = self.gate.written();
        self.gate.set_synced(written);
    }
}
