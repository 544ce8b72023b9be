//! The file of users on the disk. It holds digests of passwords: nobody is let see more of it than before.

use crate::clock;
use crate::replace::{self, Step};
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// For the owner alone.
const PRIVATE: u32 = 0o600;

/// Replaces the file, or makes it.
///
/// # Errors
/// A line for the log. The old file is untouched, unless it is the folder that could not be synced.
pub(crate) fn replace(path: &Path, text: &[u8]) -> Result<(), String> {
    let temporary = temporary_of(path);
    let written = write(path, &temporary, text);
    if written.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write(path: &Path, temporary: &Path, text: &[u8]) -> Result<(), String> {
    let failed = |what: &'static str| {
        move |error: std::io::Error| format!("{what} for ACL SAVE: {}", crate::errno_text(&error))
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(temporary)
        .map_err(failed("Opening temp ACL file"))?;
    if let Ok(old) = std::fs::metadata(path) {
        let mode = Permissions::from_mode(old.permissions().mode());
        file.set_permissions(mode)
            .map_err(failed("Opening temp ACL file"))?;
    }
    file.write_all(text).map_err(failed("Writing ACL file"))?;
    replace::put_in_place(&file, temporary, path).map_err(|(step, error)| {
        failed(match step {
            Step::SyncFile => "Syncing ACL file",
            Step::Rename => "Renaming ACL file",
            Step::SyncFolder => "Syncing ACL directory",
        })(error)
    })
}

/// `<path>.tmp-<process>-<milliseconds>`
fn temporary_of(path: &Path) -> PathBuf {
    let ms = (clock::SYSTEM.unix_us)() / 1000;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tmp-{}-{ms}", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_stays_as_it_was() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("users.acl");
        replace(&path, b"one").unwrap();
        assert_eq!(mode(&path), PRIVATE);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let error = replace(Path::new("/nowhere/users.acl"), b"x").unwrap_err();
        assert_eq!(
            error,
            "Opening temp ACL file for ACL SAVE: No such file or directory"
        );
    }
}
