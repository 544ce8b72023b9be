//! The timer of the main loop: the engine's periodic work, and the moment at which a waiting client's time is up.

use crate::clock;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A timer of the kernel: a loop that waits need not be told again and again for how long.
pub(crate) struct Timer {
    fd: OwnedFd,
    /// When it is to run out; 0 when it has.
    set_to_ns: u64,
}

impl Timer {
    /// A timer that is reported under `token` each time it has run out.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Edge-triggered: every time it runs out is a report, whether or not the one before was read.
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Timer { fd, set_to_ns: 0 })
    }

    /// It has been reported.
    pub(crate) fn ran_out(&mut self) {
        self.set_to_ns = 0;
    }

    /// Runs out at `at_ns` of [`clock::monotonic_ns`], and no longer at what was set before.
    pub(crate) fn set(&mut self, at_ns: u64) -> io::Result<()> {
        if at_ns == self.set_to_ns {
            return Ok(());
        }
        self.set_to_ns = at_ns;
        // Zero would turn it off.
        let ns = at_ns.saturating_sub(clock::monotonic_ns()).max(1);
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: (ns / 1_000_000_000) as i64,
                tv_nsec: (ns % 1_000_000_000) as i64,
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}
