//! Putting a file in the place of another, so that a crash at any moment leaves the old one or the new one, whole: sync of
//! the file, rename, sync of the folder. Whatever lasts is written through here; `tests/tidy.rs` looks after that.

use std::fs::File;
use std::io;
use std::path::Path;

/// What is done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The bytes reach the disk: a name must not come to stand for less.
    SyncFile,
    /// The new file takes the old one's name.
    Rename,
    /// The name reaches the disk.
    SyncFolder,
}

/// Puts `file`, complete and written under the name `temporary`, in the place of `path`.
///
/// # Errors
/// The step that failed, and why. The file at `path` is untouched unless that was the last one; the temporary file is the
/// caller's to remove.
pub(crate) fn put_in_place(
    file: &File,
    temporary: &Path,
    path: &Path,
) -> Result<(), (Step, io::Error)> {
    put_with(&mut Real, file, temporary, path)
}

/// The calls to the system, for tests to stand between.
trait Disk {
    fn sync(&mut self, file: &File) -> io::Result<()>;
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;
}

struct Real;

impl Disk for Real {
    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

fn put_with(
    disk: &mut impl Disk,
    file: &File,
    temporary: &Path,
    path: &Path,
) -> Result<(), (Step, io::Error)> {
    let at = |step| move |error| (step, error);
    disk.sync(file).map_err(at(Step::SyncFile))?;
    disk.rename(temporary, path).map_err(at(Step::Rename))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    disk.sync_folder(folder).map_err(at(Step::SyncFolder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Does what it is asked, notes it, and fails from some step on.
    struct Recording {
        done: Vec<String>,
        steps_left: usize,
    }

    impl Recording {
        fn step(&mut self, what: String) -> io::Result<()> {
            self.steps_left = self
                .steps_left
                .checked_sub(1)
                .ok_or(io::ErrorKind::StorageFull)?;
            self.done.push(what);
            Ok(())
        }
    }

    impl Disk for Recording {
        fn sync(&mut self, file: &File) -> io::Result<()> {
            let bytes = file.metadata()?.len();
            self.step(format!("sync {bytes} bytes"))?;
            Real.sync(file)
        }

        fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            self.step(format!("rename {} to {}", name(from), name(to)))?;
            Real.rename(from, to)
        }

        fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
            self.step(format!("sync folder {}", folder.display()))?;
            Real.sync_folder(folder)
        }
    }

    #[test]
    fn the_file_reaches_the_disk_before_its_name_does_and_failures_leave_one_of_the_two() {
        let dir = tempfile::tempdir().unwrap();
        let (temporary, path) = (dir.path().join("temp"), dir.path().join("final"));
        let steps = [
            "sync 3 bytes".to_owned(),
            "rename temp to final".to_owned(),
            format!("sync folder {}", dir.path().display()),
        ];
        for steps_left in 0..=3 {
            std::fs::write(&path, "old").unwrap();
            let mut file = File::create(&temporary).unwrap();
            file.write_all(b"new").unwrap();
            let mut disk = Recording {
                done: Vec::new(),
                steps_left,
            };
            let result = put_with(&mut disk, &file, &temporary, &path);
            assert_eq!(disk.done, steps[..steps_left]);
            let failed = result.err().map(|(step, _)| step);
            let expected = [Step::SyncFile, Step::Rename, Step::SyncFolder];
            assert_eq!(failed, expected.get(steps_left).copied());
            let there = std::fs::read_to_string(&path).unwrap();
            assert_eq!(there, if steps_left < 2 { "old" } else { "new" });
        }
    }

    #[test]
    fn the_folder_of_a_bare_name_is_the_one_we_are_in() {
        struct Folder(String);
        impl Disk for Folder {
            fn sync(&mut self, _: &File) -> io::Result<()> {
                Ok(())
            }
            fn rename(&mut self, _: &Path, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
                self.0 = folder.display().to_string();
                Ok(())
            }
        }
        let file = tempfile::tempfile().unwrap();
        for (path, folder) in [("dump.rdb", "."), ("a/b", "a"), ("/b", "/")] {
            let mut disk = Folder(String::new());
            put_with(&mut disk, &file, Path::new("temp"), Path::new(path)).unwrap();
            assert_eq!(disk.0, folder);
        }
    }
}
