//! One line that tells how far the measurement is.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where nobody looks at a terminal, one line for each round is enough.
#[derive(Debug)]
pub(crate) struct Progress {
    total: usize,
    done: usize,
    title: String,
    started: Instant,
    terminal: bool,
}

impl Progress {
    /// Of so many rounds.
    pub(crate) fn new(total: usize) -> Progress {
        Progress {
            total,
            done: 0,
            title: String::new(),
            started: Instant::now(),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The next round begins.
    pub(crate) fn next(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        let line = self.line(self.started.elapsed(), "starts");
        self.done += 1;
        if self.terminal {
            self.show(&line);
        } else {
            eprintln!("{line}");
        }
    }

    /// What goes on in this round.
    pub(crate) fn tell(&mut self, what: &str) {
        if self.terminal {
            let line = format!("[{}/{}] {}: {what}", self.done, self.total, self.title);
            self.show(&line);
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self) {
        if self.terminal {
            eprintln!();
        }
    }

    fn show(&self, line: &str) {
        // Back to the line's begin, and nothing of a longer one stays.
        eprint!("\r\x1b[2K{line}");
        // A terminal that is gone shows nothing; the measurement goes on.
        let _ = io::stderr().flush();
    }

    fn line(&self, elapsed: Duration, what: &str) -> String {
        let mut line = format!("[{}/{}] {}: {what}", self.done + 1, self.total, self.title);
        if self.done > 0 {
            let left = elapsed.as_secs() * (self.total - self.done) as u64 / self.done as u64;
            line.push_str(&format!(", about {} min left", left.div_ceil(60)));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_guessed_from_what_was_done() {
        let mut progress = Progress {
            total: 4,
            done: 0,
            title: "writes".to_owned(),
            started: Instant::now(),
            terminal: false,
        };
        let minute = Duration::from_secs(60);
        assert_eq!(progress.line(minute, "starts"), "[1/4] writes: starts");
        progress.done = 1;
        assert_eq!(
            progress.line(minute, "starts"),
            "[2/4] writes: starts, about 3 min left"
        );
    }
}
