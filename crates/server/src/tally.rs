//! Numbers that a child process counts up and its parent reads, also after the child has died.
#![allow(unsafe_code, reason = "a page of shared memory")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

/// So many numbers there are: a page.
const COUNT: usize = 512;

/// They start at zero. A process forked while they exist shares them.
#[derive(Debug)]
pub(crate) struct Tally(NonNull<[AtomicU64; COUNT]>);

// SAFETY: what it points to is an atomic that lives as long as the tally, and nothing else is done with it.
unsafe impl Send for Tally {}
// SAFETY: as above.
unsafe impl Sync for Tally {}

impl Tally {
    /// # Errors
    /// There is no memory.
    pub(crate) fn new() -> io::Result<Tally> {
        // SAFETY: asks for memory of our own wherever there is room; nothing that exists is touched.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<[AtomicU64; COUNT]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Fresh memory is zero, and a page is aligned for everything.
        NonNull::new(page.cast())
            .map(Tally)
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Tally {
    /// Of all receivers together, since it was last read.
    pub(crate) fn all(&self) -> &AtomicU64 {
        &self.numbers()[0]
    }

    /// Of one receiver alone; the first is 0. There are none for receivers that are too many for the page.
    pub(crate) fn of(&self, receiver: usize) -> Option<&AtomicU64> {
        self.numbers()[1..COUNT - 2].get(receiver)
    }

    /// How far the file that is kept of the snapshot is written.
    pub(crate) fn spool_bytes(&self) -> &AtomicU64 {
        &self.numbers()[COUNT - 1]
    }

    /// What has become of that file.
    pub(crate) fn spool_state(&self) -> &AtomicU64 {
        &self.numbers()[COUNT - 2]
    }

    fn numbers(&self) -> &[AtomicU64; COUNT] {
        // SAFETY: `new` has mapped it, `drop` alone unmaps it, and atomics may be shared by processes.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and no reference outlives the tally.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<[AtomicU64; COUNT]>()) };
    }
}
