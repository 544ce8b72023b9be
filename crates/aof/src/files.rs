//! What a log does to files: a trait, and the disk behind it.
//!
//! The calls are those that a promise depends on, no more: a name reaches the disk when its folder is synced, bytes
//! when their file is. Paths are whole; nobody changes folders.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A file that is being written.
pub trait LogFile {
    /// Writes some of `bytes` at this offset; how many. What stood there is replaced.
    ///
    /// # Errors
    /// Those of the disk; nothing was written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Returns when all that was written is on the disk.
    ///
    /// # Errors
    /// Those of the disk. What was written since the last sync may be there or not, and a second sync that succeeds says
    /// nothing about it.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to so many bytes.
    ///
    /// # Errors
    /// Those of the disk.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Bytes of the file.
    ///
    /// # Errors
    /// Those of the disk.
    fn size(&self) -> io::Result<u64>;
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
}

/// A place for files.
///
/// # Errors
/// Every method returns those of the disk.
pub trait Files {
    /// A file that is being written.
    type File: LogFile;
    /// A file that is being read.
    type Input: Read;

    /// What is there.
    fn find(&self, path: &Path) -> io::Result<Found>;
    /// Names in a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<Vec<u8>>>;
    /// A file to be read from this offset on.
    fn read(&self, path: &Path, offset: u64) -> io::Result<Self::Input>;
    /// An empty file in the place of whatever file was there.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// A file to be written on; an empty one if it is not there.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// A folder, if it is not there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns when the names in a folder are on the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl LogFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Files for Disk {
    type File = File;
    type Input = File;

    fn find(&self, path: &Path) -> io::Result<Found> {
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => Ok(Found::Folder),
            Ok(about) => Ok(Found::File(about.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Vec<u8>>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().into_vec()))
            .collect()
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<File> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        options().truncate(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        options().truncate(false).open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// For writing a file, which is made where it is missing.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(FILE_MODE);
    options
}

/// Who may read and write the files of a log. Same as Valkey.
const FILE_MODE: u32 = 0o644;

/// Why, in the words of the system alone.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// Writes all of `bytes` at this offset.
///
/// # Errors
/// Those of the disk, also when it takes no more bytes; some may have been written.
pub fn write_all_at(file: &mut impl LogFile, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(offset, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset = offset.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_does_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, path) = (dir.path().join("f"), dir.path().join("f/a"));
        assert_eq!(Disk.find(&folder).unwrap(), Found::Nothing);
        Disk.create_folder(&folder).unwrap();
        Disk.create_folder(&folder).unwrap();
        assert_eq!(Disk.find(&folder).unwrap(), Found::Folder);
        let mut file = Disk.create(&path).unwrap();
        write_all_at(&mut file, 0, b"hello").unwrap();
        file.sync().unwrap();
        let mut file = Disk.open(&path).unwrap();
        assert_eq!(file.size().unwrap(), 5);
        write_all_at(&mut file, 5, b" world").unwrap();
        file.truncate(8).unwrap();
        let other = dir.path().join("f/b");
        Disk.rename(&path, &other).unwrap();
        Disk.sync_folder(&folder).unwrap();
        assert_eq!(Disk.list(&folder).unwrap(), [b"b"]);
        let mut text = String::new();
        Disk.read(&other, 0)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(
            (text.as_str(), Disk.find(&other).unwrap()),
            ("hello wo", Found::File(8))
        );
        Disk.remove(&other).unwrap();
        assert_eq!(
            reason(&Disk.read(&other, 0).unwrap_err()),
            "No such file or directory"
        );
        let error = Disk.create_folder(&path.join("x")).unwrap_err();
        assert_eq!(reason(&error), "No such file or directory");
    }
}
