//! How the files of a log are called, and where they lie.
//!
//! ```text
//! dir/                                    what `dir` says
//!   <file>                                a log of one file, from before there were folders
//!   temp-rewriteaof-<pid>.aof             a base that the rewriting child writes
//!   temp-rewriteaof-bg-<pid>.aof          the same, complete and synced
//!   <folder>/                             what `appenddirname` says
//!     <file>.manifest                     what belongs to the log
//!     temp-<file>.manifest                the next manifest
//!     <file>.<seq>.base.rdb | .base.aof   the dataset at some moment
//!     <file>.<seq>.incr.aof               what was done after it
//!     temp-<file>.incr                    what was done before there is a first base
//! ```
//!
//! Source: the names that Valkey 8.0.1 gives.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a base file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseForm {
    /// A snapshot, as `aof-use-rdb-preamble yes` asks for.
    Rdb,
    /// Commands.
    Commands,
}

/// The names of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    dir: PathBuf,
    folder: PathBuf,
    file: Vec<u8>,
}

/// Whether `name` can name a file of a log: no path, and not empty.
#[must_use]
pub fn is_bare(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

impl Names {
    /// Names below the folder `dir`, for these values of `appenddirname` and `appendfilename`.
    #[must_use]
    pub fn new(dir: &Path, folder: &[u8], file: &[u8]) -> Self {
        Self {
            dir: dir.to_owned(),
            folder: dir.join(OsStr::from_bytes(folder)),
            file: file.to_owned(),
        }
    }

    /// The folder above that of the log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that this name stands for in the folder of the log.
    #[must_use]
    pub fn path(&self, name: &[u8]) -> PathBuf {
        self.folder.join(OsStr::from_bytes(name))
    }

    /// The name of a log of one file; after an upgrade also of its base.
    #[must_use]
    pub fn old(&self) -> &[u8] {
        &self.file
    }

    /// A log of one file.
    #[must_use]
    pub fn old_path(&self) -> PathBuf {
        self.dir.join(OsStr::from_bytes(&self.file))
    }

    /// The manifest.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.path(&self.manifest())
    }

    /// The name of the manifest.
    #[must_use]
    pub fn manifest(&self) -> Vec<u8> {
        [&self.file, b".manifest".as_slice()].concat()
    }

    /// The name of a manifest that is being written.
    #[must_use]
    pub fn temp_manifest(&self) -> Vec<u8> {
        [b"temp-", self.file.as_slice(), b".manifest"].concat()
    }

    /// The name of the commands that are collected while the first base is being written.
    #[must_use]
    pub fn temp_incr(&self) -> Vec<u8> {
        [b"temp-", self.file.as_slice(), b".incr"].concat()
    }

    /// The name of a base.
    #[must_use]
    pub fn base(&self, seq: u64, form: BaseForm) -> Vec<u8> {
        let form = match form {
            BaseForm::Rdb => "rdb",
            BaseForm::Commands => "aof",
        };
        [&self.file, format!(".{seq}.base.{form}").as_bytes()].concat()
    }

    /// The name of an increment.
    #[must_use]
    pub fn incr(&self, seq: u64) -> Vec<u8> {
        [&self.file, format!(".{seq}.incr.aof").as_bytes()].concat()
    }

    /// A base that the process `pid` is writing.
    #[must_use]
    pub fn temp_base(&self, pid: u32) -> PathBuf {
        self.dir.join(format!("temp-rewriteaof-{pid}.aof"))
    }

    /// A base that the child `pid` has written.
    #[must_use]
    pub fn finished_base(&self, pid: u32) -> PathBuf {
        self.dir.join(format!("temp-rewriteaof-bg-{pid}.aof"))
    }

    /// Whether `name`, found in the folder of the log, could be data of it: `<file>`, `<file>.<seq>.base.*` or
    /// `<file>.<seq>.incr.aof`.
    #[must_use]
    pub fn is_data(&self, name: &[u8]) -> bool {
        let Some(rest) = name.strip_prefix(self.file.as_slice()) else {
            return false;
        };
        let Some(rest) = rest.strip_prefix(b".") else {
            return rest.is_empty();
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, kind) = rest.split_at_checked(digits).unwrap_or_default();
        let known: [&[u8]; 3] = [b".base.rdb", b".base.aof", b".incr.aof"];
        !digits.is_empty() && known.contains(&kind)
    }

    /// Whether `name`, found in `dir`, is what a rewrite has left behind that did not end.
    #[must_use]
    pub fn is_leftover_in_dir(name: &[u8]) -> bool {
        let rest = name.strip_prefix(b"temp-rewriteaof-");
        let rest = rest.map(|rest| rest.strip_prefix(b"bg-").unwrap_or(rest));
        let digits = rest.and_then(|rest| rest.strip_suffix(b".aof"));
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    }

    /// Whether `name`, found in the folder of the log, is a file of ours that was given up before it got its name.
    #[must_use]
    pub fn is_leftover_in_folder(&self, name: &[u8]) -> bool {
        name == self.temp_manifest() || name == self.temp_incr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(Path::new("/d"), b"appendonlydir", b"appendonly.aof")
    }

    #[test]
    fn files_are_called_as_the_reference_calls_them() {
        let names = names();
        assert_eq!(names.base(3, BaseForm::Rdb), b"appendonly.aof.3.base.rdb");
        assert_eq!(
            names.base(3, BaseForm::Commands),
            b"appendonly.aof.3.base.aof"
        );
        assert_eq!(names.incr(12), b"appendonly.aof.12.incr.aof");
        let manifest = names.manifest_path();
        assert_eq!(
            manifest,
            Path::new("/d/appendonlydir/appendonly.aof.manifest")
        );
        assert_eq!(names.temp_manifest(), b"temp-appendonly.aof.manifest");
        assert_eq!(names.temp_incr(), b"temp-appendonly.aof.incr");
        assert_eq!(
            names.finished_base(7),
            Path::new("/d/temp-rewriteaof-bg-7.aof")
        );
        assert_eq!(names.old_path(), Path::new("/d/appendonly.aof"));
    }

    #[test]
    fn our_files_are_told_from_those_of_others() {
        let names = names();
        for name in [
            "appendonly.aof",
            "appendonly.aof.1.base.rdb",
            "appendonly.aof.22.incr.aof",
        ] {
            assert!(names.is_data(name.as_bytes()), "{name}");
        }
        for name in [
            "other",
            "appendonly.aof.manifest",
            "appendonly.aof.x.incr.aof",
            "appendonly.aof.1.incr.rdb",
        ] {
            assert!(!names.is_data(name.as_bytes()), "{name}");
        }
        for name in ["temp-rewriteaof-1.aof", "temp-rewriteaof-bg-99.aof"] {
            assert!(Names::is_leftover_in_dir(name.as_bytes()), "{name}");
        }
        for name in [
            "temp-1.rdb",
            "temp-rewriteaof-.aof",
            "temp-rewriteaof-bg-x.aof",
            "appendonly.aof",
        ] {
            assert!(!Names::is_leftover_in_dir(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_path_is_no_name() {
        assert!(is_bare(b"a b"));
        for name in ["", "a/b", "a\\b", "/"] {
            assert!(!is_bare(name.as_bytes()), "{name}");
        }
    }
}
