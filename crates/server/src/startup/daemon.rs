//! A process that goes on without its terminal.
#![allow(unsafe_code, reason = "daemons are made with system calls")]

/// Goes on in a child of its own session, with standard streams going nowhere.
pub(super) fn become_daemon() -> std::io::Result<()> {
    // SAFETY: the process has one thread yet, so the child is as complete as its parent.
    unsafe {
        match libc::fork() {
            -1 => return Err(std::io::Error::last_os_error()),
            0 => {}
            _ => libc::_exit(0),
        }
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            for stream in 0..3 {
                libc::dup2(null, stream);
            }
            if null > 2 {
                libc::close(null);
            }
        }
    }
    Ok(())
}
