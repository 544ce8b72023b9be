//! What the kernel tells of the process and of the machine.
#![allow(unsafe_code, reason = "system calls that std does not offer")]

/// Kernel and user time in microseconds.
pub(crate) fn usage(who: libc::c_int) -> (u64, u64) {
    // SAFETY: all-zero is a valid `rusage`, and `getrusage` writes only to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    (micros(usage.ru_stime), micros(usage.ru_utime))
}

/// Resident set size of this process.
pub(crate) fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            text.split(' ')
                .nth(1)
                .and_then(|pages| pages.parse::<usize>().ok())
        });
    pages.unwrap_or(0) * 4096
}

/// Memory of the machine.
pub(crate) fn system_bytes() -> u64 {
    // SAFETY: asks for two constants of the system.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0)
}
