//! Work beside the service: the snapshot process and the thread that loads a snapshot may take the cores the service needs.
//!
//! Both are quick, so they must not be starved either: with a lower priority a synchronisation under full load takes many
//! times as long. What makes requests wait is that such work keeps a core for a whole slice of the scheduler, some
//! milliseconds. So it asks for the shortest slices there are, and gives the core away after each piece of work.
#![allow(unsafe_code, reason = "a system call that no library offers")]

use rustix::thread::sched_yield;
use std::io::{self, Read, Write};

/// Bytes of a snapshot that are written or read between two offers of the core: about a tenth of a millisecond.
const PIECE_BYTES: usize = 32 * 1024;
/// The shortest slice the kernel gives, in nanoseconds.
const SLICE_NS: u64 = 100_000;

/// A source or sink whose user gives the core away now and then.
pub(crate) struct StandBack<S> {
    stream: S,
    /// Bytes since it last did.
    bytes: usize,
}

impl<S> StandBack<S> {
    /// From now on the calling thread has short slices. Kernels that know no such wish (before Linux 6.12) ignore it.
    pub(crate) fn begin(stream: S) -> Self {
        ask_for_short_slices();
        StandBack { stream, bytes: 0 }
    }

    fn worked(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= PIECE_BYTES {
            self.bytes = 0;
            sched_yield();
        }
    }
}

impl<S: Read> Read for StandBack<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        self.worked(count);
        Ok(count)
    }
}

impl<S: Write> Write for StandBack<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.worked(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Asks for them without changing policy and priority; whoever has chosen another policy than the usual one knows why.
fn ask_for_short_slices() {
    // SAFETY: all zeros is a value of this plain structure.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of_val(&attributes) as u32;
    // SAFETY: the kernel writes at most `size` bytes to the structure, which has that many.
    let known =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) } == 0;
    if known && attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = SLICE_NS;
        // SAFETY: reads the structure, whose size the kernel has put into it. A refusal leaves everything as it was.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}
