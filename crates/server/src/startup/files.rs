//! Configuration files: those named on the command line, and those they include.

use config::Surroundings;
use std::os::unix::ffi::OsStrExt;

/// That a configuration file cannot be read.
pub(super) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> String {
    format!(
        "Fatal error, can't open config file '{}': {}",
        path.display(),
        crate::errno_text(error)
    )
}

/// Reads included files and changes the folder while the configuration is read.
pub(super) struct Files;

impl Surroundings for Files {
    fn include(&mut self, pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let pattern = &*String::from_utf8_lossy(pattern);
        let read =
            |path: &std::path::Path| std::fs::read(path).map_err(|error| unreadable(path, &error));
        if !pattern.contains(['*', '?', '[']) {
            return Ok(vec![read(std::path::Path::new(pattern))?]);
        }
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        // The crate sorts by name.
        paths
            .filter_map(Result::ok)
            .map(|path| read(&path))
            .collect()
    }

    fn change_dir(&mut self, path: &[u8]) -> Result<(), String> {
        std::env::set_current_dir(std::ffi::OsStr::from_bytes(path))
            .map_err(|error| crate::errno_text(&error))
    }
}
