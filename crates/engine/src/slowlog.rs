//! The slow log: commands that took long, newest first.

use scripting::Taken;
use std::collections::VecDeque;

/// Arguments kept of one command.
const ARGS_MAX: usize = 32;
/// Bytes kept of one argument.
const ARG_BYTES_MAX: usize = 128;

/// One slow command.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number of the entry, growing.
    pub id: i64,
    /// Unix seconds when it ended.
    pub at: i64,
    /// Microseconds it took.
    pub usec: i64,
    /// Its arguments, shortened.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub peer: String,
    /// The client's name.
    pub name: Vec<u8>,
    /// What the script has taken that the command has run, if it has run one.
    pub script: Option<Taken>,
}

/// The log.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_id: i64,
}

impl SlowLog {
    /// Adds a command, dropping the oldest ones beyond `max`.
    pub fn push(
        &mut self,
        (at, usec): (i64, i64),
        args: &[&[u8]],
        (peer, name): (&str, &[u8]),
        script: Option<Taken>,
        max: usize,
    ) {
        let kept = if args.len() > ARGS_MAX {
            ARGS_MAX - 1
        } else {
            args.len()
        };
        let mut shown: Vec<Vec<u8>> = args[..kept].iter().map(|arg| shorten(arg)).collect();
        if kept < args.len() {
            shown.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
        }
        self.entries.push_front(Entry {
            id: self.next_id,
            at,
            usec,
            args: shown,
            peer: peer.to_owned(),
            name: name.to_vec(),
            script,
        });
        self.next_id += 1;
        self.trim(max);
    }

    /// Drops the oldest entries beyond `max`.
    pub fn trim(&mut self, max: usize) {
        self.entries.truncate(max);
    }
}

fn shorten(arg: &[u8]) -> Vec<u8> {
    match arg.split_at_checked(ARG_BYTES_MAX) {
        Some((start, rest)) if !rest.is_empty() => {
            let mut short = start.to_vec();
            short.extend_from_slice(format!("... ({} more bytes)", rest.len()).as_bytes());
            short
        }
        _ => arg.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::SlowLog;

    #[test]
    fn long_commands_are_shortened() {
        let mut log = SlowLog::default();
        let many: Vec<&[u8]> = vec![b"x"; 40];
        log.push((1, 2), &many, ("a:1", b""), None, 1);
        log.push((1, 2), &[&[b'y'; 130]], ("a:1", b""), None, 1);
        assert_eq!(log.entries.len(), 1);
        assert_eq!(log.entries[0].id, 1);
        assert!(log.entries[0].args[0].ends_with(b"... (2 more bytes)"));
        log.push((1, 2), &many, ("a:1", b""), None, 2);
        assert_eq!(log.entries[0].args.len(), 32);
        assert_eq!(log.entries[0].args[31], b"... (9 more arguments)");
    }
}
