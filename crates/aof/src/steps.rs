//! What is done to files, as values: whoever decides on it does not do it, and it stops at the first step that fails.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{Files, Found, LogFile, reason, write_all_at};
use crate::manifest::Manifest;
use crate::names::Names;

/// One thing done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A folder is made, unless it is there.
    CreateFolder(PathBuf),
    /// An empty file is made, in the place of whatever had the name.
    Create(PathBuf),
    /// A file is written whole, and reaches the disk.
    Write {
        /// Its name.
        path: PathBuf,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// What was written to a file reaches the disk.
    Sync(PathBuf),
    /// A file gets another name.
    Rename {
        /// The old one.
        from: PathBuf,
        /// The new one, which it takes from whatever had it.
        to: PathBuf,
    },
    /// The names in a folder reach the disk.
    SyncFolder(PathBuf),
    /// A file is removed, if it is there.
    Remove(PathBuf),
}

/// What part of a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// To get hold of the file.
    Open,
    /// To write it.
    Write,
    /// To sync it.
    Sync,
    /// The step as a whole.
    Whole,
}

/// A step that failed; those before it were done, and those behind it were not begun.
#[derive(Debug)]
pub struct StepError {
    /// The step.
    pub step: Step,
    /// What of it failed.
    pub part: Part,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for StepError {
    /// The line that the reference logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = reason(&self.error);
        match (&self.step, self.part) {
            (Step::CreateFolder(path), _) => write!(
                f,
                "Can't open or create append-only dir {}: {why}",
                name(path)
            ),
            (Step::Write { path, .. }, Part::Open) => {
                write!(f, "Can't open the AOF manifest file {}: {why}", name(path))
            }
            (Step::Write { path, .. }, Part::Write) => write!(
                f,
                "Error trying to write the temporary AOF manifest file {}: {why}",
                name(path)
            ),
            (Step::Write { path, .. } | Step::Sync(path), _) => {
                write!(f, "Fail to fsync the temp AOF file {}: {why}", name(path))
            }
            (Step::Create(path), _) => {
                write!(f, "Can't open the append-only file {}: {why}", name(path))
            }
            (Step::Rename { from, to }, _)
                if to.extension().is_some_and(|end| end == "manifest") =>
            {
                write!(
                    f,
                    "Error trying to rename the temporary AOF manifest file {} into {}: {why}",
                    name(from),
                    name(to)
                )
            }
            (Step::Rename { from, to }, _) => write!(
                f,
                "Error trying to rename the AOF file {} into {}: {why}",
                name(from),
                name(to)
            ),
            (Step::SyncFolder(path), _) => {
                write!(f, "Fail to fsync AOF directory {}: {why}", path.display())
            }
            (Step::Remove(path), _) => {
                write!(
                    f,
                    "Error trying to remove the AOF file {}: {why}",
                    name(path)
                )
            }
        }
    }
}

impl std::error::Error for StepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

fn name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}

/// Does all steps, in order.
///
/// # Errors
/// The first step that fails; the rest is left out.
pub fn perform<F: Files>(files: &F, steps: &[Step]) -> Result<(), StepError> {
    steps.iter().try_for_each(|step| {
        one(files, step).map_err(|(part, error)| StepError {
            step: step.clone(),
            part,
            error,
        })
    })
}

fn one<F: Files>(files: &F, step: &Step) -> Result<(), (Part, io::Error)> {
    let at = |part| move |error| (part, error);
    match step {
        Step::CreateFolder(path) => files.create_folder(path).map_err(at(Part::Whole)),
        Step::Create(path) => files.create(path).map(drop).map_err(at(Part::Open)),
        Step::Write { path, bytes } => {
            let mut file = files.create(path).map_err(at(Part::Open))?;
            write_all_at(&mut file, 0, bytes).map_err(at(Part::Write))?;
            file.sync().map_err(at(Part::Sync))
        }
        Step::Sync(path) => {
            let mut file = files.open(path).map_err(at(Part::Open))?;
            file.sync().map_err(at(Part::Sync))
        }
        Step::Rename { from, to } => files.rename(from, to).map_err(at(Part::Whole)),
        Step::SyncFolder(path) => files.sync_folder(path).map_err(at(Part::Whole)),
        Step::Remove(path) => match files.find(path).map_err(at(Part::Whole))? {
            Found::Nothing => Ok(()),
            _ => files.remove(path).map_err(at(Part::Whole)),
        },
    }
}

/// The steps that put `bytes` in the place of the manifest, so that a crash leaves the old one or the new one, whole.
///
/// What it names must have reached the disk before.
#[must_use]
pub fn replace_manifest_bytes(names: &Names, bytes: Vec<u8>) -> Vec<Step> {
    let temp = names.path(&names.temp_manifest());
    vec![
        Step::Write {
            path: temp.clone(),
            bytes,
        },
        Step::Rename {
            from: temp,
            to: names.manifest_path(),
        },
        Step::SyncFolder(names.folder().to_owned()),
    ]
}

/// The same for a manifest.
#[must_use]
pub fn replace_manifest(names: &Names, manifest: &Manifest) -> Vec<Step> {
    replace_manifest_bytes(names, manifest.print())
}

/// The steps that remove what a manifest names as history, and the manifest behind them. A name that is also that of
/// data stays.
#[must_use]
pub fn remove_history(names: &Names, manifest: &Manifest) -> (Vec<Step>, Manifest) {
    let after = Manifest {
        history: Vec::new(),
        ..manifest.clone()
    };
    if manifest.history.is_empty() {
        return (Vec::new(), after);
    }
    let is_data = |name: &[u8]| manifest.data().any(|entry| entry.name == name);
    let old = manifest
        .history
        .iter()
        .filter(|entry| !is_data(&entry.name));
    let mut steps: Vec<Step> = old
        .map(|entry| Step::Remove(names.path(&entry.name)))
        .collect();
    // The names must be gone before nobody knows of them any more.
    steps.push(Step::SyncFolder(names.folder().to_owned()));
    steps.extend(replace_manifest(names, &after));
    (steps, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Disk;
    use crate::manifest::Entry;

    fn names(dir: &Path) -> Names {
        Names::new(dir, b"aofs", b"a.aof")
    }

    #[test]
    fn a_manifest_is_replaced_and_failures_say_what_the_reference_says() {
        let dir = tempfile::tempdir().unwrap();
        let names = names(dir.path());
        let steps = replace_manifest_bytes(&names, b"x".to_vec());
        let error = perform(&Disk, &steps).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Can't open the AOF manifest file temp-a.aof.manifest: No such file or directory"
        );
        perform(&Disk, &[Step::CreateFolder(names.folder().to_owned())]).unwrap();
        perform(&Disk, &steps).unwrap();
        assert_eq!(std::fs::read(names.manifest_path()).unwrap(), b"x");
        let rename = perform(&Disk, &steps[1..]).unwrap_err();
        assert_eq!(
            rename.to_string(),
            "Error trying to rename the temporary AOF manifest file temp-a.aof.manifest into a.aof.manifest: No such \
             file or directory"
        );
    }

    #[test]
    fn history_goes_but_what_is_data_stays() {
        let names = names(Path::new("/d"));
        let entry = |name: &str| Entry {
            name: name.into(),
            seq: 1,
        };
        let manifest = Manifest {
            base: Some(entry("b")),
            history: vec![entry("old"), entry("b")],
            incr: Vec::new(),
        };
        let (steps, after) = remove_history(&names, &manifest);
        assert!(after.history.is_empty());
        assert_eq!(steps[0], Step::Remove("/d/aofs/old".into()));
        assert_eq!(steps[1], Step::SyncFolder("/d/aofs".into()));
        assert_eq!(steps.len(), 5);
        assert_eq!(remove_history(&names, &after).0, []);
    }
}
