//! What the runs of a script or function have taken since it was loaded.

use crate::limits::ERROR_BYTES_KEPT;

/// What one run has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Nanoseconds from its start to its end, whatever happened in between.
    pub elapsed_ns: u64,
    /// Units of work of the interpreter: instructions, and what counts as such in native functions and collections. The
    /// commands that it has called are not among them.
    pub instructions: u64,
    /// Bytes by which it has made the interpreter grow, at most.
    pub memory_bytes: usize,
}

/// The runs of one script or function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Runs that have ended, by an error or not.
    pub calls: u64,
    /// Those that an error has ended, or a kill.
    pub failures: u64,
    /// Of all of them.
    pub total_ns: u64,
    /// Of all of them.
    pub instructions: u64,
    /// Bytes by which one of them has made the interpreter grow, at most.
    pub memory_peak: usize,
    /// The one that took the longest time.
    pub slowest: Taken,
    /// The error that has ended one of them last.
    pub last_error: Option<LastError>,
}

/// An error that has ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The beginning of its text.
    pub text: Box<[u8]>,
    /// Unix milliseconds.
    pub at_ms: i64,
}

impl Usage {
    /// Counts a run.
    #[inline]
    pub(crate) fn count(&mut self, taken: Taken) {
        self.calls += 1;
        self.total_ns += taken.elapsed_ns;
        self.instructions += taken.instructions;
        self.memory_peak = self.memory_peak.max(taken.memory_bytes);
        if taken.elapsed_ns > self.slowest.elapsed_ns {
            self.slowest = taken;
        }
    }

    /// Takes note of the error that has ended the run just counted.
    #[cold]
    pub(crate) fn fail(&mut self, text: &[u8], at_ms: i64) {
        self.failures += 1;
        let text = text.get(..ERROR_BYTES_KEPT).unwrap_or(text).into();
        self.last_error = Some(LastError { text, at_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::{ERROR_BYTES_KEPT, Taken, Usage};

    #[test]
    fn runs_add_up_and_the_slowest_stands_out() {
        let mut usage = Usage::default();
        for (elapsed_ns, instructions, memory_bytes) in [(5, 10, 7), (9, 1, 2), (1, 3, 90)] {
            usage.count(Taken {
                elapsed_ns,
                instructions,
                memory_bytes,
            });
        }
        assert_eq!((usage.calls, usage.failures), (3, 0));
        assert_eq!((usage.total_ns, usage.instructions), (15, 14));
        assert_eq!(usage.memory_peak, 90);
        assert_eq!(usage.slowest.instructions, 1);
    }

    #[test]
    fn a_long_error_is_cut() {
        let mut usage = Usage::default();
        usage.fail(&[b'x'; 10 * ERROR_BYTES_KEPT], 7);
        usage.fail(&[b'y'; 2 * ERROR_BYTES_KEPT], 8);
        let last = usage.last_error.unwrap();
        assert_eq!(
            (&*last.text, last.at_ms),
            (&[b'y'; ERROR_BYTES_KEPT][..], 8)
        );
        assert_eq!(usage.failures, 2);
    }
}
