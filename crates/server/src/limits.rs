//! Limits of the process: open files.
#![allow(unsafe_code, reason = "resource limits are system calls")]

/// Descriptors the process needs besides its clients.
pub(crate) const RESERVED_DESCRIPTORS: u64 = 32;

/// Makes room for so many clients and the process's own files.
///
/// # Errors
/// The number of clients there is room for.
pub(crate) fn raise_open_files(maxclients: u32) -> Result<(), u64> {
    let wanted = u64::from(maxclients) + RESERVED_DESCRIPTORS;
    // SAFETY: all-zero is a valid `rlimit`, and `getrlimit` writes only to it.
    let mut limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit
    };
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = wanted;
    limit.rlim_max = limit.rlim_max.max(wanted);
    // SAFETY: reads from a struct of ours.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
        return Ok(());
    }
    Err(before.saturating_sub(RESERVED_DESCRIPTORS))
}

/// The present limit.
pub(crate) fn open_files() -> u64 {
    // SAFETY: all-zero is a valid `rlimit`, and `getrlimit` writes only to it.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur
    }
}
