//! Limits of the process: open files.
#![allow(unsafe_code, reason = "resource limits are system calls")]

/// Descriptors the process needs besides its clients.
pub(crate) const RESERVED_DESCRIPTORS: u64 = 32;

/// The system does not give as many descriptors as were asked for.
#[derive(Debug)]
pub(crate) struct TooFew {
    /// For how many clients there is room now.
    pub(crate) clients: u64,
    /// What the system says.
    pub(crate) reason: std::io::Error,
}

/// Makes room for so many clients and the process's own files.
///
/// # Errors
/// There is not as much room; what there is has been taken.
pub(crate) fn raise_open_files(maxclients: u32) -> Result<(), TooFew> {
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
    let hard = limit.rlim_max;
    limit.rlim_cur = wanted;
    limit.rlim_max = hard.max(wanted);
    // SAFETY: reads from a struct of ours.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
        return Ok(());
    }
    let reason = std::io::Error::last_os_error();
    limit.rlim_cur = hard;
    limit.rlim_max = hard;
    // SAFETY: reads from a struct of ours. Should this fail, the limit is what it was.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    Err(TooFew {
        clients: open_files().saturating_sub(RESERVED_DESCRIPTORS),
        reason,
    })
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
